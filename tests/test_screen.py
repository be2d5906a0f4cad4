"""Networks weighed on paper: what is counted, what is refused, what the sampler learns of it."""

from __future__ import annotations

import itertools
import json
import math
import resource
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drivers import events as so_far
from drivers import interrupted_when
from hypothesis import given
from hypothesis import strategies as st

import automl
import search_spaces
from automl.records import Fold, Plan
from automl.runtime.journal import ToldTrial
from automl.search.sample import Studies
from automl.search.screen import (
    ASKS,
    MIN_EPOCHS,
    SEEN,
    UNSEEN,
    Counter,
    Room,
    Screen,
    Speeds,
    epoch_s,
    judge,
    learn_speeds,
    predict_s,
)
from automl.search.steps import Attempt, Course, Start
from search_spaces.spec import Choice, Float, Int, Media, NetworkCost, Params, starts

CONVNET, SOUNDNET = search_spaces.get("convnet"), search_spaces.get("soundnet")
PICTURES = Media("image", np.zeros((4, 32, 32, 3), dtype=np.uint8), np.arange(4))
SOUNDS = Media("audio", np.zeros((4, 8000), dtype=np.int16), np.arange(4), rate=8000)
NO_LIMIT = Room()
SEEDS = 3
MIDDLING = NetworkCost(parameters=1_000_000, flops=100_000_000, values=100_000, layers=10)


def counter_of(media: Media | None = PICTURES) -> Counter:
    blocks = {} if media is None else {"seen": media}
    return Counter(SimpleNamespace(raw=SimpleNamespace(blocks=blocks, described={}), outputs=10))  # type: ignore[arg-type]


class Notes:
    """A journal that only remembers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def write(self, what: str, facts: dict[str, Any]) -> None:
        self.events.append({"event": what, **json.loads(json.dumps(facts))})


@pytest.fixture
def studies(tmp_path: Path) -> Iterator[Studies]:
    made = Studies(tmp_path / "study.journal", 0)
    yield made
    made.close()


def screen_of(studies: Studies, notes: Notes, rows: int = 5_000, room: Room = NO_LIMIT) -> Screen:
    return Screen(
        counter=counter_of(), studies=studies, journal=notes, attempts={}, rows=rows, allowed=room, is_timed=True
    )  # type: ignore[arg-type]


def seconds_for(params: Params, rows: int = 5_000) -> float:
    """That so many epochs are predicted to take as a course must hold, with all the benefit of the doubt."""
    cost = counter_of().cost(CONVNET, params)
    assert cost is not None
    return MIN_EPOCHS * epoch_s(cost, rows, Speeds(), Course(math.inf, 2)) / UNSEEN


# --- counting --------------------------------------------------------------------------------------------------------


def test_a_network_too_large_for_any_memory_is_counted_at_once() -> None:
    """Nothing is built to be counted."""
    params = {**starts(CONVNET.space), "width": 96, "growth": 2.5, "stages": 4, "depth_3": 6, "depth_4": 3}
    counter_of().cost(CONVNET, starts(CONVNET.space))  # what counting imports is there
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cost = counter_of().cost(CONVNET, params)
    assert cost is not None
    assert 4 * cost.parameters > 1e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 300_000  # kB on Linux, bytes on macOS


@pytest.mark.parametrize(
    "family",
    [f for f in search_spaces.all_families() if f.cost and not f.goes_on and f.reads & {"image", "audio"}],
    ids=lambda family: family.name,
)
def test_whatever_a_space_holds_can_be_counted(family: search_spaces.spec.Family) -> None:  # type: ignore[name-defined]
    """The corners of a space cost more than nothing, and more where there is more."""
    counter = counter_of(PICTURES if "image" in family.reads else SOUNDS)
    low = {n: k.start if isinstance(k, Choice) else k.low for n, k in family.space.items()}
    high = {n: k.start if isinstance(k, Choice) else k.high for n, k in family.space.items()}
    costs = [counter.cost(family, params) for params in (low, starts(family.space), high)]
    assert all(cost is not None and cost.flops > 0 and cost.row_ops > cost.flops for cost in costs)
    assert costs[0].flops < costs[1].flops < costs[2].flops  # type: ignore[union-attr]


def test_tables_and_families_that_declare_no_cost_are_not_counted() -> None:
    """They are neither screened nor given a second objective."""
    assert counter_of(None).cost(CONVNET, starts(CONVNET.space)) is None
    forest = search_spaces.get("forest")
    assert counter_of().latency(forest, starts(forest.space)) is None


# --- judging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("course", "room", "told"),
    [
        (Course(1.0, 2), Room(), r"5 epochs would take about 800 s, and its course has 1 s"),
        (Course(math.inf, 2), Room(row_ms=0.1), r"a row would take about 2.08 ms, and 0.1 ms are allowed"),
        (Course(math.inf, 2), Room(size_mb=3.5), r"its weights take 4 MB, and 3.5 MB are allowed"),
        (Course(math.inf, 2), Room(room_mb=8), r"training its weights would take 24 MB, and 16 MB are free"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_with_both_numbers(course: Course, room: Room, told: str) -> None:
    """Seconds, latency, size and memory; all are let through where nothing is limited."""
    refusal = judge(MIDDLING, 10_000, Speeds(step=1.5e10), course, room)
    assert refusal is not None
    assert refusal.excess > 0
    assert told in refusal.because
    assert refusal.because.startswith("100 million operations a row: ")
    assert judge(MIDDLING, 10_000, Speeds(), Course(math.inf, 2), Room()) is None


def test_a_prediction_is_given_the_benefit_of_the_doubt() -> None:
    """Less of it once this run's own trials have told how fast the machine is."""
    needed_s = MIN_EPOCHS * epoch_s(MIDDLING, 1000, Speeds(), Course(math.inf, 1))
    course = Course(needed_s / 2, 1)
    assert judge(MIDDLING, 1000, Speeds(), course, Room()) is None
    assert judge(MIDDLING, 1000, Speeds(step_slack=SEEN), course, Room()) is not None


