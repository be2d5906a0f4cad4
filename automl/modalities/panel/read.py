"""A table of series on its way in: its frequency, its season, the grid of its steps, and what is odd about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from automl.errors import InputError, OptionError
from automl.messages import percent, shown
from automl.modalities.panel.codec import PanelCodec, cells_of, moments_of
from automl.modalities.panel.fields import Fields, Step, identities, values_of
from automl.modalities.panel.frequency import Frequency, given, infer
from automl.modalities.panel.grid import Grid, Identity, place, refuse_repeats
from automl.modalities.panel.history import identified, newest
from automl.modalities.panel.roles import fields_of, told
from automl.modalities.panel.stamps import read_stamps
from automl.modalities.panel.windows import window_of
from automl.modalities.protocol import Gathered, Reading, Taken
from automl.options import Options
from automl.records import Decoded, Finding
from search_spaces.spec import Media, Panel

if TYPE_CHECKING:
    import pandas as pd

USUAL_HORIZON = 10  # steps, where there is no season
SHARE = 0.2  # of a usual series that a horizon takes at most where none was given
SHORT = 3  # horizons in a series, below which a backtest has little to learn from
MANY_GAPS = 0.05
DATED = 1e7  # stamps of bare cells beyond it are seconds since 1970, and not numbers of steps


@dataclass(frozen=True)
class SeriesTable:
    """What the columns of a table of series are for, and what it says of each of them."""

    fields: Fields
    identities: Mapping[str, Identity]


def gather(frame: pd.DataFrame, column: str, answers: pd.Series, options: Options) -> Gathered:
    """Rows as steps; the columns that are known once a step is over only leave the table."""
    stamps, note = read_stamps(frame[column])
    fields = replace(fields_of(frame, str(answers.name), column, options), is_dated=stamps.dtype.kind == "M")
    names, past = fields.names(frame), fields.past_numbers(frame)
    values = values_of(answers)
    cells = cells_of(names, stamps, values, past)
    about = SeriesTable(fields, identities(frame, names, fields))
    return Gathered(cells, fields.past, about, (*([note] if note else []), *told(fields)))


def read(reading: Reading) -> Taken:
    """All rows on a grid, each with the origin from which it is foretold in a backtest."""
    cells: Sequence[Step] = reading.cells
    options = reading.options or Options(horizon=1)
    about = reading.about if isinstance(reading.about, SeriesTable) else SeriesTable(_bare(reading), {})
    fields = about.fields
    stamps = np.array([cell.stamp for cell in cells])
    names = [cell.series for cell in cells]
    frequency = _frequency(stamps, names, options, is_dated=fields.is_dated)
    steps = frequency.steps(moments_of(stamps, frequency))
    refuse_repeats(names, steps, frequency)
    past = np.array([cell.past for cell in cells], dtype=np.float32).reshape(len(cells), len(fields.past))
    placed = place(names, steps, np.array([cell.value for cell in cells]), past)
    season = _season(placed.grid, frequency, options)
    horizon = _horizon(placed.grid, season, options)
    codec = PanelCodec(
        fields=fields,
        frequency=frequency,
        season=season,
        horizon=horizon,
        history=newest(identified(placed.grid, about.identities)),
    )
    _, origins = window_of(placed.grid.ends, placed.grid.starts, horizon)
    block = codec.block(placed, origins, np.arange(len(placed.grid)))
    return Taken(
        Decoded(
            column=reading.column, block=block, codec=codec, why=_why(placed.grid, codec),
            findings=tuple(_findings(placed.grid, codec)),
        ),
        np.ones(len(cells), dtype=bool),
    )  # fmt: skip


def facts(block: Media) -> dict[str, float]:
    """How many series there are, how long they are, and what repeats."""
    assert isinstance(block, Panel)
    lengths = np.diff(block.starts)
    known = block.values()
    return {
        "series": float(len(lengths)), "steps": float(np.median(lengths)), "season": float(block.season),
        "horizon": float(block.horizon), "zeros": float((known == 0).mean()), "past": float(_width(block)),
    }  # fmt: skip


def _width(block: Panel) -> int:
    return 0 if block.past is None else int(block.past.shape[1])


def _bare(reading: Reading) -> Fields:
    width = len(reading.cells[0].past) if len(reading.cells) else 0
    is_dated = bool(len(reading.cells)) and abs(reading.cells[0].stamp) > DATED
    past = tuple(f"past {k}" for k in range(width))
    return Fields(time=reading.column, target="value", past=past, is_dated=is_dated)


def _frequency(stamps: np.ndarray, names: Sequence[str], options: Options, *, is_dated: bool) -> Frequency:
    moments = stamps.astype(np.int64).astype("datetime64[s]") if is_dated else stamps
    if options.frequency is not None:
        return given(options.frequency, moments)
    _, series = np.unique(np.asarray(names, dtype=object).astype("str"), return_inverse=True)
    order = np.lexsort((stamps, np.asarray(series).reshape(-1)))
    return infer(moments[order], np.asarray(series).reshape(-1)[order])


def _season(grid: Grid, frequency: Frequency, options: Options) -> int:
    usual = float(np.median(np.diff(grid.starts)))
    if options.season is not None:
        if options.season > usual:
            raise OptionError(
                f"season={options.season} is longer than a usual series here, of {usual:,.0f} steps. Leave season out."
            )
        return options.season
    return frequency.season if 2 * frequency.season <= usual else 1


def _horizon(grid: Grid, season: int, options: Options) -> int:
    lengths = np.diff(grid.starts)
    if options.horizon is None:
        wanted = season if season > 1 else USUAL_HORIZON
        return max(1, min(wanted, round(SHARE * float(np.median(lengths)))))
    if options.horizon >= lengths.max():
        raise InputError(
            f"horizon={options.horizon} is as long as the longest series, of {lengths.max():,} steps: nothing is left "
            "to learn from. Give a shorter horizon, or longer series."
        )
    return options.horizon


def _why(grid: Grid, codec: PanelCodec) -> str:
    season = f", a season of {codec.season} (override with season=)" if codec.season > 1 else ", no season"
    lengths = np.diff(grid.starts)
    told = f"{len(grid):,} series of {lengths.min():,} to {lengths.max():,} steps, a step is {codec.frequency}"
    return f"{told} (override with frequency=){season}; foretold are {codec.horizon} steps"


def _findings(grid: Grid, codec: PanelCodec) -> Iterator[Finding]:
    lengths, is_gap = np.diff(grid.starts), ~np.isfinite(grid.values)
    series = np.repeat(np.arange(len(grid)), lengths)
    if is_gap.any():
        gaps = np.bincount(series[is_gap], minlength=len(grid))
        most = int(gaps.argmax())
        severity = "warning" if is_gap.mean() > MANY_GAPS else "info"
        yield Finding(
            "gaps", severity, f"{is_gap.sum():,} of {len(is_gap):,} steps have no value ({percent(is_gap.mean())}), "
            f"most in series {shown(grid.names[most])}. They stay gaps; if nothing happened then, write zeros",
            evidence={"steps": int(is_gap.sum()), "series": int((gaps > 0).sum())},
        )  # fmt: skip
    short = lengths < SHORT * codec.horizon
    if short.any():
        yield Finding(
            "short_series", "warning" if short.mean() > 0.5 else "info",
            f"{short.sum():,} of {len(grid):,} series are shorter than {SHORT} horizons, first "
            f"{shown(grid.names[int(short.argmax())])}: backtests tell little of them",
            evidence={"series": int(short.sum())},
        )  # fmt: skip
    constant = _spread(grid) == 0
    if constant.any() and len(grid) > 1:
        yield Finding(
            "constant_series", "info",
            f"{constant.sum():,} of {len(grid):,} series never change, first "
            f"{shown(grid.names[int(constant.argmax())])}: errors scaled by their changes leave them out",
            evidence={"series": int(constant.sum())},
        )  # fmt: skip
    last = grid.first + grid.ends - grid.starts[:-1]
    early = last < last.max() - codec.horizon
    if early.any():
        yield Finding(
            "ends_early", "info",
            f"{early.sum():,} of {len(grid):,} series end more than a horizon before the newest, first "
            f"{shown(grid.names[int(early.argmax())])}",
            evidence={"series": int(early.sum())},
        )  # fmt: skip


def _spread(grid: Grid) -> np.ndarray:
    filled = np.where(np.isfinite(grid.values), grid.values, -np.inf)
    high = np.maximum.reduceat(filled, grid.starts[:-1])
    low = np.minimum.reduceat(np.where(np.isfinite(grid.values), grid.values, np.inf), grid.starts[:-1])
    return np.asarray(high - low)
