"""From a map to answers: stem, stages of blocks, a summary, a head. Pictures and spectrograms share it.

The stem strides until the map is about `map_px`, so a configuration means the same on pictures of any size, and stages
stop shrinking a side that is used up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from search_spaces.neural import vision
from search_spaces.neural.vision.parts import (
    Stride,
    Style,
    Summary,
    Whitened,
    conv,
    make_activation,
    make_norm,
)
from search_spaces.neural.vision.plain import Plain
from search_spaces.spec import Params

LEAST_SIDE = 4  # of a map that is halved
SLACK = 1.25  # times map_px at most: 40 px are not worth a stride that 64 px are
MULTIPLE = 8  # of channels: vector units work on so many


@dataclass(frozen=True)
class BodyPlan:
    """What a body must know of its input and output."""

    channels: int
    size: tuple[int, int]  # height and width of the map that comes in
    outputs: int


class Body(nn.Module):
    """(rows, channels, height, width), normalised -> (rows, outputs). The head starts at zero: a guess of nothing."""

    def __init__(self, params: Params, plan: BodyPlan) -> None:
        super().__init__()
        style = make_style(params)
        widths = [_round(params["width"] * params["growth"] ** i) for i in range(params["stages"] + 1)]
        stride, size = _stem_stride(plan.size, params["map_px"])
        self.stem = make_stem(params["stem"], (plan.channels, widths[0]), stride, style)
        self.stages = nn.Sequential()
        for i in range(params["stages"]):
            stride, size = _halve(size)
            depth = params[f"depth_{i + 1}"]
            self.stages.append(_stage(params, (widths[i], widths[i + 1]), (stride, depth), style))
        self.summary = Summary(params["pool"])
        self.dropout = nn.Dropout(params["dropout"])
        self.head = nn.Linear(widths[-1] * (2 if params["pool"] == "both" else 1), plan.outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def learn(self, x: Tensor) -> None:
        """Let the stem see normalised training maps before training, if it wants to."""
        first = self.stem[-1]
        if isinstance(first, Whitened):
            first.learn(self.stem[:-1](x))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs."""
        return self.head(self.dropout(self.summary(self.stages(self.stem(x)))))  # type: ignore[no-any-return]  # torch's modules are untyped


def make_style(params: Params) -> Style:
    """The part of a configuration that all blocks share."""
    return Style(**{name: params[name] for name in ("kernel", "activation", "norm", "squeeze_excite", "drop_path")})


def make_stem(name: str, widths: tuple[int, int], stride: Stride, style: Style) -> nn.Sequential:
    """The first layer: "plain", a convolution; "whitened", directions found on the training rows."""
    channels, width = widths
    if name == "whitened":
        shrink = [nn.AvgPool2d(stride, ceil_mode=True)] if stride != (1, 1) else []
        return nn.Sequential(*shrink, Whitened(channels, width, style.kernel, style))
    kernel = max(style.kernel, 2 * max(stride) - 1)  # every pixel is seen, and some twice
    return nn.Sequential(conv(channels, width, kernel, stride), make_norm(width, style), make_activation(style))


def _stage(params: Params, widths: tuple[int, int], rhythm: tuple[Stride, int], style: Style) -> nn.Sequential:
    """A shrinking layer and `depth` blocks; where blocks shrink by themselves, the first of them does."""
    (before, after), (stride, depth) = widths, rhythm
    block = vision.get(params["block"])
    first: Any = block if params["down"] == "block" else Plain
    return nn.Sequential(
        first(before, after, stride, style), *(block(after, after, (1, 1), style) for _ in range(depth))
    )


def _stem_stride(size: tuple[int, int], wanted: int) -> tuple[Stride, tuple[int, int]]:
    stride = [1, 1]
    for axis, side in enumerate(size):
        while side / stride[axis] > SLACK * wanted:
            stride[axis] *= 2
    return (stride[0], stride[1]), (-(-size[0] // stride[0]), -(-size[1] // stride[1]))


def _halve(size: tuple[int, int]) -> tuple[Stride, tuple[int, int]]:
    stride = (2 if size[0] >= LEAST_SIDE else 1, 2 if size[1] >= LEAST_SIDE else 1)
    return stride, (-(-size[0] // stride[0]), -(-size[1] // stride[1]))


def _round(width: float) -> int:
    return max(MULTIPLE, round(width / MULTIPLE) * MULTIPLE)
