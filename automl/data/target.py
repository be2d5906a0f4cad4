"""The answers: which task they make, their classes, and answers as numbers.

The rule looks at the values only; the option that overrides it stands in the rule's text. Classes keep the user's
spelling and are sorted, as scikit-learn's are; which of two is the positive one is told apart from their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError, OptionError
from automl.messages import percent
from automl.modalities.parse import (
    MISSING_WORDS,
    WORD_PAIRS,
    by_value,
    is_date,
    is_numeric,
    native_numbers,
    parse_numbers,
    spell,
    value_of,
)
from automl.records import Profile
from search_spaces.spec import OF_NUMBERS, Task

if TYPE_CHECKING:
    import pandas as pd

MAX_CLASSES = 1_000
TRUTH = (*WORD_PAIRS, ("-1", "1"), ("negative", "positive"), ("neg", "pos"))  # not so, so: whatever is rarer
COMMA_FACT = "target_decimal_comma"  # in Profile.facts: how a regression target that came as text is read


@dataclass(frozen=True, kw_only=True)
class TargetFacts:
    """What the target column says about the task."""

    task: Task
    rule: str
    classes: tuple[Any, ...]
    counts: tuple[int, ...]
    has_decimal_comma: bool = False
    positive: int = 1  # of two classes, the place of the one to be found


@dataclass(frozen=True)
class _Read:
    """A target column, read: per row the number of its label, and per label its rows and its number, if it has one."""

    name: str
    codes: np.ndarray
    labels: list[Any]
    counts: np.ndarray
    numbers: np.ndarray  # NaN where a label is not a number
    is_text: bool
    has_decimal_comma: bool

    @property
    def rows(self) -> int:
        return int(self.codes.size)

    @property
    def is_number(self) -> bool:
        return bool(np.isfinite(self.numbers).all())

    @property
    def reads_as_number(self) -> bool:
        """Whether nearly all rows hold numbers: the rest is rubbish, not labels."""
        return float(self.counts[np.isfinite(self.numbers)].sum()) >= 0.95 * self.rows


def infer(target: pd.Series, name: str, task: str | None = None, positive: Any = None) -> TargetFacts:
    """The task that the answers make, or check the given one against them; `positive`: the label to be found."""
    read = _read(target, name)
    if len(read.labels) == 1:
        raise InputError(
            f"target {name!r} has the same value in every row, {read.labels[0]!r}: nothing to predict. "
            "Check the column or the filter that made the file."
        )
    inferred, rule = _guess(read)
    if task == "regression" or (task is None and inferred == "regression"):
        _refuse_unreadable(read)
        _refuse_positive(positive, f"target {name!r} is read as a number")
        return TargetFacts(
            task="regression", rule=_given(task, rule), classes=(), counts=(), has_decimal_comma=read.has_decimal_comma
        )
    _refuse_many(read)
    found: Task = "binary" if len(read.labels) == 2 else "multiclass"
    if task is not None and task != found:
        raise OptionError(
            f"task={task!r} does not fit target {name!r} with {len(read.labels)} distinct values. Use task={found!r}."
        )
    order = _order(read)
    classes = tuple(read.labels[index] for index in order)
    if task is not None and inferred == "regression":
        rule = f"{len(classes):,} distinct values in {read.rows:,} rows;"
    counts = tuple(int(read.counts[index]) for index in order)
    if found != "binary":
        _refuse_positive(positive, f"target {name!r} has {len(classes):,} classes")
        return TargetFacts(task=found, rule=_given(task, rule), classes=classes, counts=counts)
    place, why = _positive(classes, counts, positive)
    rule = rule.replace(";", f", {classes[place]!r} being the positive class{why};", 1)
    return TargetFacts(task=found, rule=_given(task, rule), classes=classes, counts=counts, positive=place)


def encode_target(target: pd.Series, profile: Profile) -> np.ndarray:
    """Answers as numbers: float64 for tasks of numbers, else int64 places in `profile.classes`."""
    if profile.task in OF_NUMBERS:
        read = _read(target, "target", bool(profile.facts.get(COMMA_FACT)))
        _refuse_unreadable(read)
        return np.asarray(read.numbers[read.codes], dtype=np.float64)
    codes, labels = _labels(target)
    places = {_key(label): place for place, label in enumerate(profile.classes)}
    values = by_value(list(places))  # a file that holds only some of the classes may be read as numbers
    keys = [key if key in places else values.get(value_of(key) or "", key) for key in map(_key, labels)]
    lookup = np.array([places.get(key, -1) for key in keys], dtype=np.int64)
    if (codes < 0).any():
        raise InputError(f"target is missing in {int((codes < 0).sum()):,} rows. Leave these rows out.")
    if (lookup < 0).any():
        unseen = labels[int(np.argmin(lookup))]
        known = ", ".join(repr(label) for label in profile.classes[:5])
        more = f" and {len(profile.classes) - 5} more" if len(profile.classes) > 5 else ""
        raise InputError(
            f"target holds {unseen!r}, a class never seen in training (known: {known}{more}). "
            "Leave its rows out, or learn from rows of this class too."
        )
    return np.asarray(lookup[codes])


def class_weights(asked: Any, classes: Sequence[Any], counts: Sequence[int]) -> np.ndarray:
    """What a row of each class counts: 'balanced' until all classes count alike, else as the labels say, or one."""
    if not classes:
        raise OptionError(
            f"class_weight is for classes, but the target is a number, got {asked!r}. Use weight, or leave it out."
        )
    if isinstance(asked, str):
        rows = np.array(counts, dtype=np.float64)
        return np.asarray(rows.sum() / (len(rows) * rows))
    told = {_key(label): weight for label, weight in asked.items()}
    if unknown := sorted(told.keys() - {_key(label) for label in classes}):
        known = ", ".join(repr(label) for label in classes[:5])
        raise OptionError(f"class_weight names {unknown[0]!r}, which is no class of the target. Classes: {known}.")
    return np.array([told.get(_key(label), 1.0) for label in classes])


def counted_by_class(y: np.ndarray, weight: np.ndarray | None, of_class: Sequence[float]) -> np.ndarray | None:
    """What rows count where classes count too, as a saved model remembers it; none: they count as before."""
    return np.array(of_class)[y] * (1.0 if weight is None else weight) if len(of_class) else weight


def _read(target: pd.Series, name: str, has_decimal_comma: bool | None = None) -> _Read:
    if not len(target):
        raise InputError(f"target {name!r} has no rows. Give at least a few rows to learn from.")
    if is_date(target) or target.dtype.kind == "m":
        raise InputError(
            f"target {name!r} holds dates or durations, for instance {target.iloc[0]}. "
            "Predict a number (days since a start, seconds) or a class (month) made from it."
        )
    codes, labels = _labels(target)
    if (codes < 0).any():
        raise InputError(f"target {name!r} is missing in {int((codes < 0).sum()):,} rows. Leave these rows out.")
    counts = np.bincount(codes, minlength=len(labels))
    if not isinstance(labels[0], str):
        numbers = np.array(labels, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise InputError(f"target {name!r} holds infinite values. Leave these rows out or cap them.")
        return _Read(name, codes, labels, counts, numbers, False, False)
    marks = (".", ",") if has_decimal_comma is None else (",",) if has_decimal_comma else (".",)
    ways = {mark: parse_numbers(labels, mark) for mark in marks}
    best = max(marks, key=lambda mark: int(np.isfinite(ways[mark]).sum()))  # the point wins a tie
    return _Read(name, codes, labels, counts, ways[best], True, best == ",")


def _labels(target: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Per row the number of its label (-1: missing), and the distinct labels as plain Python values."""
    import pandas as pd

    target = target.reset_index(drop=True)
    if target.dtype == object:
        target = target.infer_objects()
    if is_numeric(target):
        codes, uniques = pd.factorize(native_numbers(target))
        return codes, [_whole(value) for value in uniques.tolist()]
    if isinstance(target.dtype, pd.StringDtype):
        codes, texts = pd.factorize(target)
        return codes, list(texts)
    cells = target.astype(object)
    gone = cells.isna().to_numpy()
    values = [value.item() if isinstance(value, np.generic) else value for value in cells.to_numpy()[~gone]]
    if len({type(value) for value in values}) > 1 or not all(isinstance(v, str | bool | int | float) for v in values):
        values = [value if isinstance(value, str) else spell(value) for value in values]  # of several types: as text
    codes = np.full(len(cells), -1, dtype=np.int64)
    codes[~gone], found = pd.factorize(np.array([*values, None], dtype=object)[:-1])
    return codes, [_whole(value) for value in found]


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def _key(label: Any) -> str:
    return label if isinstance(label, str) else spell(label)


