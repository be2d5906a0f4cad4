"""The way in: stored pictures or sounds as normalised maps, on the device, and the whole network behind it.

What is measured on the training rows (mean, deviation, whitening) is kept in buffers, so it travels with the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.neural.spectrogram import LogMel, Shake, SpecAugment
from search_spaces.neural.vision.body import Body
from search_spaces.spec import Params

FAINTEST = 1.0  # grey levels: a channel that hardly varies must not be blown up
FASTER, WIDER, HIGHER = 0.3, 0.15, 0.15  # at a strength of one: of speed, of the spread of bands, of half their number
MIDDLE, SPREAD = 127.5, 64.0  # of bytes, until they are measured


class Picture(nn.Module):
    """(rows, height, width, channels) of bytes, or of floats on the scale of bytes, as normalised maps.

    Pictures of any size come in; their sides are scaled by `resolution`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, resolution: float) -> None:
        super().__init__()
        self.resolution = resolution
        self.register_buffer("mean", torch.full((channels, 1, 1), MIDDLE))
        self.register_buffer("deviation", torch.full((channels, 1, 1), SPREAD))

    def learn(self, x: Tensor) -> None:
        """Measure the training rows."""
        values = x.double().flatten(0, 2)
        self.mean.copy_(values.mean(dim=0)[:, None, None])
        self.deviation.copy_(values.std(dim=0, correction=0).clamp(min=FAINTEST)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, height, width), laid out channels last."""
        maps = (x.permute(0, 3, 1, 2).float() - self.mean) / self.deviation
        if self.resolution >= 1:
            return maps
        height, width = (max(1, round(side * self.resolution)) for side in maps.shape[2:])
        return nn.functional.interpolate(maps, (height, width), mode="bilinear", antialias=True)


class Stretch(nn.Module):
    """Makes each spectrogram a little slower or faster, higher or lower while training, as voices differ."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, 1, bands, frames), of the same shape."""
        if not self.training or self.strength <= 0:
            return maps
        swings = (2 * torch.rand(3, len(maps), device=maps.device) - 1) * self.strength
        faster, wider = torch.exp(FASTER * swings[0]), torch.exp(WIDER * swings[1])
        none = torch.zeros_like(faster)
        over_time = torch.stack([faster, none, faster - 1], dim=1)  # the beginning stays where it is
        over_bands = torch.stack([none, wider, HIGHER * swings[2]], dim=1)
        grid = nn.functional.affine_grid(torch.stack([over_time, over_bands], dim=1), list(maps.shape), False)
        return nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)


class Sound(nn.Module):
    """(rows, samples) of int16, or of floats on their scale, as normalised spectrograms; changed anew while training.

    With `axes` "time" each band is a channel of a map of one line.
    """

    def __init__(self, params: Params, sound: tuple[int, int]) -> None:
        super().__init__()
        samples, rate = sound
        self.shake = Shake(params["shake"])
        self.spectrum = LogMel(rate, samples, params["window_ms"], params["hop_ms"], params["bands"])
        self.stretch = Stretch(params["stretch"])
        self.mask = SpecAugment(params["mask_time"], params["mask_bands"])
        bands, frames = self.spectrum.size
        self.is_line = params["axes"] == "time"
        self.channels, self.size = (bands, (1, frames)) if self.is_line else (1, (bands, frames))

    def learn(self, x: Tensor) -> None:
        """Nothing: each row is normalised on its own."""

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, height, width)."""
        maps: Tensor = self.mask(self.stretch(self.spectrum(self.shake(x))))
        return maps.transpose(1, 2) if self.is_line else maps


class OnMedia(nn.Module):
    """A body behind a front. `learn` shows both some training rows, once, before training."""

    def __init__(self, front: Picture | Sound, body: Body) -> None:
        super().__init__()
        self.front = front
        self.body = body.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    @torch.inference_mode()
    def learn(self, x: Tensor) -> None:
        """Measure rows as the store holds them."""
        was_training = self.training
        self.eval()
        self.front.learn(x)
        self.body.learn(self.front(x))
        self.train(was_training)

    def forward(self, x: Tensor) -> Tensor:
        """Rows as the store holds them -> (rows, outputs)."""
        return self.body(self.front(x))  # type: ignore[no-any-return]  # torch's modules are untyped
