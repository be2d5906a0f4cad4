"""How much worse a model gets when the cells of a column are shuffled among the rows, with the interval of chance.

Asked are the fitted folds of a run, each about the rows that it held out: nothing is measured on rows that a model has
learned from. A column is shuffled as the user sees it: all that is made of a cell (the parts of a date, the words of a
text, the code of a category) moves along with it. Columns that say the same are shuffled together as well. Runs in a
worker, where libraries are warm.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

import search_spaces
from automl.data.prepare import Shared
from automl.explain.alike import Group
from automl.explain.cells import Place, shuffled
from automl.modalities.mixture import FoldFeatures, Raw, load_features
from automl.records import Calibration
from automl.runtime.folder import RunFolder
from automl.scoring import metrics
from automl.scoring.metrics import Metric, sample_rows
from automl.scoring.readout import calibrated, decided
from automl.training import learners
from cluster.pool import Grant
from search_spaces.spec import Learner, Matrix

ROUNDS = 50  # redrawings of rows and repeats: their spread is read as that of a normal distribution, known to a tenth
WIDE = NormalDist().inv_cdf(0.975)
LEAST_ROWS = 200  # below it chance drowns most columns
STACKED_CELLS = 20_000_000  # of the repeats that are predicted together, so that memory stays bounded
SAFE = 0.8  # of the time that is left is planned with
GROUPS = ("learner", "features")  # of the files of a fitted fold

Parts = Mapping[tuple[int, int, str], Mapping[str, bytes]]  # by trial, fold and group


@dataclass(frozen=True)
class Effort:
    """How carefully it is measured."""

    rows: int = 2_000
    repeats: int = 5


@dataclass(frozen=True)
class AskedTrial:
    """A trial whose fitted folds are asked, and its weight."""

    number: int
    family: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class ImportanceRequest:
    """What is measured: of which models, on which rows, for which columns."""

    path: str  # of the run
    members: tuple[AskedTrial, ...]
    readout: Calibration
    metric: str
    levels: tuple[float, ...]
    rows: np.ndarray  # of the data set
    fold: np.ndarray  # that held each of them out
    places: tuple[Place, ...]
    repeats: int
    positive: int = 1  # of two classes, the one to be found
    groups: tuple[Group, ...] = ()  # of places that are shuffled together as well


@dataclass(frozen=True)
class Weighed:
    """A column, and by how much the metric gets worse without it."""

    column: str
    importance: float
    low: float
    high: float


@dataclass(frozen=True)
class WeighedGroup:
    """Columns that say the same, and by how much the metric gets worse without all of them."""

    columns: tuple[str, ...]
    alike: float
    together: Weighed


@dataclass(frozen=True)
class Measured:
    """The columns that there was time for, and on how much they were measured."""

    columns: tuple[Weighed, ...]
    rows: int
    repeats: int
    groups: tuple[WeighedGroup, ...] = ()  # that there was time for


@dataclass(frozen=True)
class Ground:
    """The encoded rows, their answers, and the fold that held each out."""

    raw: Raw
    y: np.ndarray
    weight: np.ndarray | None
    fold: np.ndarray

    def take(self, rows: np.ndarray) -> Ground:
        """The given ones."""
        weight = None if self.weight is None else self.weight[rows]
        return Ground(self.raw.take(rows), self.y[rows], weight, self.fold[rows])

    @property
    def weights(self) -> np.ndarray:
        """Ones where there were no weights."""
        return np.ones(len(self.y)) if self.weight is None else self.weight


def of_run(grant: Grant, ask: ImportanceRequest, shared: Shared, parts: Parts | None = None) -> Measured:
    """Measured on rows of the data that all workers see, as far as the grant's time goes.

    `parts`: the fitted folds, where the run's folder is out of reach.
    """
    weight = None if shared.weight is None else shared.weight[ask.rows]
    return weigh(ask, Ground(shared.raw.take(ask.rows), shared.y[ask.rows], weight, ask.fold), grant, parts)


def parts_of(ask: ImportanceRequest, folder: RunFolder) -> Parts:
    """The files of all fitted folds that will be asked, to travel to a worker that does not see the run's folder."""
    return fold_parts(ask.members, np.unique(ask.fold).tolist(), folder)


def fold_parts(members: Sequence[AskedTrial], folds: Sequence[int], folder: RunFolder) -> Parts:
    """The files of these folds of these trials."""
    return {
        (member.number, fold, group): folder.read_parts(member.number, fold, group)
        for member in members for fold in folds for group in GROUPS
    }  # fmt: skip


