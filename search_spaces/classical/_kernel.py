"""Machines of support vectors with a Gaussian kernel: every pair of classes is solved apart, numbers as one problem.

libsvm solves, but is handed the kernel where that fits into memory, as matrix products make it many times faster than
libsvm does. Since libsvm cannot be interrupted, time is foreseen from a small problem and rows are left out by it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from search_spaces.checked import need, table
from search_spaces.spec import Run

MOST_KERNEL = 5_000  # rows of a problem whose kernel is made beforehand: 200 MB
CACHE_MB = 300  # that libsvm may use
MOST_STEPS = 2_000_000  # of libsvm in one problem; hopeless settings would take hours
TUBE = 0.1  # errors below this share of the target's deviation are not errors
CHUNK = 512  # rows predicted at a time
FEW_ROWS = 300  # learned even if the time is over,
GRACE_S = 1.0  # in so long: hundreds of pairs of classes take longer than that
PROBE_ROWS = 600
CALL_S = 1e-3  # of one problem, however small


@dataclass(frozen=True)
class KernelProblem:
    """What a machine is made of."""

    table: np.ndarray  # float32 (rows, columns), scaled
    y: np.ndarray  # class numbers, or standardised targets where `classes` is 1
    weight: np.ndarray | None
    classes: int
    C: float
    gamma: float
    balance: float = 0.0  # 1: both classes of a pair weigh alike, however rare one is

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: np.ndarray) -> KernelProblem:
        """The given rows, copied."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, table=self.table[rows], y=self.y[rows], weight=weight)

    def groups(self) -> list[np.ndarray]:
        """Row numbers of each class; all rows where answers are numbers."""
        if self.classes == 1:
            return [np.arange(len(self))]
        order = np.argsort(self.y, kind="stable")
        return np.split(order, np.searchsorted(self.y[order], np.arange(1, self.classes)))


@dataclass(frozen=True)
class KernelMachine:
    """Support vectors class after class, and how much each speaks for its class against each of the others."""

    gamma: np.ndarray
    support: np.ndarray  # float32 (vectors, columns)
    dual: np.ndarray  # float32 (vectors, classes - 1), the others in order; of numbers one signed column
    ends: np.ndarray  # where the vectors of each class end
    offset: np.ndarray  # float32 (classes, classes), for the row's class against the column's; of numbers (1, 1)

    def values(self, table: np.ndarray) -> np.ndarray:
        """Predicted numbers, standardised."""
        parts = [self._near(chunk) @ self.dual + self.offset[0] for chunk in _chunks(table)]
        return np.concatenate(parts)[:, 0]

    def scores(self, table: np.ndarray, sharps: tuple[float, ...]) -> np.ndarray:
        """How likely each class is against another on average, as logarithms: (sharps, rows, classes).

        A margin of d counts as the odds exp(sharp * d) in a pair.
        """
        found = np.zeros((len(sharps), len(table), len(self.offset)), dtype=np.float32)
        for number, chunk in enumerate(_chunks(table)):
            margins = self._margins(chunk)
            for at, sharp in enumerate(sharps):
                odds = -np.logaddexp(0, margins * np.float32(-sharp))
                odds[:, np.arange(odds.shape[1]), np.arange(odds.shape[1])] = 0
                found[at, number * CHUNK : (number + 1) * CHUNK] = odds.sum(axis=2) / max(1, odds.shape[1] - 1)
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The state: its constructor's arguments."""
        return asdict(self)

    def _near(self, table: np.ndarray) -> np.ndarray:
        return nearness(table, self.support, self.gamma)

    def _margins(self, table: np.ndarray) -> np.ndarray:
        """Above zero for the row's class against the column's: (rows, classes, classes)."""
        near, classes = self._near(table), len(self.offset)
        voices = np.zeros((len(table), classes, classes), dtype=np.float32)
        for own, last in enumerate(self.ends):
            first = self.ends[own - 1] if own else 0
            others = np.delete(np.arange(classes), own)
            voices[:, own, others] = near[:, first:last] @ self.dual[first:last]
        margins: np.ndarray = voices - voices.transpose(0, 2, 1) + self.offset
        return margins


