"""Tables whose columns hold pictures and sounds beside numbers: through every door, and better than any part alone."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

import automl
from automl.data.reading import load, load_features
from automl.doors.cli import main
from automl.errors import AutomlError, InputError
from automl.modalities import mixture
from automl.options import Options
from automl.result import Result

pytestmark = pytest.mark.usefixtures("lasting_workers")

ROWS, SIDE, RATE, SAMPLES = 96, 24, 8000, 1600
FILES = ("front", "back", "call")
PARTS = (*FILES, "weight_kg")
FIT = {"target": "grade", "task": "regression", "budget": "2 trials", "families": ["linear", "lightgbm"], "workers": 1}


@pytest.fixture(scope="module", autouse=True)
def decoded_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded files of these tests stay in a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def pixels(level: float, stripes: bool, seed: int) -> np.ndarray:
    """A noisy picture, brighter or striped."""
    values = np.random.default_rng(seed).normal(90 + 70 * level, 12, (SIDE, SIDE, 3))
    if stripes:
        values[:: 4 if level < 0.5 else 3] += 60
    return np.clip(values, 0, 255).astype(np.uint8)


def wave(height: float, seed: int) -> np.ndarray:
    """A tone with a little noise, the higher the more."""
    tone = 0.4 * np.sin(2 * np.pi * (300 + 1500 * height) * np.arange(SAMPLES) / RATE)
    return (tone + np.random.default_rng(seed).normal(0, 0.01, SAMPLES)).astype(np.float32)


@cache
def facts(rows: int = ROWS) -> pd.DataFrame:
    """What each part knows, and the grade that takes all of it."""
    random = np.random.default_rng(7)
    made = pd.DataFrame({part: random.random(rows) for part in PARTS})
    made["grade"] = 10 * made[list(PARTS)].sum(axis=1) + random.normal(0, 0.3, rows)
    return made


def write(folder: Path, rows: int = ROWS) -> pd.DataFrame:
    """Files in sub-folders, and the table that names them, relative to the folder."""
    table = facts()[:rows].copy()
    for part in ("front", "back", "call"):
        (folder / part).mkdir(parents=True)
    for at, row in table.iterrows():
        Image.fromarray(pixels(row["front"], False, at)).save(folder / "front" / f"{at}.png")
        Image.fromarray(pixels(row["back"], True, 1000 + at)).save(folder / "back" / f"{at}.jpg")
        soundfile.write(folder / "call" / f"{at}.wav", wave(row["call"], at), RATE)
    for part, suffix in (("front", "png"), ("back", "jpg"), ("call", "wav")):
        table[part] = [f"{part}/{at}.{suffix}" for at in range(rows)]
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CSV whose cells are relative to it."""
    place = tmp_path_factory.mktemp("goods")
    write(place).to_csv(place / "goods.csv", index=False)
    return place


