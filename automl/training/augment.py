"""How training pictures are changed, in plain torch on the device that trains, a whole batch at once.

Every number is drawn on the CPU from the generator given, so one seed changes pictures alike on any device; what is
made of these, a place for each pixel, is made where the pictures are. Shifts and flips are a look-up of bytes and cost
nothing beside a network; turns and zooms are resampled, so only where asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.spec import Params

TURN = math.radians(25)  # at full strength, and so on
ZOOM, SHEAR = 0.3, 0.2
BRIGHTNESS, CONTRAST, SATURATION = 0.4, 0.5, 0.7
LUMA = (0.299, 0.587, 0.114)
GREY = 127.5
GROWN = 0.7  # of the course, when pictures have their whole size
MULTIPLE = 4  # pixels: stages halve the side, and each new size costs a first step that is slow
MIXED = 0.5  # share of the batches that are mixed
MIXED_FROM = 30  # epochs: in shorter courses mixed rows keep a network from learning the plain ones


@dataclass(frozen=True)
class Augment:
    """Strengths, zero for none."""

    flips: bool = False
    shift: float = 0.0  # share of the side
    warp: float = 0.0  # turns, zooms and shears, 0 to 1
    colour: float = 0.0  # 0 to 1
    erase: float = 0.0  # side of an erased square, as a share of the shorter side
    mix: str = "none"  # "mixup" | "cutmix" | "both" | "auto": pasted where the course is long enough
    small: float = 1.0  # share of the side at which training begins

    @classmethod
    def of(cls, params: Params) -> Augment:
        """As a configuration says; what it does not name is left out."""
        strengths = {name: float(params.get(name, 0.0)) for name in ("shift", "warp", "colour", "erase")}
        small = float(params.get("small", 1.0))
        return cls(params.get("flip") == "always", mix=params.get("mix", "none"), small=small, **strengths)

    def share(self, progress: float) -> float:
        """Share of the side at a point of the course, 0 to 1: small pictures teach the coarse things sooner."""
        return min(1.0, self.small + (1 - self.small) * progress / GROWN)

    def mixed(self, length: float) -> str:
        """How rows are mixed in a course of so many epochs."""
        if self.mix == "auto":
            return "cutmix" if length >= MIXED_FROM else "none"
        return self.mix


def change(pictures: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Pictures (rows, height, width, channels) of bytes, each changed in its own way; of floats 0 to 255 if warped."""
    pictures = _move(pictures, how, generator)
    if how.warp > 0:
        pictures = _warp(pictures, how.warp, generator)
    if how.colour > 0:
        pictures = _recolour(pictures, how.colour, generator)
    if how.erase > 0:
        pictures = _erase(pictures, how.erase, generator)
    return pictures


def shrink(pictures: Tensor, share: float) -> Tensor:
    """Pictures of a share of the side."""
    sides = [max(MULTIPLE, round(side * share / MULTIPLE) * MULTIPLE) for side in pictures.shape[1:3]]
    height, width = (min(side, most) for side, most in zip(sides, pictures.shape[1:3], strict=True))
    if share >= 1 or (height, width) == pictures.shape[1:3]:
        return pictures
    maps = pictures.permute(0, 3, 1, 2).float()
    smaller = nn.functional.interpolate(maps, (height, width), mode="bilinear", antialias=True)
    return smaller.permute(0, 2, 3, 1)


