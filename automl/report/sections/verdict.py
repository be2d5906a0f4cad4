"""The head of the page: which run this was, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report import tested, words
from automl.report.section import ScoreJson, Section
from search_spaces.spec import BASELINE

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class RunJson(TypedDict, total=False):
    """Which run this was."""

    name: str
    started: str  # ISO 8601 with its offset
    seconds: float  # from the call to its return
    budget: str  # as the user would write it: "300s", "50 trials"
    overrun_s: float | None  # above the budget; zero or negative: it held
    interrupted: bool
    command: str  # what to type next, for instance to predict
    folder: str


class MeasuredJson(TypedDict, total=False):
    """The saved model as a user meets it: raw rows in, predictions out."""

    row_ms: float
    batch_ms: float  # 1,000 rows
    size_mb: float


class CoverageJson(TypedDict, total=False):
    """What a quantile promises and what it held on held-out rows."""

    level: float
    share: float  # of the answers that do not exceed it


class VerdictJson(TypedDict, total=False):
    """What the run found."""

    sentence: str  # only in reports written by others; without one, `words.verdict` writes it
    chosen: str  # name of a row of the leaderboard
    because: str  # why this one, `frontier.Pick.because`
    score: ScoreJson
    baseline: ScoreJson  # predicting without a model
    test: ScoreJson | None  # on the held-out data the user gave
    untested: str  # why there is no such score, where that data was given; else empty
    meets_min_score: bool | None  # null where none was asked for
    coverage: list[CoverageJson]  # of quantiles; empty for other tasks
    model: MeasuredJson


class VerdictKeys(TypedDict, total=False):
    """The keys of this section."""

    run: RunJson
    verdict: VerdictJson


def gather(inputs: ReportInputs) -> VerdictKeys:
    """The run's facts, and the chosen model with its scores."""
    clock, end, folder = inputs.clock, inputs.end, str(inputs.folder.path)
    run: RunJson = {
        "name": inputs.dataset.name,
        "started": inputs.started,
        "seconds": round(clock.elapsed, 2),
        "budget": str(inputs.options.budget),
        "overrun_s": clock.overrun_s(),
        "interrupted": inputs.interrupted,
        "command": f"automl predict {folder} new.csv -o predictions.csv",
        "folder": folder,
    }
    verdict: VerdictJson = {
        "chosen": end.chosen.name,
        "because": end.because,
        "score": as_json(end.chosen.score),
        "baseline": as_json(next(c for c in end.candidates if c.name == BASELINE).score),
        "test": as_json(end.test),
        "untested": end.untested,
        "meets_min_score": _meets_min_score(inputs),
        "coverage": _held_by_quantiles(inputs),
        "model": as_json(end.measured),
    }
    return {"run": run, "verdict": verdict}


def _meets_min_score(inputs: ReportInputs) -> bool | None:
    """Whether the promised score is at least the one asked for; None when none was asked for."""
    asked, score = inputs.options.min_score, inputs.end.chosen.score
    if asked is None:
        return None
    return score.value >= asked if score.higher_is_better else score.value <= asked


