"""Calibration and thresholds are kept where they pay on rows they were not learned on, and nowhere else."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB

from automl.ensemble.blend import blend, deal, honest_error
from automl.ensemble.calibrate import Chosen, _judge, tune, tuned, tuned_error
from automl.records import Calibration
from automl.scoring import metrics
from automl.scoring.readout import calibrated, decided

LABELS = ["f1", "balanced_accuracy", "mcc", "f1_macro"]


def alone(metric: str, y: np.ndarray, p: np.ndarray) -> Chosen:
    return Chosen([p], np.ones(1), deal(metrics.get(metric), y, np.ones(1)))


def problem(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Real models on small sets: answers and held-out predictions, then answers and predictions of new rows."""
    if name == "surest":  # naive Bayes on correlated columns is famously too sure
        X, y = load_breast_cancer(return_X_y=True)
        model = GaussianNB()
    elif name == "digits":
        X, y = load_digits(return_X_y=True)
        model = ExtraTreesClassifier(60, random_state=0)  # averages of trees are not sure enough
    else:
        classes = 3 if name == "rare of three" else 2
        shares = [0.75, 0.17] if classes == 3 else [0.93]
        X, y = make_classification(4_000, 12, n_informative=6, n_classes=classes, weights=shares, random_state=seed)
        model = LogisticRegression(max_iter=500)
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = X[order], y[order]
    half = len(y) // 2
    held_out = cross_val_predict(model, X[:half], y[:half], cv=5, method="predict_proba")
    return y[:half], held_out, y[half:], model.fit(X[:half], y[:half]).predict_proba(X[half:])


@pytest.mark.parametrize("name", ["surest", "digits"])
@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_probabilities_that_are_too_sure_or_not_sure_enough_are_mended(name, metric):
    """The error on new rows falls clearly, the promised score is close to it, and rows still sum to one."""
    y, held_out, y_new, new = problem(name)
    scored = metrics.get(metric)
    readout, promised = tune(scored, y, alone(metric, y, held_out))
    assert readout.slope < 0.8 if name == "surest" else readout.slope > 1.2
    mended = calibrated(new, readout)
    np.testing.assert_allclose(mended.sum(axis=1), 1.0)
    before, after = scored.error(y_new, new), scored.error(y_new, mended)
    assert after < 0.95 * before
    assert abs(scored.error(y, promised) - after) < 0.6 * abs(before - after) + 0.02
    likeliest = new[np.arange(len(new)), mended.argmax(axis=1)] == new.max(axis=1)  # of equals the more frequent class
    assert likeliest.all() or name == "surest"  # two classes may also shift


def test_probabilities_that_are_right_stay_as_they_are():
    """Chance alone seldom passes the comparison, and what passes does next to no harm."""
    harm = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        chance = random.beta(1, 2, 1_000)
        p = np.column_stack([1 - chance, chance])
        y = (random.random(1_000) < chance).astype(int)
        readout, _ = tune(metrics.get("log_loss"), y, alone("log_loss", y, p))
        harm.append(float((p * np.log(p / calibrated(p, readout))).sum(axis=1).mean()))
    assert sum(each > 0 for each in harm) <= 5
    assert np.mean(harm) < 0.001


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_ranking_is_never_changed_but_its_probabilities_are_mended(metric):
    """Scores of ranking stay exactly what they were; users still get the better probabilities."""
    y, held_out, y_new, new = problem("surest")
    scored = metrics.get(metric)
    readout, promised = tune(scored, y, alone(metric, y, held_out))
    assert readout.slope < 0.8
    assert scored.error(y, promised) == scored.error(y, held_out)
    assert scored.error(y_new, calibrated(new, readout)) == pytest.approx(scored.error(y_new, new), abs=2e-3)
    assert metrics.get("log_loss").error(y_new, calibrated(new, readout)) < metrics.get("log_loss").error(y_new, new)


def test_a_ranking_of_several_classes_is_left_alone():
    """A slope would move rows past each other within a class; nothing was gained that anybody asked for."""
    y, held_out, _, _ = problem("digits")
    readout, promised = tune(metrics.get("roc_auc"), y, alone("roc_auc", y, held_out))
    assert readout == Calibration()
    assert np.array_equal(promised, held_out)


@pytest.mark.long
@pytest.mark.parametrize("metric", LABELS)
@pytest.mark.parametrize("name", ["rare", "rare of three"])
def test_labels_of_rare_classes_are_told_where_it_pays(name, metric):
    """On new rows the metric rises, and the promise is that of the labels with the rule, not without."""
    if name == "rare of three" and metric == "f1":
        pytest.skip("f1 is for two classes")
    scored, gains, gaps = metrics.get(metric), [], []
    for seed in range(8):
        y, held_out, y_new, new = problem(name, seed)
        readout, promised = tune(scored, y, alone(metric, y, held_out))
        shown = calibrated(new, readout)
        before, after = scored.error(y_new, new), scored.error(y_new, decided(shown, readout))
        gains.append(before - after)
        gaps.append(scored.error(y, promised) - after)
    assert np.mean(gains) > (0.08 if metric == "balanced_accuracy" else 0.005)  # for it the threshold is far from half
    assert abs(np.mean(gaps)) < 0.05