def mix(inputs: Tensor, shares: Tensor, how: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the batches with their rows mixed in pairs, by weight or by area, and so their shares of each class."""
    ways = {"mixup": ("mixup",), "cutmix": ("cutmix",), "both": ("mixup", "cutmix")}.get(how, ())
    if not ways or _draw(generator, 1).item() > MIXED:
        return inputs, shares
    way = ways[int(_draw(generator, 1).item() * len(ways))]
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    part = float(_draw(generator, 1).item())
    if way == "cutmix" and inputs.ndim == 4:
        inputs, part = _paste(inputs, order, part, generator)
    else:
        values = inputs.float()
        inputs = torch.lerp(values[order], values, part)
    return inputs, torch.lerp(shares[order], shares, part)


def _draw(generator: torch.Generator, count: int) -> Tensor:
    """Numbers from 0 to 1."""
    return torch.rand(count, generator=generator)


def _swing(generator: torch.Generator, count: int, strength: float) -> Tensor:
    """Numbers from minus to plus `strength`."""
    return (2 * _draw(generator, count) - 1) * strength


def _move(pictures: Tensor, how: Augment, generator: torch.Generator) -> Tensor:
    """Shifted by whole pixels, what comes in mirrored at the edge, and flipped, in one look-up."""
    rows, height, width, _ = pictures.shape
    if not how.flips and how.shift <= 0:
        return pictures
    device = pictures.device
    drawn = (_swing(generator, rows, how.shift * side).round().long() for side in (height, width))
    down, right = (shift.to(device) for shift in drawn)
    ys = _mirror(torch.arange(height, device=device) + down[:, None], height)
    xs = _mirror(torch.arange(width, device=device) + right[:, None], width)
    if how.flips:
        is_flipped = (_draw(generator, rows) < 0.5).to(device)
        xs = torch.where(is_flipped[:, None], width - 1 - xs, xs)
    first = torch.arange(rows, device=device)[:, None, None] * height
    return pictures.reshape(rows * height * width, -1)[(first + ys[:, :, None]) * width + xs[:, None, :]]


def _mirror(places: Tensor, side: int) -> Tensor:
    """Places outside 0 .. side - 1 come back in; shifts are shorter than a side."""
    places = places.abs()
    return (side - 1 - (side - 1 - places).abs()).clamp(min=0)


def _warp(pictures: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Turned, zoomed and sheared, each by its own amount."""
    rows, height, width, _ = pictures.shape
    turn, shear = _swing(generator, rows, strength * TURN), _swing(generator, rows, strength * SHEAR)
    zoom = torch.exp(_swing(generator, rows, strength * ZOOM))
    across = width / height  # a turn in pixels, told in a frame from -1 to 1
    first = torch.stack([turn.cos() * zoom, (shear - turn.sin()) * zoom / across, torch.zeros(rows)], dim=1)
    second = torch.stack([turn.sin() * zoom * across, turn.cos() * zoom, torch.zeros(rows)], dim=1)
    frame = torch.stack([first, second], dim=1).to(pictures.device)
    grid = nn.functional.affine_grid(frame, [rows, 1, height, width], align_corners=False)
    maps = pictures.permute(0, 3, 1, 2).float()
    warped = nn.functional.grid_sample(maps, grid, padding_mode="reflection", align_corners=False)
    return warped.clamp(0, 255).permute(0, 2, 3, 1)


def _recolour(pictures: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Brighter or darker, with more or less contrast and colour."""
    rows, channels = len(pictures), pictures.shape[-1]

    def scale(most: float) -> Tensor:
        return torch.exp(_swing(generator, rows, strength * most)).to(pictures.device)[:, None, None, None]

    values = pictures.float() * scale(BRIGHTNESS)
    mean = values.mean(dim=(1, 2, 3), keepdim=True)
    values = torch.lerp(mean, values, scale(CONTRAST))
    if channels == 3:
        grey = (values * torch.tensor(LUMA, device=values.device)).sum(dim=-1, keepdim=True)
        values = torch.lerp(grey, values, scale(SATURATION))
    return values.clamp(0, 255)


def _erase(pictures: Tensor, side_share: float, generator: torch.Generator) -> Tensor:
    """A grey square somewhere on each; it may reach over the edge, so that every place is hidden equally often."""
    rows, height, width, _ = pictures.shape
    side = side_share * min(height, width)
    middles = [(_draw(generator, rows)[:, None] * length).to(pictures.device) for length in (height, width)]
    inside = [
        (torch.arange(length, device=pictures.device) + 0.5 - middle).abs() < side / 2
        for length, middle in zip((height, width), middles, strict=True)
    ]
    is_hidden = inside[0][:, :, None] & inside[1][:, None, :]
    return pictures.masked_fill(is_hidden.unsqueeze(-1), int(GREY))


def _paste(pictures: Tensor, order: Tensor, part: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """A rectangle of other pictures on each, about 1 - `part` of the area; and what share is left."""
    height, width = pictures.shape[1:3]
    ends = []
    for length in (height, width):
        half = length * math.sqrt(1 - part) / 2
        middle = float(_draw(generator, 1).item()) * length
        ends.append((max(0, round(middle - half)), min(length, round(middle + half))))
    (top, bottom), (left, right) = ends
    pasted = pictures.clone()
    pasted[:, top:bottom, left:right] = pictures[order, top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / (height * width)
