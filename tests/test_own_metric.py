"""A user's function as a metric: called as it expects, tried before anything is fitted, and robust afterwards."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import (
    fbeta_score,
    log_loss,
    make_scorer,
    mean_absolute_error,
    mean_tweedie_deviance,
    r2_score,
    roc_auc_score,
)

import automl
from automl.ensemble.blend import watched
from automl.errors import OptionError
from automl.records import Profile
from automl.scoring import metrics, own_metric
from automl.scoring.folds import make_folds
from automl.scoring.metrics import Metric
from automl.scoring.own_metric import MetricTrial

pytestmark = pytest.mark.usefixtures("lasting_workers")

ROWS = 300
RNG = np.random.default_rng(0)
NUMBERS = RNG.gamma(2.0, 3.0, ROWS)
CODES = RNG.integers(0, 2, ROWS)
CHANCES = np.clip(0.5 + 0.3 * (CODES - 0.5) + RNG.normal(scale=0.2, size=ROWS), 0.01, 0.99)
P = np.column_stack([1 - CHANCES, CHANCES])


def profile_of(task: str, classes: tuple = (), levels: tuple[float, ...] = ()) -> Profile:
    return Profile(
        rows=ROWS, columns=(), task=task, task_rule="", metric="", metric_rule="", classes=classes, levels=levels
    )


def made(function, task: str = "regression", classes: tuple = (), weight=None, budget_s: float = math.inf) -> Metric:
    y = NUMBERS if task == "regression" else CODES
    folds = make_folds(y, task, count=4, seed=0)
    return own_metric.metric_of(function, profile_of(task, classes), MetricTrial(y, weight, folds, budget_s))


def loss(function, **attributes):
    """The function with attributes, as a user sets them."""

    @functools.wraps(function)
    def wrapped(*given, **named):
        return function(*given, **named)

    for name, value in {"greater_is_better": False, **attributes}.items():
        setattr(wrapped, name, value)
    return wrapped


def f2(y_true, y_pred):
    return fbeta_score(y_true, y_pred, beta=2, pos_label="yes", zero_division=0)


# --- what it is called with ------------------------------------------------------------------------------------------


def test_labels_come_as_the_user_spells_them() -> None:
    """By default a metric of classes sees labels."""
    seen = []

    def share(y_true, y_pred):
        seen.append((set(y_true), set(y_pred)))
        return float((y_true == y_pred).mean())

    metric = made(share, "binary", ("no", "yes"))
    assert metric.score(CODES, P) == pytest.approx((P.argmax(axis=1) == CODES).mean())
    assert all(true <= {"no", "yes"} and told <= {"no", "yes"} for true, told in seen)
    assert (metric.name, metric.needs, metric.higher_is_better) == ("share", "label", True)


def test_probabilities_come_as_scikit_learn_expects_them() -> None:
    """Of two classes those of the second, of more a column each."""
    ranked = loss(roc_auc_score, needs="probability", greater_is_better=True)
    assert made(ranked, "binary", (0, 1)).score(CODES, P) == pytest.approx(roc_auc_score(CODES, P[:, 1]))
    y = np.arange(ROWS) % 3
    p = np.random.default_rng(1).dirichlet(np.ones(3), ROWS)
    folds = make_folds(y, "multiclass", count=3, seed=0)
    entropy = loss(log_loss, needs="probability")
    metric = own_metric.metric_of(
        entropy, profile_of("multiclass", ("a", "b", "c")), MetricTrial(y, None, folds, math.inf)
    )
    assert metric.score(y, p) == pytest.approx(log_loss(y, p))


def test_the_error_is_the_distance_from_perfect_answers() -> None:
    """Whatever the scale and direction: zero for the answers themselves, and it gives back the score."""
    p = NUMBERS * np.random.default_rng(3).lognormal(0, 0.3, ROWS)

    def profit(y_true, y_pred):
        return float(np.mean(100 * y_true - 250 * np.abs(y_true - y_pred)))

    for function in (profit, r2_score, loss(mean_absolute_error)):
        metric = made(function)
        assert metric.error(NUMBERS, NUMBERS) == pytest.approx(0)
        assert metric.error(NUMBERS, p) > 0
        assert metric.score(NUMBERS, p) == pytest.approx(function(NUMBERS, p))
        low, high = metrics.interval(metric, NUMBERS, p)
        assert low < metric.score(NUMBERS, p) < high
        low, _ = metrics.paired_interval(metric, NUMBERS, p + 5, p)
        assert low > 0


def test_an_interval_is_about_that_of_the_same_named_metric() -> None:
    """Fewer redrawings of fewer rows, read as a normal distribution."""
    p = NUMBERS * np.random.default_rng(3).lognormal(0, 0.3, ROWS)
    ours, theirs = (metrics.interval(m, NUMBERS, p) for m in (made(loss(mean_absolute_error)), metrics.get("mae")))
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], rel=0.4)


def test_weights_go_to_functions_that_take_them_and_counts_repeat_rows_for_the_others() -> None:
    """A whole weight is a repeated row either way; other weights, which only tables of labels bring, are rounded."""
    weight = RNG.integers(0, 4, ROWS).astype(float)
    p = NUMBERS + RNG.normal(size=ROWS)

    def bare(y_true, y_pred):
        return mean_absolute_error(y_true, y_pred)

    expected = mean_absolute_error(NUMBERS, p, sample_weight=weight)
    for function in (loss(mean_absolute_error), loss(bare), loss(bare)):
        assert made(function).error(NUMBERS, p, weight) == pytest.approx(expected)
    assert made(loss(bare)).error(NUMBERS, p, 0.37 * weight) == pytest.approx(expected, rel=0.05)


def test_quantiles_may_be_scored_by_a_function_too() -> None:
    """It sees a column per level."""

    def width(y_true, y_pred):
        return float(np.mean(np.maximum(y_true - y_pred[:, 1], 0) + np.maximum(y_pred[:, 0] - y_true, 0)))

    width.greater_is_better = False
    folds = make_folds(NUMBERS, "quantile", count=3, seed=0)
    metric = own_metric.metric_of(
        width, profile_of("quantile", levels=(0.1, 0.9)), MetricTrial(NUMBERS, None, folds, math.inf)
    )
    assert metric.error(NUMBERS, NUMBERS[:, None] + np.array([[-1.0, 1.0]])) == 0
    assert watched(metric).name == "pinball"


def test_blends_are_steered_by_a_named_metric() -> None:
    """Thousands of looks go to a metric that takes microseconds."""
    assert watched(made(f2, "binary", ("no", "yes"))).name == "log_loss"
    assert watched(made(r2_score)).name == "rmse"


def test_a_function_called_like_a_named_metric_is_told_apart() -> None:
    """Code that knows the named one must not meet the user's; those without a name have one."""

    def roc_auc(y_true, y_pred):
        return float((y_true == y_pred).mean())

    assert made(roc_auc, "binary", (0, 1)).name == "roc_auc (own)"
    assert made(functools.partial(fbeta_score, beta=2), "binary", (0, 1)).name == "fbeta_score"
    assert made(lambda y, p: float(-np.abs(y - p).mean())).name == "lambda"


