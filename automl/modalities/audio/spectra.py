"""Sounds as numbers: log-mel spectra, and a description that table models can learn from.

The description looks only at what sounds: padding after a row's end never counts, and statistics leave silence out.
Order in time is kept by an outline, the means over equal parts of the stretch from the first sounding frame to the
last. Nothing is learned, so it is made once per run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from search_spaces.neural.mel import FAINTEST, FULL_SCALE, Mel, filters, taper
from search_spaces.spec import Media

CHUNK_MB = 64.0  # of spectra at a time
DESCRIBED = Mel(window_ms=25.0, hop_ms=10.0, bands=40)
SILENCE_DB = 30.0  # below a sound's loudest frame; at 50 and more, breath and noise count as if they were the sound
DEPTH = 1e-6  # power, relative to the peak: 60 dB below, what differs is the noise of the recording
CEPSTRA = 20
OUTLINED = 13  # cepstra that are followed over time; finer ones blur within a part
PARTS = 8  # of the stretch that sounds
QUANTILES = (0.1, 0.5, 0.9)
ROLLOFF = 0.85  # share of the power
REACH = 2  # frames on either side that a slope is fitted to
SHAPES = ("centroid", "rolloff", "flatness", "flux", "crossings", "level")


def log_mel(waves: np.ndarray, rate: int, mel: Mel) -> np.ndarray:
    """int16 (rows, samples) -> float32 (rows, bands, frames): natural logarithm of the mean power in each band."""
    rows, samples = waves.shape
    spectra = np.empty((rows, mel.bands, mel.frames(samples, rate)), dtype=np.float32)
    for chunk in _chunks(rows, samples, rate, mel):
        framed = _framed(waves[chunk].astype(np.float32) / np.float32(FULL_SCALE), rate, mel)
        in_bands = _power(framed, rate, mel) @ filters(rate, mel)
        spectra[chunk] = np.log(in_bands + np.float32(FAINTEST)).transpose(0, 2, 1)
    return spectra


def describe(media: Media) -> np.ndarray:
    """float32 (rows, m), finite, in the order of `names`; padding changes nothing, loudness only the last number."""
    described = np.empty((len(media), len(names())), dtype=np.float32)
    samples = media.store.shape[1]
    lengths = np.full(len(media), samples) if media.lengths is None else media.lengths[media.rows]
    lengths = np.clip(lengths, 1, samples)
    for chunk in _chunks(len(media), samples, media.rate, DESCRIBED):
        longest = int(lengths[chunk].max())
        described[chunk] = _described(media.values(chunk)[:, :longest], lengths[chunk], media.rate)
    return described


def names() -> list[str]:
    """What the numbers of `describe` are."""
    cepstra = [f"cepstrum {j}" for j in range(CEPSTRA)]
    kinds = ["mean", "deviation", *(f"quantile {q:g}" for q in QUANTILES)]
    return [
        *(f"{name}, {kind}" for kind in kinds for name in cepstra),
        *(f"slope of {name}, {kind}" for kind in kinds[:2] for name in cepstra),
        *(f"bend of {name}, deviation" for name in cepstra),
        *(f"band {j}, mean" for j in range(DESCRIBED.bands)),
        *(f"{name}, {kind}" for kind in kinds for name in SHAPES),
        *(f"{name}, part {part}" for part in range(PARTS) for name in [*cepstra[:OUTLINED], *SHAPES]),
        "log seconds", "log seconds from first to last sound", "log seconds of sound", "share of sound", "peak db",
    ]  # fmt: skip


# --- waves to frames ---------------------------------------------------------------------------------------------


def _chunks(rows: int, samples: int, rate: int, mel: Mel) -> Iterator[slice]:
    row_mb = mel.frames(samples, rate) * mel.fft(rate) * 16 / 2**20  # tapered frames, their spectrum, its power
    step = max(1, int(CHUNK_MB / row_mb))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def _framed(waves: np.ndarray, rate: int, mel: Mel) -> np.ndarray:
    """(rows, frames, window), a view."""
    frames, window, hop = mel.frames(waves.shape[1], rate), mel.window(rate), mel.hop(rate)
    whole = np.zeros((len(waves), (frames - 1) * hop + window), dtype=np.float32)
    whole[:, : waves.shape[1]] = waves
    return np.lib.stride_tricks.sliding_window_view(whole, window, axis=1)[:, ::hop]


def _power(framed: np.ndarray, rate: int, mel: Mel) -> np.ndarray:
    """(rows, frames, bins)."""
    from scipy.fft import rfft

    spectrum = rfft(framed * taper(framed.shape[2]), n=mel.fft(rate), axis=2)
    return np.asarray(np.square(spectrum.real) + np.square(spectrum.imag))


@dataclass(frozen=True)
class _Frames:
    """Frames of rows of different length; beyond a row's end its last frame is repeated."""

    bands: np.ndarray  # (rows, frames, bands): log power, relative to the row's peak
    shapes: np.ndarray  # (rows, frames, shapes)
    place: np.ndarray  # (rows, frames, 1): which frame stands there
    sounding: np.ndarray  # (rows, frames): in the row and not silent, at least one of each row


