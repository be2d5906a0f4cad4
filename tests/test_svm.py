"""The support vector machine: libsvm's answers, honest probabilities, and a clock that libsvm does not know."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

import search_spaces
from search_spaces import contracts
from search_spaces.classical import _kernel, svm
from search_spaces.classical._kernel import KernelProblem, nearness, solve, within_time
from search_spaces.spec import Matrix, Rows, Run

svm_library = pytest.importorskip("sklearn.svm")
TASKS = {"binary": 2, "multiclass": 4, "regression": 1}


def a_run(task: str = "binary", **changed: object) -> Run:
    return replace(Run(task=task, classes=TASKS[task], metric="log_loss", seed=0), **changed)


def rows_of(numbers: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Rows:
    nothing = np.empty((len(numbers), 0), dtype=np.int32)
    return Rows(Matrix(np.asarray(numbers, dtype=np.float32), nothing, ()), y, weight)


def rings(count: int, seed: int = 0) -> Rows:
    """Two classes that only a curve can part: inside and outside of a circle."""
    numbers = np.random.default_rng(seed).normal(size=(count, 2))
    return rows_of(numbers, ((numbers**2).sum(axis=1) > 1.4).astype(np.int64))


def a_problem(task: str, count: int = 240, seed: int = 0) -> KernelProblem:
    """Four clouds, or a wave to follow."""
    random = np.random.default_rng(seed)
    y = random.integers(0, TASKS[task], count)
    table = (random.normal(size=(count, 3)) + 1.5 * np.stack([np.cos(y), np.sin(y), y], axis=1)).astype(np.float32)
    answers = np.sin(table[:, 0].astype(float)) if task == "regression" else y
    return KernelProblem(table, answers, random.uniform(0.2, 3, count), TASKS[task], C=3.0, gamma=0.2)


def fitted(train: Rows, run: Run, valid: Rows | None = None, **params: float) -> svm.SupportVectors:
    family = search_spaces.get("svm")
    learner = family.build({**family.configs()[0], **params})
    learner.fit(train, valid, run)
    return learner


# --- the machine -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most_kernel", [5_000, 10])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_margins_are_those_of_scikit_learn(task: str, most_kernel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair by pair, whether the kernel is made beforehand or by libsvm."""
    monkeypatch.setattr(_kernel, "MOST_KERNEL", most_kernel)
    problem = a_problem(task)
    machine, is_cut = solve(problem, a_run(task))
    model = svm_library.SVC(C=3.0, gamma=0.2, decision_function_shape="ovo")
    expected = model.fit(problem.table, problem.y, problem.weight).decision_function(problem.table)
    margins = machine._margins(problem.table)
    upper = margins[:, *np.triu_indices(problem.classes, 1)]
    assert not is_cut
    np.testing.assert_allclose(upper, expected.reshape(len(upper), -1) * (-1 if task == "binary" else 1), atol=5e-3)
    np.testing.assert_allclose(margins, -margins.transpose(0, 2, 1), atol=1e-5)


def test_numbers_are_those_of_scikit_learn() -> None:
    """The same tube, the same weights of rows."""
    problem = a_problem("regression")
    machine, _ = solve(problem, a_run("regression"))
    model = svm_library.SVR(C=3.0, gamma=0.2, epsilon=_kernel.TUBE)
    expected = model.fit(problem.table, problem.y, problem.weight).predict(problem.table)
    np.testing.assert_allclose(machine.values(problem.table), expected, atol=5e-3)


def test_only_rows_that_matter_are_kept() -> None:
    """Support vectors are fewer than rows where classes lie apart, and each belongs to its class's stretch."""
    problem = replace(a_problem("multiclass"), weight=None)
    problem = replace(problem, table=problem.table + 4 * problem.y[:, None].astype(np.float32))
    machine, _ = solve(problem, a_run("multiclass"))
    assert len(machine.support) < 0.6 * len(problem)
    assert machine.ends[-1] == len(machine.support)
    assert (machine.dual >= 0).all()


def test_nearness_is_one_at_home_and_falls_with_distance() -> None:
    """Also for rows far from the origin, where rounding would make squares negative."""
    table = np.float32([[3000, 1], [3000, 2], [3000, 5]])
    near = nearness(table, table, 0.5)
    assert near.max() <= 1
    np.testing.assert_allclose(near[0], np.exp([0, -0.5, -8]), atol=0.3)
    assert near[0, 0] > near[0, 1] > near[0, 2]


# --- the family ------------------------------------------------------------------------------------------------------


def test_a_circle_is_found() -> None:
    """Inside and outside, which no straight line parts."""
    learner, test = fitted(rings(600), a_run()), rings(400, seed=1)
    assert (learner.predict(test.X).argmax(axis=1) == test.y).mean() > 0.95


def test_probabilities_mean_what_they_say() -> None:
    """Where answers are drawn with known odds, the log loss is near that of the odds themselves."""
    random = np.random.default_rng(0)

    def draw(count: int) -> tuple[Rows, np.ndarray]:
        numbers = random.normal(size=(count, 2))
        truth = 1 / (1 + np.exp(1.0 - 2 * numbers[:, 0]))
        return rows_of(numbers, (random.random(count) < truth).astype(np.int64)), truth

    (train, _), (test, truth) = draw(800), draw(2000)
    told = fitted(train, a_run()).predict(test.X)[:, 1]
    assert abs(told.mean() - truth.mean()) < 0.05
    losses = [-np.mean(np.where(test.y, np.log(p), np.log(1 - p))) for p in (told, truth)]
    assert losses[0] < losses[1] + 0.06


