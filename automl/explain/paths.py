"""What each column adds to an answer, exactly and at once, of models whose members are boosted trees and lines.

These tell what each encoded column adds to their own raw answers. Where members are mixed as probabilities, or learned
on a bent scale, what a raw answer is worth changes on the way from the usual answers to the row's; it is averaged
along that straight way (Aumann and Shapley, 1974). For a single member, and wherever numbers are mixed as they are,
nothing is averaged and these are the members' own Shapley values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl.explain import readoff
from automl.explain.cells import Place
from automl.modalities.mixture import FoldFeatures, Raw, Source, Sources
from automl.records import Calibration
from automl.scoring.readout import calibrated
from automl.training.bent import Bend, TransformedTarget
from search_spaces.spec import Additions, Learner, Matrix

STEPS = 32  # along the way from the usual answers to the row's
FLAT = 1e-9  # of the answers' size: over a shorter way the slope at its start is taken
ROUNDING = 1e-5  # of the answer: boosters reckon in single precision
MOST_OFF = 0.02  # of the way that is to be explained, by which the sum may miss it


@dataclass(frozen=True)
class AskedPart:
    """One fitted fold of one member."""

    features: FoldFeatures
    learner: Learner
    weight: float


@dataclass(frozen=True)
class PathQuestion:
    """Rows, and which of the answers to them is explained."""

    raw: Raw
    usual: Raw | None  # rows that lines are compared with
    outputs: np.ndarray
    readout: Calibration
    is_numeric: bool


@dataclass(frozen=True)
class Known:
    """What a member's encoded columns add, on the scale on which it is mixed or on the log-odds before it."""

    weight: float
    added: Additions
    bend: Bend | None
    sources: Sources  # of each encoded column

    @property
    def raw(self) -> np.ndarray:
        """(rows, outputs): its raw answers."""
        return np.asarray(self.added.base + self.added.values.sum(axis=1))


def by_source(places: Sequence[Place]) -> dict[Source, int]:
    """Of every source of an encoded column its column."""
    found: dict[Source, int] = {}
    for at, place in enumerate(places):
        found |= {("number", number): at for number in place.numbers}
        if place.code is not None:
            found["code", place.code] = at
        if place.text is not None:
            found["text", place.text] = at
        if place.is_block:
            found["block", place.name] = at
    return found


def tells_all(parts: Sequence[AskedPart]) -> bool:
    """Whether every member may tell what its columns add."""
    return all(hasattr(_unbent(part.learner)[0], "additions") for part in parts)


def known(question: PathQuestion, parts: Sequence[AskedPart], threads: int = 1) -> list[Known] | None:
    """What each member's columns add; None where one of them cannot tell."""
    read: dict[int, tuple[Matrix, Matrix | None, Sources]] = {}
    found = []
    for part in parts:
        features = part.features
        if id(features) not in read:
            beside = None if question.usual is None else features.transform(question.usual)
            read[id(features)] = features.transform(question.raw), beside, features.sources(question.raw)
        (rows, beside, sources), (learner, bend) = read[id(features)], _unbent(part.learner)
        tells = getattr(learner, "additions", None)
        added = None if tells is None else tells(rows, beside, threads)
        if added is None:
            return None
        found.append(Known(part.weight, added, bend, sources))
    return found


def _unbent(learner: Learner) -> tuple[Learner, Bend | None]:
    return (learner.learner, learner.bend) if isinstance(learner, TransformedTarget) else (learner, None)


