"""Writes scikit-learn's handwritten digits as a folder of small pictures: FOLDER/train/CLASS/*.png and FOLDER/test.

python examples/make_digits.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

TEST_EVERY = 4  # one digit in so many is kept apart


def main(folder: Path) -> None:
    """Write every digit into the folder of its class."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        side = "test" if number % TEST_EVERY == 0 else "train"
        place = folder / side / str(label)
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((pixels * (255 / 16)).astype(np.uint8))
        picture.resize((24, 24), Image.Resampling.BICUBIC).save(place / f"{number:04d}.png")
    print(f"{len(digits.target)} pictures in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Give the folder to write to: python examples/make_digits.py digits")
    main(Path(sys.argv[1]))
