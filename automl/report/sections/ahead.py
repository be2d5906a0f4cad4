"""What more budget would bring: the best score so far, and how it is likely to go on, with what that would cost.

What is foreseen is a share of the error, by `decision.curves` from the errors of one fold as they became known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from automl.report import axes, charts, words
from automl.report.axes import Scale
from automl.report.charts import LOST, MOST_MARKS, PHONE
from automl.report.section import Section
from search_spaces.spec import BASELINE

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

TIMES = (1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)  # of what was spent
DRAWN = 2.0  # as far as the picture goes
WORTH = 0.01  # of the error: if ten times the budget brings less, no more is to be expected
LEAST_STEP = 0.005  # of the error; a smaller step would not be noticed
LEAST_HEIGHT = 0.005  # of the best score, above and below it in the picture
LEAST_TRIALS = 3  # that a curve is drawn through


class LaterJson(TypedDict, total=False):
    """With so many times the budget, the share of the error that would be gone; ends of 10 and 90 %."""

    times: float
    less: float
    low: float
    high: float


class AheadJson(TypedDict, total=False):
    """How the best score so far would go on."""

    metric: str
    higher_is_better: bool
    perfect: float  # the score of no error
    error: float  # of the chosen model, as promised
    spent_s: float
    money: float
    kwh: float
    currency: str
    trials: int  # that it rests on
    points: list[LaterJson]


class AheadKeys(TypedDict, total=False):
    """The keys of this section."""

    ahead: AheadJson | None  # null where too few trials ended to tell


def gather(inputs: ReportInputs) -> AheadKeys:
    """The curve through the best errors so far, and what the run cost until now."""
    from automl.decision import foreseen
    from automl.decision.curves import more_time

    known = foreseen.known_at(inputs.folder.events())
    trace = foreseen.trace(inputs.trials, known)
    score = inputs.end.chosen.score
    if len(trace) < LEAST_TRIALS:
        return {"ahead": None}
    last = max(at for at, _ in trace)
    now = more_time(trace, last)
    if now is None or now.mean <= 0:
        return {"ahead": None}
    points: list[LaterJson] = []
    for times in TIMES:
        then = more_time(trace, times * last)
        if then is not None:
            mean, low, high = (max(0.0, 1 - error / now.mean) for error in (then.mean, then.high, then.low))
            points.append({"times": times, "less": mean, "low": low, "high": high})
    metric, bill = inputs.comparison.metric, inputs.bill
    perfect = metric.to_score(0.0)
    ahead: AheadJson = {
        "metric": metric.name,
        "higher_is_better": metric.higher_is_better,
        "perfect": perfect,
        "error": abs(perfect - score.value),
        "spent_s": round(inputs.clock.elapsed, 2),
        "money": bill.money,
        "kwh": bill.kwh,
        "currency": bill.currency,
        "trials": len(trace),
        "points": points,
    }
    return {"ahead": ahead}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """The picture, the sentence, and the table."""
    return {
        "progress": charts.both(lambda width: progress(report, width)),
        "told": told(report),
        "lines": lines(report),
    }


def told(report: Mapping[str, Any]) -> str:
    """In one sentence what the next step would cost, or that none is to be expected; empty where nothing is known."""
    found, curve = report.get("ahead"), _curve(report)
    if not curve:
        return ""
    last = curve[-1]
    if last.less < WORTH:
        return (
            f"No more is to be expected of more budget: {words.number(last.times, 2)} times as much would probably "
            f"bring {_share(last.less)} less error ({_share(last.low)} to {_share(last.high)})."
        )
    twice = _at([(math.log(one.times), one.less) for one in curve], math.log(2.0))
    step = min(_round(max(twice, LEAST_STEP)), last.less)
    more = [_when(curve, kind, step) for kind in ("less", "high", "low")]
    error, spent = words.finite(words.part(found, "error")), words.finite(words.part(found, "spent_s")) or 0.0
    sign = "+" if words.part(found, "higher_is_better") is not False else "−"
    less = f"{_share(step)} less error"
    gain = less if error is None else f"{sign}{words.number(step * error, 1)} {_metric(report)} ({less})"
    price = _price(found, more[0], spent)
    ends = [_price(found, min(one, last.times), spent, is_short=True) for one in more[1:]]
    bounds = f"{ends[0]} and {'more than ' * math.isinf(more[2])}{ends[1]}"
    return f"The next {gain} would cost about {price}; likely between {bounds}."


def lines(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What two, four and ten times the budget would bring, as a table."""
    found = report.get("ahead")
    rows: list[tuple[str, ...]] = []
    error, perfect = (words.finite(words.part(found, name)) for name in ("error", "perfect"))
    spent = words.finite(words.part(found, "spent_s")) or 0.0
    sign = -1 if words.part(found, "higher_is_better") is not False else 1
    for one in _curve(report):
        values = (one.less, one.low, one.high)
        score = [words.DASH] * 3
        if error is not None and perfect is not None:
            score = [words.number(perfect + sign * error * (1 - value)) for value in values]
        rows.append((
            f"{words.number(one.times, 3)} times", _price(found, one.times, spent), f"{_share(one.less)} less",
            f"{_share(one.low)} to {_share(one.high)}", score[0],
        ))  # fmt: skip
    return rows