@given(st.integers(1, 10**12), st.integers(1, 10**9), st.floats(0.01, 1e4), st.integers(1, 10**6))
def test_more_work_is_never_let_through_where_less_was_refused(
    flops: int, values: int, soft_s: float, rows: int
) -> None:
    """And what is refused is so by a finite number above zero."""
    small, large = NetworkCost(10, flops, values, 3), NetworkCost(20, 2 * flops, 2 * values, 3)
    refused = [judge(cost, rows, Speeds(), Course(soft_s, 2), Room(row_ms=5.0)) for cost in (small, large)]
    assert refused[0] is None or refused[1] is not None
    assert all(refusal is None or 0 < refusal.excess < math.inf for refusal in refused)


def test_speeds_are_those_of_the_trials_of_this_run() -> None:
    """The fastest one's for training, by thread; the middle one's for a row. Without a course only rows are told."""

    def attempt(fit_s: float, row_s: float, course: Course | None) -> Attempt:
        fold = Fold(
            fold=0,
            predictions=np.zeros(0),
            error=0.1,
            is_cut=True,
            fit_s=fit_s,
            batch_s=0.1,
            row_s=row_s,
            size_mb=1.0,
            rounds=10,
        )
        return Attempt(Plan(number=1, family="convnet", params={}, seed=0, because=""), {0: fold}, course=course)

    courses = [(4.0, 1e-3, Course(9, 2)), (8.0, 4e-3, Course(9, 2)), (1.0, 2e-3, None), (2.0, 2e-3, Course(9, 2, 0.5))]
    seen = [(MIDDLING, attempt(*how)) for how in courses]
    speeds = learn_speeds(seen, rows=1000)
    assert speeds.step == pytest.approx(3 * MIDDLING.step_ops * 1000 * 10 / 4.0 / 2)
    assert speeds.on_gpu == pytest.approx(3 * MIDDLING.step_ops * 1000 * 10 / 2.0 / 0.5)
    assert speeds.row == pytest.approx(MIDDLING.row_ops / 2e-3)
    assert speeds.step_slack == speeds.on_gpu_slack == speeds.row_slack == SEEN
    assert learn_speeds([], 1000) == Speeds()


RESNET_50 = NetworkCost(parameters=23_500_000, flops=4_100_000_000, values=11_000_000, layers=53)  # at 224 px


