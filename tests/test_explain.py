"""Where answers come from: every explainer finds what tells the class, on networks of every kind, and on any model."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl import explain
from automl.explain import Question
from automl.explain.plane import stretched
from automl.modalities.audio import codec as audio
from automl.modalities.audio import spectra
from automl.modalities.audio.codec import AudioCodec, drawn_mel
from automl.modalities.audio.sounds import Hearing
from automl.modalities.image.codec import ImageCodec
from automl.modalities.image.pictures import PictureShape
from automl.records import Codec
from automl.training import learners
from search_spaces.neural import convnet, soundnet, vision
from search_spaces.spec import Learner, Matrix, Media, Rows, Run, starts

SMALL = {"width": 8, "growth": 1.5, "depth_1": 0, "depth_2": 0, "depth_3": 0, "steps": 500, "rounds": 12, "small": 1.0}
STILL = {"flip": "never", "shift": 0.02, "erase": 0.0}
ROWS = 16  # that are explained
RATE = 8000


def rows_of(media: Media) -> Matrix:
    none = np.empty((len(media), 0), np.float32)
    return Matrix(none, none.astype(np.int32), (), {"seen": media})


def codec_of(media: Media) -> Codec:
    """How such pictures or sounds would have been decoded."""
    if media.kind == "image":
        return ImageCodec(PictureShape(*media.store.shape[1:]))
    return AudioCodec(Hearing(media.rate, media.store.shape[1]))


def corners(rows: int, seed: int = 0, side: int = 32) -> tuple[Media, np.ndarray]:
    """Is the mark in the upper left corner plain or striped? What else is bright means nothing."""
    random = np.random.default_rng(seed)
    store = random.integers(0, 140, (rows, side, side, 3), dtype=np.uint8)
    y = random.integers(0, 2, rows)
    for picture, is_plain in zip(store, y, strict=True):
        for _ in range(2):
            top, left = random.integers(side // 2, side - 6, 2)
            picture[top : top + 3, left : left + 6] = 210
        top, left = random.integers(0, 7, 2)
        picture[top : top + 6 : 1 if is_plain else 2, left : left + 6] = 230
    return Media("image", store, np.arange(rows)), y


def chirps(rows: int, seed: int = 0) -> tuple[Media, np.ndarray]:
    """Is the short tone in the first half high or very high? The long low one means nothing."""
    random = np.random.default_rng(seed)
    y, seconds = random.integers(0, 2, rows), np.arange(RATE // 2) / RATE
    store = 300 * random.standard_normal((rows, len(seconds)))
    for wave, is_lower in zip(store, y, strict=True):
        wave += 4000 * np.sin(2 * np.pi * 400 * seconds) * (seconds > random.uniform(0.2, 0.3))
        at = int(random.integers(200, 800))
        wave[at : at + 800] += 5000 * np.sin(2 * np.pi * (2000 if is_lower else 3000) * seconds[:800]) * np.hanning(800)
    return Media("audio", store.astype(np.int16), np.arange(rows), RATE, np.full(rows, len(seconds))), y


def fitted(family, data, **params: object) -> Learner:
    media, y = data(400)  # of 200 a network finds the place in 0.75 of the cases on one processor, in 0.8 on others
    learner = learners.make(family, {**starts(family.space), **SMALL, **params})
    learner.fit(Rows(rows_of(media), y.astype(np.int64)), None, Run("binary", 2, "log_loss", 0))
    return learner


@cache
def network(kind: str) -> Learner:
    """One network per kind for all tests that do not ask for another."""
    return fitted(convnet.FAMILY, corners, **STILL) if kind == "image" else fitted(soundnet.FAMILY, chirps)


def asked_of(learner: Learner, media: Media, y: np.ndarray, weight: float = 1.0) -> Question:
    return Question(
        block=media,
        drawn=codec_of(media),
        outputs=y,
        ask=lambda _row, others: learner.predict(rows_of(others)),
        parts=((weight, learner),),
        is_numeric=False,
    )


def where(media: Media) -> np.ndarray:
    """The part of the plane that tells the class."""
    height, width = codec_of(media).size(media)
    inside = np.zeros((height, width), dtype=bool)
    if media.kind == "image":
        inside[:14, :14] = True
    else:
        inside[height // 2 :, : width // 2] = True
    return inside


def hits(maps: tuple[np.ndarray, ...], media: Media) -> float:
    """Of the maps, the share whose highest place is where the class can be told."""
    inside = where(media)
    return float(np.mean([inside[np.unravel_index(one.argmax(), one.shape)] for one in maps]))


def explained(name: str, question: Question) -> tuple[np.ndarray, ...]:
    """As `explain` gives them, by one explainer."""
    found = explain.get(name)
    assert found.fits(question)
    size = question.drawn.size(question.block)
    return tuple(explain._unit(stretched(raw, size)) for raw in found.maps(question))


# --- the contract of every explainer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image", "audio"])
@pytest.mark.parametrize("name", explain.names())
def test_an_explainer_finds_the_one_place_that_tells_the_class(name: str, kind: str) -> None:
    """Maps of the plane's size, finite, within 0 .. 1, the top reached, and highest where the mark is."""
    media, y = (corners if kind == "image" else chirps)(ROWS, seed=1)
    maps = explained(name, asked_of(network(kind), media, y))
    assert len(maps) == ROWS
    for one in maps:
        assert one.shape == codec_of(media).size(media)
        assert one.dtype == np.float32
        assert np.isfinite(one).all()
        assert one.min() >= 0
        assert one.max() == 1
    assert hits(maps, media) >= 0.8