def _order(read: _Read) -> list[int]:
    """Numbers by their size, also where they came as text; other labels by their spelling."""
    if read.is_number:
        return sorted(range(len(read.labels)), key=lambda index: (read.numbers[index], str(read.labels[index])))
    return sorted(range(len(read.labels)), key=lambda index: str(read.labels[index]))


def _guess(read: _Read) -> tuple[Task, str]:
    """The task and the rule that decided, before any override."""
    unique, rows = len(read.labels), read.rows
    if unique == 2:
        shown = " and ".join(repr(read.labels[index]) for index in _order(read))
        override = "override with task='regression'" if read.is_number else "texts, so no other task fits"
        return "binary", f"2 distinct values in {rows:,} rows, {shown}; {override}"
    if not read.reads_as_number:
        return "multiclass", f"{unique:,} distinct labels in {rows:,} rows; texts, so no other task fits"
    known = read.numbers[np.isfinite(read.numbers)]
    span = f"from {known.min():g} to {known.max():g} in {rows:,} rows"
    other = "override with task='multiclass'" if unique <= MAX_CLASSES else "too many values to be classes"
    if (known != np.floor(known)).any():
        return "regression", f"{unique:,} distinct numbers {span}; {other}"
    least = int(read.counts.min())
    are_classes = (unique <= 10 and rows >= 3 * unique) or (unique <= 20 and rows >= 20 * unique and least >= 5)
    words = [label for label, number in zip(read.labels, read.numbers, strict=True) if not np.isfinite(number)]
    if words and are_classes and not any(label.strip().lower() in MISSING_WORDS for label in words):
        told = (
            f"{unique} distinct labels in {rows:,} rows, not all numbers ({words[0]!r}); texts, so no other task fits"
        )
        return "multiclass", told
    if are_classes and not words:  # the tail of a count would be thinner
        return "multiclass", f"{unique} distinct whole numbers {span}; override with task='regression'"
    return "regression", f"{unique:,} distinct whole numbers {span}; {other}"


