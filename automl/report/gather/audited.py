"""The audit of a run, weighed: by its own held-out predictions, and by learning its best quick configuration again.

Nothing in here may end a run: what is not known becomes a note.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

import search_spaces
from automl.data.prepare import Shared
from automl.ensemble.candidates import mixture
from automl.records import Candidate, Trial
from automl.refit import apart, relearn
from automl.refit.asking import ask_each
from automl.refit.finish import FinishInputs
from automl.refit.relearn import Omission, RelearnRequest
from automl.report.gather.doubtful import FILE
from automl.report.gather.findings import GatherInputs
from automl.report.gather.ground import AuditGround
from automl.report.gather.mistakes import held_out
from automl.report.gather.weighing import weigh
from automl.report.sections.audit import AuditedJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S
from automl.runtime.durable import write_whole
from automl.scoring.effects import Judged
from automl.search.trial import FoldJob
from cluster.pool import Job, Status
from search_spaces.spec import BASELINE, TABLE

SLACK = 1.5  # times as long as a fit of the search that one here may take
NEAR = 1.5  # times the error of the best quick model, up to which a cheaper one is learned again instead
COUNTED_S = 6.0  # predicted, that all fits may take where trials are counted and no clock may decide
WANTED_FITS, MOST_FITS = 6, 16
TIME_SHARE = 0.5  # of the seconds that all findings together have


def gather(given: GatherInputs) -> AuditedJson | None:
    """None where nothing but the baseline was finished."""
    finish = given.finish
    folder = finish.context.folder.path
    (folder / FILE).unlink(missing_ok=True)  # of an earlier end of this run
    best = _most_accurate(given)
    if best is None:
        return None
    weighed = weigh(_ground(given, best))
    if weighed.suspects:
        try:
            write_whole(folder / FILE, as_csv(weighed.suspects).encode("utf-8", "replace"))
            weighed.told["suspects"]["file"] = FILE
        except OSError as error:
            finish.context.watcher.say(f"note: {FILE} could not be written: {error}")
    return weighed.told


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Suspect rows as a table; a name of a file or the beginning of a text where rows have one."""
    text = io.StringIO()
    names = [name for name in rows[0] if name != "name" or any(row["name"] for row in rows)] if rows else []
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _most_accurate(given: GatherInputs) -> Candidate | None:
    """The candidate that says most of the held-out rows, whatever it costs."""
    known = given.finish.comparison.predictions
    able = [
        c for c in given.end.candidates
        if c.name != BASELINE and c.weights and math.isfinite(c.score.value) and all(n in known for n in c.weights)
    ]  # fmt: skip
    return max(able, key=lambda c: c.score.value if c.score.higher_is_better else -c.score.value, default=None)


def _ground(given: GatherInputs, best: Candidate) -> AuditGround:
    finish, comparison = given.finish, given.finish.comparison
    own = finish.ready.metric.own
    metric = own.proxy if own else finish.ready.metric
    held = held_out(best, comparison, len(finish.profile.classes))
    until = min(given.until, time.monotonic() + TIME_SHARE * max(0.0, given.until - time.monotonic()))
    trial, most, why = _learner(finish, until)
    folds = [] if trial is None else [k for k in comparison.folds if k in trial.folds]
    return AuditGround(
        dataset=finish.dataset,
        profile=finish.profile,
        audit=given.audit,
        schema=finish.ready.schema,
        shared=finish.ready.shared,
        judged=Judged(
            metric=metric, y=comparison.y, weight=comparison.weight, blocks=comparison.blocks, until=given.until
        ),
        rows=comparison.rows,
        said=mixture(best, comparison),
        plain=held.said if held.shares is None else held.shares,
        teller=best.name,
        learner="" if trial is None else f"{trial.plan.family} #{trial.plan.number}",
        told={} if trial is None else {fold: trial.folds[fold].predictions for fold in folds},
        learn=partial(_learn, finish, trial, until),
        most_fits=most,
        why_none=why,
        held=finish.held,
        apart=partial(_apart, finish, until) if trial is not None else None,
        promised=given.end.chosen.score,
        test=given.end.test,
    )


