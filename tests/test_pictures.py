"""Pictures of every kind become the same small arrays, or say why not; none can take the memory or the run."""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from automl.errors import InputError, RunError
from automl.modalities.image import pixels
from automl.modalities.image.pictures import PictureShape, Sizes, choose_look, decode, decode_all, measure

COLOUR, GREY = PictureShape(24, 32, 3), PictureShape(24, 32, 1)


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Red grows to the right, green downwards; blue is half."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, np.full_like(down, 128)], axis=2).round().astype(np.uint8))


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


EXPECTED = decode(scene(), COLOUR).astype(int)


def distance(got: np.ndarray, expected: np.ndarray = EXPECTED) -> float:
    assert got.dtype == np.uint8
    assert got.shape == expected.shape
    return float(np.abs(got.astype(int) - expected).mean())


# --- formats and modes -----------------------------------------------------------------------------------------------

FORMATS = {
    "jpeg": saved(scene(), "jpeg", quality=95),
    "progressive jpeg": saved(scene(), "jpeg", quality=95, progressive=True),
    "png": saved(scene(), "png"),
    "bmp": saved(scene(), "bmp"),
    "webp": saved(scene(), "webp", lossless=True),
    "tiff": saved(scene(), "tiff"),
    "packed tiff": saved(scene(), "tiff", compression="tiff_lzw"),
    "ppm": saved(scene(), "ppm"),
    "gif": saved(scene().quantize(256, dither=Image.Dither.NONE), "gif"),
    "palette png": saved(scene().quantize(256, dither=Image.Dither.NONE), "png"),
    "cmyk jpeg": saved(scene().convert("CMYK"), "jpeg", quality=95),
    "cmyk tiff": saved(scene().convert("CMYK"), "tiff"),
    "ycbcr tiff": saved(scene().convert("YCbCr"), "tiff"),
    "opaque png": saved(scene().convert("RGBA"), "png"),
}


@pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS.keys())
def test_every_format_shows_the_same_scene(content: bytes) -> None:
    """How a picture was packed does not show."""
    assert distance(decode(content, COLOUR)) < 6
    grey = np.asarray(scene().convert("L").resize((32, 24), Image.Resampling.BILINEAR)).astype(int)[:, :, None]
    assert distance(decode(content, GREY), grey) < 6


def test_a_path_bytes_an_array_and_a_pillow_image_are_one(tmp_path: Path) -> None:
    """The way a picture is brought makes no difference, and what was brought is not changed."""
    place = tmp_path / "ein bild ü.png"
    place.write_bytes(FORMATS["png"])
    image, array = scene(), np.asarray(scene())
    sources = (place, str(place), FORMATS["png"], image, array, array[:, :, ::1].copy(), np.moveaxis(array, 2, 0))
    for source in sources:
        assert np.array_equal(decode(source, COLOUR), EXPECTED)
    assert image.size == (64, 48)


def test_the_first_picture_of_several_counts() -> None:
    """Of an animation or a document the first frame is taken."""
    others = [Image.new("RGB", (64, 48), colour) for colour in ("red", "black")]
    for kind, how in {"gif": {}, "webp": {"lossless": True}, "tiff": {}, "png": {}}.items():
        content = saved(scene(), kind, save_all=True, append_images=others, **how)
        assert distance(decode(content, COLOUR)) < 6, kind


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_taken_sideways_is_turned(kind: str, orientation: int) -> None:
    """What a camera notes of its turn is obeyed, in pixels and in the size that is measured."""
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how Pillow undoes each, undone
    stored = scene() if orientation == 1 else scene().transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[pixels.ORIENTATION] = orientation
    content = saved(stored, kind, exif=exif, **({"lossless": True} if kind == "webp" else {}))
    assert distance(decode(content, COLOUR)) < 3
    sizes = measure([content])
    assert (sizes.widths[0], sizes.heights[0]) == (64, 48)


