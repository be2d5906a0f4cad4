"""From candidates to the saved model: mark the frontier, choose, refit what is unfinished, save, measure, test.

Limits hold for the model as it is used. What is measured on a saved model may be more than the sum of its parts; then
the choice is made again, knowing that, and only in the end by dropping folds.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from automl.data.prepare import Prepared
from automl.decision.verdict import SHORT_CYCLE_S
from automl.ensemble import rivalry
from automl.ensemble.candidates import HeldOutComparison
from automl.ensemble.frontier import (
    EVERYDAY,
    NOTHING,
    STEPS,
    Bargain,
    Limits,
    Pick,
    Tied,
    cheapest_to_train,
    choose,
    mark,
)
from automl.errors import RunError
from automl.explain import background
from automl.explain.cells import places
from automl.model import artifact
from automl.options import Options
from automl.records import Candidate, Dataset, Member, Profile, Score, Trial
from automl.refit import conforming, costs, picks, tested
from automl.refit.asking import ask_lastingly, portions, reached
from automl.refit.conforming import Conforming
from automl.refit.measure import Probe, Used
from automl.refit.members import Refitter, formed, lean, sum_ms
from automl.refit.reading import ReadingCost, measure_reading
from automl.runtime.clock import WRITTEN_S, Clock
from automl.runtime.context import RunContext
from automl.runtime.workplace import load_rates
from automl.search.trial import ALL_ROWS
from cluster.pool import Job, Status
from search_spaces.spec import BASELINE

MEASURED_ROWS = 1_000
LEAST_USE_S = 1.5  # a model that was saved late is still tried this long
REPEATING = 0.25  # of the time that is left, at most, to repeat calls of a saved model
TRIES = 5  # models that are saved, measured and found too slow before the fastest is taken
NOISE = 0.2  # of what reading a row takes: two measurements of it differ by that, and no limit of ours is that exact
CAUTION = 1.1  # a model is expected to be so many times slower than it was measured

PickWith = Callable[[Mapping[str, float]], Pick]  # names of candidates -> how many times slower than their parts


@dataclass(frozen=True, kw_only=True)
class FinishInputs:
    """What the end of a run works with."""

    dataset: Dataset
    held: Dataset | None  # rows the user keeps apart to score the final model on
    profile: Profile
    ready: Prepared
    trials: Sequence[Trial]
    comparison: HeldOutComparison
    context: RunContext
    students: Sequence[Trial] = ()  # made after the search, from the answers of its blends
    is_renewed: bool = False  # whether the rows held out are new ones, and what is compared was trained before

    @property
    def models(self) -> Sequence[Trial]:
        """All that candidates are made of."""
        return (*self.trials, *self.students)

    @property
    def model(self) -> Path:
        """Where the chosen model is saved, whatever folder a worker stands in."""
        return (self.context.folder.path / "model").absolute()

    @property
    def conforming(self) -> Conforming:
        """What learns how far candidates may be off."""
        return Conforming(self.comparison, self.ready, self.context.folder.path)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The marked candidates, the chosen one, and what was measured on its saved model."""

    candidates: Sequence[Candidate]
    chosen: Candidate
    because: str
    tied: Sequence[tuple[str, str]]  # pairs of names that cannot be told apart: the best and each of these
    pairs: Sequence[tuple[str, str]]  # all that cannot be told apart
    redrawn: int  # times that rows were redrawn to say so
    measured: Mapping[str, float]
    test: Score | None
    untested: str = ""  # why there is no score on the rows that were kept apart, where some were given
    tipped: str = ""  # what would have been returned, had it not cost more to train again and again


def finish(inputs: FinishInputs, field: Sequence[Candidate], options: Options) -> Selection:
    """Choose a candidate, save it as the run's model and measure what was saved; then the named picks likewise."""
    baseline = next(c for c in field if c.name == BASELINE)
    rivals = rivalry.compare(field, inputs.comparison, inputs.context.clock.until - WRITTEN_S)

    def tied(a: Candidate, b: Candidate) -> bool:
        return rivals.is_tied(a.name, b.name)

    reading = measure_reading(inputs.dataset, inputs.ready)
    marked = _marked([reading.within(c, inputs.models) for c in field], rivals, baseline.score)
    inputs.conforming.learn(marked, conforming.until(inputs.context.clock))
    picks.forget(inputs.context.folder)
    if places(inputs.ready.schema):
        usual = background.choose(inputs.ready.shared.raw, inputs.ready.shared.weight)
        background.keep(inputs.context.folder.path, usual, is_shipped=options.explain == "required")
    found, used = _settle(inputs, _picking(inputs, marked, tied, reading, options), reading, limits(options))
    size = artifact.size_mb(inputs.model)
    measured = {"row_ms": used.row_ms, "batch_ms": used.batch_ms, "size_mb": size}
    if math.isnan(used.row_ms):  # no time was left to try it: the sum of its parts
        measured |= {"row_ms": found.candidate.row_ms + reading.row_ms, "batch_ms": found.candidate.batch_ms}
    test, untested = tested.score(found.candidate, used, inputs, options)
    if untested:
        inputs.context.watcher.say(f"note: no score on the test data: {untested}")
    for trial in inputs.trials:
        if not any(trial.plan.number in c.weights for c in marked):
            inputs.context.folder.drop_trial(trial.plan.number)
    marked = _priced(inputs, marked, {found.candidate.name: used}, reading, options)
    pairs = rivals.tied_pairs()
    best = next(c.name for c in marked if "best" in c.picks)
    return Selection(
        candidates=marked,
        chosen=next(c for c in marked if c.name == found.candidate.name),
        because=found.because,
        tied=sorted((best, b if a == best else a) for a, b in pairs if best in (a, b)),
        pairs=pairs,
        redrawn=len(rivals.moves),
        measured=measured,
        test=test,
        untested=untested,
        tipped=found.instead,
    )