@pytest.mark.parametrize("name", explain.names())
def test_an_explainer_says_what_its_maps_show(name: str) -> None:
    """One sentence that begins with the way it went."""
    media, y = corners(2)
    one = explain.get(name)
    assert one.name == name
    assert one.told(asked_of(network("image"), media, y)).split(":")[0]


@pytest.mark.parametrize("name", explain.names())
def test_a_plain_picture_gives_an_empty_map_or_a_finite_one(name: str) -> None:
    """Nothing to see, and pictures of few pixels, break nothing."""
    media = Media("image", np.full((2, 32, 32, 3), 90, dtype=np.uint8), np.arange(2))
    for one in explained(name, asked_of(network("image"), media, np.zeros(2, dtype=np.int64))):
        assert np.isfinite(one).all()
        assert 0 <= one.min() <= one.max() <= 1


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("block", vision.names())
def test_every_block_can_be_looked_into(block: str) -> None:
    """Whatever a stage is made of, its map and gradient are there, and the map lies where the mark is."""
    params = {"block": block, "down": "block", "stages": 2, "pool": "both", "learning_rate": 0.015, "rounds": 15}
    learner = fitted(convnet.FAMILY, corners, **STILL, **params)
    media, y = corners(ROWS, seed=1)
    found = explain.explain(asked_of(learner, media, y))
    assert found.name == "cam"
    assert hits(found.maps, media) >= 0.8


@pytest.mark.parametrize("stages", [2, 3, 4])
@pytest.mark.parametrize("stem", ["plain", "whitened"])
def test_networks_of_any_depth_and_stem_give_maps(stages: int, stem: str) -> None:
    """Also those whose last map has hardly any places."""
    params = {"stages": stages, "stem": stem, "rounds": 2, "resolution": 0.7, "norm": "group"}
    learner = fitted(convnet.FAMILY, corners, **params)
    media, y = corners(3)
    maps = explain.explain(asked_of(learner, media, y)).maps
    assert [one.shape for one in maps] == [(32, 32)] * 3


def test_a_sound_seen_as_one_line_is_explained_over_time() -> None:
    """Bands are channels there, so all bands of a moment are alike."""
    learner = fitted(soundnet.FAMILY, chirps, axes="time")
    media, y = chirps(ROWS, seed=1)
    maps = explain.explain(asked_of(learner, media, y)).maps
    assert all(np.allclose(one, one[:1]) for one in maps)
    assert np.mean([one[0].argmax() < one.shape[1] / 2 for one in maps]) >= 0.8


def test_a_picture_that_may_be_flipped_is_explained_both_ways() -> None:
    """The map of a picture in a mirror is the map in a mirror."""
    learner = fitted(convnet.FAMILY, corners, flip="always", rounds=3)
    media, y = corners(3)
    mirrored = Media("image", media.store[:, :, ::-1].copy(), media.rows)
    plain, turned = (explain.explain(asked_of(learner, one, y)).maps for one in (media, mirrored))
    for one, other in zip(plain, turned, strict=True):
        np.testing.assert_allclose(one, other[:, ::-1], atol=1e-3)


def test_looking_leaves_the_network_as_it_was() -> None:
    """No hook stays, and predictions are the same bit by bit."""
    learner, (media, y) = network("image"), corners(3)
    before = learner.predict(rows_of(media))
    explain.explain(asked_of(learner, media, y))
    assert not any(module._forward_hooks for module in learner.network.modules())
    assert np.array_equal(before, learner.predict(rows_of(media)))


# --- choosing, time, numbers -----------------------------------------------------------------------------------------


def test_where_networks_give_less_than_half_the_whole_model_is_asked() -> None:
    """A map of a network that hardly counts would explain another model."""
    media, y = corners(2)
    assert explain.explain(asked_of(network("image"), media, y, weight=0.8)).name == "cam"
    assert explain.explain(asked_of(network("image"), media, y, weight=0.3)).name == "occlusion"


