"""The same picture twice is found however it was saved again, others are not; file names tell owners with caution."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from automl.modalities.files.file_names import NOBODY, group_hints, parts
from automl.modalities.files.look_alikes import find_twins, hashes, pairs_across
from automl.modalities.image.pictures import PictureShape, decode


def scenes(count: int, side: int = 48, seed: int = 0) -> np.ndarray:
    """Soft blobs of colour, no two alike."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    blurred = [np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(4))).astype(float) for each in noise]
    return np.stack([np.clip((each - each.mean()) * 6 + 128, 0, 255) for each in blurred]).astype(np.uint8)


def saved_again(picture: np.ndarray, how: str) -> np.ndarray:
    """The same picture after what usually befalls it."""
    image = Image.fromarray(picture)
    if how in ("jpg", "poor jpg"):
        file = io.BytesIO()
        image.save(file, "jpeg", quality=75 if how == "jpg" else 40)
        image = Image.open(file)
    elif how in ("smaller", "larger"):
        side = int(picture.shape[0] * (0.6 if how == "smaller" else 2))
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    elif how == "brighter":
        image = Image.fromarray(np.clip(picture * 1.1 + 5, 0, 255).astype(np.uint8))
    return decode(image, PictureShape(*picture.shape))


@pytest.mark.parametrize("how", ["same", "jpg", "poor jpg", "smaller", "larger", "brighter"])
def test_a_picture_saved_again_is_its_own_twin(how: str) -> None:
    """Most copies are found whatever was done to them, and nothing else is."""
    store = scenes(60)
    copies = np.stack([saved_again(picture, how) for picture in store[:30]])
    twins = find_twins(np.concatenate([store, copies]))
    assert twins is not None
    assert np.mean(twins[:30] == twins[60:]) >= {"same": 1, "poor jpg": 0.75}.get(how, 0.9)
    assert len(np.unique(twins[:60])) == 60


def test_pictures_that_differ_have_no_twins() -> None:
    """Where nothing repeats there are no groups, for pictures, sounds, and hardly any rows."""
    assert find_twins(scenes(100)) is None
    assert find_twins(scenes(1)) is None
    assert find_twins(np.zeros((0, 8, 8, 3), dtype=np.uint8)) is None
    assert find_twins(np.random.default_rng(0).integers(-99, 99, (50, 400)).astype(np.int16)) is None


def test_some_rows_of_a_store_are_looked_at() -> None:
    """Numbers are those of the rows asked for; only these are read."""
    rows, store = 20, scenes(20)
    store[3], store[11], store[0] = store[7], store[7], store[1]
    twins = find_twins(store, np.arange(2, rows))
    assert twins is not None
    assert twins.dtype == np.int64
    assert len(twins) == rows - 2
    assert twins[1] == twins[5] == twins[9]
    assert len(np.unique(twins)) == rows - 4
    assert twins[0] == 0


def test_sounds_are_twins_when_identical() -> None:
    """Sounds have no pattern to compare, so only the same samples count."""
    store = np.random.default_rng(0).integers(-99, 99, (10, 400)).astype(np.int16)
    store[4] = store[9]
    twins = find_twins(store)
    assert twins is not None
    assert np.flatnonzero(twins == twins[4]).tolist() == [4, 9]


def test_what_shows_nothing_is_nobodys_twin() -> None:
    """Black, white and undecoded pictures and silence are alike for no reason."""
    store = scenes(10)
    store[2] = store[5] = store[6] = 0
    store[7] = store[8] = 255
    assert find_twins(store) is None
    assert find_twins(np.zeros((9, 100), dtype=np.int16)) is None


def test_a_set_that_is_alike_as_such_keeps_its_rows_apart() -> None:
    """Where most pictures are nearly the same, that is no reason to keep them together; exact copies still are."""
    random_ = np.random.default_rng(0)
    store = np.clip(scenes(1)[[0] * 200] + random_.normal(0, 4, (200, 48, 48, 3)), 0, 255).astype(np.uint8)
    assert find_twins(store) is None
    store[3] = store[4]
    twins = find_twins(store)
    assert twins is not None
    assert len(np.unique(twins)) == 199


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 4, 3), (1, 100, 1), (17, 300, 1), (16, 16, 3), (200, 16, 3)])
def test_twins_of_any_shape(shape: tuple[int, int, int]) -> None:
    """Small ones are compared exactly, odd ones as all others."""
    store = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    store[:, 0, 0, 0] = np.arange(40)
    store[31] = store[2]
    twins = find_twins(store)
    if shape == (1, 1, 1):
        assert twins is None
    else:
        assert twins is not None
        assert len(np.unique(twins)) == 39


