"""What a support vector machine makes of plain descriptions: oriented gradients of pictures, cepstra of sounds.

python benchmarks/references/described.py FOLDER [--side 32] [--seed 0]
FOLDER holds train/CLASS/FILE and test/CLASS/FILE. Nothing of this project is used: these are the figures to beat.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from media import SOUNDS, Part, classes_of, log_mel, picture, read_part, wave
from scipy.fft import dct
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

CELL, BINS = 4, 9
CEPSTRA = 20
MOST_SOUND_S = 2.0


def gradients(pictures: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients over cells, normalised over blocks of two by two."""
    grey = pictures.mean(axis=3)
    dy, dx = np.gradient(grey, axis=(1, 2))
    strength, angle = np.hypot(dx, dy), np.mod(np.arctan2(dy, dx), np.pi)
    bins = np.minimum((angle / np.pi * BINS).astype(int), BINS - 1)
    rows, height, width = grey.shape
    cells = np.zeros((rows, height // CELL, width // CELL, BINS), dtype=np.float32)
    for number in range(BINS):
        kept = np.where(bins == number, strength, 0)[:, : height // CELL * CELL, : width // CELL * CELL]
        cells[..., number] = kept.reshape(rows, height // CELL, CELL, width // CELL, CELL).sum(axis=(2, 4))
    blocks = np.concatenate([cells[:, :-1, :-1], cells[:, 1:, :-1], cells[:, :-1, 1:], cells[:, 1:, 1:]], axis=3)
    blocks /= np.linalg.norm(blocks, axis=3, keepdims=True) + 1e-3
    return blocks.reshape(rows, -1)


def cepstra(part: Part, rate: int) -> np.ndarray:
    """Mean and deviation of mel cepstra and of their changes."""
    mel = log_mel(part, rate).x[:, 0].numpy()
    found = dct(mel, axis=1, norm="ortho")[:, :CEPSTRA]
    change = np.diff(found, axis=2)
    return np.concatenate([block for x in (found, change) for block in (x.mean(axis=2), x.std(axis=2))], axis=1)


def main() -> None:
    """Read, describe, fit, print the accuracy on the test folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="holds train/CLASS/FILE and test/CLASS/FILE")
    parser.add_argument("--side", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(2)
    classes = classes_of(given.folder)
    first = next((given.folder / "train" / classes[0]).iterdir())
    if first.suffix.lower() in SOUNDS:
        import soundfile

        rate = soundfile.info(first).samplerate
        sides = [
            read_part(given.folder / name, classes, lambda file: wave(file, round(rate * MOST_SOUND_S)))
            for name in ("train", "test")
        ]
        described = [cepstra(side, rate) for side in sides]
        model = make_pipeline(StandardScaler(), SVC(C=10.0, random_state=given.seed))
    else:
        sides = [
            read_part(given.folder / name, classes, lambda file: picture(file, given.side))
            for name in ("train", "test")
        ]
        described = [gradients(side.x.numpy()) for side in sides]
        fewer = PCA(min(200, *described[0].shape), whiten=True, random_state=given.seed)
        model = make_pipeline(StandardScaler(), fewer, SVC(C=10.0, random_state=given.seed))
    model.fit(described[0], sides[0].y.numpy())
    accuracy = float((model.predict(described[1]) == sides[1].y.numpy()).mean())
    print(f"{given.folder.name}: accuracy {accuracy:.4f}, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
