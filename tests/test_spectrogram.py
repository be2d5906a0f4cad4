"""The way in for sounds in networks: spectrograms on the device, masks, and waves that are moved."""

import copy

import numpy as np
import pytest
import torch

from automl.modalities.audio.spectra import log_mel
from search_spaces.neural.mel import FAINTEST, Mel
from search_spaces.neural.spectrogram import LogMel, Shake, SpecAugment

RATE = 8000


def waves(rows: int = 3, samples: int = 5000, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    values = np.sin(2 * np.pi * rng.uniform(200, 3000, (rows, 1)) * time) + 0.1 * rng.normal(size=(rows, samples))
    return torch.from_numpy(np.round(6000 * values).astype(np.int16))


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100])
@pytest.mark.parametrize(
    ("samples", "window_ms", "hop_ms", "bands"), [(5000, 25, 10, 64), (4999, 40, 7, 20), (1, 32, 8, 5)]
)
def test_it_is_the_spectrum_that_numpy_computes(
    rate: int, samples: int, window_ms: float, hop_ms: float, bands: int
) -> None:
    """Both roads give the same logarithms, within 0.002 (0.01 dB) where there is more than rounding noise."""
    x = waves(samples=samples)
    front = LogMel(rate, samples, window_ms, hop_ms, bands)
    expected = log_mel(x.numpy(), rate, Mel(window_ms, hop_ms, bands))
    found = torch.log(front.power(x) + FAINTEST).numpy()
    assert found.shape == expected.shape == (3, *front.size)
    assert np.abs(found - expected).max() < 2e-3


def test_rows_are_measured_by_their_loudest_spot() -> None:
    """The loudest spot is 2 and silence -2, whatever the loudness; floats and whole numbers are alike."""
    x = waves()
    front = LogMel(RATE, 5000)
    maps = front(x)
    assert maps.shape == (3, 1, *front.size)
    assert maps.amax((1, 2, 3)) == pytest.approx([2.0] * 3, abs=1e-5)
    assert maps.min() >= -2 - 1e-5
    assert (front(x.float()) - maps).abs().max() < 1e-5
    assert (front(x.float() / 7) - maps).abs().max() < 1e-4
    assert (front(x[1:2]) - maps[1:2]).abs().max() < 1e-5


def test_padding_does_not_change_what_is_heard() -> None:
    """A sound in a longer row has the same frames, then one that holds its very end, and then silence."""
    x = waves(samples=4000)
    short, long = LogMel(RATE, 4000), LogMel(RATE, 9000)
    maps = long(torch.nn.functional.pad(x, (0, 5000)))
    frames = short.size[1]
    assert (maps[..., :frames] - short(x)).abs().max() < 1e-4
    assert (maps[..., frames + 1 :] + 2).abs().max() < 1e-5


def test_silence_stays_finite_and_quiet() -> None:
    """Digital silence, an offset and one sample give finite maps, in narrow types too."""
    x = torch.zeros(4, 3000, dtype=torch.int16)
    x[1] = 100
    x[2, 5] = 1
    x[3] = -32768
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = LogMel(RATE, 3000)(x)
    assert maps.isfinite().all()
    assert maps.dtype == torch.float32
    assert (maps[0] + 2).abs().max() < 1e-5
    assert maps.abs().max() < 2 + 1e-5


def test_files_of_weights_do_not_hold_what_parameters_tell() -> None:
    """The front end is rebuilt, not stored; it can be copied, and moved as a module."""
    front = LogMel(RATE, 5000)
    assert not front.state_dict()
    assert torch.equal(copy.deepcopy(front)(waves()), front(waves()))
    assert {name for name, _ in front.named_buffers()} == {"window", "filters"}


def test_masks_hide_at_most_their_share_and_only_in_training() -> None:
    """Stretches of time and bands become 0, differently for each row; prediction sees everything."""
    spectra = torch.ones(200, 1, 40, 100)
    augment = SpecAugment(0.3, 0.2, counts=(2, 1))
    hidden = augment(spectra) == 0
    over_time, over_bands = hidden.all(dim=2).squeeze(1).sum(1), hidden.all(dim=3).squeeze(1).sum(1)
    assert 0 < over_time.float().mean() < 30
    assert over_time.max() <= 30 + 2
    assert 0 < over_bands.float().mean() < 8
    assert over_bands.max() <= 8 + 1
    assert len({tuple(row) for row in hidden[:, 0, 0].tolist()}) > 50
    assert torch.equal(augment.eval()(spectra), spectra)
    assert torch.equal(SpecAugment(0.0, 0.0)(spectra), spectra)


def test_sounds_move_into_their_padding() -> None:
    """A sound with room behind it comes later and loses nothing; a full row moves both ways by a share at most."""
    padded = torch.nn.functional.pad(waves(300, 600), (0, 400))
    moved = Shake(0.2)(padded)
    assert moved.shape == padded.shape
    assert torch.equal(moved.sum(1), padded.float().sum(1))
    first = (moved != 0).float().argmax(1)
    assert first.min() < 20
    assert 180 < first.max() <= 202
    full = torch.arange(1, 1001).repeat(300, 1).float()
    moved = Shake(0.1)(full)
    shifts = (torch.arange(1, 1001) - moved)[moved > 0]
    assert shifts.abs().max() == 100
    assert shifts.min() < -50 < 50 < shifts.max()
    assert ((moved > 0).sum(1) >= 900).all()


def test_loudness_changes_by_a_bounded_gain() -> None:
    """Each row gets one gain; in prediction and with nothing to do the waves stay as they are."""
    x = waves(100)
    ratios = Shake(0.0, gain_db=6.0)(x)[:, 10] / x[:, 10]
    assert 10 ** (-6.01 / 20) <= ratios.min() < 0.7 < 1.5 < ratios.max() <= 10 ** (6.01 / 20)
    assert torch.equal(Shake(0.3, 6.0).eval()(x), x)
    assert torch.equal(Shake(0.0)(x), x.float())


def test_one_seed_gives_one_augmentation() -> None:
    """All chance comes from torch's generator."""
    x = waves(20)
    seen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        seen.append(SpecAugment(0.3, 0.3)(LogMel(RATE, 5000)(Shake(0.2, 6.0)(x))))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_hears_the_same() -> None:
    """The front end gives the same maps there, and draws its chance there."""
    x = waves().cuda()
    front = LogMel(RATE, 5000).cuda()
    assert (front(x).cpu() - LogMel(RATE, 5000)(waves())).abs().max() < 1e-3
    assert SpecAugment(0.3, 0.3)(front(Shake(0.2, 6.0)(x))).isfinite().all()
