"""The short form of a report for a notebook: the verdict, the models by name, a small picture.

It stands in someone else's page: its style touches nothing outside of it, it has no script, no ids, and colours of its
own, since a notebook's theme is not the device's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from automl.report import priced, scatter, words
from automl.report.charts import NARROW, rows_of
from automl.report.page import environment, source
from automl.report.sections.picks import picks

if TYPE_CHECKING:
    from jinja2 import Template


def draw(report: Mapping[str, Any], place: str = "") -> str:
    """A few kilobytes of HTML, drawn from the report's JSON; `place`: where the whole report lies, in words."""
    from markupsafe import Markup

    found = scatter.marks(report)
    along = next(iter(scatter.axes_of(found)), None)
    drawn = "" if along is None else scatter.draw(report, found, along, NARROW, is_alone=True)
    rows = rows_of(report, "leaderboard")
    axes = [axis for axis in priced.AXES if any(axis.of(row) is not None for row in rows)]
    heads = [axis.head.format(currency=priced.currency(rows)) for axis in axes]
    return _template().render(
        sentence=words.part(report, "verdict", "sentence") or words.verdict(report),
        lines=words.verdict_lines(report)[:1],
        picks=picks(report),
        heads=heads,
        drawn=Markup(drawn),  # noqa: S704 - pictures escape what they show
        place=place,
        report=report,
    )


@cache
def _template() -> Template:
    return environment().from_string(source("short.html.j2"))
