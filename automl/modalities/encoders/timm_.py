"""A network of the library timm: `timm:NAME` from weights that were fetched before, `hub:timm/NAME` fetches them.

timm imports torchvision, so it is often there and cannot be used; that is told, and never a crash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import InputError, OptionError
from automl.messages import one_line, shown
from automl.modalities.encoders import caches, transformers_
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX, ON_HUB = "timm:", "hub:timm/"
NAME = re.compile(r"\w[\w.-]*")
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
    file = _fetched(name) if place.startswith(PREFIX) else _downloaded(library, name)
    given = {"pretrained_cfg_overlay": {"file": str(file)}}  # safetensors: what timm finds itself may be a pickle
    try:
        model = library.create_model(_plain(name), pretrained=True, num_classes=0, **given)
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


def _downloaded(library: Any, name: str) -> Path:
    """The file of weights of that name on the hub."""
    told = library.get_pretrained_cfg(_plain(name))
    folder = transformers_.fetched(getattr(told, "hf_hub_id", None) or f"{caches.TIMM}/{name}")
    transformers_.refuse_pickles(folder, f"{ON_HUB}{name}")
    return min(folder.glob("*.safetensors"))


def _plain(name: str) -> str:
    """A name that timm itself knows; what names a place would have its config read there."""
    if not NAME.fullmatch(name):
        raise InputError(f"{shown(name)} is no name of a network of timm. Give one like 'resnet50.a1_in1k'.")
    return name


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights."""
    del rate
    return _wrapped(require().create_model(_plain(str(facts["name"])), pretrained=False, num_classes=0), facts)


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
