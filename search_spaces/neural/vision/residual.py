"""Two convolutions beside a shortcut (He et al. 2015, "Deep Residual Learning for Image Recognition", basic block)."""

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


class Residual(nn.Module):
    """The basic residual block."""

    def __init__(self, width_in: int, width_out: int, stride: Stride, style: Style) -> None:
        super().__init__()
        branch: list[nn.Module] = [
            conv(width_in, width_out, style.kernel, stride),
            make_norm(width_out, style),
            make_activation(style),
            conv(width_out, width_out, style.kernel),
            make_norm(width_out, style, is_last=True),
        ]
        if style.squeeze_excite:
            branch.append(SqueezeExcite(width_out))
        shortcut = make_shortcut(width_in, width_out, stride, style)
        self.sum = Skipped(nn.Sequential(*branch), shortcut, style.drop_path)
        self.activation = make_activation(style)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width_in, height, width) -> (rows, width_out, height / stride, width / stride)."""
        return self.activation(self.sum(x))  # type: ignore[no-any-return]  # torch's modules are untyped