def test_what_shines_through_is_white() -> None:
    """Half a red over nothing is pink, nothing at all is white, in every mode that knows nothing."""
    half = decode(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), PictureShape(8, 8, 3))
    assert half[0, 0].tolist() == [255, 127, 127]
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0] * 4)
    keyed = saved(palette, "gif", transparency=0)
    tinted = saved(Image.new("RGB", (8, 8), "blue"), "png", transparency=(0, 0, 255))
    for source in (clear, clear.convert("LA"), saved(clear, "webp"), keyed, tinted, saved(clear, "png")):
        for channels in (1, 3):
            assert decode(source, PictureShape(8, 8, channels)).min() == 255


@pytest.mark.parametrize(("bits", "top"), [(8, 255), (12, 4095), (16, 65535)])
def test_deep_grey_is_scaled_by_its_depth(bits: int, top: int) -> None:
    """Values of 12 bits that came in 16 fill the range; none are clipped."""
    ramp = np.linspace(0, top, 64 * 48).reshape(48, 64).round().astype(np.uint16)
    expected = np.linspace(0, 255, 64 * 48).reshape(48, 64).round().astype(int)[:, :, None]
    for source in (
        ramp,
        ramp.astype(np.int32),
        saved(Image.fromarray(ramp), "png"),
        saved(Image.fromarray(ramp), "tiff"),
    ):
        assert distance(decode(source, PictureShape(48, 64, 1)), expected) < 1, bits


def test_other_modes_of_brightness() -> None:
    """One bit, whole and real numbers, shares, negative ones and missing ones all become bytes."""
    across = np.tile(np.linspace(0, 1, 32), (24, 1))
    expected = (across * 255).round().astype(int)[:, :, None]
    sources = [across, across * 255, across * 4000 - 1000, (across * 255).astype(np.float32), across.astype(np.float16)]
    for source in sources:
        assert distance(decode(source, GREY), expected) < 1
    assert distance(decode(saved(Image.fromarray(across.astype(np.float32)), "tiff"), GREY), expected) < 1
    broken = across.copy()
    broken[0, 0] = np.nan
    assert decode(broken, GREY)[0, 0, 0] == 0
    assert set(np.unique(decode(across > 0.5, PictureShape(24, 32, 1)))) == {0, 255}
    assert set(np.unique(decode(saved(Image.fromarray(across > 0.5), "png"), GREY))) == {0, 255}
    assert decode(np.full((5, 5), -7), PictureShape(5, 5, 1)).max() == 0


def test_lab_colours() -> None:
    """Colours by lightness and two opposites are shown as such."""
    from PIL import ImageCms

    lab = ImageCms.profileToProfile(
        scene(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert distance(decode(saved(lab, "tiff"), COLOUR)) < 3


@given(
    side=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    look=st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "I", "HSV", "YCbCr"]),
)
@settings(max_examples=100, deadline=None)
def test_any_size_and_mode_takes_the_look(side: tuple[int, int], look: tuple[int, int, int], mode: str) -> None:
    """From one pixel to a strip: the answer has the look's shape."""
    assert decode(Image.new(mode, side), PictureShape(*look)).shape == look


def test_a_large_jpg_is_averaged_not_sampled() -> None:
    """A fine pattern becomes its mean, whether a jpg is decoded smaller or a png shrunk."""
    fine = Image.fromarray((np.indices((1600, 1600)).sum(axis=0) % 2 * 255).astype(np.uint8)).convert("RGB")
    for kind in ("jpeg", "png"):
        assert np.abs(decode(saved(fine, kind), PictureShape(32, 32, 3)).astype(int) - 127).max() < 6


# --- what is no picture ----------------------------------------------------------------------------------------------


