"""Blocks of convolutional networks: one file per block, found through the table below.

Adding a block is one new file plus one line here: the search and the tests find it through the table. A block is a
module made by `Block(width_in, width_out, stride, style)` that takes and gives (rows, width, height, width) and shrinks
the map by its stride. Importing a block imports torch; importing this file does not.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from search_spaces.neural.vision.parts import Stride, Style

_BLOCKS = {
    "plain": "search_spaces.neural.vision.plain:Plain",
    "residual": "search_spaces.neural.vision.residual:Residual",
    "bottleneck": "search_spaces.neural.vision.bottleneck:Bottleneck",
    "inverted": "search_spaces.neural.vision.inverted:Inverted",
    "fused": "search_spaces.neural.vision.fused:Fused",
    "convnext": "search_spaces.neural.vision.convnext:ConvNext",
}


def names() -> tuple[str, ...]:
    """Every block's name; the plainest first."""
    return tuple(_BLOCKS)


def get(name: str) -> Callable[[int, int, Stride, Style], nn.Module]:
    """The block of that name; ValueError for an unknown one."""
    if name not in _BLOCKS:
        raise ValueError(f"unknown block {name!r}. Known blocks: {', '.join(_BLOCKS)}.")
    module, attribute = _BLOCKS[name].split(":")
    block: Callable[[int, int, Stride, Style], nn.Module] = getattr(import_module(module), attribute)
    return block
