"""A few cells of every kind whose cells are decoded, for the contract suite: a new kind is one more maker."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from automl.modalities.contracts import Cells
from automl.modalities.panel.fields import Step

ROWS = 8


def pictures(folder: Path) -> Cells:
    """Coloured noise, in files, as what files contain, as arrays and as Pillow's images."""
    from PIL import Image

    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, (24, 20, 3), dtype=np.uint8) for _ in range(ROWS)]
    files = [str(folder / f"{at}.png") for at in range(ROWS)]
    for file, array in zip(files, arrays, strict=True):
        Image.fromarray(array).save(file)
    broken = folder / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return Cells(
        forms={
            "files": files,
            "bytes": [Path(file).read_bytes() for file in files],
            "objects of datasets": [{"bytes": None, "path": file} for file in files],
            "arrays": arrays,
            "images": [Image.fromarray(array) for array in arrays],
        },
        broken=str(broken),
        gone=[f"gone/{at}.png" for at in range(ROWS)],
    )


def sounds(folder: Path) -> Cells:
    """Noise of about half a second, in files, as what files contain, and as arrays beside their rate."""
    import soundfile

    random, rate = np.random.default_rng(0), 8000
    waves = [(0.2 * random.standard_normal(4000 - 150 * at)).astype(np.float32) for at in range(ROWS)]
    files = [str(folder / f"{at}.wav") for at in range(ROWS)]
    contents = []
    for file, wave in zip(files, waves, strict=True):
        soundfile.write(file, wave, rate)
        content = io.BytesIO()
        soundfile.write(content, wave, rate, format="flac")
        contents.append(content.getvalue())
    broken = folder / "broken.wav"
    broken.write_bytes(b"RIFF\x00\x00\x00\x00WAVE and no more")
    return Cells(
        forms={
            "files": files,
            "bytes": contents,
            "arrays": [(wave, rate) for wave in waves],
            "objects of datasets": [{"array": wave.tolist(), "sampling_rate": rate} for wave in waves],
        },
        broken=str(broken),
        gone=[f"gone/{at}.wav" for at in range(ROWS)],
    )


def texts(folder: Path) -> Cells:
    """Sentences of four languages, with markup, emoji, numbers and links."""
    told = [
        "The quick brown fox jumps over <b>the lazy dog</b> &amp; sleeps until noon 😀",
        "Nobody had expected the river to rise by three metres within a single night.",
        "Am Morgen lagen überall umgestürzte Bäume auf den Straßen der kleinen Stadt",
        "Please call 0800 555 1234 NOW to claim your prize, or text WIN to 80082!!",
        "La maison au bord du lac appartient depuis toujours à une vieille dame",
        "see https://example.org/a?b=c and tell @someone what you think about #rivers",
        "Engineers measured the bridge twice before trucks were allowed to cross it",
        "今天天气很好我们一起去公园散步然后回家吃晚饭看书",
    ]
    return Cells(forms={"texts": told}, alike=["sentences"])


def steps(folder: Path) -> Cells:
    """Days of two series that end together, with what was known once each was over."""
    day, random = 86_400.0, np.random.default_rng(0)
    told = [
        Step(name, day * (19_000 + at), float(random.normal(50, 9)), (float(at),))
        for name in ("north", "south") for at in range(ROWS // 2)
    ]  # fmt: skip
    return Cells(forms={"steps": told})


def series(folder: Path) -> Cells:
    """Waves, some shorter and with a gap, as arrays and as lists."""
    random = np.random.default_rng(0)
    waves = [np.sin(np.arange(30 - 2 * at) / 3) + 0.1 * random.normal(size=30 - 2 * at) for at in range(ROWS)]
    waves[2][4] = np.nan
    return Cells(
        forms={
            "arrays": waves,
            "lists": [[None if np.isnan(value) else float(value) for value in wave] for wave in waves],
        },
        broken=np.zeros((2, 3, 4)),
    )


MAKERS: dict[str, Callable[[Path], Cells]] = {
    "image": pictures,
    "audio": sounds,
    "text": texts,
    "panel": steps,
    "series": series,
}