@pytest.fixture(scope="module")
def mixed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The run that reads all parts, from the CSV."""
    return automl.fit(folder / "goods.csv", run_dir=tmp_path_factory.mktemp("runs") / "all", verbose=0, **FIT)


def whole(folder: Path) -> pd.DataFrame:
    """The table with whole paths."""
    table = pd.read_csv(folder / "goods.csv")
    for part in ("front", "back", "call"):
        table[part] = [str(folder / name) for name in table[part]]
    return table


@pytest.mark.soak
@pytest.mark.slow
def test_two_pictures_a_sound_and_a_number_are_better_than_each_part_alone(
    folder: Path, mixed: Result, tmp_path: Path
) -> None:
    """Each part knows a quarter of the answer; the model of all knows most of it."""
    table = whole(folder)
    for part in PARTS:
        alone = automl.fit(table[[part, "grade"]], run_dir=tmp_path / part, verbose=0, **FIT)
        assert mixed.score.value < 0.8 * alone.score.value, part
    profile = automl.profile(folder / "goods.csv", target="grade", task="regression")
    assert {column.name: str(column.kind) for column in profile.columns} == {
        "front": "image", "back": "image", "call": "audio", "weight_kg": "number",
    }  # fmt: skip
    assert profile.modality == "image and audio"


@pytest.mark.slow
def test_the_saved_model_reads_rows_in_every_form_alike(folder: Path, mixed: Result, tmp_path: Path) -> None:
    """Paths relative to a file, whole paths, what files contain, Path objects: one answer."""
    model = automl.load(mixed.save(tmp_path / "model"))
    rows = whole(folder).head(8).drop(columns="grade")
    expected = model.predict(rows)
    few = pd.read_csv(folder / "goods.csv").head(8).drop(columns="grade")
    few.to_csv(folder / "few.csv", index=False)
    pd.testing.assert_series_equal(model.predict(folder / "few.csv"), expected)
    contents = rows.assign(**{part: [Path(name).read_bytes() for name in rows[part]] for part in FILES})
    pd.testing.assert_series_equal(model.predict(contents), expected)
    pd.testing.assert_series_equal(model.predict(rows.map(lambda c: Path(c) if isinstance(c, str) else c)), expected)
    np.testing.assert_allclose(model.predict(rows.iloc[[3]]), expected.iloc[[3]], rtol=1e-6)


@pytest.mark.slow
def test_each_column_that_is_looked_at_can_be_explained(folder: Path, mixed: Result) -> None:
    """A map of the column that was named; without a name of all, beside what each column adds."""
    rows = whole(folder).head(2)
    assert [one.shape for one in mixed.model.explain(rows, column="back")] == [(SIDE, SIDE)] * 2
    assert mixed.model.explain(rows, column="call")[0].shape[0] == 64
    every = mixed.explain(rows.head(1))[0]
    assert set(every.maps) == set(FILES)
    assert {own.column for own in every.columns} == set(PARTS)
    assert every.base + sum(own.contribution for own in every.columns) == pytest.approx(every.said)
    with pytest.raises(InputError, match=r"column='weight_kg' is none that is looked at"):
        mixed.model.explain(rows, column="weight_kg")


@pytest.mark.slow
def test_pictures_and_sounds_have_their_importance_beside_numbers(mixed: Result) -> None:
    """A block is shuffled with all that describes it."""
    found = mixed.feature_importance()
    assert set(found["column"]) == set(PARTS)
    assert (found["low"] > 0).sum() >= 3


@pytest.mark.slow
def test_the_command_line_reads_a_csv_whose_cells_are_paths(folder: Path, tmp_path: Path, capsys) -> None:
    """Fitted, saved and used from the shell."""
    run = tmp_path / "run"
    told = ["--target", "grade", "--task", "regression", "--budget", "1 trials", "--families", "linear"]
    assert main(["fit", str(folder / "goods.csv"), *told, "--out", str(run)]) == 0
    few = pd.read_csv(folder / "goods.csv").head(5).drop(columns="grade")
    few.to_csv(folder / "five.csv", index=False)
    assert main(["predict", str(run), str(folder / "five.csv"), "-o", str(tmp_path / "said.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "said.csv")) == 5
    assert "danger" not in capsys.readouterr().out


@pytest.mark.soak
@pytest.mark.slow
def test_a_network_reads_one_of_several_columns_and_says_which(
    folder: Path, tmp_path: Path, short_courses: None
) -> None:
    """Each column has its turn; the trial notes it, and the saved model reads the same."""
    options = {**FIT, "families": ["convnet"], "budget": "2 trials"}
    run = automl.fit(whole(folder).head(40), run_dir=tmp_path / "run", verbose=0, **options)
    asked = [event["plan"]["features"] for event in run._folder.events() if event["event"] == "asked"]
    assert {features["column"] for features in asked if "column" in features} == {"front", "back"}
    again = automl.load(run.save(tmp_path / "model"))
    rows = whole(folder).tail(5)
    pd.testing.assert_series_equal(again.predict(rows), run.predict(rows))


@pytest.mark.soak
@pytest.mark.slow
def test_one_network_reads_pictures_sounds_and_numbers(folder: Path, tmp_path: Path, short_courses: None) -> None:
    """No column has to be chosen; the saved model says the same, and columns are weighed and drawn as ever."""
    table = whole(folder)[["front", "call", "weight_kg", "grade"]].head(72)
    options = {**FIT, "families": ["fused"], "budget": "1 trials"}
    run = automl.fit(table, run_dir=tmp_path / "run", verbose=0, **options)
    asked = [event["plan"]["features"] for event in run._folder.events() if event["event"] == "asked"]
    assert asked[-1] == {"recipe": "plain"}
    again = automl.load(run.save(tmp_path / "model"))
    rows = whole(folder).tail(5)
    pd.testing.assert_series_equal(again.predict(rows), run.predict(rows))
    assert set(run.feature_importance()["column"]) == {"front", "call", "weight_kg"}
    assert [one.shape for one in again.explain(rows.head(1), column="front")] == [(SIDE, SIDE)]
    told = json.loads((run.folder / "report.json").read_text())["parts"]
    assert not told["parts"]
    assert "no model reads all parts as numbers" in told["notes"][0]


def test_metadata_of_a_folder_may_name_further_files(tmp_path: Path) -> None:
    """Columns beside file_name that name files are decoded too, and these files are not told as left out."""
    table = write(tmp_path, 12).rename(columns={"front": "file_name"})
    table.to_csv(tmp_path / "metadata.csv", index=False)
    found = load(tmp_path, Options(target="grade"), decode=mixture.read)
    assert dict(found.claims) == {"image": "image", "back": "image", "call": "audio"}
    assert {name: len(one.block) for name, one in found.decoded.items()} == {"image": 12, "back": 12, "call": 12}
    assert not any("left out" in note for note in found.notes), found.notes


def test_a_row_that_one_part_cannot_read_is_dropped_and_told(tmp_path: Path) -> None:
    """A broken sound and a missing picture cost their rows, in all parts."""
    table = write(tmp_path, 20)
    (tmp_path / "call" / "3.wav").write_bytes(b"RIFF and then nothing")
    table.loc[5, "back"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    found = load(tmp_path / "t.csv", Options(target="grade"), decode=mixture.read)
    assert len(found) == 18
    assert {len(one.block) for one in found.decoded.values()} == {18}
    assert found.frame["weight_kg"].tolist() == facts()["weight_kg"][:20].drop([3, 5]).tolist()
    told = {(finding.code, finding.column) for finding in mixture.findings(found)}
    assert {("unreadable", "call"), ("unreadable", "back")} <= told


def test_names_of_files_that_are_not_there_stay_text_and_are_told(tmp_path: Path) -> None:
    """A column that only looks like pictures is no reason to refuse a table."""
    frame = pd.DataFrame({"photo": [f"gone/{n}.jpg" for n in range(12)], "x": range(12), "y": [0, 1] * 6})
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = load(tmp_path / "t.csv", Options(target="y"), decode=mixture.read)
    assert not found.claims
    assert any("column 'photo'" in note and "'gone/0.jpg' is not in" in note for note in found.notes)


IN_MEMORY: dict[str, Sequence[Any]] = {
    "arrays": [pixels(0.1 * n, False, n) for n in range(12)],
    "grey arrays": [pixels(0.1 * n, False, n)[:, :, 0] for n in range(12)],
    "Pillow images": [Image.fromarray(pixels(0.1 * n, False, n)) for n in range(12)],
    "waves with rates": [(wave(0.1 * n, n), RATE) for n in range(12)],
    "objects of datasets": [{"array": wave(0.1 * n, n).tolist(), "sampling_rate": RATE} for n in range(12)],
}


@pytest.mark.parametrize("form", IN_MEMORY)
def test_cells_in_memory_are_decoded(form: str) -> None:
    """Arrays, images and sounds as libraries hand them out."""
    frame = pd.DataFrame({"seen": pd.Series(list(IN_MEMORY[form]), dtype=object), "x": range(12), "y": [0, 1] * 6})
    found = load(frame, Options(target="y"), decode=mixture.read)
    assert list(found.claims) == ["seen"]
    assert len(found.decoded["seen"].block) == 12


def test_bytes_of_files_are_known_by_their_first_letters() -> None:
    """Pictures and sounds in a Parquet file, for instance; other bytes are not taken for either."""
    picture, sound = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels(0.5, True, 1)).save(picture, "png")
    soundfile.write(sound, wave(0.5, 1), RATE, format="wav")
    cells = {"a": [picture.getvalue()] * 12, "b": [sound.getvalue()] * 12, "c": [b"anything"] * 12}
    frame = pd.DataFrame({**cells, "y": [0, 1] * 6})
    assert mixture.claims(frame, ["a", "b", "c", "y"], None)[0] == {"a": "image", "b": "audio"}


def test_a_cell_without_a_file_is_refused_in_one_line_when_predicting(folder: Path, mixed: Result) -> None:
    """The first that cannot be read is named."""
    rows = whole(folder).head(3).drop(columns="grade")
    rows.loc[1, "front"] = "nowhere.png"
    with pytest.raises(AutomlError, match=r"1 of 3 cannot be decoded, first 'nowhere.png'"):
        mixed.predict(rows)
    rows.loc[1, "front"] = None
    with pytest.raises(AutomlError, match=r"1 of 3 cannot be decoded, first an empty cell: there is no file"):
        mixed.predict(rows)
    assert load_features(rows.drop(columns="front")).shape == (3, 3)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["gone"] + [None] * 5, "83 % of its cells are empty"),
        (["odd one"] + ["@"] * 15, ""),
        (["@", "a word"] * 8, "50 % of its cells hold image data or name such files, but not 'a word': read as text"),
        (["a.jpg or so"] * 19 + ["@"], ""),
    ],
    ids=["mostly empty", "an odd first cell", "half paths and half words", "words among which one is a path"],
)
def test_whether_a_column_is_decoded_hangs_on_all_of_it(tmp_path: Path, cells: list[str | None], why: str) -> None:
    """Where most files are missing it stays text, and a note says so; one odd cell hides nothing."""
    Image.fromarray(pixels(0.5, True, 1)).save(tmp_path / "a.png")
    named = [str(tmp_path / "a.png") if cell in ("@", "gone") else cell for cell in cells] * 3
    found, notes = mixture.claims(pd.DataFrame({"photo": named}), ["photo"], None)
    assert found == ({"photo": "image"} if cells[-2:] == ["@", "@"] else {})
    assert why in " ".join(notes)
    assert len(notes) == bool(why)


def test_categories_of_paths_are_pictures(folder: Path) -> None:
    """As pandas keeps repeated texts."""
    frame = whole(folder).astype({"front": "category"})
    found = load(frame, Options(target="grade"), decode=mixture.read)
    assert found.claims["front"] == "image"
    assert len(found.decoded["front"].block) == ROWS


def test_beside_pictures_a_counter_is_no_feature_and_equal_pictures_contradict_nobody(folder: Path) -> None:
    """There is something better to learn from, and another column may tell equal pictures apart."""
    table = whole(folder)[["front", "grade"]].assign(nr=range(1, ROWS + 1))
    table.loc[1, "front"] = table.loc[0, "front"]
    profile = automl.profile(table, target="grade", task="regression")
    assert {column.name: str(column.kind) for column in profile.columns}["nr"] == "identifier"
    dataset = load(table, Options(target="grade"), decode=mixture.read)
    assert "contradictions" not in {finding.code for finding in mixture.findings(dataset)}
    alone = load(table[["front", "grade"]], Options(target="grade"), decode=mixture.read)
    assert "contradictions" in {finding.code for finding in mixture.findings(alone)}


@pytest.mark.slow
def test_rows_to_score_on_are_read_by_what_training_decided(folder: Path, mixed: Result, tmp_path: Path) -> None:
    """A few rows elsewhere, some without a usual name, are decoded all the same."""
    few = tmp_path / "few"
    few.mkdir()
    table = write(few, 6)
    for part in ("front", "back"):
        names = [few / name for name in table[part]]
        table[part] = [name.rename(name.with_suffix("")).name for name in names]
        (few / part).rename(few / f"{part} files")
        for name in table[part]:
            (few / f"{part} files" / name).rename(few / f"{part}-{name}")
        table[part] = [f"{part}-{name}" for name in table[part]]
    table.to_csv(few / "few.csv", index=False)
    assert len(mixed.predict(few / "few.csv")) == 6
    assert mixed.evaluate(few / "few.csv")["value"].notna().all()


@pytest.mark.slow
def test_the_scikit_learn_face_predicts_the_cells_that_it_learned_from() -> None:
    """Arrays of pixels beside a number."""
    frame = pd.DataFrame({"seen": pd.Series([pixels(n % 2, False, n) for n in range(40)], dtype=object)})
    frame["x"] = np.arange(40.0) % 7
    model = automl.AutoMLClassifier("1 trials", options={"families": ("linear",)})
    model.fit(frame, np.arange(40) % 2)
    assert (model.predict(frame) == np.arange(40) % 2).mean() > 0.9


@pytest.mark.slow
def test_a_model_of_format_2_still_loads(folder: Path, tmp_path: Path, short_courses: None) -> None:
    """Its one decoded column stood among the others, and its network did not name it."""
    table = whole(folder)[["front", "weight_kg", "grade"]].head(40)
    run = automl.fit(
        table, run_dir=tmp_path / "run", verbose=0, **{**FIT, "families": ["convnet"], "budget": "1 trials"}
    )
    place = run.save(tmp_path / "model")
    expected = run.predict(table)
    manifest = json.loads((place / "manifest.json").read_text())
    schema = manifest["schema"]
    empty = {"labels": [], "offset": 0.0, "has_time": False, "words": []}
    old = [{"column": one["column"], **empty, "sense": one["codec"]} for one in schema.pop("decoders")]
    schema["codings"] = [*old, *({**coding, "sense": None} for coding in schema["codings"])]
    for file in place.rglob("network.json"):
        facts = json.loads(file.read_text())
        assert facts.pop("column") == "front"
        file.write_text(json.dumps(facts))
        manifest["files"][file.relative_to(place).as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    pd.testing.assert_series_equal(automl.load(place).predict(table), expected)


def test_odd_cells_among_names_of_files_are_no_reason_to_stop(tmp_path: Path) -> None:
    """A text too long to be a name, and an object whose rate is none."""
    Image.fromarray(pixels(0.5, True, 1)).save(tmp_path / "a.png")
    names = pd.DataFrame({"photo": ["a.png"] * 19 + ["long " * 200]})
    assert mixture.claims(names, ["photo"], tmp_path)[0] == {"photo": "image"}
    assert mixture.place(names, {"photo": "image"}, tmp_path)["photo"].iloc[-1] == "long " * 200
    objects = pd.DataFrame({"x": [{"array": "no sound", "sampling_rate": "fast"}] * 12})
    assert mixture.claims(objects, ["x"], None) == ({}, [])


def test_rows_in_a_list_stay_rows() -> None:
    """Tuples and arrays of numbers are rows of a table; waves with their rates are sounds."""
    for rows in ([(n, n % 2) for n in range(12)], [np.array([n, n % 2]) for n in range(12)]):
        assert mixture.kind_of(rows) is None
    assert mixture.kind_of([(wave(0.5, n), RATE) for n in range(12)]) == "audio"


def test_missing_files_cost_their_rows_and_are_told_in_one_line(folder: Path) -> None:
    """A third of the pictures is gone: a finding names the first; two thirds are a refusal."""
    table = whole(folder)[["front", "weight_kg", "grade"]].head(30)
    some = table.assign(front=[name if at % 3 else f"{name}.gone.png" for at, name in enumerate(table["front"])])
    found = load(some, Options(target="grade"), decode=mixture.read)
    assert len(found) == 20
    told = next(finding for finding in mixture.findings(found) if finding.code == "unreadable")
    assert told.message.startswith("10 files cannot be read and were left out: '0.png.gone.png'")
    assert "\n" not in told.message
    most = table.assign(front=[f"{name}.gone.png" if at % 3 else name for at, name in enumerate(table["front"])])
    with pytest.raises(InputError, match=r"^20 of 30 image files cannot be read, first '1.png.gone.png': [^\n]*$"):
        mixture.read(most, {"front": "image"}, most["grade"])


@pytest.fixture(scope="module")
def scored(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, pd.DataFrame]:
    """A run with test rows one of whose pictures is no picture, and one of whose pictures is not there."""
    test = whole(folder)[["front", "weight_kg", "grade"]].tail(20).reset_index(drop=True)
    broken = folder / "broken.png"
    broken.write_bytes(b"\x89PNG and no more")
    test.loc[4, "front"], test.loc[9, "front"] = str(broken), str(folder / "gone.png")
    table = whole(folder)[["front", "weight_kg", "grade"]].head(60)
    options = {**FIT, "families": ["linear"], "budget": "1 trials"}
    run = automl.fit(table, test=test, run_dir=tmp_path_factory.mktemp("runs") / "scored", verbose=0, **options)
    return run, test


@pytest.mark.slow
def test_a_test_row_that_cannot_be_read_is_left_out_at_the_start_and_the_others_are_scored(
    scored: tuple[Result, pd.DataFrame],
) -> None:
    """A note names the first; the score is that of the other rows."""
    run, test = scored
    rest = test.drop(index=[4, 9])
    assert run.test_score is not None
    error = run.predict(rest).to_numpy() - rest["grade"].to_numpy()
    np.testing.assert_allclose(run.test_score.value, np.sqrt(np.mean(error**2)))
    notes = json.loads((run.folder / "report.json").read_text())["data"]["notes"]
    told = next(note for note in notes if note.startswith("test data:"))
    assert "2 of 20 rows were left out: column 'front': 2 of 2 cannot be decoded" in told
    assert "broken.png" in told


@pytest.mark.slow
def test_of_very_many_test_rows_the_unreadable_are_found_when_they_are_scored(
    scored: tuple[Result, pd.DataFrame],
) -> None:
    """Not all are decoded before the search: what was not tried then costs its row at the end, and no score."""
    from automl.refit.measure import Probe, answer
    from cluster.pool import Grant

    run, test = scored
    told = answer(Grant(1, float("inf")), Probe(str(run.folder / "model"), test.drop(columns="grade")))
    assert np.flatnonzero(~told.kept).tolist() == [4, 9]
    np.testing.assert_array_equal(told.said, run.predict(test.drop(index=[4, 9])).to_numpy())
    assert "column 'front': 2 of 2 cannot be decoded" in told.told


@pytest.mark.slow
def test_the_report_tells_what_each_part_adds_in_score_and_milliseconds(scored: tuple[Result, pd.DataFrame]) -> None:
    """The picture and the number each know a part of the grade; a page shows it, and a run of one part has none."""
    run, _ = scored
    told = json.loads((run.folder / "report.json").read_text())["parts"]
    added = {one["part"]: one for one in told["parts"]}
    assert set(added) == {"front", "the table's own columns"}
    assert added["the table's own columns"]["columns"] == ["weight_kg"]
    assert all(one["added"] > 0 and one["row_ms"] > 0 for one in added.values())
    assert told["model"] == "linear #1"
    assert not told["notes"]
    page = (run.folder / "report.html").read_text()
    assert "What each part adds" in page
    assert "ms a row" in page


def test_test_data_none_of_whose_rows_can_be_read_is_refused(folder: Path) -> None:
    """Before anything is searched for."""
    from automl.data.prepare import check_held
    from automl.doors.python import profile as outline

    table = whole(folder)[["front", "weight_kg", "grade"]].head(20)
    dataset = load(table, Options(target="grade"), decode=mixture.read)
    known = outline(table, target="grade", task="regression")
    schema = mixture.learn_schema(dataset.frame, known, dataset.decoded)
    gone = load(table.assign(front="gone.png"), Options(target="grade"), claims=dataset.claims)
    with pytest.raises(InputError, match=r"^test data: no row can be read: column 'front': 20 of 20 cannot be decoded"):
        check_held(gone, known, schema)
