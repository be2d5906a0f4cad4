"""Folders of images and sounds from the first look to predictions: whole runs on small data that the tests make."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import automl
from automl.doors.cli import main
from automl.errors import InputError

pytestmark = pytest.mark.usefixtures("lasting_workers")

Image = pytest.importorskip("PIL.Image")
soundfile = pytest.importorskip("soundfile")
RATE = 8000


def picture(label: str, random: np.random.Generator, side: int = 24) -> np.ndarray:
    """A bar, upright or lying, at a random place on noise."""
    pixels = random.integers(0, 90, (side, side, 3), dtype=np.uint8)
    at = int(random.integers(3, side - 6))
    bar = (slice(None), slice(at, at + 3)) if label == "upright" else (slice(at, at + 3), slice(None))
    pixels[bar] = random.integers(150, 255, 3, dtype=np.uint8)
    return pixels


def save_pictures(folder: Path, each: int, seed: int = 0) -> Path:
    """A folder for each of two classes."""
    random = np.random.default_rng(seed)
    for label in ("upright", "lying"):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(picture(label, random)).save(folder / label / f"{number:03d}.png")
    return folder


def save_sounds(folder: Path, each: int, seed: int = 0) -> Path:
    """Two classes of tones that differ in pitch."""
    random = np.random.default_rng(seed)
    for label, pitch in (("low", 300), ("high", 900)):
        (folder / label).mkdir(parents=True)
        for number in range(each):
            seconds = np.arange(int(RATE * random.uniform(0.3, 0.5))) / RATE
            wave = 0.4 * np.sin(2 * math.pi * pitch * random.uniform(0.8, 1.2) * seconds)
            wave += 0.02 * random.standard_normal(len(seconds))
            soundfile.write(folder / label / f"{number:03d}.wav", wave, RATE)
    return folder


def right_share(predictions: pd.Series) -> float:
    """Of the files whose folder is what was predicted."""
    return float(np.mean([Path(str(name)).parent.name == label for name, label in predictions.items()]))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded files of a test stay in its own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
@pytest.mark.parametrize(("save", "families"), [(save_pictures, "svm,convnet"), (save_sounds, "svm,soundnet")])
def test_a_folder_of_classes_is_learned_and_another_predicted(
    save: Callable[..., Path], families: str, tmp_path: Path, cache: Path, short_courses: None
) -> None:
    """Classical models and networks take part; the model, read back, names the classes of new files."""
    data, new = save(tmp_path / "data", 30), save(tmp_path / "new", 8, seed=1)
    names = tuple(families.split(","))
    automl.fit(data, budget="2 trials", families=names, run_dir=tmp_path / "run", seed=1, verbose=0)
    trials = json.loads((tmp_path / "run" / "report.json").read_text())["trials"]
    assert {trial["family"] for trial in trials if trial["folds_done"]} >= set(names)
    model = automl.load(tmp_path / "run")
    predictions = model.predict(new)
    assert predictions.index.name == "file_name"
    assert right_share(predictions) >= 0.8
    assert len(list((cache / "automl").rglob("store.npy"))) == 1


@pytest.mark.slow
def test_a_folder_with_test_files_is_scored_on_them_and_bad_files_are_listed(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """train/ is learned from, test/ scored on at the end; a file that cannot be read is left out by name."""
    save_pictures(tmp_path / "data" / "train", 20)
    save_pictures(tmp_path / "data" / "test", 6, seed=1)
    (tmp_path / "data" / "train" / "lying" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    run = tmp_path / "run"
    words = ["--budget", "1 trials", "--families", "linear", "--metric", "accuracy", "--out", str(run), "--quiet"]
    assert main(["fit", str(tmp_path / "data"), *words]) == 0
    report = json.loads((run / "report.json").read_text())
    assert report["data"]["rows"] == 40
    assert report["verdict"]["test"]["value"] >= 0.7
    told = next(finding for finding in report["audit"] if finding["code"] == "unreadable")
    assert "broken.png" in told["message"]
    capsys.readouterr()
    assert main(["predict", str(run), str(tmp_path / "data" / "test")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(",")[0] == "file_name"
    assert len(lines) == 13


@pytest.mark.slow
def test_arrays_and_lists_of_files_are_pictures_too(tmp_path: Path, cache: Path) -> None:
    """(X, y) with an array of pictures trains; one array, a list of files and Pillow's images are predicted alike."""
    random = np.random.default_rng(0)
    labels = ["upright", "lying"] * 15
    X = np.stack([picture(label, random) for label in labels])
    result = automl.fit((X, labels), budget="1 trials", families=("linear",), run_dir=tmp_path / "run", verbose=0)
    files = []
    for number, pixels in enumerate(X[:4]):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(files[-1])
    of_arrays = result.predict(X[:4])
    assert list(result.predict(files)) == list(of_arrays)
    assert list(result.predict([Image.open(file) for file in files])) == list(of_arrays)


