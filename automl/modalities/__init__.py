"""Kinds of data, one folder each, found through the table below; what all of them keep to is in protocol.py.

Adding one is a folder with a MODALITY plus one line here; its tests come from the table. Importing this loads none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from automl.modalities.protocol import Decoding, Modality

_MODALITIES = {  # the last takes the columns that nobody else claimed
    "image": "automl.modalities.image.modality",
    "audio": "automl.modalities.audio.modality",
    "text": "automl.modalities.text.modality",
    "series": "automl.modalities.series.modality",
    "panel": "automl.modalities.panel.modality",
    "table": "automl.modalities.table.modality",
}


def names() -> list[str]:
    """Every kind's name."""
    return list(_MODALITIES)


def get(name: str) -> Modality:
    """The kind of that name; ValueError for an unknown one."""
    if name not in _MODALITIES:
        raise ValueError(f"unknown kind of data {name!r}. Known kinds: {', '.join(_MODALITIES)}.")
    found: Modality = import_module(_MODALITIES[name]).MODALITY
    return found


def decoding(name: str) -> Decoding:
    """The same, of a kind whose cells have to be decoded."""
    return cast("Decoding", get(name))


def all_decoding() -> list[Decoding]:
    """Every kind whose cells have to be decoded."""
    return [decoding(name) for name in _MODALITIES if hasattr(get(name), "claim")]
