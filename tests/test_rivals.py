"""Machine learning and deep learning as rivals: probes, the audit that both finish, and shares by the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from automl.decision import probes
from automl.records import Fold, Plan, Spent
from automl.records.choice import Gain
from automl.search.allocate import Allocator
from automl.search.rivals import LEAST_COURSE, PROBES_SHARE, SINGLE_SHARE, Rivals
from automl.search.steps import Attempt, Continue, Course, Load, Start
from search_spaces.spec import Price, Size

OPEN = Gain(mean=0.1, sd=0.3, source="rules")
LOST = Gain(mean=2.0, sd=0.1, source="rules")
WON = Gain(mean=-2.0, sd=0.1, source="rules")
FAMILIES = [search_spaces.get(name) for name in ("lightgbm", "linear", "mlp", "tabm")]


def attempt(
    number: int,
    family: str,
    errors: Mapping[int, float],
    *,
    share: float = 1.0,
    fit_s: float = 1.0,
    is_cut: bool = False,
) -> Attempt:
    """A trial that did some folds."""
    plan = Plan(
        number=number, family=family, params={}, seed=0, because="", is_quick=share < 1,
        features={"recipe": "plain", **({"share": share} if share < 1 else {})},
    )  # fmt: skip
    folds = {
        k: Fold(fold=k, predictions=np.empty(0), error=error, is_cut=is_cut, fit_s=fit_s, batch_s=0.01, row_s=0.001,
                size_mb=0.1)
        for k, error in errors.items()
    }  # fmt: skip
    return Attempt(plan, folds, spent=Spent(cpu_s=fit_s * len(folds)))


def load(rows: int = 5_000, gain: Gain | None = OPEN, goal: int = 5) -> Load:
    """Two workers on a table of eight columns."""
    return Load(folds=5, goal=goal, size=Size(rows, 8), slots=2, neural_share=0.25, gain=gain, held=rows // 4)


def dear(seconds: float) -> dict[str, float]:
    """Predicted seconds of a fold of each family."""
    return {family.name: seconds for family in FAMILIES}


# --- what is thought -------------------------------------------------------------------------------------------------


def test_routes_are_paired_on_the_folds_that_both_did() -> None:
    """The best of each on these, whatever else they did."""
    trials = [
        attempt(1, "lightgbm", {0: 1.0, 1: 3.0, 2: 1.0}),
        attempt(2, "linear", {0: 0.5}),  # lucky on one fold: the network did three with another
        attempt(3, "mlp", {0: 0.9, 1: 2.7, 2: 0.9}),
    ]
    other, network = probes.paired(trials)[1.0]
    assert (other.trial, network.trial) == (1, 3)
    assert list(network.errors) == [0, 1, 2]
    mean, sd = probes.gain_of(other, network, probes.Footing(10_000, 5.0))
    assert mean == pytest.approx(math.log(0.9))
    assert sd < 0.05


def test_a_route_without_a_fold_in_common_has_no_pair() -> None:
    assert probes.paired([attempt(1, "lightgbm", {0: 1.0}), attempt(2, "mlp", {1: 0.1})]) == {}


def test_what_is_seen_moves_what_was_thought() -> None:
    """Less where a fold holds out few rows."""
    trials = [attempt(1, "lightgbm", {0: 1.0}), attempt(2, "mlp", {0: 0.5})]
    many, few = (probes.belief(OPEN, trials, probes.Footing(held, 3.0)) for held in (5_000, 2))
    assert many.win > few.win > OPEN.win
    assert many.sd < few.sd < OPEN.sd
    assert "0.5 times the error of lightgbm on 1 fold" in many.told


def test_a_look_at_few_rows_counts_for_less_and_one_that_was_cut_for_nothing() -> None:
    """Routes gain differently from more rows; a network cut on few rows shows what it had no time for."""
    part = [attempt(1, "lightgbm", {0: 1.0}, share=1 / 9), attempt(2, "mlp", {0: 0.5}, share=1 / 9)]
    whole = [attempt(1, "lightgbm", {0: 1.0}), attempt(2, "mlp", {0: 0.5})]
    cut = [part[0], attempt(2, "mlp", {0: 9.0}, share=1 / 9, is_cut=True)]
    footing = probes.Footing(1_000, 3.0)
    assert OPEN.win < probes.belief(OPEN, part, footing).win < probes.belief(OPEN, whole, footing).win
    assert probes.belief(OPEN, cut, footing) == OPEN


@given(
    st.floats(-3, 3), st.floats(0.05, 2), st.lists(st.floats(0, 10), min_size=1, max_size=5), st.integers(1, 100_000)
)
def test_beliefs_stay_chances_whatever_was_seen(mean: float, sd: float, errors: list[float], held: int) -> None:
    """Also errors of nothing; evidence never makes it less sure."""
    prior = Gain(mean=mean, sd=sd, source="rules")
    mine = dict(enumerate(errors))
    trials = [attempt(1, "lightgbm", mine), attempt(2, "mlp", {k: e * 0.9 for k, e in mine.items()})]
    seen = probes.belief(prior, trials, probes.Footing(held, 1.0))
    assert 0 <= seen.win <= 1
    assert seen.sd <= prior.sd
    assert probes.AUDIT <= probes.neural_share(seen) <= 1 - probes.AUDIT


# --- probes ----------------------------------------------------------------------------------------------------------


def test_each_route_is_probed_on_rising_shares_of_the_rows() -> None:
    attempts: dict[int, Attempt] = {}
    rivals = Rivals(FAMILIES, load(), attempts)
    seen = []
    for number in range(1, 5):
        step = rivals.next(60.0, dear(1.0))
        assert isinstance(step, Start)
        seen.append((step.family.name, round(step.share, 3), step.is_quick))
        attempts[number] = attempt(number, step.family.name, {0: 1.0}, share=step.share, fit_s=0.1)
    assert seen == [
        ("lightgbm", 0.111, True), ("mlp", 0.111, True), ("lightgbm", 0.333, True), ("mlp", 0.333, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "gain", "fold_s"), [(600, OPEN, 1.0), (5_000, LOST, 1.0), (5_000, WON, 1.0), (5_000, OPEN, 60.0)]
)
def test_no_probe_where_rows_are_few_the_winner_is_sure_or_seconds_are_dear(
    rows: int, gain: Gain, fold_s: float
) -> None:
    rivals = Rivals(FAMILIES, load(rows, gain), {})
    assert rivals.next(60.0, dear(fold_s)) is None  # and no audit before a classical model
    assert PROBES_SHARE < 0.1


def test_one_route_alone_has_no_rival() -> None:
    rivals = Rivals(FAMILIES[:2], load(gain=None), {1: attempt(1, "lightgbm", {0: 1.0})})
    assert not rivals.is_open
    assert rivals.next(60.0, dear(1.0)) is None


# --- the audit -------------------------------------------------------------------------------------------------------


def test_the_leading_network_follows_the_first_classical_model() -> None:
    """On a course that leaves the classical models their part."""
    rivals = Rivals(FAMILIES, load(600), {1: attempt(1, "lightgbm", {0: 1.0})})
    step = rivals.next(60.0, dear(4.0))
    assert isinstance(step, Start)
    assert step.family.name == "mlp"
    assert step.course is not None
    assert LEAST_COURSE * 4.0 <= step.course.soft_s <= 8.0
    assert not step.is_quick


def test_both_do_three_folds_whoever_leads_on_the_first() -> None:
    """So that there is something to compare: by turns, from the one with fewer."""
    attempts = {1: attempt(1, "lightgbm", {0: 1.0}), 2: attempt(2, "mlp", {0: 3.0})}
    attempts[2].course = Course(1.0, 1)
    rivals = Rivals(FAMILIES, load(600), attempts)
    told = []
    while (step := rivals.next(60.0, dear(1.0))) is not None:
        assert isinstance(step, Continue)
        one = attempts[step.number]
        assert step.course == (one.course if step.number == 2 else None)
        one.folds[step.fold] = replace(one.folds[0], fold=step.fold)
        told.append((step.number, step.fold))
    assert sorted(told) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_network_that_could_finish_nothing_is_not_begun() -> None:
    """Even one fold would take more than the losing route may have."""
    rivals = Rivals(FAMILIES, load(600, LOST), {1: attempt(1, "lightgbm", {0: 1.0})})
    assert rivals.next(30.0, dear(60.0)) is None
    single = rivals.next(30.0, dear(12.0))
    assert isinstance(single, Start)
    assert single.course is not None
    assert single.course.soft_s == pytest.approx(SINGLE_SHARE * (2 * 30.0 + 1.0))


# --- shares ----------------------------------------------------------------------------------------------------------


def test_who_is_losing_keeps_the_audits_share() -> None:
    attempts = {1: attempt(1, "lightgbm", {0: 1.0, 1: 1.0, 2: 1.0}), 2: attempt(2, "mlp", {0: 4.0, 1: 4.0, 2: 4.0})}
    rivals = Rivals(FAMILIES, load(), attempts)
    assert rivals.share("neural") == probes.AUDIT
    assert rivals.share("classical") == 1 - probes.AUDIT
    attempts[2] = attempt(2, "mlp", {0: 0.2, 1: 0.2, 2: 0.2, 3: 0.2})
    assert 0.7 < rivals.share("neural") <= 1 - probes.AUDIT


def test_first_looks_decide_less_than_the_best_of_many_families() -> None:
    """What nobody tried of a route may be better: the more was tried, the surer is what was seen."""
    first = [attempt(1, "lightgbm", {0: 1.0}), attempt(2, "mlp", {0: 0.5})]
    more = [*first, *(attempt(k, name, {0: 1.2}) for k, name in enumerate(("linear", "xgboost", "tabm"), start=3))]
    one, many = (probes.belief(OPEN, trials, probes.Footing(5_000, 3.0)) for trials in (first, more))
    assert OPEN.win < one.win < many.win


def test_families_of_a_route_that_lost_are_not_looked_at_while_it_is_above_its_share() -> None:
    """The search goes on with the network that is four times better; nothing classical is begun any more."""
    attempts = {
        1: attempt(1, "lightgbm", {0: 1.0, 1: 1.0, 2: 1.0}),
        2: attempt(2, "mlp", {0: 0.25, 1: 0.25, 2: 0.25}, fit_s=2.0),
    }
    cheap = [replace(family, price=Price(0.0, 1.0)) for family in FAMILIES]
    against = replace(load(600, OPEN), goal=3, folds=3)
    allocator = Allocator(cheap, against, attempts, lambda: {1: 0.0, 2: 1.0})
    step = allocator.next(60.0)
    assert isinstance(step, Start)
    assert step.family.name == "tabm"


def test_probes_are_owed_no_folds_and_hide_no_recipe() -> None:
    """The default with each recipe still comes before other families, and a probe on some rows gets no bag."""
    attempts = {
        1: attempt(1, "lightgbm", {0: 1.0}, share=1 / 3),
        2: attempt(2, "mlp", {0: 1.0}, share=1 / 3),
        3: attempt(3, "lightgbm", {0: 0.9}),
    }
    against = replace(load(), recipes=("plain", "rich"), is_careful=True)
    allocator = Allocator(FAMILIES, against, attempts, lambda: dict.fromkeys(attempts, 1.0))
    told = []
    while isinstance(step := allocator.next(60.0), Continue) and len(told) < 20:
        told.append(step.number)
        attempts[step.number].folds[step.fold] = replace(attempts[step.number].folds[0], fold=step.fold)
    assert set(told) == {3}
    assert isinstance(step, Start)
    assert (step.family.name, step.recipe) == ("lightgbm", "rich")


def test_a_network_that_gave_no_numbers_moves_nothing() -> None:
    """Endless errors on two folds are no pairs, and no reason for the search to end."""
    trials = [attempt(1, "lightgbm", {0: 1.0, 1: 1.0}), attempt(2, "mlp", {0: math.inf, 1: math.inf})]
    assert probes.belief(OPEN, trials, probes.Footing(1_000, 3.0)) == OPEN


def test_after_a_network_that_failed_the_next_one_is_compared() -> None:
    attempts = {1: attempt(1, "lightgbm", {0: 1.0}), 2: attempt(2, "mlp", {})}
    attempts[2].trouble = "the loss is not finite"
    step = Rivals(FAMILIES, load(600), attempts).next(60.0, dear(1.0))
    assert isinstance(step, Start)
    assert step.family.name == "tabm"
    attempts[3] = attempt(3, "tabm", {})
    attempts[3].trouble = "the loss is not finite"
    rivals = Rivals(FAMILIES, load(600), attempts)
    assert rivals.next(60.0, dear(1.0)) is None
    assert rivals.share("classical") == 1.0  # nobody is left to leave seconds to


def test_folds_are_priced_before_one_was_seen() -> None:
    """A network that still runs its first fold is not given two more that could not end."""
    attempts = {1: attempt(1, "lightgbm", {0: 1.0, 1: 1.0, 2: 1.0}), 2: attempt(2, "mlp", {})}
    attempts[2].running.add(0)
    assert Rivals(FAMILIES, load(600), attempts).next(60.0, dear(50.0)) is None
    assert isinstance(Rivals(FAMILIES, load(600), attempts).next(60.0, dear(0.5)), Continue)


def test_what_there_is_no_memory_for_is_neither_probed_nor_compared_on_all_rows() -> None:
    tight = replace(load(), room_mb=0.2 * FAMILIES[2].price.fit_mb(load().size))
    attempts = {k: attempt(k, "lightgbm", {0: 1.0}, share=s) for k, s in ((1, 1 / 9), (3, 1 / 3), (5, 1.0))}
    attempts[2] = attempt(2, "mlp", {0: 1.0}, share=1 / 9)
    assert Rivals(FAMILIES, tight, attempts).next(60.0, dear(1.0)) is None
    assert isinstance(Rivals(FAMILIES, load(), attempts).next(60.0, dear(1.0)), Start)


def test_where_there_are_many_threads_a_course_still_ends_in_time() -> None:
    """It runs on one of them: what all could do together is no measure of it."""
    many = replace(load(600), slots=16)
    step = Rivals(FAMILIES, many, {1: attempt(1, "lightgbm", {0: 1.0})}).next(60.0, dear(100.0))
    assert isinstance(step, Start)
    assert step.course is not None
    assert 50.0 <= step.course.soft_s < 60.0
