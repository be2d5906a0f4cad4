"""A student: one model that learns what a blend answers, on the rows of a fold and on rows made between them.

Of a fold it learns from the members' models of that fold alone, and none of them has seen the rows that it is scored
on; the one that is used in the end learns from all of them, on all rows. Runs in a worker.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import search_spaces
from automl.data.prepare import Shared
from automl.explain.permutation import GROUPS, AskedTrial, Parts
from automl.modalities.mixture import PLAIN, FoldFeatures, FoldTraining, Raw, bend_of, learn_features, load_features
from automl.refit.between import between
from automl.runtime.folder import RunFolder
from automl.search.trial import ALL_ROWS, ROW_REPEATS, FoldResult, timed
from automl.training import learners
from automl.training.aimed import ABSOLUTE, BENT
from cluster.pool import Grant, Partial
from search_spaces.spec import OF_NUMBERS, Learner, Matrix, Rows, Run

TRUTH = 0.3  # of what a real row teaches is its own answer, the rest its teacher's
WATCHED = 8  # one of so many made rows is not learned from: it says when to stop
LEAST = 0.02  # of a row, below which a class is not worth learning
ASKING_SHARE = 0.4  # of the time granted, for the teacher's answers


@dataclass(frozen=True, kw_only=True)
class StudentJob:
    """Which configuration learns from whom, and on what."""

    path: str  # of the run
    members: tuple[AskedTrial, ...]  # of the teacher, with the weights that it has for this fold
    folds: tuple[int, ...]  # whose models teach
    family: str
    params: Mapping[str, Any]
    recipe: str
    seed: int
    fold: int  # whose rows are held out, or ALL_ROWS
    made: int  # rows at most that are made between the real ones


class Teacher:
    """Fitted folds of several trials, as one model."""

    def __init__(self, members: Sequence[AskedTrial], folds: Sequence[int], parts: Parts) -> None:
        self._features: dict[str, FoldFeatures] = {}
        self._members: list[tuple[str, Learner, float]] = []
        for member in members:
            own = [k for k in folds if (member.number, k, GROUPS[0]) in parts]
            for fold in own:
                learner_files, files = (parts[member.number, fold, group] for group in GROUPS)
                key = hashlib.sha256(b"".join(name.encode() + content for name, content in files.items())).hexdigest()
                if key not in self._features:
                    self._features[key] = load_features(files)
                learner = learners.load(search_spaces.get(member.family), learner_files)
                self._members.append((key, learner, member.weight / len(own)))

    def answers(self, raw: Raw, threads: int) -> np.ndarray:
        """What it says of these rows."""
        matrices: dict[str, Matrix] = {}
        total: Any = 0.0
        for key, learner, weight in self._members:
            if key not in matrices:
                matrices[key] = self._features[key].transform(raw)
            total = total + weight * learner.predict(matrices[key], threads)
        return np.asarray(total)


def parts_of(job: StudentJob) -> Parts:
    """The files of the fitted folds that teach."""
    folder = RunFolder(Path(job.path))
    return {
        (member.number, fold, group): folder.read_parts(member.number, fold, group)
        for member in job.members for fold in job.folds if folder.has_parts(member.number, fold) for group in GROUPS
    }  # fmt: skip


def learn(grant: Grant, job: StudentJob, shared: Shared, parts: Parts | None = None) -> FoldResult | Partial:
    """Ask the teacher, fit the student, and predict the rows held out. `parts`: where the run is out of reach."""
    family = search_spaces.get(job.family)
    for module in family.imports:
        import_module(module)
    teacher = Teacher(job.members, job.folds, parts_of(job) if parts is None else parts)
    rows = np.arange(len(shared.y)) if job.fold == ALL_ROWS else shared.folds.train(job.fold)
    held = rows[:0] if job.fold == ALL_ROWS else shared.folds.held(job.fold)
    lesson = _lesson(grant, job, shared, teacher, rows)
    asked = lesson.features.transform(shared.raw.take(held))
    bend = BENT.get(shared.metric, bend_of(job.recipe))
    learner = learners.make(family, job.params, bend)
    seed = job.seed + 1 + job.fold
    run = Run(shared.task, shared.outputs, shared.metric, seed, grant.threads, grant.until, shared.levels)
    started = time.monotonic()
    learner.fit(lesson.taught, lesson.watched, _of_squares(run))
    fit_s = time.monotonic() - started
    predictions, batch_s = timed(learner, asked if len(held) else lesson.taught.X, grant.threads)
    row_s = min(timed(learner, lesson.taught.X.take(np.array([0])), 1)[1] / 1000 for _ in range(ROW_REPEATS))
    result = FoldResult(
        fold=job.fold, predictions=predictions[: len(held)], parts=learner.dump(), features=lesson.features.dump(),
        is_cut=learner.is_cut, fit_s=fit_s, batch_s=batch_s, row_s=row_s, rounds=getattr(learner, "rounds_", None),
    )  # fmt: skip
    return Partial(result) if learner.is_cut else result


@dataclass(frozen=True)
class _Lesson:
    """What a student learns, and the made rows by which it sees when to stop; it never sees those held out."""

    features: FoldFeatures
    taught: Rows
    watched: Rows | None


def _lesson(grant: Grant, job: StudentJob, shared: Shared, teacher: Teacher, rows: np.ndarray) -> _Lesson:
    """Real rows and rows made between them, with what the teacher says of each."""
    raw, y = shared.raw.take(rows), shared.y[rows]
    weight = np.ones(len(rows)) if shared.weight is None else shared.weight[rows]
    began = time.monotonic()
    said = teacher.answers(raw, grant.threads)
    row_s = (time.monotonic() - began) / max(1, len(rows))
    count = job.made
    if np.isfinite(grant.until):
        left_s = ASKING_SHARE * (grant.until - began) - (time.monotonic() - began)
        count = min(count, max(0, int(left_s / max(row_s, 1e-9))))
    training = FoldTraining(raw, y, shared.outputs, shared.labels, weight, seed=job.fold + 1)
    features, matrix = learn_features(training, job.recipe or PLAIN)
    real = _taught(shared, matrix, _mixed(shared, said, y), weight)
    if not count:
        return _Lesson(features, real, None)
    more, first = between(raw, count, job.seed + 1 + job.fold)
    made, told = features.transform(more), teacher.answers(more, grant.threads)
    aside = np.arange(count) % WATCHED == 0
    both = _joined(matrix, made.take(np.flatnonzero(~aside)))
    answers = np.concatenate([_mixed(shared, said, y), told[~aside]])
    taught = _taught(shared, both, answers, np.concatenate([weight, weight[first[~aside]]]))
    watched = _taught(shared, made.take(np.flatnonzero(aside)), told[aside], weight[first[aside]])
    return _Lesson(features, taught, watched)


def _mixed(shared: Shared, said: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What a real row teaches: its teacher's answer and some of its own."""
    truth = 0.0 if shared.metric in ABSOLUTE else TRUTH
    own = y if shared.task in OF_NUMBERS else np.eye(shared.outputs)[y]
    return np.asarray((1 - truth) * said + truth * own)


