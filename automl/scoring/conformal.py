"""How far a single prediction may be off: conformal intervals of numbers and sets of labels, from held-out rows.

Of each held-out row a score says how badly its answer fits what was said of it. A new row's interval, or set, holds the
answers whose score is no worse than that of all but one in ten of those rows, the new one counted among them: then nine
of ten new rows of the same kind hold theirs, whatever the model is. With too few rows for a level all is held.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

KEPT = 2_000  # scores that a model carries; of more each kept one stands for the smaller ones before it
KEPT_OF_CLASS, KEPT_OF_CLASSES, LEAST_OF_CLASS = 500, 20_000, 50  # the same of one class, of all, and of many classes
CLASS_ROWS = 100  # held-out rows from which a class has a threshold of its own
BINS, BIN_ROWS = 20, 50  # of the predictions, along which numbers are harder or easier to predict
BELIEF = 10.0  # rows' worth of belief that they are equally hard everywhere
LEAST_APART = 1e-4  # of members, beside the reach
LEAST_SIDE = 0.02  # of the usual reach of an answer: where all known answers were met, the next may not be
MIDDLE = 0.5
EXACT = 1e-9  # relative; counts of rows come out of sums
TINY = 1e-12  # of a reach that follows from a series' own changes


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True)
class HeldOutScores:
    """Scores of held-out rows, rising, and how many rows have at most that score."""

    values: np.ndarray
    mass: np.ndarray  # rows as they count: fewer than there are where some weigh more, or err alike
    rows: float

    def bound(self, level: float) -> float:
        """The score that a new row's true answer exceeds in at most 1 - level of all cases; infinite of few rows."""
        needed = level * (self.rows + 1.0) * (1 - EXACT)
        place = int(np.searchsorted(self.mass, needed))
        return float(self.values[place]) if place < len(self.values) else math.inf

    @property
    def highest(self) -> float:
        """The level beyond which these rows are too few."""
        return self.rows / (self.rows + 1.0)


