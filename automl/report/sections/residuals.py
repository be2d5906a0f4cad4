"""How far off predicted numbers are: errors beside what was predicted, and the largest ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import axes, charts, words
from automl.report.axes import Scale
from automl.report.charts import PHONE
from automl.report.section import Section, late

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

MOST_POINTS, MOST_BINS, MOST_MISSES = 300, 12, 10


class ResidualBinJson(TypedDict, total=False):
    """Held-out rows for which about the same was predicted; errors are answer minus prediction."""

    said: float  # their mean prediction
    low: float
    middle: float
    high: float  # 5 %, half and 95 % of the errors lie below
    rows: int


class MissJson(TypedDict, total=False):
    """A row that was far off."""

    row: int  # of the data, the first is 1
    answer: float
    said: float


class SpreadJson(TypedDict, total=False):
    """How much wider errors spread in the third with the largest predictions than in that with the smallest."""

    ratio: float
    low: float
    high: float  # of its 95 % interval
    below: float
    above: float  # predictions that bound the outer thirds
    narrow: float
    wide: float  # widths of the bands that hold nine of ten errors


class ResidualsJson(TypedDict, total=False):
    """Errors of predicted numbers on held-out rows."""

    why_not: str | None
    kind: str  # "numbers" | "classes", of which there is nothing to say
    rows: int
    middle: float | None  # half of the errors are smaller, without their sign
    half: float | None  # and nine of ten are
    bins: list[ResidualBinJson]
    points: list[list[float]]  # prediction and error of some rows
    largest: list[MissJson]
    spread: SpreadJson | None


class ResidualsKeys(TypedDict, total=False):
    """The key of this section."""

    residuals: ResidualsJson | None


def gather(inputs: ReportInputs) -> ResidualsKeys:
    """What gather/residuals.py measured."""
    nothing: ResidualsJson = {
        "kind": "classes" if inputs.profile.classes else "numbers", "rows": 0, "middle": None, "half": None,
        "bins": [], "points": [], "largest": [], "spread": None,
    }  # fmt: skip
    return {"residuals": cast(ResidualsJson, late(inputs, "residuals", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences, the picture and the rows of its tables."""
    return {
        "told": told(report),
        "drawn": charts.both(lambda width: picture(report, width)),
        "bins": _bins(report),
        "misses": _misses(report),
    }


@dataclass(frozen=True)
class _Bin:
    said: float
    low: float
    middle: float
    high: float
    rows: float


@dataclass(frozen=True)
class _Miss:
    row: str
    answer: float
    said: float

    @property
    def off(self) -> float:
        return self.answer - self.said


def told(report: Mapping[str, Any]) -> list[str]:
    """What there is to know, in sentences; the terminal says the same."""
    found = words.part(report, "residuals")
    middle, half = (words.finite(words.part(found, key)) for key in ("middle", "half"))
    if middle is None or half is None:
        return []
    lines = [f"Half of its predictions are within {words.number(middle, 3)} of the answer, nine of ten within"
             f" {words.number(half, 3)}."]  # fmt: skip
    return lines + _spread(words.part(found, "spread"))


def _spread(found: Any) -> list[str]:
    ratio, below, above = (words.finite(words.part(found, key)) for key in ("ratio", "below", "above"))
    low, high = words.ends(found)
    if ratio is None or low is None or high is None:
        return []
    where = f"above {words.number(above, 3)}" + f" than below {words.number(below, 3)}"
    interval = f"95 % interval {words.number(low, 2)} to {words.number(high, 2)}"
    if low > 1:
        return [f"Errors grow with the prediction: they spread {words.number(ratio, 2)} times as wide {where}"
                f" ({interval})."]  # fmt: skip
    if high < 1:
        return [f"Errors shrink with the prediction: they spread {words.number(ratio, 2)} times as wide {where}"
                f" ({interval})."]  # fmt: skip
    return [f"Errors spread about as wide where much is predicted as where little is (ratio {words.number(ratio, 2)},"
            f" {interval})."]  # fmt: skip


