"""audit(): what is odd about data and what it would change, in seconds: a quick model is fitted, none is returned."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import search_spaces
from automl.data.prepare import Prepared, Shared, check_held, prepare, read_held, weigh
from automl.data.profiler import examine
from automl.data.reading import load
from automl.data.taken import take
from automl.data.target import encode_target
from automl.errors import AutomlError
from automl.modalities import mixture
from automl.modalities.mixture import load_features
from automl.options import Options
from automl.records import Audit, Dataset, FoldPlan, Profile, Score
from automl.refit.apart import FAMILY, quick_job, tell_apart
from automl.refit.relearn import Omission, RelearnRequest, relearn
from automl.report.gather.audited import as_csv
from automl.report.gather.ground import AuditGround
from automl.report.gather.weighing import weigh as weighed
from automl.report.sections.audit import findings
from automl.report.sections.data import facts
from automl.scoring import metrics, promise
from automl.scoring.effects import Judged
from automl.scoring.metrics import Redrawing, sample_rows
from automl.search.trial import FoldResult, run_fold
from automl.training import learners
from cluster.pool import Grant, Partial

if TYPE_CHECKING:
    import pandas as pd

NAME = "a quick lightgbm"
MOST_ROWS = 20_000  # that are fitted; findings are of all rows
FOLDS, MOST_FITS = 5, 12
SECONDS = 20.0  # for all fits together


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; `told` is the same as plain values, under the keys of a run's report.json."""

    told: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]  # all that look wrong, the surest first

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What is odd, the gravest first; `effect` is the score without it, where that was measured."""
        return list(self.told["audit"])

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows whose answers look wrong, with what they should rather be."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=["row", "name", "given", "suggested", "chance"])

    def report(self, path: str | Path) -> Path:
        """Write the findings as one page that needs nothing else."""
        from automl.report.audit_page import write

        return write(self.told, Path(path))

    def save_suspects(self, path: str | Path) -> Path:
        """Write the rows whose answers look wrong as CSV."""
        target = Path(path)
        target.write_text(as_csv(self.rows), encoding="utf-8")
        return target

    def __str__(self) -> str:
        from automl.report.audit_page import table

        return table(self.told)


def audit(data: Any, target: str | None = None, **options: Any) -> AuditReport:
    """What is odd about data, and the score with and without it, measured on a quick model in seconds.

    `data`, `target` and the options are those of `fit`; with `test` also what has moved between the two.
    """
    return ask(data, Options.of({"target": target, **options}))


def ask(data: Any, options: Options) -> AuditReport:
    """The audit by options."""
    from threadpoolctl import threadpool_limits

    dataset = load(data, options, decode=mixture.read)
    held = read_held(options, dataset)
    profile, found = examine(dataset, options)
    dataset, held = weigh(dataset, profile, options), None if held is None else weigh(held, profile, options)
    with threadpool_limits(1):
        ground = _ground(dataset, held, (profile, found), options)
        result = None if isinstance(ground, str) else weighed(ground)
    told: dict[str, Any] = {
        "data": facts(dataset, profile), **findings(found, result.told if result else None),
    }  # fmt: skip
    if isinstance(ground, str):
        told["data"]["notes"].append(ground)
    elif len(ground.shared.y) < len(dataset):
        some = f"{len(ground.shared.y):,} of {len(dataset):,} rows"
        told["data"]["notes"].append(f"models were fitted on {some}, drawn evenly over the answers")
    return AuditReport(told, result.suspects if result else [])


def _ground(
    dataset: Dataset, held: Dataset | None, known: tuple[Profile, Audit], options: Options
) -> AuditGround | str:
    """Held-out answers of the quick model; or why there are none."""
    assert dataset.target is not None
    profile, found = known
    rows = sample_rows(encode_target(dataset.target, profile), MOST_ROWS)
    some = dataset if len(rows) == len(dataset) else take(dataset, rows)
    plan = FoldPlan(FOLDS, FOLDS, f"{FOLDS} folds")
    try:
        ready = prepare(some, profile, options, core_s=float("inf"), fold_plan=plan)
    except AutomlError as error:
        return f"nothing was fitted: {error}"
    held = None if held is None else check_held(held, profile, ready.schema)
    until = time.monotonic() + SECONDS
    folds = _fitted(ready, until)
    if not folds:
        return "nothing was fitted: a fit took longer than an audit may"
    rows = np.concatenate([ready.shared.folds.held(fold) for fold in folds])
    shared, said = ready.shared, np.concatenate([one.predictions for one in folds.values()])
    metric = ready.metric.own.proxy if ready.metric.own else ready.metric
    judged = Judged(
        metric=metric,
        y=shared.y[rows],
        weight=None if shared.weight is None else shared.weight[rows],
        blocks=None if shared.folds.blocks is None else shared.folds.blocks[rows],
    )
    plain = said if profile.classes or said.ndim == 1 else said[:, said.shape[1] // 2]
    fit_s = max(1e-3, *(one.fit_s for one in folds.values()))
    fits = min(MOST_FITS, int(max(0.0, until - time.monotonic()) / fit_s))
    return AuditGround(
        dataset=some, profile=profile, audit=found, schema=ready.schema, shared=shared, judged=judged, rows=rows,
        said=said, plain=plain, teller=NAME, learner=NAME,
        told={fold: one.predictions for fold, one in folds.items()}, learn=partial(_learn, ready, until),
        most_fits=fits, why_none="it would have taken too long",
        held=held, apart=partial(_apart, until), promised=_promised(judged, said),
        test=None if held is None else _tested(ready, list(folds.values()), (held, profile), judged),
    )  # fmt: skip


def _fitted(ready: Prepared, until: float) -> dict[int, FoldResult]:
    """The quick model on each fold, as far as there is time."""
    folds: dict[int, FoldResult] = {}
    took_s = 0.0
    for fold in range(ready.shared.folds.count):
        started = time.monotonic()
        if started + took_s > until:
            break
        result = run_fold(_grant(until), quick_job(fold), ready.shared)
        folds[fold] = result.value if isinstance(result, Partial) else result
        took_s = time.monotonic() - started
    return folds


def _promised(judged: Judged, said: np.ndarray) -> Score:
    """The score of the quick model, as a run promises one."""
    metric = judged.metric
    error = metric.error(judged.y, said, judged.weight)
    low, high = promise.interval(metric, said, Redrawing(judged.y, judged.weight, judged.blocks), error=error)
    higher = metric.higher_is_better
    return Score(metric=metric.name, value=metric.to_score(error), low=low, high=high, higher_is_better=higher)


def _tested(
    ready: Prepared, folds: Sequence[FoldResult], known: tuple[Dataset, Profile], judged: Judged
) -> Score | None:
    """The score of the folds' models together on the rows to test on; None where it is not defined there."""
    held, profile = known
    assert held.target is not None
    raw, metric, family = ready.schema.encode(held.frame), judged.metric, search_spaces.get(FAMILY)
    each = [learners.load(family, one.parts).predict(load_features(one.features).transform(raw), 1) for one in folds]
    said, y = np.mean(each, axis=0), encode_target(held.target, profile)
    value = metric.score(y, said, held.weight)
    if not math.isfinite(value):
        return None
    low, high = metrics.interval(metric, y, said, held.weight)
    higher = metric.higher_is_better
    return Score(metric=metric.name, value=value, low=low, high=high, higher_is_better=higher)


def _apart(until: float, shared: Shared) -> np.ndarray | None:
    return None if time.monotonic() >= until else tell_apart(_grant(until), shared)


def _learn(ready: Prepared, until: float, plan: Sequence[tuple[Omission, int]]) -> list[np.ndarray | None]:
    """The quick model again, without what is doubted, as far as there is time."""
    said: list[np.ndarray | None] = []
    for change, fold in plan:
        is_late = time.monotonic() >= until
        said.append(None if is_late else relearn(_grant(until), RelearnRequest(quick_job(fold), change), ready.shared))
    return said


def _grant(until: float) -> Grant:
    return Grant(threads=1, until=until)
