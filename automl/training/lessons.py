"""Windows of training rows, drawn as often from a short series as from a long one, and those of rows to be foretold."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from automl.training.framing import Framing, Inputs
from search_spaces.series.cuts import Norm, fill
from search_spaces.series.panel import Asked, learned_from, panel_of
from search_spaces.spec import Matrix, Rows

MOST_VALUES = 50_000_000  # of training series that end together; of more, the oldest steps are left out
PROBED = 1_000  # windows by which it is known how large they usually are
SMALL = 1e-25  # size of a window of nothing but zeros
HEAVIEST = 30.0  # weight of a window relative to a usual one


@dataclass(frozen=True)
class Aim:
    """What misses of a window count: its size to a power, since the network sees it scaled."""

    power: float
    is_squared: bool
    usual: float = 1.0

    def weight(self, unit: np.ndarray, beside: np.ndarray) -> np.ndarray:
        """Of windows of such sizes, whose rows weigh so much."""
        size = (unit**2 if self.is_squared else unit) * beside
        return np.asarray(np.minimum((size / self.usual) ** self.power, HEAVIEST))


class Lessons:
    """Training rows as windows with the steps after them."""

    def __init__(self, framing: Framing, train: Rows, aim: Aim) -> None:
        self.framing = framing
        panel = panel_of(train.X.media)
        longest, count = int(np.diff(panel.starts).max(initial=1)), len(panel.starts) - 1
        histories = learned_from(train, max(framing.width, min(longest, MOST_VALUES // max(1, count))))
        self.values, width = histories.values, histories.values.shape[1]
        self.lines = fill(histories.values, framing.season)
        self.places = histories.ends[:, None] - width  # of the first column
        self.row_at = np.full(len(panel.store) + 1, len(train))  # of a place; the last: of none
        self.row_at[panel.rows] = np.arange(len(train))
        self.told, self.codes = cleaned(framing, train.X)
        self.dates, self.past = framing.dates(panel.stamps), None
        if framing.past.width:
            self.past = framing.past_of(panel, np.arange(len(panel.store)), np.ones(len(panel.store), dtype=bool))
        weight = np.ones(len(train)) if train.weight is None else train.weight / max(train.weight.mean(), 1e-300)
        self.weight = np.append(weight, 0.0)
        self.aim = aim
        self.aim = replace(aim, usual=self._usual())

    def draw(self, count: int, random: np.random.Generator) -> tuple[Inputs, np.ndarray]:
        """Some windows, and of the steps after each their scaled values and weights, (rows, horizon, 2)."""
        rows = random.integers(len(self.values), size=count)
        return self._of(rows, self._origins(rows, random.random(count)))

    def _origins(self, rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """So far into each series, leaving room for a season before and a horizon after where there is any."""
        width, first = self.values.shape[1], self.lines.first[rows]
        length, horizon = width - first, self.framing.horizon
        low = first + np.clip(np.minimum(self.framing.season + 1, length - horizon), 1, self.framing.context)
        low = np.minimum(low, width - 1)
        high = np.maximum(low, width - horizon)
        return np.asarray(low + np.floor(shares * (high - low + 1)).astype(np.int64))

    def _of(self, rows: np.ndarray, origins: np.ndarray) -> tuple[Inputs, np.ndarray]:
        framing, (_, width) = self.framing, self.values.shape
        history, columns, how = framing.windows(self.lines, rows, origins)
        ahead = origins[:, None] + np.arange(framing.horizon)
        is_there = ahead < width
        values = np.where(is_there, self.values[rows[:, None], np.minimum(ahead, width - 1)], np.nan)
        places = np.where(is_there, self.places[rows] + ahead, 0)
        which = np.where(np.isfinite(values), self.row_at[places], len(self.told) - 1)
        told = np.concatenate([self.dates[places], self.told[which]], axis=2)
        past = np.zeros((*columns.shape, 0), dtype=np.float32)
        if self.past is not None:
            past = self.past[np.clip(self.places[rows] + columns, 0, len(self.past) - 1)]
        target = aimed(values, how, self.weight[which], self.aim)
        return (history, past, told, self.codes[which]), target

    def _usual(self) -> float:
        """The size of a usual window, by the rows' weights."""
        random = np.random.default_rng(0)
        rows = random.integers(len(self.values), size=PROBED)
        origins = self._origins(rows, random.random(len(rows)))
        _, _, how = self.framing.windows(self.lines, rows, origins)
        beside = self.weight[self.row_at[np.clip(self.places[rows, 0] + origins, 0, len(self.row_at) - 1)]]
        sizes = (how.unit**2 if self.aim.is_squared else how.unit) * beside
        return float(np.median(sizes[sizes > SMALL])) if (sizes > SMALL).any() else 1.0


