"""How windows of series become what a network reads, learned once and alike in training and in forecasts.

Covariates are cleaned as columns of tables are. Of codes it is known which never change within a series: they hold at
steps, too, that nobody asked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from automl.training.tabular import Cleaner, read_cleaner
from search_spaces.checked import arrays, finite, json_object, need, table, whole
from search_spaces.knobs import MOST_STEPS
from search_spaces.series.calendar import calendar
from search_spaces.series.cuts import BENDS, LEVELS, Lines, Norm, cut, norm
from search_spaces.series.panel import panel_of, series_of
from search_spaces.spec import Matrix, Panel, Params, Rows, WindowShape

FACTS, CODES, NUMBERS = "framing.json", "known.npz", "past.npz"
NAMES = 0.5  # codes for each series, from which they are its name
SHORTEST, LONGEST = 8, 4096  # steps of a context
# Of what the calendar says: after how many it begins anew; else its usual value and how far it strays from there.
PERIODS = {"month": 12.0, "weekday": 7.0, "time of day": 24.0, "day of month": 31.0, "day of year": 366.0}
USUAL = {"days": (30.4, 0.8)}
OF_WEEKDAYS = (4.35, 0.48)  # how often a weekday comes in a month

Inputs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # histories, past, numbers and codes of steps to come


@dataclass(frozen=True)
class Framing:
    """What the training rows taught about series and what is known beside them."""

    known: Cleaner  # of rows
    past: Cleaner  # of steps before an origin
    kept: np.ndarray  # bool, of each column of codes: whether it is read
    constant: np.ndarray  # bool, of each that is: whether it never changes within a series
    context: int
    horizon: int
    season: int
    frequency: str
    level: str
    bend: str
    center: float  # of all values that were learned from
    lowest: float

    @classmethod
    def fit(cls, train: Rows, params: Params) -> Framing:
        """Learn from training rows."""
        panel = panel_of(train.X.media)
        usual = max(panel.horizon, min(panel.season, LONGEST))
        series = series_of(panel, panel.rows)
        constant = _constant(train.X.codes, series)
        kept = ~(constant & _is_name(train.X.codes, series)) if params["names"] == "hidden" else constant | True
        longest = int(np.diff(panel.starts).max(initial=1))
        context = min(round(params["context"] * usual), max(longest - panel.horizon, SHORTEST), LONGEST)
        return cls(
            Cleaner.fit(_with(train.X, kept)),
            Cleaner.fit(_numbers(_past(panel, panel.rows))),
            kept,
            constant[kept],
            context=max(SHORTEST, context),
            horizon=panel.horizon,
            season=max(1, min(panel.season, LONGEST)),
            frequency=panel.frequency,
            level=params["level"],
            bend=params["bend"],
            center=float(np.mean(train.y)),
            lowest=float(np.min(train.y)),
        )

    @property
    def width(self) -> int:
        """Newest steps of a history that are looked at: a gap is filled with what was a season before."""
        return self.context + self.season

    @property
    def window(self) -> WindowShape:
        """What the network is told of it."""
        told = self.known.width + self.dates(np.zeros(1)).shape[1]
        return WindowShape(self.context, self.horizon, self.season, told, self.past.width)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of codes."""
        return tuple(self.known.sizes.tolist())

    def cleaned(self, X: Matrix) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and codes of rows."""
        X = _with(X, self.kept)
        return self.known.numbers(X), self.known.codes(X)

    def dates(self, stamps: np.ndarray) -> np.ndarray:
        """What the calendar says of steps, as waves and numbers around zero; float32, one more dimension."""
        said: list[np.ndarray] = []
        for name, values in calendar(stamps, self.frequency).items():
            if name in PERIODS:
                angle = 2 * np.pi / PERIODS[name] * values
                said += [np.sin(angle), np.cos(angle)]
            else:
                usual, stray = USUAL.get(name, OF_WEEKDAYS)
                said.append((values - usual) / stray)
        return np.stack(said, axis=-1) if said else np.zeros((*stamps.shape, 0), dtype=np.float32)

    def past_of(self, panel: Panel, places: np.ndarray, is_there: np.ndarray) -> np.ndarray:
        """What else was known of steps, (..., columns); as missing where there was none."""
        raw = _past(panel, np.where(is_there, places, 0).reshape(-1))
        raw = np.where(is_there.reshape(-1, 1), raw, np.float32(np.nan))
        return self.past.numbers(_numbers(raw)).reshape(*places.shape, self.past.width)

    def windows(self, lines: Lines, rows: np.ndarray, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, Norm]:
        """The windows before origins, scaled; their columns, and how to scale back."""
        columns = cut(lines, rows, origins, (self.context, self.season))
        values = lines.values[rows[:, None], columns]
        known = norm(values, (self.level, self.bend, self.season), self.center)
        return np.nan_to_num(known.to(values)).astype(np.float32), columns, known

    def back(self, scaled: np.ndarray, how: Norm) -> np.ndarray:
        """Forecasts, none below zero where nothing ever was."""
        values = how.back(scaled.astype(np.float64))
        return np.maximum(values, 0.0) if self.lowest >= 0 else values

    def dump(self) -> dict[str, bytes]:
        """Arrays and facts."""
        facts = {name: value for name, value in asdict(self).items() if isinstance(value, int | float | str)}
        return {
            FACTS: json.dumps(facts).encode(),
            CODES: _packed({**asdict(self.known), "kept": self.kept, "constant": self.constant}),
            NUMBERS: _packed(asdict(self.past)),
        }


def framing_from(parts: Mapping[str, bytes]) -> Framing:
    """What `dump` gave; ValueError for what no training rows teach."""
    facts, codes = json_object(parts[FACTS]), arrays(parts[CODES])
    kept, constant = table(codes, "kept", (None,), "b"), table(codes, "constant", (None,), "b")
    need(int(kept.sum()) == len(constant), f"{int(kept.sum())} columns of codes are kept of {len(constant)}")
    known = read_cleaner({name: values for name, values in codes.items() if name not in ("kept", "constant")})
    need(len(constant) == len(known.sizes), f"{len(constant)} columns of codes, not {len(known.sizes)}")
    for name, options in (("level", LEVELS), ("bend", BENDS)):
        need(facts[name] in options, f"{name} is {facts[name]!r:.40}")
    need(isinstance(facts["frequency"], str), "its frequency is no text")
    return Framing(
        known,
        read_cleaner(arrays(parts[NUMBERS])),
        kept,
        constant,
        context=whole(facts["context"], "context", 1, LONGEST),
        horizon=whole(facts["horizon"], "horizon", 1, MOST_STEPS),
        season=whole(facts["season"], "season", 1, LONGEST),
        frequency=facts["frequency"],
        level=facts["level"],
        bend=facts["bend"],
        center=finite(facts["center"], "center"),
        lowest=finite(facts["lowest"], "lowest"),
    )


def _packed(named: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **dict(named))  # type: ignore[arg-type]  # names of arrays, none of them "allow_pickle"
    return buffer.getvalue()


def _past(panel: Panel, places: np.ndarray) -> np.ndarray:
    return np.zeros((len(places), 0), dtype=np.float32) if panel.past is None else panel.past[places]


def _numbers(values: np.ndarray) -> Matrix:
    return Matrix(values, np.zeros((len(values), 0), dtype=np.int32), ())


def _with(X: Matrix, kept: np.ndarray) -> Matrix:
    """Rows with some of their columns of codes."""
    sizes = tuple(size for size, is_kept in zip(X.sizes, kept, strict=True) if is_kept)
    return Matrix(X.numbers, X.codes[:, kept], sizes)


def _is_name(codes: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Which columns of codes tell most series from any other."""
    count = len(np.unique(series))
    return np.array([len(np.unique(column)) > NAMES * count for column in codes.T], dtype=bool)


def _constant(codes: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Which columns of codes have one for each series."""
    order = np.argsort(series, kind="stable")
    is_same = series[order][1:] == series[order][:-1]
    return np.asarray(~((codes[order][1:] != codes[order][:-1]) & is_same[:, None]).any(axis=0))
