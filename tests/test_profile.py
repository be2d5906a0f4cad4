"""Profiles of small tables: kinds of columns, tasks, classes, metrics, and what is refused."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automl.data.profiler import encode_target, examine
from automl.errors import AutomlError, InputError, OptionError
from automl.modalities.table.kinds import describe, to_dates, to_number, to_text
from automl.options import Options
from automl.plain import as_json
from automl.records import Audit, Column, Dataset, Kind, Profile

ROWS = 200


def column_of(values: Any, name: str = "c") -> Column:
    """The column as read beside another one that varies."""
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    frame = pd.DataFrame({name: series.reset_index(drop=True), "other": np.arange(len(series)) % 7 * 1.5})
    return describe(frame)[0]


def profile_of(target: Any, **options: Any) -> Profile:
    """The profile of a table with these answers."""
    answers = target if isinstance(target, pd.Series) else pd.Series(target)
    features = pd.DataFrame({"x": np.random.default_rng(0).normal(size=len(answers))})
    return examine(Dataset(name="toy", frame=features, target=answers), Options.of(options))[0]


def spread(values: Sequence[Any], rows: int = ROWS) -> list[Any]:
    """These values over and over."""
    return [values[index % len(values)] for index in range(rows)]


KINDS = {
    "floats": (np.linspace(0, 1, ROWS), Kind.NUMBER),
    "distinct floats named id": (pd.Series(np.linspace(0, 1, ROWS), name="id"), Kind.NUMBER),
    "few whole numbers": (spread([1, 2, 3]), Kind.NUMBER),
    "years": (np.arange(1900, 1900 + ROWS), Kind.NUMBER),
    "zero and one": (spread([0, 1]), Kind.BOOLEAN),
    "zero, one and missing": (spread([0, 1, None]), Kind.BOOLEAN),
    "truth values": (spread([True, False]), Kind.BOOLEAN),
    "truth values with missing": (pd.Series(spread([True, False, None]), dtype="boolean"), Kind.BOOLEAN),
    "truth values among objects": (pd.Series(spread([True, False, None]), dtype=object), Kind.BOOLEAN),
    "yes and NO": (spread(["yes", "NO", None]), Kind.BOOLEAN),
    "three words": (spread(["yes", "no", "perhaps"]), Kind.CATEGORY),
    "nullable whole numbers": (pd.Series(spread([4, 7, 9, None]), dtype="Int64"), Kind.NUMBER),
    "decimals": (spread([decimal.Decimal("1.5"), decimal.Decimal(2), decimal.Decimal("3.25")]), Kind.NUMBER),
    "durations": (pd.Series(pd.to_timedelta(np.arange(ROWS) ** 2, unit="s")), Kind.NUMBER),
    "numbers as text": (spread(["1,234", "12 %", "$5.00", "-3", "2e3", "(7)"]), Kind.NUMBER),
    "numbers and blanks": (spread(["1.5", "2.5", " ", "?", "4"]), Kind.NUMBER),
    "zip codes": (spread(["08540", "10001", "94110"]), Kind.CATEGORY),
    "user's categories of numbers": (pd.Series(spread([1, 2, 3])).astype("category"), Kind.CATEGORY),
    "codes of an airline": (spread(["AA", "BA", "LH"]), Kind.CATEGORY),
    "ip addresses": (spread(["192.168.0.1", "10.0.0.1", "10.0.0.2"]), Kind.CATEGORY),
    "one value": (spread([3.5]), Kind.CONSTANT),
    "nothing": ([None] * ROWS, Kind.CONSTANT),
    "one value or missing": (spread(["paid", None]), Kind.CATEGORY),
    "one number or missing": (spread([5.0, None]), Kind.CATEGORY),
    "dates": (pd.Series(pd.date_range("2020-01-01", periods=ROWS)), Kind.DATE),
    "dates with a zone": (pd.Series(pd.date_range("2020-01-01", periods=ROWS, tz="Asia/Tokyo")), Kind.DATE),
    "periods": (pd.Series(pd.period_range("2001-01", periods=ROWS, freq="M")), Kind.DATE),
    "date objects": ([datetime.date(2020, 1, 1) + datetime.timedelta(day) for day in range(ROWS)], Kind.DATE),
    "consecutive numbers": (np.random.default_rng(0).permutation(ROWS), Kind.IDENTIFIER),
    "equal steps": (np.arange(ROWS) * 10 + 5, Kind.IDENTIFIER),
    "whole numbers that repeat": (np.arange(ROWS) % 190, Kind.NUMBER),
    "customer codes": ([f"{n:04d}-AB" for n in range(ROWS)], Kind.IDENTIFIER),
    "uuids": ([f"{n:08x}-0000-4000-8000-{n * 7919:012x}" for n in range(ROWS)], Kind.IDENTIFIER),
    "e-mail addresses": ([f"a{'b' * (n % 9)}{chr(97 + n // 9)}@mail.org" for n in range(ROWS)], Kind.IDENTIFIER),
    "surnames": ([chr(65 + n // 26) + chr(97 + n % 26) * 4 for n in range(ROWS)], Kind.STRING),
    "sentences": ([f"the {n} quick foxes jump over lazy dogs" for n in range(ROWS)], Kind.STRING),
    "chinese sentences": ([f"今天天气很好我们去{chr(0x4E00 + n)}玩" for n in range(ROWS)], Kind.STRING),
    "a few sentences again and again": (
        spread(["the quick brown fox jumps", "over the lazy dog again"]),
        Kind.CATEGORY,
    ),
    "job titles": (spread([f"Officer of rank {n}" for n in range(20)]), Kind.CATEGORY),
    "few rows of unique words": (["north", "south", "east", "west"], Kind.CATEGORY),
    "lists": (spread([[1, 2], [3], {"a": 1}]), Kind.CATEGORY),
    "complex numbers": (spread([1 + 2j, 3j, 4 + 0j]), Kind.CATEGORY),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_column_is_read_as_what_it_holds(case: str) -> None:
    """Each sort of values gets its kind, and the reason names it or its values."""
    values, kind = KINDS[case]
    name = str(values.name) if isinstance(values, pd.Series) and values.name else "c"
    column = column_of(values, name)
    assert (column.kind, bool(column.why)) == (kind, True), column.why


def test_a_name_that_says_id_makes_unique_whole_numbers_an_identifier() -> None:
    """Gaps between the numbers do not matter when the name speaks."""
    values = np.random.default_rng(0).choice(10**9, ROWS, replace=False)
    names = ("id", "customer_id", "PassengerId", "customerID", "Unnamed: 0", "row_number")
    assert [column_of(values, name).kind for name in names] == [Kind.IDENTIFIER] * len(names)
    assert {column_of(values, name).kind for name in ("amount", "humid", "grid", "Paid")} == {Kind.NUMBER}


def test_the_reason_names_the_values_that_decided() -> None:
    """Reasons are lines for people."""
    assert column_of(spread(["a", "b", "c"])).why == "3 distinct texts in 200 rows (1.5 %): category"
    assert "from 1 to 3" in column_of(spread([1, 2, 3])).why
    assert "%d/%m/%Y" in column_of(spread(["13/01/2020", "01/02/2020"])).why


def test_the_group_column_is_not_a_feature() -> None:
    """Whatever it holds, models do not see it."""
    frame = pd.DataFrame({"house": spread([1.5, 2.5, 3.5]), "x": np.linspace(0, 1, ROWS)})
    house, x = describe(frame, group_column="house")
    assert (house.kind, x.kind) == (Kind.IDENTIFIER, Kind.NUMBER)
    assert "group column" in house.why


def test_a_lone_counter_is_kept_as_a_feature() -> None:
    """With nothing else to learn from, consecutive numbers are numbers; a column named id still is not."""
    assert describe(pd.DataFrame({"x": np.arange(ROWS)}))[0].kind is Kind.NUMBER
    assert describe(pd.DataFrame({"id": np.arange(ROWS)}))[0].kind is Kind.IDENTIFIER


@pytest.mark.parametrize(
    ("texts", "values", "mark"),
    [
        (["1,234", "12 %", "$5.00", "(3)", "-€2", "n/a"], [1234, 12, 5, -3, -2, np.nan], "."),
        (["3,14", "1.234,5", "7", "1 000,25"], [3.14, 1234.5, 7, 1000.25], ","),
        (["1,234", "5,678"], [1234, 5678], "."),  # both readings work: the point wins
        (["1e3", " 2.5 ", "inf", ".5"], [1000, 2.5, np.nan, 0.5], "."),
    ],
)
def test_numbers_written_by_people_are_read(texts: list[str], values: list[float], mark: str) -> None:
    """Signs, percent, thousands and the decimal comma; what is not a number is missing."""
    series = pd.Series(spread(texts))
    column = column_of(series)
    assert (column.kind, column.decimal) == (Kind.NUMBER, mark)
    np.testing.assert_array_equal(to_number(series, column)[: len(values)], values)
    assert column.missing == pytest.approx(np.isnan(to_number(series, column)).mean())


def test_numbers_are_read_alike_from_every_dtype() -> None:
    """At prediction the dtype may differ from training's; the values must not."""
    column = column_of(spread([1.0, 2.0, 5.5]))
    same = [1.0, 2.0, np.nan]
    for series in (
        pd.Series([1, 2, np.inf]),
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series(["1", "2.0", "rubbish"]),
        pd.Series(["1", "2", None], dtype="category"),
        pd.Series([1, "2", None], dtype=object),
        pd.Series([1.0, 2.0, np.nan]).astype(pd.SparseDtype(float)),
    ):
        np.testing.assert_array_equal(to_number(series, column), same)
    truth = column_of(spread(["yes", "no"]))
    np.testing.assert_array_equal(to_number(pd.Series(["YES", "no", "eh", None]), truth), [1, 0, np.nan, np.nan])
    np.testing.assert_array_equal(to_number(pd.Series([True, False]), truth), [1, 0])
    assert to_text(pd.Series([1.0, None, 2.5])).tolist() == ["1", None, "2.5"]


