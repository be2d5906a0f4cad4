"""Pictures as numbers: edges, colours, textures, and a vocabulary of patches."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from automl.modalities.image import patches as patches_file
from automl.modalities.image.colours import colour_names, colours
from automl.modalities.image.descriptors import describe, names
from automl.modalities.image.gradients import DIRECTIONS, edges
from automl.modalities.image.patches import Patches, learn_patches
from automl.modalities.image.planes import BLOCK, cell_means, planes, resized
from automl.modalities.image.textures import CELLS, PATTERNS, textures
from search_spaces.spec import Matrix, Media, Rows, Run

SHAPES = [(1, 1, 1), (1, 1, 3), (1, 40, 3), (7, 3, 1), (32, 32, 3), (33, 200, 1), (64, 48, 3), (130, 128, 3)]


def media_of(store: np.ndarray) -> Media:
    return Media("image", store, np.arange(len(store)))


def noise(shape: tuple[int, int, int], count: int = 3, seed: int = 0) -> Media:
    return media_of(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def stripes(count: int, side: int = 20, seed: int = 0) -> tuple[Media, np.ndarray]:
    """Stripes that rise (0) or fall (1) to the right, thick, thin and anywhere, under different light."""
    random = np.random.default_rng(seed)
    falls = random.integers(0, 2, count)
    y, x = np.mgrid[:side, :side]
    along = x + np.where(falls[:, None, None], 1, -1) * y
    wave = np.sin(along * random.uniform(0.5, 1.2, (count, 1, 1)) + random.uniform(0, 6, (count, 1, 1)))
    grey = random.uniform(60, 190, (count, 1, 1)) + random.uniform(10, 40, (count, 1, 1)) * wave
    grey = grey + random.normal(0, 4, grey.shape)
    return media_of(np.clip(grey, 0, 255).astype(np.uint8)[..., None]), falls


def accuracy(family: str, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> float:
    learner = search_spaces.get(family).build(search_spaces.get(family).configs()[0])
    rows = [Rows(Matrix(X, np.empty((len(X), 0), dtype=np.int32), ()), y) for X, y in (train, test)]
    learner.fit(rows[0], None, Run("binary", 2, "log_loss", seed=0))
    return float((learner.predict(rows[1].X).argmax(axis=1) == test[1]).mean())


# --- the description -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_of_picture_gives_as_many_named_numbers(shape: tuple[int, int, int]) -> None:
    """From one pixel to hundreds, grey or in colour."""
    described = describe(noise(shape))
    assert described.shape == (3, len(names(*shape)))
    assert described.dtype == np.float32
    assert np.isfinite(described).all()
    assert len(set(names(*shape))) == len(names(*shape))


@pytest.mark.parametrize("value", [0, 127, 255])
def test_pictures_of_one_colour_are_described(value: int) -> None:
    """No edge, no spread, and nothing that is not a number."""
    flat = np.full((2, 3, 32, 32), value, dtype=np.float32)
    assert np.isfinite(describe(media_of(np.full((2, 9, 9, 3), value, dtype=np.uint8)))).all()
    assert np.abs(edges(flat)).max() == 0
    spread = [i for i, name in enumerate(colour_names(3)) if name.startswith("spread")]
    assert colours(flat)[:, spread].max() < 0.01


def test_no_picture_is_described_as_nothing() -> None:
    """No rows in, no rows out."""
    assert describe(noise((8, 8, 3), 0)).shape == (0, len(names(8, 8, 3)))


def test_rows_are_described_apart_and_in_their_order(tmp_path: Path) -> None:
    """Neither the neighbours in a block, nor threads, nor a store on disk change a description."""
    store = noise((12, 10, 3), 2 * BLOCK + 5).store
    np.save(tmp_path / "store.npy", store)
    media = Media("image", np.load(tmp_path / "store.npy", mmap_mode="r"), np.arange(len(store))[::-1].copy())
    described = describe(media)
    assert np.array_equal(described, describe(media, threads=3))
    alone = describe(media.take(np.array([BLOCK + 3])))
    np.testing.assert_allclose(alone[0], described[BLOCK + 3], atol=1e-4)
    np.testing.assert_allclose(described[::-1], describe(media_of(store)), atol=1e-4)


def test_a_description_tells_stripes_apart_under_any_light() -> None:
    """What a pixel alone cannot say."""
    train, y = stripes(120)
    test, answers = stripes(80, seed=1)
    assert accuracy("svm", (describe(train), y), (describe(test), answers)) > 0.95


# --- edges, colours, textures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("towards", "degrees"), [("right", 0), ("down", 90), ("left", 180), ("up", 270)])
def test_edges_point_from_dark_to_light(towards: str, degrees: int) -> None:
    """The direction of most weight is that of the light, also in one channel of colour only."""
    ramp = np.zeros((1, 3, 32, 32), dtype=np.float32)
    side = {"right": np.s_[:, 1, :, 16:], "left": np.s_[:, 1, :, :16], "down": np.s_[:, 1, 16:], "up": np.s_[:, 1, :16]}
    ramp[side[towards]] = 200
    by_direction = edges(ramp).reshape(4, DIRECTIONS, -1).sum(axis=(0, 2))
    assert by_direction.argmax() == degrees * DIRECTIONS // 360
    assert by_direction.max() > 0.9 * by_direction.sum()


def test_edges_do_not_see_light_and_contrast() -> None:
    """A picture at half its contrast and more light has the same edges."""
    flat = planes(noise((32, 32, 1), 4).store, 32)
    np.testing.assert_allclose(edges(flat), edges(flat / 2 + 100), atol=2e-3)


def test_colours_are_told_apart_and_grey_has_none() -> None:
    """Red is not blue; equal channels have lightness alone."""
    flat = np.zeros((3, 3, 32, 32), dtype=np.float32)
    flat[0, 0], flat[1, 2], flat[2] = 200, 200, 200
    found = colours(flat)
    assert np.abs(found[0] - found[1]).max() > 0.5
    coloured = [i for i, name in enumerate(colour_names(3)) if "against" in name or "hue" in name]
    assert np.abs(found[2, coloured]).max() < 1e-3
    assert found[2, 0] == pytest.approx(200 / 255, abs=1e-4)


def test_texture_shares_add_up_and_do_not_see_light() -> None:
    """Every pixel counts once in its cell; only the order of light matters."""
    flat = planes(noise((32, 32, 1), 4).store, 32)
    shares = textures(flat).reshape(4, CELLS**2, PATTERNS) ** 2
    np.testing.assert_allclose(shares.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_array_equal(textures(flat), textures(flat / 2 + 100))


@pytest.mark.parametrize("old", [(1, 1), (5, 31), (32, 32), (77, 200)])
def test_resizing_keeps_light(old: tuple[int, int]) -> None:
    """A plane of one value keeps it, a slope stays a slope, and the mean hardly moves."""
    np.testing.assert_allclose(resized(np.full((2, *old), 9.0, dtype=np.float32), 32), 9, rtol=1e-5)
    slope = np.linspace(0, 100, old[1], dtype=np.float32) * np.ones((1, *old), dtype=np.float32)
    wide = resized(slope, 32)
    assert (np.diff(wide, axis=2) >= -1e-3).all()
    assert wide.mean() == pytest.approx(slope.mean(), abs=1.0)


@pytest.mark.parametrize("cells", [1, 2, 5, 8])
def test_cells_share_a_plane(cells: int) -> None:
    """Together they hold all of it, and each mostly what lies in it."""
    flat = np.random.default_rng(0).random((3, 32, 32)).astype(np.float32)
    means = cell_means(flat, cells)
    assert means.shape == (3, cells, cells)
    np.testing.assert_allclose(means.mean(axis=(1, 2)), flat.mean(axis=(1, 2)), rtol=1e-4)
    flat[:] = 0
    flat[:, :4, 28:] = 1
    assert (cell_means(flat, cells).reshape(3, -1).argmax(axis=1) == cells - 1).all()


# --- patches ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def few_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches_file, "SEEN", 1500)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_vocabulary_is_learned_from_any_shape(shape: tuple[int, int, int]) -> None:
    """As many numbers as four times the words, never negative."""
    media = noise(shape)
    described = learn_patches(media, 10, seed=0).transform(media)
    assert described.shape == (3, 40)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()
    assert described.min() >= 0


def test_a_vocabulary_comes_back_from_its_arrays() -> None:
    """The same words give the same numbers, on any number of threads; the same seed gives the same words."""
    media, _ = stripes(30)
    learned = learn_patches(media, 20, seed=3)
    read = Patches(**{name: array.copy() for name, array in learned.arrays().items()})
    described = learned.transform(media)
    assert np.array_equal(read.transform(media), described)
    assert np.array_equal(learned.transform(media, threads=2), described)
    assert np.array_equal(learn_patches(media, 20, seed=3).words, learned.words)
    assert not np.array_equal(learn_patches(media, 20, seed=4).words, learned.words)
    assert learned.transform(media.take(np.arange(0))).shape == (0, 80)


def test_pictures_without_anything_to_see_have_a_vocabulary_too() -> None:
    """Every patch alike, fewer of them than words, or a deadline that has passed."""
    black = media_of(np.zeros((4, 16, 16, 3), dtype=np.uint8))
    assert np.isfinite(learn_patches(black, 50, seed=0).transform(black)).all()
    one = noise((16, 16, 1), 1)
    assert len(learn_patches(one, 10_000, seed=0).words) == patches_file.SEEN
    hurried = learn_patches(one, 30, seed=0, until=time.monotonic() - 1)
    assert np.isfinite(hurried.transform(one)).all()


def test_words_tell_stripes_apart() -> None:
    """Without answers learned, yet enough for a linear model."""
    train, y = stripes(120)
    test, answers = stripes(80, seed=1)
    learned = learn_patches(train, 40, seed=0)
    assert accuracy("linear", (learned.transform(train), y), (learned.transform(test), answers)) > 0.95


def test_words_are_looked_for_where_patches_are() -> None:
    """k-means brings the words nearer to the patches than where it began."""
    media, _ = stripes(60)
    quick = learn_patches(media, 30, seed=0, until=time.monotonic() - 1)
    learned = learn_patches(media, 30, seed=0)
    seen = patches_file._contrast(patches_file._all_patches(planes(media.store, 32)).reshape(-1, 36)[::50])
    like = []
    for vocabulary in (quick, learned):
        white = (seen - vocabulary.center) @ vocabulary.whiten
        like.append((white @ vocabulary.words.T).max(axis=1).mean() / np.linalg.norm(white, axis=1).mean())
    assert like[1] > like[0] + 0.05
