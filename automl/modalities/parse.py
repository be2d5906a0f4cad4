"""Cells to values: texts, numbers and dates, by the same rules at training and at prediction.

Every distinct text is read once and looked up for its rows. What cannot be read becomes missing (NaN, NaT, -1), never
an error: a schema is told of it, and decides whether that is acceptable.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.records import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

MISSING_WORDS = frozenset(  # in a column of numbers or dates these say that nothing is known
    {"", "?", "-", "--", ".", "na", "n/a", "#n/a", "nan", "nat", "<na>", "null", "none", "missing", "unknown"}
    | {"inf", "+inf", "-inf", "infinity", "-infinity"}
)
WORD_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("0", "1"))  # no, yes
WORDS = {word: float(value) for pair in WORD_PAIRS for value, word in enumerate(pair)}
MOST_WHOLE = 2.0**53  # up to which a float is the whole number that was written
ISO = "ISO8601"  # pandas' name for any ISO form: with or without time, fraction and zone

# Ties go to the earlier form: with slashes the month first, with dots and dashes the day first.
_DAYS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y"),
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y", "%d-%b-%y", "%d%b%Y"),
    *("%b %Y", "%b-%Y", "%B %Y", "%a, %d %b %Y", "%a %b %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S %z")
_DATE_SHAPE = re.compile(
    r"(?:[A-Za-z]{3},? )?(?:\d{1,4}[-/. ]?(?:\d{1,2}|[A-Za-z]{3,9})(?:[-/. ,]+\d{1,4}|[A-Za-z]*\d{4}\b)"
    r"|\d{4}[-/]\d{1,2}$|[A-Za-z]{3,9}[- ](?:\d{1,2},? )?\d{4})"
)
_GROUPED = r"[1-9]\d{{0,2}}(?:[{groups}]\d{{3}})+"
_NUMBER = {
    mark: re.compile(
        rf"[+-]?(?=[{mark}]?\d)(?:{_GROUPED.format(groups=groups)}|\d*)(?:[{mark}]\d*)?(?:[eE][+-]?\d+)?", re.ASCII
    )
    for mark, groups in ((".", ",' \u00a0\u202f"), (",", ".' \u00a0\u202f"))
}
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SIGNS = re.compile(r"^([+-]?)\s*[$€£¥₹]\s*|\s*[$€£¥₹%]$")


def spell(value: Any) -> str:
    """The text of a cell: 3 and 3.0 agree, whatever dtype held them."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float | np.floating) and (number := float(value)).is_integer() and abs(number) <= MOST_WHOLE:
        return str(int(number))
    return str(value).strip()


