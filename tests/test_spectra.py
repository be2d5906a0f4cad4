"""Log-mel spectra and the description of sounds that table models learn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.modalities.audio import spectra
from automl.modalities.audio.spectra import describe, log_mel, names
from search_spaces.neural.mel import Mel, filters, taper
from search_spaces.spec import Media

RATE = 16000
MEL = Mel(bands=40)


def tone(hz: float, seconds: float = 0.5, rate: int = RATE, peak: float = 0.5) -> np.ndarray:
    wave = peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return np.round(32767 * wave).astype(np.int16)


def media(waves: list[np.ndarray], samples: int = 16000, rate: int = RATE) -> Media:
    store = np.zeros((len(waves), samples), dtype=np.int16)
    for row, wave in enumerate(waves):
        store[row, : len(wave)] = wave
    return Media("audio", store, np.arange(len(waves)), rate, np.array([len(wave) for wave in waves]))


def value(described: np.ndarray, name: str) -> np.ndarray:
    return described[:, names().index(name)]


def talk(seed: int, samples: int = 9000) -> np.ndarray:
    """Noise and tones that come and go."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    wave = rng.normal(size=samples) * 0.05 + np.sin(2 * np.pi * (300 + 900 * time) * time)
    return np.round(8000 * wave * (0.2 + np.sin(2 * np.pi * 3 * time) ** 2)).clip(-32768, 32767).astype(np.int16)


# --- log-mel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100])
@pytest.mark.parametrize("bands", [1, 20, 128])
def test_bands_cover_all_pitches_and_none_is_empty(rate: int, bands: int) -> None:
    """Each band is a mean over some of the spectrum, and together they reach from end to end."""
    weights = filters(rate, Mel(bands=bands))
    assert weights.sum(axis=0) == pytest.approx(np.ones(bands), abs=1e-5)
    assert (weights >= 0).all()
    assert (np.diff(weights.argmax(axis=0)) >= 0).all()


@pytest.mark.parametrize("hz", [150, 440, 1000, 3000, 7000])
def test_a_tone_is_loudest_in_the_band_of_its_pitch(hz: float) -> None:
    """The band with most power is the one whose middle is nearest, and the power is the tone's."""
    picture = log_mel(tone(hz)[None], RATE, MEL)[0, :, 5:-5]
    weights = filters(RATE, MEL)
    bin_hz = RATE / MEL.fft(RATE)
    middles = (weights * np.arange(len(weights))[:, None]).sum(axis=0) * bin_hz
    nearest = np.argsort(np.abs(middles - hz))[:2]
    assert set(picture.argmax(axis=0)) <= set(nearest)


def test_a_spectrum_has_the_power_of_the_wave() -> None:
    """The mean power over all pitches is the mean square: full scale is one, whatever the window."""
    noise = np.random.default_rng(0).normal(size=(1, RATE)) * 3000
    for window_ms in (10.0, 25.0, 60.0):
        mel = Mel(window_ms=window_ms, bands=30)
        power = np.exp(log_mel(noise.astype(np.int16), RATE, mel)).mean()
        assert power == pytest.approx((3000 / 32768) ** 2, rel=0.1)


def test_frames_hold_every_sample() -> None:
    """A click anywhere is seen, near either end too; a sound of one sample has one frame."""
    quiet = log_mel(np.zeros((1, 5000), np.int16), RATE, MEL).max()
    for place in (30, 2500, 4990):
        click = np.zeros((1, 5000), np.int16)
        click[0, place] = 32767
        assert log_mel(click, RATE, MEL).max() > quiet + 3
    assert log_mel(np.ones((2, 1), np.int16), RATE, MEL).shape == (2, 40, 1)
    assert (taper(50) > 0).all()


