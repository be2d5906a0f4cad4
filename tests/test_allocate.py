"""Who gets the next worker."""

import numpy as np
import pytest

from automl.records import Fold, Plan, Spent
from automl.search.allocate import Allocator
from automl.search.steps import Attempt, Continue, Load, Start
from search_spaces.spec import Family, Float, Price, Size


def family(name: str, cost: float = 1.0, route: str = "classical", quick: dict | None = None) -> Family:
    space = {"x": Float(0.0, 1.0, start=0.5)}
    return Family(
        name=name, title=name, route=route, space=space, build=object, price=Price(0.0, 5.0 * cost),
        portfolio=({"x": 0.1}, {"x": 0.9}), quick=quick or {},
    )  # fmt: skip


def fold(number: int, error: float, fit_s: float = 1.0, is_cut: bool = False) -> Fold:
    return Fold(
        fold=number,
        predictions=np.empty(0),
        error=error,
        is_cut=is_cut,
        fit_s=fit_s,
        batch_s=0.01,
        row_s=0.001,
        size_mb=0.1,
    )


class Race:
    """An allocator whose trials end as the test says."""

    def __init__(
        self, families: list[Family], folds: int = 4, goal: int | None = None, rows: int = 20_000, share: float = 1.0,
        **load: object,
    ):  # fmt: skip
        self.attempts: dict[int, Attempt] = {}
        self.weights: dict[int, float] = {}
        against = Load(folds=folds, goal=goal or folds, size=Size(rows, 5), slots=2, neural_share=share, **load)
        self.allocator = Allocator(families, against, self.attempts, lambda: self.weights)

    def look(self, start: Start, error: float, weight: float = 0.0, fit_s: float = 1.0) -> Attempt:
        number = len(self.attempts) + 1
        plan = Plan(
            number=number,
            family=start.family.name,
            params=start.given or {},
            seed=0,
            because=start.because,
            features={"recipe": start.recipe},
            is_quick=start.is_quick,
        )
        self.attempts[number] = Attempt(plan, {0: fold(0, error, fit_s)}, spent=Spent(cpu_s=fit_s))
        self.weights[number] = weight
        return self.attempts[number]


def test_every_family_gets_one_look_in_the_given_order() -> None:
    """The defaults come first, one per family, whatever their results."""
    race = Race([family("a"), family("b"), family("c")])
    for expected in "abc":
        step = race.allocator.next(100.0)
        assert isinstance(step, Start)
        assert (step.family.name, step.given) == (expected, {"x": 0.5})
        assert "first look" in step.because
        race.look(step, error=1.0, weight=1.0)


def test_a_family_whose_look_would_eat_the_budget_is_left_out() -> None:
    """A look that takes more than its share of the time left is not started; the first family always is."""
    race = Race([family("a"), family("huge", cost=1000.0), family("b")])
    race.look(race.allocator.next(50.0), 1.0, 1.0, fit_s=0.5)
    step = race.allocator.next(50.0)
    assert isinstance(step, Start)
    assert step.family.name == "b"


def test_a_slow_first_family_is_preceded_by_a_quick_model() -> None:
    """So that there is a valid model in seconds; its sampler is not told."""
    race = Race([family("a", quick={"x": 0.0})], rows=2_000_000)
    step = race.allocator.next(100.0)
    assert isinstance(step, Start)
    assert step.is_quick
    assert step.given == {"x": 0.0}
    race.look(step, 1.0)
    fair = race.allocator.next(100.0)
    assert isinstance(fair, Start)
    assert not fair.is_quick


def test_where_the_quick_model_fails_the_fair_one_is_next_and_not_another_quick_one() -> None:
    """What was killed before its end says nothing of how cheap the next one would be."""
    race = Race([family("a", quick={"x": 0.0})], rows=2_000_000, recipes=("plain", "means"))
    step = race.allocator.next(100.0)
    killed = race.look(step, 1.0)
    killed.folds.clear()
    killed.trouble = "killed 7 s after its start"
    fair = race.allocator.next(90.0)
    assert isinstance(fair, Start)
    assert not fair.is_quick


