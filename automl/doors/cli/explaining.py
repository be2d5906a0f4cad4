"""What `automl explain` does: how the answers to single rows come about, for people or for machines."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.cli.streams import print_json, readable, write_table
from automl.errors import InputError

if TYPE_CHECKING:
    from automl.model.explaining import Explanation

MOST_SHOWN = 8  # columns or words of a row
MOST_ROWS = 20  # on a terminal


def explain(given: Namespace) -> int:
    """Explain rows by a model of one target."""
    from automl.model.bundle import Bundle, load

    model = load(given.model)
    if isinstance(model, Bundle):
        places = ", ".join(model.targets)
        raise InputError(f"{given.model!r} holds models of several targets, {places}. Name the folder of one of them.")
    return explain_by(model, given)


def explain_by(model: Any, given: Namespace) -> int:
    """Explain rows by a model, wherever that is."""
    with readable(given.data) as data:
        rows = model.rows(data)
        shown = rows if given.json or given.output is not None else rows.iloc[:MOST_ROWS]
        usual = () if given.background is None else (given.background,)
        found = model.explain(shown, _label(model, given.label), given.column, *usual)
    if given.json:
        print_json({"method": found.method, "rows": [_plain(one) for one in found]})
    elif given.output is not None:
        if not found.columns:
            raise InputError("there is no column beside the one that was decoded, so there is no table to write. "
                             "Leave --output out, or use --json.")  # fmt: skip
        write_table(found.table(), Path(given.output))
        print(f"{len(found):,} rows explained in {given.output}", file=sys.stderr)
    else:
        print("\n\n".join(map(_told, found)))
        if len(rows) > len(shown):
            print(f"note: {len(rows) - len(shown):,} more rows; --output writes all of them", file=sys.stderr)
    return 0


def _label(model: Any, text: str | None) -> Any:
    """The class whose spelling this is; what is none is refused by the model."""
    known = model.classes or list(model.levels)
    return next((label for label in known if str(label) == text), text)


def _told(one: Explanation) -> str:
    """A row for people."""
    from automl.report.words import number, short

    what = f" of {one.label}" if one.label is not None else ""
    lines = [f"row {one.row}: " + (f"{one.unit}{what} {number(one.said)}" if one.columns else str(one.label or ""))]
    lines[0] = lines[0].rstrip(": ")
    if one.columns:
        shown = one.columns[:MOST_SHOWN]
        width = max(len(short(own.column, 30)) for own in shown)
        lines.append(f"  {'usually':<{width}}  {number(one.base):>10}")
        lines += [
            f"  {short(own.column, 30):<{width}}  {_signed(own.contribution):>10}  {short(own.value, 40)}"
            for own in shown
        ]
        if rest := one.columns[MOST_SHOWN:]:
            added = sum(own.contribution for own in rest)
            lines.append(f"  {f'{len(rest)} others':<{width}}  {_signed(added):>10}")
    for column, words in one.words.items():
        weighed = sorted(words, key=lambda pair: -abs(pair[1]))[:MOST_SHOWN]
        lines.append(f"  {short(column, 30)}: " + ", ".join(f"{word} {_signed(weight)}" for word, weight in weighed))
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _plain(one: Explanation) -> dict[str, Any]:
    """A row for machines."""
    columns = [
        {"column": own.column, "value": own.value, "contribution": own.contribution, "error": own.error}
        for own in one.columns
    ]
    told = {"row": one.row, "label": one.label, "unit": one.unit, "base": one.base, "said": one.said}
    return {**told, "columns": columns, "words": dict(one.words), "maps": dict(one.maps)}
