"""What follows a search is bounded: by sizes where only trials count, and by the clock where there is a promise."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from automl.ensemble import rivalry
from automl.ensemble.candidates import NO_LIMITS, HeldOutComparison, candidates
from automl.records import Fold, Plan, Trial, TrialStatus
from automl.scoring import metrics
from automl.scoring.metrics import Metric

OVER = 0.0  # time.monotonic() of a moment long gone


class Counted:
    """A metric that says nothing new, and counts what it would have to look at."""

    def __init__(self, name: str, levels: tuple[float, ...] = ()) -> None:
        self.cells = 0
        self.rounds = 0
        self.metric: Metric = replace(metrics.get(name, levels), rule=self._rule)

    def _rule(self, y: np.ndarray, p: np.ndarray):
        share = p.reshape(len(p), -1)[:, 0].astype(float)
        each = metrics._cells(self.metric, len(y), p.shape[1] if p.ndim > 1 else 1)

        def error(weight: np.ndarray) -> float:
            self.cells += each
            self.rounds += 1
            return float((weight * share).sum() / weight.sum())

        return error


def predictions(rows: int, classes: int, seed: int = 0) -> np.ndarray:
    """Shares of classes, random."""
    raw = np.random.default_rng(seed).random((rows, classes), dtype=np.float32)
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "rows", "classes"),
    [("roc_auc", 20_000, 20), ("roc_auc", 30_000, 150), ("f1_macro", 20_000, 1_000), ("log_loss", 400_000, 3)],
)
@pytest.mark.parametrize("has_blocks", [False, True])
def test_an_interval_looks_at_a_bounded_number_of_cells(name, rows, classes, has_blocks):
    """Whatever the rows and classes are: a few looks at everything, and rounds that together are bounded."""
    counted, p = Counted(name), predictions(rows, classes)
    y, blocks = np.arange(rows) % classes, np.arange(rows) // 50 if has_blocks else None
    low, high = metrics.interval(counted.metric, y, p, blocks=blocks)
    assert low < high
    assert counted.cells <= 2 * rows * classes + classes**2 + 20_000_000
    counted.cells = 0
    wider = metrics.interval(counted.metric, y, p, blocks=blocks, until=OVER)
    assert counted.cells <= rows * classes + classes**2 + 15 * (1_000 * classes + classes**2)
    assert wider[1] - wider[0] > 0.5 * (high - low)
    assert np.isfinite(wider).all()


@pytest.mark.parametrize("classes", [3, 20])
def test_cheap_intervals_are_about_as_wide_as_dear_ones(classes):
    """Of a ranking of several classes: redrawing few rows, and few times, says what redrawing all of them would."""
    random = np.random.default_rng(1)
    y = random.integers(0, classes, 6_000)
    raw = np.exp(random.normal(size=(6_000, classes)) + np.eye(classes)[y])
    p, auc = raw / raw.sum(axis=1, keepdims=True), metrics.get("roc_auc")
    few = np.mean([np.ptp(metrics.interval(auc, y, p, seed=seed, until=OVER)) for seed in range(4)])
    usual = np.ptp(metrics.interval(auc, y, p))
    exact = [auc.error(y[some], p[some]) for some in (random.integers(0, 6_000, 6_000) for _ in range(60))]
    assert usual == pytest.approx(3.92 * np.std(exact), rel=0.4)
    assert 0.6 < few / usual < 2.5


def test_without_a_promise_nothing_hangs_on_the_clock(monkeypatch):
    """The same interval however slow the machine is; with a promise that runs out, rounds end."""
    counted, p, y = Counted("log_loss"), predictions(500, 2), np.arange(500) % 2
    usual = metrics.interval(counted.metric, y, p)
    assert counted.rounds > 200
    now = time.monotonic()
    ticks = iter(range(100_000))
    monkeypatch.setattr(time, "monotonic", lambda: now + next(ticks))
    assert metrics.interval(counted.metric, y, p) == usual
    counted.rounds = 0
    metrics.interval(counted.metric, y, p, until=now + 30)
    assert 12 <= counted.rounds <= 40


def comparison(
    counted: Counted, trials: int, rows: int, classes: int, blocks: np.ndarray | None = None
) -> HeldOutComparison:
    """Trials that all did the one fold there is."""
    done = []
    for number in range(trials):
        fold = Fold(
            fold=0,
            predictions=predictions(rows, classes, number),
            error=0.1 * number,
            is_cut=False,
            fit_s=1.0,
            batch_s=0.0,
            row_s=0.0,
            size_mb=0.0,
        )
        plan = Plan(number=number, family="linear" if number else "constant", params={}, seed=0, because="")
        done.append(Trial(plan=plan, status=TrialStatus.DONE, folds={0: fold}))
    given = {t.plan.number: t.folds[0].predictions for t in done}
    return HeldOutComparison(
        trials=tuple(done),
        metric=counted.metric,
        folds=(0,),
        rows=np.arange(rows),
        y=np.arange(rows) % classes,
        weight=None,
        predictions=given,
        blocks=blocks,
    )


def test_when_time_is_over_every_candidate_still_has_an_interval_for_a_few_looks():
    """Of twenty classes on 20,000 rows: about as much as a few looks at each candidate's predictions."""
    counted = Counted("roc_auc")
    field = candidates(comparison(counted, 9, 20_000, 20), NO_LIMITS, until=OVER)
    assert len(field) >= 9
    for one in field:
        assert math.isfinite(one.score.low)
        assert one.score.low < one.score.value < one.score.high
    assert counted.cells <= 12 * 20_000 * 20 * len(field)


def test_when_time_is_over_ties_take_a_look_at_each_candidate():
    """Models that are equally good by chance cannot be told apart; each is looked at once, not with every rival."""
    counted = Counted("roc_auc")
    given = comparison(counted, 9, 20_000, 20)
    field = candidates(given, NO_LIMITS, until=OVER)
    counted.cells = 0
    assert rivalry.compare(field, given, until=OVER).tied_pairs()
    assert counted.cells <= (len(field) + 1) * 20_000 * 20 + len(field) * 30 * 1_000 * 20


def test_candidates_of_groups_have_the_intervals_of_groups():
    """Where all rows of a group are predicted alike, thirty groups tell what thirty rows would, not 1,200."""
    group = np.repeat(np.arange(30), 40)
    alone, together = (comparison(Counted("log_loss"), 3, 1_200, 2, blocks) for blocks in (None, group))
    for one in (alone, together):
        for number in one.predictions:
            one.predictions[number][:] = predictions(30, 2, number)[group]
    widths = [candidates(one, NO_LIMITS, until=OVER)[-1].score for one in (alone, together)]
    assert widths[1].high - widths[1].low > 3 * (widths[0].high - widths[0].low)
