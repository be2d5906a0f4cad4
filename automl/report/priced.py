"""What a model of the leaderboard costs: on every axis it can be drawn along, and in words.

Rows of older reports lack most of it; what is missing is left out of both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from automl.report import words
from automl.report.words import finite, part

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A cost that models are drawn along; logarithmic, so it begins at `least`."""

    name: str
    label: str  # on its switch
    head: str  # above a column
    told: str  # along the picture
    least: float
    of: Callable[[Row], float | None]
    text: Callable[[Any], str]


def row_ms(row: Row) -> float | None:
    """Milliseconds for one row, as measured where it was; else as estimated from the folds."""
    measured = finite(part(row, "latency", "one", "p50"))
    return finite(row.get("row_ms")) if measured is None else measured


def amount(value: Any) -> str:
    """A small sum with two digits, written out as prices are: 0.000041."""
    given = finite(value)
    if given is None or not 1e-9 <= abs(given) < 1e-3:
        return words.number(value, 2)
    return words.fixed(given, 1 - math.floor(math.log10(abs(given))))


AXES = (
    Axis("latency", "latency", "one row", "milliseconds to predict one row", 1e-4, row_ms, words.milliseconds),
    Axis("money", "money", "{currency} a million", "{currency} for a million predictions", 1e-9,
         lambda row: finite(part(row, "million", "money")), amount),
    Axis("kwh", "energy", "energy a million", "kWh for a million predictions", 1e-9,
         lambda row: finite(part(row, "million", "kwh")), lambda value: f"{amount(value)} kWh"),
    Axis("size", "size", "on disk", "MB on disk", 1e-4, lambda row: finite(row.get("size_mb")), words.megabytes),
    Axis("memory", "memory", "in memory", "MB of memory at its peak", 0.1, lambda row: finite(row.get("memory_mb")),
         words.megabytes),
)  # fmt: skip


def currency(rows: list[Row]) -> str:
    """In which the rows count money."""
    named = (part(row, "million", "currency") or part(row, "train", "currency") for row in rows)
    return words.short(next(filter(None, named), "money"), 5)


def roles(row: Row, chosen: Any) -> list[str]:
    """What a row was picked for, that it was chosen first."""
    is_chosen = row.get("name") is not None and row.get("name") == chosen
    return ["chosen"] * is_chosen + [words.short(pick, 40) for pick in words.each(row.get("picks"))]


def facts(row: Row, chosen: Any = None) -> list[tuple[str, str]]:
    """All that is known of a model, each with its name."""
    money = currency([row])
    found = [
        ("score", words.score_text(row.get("score"))),
        ("one row", latency(part(row, "latency", "one")) or known(row_ms(row), words.milliseconds)),
        ("times", {True: "measured on the saved model", False: "estimated from its folds"}.get(_measured(row), "")),
        (
            f"{batch(row)} rows at once",
            latency(part(row, "latency", "many")) or known(row.get("batch_ms"), words.milliseconds),
        ),
        ("a million predictions", _paid(part(row, "million"), money)),
        ("training", _trained(row, money)),
        ("on disk", known(row.get("size_mb"), words.megabytes)),
        ("memory", known(row.get("memory_mb"), words.megabytes)),
        ("the best of all", known(row.get("p_best"), chance)),
        ("on the frontier", known(row.get("p_frontier"), chance)),
        ("beside the best", "cannot be told apart from it" if row.get("tied_with_best") is True else ""),
        ("picked as", ", ".join(roles(row, chosen))),
    ]
    return [(name, text) for name, text in found if text]


def batch(row: Row) -> str:
    """How many rows were predicted at once."""
    return words.number(part(row, "latency", "many", "rows") or 1000)


def latency(found: Any) -> str:
    """A measured time: its median, what 95 of 100 stay below, and how far the median moved."""
    middle, slow = finite(part(found, "p50")), finite(part(found, "p95"))
    if middle is None:
        return ""
    low, high = words.ends(found)
    told = [] if slow is None else [f"95 of 100 within {words.milliseconds(slow)}"]
    told += (
        [] if low is None or high is None else [f"median between {words.number(low, 3)} and {words.number(high, 3)}"]
    )
    return words.milliseconds(middle) + (f" ({'; '.join(told)})" if told else "")


def known(value: Any, text: Callable[[Any], str]) -> str:
    """The value in words; nothing where there is none."""
    return "" if finite(value) is None else text(value)


def chance(value: Any) -> str:
    """A probability by the bootstrap."""
    return f"{words.percent(value)} likely"


def _measured(row: Row) -> Any:
    found = part(row, "latency", "measured")
    return found if isinstance(found, bool) else None


def _paid(found: Any, money: str) -> str:
    told = [known(part(found, "money"), lambda value: f"{amount(value)} {money}")]
    told.append(known(part(found, "kwh"), lambda value: f"{amount(value)} kWh"))
    return ", ".join(filter(None, told))


def _trained(row: Row, money: str) -> str:
    spent = part(row, "train", "s")
    told = [known(row.get("fit_s") if finite(spent) is None else spent, lambda value: f"{words.seconds(value)} of CPU")]
    return ", ".join(filter(None, [*told, _paid(part(row, "train"), money)]))
