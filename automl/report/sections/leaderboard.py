"""The models that a run can return, best first: those worth a look open, the dominated ones folded away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.plain import as_json
from automl.report import charts, priced, words
from automl.report.section import ScoreJson, Section

if TYPE_CHECKING:
    from automl.records import Candidate
    from automl.report.inputs import ReportInputs

HEAD = 10  # rows that are open whatever they are


class ReadoutJson(TypedDict, total=False):
    """A `records.Calibration`: from mixed probabilities to those shown, and to labels."""

    slope: float
    shift: float
    floor: float
    shares: list[float]
    label_weights: list[float]  # of two classes the first, with both summing to one, is the threshold
    log_loss_gain: float
    label_gain: float


class CallsJson(TypedDict, total=False):
    """A `records.costs.Calls`: milliseconds of a call."""

    rows: int  # asked at once
    p50: float
    p95: float | None  # null: too few calls were timed
    calls: int  # that were timed; 0: estimated
    low: float  # where the median lies
    high: float


class LatencyJson(TypedDict, total=False):
    """A `records.costs.Latency`."""

    one: CallsJson
    many: CallsJson | None
    measured: bool  # on the saved model; else estimated from its folds


class MillionJson(TypedDict, total=False):
    """A `records.costs.Million`: what a million predictions cost."""

    s: float  # of a core
    money: float
    kwh: float
    currency: str
    machine: str


class TrainingJson(TypedDict, total=False):
    """A `records.costs.Training`: what its folds cost."""

    s: float  # of CPU cores
    money: float
    kwh: float
    gpu_s: float


class CandidateJson(TypedDict, total=False):
    """A `records.Candidate` with the families of its members."""

    name: str
    weights: dict[str, float]  # trial number -> weight
    score: ScoreJson
    fit_s: float
    row_ms: float
    batch_ms: float  # 1,000 rows
    size_mb: float
    lean_ms: float  # with one fold of each member kept
    lean_mb: float
    told_ms: float  # of both times, for what a trained network says of a row
    told_mb: float  # of both sizes, for its weights
    on_frontier: bool
    picks: list[str]
    within_ms: float | None  # of a blend: what its members' folds together may take for a row; null: anything
    kept: dict[str, int]  # trial number -> its folds that take part, where not all do
    readout: ReadoutJson
    train: TrainingJson | None
    million: MillionJson | None
    latency: LatencyJson | None
    memory_mb: float | None  # that it and a batch add to a process which has its libraries
    p_best: float | None  # how likely it has the least error, by redrawn rows
    p_frontier: float | None
    tied_with_best: bool
    made_from: str  # the candidate that this is a cheaper form of; empty for most
    families: list[str]


class LeaderboardKeys(TypedDict, total=False):
    """The keys of this section."""

    leaderboard: list[CandidateJson]  # best first


def gather(inputs: ReportInputs) -> LeaderboardKeys:
    """All candidates, best first."""
    return {"leaderboard": [_candidate(c, inputs) for c in sorted(inputs.end.candidates, key=_rank)]}


def _rank(candidate: Candidate) -> float:
    return -candidate.score.value if candidate.score.higher_is_better else candidate.score.value


def _candidate(candidate: Candidate, inputs: ReportInputs) -> CandidateJson:
    families = {
        trial.plan.family for trial in (*inputs.trials, *inputs.students) if trial.plan.number in candidate.weights
    }
    return cast(CandidateJson, {**as_json(candidate), "families": sorted(families)})


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The rows in two, what each costs in the columns there is data for, and the small intervals of all of them."""
    first, others = _by_interest(report)
    columns = _columns(charts.rows_of(report, "leaderboard"))
    return {
        "first_rows": [(row, _cells(row, columns)) for row in first],
        "other_rows": [(row, _cells(row, columns)) for row in others],
        "heads": [column.head for column in columns],
        "is_timed": any(words.part(row, "latency", "measured") is True for row in first + others),
        "strip": charts.strips(report.get("leaderboard")),
    }


@dataclass(frozen=True)
class _Column:
    """A number of each model."""

    head: str
    of: Callable[[Mapping[str, Any]], Any]
    text: Callable[[Any], str]


