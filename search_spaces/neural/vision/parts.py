"""What blocks share: the style of a network, norms, activations, squeeze and excitation, ends of a network.

Maps are (rows, channels, height, width), laid out channels last, which nearly doubles the speed of convolutions on a
CPU. A stride is a pair, so that maps which are long one way shrink only that way in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Stride = tuple[int, int]

GROUP = 16  # channels that share a mean where the norm is by groups
SQUEEZE = 8  # channels for each number of a squeezed map
LEAST_SQUEEZED = 8
RESCALED = 1e-2  # least eigenvalue of patches, relative to the largest: fainter directions are noise


@dataclass(frozen=True)
class Style:
    """What all blocks of one network have in common."""

    kernel: int = 3
    activation: str = "relu"  # "relu" | "gelu" | "silu"
    norm: str = "batch"  # "batch" | "group"
    squeeze_excite: bool = False
    drop_path: float = 0.0  # share of the rows that skip a block while training


def make_norm(width: int, style: Style, *, is_last: bool = False) -> nn.Module:
    """A norm of `width` channels; the last one of a branch starts at zero, so that every branch starts as nothing."""
    if style.norm == "group":
        groups = next(g for g in range(max(1, width // GROUP), 0, -1) if width % g == 0)
        norm: nn.GroupNorm | nn.BatchNorm2d = nn.GroupNorm(groups, width)
    else:
        norm = nn.BatchNorm2d(width)
    if is_last:
        nn.init.zeros_(norm.weight)
    return norm


def make_activation(style: Style) -> nn.Module:
    """The activation of a style."""
    if style.activation == "relu":
        return nn.ReLU()
    return nn.GELU() if style.activation == "gelu" else nn.SiLU()


def conv(width_in: int, width_out: int, kernel: int, stride: Stride = (1, 1), groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size of the map but for its stride; a norm follows, so it has no shift."""
    made = nn.Conv2d(width_in, width_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out" if groups == 1 else "fan_in", nonlinearity="relu")
    return made


class SqueezeExcite(nn.Module):
    """Each channel scaled by what the whole map says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(LEAST_SQUEEZED, width // SQUEEZE)
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        scale = torch.sigmoid(self.up(torch.relu(self.down(x.mean(dim=(2, 3))))))
        return x * scale[:, :, None, None].to(x.dtype)


class Skipped(nn.Module):
    """A branch added to its input, or to its input made to fit; some rows of a training batch skip the branch."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, drop_path: float) -> None:
        super().__init__()
        self.branch, self.shortcut, self.drop_path = branch, shortcut, drop_path

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        said = self.branch(x)
        if self.training and self.drop_path > 0:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop_path
            said = said * (kept / (1 - self.drop_path)).to(said.dtype)
        summed: Tensor = self.shortcut(x) + said
        return summed


def make_shortcut(width_in: int, width_out: int, stride: Stride, style: Style) -> nn.Module:
    """What lies beside a branch: nothing where shapes agree, else a mean over the stride and a mix of channels."""
    parts: list[nn.Module] = []
    if stride != (1, 1):
        parts.append(nn.AvgPool2d(stride, ceil_mode=True))
    if width_in != width_out:
        parts += [conv(width_in, width_out, 1), make_norm(width_out, style)]
    return nn.Sequential(*parts)


class Whitened(nn.Module):
    """Patches of the input turned to directions of equal spread, each with both signs, then mixed to `width` channels.

    The directions are found on training pictures before training (`learn`) and stay as they are; learning starts where
    a plain first layer arrives after epochs.
    """

    directions: Tensor

    def __init__(self, channels: int, width: int, kernel: int, style: Style) -> None:
        super().__init__()
        self.channels, self.kernel = channels, kernel
        count = channels * kernel * kernel
        self.register_buffer("directions", torch.randn(count, channels, kernel, kernel) / count**0.5)
        self.mix = nn.Conv2d(2 * count, width, 1, bias=False)
        self.after = nn.Sequential(make_norm(width, style), make_activation(style))

    def learn(self, x: Tensor) -> None:
        """Find the directions on normalised pictures (rows, channels, height, width)."""
        patches = nn.functional.unfold(x, self.kernel, padding=self.kernel // 2, stride=2)
        flat = patches.transpose(1, 2).reshape(-1, patches.shape[1]).double()
        flat = flat - flat.mean(dim=0)
        values, vectors = torch.linalg.eigh(flat.T @ flat / max(1, len(flat) - 1))
        scale = (values.clamp(min=0) + RESCALED * float(values.max()) + 1e-6).rsqrt()
        self.directions.copy_((vectors * scale).T.reshape(self.directions.shape))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, height, width) -> (rows, width, height, width)."""
        seen = nn.functional.conv2d(x, self.directions, padding=self.kernel // 2)
        return self.after(self.mix(torch.cat([seen, -seen], dim=1).relu()))  # type: ignore[no-any-return]  # torch's modules are untyped


class Summary(nn.Module):
    """A map as one vector: the mean of each channel, its largest value, or both."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """(rows, channels, height, width) -> (rows, channels or twice as many)."""
        said = []
        if self.pool in ("average", "both"):
            said.append(x.mean(dim=(2, 3)))
        if self.pool in ("max", "both"):
            said.append(x.amax(dim=(2, 3)))
        return torch.cat(said, dim=1) if len(said) > 1 else said[0]
