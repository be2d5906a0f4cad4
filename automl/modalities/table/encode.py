"""A table as plain arrays, by a schema that is fixed at training and saved with the model.

Nothing here looks at the answers, so it is done once per run and its arrays are shared by all trials; what must be
learned inside a fold is in features.py. Values are looked up by their text, never by a category's position in memory,
so codes cannot drift between training and prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import SchemaError
from automl.messages import near
from automl.modalities.files.decoding import sense_from_json
from automl.modalities.files.read import MISSING
from automl.modalities.table.parse import by_value, distinct, read_dates, read_numbers, value_of
from automl.modalities.table.words import are_words
from automl.records import MEDIA_KINDS, Codec, Column, Kind, Profile
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 20_000  # of one column; the rarest beyond it count as unseen
DATE_PARTS = ("days", "year", "month", "day", "weekday", "hour")
MAX_WORDS = 50  # that a column of numbers or dates may hold beside them; one that has more has words without end
FLOAT32_EXACT = 2**24  # whole numbers beyond it lose digits in float32, so such columns are centred first


@dataclass(frozen=True)
class Unseen:
    """Labels outside the schema whose words may still tell something."""

    column: int  # of the codes
    rows: np.ndarray
    labels: np.ndarray  # one for each of these rows

    def take(self, rows: np.ndarray, of: int) -> Unseen:
        """As they are among the given rows of all `of` rows."""
        place = np.full(of, -1)
        place[self.rows] = np.arange(len(self.rows))
        places = place[rows]
        return Unseen(self.column, np.flatnonzero(places >= 0), self.labels[places[places >= 0]])


@dataclass(frozen=True)
class Raw:
    """Encoded feature columns before anything was learned: numbers (NaN: missing), codes (0: missing), texts."""

    numbers: np.ndarray
    codes: np.ndarray
    texts: tuple[np.ndarray, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    media: Media | None = None
    described: int = 0  # the last columns of `numbers` that describe the media, and follow from them

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def take(self, rows: np.ndarray) -> Raw:
        """The given rows, copied."""
        texts = tuple(text[rows] for text in self.texts)
        unseen = tuple(u.take(rows, len(self)) for u in self.unseen)
        media = None if self.media is None else self.media.take(rows)
        return Raw(self.numbers[rows], self.codes[rows], texts, unseen, media, self.described)


@dataclass(frozen=True)
class Coding:
    """How one column becomes numbers, codes or texts."""

    column: Column
    labels: tuple[str, ...] = ()  # of a category: the values seen, in code order
    offset: float = 0.0  # taken off numbers too large for float32
    has_time: bool = False  # a date column whose values differ in their hours
    sense: Codec | None = None  # of images or sounds
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
        if self.column.kind is Kind.DATE:
            parts = DATE_PARTS if self.has_time else DATE_PARTS[:-1]
            return tuple(f"{self.column.name}.{part}" for part in parts)
        if self.sense is not None:
            return tuple(f"{self.column.name}.{name}" for name in self.sense.names)
        return (self.column.name,) if self.column.kind in (Kind.NUMBER, Kind.BOOLEAN) else ()


@dataclass(frozen=True)
class Schema:
    """The columns a model was trained on and how each is encoded."""

    codings: tuple[Coding, ...]
    ignored: tuple[str, ...] = field(default=())  # columns of the training data that models do not see
    names: tuple[str, ...] = ()  # all its columns, in order
    decimal: str = "."  # mark of the numbers in the file that was learned from

    @property
    def number_names(self) -> list[str]:
        """Names of the columns of `Raw.numbers`; those that describe images or sounds come last."""
        ordered = sorted(self.codings, key=lambda coding: coding.sense is not None)
        return [name for coding in ordered for name in coding.names]

    @property
    def category_names(self) -> list[str]:
        """Names of the columns of `Raw.codes`."""
        return [coding.column.name for coding in self.codings if coding.column.kind is Kind.CATEGORY]

    @property
    def text_names(self) -> list[str]:
        """Names of the columns of `Raw.texts`."""
        return [coding.column.name for coding in self.codings if coding.column.kind is Kind.TEXT]

    @property
    def verbatim(self) -> tuple[str, ...]:
        """Columns that a reader must not take for numbers: one row may look like it, the training data did not."""
        kinds = (Kind.CATEGORY, Kind.TEXT, Kind.DATE)
        return tuple(coding.column.name for coding in self.codings if coding.column.kind in kinds)

    @property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """Labels of each category column, in code order from 1."""
        return tuple(coding.labels for coding in self.codings if coding.column.kind is Kind.CATEGORY)

    def encode(self, frame: pd.DataFrame, media: Media | None = None, *, is_described: bool = True) -> Raw:
        """Arrays of a frame; extra and reordered columns are fine, missing and unreadable ones refused by name.

        `media`: the images or sounds, where they are decoded already; described in numbers only if that is wanted.
        """
        self._check(frame)
        numbers: list[np.ndarray] = []
        codes: list[np.ndarray] = []
        texts: list[np.ndarray] = []
        unseen: list[Unseen] = []
        sense: Codec | None = None
        for coding in self.codings:
            series = frame[coding.column.name]
            if coding.column.kind is Kind.CATEGORY:
                codes.append(_codes(series, coding))
                if coding.has_words and not codes[-1].all():
                    unseen.append(_unseen(series, codes[-1], len(codes) - 1))
            elif coding.column.kind is Kind.TEXT:
                texts.append(_texts(series))
            elif coding.sense is not None:
                media = coding.sense.decode(series.tolist()) if media is None else media
                sense = coding.sense
            else:
                numbers.extend(_numbers(series, coding))
        rows = len(frame)
        block = np.stack(numbers, axis=1) if numbers else np.empty((rows, 0), dtype=np.float32)
        described = 0
        if sense is not None and media is not None and is_described:
            told = sense.describe(media)
            block, described = np.hstack([block, told]), told.shape[1]
        return Raw(
            block,
            np.stack(codes, axis=1) if codes else np.empty((rows, 0), dtype=np.int32),
            tuple(texts),
            tuple(u for u in unseen if len(u.rows)),
            media,
            described,
        )

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse what `encode` would refuse, but images and sounds: these are decoded for it."""
        self._check(frame)
        for coding in self.codings:
            if coding.column.kind in (Kind.NUMBER, Kind.BOOLEAN, Kind.DATE):
                _values(frame[coding.column.name], coding)

    def _check(self, frame: pd.DataFrame) -> None:
        present = set(frame.columns)
        missing = [coding.column.name for coding in self.codings if coding.column.name not in present]
        if missing:
            known = [str(name) for name in frame.columns]
            raise SchemaError(
                f"{len(missing)} column{'s' if len(missing) > 1 else ''} of the training data not found: "
                f"{', '.join(map(repr, missing[:5]))}.{near(missing[0], known)} "
                "Add the column, empty where nothing is known."
            )

    def as_json(self) -> dict[str, Any]:
        """Plain values, read back by `schema_from_json`."""
        from automl.records import as_json

        plain = [
            {
                "column": as_json(coding.column),
                "labels": list(coding.labels),
                "offset": coding.offset,
                "has_time": coding.has_time,
                "words": None if coding.words is None else list(coding.words),
                "sense": None if coding.sense is None else coding.sense.as_json(),
            }
            for coding in self.codings
        ]
        return {"ignored": list(self.ignored), "names": list(self.names), "decimal": self.decimal, "codings": plain}


