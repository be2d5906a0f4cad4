"""Sounds of any rate, length and format -> one store of waves of one rate and length, decoded once for a whole run.

The hearing, their rate and length, is chosen from headers before all is decoded. It is saved with the model: decoding
is the same at training and prediction. Loudness stays as it was recorded; what is silent is not cut off, for how long
it is quiet may tell something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.modalities.audio.waves import Header, header, is_clipped, loaded, loudest_part, resampled, soundfile
from automl.modalities.files.store import Store, new_store
from automl.records import Finding

MEASURED = 2_000  # sounds whose headers are read; more say the same
LISTENED, LISTENED_S = 32, 1.0  # sounds of high rates that are listened to, and for how long
USUAL_HZ, FINE_HZ = 16_000, 32_000  # rates: speech and most else lies below 8 kHz; birds and hiss below 16 kHz
UNTOLD_HZ = 16_000  # rate of arrays that tell none
LONGEST_S, SHORTEST_S, STEP_S = 10.0, 0.1, 0.01
COVERED, NEARLY = 0.95, 1.25  # share of the sounds that fit whole; all do where the longest is not much longer
SCALE = 32768.0  # of int16
SILENT = 2.0**-10  # of full scale: a peak below it, -60 dB, is the noise of the microphone
CHUNK = 64  # sounds that a thread decodes before it reports, at most
CHUNK_MB = 8.0

Report = Callable[[int, int], None]  # how many are done, of how many


@dataclass(frozen=True)
class Hearing:
    """The one form in which a model hears every sound."""

    rate: int  # samples a second
    samples: int  # of every row

    def __post_init__(self) -> None:
        if min(self.rate, self.samples) < 1:
            raise InputError(
                f"a hearing needs a rate and a length above 0, got {self}. Give for instance 16000, 16000."
            )


@dataclass(frozen=True)
class Lengths:
    """What headers say of sounds; one number for each that could be read."""

    rates: np.ndarray  # 0: told by none
    channels: np.ndarray
    seconds: np.ndarray
    bright_hz: float = 0.0  # half of the power of the usual sound of a high rate lies above; 0: none was listened to
    broken: int = 0  # of those measured

    def __len__(self) -> int:
        return len(self.rates)


@dataclass(frozen=True)
class SoundStore:
    """A store on disk: int16 (sounds, samples), in the order they were given."""

    path: str
    lengths: np.ndarray  # int64 (sounds,): samples that were there; zeros follow
    failures: Mapping[int, str]  # which could not be decoded, and why; they are silent in the store, of length 0
    silent: tuple[int, ...] = ()  # nothing can be heard in these
    clipped: tuple[int, ...] = ()  # the peaks of these are cut off

    def open(self) -> np.ndarray:
        """The store, mapped read-only."""
        store: np.ndarray = np.load(self.path, mmap_mode="r")
        return store


def decode(source: Any, hearing: Hearing) -> tuple[np.ndarray, int]:
    """One sound as int16 (samples,) and how many of these are real; InputError says why not.

    `source`: a path, bytes, an array, or a pair of array and rate; without a rate it is taken to have the hearing's. Of
    a longer sound the loudest part is kept: recordings begin and end with waiting, and what is asked about is audible.
    """
    heard = _hear(source, hearing)
    return heard.wave, heard.length


def measure(sources: Sequence[Any], limit: int = MEASURED) -> Lengths:
    """Rates and lengths by the headers of some sounds, spread over all; a few of high rate are listened to."""
    soundfile()
    step = max(1, len(sources) / limit)
    sample = [sources[int(at * step)] for at in range(math.ceil(len(sources) / step))]
    found: list[Header] = []
    high: list[Any] = []
    for source in sample:
        try:
            found.append(header(source))
        except InputError:
            continue
        if found[-1].rate > USUAL_HZ:
            high.append(source)
    rates = np.array([facts.rate for facts in found], dtype=np.int64)
    seconds = [facts.seconds or facts.samples / UNTOLD_HZ for facts in found]
    middles = [hz for source in high[:: math.ceil(len(high) / LISTENED) or 1] if (hz := _middle_hz(source))]
    bright_hz = float(np.median(middles)) if middles else 0.0
    channels = np.array([facts.channels for facts in found], dtype=np.int64)
    return Lengths(rates, channels, np.array(seconds, dtype=np.float64), bright_hz, len(sample) - len(found))


def choose_hearing(lengths: Lengths, rows: int, memory_mb: float) -> tuple[Hearing, str]:
    """The hearing for so many sounds, which may take so much memory all together, and why, in one sentence."""
    if not len(lengths):
        raise InputError(f"none of {lengths.broken:,} sounds looked at can be read. Check that the files are whole.")
    rate, why_rate = _choose_rate(lengths)
    longest, covered = float(lengths.seconds.max()), float(np.quantile(lengths.seconds, COVERED))
    if longest <= min(LONGEST_S, NEARLY * covered):
        wanted, why = longest, "none is longer"
    elif covered <= LONGEST_S:
        wanted, why = covered, f"{COVERED:.0%} are no longer, and of the others the loudest part is kept"
    else:
        wanted, why = LONGEST_S, "of longer ones the loudest part is kept"
    seconds = max(SHORTEST_S, math.ceil(round(wanted / STEP_S, 6)) * STEP_S)
    room = memory_mb * 2**20 / max(1, rows) / 2  # samples for each
    if seconds * rate > room:
        if rate > USUAL_HZ / 2 and room < rate:
            rate, why_rate = USUAL_HZ // 2, "for lack of memory"
        seconds = max(SHORTEST_S, min(seconds, room / rate))
        why = f"more of {rows:,} sounds does not fit into {memory_mb:,.0f} MB"
    samples = max(1, round(seconds * rate))
    return Hearing(rate, samples), f"{samples / rate:.3g} s at {rate:,} samples a second, {why_rate}: {why}"


def decode_all(
    sources: Sequence[Any], hearing: Hearing, store_path: str | Path, threads: int = 1, report: Report | None = None
) -> SoundStore:
    """All sounds into a .npy file, which appears when it is complete; memory is bounded by some sounds a thread.

    An error that `report` raises ends the work, leaves no file and goes on to the caller.
    """
    soundfile()
    total, done = len(sources), 0
    at_once = max(1, min(CHUNK, total // (8 * threads), int(CHUNK_MB * 2**20 / (2 * hearing.samples))))
    all_of = _Chunk(0, np.zeros(total, dtype=np.int64))
    shape = (total, hearing.samples)
    with new_store(Path(store_path), shape, "<i2") as store, ThreadPoolExecutor(threads) as pool:
        try:
            work = [
                pool.submit(_decode_some, sources[at : at + at_once], at, hearing, store)
                for at in range(0, total, at_once)
            ]
            for ended in as_completed(work):
                chunk = ended.result()
                done += len(chunk.lengths)
                all_of.add(chunk)
                if report is not None:
                    report(done, total)
        finally:
            pool.shutdown(cancel_futures=True)
    silent, clipped = tuple(sorted(all_of.silent)), tuple(sorted(all_of.clipped))
    return SoundStore(str(store_path), all_of.lengths, dict(sorted(all_of.failures.items())), silent, clipped)


def findings(lengths: Lengths, hearing: Hearing, decoded: SoundStore) -> Iterator[Finding]:
    """What is odd about the sounds of a run; `evidence` names rows by their number."""
    total = max(1, len(decoded.lengths) - len(decoded.failures))
    if silent := decoded.silent:
        message = (
            f"{len(silent):,} of {total:,} sounds are silent (no peak above -60 dB of full scale): nothing can be "
            "learned of them. Check how they were recorded"
        )
        yield Finding("silent", "warning", message, None, {"rows": list(silent), "share": len(silent) / total})
    if clipped := decoded.clipped:
        message = (
            f"{len(clipped):,} of {total:,} sounds are clipped: they were recorded too loud, and their peaks are cut "
            "off. Record new ones at a lower level"
        )
        severity = "warning" if len(clipped) > 0.1 * total else "info"
        yield Finding("clipped", severity, message, None, {"rows": list(clipped), "share": len(clipped) / total})
    if len(rates := np.unique(lengths.rates[lengths.rates > 0])) > 1:
        message = (
            f"sounds come at {len(rates)} rates, from {rates[0]:,} to {rates[-1]:,} samples a second, and are heard at "
            f"{hearing.rate:,}: if classes differ in their rates, that alone may tell them apart. Record all alike"
        )
        yield Finding("rates", "warning", message, None, {"rates": rates.tolist()})
    heard_s = hearing.samples / hearing.rate
    longer = float((lengths.seconds > heard_s).mean()) if len(lengths) else 0.0
    if longer:
        message = (
            f"{100 * longer:.2g}% of the sounds are longer than the {heard_s:.3g} s that are heard (all: "
            f"{lengths.seconds.min():.3g} to {lengths.seconds.max():.3g} s); of these the loudest part is kept"
        )
        yield Finding("long_sounds", "info", message, None, {"share": longer, "heard_s": heard_s})


# --- parts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Heard:
    wave: np.ndarray
    length: int
    is_silent: bool
    is_clipped: bool


@dataclass(frozen=True)
class _Chunk:
    """Some neighbouring rows that were decoded."""

    first: int
    lengths: np.ndarray
    failures: dict[int, str] = field(default_factory=dict)
    silent: list[int] = field(default_factory=list)
    clipped: list[int] = field(default_factory=list)

    def add(self, chunk: _Chunk) -> None:
        self.lengths[chunk.first : chunk.first + len(chunk.lengths)] = chunk.lengths
        self.failures.update(chunk.failures)
        self.silent.extend(chunk.silent)
        self.clipped.extend(chunk.clipped)


def _hear(source: Any, hearing: Hearing) -> _Heard:
    sound = loaded(source)
    rate = sound.rate or hearing.rate
    part = loudest_part(sound.values, math.ceil(hearing.samples * rate / hearing.rate))
    heard = resampled(part, rate, hearing.rate)[: hearing.samples]
    wave = np.zeros(hearing.samples, dtype=np.int16)
    wave[: len(heard)] = np.clip(np.rint(heard * SCALE), -SCALE, SCALE - 1)
    return _Heard(wave, len(heard), bool(np.abs(sound.values).max() < SILENT), is_clipped(sound.values))


def _decode_some(sources: Sequence[Any], first: int, hearing: Hearing, store: Store) -> _Chunk:
    waves = np.zeros((len(sources), hearing.samples), dtype=np.int16)
    chunk = _Chunk(first, np.zeros(len(sources), dtype=np.int64))
    for at, source in enumerate(sources):
        try:
            heard = _hear(source, hearing)
        except InputError as error:
            chunk.failures[first + at] = str(error)
            continue
        waves[at], chunk.lengths[at] = heard.wave, heard.length
        if heard.is_silent:
            chunk.silent.append(first + at)
        if heard.is_clipped:
            chunk.clipped.append(first + at)
    store.write(first, waves)
    return chunk


def _choose_rate(lengths: Lengths) -> tuple[int, str]:
    told = lengths.rates[lengths.rates > 0]
    if not len(told):
        return UNTOLD_HZ, "which arrays are taken to have that tell no rate"
    rates, counts = np.unique(told, return_counts=True)
    usual = int(rates[counts.argmax()])
    if usual <= USUAL_HZ:
        return usual, "as most have" if len(rates) > 1 else "as all have"
    if lengths.bright_hz <= USUAL_HZ / 2:
        return USUAL_HZ, f"which hold what is heard in those of {usual:,}"
    if lengths.bright_hz <= FINE_HZ / 2 and usual > FINE_HZ:
        return FINE_HZ, f"for half of their power lies above {lengths.bright_hz:,.0f} Hz"
    return usual, f"as most have, for half of their power lies above {lengths.bright_hz:,.0f} Hz"


def _middle_hz(source: Any) -> float:
    """The frequency above which half of a sound's power lies; 0 where there is none."""
    try:
        sound = loaded(source, LISTENED_S)
    except InputError:
        return 0.0
    power = np.square(np.abs(np.fft.rfft(sound.values)))
    power[0] = 0  # an offset is not heard
    risen = np.cumsum(power)
    return float(np.searchsorted(risen, risen[-1] / 2) * sound.rate / len(sound.values)) if risen[-1] > 0 else 0.0
