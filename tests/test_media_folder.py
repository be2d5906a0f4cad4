"""Folders of images and sounds: every layout is understood, and whatever is guessed or left out is told."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automl.errors import InputError
from automl.modalities.files.folder import is_media_folder, kind_of_name, read_folder


def files(root: Path, *names: str) -> Path:
    """Files of no content: what lies in a folder is told by names alone."""
    for name in names:
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return root


def names(found: tuple[str, ...], root: Path) -> list[str]:
    return [Path(file).relative_to(root).as_posix() for file in found]


# --- classes ---------------------------------------------------------------------------------------------------------


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    """Folders at the top are classes; what is deeper belongs to the class above it; order is that of the names."""
    found = read_folder(files(tmp_path, "dog/b.jpg", "cat/z/deep/a.JPG", "cat/1.PNG"))
    assert names(found.files, tmp_path) == ["cat/1.PNG", "cat/z/deep/a.JPG", "dog/b.jpg"]
    assert found.labels == ("cat", "cat", "dog")
    assert (found.kind, found.table, found.test_root, found.root) == ("image", None, None, str(tmp_path))
    assert all(Path(file).is_absolute() for file in found.files)


def test_what_is_not_media_is_left_out_and_told(tmp_path: Path) -> None:
    """Hidden files and what systems leave behind are ignored; other files are counted by their extensions."""
    clutter = ("cat/.hidden.jpg", ".git/x.jpg", "__MACOSX/cat/1.jpg", "cat/Thumbs.db", "dog/.DS_Store")
    found = read_folder(files(tmp_path, "cat/1.jpg", "dog/2.jpg", "a.txt", "cat/b.txt", "LICENSE", *clutter))
    assert len(found.files) == 2
    assert found.notes[0] == "3 other files left out: .txt, no extension"


def test_files_beside_classes_are_told(tmp_path: Path) -> None:
    """A file in no class cannot be learned from, yet it can be predicted."""
    root = files(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg", "loose.jpg")
    found = read_folder(root)
    assert len(found.files) == 4
    assert any("1 file left out: beside the folders of classes" in note for note in found.notes)
    assert len(read_folder(root, to_learn=False).files) == 5
    assert read_folder(root, to_learn=False).labels is None


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    """Without folders nothing says a class."""
    assert read_folder(files(tmp_path, "b.wav", "a.WAV")).labels is None


def test_one_class_and_classes_of_one_are_told(tmp_path: Path) -> None:
    """What will be too little to learn from is reported as it is."""
    one = read_folder(files(tmp_path / "one", "cat/1.jpg", "cat/2.jpg"))
    assert (one.labels, one.notes) == (("cat", "cat"), ("all 2 files are of one class, 'cat'",))
    single = read_folder(files(tmp_path / "two", "cat/1.jpg", "cat/2.jpg", "dog/1.jpg"))
    assert single.notes == ("classes of a single file: 1, for instance 'dog'",)


def test_names_of_any_script(tmp_path: Path) -> None:
    """Blanks and accents are kept; an accent stored in pieces is the same class."""
    pieces = unicodedata.normalize("NFD", "é")
    found = read_folder(files(tmp_path, f"caf{pieces} au lait/bild 1.jpg", "京/ü.jpg", "京/x.jpg"))
    assert found.labels == ("café au lait", "京", "京")
    assert all(Path(file).exists() for file in found.files)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names must be text")
def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 could be written into no report."""
    files(tmp_path, "cat/1.jpg", "dog/1.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/cat/\xff.jpg")).touch()
    found = read_folder(tmp_path)
    assert len(found.files) == 2
    assert "1 file left out: their names are no valid text" in found.notes


