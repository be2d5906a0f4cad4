"""A network of the library timm: `timm:NAME` from weights that were fetched before, `hub:timm/NAME` fetches them.

timm imports torchvision, so it is often there and cannot be used; that is told, and never a crash.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import InputError, OptionError
from automl.messages import one_line
from automl.modalities.encoders import caches
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX, ON_HUB = "timm:", "hub:timm/"
BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)


def claims(place: str) -> bool:
    """timm:NAME or hub:timm/NAME."""
    return place.startswith((PREFIX, ON_HUB))


def require() -> Any:
    """The library; InputError says how to get it, or what is wrong with it."""
    try:
        import timm
    except ModuleNotFoundError as problem:
        raise InputError(
            f"timm:NAME needs a package that is not installed, {problem.name}. Run: pip install timm, with the "
            "torchvision that belongs to your torch; or give the folder of a transformers checkpoint."
        ) from problem
    except (ImportError, RuntimeError, AttributeError, OSError) as problem:
        raise InputError(
            f"timm cannot be imported: {one_line(problem)}. It needs the torchvision that belongs to your torch; "
            "or give the folder of a transformers checkpoint."
        ) from problem
    return timm


def read(place: str) -> Checkpoint:
    """The network of that name with its weights, without its head."""
    library, name = require(), place.removeprefix(PREFIX).removeprefix(ON_HUB)
    given: dict[str, Any] = {}
    if place.startswith(PREFIX):
        given["pretrained_cfg_overlay"] = {"file": str(_fetched(name))}
    try:
        model = library.create_model(name, pretrained=True, num_classes=0, **given)
    except BROKEN as problem:
        raise OptionError(
            f"weights={place!r} cannot be had: {one_line(problem)[:160]}. Check the name and the net, or give the "
            "folder of a checkpoint."
        ) from problem
    told = model.pretrained_cfg
    channels, height, width = told["input_size"]
    facts = {
        "media": "image",
        "name": name,
        "sides": [height, width],
        "channels": channels,
        "mean": list(told["mean"]),
        "deviation": list(told["std"]),
    }
    return seal("timm", name, facts, _wrapped(model, facts), int(model.num_features))


def _fetched(name: str) -> Path:
    """The file of weights that was fetched before."""
    if (here := caches.snapshot(f"{caches.TIMM}/{name}")) is None:
        raise OptionError(
            f"weights='{PREFIX}{name}' were not fetched before. To download them give '{ON_HUB}{name}'; else give the "
            "folder of a checkpoint."
        )
    return min(here.glob("*.safetensors"))


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights."""
    del rate
    return _wrapped(require().create_model(facts["name"], pretrained=False, num_classes=0), facts)


KIND = CheckpointKind("timm", claims, read, build, require)


def _wrapped(model: Any, facts: Mapping[str, Any]) -> nn.Module:
    from torch import nn

    from automl.modalities.encoders import fitting

    class TimmNetwork(nn.Module):
        """Pictures of any size -> what the model says of each."""

        def __init__(self) -> None:
            super().__init__()
            self.prepared, self.model = fitting.FittedPictures(facts), model

        def forward(self, x: Tensor) -> Tensor:
            said: Tensor = self.model(self.prepared(x))
            return said.float()

    return TimmNetwork()
