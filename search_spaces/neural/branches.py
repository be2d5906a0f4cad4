"""The branches of a network that reads all parts of a table, and what joins them.

Importing this file imports torch, so families import it inside `build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Columns, Dropout
from search_spaces.neural.vision.body import Body, BodyPlan
from search_spaces.neural.vision.front import OnMedia, Picture, Sound
from search_spaces.spec import Branch, Params, Shape

FIRST = 0.5  # of the numbers that tell of a column so large a share of `dropout` is hidden, before any layer


class Told(nn.Module):
    """The numbers that tell of a column, said in fewer."""

    def __init__(self, params: Params, numbers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Dropout(FIRST * params["dropout"]), nn.Linear(numbers, params["branch"]), nn.SiLU(),
            Dropout(params["dropout"]),
        )  # fmt: skip

    def forward(self, numbers: Tensor) -> Tensor:
        """(rows, numbers) -> (rows, branch)."""
        said: Tensor = self.layers(numbers)
        return said


def make_eye(params: Params, branch: Branch) -> OnMedia:
    """What sees the pictures or spectrograms of a column themselves: rows of a store -> (rows, branch)."""
    if branch.sound is not None:
        sound = Sound(params, branch.sound)
        return OnMedia(sound, _body(params, sound.channels, sound.size))
    assert branch.image is not None
    height, width, channels = branch.image
    return OnMedia(Picture(channels, params["resolution"]), _body(params, channels, (height, width)))


def _body(params: Params, channels: int, size: tuple[int, int]) -> Body:
    """Whose head does not start at zero: another one follows that does, and together they would not learn."""
    body = Body(params["map"], BodyPlan(channels, size, params["branch"]))
    body.head.reset_parameters()
    return body


class OfColumn(nn.Module):
    """The branch of a decoded column: what it sees, what it is told, or both."""

    def __init__(self, params: Params, branch: Branch) -> None:
        super().__init__()
        self.eye = make_eye(params, branch) if branch.is_seen else None
        self.told = Told(params, branch.numbers) if branch.numbers else None
        self.width = params["branch"] * (branch.is_seen + bool(branch.numbers))
        self.silence = params["silence"]

    @property
    def inputs(self) -> int:
        """How many tensors it reads."""
        return (self.eye is not None) + (self.told is not None)

    def forward(self, *given: Tensor) -> Tensor:
        """The block, where it is seen, and what tells of it -> (rows, width)."""
        parts = [part for part in (self.eye, self.told) if part is not None]
        said = torch.cat([part(rows) for part, rows in zip(parts, given, strict=True)], dim=1)
        return silenced(said, self.silence) if self.training else said


def silenced(said: Tensor, share: float) -> Tensor:
    """What a branch says, but nothing of some rows; the others are louder, so that the mean stays."""
    if share <= 0:
        return said
    kept = torch.rand(len(said), 1, device=said.device) >= share
    return said * (kept / (1 - share)).to(said.dtype)


class Branches(nn.Module):
    """All branches, what joins them, and a head that starts at zero: the first guess is what is common."""

    def __init__(self, params: Params, shape: Shape) -> None:
        super().__init__()
        has_own = bool(shape.edges or shape.sizes)
        self.own = _of_table(params, shape) if has_own else None
        self.columns = nn.ModuleList(OfColumn(params, branch) for branch in shape.branches)
        joined = (params["width"] if has_own else 0) + sum(column.width for column in self._columns)
        self.join = nn.Sequential(nn.Linear(joined, params["width"]), nn.SiLU(), Dropout(params["dropout"]))
        self.head = nn.Linear(params["width"], shape.outputs)
        self.silence = params["silence"] if shape.branches else 0.0
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def _columns(self) -> list[OfColumn]:
        return [column for column in self.columns if isinstance(column, OfColumn)]

    def learn(self, _numbers: Tensor, _codes: Tensor, *given: Tensor) -> None:
        """Let each branch that sees maps measure some training rows before training."""
        for column, rows in zip(self._columns, self._shared(given), strict=True):
            if column.eye is not None:
                column.eye.learn(rows[0])

    def forward(self, numbers: Tensor, codes: Tensor, *given: Tensor) -> Tensor:
        """(rows, columns) of both kinds, then what each branch reads -> (rows, outputs)."""
        said: list[Any] = [column(*rows) for column, rows in zip(self._columns, self._shared(given), strict=True)]
        if self.own is not None:
            own = self.own(numbers, codes)
            said.insert(0, silenced(own, self.silence) if self.training else own)
        outputs: Tensor = self.head(self.join(torch.cat([part.float() for part in said], dim=1)))
        return outputs

    def _shared(self, given: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """The tensors of each branch."""
        shared, first = [], 0
        for column in self._columns:
            shared.append(tuple(given[first : first + column.inputs]))
            first += column.inputs
        return shared


class OfTable(nn.Module):
    """A table's own columns: embedded, then mixed."""

    def __init__(self, columns: Columns, layers: nn.Sequential) -> None:
        super().__init__()
        self.columns, self.layers = columns, layers

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """(rows, columns) of both kinds -> (rows, width)."""
        said: Tensor = self.layers(self.columns(numbers, codes))
        return said


def _of_table(params: Params, shape: Shape) -> OfTable:
    columns = Columns(shape, params["embedding"])
    layers: list[nn.Module] = []
    wide = columns.width
    for _ in range(params["depth"]):
        layers += [nn.Linear(wide, params["width"]), nn.SiLU(), Dropout(params["dropout"])]
        wide = params["width"]
    return OfTable(columns, nn.Sequential(*layers))


def empty_row(shape: Shape) -> tuple[Tensor, ...]:
    """A row of nothing, as a network of this shape reads it."""
    row = [torch.zeros(1, len(shape.edges)), torch.zeros(1, len(shape.sizes), dtype=torch.int64)]
    for branch in shape.branches:
        if branch.image is not None:
            row.append(torch.zeros(1, *branch.image, dtype=torch.uint8))
        elif branch.sound is not None:
            row.append(torch.zeros(1, branch.sound[0], dtype=torch.int16))
        if branch.numbers:
            row.append(torch.zeros(1, branch.numbers))
    return tuple(row)
