"""What follows a search is bounded: by sizes where only trials count, and by the clock where there is a promise."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from automl.ensemble import forms, rivalry
from automl.ensemble.candidates import NO_LIMITS, HeldOutComparison, candidates
from automl.options import Budget
from automl.records import Fold, Member, Plan, Spent, Trial, TrialStatus
from automl.refit import tested
from automl.refit.members import Refitter, as_bags
from automl.runtime.clock import Clock
from automl.scoring import metrics
from automl.scoring.folds import Folds
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


def test_of_models_that_look_forward_the_newest_alone_is_kept() -> None:
    """Older ones learned from fewer rows and know nothing of what came since: their mean would be stale."""
    given = comparison(Counted("log_loss"), 3, 400, 2)
    trials = tuple(
        replace(t, folds={k: replace(t.folds[0], fold=k, row_s=0.001, size_mb=1.0) for k in range(4)})
        for t in given.trials
    )
    given = replace(given, trials=trials)
    usual = next(one for one in candidates(given, NO_LIMITS, until=OVER) if one.name == "linear #1")
    newest = next(
        one for one in candidates(replace(given, is_forward=True), NO_LIMITS, until=OVER) if one.name == "linear #1"
    )
    assert (usual.kept, newest.kept) == ({}, {1: 1})
    assert newest.row_ms == pytest.approx(usual.row_ms / 4)
    assert [member.folds for member in as_bags(newest, trials)] == [(0,)]
    assert [member.folds for member in as_bags(usual, trials)] == [(0, 1, 2, 3)]


def test_one_model_is_not_promised_what_two_deals_of_the_rows_say_together() -> None:
    """Below a thousand rows a held-out prediction is the mean of two models; the form as one model is one of them."""
    random, rows = np.random.default_rng(0), 600
    y = random.integers(0, 2, rows)

    def noisy() -> np.ndarray:
        chance = 1 / (1 + np.exp(-(2.0 * y - 1) - 1.5 * random.normal(size=rows)))
        return np.column_stack([1 - chance, chance])

    deals = [noisy(), noisy()]
    folds = {k: replace(a_fold(deals[k]), fold=k) for k in (0, 1)}
    plan = Plan(number=1, family="lightgbm", params={}, seed=0, because="")
    trial = Trial(plan=plan, status=TrialStatus.DONE, folds=folds)
    metric = metrics.get("log_loss")
    given = HeldOutComparison(
        trials=(trial,), metric=metric, folds=(0,), rows=np.arange(rows), y=y, weight=None,
        predictions={1: (deals[0] + deals[1]) / 2}, later=(1,),
    )  # fmt: skip
    bag = next(one for one in candidates(given, NO_LIMITS, until=OVER) if one.name == "lightgbm #1")
    found = forms._score_of_one(bag, given)
    assert found.value - bag.score.value == pytest.approx(
        metric.error(y, deals[0]) - metric.error(y, given.predictions[1]), rel=0.3
    )
    assert found.value > bag.score.value + 0.02
    assert found.low - bag.score.low == pytest.approx(found.value - bag.score.value)
    assert forms._score_of_one(bag, replace(given, later=())) == bag.score


def a_fold(said: np.ndarray) -> Fold:
    return Fold(
        fold=0, predictions=said, error=0.5, is_cut=False, fit_s=1.0, batch_s=0.01, row_s=0.001, size_mb=0.1
    )  # fmt: skip


class Slots:
    """A run's context as far as a refitter plans with it."""

    def __init__(self, slots: int, left_s: float, is_timed: bool = True) -> None:
        self.pool = SimpleNamespace(slots=slots, nodes=list)
        self.clock = SimpleNamespace(is_timed=is_timed, left=lambda _kept: left_s)


