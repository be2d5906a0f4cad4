"""Series as rows from whatever a user brings: wide tables, lists in a column, long tables; found, forced, forbidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import series_made as made

import automl
from automl.data.reading import load, load_features, load_held
from automl.errors import InputError, OptionError
from automl.modalities import mixture
from automl.modalities.series import columns
from automl.modalities.series.codec import codec_from_json
from automl.options import Options
from automl.records import Dataset

ROWS, STEPS = 40, 24


def wide(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """A column a step, beside an age and the answer: whether the waves are fast."""
    random = np.random.default_rng(seed)
    levels = random.random(rows)
    values = made.waves(levels, random, STEPS, 1, most=3.0)[:, 0]
    frame = pd.DataFrame(values, columns=[f"t{at:02d}" for at in range(STEPS)])
    return frame.assign(age=random.integers(20, 60, rows), pace=np.where(levels > 0.5, "fast", "slow"))


def long(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """A row a step of two channels, of cases of different lengths, with what never changes within them."""
    random = np.random.default_rng(seed)
    levels = random.random(rows)
    waves, parts = made.waves(levels, random, STEPS, 2, most=3.0), []
    for case in range(rows):
        steps = STEPS - case % 5
        part = pd.DataFrame(waves[case, :, :steps].T, columns=["left", "right"])
        parts.append(part.assign(
            case=f"c{case}", step=np.arange(steps), town=["here", "there"][case % 2],
            pace="fast" if levels[case] > 0.5 else "slow",
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def loaded(data: object, **options: object) -> Dataset:
    return load(data, Options(target="pace", **options), decode=mixture.read)


LONG = {"series_id": "case", "time_column": "step"}


# --- wide tables -----------------------------------------------------------------------------------------------------


def test_ordered_columns_of_one_scale_are_one_series_a_row_and_that_is_said() -> None:
    """Beside other columns, which stay the table's own; the line names the option that overrides."""
    dataset = loaded(wide())
    assert dataset.claims == {"t00": "series"}
    assert list(dataset.frame.columns) == ["t00", "age"]
    assert dataset.decoded["t00"].block.store.shape == (ROWS, 1, STEPS)
    (note,) = [note for note in dataset.notes if "series" in note]
    assert "'t00' to 't23'" in note
    assert "modality='table'" in note


@pytest.mark.parametrize("names", [range(STEPS), [f"{at}" for at in range(900, 900 + 2 * STEPS, 2)]], ids=str)
def test_names_may_be_numbers(names: object) -> None:
    """As arrays have them, and spectra."""
    frame = wide().drop(columns=["age"])
    assert list(loaded(frame.set_axis([*names, "pace"], axis=1)).claims.values()) == ["series"]


def test_tables_stay_tables() -> None:
    """Where neighbours are no more alike than others, scales differ, columns are few or never change, or it is said."""
    random = np.random.default_rng(0)
    noise = pd.DataFrame(random.normal(size=(60, STEPS))).add_prefix("v").assign(pace=["a", "b"] * 30)
    answers = noise.copy()
    answers.iloc[:, :STEPS] = random.normal(size=(60, 1)) + 0.3 * random.normal(size=(60, STEPS))
    scales = wide()
    scales.iloc[:, :STEPS:2] *= 1e4
    still = wide().assign(t05=0.0)
    few = wide().drop(columns=[f"t{at:02d}" for at in range(12, STEPS)])
    for frame in (noise, answers, scales, still, few):
        assert loaded(frame).claims == {}
    assert loaded(wide(), modality="table").claims == {}


def test_a_series_can_be_forced() -> None:
    """Of whatever columns hold numbers; where there are none, that is one line."""
    named = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 4)), columns=list("abcd")).assign(
        pace=["x", "y"] * 10
    )
    assert loaded(named, modality="series").decoded["a"].block.store.shape == (20, 1, 4)
    with pytest.raises(InputError, match=r"fewer than 3 columns hold numbers") as told:
        loaded(named[["a", "pace"]], modality="series")
    assert "\n" not in str(told.value)
    with pytest.raises(OptionError, match="modality must be one of auto, table, series"):
        Options(modality="serie")


def test_only_a_run_of_columns_counts() -> None:
    """Its names differ in a number that rises without another column between."""
    frame = wide()
    moved = frame[[*frame.columns[:10], "age", *frame.columns[10:STEPS], "pace"]]
    assert columns.find(moved, [name for name in moved.columns if name != "pace"]) is None


# --- lists in a column -----------------------------------------------------------------------------------------------


