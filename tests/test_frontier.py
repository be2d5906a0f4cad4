"""The frontier, its picks and the choice of what to return."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.ensemble.frontier import PREFERENCES, Bargain, Limits, choose, dominates, error, mark, trim
from automl.records import Candidate, Fold, Score


def candidate(name="m", value=0.8, row_ms=1.0, size_mb=1.0, higher=True) -> Candidate:
    score = Score(
        metric="accuracy" if higher else "rmse",
        value=value,
        low=value - 0.01,
        high=value + 0.01,
        higher_is_better=higher,
    )
    return Candidate(
        name=name,
        weights={0: 1.0},
        score=score,
        fit_s=1.0,
        row_ms=row_ms,
        batch_ms=1.0,
        size_mb=size_mb,
        lean_ms=row_ms,
        lean_mb=size_mb,
    )


def within(margin):
    """Ties as a paired interval would give them, here by distance."""
    return lambda a, b: abs(a.score.value - b.score.value) <= margin


@st.composite
def crowds(draw, least=1) -> list[Candidate]:
    """Candidates of one run, with many equal values and costs among them, and some that could not be measured."""
    higher = draw(st.booleans())
    values = st.one_of(st.sampled_from([0.1, 0.5, 0.5, 0.9]), st.floats(0, 1), st.just(math.nan))
    costs = st.one_of(st.sampled_from([0.1, 1.0, 10.0]), st.floats(0, 100), st.just(math.nan))
    rows = draw(st.lists(st.tuples(values, costs, costs), min_size=least, max_size=12))
    return [candidate(f"m{i}", *row, higher=higher) for i, row in enumerate(rows)]


@given(crowds())
def test_members_are_exactly_those_that_nothing_dominates(crowd):
    """A candidate is on the frontier if and only if no other is at least as good, as cheap, and better in one."""
    marked = mark(crowd, within(0.05))
    assert [one.name for one in marked] == [one.name for one in crowd]
    for one in marked:
        assert one.on_frontier != any(dominates(other, one) for other in marked)


@given(crowds())
def test_the_best_is_always_on_the_frontier(crowd):
    """Exactly one candidate is picked as best: on the frontier, with no more error than any other."""
    [best] = [one for one in mark(crowd, within(0.05)) if "best" in one.picks]
    assert best.on_frontier
    assert error(best.score) == min(error(one.score) for one in crowd)


@given(crowds())
def test_every_pick_is_on_the_frontier(crowd):
    """No pick could be beaten in both error and cost; only the smallest is picked for something else."""
    baseline = Score(metric="x", value=0.5, low=0.5, high=0.5, higher_is_better=crowd[0].score.higher_is_better)
    marked = mark(crowd, within(0.05), baseline)
    assert all(one.on_frontier for one in marked if set(one.picks) - {"smallest"})


@given(crowds(), st.sampled_from(PREFERENCES), st.floats(0.05, 50), st.floats(0.05, 50))
def test_a_choice_honours_both_limits(crowd, prefer, latency, size):
    """What is chosen is within the limits; nothing is chosen only where nothing is within them."""
    pick = choose(crowd, within(0.05), Limits(latency, size), prefer)
    fitting = [one for one in crowd if one.row_ms <= latency and one.size_mb <= size]
    if pick is None:
        assert not fitting
    else:
        assert any(pick.candidate is one for one in fitting)


@given(crowds(least=2))
def test_cheap_costs_no_more_than_accurate_which_errs_least(crowd):
    """The preferences are ordered in cost the one way and in error the other."""
    cheap, balanced, accurate = (choose(crowd, within(0.1), Limits(), p) for p in ("cheap", "balanced", "accurate"))
    if not any(math.isnan(one.row_ms) for one in crowd):
        assert cheap.candidate.row_ms <= accurate.candidate.row_ms
    least = error(accurate.candidate.score)
    assert least <= error(balanced.candidate.score)
    assert least <= error(cheap.candidate.score)


def test_domination_needs_a_difference():
    """Two models that are equal in both do not dominate each other, so both stay."""
    a, b = candidate("a"), candidate("b")
    assert not dominates(a, b)
    assert all(one.on_frontier for one in mark([a, b], within(0)))


def test_lower_is_better_turns_the_frontier_round():
    """With an error metric, the larger value is the worse one."""
    good, bad = candidate("good", 2.0, higher=False), candidate("bad", 3.0, higher=False)
    assert [one.on_frontier for one in mark([bad, good], within(0))] == [False, True]


def test_picks_name_the_best_the_cheapest_tied_and_the_fastest():
    """Each pick goes where its definition says: fastest gives up at most 5 % of the gain over the baseline."""
    crowd = [
        candidate("blend", 0.900, 20.0),
        candidate("boosted", 0.898, 2.0),  # tied with the blend
        candidate("linear", 0.882, 0.2),  # not tied; loses 0.018 of a gain of 0.4
        candidate("stump", 0.700, 0.1),
    ]
    picks = {
        one.name: one.picks
        for one in mark(
            crowd, within(0.005), Score(metric="accuracy", value=0.5, low=0.5, high=0.5, higher_is_better=True)
        )
    }
    assert picks == {"blend": ("best", "smallest"), "boosted": ("cheapest tied",), "linear": ("fastest",), "stump": ()}


def test_without_a_baseline_no_fastest_is_named():
    """A stated loss needs something to be measured against."""
    assert mark([candidate()], within(0))[0].picks == ("best", "cheapest tied")


def test_a_baseline_that_beats_every_model_leaves_no_loss_to_give_up():
    """Then only a model as good as the best may be called fastest."""
    crowd = [candidate("a", 0.4, 5.0), candidate("b", 0.3, 0.1)]
    marked = mark(crowd, within(0), Score(metric="accuracy", value=0.5, low=0.5, high=0.5, higher_is_better=True))
    assert [one.picks for one in marked] == [("best", "cheapest tied", "fastest", "smallest"), ()]


@pytest.mark.parametrize(("row_ms", "expected"), [(20.0, "best"), (20.1, "small")])
def test_balanced_takes_the_best_that_a_service_can_live_with(row_ms, expected):
    """Up to 20 ms a row quality decides; beyond it the best of the faster ones."""
    crowd = [candidate("best", 0.9, row_ms), candidate("small", 0.88, 0.1), candidate("worse", 0.87, 0.2)]
    assert choose(crowd, within(0.0), Limits()).candidate.name == expected


CROWD = [
    candidate("blend", 0.900, 15.0, 60.0),
    candidate("bag", 0.8995, 2.0, 5.0),  # tied; 0.5 % more error
    candidate("one", 0.8992, 1.5, 1.0),  # tied; 0.8 % more error, hardly cheaper than the bag
    candidate("stump", 0.898, 0.1, 0.1),  # tied; 2 % more error
]


@pytest.mark.parametrize(
    ("prefer", "is_timed", "expected"),
    [
        ("balanced", True, "bag"),  # within 1 %, and the better one of two that cost nearly the same
        ("balanced", False, "one"),  # by size, where no clock decides
        ("accurate", True, "blend"),
        ("cheap", True, "stump"),
        ("fastest", True, "stump"),
        ("smallest", True, "stump"),
    ],
)
def test_each_preference_takes_what_it_says(prefer, is_timed, expected):
    """The default gives up no more than 1 % of the error; the cheap ones whatever cannot be told apart."""
    bargain = Bargain(is_timed=is_timed, baseline=candidate(value=0.5).score)
    assert choose(CROWD, within(0.005), Limits(), prefer, bargain).candidate.name == expected


@pytest.mark.parametrize(
    ("prefer", "free", "expected"),
    [
        ("balanced", Limits(14.0, 0.0), "blend"),  # hardly dearer than what is free
        ("balanced", Limits(1.5, 0.0), "bag"),
        ("cheap", Limits(14.0, 0.0), "stump"),  # who asks for the cheapest gets it
        ("fastest", Limits(14.0, 0.0), "stump"),
    ],
)
def test_what_is_as_good_as_free_is_given_nothing_up_for_by_default(prefer, free, expected):
    """Steps of series are asked for all together: which model takes a millisecond less for one matters to nobody."""
    bargain = Bargain(free=free, baseline=candidate(value=0.5).score)
    assert choose(CROWD, within(0.005), Limits(), prefer, bargain).candidate.name == expected


@given(crowds(least=2), st.floats(0.01, 0.2))
def test_the_default_is_tied_with_the_best_and_loses_at_most_one_percent(crowd, margin):
    """Whatever is chosen instead of the best among those a service can live with."""
    pick = choose(crowd, within(margin), Limits())
    able = [one for one in crowd if one.row_ms <= 20 and one.size_mb <= 100]
    if able:
        best = min(able, key=lambda one: (error(one.score), one.size_mb))
        more = error(pick.candidate.score) - error(best.score)
        perfect = float(best.score.higher_is_better)
        least = min(crowd, key=lambda one: error(one.score))
        if not error(best.score) - error(least.score) <= 0.5 * abs(least.score.value - perfect):
            return  # all that a service can live with is far worse
        assert pick.candidate is best or more <= 0.01 * abs(best.score.value - perfect) + 1e-12
        assert not pick.candidate.row_ms > best.row_ms


@given(crowds(least=2), st.randoms(use_true_random=False))
def test_where_trials_are_counted_no_measured_time_decides(crowd, random):
    """Runs of the same plan return the same model, however long its rows took this time."""
    other = [replace(one, row_ms=random.choice([0.1, 1.0, 10.0]), batch_ms=random.random()) for one in crowd]
    bargain = Bargain(everyday=Limits(size_mb=100.0), is_timed=False, baseline=candidate(value=0.5).score)
    for prefer in PREFERENCES:
        first, second = (choose(some, within(0.05), Limits(), prefer, bargain) for some in (crowd, other))
        if first is not None:
            assert first.candidate.name == second.candidate.name


@given(crowds(), st.floats(0, 1))
def test_what_gives_up_a_share_of_the_gain_gives_up_no_more(crowd, give_up):
    """The fastest is as fast, and the smallest as small, as any that keeps as much; both keep it."""
    higher = crowd[0].score.higher_is_better
    baseline = Score(metric="x", value=0.2 if higher else 0.8, low=0, high=1, higher_is_better=higher)
    bargain = Bargain(baseline=baseline, give_up=give_up)
    least = min(error(one.score) for one in crowd)
    if not math.isfinite(least):
        return
    allowed = least + give_up * max(0.0, error(baseline) - least)
    keeping = [one for one in crowd if error(one.score) <= allowed]
    for prefer, cost in (("fastest", "row_ms"), ("smallest", "size_mb")):
        found = choose(crowd, within(0.05), Limits(), prefer, bargain).candidate
        assert any(found is one for one in keeping)
        assert not any(getattr(one, cost) < getattr(found, cost) for one in keeping)


def test_limits_that_nobody_asked_for_do_not_make_it_far_worse():
    """Half the error again is not given up to be below 20 ms; a limit that was asked for holds whatever it costs."""
    crowd = [candidate("good", 0.9, 45.0), candidate("poor", 0.8, 0.1)]
    assert choose(crowd, within(0.0), Limits()).candidate.name == "good"
    assert choose(crowd, within(0.0), Limits(row_ms=20.0)).candidate.name == "poor"


def test_balanced_takes_the_cheapest_where_all_are_slow():
    """A run of slow models still ends with one."""
    crowd = [candidate("best", 0.9, 90.0), candidate("less slow", 0.88, 40.0)]
    assert choose(crowd, within(0.0), Limits()).candidate.name == "less slow"


def test_a_choice_says_why():
    """The reason names the limits, the rival and both costs, in one line."""
    crowd = [candidate("big", 0.91, 50.0), candidate("blend", 0.900, 9.8), candidate("boosted", 0.899, 0.42)]
    pick = choose(crowd, within(0.005), Limits(row_ms=10), "cheap")
    assert pick.because.startswith(
        "cannot be told apart from the best of 2 of 3 models within the limits, blend, and takes"
    )
    assert "0.42 ms a row" in pick.because
    assert "9.8 ms" in pick.because
    assert choose(crowd, within(0), Limits(), "accurate").because == "the best score of 3 models"
    assert choose(crowd, within(0), Limits(row_ms=1)).because == "the only one of 3 models within the limits"


@pytest.mark.parametrize(
    ("limits", "kept"), [(Limits(), 5), (Limits(row_ms=8.0), 4), (Limits(size_mb=5.0), 2), (Limits(row_ms=0.1), 1)]
)
def test_as_many_folds_are_kept_as_the_limits_allow(limits, kept):
    """All without limits, fewer with them, and one in any case."""
    fold = Fold(
        fold=0, predictions=np.empty(0), error=0.1, is_cut=False, fit_s=1.0, batch_s=0.1, row_s=0.001, size_mb=1.25
    )
    assert trim([[fold] * 5, [fold] * 5], [0.5, 0.5], limits) == [kept] * 2


def test_members_that_are_dear_and_weigh_little_lose_their_folds_first():
    """The same milliseconds are taken where averaging folds matters least, and no more than the limit asks."""
    cheap = Fold(
        fold=0, predictions=np.empty(0), error=0.1, is_cut=False, fit_s=1.0, batch_s=0.1, row_s=0.0001, size_mb=1.0
    )
    dear = Fold(
        fold=0, predictions=np.empty(0), error=0.1, is_cut=False, fit_s=1.0, batch_s=0.1, row_s=0.001, size_mb=1.0
    )
    assert trim([[cheap] * 5, [dear] * 5], [0.9, 0.1], Limits(row_ms=2.6)) == [5, 2]
    assert trim([[dear] * 5, [dear] * 5], [0.9, 0.1], Limits(row_ms=6.0)) == [5, 1]
    assert trim([[dear] * 5], [1.0], Limits(row_ms=0.0)) == [1]


def test_a_model_that_keeps_two_folds_of_each_member_goes_before_one_that_keeps_a_single_one():
    """Scores do not show what averaging folds adds, so a better score on one fold is not taken for granted."""
    many = replace(candidate("many", 0.9, row_ms=40.0), lean_ms=8.0)
    few = replace(candidate("few", 0.89, row_ms=12.0), lean_ms=4.0)
    assert choose([many, few], within(0), Limits(row_ms=10.0)).candidate.name == "few"
    assert choose([many, few], within(0), Limits(row_ms=16.0)).candidate.name == "many"
    assert choose([many], within(0), Limits(row_ms=10.0)).candidate.name == "many"


def test_nothing_within_the_limits_is_no_choice():
    """Then the caller is told so with None, not with a model that breaks the limit."""
    assert choose([candidate(row_ms=3.0)], within(0), Limits(row_ms=2.0)) is None
    assert choose([], within(0), Limits()) is None
    assert mark([], within(0)) == []


def test_an_unknown_preference_is_refused():
    """A misspelt preference must not fall back to another silently."""
    with pytest.raises(ValueError, match="cheap, balanced, accurate, fastest or smallest, got 'fast'"):
        choose([candidate()], within(0), Limits(), "fast")
