"""What is odd about a table, each with its evidence and what to do about it.

Nothing is changed here: a finding informs, the user decides. Columns are read once, in `survey`, and what later checks
need of them is kept small: a hash per row, a digest and a score per column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.messages import percent
from automl.modalities.parse import (
    MISSING_WORDS,
    distinct,
    is_date,
    is_numeric,
    native_numbers,
    to_dates,
    to_number,
)
from automl.modalities.table.kinds import looks_like_id
from automl.modalities.table.leaks import Judge, judge
from automl.options import Options
from automl.records import PLAIN_KINDS, Column, Dataset, Finding, Kind, Profile
from search_spaces.spec import OF_NUMBERS, Task

if TYPE_CHECKING:
    import pandas as pd

LEAK = 0.99  # score of one column alone from which on it is suspect
MANY_CATEGORIES = 100
NEARLY_ALL, FEW_VALUES = 0.995, 50  # of the rows with one value; columns of more values are not counted for it
MANY_FINDINGS = 20  # of one code; beyond it they are told as one
_OWNER = re.compile(  # a whole name: counts such as "households" or "family_size" are not meant
    r"(?:patient|subject|person|user|customer|client|household|family|student|member|speaker|author|participant|respondent"
    r"|account|session|device|machine|group)[_ .-]?(?:no|nr|num|number|code|key|name)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Survey:
    """What one pass over the used columns found."""

    rows: np.ndarray  # uint64 per row: equal where all features are
    twins: dict[str, str]  # column -> earlier column that tells the same
    scores: dict[str, float]  # column -> how well it alone foretells the answers
    metric: str  # of the scores


def survey(
    frame: pd.DataFrame, columns: tuple[Column, ...], y: np.ndarray, task: Task, ids: np.ndarray | None = None
) -> Survey:
    """Read every used plain column once; `ids`: equal for rows whose decoded columns are alike."""
    scorer: Judge | None = judge(y, task)
    rows = np.zeros(len(frame), dtype=np.uint64)
    if ids is not None:
        rows += ids.astype(np.uint64)
    twins: dict[str, str] = {}
    scores: dict[str, float] = {}
    seen: dict[tuple[bool, int], str] = {}
    for column in columns:
        if column.kind not in PLAIN_KINDS:
            continue
        values, is_code = signal(frame[column.name], column), column.kind in (Kind.CATEGORY, Kind.STRING)
        rows = _mix(rows, values)
        first = seen.setdefault((is_code, hash(values.tobytes())), column.name)
        if first != column.name:
            twins[column.name] = first
        if scorer and column.kind != Kind.STRING:
            scores[column.name] = scorer.score(values, is_code=is_code)
    return Survey(rows, twins, scores, scorer.metric if scorer else "")


def signal(series: pd.Series, column: Column) -> np.ndarray:
    """A column as float64: numbers and seconds as they are, NaN where missing; texts by their order of appearance."""
    if column.kind == Kind.DATE:
        dates = to_dates(series, column)
        return np.where(np.isnat(dates), np.nan, dates.astype(np.int64).astype(np.float64))
    if column.kind in (Kind.NUMBER, Kind.BOOLEAN):
        return to_number(series, column) + 0.0  # minus zero becomes zero
    return distinct(series)[0].astype(np.float64)


def repeats(rows: np.ndarray) -> int:
    """Rows that repeat an earlier one."""
    return int(rows.size - np.unique(rows).size)


def inspect(dataset: Dataset, profile: Profile, y: np.ndarray, found: Survey, options: Options) -> list[Finding]:
    """What is odd about the plain columns and the answers."""
    return [
        *_leaks(profile, found),
        *_columns(dataset.frame, profile),
        *_copies(profile, found, y),
        *_answers(profile, y),
        *_groups(dataset.frame, profile, options),
        *_times(dataset.frame, profile, y, options),
        *_sizes(profile),
        *_weights(dataset.weight),
    ]


def _mix(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    bits = values.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((rows ^ bits ^ (bits >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(1))


def _leaks(profile: Profile, found: Survey) -> Iterator[Finding]:
    for name, score in found.scores.items():
        if score >= LEAK:
            message = (
                f"column {name!r} alone foretells the target: {found.metric} {score:.4g} on rows it was not fitted on. "
                "If it is not known when you predict, leave it out of the data"
            )
            evidence = {"score": score, "metric": found.metric, "rows": profile.rows}
            yield Finding("leak", "danger", message, name, evidence)


def _columns(frame: pd.DataFrame, profile: Profile) -> Iterator[Finding]:
    for column in profile.columns:
        name = column.name
        if column.is_decoded:
            continue
        if column.kind in (Kind.IDENTIFIER, Kind.CONSTANT):
            message = f"column {name!r} is left out: {column.why}"
            yield Finding(str(column.kind), "info", message, name, {"unique": column.unique, "missing": column.missing})
            continue
        if 2 <= column.unique <= FEW_VALUES and profile.rows >= 200:
            yield from _nearly_constant(frame[name], column)
        if column.missing > 0.5:
            share = percent(column.missing)
            message = f"column {name!r} is missing in {share} of the rows; it is used, and so is its absence"
            yield Finding("high_missing", "info", message, name, {"share": column.missing})
        if column.kind == Kind.CATEGORY and column.unique > MANY_CATEGORIES:
            message = f"column {name!r} has {column.unique:,} categories; rare ones say little on their own"
            yield Finding("high_cardinality", "info", message, name, {"unique": column.unique})
        if column.missing > 0 and is_numeric(frame[name]) and (count := _infinities(frame[name])):
            message = (
                f"column {name!r} holds {count:,} infinite values, read as missing; mend the formula that made them"
            )
            yield Finding("infinities", "warning", message, name, {"rows": count})
        if not (is_numeric(frame[name]) or is_date(frame[name])):
            yield from _mixed(frame[name], column)


def _nearly_constant(series: pd.Series, column: Column) -> Iterator[Finding]:
    codes, texts = distinct(series)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    most = int(counts.argmax())
    others = int(counts.sum() - counts[most])
    if counts.size and counts[most] >= NEARLY_ALL * len(series):
        message = (
            f"column {column.name!r} is {texts[most]!r} in all but {others:,} of {len(series):,} rows: "
            "it can tell little, and what it tells rests on few rows"
        )
        yield Finding("near_constant", "info", message, column.name, {"others": others, "rows": len(series)})


def _infinities(series: pd.Series) -> int:
    values = native_numbers(series)
    return int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0


def _mixed(series: pd.Series, column: Column) -> Iterator[Finding]:
    """Cells that do not fit the kind of their column."""
    if column.kind in (Kind.NUMBER, Kind.DATE):
        codes, texts = distinct(series)
        values = to_number(series, column) if column.kind == Kind.NUMBER else to_dates(series, column)
        said = np.array([text.lower() not in MISSING_WORDS for text in texts] + [False])[codes]
        bad = np.flatnonzero(said & (np.isnan(values) if column.kind == Kind.NUMBER else np.isnat(values)))
        if bad.size:
            message = (
                f"column {column.name!r} is read as {column.kind}s, but {bad.size:,} cells are not, for instance "
                f"{texts[codes[bad[0]]]!r}; they count as missing"
            )
            yield Finding("mixed_types", "warning", message, column.name, {"rows": int(bad.size)})
    elif column.kind == Kind.CATEGORY and series.dtype == object:
        kinds = sorted({type(value).__name__ for value in series.dropna().iloc[:10_000]})
        if len(kinds) > 1:
            message = f"column {column.name!r} mixes {', '.join(kinds)}; every value is read as text"
            yield Finding("mixed_types", "warning", message, column.name, {"types": kinds})


def _copies(profile: Profile, found: Survey, y: np.ndarray) -> Iterator[Finding]:
    for name, first in found.twins.items():
        message = f"column {name!r} tells the same as {first!r}; one of them can go"
        yield Finding("duplicate_columns", "info", message, name, {"same_as": first})
    if not profile.duplicates:
        return
    contradicting = _contradicting(found.rows, y)
    share = profile.duplicates / profile.rows
    clash = f", and {contradicting:,} contradict the most frequent answer of their like" if contradicting else ""
    message = (
        f"{profile.duplicates:,} rows ({percent(share)}) repeat the features of an earlier row{clash}. "
        "If they are copies, drop them: on both sides of a split they flatter the score"
    )
    evidence = {"rows": profile.duplicates, "share": share, "contradicting": contradicting}
    yield Finding("duplicates", "warning" if share > 0.05 else "info", message, None, evidence)


def _contradicting(rows: np.ndarray, y: np.ndarray) -> int:
    """Rows whose answer is not the most frequent one among the rows with equal features."""
    order = np.lexsort((y, rows))
    rows, y = rows[order], y[order]
    is_new_row = np.r_[True, rows[1:] != rows[:-1]]
    pairs = np.flatnonzero(is_new_row | np.r_[True, y[1:] != y[:-1]])  # where another answer or other features begin
    sizes = np.diff(np.r_[pairs, len(y)])
    most = np.maximum.reduceat(sizes, np.flatnonzero(is_new_row[pairs]))
    return int(len(y) - most.sum())


def _answers(profile: Profile, y: np.ndarray) -> Iterator[Finding]:
    if profile.task in OF_NUMBERS:
        yield from _tail(y)
        return
    counts = np.array(profile.class_counts)
    ratio = float(counts.max() / counts.min())
    rare = [(profile.classes[index], int(counts[index])) for index in np.flatnonzero(counts < 5)]
    if rare:
        shown = ", ".join(f"{label!r} ({count})" for label, count in rare[:5])
        message = (
            f"{len(rare)} of {len(counts)} classes have fewer than 5 rows: {shown}{', …' if len(rare) > 5 else ''}. "
            "They can hardly be learned or measured; gather more rows or merge classes"
        )
        evidence = {"classes": [label for label, _ in rare], "rows": [count for _, count in rare]}
        yield Finding("rare_classes", "warning", message, None, evidence)
    if ratio >= 10:
        least, share = profile.classes[int(counts.argmin())], float(counts.min() / counts.sum())
        message = (
            f"class {least!r} has {percent(share)} of the rows, 1 for {ratio:.0f} of the most frequent class; "
            "accuracy says little here, a ranking or probability metric says more"
        )
        yield Finding("imbalance", "warning", message, None, {"ratio": ratio, "share": share})


def _tail(y: np.ndarray) -> Iterator[Finding]:
    spread = float(y.std())
    if not np.isfinite(spread) or spread == 0 or len(y) < 50:
        return
    skew = float((((y - y.mean()) / spread) ** 3).mean())
    if abs(skew) >= 3:
        side = "high" if skew > 0 else "low"
        message = (
            f"target has a long tail of {side} values (skew {skew:.1f}, median {np.median(y):.4g}, extremes "
            f"{y.min():.4g} and {y.max():.4g}): a few rows rule a squared error. Consider metric='mae' or the logarithm"
        )
        yield Finding("target_tail", "info", message, None, {"skew": skew})


def _groups(frame: pd.DataFrame, profile: Profile, options: Options) -> Iterator[Finding]:
    """Columns that seem to tell whose row it is, so that rows of one owner are not independent."""
    if options.group_column is not None:
        return
    for column in profile.columns:
        present = profile.rows * (1 - column.missing)
        if column.kind not in (Kind.CATEGORY, Kind.NUMBER) or not 10 <= column.unique <= present / 1.5:
            continue
        is_named = looks_like_id(column.name) or bool(_OWNER.fullmatch(column.name))
        if column.kind == Kind.NUMBER and not (is_named and _are_whole(frame[column.name])):
            continue
        codes = distinct(frame[column.name])[0]
        in_runs = np.count_nonzero(np.diff(codes)) + 1 <= 1.05 * column.unique + 1
        if is_named or (in_runs and 20 <= column.unique <= present / 3):
            each = present / column.unique
            message = (
                f"column {column.name!r} holds {column.unique:,} values, each {each:.1f} times on average"
                f"{', in runs of neighbouring rows' if in_runs else ''}. "
                f"If rows of one value belong together and you predict for new ones, give group_column={column.name!r}"
            )
            evidence = {"groups": column.unique, "rows_each": each, "in_runs": bool(in_runs)}
            yield Finding("group_hint", "warning" if is_named else "info", message, column.name, evidence)


def _are_whole(series: pd.Series) -> bool:
    values = native_numbers(series) if is_numeric(series) else np.array([0.5])
    return bool(values.dtype.kind in "iu" or (values[np.isfinite(values)] % 1 == 0).all())


def _times(frame: pd.DataFrame, profile: Profile, y: np.ndarray, options: Options) -> Iterator[Finding]:
    """Date columns along which the rows lie or the answers drift."""
    if options.time_column is not None or profile.rows < 50:
        return
    for column in profile.columns:
        if column.kind != Kind.DATE:
            continue
        seconds = signal(frame[column.name], column)
        known = np.isfinite(seconds)
        if known.sum() < 50:
            continue
        steps = np.diff(seconds[known])
        in_order, drift = float((steps >= 0).mean()), _drift(seconds[known], y[known], profile.task)
        reasons = [f"{percent(in_order)} of the rows follow their predecessor in time"] if in_order >= 0.98 else []
        reasons += [f"the time explains {percent(drift)} of the target's spread"] if drift >= 0.05 else []
        if reasons:
            message = (
                f"column {column.name!r} is a date, and {' and '.join(reasons)}: if you predict the future, "
                f"give time_column={column.name!r} so that the score looks forward too"
            )
            yield Finding("time_hint", "info", message, column.name, {"in_order": in_order, "drift": drift})


def _drift(seconds: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Share of the answers' variance between ten spans of time, less what chance would give; of the worst class."""
    spans = np.arange(len(y)) * 10 // len(y)
    y = y[np.argsort(seconds, kind="stable")]
    sides = [y] if task != "multiclass" else [(y == label) for label in np.argsort(-np.bincount(y))[:10]]
    worst = 0.0
    for side in np.asarray(sides, dtype=np.float64):
        total = float(side.var())
        if total > 0 and np.isfinite(total):
            means = np.bincount(spans, side, minlength=10) / np.bincount(spans, minlength=10)
            worst = max(worst, float(((means[spans] - side.mean()) ** 2).mean()) / total)
    return max(0.0, worst - 9 / len(y))


