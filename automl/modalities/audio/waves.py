"""A sound in any form (file, bytes, array) -> one channel of floats at its own rate, or the reason why not.

Nothing is trusted: headers may lie, files may be cut off or hours long. Of a long sound only its middle is read.
"""

from __future__ import annotations

import functools
import importlib
import io
import math
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.modalities.files.cells import refuse_outside

SLOWEST_HZ, FASTEST_HZ = 50, 1_000_000  # of rates; measured vibrations below, nothing above
LONGEST_S = 60.0  # that is read of one sound
MOST_SAMPLES = 24_000_000  # that are held of one sound: 60 s at 400,000 a second
BLOCK = 2**20  # numbers read at a time where there are several channels
MOST_CHANNELS = 64
WHOLE = 0.95  # share of what the header promises that must be there; writers are careless with the last block
UNKNOWN = 0x7FFF0000  # bytes; from here on a header's size is what programs write that do not know it yet
FINEST = 1000  # denominator of a change of rate: 0.0001% off at most, and no filter of a million taps

_SIZES = re.compile(  # what libsndfile notes where a header (of wav, au; aiff) and the size of the file do not agree
    r"data(?: size)?\s*: (\d+) \(should be (\d+)\)|'COMM' chunk \((\d+)\) not equal[^(]*\((\d+)\)", re.IGNORECASE
)


@dataclass(frozen=True)
class Header:
    """What a file says of itself before it is decoded."""

    rate: int  # samples a second; 0: an array that tells none
    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate if self.rate else 0.0


@dataclass(frozen=True)
class Wave:
    """One channel, full scale is one; of a long sound its middle."""

    values: np.ndarray  # float32
    rate: int  # 0: an array that tells none


@functools.cache
def soundfile() -> Any:
    """The module of this name."""
    try:
        return importlib.import_module("soundfile")  # by its name, for it has no types
    except (ImportError, OSError) as error:  # OSError: the package without its library
        raise InputError(
            "sounds need the package soundfile, which is not installed. Run: pip install 'automl-frontier[audio]'"
        ) from error


def header(source: Any) -> Header:
    """Rate, channels and length; InputError says why it cannot be read."""
    if isinstance(source, str | bytes | os.PathLike):
        try:
            with _opened(source) as file:
                return Header(file.samplerate, file.channels, file.frames)
        except _errors() as error:
            raise InputError(_reason(source, error)) from error
    values, rate = _array(source)
    return Header(rate, values.shape[1], len(values))


def loaded(source: Any, longest_s: float = LONGEST_S) -> Wave:
    """The mean of all channels; InputError says why it cannot be read."""
    with np.errstate(invalid="ignore", over="ignore"):  # found below
        values, rate = _mono(source, longest_s)
    if not np.isfinite(values).all():
        raise InputError(f"{(~np.isfinite(values)).sum():,} of its {len(values):,} samples are no numbers.")
    loudest = np.abs(values).max()
    return Wave(values / loudest if loudest > 1 else values, rate)  # beyond full scale nothing is cut off


