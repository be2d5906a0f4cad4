"""Slices that are told worse: planted ones are found and named, noise is not, whatever errors look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from automl.data.facets import Facet, facets
from automl.modalities.table.kinds import describe
from automl.records import Dataset, Profile
from automl.report import conditions
from automl.report.gather.held import HeldRows
from automl.report.gather.slices import all_slices, ranges, worst
from automl.scoring import slices

ROWS = 300
SIMULATED = 200


def noise_slices(rng: np.random.Generator, codes: np.ndarray) -> np.ndarray:
    """Six columns of some categories each, and pairs of them."""
    found = [codes_ == k for codes_ in codes for k in range(int(codes_.max()) + 1)]
    return np.stack([*found, *(found[k] & found[-1 - k] for k in range(5))])


def errors_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == "rare mistakes":
        return (rng.random(ROWS) < 0.06).astype(np.float64)
    return np.abs(rng.standard_t(2, ROWS)) if kind == "heavy tails" else np.abs(rng.normal(size=ROWS))


@pytest.mark.parametrize("kind", ["rare mistakes", "heavy tails", "weights"])
def test_noise_is_named_in_at_most_one_of_twenty_runs(kind: str) -> None:
    """Over many slices together, which overlap; five of a hundred are allowed, and chance of the simulation on top."""
    rng, named = np.random.default_rng(7), 0
    for seed in range(SIMULATED):
        members = noise_slices(rng, rng.integers(0, rng.integers(2, 7, (6, 1)), (6, ROWS)))
        weight = np.exp(rng.normal(size=ROWS)) if kind == "weights" else np.ones(ROWS)
        named += bool((slices.judge(errors_of(kind, rng), members, weight, seed=seed).p <= slices.LEVEL).any())
    assert named / SIMULATED <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / SIMULATED)


def test_rows_that_err_alike_are_no_evidence_for_a_slice_of_them() -> None:
    """Columns that are constant within groups, errors that come by groups: rows counted one by one would name some."""
    rng, named, careless = np.random.default_rng(3), 0, 0
    group = np.arange(ROWS) % 40
    for seed in range(SIMULATED):
        members = noise_slices(rng, rng.integers(0, 4, (6, 40))[:, group])
        errors = (rng.random(ROWS) < np.minimum(1, 0.1 * np.exp(rng.normal(size=40)))[group]).astype(np.float64)
        named += bool((slices.judge(errors, members, np.ones(ROWS), group, seed).p <= slices.LEVEL).any())
        careless += bool((slices.judge(errors, members, np.ones(ROWS), None, seed).p <= slices.LEVEL).any())
    assert named / SIMULATED <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / SIMULATED)
    assert careless / SIMULATED > 0.2


def held_of(rows: int, blocks: np.ndarray | None = None) -> HeldRows:
    zeros = np.zeros(rows, dtype=np.int64)
    return HeldRows(
        rows=np.arange(rows), y=zeros, said=zeros, shares=None, levels=None, weight=np.ones(rows), blocks=blocks
    )


def planted(rows: int = 2_000) -> tuple[list[Facet], np.ndarray]:
    """Mistakes come three times as often in one city, and where an age is missing."""
    rng = np.random.default_rng(0)
    city, age = rng.integers(0, 4, rows).astype(np.float64), rng.uniform(18, 80, rows)
    age[rng.random(rows) < 0.15] = np.nan
    wrong = rng.random(rows) < np.where((city == 2) | np.isnan(age), 0.36, 0.08)
    looked = [
        Facet("city", "city", city, ("Paris", "Rome", "Oslo", "Bern")),
        Facet("age", "age", age),
        Facet("noise", "noise", rng.normal(size=rows)),
    ]
    return looked, wrong.astype(np.float64)


def test_planted_slices_are_named_clearest_first_with_intervals_that_hold_the_truth() -> None:
    """The city and the missing cells, and no pair that only repeats them."""
    looked, wrong = planted()
    found = worst(all_slices(looked, 30), wrong, held_of(len(wrong)), is_wrong=True)
    assert {conditions.told(one["conditions"][0]) for one in found[:2]} == {"city is Oslo", "age is missing"}
    for one in found[:2]:
        assert one["low"] <= 0.36 <= one["high"]
        assert one["gap_low"] > 0
        assert one["p"] <= slices.LEVEL
        assert one["rest"] < 0.2
    assert [len(one["conditions"]) for one in found[:2]] == [1, 1]


def test_what_two_columns_do_together_is_told_as_a_pair() -> None:
    """Errors only where both hold: the pair, and no part of it as clearly."""
    rng = np.random.default_rng(1)
    rows = 3_000
    first, second = (rng.integers(0, 3, rows).astype(np.float64) for _ in range(2))
    wrong = (rng.random(rows) < np.where((first == 1) & (second == 2), 0.5, 0.05)).astype(np.float64)
    looked = [Facet("a", "a", first, ("u", "v", "w")), Facet("b", "b", second, ("x", "y", "z"))]
    found = worst(all_slices(looked, 30), wrong, held_of(rows), is_wrong=True)
    assert [conditions.told(part) for part in found[0]["conditions"]] == ["a is v", "b is z"]


def test_slices_are_ranges_without_an_empty_one_and_with_enough_rows() -> None:
    """Of few values each range begins at one of them; slices below the least are not looked at."""
    assert ranges(np.array([0.0] * 50 + [1.0] * 30 + [5.0] * 20)) == [1.0, 5.0]
    assert ranges(np.full(10, 3.0)) == []
    rare = np.where(np.arange(400) < 20, 1.0, 0.0)
    assert all_slices([Facet("c", "c", rare, ("often", "seldom"))], 30) == []


def test_columns_are_told_as_people_wrote_them() -> None:
    """Names of categories, numbers out of texts, days, lengths of names; missing cells are missing in all of them."""
    rng = np.random.default_rng(2)
    rows = 120
    frame = pd.DataFrame(
        {
            "price": [f"{k},5" for k in range(rows)],
            "city": rng.choice(["Rome", "Oslo"], rows, p=[0.8, 0.2]),
            "day": (pd.Timestamp("2024-02-01") + pd.to_timedelta(np.arange(rows), unit="D")).astype(str),
        }
    )
    frame.loc[3, ["price", "city", "day"]] = None
    profile = Profile(
        rows=rows, columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""
    )
    told = facets(Dataset(name="t", frame=frame, target=None), profile, np.arange(10))
    price, city, day = told
    assert price.values[2] == 2.5
    assert city.labels[int(city.values[0])] == frame["city"][0]
    assert day.is_date
    assert conditions.value(day.values[0], is_date=True) == "2024-02-01"
    assert all(np.isnan(one.values[3]) for one in told)
    assert facets(Dataset(name="t", frame=frame, target=None), profile, np.arange(10), ["day", "gone"])[0].name == "day"


def test_conditions_read_as_sentences() -> None:
    """Bounds, labels, dates and missing cells; what is broken is a dash, not an error."""
    base = {"column": "age", "low": None, "high": None, "labels": None, "is_date": False, "is_missing": False}
    assert conditions.told(base | {"low": 30.0, "high": 45.5}) == "age from 30 to below 45.5"
    assert conditions.told(base | {"high": 18.0, "is_missing": True}) == "age below 18 or missing"
    assert conditions.told(base | {"low": 0.0, "is_date": True}) == "age from 1970-01-01 on"
    assert conditions.told(base | {"labels": list("abcdef")}) == "age is a, b, c or one of 3 others"
    assert conditions.told(base | {"is_missing": True}) == "age is missing"
    for broken in (None, 7, {}, base, base | {"low": 1e300}, base | {"high": 1e20, "is_date": True, "labels": 3}):
        assert "—" in conditions.told(broken)
