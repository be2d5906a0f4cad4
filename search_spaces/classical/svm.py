"""Support vector machine with a Gaussian (RBF) kernel, on scaled numbers and one-hot categories.

Smooth where trees are steps: strong on descriptions of pictures and sounds and on small tables of numbers. Time grows
with the square of the rows. What a margin means as a probability is learned from training rows that it was not made
of, never from validation rows: a fold is scored on those.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np

from search_spaces.checked import finite, need
from search_spaces.classical._answers import Answers, unit_weight
from search_spaces.classical._dense import DenseEncoder
from search_spaces.classical._kernel import KernelProblem, read_machine, solve, within_time
from search_spaces.classical._parts import pack_arrays, pack_json, unpack_arrays, unpack_json
from search_spaces.spec import Family, Float, Learner, Matrix, Needs, Params, Price, Rows, Run, Space

SPACE: Space = {
    "C": Float(0.1, 1000.0, start=10.0, log=True),
    "gamma": Float(0.02, 20.0, start=0.6, log=True),  # times one over the total variance of the columns
    "balance": Float(0.0, 1.0, start=0.5),  # how far a rare class is brought up against a frequent one
}

PORTFOLIO: tuple[Params, ...] = (
    {"C": 10.0, "gamma": 0.2},
    {"C": 10.0, "gamma": 1.2},
    {"C": 30.0, "gamma": 2.0, "balance": 0.0},
)

MOST_ROWS = 20_000
MOST_HOT = 200
SHARPS = (0.5, 1.0, 2.0, 4.0)  # how fast a margin becomes certainty; tried in turn
HELD_ROWS = 1_000  # enough to learn a handful of numbers from
FOLDS = 3
PART_COST = 0.5  # of a whole solution, to solve without a third of the rows: (2 / 3) squared and what does not shrink


@dataclass(frozen=True)
class Odds:
    """From the scores of classes to probabilities: softmax(weight * score + bias), mixed with a little of nothing."""

    sharp: float
    weight: float
    bias: tuple[float, ...]
    doubt: float  # share of a uniform guess, so that no probability is zero

    def shares(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities."""
        return (1 - self.doubt) * _softmax(self.weight * scores + self.bias) + self.doubt / len(self.bias)


class SupportVectors:
    """A machine, the encoding it was learned on, and what its margins mean."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Solve on all rows, or on as many as the time allows; then learn what margins mean from parts of them."""
        import sklearn.svm  # noqa: F401 - brings the matrix library that libsvm calls, to be limited too
        from threadpoolctl import ThreadpoolController

        self.threads = ThreadpoolController()
        self.answers = Answers.of(train, run)
        self.odds = Odds(1.0, 1.3 * max(1, run.classes - 1), (0.0,) * run.classes, 0.01)  # as most turn out
        with self.threads.limit(limits=run.threads):
            problem = self._problem(train, run)
            kept = within_time(problem, run, 1.0 if run.task == "regression" else 1.0 + PART_COST * _parts(problem))
            if kept is not None:
                problem, self.is_cut = problem.take(kept), True
            start = time.monotonic()
            self.machine, cut = solve(problem, run)
            self.is_cut |= cut
            if run.task != "regression":
                self._learn_odds(problem, run, time.monotonic() - start)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        with self.threads.limit(limits=threads):
            table = self.encoder.encode(X).full()
            if self.answers.task == "regression":
                return self.answers.decode(self.machine.values(table))
            scores = self.machine.scores(table, (self.odds.sharp,))[0]
        return self.answers.decode(self.odds.shares(scores.astype(np.float64)))

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        return {
            "answers.json": self.answers.pack(),
            "odds.json": pack_json(asdict(self.odds)),
            "encoder.npz": pack_arrays(self.encoder.arrays()),
            "machine.npz": pack_arrays(self.machine.arrays()),
        }

    def _problem(self, train: Rows, run: Run) -> KernelProblem:
        """Rows that count, a seeded sample of them where they are too many; learns the encoding."""
        chosen = np.arange(len(train)) if train.weight is None else np.flatnonzero(train.weight > 0)
        if len(chosen) > MOST_ROWS:
            chosen = np.sort(np.random.default_rng(run.seed).choice(chosen, MOST_ROWS, replace=False))
        X = train.X.take(chosen)
        weight = None if train.weight is None else train.weight[chosen]
        self.encoder = DenseEncoder.fit(X, MOST_HOT)
        table = self.encoder.encode(X).full()
        spread = float(table.var(axis=0, dtype=np.float64).sum())
        return KernelProblem(
            table=table,
            y=self.answers.encode(train.y[chosen]),
            weight=unit_weight(Rows(X, train.y[chosen], weight)),
            classes=1 if run.task == "regression" else run.classes,
            C=self.params["C"],
            gamma=self.params["gamma"] / max(spread, 1e-6),
            balance=self.params["balance"],
        )

    def _learn_odds(self, problem: KernelProblem, run: Run, solved_s: float) -> None:
        """From parts held out of machines that are solved for this alone."""
        part = np.random.default_rng(run.seed).permutation(len(problem)) % FOLDS
        scores, held = [], np.empty(0, dtype=np.int64)
        for fold in range(_parts(problem)):
            if time.monotonic() + PART_COST * solved_s > run.until:
                self.is_cut = True
                break
            rest, out = np.flatnonzero(part != fold), np.flatnonzero(part == fold)
            machine, cut = solve(problem.take(rest), run)
            self.is_cut |= cut
            scores.append(machine.scores(problem.table[out], SHARPS))
            held = np.concatenate([held, out])
        if scores:
            weight = np.ones(len(problem)) if problem.weight is None else problem.weight
            self.odds = _fit_odds(np.concatenate(scores, axis=1), problem.y[held], weight[held])