def _marked(field: Sequence[Candidate], rivals: rivalry.Rivalry, baseline: Score) -> list[Candidate]:
    """The candidates with who is on the frontier, picked, tied with the best, and how likely that is."""
    chances = zip(rivals.chances_of_best(), rivals.chances_of_frontier([c.row_ms for c in field]), strict=True)
    likely = [replace(c, p_best=float(p), p_frontier=float(q)) for c, (p, q) in zip(field, chances, strict=True)]
    return mark(likely, lambda a, b: rivals.is_tied(a.name, b.name), baseline)


def _picking(
    inputs: FinishInputs, marked: Sequence[Candidate], tied: Tied, reading: ReadingCost, options: Options
) -> PickWith:
    """How the candidate to return is chosen, once it is known how much slower some are than their parts."""
    baseline = next(c for c in marked if c.name == BASELINE)
    rivals = [c for c in marked if c.name != BASELINE] or marked
    asked, clock = limits(options), inputs.context.clock
    is_of_steps = inputs.ready.schema.is_of_rows
    inner = replace(asked, row_ms=max(0.0, asked.row_ms - reading.row_ms))
    # what a trained network takes to read a row comes on top, also for models that read it themselves
    everyday_ms = max(EVERYDAY.row_ms / 4, EVERYDAY.row_ms - reading.row_ms) + reading.told_ms
    everyday = Limits(
        everyday_ms
        if clock.is_timed and not is_of_steps
        else math.inf,  # else runs repeat; steps are asked for together
        EVERYDAY.size_mb + reading.told_mb,
    )
    bargain = Bargain(
        everyday=everyday, baseline=baseline.score, perfect=inputs.ready.metric.to_score(0.0),
        give_up=options.give_up_percent / 100, is_timed=clock.is_timed, free=STEPS if is_of_steps else NOTHING,
    )  # fmt: skip

    def pick(slower: Mapping[str, float]) -> Pick:
        costs = [_slowed(c, _factor(c.name, slower), reading.of(c, inputs.models)) for c in rivals]
        found = choose(costs, tied, inner, options.prefer, bargain) or _nearest(costs, inner, asked)
        if options.retrain_s is not None and options.retrain_s <= SHORT_CYCLE_S:
            found = cheapest_to_train(found, costs, tied, is_timed=clock.is_timed)
        return replace(found, candidate=next(c for c in rivals if c.name == found.candidate.name))

    return pick


def _priced(
    inputs: FinishInputs, marked: Sequence[Candidate], used: dict[str, Used], reading: ReadingCost, options: Options
) -> list[Candidate]:
    """All costs of all candidates; the named picks are saved and measured as far as there is time."""
    others = [c for c in marked if c.picks and c.name not in used and c.name != BASELINE]
    facts = artifact.describe(inputs.profile, inputs.ready.schema, inputs.dataset)

    def use(saved: Path, seconds: float) -> Used:
        return _use(inputs, saved, seconds)

    def fit(one: Candidate, until: float) -> None:
        if one.made_from:
            refitter = Refitter(inputs.models, inputs.ready.shared, inputs.context, until)
            refitter.refit(formed(one, inputs.models, inputs.context.folder), is_each=True)

    used = {**used, **picks.tried(others, inputs.models, inputs.context, facts, picks.Trying(use, fit))}
    tariff = costs.core_tariff(inputs.context, load_rates(options.rates).currency)
    return costs.priced(marked, inputs.models, used, tariff, reading.row_ms)


def limits(options: Options) -> Limits:
    """What the user allows a model to cost."""
    return Limits(options.allowed_ms or math.inf, options.allowed_mb or math.inf)