def test_the_threshold_of_balanced_accuracy_is_the_share_of_the_rare_class():
    """Where probabilities are right the best threshold is known, and few rows find it."""
    random = np.random.default_rng(0)
    chance = random.beta(0.5, 4.5, 2_000)
    y, p = (random.random(2_000) < chance).astype(int), np.column_stack([1 - chance, chance])
    readout, _ = tune(metrics.get("balanced_accuracy"), y, alone("balanced_accuracy", y, p))
    assert readout.threshold == pytest.approx(0.1, abs=0.03)
    assert readout.label_gain > 0.1


def test_decisions_agree_with_the_threshold():
    """A row is labelled with the second class exactly when its probability is above the threshold."""
    p = np.linspace(0, 1, 101)
    readout = Calibration(label_weights=(0.3, 0.7))
    labels = decided(np.column_stack([1 - p, p]), readout).argmax(axis=1)
    assert readout.threshold == pytest.approx(0.3)
    assert labels.tolist() == (p > 0.3 + 1e-9).astype(int).tolist()
    assert Calibration().threshold == 0.5


def test_a_rule_that_does_not_pay_is_not_kept():
    """With balanced classes and right probabilities half remains the threshold."""
    rules = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        chance = random.random(800)
        y, p = (random.random(800) < chance).astype(int), np.column_stack([1 - chance, chance])
        rules.append(tune(metrics.get("accuracy"), y, alone("accuracy", y, p))[0].label_weights)
    assert sum(rule != () for rule in rules) <= 2
    assert all(0.4 < rule[0] < 0.6 for rule in rules if rule)


def test_the_parts_of_a_blend_never_see_what_they_predict():
    """Models that know nothing get no better by calibration: cross-fitted, there is nothing to be gained from them."""
    scored, promises = metrics.get("f1_macro"), []
    for seed in range(10):
        random = np.random.default_rng(seed)
        y = random.permutation(np.arange(200) % 2)
        predictions = [np.column_stack([1 - p, p]) for p in random.random((20, 200))]
        honest = honest_error(scored, y, predictions)
        chosen = Chosen(predictions, blend(scored, y, predictions), honest.parts)
        promises.append(scored.error(y, tune(scored, y, chosen)[1]))
    assert abs(np.mean(promises) - 0.5) < 0.04


def test_row_weights_count():
    """Heavy rows decide how sure the model is to be."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 1_000)
    sure = np.where(y == 1, 0.95, 0.05)
    heavy = np.arange(1_000) % 10 == 0
    sure[heavy] = 1 - sure[heavy]  # wrong on one row in ten
    p = np.column_stack([1 - sure, sure])
    scored = metrics.get("log_loss")
    light, _ = tune(scored, y, alone("log_loss", y, p))
    weighed, _ = tune(scored, y, alone("log_loss", y, p), np.where(heavy, 5.0, 1.0))
    assert weighed.slope < 0.5 < light.slope


def test_numbers_have_no_readout():
    """Regression passes through, as do predictions that are not finite."""
    y = np.arange(50.0)
    readout, promised = tune(metrics.get("rmse"), y, alone("rmse", y, y + 1.0))
    assert readout == Calibration()
    assert np.array_equal(promised, y + 1.0)
    broken = np.full((50, 2), np.nan)
    assert tune(metrics.get("f1"), (y > 25).astype(int), alone("f1", (y > 25).astype(int), broken))[0] == Calibration()


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 60), st.integers(2, 4), st.integers(0, 1_000), st.sampled_from(["log_loss", "mcc", "f1_macro"]))
def test_any_small_data_has_a_finite_readout(rows, classes, seed, metric):
    """Down to a few rows, with certain predictions and missing classes among them."""
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, rows)
    p = random.dirichlet(np.full(classes, 0.05), rows)
    readout, promised = tune(metrics.get(metric), y, alone(metric, y, p))
    assert all(map(math.isfinite, (readout.slope, readout.shift, *readout.label_weights)))
    assert np.isfinite(promised).all()
    np.testing.assert_allclose(calibrated(p, readout).sum(axis=1), 1.0)


def rare(rows: int, share: float, signal: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of which few are positive, and probabilities that know that much about them."""
    random = np.random.default_rng(seed)
    y = (random.random(rows) < share).astype(int)
    logit = np.log(share / (1 - share)) - signal**2 / 2 + signal * (signal * y + random.normal(size=rows))
    p = 1 / (1 + np.exp(-logit))
    return y, np.column_stack([1 - p, p])


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "f1_macro", "mcc"])
def test_a_search_sees_the_better_model_where_positives_are_rare(metric):
    """One row in a hundred: at half as threshold, good and bad models tell next to none, and look alike."""
    scored, right, blind = metrics.get(metric), 0, 0
    for seed in range(10):
        good, bad = rare(4_000, 0.01, 1.4, seed), rare(4_000, 0.01, 0.6, seed)
        right += tuned_error(scored, *good) < tuned_error(scored, *bad) - 0.02
        blind += scored.error(*good) > scored.error(*bad) - 0.02
    assert right >= 8
    assert blind >= 8


