"""Every metric against scikit-learn, exact under weights, sane where it is undefined; and intervals that cover."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from automl.errors import OptionError
from automl.scoring import metrics

ROWS = 400
WIDTH = {"binary": 2, "multiclass": 4}
EVERY = [(task, name) for task in ("binary", "multiclass", "regression") for name in metrics.names(task)]


def answers(task: str, seed: int = 0, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Answers and predictions that know something about them; rounded, so that there are ties."""
    random = np.random.default_rng(seed)
    if task == "regression":
        y = random.gamma(2.0, 3.0, rows) + 0.1
        return y, np.round(y * random.lognormal(0, 0.3, rows), 1)
    y = random.integers(0, WIDTH[task], rows)
    y[: WIDTH[task]] = np.arange(WIDTH[task])  # each class at least once
    raw = np.exp(np.round(random.normal(size=(rows, WIDTH[task])) + 1.2 * np.eye(WIDTH[task])[y], 1))
    return y, raw / raw.sum(axis=1, keepdims=True)


def weights(rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(9).uniform(0.1, 3.0, rows)


def _wape(y, p, sample_weight):
    return sk.mean_absolute_error(y, p, sample_weight=sample_weight) / np.average(np.abs(y), weights=sample_weight)


def _smape(y, p, sample_weight):
    return np.average(2 * np.abs(y - p) / (np.abs(y) + np.abs(p)), weights=sample_weight)


def judged(name, task, y, p, w):
    """The same score by scikit-learn."""
    if name == "roc_auc" and task == "binary":
        return sk.roc_auc_score(y, p[:, 1], sample_weight=w)
    by_chance = {
        "roc_auc": lambda: sk.roc_auc_score(y, p, multi_class="ovr", sample_weight=w),
        "log_loss": lambda: sk.log_loss(y, p, sample_weight=w),
        "average_precision": lambda: sk.average_precision_score(y, p[:, 1], sample_weight=w),
        "brier": lambda: sk.brier_score_loss(y, p[:, 1] if task == "binary" else p, sample_weight=w),
    }
    if name in by_chance:
        return by_chance[name]()
    if task == "regression":
        of_values = {
            "rmse": sk.root_mean_squared_error,
            "mae": sk.mean_absolute_error,
            "r2": sk.r2_score,
            "mape": sk.mean_absolute_percentage_error,
            "medae": sk.median_absolute_error,
            "rmsle": sk.root_mean_squared_log_error,
            "wape": _wape,
            "smape": _smape,
        }
        return of_values[name](y, p, sample_weight=w)
    label = p.argmax(axis=1)
    of_labels = {
        "accuracy": lambda: sk.accuracy_score(y, label, sample_weight=w),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, label, sample_weight=w),
        "f1": lambda: sk.f1_score(y, label, sample_weight=w),
        "f1_macro": lambda: sk.f1_score(y, label, average="macro", sample_weight=w),
        "f1_weighted": lambda: sk.f1_score(y, label, average="weighted", sample_weight=w),
        "mcc": lambda: sk.matthews_corrcoef(y, label, sample_weight=w),
    }
    return of_labels[name]()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("task", "name"), EVERY)
