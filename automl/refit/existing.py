"""What there is already, a score or a saved model, beside the model of this run.

A saved model is scored on the test rows where there are some. Without them it is scored on the run's held-out rows, of
which nobody knows whether it learned from them; that is told beside its score. Nothing in here may end a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from automl.data.prepare import alike, take_held
from automl.data.target import encode_target
from automl.decision.verdict import against_number
from automl.ensemble.candidates import mixture
from automl.errors import OptionError
from automl.messages import one_line
from automl.modalities import mixture as modalities
from automl.modalities.mixture import claims_of
from automl.model.bundle import INDEX, target_folders
from automl.options import Options
from automl.records import Audit, Calibration
from automl.records.verdict import Existing
from automl.refit.asking import ask, portions, reached
from automl.refit.finish import FinishInputs, Selection
from automl.refit.measure import Answered, Probe, answer, together
from automl.runtime.clock import LEAST_ASKED_S, WRITTEN_S
from automl.scoring import metrics
from automl.scoring.readout import decided
from cluster.pool import Job, Status

KEPT_S = 1.5  # of the budget, to load a saved model and score it
MOST_ROWS = 20_000  # held-out rows that it is asked about
MOST_FINDINGS = 3
ON_TEST = "on the test data"
ON_NEW = "on new rows that neither model learned from"
ON_HELD = "on the rows that this run held out; it may have learned from them, which would flatter it"
SEVERITIES = ("danger", "warning")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Rows to score it on, their answers, and what this run's model says of them."""

    rows: pd.DataFrame
    y: np.ndarray
    weight: np.ndarray | None
    blocks: np.ndarray | None
    ours: np.ndarray
    how: str


class _NoScoreError(Exception):
    """Why it cannot be scored, in one line."""


def place_of(options: Options) -> Path | None:
    """The folder of the saved model that was given; None where a score or nothing was. A wrong one is refused."""
    given = options.baseline
    if not isinstance(given, str):
        return None
    folder = Path(given)
    if (folder / INDEX).is_file():
        folder = target_folders(folder).get(str(options.target), folder)
    for place in (folder, folder / "model"):
        if (place / "manifest.json").is_file():
            return place
    raise OptionError(
        f"baseline must be a score, a saved model or the folder of a run, got {given!r}, in which there is no model. "
        "For instance 0.85 or 'runs/churn'."
    )


def weigh(inputs: FinishInputs, end: Selection, options: Options, audit: Audit) -> Existing | None:
    """How it compares; None where nothing was given."""
    if options.baseline is None:
        return None
    found = findings(audit)
    if not isinstance(options.baseline, str):
        score = end.test or end.chosen.score
        return against_number(
            options.baseline, (score.value, score.low, score.high), higher_is_better=score.higher_is_better,
            findings=found,
        )  # fmt: skip
    name = f"the model in {options.baseline!r}"
    try:
        place = place_of(options)
        assert place is not None  # a string was given
        return _compared(name, place, inputs, _asked(inputs, end, options), found)
    except (_NoScoreError, OptionError) as problem:
        return Existing(name=name, score=None, why_not=str(problem).rstrip("."), findings=found)
    except (
        ValueError,
        LookupError,
        TypeError,
        OSError,
    ) as problem:  # a damaged folder: whatever it holds, the run ends
        return Existing(name=name, score=None, why_not=f"it cannot be read: {one_line(problem)}", findings=found)


def findings(audit: Audit) -> tuple[str, ...]:
    """What is most worth a look, worst first."""
    told = [one for severity in SEVERITIES for one in audit.findings if one.severity == severity]
    return tuple(one.message.rstrip(".") for one in told[:MOST_FINDINGS])


def _asked(inputs: FinishInputs, end: Selection, options: Options) -> _Asked:
    """The test rows, else those that were held out."""
    held = inputs.held
    if held is not None and held.target is not None and end.test is not None:
        ours = _answers(inputs.model, held.frame, inputs)
        if not ours.kept.all():  # what our own model cannot read it was not scored on either
            held = take_held(held, ours.kept, ours.told)
        assert held.target is not None
        return _Asked(
            rows=held.frame, y=encode_target(held.target, inputs.profile), weight=held.weight,
            blocks=alike(held, inputs.profile, options), ours=decided(ours.said, end.chosen.readout), how=ON_TEST,
        )  # fmt: skip
    if modalities.panel(inputs.ready.shared.raw) is not None:
        raise _NoScoreError("of held-out steps of series it may know the values: give test=, newer steps with theirs")
    comparison = inputs.comparison
    some = metrics.sample_rows(comparison.y, MOST_ROWS)
    return _Asked(
        rows=inputs.dataset.frame.iloc[comparison.rows[some]].reset_index(drop=True), y=comparison.y[some],
        weight=None if comparison.weight is None else comparison.weight[some],
        blocks=None if comparison.blocks is None else comparison.blocks[some],
        ours=mixture(end.chosen, comparison)[some], how=ON_NEW if inputs.is_renewed else ON_HELD,
    )  # fmt: skip


