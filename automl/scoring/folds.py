"""Which rows are held out when: decided once per run, before any model is fitted.

Rows are dealt like cards, sorted by their answers, so that every fold gets its share and rare classes spread without
failing. Groups stay whole; with times, models only ever look forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.errors import InputError, OptionError
from automl.records import FoldPlan
from search_spaces.spec import OF_NUMBERS, Task

START_SHARE = (
    0.4  # of the rows, in forward folds: the oldest, never held out, so that the first fold has enough to learn
)
GROUP_BINS = 10  # levels of a numeric answer that groups are balanced over
PLACED = 2_000  # largest groups, each placed where it fits best; smaller ones are too many and too small to matter
FOLDS_FROM = ((8, 300.0), (5, 60.0), (3, 25.0))  # folds, and the affordable fits from which they pay
HOLDOUT = 10  # folds of which only the first must be done where even three are too many
LEAST_GROUPS = 5  # that this fold holds, as far as there are: fewer tell of themselves only
MEDIA_FOLDS = 3  # of images and sounds where only trials count: networks take long
MEDIA_HELD, MEDIA_LEAST = 300, 25  # files to hold out where there is time for one fold; at least one in so many
FEW_FILES = 3_000  # below it a tenth is too few to choose by, and all folds of a described model take seconds
MEDIA_BAG = 5  # folds where every file is held out once
FEW_ROWS, DEALT_FROM = 1_000, 100.0  # of a table, and the affordable fits from which they are dealt anew
FEWER_FILES, DEALS = 500, 2  # below it they are dealt anew for models that take milliseconds: who sat with whom is luck
MANY_ROWS = 100_000
BLOCKS = 30  # stretches of time in a fold, about: rows of one are close enough in time to err alike
LOPSIDED = 1.5  # times its share that a fold may grow for the sake of twins


@dataclass(frozen=True)
class Folds:
    """The fold in which each row is held out; -1 where it never is."""

    count: int
    of_row: np.ndarray  # int16
    kind: str  # "stratified" | "grouped" | "forward" | "random"
    why: str
    blocks: np.ndarray | None = None  # an id per row, equal for rows that tell the same twice; None: each for itself
    again: tuple[np.ndarray, ...] = ()  # of later deals: the same rows in other folds, numbered on

    @property
    def each(self) -> int:
        """Folds of one deal, after which every row was held out once."""
        return self.count // (1 + len(self.again))

    def held(self, k: int) -> np.ndarray:
        """The rows that fold k predicts, rising."""
        return np.flatnonzero(self._deal_of(k) == k)

    def train(self, k: int) -> np.ndarray:
        """The rows that fold k learns from, rising: all others, or the earlier ones in forward folds, newest first."""
        if self.kind == "forward":
            return np.flatnonzero((self.of_row > k) | (self.of_row < 0))
        return np.flatnonzero(self._deal_of(k) != k)

    def _deal_of(self, k: int) -> np.ndarray:
        return (self.of_row, *self.again)[k // self.each]

    def pooled(self, folds: Sequence[int], predictions: Mapping[int, np.ndarray]) -> np.ndarray:
        """One prediction for each row that these folds hold out: the mean of all, of whatever deal, that were made."""
        if not self.again:
            return np.concatenate([predictions[k] for k in folds])
        rows = np.concatenate([self.held(k) for k in folds])
        first = next(iter(predictions.values()))
        total, times = np.zeros((len(self.of_row), *first.shape[1:])), np.zeros(len(self.of_row))
        for k, given in predictions.items():
            held = self.held(k)
            total[held] += given
            times[held] += 1
        shape = (-1, *[1] * (first.ndim - 1))
        return np.asarray(total[rows] / times[rows].reshape(shape))


def choose_bags(rows: int, fits: float, *, is_forward: bool = False) -> FoldPlan:
    """More folds where many fits are affordable (`fits`, of a default boosting model), a holdout where few are.

    Few rows are dealt anew where that is affordable, too: who sat with whom is luck, and choices would follow it.
    """
    told = f"{rows:,} rows and time for about {fits:,.0f} fits" if fits < float("inf") else f"{rows:,} rows"
    count = next((count for count, least in FOLDS_FROM if fits >= least), 0)
    if not count:
        return FoldPlan(HOLDOUT, 1, f"{told}: one row in {HOLDOUT} held out")
    if fits == float("inf") and rows >= MANY_ROWS:
        count = 5
    fitting = max(2, min(count, max(5, rows // 10), rows // 2))
    few = ", more would hold too few rows each" if fitting < count else ""
    if rows < FEW_ROWS and DEALT_FROM <= fits < float("inf") and not is_forward:
        told = f"{told}: {fitting} folds{few}, dealt {DEALS} times"
        return FoldPlan(fitting * DEALS, fitting * DEALS, told, DEALS)
    return FoldPlan(fitting, fitting, f"{told}: {fitting} folds{few}")


def suited(fold_plan: FoldPlan, groups: np.ndarray | None, *, is_forward: bool) -> FoldPlan:
    """What is held out where one fold must do: groups enough to tell of others, or the newest of the rows."""
    if fold_plan.goal == fold_plan.count:
        return fold_plan
    told = fold_plan.why.rsplit(": ", 1)[0]
    if is_forward:
        count = max(
            2, round(fold_plan.count * (1 - START_SHARE))
        )  # as large a share of the rows as it would be at random
        return FoldPlan(
            count, fold_plan.goal, f"{told}: the newest {(1 - START_SHARE) / count:.0%} of the rows held out"
        )
    if groups is None:
        return fold_plan
    count = max(2, min(fold_plan.count, len(np.unique(groups)) // LEAST_GROUPS))
    return FoldPlan(count, fold_plan.goal, f"{told}: one group in {count} held out")


def choose_media_bags(rows: int, *, is_timed: bool, is_forward: bool = False) -> FoldPlan:
    """All folds where files are few; else a holdout, for networks take long; where only trials count, some folds.

    Of all folds a network does as many as there is time for. Rows in time cannot be dealt anew.
    """
    if is_timed and rows < FEW_FILES:
        each = max(2, min(MEDIA_BAG, rows // 2))
        deals = DEALS if rows < FEWER_FILES and not is_forward else 1
        told = f", dealt {deals} times for models of numbers" if deals > 1 else ""
        return FoldPlan(each * deals, each * deals, f"{rows:,} files: {each} folds{told}", deals)
    if is_timed:
        count = min(max(HOLDOUT, rows // MEDIA_HELD), MEDIA_LEAST)
        return FoldPlan(count, 1, f"networks learn for as long as there is time: one file in {count} held out")
    count = max(2, min(MEDIA_FOLDS, rows // 2))
    return FoldPlan(count, count, f"{rows:,} rows: {count} folds")


def make_folds(
    y: np.ndarray,
    task: Task,
    *,
    count: int,
    seed: int,
    groups: np.ndarray | None = None,
    times: np.ndarray | None = None,
    twins: np.ndarray | None = None,
) -> Folds:
    """Folds over rows with answers `y`: class numbers, or values.

    `groups` and `twins` hold an id per row, equal for rows that stay together; `times` something that sorts. There are
    fewer folds than asked where there are too few rows, groups or times. Twins, rows whose features are the same, are
    kept together as long as folds stay of about equal size and classes spread; groups and times go before them.
    """
    if len(y) < 2:
        raise InputError(f"folds need at least 2 rows, got {len(y)}. Bring more data.")
    if groups is not None and times is not None:
        raise OptionError(
            "time_column and group_column cannot both decide the folds. Give the one in which new data will differ."
        )
    if times is not None:
        return _forward(times, count)
    random = np.random.default_rng(seed)
    count = max(2, min(count, len(y)))
    if groups is not None:
        return _grouped(y, task, groups, count, random)
    if twins is not None:
        levels = _strata(y, task, GROUP_BINS, random)
        together = _whole(levels, twins, count, random)
        if _is_fair(together, levels, count):
            why = f"equal shares of {_shares(task)}, copies in one fold"
            return Folds(count, together, "stratified", why, twins)
    torn = "" if twins is None else ", copies in any: kept in one they would spoil the folds"
    strata = _strata(y, task, len(y) // count, random)
    of_row = _deal(strata, count, random)
    if strata.max() == 0:
        return Folds(count, of_row, "random", f"at random, the answers are too few or too equal to balance{torn}")
    return Folds(count, of_row, "stratified", f"equal shares of {_shares(task)}{torn}")


def dealt_again(deals: Sequence[Folds]) -> Folds:
    """Several deals of the same rows as one, with as many folds each."""
    first, *others = deals
    again = tuple(np.asarray(o.of_row + first.count * n, dtype=np.int16) for n, o in enumerate(others, 1))
    if not again or any(o.count != first.count for o in others):
        return first
    count = first.count * len(deals)
    return replace(first, count=count, again=again)


def _shares(task: Task) -> str:
    return "low and high answers" if task in OF_NUMBERS else "each class"


def _strata(y: np.ndarray, task: Task, bins: int, random: np.random.Generator) -> np.ndarray:
    """What folds shall have equal shares of: classes, or equally many rows from low to high answers."""
    if task not in OF_NUMBERS or (y == y[0]).all():
        return np.unique(y, return_inverse=True)[1]
    shuffled = random.permutation(len(y))  # equal answers in no order
    rank = np.empty(len(y), dtype=np.int64)
    rank[shuffled[np.argsort(y[shuffled], kind="stable")]] = np.arange(len(y))
    return rank * max(1, bins) // len(y)


def _deal(strata: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Shuffled in itself, each stratum goes on where the last one stopped: no share is off by more than one row."""
    shuffled = random.permutation(len(strata))
    of_row = np.empty(len(strata), dtype=np.int16)
    of_row[shuffled[np.argsort(strata[shuffled], kind="stable")]] = np.arange(len(strata)) % count
    return of_row


