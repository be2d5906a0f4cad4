"""TF-IDF: which terms of a block of texts are used, and what each weighs, as the training rows teach it.

A term counts with the logarithm of its number in a text times that of its rarity; the words of a text, and its
characters, each make up a length of one, so that neither long texts nor the many runs of characters drown the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from search_spaces.checked import need, places, table, whole
from search_spaces.text.terms import SPACE, Terms, Unit, counts

if TYPE_CHECKING:
    from search_spaces.spec import Media


LONGEST = 16  # runs that a saved model may have counted


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
        """(rows, width) float32, sparse; each row of length one, or nothing in it.

        Put together from plain arrays: of one row a sparse matrix for each length would take most of the time.
        """
        from scipy.sparse import csr_array

        rows, places, data = self._used(block)
        data = (1 + np.log(data)) * self.rarity[places]
        norms = np.sqrt(np.bincount(rows, data.astype(np.float64) ** 2, minlength=len(block)))
        data /= np.maximum(norms, 1e-12).astype(np.float32)[rows]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(block)))])
        return csr_array((data, places, starts), shape=(len(block), self.width))

    def _used(self, block: Media) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, place and number of every term that is used, row by row."""
        rows, places, data, first = [], [], [], 0
        for length, columns in zip(self.lengths, self.columns, strict=True):
            found = counts(block, Terms(self.unit, length))
            if len(columns):
                at = np.minimum(np.searchsorted(columns, found.indices), len(columns) - 1)
                is_used = columns[at] == found.indices
                rows.append(np.repeat(np.arange(len(block)), np.diff(found.indptr))[is_used])
                places.append(at[is_used] + first)
                data.append(found.data[is_used])
            first += len(columns)
        if not rows:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable") if len(rows) > 1 and len(block) > 1 else slice(None)
        return row[order], np.concatenate(places)[order].astype(np.int32), np.concatenate(data)[order]

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """Its state, each array's name begun with `name`."""
        own = {f"{name}.columns{length}": array for length, array in zip(self.lengths, self.columns, strict=True)}
        return {**own, f"{name}.rarity": self.rarity, f"{name}.lengths": np.array(self.lengths, dtype=np.int32)}

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray], name: str, unit: Unit) -> TermWeights:
        """What `arrays` gave."""
        need(unit in get_args(Unit), f"terms of the unit {unit!r:.40} are not known")
        told = table(arrays, f"{name}.lengths", (None,), "iu")
        lengths = tuple(whole(int(length), "the length of a term", 1, LONGEST) for length in told[: LONGEST + 1])
        columns = tuple(table(arrays, f"{name}.columns{length}", (None,)) for length in lengths)
        for own in columns:
            places(own, "terms", SPACE)
        rarity = table(arrays, f"{name}.rarity", (sum(map(len, columns)),), "f")
        return cls(unit, lengths, columns, rarity)


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