def test_held_out_rows_take_what_they_take_where_the_course_was_trained(studies: Studies) -> None:
    """Of 44,000 pictures a fold holds out 8,800: a GPU is done with them in seconds, one thread in a quarter hour."""
    far = predict_s(RESNET_50, 8_800, Speeds(), Course(300.0, 4, gpus=1.0))
    near, wide = (predict_s(RESNET_50, 8_800, Speeds(), Course(300.0, threads)) for threads in (1, 8))
    assert far < 60
    assert near == pytest.approx(2 * 8_800 * RESNET_50.row_ops / 6e10)
    assert near > 900
    assert near / 8 < wide < near / 4
    assert predict_s(RESNET_50, 8_800, Speeds(), Course(300.0, 4, gpus=0.25)) == pytest.approx(4 * far)
    seen = replace(Speeds(), on_gpu_slack=SEEN)
    assert predict_s(RESNET_50, 8_800, seen, Course(300.0, 4, gpus=1.0)) == pytest.approx(far * SEEN / UNSEEN)
    screen = screen_of(studies, Notes())
    known, other = (
        Plan(number=1, family=name, params=starts(search_spaces.get(name).space), seed=0, because="")
        for name in ("convnet", "forest")
    )
    assert screen.held_s(Attempt(known, course=Course(9, 2)), 100) > 0
    assert screen.held_s(Attempt(known, course=Course(9, 2, gpus=1.0)), 100) > 1
    assert screen.held_s(Attempt(known), 100) == screen.held_s(Attempt(other, course=Course(9, 2)), 100) == 0


# --- choosing --------------------------------------------------------------------------------------------------------


def test_a_sampler_is_asked_again_until_its_idea_can_be_afforded(studies: Studies) -> None:
    """Every refusal is in the journal with its numbers, and what is chosen fits."""
    notes = Notes()
    screen = screen_of(studies, notes)
    course = Course(0.7 * seconds_for(starts(CONVNET.space)), 2)
    for number in range(1, 9):
        params, because = screen.choose(number, Start(family=CONVNET, given=None, because="search", course=course))
        mine = [event for event in notes.events if event["trial"] == number]
        assert (
            screen.why_not(Start(family=CONVNET, given=None, because="", course=course), params) is None
            or len(mine) == ASKS
        )
        assert because == ("search" if not mine else f"search, {len(mine)} not affordable") or len(mine) == ASKS
        studies.tell(number, 0.5, 1, is_complete=True)
    assert notes.events
    assert all("epochs would take about" in event["because"] and event["excess"] > 0 for event in notes.events)


def test_a_known_configuration_that_is_too_slow_makes_way_for_the_next_strong_one(studies: Studies) -> None:
    """The default waits for a longer course; what it was replaced by says so, and it is told once."""
    notes = Notes()
    screen = screen_of(studies, notes)
    default, cheap = CONVNET.configs()[:2]
    course = Course(0.5 * seconds_for(default), 2)
    assert seconds_for(cheap) < course.soft_s
    for number in (1, 2):
        params, because = screen.choose(
            number, Start(family=CONVNET, given=default, because="default: a short course", course=course)
        )
        assert params == cheap
        assert because == "default: a short course, but with the next strong configuration, 1 not affordable"
    assert len(notes.events) == 1
    longer = Course(2 * seconds_for(default), 2, is_long=True)
    assert screen.choose(3, Start(family=CONVNET, given=default, because="default", course=longer)) == (
        default,
        "default",
    )


def test_where_nothing_can_be_afforded_the_least_is_taken(studies: Studies) -> None:
    """A run that has no time still ends with a network, from a long course without asking its sampler."""
    notes = Notes()
    screen = screen_of(studies, notes)
    params, because = screen.choose(
        1, Start(family=CONVNET, given=CONVNET.configs()[0], because="default", course=Course(1e-6, 2))
    )
    counted = [event["excess"] for event in notes.events]
    assert len(counted) == len(CONVNET.configs()) + ASKS
    assert because.endswith(f"the least of {len(counted)} that are not affordable")
    assert next(event["params"] for event in notes.events if event["excess"] == min(counted)) == params
    long = Course(1e-6, 2, is_long=True)
    assert (
        screen.choose(2, Start(family=CONVNET, given=CONVNET.configs()[0], because="long", course=long))[0]
        == CONVNET.configs()[1]
    )