def test_hashes_change_little_with_the_picture() -> None:
    """Copies differ in few bits, other pictures in about half."""
    store = scenes(40)
    found, again = hashes(store, np.arange(40)), hashes(np.stack([saved_again(p, "jpg") for p in store]), np.arange(40))
    assert np.median(np.bitwise_count(found ^ again)) <= 2
    assert np.bitwise_count(found[:-1] ^ found[1:]).min() > 10


def test_pairs_of_different_classes_are_listed() -> None:
    """In each group one pair for every further label; groups of one label have none."""
    labels = np.array(["cat", "dog", "cat", "dog", "cow", "cat", "dog"], dtype=object)
    groups = np.array([0, 1, 1, 1, 1, 2, 2])
    assert pairs_across(labels, groups) == [(1, 2), (1, 4), (5, 6)]
    assert pairs_across(np.zeros(7), groups) == []
    assert pairs_across(np.arange(3), np.array([5, 5, 9])) == [(0, 1)]


# --- names -----------------------------------------------------------------------------------------------------------

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def named(pattern: str, **values: Iterable[object]) -> list[str]:
    """Names for all combinations of some values."""
    made: list[dict[str, object]] = [{}]
    for name, options in values.items():
        made = [{**before, name: option} for before in made for option in options]
    return [pattern.format(**each) for each in made]


def labels_of(files: list[str]) -> list[str]:
    return [file.split("/")[0] for file in files]


def test_speakers_in_names() -> None:
    """A word that repeats over all classes is somebody; the class itself and the count of takes are not."""
    files = named("{d}/{d}_{who}_{take}.wav", d=range(10), who=SPEAKERS, take=range(5))
    hint = group_hints(files, labels_of(files))
    assert hint is not None
    assert set(hint.groups) == set(SPEAKERS)
    assert hint.evidence == {"place": "part 2 of the names", "values": 6, "files_each": 50}
    assert hint.message.startswith("part 2 of the names may tell whose each file is: 6 values (george, jackson, lucas")
    assert "in 10 classes" in hint.message


@pytest.mark.parametrize(
    ("pattern", "values", "owner"),
    [
        ("{c}/patient{p:03}_{i:03}.png", {"c": "xy", "p": range(12), "i": range(6)}, "patient005"),
        ("{c}/{i}-Subject-{p}.png", {"c": "xy", "p": range(12), "i": range(6)}, "5"),
        ("{c}/sub-{p:02}_run-{i}.png", {"c": "xyz", "p": range(8), "i": range(4)}, "05"),
        ("{c}/{p}/{i}.png", {"c": ["benign", "malignant"], "p": ["p1", "p2", "p3"], "i": range(20)}, "p2"),
        ("{c}/{p}_{c}_{i}.wav", {"c": ["ang", "hap"], "p": range(1001, 1031), "i": range(4)}, "1005"),
        ("{c}/{i}_ж{p}_{i}.png", {"c": "xy", "p": range(0), "i": range(5)}, None),
    ],
)  # fmt: skip
def test_other_ways_to_name_an_owner(pattern: str, values: dict[str, Iterable[object]], owner: str | None) -> None:
    """Patients by a word and a number, folders inside a class, and numbers of actors in front."""
    files = named(pattern, **values)
    hint = group_hints(files, labels_of(files))
    assert (hint is None) == (owner is None)
    if hint is not None:
        assert owner in hint.groups


def test_patients_with_one_diagnosis_each() -> None:
    """An owner may lie within one class, as a patient does with a diagnosis."""
    files = [f"{'benign' if p % 2 else 'malignant'}/patient{p}_{i}.png" for p in range(20) for i in range(5)]
    hint = group_hints(files, labels_of(files))
    assert hint is not None
    assert hint.evidence["values"] == 20


