"""Penalised linear models on scaled numbers and one-hot categories: logistic for classes, ridge for numbers.

Cheap, small, readable, and good where signals add up. Slopes may bend at quantiles of a column, which catches most of
what one column alone can say. Solved here so that the deadline can cut in and a saved model needs NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search_spaces.checked import need, table
from search_spaces.classical._answers import Answers, shares_of, unit_weight
from search_spaces.classical._dense import Dense, DenseEncoder
from search_spaces.classical._parts import pack_arrays, unpack_arrays
from search_spaces.spec import Additions, Choice, Family, Float, Learner, Matrix, Needs, Params, Price, Rows, Run, Space

SPACE: Space = {
    "penalty": Float(1e-2, 1e4, start=3.0, log=True),
    "bends": Choice((0, 3, 7, 15), start=3),
}

PORTFOLIO: tuple[Params, ...] = (
    {"penalty": 1.0, "bends": 7},
    {"penalty": 30.0, "bends": 7},
    {"penalty": 10.0, "bends": 0},
)

MOST_HOT = 1000
MOST_NUMBERS = 2000  # bends are left out where they would make more columns than this,
MOST_CELLS = 100_000_000  # or more than 400 MB
BLOCK = 8192  # rows between looks at the clock
PASSES = 5  # over the rows to turn squared misses into absolute ones; further ones change little
LEAST_MISS = 1e-3  # in deviations of the answers: below it a row weighs no more


class Linear:
    """Slopes, an intercept and the encoding they were learned on."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Solve for the slopes; iterations or rows end where the time does."""
        from threadpoolctl import threadpool_limits

        self.answers = Answers.of(train, run)
        bends = self.params["bends"]
        columns = train.X.numbers.shape[1] * (bends + 1)
        if columns > MOST_NUMBERS or columns * len(train) > MOST_CELLS:
            bends = 0
        solve = _logistic
        if run.task == "regression":
            solve = _least_absolute if run.metric == "mae" else _ridge
        with threadpool_limits(run.threads):
            self.encoder = DenseEncoder.fit(train.X, MOST_HOT, bends)
            rows = Rows(train.X, self.answers.encode(train.y), unit_weight(train))
            weights, self.is_cut = solve(self.encoder, rows, self.params["penalty"], run)
        self.slopes = np.ascontiguousarray(weights[:-1], dtype=np.float32)
        self.intercept = weights[-1].astype(np.float32)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:  # noqa: ARG002 - part of the protocol
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        dense = self.encoder.encode(X)
        numbers = dense.numbers.shape[1]
        raw = dense.numbers @ self.slopes[:numbers] + self.slopes[numbers:][dense.hot].sum(axis=1) + self.intercept
        return self.answers.decode(raw if self.answers.task == "regression" else shares_of(raw.astype(np.float64)))

    def additions(self, X: Matrix, beside: Matrix | None = None, threads: int = 1) -> Additions | None:  # noqa: ARG002
        """Slopes times how far a row lies from the usual ones."""
        if beside is None or not len(X):
            return None
        usual = self.encoder.added(beside, self.slopes).mean(axis=0)
        values = self.encoder.added(X, self.slopes) - usual
        return self.answers.additions(self.intercept + usual.sum(axis=0), values)

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        state = {**self.encoder.arrays(), "slopes": self.slopes, "intercept": self.intercept}
        return {"answers.json": self.answers.pack(), "linear.npz": pack_arrays(state)}


def _least_absolute(encoder: DenseEncoder, rows: Rows, penalty: float, run: Run) -> tuple[np.ndarray, bool]:
    """Ridge again and again, each row weighed by one over its last miss: its square then counts as the miss itself."""
    weights, is_cut = _ridge(encoder, rows, penalty, run)
    for _ in range(PASSES):
        if is_cut or run.is_over:
            return weights, True
        better, is_cut = _ridge(encoder, rows, penalty, run, before=weights)
        weights = weights if is_cut else better
    return weights, is_cut


def _ridge(
    encoder: DenseEncoder, rows: Rows, penalty: float, run: Run, before: np.ndarray | None = None
) -> tuple[np.ndarray, bool]:
    """Normal equations summed up block by block; the blocks seen before the deadline decide.

    `before`: an earlier solution; rows weigh the less the farther it misses them. Of more columns than rows the same is
    solved row by row, which takes the less the fewer there are.
    """
    if encoder.columns > len(rows):
        return _ridge_by_rows(encoder, rows, penalty, before), False
    order = np.random.default_rng(run.seed).permutation(len(rows))  # sorted rows, cut short, would mislead
    gram: Any = 0.0
    moment: Any = 0.0
    heavy = 0.0
    is_cut = False
    for first in range(0, len(rows), BLOCK):
        if first and run.is_over:
            is_cut = True
            break
        chosen = order[first : first + BLOCK]
        dense = encoder.encode(rows.X.take(chosen))
        table = np.column_stack([dense.full().astype(np.float64), np.ones(len(chosen))])
        weighted = table if rows.weight is None else table * rows.weight[chosen, None]
        if before is not None:
            nearness = 1 / np.maximum(np.abs(rows.y[chosen, None] - table @ before), LEAST_MISS)
            weighted, heavy = weighted * nearness, heavy + float(nearness.sum())
        gram = gram + weighted.T @ table
        moment = moment + weighted.T @ rows.y[chosen]
    free_intercept = np.full(len(gram), penalty * (heavy / len(rows) if before is not None else 1.0))
    free_intercept[-1] = 1e-9
    return np.linalg.solve(gram + np.diag(free_intercept), moment)[:, None], is_cut


