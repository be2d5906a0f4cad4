"""A penalised linear model on the words and characters of all text columns, and on what stands beside them.

The strongest simple model of texts: TF-IDF of words and of runs of characters, each maybe weighed by how well it tells
the classes apart (Wang & Manning 2012, "Baselines and Bigrams"). Solved here, so that the deadline can cut in and a
saved model needs NumPy and SciPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from search_spaces.checked import finite, need, table
from search_spaces.classical._answers import Answers, shares_of, unit_weight
from search_spaces.classical._dense import DenseEncoder
from search_spaces.classical._parts import pack_arrays, pack_json, unpack_arrays, unpack_json
from search_spaces.spec import (
    TABLE,
    Choice,
    Family,
    Float,
    Learner,
    Matrix,
    Media,
    Needs,
    Params,
    Price,
    Rows,
    Run,
    Space,
)
from search_spaces.text.terms import Unit
from search_spaces.text.weights import TermWeights, learn_weights

TEXT = "text"

SPACE: Space = {
    "words": Choice((1, 2, 3), start=2),  # the longest run
    "characters": Choice((0, 4, 5, 6), start=5),  # the longest run; 0: words alone
    "least": Choice((1, 2, 3, 5), start=2),  # texts that a term is in, to be used
    "telling": Choice((False, True), start=False),  # terms weighed by how well they tell the classes apart
    "strength": Float(0.1, 300.0, start=8.0, log=True),  # one over the penalty of a row
    "beside": Float(0.1, 3.0, start=0.5, log=True),  # how much what stands beside the texts weighs, as a whole
}

PORTFOLIO: tuple[Params, ...] = (
    {"telling": True, "strength": 4.0},
    {"strength": 40.0},
    {"words": 1, "characters": 0, "strength": 4.0, "least": 1},
    {"telling": True, "characters": 0, "strength": 2.0},
)

MOST_TERMS = 300_000  # of one unit in one column
MOST_SLOPES = 2_000_000  # of all outputs: memory of the solver is some dozen times as much
SHORTEST = 3  # run of characters: pairs take a third more time and tell nothing more
MOST_HOT = 500
SMOOTHING = 1.0  # added to the counts behind ratios of classes
STEEPEST = 4.0  # logarithm of such a ratio at most
FLAT = 1e-12
CURVATURE = 0.15  # of the loss of a row by its output, usually: p (1 - p)


class TextLinear:
    """Slopes of terms and of what stands beside them, an intercept, and how rows become these numbers."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Solve for the slopes; iterations end where the time does."""
        from threadpoolctl import threadpool_limits

        self.answers = Answers.of(train, run)
        outputs = run.classes if run.task == "multiclass" else 1
        with threadpool_limits(run.threads):
            self.reader = _learn_reader(train.X, self.params, most=max(1000, MOST_SLOPES // outputs))
            table = self.reader.read(train.X)
            y, weight = self.answers.encode(train.y), unit_weight(train)
            scale = _telling(table, train, run) if self.params["telling"] and run.task != "regression" else None
            problem = _Problem(table, y, weight, 1.0 / (self.params["strength"] * len(train)), run, scale)
            weights, self.is_cut = problem.solve(outputs)
        self.slopes = np.ascontiguousarray(weights[:-1], dtype=np.float32)
        self.intercept = weights[-1].astype(np.float32)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:  # noqa: ARG002 - part of the protocol
        """Predict rows."""
        if not len(X):
            return self.answers.nothing()
        raw = self.intercept.astype(np.float64) + np.zeros((len(X), 1))
        first = 0
        for part in self.reader.parts(X):
            raw = raw + part @ self.slopes[first : first + part.shape[1]]
            first += part.shape[1]
        return self.answers.decode(raw if self.answers.task == "regression" else shares_of(raw))

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        facts, arrays = self.reader.pack()
        state = {**arrays, "slopes": self.slopes, "intercept": self.intercept}
        return {
            "answers.json": self.answers.pack(),
            "text.json": pack_json(facts),
            "text.npz": pack_arrays(state, compress=True),
        }


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    learner = TextLinear({})
    learner.answers = Answers.read(parts)
    state = unpack_arrays(parts["text.npz"])
    outputs = learner.answers.outputs
    learner.slopes = table(state, "slopes", (None, outputs), "f")
    learner.intercept = table(state, "intercept", (outputs,), "f")
    learner.reader = _read_reader(unpack_json(parts["text.json"]), state)
    need(len(learner.slopes) == learner.reader.width, "there is no slope for each term")
    return learner


# --- rows as numbers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    """How rows become one sparse matrix: the terms of each text column, then what stands beside them."""

    columns: tuple[tuple[str, TermWeights], ...]  # a text column may stand here twice: its words, its characters
    encoder: DenseEncoder | None
    beside: float

    def read(self, X: Matrix) -> Any:
        """(rows, width) float32, sparse."""
        from scipy.sparse import csr_array, hstack

        return csr_array(hstack(self.parts(X), format="csr"))

    def parts(self, X: Matrix) -> list[Any]:
        """The same in pieces, side by side."""
        parts = [weights.transform(X.media[name]) for name, weights in self.columns]
        if self.encoder is not None:
            dense = self.encoder.encode(X)
            share = np.float32(self.beside / np.sqrt(max(1, dense.numbers.shape[1] + dense.hot.shape[1])))
            parts += [dense.numbers * share, dense.sparse_hot() * share]
        return parts

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return sum(weights.width for _, weights in self.columns) + (self.encoder.columns if self.encoder else 0)

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Plain facts, and arrays."""
        arrays: dict[str, np.ndarray] = {}
        for at, (_, weights) in enumerate(self.columns):
            arrays |= weights.arrays(str(at))
        if self.encoder is not None:
            arrays |= {f"beside.{name}": array for name, array in self.encoder.arrays().items()}
        facts = {"columns": [[name, weights.unit] for name, weights in self.columns], "beside": self.beside}
        return facts, arrays


def _read_reader(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> _Reader:
    columns = tuple(
        (str(name), TermWeights.read(arrays, str(at), cast("Unit", unit)))
        for at, (name, unit) in enumerate(facts["columns"])
    )
    own = {name.removeprefix("beside."): array for name, array in arrays.items() if name.startswith("beside.")}
    return _Reader(columns, DenseEncoder.from_arrays(own) if own else None, finite(facts["beside"], "beside"))


def _learn_reader(X: Matrix, params: Params, most: int) -> _Reader:
    texts = {name: block for name, block in X.media.items() if block.kind == TEXT}
    room = max(1, min(MOST_TERMS, most // max(1, 2 * len(texts))))
    columns = []
    for name, block in texts.items():
        for unit, lengths in _runs(params):
            columns.append((name, learn_weights(block, unit, lengths, least=_least(block, params), most=room)))
    has_more = X.numbers.shape[1] + X.codes.shape[1] > 0
    return _Reader(tuple(columns), DenseEncoder.fit(X, MOST_HOT) if has_more else None, float(params["beside"]))


def _least(block: Media, params: Params) -> int:
    """Of few texts every term is used."""
    return int(min(params["least"], max(1, len(block) // 50)))


def _runs(params: Params) -> list[tuple[Unit, Sequence[int]]]:
    words: tuple[Unit, Sequence[int]] = ("words", range(1, params["words"] + 1))
    if not params["characters"]:
        return [words]
    return [words, ("characters", range(SHORTEST, params["characters"] + 1))]


# --- slopes ----------------------------------------------------------------------------------------------------------


def _telling(table: Any, train: Rows, run: Run) -> np.ndarray:
    """(columns, outputs): how much more of a term there is in a class than outside it, as a logarithm, its size."""
    told = []
    classes = range(run.classes) if run.task == "multiclass" else (1,)
    size = abs(table)
    for label in classes:
        inside = (train.y == label).astype(np.float32)
        within = SMOOTHING + size.T @ inside
        without = SMOOTHING + size.T @ (1 - inside)
        ratio = np.log(within / within.sum()) - np.log(without / without.sum())
        told.append(np.clip(np.abs(ratio), 0.05, STEEPEST))
    return np.stack(told, axis=1)


@dataclass(frozen=True)
class _Problem:
    """Mean loss plus penalty. With a scale, slopes are sought as multiples of it: what tells more is penalised less."""

    table: Any
    y: np.ndarray
    weight: np.ndarray | None
    penalty: float
    run: Run
    scale: np.ndarray | None

    def solve(self, outputs: int) -> tuple[np.ndarray, bool]:
        """(columns + 1, outputs) by L-BFGS, and whether the deadline cut in."""
        from scipy.optimize import minimize

        shape = (self.table.shape[1] + 1, outputs)
        steps = self._steps(outputs)
        cut: list[bool] = []

        def look_at_clock(intermediate_result: Any) -> None:  # noqa: ARG001 - SciPy passes it by this name
            if self.run.is_over:
                cut.append(True)
                raise StopIteration

        found = minimize(
            lambda flat: self.scaled_loss(flat.reshape(shape), steps), np.zeros(shape).reshape(-1), jac=True,
            method="L-BFGS-B", callback=look_at_clock, options={"maxiter": 200, "maxcor": 6, "ftol": 1e-5},
        )  # fmt: skip
        weights = found.x.reshape(shape) * steps
        if self.scale is not None:
            weights = np.concatenate([weights[:-1] * self.scale, weights[-1:]])
        return weights, bool(cut)

    def _steps(self, outputs: int) -> np.ndarray:
        """(columns + 1, outputs or 1): how far a slope goes for one unit of what is sought, so that all curve alike."""
        size = np.asarray(self.table.multiply(self.table).mean(axis=0), dtype=np.float64).reshape(-1, 1)
        if self.scale is not None:
            size = size * self.scale**2
        curved = np.concatenate([CURVATURE * size + self.penalty, np.full((1, size.shape[1]), CURVATURE)])
        return np.asarray(np.broadcast_to(1 / np.sqrt(curved), (len(curved), outputs)))

    def scaled_loss(self, sought: np.ndarray, steps: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss of slopes given as so many steps."""
        value, gradient = self.loss(sought * steps)
        return value, (gradient.reshape(sought.shape) * steps).reshape(-1)

    def loss(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """With its gradient; products in float32, sums in float64."""
        small = weights[:-1].astype(np.float32)
        raw = self.table @ (small if self.scale is None else small * self.scale.astype(np.float32)) + weights[-1]
        value, miss = self._miss(np.asarray(raw, dtype=np.float64))
        back = self.table.T @ miss.astype(np.float32)
        gradient = np.asarray(back if self.scale is None else back * self.scale, dtype=np.float64)
        gradient = np.concatenate([gradient + self.penalty * weights[:-1], miss.sum(axis=0)[None, :]])
        return float(value + 0.5 * self.penalty * np.sum(weights[:-1] ** 2)), gradient.reshape(-1)

    def _miss(self, raw: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and its slope by every output."""
        count = len(self.y)
        share = np.full(count, 1 / count) if self.weight is None else self.weight / self.weight.sum()
        if self.run.task == "regression":
            off = raw[:, 0] - self.y
            if self.run.metric == "mae":
                size = np.sqrt(off**2 + 1e-4)  # smooth where it turns
                return float(share @ size), (share * off / size)[:, None]
            return float(0.5 * share @ off**2), (share * off)[:, None]
        shares = shares_of(raw)
        every = np.arange(count)
        value = -float(share @ np.log(shares[every, self.y] + FLAT))
        shares[every, self.y] -= 1
        return value, shares[:, -raw.shape[1] :] * share[:, None]


FAMILY = Family(
    name="text_linear",
    title="linear model on words and characters",
    route="classical",
    space=SPACE,
    build=TextLinear,
    load=load,
    reads=TABLE | {TEXT},
    reads_all=True,
    needs=Needs(rows=(10, 5_000_000), classes=200),
    portfolio=PORTFOLIO,
    quick={"characters": 0, "words": 1},
    price=Price(0.3, 15.0, 0.7, cell_bytes=300.0),
    is_threaded=False,
    imports=("scipy.optimize", "scipy.sparse", "threadpoolctl"),
)