def _parts(problem: KernelProblem) -> int:
    """How many thirds of the rows are held out, one after the other, until enough rows were."""
    return min(FOLDS, ceil(HELD_ROWS * FOLDS / len(problem))) if len(problem) >= 2 * FOLDS else 0


def _softmax(raw: np.ndarray) -> np.ndarray:
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def _fit_odds(scores: np.ndarray, y: np.ndarray, weight: np.ndarray) -> Odds:
    """The sharpness, weight and biases of least log loss; biases are drawn to zero as by one row in favour."""
    from scipy.optimize import minimize

    classes, doubt = scores.shape[2], 1.0 / (len(y) + 2)
    weight = weight / weight.mean()
    hit = y[:, None] == np.arange(classes)

    def loss(flat: np.ndarray, score: np.ndarray) -> tuple[float, np.ndarray]:
        shares = _softmax(np.exp(flat[0]) * score + flat[1:])
        told = doubt / classes + (1 - doubt) * shares[hit]
        scale = weight * (1 - doubt) * shares[hit] / told  # 1 but where a class was thought impossible
        miss = (shares - hit) * scale[:, None]
        slope = np.concatenate([[np.exp(flat[0]) * (miss * score).sum()], miss.sum(axis=0) + flat[1:]])
        return float(-weight @ np.log(told) + 0.5 * flat[1:] @ flat[1:]), slope

    best: Any = None
    start = np.zeros(1 + classes)
    bounds = [(-3.0, 6.0), *[(-10.0, 10.0)] * classes]
    for sharp, score in zip(SHARPS, scores.astype(np.float64), strict=True):
        found = minimize(loss, start, args=(score,), jac=True, method="L-BFGS-B", bounds=bounds)
        if best is None or found.fun < best[0]:
            best = found.fun, sharp, found.x
    _, sharp, flat = best
    return Odds(sharp, float(np.exp(flat[0])), tuple(float(each) for each in flat[1:]), doubt)


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    from threadpoolctl import ThreadpoolController

    learner = SupportVectors({})
    learner.answers = Answers.read(parts)
    odds = unpack_json(parts["odds.json"])
    sharp, weight = (finite(odds[name], name) for name in ("sharp", "weight"))
    bias = tuple(finite(one, "bias") for one in odds["bias"])
    learner.odds = Odds(sharp, weight, bias, finite(odds["doubt"], "doubt", 0.0, 1.0))
    learner.encoder = DenseEncoder.from_arrays(unpack_arrays(parts["encoder.npz"]))
    classes = 1 if learner.answers.task == "regression" else learner.answers.classes
    need(classes == 1 or len(bias) == classes, "there is no bias for each class")
    learner.machine = read_machine(unpack_arrays(parts["machine.npz"]), classes, learner.encoder.columns)
    learner.threads = ThreadpoolController()
    return learner


FAMILY = Family(
    name="svm",
    title="RBF support vector machine",
    route="classical",
    space=SPACE,
    build=SupportVectors,
    imports=("sklearn.svm",),
    load=load,
    needs=Needs(rows=(10, MOST_ROWS), columns=(1, 5_000), classes=100, package="sklearn"),
    portfolio=PORTFOLIO,
    price=Price(0.3, 0.3, pair_ns=120.0, cell_bytes=40.0),
    recipes=("reduced", "plain"),
    is_threaded=False,
)