def distinct(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Per row the number of its text in the list of distinct texts, -1 where missing or blank; every text occurs."""
    import pandas as pd

    series = _dense(series)
    values: list[Any]
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, values = series.cat.codes.to_numpy(np.int64), list(series.cat.categories)
    elif series.dtype.kind in "iufb" or isinstance(series.dtype, pd.StringDtype):
        codes, uniques = pd.factorize(series)
        values = list(uniques)
    else:  # anything: even what cannot be hashed has a text
        cells = series.astype(object)
        gone = cells.isna().to_numpy()
        codes = np.full(len(series), -1, dtype=np.int64)
        spelled = np.array([spell(value) for value in cells.to_numpy()[~gone]], dtype=object)
        codes[~gone], found = pd.factorize(spelled)
        values = list(found)
    texts = [spell(value) for value in values]
    present = np.bincount(codes[codes >= 0], minlength=len(texts)) > 0
    number: dict[str, int] = {}
    lookup = np.full(len(texts) + 1, -1, dtype=np.int64)  # its last entry answers -1
    for index, text in enumerate(texts):
        if text and present[index]:
            lookup[index] = number.setdefault(text, len(number))
    return lookup[codes], list(number)


def _dense(series: pd.Series) -> pd.Series:
    import pandas as pd

    accessor: Any = series.sparse if isinstance(series.dtype, pd.SparseDtype) else None
    return series if accessor is None else accessor.to_dense()


def is_numeric(series: pd.Series) -> bool:
    """Whether the dtype itself says numbers or truth values."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        return False
    return series.dtype.kind in "biufm" or (pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind != "c")


def is_date(series: pd.Series) -> bool:
    """Whether the dtype itself says dates."""
    import pandas as pd

    return series.dtype.kind == "M" or isinstance(series.dtype, pd.PeriodDtype)


def native_numbers(series: pd.Series) -> np.ndarray:
    """A numeric series as a NumPy array: its own dtype where nothing is missing, else float64 with NaN."""
    series = _dense(series)
    if series.dtype.kind == "m":
        return np.asarray(series.dt.total_seconds().to_numpy(dtype=np.float64, na_value=np.nan))
    if isinstance(series.dtype, np.dtype):
        values = series.to_numpy()
        return values.astype(np.float64) if values.dtype in (np.float16, np.longdouble) else values
    if series.dtype.kind in "iu" and not series.isna().any():
        return series.to_numpy(dtype=np.int64 if series.dtype.kind == "i" else np.uint64)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def to_number(series: pd.Series, column: Column) -> np.ndarray:
    """Float64, NaN where missing, infinite or not readable as a number (for a boolean column: as yes or no)."""
    return read_numbers(series, column)[0]


def read_numbers(series: pd.Series, column: Column) -> tuple[np.ndarray, list[str]]:
    """The numbers as `to_number` gives them, and the texts that are neither numbers nor words for a missing cell."""
    if is_numeric(series):
        values = native_numbers(series).astype(np.float64)
        return np.where(np.isfinite(values), values, np.nan), []
    codes, texts = distinct(series)
    values = parse_numbers(texts, column.decimal)
    if column.kind == Kind.BOOLEAN:
        values = np.array([WORDS.get(text.lower(), value) for text, value in zip(texts, values, strict=True)])
    return np.asarray(np.append(values, np.nan)[codes]), _unread(texts, np.isnan(values))


def to_dates(series: pd.Series, column: Column) -> np.ndarray:
    """datetime64[s], NaT where missing or not readable; times with a zone are told in UTC."""
    return read_dates(series, column)[0]


def read_dates(series: pd.Series, column: Column) -> tuple[np.ndarray, list[str]]:
    """The dates as `to_dates` gives them, and the texts that are neither dates nor words for a missing cell.

    A text is read in the column's own format, else as an ISO date, which means the same everywhere.
    """
    import pandas as pd

    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        return series.to_numpy().astype("datetime64[s]"), []
    codes, texts = distinct(series)
    dates = parse_dates(texts, column.date_format or ISO)
    if column.date_format not in (None, ISO) and (left := np.flatnonzero(np.isnat(dates))).size:
        dates[left] = parse_dates([texts[at] for at in left.tolist()], ISO)
    return np.asarray(np.append(dates, np.datetime64("NaT", "s"))[codes]), _unread(texts, np.isnat(dates))


def _unread(texts: Sequence[str], are_missing: np.ndarray) -> list[str]:
    return [texts[at] for at in np.flatnonzero(are_missing).tolist() if texts[at].lower() not in MISSING_WORDS]


def by_value(labels: Sequence[str]) -> Mapping[str, str]:
    """The labels by `value_of`, those that are alone with it: a reader that saw few rows takes 007 for the number 7."""
    found: dict[str, str] = {}
    shared = set()
    for label in labels:
        if (value := value_of(label)) is not None and found.setdefault(value, label) != label:
            shared.add(value)
    return {value: label for value, label in found.items() if value not in shared}


def value_of(text: str) -> str | None:
    """What a number or a truth value is once its spelling is lost: 1 of '1.0' and '01', 'true' of 'TRUE'; else None."""
    if text.lower() in ("true", "false"):
        return text.lower()
    if not _PLAIN_NUMBER.fullmatch(text):
        return None
    return spell(float(text)) if math.isfinite(float(text)) else None


def to_text(series: pd.Series) -> np.ndarray:
    """Stripped texts as objects, None where missing or blank."""
    codes, texts = distinct(series)
    return np.asarray(np.array([*texts, None], dtype=object)[codes])


def parse_numbers(texts: Sequence[str], decimal: str = ".") -> np.ndarray:
    """Numbers as people write them: '1,234', '12 %', '$5.00', '(3)', with decimal=',' also '3,14'; else NaN."""
    import pandas as pd

    values = np.full(len(texts), np.nan)
    if decimal == "." and len(texts):  # the usual spelling, at the speed of C
        values = pd.to_numeric(pd.Series(list(texts), dtype=object), errors="coerce").to_numpy(np.float64, copy=True)
    for index in np.flatnonzero(np.isnan(values)).tolist():
        values[index] = _number(texts[index], decimal)
    values[~np.isfinite(values)] = np.nan
    return values


def _number(text: str, decimal: str) -> float:
    body = text.strip()
    is_negative = body.startswith("(") and body.endswith(")")  # bookkeepers' minus
    body = _SIGNS.sub(lambda found: found[1] or "", body[1:-1] if is_negative else body)
    if not _NUMBER[decimal].fullmatch(body):
        return math.nan
    whole, _, rest = body.partition(decimal)
    value = float(re.sub(r"[,.' \u00a0\u202f]", "", whole) + (f".{rest}" if rest else ""))
    return -value if is_negative else value


def parse_dates(texts: Sequence[str], date_format: str) -> np.ndarray:
    """datetime64[s] of texts in one format; NaT where a text does not follow it."""
    import pandas as pd

    stamps = pd.to_datetime(pd.Series(list(texts), dtype=object), format=date_format, errors="coerce", utc=True)
    return stamps.dt.tz_localize(None).to_numpy().astype("datetime64[s]")


def find_date_format(texts: Sequence[str], share: float = 0.95) -> str | None:
    """The format that reads most of these texts, if it reads at least this share; the evidence is all of them."""
    few = texts[:50]
    if not few or np.mean([bool(_DATE_SHAPE.match(text)) for text in few]) < share:
        return None
    best, best_share = None, 0.0
    for date_format in (ISO, *(day + time for day in _DAYS for time in _TIMES)):
        if np.isnat(parse_dates(texts[:5], date_format)).all():  # cheap: most formats end here
            continue
        read = float(1 - np.isnat(parse_dates(texts, date_format)).mean())
        if read > best_share:
            best, best_share = date_format, read
        if best_share == 1.0:
            break
    return best if best_share >= share else None
