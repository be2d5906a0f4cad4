"""The report of a run: JSON first, then one self-contained page drawn from that JSON and nothing else.

`schema.Report` says what the JSON holds. The page needs no network and no script, and asks the browser to run none:
names and labels come from the user's data and may hold anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.plain import as_json
from automl.report import charts as pictures
from automl.report import columns, samples, words

if TYPE_CHECKING:
    from jinja2 import Environment, Template

WIDE, NARROW = 900, 380  # pixels of a picture on a desk and on a phone
HEAD = 10  # rows of the leaderboard that are open whatever they are
_SEVERITY = {"danger": 0, "warning": 1, "info": 2}
_PLAIN_FILTERS = (words.number, words.fixed, words.seconds, words.milliseconds, words.megabytes, words.percent)


def write(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write report.json and, from what it holds, report.html into the folder; give both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(report), ensure_ascii=False, indent=1, allow_nan=False)
    # a name from broken text may hold half a character; JSON spells it \udc80, HTML as a reference
    data = put(folder / "report.json", text, "backslashreplace")
    page = put(folder / "report.html", draw(json.loads(data.read_text(encoding="utf-8")), folder), "xmlcharrefreplace")
    return data, page


def draw(report: Mapping[str, Any], folder: Path | None = None) -> str:
    """The page of a report, given as plain JSON values (`schema.Report`); missing parts are left out or dashed.

    `folder`: of the run, whose pictures go into the page.
    """
    first, others = _by_interest(report)
    shown: dict[str, Any] = {"report": report, "chosen": words.chosen_row(report)}
    shown |= {"first_rows": first, "other_rows": others, "confusion": samples.table(report)}
    shown["cards"] = samples.cards(report, None if folder is None else folder / samples.FOLDER)
    return _page().render(shown | _drawings(report))


def _by_interest(report: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The leaderboard's rows in two: its head with all that is on the frontier or chosen, and the others."""
    rows, chosen = _each(report.get("leaderboard")), words.part(report, "verdict", "chosen")
    stays = [
        index < HEAD
        or words.part(row, "on_frontier") is True
        or (chosen is not None and words.part(row, "name") == chosen)
        for index, row in enumerate(rows)
    ]
    head = [row for row, is_head in zip(rows, stays, strict=True) if is_head]
    return head, [row for row, is_head in zip(rows, stays, strict=True) if not is_head]


def put(path: Path, text: str, errors: str) -> Path:
    """Write the file whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8", errors=errors)
    return beside.replace(path)


def _drawings(report: Mapping[str, Any]) -> dict[str, Any]:
    """The pictures, each as a wide and a narrow one, and the small intervals of the tables."""
    from markupsafe import Markup

    def both(draw_one: Callable[[int], str]) -> tuple[Markup, Markup]:
        return Markup(draw_one(WIDE)), Markup(draw_one(NARROW))  # noqa: S704 - pictures escape what they show

    def strips(rows: Any) -> Callable[[Any, str], Markup]:
        scores = [words.part(row, "score") for row in _each(rows)]
        scale = pictures.interval_scale(scores)
        return lambda score, kind: Markup(pictures.interval(score, scale, kind))  # noqa: S704 - made of numbers

    stages, families = pictures.stage_bars(report), pictures.family_bars(report)
    return {
        "frontier": both(lambda width: pictures.frontier(report, width)),
        "columns": both(lambda width: columns.bars(report, width)),
        "progress": both(lambda width: pictures.progress(report, width)),
        "stages": both(lambda width: pictures.bars(stages, width, "stages", "Seconds by stage")),
        "families": both(lambda width: pictures.bars(families, width, "families", "CPU seconds by family")),
        "board_strip": strips(report.get("leaderboard")),
        "evidence_strip": strips(words.part(report, "decision", "evidence")),
    }


@cache
def _page() -> Template:
    """The template, read where the package lies, be it a folder or an archive."""
    source = resources.files("automl.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment().from_string(source)


def environment() -> Environment:
    """Jinja with the words of these pages: whatever is missing is a dash, whatever is shown is escaped."""
    from jinja2 import ChainableUndefined, Environment
    from markupsafe import Markup

    def is_missing(value: Any) -> bool:
        return value is None or isinstance(value, ChainableUndefined)

    def cut(value: Any, length: int = 40) -> str:
        """The text, shortened to the eye; the rest of it on hover."""
        if is_missing(value) or not str(value).strip():
            return words.DASH
        shown = words.short(value, length)
        if len(shown) >= len(str(value).strip()):
            return shown
        return Markup('<span title="{}">{}</span>').format(words.short(value, 600), shown)

    environment = Environment(
        autoescape=True,
        undefined=ChainableUndefined,
        finalize=lambda value: words.DASH if is_missing(value) else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cut": cut,
        "each": _each,
        "pairs": lambda value: list(value.items()) if isinstance(value, Mapping) else [],
        "by_severity": lambda rows: sorted(rows, key=lambda row: _SEVERITY.get(words.part(row, "severity"), 3)),
        "score": words.value_of,
        "interval": words.interval_text,
    }
    environment.filters |= {one.__name__: one for one in _PLAIN_FILTERS}
    environment.globals |= {
        "places": words.decimals,
        "verdict_of": words.verdict,
        "readout_of": words.readout,
        "coverage_of": words.coverage,
    }
    return environment


def _each(value: Any) -> list[Any]:
    """The items of a list; none where there is no list."""
    return list(value) if isinstance(value, list | tuple) else []
