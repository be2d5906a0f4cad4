"""Modules that networks share: columns on their way in, layers to stack.

Importing this file imports torch, so families import it inside `build`. Widths shrink as columns grow, so that a table
of thousands of columns costs no more memory than its rows do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.spec import Shape

WIDEST = 1024  # numbers that the embeddings of all columns of one kind may give together
CODE_WIDTH = 8  # numbers a categorical column becomes, where WIDEST allows it
FEWEST_EDGES = 3  # a column with fewer says nothing that one slope cannot say
START = 0.3  # deviation of embeddings at the start; at one, the first epochs are spent on shrinking them
BYTE = 256  # values of a byte


@cache
def has_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in asked)


class PiecewiseLinear(nn.Module):
    """Each numeric column as `width` learned curves that bend only at the column's own bin edges."""

    left: Tensor
    scale: Tensor

    def __init__(self, edges: Sequence[Sequence[float]], width: int) -> None:
        super().__init__()
        columns, bins = len(edges), max(len(column) for column in edges) - 1
        left, scale = torch.zeros(columns, bins), torch.zeros(columns, bins)  # a scale of zero: no such bin
        for j, column in enumerate(edges):
            ends = torch.tensor(column)
            left[j, : len(column) - 1] = ends[:-1]
            scale[j, : len(column) - 1] = 1 / (ends[1:] - ends[:-1])
        self.register_buffer("left", left, persistent=False)  # a rebuilt network has the same edges
        self.register_buffer("scale", scale, persistent=False)
        self.curve = nn.Parameter(torch.randn(columns, bins, width) * START / math.sqrt(bins))
        self.slope = nn.Parameter(torch.randn(columns, 1, width))
        self.shift = nn.Parameter(torch.zeros(columns, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, columns) -> (rows, columns * width)."""
        filled = ((x.unsqueeze(-1) - self.left) * self.scale).clamp(0, 1).transpose(0, 1)
        curves = torch.baddbmm(self.shift, filled, self.curve) + x.t().unsqueeze(-1) * self.slope
        return curves.transpose(0, 1).flatten(1)


class Codes(nn.Module):
    """Each categorical column as a learned vector per code; one table for all columns, so one look-up per batch."""

    starts: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.register_buffer("starts", starts, persistent=False)
        self.table = nn.Parameter(torch.randn(sum(sizes), width) * START)
        with torch.no_grad():
            self.table[starts] = 0  # code 0: nothing known, until training shows it

    def forward(self, codes: Tensor) -> Tensor:
        """(rows, columns) -> (rows, columns * width)."""
        return nn.functional.embedding(codes + self.starts, self.table).flatten(1)


class Columns(nn.Module):
    """All columns of a table as one vector: curves of the numbers that bend, the other numbers as they are, codes."""

    def __init__(self, shape: Shape, embedding: int) -> None:
        super().__init__()
        curved = [j for j, edges in enumerate(shape.edges) if len(edges) >= FEWEST_EDGES]
        self.curved, self.plain = curved, [j for j in range(len(shape.edges)) if j not in set(curved)]
        width = max(1, min(embedding, WIDEST // max(1, len(curved))))
        self.curves = PiecewiseLinear([shape.edges[j] for j in curved], width) if curved else None
        code_width = max(1, min(CODE_WIDTH, WIDEST // max(1, len(shape.sizes))))
        self.codes = Codes(shape.sizes, code_width) if shape.sizes else None
        self.width = width * len(curved) + len(self.plain) + code_width * len(shape.sizes)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """(rows, columns) of both kinds -> (rows, width)."""
        parts = [numbers[:, self.plain]] if self.plain else []
        if self.curves is not None:
            parts.append(self.curves(numbers[:, self.curved] if self.plain else numbers))
        if self.codes is not None:
            parts.append(self.codes(codes))
        return torch.cat(parts, dim=1)


class OnColumns(nn.Module):
    """A body on embedded columns, and a head that starts at zero: the first guess is what is common."""

    def __init__(self, columns: Columns, body: nn.Module, head: nn.Linear | Heads) -> None:
        super().__init__()
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        self.columns, self.body, self.head = columns, body, head

    def forward(self, numbers: Tensor, codes: Tensor) -> Any:
        """(rows, columns) of both kinds -> (rows, outputs), or (rows, members, outputs)."""
        return self.head(self.body(self.columns(numbers, codes)))


class Dropout(nn.Module):
    """Dropout at a byte of randomness per number: on a CPU torch's own takes longer than the layer before it."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.kept = share, max(1, round((1 - share) * BYTE))  # values of a byte that keep a number

    def forward(self, x: Tensor) -> Tensor:
        """Of the same shape."""
        if not self.training or self.kept == BYTE:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.share)
        drawn = torch.empty(x.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        is_kept = (drawn[: x.numel()] < self.kept).view(x.shape)
        return x * is_kept.view(torch.uint8).to(x.dtype).mul_(BYTE / self.kept)  # bytes, not truths: they turn faster


class Members(nn.Module):
    """Every row once for each member, its numbers with signs of the member's own: what drives members apart."""

    def __init__(self, width: int, members: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randint(0, 2, (members, 1, width)) * 2.0 - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, width) -> (members, rows, width)."""
        return x * self.scale.to(x.dtype)  # in the narrow type, where there is one: what follows is `members` as large


class Heads(nn.Module):
    """A head for each member."""

    def __init__(self, width: int, members: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(members, width, outputs))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(members, rows, width) -> (rows, members, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight).transpose(0, 1)