def read_machine(arrays: Mapping[str, np.ndarray], classes: int, columns: int) -> KernelMachine:
    """What `KernelMachine.arrays` gave."""
    vectors = len(table(arrays, "support", (None, columns), "f"))
    ends = table(arrays, "ends", (classes,), "iu")
    is_rising = bool((np.diff(np.concatenate([[0], ends])) >= 0).all())
    need(is_rising and int(ends[-1]) == vectors, "support vectors do not belong to classes one after another")
    table(arrays, "dual", (vectors, max(1, classes - 1)), "f")
    table(arrays, "offset", (classes, classes), "f")
    table(arrays, "gamma", (), "f")
    return KernelMachine(**arrays)


def nearness(left: np.ndarray, right: np.ndarray, gamma: Any) -> np.ndarray:
    """exp(-gamma * squared distance) of every row to every other, float32."""
    near: np.ndarray = left @ right.T
    near *= 2
    near -= np.einsum("ij,ij->i", left, left)[:, None]
    near -= np.einsum("ij,ij->i", right, right)
    np.minimum(near, 0, out=near)  # rounding
    near *= np.float32(gamma)
    np.exp(near, out=near)
    return near


def solve(problem: KernelProblem, run: Run) -> tuple[KernelMachine, bool]:
    """A machine, and whether the clock left something unsolved; a pair that was not reached gives no opinion."""
    groups = problem.groups()
    total, classes, is_cut = len(problem), problem.classes, False
    began = time.monotonic()  # a busy machine may take all the time before a fit begins
    until = max(run.until, began) + GRACE_S if total <= FEW_ROWS + classes else run.until
    dual = np.zeros((total, max(1, classes - 1)), dtype=np.float32)
    offset = np.zeros((classes, classes), dtype=np.float32)
    if classes == 1:
        dual[:, 0], offset[0, 0], is_cut = _solve_one(problem, run)
    for one, two in combinations(range(classes), 2) if classes > 1 else ():
        both = np.concatenate([groups[one], groups[two]])
        if not (len(groups[one]) and len(groups[two])):
            offset[one, two] = np.sign(len(groups[one]) - len(groups[two]))
        elif time.monotonic() >= until:
            is_cut = True
        else:
            voice, offset[one, two], cut = _solve_one(problem.take(both), run, one)
            dual[groups[one], two - 1] = voice[: len(groups[one])]
            dual[groups[two], one] = -voice[len(groups[one]) :]
            is_cut |= cut
    speaks = (dual != 0).any(axis=1)
    kept = [group[speaks[group]] for group in groups]
    order = np.concatenate(kept)
    machine = KernelMachine(
        gamma=np.array(problem.gamma),
        support=problem.table[order],
        dual=dual[order],
        ends=np.cumsum([len(group) for group in kept]),
        offset=offset - offset.T if classes > 1 else offset,
    )
    return machine, is_cut


def within_time(problem: KernelProblem, run: Run, passes: float) -> np.ndarray | None:
    """Which rows can be learned from `passes` times before the time is over; None: all of them."""
    if run.until == float("inf") or len(problem) <= FEW_ROWS:
        return None
    fixed_s, growing_s = _foreseen_s(problem, run)
    left_s = 0.8 * (run.until - time.monotonic()) / passes - fixed_s
    if growing_s <= left_s:
        return None
    share = np.sqrt(max(0.0, left_s) / growing_s)  # time grows with the square of the rows
    count = max(FEW_ROWS, int(share * len(problem)))
    random = np.random.default_rng(run.seed)
    groups = [random.permutation(group) for group in problem.groups()]
    kept = [group[: max(1, round(len(group) * count / len(problem)))] for group in groups if len(group)]
    return np.sort(np.concatenate(kept))