def schema_from_json(plain: Mapping[str, Any], weights: bytes | None = None) -> Schema:
    """The schema written by `Schema.as_json`; `weights`: of the network that describes its images or sounds."""
    codings = []
    for entry in plain["codings"]:
        column = dict(entry["column"])
        column["kind"] = Kind(column["kind"])
        column["examples"] = tuple(column["examples"])
        sense = sense_from_json(entry["sense"], weights) if entry["sense"] else None
        words = entry.get("words")  # models saved before there were any take all words for missing
        codings.append(
            Coding(
                Column(**column), tuple(entry["labels"]), entry["offset"], entry["has_time"], sense,
                None if words is None else tuple(words),
            )
        )  # fmt: skip
    return Schema(tuple(codings), tuple(plain["ignored"]), tuple(plain.get("names", ())), plain.get("decimal", "."))


def learn_schema(frame: pd.DataFrame, profile: Profile, sense: Codec | None = None) -> Schema:
    """Fix the encoding of every used column of the training data; `sense`: as its images or sounds were decoded."""
    used = set(profile.used)
    codings = [
        Coding(column, sense=sense) if column.kind in MEDIA_KINDS else _learn(frame[column.name], column)
        for column in profile.columns
        if column.name in used
    ]
    ignored = tuple(column.name for column in profile.columns if column.name not in used)
    return Schema(tuple(codings), ignored, tuple(map(str, frame.columns)))


def _learn(series: pd.Series, column: Column) -> Coding:
    if column.kind is Kind.CATEGORY:
        return Coding(column, labels=_labels(series))
    if column.kind in (Kind.NUMBER, Kind.BOOLEAN):
        values, unread = read_numbers(series, column)
        finite = values[np.isfinite(values)]
        is_far = finite.size > 0 and np.abs(finite).max() > FLOAT32_EXACT and np.ptp(finite) < np.abs(finite).max() / 2
        return Coding(column, offset=float(np.median(finite)) if is_far else 0.0, words=_words(unread))
    if column.kind is Kind.DATE:
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


def _texts(series: pd.Series) -> np.ndarray:
    """Texts; words that readers of files take for a missing cell are missing, also where no file was read."""
    codes, texts = distinct(series)
    texts = ["" if text in MISSING else text for text in texts]
    return np.asarray(np.array([*texts, ""], dtype=object)[codes])


def _numbers(series: pd.Series, coding: Coding) -> Sequence[np.ndarray]:
    values = _values(series, coding)
    if coding.column.kind is Kind.DATE:
        return _date_parts(values, coding.has_time)
    limit = np.finfo(np.float32).max
    return [np.clip(values - coding.offset, -limit, limit).astype(np.float32)]


def _values(series: pd.Series, coding: Coding) -> np.ndarray:
    """Numbers or dates. A cell that training would have told from these is refused, alone or among many alike."""
    column = coding.column
    is_date = column.kind is Kind.DATE
    values, unread = (read_dates if is_date else read_numbers)(series, column)
    known = coding.words
    strange = [] if known is None else [text for text in unread if text not in known]
    if strange:
        held, give = ("dates", "dates such as 2024-12-31") if is_date else ("numbers", "numbers")
        if column.kind is Kind.BOOLEAN:
            held, give = "yes or no", " or ".join(column.examples[:2])
        raise SchemaError(
            f"column {column.name!r} held {held} in training, got {strange[0][:60]!r}. "
            f"Give {give}, or leave the cell empty."
        )
    return values


def _date_parts(dates: np.ndarray, has_time: bool) -> list[np.ndarray]:
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
