"""What tells of a block in fewer numbers, learned from the training rows: a thousand would drown a table's own twelve.

Directions of most variance are found first, which needs no answers and so cannot fit them. Some are kept because they
are the largest; the others of a few more, by how much each alone tells of the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from search_spaces.checked import table

SAMPLE = 5_000  # rows from which directions are learned: a few of them are known well by then
FOUND = 4  # times as many directions are found as are kept
LARGEST = 0.75  # share of those kept that are the largest, whatever they tell
FLATTEST = 1e-6  # of the largest magnitude of a number, below which its deviation is a rounding


@dataclass(frozen=True)
class Reduction:
    """Directions in the numbers that tell of a block."""

    center: np.ndarray  # float64 (numbers,)
    directions: np.ndarray  # float64 (numbers, kept), with the scale of each number in them

    def transform(self, numbers: np.ndarray) -> np.ndarray:
        """float32 (rows, kept); in float64 until then, so that a row alone is told as among others."""
        away = np.nan_to_num(numbers.astype(np.float64) - self.center, nan=0.0, posinf=0.0, neginf=0.0)
        return np.asarray(away @ self.directions, dtype=np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state: its constructor's arguments."""
        return {"center": self.center, "directions": self.directions}


def read(arrays: Mapping[str, np.ndarray]) -> Reduction:
    """Read back what `Reduction.arrays` gave."""
    center = table(arrays, "center", (None,), "f")
    return Reduction(center, table(arrays, "directions", (len(center), None), "f"))


def learn(numbers: np.ndarray, answers: np.ndarray, kept: int, seed: int) -> Reduction:
    """Learn from training rows (rows, numbers) and their answers (rows, outputs)."""
    rows = np.arange(len(numbers))
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    known = np.nan_to_num(numbers[rows].astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    center = known.mean(axis=0)
    deviation = known.std(axis=0)
    is_flat = deviation <= FLATTEST * np.abs(known).max(axis=0, initial=0.0)
    scale = np.where(is_flat, 0.0, 1 / np.where(is_flat, 1.0, deviation))
    scaled = (known - center) * scale
    found = _directions(scaled, min(FOUND * kept, *scaled.shape))
    scores = scaled @ found
    chosen = _choose(scores, answers[rows], kept)
    largest = scores[:, 0].std() if scores.size else 0.0
    return Reduction(center, found[:, chosen] * scale[:, None] / (largest or 1.0))


def _directions(scaled: np.ndarray, count: int) -> np.ndarray:
    """(numbers, count) of most variance first, each of length one and mostly positive in its largest number."""
    from scipy.linalg import eigh

    rows, columns = scaled.shape
    is_wide = columns > rows
    products = scaled @ scaled.T if is_wide else scaled.T @ scaled
    values, vectors = eigh(products, subset_by_index=(len(products) - count, len(products) - 1))
    if is_wide:
        vectors = scaled.T @ vectors
    lengths = np.linalg.norm(vectors, axis=0)
    is_real = values > max(rows, columns) * np.finfo(np.float64).eps * max(float(values.max(initial=0.0)), 1e-300)
    vectors = (vectors / np.where(lengths > 0, lengths, 1.0))[:, is_real][:, ::-1]
    signs = np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0))
    return np.asarray(vectors * np.where(signs == 0, 1.0, signs))


def _choose(scores: np.ndarray, answers: np.ndarray, kept: int) -> np.ndarray:
    """Places of the directions that are kept, rising."""
    least = min(round(LARGEST * kept), scores.shape[1])
    away = answers - answers.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.square(scores.T @ away) / np.square(scores).sum(axis=0)[:, None] / np.square(away).sum(axis=0)
    told = np.nan_to_num(shares).sum(axis=1)
    others = least + np.argsort(-told[least:], kind="stable")[: kept - least]
    return np.sort(np.concatenate([np.arange(least), others]))