def claims(width: int, height: int) -> bytes:
    """A small png whose header claims any size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_header_that_claims_too_much_takes_no_memory() -> None:
    """A small file that would unpack to gigabytes is refused by its header."""
    for side in (9_000, 12_000, 100_000):
        with pytest.raises(InputError, match="pixels"):
            decode(claims(side, side), COLOUR)
    assert measure([claims(100_000, 100_000), FORMATS["png"]]).broken == 1


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp", "gif", "bmp", "ppm"])
@pytest.mark.parametrize("how", [{}, {"progressive": True, "compression": "tiff_lzw", "lossless": True}])
def test_what_was_cut_off_is_not_shown_in_part(kind: str, how: dict[str, object]) -> None:
    """Half a file is no picture, wherever it was cut."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    content = saved(Image.fromarray(noise), kind, **how)
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(InputError, match=r"\.$"):
            decode(content[: int(share * len(content))], COLOUR)


def test_each_way_to_be_no_picture_has_its_words(tmp_path: Path) -> None:
    """Missing, empty, of another kind, of another shape: said so, in one line."""
    (tmp_path / "folder.jpg").mkdir()
    cases = {
        "does not exist": tmp_path / "no.jpg",
        "empty, or no picture": b"",
        "no picture that can be read": b"<html></html>",
        "broken or cut off": tmp_path / "folder.jpg",
        r"array of shape \(3,\)": np.zeros(3),
        r"array of shape \(5, 5, 2\)": np.zeros((5, 5, 2)),
        r"array of shape \(0, 5\)": np.zeros((0, 5)),
        "a int is no picture": 3,
        "no numbers": np.array([["a"]]),
    }
    for words, source in cases.items():
        with pytest.raises(InputError, match=words) as caught:
            decode(source, COLOUR)
        assert "\n" not in str(caught.value)


DAMAGED = st.tuples(st.sampled_from(sorted(FORMATS)), st.integers(0, 400), st.binary(min_size=1, max_size=9))


@given(content=st.binary(max_size=200) | DAMAGED)
@settings(max_examples=150, deadline=None)
def test_damage_is_an_input_error_or_a_picture(content: bytes | tuple[str, int, bytes]) -> None:
    """Whatever bytes are brought: a picture, or an InputError, and nothing else."""
    if isinstance(content, tuple):
        name, at, noise = content
        content = FORMATS[name][:at] + noise + FORMATS[name][at + len(noise) :]
    with contextlib.suppress(InputError):
        assert decode(content, COLOUR).shape == COLOUR.shape


