"""Every figure is drawn from report.json: change what stands there, and the figure changes."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

import pytest
from report_made import paths, replaced
from test_browser import full

from automl.report import sections
from automl.report.page import piece

FIGURES = re.compile(r'<svg.*?</svg>|<table.*?</table>|<div class="split".*?</div>|<dl.*?</dl>', re.S)


def changed(value: Any) -> Any:
    """Another value of the same type, near enough to stay on the same axis."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value * 0.97 if isinstance(value, float) else value + "q"


@pytest.mark.parametrize("name", sections.names())
def test_every_figure_changes_with_the_json(name: str) -> None:
    """Each picture, table, bar and list of numbers of a section, whoever adds it, hangs on something that is told."""
    section, report = sections.get(name), full()
    before = FIGURES.findall(str(piece(section, report).drawn))
    fixed = set(range(len(before)))
    by_key = {
        key: [(key, *path) for path in paths(value)]
        for key, value in report.items()
        if not isinstance(value, int | str)
    }
    first = [path for key in section.holds.__annotations__ for path in by_key.pop(key, [])]
    in_turn = [path for some in zip_longest(*by_key.values()) for path in some if path]
    for path in [*first, *in_turn]:
        value: Any = report
        for step in path:
            value = value[step]
        if not fixed:
            break
        if isinstance(value, bool | int | float | str):
            after = FIGURES.findall(str(piece(section, replaced(report, path, changed(value))).drawn))
            fixed -= {at for at in fixed if len(after) != len(before) or after[at] != before[at]}
    assert [before[at][:200] for at in sorted(fixed)] == []