def _ridge_by_rows(encoder: DenseEncoder, rows: Rows, penalty: float, before: np.ndarray | None) -> np.ndarray:
    """The solution of `_ridge` as a sum over rows; the intercept, which no penalty holds, is that of the means."""
    table = encoder.encode(rows.X).full().astype(np.float64)
    share = np.ones(len(rows)) if rows.weight is None else np.asarray(rows.weight, dtype=np.float64)
    if before is not None:
        nearness = 1 / np.maximum(np.abs(rows.y - table @ before[:-1, 0] - before[-1, 0]), LEAST_MISS)
        share, penalty = share * nearness, penalty * float(nearness.sum()) / len(rows)
    centre, middle = share @ table / share.sum(), float(share @ rows.y / share.sum())
    root = np.sqrt(share)
    system = (table - centre) * root[:, None]
    told = np.linalg.solve(system @ system.T + penalty * np.eye(len(rows)), root * (rows.y - middle))
    slopes = system.T @ told
    return np.append(slopes, middle - centre @ slopes)[:, None]


def _logistic(encoder: DenseEncoder, rows: Rows, penalty: float, run: Run) -> tuple[np.ndarray, bool]:
    """Multinomial logistic regression by L-BFGS; the last iterate before the deadline decides."""
    from scipy.optimize import minimize

    dense = encoder.encode(rows.X)
    outputs = run.classes if run.task == "multiclass" else 1
    shape = (dense.numbers.shape[1] + dense.width + 1, outputs)
    loss = _Loss(dense, rows, penalty, run.classes)
    cut = []

    def look_at_clock(intermediate_result: Any) -> None:  # noqa: ARG001 - SciPy passes it by this name
        if run.is_over:
            cut.append(True)
            raise StopIteration

    options = {"maxiter": 300, "maxcor": 20, "ftol": 1e-7, "gtol": 1e-5}
    found = minimize(
        lambda flat: loss(flat.reshape(shape)),
        np.zeros(shape).reshape(-1),
        jac=True,
        method="L-BFGS-B",
        callback=look_at_clock,
        options=options,
    )
    return found.x.reshape(shape), bool(cut)


class _Loss:
    """Mean log loss plus penalty, with its gradient; products in float32, sums in float64."""

    def __init__(self, dense: Dense, rows: Rows, penalty: float, classes: int) -> None:
        self.dense = dense
        self.hot = dense.sparse_hot()
        self.y = rows.y
        self.weight = np.ones(len(rows)) if rows.weight is None else rows.weight
        self.penalty = penalty / len(rows)
        self.classes = classes

    def __call__(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        numbers, count = self.dense.numbers, len(self.y)
        small = weights.astype(np.float32)
        split = numbers.shape[1]
        raw = numbers @ small[:split] + self.hot @ small[split:-1] + small[-1]
        shares = shares_of(raw.astype(np.float64))
        every = np.arange(count)
        loss = -np.average(np.log(shares[every, self.y] + 1e-12), weights=self.weight)
        shares[every, self.y] -= 1
        miss = shares[:, -weights.shape[1] :] * (self.weight / count)[:, None]
        small_miss = miss.astype(np.float32)
        gradient = np.concatenate([numbers.T @ small_miss, self.hot.T @ small_miss, miss.sum(axis=0)[None, :]])
        gradient = gradient.astype(np.float64)
        gradient[:-1] += self.penalty * weights[:-1]
        return float(loss + 0.5 * self.penalty * np.sum(weights[:-1] ** 2)), gradient.reshape(-1)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    learner = Linear({})
    learner.answers = Answers.read(parts)
    state = unpack_arrays(parts["linear.npz"])
    outputs = learner.answers.outputs
    learner.slopes = table(state, "slopes", (None, outputs), "f")
    learner.intercept = table(state, "intercept", (outputs,), "f")
    learner.encoder = DenseEncoder.from_arrays({n: a for n, a in state.items() if n not in ("slopes", "intercept")})
    need(len(learner.slopes) == learner.encoder.columns, "there is no slope for each column")
    return learner


FAMILY = Family(
    name="linear",
    title="linear model",
    route="classical",
    space=SPACE,
    build=Linear,
    load=load,
    needs=Needs(rows=(10, 5_000_000), columns=(1, 6_000), classes=200),
    portfolio=PORTFOLIO,
    price=Price(0.1, 1.5, 0.7),
    is_threaded=False,
    imports=("scipy.optimize", "threadpoolctl"),
)
