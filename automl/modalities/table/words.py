"""Texts as numbers: TF-IDF weights reduced to a few dense directions, and indicators of the words that say most.

The reduction puts texts alike close to each other; the indicators let a tree ask for one word ("director") directly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

WORDY = (30, 1.5)  # labels, and words in a label on average, from which they are read as words
MAX_WORDS = 5_000  # vocabulary of one text column
SVD_ROWS = 20_000  # texts from which the reduction is learned
_WORD = re.compile(r"\w\w+|[^\w\s]", re.UNICODE)


@dataclass(frozen=True)
class Words:
    """TF-IDF of one text column, reduced to dense numbers, and the words that are looked up one by one."""

    vocabulary: Mapping[str, int]
    idf: np.ndarray
    directions: np.ndarray  # (words, dims)
    flagged: np.ndarray  # places in the vocabulary of the words that get an indicator

    def weights(self, texts: np.ndarray) -> Any:
        """(rows, words), sparse: the TF-IDF weights."""
        return _weights(texts, self.vocabulary, self.idf)

    def transform(self, texts: np.ndarray) -> np.ndarray:
        """(rows, dims + 2 + flagged): the reduced weights, length in characters and in words, the indicators."""
        weights = self.weights(texts)
        reduced = np.asarray(weights @ self.directions, dtype=np.float32)
        lengths = np.array([[len(text), text.count(" ") + 1 if text else 0] for text in texts], dtype=np.float32)
        flags = (weights[:, self.flagged] > 0).toarray().astype(np.float32)
        return np.hstack([reduced, lengths.reshape(len(texts), 2), flags])


def are_words(labels: Sequence[str]) -> bool:
    """Whether the labels of a category are worth reading as words."""
    least, words = WORDY
    return len(labels) >= least and sum(len(label.split()) for label in labels) >= words * len(labels)


def learn_words(texts: np.ndarray, dims: int, flags: int, seed: int, answers: np.ndarray | None = None) -> Words:
    """Learn from training texts. `answers`: (rows, m), by which the `flags` words that tell most apart are found."""
    sample = np.arange(len(texts))
    if len(texts) > SVD_ROWS:
        sample = np.random.default_rng(seed).permutation(len(texts))[:SVD_ROWS]
    counts = Counter(token for text in texts[sample] for token in set(_tokens(text)))
    least = 2 if len(sample) > 50 else 1
    often = sorted(
        counts.items(), key=lambda entry: (-entry[1], entry[0])
    )  # alike in every process: sets have no order
    kept = [(token, n) for token, n in often[:MAX_WORDS] if n >= least]
    vocabulary = {token: i for i, (token, _) in enumerate(kept)}
    idf = np.log((1 + len(sample)) / (1 + np.array([n for _, n in kept], dtype=np.float64))) + 1
    weights = _weights(texts[sample], vocabulary, idf)
    flagged = np.zeros(0, dtype=np.int64)
    if flags and answers is not None and vocabulary:
        flagged = _telling(weights, answers[sample], flags)
    return Words(vocabulary, idf, _directions(weights, dims, seed), flagged)


def _directions(weights: Any, dims: int, seed: int) -> np.ndarray:
    from scipy.sparse.linalg import svds

    rank = min(dims, min(weights.shape) - 1)
    if rank < 1:
        return np.zeros((weights.shape[1], 0))
    start = np.random.default_rng(seed).standard_normal(min(weights.shape))
    _, _, directions = svds(weights, k=rank, v0=start)
    return np.ascontiguousarray(directions[::-1].T)


def _telling(weights: Any, answers: np.ndarray, flags: int) -> np.ndarray:
    """The words whose rows' mean answers lie farthest from the rest, for the number of their rows."""
    has = (weights > 0).astype(np.float64)
    rows = np.asarray(has.sum(axis=0)).reshape(-1)
    apart = np.asarray(has.T @ (answers - answers.mean(axis=0)))
    worth = np.square(apart).sum(axis=1) / np.maximum(rows, 1)
    return np.sort(np.argsort(-worth, kind="stable")[:flags])


def _tokens(text: str) -> list[str]:
    """Words and pairs of neighbouring words."""
    words = _WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def _weights(texts: np.ndarray, vocabulary: Mapping[str, int], idf: np.ndarray) -> Any:
    """Rows of TF-IDF weights, each of length one."""
    from scipy.sparse import csr_matrix

    columns: list[int] = []
    values: list[float] = []
    starts = [0]
    for text in texts:
        counts = Counter(vocabulary[token] for token in _tokens(text) if token in vocabulary)
        row = np.array([(1 + np.log(n)) * idf[i] for i, n in counts.items()])
        length = np.sqrt((row**2).sum()) or 1.0
        columns.extend(counts)
        values.extend(row / length)
        starts.append(len(columns))
    return csr_matrix((values, columns, starts), shape=(len(texts), len(vocabulary)), dtype=np.float64)