# --- what is refused, before anything is fitted ----------------------------------------------------------------------


def scorer(y_true, y_pred):
    return "good"


BAD = {
    "wrong direction": (mean_absolute_error, r"yet higher is said to be better. Set .*greater_is_better = False"),
    "direction of a score": (loss(r2_score), "yet lower is said to be better"),
    "not a number": (scorer, r"must return one finite number, got 'good'. It is called as scorer\(y_true, y_pred\)"),
    "an array": (lambda y, p: y - p, "must return one finite number"),
    "not finite": (lambda y, p: np.nan, "must return one finite number, got nan"),
    "raises": (lambda y, p: 1 / 0, "metric lambda failed: ZeroDivisionError: division by zero. It is called as"),
    "a scorer": (make_scorer(r2_score), "missing 1 required positional argument"),
    "wants labels": (loss(r2_score, needs="label"), "does not fit this task. Use 'value'"),
    "wants the moon": (loss(r2_score, needs="moon"), r"known: probability, label, value"),
    "direction in words": (loss(r2_score, greater_is_better="yes"), "greater_is_better must be True or False"),
    "cannot take zero": (loss(mean_tweedie_deviance), None),
}


@pytest.mark.parametrize(("function", "told"), BAD.values(), ids=BAD.keys())
def test_a_function_that_cannot_be_a_metric_is_refused_in_one_line(function, told) -> None:
    """It is tried on a constant model's predictions of every fold."""
    if told is None:
        assert made(function).error(NUMBERS, NUMBERS) == pytest.approx(0)
        return
    with pytest.raises(OptionError, match=told) as refusal:
        made(function)
    assert "\n" not in str(refusal.value)


