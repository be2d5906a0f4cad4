"""Drift: no alarm where nothing moved, whatever the sizes and shapes; an alarm where something moved that matters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from automl.scoring import drift as measures
from automl.scoring.drift import Drift, Spread, clustered, drift, labels_before, labels_now, numbers_before, spread_of

CELLS = 30
Draw = Callable[[np.random.Generator, int], np.ndarray]

NUMBERS: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "heavy tails": lambda random, rows: random.standard_cauchy(size=rows),
    "ties": lambda random, rows: np.round(random.exponential(2, size=rows)),
    "mostly zero": lambda random, rows: np.where(random.random(rows) < 0.7, 0, random.lognormal(size=rows)),
    "missing": lambda random, rows: np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows)),
    "yes or no": lambda random, rows: (random.random(rows) < 0.03).astype(float),
}
LABELS: dict[str, Draw] = {
    "few": lambda random, rows: random.choice(6, size=rows, p=[0.5, 0.3, 0.1, 0.06, 0.03, 0.01]),
    "long tail": lambda random, rows: np.minimum(random.zipf(1.5, size=rows), 10**6),
    "hardly twice the same": lambda random, rows: random.integers(0, 20_000, size=rows),
}
SIZES = (
    (300, 200, 20),
    (2_000, 200, 20),
    (2_000, 2_000, 20),
    (20_000, 200, 3),
    (20_000, 20_000, 2),
    (5_000, 200_000, 1),
)


def of_numbers(old: np.ndarray, new: np.ndarray) -> Drift:
    edges, before = numbers_before(old, CELLS)
    return drift(before, spread_of(measures.cells_of(new, edges), len(edges), is_ordered=True))


def of_labels(old: np.ndarray, new: np.ndarray) -> Drift:
    known, codes = np.unique(old, return_inverse=True)
    own, before = labels_before(codes, CELLS)
    places = np.searchsorted(known, new).clip(0, len(known) - 1)
    is_new = known[places] != new
    return drift(before, labels_now(np.where(is_new, 0, places), own, is_new))


def table(random: np.random.Generator, rows: int, fresh: int) -> list[Drift]:
    """A column of each shape, and a fresh sample of the same."""
    numbers = [of_numbers(draw(random, rows), draw(random, fresh)) for draw in NUMBERS.values()]
    return numbers + [of_labels(draw(random, rows), draw(random, fresh)) for draw in LABELS.values()]


@pytest.mark.parametrize(("rows", "fresh", "times"), SIZES)
def test_fresh_samples_of_the_same_distribution_alarm_nobody(rows: int, fresh: int, times: int) -> None:
    """Tables of four columns of each shape: hardly ever is anything clear, and nothing of it large."""
    random = np.random.default_rng(rows + fresh)
    alarms = 0
    for _ in range(times):
        columns = [one for _ in range(4) for one in table(random, rows, fresh)]
        alarms += any(one.is_alarming(len(columns)) for one in columns)
    assert alarms <= times // 20


@pytest.mark.parametrize("fresh", [200, 2_000, 50_000])
@pytest.mark.parametrize(
    "moved",
    [
        lambda values, random: values + 0.6,
        lambda values, random: values * 1.7,
        lambda values, random: np.where(random.random(len(values)) < 0.12, np.nan, values),
        lambda values, random: np.where(random.random(len(values)) < 0.06, 99.0, values),
        lambda values, random: values * 1000,
        lambda values, random: np.zeros(len(values)),
    ],
    ids=["shifted", "wider", "missing", "far away", "another unit", "stuck"],
)
def test_planted_shifts_of_numbers_alarm(fresh: int, moved: Callable[..., np.ndarray]) -> None:
    """In a table of forty columns, at any size."""
    random = np.random.default_rng(fresh)
    found = of_numbers(random.normal(size=5_000), moved(random.normal(size=fresh), random))
    assert found.is_alarming(40)
    assert found.low <= found.effect <= found.high


@pytest.mark.parametrize("fresh", [200, 20_000])
def test_planted_shifts_of_labels_alarm(fresh: int) -> None:
    """Shares that change places, and labels that nobody had heard of."""
    random = np.random.default_rng(0)
    old = LABELS["few"](random, 5_000)
    swapped = np.where((new := LABELS["few"](random, fresh)) < 2, 1 - new, new)
    unheard = np.where(random.random(fresh) < 0.08, 77, new)
    assert of_labels(old, swapped).is_alarming(40)
    assert (found := of_labels(old, unheard)).is_alarming(40)
    assert found.beyond > 0.05
    assert found.was_beyond == 0


def test_a_shift_that_matters_to_nobody_is_clear_on_many_rows_and_no_alarm() -> None:
    random = np.random.default_rng(0)
    found = of_numbers(random.normal(size=20_000), random.normal(size=200_000) + 0.06)
    assert found.is_clear(40)
    assert not found.is_alarming(40)
    assert 0 < found.effect < measures.MATTERS


def test_the_effect_does_not_depend_on_the_sizes() -> None:
    """What chance adds is taken off: a shift of half a deviation is about as far on few rows as on many."""
    random, found = np.random.default_rng(1), []
    for rows, fresh in ((500, 300), (20_000, 100_000)):
        found.append(
            np.mean([of_numbers(random.normal(size=rows), random.normal(size=fresh) + 0.5).effect for _ in range(10)])
        )
    assert found[0] == pytest.approx(found[1], abs=0.04)
    assert 0.15 < found[1] < 0.28


def test_rows_that_come_in_groups_are_counted_as_the_fewer_that_they_are() -> None:
    """Forty patients of fifty rows each are no two thousand rows: other patients differ from them by more."""
    random = np.random.default_rng(3)
    without = with_it = 0
    for _ in range(20):
        old, new = (np.repeat(random.normal(size=40), 50) + 0.5 * random.normal(size=2_000) for _ in range(2))
        edges, before = numbers_before(old, CELLS)
        now = spread_of(measures.cells_of(new, edges), len(edges), is_ordered=True)
        alike = clustered(measures.cells_of(old, edges), np.repeat(np.arange(40), 50))
        without += drift(before, now).is_alarming(10)
        with_it += drift(before, now, alike).is_alarming(10)
    assert without >= 15
    assert with_it <= 1
    assert clustered(np.arange(100) % 7, None) == clustered(np.arange(100) % 7, np.arange(100)) == 1.0


def test_nothing_to_compare_is_no_drift_and_no_error() -> None:
    """No rows, columns that were always empty, a single value, infinities."""
    nothing = Spread(np.zeros(3, dtype=np.int64))
    assert drift(nothing, nothing) == measures.NOTHING
    empty = np.full(300, np.nan)
    assert not of_numbers(empty, empty).is_clear(1)
    assert of_numbers(empty, np.arange(300.0)).is_alarming(1)
    assert not of_numbers(np.ones(300), np.ones(200)).is_clear(1)
    assert of_numbers(np.ones(300), np.full(200, np.inf)).beyond == 1
    assert not of_labels(np.arange(5), np.arange(5)).is_clear(1)


def test_tails_are_those_of_the_distributions() -> None:
    """Against known values: of chi-squared within some hundredths, of binomials exactly."""
    for value, freedom, known in ((3.841, 1, 0.05), (18.307, 10, 0.05), (43.773, 30, 0.05), (59.703, 30, 0.001)):
        assert measures.chi_squared_tail(value, freedom) == pytest.approx(known, rel=0.06)
    assert measures.binomial_tail(8, 10, 0.5) == pytest.approx(56 / 1024)
    assert measures.binomial_tail(3, 10, 0.5) == 1.0
    assert measures.binomial_tail(10, 10, 0.5) == pytest.approx(1 / 1024)
    assert measures.binomial_tail(90_000, 100_000, 0.5) == 0.0