def weigh(ask: ImportanceRequest, ground: Ground, grant: Grant, parts: Parts | None = None) -> Measured:
    """Every column in turn; where time is short with fewer repeats, then fewer rows, then not all columns."""
    panel = PermutationPanel(ask, grant.threads, parts_of(ask, RunFolder(Path(ask.path))) if parts is None else parts)
    metric = metrics.get(ask.metric, ask.levels, ask.positive)
    started = time.monotonic()
    told = panel.predict(ground.raw, ground.fold)
    predict_s = time.monotonic() - started
    errors, started = metric.errors(ground.y, told), time.monotonic()
    errors(ground.weights)
    error_s = ROUNDS * (time.monotonic() - started)
    cost = _Cost(len(ask.places) + len(ask.groups), predict_s, error_s)
    left_s = SAFE * (grant.until - time.monotonic())
    repeats = next((r for r in range(ask.repeats, 1, -1) if cost.of(r) <= left_s), 1)
    share = 1.0 if math.isinf(left_s) else max(0.0, left_s) / max(cost.of(repeats), 1e-9)
    if share < 1 and len(ground.y) > LEAST_ROWS:
        some = sample_rows(ground.y, max(LEAST_ROWS, int(share * len(ground.y))))
        ground, told = ground.take(some), told[some]
    judge = ErrorJudge(metric, ground, told, repeats)
    column_s, found, grouped = cost.of(repeats) * min(1.0, share) / max(1, cost.columns), [], []
    for at, own in enumerate([*((at,) for at in range(len(ask.places))), *(group.members for group in ask.groups)]):
        if time.monotonic() + column_s > grant.until:
            break
        started, random = time.monotonic(), np.random.default_rng((1, at))
        among = [ask.places[member] for member in own]
        name = among[0].name if at < len(ask.places) else ""
        weighed = judge.weighed(name, _repeated(panel, ground, among, repeats, random), random)
        if at < len(ask.places):
            found.append(weighed)
        else:
            alike = ask.groups[at - len(ask.places)].alike
            grouped.append(WeighedGroup(tuple(place.name for place in among), alike, weighed))
        column_s = max(column_s, time.monotonic() - started)
    return Measured(tuple(found), len(ground.y), repeats, tuple(grouped))


@dataclass(frozen=True)
class _Cost:
    """Seconds that all columns take."""

    columns: int  # and groups of them
    predict_s: float  # all rows once
    error_s: float  # the rounds of one repeat

    def of(self, repeats: int) -> float:
        return self.columns * repeats * (self.predict_s + self.error_s)


class PermutationPanel:
    """The fitted folds of a run's trials: together a model that no row has taught that it is asked about."""

    def __init__(self, ask: ImportanceRequest, threads: int, parts: Parts) -> None:
        self._readout, self._threads = ask.readout, threads
        self._features: dict[str, FoldFeatures] = {}
        self._parts: dict[int, list[tuple[str, Learner, float]]] = {}
        for fold in np.unique(ask.fold).tolist():
            self._parts[fold] = [self._part(parts, member, fold) for member in ask.members]

    def _part(self, files_of: Parts, member: AskedTrial, fold: int) -> tuple[str, Learner, float]:
        """A fitted fold; trials that present the table alike share what they learned of it."""
        learner_files, files = (files_of[member.number, fold, group] for group in GROUPS)
        key = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()
        if key not in self._features:
            self._features[key] = load_features(files)
        learner = learners.load(search_spaces.get(member.family), learner_files)
        return key, learner, member.weight

    def predict(self, raw: Raw, fold: np.ndarray) -> np.ndarray:
        """What is said of each row by the models that its fold's training rows made, as it is scored."""
        rows = [np.flatnonzero(fold == k) for k in self._parts]
        said = [self._mixed(raw.take(own), parts) for own, parts in zip(rows, self._parts.values(), strict=True)]
        order = np.concatenate(rows)
        mixed = np.empty((len(raw), *said[0].shape[1:]))
        mixed[order] = np.concatenate(said)
        return decided(calibrated(mixed, self._readout), self._readout)

    def _mixed(self, raw: Raw, parts: Sequence[tuple[str, Learner, float]]) -> np.ndarray:
        matrices: Mapping[str, Matrix] = {
            key: self._features[key].transform(raw) for key in dict.fromkeys(key for key, _, _ in parts)
        }
        return np.asarray(sum(weight * learner.predict(matrices[key], self._threads) for key, learner, weight in parts))


def _repeated(
    panel: PermutationPanel, ground: Ground, places: Sequence[Place], repeats: int, random: np.random.Generator
) -> list[np.ndarray]:
    """What is said when these are shuffled alike, as often as asked; several at once, since each call has its price."""
    rows = len(ground.y)
    at_once = max(1, min(repeats, STACKED_CELLS // max(1, rows * ground.raw.numbers.shape[1])))
    said: list[np.ndarray] = []
    while len(said) < repeats:
        count = min(at_once, repeats - len(said))
        order = np.concatenate([k * rows + random.permutation(rows) for k in range(count)])
        stacked = ground.raw.take(np.tile(np.arange(rows), count))
        for place in places:
            stacked = shuffled(stacked, place, order)
        told = panel.predict(stacked, np.tile(ground.fold, count))
        said += np.split(told, count)
    return said


class ErrorJudge:
    """Compares what is said of shuffled rows with what is said of the true ones, on the same redrawn rows."""

    def __init__(self, metric: Metric, ground: Ground, told: np.ndarray, repeats: int) -> None:
        rows, random = len(ground.y), np.random.default_rng(0)
        counts = (np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(ROUNDS))
        self._metric, self._y, self._repeats = metric, ground.y, repeats
        self._weights = [ground.weights, *(ground.weights * count for count in counts)]
        errors = metric.errors(ground.y, told)
        self._true = np.array([errors(weight) for weight in self._weights])

    def weighed(self, column: str, said: Sequence[np.ndarray], random: np.random.Generator) -> Weighed:
        """The mean over the repeats; rows and repeats are redrawn for its interval."""
        each = [self._metric.errors(self._y, one) for one in said]
        errors = np.array([[error(weight) for error in each] for weight in self._weights])
        mean = float(errors[0].mean() - self._true[0])
        drawn = random.integers(0, self._repeats, (ROUNDS, self._repeats))
        with np.errstate(invalid="ignore"):  # two infinite errors have no difference
            moved = np.take_along_axis(errors[1:], drawn, axis=1).mean(axis=1) - self._true[1:]
            half = WIDE * float(moved.std(ddof=1))
        return Weighed(column, mean, mean - half, mean + half)