def _given(task: str | None, rule: str) -> str:
    return rule if task is None else f"task={task!r} was given; {rule.partition(';')[0]}"


def _positive(classes: tuple[Any, ...], counts: tuple[int, ...], given: Any) -> tuple[int, str]:
    """The place of the positive class and why: the one given, the one that says yes, else the rarer one."""
    if given is not None:
        for spelled in (_key, _word):
            places = [place for place, label in enumerate(classes) if spelled(label) == spelled(given)]
            if len(places) == 1:
                return places[0], ", as given"
        shown = " and ".join(map(repr, classes))
        raise OptionError(f"positive={given!r} is no label of the target, whose labels are {shown}. Give one of them.")
    words = [_word(label) for label in classes]
    for pair in TRUTH:
        if set(pair) == set(words):
            return words.index(pair[1]), ""
    if counts[0] == counts[1]:
        return 1, ", both being as frequent"
    return int(counts[1] < counts[0]), ", the rarer one"


def _word(label: Any) -> str:
    """A label without what makes no difference: blanks round it, capital letters, digits after the point."""
    text = _key(label).strip().casefold()
    try:
        return spell(float(text))
    except ValueError:
        return text


def _refuse_positive(given: Any, seen: str) -> None:
    if given is not None:
        raise OptionError(f"positive={given!r} is for two classes, but {seen}. Leave positive out.")


def _refuse_unreadable(read: _Read) -> None:
    unreadable = np.flatnonzero(~np.isfinite(read.numbers[read.codes]))
    if unreadable.size:
        row = int(unreadable[0])
        raise InputError(
            f"target {read.name!r} holds {read.labels[read.codes[row]]!r} in row {row:,}, which is not a number "
            f"({unreadable.size:,} such rows). Mend or drop these rows, or give task='multiclass' if they are labels."
        )


def _refuse_many(read: _Read) -> None:
    unique, rows = len(read.labels), read.rows
    if unique > 2 and (unique > 0.9 * rows or (unique > 0.5 * rows and unique > 100)):
        raise InputError(
            f"target {read.name!r} has {unique:,} distinct values in {rows:,} rows ({percent(unique / rows)}), for "
            f"instance {read.labels[0]!r}: it looks like an identifier or free text. "
            "Choose a column whose values repeat."
        )
    if unique > MAX_CLASSES:
        raise InputError(
            f"target {read.name!r} has {unique:,} classes, more than the {MAX_CLASSES:,} supported. Merge rare classes "
            "first, or give task='regression' if the values are numbers."
        )
