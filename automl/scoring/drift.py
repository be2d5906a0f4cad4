"""How far a distribution has moved from the one that was learned from, and whether that is more than chance.

Counts in cells are compared with counts in the same cells. The effect is the Jensen-Shannon distance (0 .. 1) with what
two samples of these sizes differ by anyway taken off; evidence is the least of a few tests, corrected for their number.
An alarm needs both: of 200,000 rows a shift that matters to nobody is beyond chance, of 200 rows chance alone looks
large. Beside the usual cells there are two of their own: missing, and beyond what had been seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CHANCE = 0.01  # of any alarm at all where nothing moved, over all that is compared together
MATTERS = (
    0.1  # an effect that is worth a look: a quarter of a standard deviation, or a few rows in a hundred unheard of
)
STRONG = 0.25  # one that leaves little of what was learned as it was
LEAST_EXPECTED = 10.0  # rows in a cell of the smaller sample, below which it is joined with others to be tested
PER_CELL = 30  # rows of the reference in a cell of numbers: of fewer, the cells themselves are too much chance
OWN_CELL = 5  # rows of a label that has a cell of its own
TERMS = 2_000  # of a binomial tail: further ones add nothing
Z = 1.96
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)  # at which rows below and above are told apart


@dataclass(frozen=True)
class Spread:
    """How rows lie in cells: the usual ones, those beyond what was seen before, those without a value."""

    counts: np.ndarray  # of each usual cell
    beyond: int = 0  # values outside of the range, labels or words never seen
    missing: int = 0
    is_ordered: bool = False  # whether the usual cells have an order, as those of numbers have
    above: int = 0  # of those beyond, the numbers above the greatest that was seen

    @property
    def total(self) -> int:
        """All rows."""
        return int(self.counts.sum()) + self.beyond + self.missing


@dataclass(frozen=True, kw_only=True)
class Drift:
    """By how much a distribution moved."""

    effect: float  # Jensen-Shannon distance without what chance adds, 0 .. 1
    low: float
    high: float  # of its 95 % interval
    p: float  # of what was seen, or more, where nothing moved; corrected for the tests of this one distribution
    beyond: float  # share of the new rows beyond what was seen before
    missing: float  # share of the new rows without a value
    was_beyond: float  # the same as expected: rows of the reference that are alone with what they hold
    was_missing: float

    def is_clear(self, compared: int) -> bool:
        """Whether it is more than chance, of as many distributions as are compared."""
        return self.p * max(1, compared) < CHANCE

    def is_alarming(self, compared: int) -> bool:
        """Whether it is more than chance and large enough to matter."""
        return self.effect >= MATTERS and self.is_clear(compared)


NOTHING = Drift(effect=0.0, low=0.0, high=0.0, p=1.0, beyond=0.0, missing=0.0, was_beyond=0.0, was_missing=0.0)


def drift(before: Spread, now: Spread, clustering: float = 1.0) -> Drift:
    """Compare two samples in the same cells.

    `clustering`: how many rows tell as much as one by itself, where rows come in groups that are alike (`clustered`).
    """
    n, m = before.total, now.total
    if not n or not m:
        return NOTHING
    old, new = _all_cells(before), _all_cells(now)
    per_row = max(1.0, clustering) * (1 / n + 1 / m)
    cells = int(((old + new) > 0).sum())
    p, q = old / n, new / m
    raised = max(0, cells - 1)
    divergence = _divergence(p, q) - raised * per_row / (8 * math.log(2))
    # noncentral chi-squared: the statistic of such tests, of which the divergence is an eighth
    away = max(0.0, divergence) * 8 * math.log(2) / per_row
    error = math.sqrt(2 * (raised + 2 * away)) * per_row / (8 * math.log(2))
    effect, low, high = (math.sqrt(min(1.0, max(0.0, divergence + side * Z * error))) for side in (0, -1, 1))
    tests = [
        _chi_squared(old, new, clustering),
        _rise(before.beyond, now.beyond, n, m, clustering),
        _differs(before.missing, now.missing, n, m, clustering),
    ]
    if before.is_ordered:
        tests.append(_steps(before.counts, now.counts, clustering))
    return Drift(
        effect=effect, low=low, high=high, p=min(1.0, len(tests) * min(tests)),
        beyond=now.beyond / m, missing=now.missing / m, was_beyond=before.beyond / n, was_missing=before.missing / n,
    )  # fmt: skip


def clustered(cells: np.ndarray, blocks: np.ndarray | None) -> float:
    """How many rows tell as much as one alone would, since rows of one block (a group, a stretch of time) are alike.

    `cells`: of each row. One, where rows have no blocks or these differ no more than chance makes them. What is above
    some cell against what is below it may differ by more than the cells do one by one: the most of these counts.
    """
    if blocks is None or len(blocks) < 2:
        return 1.0
    _, block = np.unique(blocks, return_inverse=True)
    _, cell = np.unique(cells, return_inverse=True)
    if int(block.max()) + 1 >= len(blocks):
        return 1.0
    cuts = np.unique(np.quantile(cell, CUTS).astype(np.int64))
    return max(1.0, _unlike(block, cell), *(_unlike(block, (cell > cut).astype(np.int64)) for cut in cuts))


def _unlike(block: np.ndarray, cell: np.ndarray) -> float:
    """How much more blocks differ than rows dealt at random would make them, for each degree of freedom."""
    many, width = int(block.max()) + 1, int(cell.max()) + 1
    if many < 2 or width < 2:
        return 1.0
    table = np.bincount(block * width + cell, minlength=many * width).reshape(many, width).astype(np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / len(block)
    return float((np.square(table - expected) / np.maximum(expected, 1e-12)).sum()) / ((many - 1) * (width - 1))


# --- numbers in cells ------------------------------------------------------------------------------------------------


def edges_of(values: np.ndarray, most: int) -> np.ndarray:
    """Rising edges of cells that hold about equally many of these numbers; the least and the greatest are the ends.

    Where a value comes often it has a cell of its own; numbers without a value are left out.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.empty(0)
    ranked = np.sort(finite)
    cells = max(2, min(most, len(ranked) // PER_CELL))
    places = np.round(np.linspace(0, len(ranked) - 1, cells + 1)).astype(np.int64)
    return np.unique(ranked[places]).astype(np.float64)


def cells_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The cell of each number; -1 for those without a value, one more than the last above the ends, two more below.

    A cell begins with its lower edge; the greatest value has one of its own.
    """
    found = np.searchsorted(edges, values, side="right") - 1
    if not len(edges):
        found = np.zeros(len(values), dtype=np.int64)
    else:
        found = np.where(values > edges[-1], len(edges), np.where(values < edges[0], len(edges) + 1, found))
    return np.where(np.isnan(values), -1, found)


def spread_of(cells: np.ndarray, usual: int, *, is_ordered: bool) -> Spread:
    """Counts of cells numbered from 0; from `usual` on is what lies beyond, -1 is what is missing."""
    counts = np.bincount(cells + 1, minlength=usual + 2)
    above = int(counts[usual + 1]) if is_ordered else 0
    return Spread(counts[1 : usual + 1], int(counts[usual + 1 :].sum()), int(counts[0]), is_ordered, above)


def numbers_before(values: np.ndarray, most: int) -> tuple[np.ndarray, Spread]:
    """Edges of cells for these numbers, and their counts as those of another sample would be.

    Its ends would lie beyond what the others reach, unless their values come often.
    """
    edges = edges_of(values, most)
    spread = spread_of(cells_of(values, edges), len(edges), is_ordered=True)
    if len(edges) < 2:
        return edges, spread
    counts, alone = spread.counts.copy(), 0
    for end, place in ((edges[0], 0), (edges[-1], len(edges) - 1)):
        if int((values == end).sum()) == 1:
            counts[place] -= 1
            alone += 1
    return edges, Spread(counts, spread.beyond + alone, spread.missing, is_ordered=True)


def labels_before(codes: np.ndarray, most: int) -> tuple[np.ndarray, Spread]:
    """Codes of labels that have cells of their own, and counts; the last usual cell is that of all other known ones.

    `codes`: of each row, -1 where missing. A row whose label no other row has would have been unheard of. Where there
    are more labels than cells, some rows choose these and the others are counted: the most frequent are so by luck too.
    """
    known = codes[codes >= 0]
    times = np.bincount(known) if len(known) else np.zeros(0, dtype=np.int64)
    are_chosen = int((times >= OWN_CELL).sum()) > most
    chosen_by = np.bincount(known[::2], minlength=len(times)) if are_chosen else times
    ranked = np.argsort(-chosen_by, kind="stable")[:most]
    own = ranked[chosen_by[ranked] >= OWN_CELL]
    counted = codes[1::2] if are_chosen else codes
    return own, _labelled(counted, own, np.isin(counted, np.flatnonzero(times == 1)))


def labels_now(codes: np.ndarray, own: np.ndarray, is_new: np.ndarray) -> Spread:
    """Counts of other rows in the cells of `labels_before`; `is_new`: their labels had not been seen."""
    return _labelled(codes, own, is_new)


def _labelled(codes: np.ndarray, own: np.ndarray, is_new: np.ndarray) -> Spread:
    place = np.full(int(max(codes.max(initial=0), own.max(initial=0))) + 2, len(own), dtype=np.int64)
    place[own] = np.arange(len(own))
    usual = place[codes[(codes >= 0) & ~is_new]]
    counts = np.bincount(usual, minlength=len(own) + 1)
    return Spread(counts, int(is_new.sum()), int(((codes < 0) & ~is_new).sum()))


# --- tests -----------------------------------------------------------------------------------------------------------


def _all_cells(spread: Spread) -> np.ndarray:
    return np.concatenate([spread.counts, [spread.beyond, spread.missing]]).astype(np.float64)


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon, base 2."""
    mean = (p + q) / 2
    total = 0.0
    for one in (p, q):
        some = one > 0
        total += float((one[some] * np.log2(one[some] / mean[some])).sum()) / 2
    return total


def _chi_squared(old: np.ndarray, new: np.ndarray, clustering: float) -> float:
    """Whether both have the same shares; neighbouring cells of few rows are joined first."""
    n, m = old.sum(), new.sum()
    if not n or not m:
        return 1.0
    group = _joined((old + new) * min(n, m) / (n + m))
    if group[-1] < 1:
        return 1.0
    tables = [np.bincount(group, one) for one in (old, new)]
    both, statistic = tables[0] + tables[1], 0.0
    for one, size in zip(tables, (n, m), strict=True):
        expected = both * size / (n + m)
        statistic += float((np.square(one - expected) / expected).sum())
    return chi_squared_tail(statistic / max(1.0, clustering), int(group[-1]))


def _joined(expected: np.ndarray) -> np.ndarray:
    """A number per cell, the same for neighbours that together are expected to hold enough rows to be tested."""
    group, held = np.zeros(len(expected), dtype=np.int64), 0.0
    at = 0
    for place, rows in enumerate(expected):
        if held >= LEAST_EXPECTED and rows > 0:
            at, held = at + 1, 0.0
        group[place] = at
        held += rows
    if held < LEAST_EXPECTED and at > 0:  # what is left over goes to the last full one
        group[group == at] = at - 1
    return group


def chi_squared_tail(value: float, freedom: int) -> float:
    """The probability of a larger one, by Wilson and Hilferty: within a few hundredths of it in the far tail too."""
    if value <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    return normal_tail(((value / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def normal_tail(z: float) -> float:
    """The probability of a larger one."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def _steps(old: np.ndarray, new: np.ndarray, clustering: float) -> float:
    """Kolmogorov and Smirnov's, at the edges of the cells alone, which makes it careful."""
    n, m = float(old.sum()), float(new.sum())
    if not n or not m:
        return 1.0
    apart = float(np.abs(np.cumsum(old) / n - np.cumsum(new) / m).max())
    return min(1.0, 2 * math.exp(-2 * apart**2 * n * m / (n + m) / max(1.0, clustering)))


def _rise(old: int, new: int, n: int, m: int, clustering: float) -> float:
    """Whether something rare has become more frequent: of all that were met, how many of them lately."""
    shrunk = max(1.0, clustering)
    a, b = max(1.0, old / shrunk), new / shrunk
    return binomial_tail(math.floor(b), math.ceil(a + b), m / (n + m))


def _differs(old: int, new: int, n: int, m: int, clustering: float) -> float:
    """Whether something has become more or less frequent."""
    up, down = _rise(old, new, n, m, clustering), _rise(new, old, m, n, clustering)
    return min(1.0, 2 * min(up, down))


def binomial_tail(least: int, trials: int, share: float) -> float:
    """The probability of `least` successes or more."""
    if least <= trials * share or least <= 0:
        return 1.0
    first = (
        math.lgamma(trials + 1) - math.lgamma(least + 1) - math.lgamma(trials - least + 1)
        + least * math.log(share) + (trials - least) * math.log1p(-share)
    )  # fmt: skip
    at = np.arange(least, min(trials, least + TERMS), dtype=np.float64)
    ratios = np.log((trials - at) / (at + 1)) + math.log(share) - math.log1p(-share)
    logs = first + np.concatenate([[0.0], np.cumsum(ratios)])
    return min(1.0, float(np.exp(logs).sum()))


def ranked(drifts: Mapping[str, Drift], weights: Mapping[str, float]) -> Sequence[str]:
    """Names by drift times importance, the most first; what is not weighed counts as the least that is."""
    least = min((abs(value) for value in weights.values() if value), default=1.0)
    return sorted(drifts, key=lambda name: (-drifts[name].effect * max(abs(weights.get(name, 0.0)), least), name))
