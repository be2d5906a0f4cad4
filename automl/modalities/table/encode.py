"""A table as plain arrays, by a schema that is fixed at training and saved with the model.

Nothing here looks at the answers, so it is done once per run and its arrays are shared by all trials; what must be
learned inside a fold is in features.py. Values are looked up by their text, never by a category's position in memory,
so codes cannot drift between training and prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import SchemaError
from automl.modalities.files.read import MISSING
from automl.modalities.parse import by_value, distinct, read_dates, read_numbers, value_of
from automl.modalities.protocol import Raw, Unseen
from automl.modalities.table.words import are_words
from automl.plain import as_json
from automl.records import Column, Kind

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 20_000  # of one column; the rarest beyond it count as unseen
DATE_PARTS = ("days", "year", "month", "day", "weekday", "hour")
FEW_CELLS = 1_000_000  # up to which columns of numbers are read together
MAX_WORDS = 50  # that a column of numbers or dates may hold beside them; one that has more has words without end
FLOAT32_EXACT = 2**24  # whole numbers beyond it lose digits in float32, so such columns are centred first


@dataclass(frozen=True)
class Coding:
    """How one column becomes numbers, codes or texts."""

    column: Column
    labels: tuple[str, ...] = ()  # of a category: the values seen, in code order
    offset: float = 0.0  # taken off numbers too large for float32
    has_time: bool = False  # a date column whose values differ in their hours
    words: tuple[str, ...] | None = ()  # in training among numbers or dates, read as missing; None: any word may be

    @cached_property
    def lookup(self) -> dict[str | None, int]:
        """Code of each label; 0 stays for missing and unseen."""
        return {label: code for code, label in enumerate(self.labels, start=1)}

    @cached_property
    def values(self) -> Mapping[str, str]:
        """The label that each number or truth value stands for, where its spelling was lost on the way here."""
        return by_value(self.labels)

    def code(self, text: str | None) -> int:
        """Code of one text."""
        code = self.lookup.get(text, 0)
        if code or text is None or (value := value_of(text)) is None:
            return code
        return self.lookup.get(self.values.get(value), 0)

    @cached_property
    def has_words(self) -> bool:
        """Whether its labels are made of words."""
        return are_words(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers this column gives."""
        if self.column.kind == Kind.DATE:
            parts = DATE_PARTS if self.has_time else DATE_PARTS[:-1]
            return tuple(f"{self.column.name}.{part}" for part in parts)
        return (self.column.name,) if self.column.kind in (Kind.NUMBER, Kind.BOOLEAN) else ()


def encode(frame: pd.DataFrame, codings: Sequence[Coding]) -> Raw:
    """Arrays of a frame's plain columns; cells that cannot be read are refused by name."""
    numbers: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    texts: list[np.ndarray] = []
    unseen: list[Unseen] = []
    together = _numbers_together(frame, codings)
    for coding in codings:
        if (values := together.get(coding.column.name)) is not None:
            numbers.append(values)
            continue
        series = frame[coding.column.name]
        if coding.column.kind == Kind.CATEGORY:
            codes.append(_codes(series, coding))
            if coding.has_words and not codes[-1].all():
                unseen.append(_unseen(series, codes[-1], len(codes) - 1))
        elif coding.column.kind == Kind.STRING:
            texts.append(_texts(series))
        else:
            numbers.extend(_numbers(series, coding))
    rows = len(frame)
    return Raw(
        np.stack(numbers, axis=1) if numbers else np.empty((rows, 0), dtype=np.float32),
        np.stack(codes, axis=1) if codes else np.empty((rows, 0), dtype=np.int32),
        tuple(texts),
        tuple(u for u in unseen if len(u.rows)),
    )


def _numbers_together(frame: pd.DataFrame, codings: Sequence[Coding]) -> dict[str, np.ndarray]:
    """Of few rows the columns whose dtype says numbers, as `_numbers` reads each: one by one, a row takes as long as
    its table is wide.
    """
    if frame.size > FEW_CELLS:
        return {}
    known = {dtype for dtype in frame.dtypes.unique() if isinstance(dtype, np.dtype) and dtype.kind in "iufb"}
    found = frame.select_dtypes(include=list(known)) if known else frame.iloc[:, :0]
    place = {name: at for at, name in enumerate(found.columns.tolist())}
    able = [one for one in codings if one.column.kind in (Kind.NUMBER, Kind.BOOLEAN) and one.column.name in place]
    if len(able) < 2:
        return {}
    values = found.to_numpy(np.float64)[:, [place[one.column.name] for one in able]]
    offsets, limit = np.array([one.offset for one in able]), np.finfo(np.float32).max
    read = np.clip(np.where(np.isfinite(values), values, np.nan) - offsets, -limit, limit).astype(np.float32)
    return {one.column.name: read[:, at] for at, one in enumerate(able)}


def check(frame: pd.DataFrame, codings: Sequence[Coding]) -> None:
    """Refuse what `encode` would refuse."""
    for coding in codings:
        if coding.column.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATE):
            _values(frame[coding.column.name], coding)


def coding_as_json(coding: Coding) -> dict[str, Any]:
    """Plain values, read back by `coding_from_json`."""
    return {
        "column": as_json(coding.column),
        "labels": list(coding.labels),
        "offset": coding.offset,
        "has_time": coding.has_time,
        "words": None if coding.words is None else list(coding.words),
    }


