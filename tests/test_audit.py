"""What the audit finds in small tables made odd on purpose, and that plain tables stay without findings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from automl.data.profiler import examine
from automl.modalities.table.leaks import judge
from automl.options import Options
from automl.records import Audit, Dataset, Finding, Profile

ROWS = 1_000


def features(rows: int = ROWS) -> pd.DataFrame:
    """Three plain columns that know nothing."""
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "height": random.normal(size=rows).round(6),
            "age": random.integers(18, 90, rows),
            "town": random.choice(["Ulm", "Bonn", "Jena", "Hof"], rows),
        }
    )


def answers(rows: int = ROWS) -> pd.Series:
    """Yes or no, by chance."""
    return pd.Series(np.random.default_rng(2).choice(["no", "yes"], rows))


def examined(
    frame: pd.DataFrame, target: Any, weight: np.ndarray | None = None, **options: Any
) -> tuple[Profile, Audit]:
    """Profile and audit of a table."""
    return examine(Dataset(name="toy", frame=frame, target=pd.Series(target), weight=weight), Options.of(options))


def only(audit: Audit, code: str) -> Finding:
    """The one finding of a code."""
    (finding,) = audit.of(code)
    return finding


def test_a_plain_table_has_no_findings() -> None:
    """An auditor who cries wolf is not read."""
    frame = features()
    signal = frame["height"] + np.random.default_rng(3).normal(size=ROWS)
    for target in (answers(), signal, (signal > 0).map({True: "a", False: "b"}), frame["age"] // 24):
        assert [finding.code for finding in examined(frame.drop(columns="age"), target)[1].findings] == []


LEAKS: dict[str, Callable[[np.ndarray], Any]] = {
    "a copy, rescaled": lambda y: y * 3 + 1,
    "a noisy copy": lambda y: y * 10 + np.random.default_rng(4).normal(size=len(y)),
    "paid back only by some": lambda y: np.where(y == 1, np.random.default_rng(4).exponential(size=len(y)), 0.0),
    "known only for one class": lambda y: np.where(y == 1, np.random.default_rng(4).normal(size=len(y)), np.nan),
    "a middle range": lambda y: np.where(y == 1, 0.0, np.where(np.arange(len(y)) % 2, -5.0, 5.0)),
    "categories of one class each": lambda y: [f"{'good' if v else 'bad'} {n % 9}" for n, v in enumerate(y)],
    "a date after the fact": lambda y: np.where(y == 1, np.datetime64("2020-05-01"), np.datetime64("NaT")),
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_column_that_gives_the_answer_away_is_a_leak(case: str) -> None:
    """Found by its score on rows it was not fitted on, named, and still used."""
    y = np.random.default_rng(2).integers(0, 2, ROWS)
    profile, audit = examined(features().assign(told=LEAKS[case](y)), y)
    finding = only(audit, "leak")
    assert (finding.column, finding.severity) == ("told", "danger")
    assert finding.evidence["score"] >= 0.99
    assert "told" in profile.used
    assert audit.findings[0] is finding  # the gravest first


def test_leaks_are_found_for_every_task() -> None:
    """Many classes with one rare, and a long-tailed number told in another unit."""
    random = np.random.default_rng(5)
    classes = random.choice(list("abcdef"), ROWS, p=[0.3, 0.3, 0.2, 0.1, 0.06, 0.04])
    assert only(examined(features().assign(told=[ord(c) * 2.5 for c in classes]), classes)[1], "leak").column == "told"
    price = np.exp(random.normal(0, 2, ROWS))
    told = price * 1.19 + random.normal(0, 0.001, ROWS)
    assert only(examined(features().assign(told=told), price)[1], "leak").evidence["metric"] == "r2 of ranks"


def test_what_is_good_or_unique_is_no_leak() -> None:
    """A strong honest feature, and texts that tell every row apart, stay below suspicion."""
    random = np.random.default_rng(6)
    y = random.integers(0, 2, ROWS)
    frame = features().assign(
        strong=y + random.normal(0, 0.4, ROWS), note=[f"note {n} of {n * 7}" for n in range(ROWS)]
    )
    assert examined(frame, y)[1].of("leak") == []
    scorer = judge(y, "binary")
    assert scorer is not None
    assert 0.9 < scorer.score(frame["strong"].to_numpy(), is_code=False) < 0.99
    assert scorer.score(np.arange(ROWS, dtype=float), is_code=True) == 0.5


def test_too_few_rows_judge_nobody() -> None:
    """Ten rows that fit perfectly prove nothing."""
    y = np.array([0, 1] * 15)
    assert judge(y, "binary") is None
    assert judge(np.r_[np.zeros(990, int), np.ones(10, int)], "binary") is None
    assert examined(features(30).assign(told=y), y)[1].of("leak") == []


def test_columns_that_are_left_out_are_told() -> None:
    """Identifiers and constants, with the reason."""
    frame = features().assign(customer_id=[f"C{n:05d}" for n in range(ROWS)], country="DE")
    profile, audit = examined(frame, answers())
    assert only(audit, "identifier").column == "customer_id"
    assert "'DE' in every row" in only(audit, "constant").message
    assert profile.used == ["height", "age", "town"]


def test_odd_cells_are_counted() -> None:
    """Infinite values, strangers among numbers and dates, mixed objects and holes."""
    random = np.random.default_rng(7)
    frame = features()
    frame.loc[:4, "height"] = np.inf
    frame["price"] = [f"{value:.2f}" for value in random.normal(size=ROWS)]
    frame.loc[:2, "price"] = "call us"
    frame["mixed"] = pd.Series(random.choice(np.array(["a", 7, 2.5], dtype=object), ROWS), dtype=object)
    frame["mostly_gone"] = np.where(random.random(ROWS) < 0.8, np.nan, random.normal(size=ROWS))
    audit = examined(frame, answers())[1]
    assert only(audit, "infinities").evidence["rows"] == 5
    strangers = {finding.column: finding for finding in audit.of("mixed_types")}
    assert strangers["price"].evidence["rows"] == 3
    assert "'call us'" in strangers["price"].message
    assert set(strangers["mixed"].evidence["types"]) == {"str", "int", "float"}
    assert only(audit, "high_missing").column == "mostly_gone"
    assert 0.7 < only(audit, "high_missing").evidence["share"] < 0.9


def test_repeated_rows_are_counted_without_their_identifiers() -> None:
    """Copies under new ids are copies, and copies that disagree are counted."""
    frame = pd.concat([features(), features().iloc[:100]], ignore_index=True)
    frame["row_id"] = range(len(frame))
    target = pd.concat([answers(), answers().iloc[:100]], ignore_index=True)
    target.iloc[-10:] = target.iloc[-10:].map({"no": "yes", "yes": "no"})
    profile, audit = examined(frame, target)
    assert profile.duplicates == 100
    finding = only(audit, "duplicates")
    assert (finding.evidence["rows"], finding.evidence["contradicting"], finding.severity) == (100, 10, "warning")


def test_duplicates_agree_with_pandas() -> None:
    """The row hash sees what comparing cells sees, holes included."""
    random = np.random.default_rng(8)
    frame = pd.DataFrame(
        {
            "a": random.choice([0.0, 1.5, 2.5, np.nan], 500),
            "b": random.choice(np.array(["x", "y", "z", None], dtype=object), 500),
            "c": random.integers(0, 9, 500),
        }
    )
    profile, _ = examined(frame, answers(500))
    assert profile.duplicates == int(frame.duplicated().sum()) > 100


def test_columns_that_say_the_same_are_told() -> None:
    """Equal numbers, and categories under other names."""
    frame = features()
    frame["size"] = frame["height"]
    frame["city"] = frame["town"].str.upper()
    twins = {
        finding.column: finding.evidence["same_as"] for finding in examined(frame, answers())[1].of("duplicate_columns")
    }
    assert twins == {"size": "height", "city": "town"}


def test_uneven_classes_are_told() -> None:
    """A rare class is named with its rows; so is the imbalance."""
    target = pd.Series(["no"] * 900 + ["yes"] * 97 + ["maybe"] * 3)
    audit = examined(features(), target)[1]
    assert dict(only(audit, "rare_classes").evidence) == {"classes": ["maybe"], "rows": [3]}
    assert "'maybe' has 0.3 % of the rows" in only(audit, "imbalance").message
    assert only(audit, "imbalance").evidence["ratio"] == 300


def test_a_long_tail_of_the_target_is_told() -> None:
    """Log-normal prices, but not normal ones."""
    normal = np.random.default_rng(9).normal(size=ROWS)
    assert only(examined(features(), np.exp(2 * normal))[1], "target_tail").evidence["skew"] > 3
    assert examined(features(), normal)[1].of("target_tail") == []


def test_owners_of_rows_are_suggested_as_groups() -> None:
    """By a name that says so, or by values that lie in runs; counts of households are neither."""
    random = np.random.default_rng(10)
    frame = features().assign(
        patient_id=random.integers(1000, 1100, ROWS),
        site=[f"S{n // 20}" for n in range(ROWS)],
        households=random.integers(0, 99, ROWS),
    )
    hints = {finding.column: finding for finding in examined(frame, answers())[1].of("group_hint")}
    assert set(hints) == {"patient_id", "site"}
    assert "group_column='patient_id'" in hints["patient_id"].message
    assert hints["site"].evidence["in_runs"]
    assert examined(frame, answers(), group_column="site")[1].of("group_hint") == []


def test_dates_that_order_the_rows_or_move_the_answers_are_suggested() -> None:
    """Rows in time order, or a drifting target; a birthday is neither."""
    random = np.random.default_rng(11)
    days = pd.Series(pd.date_range("2020-01-01", periods=ROWS))
    shuffled = days.sample(frac=1, random_state=0).reset_index(drop=True)
    chance = random.normal(size=ROWS)
    assert only(examined(features().assign(day=days), chance)[1], "time_hint").evidence["in_order"] == 1
    drifting = (shuffled - days[0]).dt.days / 300 + chance
    assert only(examined(features().assign(day=shuffled), drifting)[1], "time_hint").evidence["drift"] > 0.2
    classes = np.where(shuffled.dt.month > 6, "late", np.where(chance > 0, "up", "down"))
    assert "time_column='day'" in only(examined(features().assign(day=shuffled), classes)[1], "time_hint").message
    assert examined(features().assign(day=shuffled), chance)[1].of("time_hint") == []
    assert examined(features().assign(day=days), chance, time_column="day")[1].of("time_hint") == []


def test_sizes_and_weights_are_told() -> None:
    """Few rows, more columns than rows, and weights that leave few rows worth anything."""
    audit = examined(features(60), answers(60))[1]
    assert only(audit, "small_data").severity == "warning"
    wide = pd.DataFrame(np.random.default_rng(12).normal(size=(120, 150))).rename(columns=str)
    assert dict(only(examined(wide, answers(120))[1], "wide_data").evidence) == {"columns": 150, "rows": 120}
    weight = np.ones(ROWS)
    assert examined(features(), answers(), weight)[1].of("weights") == []
    weight[:10] = 1e4
    assert only(examined(features(), answers(), weight)[1], "weights").evidence["effective_rows"] < 12


def test_many_alike_findings_are_told_as_one() -> None:
    """Four hundred constants are one line; leaks never hide behind each other."""
    y = np.random.default_rng(2).integers(0, 2, ROWS)
    constants = pd.DataFrame({f"k{n}": np.ones(ROWS) for n in range(400)})
    told = pd.DataFrame({f"t{n}": y * (n + 2) + 0.5 for n in range(30)})
    audit = examined(pd.concat([features(), constants, told], axis=1), y)[1]
    assert len(only(audit, "constant").evidence["columns"]) == 400
    assert len(audit.of("leak")) == 30


def test_many_categories_are_told() -> None:
    """A column of hundreds of towns is used, and said to be thin."""
    towns = [f"Town {n % 300} of the valley" for n in range(3000)]
    finding = only(examined(features(3000).assign(place=towns), answers(3000))[1], "high_cardinality")
    assert (finding.column, finding.evidence["unique"]) == ("place", 300)


def test_findings_are_lines_for_people() -> None:
    """One line each, naming the column, with plain evidence."""
    frame = features().assign(customer_id=range(ROWS), told=answers() + "!", empty=None)
    for finding in examined(frame, answers())[1].findings:
        assert len(finding.message.splitlines()) == 1
        assert finding.severity in ("info", "warning", "danger")
        assert finding.column is None or repr(finding.column) in finding.message
        assert finding.evidence
