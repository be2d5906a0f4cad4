"""What decoding pictures into a store costs beside bare Pillow on the same files and threads. Results go to LOG.md.

Pictures are made in a folder that goes away: blurred noise, so that they are as large as photos of their size. Both
sides have the files in the page cache. Bare: open, decode, convert, shrink where needed, and put into an array.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from automl.modalities.image.pictures import PictureShape, decode_all


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pictures, time both sides in turns, print both and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--px", type=int, default=64, help="sides of the pictures")
    parser.add_argument("--look", type=int, default=64, help="sides in the store")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        files = make(Path(folder), args.count, args.px)
        look, store = PictureShape(args.look, args.look, 3), Path(folder) / "store.npy"
        sides: dict[str, Callable[[], object]] = {
            "bare": lambda: bare(files, look, args.threads),
            "ours": lambda: decode_all(files, look, store, args.threads),
        }
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(args.repeats):
            for name, run in sides.items():
                started = time.perf_counter()
                run()
                rates[name].append(args.count / (time.perf_counter() - started))
        medians = {name: statistics.median(found) for name, found in rates.items()}
        ratio = statistics.median(ours / plain for ours, plain in zip(rates["ours"], rates["bare"], strict=True))
        told = f"{args.count:,} jpgs of {args.px} px to {args.look} px, {args.threads} threads: "
        told += ", ".join(f"{name} {rate:,.0f}" for name, rate in medians.items())
        print(f"{told} pictures a second, ours to bare {ratio:.2f}", flush=True)
    return 0


def make(folder: Path, count: int, px: int) -> list[str]:
    """Files of a few hundred different pictures."""
    random = np.random.default_rng(0)
    files = []
    for at in range(count):
        if at < 200:
            noise = Image.fromarray(random.integers(0, 256, (px, px, 3), dtype=np.uint8))
            noise.filter(ImageFilter.GaussianBlur(px / 32)).save(folder / f"{at}.jpg", quality=90)
        else:
            (folder / f"{at}.jpg").write_bytes((folder / f"{at % 200}.jpg").read_bytes())
        files.append(str(folder / f"{at}.jpg"))
    return files


def bare(files: Sequence[str], look: PictureShape, threads: int) -> np.ndarray:
    """The shortest way with Pillow alone."""
    store = np.empty((len(files), *look.shape), dtype=np.uint8)

    def put(at: int) -> None:
        with Image.open(files[at]) as image:
            coloured = image.convert("RGB")
        if coloured.size != (look.width, look.height):
            coloured = coloured.resize((look.width, look.height), Image.Resampling.BILINEAR)
        store[at] = np.asarray(coloured)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, range(len(files)), chunksize=64))
    return store


if __name__ == "__main__":
    sys.exit(main())