def _held_by_quantiles(inputs: ReportInputs) -> list[CoverageJson]:
    """Of each quantile the share of the held-out answers that do not exceed it."""
    import numpy as np

    from automl.ensemble.candidates import mixture

    if not inputs.profile.levels:
        return []
    below = inputs.comparison.y[:, None] <= mixture(inputs.end.chosen, inputs.comparison)
    shares = np.average(below, axis=0, weights=inputs.comparison.weight)
    return [{"level": level, "share": float(share)} for level, share in zip(inputs.profile.levels, shares, strict=True)]


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The chosen model as it was measured, and what the numbers say in words."""
    return {
        "chosen": words.chosen_row(report),
        "sentence": words.verdict(report),
        "readout": readout(report),
        "coverage": coverage(report),
        "tested": tested.told(report),
        "without": _without(report),
        "dangers": words.dangers(report),
    }


def _without(report: Mapping[str, Any]) -> str:
    """The interval of what predicting without a model scores, where it has one."""
    told = words.interval_text(words.part(report, "verdict", "baseline"))
    return "same metric and rows" if told == words.DASH else told


def readout(report: Mapping[str, Any]) -> str:
    """What was done to the chosen model's probabilities, and where its labels change; empty where nothing was."""
    found = words.part(words.chosen_row(report), "readout")
    weights, told = words.part(found, "label_weights"), []
    classes = words.part(report, "data", "classes")
    metric = words.short(words.part(report, "verdict", "score", "metric") or "score")
    gain = f"that gains {words.number(words.part(found, 'label_gain'), 2)} {metric} on rows it was not chosen on"
    is_list = isinstance(weights, list)
    if is_list and len(weights) == 2 and None not in map(words.finite, weights) and sum(weights) > 0:
        place = 0 if words.part(report, "data", "positive") == 0 else 1
        is_named = isinstance(classes, list) and len(classes) == 2
        label = f"'{words.short(classes[place])}'" if is_named else ("the first class", "the second class")[place]
        threshold = words.number(weights[1 - place] / sum(weights), 2)
        told.append(f"A row is labelled {label} above a probability of {threshold} instead of 0.5; {gain}.")
    elif is_list and weights:
        told.append(f"Labels favour some classes: each probability is weighted before the largest wins; {gain}.")
    saved = words.finite(words.part(found, "log_loss_gain"))
    if saved:
        lower = words.number(saved, 2)
        told.append(f"Probabilities are calibrated: log loss {lower} lower on rows not learned from.")
    return " ".join(told)


def coverage(report: Mapping[str, Any]) -> str:
    """How well the quantiles hold: the share of held-out answers below each; empty where there are none."""
    rows = words.part(report, "verdict", "coverage")
    shares = [
        f"{words.percent(words.part(row, 'share'))} at or below the {words.number(words.part(row, 'level'))} quantile"
        for row in (rows if isinstance(rows, list) else [])
        if words.finite(words.part(row, "share")) is not None
    ]
    return f"Of the held-out answers, {', '.join(shares)}." if shares else ""


PAGE = """
{% set run, verdict, digits = report.run, report.verdict, places(report.verdict.score) %}
<p class="soft">Model report · {{ run.name|cut(60) }} · {{ run.started|cut(40)|replace("T", " ") }}</p>
<h1>{{ (verdict.sentence or sentence)|cut(400) }}</h1>
{% if run.interrupted %}<p class="alert">This run was interrupted. What follows is what it had found by then.</p>\
{% endif %}
{% for line in dangers[:5] %}<p class="alert">{{ line|cut(300) }}</p>
{% endfor %}
{% if verdict.untested %}<p class="alert">No score on your test data: {{ verdict.untested|cut(300) }}</p>{% endif %}
<dl class="tiles">
{{ tile(verdict.score.metric|cut(24), verdict.score|score|fixed(digits), verdict.score|interval) }}
{{ tile("Without a model", verdict.baseline|score|number, without) }}
{% if verdict.test|score is not none %}\
{{ tile("On your test data", verdict.test|score|fixed(digits), verdict.test|interval) }}{% endif %}
{{ tile("One row predicted in", chosen.row_ms|milliseconds, "1,000 rows at once: " ~ chosen.batch_ms|milliseconds) }}
{{ tile("Saved model", chosen.size_mb|megabytes, "trained in " ~ chosen.fit_s|seconds ~ " of CPU") }}
{{ tile("Time taken", run.seconds|seconds, "budget " ~ (run.budget or "—")|cut(20)) }}
</dl>
<p class="soft">
{% if verdict.because %}Chosen: {{ verdict.because|cut(300) }}. {% endif %}
{% if verdict.score.optimism %}\
Searching had flattered the score by {{ verdict.score.optimism|number(2) }}; that is already taken off. {% endif %}\
The interval is where the score of as many new rows of the same kind will lie, in 95 of 100 cases.
{{ readout }}
{{ coverage }}
{{ tested }}
{% if verdict.meets_min_score == true %}The score that was asked for is met.\
{% elif verdict.meets_min_score == false %}The score that was asked for is not met.{% endif %}
</p>
"""

SECTION = Section(name="verdict", title="Verdict", holds=VerdictKeys, gather=gather, page=PAGE, shown=shown)
