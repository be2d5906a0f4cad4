"""From columns to arrays by a schema that is fixed at training."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import SchemaError
from automl.modalities.files.read import MISSING
from automl.modalities.mixture import learn_schema, schema_from_json
from automl.modalities.parse import MISSING_WORDS
from automl.modalities.table import encode as encoding
from automl.modalities.table.encode import encode, learn_coding
from automl.modalities.table.kinds import describe
from automl.modalities.text.codec import as_text
from automl.plain import as_json
from automl.records import Column, Kind, Profile


def schema_of(frame: pd.DataFrame):
    profile = Profile(
        rows=len(frame), columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""
    )
    return learn_schema(frame, profile)


RNG = np.random.default_rng(0)
MIXED = pd.DataFrame(
    {
        "size": RNG.normal(size=80),
        "colour": RNG.choice(["red", "green", "blue"], 80),
        "when": pd.date_range("2020-01-01", periods=80, freq="D").astype(str),
        "paid": RNG.choice(["yes", "no"], 80),
        "stamp": 1.7e9 + np.arange(80),
        "note": [
            f"customer number {i} said that the {w} parcel was late again"
            for i, w in enumerate(RNG.choice(["red", "big", "old"], 80))
        ],
    }
)


def test_each_kind_becomes_what_models_eat() -> None:
    """Numbers and dates as numbers, categories as codes, texts as texts."""
    schema = schema_of(MIXED)
    raw = schema.encode(MIXED)
    assert schema.category_names == ["colour"]
    assert schema.text_names == ["note"]
    assert {"size", "paid", "stamp", "when.days", "when.weekday"} <= set(schema.number_names)
    assert raw.numbers.shape == (80, len(schema.number_names))
    assert raw.numbers.dtype == np.float32
    assert set(np.unique(raw.codes)) == {1, 2, 3}


def test_large_whole_numbers_keep_their_differences() -> None:
    """Seconds since 1970 do not fit float32; the column is centred, so neighbours stay apart."""
    schema = schema_of(MIXED)
    stamps = schema.encode(MIXED).numbers[:, schema.number_names.index("stamp")]
    assert len(np.unique(stamps)) == 80


def test_the_weekday_of_a_date_is_right() -> None:
    """2020-01-01 was a Wednesday."""
    schema = schema_of(MIXED)
    first = schema.encode(MIXED).numbers[0]
    assert first[schema.number_names.index("when.weekday")] == 2
    assert first[schema.number_names.index("when.year")] == 2020


def test_a_schema_survives_json() -> None:
    """What is saved with a model encodes as before."""
    import json

    schema = schema_of(MIXED)
    again = schema_from_json(json.loads(json.dumps(as_json(schema.as_json()))))
    assert again == schema
    np.testing.assert_array_equal(again.encode(MIXED).numbers, schema.encode(MIXED).numbers)


def test_codes_follow_the_text_of_a_value() -> None:
    """1, 1.0, '1' and a categorical 1 are the same category; the unseen and the missing are 0."""
    frame = pd.DataFrame({"c": pd.Series(["1", "2", "3", "1"] * 10, dtype="category")})
    schema = schema_of(frame)
    expected = schema.encode(frame).codes[:4, 0].tolist()
    for other in ([1, 2, 3, 1], [1.0, 2.0, 3.0, 1.0], ["1", "2", "3", "1"]):
        assert schema.encode(pd.DataFrame({"c": other})).codes[:, 0].tolist() == expected
    assert schema.encode(pd.DataFrame({"c": ["9", None]})).codes[:, 0].tolist() == [0, 0]


def test_missing_columns_are_refused_with_the_closest_name() -> None:
    """The message helps with a renamed column."""
    with pytest.raises(SchemaError, match=r"'colour'.*Did you mean 'color'"):
        schema_of(MIXED).encode(MIXED.rename(columns={"colour": "color"}))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=6), st.integers(-(10**12), 10**12), st.floats(allow_nan=True)),
        min_size=12,
        max_size=40,
    )
)
def test_any_column_is_encoded_the_same_way_twice(cells: list[object]) -> None:
    """Whatever a column holds: finite or missing numbers, codes in range, and one row alone encodes as among others."""
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=object), "y": np.arange(len(cells))})
    schema = schema_of(frame)
    raw = schema.encode(frame)
    assert not np.isinf(raw.numbers).any()
    for j, own in enumerate(schema.labels):
        assert ((raw.codes[:, j] >= 0) & (raw.codes[:, j] <= len(own))).all()
    for i in range(0, len(frame), 7):
        alone = schema.encode(frame.iloc[[i]])
        np.testing.assert_array_equal(alone.codes[0], raw.codes[i])
        np.testing.assert_array_equal(alone.numbers[0], raw.numbers[i])


def test_columns_of_numbers_are_read_together_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their dtypes, infinities, gaps and offsets are, and whatever stands between them."""
    far = 1_700_000_000_000
    frame = pd.DataFrame({
        "whole": [1, -2, 3], "far": [far, far + 5, far + 7], "half": np.array([0.5, np.inf, np.nan], np.float16),
        "huge": [1e300, -1e300, np.nan], "word": ["a", None, "b"], "truth": [True, False, True],
        "nullable": pd.array([1, None, 3], dtype="Int64"), "text": ["1,000", "?", "3 %"],
        "unsigned": np.array([0, 1, 2**63], np.uint64), "span": pd.to_timedelta([1, 2, 3], unit="s"),
    })  # fmt: skip
    codings = [
        learn_coding(frame[name], Column(name=name, kind=kind, why="", missing=0.0, unique=3))
        for name, kind in ((n, Kind.CATEGORY if n == "word" else Kind.NUMBER) for n in frame)
    ]
    assert list(encoding._numbers_together(frame, codings)) == ["whole", "far", "half", "huge", "truth", "unsigned"]
    together = encode(frame, codings)
    monkeypatch.setattr(encoding, "FEW_CELLS", 0)
    alone = encode(frame, codings)
    np.testing.assert_array_equal(together.numbers, alone.numbers)
    np.testing.assert_array_equal(together.codes, alone.codes)


@pytest.mark.parametrize("word", sorted(MISSING))
def test_words_for_a_missing_cell_are_missing_in_every_kind_of_column(word: str) -> None:
    """Readers of files drop them in training; in rows to predict they stay texts, and mean the same."""
    assert word.strip().lower() in MISSING_WORDS
    assert as_text(f" {word} ") == ""
