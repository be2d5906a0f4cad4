"""What plain training from scratch reaches in a given time: a ResNet-9 on pictures, a small net on log-mel of sounds.

python benchmarks/references/media.py FOLDER [--seconds 300] [--threads 2] [--side 32] [--seed 0]
FOLDER holds train/CLASS/FILE and test/CLASS/FILE. Nothing of this project is used: these are the figures to beat.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 128
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
MOST_SOUND_S = 2.0
FFT, HOP, BANDS = 256, 80, 40


@dataclass(frozen=True)
class Part:
    """One side of the split as tensors."""

    x: Tensor
    y: Tensor


def files_of(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    return [(file, number) for number, name in enumerate(classes) for file in sorted((folder / name).iterdir())]


def picture(file: Path, side: int) -> np.ndarray:
    from PIL import Image

    with Image.open(file) as opened:
        opened.draft("RGB", (2 * side, 2 * side))
        return np.asarray(opened.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def wave(file: Path, samples: int) -> np.ndarray:
    import soundfile

    read, _ = soundfile.read(file, dtype="float32", always_2d=True, frames=samples)
    mono = read.mean(axis=1)
    return np.pad(mono, (0, samples - len(mono)))


def read_part(folder: Path, classes: list[str], read: Callable[[Path], np.ndarray]) -> Part:
    found = files_of(folder, classes)
    x = torch.from_numpy(np.stack([read(file) for file, _ in found]))
    return Part(x, torch.tensor([number for _, number in found]))


def mel_filters(rate: int) -> Tensor:
    """Triangles over the bins of a spectrum."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    hz = 700 * (10 ** (torch.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = torch.linspace(0, rate / 2, FFT // 2 + 1)[:, None]
    rise = (bins - hz[:-2]) / (hz[1:-1] - hz[:-2])
    fall = (hz[2:] - bins) / (hz[2:] - hz[1:-1])
    return torch.minimum(rise, fall).clamp(min=0)


def log_mel(part: Part, rate: int) -> Part:
    filters, window = mel_filters(rate), torch.hann_window(FFT)
    pieces = []
    for waves in part.x.split(256):
        power = torch.stft(waves, FFT, HOP, window=window, return_complex=True).abs().square()
        pieces.append(torch.log(filters.T @ power + 1e-6).unsqueeze(1))
    return Part(torch.cat(pieces), part.y)


def layer(width_in: int, width_out: int, *, halves: bool = False) -> nn.Sequential:
    pool = [nn.MaxPool2d(2)] if halves else []
    conv = nn.Conv2d(width_in, width_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width_out), nn.ReLU(), *pool)


class Around(nn.Module):
    """A residual of two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(layer(width, width), layer(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        return x + self.inner(x)


def resnet9(channels: int, width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        *(layer(channels, width), layer(width, 2 * width, halves=True), Around(2 * width)),
        *(layer(2 * width, 4 * width, halves=True), layer(4 * width, 8 * width, halves=True), Around(8 * width)),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8 * width, classes)),
    )


def cropped(x: Tensor, padding: int, *, flips: bool) -> Tensor:
    """One crop of the padded maps for a whole batch, half of them flipped."""
    top, left = (int(torch.randint(2 * padding + 1, ()).item()) for _ in range(2))
    height, width = x.shape[2:]
    moved = functional.pad(x, (padding,) * 4, mode="reflect")[:, :, top : top + height, left : left + width]
    if not flips:
        return moved
    return torch.where((torch.rand(len(x)) < 0.5)[:, None, None, None], moved.flip(3), moved)


def train(network: nn.Module, part: Part, seconds: float, *, flips: bool) -> int:
    """AdamW on a one-cycle course that ends when the time does; how many epochs it took."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=5e-2)
    started, epochs = time.monotonic(), 0
    while True:
        for rows in torch.randperm(len(part.y)).split(BATCH):
            done = (time.monotonic() - started) / seconds
            if done >= 1:
                return epochs
            for group in optimizer.param_groups:
                group["lr"] = 5e-3 * min(1.0, done / 0.2, (1 - done) / 0.8)
            outputs = network(cropped(part.x[rows], max(1, part.x.shape[3] // 10), flips=flips))
            loss = functional.cross_entropy(outputs, part.y[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        epochs += 1


def classes_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())


def read_folder(folder: Path, side: int) -> tuple[Part, Part, bool, int]:
    """Both sides of the split, normalised; whether they are sounds; how many classes."""
    classes = classes_of(folder)
    first = files_of(folder / "train", classes)[0][0]
    is_sound = first.suffix.lower() in SOUNDS
    if is_sound:
        import soundfile

        rate = soundfile.info(first).samplerate
        read = lambda file: wave(file, round(rate * MOST_SOUND_S))  # noqa: E731  # the same form as below
        parts = [log_mel(read_part(folder / name, classes, read), rate) for name in ("train", "test")]
    else:
        parts = [read_part(folder / name, classes, lambda file: picture(file, side)) for name in ("train", "test")]
        parts = [Part(part.x.permute(0, 3, 1, 2).float(), part.y) for part in parts]
    mean, deviation = parts[0].x.mean(dim=(0, 2, 3), keepdim=True), parts[0].x.std(dim=(0, 2, 3), keepdim=True)
    learned, tested = [Part((part.x - mean) / deviation, part.y) for part in parts]
    return learned, tested, is_sound, len(classes)


def main() -> None:
    """Read, train for the time given, print the accuracy on the test folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="holds train/CLASS/FILE and test/CLASS/FILE")
    parser.add_argument("--seconds", type=float, default=300.0, help="reading, training and testing together")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--width", type=int, default=32, help="channels of the first layer")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    learned, tested, is_sound, classes = read_folder(given.folder, given.side)
    network = resnet9(learned.x.shape[1], given.width // 2 if is_sound else given.width, classes)
    if is_sound:  # spectrograms are larger than small pictures: half of each side and of the width is enough
        network = nn.Sequential(nn.AvgPool2d(2), network)
    reserve_s = 0.05 * given.seconds  # for the test
    epochs = train(network, learned, given.seconds - (time.monotonic() - started) - reserve_s, flips=not is_sound)
    with torch.inference_mode():
        network.eval()
        right = sum(
            int((network(x).argmax(1) == y).sum())
            for x, y in zip(tested.x.split(256), tested.y.split(256), strict=True)
        )
    took_s = time.monotonic() - started
    print(f"{given.folder.name}: accuracy {right / len(tested.y):.4f}, {epochs} epochs, {took_s:.0f} s")


if __name__ == "__main__":
    main()