def test_a_trial_the_blend_wants_gets_its_bag_before_time_runs_out() -> None:
    """When the debt reaches its share of the time left, folds go to the trial with weight, one after the other."""
    race = Race([family("a"), family("b")])
    race.look(race.allocator.next(100.0), 1.0, weight=1.0)
    race.look(race.allocator.next(100.0), 2.0, weight=0.0)
    step = race.allocator.next(2.5)
    assert step == Continue(1, 1)
    race.attempts[1].running.add(1)
    assert race.allocator.next(2.5) == Continue(1, 2)


def test_looks_go_on_while_the_debt_fits_and_go_to_families_with_weight() -> None:
    """Plenty of time left: the next configuration of the family that the blend wants, in its portfolio's order."""
    race = Race([family("a"), family("b")])
    race.look(race.allocator.next(100.0), 1.0, weight=0.9)
    race.look(race.allocator.next(100.0), 1.1, weight=0.1)
    step = race.allocator.next(100.0)
    assert isinstance(step, Start)
    assert (step.family.name, step.given) == ("a", {"x": 0.1})
    assert "portfolio 1 of 2" in step.because


def test_after_the_portfolio_the_sampler_is_asked() -> None:
    """No tried-first configuration is left, so the parameters are the sampler's."""
    race = Race([family("a")])
    for _ in range(3):
        race.look(race.allocator.next(1000.0), 1.0, weight=1.0)
    step = race.allocator.next(1000.0)
    assert isinstance(step, Start)
    assert step.given is None


def test_nothing_is_started_that_cannot_finish() -> None:
    """With less time than a fold takes, the answer is no step at all."""
    race = Race([family("a")])
    race.look(race.allocator.next(100.0), 1.0, weight=1.0, fit_s=5.0)
    assert race.allocator.next(4.0) is None


def test_a_family_far_behind_gets_no_second_look() -> None:
    """Errors far above the best one's end a family's turn."""
    race = Race([family("a"), family("bad")])
    race.look(race.allocator.next(100.0), 1.0, weight=0.2)
    race.look(race.allocator.next(100.0), 3.0, weight=0.0)
    for _ in range(8):
        step = race.allocator.next(1000.0)
        assert isinstance(step, Start)
        assert step.family.name == "a"
        race.look(step, 1.0, weight=0.1)


def test_a_holdout_run_needs_one_fold_and_uses_spare_time_for_more() -> None:
    """Where one fold makes a bag, nothing is owed; only when no look fits do the wanted get further folds."""
    race = Race([family("a")], folds=10, goal=1)
    race.look(race.allocator.next(100.0), 1.0, weight=1.0)
    assert isinstance(race.allocator.next(100.0), Start)
    for _ in range(4):
        race.look(race.allocator.next(1000.0), 1.0, weight=0.0, fit_s=9.0)
    assert race.allocator.next(3.0) == Continue(1, 1)


def test_neural_models_stay_within_their_share_unless_the_blend_wants_them() -> None:
    """The share bounds their seconds; weight in the blend lifts it."""
    race = Race([family("a"), family("net", route="neural")], share=0.1)
    race.look(race.allocator.next(100.0), 1.0, weight=1.0, fit_s=0.5)
    race.look(race.allocator.next(100.0), 1.0, weight=0.0, fit_s=0.5)
    names = set()
    for _ in range(6):
        step = race.allocator.next(1000.0)
        names.add(step.family.name)
        race.look(step, 1.0, weight=0.1, fit_s=0.5)
    assert names == {"a"}
    race.weights = {2: 0.9, 1: 0.1}
    assert race.allocator.next(1000.0).family.name == "net"


def test_where_a_handful_of_rows_decides_leaders_get_more_folds_before_more_is_tried() -> None:
    """After the first looks: two more folds of those near the best, none of one far behind, and no look meanwhile."""
    race = Race([family(name) for name in "abcd"], folds=10, goal=1, is_rough=True)
    for error in (1.0, 1.2, 1.1, 4.0):
        race.look(race.allocator.next(100.0), error, weight=0.25)
    given = []
    while isinstance(step := race.allocator.next(100.0), Continue):
        given.append((step.number, step.fold))
        race.attempts[step.number].folds[step.fold] = fold(step.fold, 1.0)
    assert sorted(given) == [(number, k) for number in (1, 2, 3) for k in (1, 2)]
    assert isinstance(step, Start)
    race.look(step, 0.9, weight=0.5)
    assert race.allocator.next(100.0) == Continue(5, 1), "a new leader has to show it too"


