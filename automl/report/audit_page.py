"""The page and the lines of an audit by itself: the report's own sections on data and findings, below its own head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from automl.plain import as_json
from automl.report import sections, words
from automl.report.page import framed, piece, put
from automl.report.section import Section

PARTS = ("audit", "data")  # of a run's report, as they stand there
NOUNS = {"danger": "danger", "warning": "warning", "info": "remark"}
HEAD = """
<p class="soft">Audit · {{ report.data.name|cut(60) }}</p>
<h1>{{ sentence }}</h1>
{% for line in dangers[:5] %}<p class="alert">{{ line|cut(300) }}</p>
{% endfor %}
<p class="soft">No model was made. What the findings are worth was measured with a quick one, learned on some folds and\
 asked about the others.</p>
"""


class NoKeys(TypedDict):
    """The head holds no key of its own."""


def sentence(told: Mapping[str, Any]) -> str:
    """How much is odd, in one sentence."""
    found = words.each(told.get("audit"))
    counts = {noun: sum(words.part(one, "severity") == kind for one in found) for kind, noun in NOUNS.items()}
    shown = [f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items() if count]
    odd = words.finite(words.part(told, "suspects", "count")) or 0
    shown += [f"{words.number(int(odd))} rows whose answers look wrong"] if odd else []
    return f"The audit found {', '.join(shown)}." if shown else "The audit found nothing odd."


def _shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    return {"sentence": sentence(report), "dangers": words.dangers(report)}


_HEAD = Section(name="head", title="Audit", holds=NoKeys, gather=lambda _: {}, page=HEAD, shown=_shown)


def draw(told: Mapping[str, Any]) -> str:
    """The page, from plain JSON values."""
    report = {**told, "run": {"name": f"{words.part(told, 'data', 'name') or 'data'}, audited"}}
    return framed(report, [piece(one, report) for one in (_HEAD, *map(sections.get, PARTS))])


def write(told: Mapping[str, Any], path: Path) -> Path:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return put(path, draw(json.loads(json.dumps(as_json(told)))), "xmlcharrefreplace")


def lines(told: Mapping[str, Any]) -> list[str]:
    """The same for a terminal: danger first, each finding with what it is worth."""
    made = [sentence(told)]
    made += [f"note    {words.short(note, 240)}" for note in words.each(words.part(told, "data", "notes"))]
    for one in words.each(told.get("audit")):
        made.append(f"{words.short(words.part(one, 'severity'), 8):<8}{words.short(words.part(one, 'message'), 300)}")
        effect = words.effect_text(words.part(one, "effect"))
        made += [f"        without: {effect}"] if effect != words.DASH else []
        made += [f"        -> {words.short(words.part(one, 'advice'), 240)}"] if words.part(one, "advice") else []
    made += [line for line in (words.twins_text(told.get("twins")), words.shift_text(told.get("shift"))) if line]
    return [*made, *_suspect_lines(told.get("suspects"))]


def _suspect_lines(found: Any) -> list[str]:
    """The rows that look wrong, the surest first."""
    said = words.suspects_text(found)
    if not said or not words.each(words.part(found, "rows")):
        return [said] if said else []
    made = [said, f"  {'row':>9}  {'given':<24}  {'rather':<24}  chance"]
    for one in words.each(words.part(found, "rows")):
        row, given, rather = (_cell(words.part(one, name)) for name in ("row", "given", "suggested"))
        made.append(f"  {row:>9}  {given:<24}  {rather:<24}  {words.percent(words.part(one, 'chance')):>6}")
    for name, label in (("all", "on all held-out rows"), ("trusted", "on those that are not doubtful")):
        effect = words.effect_text(words.part(found, name))
        made += [f"  without them, {label}: {effect}"] if effect != words.DASH else []
    advice = words.short(words.part(found, "advice") or "", 300)
    return [*made, f"  -> {advice}"] if advice else made


def _cell(value: Any) -> str:
    return words.number(value) if words.finite(value) is not None else words.short(value, 24)


def table(told: Mapping[str, Any]) -> str:
    """All lines as one text."""
    return "\n".join(lines(told))