def test_after_the_deadline_there_come_no_more_maps() -> None:
    """One is begun always; those that were made in time are kept."""
    media, y = corners(4)
    question = asked_of(network("image"), media, y, weight=0.1)
    assert len(explain.explain(question, until=time.monotonic() - 1).maps) == 1


def test_of_numbers_whatever_moves_the_answer_counts() -> None:
    """A model that takes the corner's darkness for its answer rests on the corner."""
    media, _ = corners(3)
    question = Question(
        block=media,
        drawn=codec_of(media),
        outputs=np.zeros(3, np.int64),
        ask=lambda _row, others: -others.values()[:, :8, :8].mean(axis=(1, 2, 3)),
        parts=(),
        is_numeric=True,
    )
    found = explain.explain(question)
    assert found.name == "occlusion"
    assert hits(found.maps, media) == 1


def test_a_model_that_does_not_look_has_empty_maps() -> None:
    """Where hiding changes nothing no place is brighter than another."""
    media, y = corners(2)
    question = Question(
        block=media,
        drawn=codec_of(media),
        outputs=y,
        ask=lambda _row, others: np.full((len(others), 2), 0.5),
        parts=(),
        is_numeric=False,
    )
    assert not np.any(explain.explain(question).maps)


def test_an_unknown_explainer_is_refused_with_the_known_ones() -> None:
    """By name, with those there are."""
    with pytest.raises(ValueError, match=r"unknown explainer 'lime'.*cam, occlusion"):
        explain.get("lime")


# --- what is hidden --------------------------------------------------------------------------------------------------


def test_hushing_takes_a_tone_out_and_leaves_the_rest() -> None:
    """A tone in a hushed window loses most of its power; one in another band or at another time stays as it was."""
    seconds = np.arange(RATE) / RATE
    low, high = (8000 * np.sin(2 * np.pi * hz * seconds) for hz in (200, 3000))
    wave = (low * (seconds < 0.5) + high * (seconds >= 0.5)).astype(np.int16)
    windows = [(slice(0, 2), slice(0, 6)), (slice(0, 2), slice(6, 12)), (slice(4, 6), slice(6, 12))]
    hushed = audio._hushed(wave, (6, 12), windows, RATE).astype(float)
    whole = wave.astype(float)
    first, second = slice(400, 3600), slice(4400, 7600)
    power = [[np.mean(one[part] ** 2) / np.mean(whole[part] ** 2) for part in (first, second)] for one in hushed]
    assert power[0][0] < 0.01
    assert power[0][1] == pytest.approx(1, abs=0.01)
    assert power[1] == pytest.approx([1, 1], abs=0.02)
    assert power[2][1] < 0.01


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3]))
def test_windows_over_pictures_of_any_size(height: int, width: int, channels: int) -> None:
    """Each window hides something, all together hide everything."""
    media = Media("image", np.zeros((1, height, width, channels), np.uint8), np.arange(1))
    seen: list[np.ndarray] = []

    def ask(_row: int, others: Media) -> np.ndarray:
        seen.append(others.values())
        return np.full((len(others), 2), 0.5)

    media.store[0, ::2] = 200
    explain.explain(
        Question(block=media, drawn=codec_of(media), outputs=np.zeros(1, np.int64), ask=ask, parts=(), is_numeric=False)
    )
    changed = (seen[0][1:] != seen[0][0]).any(axis=3)
    assert changed.any(axis=0).all() or height == 1
    assert (changed.mean(axis=(1, 2)) > 0).all() or height == 1


# --- the plane -------------------------------------------------------------------------------------------------------


@given(st.integers(1, 200_000), st.sampled_from([50, 8_000, 44_100, 1_000_000]))
def test_the_plane_of_sounds_is_the_spectrogram_that_is_drawn(samples: int, rate: int) -> None:
    """Of any length and rate, and never wider than a page."""
    samples = min(samples, 20 * rate)
    media = Media("audio", np.zeros((1, samples), np.int16), np.arange(1), rate)
    assert codec_of(media).size(media)[1] <= 200  # hops are whole samples, which is coarse at 50 a second
    if samples <= 5_000:
        assert spectra.log_mel(media.store, rate, drawn_mel(media)).shape[1:] == codec_of(media).size(media)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
def test_stretching_keeps_bounds_and_what_is_even(height: int, width: int, new_height: int, new_width: int) -> None:
    """No value leaves the range of the old ones, whatever the sizes."""
    values = np.random.default_rng(height * 10 + width).random((height, width))
    new = stretched(values, (new_height, new_width))
    assert new.shape == (new_height, new_width)
    assert values.min() - 1e-9 <= new.min() <= new.max() <= values.max() + 1e-9
    assert np.allclose(stretched(np.ones((height, width)), (new_height, new_width)), 1)
