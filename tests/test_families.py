"""Every classical family of tables keeps the contract, and each does what its own file promises.

Those that read no table are tested elsewhere: series over time in test_forecasters.py, series as rows in
test_signals.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from families_made import a_run, config_of, error_of, family_of
from sklearn.datasets import make_classification

import search_spaces
from search_spaces import contracts
from search_spaces.classical import _boosting, constant
from search_spaces.classical._answers import Answers
from search_spaces.classical._boosting import REST, Patience, most_rounds
from search_spaces.classical._dense import DenseEncoder
from search_spaces.classical._parts import pack_arrays, unpack_arrays
from search_spaces.spec import Float, Matrix, Rows

NEURAL = {family.name for family in search_spaces.all_families() if family.route == "neural"}  # the tests of training
CLASSICAL = [name for name in search_spaces.names() if name not in NEURAL and "table" in search_spaces.get(name).reads]
BOOSTERS = ["lightgbm", "xgboost", "catboost"]
TASKS = ["binary", "multiclass", "regression"]
OF_QUANTILES = ["constant", "lightgbm", "xgboost", "catboost", "extra_trees", "forest"]
EVERY = [(name, task) for name in CLASSICAL for task in TASKS] + [(name, "quantile") for name in OF_QUANTILES]
QUICK = {"trees": 5, "rounds": 12}


# --- registry --------------------------------------------------------------------------------------------------------


def test_unknown_family_is_refused_with_the_known_names() -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(ValueError, match=r"unknown family 'ligthgbm'.*lightgbm"):
        search_spaces.get("ligthgbm")


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_family_is_found_under_its_own_name(name: str) -> None:
    """The table and the family agree, and the family is classical."""
    family = search_spaces.get(name)
    assert (family.name, family.route) == (name, "classical")
    assert "table" in family.reads


def test_importing_families_loads_no_heavy_library() -> None:
    """Building a plan must not cost the import of what will run it."""
    code = (
        f"import json, sys, search_spaces; [search_spaces.get(name) for name in {CLASSICAL!r}]; "
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    heavy = {"sklearn", "scipy", "pandas", "lightgbm", "xgboost", "catboost", "torch", "threadpoolctl"}
    assert "numpy" in loaded
    assert not heavy & set(loaded)


# --- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "task"), EVERY)
def test_family_keeps_its_contract(name: str, task: str) -> None:
    """A family fits, predicts its task's shape, repeats itself under one seed and survives odd tables."""
    family = family_of(name)
    assert task in family.needs.tasks
    contracts.check_family(replace(family, needs=replace(family.needs, tasks=frozenset({task}))), QUICK)


@pytest.mark.parametrize(("name", "task"), [each for each in EVERY if each[0] != "constant"])
def test_family_learns_more_than_the_yardstick(name: str, task: str) -> None:
    """On new rows every family leaves the constant answer behind."""
    family = family_of(name)
    run = contracts.run_of(task, seed=1)
    train, valid, test = (contracts.made_up_rows(run, count, seed) for seed, count in enumerate([400, 100, 200]))
    errors = []
    for learner in (family.build(config_of(family, trees=30, rounds=60)), constant.Constant({})):
        learner.fit(train, valid, run)
        errors.append(error_of(task, test.y, learner.predict(test.X)))
    assert errors[0] < 0.7 * errors[1]


def test_the_contract_catches_a_learner_that_breaks_it() -> None:
    """A family that forgets its weights, its seed or its file does not pass."""

    class Unweighted(constant.Constant):
        def fit(self, train, valid, run):
            super().fit(replace(train, weight=None), valid, run)

    class Restless(constant.Constant):
        def fit(self, train, valid, run):
            super().fit(train, valid, run)
            self.value = np.random.default_rng().dirichlet(np.ones(2))

    class Forgetful(constant.Constant):
        def dump(self):
            return {**super().dump(), "value.npz": pack_arrays({"value": np.array([0.5, 0.5])})}

    for broken, complaint in ((Unweighted, "weight"), (Restless, "seed"), (Forgetful, "loaded")):
        with pytest.raises(AssertionError, match=complaint):
            contracts.check_learner(lambda broken=broken: broken({}), constant.load, "binary")


