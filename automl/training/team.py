"""One training by several processes, each on a GPU of its own: all hold the same network, each learns from its part.

Every process serves itself the whole batch, changed by the same dice, and takes its part of the rows; gradients are
added up before each step, so that all take the same step and it is that of the whole batch. Clocks differ, so the first
process alone looks at its own, and tells the others where the course stands. A process alone is a team of one, and pays
nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from automl.training.network import Batch

APART = 7919  # between the seeds of two processes, whose dropout must not fall on the same places
FEWEST_ROWS = 2  # of a part: a norm over a batch has nothing to say about one row
PATIENCE_S = 600.0  # for the slowest of all; a dead one is noticed by who started it


@dataclass(frozen=True)
class Team:
    """A process among those that train one network."""

    rank: int = 0
    size: int = 1
    halvings: int = 0  # of the batches, before the training begins: memory ran out before

    @property
    def leads(self) -> bool:
        """Whether its clock, its checkpoints and its result are those of all."""
        return self.rank == 0

    def seed(self, seed: int) -> int:
        """Of what may be drawn by each for itself."""
        return seed + APART * self.rank

    def part(self, batch: Batch) -> tuple[Batch, int]:
        """Its rows of a batch, and how many rows the whole has; of a small one each learns from all."""
        count = len(batch.target)
        if self.size == 1 or count < FEWEST_ROWS * self.size:
            return batch, count
        own = slice(self.rank, None, self.size)
        weight = None if batch.weight is None else batch.weight[own]
        return replace(
            batch, inputs=tuple(x[own] for x in batch.inputs), target=batch.target[own], weight=weight
        ), count

    def own(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Every so many-th of the batches that are only looked at."""
        for place, batch in enumerate(batches):
            if place % self.size == self.rank:
                yield batch

    def scale(self, count: int, own: int) -> float:
        """What a mean over its part is multiplied by, so that the mean of all parts' gradients is that of the batch."""
        return own * self.size / count if own < count else 1.0

    def agree(self, values: Sequence[float], device: torch.device) -> list[float]:
        """What the first process says."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=device)
        torch.distributed.broadcast(told, 0)
        return [float(value) for value in told]

    def sums(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Over all processes, to the same bits in each."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(told)
        return self.agree([float(value) for value in told], device)

    def align(self, network: nn.Module) -> None:
        """All begin from the first one's weights."""
        if self.size > 1:
            for value in network.state_dict().values():
                torch.distributed.broadcast(value, 0)

    def mean_gradients(self, network: nn.Module) -> None:
        """Each process's gradients become the mean of all."""
        if self.size > 1:
            self._mean([p.grad for p in network.parameters() if p.grad is not None])

    def mean_buffers(self, network: nn.Module) -> None:
        """What norms saw of their part of each batch becomes what all saw."""
        if self.size > 1:
            self._mean([value for value in network.buffers() if value.is_floating_point()])

    @torch.no_grad()
    def _mean(self, tensors: list[Tensor]) -> None:
        """In one message, since many small ones wait for each other."""
        if not tensors:
            return
        flat = torch.cat([tensor.detach().flatten().float() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        parts = torch.split(flat / self.size, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Team()
_here = [ALONE]


def here() -> Team:
    """The team of this process."""
    return _here[-1]


@contextmanager
def joined(team: Team, folder: Path, device: torch.device) -> Iterator[None]:
    """In a team that meets in a folder of this machine."""
    backend = "nccl" if device.type == "cuda" and torch.distributed.is_nccl_available() else "gloo"
    torch.distributed.init_process_group(
        backend,
        init_method=f"file://{folder / 'meeting'}",
        rank=team.rank,
        world_size=team.size,
        timeout=timedelta(seconds=PATIENCE_S),
    )
    _here.append(team)
    try:
        yield
    finally:
        _here.pop()
    torch.distributed.destroy_process_group()  # not after an error: to part in order, all have to be there