def test_no_fold_is_asked_for_that_there_is_not() -> None:
    """Few groups make two folds: the second tells more of a leader, and then there is none left."""
    race = Race([family("a")], folds=2, goal=1, is_rough=True)
    race.look(race.allocator.next(100.0), 1.0, weight=1.0)
    assert race.allocator._doubt(100.0) == Continue(1, 1)
    race.attempts[1].folds[1] = fold(1, 1.0)
    assert race.allocator._doubt(100.0) is None


def test_further_folds_that_cannot_be_paid_are_not_begun() -> None:
    """Half of the time left pays the second fold of three leaders or none; a large holdout needs no second one."""
    for load, left_s in (({"is_rough": True}, 20.0), ({}, 1000.0)):
        race = Race([family(name) for name in "abc"], folds=10, goal=1, **load)
        for _ in range(3):
            race.look(race.allocator.next(1000.0), 1.0, weight=0.3, fit_s=9.0)
        assert race.allocator._doubt(left_s) is None


def test_a_trial_in_trouble_gets_nothing_more() -> None:
    """A failed fold ends its trial."""
    race = Race([family("a")])
    race.look(race.allocator.next(100.0), 1.0, weight=1.0).trouble = "ValueError: no"
    assert not isinstance(race.allocator.next(2.0), Continue)


def test_counted_trials_take_each_family_first_and_never_ask_the_clock() -> None:
    """Whole trials: one per family, then by weight and declared cost."""
    race = Race([family("a"), family("b", cost=4.0)])
    assert race.allocator.whole_trial().family.name == "a"
    race.look(race.allocator.whole_trial(), 1.0, weight=0.5)
    assert race.allocator.whole_trial().family.name == "b"
    race.look(race.allocator.whole_trial(), 1.0, weight=0.5, fit_s=1e6)
    assert race.allocator.whole_trial().family.name == "a"


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_fold_that_was_cut_is_expected_to_take_longer(is_cut: bool) -> None:
    """Its seconds are a lower bound of what the next one takes."""
    attempt = Attempt(
        Plan(number=1, family="a", params={}, seed=0, because=""), {0: fold(0, 1.0, fit_s=2.0, is_cut=is_cut)}
    )
    assert (attempt.fold_s > 2.0) == is_cut


def test_where_one_fold_says_little_every_familys_default_gets_its_bag() -> None:
    """A default well behind on one small fold is still owed its folds; a later trial as far behind is not."""
    race = Race([family("a"), family("b")])
    race.allocator._load = Load(folds=4, goal=4, size=Size(500, 5), slots=2, neural_share=1.0, is_careful=True)
    race.look(race.allocator.next(100.0), 1.0)
    race.look(race.allocator.next(100.0), 1.5)
    race.attempts[1].folds.update({k: fold(k, 1.0) for k in range(1, 4)})
    assert race.allocator.next(100.0) == Continue(2, 1)
    race.attempts[2].folds.update({k: fold(k, 1.5) for k in range(1, 4)})
    race.look(Start(family=family("a"), given={"x": 0.1}, because=""), 1.5)
    assert not isinstance(race.allocator.next(100.0), Continue)


def test_other_families_begin_with_the_recipe_that_did_best_and_leave_out_the_bad_ones() -> None:
    """What features do for one family is evidence for the next; the first family tries them all."""
    race = Race([family("a"), family("b")], recipes=("plain", "means", "rich"))
    errors = {"means": 0.8, "rich": 2.0}
    seen = []
    for _ in range(12):
        step = race.allocator.next(10_000.0)
        assert isinstance(step, Start)
        seen.append((step.family.name, step.recipe))
        race.look(step, errors.get(step.recipe, 1.0), 0.5)
    assert seen[:4] == [("a", "plain"), ("a", "means"), ("a", "rich"), ("b", "means")]
    assert {recipe for _, recipe in seen[3:]} == {"means"}


