"""What monitoring found, as a page and for the terminal: drawn from its JSON alone, in the frame of every report.

Any key may be missing or null, as in report.json; names and labels come from data that anyone may have written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from automl.errors import InputError
from automl.plain import as_json
from automl.report import axes, charts, page, words
from automl.report.axes import Scale
from automl.report.charts import PHONE
from automl.report.section import Section

MOST_BARS = 15
STEP = 26  # pixels from bar to bar
MATTERS = 0.1  # as scoring/drift.py has it; a test holds them together
ADVICE = {"no": "Go on", "look": "Look into it", "yes": "Train anew"}


class MonitoredKeys(TypedDict, total=False):
    """The keys of what monitoring found."""

    sentence: str
    alarm: bool
    retrain: dict[str, str]
    columns: list[dict[str, Any]]
    predictions: list[dict[str, Any]]
    answers: dict[str, Any] | None
    score: dict[str, Any]
    notes: list[str]


def write(told: Mapping[str, Any], path: str | Path) -> Path:
    """The page as one HTML file."""
    plain = json.loads(json.dumps(as_json(told), ensure_ascii=False))
    try:
        return page.put(Path(path), draw(plain), "xmlcharrefreplace")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror or error}. Name another file.") from error


def draw(told: Mapping[str, Any]) -> str:
    """The page of what monitoring found, of one model or of several."""
    several = words.part(told, "targets")
    if not isinstance(several, Mapping):
        return page.framed(_run(told), [page.piece(section, told) for section in SECTIONS])
    first = Section(name="verdict", title="Verdict", holds=MonitoredKeys, gather=_nothing, page=TARGETS)
    pieces = [page.piece(first, {"targets": several})]
    for at, (target, one) in enumerate(several.items()):
        for section in SECTIONS:
            made = page.piece(section, one if isinstance(one, Mapping) else {})
            title = f"{words.short(target, 30)}: {made.title}"
            pieces.append(page.Piece(f"{made.name}-{at}", title, made.style, made.drawn))
    return page.framed(_run(told), pieces)


def lines(told: Mapping[str, Any]) -> list[str]:
    """For the terminal: the sentence, what moved, and what to do."""
    found = [words.short(words.part(told, "sentence"), 600)]
    rows = [*_rows(told, "columns"), *_rows(told, "predictions"), *_answers(told)]
    alarming = [row for row in rows if row.get("alarm")]
    width = max((len(name(row)) for row in alarming), default=0)
    for row in alarming[:MOST_BARS]:
        effect, low, high = (words.fixed(row.get(key), 2) for key in ("effect", "low", "high"))
        moved = f"{effect} ({low} to {high})"
        found.append(
            f"  {name(row):<{min(width, 40)}}  moved {moved}  {words.short(row.get('told') or '', 120)}".rstrip()
        )
    if len(alarming) > MOST_BARS:
        found.append(f"  and {len(alarming) - MOST_BARS} more")
    later = [words.short(row.get("column"), 30) for row in rows if row.get("moves_on") and row.get("clear")]
    if later:
        found.append(f"  later than in training, as dates are: {', '.join(dict.fromkeys(later))}")
    whether = words.part(told, "retrain", "advice")
    found.append(f"{ADVICE.get(str(whether), words.DASH)}: {words.short(words.part(told, 'retrain', 'because'), 400)}.")
    return found


def name(row: Mapping[str, Any]) -> str:
    """Of one thing that is watched."""
    what = row.get("what")
    return words.short(f"{row.get('column')}: {what}" if what else row.get("column"), 40)


def bars(told: Mapping[str, Any], width: int) -> str:
    """How far each moved, with its interval, and where that begins to matter."""
    rows = [
        row
        for row in (*_rows(told, "predictions"), *_rows(told, "columns"))
        if words.finite(row.get("effect")) is not None
    ]
    rows = sorted(rows, key=lambda row: -(words.finite(row.get("effect")) or 0.0))[:MOST_BARS]
    if not rows:
        return ""
    left, room = (220, 80) if width > PHONE else (130, 50)
    most = max(2 * MATTERS, *(words.finite(row.get("high")) or 0.0 for row in rows))
    scale = Scale(0.0, min(1.0, most) * 1.02, left, width - room)
    body, bottom = [], len(rows) * STEP + 6
    for place, row in enumerate(rows):
        body += _bar(row, scale, place * STEP + 4)
    body.append(axes.line(scale(MATTERS), 0, scale(MATTERS), bottom, "baseline"))
    body.append(axes.line(scale(0.0), 0, scale(0.0), bottom, "axis"))
    for value, label in scale.ticks(5 if width > PHONE else 3):
        body.append(axes.text(scale(value), bottom + 17, label, "tick", "middle"))
    described = "; ".join(f"{name(row)} {words.fixed(row.get('effect'), 2)}" for row in rows)
    return axes.canvas(body, (width, bottom + 26), f"moved-{width}", ("How far each moved", described))


def _bar(row: Mapping[str, Any], scale: Scale, top: int) -> list[str]:
    value = words.finite(row.get("effect")) or 0.0
    low, high = (words.finite(row.get(end)) for end in ("low", "high"))
    end, middle = scale(value), top + 9.0
    long = max(1.0, end - scale.start)
    label = words.short(name(row), int((scale.start - 10) / axes.CHAR_PX))
    kind = "lost" if row.get("alarm") else "bar"
    marks = [
        axes.text(scale.start - 10, top + 14, label, "name", "end"),
        f'<rect class="{kind}" x="{scale.start}" y="{top}" width="{long:.1f}" height="18" rx="2"/>',
    ]
    if low is not None and high is not None:
        marks.append(axes.line(scale(low), middle, scale(high), middle, "error"))
    return [*marks, axes.text(max(scale(high or 0.0), end) + 8, top + 14, words.fixed(value, 2), "value")]


def _rows(told: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return charts.rows_of(told, key)


def _answers(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = told.get("answers")
    return [found] if isinstance(found, Mapping) else []


def _run(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"run": {"name": words.part(told, "model_name") or words.part(told, "target") or "model"}}


def _nothing(_inputs: Any) -> Mapping[str, Any]:
    return {}


def _shown(told: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    return {
        "drawn": charts.both(lambda width: bars(told, width)),
        "rows": [*_answers(told), *_rows(told, "predictions"), *_rows(told, "columns")],
        "name": name,
        "advice": ADVICE.get(str(words.part(told, "retrain", "advice")), words.DASH),
    }


HEAD = """
<p class="soft">Monitoring · {{ report.model|cut(60) }} · {{ report.rows|number }} new rows,\
 against {{ report.learned_rows|number }} that were learned from</p>