def planned(context: Slots, fits: dict[int, float], busy: float = 1.0) -> tuple[list[int], int]:
    """Which of these trials are fitted on all rows, by the seconds of their folds, and the threads of each."""
    rows = 1_000
    dealt = Folds(10, np.arange(rows).astype(np.int16) % 10, "random", "")
    trials = {}
    for number, fit_s in fits.items():
        done = {0: replace(a_fold(np.zeros((100, 2))), fit_s=fit_s)}
        plan = Plan(number=number, family="lightgbm", params={}, seed=0, because="")
        spent = Spent(cpu_s=busy * fit_s, wall_s=fit_s)
        trials[number] = Trial(plan=plan, status=TrialStatus.PARTIAL, folds=done, spent=spent)
    shared = SimpleNamespace(y=np.zeros(rows), folds=dealt)
    refitter = Refitter(list(trials.values()), shared, context)
    members = [Member(t.plan, 1.0 / (1 + number), (0,)) for number, t in trials.items()]
    able = [m for m in members if refitter._may(m, trials[m.plan.number], is_each=False)]
    wanted = refitter._in_time(able, trials)
    return wanted, refitter._threads(trials[next(iter(trials))], max(1, len(wanted)))


def test_fits_on_all_rows_are_planned_together() -> None:
    """Each alone would end in time, all on two cores would not: the heaviest members go first."""
    fits = {1: 4.0, 2: 4.0, 3: 4.0, 4: 4.0}
    assert planned(Slots(2, 8.0), fits)[0] == [1, 2]
    assert planned(Slots(2, 30.0), fits)[0] == [1, 2, 3, 4]
    assert planned(Slots(2, 0.5, is_timed=False), fits)[0] == [1, 2, 3, 4]


def test_a_fit_on_all_rows_has_the_cores_that_are_free_and_is_priced_by_what_it_kept_busy() -> None:
    """A fold of ten seconds on eight cores takes eighty on one."""
    assert planned(Slots(8, 30.0), {1: 10.0}, busy=8.0) == ([1], 8)
    assert planned(Slots(1, 30.0), {1: 10.0}, busy=8.0)[0] == []
    assert planned(Slots(8, 30.0), {1: 4.0, 2: 4.0}, busy=2.0) == ([1, 2], 4)
    assert planned(Slots(8, 30.0, is_timed=False), {1: 4.0})[1] == 1


def asked_of(rows: int, left_s: float, batch_ms: float, **more: object) -> np.ndarray | None:
    """Which of so many test rows a model is asked about that takes so long for a thousand."""
    schema = SimpleNamespace(is_of_rows=False, claims={}, **more)
    clock = SimpleNamespace(limit_s=60.0, left=lambda _kept: left_s)
    inputs = SimpleNamespace(context=SimpleNamespace(clock=clock), ready=SimpleNamespace(schema=schema))
    return tested._in_time(range(rows), SimpleNamespace(batch_ms=batch_ms), inputs)


def test_test_rows_are_asked_about_as_far_as_the_budget_goes() -> None:
    """A million rows at 30 ms a thousand take half a minute: a fair part says nearly as much."""
    some = asked_of(1_000_000, 4.5, 30.0)
    assert some is not None
    assert some.sum() == pytest.approx(100_000, rel=0.01)
    assert some[:500_000].sum() == pytest.approx(50_000, rel=0.05)
    assert asked_of(50_000, 4.5, 30.0) is None
    late = asked_of(50_000, -1.0, math.nan)
    assert late is not None
    assert late.sum() == tested.LEAST_ROWS
    assert asked_of(tested.LEAST_ROWS, -1.0, math.nan) is None


def test_what_is_kept_for_refits_and_for_test_rows_grows_with_a_long_budget() -> None:
    """Fits of minutes take as long at the end; a cap of a minute would leave none of them time."""
    clock = Clock(Budget.parse("1h"))
    assert clock.finish_s == pytest.approx(60.0)
    clock.keep_for_test(90.0)
    assert clock.finish_s == pytest.approx(150.0)
    clock.keep_for_refits()
    assert clock.finish_s == pytest.approx(690.0)
    short = Clock(Budget.parse("60s"))
    short.keep_for_refits()
    assert short.finish_s == pytest.approx(12.0)