@dataclass(frozen=True)
class Said:
    """What a model says of rows whose answers are numbers."""

    predictions: np.ndarray  # (rows,) numbers, or (rows, levels) quantiles
    levels: Sequence[float] = ()
    spread: np.ndarray | None = None  # of a blend, how far its members are apart: their standard deviation
    unit: np.ndarray | None = None  # of steps of series, what theirs usually changes
    step: np.ndarray | None = None  # and how many steps ahead each is foretold, from 1

    def take(self, rows: np.ndarray) -> Said:
        """The given rows."""
        spread, unit, step = (None if one is None else one[rows] for one in (self.spread, self.unit, self.step))
        return Said(self.predictions[rows], self.levels, spread, unit, step)

    @property
    def middle(self) -> np.ndarray:
        """The predicted number, or the predicted quantile that is nearest to the median."""
        if self.predictions.ndim == 1:
            return np.asarray(self.predictions, dtype=np.float64)
        nearest = int(np.argmin(np.abs(np.array(self.levels) - MIDDLE)))
        return np.asarray(self.predictions[:, nearest], dtype=np.float64)

    @property
    def told(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Middle and reaches by predicted quantiles, where there are some on both sides of the median; else None."""
        if self.predictions.ndim == 1 or not self.levels[0] < MIDDLE < self.levels[-1]:
            return None
        low, high = (np.asarray(self.predictions[:, k], dtype=np.float64) for k in (0, -1))
        middle = self.middle if len(self.levels) > 2 else (low + high) / 2
        return middle, middle - low, high - middle


def blended(
    predictions: np.ndarray, members: Sequence[np.ndarray], weights: Sequence[float], levels: Sequence[float] = ()
) -> Said:
    """What a blend says, with how far its members are apart; `members`: what each says of the rows."""
    if len(members) < 2 or predictions.ndim > 1:
        return Said(predictions, levels)
    share = np.array(weights) / sum(weights)
    middle = sum(weight * one for weight, one in zip(share, members, strict=True))
    spread = sum(weight * np.square(one - middle) for weight, one in zip(share, members, strict=True))
    return Said(predictions, levels, np.sqrt(np.asarray(spread)))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far answers usually lie above and below a predicted number: by the number, and by how far a blend's members
    are apart; predicted quantiles tell it themselves.
    """

    at: np.ndarray  # predictions, rising
    up: np.ndarray
    down: np.ndarray
    least: float  # of both, whatever is said of a row
    floor: float = -math.inf  # no answer was below it: zero, or nothing
    apart_at: np.ndarray = field(
        default_factory=_nothing
    )  # logarithms of how far members are apart, relative to the reach; rising
    apart: np.ndarray = field(default_factory=_nothing)  # times the reach there; nothing where there is one member
    growth: np.ndarray = field(
        default_factory=_nothing
    )  # of steps of series: of each step ahead, in units of the series

    def of(self, said: Said) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row the middle, and the usual reach below and above it."""
        told = said.told
        if told is not None:
            middle, down, up = told
            return middle, np.maximum(down, self.least), np.maximum(up, self.least)
        middle = said.middle
        if len(self.growth) and said.unit is not None and said.step is not None:
            scale = said.unit * grown(self.growth, said.step)
            down, up = (np.maximum(side[0] * scale, TINY) for side in (self.down, self.up))
        else:
            down, up = (np.maximum(np.interp(middle, self.at, side), self.least) for side in (self.down, self.up))
        if len(self.apart) and said.spread is not None:
            times = np.interp(_relative(said.spread, down, up), self.apart_at, self.apart)
            least = TINY if len(self.growth) else self.least
            down, up = np.maximum(times * down, least), np.maximum(times * up, least)
        return middle, down, up


@dataclass(frozen=True, kw_only=True)
class Conformal:
    """What a model learned on held-out rows of how far it may be off."""

    pooled: HeldOutScores
    reach: Reach | None = None  # of numbers
    of_class: Mapping[int, HeldOutScores] = field(default_factory=dict)  # by class number, of those with enough rows

    def interval(self, said: Said, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Of each row the ends between which its number is."""
        assert self.reach is not None
        middle, down, up = self.reach.of(said)
        bound = self.pooled.bound(level)
        low, high = middle - bound * down, middle + bound * up
        return np.maximum(low, np.minimum(self.reach.floor, middle)) if math.isfinite(bound) else low, high

    def sets(self, shares: np.ndarray, level: float) -> np.ndarray:
        """(rows, classes) bool: the labels whose probability is not too small; none, where all are."""
        bounds = np.full(shares.shape[1], self.pooled.bound(level))
        for k, own in self.of_class.items():
            bounds[k] = own.bound(level)
        return np.asarray(1.0 - shares <= bounds + EXACT)

    @property
    def highest(self) -> float:
        """The level beyond which there are too few rows to leave anything out, be it for one class alone."""
        return min(own.highest for own in (self.pooled, *self.of_class.values()))


def rows_needed(level: float) -> int:
    """Held-out rows from which a level leaves anything out."""
    return math.ceil(level / (1.0 - level) * (1 - EXACT))


# --- learning --------------------------------------------------------------------------------------------------------


def of_numbers(
    y: np.ndarray, said: Said, *, weight: np.ndarray | None = None, blocks: np.ndarray | None = None
) -> Conformal:
    """From held-out answers and what was said of them.

    The reach that a score is relative to is that of other rows, or a row that is far off would look less so.
    `blocks`: an id per row, equal for rows that err alike.
    """
    y, weight = np.asarray(y, dtype=np.float64), _positive(weight, len(y))
    reach = _reach(y, said, weight)
    middle, down, up = reach.of(said)
    if said.told is None:
        down, up = np.empty(len(y)), np.empty(len(y))
        for held, seen in _parts(len(y)):
            _, down[held], up[held] = _reach(y[seen], said.take(seen), weight[seen]).of(said.take(held))
    return Conformal(pooled=ranked(_fit(y, middle, down, up), weight, blocks), reach=reach)


def of_classes(
    y: np.ndarray,
    shares: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
) -> Conformal:
    """From held-out class numbers and probabilities. Classes with few rows share one threshold."""
    weight, classes = _positive(weight, len(y)), shares.shape[1]
    scores = 1.0 - shares[np.arange(len(y)), y]
    most = max(LEAST_OF_CLASS, min(KEPT_OF_CLASS, KEPT_OF_CLASSES // classes))
    own = {}
    for k in np.flatnonzero(np.bincount(y, minlength=classes) >= CLASS_ROWS).tolist():
        mine = y == k
        found = ranked(scores[mine], weight[mine], None if blocks is None else blocks[mine], most)
        if found.rows >= CLASS_ROWS:
            own[k] = found
    rest = ~np.isin(y, list(own))
    rest = rest if rest.sum() >= CLASS_ROWS else np.ones(len(y), dtype=bool)
    pooled = ranked(scores[rest], weight[rest], None if blocks is None else blocks[rest])
    return Conformal(pooled=pooled, of_class=own)


def ranked(scores: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None = None, most: int = KEPT) -> HeldOutScores:
    """Scores with the rows that they count as, thinned where they are many: never to narrower bounds."""
    order = np.argsort(scores, kind="stable")
    rows = effective(scores, weight, blocks)
    values, mass = scores[order], np.cumsum(weight[order])
    mass *= rows / mass[-1]
    if len(values) > most:
        kept = (np.arange(1, most + 1) * len(values) + most - 1) // most - 1  # the last of each of as many parts
        values, mass = values[kept], mass[kept]
    return HeldOutScores(values, mass, rows)


def _fit(y: np.ndarray, middle: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray:
    """How many times its usual reach an answer is away."""
    off = y - middle
    return np.asarray(np.abs(off) / np.where(off > 0, up, down))


def effective(scores: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None) -> float:
    """How many rows of equal weight, each for itself, would tell as much.

    Rows of a block count as one where their scores are the same, and as many as they are where these only share what
    all rows do: between the two decides the share of the scores' variance that lies between blocks.
    """
    rows = float(weight.sum()) ** 2 / float(np.square(weight).sum())
    if blocks is None:
        return rows
    _, block_of = np.unique(blocks, return_inverse=True)
    count, sizes = int(block_of.max()) + 1, np.bincount(block_of)
    if not 1 < count < len(scores):
        return rows
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable").astype(np.float64)
    means = np.bincount(block_of, rank) / sizes
    between = float((sizes * np.square(means - rank.mean())).sum()) / (count - 1)
    within = float(np.square(rank - means[block_of]).sum()) / (len(rank) - count)
    usual = (len(rank) - float(np.square(sizes).sum()) / len(rank)) / (count - 1)
    shared = (between - within) / max(between + (usual - 1.0) * within, EXACT)
    alike = float(np.square(sizes).sum()) / len(rank)  # rows in the block of a row
    return rows / (1.0 + (alike - 1.0) * min(1.0, max(0.0, shared)))


def _reach(y: np.ndarray, said: Said, weight: np.ndarray) -> Reach:
    """Mean distances above and below in bins of equally many predictions, few rows drawn to those of all."""
    middle, growth = said.middle, _nothing()
    off = y - middle
    if said.unit is not None and said.step is not None and said.told is None:
        growth = _growth(np.abs(off) / said.unit, said.step, weight)
        off, middle = off / (said.unit * grown(growth, said.step)), np.zeros(len(y))
    sides = 2 * np.stack([np.maximum(off, 0.0), np.maximum(-off, 0.0)])
    at, (up, down) = _binned(middle, sides, weight)
    least = LEAST_SIDE * float((sides * weight).sum() / weight.sum()) / 2
    floor = 0.0 if (y >= 0).all() else -math.inf
    reach = Reach(at=at, up=up, down=down, least=least or 1.0, floor=floor, growth=growth)
    if said.spread is None or said.told is not None:
        return reach
    _, below, above = reach.of(replace(said, spread=None))
    apart_at, apart = _binned(_relative(said.spread, below, above), _fit(y, said.middle, below, above)[None], weight)
    return replace(reach, apart_at=apart_at, apart=apart[0])


def grown(growth: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The growth at so many steps ahead; beyond those that are known with the root of the steps, as errors add up."""
    last = len(growth)
    beyond = np.sqrt(np.maximum(step / last, 1.0))
    return np.asarray(growth[np.clip(step, 1, last) - 1] * beyond)


def _growth(misses: np.ndarray, step: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The mean miss at each step ahead, never less than at an earlier one: neighbours that fall are pooled."""
    last = int(step.max())
    total = np.bincount(step - 1, misses * weight, minlength=last)
    count = np.bincount(step - 1, weight, minlength=last)
    pools: list[list[float]] = []  # sum, weight, steps
    for sums, weights in zip(total.tolist(), count.tolist(), strict=True):
        pools.append([sums, weights, 1.0])
        while len(pools) > 1 and _mean(pools[-2]) >= _mean(pools[-1]):
            later = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], later, strict=True)]
    means = np.concatenate([np.full(int(pool[2]), _mean(pool)) for pool in pools])
    least = LEAST_SIDE * float(np.average(misses, weights=weight))
    return np.asarray(np.maximum(means, least or 1.0))


def _mean(pool: Sequence[float]) -> float:
    return pool[0] / pool[1] if pool[1] > 0 else 0.0


def _binned(along: np.ndarray, values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of each row of values in bins of equally many rows: where the bins are, and what is in them."""
    everywhere = (values * weight).sum(axis=1) / weight.sum()
    bins = np.array_split(np.argsort(along, kind="stable"), min(BINS, max(1, len(along) // BIN_ROWS)))
    counts = np.array([weight[rows].sum() for rows in bins])
    near = np.array([(values[:, rows] * weight[rows]).sum(axis=1) for rows in bins]).T
    at, first = np.unique([along[rows].mean() for rows in bins], return_index=True)
    return at, ((near + BELIEF * everywhere[:, None]) / (counts + BELIEF))[:, first]


def _relative(spread: np.ndarray, down: np.ndarray, up: np.ndarray) -> np.ndarray:
    """How far members are apart beside the usual reach, on a log scale."""
    return np.asarray(np.log(np.maximum(spread / (down + up), LEAST_APART)))


def _positive(weight: np.ndarray | None, rows: int) -> np.ndarray:
    """Weights, one on average; equal ones where none are given or all are zero."""
    given = np.ones(rows) if weight is None or not np.any(weight) else np.asarray(weight, dtype=np.float64)
    return given * (rows / float(given.sum()))


def _parts(rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each row held once, with the rows that are not held with it; of very few rows all are seen."""
    part_of = np.random.default_rng(0).permutation(rows) % 5
    if rows < 10:
        return [(np.arange(rows), np.arange(rows))]
    return [(np.flatnonzero(part_of == k), np.flatnonzero(part_of != k)) for k in range(5)]