def picture(report: Mapping[str, Any], width: int) -> str:
    """Predictions across, errors upwards; the band holds nine of ten."""
    bins, points = _bins(report), _points(report)
    if not bins:
        return ""
    core = [end for one in bins for end in (one.low, one.high, 0.0)]
    low, high = axes.span(core, [off for _, off in points], 0.8)
    said = [*(one.said for one in bins), *(value for value, _ in points)]
    left, right = axes.span(said)
    height = 320 if width > PHONE else 280
    x, y = Scale(left, right, 74, width - 20), Scale(low, high, height - 46, 12)
    body = axes.grid(x, y, (6, 5) if width > PHONE else (3, 4))
    body += [axes.dot(x(value), y(off), "point", 2.2) for value, off in points if y.holds(off)]
    body += [axes.arrow(x(value), y(off), off > 0, "beyond") for value, off in points if not y.holds(off)]
    body.append(axes.line(x.start, y(0.0), x.end, y(0.0), "baseline"))
    for edge, kind in (("low", "whisker"), ("high", "whisker"), ("middle", "step")):
        body.append(axes.path([(x(one.said), y(getattr(one, edge))) for one in bins], kind))
    body += [axes.dot(x(one.said), y(one.middle), "dot", 3.5) for one in bins]
    body.append(axes.text(x.end, height - 6, "predicted", "label", "end"))
    described = "; ".join(
        f"predicted {words.number(one.said, 3)}: errors {words.number(one.low, 3)} to {words.number(one.high, 3)}"
        for one in bins
    )
    return axes.canvas(body, (width, height), f"residuals-{width}", ("Errors against predictions", described))


def _bins(report: Mapping[str, Any]) -> list[_Bin]:
    found = []
    for one in words.each(words.part(report, "residuals", "bins"))[:MOST_BINS]:
        said, low, middle, high = (words.finite(words.part(one, key)) for key in ("said", "low", "middle", "high"))
        if said is not None and low is not None and middle is not None and high is not None:
            found.append(_Bin(said, low, middle, high, words.finite(words.part(one, "rows")) or 0.0))
    return found


def _points(report: Mapping[str, Any]) -> list[tuple[float, float]]:
    found = []
    for pair in words.each(words.part(report, "residuals", "points"))[:MOST_POINTS]:
        said, off = (words.finite(value) for value in ([*words.each(pair), None, None])[:2])
        if said is not None and off is not None:
            found.append((said, off))
    return found


def _misses(report: Mapping[str, Any]) -> list[_Miss]:
    found = []
    for one in words.each(words.part(report, "residuals", "largest"))[:MOST_MISSES]:
        answer, said = words.finite(words.part(one, "answer")), words.finite(words.part(one, "said"))
        if answer is not None and said is not None:
            found.append(_Miss(words.number(words.part(one, "row")), answer, said))
    return found


PAGE = """
{% set found = report.residuals %}
{% if bins %}
<h2>How far off it is</h2>
{% for line in told %}<p>{{ line|cut(300) }}</p>{% endfor %}
{{ figure("error", drawn) }}
<p class="key">Answer minus prediction on {{ found.rows|number }} held-out rows: above zero too little was predicted.\
 <b class="b">●</b> the middle of the errors, and round it the band that holds nine of ten of them.</p>
<details><summary>The figures, and the largest errors</summary>
<div class="scroll"><table><thead><tr><th scope="col">Predicted, about</th><th scope="col" class="n">5 %</th>\
<th scope="col" class="n">middle</th><th scope="col" class="n">95 %</th><th scope="col" class="n">rows</th></tr></thead>
<tbody>{% for bin in bins %}<tr><th scope="row">{{ bin.said|number }}</th><td class="n">{{ bin.low|number(3) }}</td>\
<td class="n">{{ bin.middle|number(3) }}</td><td class="n">{{ bin.high|number(3) }}</td>\
<td class="n">{{ bin.rows|int|number }}</td></tr>{% endfor %}</tbody></table></div>
{% if misses %}
<div class="scroll"><table><thead><tr><th scope="col">Row of the data</th><th scope="col" class="n">answer</th>\
<th scope="col" class="n">predicted</th><th scope="col" class="n">off by</th></tr></thead>
<tbody>{% for miss in misses %}<tr><th scope="row">{{ miss.row }}</th><td class="n">{{ miss.answer|number }}</td>\
<td class="n">{{ miss.said|number }}</td><td class="n">{{ miss.off|number(3) }}</td></tr>{% endfor %}</tbody>\
</table></div>
{% endif %}
</details>
{% elif found.why_not and found.kind != "classes" %}
<h2>How far off it is</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

STYLE = """
svg .point { fill: var(--pale); fill-opacity: .7; } svg .beyond { fill: var(--pale); }
"""

SECTION = Section(
    name="residuals", title="Errors", holds=ResidualsKeys, gather=gather, page=PAGE, shown=shown, style=STYLE
)