def _learner(finish: FinishInputs, until: float) -> tuple[Trial | None, int, str]:
    """The configuration that is learned again, how many fits there is time for, and why there is none."""
    if finish.context.interrupt.asked:
        return None, 0, "the run was interrupted"
    able = [t for t in finish.comparison.trials if _is_quick(t) and any(k in t.folds for k in finish.comparison.folds)]
    if not able:
        return None, 0, "no model of numbers was finished that could be learned again"
    able.sort(key=finish.comparison.error)
    least = finish.comparison.error(able[0])
    near = [(trial, _fits(finish, trial, until)) for trial in able if finish.comparison.error(trial) <= NEAR * least]
    most = max(fits for _, fits in near)
    if not most:
        return None, 0, "no time was left to learn again; automl audit measures it"
    one, fits = next((trial, fits) for trial, fits in near if fits >= min(most, WANTED_FITS))
    return one, fits, ""


def _is_quick(trial: Trial) -> bool:
    family = search_spaces.get(trial.plan.family)
    return family.name != BASELINE and family.reads == TABLE and family.route == "classical"


def _fits(finish: FinishInputs, trial: Trial, until: float) -> int:
    """How many there is time for, side by side; by the clock only where that decides."""
    context, fit_s = finish.context, max(1e-3, SLACK * _price_s(finish, trial))
    if not context.clock.is_timed:
        return min(MOST_FITS, int(COUNTED_S / fit_s))
    left_s = until - time.monotonic() - ANSWERED_S
    return min(MOST_FITS, max(1, context.pool.slots) * int(left_s / fit_s)) if left_s >= LEAST_ASKED_S / 2 else 0


def _price_s(finish: FinishInputs, trial: Trial) -> float:
    """Seconds of a fit with its features: as the search saw it, or predicted where no clock may decide."""
    if not finish.context.clock.is_timed:
        return search_spaces.get(trial.plan.family).price.fit_s(finish.ready.shared.size)
    fold = next(iter(trial.folds.values()))
    return max(fold.fit_s, trial.spent.wall_s / len(trial.folds))


def _learn(
    finish: FinishInputs, trial: Trial | None, until: float, plan: Sequence[tuple[Omission, int]]
) -> list[np.ndarray | None]:
    """What workers say, in the order of the plan."""
    if trial is None:
        return [None] * len(plan)
    left_s = until - time.monotonic() if finish.context.clock.is_timed else math.inf
    jobs = [
        Job(
            f"audit {at}", f"{relearn.__name__}:relearn", RelearnRequest(_fold_job(trial, fold), change),
            (finish.context.ref,), soft_s=left_s, hard_s=left_s + ANSWERED_S,
        )
        for at, (change, fold) in enumerate(plan)
    ]  # fmt: skip
    ended = ask_each(jobs, finish.context, until + ANSWERED_S)
    return [outcome.value if outcome.status is Status.DONE else None for outcome in ended]


def _apart(finish: FinishInputs, until: float, shared: Shared) -> np.ndarray | None:
    """Two samples told apart in a worker, where there is time for it."""
    left_s = until - time.monotonic() if finish.context.clock.is_timed else math.inf
    if left_s < LEAST_ASKED_S:
        return None
    job = Job(
        "apart", f"{apart.__name__}:tell_apart", shared, soft_s=left_s, hard_s=left_s + ANSWERED_S,
    )  # fmt: skip
    outcome = ask_each([job], finish.context, until + ANSWERED_S)[0]
    return cast(np.ndarray, outcome.value) if outcome.status is Status.DONE else None


def _fold_job(trial: Trial, fold: int) -> FoldJob:
    plan = trial.plan
    return FoldJob(family=plan.family, params=plan.params, features=plan.features, seed=plan.seed, fold=fold)
