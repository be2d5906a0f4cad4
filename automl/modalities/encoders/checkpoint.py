"""A trained network without its head, as data: facts as JSON, weights as the bytes of a safetensors file.

Every kind of checkpoint is turned into this one when it is read, so that workers, run folders and saved models know
only one form; what is particular to a kind is how its network is built anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.spec import MediaKind

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class CheckpointKind:
    """One make of checkpoints.

    `read` checks all that can be checked and gives errors in one line; `build` makes the bare network: rows as a store
    holds them -> (rows, width) float32, on the device where they are; pictures and sounds of any size and rate. Texts
    come as an array of str, of any length, and the network makes its own tokens and batches of them.
    """

    name: str
    claims: Callable[[str], bool]  # whether a place is of this make, by its looks
    read: Callable[[str], Checkpoint]
    build: Callable[[Mapping[str, Any], int], nn.Module]  # facts, and of sounds the rate of the store
    require: Callable[[], object] = lambda: None  # raises InputError where what it needs is not installed
    sides: tuple[int, ...] = ()  # of pictures that it can be asked to look at, rising; empty: what its facts say


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was read. Equal keys mean equal networks."""

    kind: str
    name: str  # for people
    media: MediaKind
    width: int
    count: int  # of its weights
    facts: Mapping[str, Any]  # what the kind builds the network from
    key: str
    weights: bytes | np.ndarray | None = None  # of a safetensors file; None: the architecture alone

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self._told == other._told

    def __hash__(self) -> int:
        return hash(self._told)

    @property
    def _told(self) -> tuple[str, str, bool]:
        return self.kind, self.key, self.weights is None

    def build(self, rate: int = 0) -> Any:
        """The network, ready to predict; see spec.Encoder."""
        import torch

        from automl.modalities import encoders
        from search_spaces.neural.restored import restore

        def make() -> nn.Module:
            return encoders.get(self.kind).build(self.facts, rate)

        with torch.random.fork_rng(devices=[]):  # building draws numbers; the caller's own are left alone
            network = make() if self.weights is None else restore(make, bytes(self.weights))
        return network.eval()

    @property
    def sides(self) -> tuple[int, ...]:
        """Sides of pictures that it can be asked to look at, rising; none where it has its own."""
        from automl.modalities import encoders

        return encoders.get(self.kind).sides

    def at(self, side: int) -> Checkpoint:
        """The same network for pictures of another side, the nearest that it can be asked; itself where there is none.

        Its weights are the same; what it says is not, and so its key.
        """
        if not self.sides:
            return self
        nearest = min(self.sides, key=lambda known: abs(known - side))
        facts = {**self.facts, "sides": [nearest, nearest]}
        return replace(self, facts=facts, key=f"{self.key.split('@')[0]}@{nearest}")

    def as_json(self) -> dict[str, Any]:
        """All but its weights."""
        names = ("kind", "name", "media", "width", "count", "facts", "key")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        return f"{self.name} ({self.count / 1e6:.3g} million weights)"


def seal(kind: str, name: str, facts: Mapping[str, Any], network: nn.Module, width: int) -> Checkpoint:
    """The checkpoint of a network whose kind would build it from these facts; `facts` say its media."""
    from safetensors.torch import save

    state = {place: value.detach().cpu().clone().contiguous() for place, value in network.state_dict().items()}
    content = save(state)
    plain = json.dumps(facts, sort_keys=True)
    known = f"{plain} {width}".encode()  # what is told may grow while weights and facts stay
    key = hashlib.sha256(known + hashlib.sha256(content).digest()).hexdigest()[:16]
    count = sum(value.numel() for value in state.values())
    weights = np.frombuffer(content, dtype=np.uint8)  # an array is mapped by workers, where bytes would be copied
    return Checkpoint(kind, name, facts["media"], width, count, json.loads(plain), key, weights)
