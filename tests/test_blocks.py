"""Rows that err alike are redrawn together and judged together: of one group, or of one stretch of time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.data.prepare import Prepared, alike, prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.ensemble.blend import deal, honest_error
from automl.ensemble.candidates import enter
from automl.options import Options
from automl.records import Fold, FoldPlan, Plan, Trial, TrialStatus
from automl.scoring import metrics
from automl.scoring.folds import make_folds

ACCURACY = metrics.get("accuracy")


def patients(count: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers, predictions and groups; of each group another share is right, two thirds on average."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(count), rows)
    y = random.integers(0, 2, len(group))
    is_right = random.random(len(group)) < random.beta(2, 1, count)[group]
    return y, np.eye(2)[np.where(is_right, y, 1 - y)], group


@pytest.mark.parametrize(("count", "rows"), [(10, 60), (40, 20)])
def test_intervals_of_groups_hold_the_score_on_new_groups(count, rows):
    """Of 95 % intervals about 95 % do; redrawing rows one by one would promise it and hold half of them at most."""
    held = {"groups": 0, "rows": 0}
    for seed in range(100):
        y, p, group = patients(count, rows, seed)
        for name, blocks in (("groups", group), ("rows", None)):
            low, high = metrics.interval(ACCURACY, y, p, blocks=blocks, seed=seed)
            held[name] += low <= 2 / 3 <= high
    assert held["groups"] >= 90
    assert held["rows"] <= 65


def test_pairs_of_models_are_compared_on_whole_groups():
    """Two models, each right in half of the groups: on rows one is surely better, on groups nobody can tell."""
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 100)
    y = random.integers(0, 2, len(group))
    sides = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0])[group] > 0
    wrong, right = np.eye(2)[1 - y], np.eye(2)[y]
    a, b = np.where(sides[:, None], wrong, right), np.where(sides[:, None], right, wrong)
    low, _ = metrics.paired_interval(ACCURACY, y, a, b)
    assert low > 0
    low, high = metrics.paired_interval(ACCURACY, y, a, b, blocks=group)
    assert low < 0 < high


@pytest.mark.parametrize("rows", [50, 2_000])
def test_intervals_of_large_grouped_data_are_those_of_all_its_groups(rows):
    """Neither leaving groups out nor rows inside of them makes the interval other than that of the groups' means."""
    y, p, group = patients(100_000 // rows, rows, seed=3)
    low, high = metrics.interval(ACCURACY, y, p, blocks=group, rounds=400)
    means = np.bincount(group, p.argmax(axis=1) == y) / rows
    spread = means.std(ddof=1) / np.sqrt(len(means))
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.25)


def test_blocks_of_one_row_are_rows_and_one_block_alone_is_torn():
    """The interval is the same up to the drawing; a single block leaves nothing to redraw but its rows."""
    y, p, group = patients(500, 1, seed=0)
    plain = metrics.interval(ACCURACY, y, p)
    assert metrics.interval(ACCURACY, y, p, blocks=group) == pytest.approx(plain, abs=0.01)
    assert metrics.interval(ACCURACY, y, p, blocks=np.zeros(500)) == plain
    assert len(deal(ACCURACY, y, np.ones(1), blocks=np.zeros(500))) == 5


@given(st.integers(2, 30), st.integers(0, 99))
def test_no_block_helps_to_choose_the_weights_that_it_is_scored_with(blocks, seed):
    """Rows of one block are in one part; every row is in some part."""
    random = np.random.default_rng(seed)
    y, block = random.normal(size=200), random.integers(0, blocks, 200)
    block[:2] = 0, 1
    models = [y + random.normal(size=200) for _ in range(3)]
    metric = metrics.get("rmse")
    for parts in (honest_error(metric, y, models, blocks=block).parts, deal(metric, y, np.ones(1), blocks=block)):
        assert np.array_equal(np.sort(np.concatenate([part.held for part in parts])), np.arange(200))
        for part in parts:
            assert not set(block[part.held]) & set(np.delete(block, part.held))


def test_a_model_of_groups_cannot_be_chosen_by_its_groups():
    """Ten models, each right in one group by luck: chosen on other groups it is worth what luck is worth."""
    random = np.random.default_rng(0)
    group, y = np.repeat(np.arange(10), 50), np.repeat(random.normal(size=10), 50)
    models = [np.where(group == k, y, 3.0 + random.normal(size=500)) for k in range(10)]
    metric = metrics.get("mae")
    torn = honest_error(metric, y, models).error
    assert honest_error(metric, y, models, blocks=group).error > 1.02 * torn


