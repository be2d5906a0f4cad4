"""Small pictures of a report as files: images, spectrograms, and where a model looked. NumPy and zlib, nothing else.

Colours are told apart by their lightness too: dark to light, heat from dim grey to bright orange. Files stay small, as
the page holds them all: maps of heat have 256 colours, photographs become JPEG where Pillow is there.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_PX = 96  # of the longer side; smaller ones are enlarged, a pixel becoming a square
MOST_PX = 128
LARGE = 8_000  # bytes of a picture from which a photograph is better off as JPEG
LEVELS = 16  # of lightness and of heat, together a palette of 256
DIM = 0.55  # lightness of what a model did not look at
LOUDNESS = ((0, 32, 77), (63, 77, 108), (124, 123, 120), (188, 175, 111), (255, 234, 70))  # faint to loud
HEAT = (255, 158, 27)


@dataclass(frozen=True)
class Painted:
    """A picture as a file."""

    suffix: str  # ".png" | ".jpg"
    content: bytes


def image(pixels: np.ndarray) -> Painted:
    """An image as a model sees it, uint8 (height, width, channels)."""
    shown = _enlarged(_fitting(pixels.astype(np.float64)).round().astype(np.uint8))
    painted = Painted(".png", png(shown))
    smaller = _jpeg(shown) if len(painted.content) > LARGE else None
    return painted if smaller is None or len(smaller.content) >= len(painted.content) else smaller


def spectrogram(loudness: np.ndarray) -> Painted:
    """A sound, 0 .. 1 (bands, frames), the lowest band first; it is drawn at the bottom."""
    levels = np.round(np.clip(loudness[::-1], 0, 1) * 255).astype(np.uint8)
    return Painted(".png", png(_enlarged(levels), _ramp(LOUDNESS)))


def looked(lightness: np.ndarray, heat: np.ndarray, *, is_sound: bool = False) -> Painted:
    """Heat over a grey picture, both 0 .. 1 (height, width)."""
    both = _fitting(np.stack([lightness, heat], axis=2))[:: -1 if is_sound else 1]
    grey, warm = np.moveaxis(np.round(np.clip(both, 0, 1) * (LEVELS - 1)).astype(np.uint8), 2, 0)
    return Painted(".png", png(_enlarged(grey * LEVELS + warm), _warmth()))


def png(pixels: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """uint8 (height, width) or (height, width, 1 or 3) as a PNG file; with a palette (colours, 3) these are places."""
    height, width = pixels.shape[:2]
    flat = pixels.reshape(height, -1)
    is_colour = flat.shape[1] == 3 * width
    lines = np.zeros((height, flat.shape[1] + 1), dtype=np.uint8)  # each begins with the number of its filter
    lines[:, 1:] = flat
    if palette is None:  # of photographs the difference to the line above packs better
        lines[1:, 1:] -= flat[:-1]
        lines[:, 0] = 2
    kind = 3 if palette is not None else 2 if is_colour else 0
    head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")]
    if palette is not None:
        parts.insert(1, (b"PLTE", palette.astype(np.uint8).tobytes()))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _jpeg(pixels: np.ndarray) -> Painted | None:
    """None where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError:
        return None
    buffer = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(buffer, "JPEG", quality=88)
    return Painted(".jpg", buffer.getvalue())


def _fitting(values: np.ndarray) -> np.ndarray:
    """(height, width, m) no larger than the largest side allowed: means of what falls together."""
    longest = max(values.shape[:2])
    for axis in (0, 1) if longest > MOST_PX else ():
        side = values.shape[axis]
        count = max(1, side * MOST_PX // longest)
        starts = np.arange(count) * side // count
        lengths = np.diff(np.append(starts, side)).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        values = np.add.reduceat(values, starts, axis=axis) / lengths
    return values


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    times = max(1, -(-LEAST_PX // max(pixels.shape[:2])))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def _ramp(stops: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """256 colours on straight lines between a few."""
    at = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(np.arange(256), at, [stop[part] for stop in stops]) for part in range(3)], axis=1)


def _warmth() -> np.ndarray:
    """Colours by lightness, then heat: what is cold is dim and grey, what is hot bright and orange."""
    light, warm = (part[:, None] / (LEVELS - 1) for part in np.divmod(np.arange(LEVELS**2), LEVELS))
    grey, glow = 255 * light * DIM, np.array(HEAT) * (0.45 + 0.55 * light)
    return np.asarray(np.round(grey + (glow - grey) * np.minimum(1, 1.1 * warm)))