def _columns(rows: list[Mapping[str, Any]]) -> list[_Column]:
    """Those that any row has a number for."""
    money, many = priced.currency(rows), next(map(priced.batch, rows), "1,000")

    def at(*keys: str) -> Callable[[Mapping[str, Any]], Any]:
        return lambda row: words.part(row, *keys)

    def first(one: Callable[[Mapping[str, Any]], Any], other: str) -> Callable[[Mapping[str, Any]], Any]:
        return lambda row: row.get(other) if words.finite(one(row)) is None else one(row)

    def short(value: Any) -> str:
        return words.number(value, 3)

    known = [
        _Column("ms per row", priced.row_ms, short),
        _Column("95 of 100 within", at("latency", "one", "p95"), short),
        _Column(f"ms per {many} rows", first(at("latency", "many", "p50"), "batch_ms"), short),
        _Column("95 of 100 within", at("latency", "many", "p95"), short),
        _Column(f"{money} a million", at("million", "money"), priced.amount),
        _Column("kWh a million", at("million", "kwh"), priced.amount),
        _Column("MB", at("size_mb"), short),
        _Column("MB in memory", at("memory_mb"), short),
        _Column("CPU s to fit", first(at("train", "s"), "fit_s"), lambda value: words.fixed(value, 1)),
        _Column(f"{money} to fit", at("train", "money"), priced.amount),
        _Column("kWh to fit", at("train", "kwh"), priced.amount),
        _Column("best of all", at("p_best"), words.percent),
        _Column("on the frontier", at("p_frontier"), words.percent),
    ]
    return [column for column in known if any(words.finite(column.of(row)) is not None for row in rows)]


def _cells(row: Any, columns: list[_Column]) -> list[str]:
    return [column.text(column.of(row)) if isinstance(row, Mapping) else words.DASH for column in columns]


def _by_interest(report: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The leaderboard's rows in two: its head with all that is on the frontier or chosen, and the others."""
    rows, chosen = words.each(report.get("leaderboard")), words.part(report, "verdict", "chosen")
    stays = [
        index < HEAD
        or words.part(row, "on_frontier") is True
        or (chosen is not None and words.part(row, "name") == chosen)
        for index, row in enumerate(rows)
    ]
    head = [row for row, is_head in zip(rows, stays, strict=True) if is_head]
    return head, [row for row, is_head in zip(rows, stays, strict=True) if not is_head]


PAGE = """
{% set verdict, digits = report.verdict, places(report.verdict.score) %}
{% macro board_head() %}
<thead><tr><th scope="col">Model</th><th scope="col" class="n">{{ verdict.score.metric|cut(24) }}</th>\
<th scope="col">Interval</th>
{% for head in heads %}<th scope="col" class="n">{{ head }}</th>{% endfor %}\
<th scope="col">Picked as</th></tr></thead>
{% endmacro %}
{% macro board_row(row, cells) %}
{% set is_chosen = row.name is string and row.name == verdict.chosen %}
{% set kind = "chosen" if is_chosen else "member" if row.on_frontier else "dominated" %}
<tr class="{{ kind }}"><th scope="row">{{ row.name|cut(44) }}{% if (row.families|each)|length > 1 %}<br>\
<span class="soft">{{ (row.families|each)[:6]|map("cut", 24)|join(", ") }}</span>{% endif %}</th>
<td class="n">{{ row.score|score|fixed(digits) }}</td>\
<td title="{{ row.score|interval }}">{{ strip(row.score, kind) }}</td>
{% for cell in cells %}<td class="n">{{ cell }}</td>{% endfor %}
<td>{% if is_chosen %}<span class="tag chosen">chosen</span>{% endif %}\
{% for pick in row.picks|each %}<span class="tag">{{ pick|cut(24) }}</span>{% endfor %}\
{% if row.latency.measured == true %}<span class="tag">timed</span>{% endif %}\
{% if kind == "dominated" %}<span class="soft">dominated</span>{% endif %}</td></tr>
{% endmacro %}
<h2>Models this run can return</h2>
{% if report.leaderboard|each %}
<p class="soft">Scores are out of fold; the intervals of all rows are drawn on one scale.\
 CPU seconds are those of all members on all folds.{% if is_timed %} Models marked as timed were saved and asked for\
 raw rows; the times and the memory of the others are estimated from their folds and those.{% endif %}\
{% if "best of all" in heads or "on the frontier" in heads %}\
 The chances are those by which a model is the best, or on the frontier, of rows drawn again from the held-out ones.\
{% endif %}</p>
<div class="scroll"><table>
{{ board_head() }}
<tbody>{% for row, cells in first_rows[:many] %}{{ board_row(row, cells) }}{% endfor %}
{% set existing = ((report.decision or {}).verdict or {}).existing or {} %}
{% if existing.score|score is not none %}<tr><th scope="row">{{ existing.name|cut(44) }}</th>\
<td class="n">{{ existing.score|score|fixed(digits) }}</td>\
<td colspan="{{ heads|length + 1 }}" class="soft">{{ existing.how|cut(120) }}</td>\
<td><span class="tag">baseline</span></td></tr>{% endif %}</tbody>
</table></div>
{% if other_rows %}
<details><summary>The other models, all dominated</summary>
<div class="scroll"><table>
{{ board_head() }}
<tbody>{% for row, cells in other_rows[:many] %}{{ board_row(row, cells) }}{% endfor %}</tbody>
</table></div></details>
{% endif %}
{{ more(other_rows, "other models") }}
{% else %}<p class="soft">No model was finished.</p>{% endif %}
"""

SECTION = Section(name="leaderboard", title="Models", holds=LeaderboardKeys, gather=gather, page=PAGE, shown=shown)