def explained(
    question: PathQuestion, members: Sequence[Known], places: Mapping[Source, int], said: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """(rows,) the answer to no row in particular and (rows, columns) additions that sum to what is said.

    `places`: of every source its column. None where the sum would not be what is said.
    """
    worths = _of_numbers(members) if question.is_numeric else _of_classes(question, members)
    values = np.zeros((len(said), max(places.values(), default=-1) + 1))
    for one, worth in zip(members, worths, strict=True):
        values += by_place(np.einsum("rco,ro->rc", one.added.values, worth), one.sources, places)
    base = _base(question, members)
    settled = _settled(values, said - base, np.abs(said))
    return None if settled is None else (base, settled)


def by_place(added: np.ndarray, sources: Sources, places: Mapping[Source, int]) -> np.ndarray:
    """(rows, columns of the table) from (rows, encoded columns): what was made of several gives each as much."""
    values = np.zeros((len(added), max(places.values(), default=-1) + 1))
    for column, told in enumerate(sources):
        own = list(dict.fromkeys(places[source] for source in told))
        for place in own:
            values[:, place] += added[:, column] / len(own)
    return values


def _base(question: PathQuestion, members: Sequence[Known]) -> np.ndarray:
    """What is answered where no column is known."""
    rows = len(question.outputs)
    start = [np.tile(one.added.base, (rows, 1)) for one in members]
    if question.is_numeric:
        values = [one.weight * _back(one, raw) for one, raw in zip(members, start, strict=True)]
        return np.asarray(sum(values))
    mixed = sum(one.weight * _shares(raw) for one, raw in zip(members, start, strict=True))
    return readoff.log_odds(calibrated(np.asarray(mixed), question.readout), question.outputs)


def _of_numbers(members: Sequence[Known]) -> list[np.ndarray]:
    """(rows, 1) for each member: its weight, times how much its bent scale is stretched along the way."""
    found = []
    for one in members:
        end, start = one.raw, np.broadcast_to(one.added.base, one.raw.shape)
        if one.bend is None:
            found.append(np.full(end.shape, one.weight))
            continue
        way = end - start
        step = np.where(np.abs(way) > FLAT * np.maximum(np.abs(start), 1.0), way, FLAT)
        stretched = (_back(one, start + step) - _back(one, start))[:, None]
        found.append(one.weight * stretched / step)
    return found


def _of_classes(question: PathQuestion, members: Sequence[Known]) -> list[np.ndarray]:
    """(rows, outputs) for each member: how the log-odds asked about change with its raw answers, along the way."""
    places, weights = np.polynomial.legendre.leggauss(STEPS)
    ends = [(np.broadcast_to(one.added.base, one.raw.shape), one.raw) for one in members]
    totals = [np.zeros(end.shape) for _, end in ends]
    for place, share in zip((places + 1) / 2, weights / 2, strict=True):
        shares = [_shares(start + place * (end - start)) for start, end in ends]
        mixed = np.asarray(sum(one.weight * own for one, own in zip(members, shares, strict=True)))
        outer = readoff.slope(mixed, question.outputs, question.readout)
        for total, one, own in zip(totals, members, shares, strict=True):
            inner = own * (outer - (outer * own).sum(axis=1, keepdims=True))
            np.add(total, share * one.weight * inner[:, -len(one.added.base) :], out=total)
    return totals


def _shares(raw: np.ndarray) -> np.ndarray:
    """Probabilities of log-odds; a single one is that of the second class."""
    if raw.shape[1] == 1:
        raw = np.column_stack([np.zeros(len(raw)), raw])
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _back(one: Known, raw: np.ndarray) -> np.ndarray:
    return raw[:, 0] if one.bend is None else one.bend.back(raw[:, 0])


def _settled(values: np.ndarray, way: np.ndarray, size: np.ndarray) -> np.ndarray | None:
    """The additions so that they sum to the whole way: what rounding leaves goes to each by its size."""
    left, sizes = way - values.sum(axis=1), np.abs(values).sum(axis=1)
    if (np.abs(left) > MOST_OFF * np.maximum(sizes, np.abs(way)) + ROUNDING * np.maximum(size, 1e-9)).any():
        return None
    shares = np.abs(values) / np.where(sizes > 0, sizes, 1.0)[:, None]
    return np.asarray(values + left[:, None] * shares)
