"""What an answer loses when a part is hidden, asked of the whole model: right for any member, blind to nothing.

An image is hidden behind its own mean colour, a sound is hushed in a range of bands for a while. Windows of two by two
cells overlap, so that what lies across an edge counts as well. One batch of some fifty questions per row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from automl.explain import Explainer, Question
from search_spaces.neural.mel import Mel, filters
from search_spaces.spec import Media

CELLS = {"image": (8, 8), "audio": (6, 12)}  # down and across; bands and times
REACH = 2  # cells that a window spans, down and across
HUSHED = 0.03  # what is left of a hushed part, 30 dB down: silence would be a sound of its own
WINDOW_MS = 32.0
FLOOR = 1e-6  # of probabilities, in odds

Window = tuple[slice, slice]  # of cells


def fits(_question: Question) -> bool:
    """Any model can be asked."""
    return True


def told(question: Question) -> str:
    """What was done."""
    done = "hushed" if question.media.kind == "audio" else "hidden"
    return f"Occlusion: bright is what the answer loses most by when it is {done}; asked of the whole model"


def maps(question: Question) -> Iterator[np.ndarray]:
    """One map of cells per row."""
    media = question.media
    for row in range(len(media)):
        cells = _cells(media)
        windows = [
            (slice(top, top + REACH), slice(left, left + REACH))
            for top in range(max(1, cells[0] - REACH + 1))
            for left in range(max(1, cells[1] - REACH + 1))
        ]
        whole = media.values(slice(row, row + 1))
        hidden = (_covered if media.kind == "image" else _hushed)(whole[0], cells, windows, media.rate)
        asked = _media_like(media, row, np.concatenate([whole, hidden]))
        said = _score(question.ask(row, asked), int(question.outputs[row]), question.is_numeric)
        lost = said[0] - said[1:]
        yield _spread(np.abs(lost) if question.is_numeric else np.maximum(lost, 0), cells, windows)


def _cells(media: Media) -> tuple[int, int]:
    down, across = CELLS[media.kind]
    if media.kind == "audio":
        return down, across
    return min(down, int(media.store.shape[1])), min(across, int(media.store.shape[2]))


def _media_like(media: Media, row: int, store: np.ndarray) -> Media:
    length = None if media.lengths is None else np.full(len(store), media.lengths[media.rows[row]])
    return Media(media.kind, store, np.arange(len(store)), media.rate, length)


def _score(said: np.ndarray, output: int, is_numeric: bool) -> np.ndarray:
    """The value asked about, of classes as log-odds: what is sure already can still be shaken."""
    chosen = (said if said.ndim == 1 else said[:, min(output, said.shape[1] - 1)]).astype(np.float64)
    if is_numeric:
        return chosen
    share = np.clip(chosen, FLOOR, 1 - FLOOR)
    return np.asarray(np.log(share / (1 - share)))


def _spread(lost: np.ndarray, cells: tuple[int, int], windows: list[Window]) -> np.ndarray:
    """For each cell the mean of the windows that cover it."""
    total, count = np.zeros(cells), np.zeros(cells)
    for value, window in zip(lost, windows, strict=True):
        total[window] += value
        count[window] += 1
    return total / np.maximum(count, 1)


def _covered(pixels: np.ndarray, cells: tuple[int, int], windows: list[Window], _rate: int) -> np.ndarray:
    """Copies of a picture, each with one window in its mean colour."""
    edges = [np.round(np.linspace(0, side, n + 1)).astype(int) for side, n in zip(pixels.shape, cells, strict=False)]
    colour = pixels.reshape(-1, pixels.shape[2]).mean(axis=0).round().astype(pixels.dtype)
    copies = np.repeat(pixels[None], len(windows), axis=0)
    for copy, (down, across) in zip(copies, windows, strict=True):
        rows, columns = (_stretch(part, ends) for part, ends in zip((down, across), edges, strict=True))
        copy[rows, columns] = colour
    return copies


def _stretch(part: slice, edges: np.ndarray) -> slice:
    return slice(int(edges[part.start]), int(edges[min(part.stop, len(edges) - 1)]))


def _hushed(wave: np.ndarray, cells: tuple[int, int], windows: list[Window], rate: int) -> np.ndarray:
    """Copies of a sound, each with one range of bands hushed for a while: spectra of half-overlapping frames."""
    mel = Mel(WINDOW_MS, bands=cells[0])
    size = mel.fft(rate)
    half = size // 2
    weights = filters(rate, mel)
    band = np.argmax(weights / weights.max(axis=0), axis=1)  # of each frequency
    padded = np.pad(wave.astype(np.float32), (half, size + half - len(wave) % half))
    taper = np.sin(np.pi * (np.arange(size, dtype=np.float32) + 0.5) / size)  # squares of neighbours add up to one
    spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::half] * taper)
    time = np.minimum(np.arange(len(spectra)) * half * cells[1] // max(1, len(wave)), cells[1] - 1)
    copies = np.empty((len(windows), len(wave)), dtype=wave.dtype)
    for copy, (bands, times) in zip(copies, windows, strict=True):
        is_hushed = ((time >= times.start) & (time < times.stop))[:, None] & (
            (band >= bands.start) & (band < bands.stop)
        )
        frames = np.fft.irfft(np.where(is_hushed, np.float32(HUSHED), np.float32(1)) * spectra, size) * taper
        sums = np.zeros((len(frames) + 1, half))
        sums[:-1] += frames[:, :half]
        sums[1:] += frames[:, half:]
        heard = sums.reshape(-1)[half : half + len(wave)]
        copy[:] = np.clip(np.round(heard), -32768, 32767).astype(wave.dtype)
    return copies


def _inside(places: np.ndarray, part: slice) -> np.ndarray:
    return np.asarray((places >= part.start) & (places < part.stop))


EXPLAINER = Explainer("occlusion", fits, told, maps)
