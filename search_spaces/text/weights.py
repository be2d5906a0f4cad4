"""TF-IDF: which terms of a block of texts are used, and what each weighs, as the training rows teach it.

A term counts with the logarithm of its number in a text times that of its rarity; the words of a text, and its
characters, each make up a length of one, so that neither long texts nor the many runs of characters drown the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.text.terms import Terms, Unit, counts

if TYPE_CHECKING:
    from search_spaces.spec import Media


@dataclass(frozen=True)
class TermWeights:
    """The terms that are used, and their rarity."""

    unit: Unit
    lengths: tuple[int, ...]
    columns: tuple[np.ndarray, ...]  # int32, rising, of each length: the hashes that are used
    rarity: np.ndarray  # float32, of all of them one after the other

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self.rarity)

    def transform(self, block: Media) -> Any:
        """(rows, width) float32, sparse; each row of length one, or nothing in it."""
        from scipy.sparse import csr_array, hstack

        parts = [
            _picked(counts(block, Terms(self.unit, length)), columns)
            for length, columns in zip(self.lengths, self.columns, strict=True)
        ]
        found = csr_array(hstack(parts, format="csr"))
        found.data = (1 + np.log(found.data)) * self.rarity[found.indices]
        norms = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).reshape(-1))
        found.data /= np.repeat(np.maximum(norms, 1e-12), np.diff(found.indptr)).astype(np.float32)
        return found

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Its state, each array's name begun with `name`."""
        own = {f"{name}.columns{length}": array for length, array in zip(self.lengths, self.columns, strict=True)}
        return {**own, f"{name}.rarity": self.rarity, f"{name}.lengths": np.array(self.lengths, dtype=np.int32)}

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray], name: str, unit: Unit) -> TermWeights:
        """What `arrays` gave."""
        lengths = tuple(int(length) for length in arrays[f"{name}.lengths"])
        columns = tuple(arrays[f"{name}.columns{length}"] for length in lengths)
        return cls(unit, lengths, columns, arrays[f"{name}.rarity"])


def learn_weights(block: Media, unit: Unit, lengths: Sequence[int], *, least: int, most: int) -> TermWeights:
    """The terms in at least so many texts, the most frequent ones where there are more than `most`."""
    columns, often = [], []
    for length in lengths:
        found = counts(block, Terms(unit, length))
        used, rows = np.unique(found.indices, return_counts=True)
        columns.append(used[rows >= least])
        often.append(rows[rows >= least])
    rows_of = np.concatenate(often) if often else np.zeros(0, dtype=np.int64)
    if len(rows_of) > most:
        first = np.zeros(len(rows_of), dtype=bool)
        first[np.argsort(-rows_of, kind="stable")[:most]] = True  # of equals those of the least hash
        picked = np.split(first, np.cumsum([len(own) for own in columns])[:-1])
        columns = [own[is_first] for own, is_first in zip(columns, picked, strict=True)]
        often = [rows[is_first] for rows, is_first in zip(often, picked, strict=True)]
    rarity = np.log((1 + len(block)) / (1 + np.concatenate(often))) + 1 if often else np.zeros(0)
    return TermWeights(unit, tuple(lengths), tuple(own.astype(np.int32) for own in columns), rarity.astype(np.float32))


def _picked(found: Any, columns: np.ndarray) -> Any:
    """Some columns of a sparse matrix, by their rising numbers."""
    from scipy.sparse import csr_array

    if not len(columns):
        return csr_array((found.shape[0], 0), dtype=np.float32)
    places = np.minimum(np.searchsorted(columns, found.indices), len(columns) - 1)
    is_used = columns[places] == found.indices
    starts = np.concatenate([[0], np.cumsum(is_used)])[found.indptr]
    return csr_array(
        (found.data[is_used], places[is_used].astype(np.int32), starts), shape=(found.shape[0], len(columns))
    )
