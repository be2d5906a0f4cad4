"""Features that are learned inside a fold: from its training rows only, then applied to any rows.

Codes that too few training rows show become 0, so that an unseen category is as unseen in validation as in production,
and models learn what to make of a rare one. What else is made, a Recipe says. The training rows' own mean answers are
made without their own part of the rows; every other row gets the means of all. State is JSON and arrays.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl.modalities.protocol import FoldTraining, Raw
from automl.modalities.table.cells import Key, answer_columns, cell_means, means_without_own
from automl.modalities.table.labels import Labelled, LabelNumbers, learn_labels
from automl.modalities.table.recipes import PLAIN, RECIPES
from automl.modalities.table.select import Combination, choose_coded, choose_combinations, choose_groups, choose_keys
from automl.modalities.table.words import Words, are_words, learn_words
from search_spaces.checked import need, places, table, whole
from search_spaces.spec import Matrix

MOST_COLUMNS, MOST_LISTED = 10_000_000, 100_000  # that a saved model may speak of; entries of one of its lists
WORD_ARRAYS = ("idf", "directions", "flagged")  # of Words, as they are saved
LABEL_ARRAYS = ("table", "worths", "centre")  # of LabelNumbers


@dataclass(frozen=True)
class KeyMeans:
    """A number for every cell of a key: mean answers, or the means of some columns."""

    key: Key
    table: np.ndarray  # (cells, m)
    columns: tuple[int, ...] = ()  # numbers whose means these are, and which are compared with them; empty: answers

    def transform(self, raw: Raw) -> np.ndarray:
        """The means of each row's cell, and how far the row's own numbers lie from them."""
        means = self.table[self.key.cells(raw)]
        return np.hstack([means, raw.numbers[:, self.columns] - means]) if self.columns else means


@dataclass(frozen=True)
class Features:
    """What a fold learned from its training rows to turn raw columns into a matrix."""

    known: tuple[np.ndarray, ...]  # per category column: which codes were seen often enough
    words: tuple[Words, ...] = ()
    labels: Mapping[int, LabelNumbers] = field(default_factory=dict)  # of the category columns that are made of words
    coded: tuple[Key, ...] = ()
    means: tuple[KeyMeans, ...] = ()  # of answers first, of columns then
    combinations: tuple[Combination, ...] = ()

    def transform(self, raw: Raw) -> Matrix:
        """The rows as models read them."""
        return self.matrix(raw, [mean.transform(raw) for mean in self.means])

    def matrix(self, raw: Raw, means: Sequence[np.ndarray]) -> Matrix:
        """The rows with these means of their keys' cells."""
        blocks = [raw.numbers, *(word.transform(text) for word, text in zip(self.words, raw.texts, strict=True))]
        blocks += [labels.transform(raw, j) for j, labels in self.labels.items()]
        blocks += [combination.of(raw)[:, None] for combination in self.combinations]
        blocks += means
        numbers = np.hstack(blocks).astype(np.float32, copy=False) if len(blocks) > 1 else raw.numbers
        codes = [np.where(seen[raw.codes[:, j]], raw.codes[:, j], 0) for j, seen in enumerate(self.known)]
        codes += [key.cells(raw) for key in self.coded]
        sizes = (*(len(seen) for seen in self.known), *(key.size for key in self.coded))
        return Matrix(numbers, np.stack(codes, axis=1).astype(np.int32) if codes else raw.codes, sizes, raw.blocks)

    def pack(self, arrays: Arrays) -> dict[str, Any]:
        """State as plain values; its arrays are put aside."""
        return {
            "known": [arrays.put(seen) for seen in self.known],
            "words": [_pack_words(words, arrays) for words in self.words],
            "labels": [
                {
                    "column": j,
                    "words": _pack_words(labels.words, arrays),
                    **{name: arrays.put(getattr(labels, name)) for name in LABEL_ARRAYS},
                }
                for j, labels in self.labels.items()
            ],
            "coded": [_pack_key(key, arrays) for key in self.coded],
            "means": [
                {"key": _pack_key(mean.key, arrays), "table": arrays.put(mean.table), "columns": list(mean.columns)}
                for mean in self.means
            ],
            "combinations": [[c.operation, c.first, c.second] for c in self.combinations],
        }


