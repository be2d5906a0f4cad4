"""What was spent on what: the invoice beside the quote, seconds by stage and family, what was in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.errors import InputError
from automl.plain import as_json
from automl.report import charts, words
from automl.report.charts import LOST, Bar
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs
    from automl.runtime.folder import RunFolder

QUOTE = "quote.json"


class InvoiceJson(TypedDict, total=False):
    """An `invoice.Invoice`: every second of every core held."""

    core_s: dict[str, float]  # done, partial, failed, late, lost, idle, overhead
    held_core_s: float  # their sum
    gpu_s: float
    machine_s: float
    money: float  # for holding the machines
    currency: str
    kwh: float
    energy_how: str
    co2_g: float
    retries: int
    until_s: float  # of the run


class ReachedJson(TypedDict, total=False):
    """A `decision.reached.Reached`: seconds from the start, of the best single model so far beside the last."""

    good_s: float
    flattened_s: float
    until_s: float  # the end of the search
    is_settled: bool  # as much time again had found nothing better


class QuotedJson(TypedDict, total=False):
    """What was quoted before the run, a `records.quote.Quote` in short, and what came of it."""

    routes: list[dict[str, Any]]  # RouteQuote; the way that the run went first
    advice: str
    rests_on: str
    currency: str
    reached: ReachedJson | None  # None: no fold ended


class CostJson(TypedDict, total=False):
    """What was spent on what."""

    wall_s: dict[str, float]  # stage -> seconds, in the order of the stages
    cpu_s: float
    failed_cpu_s: float  # of it, for trials that gave nothing
    peak_mb: float
    trials_by_status: dict[str, int]
    invoice: InvoiceJson
    quote: QuotedJson | None  # None: of a run that was begun by an earlier version


class CostKeys(TypedDict, total=False):
    """The keys of this section."""

    cost: CostJson


def gather(inputs: ReportInputs) -> CostKeys:
    """Sums over the trials, the clock's stages, and the bill."""
    trials = inputs.trials
    cost: CostJson = {
        "wall_s": {stage: round(seconds, 3) for stage, seconds in inputs.clock.stages.items()},
        "cpu_s": sum(trial.spent.cpu_s for trial in trials),
        "failed_cpu_s": sum(trial.spent.cpu_s for trial in trials if not trial.folds),
        "peak_mb": max((trial.spent.peak_mb for trial in trials), default=0.0),
        "trials_by_status": dict(Counter(trial.status.value for trial in trials)),
        "invoice": as_json(inputs.bill),
        "quote": _quoted(inputs.folder),
    }
    return {"cost": cost}


