"""Categories whose labels are made of words: job titles, divisions. A label that nobody saw still has its words.

Each label gets the numbers of its words, and a guess of the answer by them, made from other labels only: rows of
a seen label learn from it nothing that an unseen one could not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.modalities.protocol import Raw
from automl.modalities.table.words import Words, learn_words

PARTS = 5  # of the labels, each guessed by the others
DAMPING = 0.3  # squared length of the words' worths against squared errors; the best of 0.03 to 3 on job titles
STEPS = 100  # of the solver


@dataclass(frozen=True)
class LabelNumbers:
    """Numbers for every label of a category, and for those that are yet to come."""

    table: np.ndarray  # (codes, m): of the labels of the schema; of missing ones NaN
    words: Words
    worths: np.ndarray  # (words, answers): how far a word moves each answer
    centre: np.ndarray  # (answers,): from where

    def transform(self, raw: Raw, column: int) -> np.ndarray:
        """(rows, m): the numbers of each row's label in that category column."""
        numbers = np.asarray(self.table[raw.codes[:, column]])
        for unseen in raw.unseen:
            if unseen.column == column:
                numbers[unseen.rows] = self._of(unseen.labels)
        return numbers

    def _of(self, labels: np.ndarray) -> np.ndarray:
        """(labels, m): the numbers of labels outside the schema."""
        guesses = self.centre + np.asarray(self.words.weights(labels) @ self.worths)
        return np.hstack([self.words.transform(labels), guesses])


@dataclass(frozen=True)
class Labelled:
    """A category column of training rows."""

    labels: Sequence[str]  # in code order from 1
    codes: np.ndarray
    answers: np.ndarray  # (rows, m)


def learn_labels(given: Labelled, dims: int, flags: int, seed: int) -> LabelNumbers:
    """Learn from the labels that rows show; each counts once among the words."""
    labels = np.array(given.labels, dtype=object)
    rows = np.bincount(given.codes, minlength=len(labels) + 1)[1:]
    sums = [np.bincount(given.codes, column, minlength=len(labels) + 1)[1:] for column in given.answers.T]
    means = np.stack(sums, axis=1) / np.maximum(rows, 1)[:, None]
    seen = np.flatnonzero(rows)
    words = learn_words(labels[seen], dims, flags, seed, means[seen])
    worths, centre, guesses = _guess(words.weights(labels), means, rows, seed)
    numbers = np.hstack([words.transform(labels), guesses]).astype(np.float32)
    return LabelNumbers(np.vstack([np.full((1, numbers.shape[1]), np.nan, np.float32), numbers]), words, worths, centre)


def _guess(weights: Any, means: np.ndarray, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The words' worths and their centre; and a guess of the mean answers of each label, to which it gave nothing."""
    seen = np.flatnonzero(rows)
    if len(seen) < 2 * PARTS or not weights.shape[1]:
        return np.zeros((weights.shape[1], means.shape[1])), np.zeros(means.shape[1]), np.zeros(means.shape)
    trust = rows / (rows + 1)  # the mean of few rows says less of their label
    centre = np.average(means, axis=0, weights=trust)
    worths = _worths(weights[seen], means[seen] - centre, trust[seen])
    guesses = weights @ worths
    part = np.random.default_rng(seed).permutation(len(seen)) % PARTS
    for k in range(PARTS):
        others, own = seen[part != k], seen[part == k]
        guesses[own] = weights[own] @ _worths(weights[others], means[others] - centre, trust[others])
    return worths, centre, centre + guesses


def _worths(weights: Any, wanted: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(words, m): how far each word moves the answer, by damped least squares."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import lsqr

    scale = np.sqrt(trust)
    scaled, damp = diags(scale) @ weights, DAMPING**0.5
    solved = [lsqr(scaled, scale * column, damp=damp, iter_lim=STEPS)[0] for column in wanted.T]
    return np.stack(solved, axis=1)
