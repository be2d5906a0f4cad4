"""What a report shows of mistakes: answers against predictions, pictures of samples, where the model looked."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from report_made import HOSTILE, Page, sample
from test_media_run import save_pictures, save_sounds

import automl
from automl.errors import InputError
from automl.plain import as_json
from automl.records import Calibration, Candidate, Score
from automl.report import draw
from automl.report.gather import mistakes, paint
from automl.report.gather.mistakes import HeldOutPredictions, confusion, examples, held_out
from automl.report.sections import looked as section
from automl.scoring.metrics import get

pytestmark = pytest.mark.usefixtures("lasting_workers")

# --- counting --------------------------------------------------------------------------------------------------------


def held_of(y: list[int], shares: list[list[float]]) -> HeldOutPredictions:
    shares_ = np.array(shares)
    return HeldOutPredictions(np.array(y), shares_.argmax(axis=1), shares_)


def test_every_held_out_row_is_counted_once() -> None:
    """By its answer, then by what was said."""
    found = confusion(held_of([0, 0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]]), ["no", "yes"])
    assert found == mistakes.Confusion(("no", "yes"), ((1, 1), (0, 2)), 0, 1)


def test_of_very_many_classes_the_rare_ones_are_gathered() -> None:
    """Thirty keep a line; mistakes among the others still count as mistakes."""
    y = np.repeat(np.arange(40), [3] * 30 + [1] * 10)
    said = y.copy()
    said[-1] = 30  # one of the rare for another
    found = confusion(HeldOutPredictions(y, said, None), [f"c{k}" for k in range(40)])
    assert found.classes[-1] == "others"
    assert len(found.classes) == len(found.counts) == 31
    assert found.counts[30][30] == 10
    assert (found.gathered, found.wrong) == (10, 1)
    assert sum(map(sum, found.counts)) == len(y)


def test_labels_are_those_that_the_saved_model_gives() -> None:
    """Calibrated shares, moved by the weights of labels before the largest wins; what is shown are the shares."""
    from automl.ensemble.candidates import HeldOutComparison

    y = np.array([0, 1, 1])
    predictions = {3: np.array([[0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])}
    comparison = HeldOutComparison(
        trials=(), metric=get("accuracy"), folds=(0,), rows=np.arange(len(y)), y=y, weight=None, predictions=predictions
    )
    score = Score(metric="accuracy", value=1.0, low=1.0, high=1.0, higher_is_better=True)
    candidate = Candidate(
        name="one",
        weights={3: 1.0},
        score=score,
        fit_s=0,
        row_ms=0,
        batch_ms=0,
        size_mb=0,
        lean_ms=0,
        lean_mb=0,
        readout=Calibration(label_weights=(0.3, 0.7)),
    )
    held = held_out(candidate, comparison, 2)
    assert held.said.tolist() == [1, 1, 1]
    np.testing.assert_allclose(held.shares, predictions[3])
    plain = held_out(replace(candidate, readout=Calibration()), comparison, 2)
    assert plain.said.tolist() == [0, 0, 1]


def test_examples_begin_with_what_is_surest_and_wrong() -> None:
    """Then what is least sure, then what is right, of every class in turn."""
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(4), 300)
    held = HeldOutPredictions(random.integers(0, 4, 300), shares.argmax(axis=1), shares)
    found = examples(held)
    kinds = [one.kind for one in found]
    assert kinds == ["wrong"] * 6 + ["unsure"] * 3 + ["right"] * 3
    wrong = [one.row for one in found[:6]]
    sure = shares.max(axis=1)
    assert all(held.said[row] != held.y[row] for row in wrong)
    assert [sure[row] for row in wrong] == sorted((sure[held.said != held.y]), reverse=True)[:6]
    assert len({held.y[one.row] for one in found[9:]}) == 3
    assert len({one.row for one in found}) == 12


@given(st.integers(1, 30), st.integers(2, 5), st.integers(0, 99))
def test_there_are_as_many_examples_as_rows_up_to_twelve(rows: int, classes: int, seed: int) -> None:
    """However few are wrong or right, no row comes twice."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(classes), rows)
    held = HeldOutPredictions(random.integers(0, classes, rows), shares.argmax(axis=1), shares)
    for one in (held, HeldOutPredictions(random.normal(size=rows), random.normal(size=rows), None)):
        found = [example.row for example in examples(one)]
        assert len(found) == len(set(found)) == min(12, rows)


# --- painting --------------------------------------------------------------------------------------------------------