def test_the_contract_catches_a_portfolio_outside_its_space() -> None:
    """Bounds hold for hand-written entries too."""
    family = replace(constant.FAMILY, space={"rate": Float(0.1, 1.0, start=0.5)}, portfolio=({"rate": 2.0},))
    with pytest.raises(AssertionError, match=r"rate=2\.0 is outside"):
        contracts.check_space(family)


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*BOOSTERS, "forest", "extra_trees"])
def test_a_passed_deadline_cuts_the_fit_short(name: str) -> None:
    """What was learned in the first step is kept, and the learner says that it was cut."""
    family = family_of(name)
    run = a_run(until=time.monotonic())
    train = contracts.made_up_rows(run, 300)
    learner = family.build(config_of(family))
    learner.fit(train, None, run)
    assert learner.is_cut
    assert learner.predict(train.X).shape == (300, 2)


def test_chunks_do_not_change_a_forest() -> None:
    """A forest grown under a far deadline equals one grown without."""
    family = family_of("forest")
    run = a_run()
    train = contracts.made_up_rows(run, 200)
    bound, free = family.build(config_of(family, trees=20)), family.build(config_of(family, trees=20))
    bound.fit(train, None, replace(run, until=time.monotonic() + 1000))
    free.fit(train, None, replace(run, threads=2))
    assert not bound.is_cut
    assert np.array_equal(bound.predict(train.X), free.predict(train.X))


# --- boosting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_tell_the_rounds_they_kept_and_take_them_back(name, tmp_path, monkeypatch) -> None:
    """`rounds_` found with validation rows can be given to a refit without them; nothing is left in the folder."""
    monkeypatch.chdir(tmp_path)
    family = family_of(name)
    run = a_run("regression")
    train, valid = contracts.made_up_rows(run, 200), contracts.made_up_rows(run, 100, seed=1)
    found = family.build(config_of(family, learning_rate=0.2))
    found.fit(train, valid, run)
    assert 5 < found.rounds_ < 500
    again = family.build(config_of(family, learning_rate=0.2, rounds=found.rounds_))
    again.fit(train, None, run)
    assert again.rounds_ == found.rounds_
    np.testing.assert_allclose(again.predict(valid.X), found.predict(valid.X), rtol=1e-5, atol=1e-2)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_aim_at_the_median_for_absolute_errors(name: str) -> None:
    """With a long tail the answer for `mae` lies below the one for `rmse`."""
    family = family_of(name)
    random = np.random.default_rng(0)
    X = Matrix(random.normal(size=(500, 1)).astype(np.float32), np.empty((500, 0), dtype=np.int32), ())
    rows = Rows(X, random.exponential(size=500) ** 2)
    means = []
    for metric in ("mae", "rmse"):
        learner = family.build(config_of(family, rounds=30))
        learner.fit(rows, None, a_run("regression", metric=metric))
        means.append(learner.predict(X).mean())
    assert means[0] < 0.6 * means[1]


def test_patience_keeps_the_best_round_and_waits_in_proportion() -> None:
    """It waits at least 20 rounds, and longer after a long climb."""
    short, long = Patience(0.1, np.inf), Patience(0.1, np.inf)
    assert [short.stops(n, 1.0) for n in range(1, 22)] == [False] * 20 + [False]
    assert short.stops(22, 1.0)
    assert short.best == 1
    assert not any(long.stops(n, 1.0 / n) for n in range(1, 101))
    stopped = next(n for n in range(101, 300) if long.stops(n, 1.0))
    assert (long.best, stopped) == (100, 150)


def test_patience_without_validation_rows_keeps_every_round() -> None:
    """Only the deadline stops it then."""
    patience = Patience(0.1, time.monotonic() + 1000)
    assert not any(patience.stops(n, None) for n in range(1, 100))
    patience.until = 0
    assert patience.stops(100, None)
    assert (patience.best, patience.is_cut) == (100, True)