def loudest_part(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` neighbouring samples with the most power, or all where there are no more than these."""
    if len(values) <= count:
        return values
    power = np.concatenate([[0.0], np.cumsum(np.square(values, dtype=np.float64))])
    starts = np.append(np.arange(0, len(values) - count, max(1, count // 100)), len(values) - count)
    start = starts[np.argmax(power[starts + count] - power[starts])]
    return values[start : start + count]


def resampled(values: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """At another rate; what the new one cannot hold is filtered out first."""
    if rate == new_rate:
        return values
    from scipy.signal import resample_poly

    ratio = _ratio(rate, new_rate)
    return np.asarray(resample_poly(values, ratio.numerator, ratio.denominator, window=_low_pass(ratio)))


def is_clipped(values: np.ndarray) -> bool:
    """Whether peaks look cut off: four neighbouring samples at the very top, near full scale."""
    loudness = np.abs(values)
    top = loudness.max()
    if top < 0.98:
        return False
    at_top = np.flatnonzero(loudness >= top - 2.0**-16)  # half a step of 16 bits: a whole tone is that flat below 20 Hz
    return bool((at_top[3:] - at_top[:-3] == 3).any())


# --- files -----------------------------------------------------------------------------------------------------------


def _mono(source: Any, longest_s: float) -> tuple[np.ndarray, int]:
    if isinstance(source, str | bytes | os.PathLike):
        try:
            with _opened(source) as file:
                return _read(file, longest_s), file.samplerate
        except _errors() as error:
            raise InputError(_reason(source, error)) from error
    channels, rate = _array(source)
    return _middle(channels, min(MOST_SAMPLES, math.ceil(longest_s * (rate or FASTEST_HZ)))).mean(axis=1), rate


def _opened(source: str | bytes | os.PathLike[str]) -> Any:
    """A file with its header read and found sound."""
    if not isinstance(source, bytes):
        refuse_outside(source)
    file = soundfile().SoundFile(io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source))
    try:
        _check(file.samplerate, file.channels, file.frames)
        if sizes := _SIZES.search(file.extra_info):
            stated, there = (int(size) for size in sizes.groups() if size)
            if stated < UNKNOWN and there < WHOLE * stated:
                raise InputError(f"it is cut off: {there / stated:.0%} of what its header states is there.")
    except InputError:
        file.close()
        raise
    return file


def _check(rate: int, channels: int, samples: int) -> None:
    if samples == 0:
        raise InputError("it holds no samples, or its header is broken.")
    if rate and not SLOWEST_HZ <= rate <= FASTEST_HZ:
        raise InputError(f"it has {rate:,} samples a second. Give {SLOWEST_HZ} to {FASTEST_HZ:,}.")
    if channels > MOST_CHANNELS:
        raise InputError(f"it has {channels} channels. Give at most {MOST_CHANNELS}.")


def _read(file: Any, longest_s: float) -> np.ndarray:
    wanted = min(file.frames, MOST_SAMPLES, math.ceil(longest_s * file.samplerate))
    if wanted < file.frames:
        file.seek((file.frames - wanted) // 2)
    if file.channels == 1:
        values = file.read(wanted, dtype="float32")
    else:
        step = BLOCK // file.channels
        pieces = [np.empty(0, dtype=np.float32)]
        while sum(map(len, pieces)) < wanted:
            block = file.read(min(step, wanted - sum(map(len, pieces))), dtype="float32", always_2d=True)
            if not len(block):
                break
            pieces.append(block.mean(axis=1))
        values = np.concatenate(pieces)
    if len(values) < WHOLE * wanted:
        raise InputError(f"it is cut off: {len(values):,} of {wanted:,} samples can be read.")
    return np.asarray(values)


def _errors() -> tuple[type[Exception], ...]:
    """What soundfile raises on files that are broken, missing or of no format that it knows."""
    return (soundfile().SoundFileError, OSError, ValueError, TypeError, RuntimeError, MemoryError)


def _reason(source: Any, error: Exception) -> str:
    """Why a file is no sound, in words for its owner."""
    from automl.messages import one_line

    if isinstance(error, InputError):
        return str(error)
    if not isinstance(source, bytes):
        place = Path(source)
        try:
            if place.is_dir():
                return "it is a folder."
            with place.open("rb") as file:
                source = file.read(1)
        except FileNotFoundError:
            return "the file does not exist."
        except (OSError, ValueError) as problem:  # ValueError: a path with a zero in it
            return f"it cannot be opened: {getattr(problem, 'strerror', None) or problem}."
    if not source:
        return "it is empty."
    what = re.sub(r"^Error (opening [^:]*)?: *", "", one_line(error)).rstrip(".")
    if "not recognised" in what or "does not exist" in what or "samplerate" in what:  # of junk, in mp3's own words
        return "it is no sound that can be read."
    return f"it is broken or cut off: {what}."


# --- arrays ----------------------------------------------------------------------------------------------------------


def _array(source: Any) -> tuple[np.ndarray, int]:
    """An array, or one with its rate, as float32 (samples, channels) and rate."""
    is_pair = isinstance(source, tuple) and len(source) == 2 and np.ndim(source[1]) == 0
    array, rate = source if is_pair else (source, 0)
    if not hasattr(array, "__array__"):
        raise InputError(
            f"a {type(array).__name__} is no sound. Give a path, bytes, an array, or a pair of array and rate."
        )
    values = np.asarray(array)
    if values.dtype.kind not in "iuf" or values.ndim not in (1, 2):
        raise InputError(f"an array of {values.dtype}, shape {values.shape}, is no sound. Give numbers, (samples,).")
    values = values[:, None] if values.ndim == 1 else values
    if values.shape[1] > values.shape[0] > 0:  # channels first
        values = values.T
    if not isinstance(rate, int | np.integer | float):
        raise InputError(f"a rate must be a number of samples a second, got {rate!r}.")
    _check(int(rate), values.shape[1], len(values))
    return _to_floats(values), int(rate)


def _to_floats(values: np.ndarray) -> np.ndarray:
    """Full scale becomes one; whole numbers are taken to have 8, 16, 24 or 32 bits, as many as their type and size."""
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    bits = 8 * values.dtype.itemsize
    middle = 2 ** (bits - 1) if values.dtype.kind == "u" else 0
    whole = values.astype(np.float64) - middle
    if bits > 16 and not middle:
        bits = next((b for b in (16, 24, 32) if np.abs(whole).max() <= 2 ** (b - 1)), bits)
    return np.asarray(whole / 2 ** (bits - 1), dtype=np.float32)


def _middle(values: np.ndarray, count: int) -> np.ndarray:
    start = max(0, len(values) - count) // 2
    return values[start : start + count]


# --- rates -----------------------------------------------------------------------------------------------------------


def _ratio(rate: int, new_rate: int) -> Fraction:
    ratio = Fraction(new_rate, rate)
    return ratio.limit_denominator(FINEST) if ratio >= 1 else 1 / (1 / ratio).limit_denominator(FINEST)


@functools.lru_cache(maxsize=64)
def _low_pass(ratio: Fraction) -> np.ndarray:
    """The filter that resample_poly would design anew for every sound."""
    from scipy.signal import firwin

    most = max(ratio.numerator, ratio.denominator)
    return np.asarray(firwin(20 * most + 1, 1 / most, window=("kaiser", 5.0)), dtype=np.float32)