def _quoted(folder: RunFolder) -> QuotedJson | None:
    """The quote as it was made, beside what the folds of all drivers show."""
    from automl.decision.reached import ends, reached

    try:
        told = folder.read_json(QUOTE)
    except (InputError, FileNotFoundError):  # damaged, or of a version without quotes: the bill stands alone
        return None
    came = reached(*ends(folder.events()))
    seen: ReachedJson | None = None
    if came is not None:
        seen = {"good_s": came.good_s, "flattened_s": came.flattened_s, "until_s": came.until_s,
                "is_settled": came.is_settled}  # fmt: skip
    return {
        "routes": told["routes"],
        "advice": told["advice"],
        "rests_on": told["rests_on"],
        "currency": told["currency"],
        "reached": seen,
    }


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The pictures."""
    stages, families = stage_bars(report), family_bars(report)
    return {
        "stages": charts.both(lambda width: charts.bars(stages, width, "stages", "Seconds by stage")),
        "families": charts.both(lambda width: charts.bars(families, width, "families", "CPU seconds by family")),
        "stage_rows": [(bar.label, words.fixed(bar.length, 1)) for bar in stages],
        "family_rows": [
            (bar.label, words.fixed(bar.length, 1), words.fixed(bar.lost, 1), bar.note) for bar in families
        ],
    }


def stage_bars(report: Mapping[str, Any]) -> list[Bar]:
    """Where the seconds went, in the order of the stages; what no stage accounts for is said too."""
    stages = words.part(report, "cost", "wall_s")
    spent = {str(key): words.finite(value) for key, value in stages.items()} if isinstance(stages, Mapping) else {}
    rows = [Bar(stage, wall_s) for stage, wall_s in spent.items() if wall_s is not None]
    rest = (words.finite(words.part(report, "run", "seconds")) or 0.0) - sum(row.length for row in rows)
    return [*rows, Bar("everything else", rest)] if rows and rest > 0.05 else rows


def family_bars(report: Mapping[str, Any]) -> list[Bar]:
    """CPU seconds by family, dearest first; the lost part belongs to trials that gave nothing."""
    spent: dict[str, list[tuple[float, bool]]] = {}
    for trial in charts.rows_of(report, "trials"):
        cpu_s = words.finite(trial.get("cpu_s"))
        if cpu_s is not None:
            is_lost = trial.get("status") in LOST
            spent.setdefault(words.short(trial.get("family")), []).append((cpu_s, is_lost))
    rows = []
    for family, costs in spent.items():
        lost = sum(is_lost for _, is_lost in costs)
        note = f"{len(costs)} trial{'s' * (len(costs) != 1)}" + (f", {lost} for nothing" if lost else "")
        rows.append(Bar(family, sum(cpu_s for cpu_s, _ in costs), sum(c for c, is_lost in costs if is_lost), note))
    return sorted(rows, key=lambda row: -row.length)


PAGE = """
{% set run, cost = report.run, report.cost %}
<h2>What was paid</h2>
<dl class="tiles">
{{ tile("From call to return", run.seconds|seconds,
        "" if run.overrun_s|score is none
        else "over the budget by " ~ run.overrun_s|seconds if run.overrun_s > 0 else "within the budget") }}
{{ tile("CPU time of all trials", cost.cpu_s|seconds) }}
{{ tile("of it for nothing", cost.failed_cpu_s|seconds, "failed, late and lost trials") }}
{{ tile("Peak memory of a trial", cost.peak_mb|megabytes) }}
</dl>
{% if cost.trials_by_status|pairs %}<p>Trials: {% for status, count in cost.trials_by_status|pairs %}\
{{ count|number }} {{ status|cut(20) }}{{ ", " if not loop.last }}{% endfor %}.</p>{% endif %}
{% set bill = cost.invoice %}
{% if bill and bill.core_s|pairs %}<h3>The invoice</h3>
<dl class="tiles">
{{ tile("Money", bill.money|number(3) ~ " " ~ bill.currency|cut(4), "for holding the machines, busy or not") }}
{{ tile("Energy", bill.kwh|number(3) ~ " kWh", bill.energy_how|cut(80)) }}
{{ tile("CO2", bill.co2_g|number(3) ~ " g") }}
{{ tile("Jobs given again", bill.retries|number, "their worker died") }}
</dl>
<div class="scroll"><table>
<thead><tr><th scope="col">What the held cores did</th><th scope="col" class="n">core seconds</th></tr></thead>
<tbody>{% for what, spent in bill.core_s|pairs %}{% if spent %}
<tr><th scope="row">{{ what|cut(20) }}</th><td class="n">{{ spent|fixed(1) }}</td></tr>{% endif %}{% endfor %}
<tr><th scope="row">in all</th><td class="n">{{ bill.held_core_s|fixed(1) }}</td></tr>
</tbody></table></div>{% endif %}
{% set asked = cost.quote %}
{% if asked and asked.routes|each %}<h3>The quote beside the bill</h3>
<div class="scroll"><table>
<thead><tr><th scope="col"></th>{% for head in ("good in", "flattened in", asked.currency, "kWh") %}\
<th scope="col" class="n">{{ head|cut(14) }}</th>{% endfor %}</tr></thead>
<tbody>{% for one in asked.routes|each %}
<tr><th scope="row">quoted, {{ one.route|cut(20) }}</th>\
{% for span in (one.good.seconds, one.flattened.seconds) %}\
<td class="n">{{ span.low|seconds }} to {{ span.high|seconds }}</td>{% endfor %}\
{% for span in (one.flattened.money, one.flattened.kwh) %}\
<td class="n">{{ span.low|number(2) }} to {{ span.high|number(2) }}</td>{% endfor %}</tr>{% endfor %}
<tr><th scope="row">came, and all was paid</th><td class="n">{{ asked.reached.good_s|seconds }}</td>\
<td class="n">{{ asked.reached.flattened_s|seconds }}</td><td class="n">{{ bill.money|number(2) }}</td>\
<td class="n">{{ bill.kwh|number(2) }}</td></tr>
</tbody></table></div>
<p class="key">Good: the best single model so far is within 5 % of the error of the last one; flattened: within 1 %. \
Quoted are 10 to 90 %, beside what plenty of time would end with, and what is paid until it has flattened. \
{% if asked.reached and not asked.reached.is_settled %}This run was still getting better in the second half of its \
search: with more time it may have found a better model. {% endif %}\
The quote rests on {{ asked.rests_on|cut(300) }}.</p>{% endif %}
{% if stages[0] %}<h3>Seconds by stage</h3>{{ figure("stage", stages) }}\
{{ behind(("Stage", "Seconds"), stage_rows) }}{% endif %}
{% if families[0] %}<h3>CPU seconds by family</h3>{{ figure("family", families) }}
{{ behind(("Family", "CPU seconds", "for nothing", "trials"), family_rows) }}
<p class="key">The <b class="o">orange end</b> of a bar is what failed, late and lost trials cost.</p>{% endif %}
{% set wasted = report.trials|each|selectattr("status", "in", lost)|list %}
{% if wasted %}
<h3>Trials that gave nothing</h3>
<div class="scroll"><table>
<thead><tr><th scope="col" class="n">Trial</th><th scope="col">Family</th><th scope="col">End</th>\
<th scope="col">What happened</th><th scope="col" class="n">CPU s</th></tr></thead>
<tbody>{% for trial in wasted[:many] %}
<tr><th scope="row" class="n">{{ trial.number|number }}</th><td>{{ trial.family|cut(30) }}</td>\
<td><span class="tag lost">{{ trial.status|cut(20) }}</span></td><td>{{ trial.message|cut(160) }}</td>\
<td class="n">{{ trial.cpu_s|fixed(1) }}</td></tr>{% endfor %}
</tbody></table></div>
{{ more(wasted, "trials") }}
{% endif %}
"""

SECTION = Section(name="cost", title="Cost", holds=CostKeys, gather=gather, page=PAGE, shown=shown)