@pytest.mark.parametrize(
    ("texts", "day"),
    [
        (["2020-02-01", "2020-02-28"], "2020-02-01"),
        (["2020/02/01", "2020/02/28"], "2020-02-01"),
        (["01/02/2020", "28/02/2020"], "2020-02-01"),  # 28 can only be a day
        (["02/01/2020", "02/28/2020"], "2020-02-01"),
        (["02/01/2020", "03/04/2020"], "2020-02-01"),  # no evidence: the month first
        (["01.02.2020", "03.04.2020"], "2020-02-01"),  # with dots the day first
        (["01-Feb-2020", "28-Feb-2020"], "2020-02-01"),
        (["February 1, 2020", "March 28, 2020"], "2020-02-01"),
        (["2020-02-01T10:30:00Z", "2020-02-28 10:30:00+02:00"], "2020-02-01T10:30:00"),
        (["01/02/2020 10:30", "28/02/2020 23:59"], "2020-02-01T10:30:00"),
    ],
)
def test_dates_are_read_in_the_order_their_values_prove(texts: list[str], day: str) -> None:
    """ISO first; day or month first is decided by the column's values."""
    series = pd.Series(spread(texts))
    column = column_of(series)
    assert column.kind is Kind.DATE
    dates = to_dates(series, column)
    assert dates.dtype == np.dtype("datetime64[s]")
    assert dates[0] == np.datetime64(day)
    assert not np.isnat(dates).any()
    assert np.isnat(to_dates(pd.Series(["rubbish", None]), column)).all()