def _foreseen_s(problem: KernelProblem, run: Run) -> tuple[float, float]:
    """Seconds that all of a problem would take whatever its rows, and by its rows, from a part of its largest pair."""
    groups = sorted(problem.groups(), key=len)[-2:]
    random = np.random.default_rng(run.seed)
    share = min(1.0, PROBE_ROWS / sum(map(len, groups)))
    part = np.concatenate([random.permutation(group)[: max(1, int(share * len(group)))] for group in groups])
    start = time.monotonic()
    if problem.classes == 1 or len(groups[0]):
        _solve_one(problem.take(part), run, int(problem.y[groups[-1][0]]) if problem.classes > 1 else None)
    row_s = max(0.0, time.monotonic() - start - CALL_S) / len(part) ** 2
    sizes = [len(group) for group in problem.groups()]
    pairs = [one + two for one, two in combinations(sizes, 2)] if len(sizes) > 1 else sizes
    far_s = 4e-10 * problem.table.shape[1]  # a kernel value made by libsvm itself, those of some rows being spared
    growing_s = sum((row_s + (far_s if rows > MOST_KERNEL else 0)) * rows**2 for rows in pairs)
    return CALL_S * len(pairs), growing_s


def _solve_one(problem: KernelProblem, run: Run, positive: int | None = None) -> tuple[np.ndarray, float, bool]:
    """Signed weights of all rows in one problem, its offset, and whether the clock ended it early."""
    from sklearn.svm import SVC, SVR

    rows, is_made = len(problem), len(problem) <= MOST_KERNEL
    steps = _most_steps(problem, run)
    settings: dict[str, Any] = {"C": problem.C, "cache_size": CACHE_MB, "max_iter": steps}
    settings |= {"kernel": "precomputed"} if is_made else {"kernel": "rbf", "gamma": problem.gamma}
    table = _kernel(problem) if is_made else problem.table.astype(np.float64)
    if positive is None:
        model: Any = SVR(epsilon=TUBE, **settings)
        y, weight = problem.y, problem.weight
    else:
        model = SVC(**settings)
        y = problem.y == positive
        weight = _balanced(y, problem.weight, problem.balance)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solver terminated early")
        model.fit(table, y, sample_weight=weight)
    signed = np.zeros(rows)
    signed[model.support_] = model.dual_coef_[0]
    return signed, float(model.intercept_[0]), bool(model.fit_status_) and steps < MOST_STEPS


def _balanced(is_one: np.ndarray, weight: np.ndarray | None, balance: float) -> np.ndarray | None:
    """Weights that bring the rarer of two classes some way up, and the other down."""
    if not balance:
        return weight
    weight = np.ones(len(is_one)) if weight is None else weight
    one, other = weight[is_one].sum(), weight[~is_one].sum()
    return np.asarray(weight * np.where(is_one, (one + other) / (2 * one), (one + other) / (2 * other)) ** balance)


def _most_steps(problem: KernelProblem, run: Run) -> int:
    """Steps of libsvm that fit into the time left; one looks at every row, and may have to make their kernel."""
    if run.until == float("inf"):
        return MOST_STEPS
    columns = problem.table.shape[1] if len(problem) > MOST_KERNEL else 0
    step_s = (1e-8 + 2e-9 * columns) * len(problem)
    left_s = max(0.0, run.until - time.monotonic())
    return int(min(MOST_STEPS, max(2 * FEW_ROWS, left_s / step_s)))


def _kernel(problem: KernelProblem) -> np.ndarray:
    """The kernel of all rows as libsvm reads it: float64, filled a block at a time."""
    made = np.empty((len(problem), len(problem)))
    for first in range(0, len(problem), CHUNK):
        made[first : first + CHUNK] = nearness(problem.table[first : first + CHUNK], problem.table, problem.gamma)
    return made


def _chunks(table: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(table), CHUNK):
        yield table[first : first + CHUNK]