class Arrays:
    """Arrays on their way to a file, each called by the number it was given."""

    def __init__(self) -> None:
        self._all: dict[str, np.ndarray] = {}

    def put(self, array: np.ndarray) -> str:
        """Take an array in; the name it is found by."""
        name = f"a{len(self._all)}"
        self._all[name] = array
        return name

    def bytes(self) -> bytes:
        """All of them as a file."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **self._all)  # type: ignore[arg-type]  # the stubs take a flag for an array's name
        return buffer.getvalue()


def _pack_words(words: Words, arrays: Arrays) -> dict[str, Any]:
    return {"vocabulary": list(words.vocabulary), **{name: arrays.put(getattr(words, name)) for name in WORD_ARRAYS}}


def _read_words(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Words:
    vocabulary = {str(word): i for i, word in enumerate(facts["vocabulary"])}
    count = len(facts["vocabulary"])
    idf = table(arrays, facts["idf"], (count,), "f")
    directions = table(arrays, facts["directions"], (count, None), "f")
    return Words(vocabulary, idf, directions, places(table(arrays, facts["flagged"], (None,)), "flagged", count))


def _pack_key(key: Key, arrays: Arrays) -> dict[str, Any]:
    pair = None if key.pair is None else [_pack_key(part, arrays) for part in key.pair]
    return {"kind": key.kind, "column": key.column, "seen": arrays.put(key.seen), "pair": pair}


def _read_key(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Key:
    pair = None
    if facts["pair"]:
        need(facts["kind"] == "pair" and all(not part["pair"] for part in facts["pair"]), "a pair of columns is none")
        pair = _read_key(facts["pair"][0], arrays), _read_key(facts["pair"][1], arrays)
    seen = table(arrays, facts["seen"], (None,))
    need(
        facts["kind"] in ("code", "value", "pair") and bool((np.diff(seen) > 0).all()), "values of a column do not rise"
    )
    column = whole(facts["column"], "column", 0 if pair is None else -1, MOST_COLUMNS)
    return Key(facts["kind"], column, seen, pair)


def unpack(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Features:
    """Read what `Features.pack` gave."""

    def labels_of(entry: Mapping[str, Any]) -> LabelNumbers:
        words = _read_words(entry["words"], arrays)
        answers = len(table(arrays, entry["centre"], (None,), "f"))
        worths = table(arrays, entry["worths"], (len(words.idf), answers), "f")
        wide = words.directions.shape[1] + 2 + len(words.flagged) + answers
        return LabelNumbers(table(arrays, entry["table"], (None, wide), "f"), words, worths, arrays[entry["centre"]])

    def means_of(entry: Mapping[str, Any]) -> KeyMeans:
        key, columns = _read_key(entry["key"], arrays), tuple(entry["columns"])
        need(len({whole(column, "column", 0, MOST_COLUMNS) for column in columns}) == len(columns), "a column twice")
        return KeyMeans(key, table(arrays, entry["table"], (key.size, len(columns) or None), "f"), columns)

    for name in ("known", "words", "labels", "coded", "means", "combinations"):
        need(len(facts[name]) <= MOST_LISTED, f"{len(facts[name]):,} {name}")
    return Features(
        known=tuple(table(arrays, name, (None,), "b") for name in facts["known"]),
        words=tuple(_read_words(entry, arrays) for entry in facts["words"]),
        labels={entry["column"]: labels_of(entry) for entry in facts["labels"]},
        coded=tuple(_read_key(entry, arrays) for entry in facts["coded"]),
        means=tuple(map(means_of, facts["means"])),
        combinations=tuple(Combination(*entry) for entry in facts["combinations"]),
    )


def learn_features(training: FoldTraining, recipe: str = PLAIN) -> tuple[Features, Matrix]:
    """Learn from the training rows; the features, and the training rows as models shall learn from them."""
    raw, wanted = training.raw, RECIPES[recipe]
    answers = answer_columns(training.y, training.outputs)
    known = tuple(_often_seen(raw.codes[:, j], len(own) + 1, wanted.least) for j, own in enumerate(training.labels))
    words = tuple(learn_words(text, wanted.text_dims, wanted.flags, training.seed, answers) for text in raw.texts)
    labels = {
        j: learn_labels(Labelled(own, raw.codes[:, j], answers), wanted.label_dims, wanted.flags, training.seed)
        for j, own in enumerate(training.labels)
        if wanted.label_dims and are_words(own)
    }
    keys = choose_keys(raw, answers, wanted)
    told = [KeyMeans(key, cell_means(key.cells(raw), key.size, answers, training.weight)) for key in keys]
    own = [means_without_own(key.cells(raw), key.size, answers, training.weight, training.seed) for key in keys]
    groups = [
        KeyMeans(key, _column_means(raw, key, columns), columns)
        for key, columns in choose_groups(raw, keys, answers, wanted)
    ]
    features = Features(
        known, words, labels, choose_coded(raw, answers, wanted), (*told, *groups),
        choose_combinations(raw, answers, wanted),
    )  # fmt: skip
    return features, features.matrix(raw, [*own, *(group.transform(raw) for group in groups)])


def _often_seen(codes: np.ndarray, size: int, least: int) -> np.ndarray:
    often = np.bincount(codes, minlength=size)[:size] >= least
    often[0] = True
    return often


def _column_means(raw: Raw, key: Key, columns: Sequence[int]) -> np.ndarray:
    """(cells, columns): the mean of each column over the rows of a cell where it is known; NaN where it never is."""
    cells, values = key.cells(raw), raw.numbers[:, columns].astype(np.float64)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [
            np.bincount(cells, np.where(some, column, 0.0), minlength=key.size) / np.bincount(cells, some, key.size)
            for column, some in zip(values.T, known.T, strict=True)
        ]
    return np.stack(means, axis=1)