def _no_file(folder: Path) -> Any:
    folder.mkdir()
    return folder


def _flat(folder: Path) -> Any:
    folder.mkdir()
    for number in range(12):
        Image.fromarray(np.full((4, 4), number, dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def _one_class(folder: Path) -> Any:
    save_pictures(folder, 12)
    for file in (folder / "lying").iterdir():
        file.unlink()
    return folder


def _three(folder: Path) -> Any:
    save_pictures(folder, 2)
    next((folder / "lying").iterdir()).unlink()
    return folder


def _one_each(folder: Path) -> Any:
    for number in range(12):
        (folder / f"class {number}").mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 20 * number, dtype=np.uint8)).save(folder / f"class {number}" / "only.png")
    return folder


def _all_broken(folder: Path) -> Any:
    save_pictures(folder, 8)
    for file in folder.rglob("*.png"):
        file.write_bytes(b"nothing")
    return folder


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_no_file, "no images, sounds or texts"),
        (_flat, "has no classes"),
        (_one_class, "same value in every row"),
        (_three, "at least 10 are needed"),
        (_all_broken, "can be read"),
        (_one_each, "Choose a column whose values repeat"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused_in_one_line(
    make: Callable[[Path], Any], told: str, tmp_path: Path, cache: Path
) -> None:
    """What is wrong, and what to do."""
    with pytest.raises(InputError, match=told) as refusal:
        automl.fit(make(tmp_path / "data"), budget="1 trials", run_dir=tmp_path / "run", verbose=0)
    assert "\n" not in str(refusal.value)


def test_a_bad_file_to_predict_is_refused_by_name(tmp_path: Path, cache: Path) -> None:
    """The answer for a file that cannot be read would be an invention."""
    data = save_pictures(tmp_path / "data", 12)
    result = automl.fit(data, budget="1 trials", families=("linear",), run_dir=tmp_path / "run", verbose=0)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"1 of 1 cannot be decoded.*bad\.png"):
        result.predict([str(bad)])


@pytest.mark.slow
def test_pictures_of_one_pixel_and_of_many_sizes_and_kinds_are_learned(tmp_path: Path, cache: Path) -> None:
    """A side of one is a picture, too; grey, see-through, paletted and wide ones are brought to one shape."""
    random = np.random.default_rng(0)
    for folder, most in (("tiny", 1), ("mixed", 60)):
        for number in range(40):
            label, mode = ("bright", "dark")[number % 2], ("L", "RGB", "RGBA", "P")[number // 2 % 4]
            sides = random.integers(1, most + 1, 2)
            level = 200 if label == "bright" else 40
            pixels = random.integers(level - 30, level + 30, (*sides, 3), dtype=np.uint8)
            (tmp_path / folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).convert(mode).save(tmp_path / folder / label / f"{number:02d}.png")
        run = tmp_path / f"run of {folder}"
        automl.fit(tmp_path / folder, budget="2 trials", families=("linear", "svm"), run_dir=run, verbose=0)
        assert right_share(automl.load(run).predict(tmp_path / folder)) >= 0.9
