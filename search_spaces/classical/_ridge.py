"""Ridge on far more columns than rows, with its penalty and its certainty told by leaving out each row in turn.

All penalties share one eigendecomposition, and what a row would have been answered without it follows from the fit
(the diagonal of the hat matrix), so both cost next to nothing. Classes are answered by one temperature on these
answers: a ridge by itself says nothing about how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces.classical._answers import shares_of
from search_spaces.spec import Run

PENALTIES = 10.0 ** np.arange(-3.0, 6.0, 0.5)  # times the mean size of a row, over the number of rows
TEMPERATURES = 10.0 ** np.linspace(-1.0, 1.2, 23)  # what answers around minus one and one are multiplied with
LEAST_LEFT = 1e-6  # of one minus a row's own share in its answer
FLAT = 1e-12


@dataclass(frozen=True)
class Ridge:
    """Slopes on columns as they are, intercepts, and the temperature that answers of classes are shared with."""

    slopes: np.ndarray  # float32 (columns, outputs)
    intercept: np.ndarray  # float64 (outputs,)
    temperature: float
    loss: float = 0.0  # of rows that were left out

    def raw(self, table: np.ndarray) -> np.ndarray:
        """(rows, outputs): numbers, or what a softmax takes."""
        return np.asarray((table @ self.slopes + self.intercept) * self.temperature)


def solve(table: np.ndarray, y: np.ndarray, weight: np.ndarray | None, run: Run) -> Ridge:
    """Of a float32 table and answers: class numbers, or numbers of spread one."""
    is_numeric = run.task == "regression"
    wanted = y[:, None].astype(np.float64) if is_numeric else _signs(y, run.classes)
    share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
    centre, middle = share @ table, share @ wanted
    root = np.sqrt(share * len(y))[:, None]
    system = _System.of((table - centre.astype(np.float32)) * root.astype(np.float32), (wanted - middle) * root)
    best: tuple[float, float, float] | None = None
    for penalty in PENALTIES * system.size:
        told = wanted - system.left_out(penalty, share) / root
        loss = _absolute_or_squared(told, wanted, share, run)
        temperature = 1.0 if is_numeric else _temperature(told, y, share)
        if best is None or loss < best[0]:
            best = loss, penalty, temperature
    assert best is not None
    slopes = system.slopes(best[1])
    return Ridge(slopes.astype(np.float32), middle - centre @ slopes, best[2], best[0])


def _signs(y: np.ndarray, classes: int) -> np.ndarray:
    """(rows, classes): one where a row is of the class, else minus one."""
    return np.where(y[:, None] == np.arange(classes), 1.0, -1.0)


def _absolute_or_squared(told: np.ndarray, wanted: np.ndarray, share: np.ndarray, run: Run) -> float:
    off = told - wanted
    return float(share @ (np.abs(off) if run.metric == "mae" else off**2).mean(axis=1))


def _temperature(told: np.ndarray, y: np.ndarray, share: np.ndarray) -> float:
    """With it probabilities of rows that were left out are worth most."""
    every = np.arange(len(y))
    losses = [-float(share @ np.log(shares_of(told * one)[every, y] + FLAT)) for one in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


@dataclass(frozen=True)
class _System:
    """Weighted and centred rows, decomposed by rows or by columns, whichever are fewer."""

    table: np.ndarray
    vectors: np.ndarray  # (rows or columns, kept)
    values: np.ndarray  # (kept,)
    moments: np.ndarray  # answers along the vectors: (kept, outputs)
    wanted: np.ndarray
    is_dual: bool

    @classmethod
    def of(cls, table: np.ndarray, wanted: np.ndarray) -> _System:
        """Decompose."""
        is_dual = len(table) <= table.shape[1]
        gram = (table @ table.T if is_dual else table.T @ table).astype(np.float64)
        values, vectors = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        moments = vectors.T @ (wanted if is_dual else table.T @ wanted)
        return cls(table, vectors, values, moments, wanted, is_dual)

    @property
    def size(self) -> float:
        """Mean square of what a row measures, which penalties are multiples of."""
        return max(FLAT, float(self.values.sum()) / len(self.table))

    def slopes(self, penalty: float) -> np.ndarray:
        """(columns, outputs)."""
        found = self.vectors @ (self.moments / (self.values + penalty)[:, None])
        return np.asarray(self.table.T @ found if self.is_dual else found)

    def left_out(self, penalty: float, share: np.ndarray) -> np.ndarray:
        """(rows, outputs): what each row, had it been left out, would have been missed by, as it weighs."""
        shrunk = self.values / (self.values + penalty)
        if self.is_dual:
            fitted = self.vectors @ (shrunk[:, None] * self.moments)
            own = self.vectors**2 @ shrunk
        else:
            turned = self.table @ self.vectors
            fitted = turned @ (self.moments / (self.values + penalty)[:, None])
            own = turned**2 @ (1 / (self.values + penalty))
        left = np.maximum(1 - own - share, LEAST_LEFT)
        return np.asarray((self.wanted - fitted) / left[:, None])
