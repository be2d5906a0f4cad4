"""Texts as blocks: how cells become texts, and what describes them. Saved with the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.modalities import encoders
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.described import as_plain, beside, said_names
from automl.modalities.files.read import MISSING
from automl.modalities.text import statistics
from search_spaces.spec import Media, MediaKind
from search_spaces.text.terms import MOST_CHARACTERS


@dataclass(frozen=True)
class TextCodec:
    """Texts as they are; nothing about them is chosen."""

    encoder: Checkpoint | None = None  # a trained network that describes them as well
    kind: MediaKind = "text"
    drawn: None = None  # there is nothing to look at

    @property
    def names(self) -> list[str]:
        """Names of the numbers that describe a text."""
        return [*statistics.NAMES, *said_names(self.encoder)]

    def encode(self, cells: Sequence[Any]) -> Media:
        """Texts in memory; a cell that holds nothing is an empty one."""
        store = np.empty(len(cells), dtype=object)
        store[:] = [as_text(cell)[:MOST_CHARACTERS] for cell in cells]
        return Media(self.kind, store, np.arange(len(cells)))

    def describe(self, block: Media) -> np.ndarray:
        """What can be counted, and what a trained network says."""
        return beside(statistics.count(block.values().tolist()), block, self.encoder)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, **as_plain(self.encoder)}


def codec_from_json(plain: Mapping[str, Any], weights: bytes | None = None) -> TextCodec:
    """What `as_json` wrote; without the weights of its encoder it cannot describe."""
    return TextCodec(encoders.from_json(plain["encoder"], weights) if "encoder" in plain else None)


def as_text(cell: Any) -> str:
    """What a cell says; words that readers of files take for a missing cell say nothing, wherever they come from."""
    if isinstance(cell, str):
        return "" if cell.strip() in MISSING else str(cell)  # a plain one: NumPy has strings of its own
    if isinstance(cell, bytes | bytearray):
        return bytes(cell).decode("utf-8", "replace")
    if cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return str(cell)