def test_a_slow_function_is_refused_where_the_budget_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds per look times the looks of a run's end must fit; counted in trials they may take what they take."""
    now = [0.0]
    monkeypatch.setattr("automl.scoring.own_metric.time.perf_counter", lambda: now[0])

    def slow(y_true, y_pred):
        now[0] += 0.02
        return -float(np.abs(y_true - y_pred).mean())

    with pytest.raises(OptionError, match="too long for this budget"):
        made(slow, budget_s=10)
    assert made(slow, budget_s=math.inf).own.rounds == 40
    assert made(slow, budget_s=60).own.rounds < 12


def test_a_weight_column_needs_a_function_that_takes_weights() -> None:
    """Scores that ignore the weights would be of other rows."""
    with pytest.raises(OptionError, match=r"f2 takes no sample_weight.*Add a parameter sample_weight=None"):
        made(f2, "binary", ("no", "yes"), weight=np.ones(ROWS))
    assert made(r2_score, weight=NUMBERS).score(NUMBERS, NUMBERS + 1, NUMBERS) == pytest.approx(
        r2_score(NUMBERS, NUMBERS + 1, sample_weight=NUMBERS)
    )


def test_rows_on_which_it_fails_later_are_infinitely_bad() -> None:
    """Redrawn rows may hold what the function cannot take; the interval is made of the others."""
    metric = made(loss(roc_auc_score, needs="probability", greater_is_better=True), "binary", (0, 1))

    def picky(y_true, y_pred):
        if len(set(y_true)) < 2:
            raise ValueError("one class")
        return float((y_true == y_pred).mean())

    assert made(picky, "binary", (0, 1)).error(np.zeros(5, int), P[:5]) == math.inf
    assert metric.score(CODES, np.full_like(P, np.nan)) == -math.inf
    low, high = metrics.interval(made(picky, "binary", (0, 1)), CODES[:8], P[:8])
    assert low <= high


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.slow
def test_a_run_optimises_the_function_and_tunes_labels_for_it(customers: pd.DataFrame, tmp_path: Path) -> None:
    """Recall counts more than precision, so rows are called churned well below one half."""
    result = automl.fit(
        customers, "churned", metric=f2, families="linear", budget="2 trials", run_dir=tmp_path / "run", verbose=0,
        test=customers.sample(400, random_state=0),
    )  # fmt: skip
    assert result.score.metric == "f2"
    assert result.score.low > 0.5
    assert f2(customers["churned"], result.predict(customers)) > 0.55
    assert result.model.readout.threshold < 0.4
    assert result.test_score.value == pytest.approx(result.score.value, abs=0.15)
    told = json.loads((result.folder / "report.json").read_text())
    assert told["data"]["metric"] == "f2"
    assert "metric=f2)" in told["reproduce"] or "metric=f2," in told["reproduce"]
    assert "f2, higher is better" in (result.folder / "report.html").read_text()


@pytest.mark.slow
def test_a_loss_with_weights(tmp_path: Path) -> None:
    """Lower is better, and weights are passed on."""
    data = load_diabetes(as_frame=True).frame.assign(w=np.linspace(0.5, 2, 442))
    result = automl.fit(
        data, "target", metric=loss(mean_absolute_error), weight="w", families="linear,extra_trees", budget="2 trials",
        run_dir=tmp_path / "run", verbose=0,
    )  # fmt: skip
    board = result.leaderboard().set_index("name")["score"]
    assert not result.score.higher_is_better
    assert result.score.metric == "mean_absolute_error"
    assert result.score.high < board["constant"]
    assert board.drop("constant").max() < board["constant"]


@pytest.mark.slow
def test_several_classes_and_several_targets_take_a_function(tmp_path: Path) -> None:
    """One function scores each target; where it does, the scores have a mean."""
    data = load_wine(as_frame=True).frame.assign(dry=lambda frame: frame["alcohol"] > 13).drop(columns="alcohol")

    def share(y_true, y_pred):
        return float((y_true == y_pred).mean())

    result = automl.fit(
        data, ["target", "dry"], metric=share, families="linear", budget="2 trials", run_dir=tmp_path / "run",
        verbose=0,
    )  # fmt: skip
    assert {score.metric for score in result.scores.values()} == {"share"}
    assert result.score > 0.85
    assert result.predict(data)["dry"].dtype == bool


@pytest.mark.slow
def test_a_bad_function_leaves_no_run_folder(customers: pd.DataFrame, tmp_path: Path) -> None:
    """It is refused before the folder is made."""
    with pytest.raises(OptionError, match="greater_is_better = False"):
        automl.fit(
            load_diabetes(as_frame=True).frame, "target", metric=mean_absolute_error, budget="2 trials",
            run_dir=tmp_path / "run", verbose=0,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