def _taught(shared: Shared, X: Matrix, answers: np.ndarray, weight: np.ndarray) -> Rows:
    """Rows with these answers: numbers, or chances of classes."""
    return Rows(X, answers, weight) if shared.task in OF_NUMBERS else softly(X, answers, weight)


def softly(X: Matrix, chances: np.ndarray, weight: np.ndarray) -> Rows:
    """Rows whose answers are chances of classes: each once for every class that is likely, weighted by its chance."""
    likely = (chances >= LEAST) | (np.arange(chances.shape[1]) == chances.argmax(axis=1)[:, None])
    rows, classes = np.nonzero(likely)
    shares = np.where(likely, chances, 0.0)
    shares = shares / shares.sum(axis=1, keepdims=True) * weight[:, None]
    return Rows(X.take(rows), classes.astype(np.int64), shares[rows, classes], stands_for=len(X))


def _joined(first: Matrix, second: Matrix) -> Matrix:
    """Both, one below the other. Blocks are left behind: students read numbers and codes."""
    return Matrix(
        np.concatenate([first.numbers, second.numbers]), np.concatenate([first.codes, second.codes]), first.sizes
    )


def _of_squares(run: Run) -> Run:
    """What a teacher says is no longer noise: of numbers, misses from it are squared."""
    return Run(
        run.task, run.classes, "rmse" if run.task in OF_NUMBERS else run.metric, run.seed, run.threads, run.until,
        run.levels,
    )  # fmt: skip
