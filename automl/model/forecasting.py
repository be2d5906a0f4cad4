"""The next steps of series, by a model that knows them: rows are made, told what is known ahead, and predicted."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.reading import labels_from_text, load_features
from automl.data.source import open_source
from automl.errors import InputError, OptionError
from automl.messages import shown
from automl.modalities.files.read import MISSING
from automl.modalities.parse import by_value, parse_numbers, spell, value_of
from automl.model.certain import numbers_known

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.panel.codec import PanelCodec
    from automl.modalities.panel.grid import Grid
    from automl.model.predictor import Model
    from automl.scoring.conformal import Said

LEVELS = (80.0, 95.0)
HIGHEST = 99.99  # percent: of more no number of backtests tells
FORECAST = "forecast"


@dataclass(frozen=True, kw_only=True)
class ForecastRequest:
    """Which steps are to be foretold."""

    horizon: int | None = None  # of each series; as the model was made for, where none is given
    future: Any = None  # rows of these steps with what is known ahead
    history: Any = None  # rows with their values, newer than what the model knows, or of new series
    levels: Sequence[float] = LEVELS  # percent of all values that the intervals hold

    def __post_init__(self) -> None:
        if self.horizon is not None and (isinstance(self.horizon, bool) or int(self.horizon) < 1):
            raise OptionError(f"horizon must be 1 step or more, got {self.horizon!r}.")
        for level in self.levels:
            if not 0 < float(level) <= HIGHEST:
                raise OptionError(f"levels are percentages above 0, at most {HIGHEST:g}, got {level!r}. Give (80, 95).")
        if len({f"{level:g}" for level in self.levels}) < len(self.levels):
            raise OptionError(f"levels must differ, got {tuple(self.levels)}.")


@dataclass(frozen=True)
class Foretold:
    """A row for each step of each series: its columns, its time, the forecast, and the ends of each interval."""

    table: pd.DataFrame
    notes: tuple[str, ...]  # of intervals that backtests are too short for


def forecast(model: Model, asked: ForecastRequest) -> pd.DataFrame:
    """The next steps; what is to be known of them is a warning."""
    said = told_ahead(model, asked)
    for note in said.notes:
        warnings.warn(note, stacklevel=3)
    return said.table


def known_series(model: Model, history: Any) -> tuple[int, int]:
    """How many series a forecast would be of, and how far it would go by itself."""
    codec = codec_of(model)
    names = _known(codec).names if history is None else set(codec.fields.names(table_of(model, history)))
    return len(names), codec.horizon


def told_ahead(model: Model, asked: ForecastRequest) -> Foretold:
    """The next steps, and notes on them."""
    import pandas as pd

    codec = codec_of(model)
    only: set[str] | None = None
    if asked.history is not None:
        rows = table_of(model, asked.history)
        only = set(codec.fields.names(rows))
        model = updated(model, rows)
        codec = codec_of(model)
    future = _steps(codec, only, asked.horizon or codec.horizon)
    frame = _frame(codec, future)
    if codec.fields.known:
        frame = _with_known(model, codec, (frame, future), asked.future)
    said = model.said(frame)
    made: dict[str, Any] = {name: frame[name] for name in (*codec.fields.series, codec.fields.time)}
    made[FORECAST] = said.middle
    notes = []
    for level in asked.levels:
        made[f"lower_{level:g}"], made[f"upper_{level:g}"], note = _ends(model, said, float(level) / 100)
        notes += [note] if note else []
    return Foretold(pd.DataFrame(made), tuple(notes))


def _ends(model: Model, said: Said, level: float) -> tuple[np.ndarray, np.ndarray, str]:
    """Of each step the ends between which that share of values lies, and what is to be known of them.

    Where backtests hold too few steps for a level, those of the highest that they tell are widened as a normal
    distribution's would be.
    """
    known = numbers_known(model, level)
    if level <= known.highest:
        return *known.interval(said, level), ""
    told = math.floor(1e3 * known.highest) / 1e3
    wider = NormalDist().inv_cdf((1 + level) / 2) / NormalDist().inv_cdf((1 + told) / 2)
    note = (
        f"backtests tell of {100 * told:g} % at most, so the interval of {100 * level:g} % is that one, {wider:.2g} "
        "times as wide. Bring longer series for more."
    )
    low, high = known.interval(said, told)
    return said.middle - wider * (said.middle - low), said.middle + wider * (high - said.middle), note


def updated(model: Model, rows: Any) -> Model:
    """The same model knowing these rows too: nothing is fitted anew."""
    codec = codec_of(model)
    frame = table_of(model, rows)
    target = codec.fields.target
    if target not in frame.columns:
        raise InputError(f"rows of history have no column {shown(target)}. Bring the values that became known.")
    extended = codec.extended(frame)
    decoders = tuple(replace(one, codec=extended) if one.codec is codec else one for one in model.schema.decoders)
    return replace(model, schema=replace(model.schema, decoders=decoders))


def codec_of(model: Model) -> PanelCodec:
    """How the model reads series; refused where it reads none."""
    for one in model.schema.decoders:
        if one.codec.kind == "panel":
            return one.codec  # type: ignore[return-value]  # a codec of that kind
    raise InputError(
        "forecast needs a model of series over time, made with horizon=. This one predicts rows: use predict."
    )


def table_of(model: Model, rows: Any) -> pd.DataFrame:
    """Rows of series as a table with the columns that tell them apart and when they are."""
    codec = codec_of(model)
    fields, decimal = codec.fields, model.schema.decimal
    verbatim = (fields.target, *fields.series, *model.schema.verbatim)
    source = open_source(rows, verbatim, to_learn=False, decimal=decimal)
    frame = load_features(source)
    for name in (fields.time, *fields.series):
        if name not in frame.columns:
            raise InputError(
                f"column {shown(name)} is not among these rows. It tells which step of which series each is."
            )
    if fields.target in frame.columns and frame[fields.target].dtype.kind not in "iufb":
        frame = frame.assign(**{fields.target: _values(frame[fields.target], source.table.decimal or decimal)})
    known = () if codec.history is None else codec.history.identities
    for place, name in enumerate(fields.series):
        frame = frame.assign(**{name: _as_known(frame[name], [one.keys[place] for one in known])})
    return frame


def _values(cells: pd.Series, decimal: str) -> pd.Series:
    """The target's texts as training reads them; refused where one is no number."""
    import pandas as pd

    said = cells.map(lambda cell: None if str(cell).strip() in MISSING else cell).dropna()
    read, _ = labels_from_text(said.astype(str).rename(str(cells.name)), decimal)
    if read.dtype.kind not in "iufb":
        numbers = parse_numbers(read.tolist(), decimal)
        if (odd := np.flatnonzero(~np.isfinite(numbers))).size:
            got = read.iloc[int(odd[0])]
            raise InputError(f"column {shown(str(cells.name))} holds numbers, got {shown(got)}. Mend the cell.")
        read = pd.Series(numbers, index=read.index)
    return read.reindex(cells.index)