def _sizes(profile: Profile) -> Iterator[Finding]:
    rows, columns = profile.rows, len(profile.used)
    if rows < 500:
        message = f"only {rows:,} rows: scores are uncertain, and simple models are hard to beat. More rows help most"
        yield Finding("small_data", "warning" if rows < 100 else "info", message, None, {"rows": rows})
    if columns > rows:
        message = (
            f"{columns:,} columns for {rows:,} rows: models will find patterns by chance; drop columns you can spare"
        )
        yield Finding("wide_data", "warning", message, None, {"columns": columns, "rows": rows})


def _weights(weight: np.ndarray | None) -> Iterator[Finding]:
    if weight is None or not len(weight):
        return
    share = weight / weight.sum()
    worth = 1 / float((share**2).sum())
    if worth < len(weight) / 2:
        message = (
            f"the weights make {len(weight):,} rows worth {worth:,.0f} equal ones (the largest weight has "
            f"{percent(float(share.max()))} of the sum): scores are less certain than the rows suggest"
        )
        yield Finding("weights", "warning", message, None, {"effective_rows": worth, "rows": len(weight)})


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The gravest first; many of one sort as one."""
    order = ("danger", "warning", "info")
    return tuple(sorted(_bundled(findings), key=lambda finding: order.index(finding.severity)))


def _bundled(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Findings, but those of one code that would fill pages as one; leaks are always told singly."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code, group in by_code.items():
        if code == "leak" or len(group) <= MANY_FINDINGS:
            yield from group
            continue
        names = [finding.column for finding in group]
        message = f"{len(group):,} columns, from {names[0]!r} to {names[-1]!r}; the first of them: {group[0].message}"
        yield Finding(code, group[0].severity, message, None, {"columns": names})