def _frames(waves: np.ndarray, lengths: np.ndarray, rate: int) -> _Frames:
    """`waves`: floats with a peak of one."""
    framed = _framed(waves, rate, DESCRIBED)
    power = _power(framed, rate, DESCRIBED)
    count = np.array([DESCRIBED.frames(int(length), rate) for length in lengths])[:, None]
    place = np.minimum(np.arange(power.shape[1]), count - 1)[:, :, None]
    bands = np.take_along_axis(np.log(power @ filters(rate, DESCRIBED) + np.float32(DEPTH)), place, axis=1)
    shapes = np.take_along_axis(_shapes(power, framed, rate), place, axis=1)
    shapes[:, :, SHAPES.index("flux")] = np.abs(np.diff(bands, axis=1, prepend=bands[:, :1])).mean(axis=2)
    shapes[:, :, SHAPES.index("flatness")] = bands.mean(axis=2) - np.log(np.exp(bands).mean(axis=2))
    level = shapes[:, :, SHAPES.index("level")]
    is_there = np.arange(power.shape[1]) < count
    return _Frames(bands, shapes, place, is_there & (level >= level.max(axis=1, keepdims=True) - SILENCE_DB))


def _shapes(power: np.ndarray, framed: np.ndarray, rate: int) -> np.ndarray:
    """(rows, frames, shapes) but for those that are made of bands."""
    hz = np.linspace(0, rate / 2, power.shape[2], dtype=np.float32)
    total = power.sum(axis=2)
    risen = np.cumsum(power, axis=2)
    is_above = framed >= 0
    crossed = (is_above[:, :, 1:] != is_above[:, :, :-1]).mean(axis=2, dtype=np.float32)
    unmade = np.zeros_like(total)
    values = {
        "centroid": (power @ hz) / (total + np.float32(DEPTH)),
        "rolloff": (risen < ROLLOFF * risen[:, :, -1:]).sum(axis=2, dtype=np.float32) * hz[1],
        "crossings": crossed,
        "level": 10 * np.log10(power.mean(axis=2) + np.float32(DEPTH)),
    }
    return np.stack([values.get(name, unmade) for name in SHAPES], axis=2)


# --- frames to a description ---------------------------------------------------------------------------------------


def _described(waves: np.ndarray, lengths: np.ndarray, rate: int) -> np.ndarray:
    from scipy.fft import dct

    is_there = np.arange(waves.shape[1]) < lengths[:, None]
    floats = waves.astype(np.float32) * is_there
    peak = np.maximum(np.abs(floats).max(axis=1), 1)
    frames = _frames(floats / peak[:, None], lengths, rate)
    sounding = frames.sounding
    cepstra = dct(frames.bands, axis=2, norm="ortho")[:, :, :CEPSTRA]
    slopes = np.take_along_axis(_slopes(cepstra), frames.place, axis=1)
    first = sounding.argmax(axis=1)
    last = sounding.shape[1] - sounding[:, ::-1].argmax(axis=1)
    outlined = np.concatenate([cepstra[:, :, :OUTLINED], frames.shapes], axis=2)
    frame_s = DESCRIBED.hop_ms / 1000
    seconds = np.stack([lengths / rate, (last - first) * frame_s, sounding.sum(axis=1) * frame_s], axis=1)
    share = sounding.sum(axis=1) / (last - first)
    blocks = [
        *_moments(cepstra, sounding),
        *_quantiles(cepstra, sounding),
        *_moments(slopes, sounding),
        _moments(_slopes(slopes), sounding)[1],
        _moments(frames.bands, sounding)[0],
        *_moments(frames.shapes, sounding),
        *_quantiles(frames.shapes, sounding),
        _outline(outlined, first, last).reshape(len(waves), -1),
        np.log(seconds),
        share[:, None],
        20 * np.log10(peak / FULL_SCALE)[:, None],
    ]
    return np.concatenate(blocks, axis=1, dtype=np.float32)


def _slopes(values: np.ndarray) -> np.ndarray:
    """(rows, frames, m): change per frame, the slope of a line through each frame and its neighbours."""
    frames = values.shape[1]
    wide = np.pad(values, ((0, 0), (REACH, REACH), (0, 0)), mode="edge")
    rises = [k * (wide[:, REACH + k :][:, :frames] - wide[:, REACH - k :][:, :frames]) for k in range(1, REACH + 1)]
    return np.asarray(sum(rises) / (2 * sum(k * k for k in range(1, REACH + 1))))


def _moments(values: np.ndarray, sounding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, m) each: mean and deviation over the sounding frames."""
    weight = (sounding / sounding.sum(axis=1, keepdims=True)).astype(np.float32)[:, None, :]
    mean = weight @ values
    variance = weight @ np.square(values - mean)
    return mean[:, 0], np.sqrt(variance[:, 0])


def _quantiles(values: np.ndarray, sounding: np.ndarray) -> list[np.ndarray]:
    """(rows, m) each: over the sounding frames, the nearest value."""
    ranked = np.sort(np.where(sounding[:, :, None], values, np.inf), axis=1)
    last = sounding.sum(axis=1) - 1
    return [ranked[np.arange(len(values)), np.round(share * last).astype(int)] for share in QUANTILES]


def _outline(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(rows, PARTS, m): means over equal parts of the frames from `first` to before `last`; parts may cut frames."""
    summed = np.cumsum(np.pad(values, ((0, 0), (1, 0), (0, 0))), axis=1, dtype=np.float64)
    edges = first[:, None] + (last - first)[:, None] * np.arange(PARTS + 1) / PARTS
    below = np.minimum(edges.astype(int), values.shape[1] - 1)
    rest = (edges - below)[:, :, None]
    low = np.take_along_axis(summed, below[:, :, None], axis=1)
    high = np.take_along_axis(summed, below[:, :, None] + 1, axis=1)
    return np.asarray(np.diff(low * (1 - rest) + high * rest, axis=1) / ((last - first) / PARTS)[:, None, None])