def _as_known(cells: pd.Series, keys: Sequence[Any]) -> pd.Series:
    """Names of series as training spelled them.

    Where it read numbers, the text 007 is the number 7; where it read texts, a reader that saw few rows took them for
    numbers, but another text is another series.
    """
    texts = {spell(key): key for key in keys}
    by_number = by_value(list(texts))

    def known(cell: Any) -> Any:
        text = spell(cell)
        if text in texts:
            return texts[text]
        value = value_of(text) or ""
        found = texts.get(value) if isinstance(cell, str) else texts.get(by_number.get(value, ""))
        is_other = found is None or (isinstance(cell, str) and isinstance(found, str))
        return cell if is_other else found

    read = {cell: known(cell) for cell in cells.dropna().unique().tolist()}
    return cells.map(lambda cell: read.get(cell, cell)) if read else cells


@dataclass(frozen=True)
class Steps:
    """The steps that follow what is known: of which series, and which."""

    series: np.ndarray  # place among those that the codec knows
    steps: np.ndarray


def _steps(codec: PanelCodec, only: set[str] | None, horizon: int) -> Steps:
    known = _known(codec)
    chosen = [at for at, name in enumerate(known.names) if only is None or name in only]
    first = (known.first + known.ends - known.starts[:-1])[chosen]
    series = np.repeat(np.array(chosen, dtype=np.int64), horizon)
    return Steps(series, (first[:, None] + np.arange(horizon)).reshape(-1))


def _known(codec: PanelCodec) -> Grid:
    if codec.history is None:
        raise InputError(
            "this model knows no series any more: its history was left out. Give history= with their values."
        )
    return codec.history


def _frame(codec: PanelCodec, future: Steps) -> pd.DataFrame:
    """The rows of these steps, with what never changes in their series."""
    import pandas as pd

    known, fields = _known(codec), codec.fields
    told = known.identities
    columns: dict[str, Any] = {}
    for place, name in enumerate(fields.series):
        columns[name] = [told[at].keys[place] for at in future.series.tolist()]
    columns[fields.time] = codec.frequency.stamps(future.steps)
    for place, name in enumerate(fields.static):
        cells = [one.static[place] if place < len(one.static) else None for one in told]
        columns[name] = [cells[at] for at in future.series.tolist()]
    return pd.DataFrame(columns)


def _with_known(model: Model, codec: PanelCodec, made: tuple[pd.DataFrame, Steps], given: Any) -> pd.DataFrame:
    """The rows with the columns that are known ahead, looked up by series and step; refused where one is missing."""
    import pandas as pd

    frame, future = made
    wanted = [name for name in codec.fields.known if name in model.schema.names]
    listed = ", ".join(map(shown, wanted))
    if given is None:
        raise InputError(
            f"{listed} {'is' if len(wanted) == 1 else 'are'} known ahead, and needed for the steps to be foretold. "
            "Give future= with a row for each."
        )
    rows = table_of(model, given)
    for name in wanted:
        if name not in rows.columns:
            raise InputError(f"future has no column {shown(name)}, which is known ahead. Add it, empty where unknown.")
    names, steps = codec.fields.names(rows), codec.frequency.steps(codec.moments(rows))
    place = {key: at for at, key in enumerate(zip(names, steps.tolist(), strict=True))}
    known = _known(codec)
    keys = [(known.names[at], step) for at, step in zip(future.series.tolist(), future.steps.tolist(), strict=True)]
    lost = next((at for at, key in enumerate(keys) if key not in place), None)
    if lost is not None:
        whose = f" of series {shown(keys[lost][0])}" if keys[lost][0] else ""
        when = codec.frequency.told(future.steps[[lost]])[0]
        raise InputError(
            f"future has no row for {when}{whose}, a step to be foretold. Give {listed} for every step, or a shorter "
            "horizon."
        )
    found = rows[wanted].iloc[[place[key] for key in keys]].set_axis(frame.index)
    return pd.concat([frame, found], axis=1)