def test_native_dates_and_their_text_agree() -> None:
    """A model trained on dates predicts from a CSV of the same dates; zones are told in UTC."""
    series = pd.Series(pd.to_datetime(["2020-01-01 12:00", "NaT"])).dt.tz_localize("Europe/Berlin")
    column = Column(name="c", kind=Kind.DATE, why="", missing=0.0, unique=2)
    expected = np.array(["2020-01-01T11:00:00", "NaT"], dtype="datetime64[s]")
    np.testing.assert_array_equal(to_dates(series, column), expected)
    np.testing.assert_array_equal(to_dates(series.astype(str), column), expected)
    np.testing.assert_array_equal(to_dates(series.astype(object), column), expected)


TASKS = {
    "two texts": (spread(["no", "yes"]), "binary", ("no", "yes")),
    "two numbers": (spread([2, 1]), "binary", (1, 2)),
    "truth values": (spread([True, False]), "binary", (False, True)),
    "whole floats": (spread([0.0, 1.0]), "binary", (0, 1)),
    "labels keep quotes": (spread(["'1'", "'-1'"]), "binary", ("'-1'", "'1'")),
    "labels keep blanks": (spread([" >50K", " <=50K"]), "binary", (" <=50K", " >50K")),
    "several texts": (spread(["b", "a", "c"]), "multiclass", ("a", "b", "c")),
    "few whole numbers": (spread([5, 3, 10]), "multiclass", (3, 5, 10)),
    "few whole numbers as text": (spread(["5", "3", "10"]), "multiclass", ("3", "5", "10")),
    "several types": (pd.Series(spread([1, "a", 2.5]), dtype=object), "multiclass", ("1", "2.5", "a")),
    "a category of numbers": (pd.Series(spread([5, 3, 10])).astype("category"), "multiclass", (3, 5, 10)),
    "fractions": (np.linspace(0, 1, ROWS), "regression", ()),
    "few fractions": (spread([0.5, 1.0, 1.5]), "regression", ()),
    "fractions as text": ([f"{n / 7:.3f}" for n in range(ROWS)], "regression", ()),
    "many whole numbers": (np.arange(ROWS) % 150, "regression", ()),
    "counts with a thin tail": (
        np.repeat(np.arange(15), [60, 50, 30, 20, 10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]),
        "regression",
        (),
    ),
}


