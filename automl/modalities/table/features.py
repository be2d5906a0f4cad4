"""Features that are learned inside a fold: from its training rows only, then applied to any rows.

Codes not seen in the training rows become 0, so that an unseen category is as unseen in validation as in production.
Texts become TF-IDF weights reduced to a few dense numbers, and so do categories whose labels are made of words ("Police
Officer III"): labels alike get numbers alike. State is JSON and arrays.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from automl.modalities.table.encode import Raw
from search_spaces.spec import Matrix

MAX_WORDS = 5_000  # vocabulary of one text column
TEXT_DIMS = 24  # dense numbers of one text column
SVD_ROWS = 20_000  # texts from which the reduction is learned
LABEL_DIMS = 12  # dense numbers of a category made of words
WORDY = (30, 1.5)  # labels, and words in a label on average, from which they are read as words
_WORD = re.compile(r"\w\w+|[^\w\s]", re.UNICODE)


@dataclass(frozen=True)
class Words:
    """TF-IDF of one text column, reduced to dense numbers."""

    vocabulary: Mapping[str, int]
    idf: np.ndarray
    directions: np.ndarray  # (words, dims)

    def transform(self, texts: np.ndarray) -> np.ndarray:
        """(rows, dims + 2): the reduced weights, then length in characters and in words."""
        weights = _weights(texts, self.vocabulary, self.idf)
        reduced = np.asarray(weights @ self.directions, dtype=np.float32)
        lengths = np.array([[len(text), text.count(" ") + 1 if text else 0] for text in texts], dtype=np.float32)
        return np.hstack([reduced, lengths.reshape(len(texts), 2)])


@dataclass(frozen=True)
class Features:
    """What a fold learned from its training rows to turn raw columns into a matrix."""

    known: tuple[np.ndarray, ...]  # per category column: which codes were seen
    words: tuple[Words, ...] = ()
    labels: Mapping[int, np.ndarray] = field(default_factory=dict)  # wordy category column -> numbers of each code

    def transform(self, raw: Raw) -> Matrix:
        """The rows as models eat them."""
        blocks = [raw.numbers, *(word.transform(text) for word, text in zip(self.words, raw.texts, strict=True))]
        blocks += [table[raw.codes[:, j]] for j, table in self.labels.items()]
        numbers = np.hstack(blocks) if len(blocks) > 1 else raw.numbers
        codes = raw.codes
        if self.known:
            codes = np.stack(
                [np.where(seen[codes[:, j]], codes[:, j], 0) for j, seen in enumerate(self.known)], axis=1
            ).astype(np.int32)
        return Matrix(numbers, codes, tuple(len(seen) for seen in self.known))

    def dump(self) -> dict[str, bytes]:
        """State as bytes that run no code when read."""
        arrays: dict[str, np.ndarray] = {f"known{j}": seen for j, seen in enumerate(self.known)}
        for j, word in enumerate(self.words):
            arrays |= {f"idf{j}": word.idf, f"directions{j}": word.directions}
        arrays |= {f"label{j}": table for j, table in self.labels.items()}
        vocabularies = [list(word.vocabulary) for word in self.words]
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stubs take a flag for an array's name
        return {"features.npz": buffer.getvalue(), "words.json": json.dumps(vocabularies).encode()}


def load_features(parts: Mapping[str, bytes]) -> Features:
    """Read what `Features.dump` wrote."""
    with np.load(io.BytesIO(parts["features.npz"]), allow_pickle=False) as arrays:
        vocabularies = json.loads(parts["words.json"])
        known = tuple(arrays[f"known{j}"] for j in range(sum(name.startswith("known") for name in arrays.files)))
        words = tuple(
            Words({word: i for i, word in enumerate(vocabulary)}, arrays[f"idf{j}"], arrays[f"directions{j}"])
            for j, vocabulary in enumerate(vocabularies)
        )
        labels = {int(name[5:]): arrays[name] for name in arrays.files if name.startswith("label")}
    return Features(known, words, labels)


def learn_features(raw: Raw, labels: Sequence[Sequence[str]], options: Mapping[str, Any], seed: int) -> Features:
    """Learn from the training rows of a fold.

    `labels`: of each category column, in code order from 1. `options`: a trial's choices, empty for the defaults.
    """
    known = []
    for j, size in enumerate(len(own) + 1 for own in labels):
        seen = np.bincount(raw.codes[:, j], minlength=size)[:size] > 0
        seen[0] = True
        known.append(seen)
    dims = int(options.get("text_dims", TEXT_DIMS))
    words = tuple(_learn_words(text, dims, seed) for text in raw.texts)
    label_dims = int(options.get("label_dims", LABEL_DIMS))
    wordy = [j for j, own in enumerate(labels) if label_dims and _are_words(own)]
    tables = {j: _label_numbers(np.array(labels[j], dtype=object), known[j], label_dims, seed) for j in wordy}
    return Features(tuple(known), words, tables)


def _are_words(labels: Sequence[str]) -> bool:
    least, words = WORDY
    return len(labels) >= least and sum(len(label.split()) for label in labels) >= words * len(labels)


def _label_numbers(labels: np.ndarray, seen: np.ndarray, dims: int, seed: int) -> np.ndarray:
    """(codes, dims): numbers of every label, learned from those seen; an unseen one still has words. Missing: NaN."""
    reduced = _learn_words(labels[seen[1:]], dims, seed).transform(labels)[:, :-2]
    return np.vstack([np.full((1, reduced.shape[1]), np.nan, dtype=np.float32), reduced])


def _tokens(text: str) -> list[str]:
    """Words and pairs of neighbouring words."""
    words = _WORD.findall(text.lower())
    return words + [f"{a} {b}" for a, b in pairwise(words)]


def _learn_words(texts: np.ndarray, dims: int, seed: int) -> Words:
    from scipy.sparse.linalg import svds

    sample = texts if len(texts) <= SVD_ROWS else texts[np.random.default_rng(seed).permutation(len(texts))[:SVD_ROWS]]
    counts = Counter(token for text in sample for token in set(_tokens(text)))
    least = 2 if len(sample) > 50 else 1
    kept = [(token, n) for token, n in counts.most_common(MAX_WORDS) if n >= least]
    vocabulary = {token: i for i, (token, _) in enumerate(kept)}
    idf = np.log((1 + len(sample)) / (1 + np.array([n for _, n in kept], dtype=np.float64))) + 1
    weights = _weights(sample, vocabulary, idf)
    rank = min(dims, min(weights.shape) - 1)
    if rank < 1:
        return Words(vocabulary, idf, np.zeros((len(vocabulary), 0)))
    start = np.random.default_rng(seed).standard_normal(min(weights.shape))
    _, _, directions = svds(weights, k=rank, v0=start)
    return Words(vocabulary, idf, np.ascontiguousarray(directions[::-1].T))


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
