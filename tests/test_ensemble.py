"""Blends find what complements, ignore junk, never lose on the rows they see, and are judged on rows they do not."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.ensemble.blend import blend, by_rank, honest_error, mix, most_candidates, watched
from automl.ensemble.calibrate import Chosen
from automl.scoring import metrics

ROWS = 1_000
EVERY = [(task, name) for task in ("binary", "multiclass", "regression") for name in metrics.names(task)]


def problem(task: str, noises: list[float], rows: int = ROWS, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Answers, and one model per noise level: each errs by itself, so that averages are better than any of them."""
    random = np.random.default_rng(seed)
    if task == "regression":
        y = random.normal(5, 2, rows)
        return y, [y + random.normal(0, noise, rows) for noise in noises]
    classes = 2 if task == "binary" else 4
    y = random.integers(0, classes, rows)
    raw = [np.exp(np.eye(classes)[y] + random.normal(0, noise, (rows, classes))) for noise in noises]
    return y, [p / p.sum(axis=1, keepdims=True) for p in raw]


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_blend_never_loses_to_the_best_single_model(task, name):
    """On the rows it was chosen on, for every metric: at most the least error, with weights that sum to one.

    For a metric of labels that is the log loss, which the choice watches in its place.
    """
    metric = watched(metrics.get(name))
    for seed in range(3):
        y, predictions = problem(task, [1.0, 1.1, 1.3, 2.0, 4.0], rows=200, seed=seed)
        weights = blend(metric, y, predictions)
        assert weights.sum() == pytest.approx(1.0)
        assert (weights >= 0).all()
        best = min(metric.error(y, p) for p in predictions)
        assert metric.error(y, mix(weights, predictions)) <= best


