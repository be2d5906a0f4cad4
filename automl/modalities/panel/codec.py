"""Series over time as a block: how rows become steps of known series, with what was known of these saved beside it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.messages import shown
from automl.modalities.panel.fields import Fields, Step, fields_from, identities, plain, values_of
from automl.modalities.panel.frequency import Frequency, frequency_from
from automl.modalities.panel.grid import KIND, Grid, Placed, place, refuse_repeats
from automl.modalities.panel.history import dump, identified, joined, merged, newest, read_history
from automl.modalities.panel.stamps import read_stamps
from search_spaces.checked import need
from search_spaces.spec import Media, MediaKind, Panel

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 200  # horizons after what is known, beyond which nothing is foretold


@dataclass(frozen=True, kw_only=True)
class PanelCodec:
    """What is known of series, and which rows are which of their steps."""

    fields: Fields
    frequency: Frequency
    season: int
    horizon: int
    history: Grid | None = None  # None: the file with it was left out, and rows must bring their own
    kind: MediaKind = KIND
    drawn: None = None  # the report draws forecasts itself
    encoder: None = None
    stays: bool = True  # with its row, where columns take the cells of others: a step has the history that it has

    @property
    def names(self) -> list[str]:
        """None: families of forecasting read the block itself."""
        return []

    @property
    def beside(self) -> tuple[str, ...]:
        """The columns that it reads beside its own, and that rows must have."""
        return self.fields.beside

    @property
    def optional(self) -> tuple[str, ...]:
        """The columns that it reads where rows have them: what became known of their steps."""
        return (self.fields.target, *self.fields.past)

    def example(self) -> dict[str, Any]:
        """A row that can be foretold: the step after what is known of the first series."""
        known = self.history
        keys = known.identities[0].keys if known is not None and known.identities else ("",) * len(self.fields.series)
        step = 0 if known is None or not len(known.first) else int(known.first[0] + known.ends[0] - known.starts[0])
        when = self.frequency.stamps(np.array([step]))[0]
        return {**dict(zip(self.fields.series, keys, strict=True)), self.fields.time: plain(when)}

    def gather(self, frame: pd.DataFrame) -> list[Step]:
        """The rows of a table as its cells; where the target is among the columns, known values are history."""
        stamps = self.moments(frame)
        target = self.fields.target
        values = values_of(frame[target]) if target in frame.columns else np.full(len(frame), np.nan)
        past = self.fields.past_numbers(frame)
        return cells_of(self.fields.names(frame), stamps, values, past)

    def moments(self, frame: pd.DataFrame) -> np.ndarray:
        """When rows are, as the frequency takes it."""
        stamps, _ = read_stamps(frame[self.fields.time])
        self._refuse_other(stamps)
        return stamps

    def encode(self, cells: Sequence[Any]) -> Media:
        """Steps after, or among, what is known of their series."""
        steps, names, values, past = self._read(cells)
        told = np.flatnonzero(np.isfinite(values))  # a step may be asked for twice, but it has one value
        refuse_repeats([names[at] for at in told.tolist()], steps[told], self.frequency)
        placed = self._with_history(place(names, steps, values, past))
        ends = np.repeat(placed.grid.ends, np.diff(placed.grid.starts))
        places = np.arange(len(placed.grid.values))
        origins = np.where(places >= ends, ends, places)
        self._refuse_far(placed, ends)
        numbers = np.array([self._number.get(name, -1) for name in placed.grid.names], dtype=np.int64)
        return self.block(placed, origins, numbers)

    def block(self, placed: Placed, origins: np.ndarray, numbers: np.ndarray) -> Panel:
        """The block of such rows; `numbers`: of each series, that which training gave it."""
        grid = placed.grid
        return Panel(
            self.kind, grid.values, placed.rows, starts=grid.starts, origins=origins, stamps=grid.stamps,
            numbers=numbers, past=grid.past if grid.past.shape[1] else None, frequency=self.frequency.alias,
            season=self.season, horizon=self.horizon,
        )  # fmt: skip

    def describe(self, block: Media) -> np.ndarray:
        """Nothing: what tells of a step depends on how far ahead it is foretold."""
        return np.zeros((len(block), 0), dtype=np.float32)

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is known of the series is `content`."""
        return {
            "kind": self.kind, "fields": self.fields.as_json(), "frequency": self.frequency.as_json(),
            "season": self.season, "horizon": self.horizon,
        }  # fmt: skip

    def content(self) -> bytes:
        """What is known of the series, as a file."""
        return b"" if self.history is None else dump(self.history)

    def extended(self, frame: pd.DataFrame) -> PanelCodec:
        """The same, knowing these rows too."""
        steps, names, values, past = self._read(self.gather(frame))
        refuse_repeats(names, steps, self.frequency)
        rows = identified(place(names, steps, values, past).grid, identities(frame, names, self.fields))
        return replace(self, history=newest(rows if self.history is None else merged(self.history, rows)))

    @functools.cached_property
    def _number(self) -> dict[str, int]:
        return {} if self.history is None else {name: at for at, name in enumerate(self.history.names)}

    def _read(self, cells: Sequence[Any]) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
        stamps = np.array([cell.stamp for cell in cells], dtype=np.float64)
        moments = moments_of(stamps, self.frequency)
        past = np.array([cell.past for cell in cells], dtype=np.float32).reshape(len(cells), len(self.fields.past))
        values = np.array([cell.value for cell in cells], dtype=np.float64)
        return self.frequency.steps(moments), [cell.series for cell in cells], values, past

    def _refuse_other(self, stamps: np.ndarray) -> None:
        if (stamps.dtype.kind == "f") != (self.frequency.unit == "i"):
            learned, seen = ("numbers", "dates") if self.frequency.unit == "i" else ("dates", "numbers")
            raise InputError(
                f"times in {shown(self.fields.time)} are {seen}, but were {learned} in training. Write them alike."
            )

    def _with_history(self, placed: Placed) -> Placed:
        """The same rows behind what is known of their series; what they bring themselves goes before it."""
        if self.history is None or not len(placed.rows):
            return placed
        return joined(self.history, placed, self._number)

    def _refuse_far(self, placed: Placed, ends: np.ndarray) -> None:
        far = placed.rows - ends[placed.rows] if len(placed.rows) else np.zeros(0)
        if len(far) and far.max() > FARTHEST * self.horizon:
            raise InputError(
                f"a row is {int(far.max()):,} steps (a step is {self.frequency}) after what is known of its series, "
                f"for a model of {self.horizon} steps. Bring what came between, with {shown(self.fields.target)}."
            )


