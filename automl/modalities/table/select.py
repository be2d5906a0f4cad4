"""Which keys, groups and combinations of columns say enough to become features; all by the worth of their cells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from automl.modalities.protocol import Raw
from automl.modalities.table.cells import Key, by_code, by_pair, by_value, cell_means, in_bins, worth
from automl.modalities.table.recipes import LONG_CATEGORY, FeatureRecipe, is_key

LEAST_WORTH = 0.002  # of the answers' variance, below which a feature is noise
LEAST_GAIN = 0.004  # of a combination over its parts
CHANCE = 10.0  # divided by the rows: gain that the best of many reaches by luck
BINS, GRID = 48, 12  # of one number alone, and per side where two are looked at together
LOOKED_AT = 40_000  # rows by which numbers are compared
CELLS = 3_000_000  # rows times columns of such comparisons, so that thousands of columns cost seconds
PAIRED = 12  # best columns among which pairs are sought
KEYED = 3  # keys by which numbers are grouped
ALIKE = 0.98  # correlation beyond which a combination repeats another


@dataclass(frozen=True)
class Combination:
    """A number made of two others."""

    operation: str
    first: int
    second: int

    def of(self, raw: Raw) -> np.ndarray:
        """Its value for every row; NaN where it has none."""
        return _combine(self.operation, raw.numbers[:, self.first], raw.numbers[:, self.second])


def _combine(operation: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        made = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[operation](a, b)
    return np.where(np.isfinite(made), made, np.nan).astype(np.float32)


def choose_keys(raw: Raw, answers: np.ndarray, recipe: FeatureRecipe) -> list[Key]:
    """Keys whose mean answers are worth telling, the most telling first; pairs last."""
    if not recipe.means:
        return []
    codes = [by_code(raw, j) for j in range(raw.codes.shape[1])]
    single = [key for key in codes if key.size > LONG_CATEGORY + 1] + _value_keys(raw, answers)
    values = [_worth(key, raw, answers) for key in single]
    order = np.argsort([-value for value in values], kind="stable")
    chosen = [single[i] for i in order if values[i] > LEAST_WORTH][: recipe.means - recipe.pairs]
    short = [key for key in codes if 2 < key.size <= LONG_CATEGORY + 1]
    return chosen + _pairs(raw, answers, [*(single[i] for i in order), *short], recipe.pairs)


def choose_coded(raw: Raw, answers: np.ndarray, recipe: FeatureRecipe) -> tuple[Key, ...]:
    """Numbers whose exact values tell more than their size does."""
    return tuple(_value_keys(raw, answers)[: recipe.coded]) if recipe.coded else ()


def _worth(key: Key, raw: Raw, answers: np.ndarray) -> float:
    return worth(key.cells(raw), key.size, answers)


def _value_keys(raw: Raw, answers: np.ndarray) -> list[Key]:
    """Numbers whose exact values tell more than bins of them, the largest difference first."""
    found = []
    for j, column in enumerate(raw.numbers.T):
        if not is_key(column):
            continue
        key = by_value(raw, j)
        gain = _worth(key, raw, answers) - worth(in_bins(column, BINS), BINS + 2, answers)
        if gain > _least_gain(raw):
            found.append((-gain, j, key))
    return [key for _, _, key in sorted(found, key=lambda entry: entry[:2])]


def _pairs(raw: Raw, answers: np.ndarray, keys: list[Key], most: int) -> list[Key]:
    """Pairs that tell more than the two keys one after the other."""
    found: list[tuple[float, int, Key]] = []
    for first, second in combinations(keys[:PAIRED], 2) if most else ():
        pair = by_pair(raw, first, second)
        if pair.size > 2:
            gain = _worth(pair, raw, answers) - _in_turn(
                answers, (first.cells(raw), first.size), (second.cells(raw), second.size)
            )
            found.append((-gain, len(found), pair))
    return [pair for gain, _, pair in sorted(found, key=lambda entry: entry[:2])[:most] if -gain > _least_gain(raw)]


def _in_turn(answers: np.ndarray, first: tuple[np.ndarray, int], second: tuple[np.ndarray, int]) -> float:
    """What two sorts of cells (cells, size) tell when the second explains what the first leaves."""
    cells, size = first
    told = cell_means(cells[::2], size, answers[::2])[cells]
    alone = worth(cells, size, answers)
    return alone + (1 - alone) * max(0.0, worth(*second, answers - told))


def choose_groups(
    raw: Raw, keys: list[Key], answers: np.ndarray, recipe: FeatureRecipe
) -> list[tuple[Key, tuple[int, ...]]]:
    """For the best keys, the numbers whose mean in the cell tells something beside the number itself."""
    if not recipe.groups:
        return []
    rows = _some(raw)
    sample, told = raw.take(rows), answers[rows]
    bins = [in_bins(column, GRID) for column in sample.numbers.T]
    found = []
    side = GRID + 2
    for place, key in enumerate([key for key in keys if key.pair is None][:KEYED]):
        cells, wide = key.cells(sample), key.cells(raw)
        for j, own in enumerate(bins):
            means = _means(raw.numbers[:, j], wide, key.size)[cells]
            both = worth(own * side + in_bins(means, GRID), side * side, told)
            found.append((worth(own, side, told) - both, place, j))
    best = [(place, j) for gain, place, j in sorted(found)[: recipe.groups] if -gain > _least_gain(raw)]
    return [
        (keys[place], columns)
        for place in range(KEYED)
        if (columns := tuple(j for at, j in sorted(best) if at == place))
    ]


def _means(column: np.ndarray, cells: np.ndarray, size: int) -> np.ndarray:
    known = ~np.isnan(column)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.bincount(cells, np.where(known, column, 0.0), minlength=size) / np.bincount(cells, known, minlength=size)
        )


def choose_combinations(raw: Raw, answers: np.ndarray, recipe: FeatureRecipe) -> tuple[Combination, ...]:
    """Sums, differences, products and ratios that tell more than either number alone."""
    if not recipe.sums or raw.numbers.shape[1] < 2:
        return ()
    rows = _some(raw)
    numbers, told = raw.numbers[rows], answers[rows]
    alone = np.array([worth(in_bins(column, BINS), BINS + 2, told) for column in numbers.T])
    best = np.argsort(-alone, kind="stable")[:PAIRED]
    found = []
    for first, second in permutations(best.tolist(), 2):
        for operation in "/" if first > second else "+-*/":
            made = _combine(operation, numbers[:, first], numbers[:, second])
            gain = worth(in_bins(made, BINS), BINS + 2, told) - max(alone[first], alone[second])
            if gain > _least_gain(raw):
                found.append((-gain, operation, first, second, made))
    chosen: list[Combination] = []
    kept: list[np.ndarray] = []
    for _, operation, first, second, made in sorted(found, key=lambda entry: entry[:4]):
        filled = np.nan_to_num(np.argsort(np.argsort(made)).astype(np.float64))
        if len(chosen) < recipe.sums and all(abs(np.corrcoef(filled, other)[0, 1]) < ALIKE for other in kept):
            chosen.append(Combination(operation, first, second))
            kept.append(filled)
    return tuple(chosen)


def _least_gain(raw: Raw) -> float:
    return LEAST_GAIN + CHANCE / len(raw)


def _some(raw: Raw) -> np.ndarray:
    """Evenly spread rows, fewer where there are many columns."""
    most = int(min(LOOKED_AT, max(1_000, CELLS // max(1, raw.numbers.shape[1]))))
    return np.arange(0, len(raw), max(1, len(raw) // most))
