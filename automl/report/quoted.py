"""The quote in words: a line at the start of a run, a table for `automl quote`, and beside the bill what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.records.quote import Quote, Range
from automl.report import words

HEAD = ("route", "good in", "flattened in", "{currency}", "kWh")


def line(quote: Quote) -> str:
    """In one line, of the way that the run goes."""
    first = quote.routes[0]
    paid = f"{words.number(first.flattened.money.middle, 2)} {quote.currency}"
    kwh = f"{words.number(first.flattened.kwh.middle, 2)} kWh"
    return (
        f"quote: good in {_span(first.good.seconds)}, flattened in {_span(first.flattened.seconds)}, "
        f"then about {paid} and {kwh}; {quote.advice}"
    )


def table(quote: Quote) -> str:
    """Every route with its ranges; what good and flattened mean; one line of advice."""
    cores = f"{quote.cores} core{'s' if quote.cores != 1 else ''}"
    gpus = f" and {quote.gpus:g} GPU{'s' if quote.gpus != 1 else ''}" if quote.gpus else ""
    rows = [tuple(name.format(currency=quote.currency) for name in HEAD)]
    for one in quote.routes:
        flat = one.flattened
        rows.append((one.route, _span(one.good.seconds), _span(flat.seconds), _amount(flat.money), _amount(flat.kwh)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([
        f"{quote.rows:,} rows, {quote.task}, on {cores}{gpus}; {words.seconds(quote.reading_s)} of it to read the data",
        *lines,
        "good: within 5 % of the error that plenty of time would end with; flattened: within 1 %, with what it costs "
        "until then; in brackets 10 to 90 %",
        f"rests on: {quote.rests_on}",
        f"advice: {quote.advice}",
    ])  # fmt: skip


def beside(report: Any) -> str:
    """After a run, in one line: what was quoted, what came, and what was paid; empty without a quote."""
    told = words.part(report, "cost", "quote")
    first = next(iter(words.each(words.part(told, "routes"))), None)
    if first is None:
        return ""
    parts = [f"{name} {_came(first, told, mark)}" for name, mark in (("good", "good"), ("flattened", "flattened"))]
    bill = words.part(report, "cost", "invoice")
    paid = f"{words.number(words.part(bill, 'money'), 2)} {words.short(words.part(bill, 'currency'), 4)}"
    return f"bill: {'; '.join(parts)}; paid {paid} and {words.number(words.part(bill, 'kwh'), 2)} kWh"


def _came(first: Mapping[str, Any], told: Any, mark: str) -> str:
    """Quoted and reached."""
    reached = words.finite(words.part(told, "reached", f"{mark}_s"))
    came = "not reached" if reached is None else f"came at {words.seconds(reached)}"
    low, high = (words.part(first, mark, "seconds", end) for end in ("low", "high"))
    return f"{came} (quoted {words.seconds(low)} to {words.seconds(high)})"


def _span(seconds: Range) -> str:
    return f"{words.seconds(seconds.middle)} ({words.seconds(seconds.low)} to {words.seconds(seconds.high)})"


def _amount(amount: Range) -> str:
    middle, low, high = (words.number(value, 2) for value in (amount.middle, amount.low, amount.high))
    return f"{middle} ({low} to {high})"