def test_a_name_of_another_form_is_alone() -> None:
    """Few files without an owner in their names are each a group."""
    files = [*named("{d}/{d}_{who}_{take}.wav", d="ab", who=SPEAKERS, take=range(9)), "a/odd.wav"]
    hint = group_hints(files, labels_of(files))
    assert hint is not None
    assert list(hint.groups).count(hint.groups[-1]) == 1


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("{c}/{i:04}.jpg", {"c": "abcde", "i": range(40)}),
        ("{c}/IMG_{i}.JPG", {"c": "abcde", "i": range(5000, 5040)}),
        ("{c}/{c}_{i}.jpg", {"c": ["cat", "dog", "cow"], "i": range(40)}),
        ("{c}/{c}{i}.jpg", {"c": ["cat", "dog", "cow"], "i": range(40)}),
        ("{c}/{side}_{i}.jpg", {"c": "ab", "side": ["left", "right", "front"], "i": range(20)}),
        ("{c}/{i}_rot{a}.jpg", {"c": "ab", "i": range(9), "a": [0, 90, 180, 270]}),
        ("{c}/{y}-{m:02}_{i}.jpg", {"c": "ab", "y": range(2005, 2020), "m": range(1, 5), "i": range(3)}),
        ("{c}/2021{m:02}{d:02}_{i}.jpg", {"c": "ab", "m": range(1, 5), "d": range(10, 15), "i": range(4)}),
        ("{c}/{kind}_{i}.jpg", {"c": ["cat"], "kind": ["tabby", "persian", "manx", "sphynx"], "i": range(20)}),
        ("{c}/{i:03}_{j}.jpg", {"c": "ab", "i": range(12), "j": range(6)}),
        ("{c}/slice{i}_{j}.png", {"c": "ab", "i": range(12), "j": range(6)}),
    ],
)
def test_what_repeats_but_owns_nothing(pattern: str, values: dict[str, Iterable[object]]) -> None:
    """Counters, classes, sides, angles, years, days and kinds are no owners."""
    files = named(pattern, **values)
    assert group_hints(files, labels_of(files)) is None
    assert group_hints([f"data/{file}" for file in files]) is None


def test_a_class_within_a_class_is_no_owner() -> None:
    """A part that only says more of the class, or what it belongs to, is not somebody."""
    kinds = {"beagle": "dog", "poodle": "dog", "husky": "dog", "manx": "cat", "tabby": "cat"}
    finer = [f"{coarse}/{fine}_{i}.jpg" for fine, coarse in kinds.items() for i in range(9)]
    coarser = [f"{fine}/{coarse}_{i}.jpg" for fine, coarse in kinds.items() for i in range(9)]
    for files in (finer, coarser):
        assert group_hints(files, labels_of(files)) is None


def test_names_beside_numbers_to_predict() -> None:
    """Answers that are all different are no classes: the owner is still found."""
    files = named("{who}_{take}.wav", who=SPEAKERS, take=range(20))
    random.Random(0).shuffle(files)
    assert group_hints([f"a/speaker{file}" for file in named("{p}_{i}.wav", p=range(9), i=range(9))], list(range(81)))
    assert group_hints([], []) is None
    assert group_hints(["a/1.jpg"], ["a"]) is None


@settings(max_examples=200, deadline=None)
@given(
    prefix=st.sampled_from(["", "img", "IMG_", "DSC", "frame-", "x", "photo ", "ж", "2021_"]) | st.text(max_size=5),
    classes=st.integers(1, 12),
    width=st.integers(0, 6),
    first=st.integers(0, 99999),
    each=st.integers(1, 30),
    is_anew=st.booleans(),
)
def test_a_plain_counter_never_fires(
    prefix: str, classes: int, width: int, first: int, each: int, is_anew: bool
) -> None:
    """Whatever stands before it, a number that counts files, in each class or over all, owns nothing."""
    prefix = prefix.replace("/", "-").replace("\\", "-")
    files = [
        f"class {label}/{prefix}{first + at + (0 if is_anew else label * each):0{width}}.png"
        for label in range(classes)
        for at in range(each)
    ]
    assert group_hints(files, labels_of(files)) is None
    assert group_hints(files) is None


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=30), folder=st.text(max_size=8))
def test_parts_are_the_letters_and_digits_of_a_name(name: str, folder: str) -> None:
    """No part is empty or holds a mark, and a folder adds none."""
    found = parts(name)
    assert all(part and all(letter.isalnum() or not letter.isascii() for letter in part) for part in found)
    assert parts(f"{folder}/{name}") == found
    assert parts("1_Alice-7.tar.wav") == ("1", "alice", "7", "tar")


@settings(max_examples=60, deadline=None)
@given(
    who=st.lists(st.text("bcdfghkmnprs", min_size=3, max_size=8), min_size=4, max_size=12, unique=True),
    classes=st.integers(2, 5),
    takes=st.integers(3, 6),
)
def test_names_of_people_are_found(who: list[str], classes: int, takes: int) -> None:
    """Any words that repeat in all classes, several files each, are owners."""
    who = [name for name in who if name not in NOBODY and not name.startswith("sub")]
    files = named("k{c}/k{c}_{w}_{i}.flac", c=range(classes), w=who, i=range(takes))
    hint = group_hints(files, labels_of(files))
    assert (hint is not None) == (len(who) >= 3)
    if hint is not None:
        assert set(hint.groups) == set(who)
