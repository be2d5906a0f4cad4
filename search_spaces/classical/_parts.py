"""Fitted state as named bytes: JSON for facts, NumPy's own format for arrays. Nothing here can run code when read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.checked import arrays, json_object


def pack_json(facts: Mapping[str, Any]) -> bytes:
    """Plain values as JSON; floats survive exactly."""
    return json.dumps(facts, sort_keys=True).encode()


def unpack_json(blob: bytes) -> dict[str, Any]:
    """What `pack_json` was given."""
    return json_object(blob)


def pack_arrays(named: Mapping[str, np.ndarray], compress: bool = False) -> bytes:
    """Named arrays as one .npz; compressed at the cheapest level, as every fold of every trial is packed."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def unpack_arrays(blob: bytes) -> dict[str, np.ndarray]:
    """What `pack_arrays` was given."""
    return arrays(blob)