def test_what_ran_before_and_what_is_not_counted_goes_straight_through(studies: Studies) -> None:
    """A long course of a tried configuration, and models of tables."""
    notes = Notes()
    screen = screen_of(studies, notes)
    default = CONVNET.configs()[0]
    screen.attempts[1] = Attempt(Plan(number=1, family="convnet", params=default, seed=0, because=""))  # type: ignore[index]
    course = Course(1e-6, 2, is_long=True)
    assert screen.choose(2, Start(family=CONVNET, given=default, because="long", course=course)) == (default, "long")
    forest = search_spaces.get("forest")
    assert (
        screen.choose(3, Start(family=forest, given=forest.configs()[0], because="default"))[0] == forest.configs()[0]
    )
    assert not notes.events


def test_a_long_course_that_no_untried_configuration_can_have_goes_to_a_tried_one(studies: Studies) -> None:
    """Another seed of what keeps the limits is worth more than what breaks them."""
    screen = screen_of(studies, Notes(), room=Room(size_mb=0.5))
    cheap = CONVNET.configs()[1]
    fold = Fold(
        fold=0, predictions=np.zeros(0), error=0.1, is_cut=True, fit_s=1.0, batch_s=0.1, row_s=1e-3, size_mb=1.0
    )
    screen.attempts[1] = Attempt(Plan(number=1, family="convnet", params=cheap, seed=0, because=""), {0: fold})  # type: ignore[index]
    start = Start(
        family=CONVNET, given=CONVNET.configs()[2], because="portfolio 2", course=Course(1e4, 2, is_long=True)
    )
    params, because = screen.choose(2, start)
    assert params == cheap
    assert because.startswith("portfolio 2, but trial 1 with another seed")


def test_limits_hold_where_trials_are_counted_and_no_clock_does(studies: Studies) -> None:
    """A model that may have a tenth of a megabyte is searched among those that have it."""
    notes = Notes()
    screen = screen_of(studies, notes, room=Room(size_mb=0.1))
    screen.is_timed = False
    assert screen.epoch_s(CONVNET, CONVNET.configs()[0], 2) == 0
    params, _ = screen.choose(1, Start(family=CONVNET, given=None, because="search"))
    cost = screen.counter.cost(CONVNET, params)
    assert cost is not None
    assert cost.parameters * 4 <= 1e5 or len(notes.events) == ASKS


def test_a_sampler_learns_to_stay_with_what_can_be_afforded(tmp_path: Path) -> None:
    """It asks for fewer networks in vain than one that is told of failures, which says nothing to it."""
    limit = 5e7
    counts = {}
    for how in ("refuse", "fail"):
        vain = 0
        for seed in range(2):
            studies = Studies(tmp_path / f"{how}{seed}", seed)
            number = itertools.count(1)
            for n in itertools.islice(number, 28):
                params = studies.ask(n, CONVNET)
                work = params["width"] ** 2 * params["growth"] ** 3 * params["map_px"] ** 2 * params["kernel"] ** 2
                if work > limit and how == "refuse":
                    studies.refuse(n, math.log(work / limit))
                else:
                    studies.tell(n, math.inf if work > limit else 20 - math.log(work), 1, is_complete=True)
                vain += n > 14 and work > limit
            studies.close()
        counts[how] = vain
    assert counts["refuse"] < counts["fail"]


# --- going on, and two objectives ------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("is_double", [False, True])
def test_a_run_that_goes_on_asks_what_the_killed_one_would_have_asked(tmp_path: Path, is_double: bool) -> None:
    """Refused ideas are told again from the journal; one whose trial was never decided on is asked again."""
    second = counter_of().latency if is_double else None
    notes, plans, told = Notes(), [], []
    first = Studies(tmp_path / "first", 5, second)
    screen = screen_of(first, notes)
    course = Course(0.4 * seconds_for(starts(CONVNET.space)), 2)
    for number in range(1, 13):
        params, because = screen.choose(number, Start(family=CONVNET, given=None, because="search", course=course))
        if number == 12:
            break
        plans.append(Plan(number=number, family="convnet", params=params, seed=0, because=because))
        told.append(ToldTrial(number, 1 / params["width"], 1, True))
        first.tell(number, 1 / params["width"], 1, is_complete=True)
    assert notes.events
    again = Studies(tmp_path / "again", 5, second)
    later = screen_of(again, Notes())
    again.replay(plans, told, later.recall(notes.events))
    assert later.choose(12, Start(family=CONVNET, given=None, because="search", course=course)) == (params, because)
    first.close()
    again.close()


