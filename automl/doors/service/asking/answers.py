"""What models say of rows, told row by row: as JSON, or as CSV in which no cell is a formula.

Of one target the answers stand by themselves, of several they stand under the names of these.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.doors.service.ground.downloads import safe_csv
from automl.doors.serving.told import ToldAnswers, Wishes, columns_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Telling:
    """How answers are to be told."""

    wishes: Wishes
    has_shares: bool  # probabilities of classes
    is_several: bool  # targets
    is_csv: bool
    files: tuple[str, ...] | None = None  # names of the rows, where they came in an archive

    def __call__(self, told: Sequence[ToldAnswers], rows: int) -> bytes:
        """The body of the answer."""
        if self.is_csv:
            return safe_csv(self._table(told, rows)).encode("utf-8", "backslashreplace")
        return json.dumps(self._object(told, rows), ensure_ascii=False).encode("utf-8", "backslashreplace")

    def _object(self, told: Sequence[ToldAnswers], rows: int) -> dict[str, Any]:
        made: dict[str, Any] = {} if self.files is None else {"files": list(self.files)}
        made["predictions"] = self._by_row([(one.target, _predictions(one)) for one in told], rows)
        if self.has_shares:
            made["probabilities"] = self._by_row(
                [(one.target, _records(one.shares, rows)) for one in told if one.shares], rows
            )
        if self.wishes.interval is not None:
            ends = [(one.target, _ends(one)) for one in told if one.ends is not None]
            made["intervals"] = self._by_row(ends, rows)
        if self.wishes.labels is not None:
            sets = [(one.target, one.labels) for one in told if one.labels is not None]
            made["sets"] = self._by_row(sets, rows)
        made["notes"] = list(dict.fromkeys(note for one in told for note in one.notes))
        return made

    def _by_row(self, columns: Sequence[tuple[str, list[Any]]], rows: int) -> list[Any]:
        """An entry for each row: that of the one target, or those of all by name."""
        if not self.is_several:
            return columns[0][1] if columns else []
        return [{name: cells[at] for name, cells in columns} for at in range(rows)]

    def _table(self, told: Sequence[ToldAnswers], rows: int) -> pd.DataFrame:
        import pandas as pd

        columns = [pair for one in told for pair in columns_of(one) if self.has_shares or not _is_share(one, pair[0])]
        columns = columns if self.files is None else [("file_name", list(self.files)), *columns]
        made = pd.DataFrame({at: pd.Series(cells, dtype=object) for at, (_, cells) in enumerate(columns)})
        made = made.reindex(range(rows))
        made.columns = pd.Index([name for name, _ in columns], dtype=object)
        return made


def _is_share(one: ToldAnswers, name: str) -> bool:
    return any(name == f"{one.target}_{label}" for label in one.shares)


def _predictions(one: ToldAnswers) -> list[Any]:
    """One value for each row; of quantiles one for each level, by name."""
    if list(one.predictions) == [one.target]:
        return list(one.predictions[one.target])
    return _records(one.predictions, len(next(iter(one.predictions.values()))))


def _records(columns: Any, rows: int) -> list[dict[str, Any]]:
    return [{name: cells[at] for name, cells in columns.items()} for at in range(rows)]


def _ends(one: ToldAnswers) -> list[Any]:
    assert one.ends is not None
    return [{"low": low, "high": high} for low, high in zip(*one.ends, strict=True)]