def test_scores_equal_those_of_scikit_learn(task, name, weighted):
    """On ordinary data, with ties, with and without weights."""
    for seed in range(3):
        y, p = answers(task, seed)
        w = weights() if weighted else None
        assert metrics.get(name).score(y, p, w) == pytest.approx(judged(name, task, y, p, w), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_a_whole_weight_is_a_repeated_row(task, name):
    """A row of weight three counts as three rows, a row of weight zero as none."""
    y, p = answers(task)
    times = np.random.default_rng(1).integers(0, 4, ROWS)
    repeated = metrics.get(name).score(np.repeat(y, times), np.repeat(p, times, axis=0))
    assert metrics.get(name).score(y, p, times.astype(float)) == pytest.approx(repeated, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_errors_are_lower_for_better_predictions_and_zero_for_perfect_ones(task, name):
    """The error falls from wrong over useful to perfect, is never below zero, and gives back the score."""
    metric = metrics.get(name)
    y, p = answers(task)
    perfect = y.copy() if task == "regression" else np.eye(WIDTH[task])[y]
    wrong = y[::-1] + 1.0 if task == "regression" else np.eye(WIDTH[task])[(y + 1) % WIDTH[task]]
    errors = [metric.error(y, each) for each in (perfect, p, wrong)]
    assert errors[0] == pytest.approx(0.0, abs=1e-12)
    assert 0 <= errors[0] < errors[1] < errors[2]
    assert metric.to_score(errors[1]) == metric.score(y, p)
    assert (metric.score(y, p) > metric.score(y, wrong)) == metric.higher_is_better


@pytest.mark.parametrize(("task", "name"), EVERY)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_data_makes_a_score_that_is_not_a_number(task, name, data):
    """Few rows, one class, equal answers, zeros, negatives, hard probabilities, no weight: finite and no warning."""
    rows = data.draw(st.integers(1, 6))
    if task == "regression":
        odd = st.sampled_from([0.0, -1.0, 1.0, 0.1, 1e-9, 1e6])
        y, p = (np.array(data.draw(st.lists(odd, min_size=rows, max_size=rows))) for _ in range(2))
    else:
        y = np.array(data.draw(st.lists(st.integers(0, WIDTH[task] - 1), min_size=rows, max_size=rows)))
        cells = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=rows * WIDTH[task], max_size=rows * WIDTH[task])
        p = np.array(data.draw(cells)).reshape(rows, -1)
    w = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=rows, max_size=rows)))
    for weight in (None, w):
        error = metrics.get(name).error(y, p, weight)
        assert math.isfinite(error)
        assert error >= 0
        low, high = metrics.interval(metrics.get(name), y, p, weight, rounds=5)
        assert low <= metrics.get(name).score(y, p, weight) <= high


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_predictions_that_are_not_finite_are_infinitely_bad(task, name):
    """One NaN or infinity is enough, and intervals of such predictions say so too."""
    metric = metrics.get(name)
    y, p = answers(task)
    for bad in (np.nan, np.inf):
        broken = p.copy()
        broken[5] = bad
        assert metric.error(y, broken) == math.inf
        assert metric.score(y, broken) == (-math.inf if metric.higher_is_better else math.inf)
        assert metrics.interval(metric, y, broken) == (metric.score(y, broken),) * 2
        assert metrics.paired_interval(metric, y, broken, p) == (math.inf, math.inf)
        assert metrics.paired_interval(metric, y, p, broken) == (-math.inf, -math.inf)
        assert metrics.paired_interval(metric, y, broken, broken) == (-math.inf, math.inf)


def test_numbers_too_large_to_square_are_infinitely_bad():
    """An overflow is an infinite error, not a warning."""
    assert metrics.get("rmse").error(np.zeros(3), np.full(3, 1e300)) == math.inf


def test_scores_that_are_undefined_are_those_of_knowing_nothing():
    """One class cannot be ranked, no positive can be found, equal answers have no variance to explain."""
    one = np.zeros(4, dtype=int)
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    assert metrics.get("roc_auc").score(one, p) == 0.5
    assert metrics.get("average_precision").score(one, p) == 0.0
    assert metrics.get("f1").score(one, np.eye(2)[one]) == 0.0
    assert metrics.get("mcc").score(one, p) == 0.0
    assert metrics.get("r2").score(np.full(3, 0.1), np.array([0.1, 0.2, 0.1]), np.array([0.3, 0.3, 0.1])) == 0.0
    assert metrics.get("r2").score(np.full(3, 0.1), np.full(3, 0.1)) == 1.0


def test_classes_without_rows_do_not_disturb_the_others():
    """The area under the curve of three classes, one of which is absent, is the mean of the two that are there."""
    y, p = answers("multiclass")
    here = y < 3
    each = [sk.roc_auc_score(y[here] == k, p[here, k]) for k in range(3)]
    assert metrics.get("roc_auc").score(y[here], p[here]) == pytest.approx(np.mean(each))


def test_log_loss_believes_no_certainty_and_brings_rows_to_a_sum_of_one():
    """A sure miss costs what the floor allows; rows twice as large are the same rows."""
    metric = metrics.get("log_loss")
    assert metric.error(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-math.log(1e-15), rel=1e-6)
    y, p = answers("multiclass")
    assert metric.error(y, 2 * p) == pytest.approx(metric.error(y, p))
    assert metric.error(y, p.astype(np.float32)) == pytest.approx(metric.error(y, p), rel=1e-6)