def test_lists_and_arrays_in_a_column_are_series() -> None:
    """Of any lengths, of several channels where it is said that they are no pictures."""
    random = np.random.default_rng(0)
    cells = [random.normal(size=20 + at % 4) for at in range(ROWS)]
    frame = pd.DataFrame({"signal": cells, "pace": ["a", "b"] * (ROWS // 2)})
    assert loaded(frame).decoded["signal"].block.store.shape == (ROWS, 1, 23)
    frame["signal"] = [np.stack([cell, cell]) for cell in cells]
    assert loaded(frame, modality="series").decoded["signal"].block.store.shape == (ROWS, 2, 23)


# --- long tables -----------------------------------------------------------------------------------------------------


def test_a_long_table_is_folded_into_a_row_a_case() -> None:
    """Numbers that change are channels, what never changes within a case stays a column; order of rows is no matter."""
    shuffled = long().sample(frac=1, random_state=0)
    for data in (long(), shuffled):
        dataset = loaded(data, **LONG)
        assert set(dataset.frame.columns) == {"step", "town"}
        assert len(dataset) == ROWS
        block = dataset.decoded["step"].block
        assert block.store.shape == (ROWS, 2, STEPS)
        assert sorted(set(block.lengths.tolist())) == [20, 21, 22, 23, 24]
    folded = loaded(long(), **LONG).frame["step"]
    assert folded[0].shape == (2, STEPS)
    assert np.allclose(folded[0][0], long().loc[long()["case"] == "c0", "left"])


@pytest.mark.parametrize(
    ("change", "options", "line"),
    [
        (lambda f: f.assign(pace=f["step"].astype(str)), LONG, "target 'pace' changes within a case of 'case'"),
        (lambda f: f, {**LONG, "series_id": "cases"}, "series_id 'cases' is not in the data. Did you mean 'case'?"),
        (lambda f: f, {**LONG, "time_column": "stp"}, "time_column 'stp' is not in the data. Did you mean 'step'?"),
        (lambda f: f, {"series_id": "case"}, "need series_id= for the case and time_column="),
        (lambda f: f[f["step"] == 0], LONG, "has one row for each of its 40 cases"),
        (lambda f: f.drop(columns=["left", "right"]), LONG, "no column of numbers changes within the cases"),
        (lambda f: pd.concat([f, f.head(3)]), LONG, "3 steps come twice in their case"),
        (lambda f: f.assign(case=f["case"].where(f["step"] > 0)), LONG, "series_id 'case' is missing in 40 rows"),
        (lambda f: f.assign(step="then"), LONG, "must hold numbers or dates, got 'then'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_odd_long_tables_are_refused_in_one_line(change, options, line: str) -> None:
    """What is wrong, the value seen, what to do."""
    with pytest.raises((InputError, OptionError)) as told:
        loaded(change(long()), **options)
    assert line in str(told.value)
    assert "\n" not in str(told.value)


# --- saved codecs ----------------------------------------------------------------------------------------------------


def test_a_codec_reads_wide_rows_whatever_they_come_as_and_refuses_texts() -> None:
    """Numbers as text, and gaps; a cell that is no number is named with its column."""
    codec = loaded(wide()).decoded["t00"].codec
    frame = wide(5, seed=3)
    block = codec.encode(codec.gather(frame))
    as_text = frame.astype({"t03": str})
    assert np.array_equal(codec.encode(codec.gather(as_text)).store, block.store)
    odd = frame.astype({"t03": object})
    odd.loc[2, "t03"] = "high"
    with pytest.raises(InputError, match="column 't03' is a step of a series, got 'high'"):
        codec.gather(odd)


def test_longer_series_are_shrunk_and_other_channels_refused() -> None:
    """To the width that training had."""
    codec = loaded(long(), **LONG).decoded["step"].codec
    block = codec.encode([np.zeros((2, 100)), np.zeros((2, 3))])
    assert block.store.shape == (2, 2, STEPS)
    assert block.lengths.tolist() == [STEPS, 3]
    with pytest.raises(InputError, match="it has 3 channels, the model knows 2"):
        codec.encode([np.zeros((3, 10))])


@pytest.mark.parametrize(
    "damage", [{"width": 0}, {"spreads": [0.0]}, {"spreads": []}, {"columns": ["a"]}, {"centres": [None]}], ids=str
)
def test_a_damaged_codec_is_refused(damage: dict[str, object]) -> None:
    """With a ValueError."""
    plain = loaded(wide()).decoded["t00"].codec.as_json()
    assert codec_from_json(plain).as_json() == plain
    with pytest.raises(ValueError, match=r"\S"):
        codec_from_json({**plain, **damage})


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_wide(tmp_path_factory: pytest.TempPathFactory) -> automl.Result:
    folder = tmp_path_factory.mktemp("wide")
    return automl.fit(
        wide(), target="pace", budget="3 trials", families=("rocket", "quant"), workers=1, run_dir=folder / "run",
        verbose=0, test=wide(20, seed=9),
    )  # fmt: skip


@pytest.fixture(scope="module")
def of_long(tmp_path_factory: pytest.TempPathFactory) -> automl.Result:
    folder = tmp_path_factory.mktemp("long")
    return automl.fit(
        long(), target="pace", budget="2 trials", families=("rocket",), workers=1, run_dir=folder / "run", verbose=0,
        test=long(20, seed=9), **LONG,
    )  # fmt: skip


@pytest.mark.long
def test_a_run_on_wide_rows_saves_a_model_that_answers_plain_ones(of_wide: automl.Result, tmp_path: Path) -> None:
    """Frames, CSV files, arrays without names and reordered columns are answered alike; a missing step is named."""
    frame = wide(20, seed=9).drop(columns=["pace"])
    model = automl.load(of_wide.save(tmp_path / "model"))
    said = model.predict(frame)
    assert (said == wide(20, seed=9)["pace"]).mean() > 0.75
    frame.to_csv(tmp_path / "rows.csv", index=False)
    for data in (tmp_path / "rows.csv", frame.to_numpy(), frame[frame.columns[::-1]], frame.to_dict(orient="records")):
        assert model.predict(data).tolist() == said.tolist()
    with pytest.raises(InputError, match="'t07'"):
        model.predict(frame.drop(columns=["t07"]))
    with pytest.raises(InputError, match=r"'t01'|t01"):
        model.predict(frame[["t00", "age"]])
    assert model.evaluate(wide(20, seed=9)).loc[0, "value"] > 0.7


def test_a_run_on_a_long_table_answers_cases(of_long: automl.Result, tmp_path: Path) -> None:
    """One answer a case, named by it, in the order in which cases come; files as frames."""
    rows = long(20, seed=9)
    model = automl.load(of_long.save(tmp_path / "model"))
    said = model.predict(rows.drop(columns=["pace"]))
    assert said.index.tolist() == [f"c{case}" for case in range(20)]
    assert said.index.name == "case"
    truth = rows.groupby("case", sort=False)["pace"].first()
    assert (said == truth).mean() > 0.75
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert model.predict(tmp_path / "rows.csv").tolist() == said.tolist()
    assert model.evaluate(rows).loc[0, "value"] > 0.7
    with pytest.raises(InputError, match="columns of the training data not found: 'right'"):
        model.predict(rows.drop(columns=["right"]))


def test_rows_are_read_by_what_a_model_knows(of_wide: automl.Result, of_long: automl.Result) -> None:
    """As doors do: held rows keep all their columns, cases are folded once."""
    schema = of_wide.model.schema
    assert schema.names == (*[f"t{at:02d}" for at in range(STEPS)], "age")
    assert "t00" not in schema.verbatim
    held = load_held(wide(), Options(target="pace"), schema.names, schema.claims)
    assert len(held.frame.columns) == STEPS + 1
    steps = of_long.model.schema.steps
    cases = load_features(long(), of_long.model.schema)
    assert steps is not None
    assert len(load_features(cases, of_long.model.schema)) == len(cases) == ROWS


def test_a_server_takes_the_plain_columns(of_wide: automl.Result) -> None:
    """As JSON and as CSV, with gaps; what it tells of itself names them, and its own example can be asked."""
    pytest.importorskip("fastapi")
    from serving_made import running

    frame = wide(4, seed=9).drop(columns=["pace"])
    frame.iloc[1, 3] = np.nan
    said = of_wide.model.predict(frame).tolist()
    rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    with running(of_wide.model) as client:
        told = client.post("/predict", json={"rows": rows}).json()["predictions"]["pace"]
        as_csv = client.post("/predict", content=frame.to_csv(index=False), headers={"content-type": "text/csv"})
        about = client.get("/", headers={"accept": "application/json"}).json()
        example = client.post("/predict", json=about["example"])
        odd = client.post("/predict", json={"rows": [{**rows[0], "t03": "high"}]})
    assert told == as_csv.json()["predictions"]["pace"] == said
    assert {column["name"] for column in about["columns"]} == {*frame.columns}
    assert example.status_code == 200
    assert "column 't03' is a step of a series, got 'high'" in odd.text