def test_recipes_are_compared_by_whole_bags_where_one_fold_says_little_as_long_as_that_is_cheap() -> None:
    """The first family's bag with one recipe is finished before the next recipe; dear ones have one fold, or none."""
    race = Race([family("a"), family("b")], recipes=("plain", "means"), is_careful=True, rows=500)
    race.look(race.allocator.next(100.0), 1.0)
    assert race.allocator.next(100.0) == Continue(1, 1)
    race.attempts[1].folds.update({k: fold(k, 1.0) for k in range(1, 4)})
    step = race.allocator.next(100.0)
    assert isinstance(step, Start)
    assert (step.family.name, step.recipe) == ("a", "means")
    hasty = race.allocator.next(1.1)
    assert not isinstance(hasty, Start) or hasty.recipe != "means"
    dear = race.allocator.next(8.0)
    assert isinstance(dear, Start)
    assert (dear.family.name, dear.recipe) == ("a", "means")
    race.look(dear, 1.1)
    after = race.allocator.next(8.0)
    assert isinstance(after, Start)
    assert after.family.name == "b"


def test_a_fit_without_room_in_memory_learns_from_fewer_rows_and_says_so() -> None:
    """Shrunk to what fits; the reason names the share."""
    race = Race([family("a")], rows=1_000_000, room_mb=50.0)
    step = race.allocator.next(10_000.0)
    assert isinstance(step, Start)
    assert 0.1 < step.share < 1.0
    assert "of the rows" in step.because
    assert family("a").price.fit_mb(Size(1_000_000, 5)) * step.share == pytest.approx(50.0)


def test_a_family_too_slow_for_a_fair_look_at_all_rows_gets_one_at_some() -> None:
    """Where a look would take several times its share of the budget, rows are left out instead of the family."""
    race = Race([family("a"), family("slow", cost=90.0)], goal=1)
    race.look(race.allocator.next(50.0), 1.0, 1.0, fit_s=0.5)
    step = race.allocator.next(50.0)
    assert isinstance(step, Start)
    assert step.family.name == "slow"
    assert 0.3 <= step.share < 1.0


def test_a_long_fold_that_starts_alone_gets_all_threads() -> None:
    """Where few fits are affordable each is known sooner; short ones run side by side."""
    race = Race([family("a")], rows=20_000)
    race.look(race.allocator.next(100.0), 1.0, 1.0, fit_s=20.0)
    assert race.allocator.threads(1, left_s=60.0) == 1, "folds of a bag run side by side"
    race = Race([family("a")], rows=20_000, goal=1)
    race.look(race.allocator.next(100.0), 1.0, 1.0, fit_s=20.0)
    assert race.allocator.threads(1, left_s=60.0) == 2
    assert race.allocator.threads(1, left_s=6000.0) == 1


def test_no_further_configuration_of_a_family_is_tried_while_only_a_probe_of_it_has_ended() -> None:
    """On many slots every full look may be under way when a slot is free: it waits for them."""
    race = Race([family("a"), family("b")])
    for name in "ab":
        step = race.allocator.next(100.0)
        assert isinstance(step, Start)
        begun = race.look(step, 1.0)
        begun.folds.clear()
        begun.running.add(0)
        number = len(race.attempts) + 1
        plan = Plan(
            number=number, family=name, params={}, seed=0, because="probe", features={"share": 1 / 9}, is_quick=True
        )
        race.attempts[number] = Attempt(plan, {0: fold(0, 0.5)})
    assert race.allocator.next(100.0) is None
    race.attempts[1].running.clear()
    race.attempts[1].folds[0] = fold(0, 0.5)
    assert race.allocator.next(100.0) is not None


def test_a_network_beside_models_of_numbers_has_the_threads_of_its_course() -> None:
    """One that is tried again on half of the rows is none of the allocator's families."""
    race = Race([family("a")])
    plan = Plan(number=1, family="convnet", params={}, seed=0, because="again")
    race.attempts[1] = Attempt(plan, threads=2)
    assert race.allocator.threads(1, 100.0) == 2