def test_links_do_not_lead_in_circles(tmp_path: Path) -> None:
    """Each folder is read once, however many links lead to it; links to files are files."""
    files(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    (tmp_path / "dog" / "again").symlink_to(tmp_path / "dog")
    (tmp_path / "dog" / "3.jpg").symlink_to(tmp_path / "cat" / "1.jpg")
    (tmp_path / "dog" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = read_folder(tmp_path)
    assert names(found.files, tmp_path) == ["cat/1.jpg", "dog/2.jpg", "dog/3.jpg"]
    assert "2 links left out: they lead to folders that are read already" in found.notes


def test_many_files_are_listed_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing asks the system for folders, not for each file: 50,000 take about a second."""
    stat, asked = os.stat, []

    def spy(path: Any, **options: Any) -> os.stat_result:
        asked.append(path)
        return stat(path, **options)

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for at in range(200):
            (tmp_path / label / f"{at}.jpg").touch()
    monkeypatch.setattr(os, "stat", spy)
    assert len(read_folder(tmp_path).files) == 400
    assert len(asked) < 40


# --- train and test --------------------------------------------------------------------------------------------------


def test_train_and_test_folders(tmp_path: Path) -> None:
    """Training and validation folders are learned from; the test folder is named, and read by another call."""
    root = files(tmp_path, "Train/a/1.jpg", "Train/b/2.jpg", "val/a/3.jpg", "test/a/4.jpg", "test/b/5.jpg", "etc/6.jpg")
    found = read_folder(root)
    assert names(found.files, root) == ["Train/a/1.jpg", "Train/b/2.jpg", "val/a/3.jpg"]
    assert found.labels == ("a", "b", "a")
    assert found.test_root == str(root / "test")
    assert read_folder(found.test_root).labels == ("a", "b")
    assert "learnt from 'Train' and 'val'" in found.notes
    assert any("1 file left out: beside the folders to learn from" in note for note in found.notes)
    assert len(read_folder(root, to_learn=False).files) == 6


def test_a_test_folder_without_answers_is_not_tested_on(tmp_path: Path) -> None:
    """Files without classes can only be predicted."""
    found = read_folder(files(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/3.jpg"))
    assert found.test_root is None
    assert any("has neither classes nor metadata" in note for note in found.notes)


def test_train_may_be_a_class(tmp_path: Path) -> None:
    """Beside a bus and a car, a train is one of the classes."""
    assert read_folder(files(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg")).labels == ("bus", "car", "train")


def test_a_folder_that_holds_everything_is_opened(tmp_path: Path) -> None:
    """Archives often unpack into one folder, or two."""
    found = read_folder(files(tmp_path, "flowers/images/rose/1.jpg", "flowers/images/tulip/2.jpg", "flowers/readme.md"))
    assert found.labels == ("rose", "tulip")
    assert any("all files lie in 'flowers/images'" in note for note in found.notes)


# --- metadata --------------------------------------------------------------------------------------------------------


def test_metadata_says_what_each_file_is(tmp_path: Path) -> None:
    """Rows are joined to files by name, in the order of the table; what has no partner is told."""
    files(tmp_path, "b/1.jpg", "b/2 ü.jpg", "3.jpg", "4.jpg")
    lines = ["age,file_name,grade", "30,./b/2 ü.jpg,007", "40,3.jpg,011", "50,gone.jpg,1", "60,b\\1.jpg,2", "70,,3"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = read_folder(tmp_path, verbatim=["grade"])
    assert names(found.files, tmp_path) == ["b/2 ü.jpg", "3.jpg", "b/1.jpg"]
    assert found.labels is None
    assert found.table is not None
    assert found.table.to_dict("list") == {"age": [30, 40, 60], "grade": ["007", "011", "2"]}
    told = " | ".join(found.notes)
    assert "2 rows of 'metadata.csv' left out: no such file, for instance 'gone.jpg'" in told
    assert "1 file left out: without a row in 'metadata.csv', for instance '4.jpg'" in told
    assert "folders are not taken for classes" in told


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl", ".parquet"])
def test_metadata_in_any_format_of_tables(tmp_path: Path, suffix: str) -> None:
    """The readers of tables read metadata."""
    files(tmp_path, "1.wav", "2.wav")
    frame = pd.DataFrame({"file_name": ["2.wav", "1.wav"], "score": [0.5, 1.5]})
    place = tmp_path / f"METADATA{suffix}"
    if suffix == ".tsv":
        frame.to_csv(place, sep="\t", index=False)
    elif suffix == ".jsonl":
        frame.to_json(place, orient="records", lines=True)
    else:
        frame.to_parquet(place)
    found = read_folder(tmp_path)
    assert found.kind == "audio"
    assert names(found.files, tmp_path) == ["2.wav", "1.wav"]
    assert found.table is not None
    assert found.table["score"].tolist() == [0.5, 1.5]


def test_metadata_in_train_and_validation(tmp_path: Path) -> None:
    """Tables of both are one table."""
    files(tmp_path, "train/1.jpg", "train/2.jpg", "valid/1.jpg", "test/1.jpg")
    for folder, body in {"train": "1.jpg,5\n2.jpg,6\n", "valid": "1.jpg,7\n", "test": "1.jpg,8\n"}.items():
        (tmp_path / folder / "metadata.csv").write_text(f"file_name,y\n{body}")
    found = read_folder(tmp_path)
    assert found.table is not None
    assert found.table["y"].tolist() == [5, 6, 7]
    assert names(found.files, tmp_path) == ["train/1.jpg", "train/2.jpg", "valid/1.jpg"]
    assert found.test_root == str(tmp_path / "test")


def test_metadata_over_train_and_test_keeps_the_test_rows_out(tmp_path: Path) -> None:
    """A file in the test folder is never learned from."""
    files(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    (tmp_path / "metadata.csv").write_text("file_name,y\ntrain/1.jpg,1\ntrain/2.jpg,2\ntest/3.jpg,3\n")
    found = read_folder(tmp_path)
    assert names(found.files, tmp_path) == ["train/1.jpg", "train/2.jpg"]
    assert any("'test' is not tested on" in note for note in found.notes)


def test_metadata_that_names_files_otherwise(tmp_path: Path) -> None:
    """Another usual name is taken with a note; a table that names no file is refused, as one that names others."""
    files(tmp_path, "1.jpg", "2.jpg")
    place = tmp_path / "metadata.csv"
    place.write_text("File,y\n1.jpg,1\n2.jpg,2\n")
    assert any("column 'File'" in note for note in read_folder(tmp_path).notes)
    place.write_text("who,y\n1.jpg,1\n2.jpg,2\n")
    with pytest.raises(InputError, match="has no column file_name, but 'who, y'"):
        read_folder(tmp_path)
    place.write_text("file_name,y\none.jpg,1\n,2\n")
    with pytest.raises(InputError, match=r"none of the 2 files that 'metadata\.csv' names is there"):
        read_folder(tmp_path)


def test_metadata_of_names_alone_leaves_classes_to_folders(tmp_path: Path) -> None:
    """A list of files says nothing of them; rows that name a file twice are kept."""
    files(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "metadata.csv").write_text("file_name\na/1.jpg\nb/2.jpg\n")
    assert read_folder(tmp_path).labels == ("a", "b")
    (tmp_path / "metadata.csv").write_text("file_name,y\na/1.jpg,1\na/1.jpg,2\n")
    found = read_folder(tmp_path)
    assert len(found.files) == 2
    assert any("1 row of 'metadata.csv' name a file that another row names too" in note for note in found.notes)


# --- what cannot be used ---------------------------------------------------------------------------------------------


def test_images_and_sounds_together(tmp_path: Path) -> None:
    """A mixture is refused with its counts; a stray file is left out."""
    files(tmp_path, *(f"a/{at}.jpg" for at in range(60)), *(f"b/{at}.jpg" for at in range(60)), "a/x.wav")
    found = read_folder(tmp_path)
    assert (found.kind, len(found.files)) == ("image", 120)
    assert "1 sound left out among 120 files of the other kind" in found.notes
    files(tmp_path, *(f"a/{at}.flac" for at in range(9)))
    with pytest.raises(InputError, match="holds 120 images and 10 sounds"):
        read_folder(tmp_path)


def test_nothing_to_read(tmp_path: Path) -> None:
    """Each way of bringing nothing has its own words."""
    with pytest.raises(InputError, match="it is empty"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_folder(tmp_path / "no")
    with pytest.raises(InputError, match="is a file, not a folder"):
        read_folder(files(tmp_path, "x/a.pdf") / "x" / "a.pdf")
    with pytest.raises(InputError, match=r"1 other file left out: \.pdf"):
        read_folder(tmp_path)


def test_texts_are_read_where_there_are_neither_pictures_nor_sounds(tmp_path: Path) -> None:
    """Beside pictures they are notes on these."""
    found = read_folder(files(tmp_path, "good/a.txt", "bad/b.txt", "bad/c.md"))
    assert (found.kind, found.labels) == ("text", ("bad", "bad", "good"))
    found = read_folder(files(tmp_path, "good/a.jpg", "bad/b.jpg"))
    assert (found.kind, len(found.files)) == ("image", 2)
    assert any("3 other files left out: .txt, .md" in note for note in found.notes)


def test_formats_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A telephone's formats are left out with what to do; alone they are refused."""
    with pytest.raises(InputError, match=r"2 files left out: \.m4a cannot be read here; convert them to \.wav"):
        read_folder(files(tmp_path, "a/1.m4a", "b/2.M4A"))
    assert is_media_folder(tmp_path)
    found = read_folder(files(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.heic"))
    assert any("convert them to .jpg or .png" in note for note in found.notes)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may open everything")
def test_a_closed_folder_is_told(tmp_path: Path) -> None:
    """A folder that may not be opened is left out."""
    files(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    (tmp_path / "c").chmod(0)
    try:
        assert any("1 folder left out" in note for note in read_folder(tmp_path).notes)
    finally:
        (tmp_path / "c").chmod(0o700)


def test_which_folders_are_of_media(tmp_path: Path) -> None:
    """One image at any depth makes one; a file, a table and nothing do not."""
    assert is_media_folder(files(tmp_path / "deep", "a/b/c/1.tiff"))
    assert not is_media_folder(files(tmp_path / "none", "a/b.csv", ".x/1.jpg"))
    assert not is_media_folder(tmp_path / "deep/a/b/c/1.tiff")
    assert not is_media_folder(tmp_path / "missing")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=20), suffix=st.sampled_from([".JPG", ".jpeg", ".WaV", ".opus", ".txt", "", "."]))
def test_extensions_tell_the_kind(name: str, suffix: str) -> None:
    """Whatever a file is called, its extension decides, in any case; a name that is only a dot and letters has none."""
    known = {".jpg": "image", ".jpeg": "image", ".wav": "audio", ".opus": "audio"}
    expected = known.get(suffix.lower()) if name.rpartition("/")[2] else None
    if suffix:
        assert kind_of_name(name + suffix) == expected
