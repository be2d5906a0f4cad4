"""How training pictures are changed, and whether a mirror may be held up to them."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from automl.training.augment import Augment, change, mix, shrink
from automl.training.symmetry import flip_is_harmless


def test_flips_are_left_alone_where_a_mirror_changes_the_answer() -> None:
    """Is the bright half left or right? Top or bottom? The first must not be flipped, the second may be."""
    rng = np.random.default_rng(0)
    store = rng.integers(0, 100, (300, 16, 16, 1)).astype(np.uint8)
    y = rng.integers(0, 2, 300)
    sideways, upright = store.copy(), store.copy()
    for i in range(300):
        sideways[i, :, 8 * y[i] : 8 * y[i] + 8] += 100
        upright[i, 8 * y[i] : 8 * y[i] + 8] += 100
    assert not flip_is_harmless(sideways, y, is_numeric=False)
    assert flip_is_harmless(upright, y, is_numeric=False)
    assert flip_is_harmless(upright, y + rng.normal(size=300) / 100, is_numeric=True)
    assert not flip_is_harmless(upright[:1], y[:1], is_numeric=False)


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 20), width=st.integers(1, 20), channels=st.sampled_from([1, 3]), seed=st.integers(0, 99),
    how=st.builds(Augment, st.booleans(), *(st.sampled_from([0.0, 0.1, most]) for most in (0.25, 1.0, 1.0, 0.5))),
)  # fmt: skip
def test_augmentation_keeps_shape_and_range(height: int, width: int, channels: int, seed: int, how: Augment) -> None:
    """Whatever is asked for, pictures stay pictures, and one seed changes them alike."""
    x = torch.randint(0, 256, (5, height, width, channels), dtype=torch.uint8)
    first, second = (change(x, how, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert first.shape == x.shape
    assert torch.equal(first, second)
    assert bool(torch.isfinite(first.float()).all())
    assert float(first.min()) >= 0
    assert float(first.max()) <= 255


def test_pictures_grow_with_the_course() -> None:
    """They begin as small as asked, in sides that stages can halve, and end as they are."""
    how, x = Augment(small=0.5), torch.full((2, 32, 40, 3), 77, dtype=torch.uint8)
    sides = [shrink(x, how.share(progress)).shape[1:3] for progress in (0.0, 0.35, 0.7, 1.0)]
    assert sides == [(16, 20), (24, 32), (32, 40), (32, 40)]
    torch.testing.assert_close(shrink(x, 0.5), torch.full((2, 16, 20, 3), 77.0))
    assert shrink(x[:, :3, :2], 0.5).shape == (2, 3, 2, 3)  # too small to shrink


def test_nothing_asked_for_changes_nothing() -> None:
    """The very pictures come back, as bytes."""
    x = torch.randint(0, 256, (5, 6, 7, 3), dtype=torch.uint8)
    assert change(x, Augment(), torch.Generator()) is x


def test_each_picture_is_moved_and_flipped_on_its_own() -> None:
    """Of many equal pictures half are mirrored; shifts reach as far as asked and mirror what comes in."""
    x = torch.arange(20, dtype=torch.uint8).expand(400, 20, 20).unsqueeze(-1)
    flipped = change(x, Augment(flips=True), torch.Generator().manual_seed(0))
    assert 150 < int((flipped[:, 0, 0, 0] == 19).sum()) < 250
    moved = change(x, Augment(shift=0.1), torch.Generator().manual_seed(0))[:, 0, :, 0]
    assert set(moved[:, 10].tolist()) == {8, 9, 10, 11, 12}
    assert moved[moved[:, 10] == 12][0].tolist() == [*range(2, 20), 18, 17]


def test_a_warp_of_nothing_is_nothing_and_a_strong_one_moves_pixels() -> None:
    """Resampling itself leaves pictures as they are."""
    x = torch.randint(0, 256, (4, 12, 10, 3), dtype=torch.uint8)
    still = change(x, Augment(warp=1e-9), torch.Generator().manual_seed(0))
    torch.testing.assert_close(still, x.float(), atol=1e-2, rtol=0)
    assert float((change(x, Augment(warp=1.0), torch.Generator().manual_seed(0)) - x).abs().mean()) > 5


def test_mixed_rows_answer_for_what_they_hold() -> None:
    """Shares stay shares, and a pasted area counts by its size."""
    x = torch.cat([torch.zeros(50, 8, 8, 1), torch.full((50, 8, 8, 1), 255.0)]).to(torch.uint8)
    shares = nn.functional.one_hot(torch.arange(100) // 50, 2).float()
    for way in ("mixup", "cutmix"):
        generator, changed = torch.Generator().manual_seed(0), 0
        for _ in range(20):
            mixed, answers = mix(x, shares, way, generator)
            torch.testing.assert_close(answers.sum(dim=1), torch.ones(100))
            torch.testing.assert_close(mixed.float().mean(dim=(1, 2, 3)) / 255, answers[:, 1], atol=1e-3, rtol=0)
            changed += not torch.equal(answers, shares)
        assert 4 < changed < 16  # half of the batches


def test_rows_are_mixed_by_themselves_only_where_the_course_is_long() -> None:
    """In a short one a network has not yet learned the plain rows."""
    how = Augment(mix="auto")
    assert (how.mixed(10), how.mixed(80)) == ("none", "cutmix")
    assert Augment(mix="mixup").mixed(10) == "mixup"