@pytest.mark.slow
@pytest.mark.soak
def test_a_search_for_both_looks_at_quicker_networks(tmp_path: Path) -> None:
    """Where work pays, a search for the score alone goes for slow ones; one for both also keeps looking at others."""
    latency = counter_of().latency
    late: dict[bool, list[float]] = {False: [], True: []}
    for second, seed in itertools.product((None, latency), range(SEEDS)):
        studies = Studies(tmp_path / f"{second is None}{seed}", seed, second)
        configs = CONVNET.configs()
        for number in range(1, 36):
            params = studies.ask(number, CONVNET, configs[number - 1] if number <= len(configs) else None)
            slowness = latency(CONVNET, params)
            assert slowness is not None
            work = slowness - 0.02 * (slowness + 1) ** 2  # each time as much pays less
            error = 1.0 - 0.2 * work + 0.15 * abs(math.log10(params["learning_rate"]) + 1.7) + params["dropout"] / 3
            studies.tell(number, error, 1, is_complete=True)
            late[second is latency] += [slowness] if number > 15 else []
        studies.close()
    assert statistics.mean(late[True]) < statistics.mean(late[False]) - 0.3  # orders of magnitude
    assert min(late[True]) < min(late[False])


def test_the_showcase_of_two_objectives_can_be_read_by_others(tmp_path: Path) -> None:
    """Optuna's own tools see both values and what was refused."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    studies = Studies(tmp_path / "study.journal", 0, counter_of().latency)
    studies.ask(1, CONVNET)
    studies.refuse(1, 0.7)
    studies.ask(1, CONVNET, turn=1)
    studies.tell(1, 0.25, 1, is_complete=True)
    studies.close()
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "study.journal")))
    seen = optuna.load_study(study_name="convnet", storage=storage)
    assert [trial.state.name for trial in seen.trials] == ["PRUNED", "COMPLETE"]
    assert seen.trials[0].user_attrs["excess"] == 0.7
    assert seen.trials[1].values[0] == 0.25
    assert len(seen.directions) == 2


@pytest.mark.slow
def test_a_run_trains_no_network_that_would_break_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default would be too large: it is told in the journal, and the next strong configuration gets its time."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for label, number in itertools.product(("bright", "dark"), range(25)):
        pixels = random.integers(0, 90, (16, 16, 3), dtype=np.uint8) + (120 if label == "bright" else 0)
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "data" / label / f"{number}.png")
    run = tmp_path / "run"
    with interrupted_when(lambda: any(told["event"] == "asked" and told["trial"] for told in so_far(run))):
        automl.fit(
            tmp_path / "data", budget="10m", families="convnet", max_model_mb=1.0, search_for="score and latency",
            run_dir=run, verbose=0,
        )  # fmt: skip
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    refused = [event for event in events if event["event"] == "screened"]
    assert refused[0]["params"] == CONVNET.configs()[0]
    assert "and 1 MB are allowed" in refused[0]["because"]
    plans = [event["plan"] for event in events if event["event"] == "asked" and event["family"] == "convnet"]
    assert plans[0]["params"] == CONVNET.configs()[1]
    assert "but with the next strong configuration" in plans[0]["because"]
    assert json.loads((run / "report.json").read_text())["trials"]


def test_a_large_seed_is_a_seed(studies: Studies) -> None:
    """Seeds of samplers stay within 32 bits."""
    studies._seed = 123_456_789
    assert studies.ask(1, CONVNET, turn=3)


def test_every_knob_of_a_counted_family_is_plain() -> None:
    """Refused configurations go through JSON and back."""
    for family in (CONVNET, SOUNDNET):
        for config in family.configs():
            assert json.loads(json.dumps(config)) == config
        assert all(isinstance(knob, Int | Float | Choice) for knob in family.space.values())