@pytest.mark.parametrize("case", TASKS)
def test_the_answers_make_the_task(case: str) -> None:
    """Task and classes follow from the values, and the rule says so."""
    values, task, classes = TASKS[case]
    profile = profile_of(values)
    assert (profile.task, profile.classes) == (task, classes)
    assert [type(label) for label in profile.classes] == [type(label) for label in classes]
    assert sum(profile.class_counts) == (0 if task == "regression" else profile.rows)
    assert profile.task_rule


def test_the_rule_names_the_option_that_overrides_it() -> None:
    """What was guessed can be put right, and the positive class is told."""
    rule = profile_of(spread([0, 1])).task_rule
    assert rule == (
        "2 distinct values in 200 rows, 0 and 1, 1 being the positive class; override with task='regression'"
    )
    assert "override with task='regression'" in profile_of(spread([1, 2, 3])).task_rule
    assert "override with task='multiclass'" in profile_of(np.linspace(0, 1, ROWS)).task_rule


POSITIVE = {
    "the rarer": (["legit"] * 9 + ["fraud"], "fraud", ", the rarer one"),
    "the rarer, second": (["good"] * 9 + ["ok"], "ok", ", the rarer one"),
    "as frequent": (["a"] * 5 + ["b"] * 5, "b", ", both being as frequent"),
    "yes": (["yes"] * 9 + ["no"], "yes", ""),
    "Yes beside no": (["Yes"] * 9 + ["no"], "Yes", ""),
    "one": ([1] * 9 + [0], 1, ""),
    "one as text": (["1.0"] * 9 + ["0.0"], "1.0", ""),
    "plus one": ([1] * 9 + [-1], 1, ""),
    "true": ([True] * 9 + [False], True, ""),
    "TRUE as text": (["TRUE"] * 9 + ["FALSE"], "TRUE", ""),
    "numbers that are names": ([2] * 9 + [1], 1, ", the rarer one"),
}


@pytest.mark.parametrize("case", POSITIVE)
def test_of_two_classes_the_one_to_be_found_is_told(case: str) -> None:
    """What says yes, else the rarer one; the order of the classes stays that of scikit-learn."""
    values, label, why = POSITIVE[case]
    profile = profile_of(values * 20, metric="f1")
    assert profile.classes[profile.positive] == label
    assert profile.classes == tuple(sorted(profile.classes))
    assert f"{label!r} being the positive class{why};" in profile.task_rule
    assert profile.metric_rule == f"metric='f1' was given, of the class {label!r}; override with positive="
    assert "positive" not in profile_of(values * 20, metric="mcc").metric_rule


