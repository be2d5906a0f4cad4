"""Sounds of any rate, length and format become waves of one rate and length, or a reason why not."""

import io
import json
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import InputError, RunError
from automl.modalities.audio import sounds, waves
from automl.modalities.audio.sounds import Hearing, Lengths, SoundStore, choose_hearing, decode, decode_all, measure

soundfile = pytest.importorskip("soundfile")

HEARING = Hearing(8000, 4000)
FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "au")
LOSSLESS = (("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"),
            ("wav", "DOUBLE"), ("flac", "PCM_24"), ("wav", "ULAW"))  # fmt: skip


def tone(seconds: float = 0.4, rate: int = 8000, hz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def pitch(wave: np.ndarray, rate: int) -> float:
    """The strongest frequency."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return float(power.argmax() * rate / (8 * len(wave)))


def encoded(values: np.ndarray, rate: int = 8000, kind: str = "wav", **how: str) -> bytes:
    held = io.BytesIO()
    soundfile.write(held, values, rate, format=kind, **how)
    return held.getvalue()


def why_not(source: Any) -> str:
    with pytest.raises(InputError) as refused:
        decode(source, HEARING)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# --- one sound -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_formats_and_rates_keep_a_tone(tmp_path: Path, kind: str, rate: int) -> None:
    """A tone has its pitch, its loudness and its length after decoding, from a path and from bytes alike."""
    path = tmp_path / f"ä tone.{kind}"
    soundfile.write(path, tone(rate=rate), rate)
    wave, length = decode(path, HEARING)
    assert wave.dtype == np.int16
    assert wave.shape == (4000,)
    assert abs(length - 3200) <= 1
    assert not wave[length:].any()
    assert pitch(wave[:length], 8000) == pytest.approx(440, abs=2)
    assert np.abs(wave[500:2500]).max() / 32768 == pytest.approx(0.5, rel=0.1)
    assert np.array_equal(decode(str(path), HEARING)[0], wave)
    assert np.array_equal(decode(path.read_bytes(), HEARING)[0], wave)


@pytest.mark.parametrize(("kind", "subtype"), LOSSLESS)
def test_depths_are_all_brought_to_the_same_scale(kind: str, subtype: str) -> None:
    """8 to 64 bits, whole or real, give the same wave but for their own rounding."""
    wave, _ = decode(encoded(tone(), 8000, kind, subtype=subtype), HEARING)
    assert wave[:3200] / 32768 == pytest.approx(tone(), abs=0.02)


def test_sixteen_bits_at_the_same_rate_stay_as_they_are() -> None:
    """Nothing is rounded twice: the store holds the file's own samples."""
    values = np.random.default_rng(0).integers(-32768, 32768, 3000).astype(np.int16)
    wave, length = decode(encoded(values), HEARING)
    assert length == 3000
    assert np.array_equal(wave[:3000], values)


def test_channels_are_averaged() -> None:
    """Two and five channels become one, their mean."""
    parts = [tone(hz=hz) for hz in (300, 500, 700, 900, 1100)]
    for count in (2, 5):
        values = np.stack(parts[:count], axis=1)
        wave, _ = decode(encoded(values), HEARING)
        assert wave[:3200] / 32768 == pytest.approx(values.mean(axis=1), abs=1e-4)


def test_what_a_rate_cannot_hold_does_not_fold_back() -> None:
    """A tone above half of the new rate vanishes instead of turning up as another one."""
    wave, length = decode(encoded(tone(rate=48000, hz=9000), 48000), HEARING)
    assert np.abs(wave[200 : length - 200]).max() < 0.01 * 0.5 * 32768


def test_of_a_long_sound_the_loudest_part_is_kept() -> None:
    """A short call in a long recording of noise is what is heard."""
    values = 0.01 * np.random.default_rng(0).normal(size=80_000)
    values[61_000:63_000] += tone(0.25)
    wave, length = decode(encoded(values), HEARING)
    assert length == 4000
    assert np.square(wave / 32768).sum() > 0.9 * np.square(values).sum() - 0.01**2 * 76_000


def test_of_hours_only_the_middle_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound longer than what is searched costs no more than that; the middle is where it looks."""
    monkeypatch.setattr(waves, "LONGEST_S", 2.0)
    path = tmp_path / "long.wav"
    values = np.zeros((80_000, 2))
    values[:4000] = 1.0  # loud, but at its beginning
    values[40_000:42_000] = tone(0.25)[:, None]
    soundfile.write(path, values, 8000)
    assert len(waves.loaded(path, 2.0).values) == 16_000
    monkeypatch.setattr(sounds, "loaded", lambda source: waves.loaded(source, 2.0))
    wave, _ = decode(path, HEARING)
    assert np.abs(wave).max() / 32768 == pytest.approx(0.5, abs=0.01)


def test_a_single_sample_is_a_sound() -> None:
    """The shortest sound there is has length one."""
    wave, length = decode(encoded(np.array([0.5])), HEARING)
    assert (length, wave[0]) == (1, 16384)
    assert not wave[1:].any()


def test_arrays_are_heard_like_files() -> None:
    """Whole numbers of any depth, real ones, channels first or last, with a rate or without."""
    values = tone()
    expected, length = decode(encoded(values), HEARING)
    for array in (
        values, values.astype(np.float32), np.round(values * 32767).astype(np.int16), np.stack([values] * 2),
        np.round(values * 2.0**31).astype(np.int32), np.round(values * 32767).astype(np.int64), values[:, None],
    ):  # fmt: skip
        wave, found = decode(array, HEARING)
        assert found == length
        assert np.abs(wave.astype(int) - expected).max() <= 2
    doubled, _ = decode((tone(rate=16000), 16000), HEARING)
    assert np.abs(doubled.astype(int) - expected)[50:3000].max() < 200
    assert np.abs(decode((values * 127 + 128).astype(np.uint8), HEARING)[0].astype(int) - expected).max() < 600


def test_beyond_full_scale_nothing_is_cut_off() -> None:
    """Floats on another scale are brought to full scale as a whole."""
    wave, _ = decode(tone() * 60_000, HEARING)
    assert wave[:3200] / 32768 == pytest.approx(2 * tone(), abs=2e-4)


@given(st.integers(50, 400_000), st.integers(50, 48_000), st.integers(1, 3000))
@settings(max_examples=40, deadline=None)
def test_any_rate_becomes_any_other(rate: int, new_rate: int, samples: int) -> None:
    """Rates without a common divisor give the right length too."""
    hearing = Hearing(new_rate, 500)
    _, length = decode((np.ones(samples), rate), hearing)
    assert abs(length - min(500, samples * new_rate / rate)) <= 1 + samples * new_rate / rate * 1e-5


# --- what cannot be decoded ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_in_half_is_refused(tmp_path: Path, kind: str) -> None:
    """What is cut off is told as such, and not heard as a shorter sound."""
    whole = encoded(tone(2.0), 8000, kind)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut off" in why_not(path)


def test_what_is_no_sound_has_its_reason(tmp_path: Path) -> None:
    """Missing, empty, a folder, a web page, no samples, no numbers: each is told in a line."""
    (tmp_path / "empty.wav").touch()
    (tmp_path / "page.wav").write_text("<html><body>404 not found</body></html>" * 40)
    (tmp_path / "noise.raw").write_bytes(b"\1\2" * 400)
    assert why_not(tmp_path / "missing.wav") == "the file does not exist."
    assert why_not(tmp_path / "empty.wav") == "it is empty."
    assert why_not(b"") == "it is empty."
    assert why_not(tmp_path) == "it is a folder."
    assert "opened" in why_not("a\0b.wav")
    assert why_not(tmp_path / "page.wav") == "it is no sound that can be read."
    assert why_not(tmp_path / "noise.raw") == "it is no sound that can be read."
    assert "no samples" in why_not(encoded(np.zeros(0)))
    assert "no numbers" in why_not(encoded(np.array([0.1, np.nan, np.inf]), subtype="FLOAT"))
    assert "no numbers" in why_not(np.array([np.inf, -np.inf]))
    assert "no sound" in why_not(None)
    assert "no sound" in why_not(np.array(["a"]))
    assert "no sound" in why_not(np.zeros((2, 2, 2)))
    assert "samples" in why_not(np.zeros(0))
    assert "rate" in why_not((np.ones(9), "fast"))
    assert "samples a second" in why_not((np.ones(9), 7))
    assert "channels" in why_not(np.ones((100, 90)))


@given(st.integers(0, 200), st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_garbled_file_is_refused_or_heard(at: int, junk: bytes) -> None:
    """Whatever bytes stand in a file, there is a wave or a reason."""
    for whole in (bytearray(WAV), bytearray(FLAC)):
        whole[at : at + len(junk)] = junk
        try:
            wave, length = decode(bytes(whole), HEARING)
        except InputError:
            continue
        assert wave.shape == (4000,)
        assert 1 <= length <= 4000


WAV, FLAC = encoded(tone(0.02)), encoded(tone(0.02), 8000, "flac")


def test_a_header_written_by_a_stream_is_believed_no_word() -> None:
    """Programs that write to a pipe state a size of four billion bytes: all that is there is heard."""
    streamed = bytearray(WAV)
    streamed[4:8] = streamed[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert decode(bytes(streamed), HEARING)[1] == 160


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package for sounds is named, with the command that brings it."""

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(waves.importlib, "import_module", absent)
    waves.soundfile.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'automl-frontier\[audio\]'"):
        decode(b"", HEARING)


# --- choosing --------------------------------------------------------------------------------------------------------


def lengths_of(seconds: list[float], rates: list[int] | int = 16000, bright_hz: float = 0.0) -> Lengths:
    told = np.full(len(seconds), rates) if isinstance(rates, int) else np.array(rates)
    return Lengths(told, np.ones(len(seconds), dtype=np.int64), np.array(seconds), bright_hz)


def test_headers_are_measured_and_the_broken_counted() -> None:
    """Rates, channels and lengths come from headers; arrays that tell no rate count too."""
    sources = [encoded(tone()), encoded(np.zeros((4410, 2)), 44100), b"junk", (tone(), 16000), tone()]
    found = measure(sources)
    assert found.rates.tolist() == [8000, 44100, 16000, 0]
    assert found.channels.tolist() == [1, 2, 1, 1]
    assert found.seconds == pytest.approx([0.4, 0.1, 0.2, 0.2])
    assert found.broken == 1
    assert len(measure(sources * 100, limit=50)) <= 50


def test_the_usual_length_is_heard_and_nearly_as_long_ones_whole() -> None:
    """One very long sound does not make all rows long; if the longest is near the usual one, nothing is lost."""
    hearing, why = choose_hearing(lengths_of([0.5] * 99 + [30.0]), 100, 1000)
    assert (hearing, "loudest" in why) == (Hearing(16000, 8000), True)
    hearing, why = choose_hearing(lengths_of([0.5] * 99 + [0.6]), 100, 1000)
    assert (hearing.samples, "none is longer" in why) == (9600, True)
    assert choose_hearing(lengths_of([600.0] * 9), 9, 1000)[0] == Hearing(16000, 160_000)


def test_the_usual_rate_is_heard_unless_more_is_of_no_use() -> None:
    """16 kHz is enough, but for sounds that are mostly above what it holds."""
    assert choose_hearing(lengths_of([1.0] * 3, [8000, 8000, 44100]), 3, 1000)[0].rate == 8000
    assert choose_hearing(lengths_of([1.0], 44100, 900.0), 1, 1000)[0].rate == 16000
    assert choose_hearing(lengths_of([1.0], 44100, 11_000.0), 1, 1000)[0].rate == 32000
    assert choose_hearing(lengths_of([1.0], 250_000, 45_000.0), 1, 1000)[0].rate == 250_000
    assert choose_hearing(lengths_of([1.0], 0), 1, 1000)[0].rate == 16000


def test_high_voices_are_listened_to() -> None:
    """Whether a high rate is needed is found in the sounds, for headers do not tell."""
    low, high = (encoded(tone(rate=44100, hz=hz), 44100) for hz in (500, 12_000))
    assert measure([low, low, high]).bright_hz == pytest.approx(500, abs=5)
    assert measure([low, high, high]).bright_hz == pytest.approx(12_000, abs=5)


def test_memory_bounds_what_is_heard() -> None:
    """Many sounds are heard for less long, then at a lower rate, and never for no time."""
    facts = lengths_of([5.0] * 10, 16000)
    for memory_mb in (200.0, 50.0, 20.0):
        hearing, why = choose_hearing(facts, 1000, memory_mb)
        assert 1000 * hearing.samples * 2 <= memory_mb * 2**20 * 1.01
        assert "fit" in why or hearing.samples == 80_000
    assert choose_hearing(facts, 1000, 0.001)[0] == Hearing(8000, 800)


def test_nothing_readable_is_an_error_and_a_hearing_is_plain_values() -> None:
    """A folder of junk is refused; a hearing survives JSON; a silly one is refused."""
    with pytest.raises(InputError, match="none of 2 sounds"):
        choose_hearing(measure([b"a", b"b"]), 2, 100)
    assert Hearing(**json.loads(json.dumps(asdict(HEARING)))) == HEARING
    with pytest.raises(InputError, match="above 0"):
        Hearing(0, 10)


# --- many sounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_all_are_stored_in_order_and_failures_named(tmp_path: Path, threads: int) -> None:
    """Row i is sound i, whatever thread decoded it; what failed is silent, of length 0, and told with its reason."""
    sources: list[Any] = [tone(0.1 + 0.001 * i) for i in range(100)]
    sources[7], sources[50] = b"junk", tmp_path / "missing.wav"
    told: list[tuple[int, int]] = []
    decoded = decode_all(sources, HEARING, tmp_path / "store.npy", threads, lambda done, of: told.append((done, of)))
    store = decoded.open()
    assert (store.shape, store.dtype) == ((100, 4000), np.int16)
    for i, source in enumerate(sources):
        if i in (7, 50):
            assert not store[i].any()
            assert decoded.lengths[i] == 0
        else:
            wave, length = decode(source, HEARING)
            assert np.array_equal(store[i], wave)
            assert decoded.lengths[i] == length
    assert list(decoded.failures) == [7, 50]
    assert told[-1] == (100, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["store.npy"]


def test_a_stopped_decoding_leaves_nothing_behind(tmp_path: Path) -> None:
    """An error of the one who is told ends the work; a place that cannot be written is an error of the run."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all([tone()] * 50, HEARING, tmp_path / "store.npy", 2, stop)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="cannot write"):
        decode_all([tone()], HEARING, tmp_path / "nowhere" / "store.npy")
    assert decode_all([], HEARING, tmp_path / "none.npy").open().shape == (0, 4000)


def test_what_is_odd_is_told(tmp_path: Path) -> None:
    """Silent and clipped sounds, several rates and lengths beyond what is heard are findings with their rows."""
    clipped = np.clip(3 * tone(), -1, 1)
    sources = [encoded(tone()), encoded(tone() * 1e-4), encoded(clipped), encoded(tone(9.0, 44100), 44100)]
    decoded = decode_all(sources, HEARING, tmp_path / "store.npy")
    assert (decoded.silent, decoded.clipped) == ((1,), (2,))
    found = {finding.code: finding for finding in sounds.findings(measure(sources), HEARING, decoded)}
    assert set(found) == {"silent", "clipped", "rates", "long_sounds"}
    assert found["silent"].evidence == {"rows": [1], "share": 0.25}
    assert found["rates"].evidence == {"rates": [8000, 44100]}
    plain = SoundStore("", np.array([3200]), {})
    assert list(sounds.findings(lengths_of([0.4]), HEARING, plain)) == []
