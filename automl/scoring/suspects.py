"""Answers that look wrong: confident learning on held-out probabilities, quiet where hard rows would be taken for it.

Labels that are wrong by mistake contradict a model everywhere alike, also where it is surest; rows that are hard lie
where it is unsure. So the rate of contradictions is compared between the surer and the less sure half of the rows: what
is left of it, once what falls from one to the other is taken off, is the rate of wrong labels, and of a row that
contradicts it is the share of the rate around it. Nothing is deleted here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

SPANS = (1.0, 0.7, 0.5, 0.35)  # shares of the rows, the surest first, whose two halves are compared
LEAST_HALF = 60  # rows of a half
FALL = 2.0  # how many times rarer hard rows are at least in the surer half
STEEP, STEEP_BELOW = 4.0, 0.15  # the same of all rows, where the less sure half has few contradictions at all
SURE = 2.5  # standard errors that a rate must be above nothing
MOST_RATE, MOST_HARD = 0.15, 0.3  # of wrong labels, and of contradictions where less sure: more tells of a weak model
SEEN = 0.4  # of the rows with a label, that the model must give it to: else it is one that cannot be learned
LEAST_CHANCE, PRECISE = 0.5, 0.75  # that a row is wrong, for it to be listed; and on the mean of all listed
AROUND, ROUND_PARTS = 50, 20  # rows over which the rate of contradictions around a row is taken, and parts of all rows
MANY_CLASSES = 3  # from which on rows are compared whatever class they are given


@dataclass(frozen=True)
class Suspects:
    """Rows whose answer looks wrong, the surest first, and how many there seem to be in all."""

    rows: np.ndarray  # places among those looked at
    suggested: np.ndarray  # class numbers, or values
    chance: np.ndarray  # that each is wrong, 0 .. 1
    rate: float  # of wrong answers among all rows
    low: float
    high: float  # of the 95 % interval of the rate
    why: str = ""  # nothing is listed, where nothing is

    @property
    def precision(self) -> float:
        """The share of the listed rows that should be wrong."""
        return float(self.chance.mean()) if len(self.chance) else 0.0


@dataclass(frozen=True)
class _Rate:
    """A rate of contradictions that sureness does not explain, and its standard error."""

    value: float
    error: float
    most: float  # were none of the contradictions hard rows

    @property
    def likely(self) -> float:
        """What is taken off for hard rows is mostly more than there are: a standard error of it is given back."""
        return min(self.most, self.value + self.error)

    @property
    def floor(self) -> float:
        return self.value - SURE * self.error


def _thresholds(y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Of each class the mean probability that its own rows have for it: from there on a row counts as one of it."""
    classes = shares.shape[1]
    total = np.bincount(y, shares[np.arange(len(y)), y], minlength=classes)
    count = np.bincount(y, minlength=classes)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _confident(y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The class that each row counts as: the likeliest whose threshold it reaches; -1 where it reaches none."""
    reached = np.where(shares >= _thresholds(y, shares), shares, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)


def of_classes(y: np.ndarray, shares: np.ndarray) -> Suspects:
    """Labels that look wrong, by probabilities that each row's own label did not teach."""
    classes = shares.shape[1]
    confident, likeliest = _confident(y, shares), shares.argmax(axis=1)
    is_other = (likeliest != y) & (confident == likeliest)
    learned = _learned(y, likeliest, classes)
    chance, rates, known = np.zeros(len(y)), [], 0
    for group in _groups(likeliest, classes):
        sure = shares[group].max(axis=1)
        order = group[np.argsort(-sure, kind="stable")]
        contradicts = likeliest[order] != y[order]
        rate = _unexplained(contradicts)
        if rate is None:
            continue
        known += len(group)
        rates.append((len(group), rate))
        if rate.floor > 0:
            chance[order] = np.minimum(1.0, rate.likely / np.maximum(_around(contradicts), 1e-9))
    chance = np.where(is_other & learned[y], chance, 0.0)
    overall, low, high = _together(rates, known)
    listed = _listed(chance, y, shares)
    why = "" if len(listed) else _quiet(rates, overall, low)
    return Suspects(listed, likeliest[listed], chance[listed], overall, low, high, why)


def _learned(y: np.ndarray, likeliest: np.ndarray, classes: int) -> np.ndarray:
    """Classes that the model gives to most of their rows: of another, all rows would look wrong."""
    found = np.bincount(y, likeliest == y, minlength=classes)
    return np.asarray(found >= SEEN * np.maximum(1, np.bincount(y, minlength=classes)))


def _groups(likeliest: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    """Rows that are compared with each other: of two classes those given to each, of more all together."""
    if classes >= MANY_CLASSES:
        yield np.arange(len(likeliest))
    else:
        for one in range(classes):
            yield np.flatnonzero(likeliest == one)


def _unexplained(contradicts: np.ndarray) -> _Rate | None:
    """The rate of contradictions that does not fall with sureness, rows given the surest first; None of too few."""
    best: _Rate | None = None
    for span in SPANS:
        half = int(span * len(contradicts)) // 2
        if half < LEAST_HALF:
            break
        first, second = (float(part.mean()) for part in (contradicts[:half], contradicts[half : 2 * half]))
        if second > MOST_HARD:
            continue
        fall = STEEP if span == 1.0 and second < STEEP_BELOW else FALL
        slope = 1 / (fall - 1)
        value = min(first, first - slope * (second - first))
        spread = ((1 + slope) ** 2 * first * (1 - first) + slope**2 * second * (1 - second)) / half
        rate = _Rate(value, math.sqrt(spread + 0.25 / half**2), first)
        if value <= MOST_RATE and (best is None or rate.floor > best.floor):
            best = rate
    return best


def _around(contradicts: np.ndarray) -> np.ndarray:
    """The rate of contradictions among the rows about as sure as each, never falling as rows get less sure."""
    width = max(AROUND, len(contradicts) // ROUND_PARTS)
    edges = np.unique(np.append(np.arange(0, len(contradicts), width), len(contradicts)))
    if len(edges) > 2 and edges[-1] - edges[-2] < width // 2:
        edges = np.delete(edges, -2)
    means = [float(contradicts[a:b].mean()) for a, b in pairwise(edges)]
    return np.asarray(np.repeat(_rising(means), np.diff(edges)))


def _rising(means: list[float]) -> list[float]:
    """The nearest values that never fall: neighbours out of order are taken together."""
    blocks: list[tuple[float, int]] = []
    for mean in means:
        total, count = mean, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    return [total / count for total, count in blocks for _ in range(count)]


def _listed(chance: np.ndarray, y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Rows likely wrong, of equals those of the widest margin first; as many as keep the mean high, no class whole."""
    margin = shares.max(axis=1) - shares[np.arange(len(y)), y]
    order = np.lexsort((-margin, -chance))
    order = order[chance[order] >= LEAST_CHANCE]
    means = np.cumsum(chance[order]) / np.arange(1, len(order) + 1)
    order = order[: int(np.count_nonzero(means >= PRECISE))]
    left = np.bincount(y)
    kept = []
    for row in order.tolist():
        if left[y[row]] > 1:
            left[y[row]] -= 1
            kept.append(row)
    return np.array(kept, dtype=np.int64)


def _together(rates: list[tuple[int, _Rate]], known: int) -> tuple[float, float, float]:
    """The rate over all groups, with its 95 % interval."""
    if not known:
        return math.nan, math.nan, math.nan
    low, rate, most = (
        sum(size * max(0.0, getattr(one, name)) for size, one in rates) / known for name in ("value", "likely", "most")
    )
    error = math.sqrt(sum((size * one.error) ** 2 for size, one in rates)) / known
    return rate, max(0.0, low - 1.96 * error), min(1.0, most + 1.96 * error)


def _quiet(rates: list[tuple[int, _Rate]], rate: float, low: float) -> str:
    if not rates:
        return "too few rows to tell wrong labels from hard rows"
    if low > 0:
        return f"some labels seem wrong, about {rate:.1%}, but which ones cannot be told from rows that are hard"
    return "rows that contradict the model are where it is unsure: hard rows, not wrong labels"