@pytest.mark.parametrize("name", ["svm", "linear", "neighbors", "forest", "extra_trees", "constant"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_rows_held_out_teach_nothing(name: str, task: str) -> None:
    """A fold is scored on them: a model that does not stop by them is the same whatever their answers are."""
    run, family = contracts.run_of(task), search_spaces.get(name)
    train, held = contracts.made_up_rows(run, 120), contracts.made_up_rows(run, 60)
    told = []
    for valid in (None, held, replace(held, y=held.y[::-1].copy())):
        learner = family.build({**family.configs()[0], "trees": 5})
        learner.fit(train, valid, run)
        told.append(learner.predict(held.X))
    assert np.array_equal(told[0], told[1])
    assert np.array_equal(told[0], told[2])


def test_a_class_that_was_never_seen_is_unlikely_but_not_impossible() -> None:
    """A class without rows loses against every other."""
    problem = a_problem("multiclass")
    learner = fitted(rows_of(problem.table, np.minimum(problem.y, 2)), a_run("multiclass"))
    told = learner.predict(rows_of(problem.table, problem.y).X)
    assert told[:, 3].min() > 0
    assert told[:, 3].max() < 0.1
    assert (told.argmax(axis=1) == problem.y)[problem.y < 3].mean() > 0.7


def test_one_answer_is_learned_as_such() -> None:
    """Rows of one class only, or numbers that never change."""
    numbers = rings(50).X.numbers
    one = fitted(rows_of(numbers, np.ones(50, dtype=np.int64)), a_run())
    assert one.predict(rows_of(numbers, np.ones(50)).X)[:, 1].min() > 0.9
    flat = fitted(rows_of(numbers, np.full(50, 7.0)), a_run("regression"))
    np.testing.assert_allclose(flat.predict(rows_of(numbers, np.ones(50)).X), 7.0)


def test_rows_without_weight_are_as_if_absent() -> None:
    """They take no part in the machine, nor in what margins mean."""
    train = rings(300)
    count = np.arange(300) < 200
    learned = fitted(replace(train, weight=count.astype(float)), a_run())
    alone = fitted(rows_of(train.X.numbers[count], train.y[count], np.ones(200)), a_run())
    np.testing.assert_allclose(learned.machine.support, alone.machine.support)
    np.testing.assert_allclose(learned.predict(train.X), alone.predict(train.X), atol=0.02)


def test_too_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seeded sample, and the rest of the contract stays."""
    monkeypatch.setattr(svm, "MOST_ROWS", 150)
    learner = fitted(rings(2000), a_run(), gamma=2.0)
    assert len(learner.machine.support) <= 150
    assert learner.is_cut is False


def test_a_rare_class_can_be_brought_up() -> None:
    """The margin moves towards the frequent class; probabilities stay those of the rows."""
    random = np.random.default_rng(0)
    y = (random.random(600) < 0.08).astype(np.int64)
    train = rows_of(random.normal(size=(600, 2)) + y[:, None], y)
    found = []
    for balance in (0.0, 1.0):
        learner = fitted(train, a_run(), balance=balance)
        margins = learner.machine._margins(learner.encoder.encode(train.X).full())[:, 1, 0]
        found.append((margins[y == 1] > 0).mean())
        assert learner.predict(train.X)[:, 1].mean() == pytest.approx(y.mean(), abs=0.03)
    assert found[1] > found[0] + 0.2


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_far_deadline_changes_nothing() -> None:
    """What is foreseen of the time leaves no trace where there is enough."""
    train = rings(500)
    bound, free = fitted(train, a_run(until=time.monotonic() + 1000)), fitted(train, a_run())
    assert not bound.is_cut
    assert np.array_equal(bound.predict(train.X), free.predict(train.X))


@pytest.mark.parametrize("late_s", [0.0, 100.0])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_deadline_that_has_passed_leaves_a_small_model(task: str, late_s: float) -> None:
    """A few hundred rows are learned whatever the clock says, however long ago that was, and it says so."""
    run = contracts.run_of(task)
    train = contracts.made_up_rows(run, 3000)
    learner = fitted(train, replace(run, until=time.monotonic() - late_s))
    assert learner.is_cut
    assert len(learner.machine.support) <= _kernel.FEW_ROWS + 3
    told = learner.predict(train.X)
    if task == "regression":
        assert np.mean((told - train.y) ** 2) < 0.5 * train.y.var()
    else:
        assert (told.argmax(axis=1) == train.y).mean() > 0.7


def test_rows_are_left_out_by_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the time is half of the rows, from every class."""
    problem = a_problem("multiclass", 2000)
    monkeypatch.setattr(_kernel, "_foreseen_s", lambda *_: (0.0, 80.0))
    monkeypatch.setattr(_kernel.time, "monotonic", lambda: 500.0)
    assert within_time(problem, a_run(until=1500.0), 1.0) is None
    kept = within_time(problem, a_run(until=525.0), 1.0)
    assert kept is not None
    assert len(kept) == pytest.approx(1000, abs=10)
    np.testing.assert_allclose(np.bincount(problem.y[kept]), np.bincount(problem.y) / 2, atol=5)


def test_hopeless_settings_end_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that is to be learned by heart takes a bounded number of steps, without a warning."""
    monkeypatch.setattr(_kernel, "MOST_STEPS", 50)
    random = np.random.default_rng(0)
    noise = rows_of(random.normal(size=(300, 2)), random.integers(0, 2, 300))
    learner = fitted(noise, a_run(), C=1000.0)
    assert learner.is_cut is False
    assert np.isfinite(learner.predict(noise.X)).all()
