"""A convolution per channel on a widened map (Sandler et al. 2018, "MobileNetV2": inverted residual, MBConv).

Few operations for its answers, so a row costs little; on a CPU it trains slower than its operations promise.
"""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.neural.vision.parts import (
    Skipped,
    SqueezeExcite,
    Stride,
    Style,
    conv,
    make_activation,
    make_norm,
    make_shortcut,
)

WIDER = 4


class Inverted(nn.Module):
    """The inverted residual block; its sum is left as it is, without an activation."""

    def __init__(self, width_in: int, width_out: int, stride: Stride, style: Style) -> None:
        super().__init__()
        inner = WIDER * width_in
        branch: list[nn.Module] = [
            *(conv(width_in, inner, 1), make_norm(inner, style), make_activation(style)),
            *(conv(inner, inner, style.kernel, stride, inner), make_norm(inner, style), make_activation(style)),
        ]
        if style.squeeze_excite:
            branch.append(SqueezeExcite(inner))
        branch += [conv(inner, width_out, 1), make_norm(width_out, style, is_last=True)]
        shortcut = make_shortcut(width_in, width_out, stride, style)
        self.sum = Skipped(nn.Sequential(*branch), shortcut, style.drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width_in, height, width) -> (rows, width_out, height / stride, width / stride)."""
        return self.sum(x)  # type: ignore[no-any-return]  # torch's modules are untyped