def aimed(values: np.ndarray, how: Norm, weight: np.ndarray, aim: Aim) -> np.ndarray:
    """What a network learns of steps: scaled values, and what each counts; nothing where none is known."""
    is_known = np.isfinite(values)
    counted = np.where(is_known, weight, 0.0)
    beside = counted.sum(axis=1) / np.maximum(1, is_known.sum(axis=1))
    relative = counted / np.where(beside > 0, beside, 1.0)[:, None] * aim.weight(how.unit, beside)[:, None]
    scaled = np.where(is_known, how.to(np.where(is_known, values, 0.0)), 0.0)
    return np.stack([scaled, relative], axis=2).astype(np.float32)


def cleaned(framing: Framing, X: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and codes of rows, and at the end what is said where there is no row."""
    numbers, codes = framing.cleaned(X)
    return np.pad(numbers, ((0, 1), (0, 0))), np.pad(codes, ((0, 1), (0, 0)))


@dataclass(frozen=True)
class Ahead:
    """Histories that a panel asks to go on from, and what is known of the steps after them."""

    framing: Framing
    values: np.ndarray  # (histories, width)
    past: np.ndarray  # (histories, width, columns)
    stamps: np.ndarray  # (histories,): of the step before the next
    codes: np.ndarray  # (histories, columns): those that never change
    told: tuple[np.ndarray, np.ndarray]  # numbers and codes of the rows asked for

    @classmethod
    def of(cls, framing: Framing, X: Matrix, rows: Asked) -> Ahead:
        """What rows ask."""
        panel, histories = panel_of(X.media), rows.histories
        told = framing.cleaned(X)
        _, first = np.unique(rows.of_row, return_index=True)
        offsets = np.arange(framing.width, 0, -1)
        past = framing.past_of(panel, histories.ends[:, None] - offsets, offsets <= histories.lengths[:, None])
        stamps = panel.stamps[panel.rows[first]] - rows.steps[first]
        return cls(framing, histories.values, past, stamps, told[1][first] * framing.constant, told)

    def inputs(self, rows: np.ndarray, of_row: np.ndarray, place: np.ndarray) -> tuple[Inputs, Norm]:
        """What a network reads where these rows are asked for, of such histories and at such places of a horizon."""
        framing, count = self.framing, len(self.values)
        every = np.arange(count)
        lines = fill(self.values, framing.season)
        history, columns, how = framing.windows(lines, every, np.full(count, framing.width))
        steps = self.stamps[:, None] + np.arange(1, framing.horizon + 1)
        numbers = np.zeros((count, framing.horizon, framing.known.width), dtype=np.float32)
        numbers[of_row, place] = self.told[0][rows]
        codes = np.repeat(self.codes[:, None], framing.horizon, axis=1)
        codes[of_row, place] = self.told[1][rows]
        told = np.concatenate([framing.dates(steps), numbers], axis=2)
        return (history, self.past[every[:, None], columns], told, codes), how

    def later(self, forecasts: np.ndarray) -> Ahead:
        """Once these, (histories, horizon), are taken for what came."""
        horizon, width = self.framing.horizon, self.framing.width
        values = np.concatenate([self.values, forecasts], axis=1)[:, -width:]
        unknown = np.zeros((len(values), min(horizon, width), self.past.shape[2]), dtype=np.float32)
        past = np.concatenate([self.past, unknown], axis=1)[:, -width:]
        return replace(self, values=values, past=past, stamps=self.stamps + horizon)