@dataclass(frozen=True)
class _Point:
    times: float
    less: float
    low: float
    high: float


def _curve(report: Mapping[str, Any]) -> list[_Point]:
    """The points of the report that hold together, from the least budget to the most."""
    found = []
    for one in words.each(words.part(report, "ahead", "points")):
        given = [words.finite(words.part(one, name)) for name in ("times", "less", "low", "high")]
        times, less, low, high = (math.nan if value is None else value for value in given)
        if 1 < times < 1e6 and 0 <= low <= high <= 1 and 0 <= less <= 1:
            found.append(_Point(times, less, low, high))
    return sorted(found, key=lambda one: one.times)


def _when(curve: Sequence[_Point], kind: str, step: float) -> float:
    """How many times the budget until so much of the error is gone; infinite where it is not within the curve."""
    before = (0.0, 0.0)  # as much as now: the logarithm of one time, and nothing gone
    for one in curve:
        at, less = math.log(one.times), getattr(one, kind)
        if less >= step:
            share = 1.0 if less <= before[1] else (step - before[1]) / (less - before[1])
            return math.exp(before[0] + share * (at - before[0]))
        before = (at, max(less, before[1]))
    return math.inf


def _at(points: Sequence[tuple[float, float]], at: float) -> float:
    """Between the points by a straight line."""
    before = (0.0, 0.0)
    for one in points:
        if one[0] >= at:
            return before[1] + (one[1] - before[1]) * (at - before[0]) / max(one[0] - before[0], 1e-12)
        before = one
    return before[1]


def _price(found: Any, times: float, spent_s: float, *, is_short: bool = False) -> str:
    """What more would cost than was paid: money where it is counted, and time."""
    money = words.finite(words.part(found, "money"))
    named = words.short(words.part(found, "currency") or "money", 5)
    paid = f"{words.number((times - 1) * money, 2)} {named}" if money else ""
    took = words.seconds((times - 1) * spent_s) if spent_s > 0 else f"{words.number(times - 1, 2)} times this run"
    return (paid or took) if is_short else " and ".join(filter(None, [paid, took]))


def _round(value: float) -> float:
    """One significant digit."""
    return float(f"{value:.1g}")


def _share(value: float) -> str:
    return words.percent(value)


def _metric(report: Mapping[str, Any]) -> str:
    return words.short(words.part(report, "ahead", "metric") or charts.metric(report), 30)


@dataclass(frozen=True)
class _Ended:
    """A trial that ended at a known second."""

    at: float
    value: float | None
    status: str
    name: str
    is_baseline: bool  # it asks no column: the best so far begins with the first model


def progress(report: Mapping[str, Any], width: int) -> str:
    """The best score so far over the seconds of the run; failed trials as crosses on the axis."""
    ended = _ended(report)
    measured = [one for one in ended if one.value is not None]
    real = [one for one in measured if not one.is_baseline] or measured
    scored = [one for one in real if one.status == "done"] or real  # a very short run has only partial ones
    if not scored:
        return ""
    is_wide = width > PHONE
    height, left = (300, 66) if is_wide else (270, 52)
    is_higher = charts.is_higher(report)
    ranked = sorted((one.value or 0.0 for one in scored), reverse=is_higher)
    core = ranked[: max(1, round(0.75 * len(ranked)))]  # the worst quarter must not set the scale
    last = max(ended[-1].at, words.finite(words.part(report, "run", "seconds")) or 0.0, 1e-3)
    best = ranked[0]
    foreseen = _foreseen(report, best, last)
    x = Scale(0.0, foreseen[-1][0] if foreseen else last, left, width - 14)
    least = [best - LEAST_HEIGHT * abs(best), best + LEAST_HEIGHT * abs(best)]  # a flat line has no scale of its own
    likely = [value for _, *ends in foreseen for value in ends]
    y = Scale(*axes.span([*core, *likely, *least], ranked, 0.3), height - 50, 34)
    body = [*_ahead(foreseen, x, y), *axes.grid(x, y, (6, 5) if is_wide else (4, 5))]
    body += [
        axes.text(2, 16, f"{charts.metric(report)}, mean of the folds", "label"),
        axes.text(width - 14, height - 8, "seconds since the start", "label", "end"),
        *(_trial_mark(one, x, y, is_wide) for one in scored[-MOST_MARKS:]),
        *(
            axes.text(x(one.at), y.start + 4, "×", "cross", "middle")
            for one in ended[-MOST_MARKS:]
            if one.status in LOST
        ),
    ]
    body.append(axes.path([*_corners(scored, x, y, is_higher=is_higher), (x(last), y(best))], "step"))
    described = f"{len(scored)} trials scored; the best, {words.number(best)}, within {words.seconds(last)}."
    if foreseen:
        described += f" {told(report)}"
    return axes.canvas(body, (width, height), f"progress-{width}", ("Best score so far", described))


