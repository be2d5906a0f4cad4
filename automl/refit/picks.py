"""The named picks of a run as saved models, each tried as the chosen one is, while the clock allows.

So their costs are measured and not estimated, and whoever asks for one has it at once. Nothing here ends a run.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.ensemble.frontier import Limits, Pick
from automl.model import artifact
from automl.records import Candidate, Member, Trial
from automl.refit.measure import Used
from automl.refit.members import formed, lean
from automl.runtime.clock import CHOSEN_S, PICKS_S, PICKS_SHARE, WRITTEN_S
from automl.runtime.context import RunContext
from automl.runtime.folder import RunFolder, slug
from automl.search.trial import ALL_ROWS

FOLDER = "models"
UNTIMED_S = 0.2  # to repeat calls for, where trials are counted: how often hangs on no clock's promise
SLACK = 1.5  # a pick is tried when so many times what the model before it took is left


@dataclass(frozen=True)
class Trying:
    """How a saved model is measured in so many seconds, and how one that is fitted once on all rows is by a time."""

    use: Callable[[Path, float], Used]
    fit: Callable[[Candidate, float], None]


def place(pick: Pick, members: Sequence[Member]) -> str:
    """The name of its folder among the run's models; another one until what is one model was fitted on all rows."""
    is_whole = not pick.candidate.made_from or all(member.folds == (ALL_ROWS,) for member in members)
    name = slug(pick.candidate.name) if is_whole else f"{slug(pick.candidate.name)}-first-fold"
    return f"{name}-{pick.limits.row_ms:g}ms-{pick.limits.size_mb:g}mb"


def save(folder: RunFolder, pick: Pick, trials: Sequence[Trial], facts: Mapping[str, Any]) -> Path:
    """Its model, made of the fitted folds in the run's folder, as far as its limits allow; `facts` of the manifest."""
    members = formed(pick.candidate, trials, folder)
    target = folder.path / FOLDER / place(pick, members)
    if not (target / "manifest.json").is_file():
        beside = target.with_name(f".{target.name}")  # a half-written one is never found
        shutil.rmtree(beside, ignore_errors=True)
        kept = lean(members, trials, pick.limits)
        artifact.save(beside, kept, folder, {**facts, "name": pick.candidate.name, "readout": pick.candidate.readout})
        beside.rename(target)
    return target


def forget(folder: RunFolder) -> None:
    """Models that were picked at an earlier end of the run: since then there may be more folds, and other blends."""
    shutil.rmtree(folder.path / FOLDER, ignore_errors=True)


def tried(
    picks: Sequence[Candidate], trials: Sequence[Trial], context: RunContext, facts: Mapping[str, Any],
    trying: Trying,
) -> dict[str, Used]:  # fmt: skip
    """Those that could be saved and measured, by name."""
    found: dict[str, Used] = {}
    until, took_s = _until(context), 0.0
    for one in picks:
        began = time.monotonic()
        if began + SLACK * took_s >= until or context.interrupt.asked or context.is_deserted:
            break
        trying.fit(one, until)
        saved = save(context.folder, Pick(one, "", Limits()), trials, facts)
        used = trying.use(saved, seconds(context))
        if used.one is not None:
            found[one.name] = used
        took_s = time.monotonic() - began
    return found


def seconds(context: RunContext) -> float:
    """To repeat the calls of one model for."""
    limit_s = context.clock.limit_s
    return UNTIMED_S if limit_s is None else min(PICKS_S, PICKS_SHARE * limit_s) / 3


def _until(context: RunContext) -> float:
    clock = context.clock
    if clock.limit_s is None:
        return math.inf
    share_s = min(PICKS_S, PICKS_SHARE * clock.limit_s)
    return min(time.monotonic() + share_s, clock.until - CHOSEN_S - WRITTEN_S - clock.explain_s)