def test_the_class_to_be_found_can_be_given() -> None:
    """By its label, also as the command line spells it; what is no label, or not one of two, is refused."""
    values = ["legit"] * 180 + ["fraud"] * 20
    for told, label in (("legit", "legit"), ("fraud", "fraud"), ("Fraud", "fraud")):
        profile = profile_of(values, metric="f1", positive=told)
        assert profile.classes == ("fraud", "legit")
        assert profile.classes[profile.positive] == label
        assert f"{label!r} being the positive class, as given" in profile.task_rule
    assert profile_of([0, 1] * 100, positive="0").positive == 0
    assert profile_of([False, True] * 100, positive=np.bool_(False)).positive == 0
    with pytest.raises(OptionError, match="'theft' is no label of the target, whose labels are 'fraud' and 'legit'"):
        profile_of(values, positive="theft")
    with pytest.raises(OptionError, match="has 3 classes"):
        profile_of(["a", "b", "c"] * 60, positive="a")
    with pytest.raises(OptionError, match="read as a number"):
        profile_of(np.linspace(0, 1, ROWS), positive=1)


def test_a_given_task_is_obeyed_or_refused() -> None:
    """An override wins where the answers allow it; otherwise the message names the task that fits."""
    assert profile_of(spread([1, 2, 3]), task="regression").task == "regression"
    assert profile_of(spread([0.5, 1.0, 1.5]), task="multiclass").classes == (0.5, 1, 1.5)
    with pytest.raises(OptionError, match="Use task='multiclass'"):
        profile_of(spread([1, 2, 3]), task="binary")
    with pytest.raises(OptionError, match="Use task='binary'"):
        profile_of(spread([1, 2]), task="multiclass")
    with pytest.raises(InputError, match="'no'"):
        profile_of(spread(["no", "yes"]), task="regression")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (spread([7]), "same value in every row, 7"),
        ([f"name {n}" for n in range(ROWS)], "identifier or free text"),
        ([f"c{n % 1500}" for n in range(6000)], "1,500 classes"),
        ([*[f"{n / 7:.3f}" for n in range(ROWS)], "abc"], "'abc' in row 200"),
        ([1.5, 2.5, np.inf] * 20, "infinite"),
        ([1.5, None, 2.5] * 20, "missing in 20 rows"),
        (pd.Series(pd.date_range("2020-01-01", periods=ROWS)), "dates or durations"),
        (pd.Series([], dtype=float), "no rows"),
    ],
)
def test_answers_that_cannot_be_learned_are_refused(target: Any, said: str) -> None:
    """One line says what is wrong and shows the value."""
    with pytest.raises(InputError, match=said):
        profile_of(target)


def test_answers_become_numbers_and_back() -> None:
    """Class numbers are places in the classes, whatever dtype the answers come in."""
    profile = profile_of(spread([5, 3, 10]))
    for answers in (pd.Series([3, 10, 5]), pd.Series([3.0, 10.0, 5.0]), pd.Series(["3", "10", "5"])):
        codes = encode_target(answers, profile)
        assert codes.tolist() == [0, 2, 1]
        assert codes.dtype == np.int64
    with pytest.raises(InputError, match="holds 4, a class never seen"):
        encode_target(pd.Series([3, 4]), profile)
    with pytest.raises(InputError, match="missing in 1 rows"):
        encode_target(pd.Series([3, None]), profile)
    comma = profile_of([f"{n},{n % 10}" for n in range(ROWS)])
    np.testing.assert_array_equal(encode_target(pd.Series(["1,5", "1,234"]), comma), [1.5, 1.234])


def test_metric_and_named_columns_are_checked() -> None:
    """Names that cannot work are refused with those that can."""
    assert profile_of(spread([0, 1])).metric
    with pytest.raises(OptionError, match=r"does not score regression.*rmse"):
        profile_of(np.linspace(0, 1, ROWS), metric="roc_auc")
    with pytest.raises(OptionError, match="group_column='X' is not a column"):
        profile_of(spread([0, 1]), group_column="X")
    frame = pd.DataFrame({"when": spread(["soon", "later", "now"]), "x": np.linspace(0, 1, ROWS)})
    with pytest.raises(OptionError, match="must hold dates or numbers"):
        examine(Dataset(name="toy", frame=frame, target=pd.Series(spread([0, 1]))), Options(time_column="when"))