def _compared(name: str, place: Path, inputs: FinishInputs, asked: _Asked, found: tuple[str, ...]) -> Existing:
    """Its score, and the paired difference to this run's model on the same rows."""
    metric, manifest = inputs.ready.metric, json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    task, classes = inputs.profile.task, list(inputs.profile.classes)
    _check_alike(manifest, inputs, task)
    order = _order(classes, manifest.get("classes") or [])
    said = _said(place, asked.rows, inputs)
    theirs = said[:, order] if order else said
    if metric.needs == "label":
        theirs = decided(theirs, _readout(manifest, order))
    low, high = metrics.paired_interval(
        metric, asked.y, theirs, asked.ours, weight=asked.weight, blocks=asked.blocks,
        until=inputs.context.clock.until - WRITTEN_S - inputs.context.clock.explain_s,
    )  # fmt: skip
    errors = [metric.error(asked.y, one, asked.weight) for one in (theirs, asked.ours)]
    return Existing(
        name=name, score=metric.score(asked.y, theirs, asked.weight), how=asked.how,
        is_fair=asked.how != ON_HELD, gain=errors[0] - errors[1],
        gain_low=low, gain_high=high, findings=found,
    )  # fmt: skip


def _check_alike(manifest: Mapping[str, Any], inputs: FinishInputs, task: str) -> None:
    """Whether it answers the same question."""
    if manifest.get("task") != task:
        raise _NoScoreError(f"it does {manifest.get('task')}, and this is {task}")
    target, levels = manifest.get("target"), manifest.get("levels") or []
    if target is not None and str(target) != inputs.dataset.target_name:
        raise _NoScoreError(f"it predicts {str(target)!r}, and this is {inputs.dataset.target_name!r}")
    if list(levels) != list(inputs.profile.levels):
        raise _NoScoreError(f"it predicts the quantiles {levels}, and these are {list(inputs.profile.levels)}")


def _order(ours: Sequence[Any], theirs: Sequence[Any]) -> list[int]:
    """Where each of our classes stands among its own; none for numbers."""
    places = {str(label): place for place, label in enumerate(theirs)}
    if missing := [label for label in ours if str(label) not in places]:
        raise _NoScoreError(f"it does not know the class {missing[0]!r}")
    return [places[str(label)] for label in ours]


def _readout(manifest: Mapping[str, Any], order: Sequence[int]) -> Calibration:
    """How it reads labels off its probabilities, in our order of the classes."""
    weights = tuple((manifest.get("readout") or {}).get("label_weights") or ())
    return Calibration(label_weights=tuple(weights[place] for place in order) if weights else ())


def _said(place: Path, rows: pd.DataFrame, inputs: FinishInputs) -> np.ndarray:
    """What a saved model says of all these rows."""
    answered = _answers(place, rows, inputs)
    if not answered.kept.all():
        raise _NoScoreError(f"it cannot read all of these rows: {answered.told}")
    return answered.said


def _answers(place: Path, rows: pd.DataFrame, inputs: FinishInputs) -> Answered:
    """What a saved model says of those rows that it can read, asked in a worker; explanations keep their seconds."""
    context = inputs.context
    left = context.clock.left(WRITTEN_S + context.clock.explain_s)
    if context.interrupt.asked or left < LEAST_ASKED_S:
        raise _NoScoreError("the run was interrupted" if context.interrupt.asked else "no time was left to score it")
    found, name = [], f"{answer.__module__}:{answer.__name__}"
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    with reached(place, context.pool) as model:
        for some in portions(rows, claims_of(manifest["schema"]), context.pool):
            left = context.clock.left(WRITTEN_S + context.clock.explain_s)
            outcome = ask(
                Job(f"existing {place}", name, Probe(str(place.absolute()), some), model, hard_s=left), context
            )
            if outcome.status is Status.LATE:
                raise _NoScoreError("no time was left to score it")
            if outcome.status is not Status.DONE:
                raise _NoScoreError(f"it cannot predict these rows: {one_line(outcome.error)}")
            found.append(cast(Answered, outcome.value))
    return together(found)
