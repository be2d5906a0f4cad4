"""From candidates to the saved model: mark the frontier, choose, refit what is unfinished, save, measure, test."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl import artifact, metrics
from automl.candidates import BASELINE, Arena, mixture
from automl.errors import OptionError
from automl.folder import RunFolder
from automl.frontier import Limits, Pick, choose, mark
from automl.model import Model
from automl.options import Options
from automl.prepare import Prepared
from automl.reading import load
from automl.records import Candidate, Dataset, Profile, Score, Trial
from automl.refit import Refitter, as_bags, lean
from automl.search.budget import Clock
from automl.search.interrupt import Interrupt
from automl.target import encode_target
from cluster.pool import Pool

MEASURED_ROWS = 1_000
ROW_REPEATS = 5


@dataclass(frozen=True)
class Bench:
    """What the end of a run works with."""

    dataset: Dataset
    profile: Profile
    ready: Prepared
    trials: Sequence[Trial]
    arena: Arena
    pool: Pool
    clock: Clock
    folder: RunFolder
    interrupt: Interrupt


@dataclass(frozen=True)
class End:
    """The marked candidates, the chosen one, and what was measured on its saved model."""

    candidates: Sequence[Candidate]
    chosen: Candidate
    because: str
    tied: Sequence[tuple[str, str]]  # pairs of names that cannot be told apart: the best and each of these
    measured: Mapping[str, float]
    test: Score | None


def finish(bench: Bench, field: Sequence[Candidate], options: Options) -> End:
    """Choose a candidate, save it as the run's model and measure what was saved."""
    baseline = next(c for c in field if c.name == BASELINE)
    ties = _ties(bench, field)

    def tied(a: Candidate, b: Candidate) -> bool:
        return (a.name, b.name) in ties or (b.name, a.name) in ties

    marked = mark(field, tied, baseline.score)
    overhead_ms = _encoding_ms(bench)
    limits = Limits(options.max_latency_ms or math.inf, options.max_model_mb or math.inf)
    inner = Limits(max(0.0, limits.row_ms - overhead_ms), limits.size_mb)
    pick = choose([c for c in marked if c.name != BASELINE] or marked, tied, inner, options.prefer)
    if pick is None:
        pick = _nearest(marked, limits)
    model = _save(bench, pick)
    measured = _measure(model, bench)
    test = _test(model, bench, options)
    for trial in bench.trials:
        if not any(trial.plan.number in c.weights for c in marked):
            bench.folder.drop_trial(trial.plan.number)
    return End(marked, pick.candidate, pick.because, sorted(ties), measured, test)


def _nearest(field: Sequence[Candidate], limits: Limits) -> Pick:
    """Nothing meets the limits: the fastest model, saying so."""
    fastest = min(field, key=lambda c: (c.lean_ms, c.lean_mb))
    told = f"no model meets {limits}; this is the fastest, {fastest.lean_ms:.3g} ms and {fastest.lean_mb:.3g} MB"
    return Pick(fastest, told, limits)


def _ties(bench: Bench, field: Sequence[Candidate]) -> set[tuple[str, str]]:
    """The best candidate paired with each one whose paired interval on the same rows holds zero."""
    metric = metrics.get(bench.profile.metric)
    best = min(field, key=lambda c: -c.score.value if metric.higher_is_better else c.score.value)
    ours = mixture(best, bench.arena)
    ties = set()
    for other in field:
        theirs = mixture(other, bench.arena)
        if other is best:
            continue
        low, _ = metrics.paired_interval(metric, bench.arena.y, theirs, ours, weight=bench.arena.weight)
        if low <= 0:
            ties.add((best.name, other.name))
    return ties


def _save(bench: Bench, pick: Pick) -> Model:
    """Refit what is unfinished, drop folds where the limits ask for it, save, and read back what was saved."""
    members = as_bags(pick.candidate, bench.trials)
    if not bench.interrupt.asked:
        refitter = Refitter(bench.trials, bench.ready.shared, bench.pool, bench.clock, bench.folder)
        members = refitter.refit(members)
    members = lean(members, bench.trials, pick.limits)
    facts = artifact.describe(bench.profile, bench.ready.schema, bench.dataset.target_name)
    target = artifact.save(bench.folder.path / "model", members, bench.folder, {**facts, "name": pick.candidate.name})
    return artifact.load(target)


def _encoding_ms(bench: Bench) -> float:
    """Milliseconds to read one row, before any model sees it."""
    one = bench.dataset.frame.iloc[:1]
    bench.ready.schema.encode(one)
    return min(_clocked(lambda: bench.ready.schema.encode(one)) for _ in range(ROW_REPEATS))


def _clocked(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - started)


def _measure(model: Model, bench: Bench) -> dict[str, float]:
    """Milliseconds and megabytes of the saved model, as a user meets them: a DataFrame in, predictions out."""
    frame = bench.dataset.frame
    one, many = frame.iloc[:1], frame.iloc[:MEASURED_ROWS]
    model.predict(one)  # the first call loads libraries
    row_ms = np.median([_clocked(lambda: model.predict(one)) for _ in range(ROW_REPEATS)])
    size = artifact.size_mb(bench.folder.path / "model")
    return {
        "row_ms": float(row_ms),
        "batch_ms": _clocked(lambda: model.predict(many)) * 1000 / len(many),
        "size_mb": size,
    }


def _test(model: Model, bench: Bench, options: Options) -> Score | None:
    """The saved model's score on the held-out data the user gave."""
    if options.test is None:
        return None
    held = load(options.test, options, min_rows=1)
    if held.target is None:
        raise OptionError(f"test data has no column {bench.dataset.target_name!r}. Give rows with their answers.")
    metric = metrics.get(bench.profile.metric)
    y = encode_target(held.target, bench.profile)
    predictions = np.asarray(model.predict_proba(held.frame) if model.classes else model.predict(held.frame))
    value = metric.score(y, predictions, held.weight)
    low, high = metrics.interval(metric, y, predictions, weight=held.weight)
    return Score(metric.name, value, low, high, metric.higher_is_better)