def test_stretches_of_time_follow_one_another_inside_of_each_fold():
    """Some thirty in a fold, none in two, equal times in one; rows in any order."""
    times = np.random.default_rng(0).permutation(np.repeat(np.arange(3_000.0), 2))
    folds = make_folds(times, "regression", count=4, seed=0, times=times)
    assert folds.blocks is not None
    for k in range(4):
        held = folds.held(k)
        blocks, when = folds.blocks[held], times[held]
        assert 25 <= len(np.unique(blocks)) <= 32
        assert not set(blocks) & set(np.delete(folds.blocks, held))
        assert (np.diff(blocks[np.argsort(when, kind="stable")]) >= 0).all()
        assert len(np.unique(np.column_stack([blocks, when]), axis=0)) == len(np.unique(when))


def ready(data: pd.DataFrame, core_s: float = float("inf"), fold_plan: FoldPlan | None = None, **options) -> Prepared:
    """What a search would start from."""
    given = Options(target="y", budget="2 trials", **options)
    dataset = load(data, given)
    return prepare(dataset, examine(dataset, given)[0], given, core_s=core_s, fold_plan=fold_plan)


@pytest.mark.parametrize("column", ["group_column", "time_column"])
def test_the_arena_knows_what_belongs_together(column):
    """Groups, or stretches of time, of its rows in their order; without either, each row stands for itself."""
    random = np.random.default_rng(0)
    data = pd.DataFrame({"x": random.normal(size=400), "y": random.normal(size=400), "who": np.arange(400) // 8})
    for options, is_told in (({column: "who"}, True), ({}, False)):
        start = ready(data.drop(columns=[] if options else ["who"]), **options)
        folds = start.shared.folds
        done = {
            k: Fold(
                fold=k,
                predictions=np.zeros(len(folds.held(k))),
                error=1.0,
                is_cut=False,
                fit_s=0,
                batch_s=0,
                row_s=0,
                size_mb=0,
            )
            for k in range(folds.count)
        }
        comparison = enter(
            [
                Trial(
                    plan=Plan(number=1, family="linear", params={}, seed=0, because=""),
                    status=TrialStatus.DONE,
                    folds=done,
                )
            ],
            start,
        )
        assert (comparison.blocks is not None) == is_told
        if comparison.blocks is not None:
            rows = np.concatenate([folds.held(k) for k in comparison.folds])
            pairs = np.unique(np.column_stack([data["who"].to_numpy()[rows], comparison.blocks]), axis=0)
            assert len(pairs) == len(np.unique(data["who"].to_numpy()[rows]))  # no group, no moment in two blocks


@pytest.mark.parametrize("column", ["group_column", "time_column"])
def test_where_few_fits_are_affordable_one_fold_of_groups_or_times_may_do(column):
    """As without them; a run that goes on with these folds finds the same ones, also where some could not be filled."""
    random = np.random.default_rng(0)
    data = pd.DataFrame({"x": random.normal(size=400), "y": random.normal(size=400), "who": np.arange(400) // 4})
    start = ready(data, core_s=0.1, **{column: "who"})
    assert start.fold_plan.goal == 1 < start.shared.folds.count
    held, train = (data["who"].to_numpy()[rows] for rows in (start.shared.folds.held(0), start.shared.folds.train(0)))
    assert not set(held) & set(train)
    assert len(set(held)) >= 5
    assert column == "group_column" or (train.max() < held.min() and held.max() == 99)
    assert ready(data, fold_plan=start.fold_plan, **{column: "who"}).shared.key == start.shared.key
    data["who"] = np.repeat(np.arange(6), [100, 100, 50, 50, 50, 50])  # blocks of eight that would be others of four
    few = ready(data, **{column: "who"})
    assert few.fold_plan.goal == few.shared.folds.count < few.fold_plan.count
    assert f"{few.fold_plan.goal} could be filled" in few.told
    again = ready(data, fold_plan=few.fold_plan, **{column: "who"})
    assert (again.shared.key, again.fold_plan) == (few.shared.key, few.fold_plan)


def test_rows_kept_apart_are_redrawn_in_their_groups_and_times_too():
    """Their groups, or about thirty stretches of their time; without such a column, as they are."""
    random = np.random.default_rng(0)
    data = pd.DataFrame({"x": random.normal(size=400), "y": random.normal(size=400), "who": np.arange(400) // 4})
    for column, least, most in (("group_column", 100, 100), ("time_column", 25, 30)):
        given = Options(target="y", budget="2 trials", **{column: "who"})
        dataset = load(data, given)
        profile = examine(dataset, given)[0]
        blocks = alike(dataset, profile, given)
        assert blocks is not None
        assert least <= len(np.unique(blocks)) <= most
        assert len(np.unique(np.column_stack([blocks, data["who"]]), axis=0)) == 100
        assert alike(load(data.drop(columns="who"), Options(target="y")), profile, given) is None
        assert alike(dataset, profile, Options(target="y")) is None