@pytest.mark.parametrize(("task", "name"), [("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "rmse")])
def test_models_that_complement_each_other_are_found_among_junk(task, name):
    """Two models with errors of their own beat either, share the weight, and junk gets next to none of it."""
    metric = metrics.get(name)
    y, (a, b) = problem(task, [0.8, 0.8])
    junk = problem(task, [1.0] * 6, seed=77)[1]
    predictions = [*junk[:3], a, *junk[3:], b]
    weights = blend(metric, y, predictions)
    assert min(weights[3], weights[7]) > 0.3
    assert weights[[0, 1, 2, 4, 5, 6]].sum() < 0.1
    assert metric.error(y, mix(weights, predictions)) < 0.95 * metric.error(y, a)


def test_specialists_are_combined():
    """One model knows the first class and one the others; only together they know all, and both are taken."""
    random = np.random.default_rng(0)
    y = random.integers(0, 4, ROWS)
    truth = 0.85 * np.eye(4)[y] + 0.05
    knows_low, knows_high = (np.where(known[:, None], truth, 0.25) for known in (y < 2, y >= 2))
    weights = blend(metrics.get("accuracy"), y, [knows_low, knows_high, np.full((ROWS, 4), 0.25)])
    assert (weights[:2] > 0).all()
    assert metrics.get("accuracy").score(y, mix(weights, [knows_low, knows_high, truth])) == 1.0


def test_one_model_and_copies_of_one_model_stay_one_model():
    """Alone it has all the weight; of equal copies the first has it; with nothing to gain there is no blend."""
    y, (a, worse) = problem("binary", [0.5, 3.0])
    metric = metrics.get("log_loss")
    assert blend(metric, y, [a]).tolist() == [1.0]
    assert blend(metric, y, [a, a.copy(), a.copy()]).tolist() == [1.0, 0.0, 0.0]
    assert blend(metric, y, [worse, a, worse], steps=1).tolist() == [0.0, 1.0, 0.0]
    perfect = np.eye(2)[y]
    assert blend(metrics.get("roc_auc"), y, [a, perfect]).tolist() == [0.0, 1.0]


def test_models_that_failed_are_never_taken():
    """Predictions with a NaN have no weight and do not reach the mixture, even where nothing else is left to add."""
    y, (a, b, broken) = problem("regression", [1.0, 1.0, 0.01])
    broken[3] = np.nan
    predictions = [broken, a, b]
    weights = blend(metrics.get("rmse"), y, predictions)
    assert weights[0] == 0
    assert (weights[1:] > 0).all()
    assert np.isfinite(mix(weights, predictions)).all()
    assert np.isfinite(honest_error(metrics.get("rmse"), y, predictions).predictions).all()


def test_row_weights_decide_what_is_best():
    """A model that is right on heavy rows wins over one that is right on many light ones."""
    y = np.random.default_rng(0).integers(0, 2, ROWS)
    heavy = np.arange(ROWS) < 100
    right, wrong = np.eye(2)[y], np.eye(2)[1 - y]
    good_on_heavy, good_on_light = np.where(heavy[:, None], right, wrong), np.where(heavy[:, None], wrong, right)
    weight = np.where(heavy, 100.0, 1.0)
    predictions = [good_on_light, good_on_heavy]
    metric = metrics.get("accuracy")
    assert blend(metric, y, predictions).argmax() == 0
    assert blend(metric, y, predictions, weight=weight).argmax() == 1
    best, second = by_rank(metric, y, predictions)
    assert all(part.weights.tolist() == [1.0, 0.0] for part in best)
    assert all(part.weights.tolist() == [0.0, 1.0] for part in second)
    heavy_best = by_rank(metric, y, predictions, weight=weight)[0]
    assert all(part.weights.tolist() == [0.0, 1.0] for part in heavy_best)
    pooled = Chosen(predictions, np.array([0.0, 1.0]), heavy_best).pooled()
    assert metric.error(y, pooled, weight) == pytest.approx(900 / 10_900)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_large_data_is_sampled_and_the_result_checked_on_all_rows(task):
    """With more rows than are compared in the steps, the blend still beats every single model on all of them."""
    metric = metrics.get(metrics.default(task)[0])
    y, predictions = problem(task, [1.0, 1.2, 1.5], rows=50_000)
    weights = blend(metric, y, predictions, steps=8)
    assert (weights > 0).all()
    assert metric.error(y, mix(weights, predictions)) < 0.9 * min(metric.error(y, p) for p in predictions)


def test_blends_repeat_themselves():
    """Nothing is left to chance: the same input gives the same weights and the same honest predictions."""
    y, predictions = problem("multiclass", [1.0, 1.1, 1.2, 1.3])
    metric = metrics.get("log_loss")
    assert np.array_equal(blend(metric, y, predictions), blend(metric, y, predictions))
    first, again = (honest_error(metric, y, predictions) for _ in range(2))
    assert first.error == again.error
    assert np.array_equal(first.predictions, again.predictions)


def test_time_that_is_over_leaves_a_usable_choice():
    """Past its last moment the first model is returned; before it, the best prefix so far."""
    y, predictions = problem("binary", [2.0, 1.0, 1.0])
    metric = metrics.get("log_loss")
    assert blend(metric, y, predictions, until=time.monotonic() - 1).tolist() == [1.0, 0.0, 0.0]
    honest = honest_error(metric, y, predictions, until=time.monotonic() - 1)
    assert honest.error == pytest.approx(metric.error(y, predictions[0]))
    assert blend(metric, y, predictions, until=time.monotonic() + 60).tolist() == blend(metric, y, predictions).tolist()


def test_the_clock_is_watched_within_a_step(monkeypatch):
    """When time ends in the middle of the steps, the weights are those of an earlier prefix, not of all steps."""
    y, predictions = problem("regression", [1.0, 1.0, 1.0, 1.0])
    ticks = iter(range(1_000))
    monkeypatch.setattr("automl.ensemble.blend.time.monotonic", lambda: float(next(ticks)))
    weights = blend(metrics.get("rmse"), y, predictions, until=13.0)
    assert sorted(weights[weights > 0]) == pytest.approx([1 / 3] * 3)


def test_few_rows_allow_few_candidates():
    """Four on a hundred rows, eight on five hundred, at most 25; and a blend has no more members than that."""
    assert [most_candidates(rows) for rows in (1, 100, 500, 2_500, 10_000, 10**6)] == [4, 4, 8, 15, 25, 25]
    y, predictions = problem("regression", [1.0] * 20, rows=100)
    assert (blend(metrics.get("rmse"), y, predictions) > 0).sum() <= 4


def test_a_blend_spends_no_more_than_it_may():
    """Members' costs add up to one at most, in each resource; what is too dear alone is never taken."""
    y, predictions = problem("regression", [1.0, 1.0, 1.0, 1.0, 1.0, 0.9])
    metric = metrics.get("rmse")
    costs = np.array([[0.5, 0.1], [0.4, 0.1], [0.3, 0.1], [0.2, 0.7], [0.1, 0.7], [1.2, 0.0]])
    for scale in (0.5, 1.0):
        weights = blend(metric, y, predictions, costs=scale * costs)
        assert (scale * costs[weights > 0].sum(axis=0) <= 1).all()
        assert weights[5] == 0 or scale == 0.5
        assert (weights > 0).sum() > 1
    assert blend(metric, y, predictions, costs=costs[:, :1] * 0).tolist() == blend(metric, y, predictions).tolist()


def test_the_best_model_does_not_keep_out_two_that_are_better_together():
    """Where the best takes nearly all that may be spent, a blend of cheaper ones wins if it errs less."""
    y, predictions = problem("regression", [1.0, 1.1, 1.1, 1.1])
    weights = blend(metrics.get("rmse"), y, predictions, costs=np.array([[0.9], [0.3], [0.3], [0.3]]))
    assert weights[0] == 0
    assert (weights[1:] > 0).all()


@pytest.mark.parametrize("name", ["f1", "mcc", "accuracy"])
def test_labels_are_chosen_by_what_every_row_says(name):
    """For a metric of labels the weights are those of the log loss: finer, and no worse at labels on new rows."""
    y, predictions = problem("binary", [1.0, 1.1, 1.2, 1.5])
    metric = metrics.get(name)
    assert np.array_equal(blend(metric, y, predictions), blend(metrics.get("log_loss"), y, predictions))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 12),
    st.integers(1, 5),
    st.sampled_from([*EVERY]),
    st.integers(0, 50),
)
def test_any_small_data_has_a_blend_and_an_honest_error(rows, models, which, seed):
    """Down to two rows: weights that sum to one, finite honest predictions of every row."""
    task, name = which
    y, predictions = problem(task, [1.0] * models, rows=rows, seed=seed)
    metric = metrics.get(name)
    assert blend(metric, y, predictions).sum() == pytest.approx(1.0)
    honest = honest_error(metric, y, predictions)
    assert math.isfinite(honest.error)
    assert honest.predictions.shape == predictions[0].shape
    assert np.isfinite(honest.predictions).all()


def test_many_models_that_know_nothing_look_better_than_chance_but_not_honestly():
    """Of 60 random models on 120 rows a blend seems to rank well; cross-fitted, it is worth what it is: 0.5.

    So are the best, the second and the twelfth of them.
    """
    metric = metrics.get("roc_auc")
    naive, honest = [], {name: [] for name in ("blend", 0, 1, 11)}
    for seed in range(30):
        random = np.random.default_rng(seed)
        y = random.permutation(np.arange(120) % 2)
        predictions = [np.column_stack([1 - p, p]) for p in random.random((60, 120))]
        naive.append(metric.error(y, mix(blend(metric, y, predictions), predictions)))
        honest["blend"].append(honest_error(metric, y, predictions, seed=seed).error)
        places = by_rank(metric, y, predictions, seed=seed)
        for place in (0, 1, 11):
            pooled = Chosen(predictions, np.ones(60), places[place]).pooled()
            honest[place].append(metric.error(y, pooled))
    assert np.mean(naive) < 0.42
    for errors in honest.values():
        assert abs(np.mean(errors) - 0.5) < 3 * np.std(errors) / math.sqrt(len(errors))
        assert np.std(errors) < 0.1


def test_honest_errors_of_good_models_are_close_to_new_rows():
    """Where models do know something, the honest error is near the error of the blend on rows nobody has seen."""
    metric = metrics.get("rmse")
    gaps = []
    for seed in range(10):
        y, predictions = problem("regression", [1.0, 1.1, 1.2, 1.5, 2.0], rows=600, seed=seed)
        seen, new = np.arange(300), np.arange(300, 600)
        inside = [p[seen] for p in predictions]
        weights = blend(metric, y[seen], inside)
        fresh = metric.error(y[new], mix(weights, [p[new] for p in predictions]))
        gaps.append(honest_error(metric, y[seen], inside).error / fresh - 1)
    assert abs(np.mean(gaps)) < 0.03


def test_fifty_models_on_many_rows_are_blended_in_a_moment():
    """The weights for 20,000 rows take as long as mixing them some ten times: they are searched while a budget runs."""
    y, predictions = problem("binary", list(np.linspace(1.0, 2.0, 50)), rows=20_000)

    def took_s(call) -> float:
        started = time.process_time()
        call()
        return time.process_time() - started

    even = np.full(len(predictions), 1 / len(predictions))
    once_s = max(took_s(lambda: mix(even, predictions)) for _ in range(3))
    assert min(took_s(lambda: blend(metrics.get("log_loss"), y, predictions)) for _ in range(3)) < 100 * once_s


def test_one_model_has_nothing_to_be_honest_about():
    """Without a choice the honest error is the error."""
    y, [only] = problem("binary", [1.0])
    honest = honest_error(metrics.get("log_loss"), y, [only])
    assert honest.error == metrics.get("log_loss").error(y, only)
    assert np.array_equal(honest.predictions, only)
