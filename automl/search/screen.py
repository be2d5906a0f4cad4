"""Networks weighed on paper before they get a second: what cannot be afforded is not trained, and said so.

A sampler asks for what no course could hold. It is told so, as of a trial stopped before its start, and asked again.
Until trials of this run have shown how fast the machines are, or where no clock counts, they are taken for usual ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from statistics import median
from threading import Thread
from typing import Any

import search_spaces
from automl.data.prepare import Shared
from automl.ensemble.frontier import Limits
from automl.runtime.journal import Journal
from automl.search.sample import Studies
from automl.search.steps import TIMED_S, Attempt, Course, Start
from search_spaces.spec import Family, Media, NetworkCost, Params, Shape

# Speeds and slacks: benchmarks/LOG.md, 2026-11-21, "images and sounds", under "Screening on paper".
MIN_EPOCHS = 5.0  # that a course must hold: what saw its rows less often shows nothing of what it could learn
KNOWING = 0.4  # of the epochs, for a network that goes on from another: it has seen much before
ASKS = 8  # of a sampler, before the least of what was refused is taken all the same
TRAINING = 3  # times the work of a prediction: there and back, for the maps and for the weights
STEP_OPS_S = 1.5e11  # of a thread that trains, on a CPU of 2024 with AVX-512; what others get is soon seen
STEP_OPS_GPU_S = 3e13  # of a whole GPU
ROW_OPS_S = 6e10  # of a thread that predicts one row
UNSEEN, SEEN = 3.0, 1.5  # times that a prediction may be wrong, with such speeds and with those of this run
BOTH_WAYS = 2  # a picture as it is and in a mirror, and what does not flip has time to spare
EXACT_COST = (
    2.0  # times longer on a GPU in float32 than in bfloat16: a guess, for none was at hand (LOG.md, 2026-11-29)
)
THREADS_POWER = 0.8  # of threads, by which a batch is quicker than one thread: the same guess for a CPU
# Guesses on the careful side, for no machine with two GPUs was at hand (LOG.md, 2026-11-29): seconds that a message
# takes however short it is, and bytes a second between cards on a bus of PCIe 4; links of their own are much faster.
MEETING_S, LINK_BYTES_S = 2e-3, 1e10
COPIES = 6  # of all weights: themselves, gradients, momenta, their mean, the best and the first ones
BYTES = 4  # of a weight
USUAL_MB = 4000.0  # of memory for a fit where no clock counts: the same on every machine, so that runs repeat
LEAST_S = 20.0  # of search: below it, what is to be saved costs more to find
SCREENED = "screened"  # the event of a refusal


@dataclass(frozen=True)
class Speeds:
    """Operations a second, and how many times less they may be."""

    step: float = STEP_OPS_S  # of each thread
    step_slack: float = UNSEEN
    on_gpu: float = STEP_OPS_GPU_S
    on_gpu_slack: float = UNSEEN
    row: float = ROW_OPS_S
    row_slack: float = UNSEEN


@dataclass(frozen=True)
class Room:
    """What a model may take, and the memory there is for a thread of its training."""

    row_ms: float = math.inf
    size_mb: float = math.inf
    room_mb: float = math.inf

    @classmethod
    def of(cls, limits: Limits, room_mb: float, *, is_timed: bool) -> Room:
        """From the limits of the user and the machines."""
        return cls(limits.row_ms, limits.size_mb, room_mb if is_timed else USUAL_MB)


@dataclass(frozen=True)
class Refusal:
    """Why a configuration is not trained, with its numbers."""

    because: str
    excess: float  # logarithm of how many times too much it takes


def epoch_s(cost: NetworkCost, rows: int, speeds: Speeds, course: Course) -> float:
    """Predicted seconds for all training rows once; GPUs that train one network wait for each other at every step."""
    speed = speeds.on_gpu * course.gpus if course.gpus else speeds.step * course.threads
    together_s = steps_of(rows) * meeting_s(cost, course.gpus) if course.gpus > 1 else 0.0
    return TRAINING * cost.step_ops * rows / speed + together_s


def steps_of(rows: int) -> float:
    """About how many batches an epoch has: their size grows with the root of the rows."""
    return rows / min(1024.0, max(32.0, 2.0 * math.sqrt(rows)))


def meeting_s(cost: NetworkCost, gpus: float) -> float:
    """Predicted seconds in which so many GPUs add up what they learned in a step: each sends its share twice."""
    return MEETING_S + 2 * BYTES * cost.parameters * (gpus - 1) / gpus / LINK_BYTES_S


def predict_s(cost: NetworkCost, rows: int, speeds: Speeds, course: Course) -> float:
    """Predicted seconds to predict rows after a course, where it trained: on its GPUs in large batches, or its threads.

    Pictures are asked both ways, in full precision. Of one thread a row in a batch takes no longer than a row alone.
    """
    if course.gpus:
        speed = speeds.on_gpu * course.gpus / (EXACT_COST * speeds.on_gpu_slack)
        return BOTH_WAYS * cost.step_ops * rows / speed
    return BOTH_WAYS * cost.row_ops * rows / (speeds.row * float(course.threads**THREADS_POWER))


def judge(
    cost: NetworkCost, rows: int, speeds: Speeds, course: Course, allowed: Room, least: float = MIN_EPOCHS
) -> Refusal | None:
    """What of it is most beyond what is allowed; None where nothing is. `least`: epochs that its course must hold."""
    epochs_s, row_ms = least * epoch_s(cost, rows, speeds, course), 1e3 * cost.row_ops / speeds.row
    slack = speeds.on_gpu_slack if course.gpus else speeds.step_slack
    weights_mb = BYTES * cost.parameters / 1e6
    room_mb = math.inf if course.gpus else allowed.room_mb * course.threads
    told = f"{least:g} epochs would take about {epochs_s:.3g} s, and its course has {course.soft_s:.3g} s"
    found = [
        (epochs_s / slack / course.soft_s, told),
        (row_ms / speeds.row_slack / allowed.row_ms,
         f"a row would take about {row_ms:.3g} ms, and {allowed.row_ms:g} ms are allowed"),
        (weights_mb / allowed.size_mb,
         f"its weights take {weights_mb:.3g} MB, and {allowed.size_mb:g} MB are allowed"),
        (COPIES * weights_mb / room_mb,
         f"training its weights would take {COPIES * weights_mb:,.0f} MB, and {room_mb:,.0f} MB are free"),
    ]  # fmt: skip
    times, because = max(found)
    if times <= 1:
        return None
    return Refusal(f"{cost.flops / 1e6:,.0f} million operations a row: {because}", math.log(times))


def learn_speeds(seen: Iterable[tuple[NetworkCost, Attempt]], rows: int) -> Speeds:
    """The speeds that trials of this run had.

    A fold tells its epochs up to the best one, and a few more were paid for: of several trials the fastest is nearest
    to the truth. Of those that were granted no course the threads are not known for sure: only predictions count.
    """
    steps, on_gpu, single = [], [], []
    for cost, attempt in seen:
        for fold in attempt.folds.values():
            if fold.row_s > 0:
                single.append(cost.row_ops / fold.row_s)
            if attempt.course is None or not fold.rounds or fold.fit_s <= 0:
                continue
            speed = TRAINING * cost.step_ops * rows * fold.rounds / fold.fit_s
            if attempt.course.gpus:
                on_gpu.append(speed / attempt.course.gpus)
            else:
                steps.append(speed / attempt.course.threads)
    speeds = Speeds()
    if steps:
        speeds = replace(speeds, step=max(steps), step_slack=SEEN)
    if on_gpu:
        speeds = replace(speeds, on_gpu=max(on_gpu), on_gpu_slack=SEEN)
    return replace(speeds, row=median(single), row_slack=SEEN) if single else speeds


class Counter:
    """Counts networks for the media of a run; each configuration once."""

    def __init__(self, shared: Shared) -> None:
        self._blocks, self._outputs = shared.raw.blocks, shared.outputs
        self._raw = shared.raw
        self._known: dict[str, NetworkCost] = {}

    def warm(self, families: Iterable[Family]) -> None:
        """Load what counting these takes, a second or two, while workers are busy."""
        if any(family.cost and family.columns(self._blocks) for family in families):
            Thread(target=import_module, args=("automl.training.forms",), name="automl counter").start()

    def cost(self, family: Family, params: Params) -> NetworkCost | None:
        """Of a configuration; None for a family that is not counted."""
        columns = family.columns(self._blocks)
        if family.cost is None or not columns:
            return None
        key = f"{family.name} {sorted(params.items())}"
        if key not in self._known:
            largest = max((self._blocks[column] for column in columns), key=lambda block: block.store[:1].nbytes)
            shape = self._fused(params, columns) if family.fuses else self._shape(largest)
            self._known[key] = family.cost(params, replace(shape, encoder=largest.encoder) if family.goes_on else shape)
        return self._known[key]

    def latency(self, family: Family, params: Params) -> float | None:
        """How long a row takes, as a second objective: orders of magnitude of milliseconds on a usual CPU.

        Counted, not measured, so that a run that counts trials repeats itself.
        """
        cost = self.cost(family, params)
        return None if cost is None else math.log10(1e3 * cost.row_ops / ROW_OPS_S)

    def _fused(self, params: Params, columns: Iterable[str]) -> Shape:
        """Without the table's own columns, which cost little."""
        from automl.training.fused import branch_of

        told = (branch_of(params, self._blocks[name], self._raw.described.get(name, 0)) for name in columns)
        return Shape((), (), self._outputs, branches=tuple(one for one in told if one.is_seen or one.numbers))

    def _shape(self, block: Media) -> Shape:
        from automl.training.forms import shape_of

        return shape_of(block, self._outputs)