class Ticking:
    """A clock that is a second later each time it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def test_boosting_that_cannot_finish_learns_faster_and_comes_to_rest(monkeypatch) -> None:
    """Rounds of a second each, 30 of them: at 0.05 they would end less than a third of the way."""
    monkeypatch.setattr(_boosting, "time", Ticking())
    hurried = Patience(0.05, until=30.0)
    last = next(n for n in range(1, 100) if hurried.stops(n, 1.0 / n))
    assert (last, hurried.best) == (30, 30)
    assert 0.9 * REST < hurried.learned < 1.2 * REST
    assert hurried.rounds == round(hurried.learned / 0.05), "a refit at the planned rate needs so many"
    calm, steady = Patience(0.05, until=1e4), Patience(0.05, until=90.0, is_steady=True)
    assert not any(one.stops(n, 1.0 / n) for n in range(1, 12) for one in (calm, steady))
    assert (calm.learning_rate, steady.learning_rate, calm.rounds) == (0.05, 0.05, 11)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_booster_cut_after_few_rounds_is_nearly_as_sure_as_it_is_right(name: str, monkeypatch) -> None:
    """Five classes that are easily told apart: 29 rounds at the usual learning rate leave most of the log loss."""
    X, y = make_classification(400, 6, n_informative=5, n_redundant=0, n_classes=5, n_clusters_per_class=1, class_sep=3)
    rows = Rows(Matrix(X.astype(np.float32), np.zeros((400, 0), dtype=np.int32), ()), y.astype(np.int64))
    loss = {}
    for fastest in (0.0, _boosting.FASTEST):
        monkeypatch.setattr(_boosting, "FASTEST", fastest)
        monkeypatch.setattr(_boosting, "time", Ticking())
        learner = family_of(name).build(config_of(family_of(name), learning_rate=0.05))
        learner.fit(rows, rows, replace(a_run("multiclass", classes=5), until=30.0))
        assert learner.is_cut
        loss[fastest] = -np.log(learner.predict(rows.X)[np.arange(400), y]).mean()
    assert loss[_boosting.FASTEST] < 0.5 * loss[0.0]


@pytest.mark.parametrize(
    ("params", "has_valid", "rounds"),
    [
        ({"learning_rate": 0.1}, True, 2000),
        ({"learning_rate": 0.1}, False, 120),
        ({"learning_rate": 0.001}, False, 2000),
        ({"learning_rate": 0.1, "rounds": 7}, True, 7),
    ],
)
def test_rounds_come_from_the_caller_else_from_the_learning_rate(params, has_valid, rounds) -> None:
    """Without validation rows a slow learner runs longer."""
    assert most_rounds(params, has_valid) == rounds


@pytest.mark.parametrize("name", ["lightgbm", "forest"])
def test_a_table_of_forty_rows_is_still_learned(name: str) -> None:
    """Limits on leaves shrink with the table."""
    family = family_of(name)
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    rows = Rows(Matrix(x, np.empty((40, 0), dtype=np.int32), ()), (x[:, 0] > 0).astype(np.int64))
    learner = family.build(config_of(family))
    learner.fit(rows, None, a_run())
    assert (learner.predict(rows.X).argmax(axis=1) == rows.y).mean() > 0.9


# --- forests, neighbours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["forest", "extra_trees"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_forest_in_arrays_answers_as_scikit_learn_does(name: str, task: str) -> None:
    """Nothing is lost on the way from scikit-learn's trees to arrays, gaps included."""
    family = family_of(name)
    run = a_run(task)
    train = contracts.made_up_rows(run, 200)
    learner = family.build(config_of(family, trees=10))
    learner.fit(train, None, run)
    model = learner._model(200, run)
    X = np.concatenate([train.X.numbers, train.X.codes], axis=1)
    model.fit(X, learner.answers.encode(train.y))
    expected = model.predict_proba(X) if task == "binary" else learner.answers.decode(model.predict(X))
    np.testing.assert_allclose(learner.predict(train.X), expected, rtol=1e-5, atol=1e-6 * np.ptp(train.y))


def test_a_forest_predicts_the_same_on_any_number_of_threads() -> None:
    """Rows are shared out, not trees, so sums keep their order."""
    family = family_of("forest")
    run = a_run("regression")
    train = contracts.made_up_rows(run, 5000)
    learner = family.build(config_of(family, trees=5))
    learner.fit(train, None, run)
    assert np.array_equal(learner.predict(train.X, 1), learner.predict(train.X, 3))