def pixels_of(content: bytes) -> np.ndarray:
    """A PNG read by hand, all checks made."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + data)
        parts[name], at = data, at + 12 + length
    width, height, depth, kind, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert depth == 8
    channels = 3 if kind == 2 else 1
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, width * channels + 1)
    pixels = lines[:, 1:].copy()
    if lines[0, 0] == 2:
        pixels = np.cumsum(pixels, axis=0, dtype=np.uint8)
    if kind == 3:
        return np.frombuffer(parts[b"PLTE"], np.uint8).reshape(-1, 3)[pixels]
    return pixels.reshape(height, width, channels)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))))
def test_a_png_holds_every_pixel(pixels: np.ndarray) -> None:
    """Grey and in colour, of any size, without a library of pictures."""
    assert np.array_equal(pixels_of(paint.png(pixels)), pixels)
    if pixels.shape[2] == 1:
        palette = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
        assert np.array_equal(pixels_of(paint.png(pixels[:, :, 0], palette)), palette[pixels[:, :, 0]])


def test_other_programs_read_what_is_painted() -> None:
    """Small pictures become large squares; large ones become small, and photographs become JPEG."""
    Image = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    for side, shown in ((8, 96), (40, 120), (96, 96), (160, 128)):
        pixels = random.integers(0, 255, (side, side // 2, 3), dtype=np.uint8)
        painted = paint.image(pixels)
        opened = Image.open(io.BytesIO(painted.content))
        assert opened.height == shown
        assert opened.mode == "RGB"
        assert painted.suffix == {"PNG": ".png", "JPEG": ".jpg"}[opened.format]
    small = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(paint.image(small).content)))[::12, ::12], small)


def test_heat_is_bright_and_orange_and_what_was_not_looked_at_is_grey() -> None:
    """Lightness tells as much as colour."""
    heat = np.zeros((96, 96))
    heat[:48, :48] = 1
    for light in (0.0, 0.5, 1.0):
        seen = pixels_of(paint.looked(np.full((96, 96), light), heat).content).astype(int)
        hot, cold = seen[10, 10], seen[80, 80]
        assert hot[0] > hot[2] + 80
        assert max(cold) - min(cold) == 0
        assert hot.sum() > cold.sum() or light == 1.0


def test_low_bands_are_drawn_at_the_bottom() -> None:
    """As everybody draws spectrograms."""
    loudness = np.zeros((100, 120))
    loudness[:10] = 1
    for painted in (paint.spectrogram(loudness), paint.looked(loudness, loudness, is_sound=True)):
        seen = pixels_of(painted.content).astype(int).sum(axis=2)
        assert seen.shape == (100, 120)
        assert seen[-5:].min() > seen[:50].max()


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_table_tells_which_class_is_taken_for_which(tmp_path: Path) -> None:
    """Shares of a line, the most frequent mistakes in words, and what a cell means on hover."""
    page = Page(draw(sample()))
    assert "no taken for yes: 90 (4.5 % of no)" in page.words
    titles = [attrs.get("title", "") for tag, attrs in page.tags if tag == "td"]
    assert "no, told to be yes: 90 of 2,000 (4.5 %)" in titles
    assert "Of 2,500 held-out rows the chosen model gets 240 wrong, 9.6 %." in page.words


@pytest.mark.parametrize(
    "broken",
    [
        None, [], "x", {"classes": ["a"]}, {"classes": ["a", "b"], "counts": [[1, 2]]},
        {"classes": ["a", "b"], "counts": [[1, 2], [1]]}, {"classes": ["a"], "counts": [[None]]},
        {"classes": ["a", None], "counts": [["1", -2], [float("nan"), True]]}, {"classes": 3, "counts": 4},
    ],
)  # fmt: skip
def test_a_confusion_that_is_none_is_left_out(broken: object) -> None:
    """Whatever the JSON holds, the page is drawn."""
    Page(draw(sample() | {"confusion": broken}))
    Page(draw(sample() | {"confusion": broken, "samples": broken}))


def test_many_classes_fit_on_the_page() -> None:
    """Thirty-one lines of thirty-one cells are some 50 kB, and each says what it is."""
    random = np.random.default_rng(0)
    found = confusion(
        HeldOutPredictions(random.integers(0, 40, 5000), random.integers(0, 40, 5000), None), list(range(40))
    )
    html = draw(sample() | {"confusion": as_json(found)})
    assert len(html.encode()) < 250_000
    assert 'class="confusion tight"' in html


def test_pictures_become_part_of_the_page(tmp_path: Path) -> None:
    """From the folder of the run, by their plain names; what is not there, or elsewhere, is left out."""
    (tmp_path / section.FOLDER).mkdir()
    content = paint.image(np.zeros((4, 4, 1), np.uint8)).content
    (tmp_path / section.FOLDER / "01.png").write_bytes(content)
    (tmp_path / "secret.png").write_bytes(content)
    report = sample()
    file = report["samples"]["files"][0]
    report["samples"]["files"] = [
        file | {"picture": "01.png", "heat": "gone.png"},
        file | {"picture": "../secret.png", "heat": str(tmp_path / "secret.png")},
        file | {"picture": 7, "heat": HOSTILE},
    ]
    page = Page(draw(report, tmp_path))
    sources = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert sources == [f"data:image/png;base64,{base64.b64encode(content).decode()}"]
    assert not [tag for tag, _ in Page(draw(report)).tags if tag == "img"]


def test_a_sample_says_what_was_told_and_what_it_is() -> None:
    """In words beside its picture."""
    told = [card.told for card in section.cards(sample(), None)]
    assert told == ["said cat, 98 % sure; it is dog (1 %)", "dog, rightly, 51 % sure"]
    assert section._said({"answer": 2.5, "prediction": 3.25, "probability": None}) == "said 3.25; it is 2.5"


# --- whole runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded files of a test stay in its own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_run_on_pictures_shows_what_it_gets_wrong(tmp_path: Path, cache: Path) -> None:
    """Twelve files with pictures and heat, in the folder and in the page, which can be drawn again elsewhere."""
    pytest.importorskip("PIL")
    data = save_pictures(tmp_path / "data", 15)
    for file in list((data / "lying").iterdir())[:3]:  # three that are labelled wrongly
        file.rename(data / "upright" / f"moved-{file.name}")
    result = automl.fit(data, budget="1 trials", families=("linear",), run_dir=tmp_path / "run", verbose=0)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    found = report["samples"]
    assert sum(map(sum, report["confusion"]["counts"])) == report["data"]["rows"] == 30
    assert (found["kind"], len(found["files"]), found["notes"]) == ("image", 12, [])
    assert found["explained"].startswith("Occlusion")
    wrong = [file["name"] for file in found["files"] if file["kind"] == "wrong"]
    assert {name for name in wrong if name.startswith("moved-")}
    for file in found["files"]:
        for name in (file["picture"], file["heat"]):
            assert (tmp_path / "run" / "pictures" / name).stat().st_size > 100
    page = Page((tmp_path / "run" / "report.html").read_text())
    assert sum(tag == "img" for tag, _ in page.tags) == 24
    assert Page(result.report(tmp_path / "copy.html").read_text()).tags == page.tags
    columns = result.feature_importance()
    assert columns.empty
    assert "no column beside the images" in columns.attrs["notes"][0]
    maps = result.model.explain(data)
    assert [one.shape for one in maps] == [(24, 24)] * 30
    of_class = result.model.explain(data, label="lying")
    assert not np.allclose(maps, of_class)
    with pytest.raises(InputError, match=r"label='sitting' is no class of this model. Its classes: 'lying', 'upright'"):
        result.model.explain(data, label="sitting")


def test_of_numbers_the_farthest_misses_come_first(tmp_path: Path, cache: Path) -> None:
    """Pictures from memory go by their row; there is no table of answers, and nothing is least sure."""
    pytest.importorskip("PIL")
    random = np.random.default_rng(0)
    level = random.uniform(20, 230, 40)
    X = np.clip(level[:, None, None] + random.normal(0, 20, (40, 16, 16)), 0, 255).astype(np.uint8)
    automl.fit((X, level), budget="1 trials", families=("linear",), run_dir=tmp_path / "run", verbose=0)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    files = report["samples"]["files"]
    assert report["confusion"] is None
    assert {file["kind"] for file in files} == {"wrong", "right"}
    misses = [abs(file["answer"] - file["prediction"]) for file in files if file["kind"] == "wrong"]
    assert misses == sorted(misses, reverse=True)
    assert all(file["heat"] and file["name"].startswith("row ") for file in files)
    assert "said" in Page((tmp_path / "run" / "report.html").read_text()).words


@pytest.mark.soak
@pytest.mark.slow
def test_a_network_on_sounds_shows_where_it_listened(tmp_path: Path, cache: Path, short_courses: None) -> None:
    """Spectrograms with their seconds, and Grad-CAM over them."""
    pytest.importorskip("soundfile")
    data = save_sounds(tmp_path / "data", 30)
    automl.fit(data, budget="1 trials", families=("soundnet",), run_dir=tmp_path / "run", verbose=0)
    found = json.loads((tmp_path / "run" / "report.json").read_text())["samples"]
    assert found["kind"] == "audio"
    assert all(0.3 <= file["seconds"] <= 0.5 for file in found["files"])
    assert found["explained"].startswith("Grad-CAM")


def test_a_table_has_its_confusion_and_no_samples(finished: automl.Result) -> None:
    """Binary too; of a table there is no map to draw."""
    report = json.loads((finished.folder / "report.json").read_text())
    assert report["confusion"]["classes"] == report["data"]["classes"]
    assert sum(map(sum, report["confusion"]["counts"])) > 0
    assert report["samples"] is None
    assert not (finished.folder / "pictures").exists()


def test_what_cannot_be_explained_is_a_note_and_not_the_end(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that fails leaves a report with pictures, without heat, and with the reason."""
    pytest.importorskip("PIL")
    from automl.report.gather import examples as gathering

    monkeypatch.setattr(gathering, "LookRequest", lambda *_: "not what the worker expects")
    data = save_pictures(tmp_path / "data", 12)
    automl.fit(data, budget="1 trials", families=("linear",), run_dir=tmp_path / "run", verbose=0)
    found = json.loads((tmp_path / "run" / "report.json").read_text())["samples"]
    assert found["explained"] is None
    assert "where the model looked is not known" in found["notes"][0]
    assert all(file["picture"] and not file["heat"] for file in found["files"])