def moments_of(stamps: np.ndarray, frequency: Frequency) -> np.ndarray:
    """The stamps of cells as a frequency takes them."""
    return stamps if frequency.unit == "i" else stamps.astype(np.int64).astype("datetime64[s]")


def cells_of(names: Sequence[str], stamps: np.ndarray, values: np.ndarray, past: np.ndarray) -> list[Step]:
    """Rows as cells of their time column."""
    numbers = (stamps.astype(np.int64) if stamps.dtype.kind == "M" else stamps).astype(np.float64)
    beside = [tuple(row) for row in past.tolist()]
    return list(map(Step, names, numbers.tolist(), values.tolist(), beside))


def codec_from_json(plain: Mapping[str, Any], content: bytes | None = None) -> PanelCodec:
    """What `as_json` and `content` gave; ValueError where they could not have."""
    season, horizon = plain["season"], plain["horizon"]
    need(isinstance(season, int) and 0 < season < 2**31, "a season of no steps")
    need(isinstance(horizon, int) and 0 < horizon < 2**31, "a horizon of no steps")
    fields = fields_from(plain["fields"])
    history = read_history(content, len(fields.past)) if content else None
    return PanelCodec(
        fields=fields, frequency=frequency_from(plain["frequency"]), season=season, horizon=horizon, history=history
    )