<h1>{{ report.sentence|cut(600) }}</h1>
{% if report.alarm %}<p class="alert">Alarm. {{ advice }}: {{ report.retrain.because|cut(400) }}.</p>\
{% else %}<p>{{ advice }}: {{ report.retrain.because|cut(400) }}.</p>{% endif %}
{% set score = report.score %}
<dl class="tiles">
{{ tile("Promised " ~ score.metric|cut(24), score.promised.value|number, score.promised|interval) }}
{{ tile("Likely now", score.likely.value|number, score.likely|interval) }}
{% if score.measured %}\
{{ tile("Measured", score.measured.value|number,
        score.measured|interval ~ ", " ~ score.measured.rows|number ~ " rows") }}\
{% endif %}
{{ tile("Train anew?", advice) }}
</dl>
<p class="soft">What is likely now follows from how sure the model is of these rows and how right it was when it was as\
 sure; it cannot see when the same rows have come to mean other answers. Answers for some rows can.</p>
"""

TABLE = """
<h2>What moved</h2>
{{ figure("column", drawn) }}
<p class="key"><b class="b">━</b> Jensen-Shannon distance, 0 to 1, what chance adds taken off &ensp;<b>├┤</b> 95 %\
 interval &ensp;<b class="o">━</b> alarm: beyond chance among all that is compared, and at least 0.1, the dashed\
 line.</p>
<div class="scroll"><table>
<thead><tr><th scope="col">What</th><th scope="col" class="n">Moved</th><th scope="col">How</th>\
<th scope="col" class="n">Never seen</th><th scope="col" class="n">Missing</th>\
<th scope="col" class="n">Importance</th></tr></thead>
<tbody>{% for row in rows[:many] %}
<tr><th scope="row">{{ name(row)|cut(40) }}{% if row.alarm %} <span class="tag danger">alarm</span>\
{% elif row.moves_on and row.clear %} <span class="tag">later, as dates are</span>\
{% elif row.clear %} <span class="tag">small</span>{% endif %}</th>\
<td class="n">{{ row.effect|fixed(2) }}</td><td>{{ row.told|cut(140) }}</td>\
<td class="n">{{ row.beyond|percent }}</td><td class="n">{{ row.missing|percent }}</td>\
<td class="n">{{ row.importance|number(2) }}</td></tr>{% endfor %}
</tbody></table></div>
{{ more(rows, "things that are watched") }}
{% for note in (report.notes|each)[:20] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
"""

TARGETS = """
<p class="soft">Monitoring of several targets</p>
<h1>{% for target, one in report.targets|pairs %}{{ target|cut(40) }}: {{ one.sentence|cut(400) }} {% endfor %}</h1>
"""

SECTIONS = (
    Section(name="verdict", title="Verdict", holds=MonitoredKeys, gather=_nothing, page=HEAD, shown=_shown),
    Section(name="moved", title="What moved", holds=MonitoredKeys, gather=_nothing, page=TABLE, shown=_shown),
)
