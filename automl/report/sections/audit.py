"""What is odd about the data, with what it does to the score: danger first, each with and without what is doubted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.plain import as_json
from automl.report import words
from automl.report.section import ScoreJson, Section

if TYPE_CHECKING:
    from automl.records import Audit
    from automl.report.inputs import ReportInputs

_SEVERITY = {"danger": 0, "warning": 1, "info": 2}


class EffectJson(TypedDict, total=False):
    """A score with and without what was doubted, of one configuration on the same held-out rows."""

    metric: str
    higher_is_better: bool
    before: float  # learned from everything
    after: float  # learned without it
    gain: float  # by how much the metric is better without it; below zero: worse
    low: float
    high: float  # of the 95 % interval of the gain
    rows: int
    error_before: float


class FindingJson(TypedDict, total=False):
    """A `records.Finding`, and what it is worth where that was measured."""

    code: str
    severity: str  # "danger" | "warning" | "info"
    message: str
    column: str | None
    evidence: dict[str, Any]
    effect: EffectJson | None  # of learning without the column
    advice: str
    learner: str  # the configuration that was learned again


class SuspectJson(TypedDict, total=False):
    """A row whose answer looks wrong."""

    row: int  # among those that were brought, the first being 1
    name: str | None  # of a file, or how a text begins
    given: Any
    suggested: Any
    chance: float  # that it is wrong


class SuspectsJson(TypedDict, total=False):
    """Answers that look wrong, by what was said of each row without having learned from it."""

    kind: str  # "labels" | "answers", which are numbers
    looked_at: int  # rows
    count: int  # listed
    rate: float | None  # of wrong answers among all rows, also of those that cannot be told one by one
    low: float | None
    high: float | None  # of its 95 % interval
    precision: float | None  # the share of the listed rows that should be wrong
    why: str  # none is listed, where none is
    teller: str  # the model that they contradict
    learner: str  # the configuration that was learned without them
    folds: int  # on which it was
    rows: list[SuspectJson]  # the first; all are in the file
    file: str | None  # in the run's folder
    all: EffectJson | None  # of learning without them, on all held-out rows
    trusted: EffectJson | None  # the same on those that are not suspect themselves
    is_advised: bool | None  # to leave them out; null where it was not measured
    advice: str


class SidesJson(TypedDict, total=False):
    """The score on some of the held-out rows."""

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    level: float
    rows: int


class TwinsJson(TypedDict, total=False):
    """Held-out rows with equal features among the rows that their fold learned from."""

    rows: int
    share: float
    agreeing: int  # with an answer that is equal as well
    looked_at: int
    with_twin: SidesJson | None
    without_twin: SidesJson | None
    told: str


class MovedJson(TypedDict, total=False):
    """By how much a column differs between the rows learned from and those to test on."""

    column: str
    effect: float  # Jensen-Shannon distance without what chance adds, 0 .. 1
    low: float
    high: float  # of its 95 % interval
    beyond: float  # share of the new rows with values never seen
    missing: float  # share of the new rows without a value
    was_missing: float
    is_alarming: bool  # more than chance, and large enough to matter


class ShiftJson(TypedDict, total=False):
    """What has moved between the rows that were learned from and those to test on."""

    rows: int
    new_rows: int
    compared: int
    moved: int  # columns that are alarming
    columns: list[MovedJson]  # those that moved most
    answers: MovedJson | None
    auc: float | None  # of a model that tells which side a row is of; 0.5: both are alike
    low: float | None
    high: float | None  # of its 95 % interval
    promised: ScoreJson | None
    test: ScoreJson | None
    told: str


class AuditedJson(TypedDict):
    """What weighing the audit gave: of a run gather/audited.py, of data alone `automl audit`."""

    findings: list[FindingJson]  # those that were weighed, and new ones
    suspects: SuspectsJson
    twins: TwinsJson | None
    shift: ShiftJson | None


class AuditKeys(TypedDict, total=False):
    """The keys of this section."""

    audit: list[FindingJson]
    suspects: SuspectsJson | None
    twins: TwinsJson | None
    shift: ShiftJson | None


def gather(inputs: ReportInputs) -> AuditKeys:
    """The findings of the audit with what each is worth."""
    return findings(inputs.audit, inputs.found.get("audited"))


def findings(audit: Audit, found: AuditedJson | None) -> AuditKeys:
    """The audit's findings, each with what was measured of it, the gravest first; new ones behind their like."""
    weighed = {(one["code"], one["column"]): one for one in (found["findings"] if found else [])}
    unweighed: FindingJson = {"effect": None, "advice": "", "learner": ""}
    plain: list[FindingJson] = as_json(audit.findings)
    known = [weighed.pop((one["code"], one["column"]), {**one, **unweighed}) for one in plain]
    told = sorted([*known, *weighed.values()], key=lambda one: _SEVERITY.get(one["severity"], 3))
    return {
        "audit": told,
        "suspects": found["suspects"] if found else None,
        "twins": found["twins"] if found else None,
        "shift": found["shift"] if found else None,
    }


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The findings, what is worst first, and what was measured in words."""
    found = words.each(report.get("audit"))
    return {
        "findings": sorted(found, key=lambda row: _SEVERITY.get(str(words.part(row, "severity")), 3)),
        "suspects_line": words.suspects_text(report.get("suspects")),
        "twins_line": words.twins_text(report.get("twins")),
        "shift_line": words.shift_text(report.get("shift")),
    }


PAGE = """
<h2>What is odd about the data, and what it would change</h2>
{% if findings %}
<div class="scroll"><table class="rules">
<thead><tr><th scope="col">Severity</th><th scope="col">Finding</th><th scope="col">Column</th>\
<th scope="col">With and without it</th><th scope="col">Evidence</th></tr></thead>
<tbody>{% for finding in findings[:many] %}
<tr><td><span class="tag {{ finding.severity if finding.severity in ["danger", "warning", "info"] }}">\
{{ finding.severity|cut(20) }}</span></td>\
<td>{{ finding.message|cut(320) }}{% if finding.advice %}<br>→ {{ finding.advice|cut(240) }}.{% endif %}\
<br><span class="soft">{{ finding.code|cut(40) }}</span></td>
<td>{{ finding.column|cut(36) }}</td>\
<td>{{ finding.effect|effect|cut(240) }}{% if finding.effect and finding.learner %}\
<br><span class="soft">{{ finding.learner|cut(40) }} learned again</span>{% endif %}</td>\
<td class="soft">{% for key, value in (finding.evidence|pairs)[:6] %}\
{{ key|cut(24) }} {{ value|number if value is number and value is not boolean else value|cut(40) }}\
{% if not loop.last %}<br>{% endif %}{% else %}—{% endfor %}</td></tr>{% endfor %}
</tbody></table></div>
{{ more(findings, "findings") }}
{% elif report.audit is iterable and report.audit is defined %}<p class="soft">Nothing odd was found.</p>\
{% else %}<p class="soft">No audit was recorded.</p>{% endif %}
{% set suspects, twins = report.suspects, report.twins %}
{% if suspects %}
<h3>{{ "Answers" if suspects.kind == "answers" else "Labels" }} that look wrong</h3>
<p>{{ suspects_line }}</p>
{% if suspects.rows|each %}
<div class="scroll"><table>
<thead><tr><th scope="col" class="n">Row</th><th scope="col">Given</th><th scope="col">Rather</th>\
<th scope="col" class="n">Chance that it is wrong</th></tr></thead>
<tbody>{% for one in (suspects.rows|each)[:many] %}
<tr><th scope="row" class="n">{{ one.row|number }}</th>\
<td>{{ one.given|number if one.given is number and one.given is not boolean else one.given|cut(40) }}\
{% if one.name %}<br><span class="soft">{{ one.name|cut(80) }}</span>{% endif %}</td>\
<td>{{ one.suggested|number if one.suggested is number and one.suggested is not boolean else one.suggested|cut(40) }}\
</td><td class="n">{{ one.chance|percent }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="soft">{% if suspects.file %}All {{ suspects.count|number }} are in {{ suspects.file|cut(60) }} of the run's\
 folder. {% endif %}Rows are counted from 1. Nothing was changed or left out.</p>
<dl class="facts">
<dt>Without them</dt><dd>on all held-out rows: {{ suspects.all|effect|cut(240) }}<br>\
on those that are not doubtful: {{ suspects.trusted|effect|cut(240) }}\
{% if suspects.learner %} <span class="soft">{{ suspects.learner|cut(40) }} learned again on\
 {{ suspects.folds|number }} folds</span>{% endif %}</dd>
<dt>Advice</dt><dd class="outcome">{{ suspects.advice|cut(300) }}</dd>
</dl>
{% endif %}
{% endif %}
{% if twins %}
<h3>Rows that repeat others across folds</h3>
<p>{{ twins_line }}</p>
{% endif %}
{% set shift = report.shift %}
{% if shift %}
<h3>What moved between the data and the test data</h3>
<p>{{ shift_line }}</p>
{% if shift.columns|each %}
<div class="scroll"><table>
<thead><tr><th scope="col">Column</th><th scope="col" class="n">Moved by</th>\
<th scope="col" class="n">95 % interval</th><th scope="col" class="n">Never seen</th>\
<th scope="col" class="n">Missing</th><th scope="col" class="n">It was</th></tr></thead>
<tbody>{% for one in (shift.columns|each)[:10] %}
<tr><th scope="row">{{ one.column|cut(40) }}{% if one.is_alarming == true %} <span class="tag warning">moved</span>\
{% endif %}</th><td class="n">{{ one.effect|number(2) }}</td>\
<td class="n">{{ one.low|number(2) }} to {{ one.high|number(2) }}</td><td class="n">{{ one.beyond|percent }}</td>\
<td class="n">{{ one.missing|percent }}</td><td class="n">{{ one.was_missing|percent }}</td></tr>{% endfor %}
</tbody></table></div>
<p class="soft">Moved by: the Jensen-Shannon distance between both distributions, 0 to 1, less what chance adds. A tag\
 needs both: more than chance among all columns compared, and 0.1 or more.</p>
{% endif %}
{% endif %}
"""

SECTION = Section(name="audit", title="Audit", holds=AuditKeys, gather=gather, page=PAGE, shown=shown)