def test_other_formats_are_not_opened() -> None:
    """A format that Pillow gives to an outside program is refused."""
    with pytest.raises(InputError, match="no picture that can be read"):
        decode(saved(scene(), "eps"), COLOUR)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are an extra of this package."""
    pixels.pillow.cache_clear()
    monkeypatch.setitem(sys.modules, "PIL", None)
    try:
        for call in (lambda: decode(b"", COLOUR), lambda: measure([b""]), lambda: decode_all([b""], COLOUR, "x.npy")):
            with pytest.raises(InputError, match=r"pip install 'automl-frontier\[images\]'"):
                call()
    finally:
        pixels.pillow.cache_clear()


# --- the look --------------------------------------------------------------------------------------------------------


def sizes_of(*shapes: tuple[int, int], is_grey: bool = False) -> Sizes:
    widths, heights = np.array(shapes).T
    return Sizes(widths, heights, float(is_grey), is_grey)


def test_small_pictures_of_one_size_keep_it() -> None:
    """What is small and equal is not touched; a few others change nothing."""
    look, why = choose_look(sizes_of(*[(28, 28)] * 5, is_grey=True), 1000, 100)
    assert (look, why) == (PictureShape(28, 28, 1), "28 x 28 pixels, grey, as all pictures are")
    look, why = choose_look(sizes_of(*[(100, 80)] * 299, (3024, 4032)), 1000, 1000)
    assert (look, why) == (PictureShape(80, 100, 3), "100 x 80 pixels, in colour, as 99.6% of the pictures are")


def test_large_pictures_are_shrunk_in_their_usual_proportion() -> None:
    """Sides are multiples of eight; few large photographs get more pixels than many."""
    photos = sizes_of((4000, 3000), (4032, 3024), (3000, 4000), (2000, 1500))
    assert choose_look(photos, 500, 1000)[0] == PictureShape(120, 160, 3)
    look, why = choose_look(photos, 20_000, 2000)
    assert look == PictureShape(96, 128, 3)
    assert "2000 to 4032 pixels" in why
    assert choose_look(sizes_of((60, 41), (50, 38), (64, 44)), 100, 100)[0] == PictureShape(40, 64, 3)
    assert choose_look(sizes_of((9000, 20), (9000, 30)), 5000, 100)[0].shape == (40, 128, 3)


def test_memory_bounds_the_look() -> None:
    """All pictures together fit into what there is."""
    look, why = choose_look(sizes_of((4000, 3000), (400, 300)), 100_000, 1000)
    assert look.height * look.width * 3 * 100_000 <= 1000 * 2**20
    assert look.width > 40
    assert "do not fit into 1,000 MB" in why


def test_greys_are_seen_by_their_headers_or_by_looking() -> None:
    """Grey jpgs that are stored in colour are grey; one picture of colour makes the set coloured."""
    grey = scene().convert("L")
    stored = [saved(grey, "png"), saved(grey.convert("RGB"), "jpeg"), saved(grey.convert("RGB"), "png")]
    found = measure(stored)
    assert found.is_grey
    assert found.grey_share == pytest.approx(1 / 3)
    assert not measure([*stored, FORMATS["jpeg"]]).is_grey
    assert choose_look(found, 3, 100)[0].channels == 1


def test_only_some_of_many_are_measured(tmp_path: Path) -> None:
    """Thousands of files are sampled evenly, so that headers cost seconds at most; broken ones are counted."""
    place = tmp_path / "a.png"
    place.write_bytes(FORMATS["png"])
    found = measure([str(place)] * 4001 + [b""] * 2000)
    assert len(found) + found.broken == 2000
    assert found.broken == pytest.approx(666, abs=2)
    with pytest.raises(InputError, match="none of 2 pictures"):
        choose_look(measure([b"", b"x"]), 2, 100)


def test_a_look_that_cannot_be_is_refused() -> None:
    """Sides are positive; a picture is grey or has three colours."""
    for shape in ((0, 5, 3), (5, 5, 4)):
        with pytest.raises(InputError, match="a look needs"):
            PictureShape(*shape)


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_a_store_holds_all_in_order(tmp_path: Path, threads: int) -> None:
    """Each picture is where it was in the list; what cannot be decoded is black and has its reason."""
    sources: list[object] = [np.full((40, 30, 3), at % 256, dtype=np.uint8) for at in range(300)]
    sources[7], sources[250] = b"", tmp_path / "gone.png"
    reports: list[tuple[int, int]] = []
    look = PictureShape(9, 11, 3)
    decoded = decode_all(sources, look, tmp_path / "s.npy", threads, lambda done, total: reports.append((done, total)))
    store = decoded.open()
    assert (store.dtype, store.shape) == (np.uint8, (300, 9, 11, 3))
    assert list(decoded.failures) == [7, 250]
    assert "does not exist" in decoded.failures[250]
    for at in range(300):
        assert (store[at] == (0 if at in (7, 250) else at % 256)).all()
    assert reports[-1] == (300, 300)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)
    assert [file.name for file in tmp_path.iterdir()] == ["s.npy"]


def test_an_empty_store(tmp_path: Path) -> None:
    """No pictures make a store of none."""
    assert decode_all([], COLOUR, tmp_path / "s.npy").open().shape == (0, 24, 32, 3)


def test_who_watches_may_stop_it(tmp_path: Path) -> None:
    """An error of the one who is told ends the work and leaves nothing behind."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all([FORMATS["jpeg"]] * 200, COLOUR, tmp_path / "s.npy", 2, stop)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """No place for the store is an error of the run."""
    with pytest.raises(RunError, match="cannot write"):
        decode_all([FORMATS["jpeg"]], COLOUR, tmp_path / "no" / "s.npy")