def _slowed(one: Candidate, factor: float, told_ms: float) -> Candidate:
    """All of it but what a trained network takes, which was measured."""
    row_ms, lean_ms = (factor * (ms - told_ms) + told_ms for ms in (one.row_ms, one.lean_ms))
    return replace(one, row_ms=row_ms, lean_ms=lean_ms)


def _factor(name: str, slower: Mapping[str, float]) -> float:
    """As measured; of what was not, half of what the others suggest, on a log scale: few members stand less in line."""
    return slower.get(name, math.sqrt(max(slower.values(), default=1.0)))


def _nearest(field: Sequence[Candidate], inner: Limits, asked: Limits) -> Pick:
    """Nothing meets the limits: the fastest model, saying so."""
    fastest = min(field, key=lambda c: (c.lean_ms, c.lean_mb))
    told = f"no model meets {asked}; this is the fastest, {fastest.lean_ms:.3g} ms and {fastest.lean_mb:.3g} MB"
    return Pick(fastest, told, inner)


def _settle(inputs: FinishInputs, pick: PickWith, reading: ReadingCost, allowed: Limits) -> tuple[Pick, Used]:
    """Choose, refit what is unfinished, save and use what was saved, again until it is as fast as the limits ask.

    A limit that the user set is held whatever the clock says; for any other, the time that there is must do.
    """
    facts, clock = artifact.describe(inputs.profile, inputs.ready.schema, inputs.dataset), inputs.context.clock
    refitter = Refitter(inputs.models, inputs.ready.shared, inputs.context)
    is_asked = math.isfinite(allowed.row_ms)
    beyond_ms = reading.row_ms * (1.0 if is_asked else 1.0 + NOISE)
    slower: dict[str, float] = {}
    refitted: set[int] = set()
    kept: list[Member] = []
    for tries in range(TRIES + 1):
        is_last, found = tries == TRIES, pick(slower)
        one = found.candidate
        members = formed(one, inputs.models, inputs.context.folder)
        members = [replace(m, folds=(ALL_ROWS,)) if m.plan.number in refitted else m for m in members]
        if not inputs.context.interrupt.asked:
            members = refitter.refit(members, is_each=bool(one.made_from))
            if not one.made_from:
                refitted |= {m.plan.number for m in members if m.folds == (ALL_ROWS,)}
        told_ms = reading.of(one, inputs.models)
        own_ms = max(0.0, found.limits.row_ms - told_ms) / slower.get(one.name, 1.0)  # at first hoping
        before, kept = kept, lean(members, inputs.models, replace(found.limits, row_ms=0.0 if is_last else own_ms))
        if kept == before:
            break
        inputs.conforming.ensure(one)
        began = time.monotonic()
        beside = inputs.model.with_name(".model")  # a run that goes on keeps its earlier model until there is a new one
        shutil.rmtree(beside, ignore_errors=True)
        artifact.save(beside, kept, inputs.context.folder, {**facts, "name": one.name, "readout": one.readout})
        shutil.rmtree(inputs.model, ignore_errors=True)
        beside.rename(inputs.model)
        used = _use(inputs, inputs.model, picks.seconds(inputs.context))
        is_fast = not used.row_ms > found.limits.row_ms + beyond_ms
        if is_fast or is_last or (not is_asked and _is_late(clock, time.monotonic() - began)):
            break
        seen = (used.row_ms - reading.row_ms - told_ms) / max(sum_ms(kept, inputs.models), 1e-3)
        slower[one.name] = CAUTION * max(slower.get(one.name, 1.0), seen)
    return found, used


def _is_late(clock: Clock, took_s: float) -> bool:
    """Whether there is no time to choose and save once more."""
    return clock.is_timed and clock.left(WRITTEN_S) < took_s


def _use(inputs: FinishInputs, saved: Path, seconds: float) -> Used:
    """Try a saved model in a worker; where the time is over its speed stays unknown."""
    left = inputs.context.clock.left(WRITTEN_S)
    context, claims = inputs.context, inputs.ready.schema.claims
    rows = next(portions(inputs.dataset.frame.iloc[:MEASURED_ROWS], claims, context.pool))
    with reached(saved, context.pool) as model:
        probe = Probe(str(saved.absolute()), rows, max(0.0, min(seconds, REPEATING * left)))
        job = Job("use", "automl.refit.measure:use", probe, model, hard_s=max(LEAST_USE_S, left))
        outcome = ask_lastingly(job, context)
    if outcome.status is Status.DONE:
        return cast(Used, outcome.value)
    if outcome.status is Status.LATE or context.is_deserted:
        return Used(math.nan, math.nan)
    raise RunError(
        f"the saved model cannot be used: {outcome.error}. Please report this with {inputs.context.folder.path}."
    )
