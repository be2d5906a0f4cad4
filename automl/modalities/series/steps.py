"""Long tables: a row is a step of a case, and a case is what has an answer; folded into a row a case.

What never changes within a case stays a column of its own, numbers that change are the channels of its series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.messages import near, shown
from search_spaces.checked import need

if TYPE_CHECKING:
    import pandas as pd

LEAST_STEPS = 2  # of the longest case: with one, rows are rows


@dataclass(frozen=True)
class LongTable:
    """Which column names the case, which one orders its steps, and which are measured."""

    case: str
    step: str
    channels: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"case": self.case, "step": self.step, "channels": list(self.channels)}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> LongTable:
        """What `as_json` wrote."""
        channels = plain.get("channels")
        need(isinstance(channels, list) and bool(channels), "a long table without channels")
        return cls(str(plain.get("case")), str(plain.get("step")), tuple(map(str, channels or ())))

    def fold(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A row a case, in the order in which cases come, named by them: its series in the column of the steps."""
        import pandas as pd

        for role, name in (("series_id", self.case), ("time_column", self.step)):
            _must_have(frame, role, name)
        if missing := [name for name in self.channels if name not in frame.columns]:
            lost = ", ".join(map(shown, missing[:5]))
            raise InputError(f"{len(missing)} columns of the training data not found: {lost}. Add them.")
        codes, cases = _cases(frame, self.case)
        order = _ordered(frame, self.step, codes)
        starts = np.searchsorted(codes[order], np.arange(len(cases)))
        values = np.stack([_numbers(frame[name]) for name in self.channels])[:, order]
        cells = np.empty(len(cases), dtype=object)
        cells[:] = list(np.split(values, starts[1:], axis=1)) if len(cases) else []
        first = frame.iloc[order[starts]]
        others = [name for name in frame.columns if name not in (self.case, *self.channels)]
        made = first[others].set_axis(cases, axis=0)
        made[self.step] = pd.Series(cells, index=cases, dtype=object)
        return made


def steps_of(frame: pd.DataFrame, case: str, step: str, target: str | None) -> tuple[LongTable, list[str]]:
    """Which columns are measured, by what changes within cases; and notes. The target must not."""
    for role, name in (("series_id", case), ("time_column", step)):
        _must_have(frame, role, name)
    codes, cases = _cases(frame, case)
    if len(frame) < LEAST_STEPS * len(cases) and np.bincount(codes).max(initial=0) < LEAST_STEPS:
        raise InputError(
            f"series_id {shown(case)} has one row for each of its {len(cases):,} cases, so there are no series. Leave "
            "it out, or name the column that repeats for the steps of a case."
        )
    changing = {name for name in frame.columns if name not in (case, step) and _changes(frame[name], codes)}
    if target in changing:
        raise InputError(
            f"target {shown(target)} changes within a case of {shown(case)}, so a case has no one answer. To foretell "
            "the next values give horizon=; else give each case one answer."
        )
    channels = tuple(str(name) for name in frame.columns if name in changing and frame[name].dtype.kind in "iufb")
    if not channels:
        raise InputError(f"no column of numbers changes within the cases of {shown(case)}. Give at least one.")
    lost = [name for name in changing if name not in channels]
    notes = [f"{', '.join(map(shown, lost))} left out: no numbers, and they change within a case"] if lost else []
    return LongTable(case, step, channels), notes


def _must_have(frame: pd.DataFrame, role: str, name: str) -> None:
    names = list(map(str, frame.columns))
    if name not in names:
        known = ", ".join(map(shown, names[:8]))
        raise InputError(f"{role} {shown(name)} is not in the data.{near(name, names)} Columns: {known}.")


def _cases(frame: pd.DataFrame, case: str) -> tuple[np.ndarray, pd.Index]:
    """The number of each row's case, and the cases in the order in which they come."""
    import pandas as pd

    codes, cases = pd.factorize(frame[case])
    if (codes < 0).any():
        row = int((codes < 0).argmax()) + 1
        raise InputError(f"series_id {shown(case)} is missing in {int((codes < 0).sum())} rows, first in row {row}.")
    return np.asarray(codes), pd.Index(cases, name=case)


def _ordered(frame: pd.DataFrame, step: str, codes: np.ndarray) -> np.ndarray:
    """Rows by case, within it by step; a step that comes twice is refused."""
    import pandas as pd

    when = frame[step]
    if when.dtype.kind not in "iufM":
        numbers = pd.to_numeric(when, errors="coerce")
        when = numbers if numbers.notna().all() else pd.to_datetime(when, errors="coerce")
    if when.isna().any():
        odd = frame[step][when.isna()].iloc[0]
        raise InputError(f"time_column {shown(step)} must hold numbers or dates, got {shown(str(odd))}.")
    ranks = pd.factorize(when, sort=True)[0]
    order = np.lexsort((ranks, codes))
    again = (np.diff(codes[order]) == 0) & (np.diff(ranks[order]) == 0)
    if again.any():
        row = frame.iloc[order[int(again.argmax()) + 1]]
        told = ", ".join(shown(str(value)) for value in row.iloc[:2])
        raise InputError(
            f"{int(again.sum())} steps come twice in their case, first in the row {told}. Keep one of each."
        )
    return np.asarray(order)


def _changes(column: pd.Series, codes: np.ndarray) -> bool:
    """Whether a column has several values within some case; gaps are no value."""
    import pandas as pd

    values, _ = pd.factorize(column)
    known = values >= 0
    pairs = np.unique(np.stack([codes[known], values[known]]), axis=1)
    return bool(pairs.shape[1] > len(np.unique(pairs[0])))


def _numbers(column: pd.Series) -> np.ndarray:
    import pandas as pd

    numbers = column if column.dtype.kind in "iufb" else pd.to_numeric(column, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=np.nan))


def folded(frame: pd.DataFrame, known: Sequence[LongTable]) -> pd.DataFrame:
    """The rows of a model of long tables, folded; others, and rows that are cases already, as they are."""
    for steps in known:
        if steps.case in frame.columns:
            return steps.fold(frame)
    return frame