def test_many_rows_are_the_same_as_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks bound the memory and change nothing."""
    waves = np.stack([talk(seed) for seed in range(7)])
    whole, sounds = log_mel(waves, RATE, MEL), media(list(waves))
    described = describe(sounds)
    monkeypatch.setattr(spectra, "CHUNK_MB", 0.01)
    assert log_mel(waves, RATE, MEL) == pytest.approx(whole, abs=1e-4)
    assert describe(sounds) == pytest.approx(described, rel=1e-3, abs=1e-3)


# --- the description -------------------------------------------------------------------------------------------------


def test_every_number_has_a_name_of_its_own() -> None:
    """As many names as numbers, no two alike."""
    assert len(set(names())) == len(names()) == describe(media([tone(440)])).shape[1]
    assert describe(media([])).shape == (0, len(names()))


def test_padding_does_not_change_the_description() -> None:
    """The same sounds in rows of other lengths are described alike, and what lies in the padding is not looked at."""
    waves = [talk(1), talk(2, 4001), tone(500, 0.02), tone(600, 0.0001)]
    short, long = media(waves, 9000), media(waves, 40_000)
    dirty = Media("audio", long.store.copy(), long.rows, RATE, long.lengths)
    for row, wave in enumerate(waves):
        dirty.store[row, len(wave) :] = 12_345
    for padded in (long, dirty):
        assert describe(padded) == pytest.approx(describe(short), rel=2e-3, abs=2e-3)
    without = Media("audio", np.stack([talk(1)]), np.array([0]), RATE)
    assert describe(without) == pytest.approx(describe(short)[:1], rel=2e-3, abs=2e-3)


def test_loudness_is_one_number_and_no_other() -> None:
    """A softer recording of the same sound differs in its peak only."""
    loud = np.round(talk(3) * 0.9 / np.abs(talk(3)).max() * 32767).astype(np.int16)
    soft = np.round(loud / 8).astype(np.int16)
    described = describe(media([loud, soft]))
    difference = np.abs(described[0] - described[1])
    is_peak = np.array([name == "peak db" for name in names()])
    assert difference[is_peak] == pytest.approx([18.06], abs=0.05)
    spread = np.abs(described[0]) + 1
    assert (difference / spread)[~is_peak].max() < 0.25  # rounding to an eighth of the levels


def test_silence_and_oddities_have_finite_descriptions() -> None:
    """Nothing at all, one sample, an offset, the loudest noise: numbers, and no warnings."""
    rng = np.random.default_rng(0)
    waves = [
        np.zeros(4000, np.int16), np.zeros(0, np.int16), np.ones(1, np.int16), np.full(3000, -32768, np.int16),
        rng.integers(-32768, 32768, 9000).astype(np.int16), np.array([0, 0, 0, 1] * 10, np.int16),
    ]  # fmt: skip
    for rate in (100, 8000, 48000):
        assert np.isfinite(describe(media(waves, 9000, rate))).all()
        assert np.isfinite(log_mel(np.stack([wave[:1] if len(wave) else [0] for wave in waves]), rate, MEL)).all()


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=400))
@settings(max_examples=40, deadline=None)
def test_any_wave_can_be_described(samples: list[int]) -> None:
    """Any short wave gives finite numbers."""
    assert np.isfinite(describe(media([np.array(samples, np.int16)], 400, 8000))).all()


def test_the_numbers_mean_what_their_names_say() -> None:
    """Pitch, noise, length and order in time are told by the features that claim to."""
    noise = np.random.default_rng(0).normal(0, 5000, 8000).clip(-32768, 32767).astype(np.int16)
    rising = np.concatenate([tone(300, 0.25), tone(3000, 0.25)])
    quiet_start = np.concatenate([np.zeros(4000, np.int16), tone(1000, 0.25)])
    described = describe(media([tone(1000), tone(4000), noise, rising, rising[::-1], quiet_start]))
    centroid, flatness = value(described, "centroid, mean"), value(described, "flatness, mean")
    assert centroid[:2] == pytest.approx([1000, 4000], rel=0.05)
    assert value(described, "crossings, mean")[:2] == pytest.approx([2 * 1000 / RATE, 2 * 4000 / RATE], rel=0.05)
    assert value(described, "rolloff, mean")[1] == pytest.approx(4000, rel=0.05)
    assert flatness[2] > max(flatness[:2]) + 1
    first, last = (value(described, f"centroid, part {part}") for part in (0, spectra.PARTS - 1))
    assert first[3] < 400 < 2500 < last[3]
    assert last[4] < 400 < 2500 < first[4]
    assert np.exp(value(described, "log seconds")) == pytest.approx([0.5] * 6, rel=0.01)
    assert np.exp(value(described, "log seconds of sound"))[5] == pytest.approx(0.26, abs=0.03)
    assert value(described, "peak db") == pytest.approx(20 * np.log10(0.5), abs=8)


def test_a_table_model_tells_sounds_apart_by_their_description() -> None:
    """Rising, falling and steady tones of any pitch, loudness and length, in noise, are told apart on new rows."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 240)
    waves = []
    for kind in kinds:
        samples = rng.integers(2500, 8000)
        bend = 2.0 ** (np.linspace(-0.6, 0.6, samples) * (kind - 1))
        phase = 2 * np.pi * np.cumsum(rng.uniform(400, 1500) * bend) / RATE
        wave = rng.uniform(500, 20_000) * (np.sin(phase) + 0.1 * rng.normal(size=samples))
        silence = np.zeros(rng.integers(0, 3000))
        waves.append(np.concatenate([silence, wave]).astype(np.int16))
    X = describe(media(waves, 12_000))
    model = make_pipeline(StandardScaler(), SVC(C=10)).fit(X[:160], kinds[:160])
    assert model.score(X[160:], kinds[160:]) > 0.95