def test_a_large_forest_stays_small_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves are rationed where the rows would grow too many."""
    family = family_of("forest")
    monkeypatch.setattr("search_spaces.classical._trees.MODEL_BYTES", 200_000)
    random = np.random.default_rng(0)
    X = Matrix(random.normal(size=(4000, 5)).astype(np.float32), np.empty((4000, 0), dtype=np.int32), ())
    learner = family.build(config_of(family, trees=20, min_samples_leaf=1))
    learner.fit(Rows(X, random.normal(size=4000)), None, a_run("regression"))
    assert 50_000 < len(learner.dump()["trees.npz"]) < 250_000


def test_neighbours_keep_a_seeded_sample_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows kept are bounded, and no probability is zero."""
    family = family_of("neighbors")
    monkeypatch.setattr("search_spaces.classical.neighbors.MOST_ROWS", 100)
    run = a_run()
    train = contracts.made_up_rows(run, 1000)
    learner = family.build(config_of(family))
    learner.fit(train, None, run)
    assert len(learner.table) == 100
    assert learner.predict(train.X).min() > 0


# --- shared parts ----------------------------------------------------------------------------------------------------


def test_rare_codes_share_a_column_and_one_hot_stays_bounded() -> None:
    """Thousands of codes become at most as many columns as allowed, the frequent ones their own."""
    codes = np.concatenate([np.repeat(np.arange(1, 11), 50), np.arange(11, 2011)])[:, None].astype(np.int32)
    X = Matrix(np.empty((len(codes), 0), dtype=np.float32), codes, (2011,))
    assert DenseEncoder.fit(X, most_hot=1000).width == 11  # codes seen once have nothing to say
    tight = DenseEncoder.fit(X, most_hot=4)
    assert tight.width == 5
    assert tight.encode(X).full().sum(axis=1).tolist() == [1.0] * len(codes)


def test_an_outlier_does_not_squash_the_rest_of_its_column() -> None:
    """Far values are clipped; gaps take the median and are flagged."""
    numbers = np.concatenate([np.linspace(-1, 1, 999), [1e9, np.nan]]).astype(np.float32)[:, None]
    X = Matrix(numbers, np.empty((1001, 0), dtype=np.int32), ())
    encoded = DenseEncoder.fit(X, 10).encode(X).numbers
    assert encoded.shape == (1001, 2)
    assert np.ptp(encoded[:999, 0]) > 3
    assert abs(encoded[999, 0]) < 4
    assert encoded[:, 1].tolist() == [0.0] * 1000 + [1.0]
    assert abs(encoded[1000, 0]) < 0.01


def test_a_rare_flag_survives_clipping() -> None:
    """A column that is zero but for a few rows keeps those rows apart."""
    numbers = (np.arange(5000) % 1000 == 0).astype(np.float32)[:, None]
    X = Matrix(numbers, np.empty((5000, 0), dtype=np.int32), ())
    assert np.ptp(DenseEncoder.fit(X, 10).encode(X).numbers) > 1


def test_arrays_that_would_need_pickle_are_refused() -> None:
    """Neither written nor read."""
    with pytest.raises(ValueError, match="allow_pickle"):
        pack_arrays({"words": np.array(["a", None], dtype=object)})
    arrays = {"a": np.arange(3, dtype=np.int32), "b": np.float32(2.5)}
    for compress in (False, True):
        read = unpack_arrays(pack_arrays(arrays, compress))
        assert all(
            np.array_equal(read[name], arrays[name]) and read[name].shape == np.shape(arrays[name]) for name in arrays
        )


@pytest.mark.parametrize("y", [[1e-12, 3e-12], [1e15, 1e15 + 1e6], [5.0, 5.0], [0.0, 0.0]])
def test_targets_come_back_from_their_standard_form(y: list[float]) -> None:
    """Tiny, huge and constant targets survive the way in and out."""
    rows = Rows(Matrix(np.zeros((2, 1), dtype=np.float32), np.empty((2, 0), dtype=np.int32), ()), np.array(y))
    answers = Answers.of(rows, a_run("regression"))
    assert np.abs(answers.encode(rows.y)).max() <= 1.0 + 1e-9
    np.testing.assert_allclose(answers.decode(answers.encode(rows.y)), rows.y, rtol=1e-12)
