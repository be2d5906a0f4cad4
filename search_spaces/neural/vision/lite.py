"""EfficientNet-Lite (Google 2020, after Tan and Le 2019): inverted blocks without squeeze and excitation, for any CPU.

A network whose weights come from elsewhere: nothing of it is searched, so it is no entry of the table of blocks. Names
of modules are those of the published weights. The classifier is left off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

WIDTHS, DEPTHS = (1.0, 1.0, 1.1), (1.0, 1.1, 1.2)  # of Lite0, Lite1, Lite2, relative to Lite0
STAGES = (  # blocks, kernel, stride, times wider inside, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, PUT_OUT = 32, 1280  # the same for all sizes
MULTIPLE = 8  # of which channels are
EPSILON, MOMENTUM = 1e-3, 0.01  # of the norms, as they were trained


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow does it: what is odd goes to the right and the bottom."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        even = kernel // 2 if stride == 1 else 0
        super().__init__(width_in, width_out, kernel, stride, padding=even, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The map, its sides divided by the stride and rounded up."""
        if self.stride[0] > 1:
            down, across = (self._short(side) for side in x.shape[2:])
            x = nn.functional.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(x)

    def _short(self, side: int) -> int:
        """Pixels that a side lacks."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=EPSILON, momentum=MOMENTUM)


class LiteBlock(nn.Module):
    """Wider, each channel over its surroundings, narrow again; beside its input where shapes agree."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = width_in * wider
        self.is_wider, self.is_skipped = wider > 1, stride == 1 and width_in == width_out
        if self.is_wider:
            self._expand_conv, self._bn0 = Same(width_in, inner, 1), _norm(inner)
        self._depthwise_conv, self._bn1 = Same(inner, inner, kernel, stride, groups=inner), _norm(inner)
        self._project_conv, self._bn2 = Same(inner, width_out, 1), _norm(width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width_in, height, width) -> (rows, width_out, height / stride, width / stride)."""
        inner = nn.functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.is_wider else x
        inner = nn.functional.relu6(self._bn1(self._depthwise_conv(inner)), inplace=True)
        said: Tensor = self._bn2(self._project_conv(inner))
        return said + x if self.is_skipped else said


class Lite(nn.Module):
    """Pictures (rows, 3, height, width) -> (rows, width): means of the last map, and of those that stages end with.

    On 1,200 small pictures of ten classes, at 96 px, a line was right on 0.705 of new ones from the last map alone,
    on 0.738 from all.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        widths, depths = WIDTHS[size], DEPTHS[size]
        self._conv_stem, self._bn0 = Same(3, STEM, 3, 2), _norm(STEM)
        blocks, width_in = list[LiteBlock](), STEM
        ends, widths_out = list[int](), list[int]()
        for place, (count, kernel, stride, wider, channels) in enumerate(STAGES):
            is_end = place in (0, len(STAGES) - 1)  # the first and the last stage have one block in all sizes
            width_out = _rounded(channels * widths)
            for number in range(count if is_end else math.ceil(count * depths)):
                blocks.append(LiteBlock(width_in, width_out, kernel, 1 if number else stride, wider))
                width_in = width_out
            ends.append(len(blocks) - 1)
            widths_out.append(width_in)
        self.depths = frozenset(ends[1:-1])  # blocks whose maps are told as well: what is fine is lost behind them
        self.width = sum(widths_out[1:-1]) + PUT_OUT
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = Same(width_in, PUT_OUT, 1), _norm(PUT_OUT)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

    def forward(self, x: Tensor) -> Tensor:
        """Pooled over the maps, the last one first."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)), inplace=True)
        means = []
        for place, block in enumerate(self._blocks):
            x = block(x)
            if place in self.depths:
                means.append(x.mean(dim=(2, 3)))
        x = nn.functional.relu6(self._bn1(self._conv_head(x)), inplace=True)
        return torch.cat([x.mean(dim=(2, 3)), *means], dim=1)


def _rounded(channels: float) -> int:
    """The nearest multiple that takes off at most a tenth."""
    nearest = max(MULTIPLE, int(channels + MULTIPLE / 2) // MULTIPLE * MULTIPLE)
    return nearest + MULTIPLE if nearest < 0.9 * channels else nearest


def folded(network: Lite) -> Lite:
    """The network with its norms inside its convolutions, in place: for reading alone, and a good deal faster."""
    for convolution, norm, holder, name in list(_normed(network)):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        convolution.weight = nn.Parameter(convolution.weight * scale[:, None, None, None], requires_grad=False)
        convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)
        setattr(holder, name, nn.Identity())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return network


def _normed(network: Lite) -> Iterator[tuple[Same, nn.BatchNorm2d, nn.Module, str]]:
    """Every convolution with the norm behind it, and where that stands."""
    yield network._conv_stem, network._bn0, network, "_bn0"
    yield network._conv_head, network._bn1, network, "_bn1"
    for block in network._blocks:
        assert isinstance(block, LiteBlock)
        if block.is_wider:
            yield block._expand_conv, block._bn0, block, "_bn0"
        yield block._depthwise_conv, block._bn1, block, "_bn1"
        yield block._project_conv, block._bn2, block, "_bn2"