def test_a_table_without_a_column_to_learn_from_is_refused() -> None:
    """No columns, constant ones or identifiers alone teach nothing."""
    answers = pd.Series(spread([0, 1]))
    for frame in (pd.DataFrame({"a": [1] * ROWS}), pd.DataFrame({"id": range(ROWS)})):
        with pytest.raises(InputError, match="no column varies"):
            examine(Dataset(name="toy", frame=frame, target=answers), Options())
    with pytest.raises(InputError, match="no column besides the target"):
        examine(Dataset(name="toy", frame=pd.DataFrame(index=range(ROWS)), target=answers), Options())
    with pytest.raises(InputError, match="no column to learn from"):
        examine(Dataset(name="toy", frame=pd.DataFrame({"x": range(ROWS)}), target=None), Options())


def test_facts_are_plain_numbers() -> None:
    """The router reads shares, sizes and shape; all finite."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": random.normal(size=ROWS), "z": random.exponential(size=ROWS), "c": spread(["a", "b", "d"])}
    )
    profile, _ = examine(Dataset(name="toy", frame=frame, target=pd.Series(spread([0, 0, 0, 1]))), Options())
    assert profile.facts["rows"] == ROWS
    assert profile.facts["share_number"] == pytest.approx(2 / 3)
    assert profile.facts["max_cardinality"] == 3
    assert profile.facts["imbalance"] == 3
    assert profile.facts["kurtosis_std"] > 0.5
    assert all(type(value) is float and np.isfinite(value) for value in profile.facts.values())
    assert as_json(profile)["columns"][2]["kind"] == "category"


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.dates().map(str),
    st.datetimes(),
    st.sampled_from(
        ["", " ", "?", "1,5", "1.5", "12 %", "yes", "no", "2020-01-01", "01/02/2020", "0", "1", "nan", "inf"]
    ),
    st.lists(st.integers(0, 3), max_size=2),
    st.complex_numbers(),
)
SERIES = st.one_of(
    st.lists(CELLS, min_size=12, max_size=12).map(lambda cells: pd.Series(cells, dtype=object)),
    st.lists(st.floats(), min_size=12, max_size=12).map(lambda cells: pd.Series(cells, dtype=float)),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=12, max_size=12).map(
        lambda cells: pd.Series(cells, dtype="Int64")
    ),
    st.lists(st.text(max_size=3), min_size=12, max_size=12).map(lambda cells: pd.Series(cells, dtype="category")),
    st.lists(st.sampled_from(["a", "b", "1", "2", None]), min_size=12, max_size=12).map(pd.Series),
    st.lists(st.one_of(st.none(), st.datetimes()), min_size=12, max_size=12).map(
        lambda cells: pd.Series(cells, dtype="datetime64[us]")
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(columns=st.lists(SERIES, min_size=1, max_size=3), answers=SERIES, repeats=st.sampled_from([1, 6]))
def test_no_table_breaks_the_profiler(columns: list[pd.Series], answers: pd.Series, repeats: int) -> None:
    """Any cells give a profile that can be written, or one of our own refusals; never a warning."""
    frame = pd.concat(dict(enumerate(columns)), axis=1)
    frame = pd.concat([frame] * repeats, ignore_index=True).rename(columns=str)
    answers = pd.concat([answers] * repeats, ignore_index=True)
    for column in describe(frame):
        assert 0 <= column.missing <= 1
        if column.kind is Kind.NUMBER:
            values = to_number(frame[column.name], column)
            assert column.missing == pytest.approx(np.isnan(values).mean())
        if column.kind is Kind.DATE:
            assert column.missing == pytest.approx(np.isnat(to_dates(frame[column.name], column)).mean())
    for target in (answers, pd.Series(np.arange(len(frame)) % 2), pd.Series(np.arange(len(frame)) ** 1.5)):
        outcome = examined_or_refused(Dataset(name="odd", frame=frame, target=target))
        if isinstance(outcome, AutomlError):
            assert len(str(outcome).splitlines()) == 1
            continue
        profile, audit = outcome
        assert as_json(profile)
        assert as_json(audit) is not None
        codes = encode_target(target, profile)
        assert np.isfinite(codes).all()
        if profile.classes:
            assert np.bincount(codes).tolist() == list(profile.class_counts)


def examined_or_refused(dataset: Dataset) -> tuple[Profile, Audit] | AutomlError:
    """What the profiler gives or raises."""
    try:
        return examine(dataset, Options())
    except AutomlError as refusal:
        return refusal