@dataclass(kw_only=True)
class Screen:
    """What stands between an idea for a network and its training."""

    counter: Counter
    studies: Studies
    journal: Journal
    attempts: Mapping[int, Attempt]
    rows: int  # of a training fold
    allowed: Room
    is_timed: bool  # otherwise nothing may depend on the clock
    is_on: bool = True
    _refused: list[tuple[str, Params]] = field(default_factory=list)  # known configurations that were told of

    def epoch_s(self, family: Family, params: Params, threads: int, gpus: float = 0.0) -> float:
        """Predicted seconds of an epoch; 0 where it is not known."""
        cost = self.counter.cost(family, params) if self.is_on and self.is_timed else None
        return 0.0 if cost is None else epoch_s(cost, self.rows, self._speeds(), Course(math.inf, threads, gpus))

    def held_s(self, attempt: Attempt, rows: int) -> float:
        """Predicted seconds to predict the rows held out, after its course; 0 where it is not known."""
        family, course = search_spaces.get(attempt.plan.family), attempt.course
        cost = self.counter.cost(family, attempt.plan.params) if self.is_on and self.is_timed else None
        if cost is None or course is None:
            return 0.0
        priced_s = TIMED_S if course.gpus else 0.0  # of rows on the CPU, as the saved model will predict them
        return predict_s(cost, rows, self._speeds(), course) + priced_s

    def choose(self, number: int, start: Start) -> tuple[dict[str, Any], str]:
        """The configuration of a trial that begins, and why it is this one."""
        if not (self.is_on and start.family.cost) or start.is_quick or self._is_known_to_run(start):
            return self._taken(number, start, start.given), start.because
        refused: list[tuple[float, dict[str, Any]]] = []
        for turn, (given, because) in enumerate(self._ideas(start)):
            params = self.studies.ask(number, start.family, None, turn) if given is None else given
            refusal = self.why_not(start, params)
            if refusal is None:
                told = f"{because}, {len(refused)} not affordable" if refused else because
                return (params if given is None else self._taken(number, start, given)), told
            refused.append((refusal.excess, params))
            self._tell((number, turn), start.family, (params, refusal), is_sampled=given is None)
        least = min(refused, key=lambda one: one[0])[1]
        return self._taken(
            number, start, least
        ), f"{start.because}: the least of {len(refused)} that are not affordable"

    def why_not(self, start: Start, params: Params) -> Refusal | None:
        """Why a configuration should not be trained; None where it may be."""
        cost = self.counter.cost(start.family, params)
        if cost is None:
            return None
        least = KNOWING * MIN_EPOCHS if start.family.goes_on else MIN_EPOCHS
        return judge(cost, self.rows, self._speeds(), start.course or Course(math.inf, 1), self.allowed, least)

    def recall(self, events: Iterable[Mapping[str, Any]]) -> dict[int, list[tuple[Params, float]]]:
        """What an earlier driver's samplers were refused, by trial, to be told again."""
        past: dict[int, dict[int, tuple[Params, float]]] = {}  # by turn: a killed driver's last ones are asked again
        for event in events:
            if event["event"] == SCREENED and event["is_sampled"]:
                past.setdefault(event["trial"], {})[event["turn"]] = event["params"], event["excess"]
        return {number: list(turns.values()) for number, turns in past.items()}

    def _ideas(self, start: Start) -> Iterator[tuple[dict[str, Any] | None, str]]:
        """What was wanted; instead of a known configuration the next known ones; then what the sampler thinks of."""
        if start.given is not None:
            yield start.given, start.because
            for config in start.family.configs():
                if config != start.given and not any(
                    self._is_of(a, start.family, config) for a in self.attempts.values()
                ):
                    yield config, f"{start.because}, but with the next strong configuration"
        if start.course is not None and start.course.is_long:  # no sampler learns from these
            mine = [a for a in self.attempts.values() if a.plan.family == start.family.name and a.folds]
            for tried in sorted(mine, key=lambda a: a.error):
                yield dict(tried.plan.params), f"{start.because}, but trial {tried.plan.number} with another seed"
        else:
            for _ in range(ASKS):
                yield None, start.because if start.given is None else f"{start.because}, but a search instead"

    def _taken(self, number: int, start: Start, given: dict[str, Any] | None) -> dict[str, Any]:
        """The configuration, which its sampler will be told of unless the trial is not a fair one."""
        if start.is_quick or (start.course is not None and start.course.is_long):
            return given or {}
        return self.studies.ask(number, start.family, given)

    def _is_known_to_run(self, start: Start) -> bool:
        """Whether a trial had this configuration: then it was let through."""
        given = start.given
        return given is not None and any(self._is_of(a, start.family, given) for a in self.attempts.values())

    @staticmethod
    def _is_of(attempt: Attempt, family: Family, params: Params) -> bool:
        return attempt.plan.family == family.name and dict(attempt.plan.params) == dict(params)

    def _tell(self, ask: tuple[int, int], family: Family, refused: tuple[Params, Refusal], *, is_sampled: bool) -> None:
        """Tell the sampler whose idea it was, and the journal; of a known configuration once."""
        params, refusal = refused
        if is_sampled:
            self.studies.refuse(ask[0], refusal.excess)
        elif (family.name, params) in self._refused:
            return
        else:
            self._refused.append((family.name, params))
        facts = {"trial": ask[0], "turn": ask[1], "family": family.name, "params": params, "is_sampled": is_sampled}
        self.journal.write(SCREENED, {**facts, "because": refusal.because, "excess": refusal.excess})

    def _speeds(self) -> Speeds:
        if not self.is_timed:
            return Speeds()
        return learn_speeds(self._counted(), self.rows)

    def _counted(self) -> Iterator[tuple[NetworkCost, Attempt]]:
        for attempt in self.attempts.values():
            cost = (
                self.counter.cost(search_spaces.get(attempt.plan.family), attempt.plan.params)
                if attempt.folds
                else None
            )
            if cost is not None:
                yield cost, attempt