def _ended(report: Mapping[str, Any]) -> list[_Ended]:
    """The trials in the order in which they ended."""
    found = []
    for trial in charts.rows_of(report, "trials"):
        at = words.finite(trial.get("finished_s"))
        if at is not None:
            is_baseline = trial.get("family") == BASELINE
            name = f"trial {words.number(trial.get('number'))}, {words.short(trial.get('family'))}"
            found.append(_Ended(at, words.value_of(trial.get("score")), str(trial.get("status")), name, is_baseline))
    return sorted(found, key=lambda one: one.at)


def _trial_mark(one: _Ended, x: Scale, y: Scale, is_told: bool) -> str:
    value = one.value or 0.0
    title = f"<title>{escape(one.name)}: {words.number(value)}</title>" if is_told else ""
    if not y.holds(value):
        return f"<g>{title}{axes.arrow(x(one.at), y(value), value > y.high, 'dominated')}</g>"
    return f"<g>{title}{axes.dot(x(one.at), y(value), 'dominated', 3.5)}</g>"


def _corners(scored: Sequence[_Ended], x: Scale, y: Scale, *, is_higher: bool) -> list[tuple[float, float]]:
    """The best so far as steps."""
    best = scored[0].value or 0.0
    corners = [(x(scored[0].at), y(best))]
    for one in scored:
        if one.value is not None and (one.value > best if is_higher else one.value < best):
            corners += [(x(one.at), y(best)), (x(one.at), y(one.value))]
            best = one.value
    return corners


def _foreseen(report: Mapping[str, Any], best: float, last: float) -> list[tuple[float, float, float, float]]:
    """Seconds, and the score likely then with its ends, from the end of the run on; empty where nothing is known."""
    perfect = words.finite(words.part(report, "ahead", "perfect"))
    curve = [one for one in _curve(report) if one.times <= DRAWN]
    if perfect is None or not curve:
        return []
    error = best - perfect

    def score(less: float) -> float:
        return perfect + error * (1 - less)

    then = [(one.times * last, score(one.less), score(one.low), score(one.high)) for one in curve]
    return [(last, best, best, best), *then]


def _ahead(foreseen: Sequence[tuple[float, float, float, float]], x: Scale, y: Scale) -> list[str]:
    """The band of what is likely, and its middle."""
    if not foreseen:
        return []
    there = [(x(at), y(high)) for at, _, _, high in foreseen]
    back = [(x(at), y(low)) for at, _, low, _ in reversed(foreseen)]
    end = x(foreseen[0][0])
    return [
        axes.path([*there, *back], "band"),
        axes.path([(x(at), y(mean)) for at, mean, _, _ in foreseen], "likely"),
        axes.line(end, y.start, end, y.end, "baseline"),
        axes.text(end - 6, y.end + 12, "this run", "tick", "end"),
    ]


PAGE = """
{% if progress[0] or told %}
<h2>What more would bring</h2>
{% if told %}<p>{{ told }}</p>{% endif %}
<h3>Best score so far{{ ", and from there on" if told }}</h3>
{{ figure("trial", progress) }}
{% if progress[0] %}<p class="key"><b class="b">━</b> best so far &ensp;<b class="g">○</b> a trial, when it ended\
 &ensp;<b class="o">×</b> a trial that failed{% if told %} &ensp;<b class="b">┅</b> likely from there on, and the band\
 that holds it in 80 of 100 cases{% endif %}</p>{% endif %}
{{ behind(("With", "it would cost besides", "error", "in 80 of 100 cases", "score"), lines, "What more would cost") }}
{% if told %}<p class="soft">From the best single model so far on one fold, {{ report.ahead.trials|number }} trials;\
 what a blend adds to it is not foreseen. The longer one looks ahead, the less is known.</p>{% endif %}
{% endif %}
"""

STYLE = """
svg path.band { fill: var(--blue); fill-opacity: .16; }
svg .likely { stroke: var(--blue); stroke-width: 1.6; stroke-dasharray: 5 4; }
"""

SECTION = Section(
    name="ahead", title="More budget", holds=AheadKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