def coding_from_json(entry: Mapping[str, Any]) -> Coding:
    """What `coding_as_json` wrote."""
    words = entry.get("words")  # models saved before there were any take all words for missing
    column = column_from_json(entry["column"])
    if column.kind == "text":  # as models of format 3 called it
        column = replace(column, kind=Kind.STRING)
    return Coding(
        column, tuple(entry["labels"]), entry["offset"], entry["has_time"],
        None if words is None else tuple(words),
    )  # fmt: skip


def column_from_json(plain: Mapping[str, Any]) -> Column:
    """A column as a file holds it."""
    known = {kind.value: kind for kind in Kind}
    kind, examples = known.get(plain["kind"], plain["kind"]), tuple(plain["examples"])
    return Column(**{**plain, "kind": kind, "examples": examples})


def learn_coding(series: pd.Series, column: Column) -> Coding:
    """How a column of the training data becomes numbers, codes or texts."""
    if column.kind == Kind.CATEGORY:
        return Coding(column, labels=_labels(series))
    if column.kind in (Kind.NUMBER, Kind.BOOLEAN):
        values, unread = read_numbers(series, column)
        finite = values[np.isfinite(values)]
        is_far = finite.size > 0 and np.abs(finite).max() > FLOAT32_EXACT and np.ptp(finite) < np.abs(finite).max() / 2
        return Coding(column, offset=float(np.median(finite)) if is_far else 0.0, words=_words(unread))
    if column.kind == Kind.DATE:
        dates, unread = read_dates(series, column)
        seconds = dates[~np.isnat(dates)].astype("datetime64[s]").astype(np.int64) % 86_400
        has_time = bool(seconds.size and (seconds != seconds[0]).any())
        return Coding(column, has_time=has_time, words=_words(unread))
    return Coding(column)


def _words(unread: Sequence[str]) -> tuple[str, ...] | None:
    return tuple(sorted(unread)) if len(unread) <= MAX_WORDS else None


def _labels(series: pd.Series) -> tuple[str, ...]:
    """Distinct values as text, the most frequent first, ties by their spelling."""
    codes, texts = distinct(series)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))
    return tuple(texts[i] for i in order[:MAX_CATEGORIES])


def _codes(series: pd.Series, coding: Coding) -> np.ndarray:
    codes, texts = distinct(series)
    table = np.fromiter(map(coding.code, [*texts, None]), dtype=np.int32, count=len(texts) + 1)
    return np.asarray(table[codes])  # -1, missing, picks the last entry


def _unseen(series: pd.Series, codes: np.ndarray, column: int) -> Unseen:
    texts = _texts(series.iloc[np.flatnonzero(codes == 0)])  # without words for a missing cell
    rows = np.flatnonzero(codes == 0)[texts != ""]
    return Unseen(column, rows, texts[texts != ""])


def is_unseen(series: pd.Series) -> np.ndarray:
    """Of cells without a code, whether they hold a label that was not seen, rather than nothing."""
    return np.asarray(_texts(series) != "")


def _texts(series: pd.Series) -> np.ndarray:
    """Texts; words that readers of files take for a missing cell are missing, also where no file was read."""
    codes, texts = distinct(series)
    texts = ["" if text in MISSING else text for text in texts]
    return np.asarray(np.array([*texts, ""], dtype=object)[codes])


def _numbers(series: pd.Series, coding: Coding) -> Sequence[np.ndarray]:
    values = _values(series, coding)
    if coding.column.kind == Kind.DATE:
        return date_parts(values, coding.has_time)
    limit = np.finfo(np.float32).max
    return [np.clip(values - coding.offset, -limit, limit).astype(np.float32)]


def _values(series: pd.Series, coding: Coding) -> np.ndarray:
    """Numbers or dates. A cell that training would have told from these is refused, alone or among many alike."""
    column = coding.column
    is_date = column.kind == Kind.DATE
    values, unread = (read_dates if is_date else read_numbers)(series, column)
    known = coding.words
    strange = [] if known is None else [text for text in unread if text not in known]
    if strange:
        held, give = ("dates", "dates such as 2024-12-31") if is_date else ("numbers", "numbers")
        if column.kind == Kind.BOOLEAN:
            held, give = "yes or no", " or ".join(column.examples[:2])
        raise SchemaError(
            f"column {column.name!r} held {held} in training, got {strange[0][:60]!r}. "
            f"Give {give}, or leave the cell empty."
        )
    return values


def date_parts(dates: np.ndarray, has_time: bool) -> list[np.ndarray]:
    """The numbers that dates give, a column for each."""
    seconds = dates.astype("datetime64[s]")
    known = ~np.isnat(seconds)
    whole = seconds.astype("datetime64[D]")
    month = seconds.astype("datetime64[M]")
    year = seconds.astype("datetime64[Y]")
    parts = [
        seconds.astype(np.int64) / 86_400.0,
        year.astype(np.int64) + 1970,
        month.astype(np.int64) % 12 + 1,
        (whole - month.astype("datetime64[D]")).astype(np.int64) + 1,
        (whole.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
    ]
    if has_time:
        parts.append((seconds.astype(np.int64) % 86_400) / 3600.0)
    return [np.where(known, part, np.nan).astype(np.float32) for part in parts]