def test_a_model_that_knows_nothing_gains_nothing_by_its_rule():
    """Each row is told by what other rows taught: trying thresholds does not make noise look good."""
    for metric in ("balanced_accuracy", "mcc"):
        scored, found = metrics.get(metric), []
        for seed in range(20):
            y, _ = rare(1_000, 0.05, 1.0, seed)
            p = np.random.default_rng(seed).beta(1, 19, 1_000)
            found.append(scored.error(y, tuned(scored, y, np.column_stack([1 - p, p]))))
        assert np.mean(found) == pytest.approx(scored.error(y, np.eye(2)[np.zeros(1_000, dtype=int)]), abs=0.02)


def test_the_rule_follows_the_class_that_is_rare_and_the_one_to_be_found():
    """Classes swapped, and the positive one with them: all is as before."""
    y, p = rare(4_000, 0.01, 2.0, 0)
    for metric in ("f1", "balanced_accuracy"):
        first, second = metrics.get(metric, positive=0), metrics.get(metric, positive=1)
        assert tuned_error(first, 1 - y, p[:, ::-1]) == pytest.approx(tuned_error(second, y, p), abs=0.02)
        assert tuned_error(second, y, p) < second.error(y, p) - 0.05


def test_a_baseline_of_f1_says_yes_to_all_where_that_is_best():
    """One answer for every row: nothing lies between its probabilities, yet its best rule has to be beaten."""
    y = np.arange(300) % 10 < 4
    p = np.repeat([[0.6, 0.4]], 300, axis=0)
    assert tuned_error(metrics.get("f1"), y.astype(int), p) == pytest.approx(1 - 0.8 / 1.4, abs=1e-3)
    assert tuned_error(metrics.get("accuracy"), y.astype(int), p) == pytest.approx(0.4)


def test_errors_without_labels_are_left_alone():
    """Probabilities, numbers and predictions that are not finite are scored as ever."""
    y, p = rare(300, 0.2, 1.0, 0)
    for metric in ("log_loss", "roc_auc", "average_precision"):
        assert tuned_error(metrics.get(metric), y, p) == metrics.get(metric).error(y, p)
    assert tuned_error(metrics.get("rmse"), y.astype(float), p[:, 1]) == metrics.get("rmse").error(y, p[:, 1])
    assert tuned_error(metrics.get("f1"), y, np.full((300, 2), np.nan)) == math.inf


def test_certainty_on_few_rows_gets_a_floor():
    """Right and sure on 200 rows, it may yet be wrong on the next: what that would cost pays for a floor."""
    random = np.random.default_rng(0)
    y = random.integers(0, 4, 200)
    logits = np.where(np.eye(4)[y] > 0, 0.0, -40.0 + random.normal(0, 3, (200, 4)))
    sure = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    readout, promised = tune(metrics.get("log_loss"), y, alone("log_loss", y, sure))
    assert 0.001 < readout.floor < 0.01
    surprised = calibrated(np.roll(sure[:1], 1, axis=1), readout)[0, y[0]]
    assert -math.log(surprised) < 10
    assert metrics.get("log_loss").error(y, promised) < 0.01


def test_rules_for_labels_of_many_classes_need_no_table_of_tables() -> None:
    """A thousand classes are allowed: every answer by every label by every class would take gigabytes."""
    random = np.random.default_rng(0)
    classes, rows = 1_000, 1_500
    y = random.integers(0, classes, rows)
    p = random.random((rows, classes)) + 20 * np.eye(classes)[y] * random.integers(0, 2, rows)[:, None]
    p /= p.sum(axis=1, keepdims=True)
    tracemalloc.start()
    tuned_error(metrics.get("f1_macro"), y, p, None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1e9


@pytest.mark.parametrize("metric", [*LABELS[1:], "accuracy", "f1_weighted"])
def test_a_table_of_answers_and_labels_errs_as_its_rows_do(metric: str) -> None:
    """Expected answers are judged by their table alone."""
    random = np.random.default_rng(1)
    table = random.random((4, 4))
    answers, told = np.divmod(np.arange(16), 4)
    judge = _judge(metrics.get(metric), 4)
    assert judge is not None
    assert judge(table) == pytest.approx(metrics.get(metric).errors(answers, np.eye(4)[told])(table.ravel()))