def test_percentages_of_zero_are_left_out():
    """A row whose answer is zero has no percentage error; among only such rows the absolute error counts."""
    metric = metrics.get("mape")
    assert metric.error(np.array([0.0, 2.0]), np.array([5.0, 3.0])) == 0.5
    assert metric.error(np.zeros(2), np.array([1.0, 3.0])) == 2.0


def test_logarithms_of_negatives_count_as_zero():
    """A prediction below zero is as good as zero."""
    metric = metrics.get("rmsle")
    assert metric.error(np.array([0.0, 3.0]), np.array([-5.0, 3.0])) == 0.0


def test_names_are_checked_and_every_task_has_a_default():
    """An unknown name is refused with the nearest known one; defaults score their task and name the option."""
    with pytest.raises(OptionError, match=r"'roc_auk' is not known. Did you mean 'roc_auc'\?"):
        metrics.get("roc_auk")
    for task, name in (("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "rmse")):
        chosen, why = metrics.default(task)
        assert chosen == name
        assert name in metrics.names(task)
        assert "metric=" in why
    assert "f1" not in metrics.names("multiclass")


def test_shapes_that_do_not_fit_are_refused():
    """Probabilities for a regression metric, too few rows, or none, are mistakes of the caller."""
    y, p = answers("binary")
    for wrong in ((y, p[:-1]), (y[:0], p[:0]), (y, p[:, 1])):
        with pytest.raises(ValueError, match="log_loss needs predictions"):
            metrics.get("log_loss").error(*wrong)


@pytest.mark.parametrize(("task", "name"), [("binary", "roc_auc"), ("multiclass", "log_loss"), ("regression", "mae")])
def test_intervals_cover_the_truth_about_as_often_as_they_say(task, name):
    """Of 80 % intervals on samples, about 80 % hold the score on very many rows."""
    metric = metrics.get(name)
    truth = metric.score(*answers(task, seed=1, rows=200_000))
    held = 0
    for seed in range(100):
        y, p = answers(task, 100 + seed, rows=300)
        low, high = metrics.interval(metric, y, p, level=0.8, rounds=60, seed=seed)
        held += low <= truth <= high
    assert 68 <= held <= 91


def test_intervals_of_large_data_are_as_narrow_as_all_its_rows_allow():
    """Redrawing a sample of the rows gives nearly the width that redrawing all of them would give."""
    y, p = answers("binary", rows=100_000)
    low, high = metrics.interval(metrics.get("accuracy"), y, p, rounds=400)
    score = metrics.get("accuracy").score(y, p)
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(score * (1 - score) / len(y)), rel=0.2)
    assert low < score < high


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_pairs_are_told_apart_better_than_singles(task, name):
    """Of two models that err on the same rows, the interval of the difference is on the right side of zero."""
    metric = metrics.get(name)
    y, good = answers(task, rows=2_000)
    if task == "regression":
        worse = good + np.where(good > y, 1.0, -1.0)
    else:
        turned = np.random.default_rng(3).random(len(y)) < 0.15
        worse = np.where(turned[:, None], good[:, ::-1], good)
    low, high = metrics.paired_interval(metric, y, worse, good, weight=weights(len(y)))
    assert 0 < low < high
    backwards = metrics.paired_interval(metric, y, good, worse, weight=weights(len(y)))
    assert backwards == pytest.approx((-high, -low))
    assert metrics.paired_interval(metric, y, good, good) == (0.0, 0.0)


def test_intervals_repeat_themselves_under_one_seed():
    """The same seed redraws the same rows."""
    y, p = answers("binary")
    first, again, other = (metrics.interval(metrics.get("roc_auc"), y, p, seed=seed) for seed in (4, 4, 5))
    assert first == again != other


def test_sampled_rows_keep_the_shares_of_classes():
    """A sample is rising, without repeats, and each class has its share in it; few rows are all taken."""
    y = np.random.default_rng(0).choice(3, 10_000, p=[0.9, 0.09, 0.01])
    rows = metrics.sample_rows(y, 1_000)
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 1_000
    assert np.abs(np.bincount(y[rows]) - np.bincount(y) / 10).max() <= 1
    assert metrics.sample_rows(y[:50], 1_000).tolist() == list(range(50))


def test_importing_loads_no_heavy_library():
    """Neither scikit-learn nor SciPy nor pandas is loaded by the metrics, the folds and the ensemble."""
    modules = "automl.scoring.metrics, automl.ensemble.blend"
    code = f"import sys, {modules}; print({{'sklearn', 'scipy', 'pandas'}} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
