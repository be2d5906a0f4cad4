"""A convolution between two mixes of channels, on a quarter of the width (He et al. 2015, bottleneck block)."""

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

NARROWER = 4
NARROWEST = 8  # channels: below, threads and vector units run empty


class Bottleneck(nn.Module):
    """The bottleneck block: deep for its cost."""

    def __init__(self, width_in: int, width_out: int, stride: Stride, style: Style) -> None:
        super().__init__()
        inner = max(NARROWEST, width_out // NARROWER)
        branch: list[nn.Module] = [
            *(conv(width_in, inner, 1), make_norm(inner, style), make_activation(style)),
            *(conv(inner, inner, style.kernel, stride), make_norm(inner, style), make_activation(style)),
            *(conv(inner, width_out, 1), make_norm(width_out, style, is_last=True)),
        ]
        if style.squeeze_excite:
            branch.append(SqueezeExcite(width_out))
        shortcut = make_shortcut(width_in, width_out, stride, style)
        self.sum = Skipped(nn.Sequential(*branch), shortcut, style.drop_path)
        self.activation = make_activation(style)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width_in, height, width) -> (rows, width_out, height / stride, width / stride)."""
        return self.activation(self.sum(x))  # type: ignore[no-any-return]  # torch's modules are untyped
