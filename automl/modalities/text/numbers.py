"""The terms of a column of texts as a few dense numbers, for models of tables: learned from a fold's training rows.

Most of their TF-IDF weights reduced to the directions in which texts differ most, and indicators of the words that tell
the answers best apart, which a tree can ask for one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.modalities.protocol import FoldTraining
from search_spaces.checked import places, table
from search_spaces.spec import Media
from search_spaces.text.weights import TermWeights, learn_weights

DIRECTIONS, FLAGS = 48, 40
MOST_TERMS, LEAST_ROWS = 12_000, 2
LEARNED_FROM = 20_000  # texts
WORDS = (1, 2)  # lengths of the runs
MORE, TURNS = 10, 3  # of the reduction: directions beyond those that are kept, and rounds


@dataclass(frozen=True)
class TextNumbers:
    """What was learned."""

    weights: TermWeights
    directions: np.ndarray  # (terms, directions) float32
    flagged: np.ndarray  # places among the terms

    def transform(self, block: Media) -> np.ndarray:
        """(rows, directions + flags) float32."""
        weights = self.weights.transform(block)
        flags = (weights[:, self.flagged] > 0).toarray() if len(self.flagged) else np.zeros((len(block), 0))
        return np.hstack([weights @ self.directions, flags]).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Its state."""
        return {**self.weights.arrays("terms"), "directions": self.directions, "flagged": self.flagged}


def learn_numbers(block: Media, training: FoldTraining) -> TextNumbers | None:
    """Learn from training texts and their answers; None where they have no terms."""
    rows = np.arange(len(block))
    if len(rows) > LEARNED_FROM:
        rows = np.sort(np.random.default_rng(training.seed).permutation(len(block))[:LEARNED_FROM])
    some = block.take(rows)
    least = LEAST_ROWS if len(rows) > 50 else 1
    weights = learn_weights(some, "words", WORDS, least=least, most=MOST_TERMS)
    if not weights.width:
        return None
    table = weights.transform(some)
    flagged = _telling(table, _answers(training.y[rows], training.outputs))
    return TextNumbers(weights, _directions(table, training.seed), flagged)


def numbers_from(arrays: Mapping[str, np.ndarray]) -> TextNumbers:
    """What `arrays` gave."""
    weights = TermWeights.read(arrays, "terms", "words")
    flagged = places(table(arrays, "flagged", (None,)), "flagged", weights.width)
    return TextNumbers(weights, table(arrays, "directions", (weights.width, None), "f"), flagged)


def _directions(table: Any, seed: int) -> np.ndarray:
    """Those in which the rows differ most, by a randomised decomposition."""
    from sklearn.utils.extmath import randomized_svd

    rank = min(DIRECTIONS, *(side - 1 for side in table.shape))
    if rank < 1:
        return np.zeros((table.shape[1], 0), dtype=np.float32)
    _, _, found = randomized_svd(table, rank, n_oversamples=MORE, n_iter=TURNS, random_state=seed)
    return np.ascontiguousarray(found.T, dtype=np.float32)


def _telling(table: Any, answers: np.ndarray) -> np.ndarray:
    """The terms whose rows' mean answers lie farthest from the rest, for the number of their rows."""
    has = table.astype(bool).astype(np.float64)
    rows = np.asarray(has.sum(axis=0)).reshape(-1)
    apart = np.asarray(has.T @ (answers - answers.mean(axis=0)))
    worth = np.square(apart).sum(axis=1) / np.maximum(rows, 1)
    return np.sort(np.argsort(-worth, kind="stable")[:FLAGS])


def _answers(y: np.ndarray, outputs: int) -> np.ndarray:
    """(rows, m): numbers, or a column for each class."""
    if y.dtype.kind == "f":
        return np.asarray(y, dtype=np.float64)[:, None]
    return np.asarray(np.eye(max(2, outputs))[y])
