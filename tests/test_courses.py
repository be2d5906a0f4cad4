"""Who gets the next second where networks learn from images or sounds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import search_spaces
from automl.ensemble.blend import most_candidates
from automl.records import Fold, Plan
from automl.search.courses import LOOKS_SHARE, NetworkScheduler
from automl.search.steps import Attempt, Continue, Load, Start
from search_spaces.spec import Size

SIZE = Size(1000, 300, 5)


class Played:
    """A search played through: each step takes the seconds it was granted, on one clock."""

    def __init__(
        self,
        whole_s: float,
        errors: Iterator[float],
        epoch_s: float = 0.5,
        load: Load = Load(folds=10, goal=1, size=SIZE, slots=2, neural_share=0.9),  # noqa: B008  # frozen
        longest_s: float = float("inf"),
    ):
        self.attempts: dict[int, Attempt] = {}
        self.left_s, self.errors, self.longest_s = whole_s, errors, longest_s
        families = [search_spaces.get(name) for name in ("svm", "linear", "convnet")]
        self.courses = NetworkScheduler.of(families, load, self.attempts, dict, lambda *_: epoch_s)
        self.granted: list[tuple[str, float, str]] = []  # family, seconds, why
        self.most = 60  # steps

    def play(self) -> Played:
        while self.left_s > 1 and (step := self.courses.next(self.left_s)) and len(self.granted) < self.most:
            if isinstance(step, Continue):
                attempt, place, because = self.attempts[step.number], step.fold, "another fold"
            else:
                attempt, place, because = self.begin(step), 0, step.because
            is_network = attempt.plan.family == "convnet"
            granted_s = min(step.course.soft_s, self.left_s, self.longest_s) if step.course else 0.5
            took_s = granted_s if is_network else 0.5
            self.granted.append((attempt.plan.family, took_s, because))
            attempt.folds[place] = fold(place, next(self.errors), took_s)
            self.left_s -= took_s
        return self

    def begin(self, step: Start) -> Attempt:
        number = len(self.attempts) + 1
        is_long = step.course is not None and step.course.is_long
        given = step.given or {"width": 8 + number}
        plan = Plan(
            number=number,
            family=step.family.name,
            params=given,
            seed=0,
            because=step.because,
            features={"recipe": step.recipe},
            is_long=is_long,
        )
        self.attempts[number] = Attempt(plan, course=step.course)
        return self.attempts[number]

    def courses_of(self, words: str) -> list[tuple[float, str]]:
        """Seconds and reasons of the courses that are called so."""
        return [(seconds, why) for family, seconds, why in self.granted if family == "convnet" and words in why]


def falling() -> Iterator[float]:
    error = 1.0
    while True:
        error *= 0.95
        yield error


def test_numbers_first_then_short_courses_then_long_ones_beginning_with_the_best() -> None:
    """Most of the time goes to the configurations that did best in short courses, each long enough."""
    played = Played(300.0, falling()).play()
    families = [family for family, _, _ in played.granted]
    assert families[:2] == ["svm", "linear"]
    short, long = played.courses_of("short course"), played.courses_of("long course")
    assert len(short) >= 2
    assert sum(seconds for seconds, _ in short) <= 1.01 * LOOKS_SHARE * 300
    assert sum(seconds for seconds, _ in long) >= 0.6 * 300
    assert min(seconds for seconds, _ in long) >= 20 * 0.99  # 40 epochs of half a second
    best = max(n for n, attempt in played.attempts.items() if attempt.plan.family == "convnet" and attempt.plan.is_fair)
    assert f"trial {best}" in long[0][1]  # errors fall


@pytest.mark.parametrize(("whole_s", "epoch_s"), [(20.0, 0.1), (300.0, 5.0)])
def test_where_short_courses_would_tell_nothing_the_default_gets_all_the_time(whole_s: float, epoch_s: float) -> None:
    """Of a short budget, or of slow epochs, nothing is spent on comparing."""
    played = Played(whole_s, falling(), epoch_s).play()
    assert not played.courses_of("short course")
    seconds, why = played.courses_of("long course")[0]
    assert why == "default: a long course"
    assert seconds > (0.75 * whole_s if epoch_s == 5.0 else 5)


def test_a_model_is_there_before_the_first_course_however_dear_it_is() -> None:
    """An interrupted run must have something: the first family learns from what its time allows."""
    load = Load(folds=10, goal=1, size=Size(6000, 1200, 10), slots=2, neural_share=0.9)
    played = Played(50.0, falling(), epoch_s=5.0, load=load).play()
    assert [family for family, _, _ in played.granted][:2] == ["svm", "convnet"]
    first = next(a for a in played.attempts.values() if a.plan.family == "svm")
    assert first.course is not None
    assert first.course.soft_s <= 0.08 * 50.0


def test_a_course_starts_alone_on_few_cores() -> None:
    """While anything runs, a network waits: its threads are taken."""
    played = Played(300.0, falling())
    for _ in range(2):
        step = played.courses.next(300.0)
        assert isinstance(step, Start)
        played.begin(step).running.add(0)
    assert played.courses.next(300.0) is None


@pytest.mark.parametrize(
    ("load", "side_by_side", "each"),
    [
        (Load(folds=10, goal=1, size=SIZE, slots=16, neural_share=0.9, widest=16), 4, (4, 0.0)),
        (Load(folds=10, goal=1, size=SIZE, slots=16, neural_share=0.9, widest=16, gpus=1.0), 4, (4, 0.25)),
    ],
)
def test_with_many_cores_or_a_gpu_short_courses_run_side_by_side(
    load: Load, side_by_side: int, each: tuple[int, float]
) -> None:
    """They share the cores, or the GPU, and no more of them start than fit."""
    played = Played(300.0, falling(), load=load)
    started = []
    while (step := played.courses.next(300.0)) is not None:
        assert isinstance(step, Start)
        played.begin(step).running.add(0)
        started.append(step)
    courses = [step.course for step in started if step.course is not None and step.family.name == "convnet"]
    assert len(courses) == side_by_side
    assert {(course.threads, course.gpus) for course in courses} == {each}


def test_a_long_course_has_a_gpu_for_itself() -> None:
    """What is meant for the model is not slowed down by others."""
    load = Load(folds=10, goal=1, size=SIZE, slots=16, neural_share=0.9, widest=16, gpus=1.0)
    played = Played(300.0, falling(), load=load).play()
    long = [a.course for a in played.attempts.values() if a.course is not None and a.course.is_long]
    assert long
    assert {course.gpus for course in long} == {1.0}


@pytest.mark.parametrize(("alone_s", "each", "side_by_side"), [(20.0, 3.0, 1), (0.5, 1.0, 4)])
def test_a_network_too_large_for_one_gpu_gets_several(alone_s: float, each: float, side_by_side: int) -> None:
    """Where one GPU is done with too few epochs; other courses wait until enough are free. Else each has its own."""
    load = Load(folds=10, goal=1, size=SIZE, slots=16, neural_share=0.9, widest=16, gpus=4.0, gpus_together=4)
    played = Played(300.0, falling(), load=load)
    played.courses.epoch_s = lambda _family, _params, _threads, gpus=1: alone_s / gpus
    while (step := played.courses.next(300.0)) is not None and isinstance(step, Start):
        attempt = played.begin(step)
        if attempt.plan.is_long:
            attempt.running.add(0)
        else:
            attempt.folds[0] = fold(0, next(played.errors), 1.0)
    long = [a.course for a in played.attempts.values() if a.course is not None and a.course.is_long]
    assert [course.gpus for course in long] == [each] * side_by_side


def test_numbers_that_beat_the_networks_get_the_time_left() -> None:
    """After a long course the better kind of model goes on."""
    played = Played(300.0, falling())
    for family, error, is_long in (("svm", 0.1, False), ("linear", 0.2, False), ("convnet", 0.5, True)):
        number = len(played.attempts) + 1
        plan = Plan(
            number=number,
            family=family,
            params=search_spaces.get(family).configs()[0],
            seed=0,
            because="default",
            is_long=is_long,
        )
        played.attempts[number] = Attempt(plan, {0: fold(0, error)})
    step = played.courses.next(150.0)
    family = step.family.name if isinstance(step, Start) else played.attempts[step.number].plan.family if step else ""
    assert family in ("svm", "linear")


def test_where_hardly_any_error_is_left_other_folds_tell_more_than_other_configurations() -> None:
    """The cheap rival that is as good gets the next fold first, then the network; a poor one gets none."""
    played = Played(300.0, falling(), epoch_s=0.0)
    trials = (("constant", 2.3), ("svm", 0.001), ("linear", 0.3), ("convnet", 0.002))
    for number, (family, error) in enumerate(trials):
        is_long = family == "convnet"
        plan = Plan(
            number=number,
            family=family,
            params=search_spaces.get(family).configs()[0],
            seed=0,
            because="default",
            is_long=is_long,
        )
        played.attempts[number] = Attempt(plan, {0: fold(0, error)})
    played.courses.all_s = played.courses.whole_s = 30.0  # no short courses
    first = played.courses.next(20.0)
    assert isinstance(first, Continue)
    assert (first.number, first.fold) == (1, 1)
    played.attempts[1].folds[1] = fold(1, 0.1)
    second = played.courses.next(20.0)
    assert isinstance(second, Continue)
    assert (second.number, second.fold) == (3, 1)
    assert second.course is not None
    assert second.course.is_long


def test_a_course_that_ended_with_its_driver_goes_on() -> None:
    """After a crash a network whose only fold is missing gets it before anything new begins."""
    played = Played(300.0, falling())
    for number, family in enumerate(("constant", "svm", "linear")):
        played.attempts[number] = Attempt(
            Plan(number=number, family=family, params={}, seed=0, because="default"), {0: fold(0, 1.0 - 0.1 * number)}
        )
    plan = Plan(
        number=3,
        family="convnet",
        params=search_spaces.get("convnet").configs()[0],
        seed=0,
        because="default: a long course",
        is_long=True,
    )
    played.attempts[3] = Attempt(plan)
    step = played.courses.next(100.0)
    assert isinstance(step, Continue)
    assert (step.number, step.fold) == (3, 0)
    assert step.course is not None


FEW = Load(
    folds=10, goal=10, size=Size(245, 300, 2), slots=2, neural_share=0.6, is_careful=True, deal=5
)  # two deals of five folds


def level(error: float = 0.3) -> Iterator[float]:
    while True:
        yield error


def networks(played: Played) -> list[Attempt]:
    return [attempt for attempt in played.attempts.values() if attempt.plan.family == "convnet"]


def test_of_few_files_models_of_numbers_get_all_folds_before_the_first_network() -> None:
    """They take milliseconds, and one fold of few files says little."""
    played = Played(120.0, level(), epoch_s=0.1, load=FEW).play()
    first = next(place for place, (family, _, _) in enumerate(played.granted) if family == "convnet")
    defaults = [a for a in played.attempts.values() if a.plan.family in ("svm", "linear")][:2]
    assert first == 2 * FEW.folds
    assert all(sorted(attempt.folds) == list(range(FEW.folds)) for attempt in defaults)


def test_the_best_model_of_numbers_gets_all_folds_even_where_they_are_dear() -> None:
    """Else all would be judged on a fifth of few files; of the others only cheap ones have more than a look."""
    played = Played(60.0, level(), epoch_s=0.1, load=FEW)
    for number, (family, error) in enumerate((("svm", 0.3), ("linear", 0.31)), 1):
        plan = Plan(
            number=number, family=family, params=search_spaces.get(family).configs()[0], seed=0, because="default"
        )
        played.attempts[number] = Attempt(plan, {0: fold(0, error, 2.0)})
    for place in range(1, FEW.folds):
        step = played.courses.next(50.0)
        assert isinstance(step, Continue)
        assert (step.number, step.fold) == (1, place)
        played.attempts[1].folds[place] = fold(place, 0.3, 2.0)
    step = played.courses.next(50.0)
    assert isinstance(step, Start)
    assert step.family.name == "convnet"


def test_a_network_gets_a_fold_for_every_file_before_the_next_one_is_begun() -> None:
    """All its courses are equal parts, and nothing was spent on comparing configurations on a few files."""
    played = Played(120.0, level(), epoch_s=0.1, load=FEW, longest_s=8.0).play()
    assert not played.courses_of("short course")
    best, *others = networks(played)
    assert sorted(best.folds)[:5] == [0, 1, 2, 3, 4]
    assert [why for _, why in played.courses_of("") if why][:5] == ["default: a long course", *4 * ["another fold"]]
    assert others
    assert others[0].plan.params != best.plan.params


@pytest.mark.parametrize(("epoch_s", "folds"), [(0.1, 5), (0.5, 2), (2.0, 1)])
def test_a_network_has_as_many_folds_as_leave_each_enough_epochs(epoch_s: float, folds: int) -> None:
    """Few good folds are better than all of them half learned."""
    played = Played(120.0, level(), epoch_s=epoch_s, load=FEW).play()
    network = networks(played)[0]
    assert len(network.folds) == folds
    if folds > 1:
        assert min(fold.fit_s for fold in network.folds.values()) >= 40 * epoch_s


@pytest.mark.parametrize("load", [FEW, Load(folds=10, goal=1, size=SIZE, slots=2, neural_share=0.9)])
@pytest.mark.parametrize("numbers", [0.1, 0.5])
def test_a_search_goes_on_while_it_has_time(load: Load, numbers: float) -> None:
    """Courses that end early are followed by others, whoever leads and however many configurations are known."""
    played = Played(200.0, iter(lambda: 0.0, 1.0), epoch_s=0.02, load=load, longest_s=4.0)
    errors = {"svm": numbers, "linear": 0.6, "convnet": 0.3}
    played.errors = (errors[played.granted[-1][0]] for _ in iter(int, 1))
    played.courses.is_done_looking = True  # the blend got no better
    played.play()
    assert played.left_s < 0.2 * 200 or len(played.granted) == 60
    assert any(why.endswith("with another seed") for _, _, why in played.granted)


def test_of_few_files_few_configurations_of_numbers_compete() -> None:
    """Of many near-equal ones the luckiest would win: the time is for networks."""
    random = np.random.default_rng(0)
    played = Played(120.0, iter(lambda: float(random.uniform(0.29, 0.31)), 1.0), epoch_s=0.1, load=FEW, longest_s=2.0)
    played.most = 400
    played.play()
    numbers = [a for a in played.attempts.values() if a.plan.family != "convnet"]
    assert 2 < len(numbers) <= 2 * most_candidates(FEW.size.rows)


def test_a_network_that_is_clearly_behind_gets_no_further_folds() -> None:
    """After its first fold, a configuration far worse on the same files gives way to the next."""
    played = Played(120.0, level(), epoch_s=0.1, load=FEW)
    numbers = {"svm": 0.3, "linear": 0.3}
    for number, (family, error) in enumerate(numbers.items(), 1):
        plan = Plan(number=number, family=family, params={}, seed=0, because="default")
        played.attempts[number] = Attempt(plan, {k: fold(k, error) for k in range(10)})
    for number, folds in ((3, dict.fromkeys(range(5), 0.2)), (4, {0: 0.4})):
        given = search_spaces.get("convnet").configs()[number - 3]
        plan = Plan(number=number, family="convnet", params=given, seed=0, because="a long course", is_long=True)
        played.attempts[number] = Attempt(plan, {k: fold(k, error) for k, error in folds.items()})
    step = played.courses.next(60.0)
    assert isinstance(step, Start)
    assert step.given == search_spaces.get("convnet").configs()[2]


def fold(number: int, error: float, fit_s: float = 1.0) -> Fold:
    return Fold(
        fold=number,
        predictions=np.zeros(0),
        error=error,
        is_cut=False,
        fit_s=fit_s,
        batch_s=0.1,
        row_s=0.001,
        size_mb=1.0,
    )


def test_a_family_that_seemed_dear_is_looked_at_where_others_took_less_than_they_seemed_to() -> None:
    """Of 250 pictures with 2,880 numbers each a line takes a third of its guess, and networks leave it its time."""
    load = Load(folds=10, goal=10, size=Size(225, 2_880, 5), slots=2, neural_share=0.6)
    line, svm = (search_spaces.get(name) for name in ("linear", "svm"))
    for took_s, is_seen in ((2.0, False), (0.2, True)):
        played = Played(37.0, level(), load=load)
        played.courses.all_s = 37.0
        step = played.courses.next(37.0)
        assert isinstance(step, Start)
        assert step.family is svm
        played.begin(step).folds[0] = fold(0, 0.3, took_s)
        found = played.courses._unseen_cheap(36.0)
        assert (found is line) is is_seen
