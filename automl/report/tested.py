"""Whether the score on data that was kept apart keeps what was promised, in one sentence."""

from __future__ import annotations

from typing import Any

from automl.report import words


def told(report: Any) -> str:
    """The sentence; empty where no data was kept apart, or nothing was promised."""
    promised, test = (words.part(report, "verdict", name) for name in ("score", "test"))
    value, (low, high) = words.value_of(test), words.ends(promised)
    if value is None or low is None or high is None:
        return ""
    places = words.decimals(promised)
    span = f"{words.fixed(low, places)} to {words.fixed(high, places)}"
    shown = f"{words.short(words.part(promised, 'metric') or 'score', 24)} {words.fixed(value, places)}"
    if low <= value <= high:
        return f"The promise was kept: {shown} on your test data is within the {span} that was promised."
    is_higher = words.part(promised, "higher_is_better") is not False
    if (value > high) == is_higher:
        return f"Better than promised: {shown} on your test data, {span} was promised."
    told = f"The promise was not kept: {shown} on your test data, {span} was promised."
    edge, ends = low if is_higher else high, words.ends(test)
    reach = ends[1 if is_higher else 0]
    if reach is not None and (reach >= edge if is_higher else reach <= edge):
        return f"{told} On as few rows as these that may be chance."
    return f"{told} The test data may be of another kind than what was learned from: look at the audit."
