"""A picture in any form (file, bytes, array, Pillow's own) -> a Pillow image, plain grey or colour, the right way up.

Nothing is trusted: only formats that need no outside program are opened, a header that claims too many pixels is
refused before any memory is taken, and what is cut off or broken is refused whole instead of shown in part.
"""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.modalities.files.cells import refuse_outside

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM")
MOST_PIXELS = 170_000_000  # that a header may claim: Pillow itself goes no further
MOST_DECODED = 64_000_000  # at once: 256 MB a thread at four bytes each; jpgs may claim more, they are decoded smaller
ORIENTED = frozenset({"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"})  # where a camera notes its turn
DEPTHS = (8, 12, 16, 24, 32)  # bits that values of a whole number are taken to have
SIDEWAYS = frozenset({5, 6, 7, 8})  # of EXIF orientation: width and height change places
ORIENTATION, AS_TAKEN = 0x0112, 1

# What Pillow raises on files that are broken, by way of its formats.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError,
           RuntimeError, MemoryError, struct.error, zlib.error, Warning)  # fmt: skip


@functools.cache
def pillow() -> Any:
    """The module PIL.Image."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            "pictures need the package Pillow, which is not installed. Run: pip install 'automl-frontier[images]'"
        ) from error
    return Image


def loaded(source: Any, sides: tuple[int, int], channels: int) -> Image.Image:
    """The picture as 8 bits of grey (1 channel) or of red, green and blue (3), no smaller than `sides` need it.

    `sides`: width and height that it will be shrunk to; a large jpg is then decoded at a fraction of its size.
    """
    pillow()
    try:
        if isinstance(source, str | bytes | os.PathLike):
            with opened(source) as image:
                return _loaded(image, sides, channels)
        return _plain(_upright(_in_memory(source)), channels)
    except pillow().DecompressionBombError as error:
        raise InputError(f"its header claims more than {MOST_PIXELS:,} pixels. Give a smaller one.") from error
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(_reason(error)) from error


@contextmanager
def opened(source: str | bytes | os.PathLike[str]) -> Iterator[Image.Image]:
    """A file or its bytes, its header read and nothing else; Pillow's own errors pass through."""
    if not isinstance(source, bytes):
        refuse_outside(source)
    # Never by its name: Pillow maps some files into memory, and the process dies when these are cut off later.
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        yield pillow().open(file, formats=FORMATS)


def header(source: Any) -> tuple[int, int, bool]:
    """Width and height the right way up, and whether the picture is stored as grey; InputError where it is broken."""
    try:
        if isinstance(source, str | bytes | os.PathLike):
            with opened(source) as image:
                return _facts(image)
        return _facts(_in_memory(source))
    except InputError:
        raise
    except (*_BROKEN, pillow().DecompressionBombError) as error:
        raise InputError(_reason(error)) from error


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Brightness of any number type as uint8, by the depth that the values have.

    Whole numbers of up to 12 bits often come in 16: by their container they would all be near black. Real numbers
    within 0 and 1 are shares, within 0 and 255 bytes; others are stretched from their least to their largest.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise InputError(f"its array holds {values.dtype}, no numbers. Give uint8, or floats from 0 to 1.")
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif values.dtype.kind == "f" and low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and values.dtype.kind != "f":
        low, high = 0.0, float(2 ** next((bits for bits in DEPTHS if high < 2**bits), 64) - 1)
    scale = 255.0 / (high - low) if high > low else 0.0
    scaled: np.ndarray = np.rint((values.astype(np.float32) - low) * scale).astype(np.uint8)
    return scaled


# --- opening -------------------------------------------------------------------------------------------------------


def _loaded(image: Image.Image, sides: tuple[int, int], channels: int) -> Image.Image:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise InputError(f"its header claims {width} x {height} pixels. Give at most {MOST_PIXELS:,}.")
    if image.format in ("JPEG", "MPO"):
        # Twice what is needed, so that the last step still blends; a square, for the picture may lie on its side.
        side = 2 * max(sides)
        if min(width, height) >= 2 * side or channels == 1:
            image.draft("L" if channels == 1 else None, (side, side))
        if not image.info.get("progressive"):  # these are held whole at any size
            width, height = image.size
    if width * height > MOST_DECODED:
        raise InputError(
            f"it has {width} x {height} pixels, too many to decode a {image.format} at once. "
            f"Give at most {MOST_DECODED:,}, or a plain jpg."
        )
    image.load()
    return _plain(_upright(image), channels)


def _in_memory(source: Any) -> Image.Image:
    """A Pillow image as it is, or an array of (height, width), with channels last or, where only that fits, first."""
    if isinstance(source, pillow().Image):
        image: Image.Image = source
        return image
    if not hasattr(source, "__array__"):
        raise InputError(f"a {type(source).__name__} is no picture. Give a path, bytes, an array or a Pillow image.")
    values = np.asarray(source)
    shape = values.shape
    if len(shape) == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        values = np.moveaxis(values, 0, 2)
    is_picture = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))
    if not is_picture or not values.size:
        raise InputError(f"an array of shape {shape} is no picture. Give (height, width) or (height, width, 3).")
    values = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    made: Image.Image = pillow().fromarray(np.ascontiguousarray(to_bytes(values)))
    return made


def _facts(image: Image.Image) -> tuple[int, int, bool]:
    width, height = image.size
    is_grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    return (height, width, is_grey) if _orientation(image) in SIDEWAYS else (width, height, is_grey)


def _orientation(image: Image.Image) -> int:
    """Of formats that Pillow does not turn by itself, as it does TIFF."""
    if ORIENTED.isdisjoint(image.info):  # to look for tags takes as long as to decode a small picture
        return AS_TAKEN
    return int(image.getexif().get(ORIENTATION) or AS_TAKEN)


def _upright(image: Image.Image) -> Image.Image:
    try:
        is_turned = _orientation(image) != AS_TAKEN
    except _BROKEN:  # tags that cannot be read turn nothing
        return image
    if not is_turned:
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """One picture of 8 bits, whatever its colours were; what shines through is white."""
    mode = "L" if channels == 1 else "RGB"
    if image.mode == "F" or image.mode.startswith("I"):
        image = pillow().fromarray(to_bytes(np.asarray(image)))
    elif image.mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
        ) or image  # fmt: skip
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = pillow().alpha_composite(pillow().new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _reason(error: BaseException) -> str:
    """Why a file is no picture, in words for its owner."""
    from PIL import UnidentifiedImageError

    from automl.messages import one_line

    if isinstance(error, FileNotFoundError):
        return "the file does not exist."
    if isinstance(error, UnidentifiedImageError):
        return "it is empty, or no picture that can be read."
    if isinstance(error, Warning):
        return f"it was refused: {one_line(error)}."
    return f"it is broken or cut off: {one_line(error)}."
