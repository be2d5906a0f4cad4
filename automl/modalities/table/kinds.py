"""What each column of a table holds, and why it was read that way.

A dtype that says what it is is believed; texts are read by their distinct values. Being unique is not enough to be an
identifier: numbers must count rows or be named like an id, texts must look like codes. Values are read by parse.py.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.messages import percent
from automl.modalities.parse import (
    MISSING_WORDS,
    WORD_PAIRS,
    distinct,
    find_date_format,
    is_date,
    is_numeric,
    native_numbers,
    parse_dates,
    parse_numbers,
    to_dates,
    to_number,
    to_text,
)
from automl.records import UNUSED_KINDS, Column, Kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["describe", "looks_like_id", "percent", "to_dates", "to_number", "to_text"]

READABLE = 0.95  # share of the rows that must read as numbers or dates for the column to be one
SAMPLE = 5_000  # distinct texts looked at by the costly tests
UNIQUE = 0.95  # share of distinct texts from which on a column says nothing by its categories
FEW_ROWS = 20  # below it uniqueness happens by chance
LONG = 30  # characters; longer than most codes and names
_ID_NAME = re.compile(
    r"(?:^|[^A-Za-z])(?:id|ids|uuid|guid|idx|index|row_?id|row_?num|row_?number|record_?number)$|^id[_\W]|^unnamed: 0$",
    re.IGNORECASE,
)
_ID_CAMEL = re.compile(r"[a-z](?:ID|Id|UUID|Uuid)$")
_HEX = re.compile(r"[0-9a-fA-F-]+")


def describe(frame: pd.DataFrame, group_column: str | None = None, *, is_all: bool = True) -> tuple[Column, ...]:
    """Read the kind of every column; the group column is left out of the features.

    `is_all`: there is nothing else to learn from; then a counter is better than nothing.
    """
    columns = [_describe(str(name), series) for name, series in frame.items()]
    if is_all and not any(column.kind not in UNUSED_KINDS for column in columns):
        columns = [_as_feature(column, frame[column.name]) for column in columns]
    reason = "group column: its equal values stay in one fold, so models do not see it"
    return tuple(
        replace(column, kind=Kind.IDENTIFIER, why=reason) if column.name == group_column else column
        for column in columns
    )


def looks_like_id(name: str) -> bool:
    """Whether a name says identifier: id, customer_id, PassengerId, uuid, ..."""
    return bool(_ID_NAME.search(name) or _ID_CAMEL.search(name))


def _as_feature(column: Column, series: pd.Series) -> Column:
    if column.kind != Kind.IDENTIFIER or not is_numeric(series) or looks_like_id(column.name):
        return column
    return replace(column, kind=Kind.NUMBER, why=f"{column.why.split(':')[0]}, but no other column varies: number")


def _describe(name: str, series: pd.Series) -> Column:
    if is_date(series):
        return _describe_dates(name, series)
    if is_numeric(series):
        return _describe_numbers(name, series)
    return _describe_texts(name, series)


def _describe_dates(name: str, series: pd.Series) -> Column:
    dates = to_dates(series, Column(name=name, kind=Kind.DATE, why="", missing=0.0, unique=0))
    known = dates[~np.isnat(dates)]
    unique = np.unique(known)
    missing = 1 - known.size / max(1, dates.size)
    plain = _plain(name, missing, unique.size, [str(value) for value in unique[:1]])
    if plain:
        return plain
    why = f"dates from {_day(unique[0])} to {_day(unique[-1])}"
    return Column(
        name=name,
        kind=Kind.DATE,
        why=why,
        missing=missing,
        unique=unique.size,
        examples=tuple(str(value) for value in known[:3]),
    )


def _describe_numbers(name: str, series: pd.Series) -> Column:
    import pandas as pd

    values = native_numbers(series)
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    unique = pd.unique(known)
    missing = 1 - known.size / max(1, values.size)
    examples = tuple(_show(value) for value in unique[:3].tolist())
    plain = _plain(name, missing, unique.size, examples)
    if plain:
        return plain
    low, high = unique.min(), unique.max()
    if unique.size == 2 and low == 0 and high == 1:
        return Column(
            name=name,
            kind=Kind.BOOLEAN,
            why="2 distinct values, 0 and 1: boolean",
            missing=missing,
            unique=2,
            examples=examples,
        )
    if why := _counts_rows(name, values, unique.size):
        return Column(name=name, kind=Kind.IDENTIFIER, why=why, missing=missing, unique=unique.size, examples=examples)
    why = f"{unique.size:,} distinct numbers from {_show(low.item())} to {_show(high.item())}"
    return Column(name=name, kind=Kind.NUMBER, why=why, missing=missing, unique=unique.size, examples=examples)


def _counts_rows(name: str, values: np.ndarray, unique: int) -> str:
    """Why whole numbers are an identifier, or nothing."""
    if values.dtype.kind not in "iu" or unique < values.size:
        return ""
    low, high, rows = int(values.min()), int(values.max()), int(values.size)
    if looks_like_id(name):
        return f"{unique:,} distinct whole numbers in as many rows, and the name says id: identifier"
    if rows < FEW_ROWS or (low >= 1500 and high <= 2200):  # years
        return ""
    if high - low + 1 == rows:
        return f"every whole number from {low:,} to {high:,} once: identifier"
    if high > low and np.unique(np.diff(values.astype(np.float64))).size == 1:
        return f"a row counter in equal steps from {int(values[0]):,} to {int(values[-1]):,}: identifier"
    return ""


def _describe_texts(name: str, series: pd.Series) -> Column:
    import pandas as pd

    codes, texts = distinct(series)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    rows, present = len(codes), int(counts.sum())
    missing = 1 - present / max(1, rows)
    examples = tuple(_cut(text) for text in texts[:3])
    column = Column(name=name, kind=Kind.CATEGORY, why="", missing=missing, unique=len(texts), examples=examples)
    if plain := _plain(name, missing, len(texts), examples):
        return plain
    if tuple(sorted(text.lower() for text in texts)) in WORD_PAIRS:
        why = f"2 distinct texts, {examples[0]!r} and {examples[1]!r}: boolean"
        return replace(column, kind=Kind.BOOLEAN, why=why)
    if not isinstance(series.dtype, pd.CategoricalDtype):
        if found := _as_numbers(column, texts, counts, rows) or _as_dates(column, texts, counts, rows):
            return found
        if found := _as_code_or_text(column, texts, present):
            return found
    share = f"{len(texts):,} distinct texts in {present:,} rows ({percent(len(texts) / present)})"
    return replace(column, why=f"{share}: category")


def _as_numbers(column: Column, texts: list[str], counts: np.ndarray, rows: int) -> Column | None:
    """The column as numbers, if nearly all of its rows read as such."""
    if not any(character.isdigit() for text in texts[:50] for character in text):
        return None
    if len(texts) > 200 and max(np.isfinite(parse_numbers(texts[:100], mark)).mean() for mark in (".", ",")) < 0.5:
        return None  # cheap: most texts end here
    sample, weight = _sample(texts, counts)
    said = np.array([text.lower() not in MISSING_WORDS for text in sample])
    if not said.any() or _are_padded(sample):
        return None
    shares = {}
    for decimal in (".", ","):
        read = np.isfinite(parse_numbers(sample, decimal))
        shares[decimal] = float(weight[read & said].sum() / weight[said].sum())
    decimal = "," if shares[","] > shares["."] else "."
    if shares[decimal] < READABLE:
        return None
    values = parse_numbers(texts, decimal)
    known = np.isfinite(values)
    unique = int(np.unique(values[known]).size)
    column = replace(column, missing=1 - float(counts[known].sum()) / rows, unique=unique, decimal=decimal)
    if plain := _plain(column.name, column.missing, unique, column.examples):
        return plain
    if values[known].size == rows and (values == np.floor(values)).all() and looks_like_id(column.name):
        why = f"{unique:,} distinct whole numbers as text in as many rows, and the name says id: identifier"
        return replace(column, kind=Kind.IDENTIFIER, why=why)
    share = "all" if shares[decimal] == 1 else f"{percent(shares[decimal])} of the"
    mark = " with a decimal comma" if decimal == "," else ""
    why = f"{share} values read as numbers{mark}, {unique:,} distinct: number"
    return replace(column, kind=Kind.NUMBER, why=why)


def _as_dates(column: Column, texts: list[str], counts: np.ndarray, rows: int) -> Column | None:
    """The column as dates, if nearly all of its texts follow one format."""
    sample, _ = _sample([text for text in texts if text.lower() not in MISSING_WORDS], counts, 2_000)
    date_format = find_date_format(sample, READABLE)
    if date_format is None:
        return None
    dates = parse_dates(texts, date_format)
    known = ~np.isnat(dates)
    why = f"texts read as dates ({date_format}) from {_day(dates[known].min())} to {_day(dates[known].max())}"
    missing = 1 - float(counts[known].sum() / rows)
    return replace(column, kind=Kind.DATE, why=why, missing=missing, date_format=date_format)


def _as_code_or_text(column: Column, texts: list[str], present: int) -> Column | None:
    """The column as strings whose words tell something, or as codes that tell rows apart; None: categories."""
    unique, share = len(texts), len(texts) / present
    if share < 0.5 and unique < 2_000:
        return None
    sample, _ = _sample(texts, np.ones(unique), 1_000)
    words = float(np.mean([_words(text) for text in sample]))
    length = float(np.mean([len(text) for text in sample]))
    are_hex = all(_HEX.fullmatch(text) for text in sample)
    measured = f"{unique:,} distinct texts in {present:,} rows ({percent(share)}) of {words:.1f} words on average"
    is_named = looks_like_id(column.name)
    are_short = words < 1.5 and (length <= LONG or are_hex)
    if share >= UNIQUE and (is_named or present >= FEW_ROWS) and are_short:
        marked = np.mean([any(c.isdigit() or c == "@" for c in text) for text in sample])
        if is_named or are_hex or marked > 0.9:  # names of people or places carry no digits, and may carry meaning
            return replace(column, kind=Kind.IDENTIFIER, why=f"{measured}, codes that tell rows apart: identifier")
    if (words >= 4 and (share >= 0.5 or words >= 8)) or (share >= UNIQUE and present >= FEW_ROWS):
        return replace(column, kind=Kind.STRING, why=f"{measured}: string")
    if length > LONG and words >= 2 and share >= 0.5:
        return replace(column, kind=Kind.STRING, why=f"{measured}, {length:.0f} characters each: string")
    return None


def _plain(name: str, missing: float, unique: int, examples: Any) -> Column | None:
    """The answer for a column with at most one value."""
    if unique > 1:
        return None
    if unique == 0:
        return Column(name=name, kind=Kind.CONSTANT, why="no value in any row: constant", missing=1.0, unique=0)
    value = next(iter(examples))
    if missing == 0:
        return Column(
            name=name,
            kind=Kind.CONSTANT,
            why=f"{_cut(value)!r} in every row: constant",
            missing=0.0,
            unique=1,
            examples=(_cut(value),),
        )
    why = f"{_cut(value)!r} or missing ({percent(missing)} of the rows): category, since being there may matter"
    return Column(name=name, kind=Kind.CATEGORY, why=why, missing=missing, unique=1, examples=(_cut(value),))


def _are_padded(sample: list[str]) -> bool:
    """Digits of one length, some with leading zeros: codes (08540), not numbers."""
    if not all(text.isdigit() for text in sample if text.lower() not in MISSING_WORDS):
        return False
    return any(len(text) > 1 and text.startswith("0") for text in sample)


def _sample(texts: list[str], counts: np.ndarray, size: int = SAMPLE) -> tuple[list[str], np.ndarray]:
    if len(texts) <= size:
        return texts, counts
    chosen = np.sort(np.random.default_rng(0).choice(len(texts), size, replace=False))
    return [texts[index] for index in chosen], counts[chosen]


def _words(text: str) -> int:
    """Words; in scripts without spaces every character counts as one."""
    return max(len(text.split()), sum(character >= "\u2e80" for character in text))


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _show(value: Any) -> str:
    return str(value) if isinstance(value, bool | int) else f"{value:.7g}"


def _day(date: np.datetime64) -> str:
    return str(date.astype("datetime64[D]"))