def _is_fair(of_row: np.ndarray, strata: np.ndarray, count: int) -> bool:
    """No fold is empty or far too large, and no class sits in one fold alone while it has rows for two."""
    sizes = np.bincount(of_row, minlength=count)
    in_folds = np.bincount(np.unique(strata * count + of_row) // count)
    is_spread = (in_folds >= np.minimum(2, np.bincount(strata))).all()
    return bool(is_spread and sizes.min() > 0 and sizes.max() <= LOPSIDED * len(of_row) / count)


def _grouped(y: np.ndarray, task: Task, groups: np.ndarray, count: int, random: np.random.Generator) -> Folds:
    found = len(np.unique(groups))
    if found < 2:
        raise InputError("group_column holds a single group, so nothing can be held out. Leave group_column out.")
    count = min(count, found)
    of_row = _whole(_strata(y, task, GROUP_BINS, random), groups, count, random)
    firsts = np.unique(groups, return_index=True)[1]
    order = np.argsort(-np.bincount(of_row[firsts], minlength=count), kind="stable")  # the first look tells most groups
    place = np.argsort(order).astype(np.int16)
    return Folds(count, place[of_row], "grouped", f"whole groups, {found:,} in all, about equal in rows", groups)


def _whole(strata: np.ndarray, ids: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Rows of one id in one fold: the largest are placed one by one, the crowd of small ones is dealt.

    A group goes to a fold that is emptiest up to the group's own size and has least of the classes it brings: no two
    folds differ by more than twice the largest group, and none stays empty.
    """
    _, first, id_of, sizes = np.unique(ids, return_index=True, return_inverse=True, return_counts=True)
    by_chance = random.permutation(len(sizes))
    order = by_chance[np.lexsort((strata[first[by_chance]], -sizes[by_chance]))]  # large first, then by class
    large, small = order[:PLACED], order[PLACED:]
    place = np.full(len(sizes), len(large))
    place[large] = np.arange(len(large))
    is_large = place[id_of] < len(large)
    width = int(strata.max()) + 1
    brings = np.bincount(place[id_of[is_large]] * width + strata[is_large], minlength=len(large) * width)
    brings = brings.reshape(len(large), width)
    rarity = 1.0 / np.maximum(np.bincount(strata, minlength=width), 1) ** 2
    filled, rows = np.zeros((count, width)), np.zeros(count)
    fold_of = np.empty(len(sizes), dtype=np.int16)
    for group, classes in zip(large, brings, strict=True):
        crowding = filled @ (classes * rarity) + rows * sizes[group] / len(strata) ** 2
        fold = int(np.argmin(np.where(rows <= rows.min() + sizes[group], crowding, np.inf)))
        fold_of[group] = fold
        filled[fold] += classes
        rows[fold] += sizes[group]
    fold_of[small] = np.argsort(rows, kind="stable")[np.arange(len(small)) % count]
    return fold_of[id_of]


def stretches(times: np.ndarray) -> np.ndarray:
    """A number per row, equal for rows that follow one another: equally many rows in each, equal times in one."""
    _, moment_of, sizes = np.unique(times, return_inverse=True, return_counts=True)
    share = (np.cumsum(sizes) - sizes / 2) / len(times)
    return np.asarray(np.floor(share * BLOCKS).astype(np.int64)[moment_of])


def _forward(times: np.ndarray, count: int) -> Folds:
    """Blocks in time: the oldest is only learnt from, each other is predicted from all before it; ties stay together.

    The newest is fold 0, which is looked at first and by all trials: it is most like what comes.
    """
    moments, moment_of, sizes = np.unique(times, return_inverse=True, return_counts=True)
    if len(moments) < 2:
        raise InputError("time_column holds a single time, so there is no later row to predict. Leave time_column out.")
    share = (np.cumsum(sizes) - sizes / 2) / len(times)  # of the rows before the middle of each moment
    block = 1 + np.floor((share - START_SHARE) / (1 - START_SHARE) * max(1, count)).astype(np.int64)
    block = np.maximum(block, 0)
    block[0], block[-1] = 0, max(1, block[-1])
    filled, dense = np.unique(block, return_inverse=True)  # a moment with very many rows may swallow a block
    made = len(filled) - 1
    of_row = np.where(dense > 0, made - dense, -1)[moment_of].astype(np.int16)
    why = "forward in time, the newest first, each predicted from earlier rows only; the oldest are only learnt from"
    within = np.floor(share * BLOCKS * made / (1 - START_SHARE)).astype(np.int64)
    _, blocks = np.unique(dense * (within.max() + 1) + within, return_inverse=True)
    return Folds(made, of_row, "forward", why, blocks[moment_of])
