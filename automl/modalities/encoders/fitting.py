"""Pictures and sounds as a trained network knows them: of its size, its channels, its rate. Importing it imports torch.

Pictures are squashed, as decoding does; a sound is cut into stretches of the length that the network was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.checked import whole

LUMA = (0.299, 0.587, 0.114)
MOST_SIDE, MOST_CHANNELS = 1024, 4  # that a trained network may say it looks at


def pictures(x: Tensor, sides: tuple[int, int], channels: int) -> Tensor:
    """(rows, height, width, 1 or 3) bytes, or floats on their scale -> (rows, channels, *sides) floats, 0 .. 255."""
    maps = x.permute(0, 3, 1, 2).float()
    if maps.shape[1] == 1 and channels == 3:
        maps = maps.expand(-1, 3, -1, -1)
    elif maps.shape[1] == 3 and channels == 1:
        maps = (maps * torch.tensor(LUMA, device=maps.device)[:, None, None]).sum(dim=1, keepdim=True)
    if maps.shape[2:] == sides:
        return maps
    return nn.functional.interpolate(maps, sides, mode="bilinear", antialias=True)


class FittedPictures(nn.Module):
    """Pictures of any size, shrunk and scaled as a checkpoint says: its sides, channels, mean and deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__()
        height, width = (whole(side, "the side of a picture", 1, MOST_SIDE) for side in facts["sides"])
        self.sides, self.channels = (height, width), whole(facts["channels"], "channels", 1, MOST_CHANNELS)
        for name in ("mean", "deviation"):  # the facts hold them, of pictures from 0 to 1
            self.register_buffer(name, 255 * torch.tensor(facts[name])[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, height, width, channels) of a store -> (rows, channels, *sides)."""
        maps: Tensor = (pictures(x, self.sides, self.channels) - self.mean) / self.deviation
        return maps


def resampled(waves: Tensor, old_hz: int, new_hz: int) -> Tensor:
    """(rows, samples) floats at another rate; what the new one cannot hold is left out, as it should be."""
    if old_hz == new_hz or not old_hz:
        return waves
    samples = max(1, round(waves.shape[1] * new_hz / old_hz))
    spectrum = torch.fft.rfft(waves)[:, : samples // 2 + 1]
    waved: Tensor = torch.fft.irfft(spectrum, samples)
    return waved * (samples / waves.shape[1])


def by_stretches(waves: Tensor, samples: int, say: Callable[[Tensor], Tensor]) -> Tensor:
    """What is said of stretches of so many samples, on average over those in which there is sound."""
    rows, count = len(waves), max(1, -(-waves.shape[1] // samples))
    cut = nn.functional.pad(waves, (0, count * samples - waves.shape[1])).view(rows, count, samples)
    heard = (cut != 0).any(dim=2)
    heard[:, 0] = True
    said = say(cut.flatten(0, 1)).view(rows, count, -1)
    shares = heard / heard.sum(dim=1, keepdim=True)
    return (said * shares[:, :, None]).sum(dim=1)


def ends(waves: Tensor) -> Tensor:
    """Of each row how many samples there are before its padding, at least one."""
    places = torch.arange(1, waves.shape[1] + 1, device=waves.device)
    return torch.where(waves != 0, places, 1).amax(dim=1)
