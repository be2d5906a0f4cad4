"""Networks trained before, of whatever make: one file per kind of checkpoint, found through the table below.

Adding a kind is one new file plus one line here; its tests come from the table. What a kind reads becomes a Checkpoint,
plain data that a saved model takes along: it needs neither the place the weights came from nor a net.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from automl.errors import ArtifactError, InputError, OptionError
from automl.modalities.encoders import caches, foreign, packages
from search_spaces.checked import whole
from search_spaces.spec import MediaKind

if TYPE_CHECKING:
    import numpy as np

    from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind

WIDEST = 1_000_000  # numbers that a saved network may say of a row

_KINDS = {  # in the order in which they are asked whether a place is theirs
    "automl": "automl.modalities.encoders.own:KIND",
    "lite": "automl.modalities.encoders.lite:KIND",
    "timm": "automl.modalities.encoders.timm_:KIND",
    "sentences": "automl.modalities.encoders.sentences:KIND",
    "transformers": "automl.modalities.encoders.transformers_:KIND",
}


def names() -> list[str]:
    """Every kind's name."""
    return list(_KINDS)


def get(name: str) -> CheckpointKind:
    """The kind of that name; ValueError for an unknown one."""
    if name not in _KINDS:
        raise ValueError(f"unknown kind of checkpoint {name!r}. Known kinds: {', '.join(_KINDS)}.")
    module, attribute = _KINDS[name].split(":")
    kind: CheckpointKind = getattr(import_module(module), attribute)
    return kind


def read(place: str) -> Checkpoint:
    """The network at a place, without its head; an error in one line says why there is none."""
    if place.startswith(packages.PREFIX) and packages.named(place).kind not in _KINDS:
        raise OptionError(f"weights={place!r} cannot be read yet: no kind of checkpoint is for them. Give others.")
    for name in _KINDS:
        kind = get(name)
        if kind.claims(place):
            import torch

            with torch.random.fork_rng(
                devices=[]
            ):  # libraries draw numbers on the way; the caller's own are left alone
                return kind.read(place)
    raise OptionError(
        f"weights={place!r} is no checkpoint: there is no such folder, or neither manifest.json nor config.json in it. "
        "Give a run or saved model of automl, the folder of a transformers checkpoint, package:NAME or hub:NAME."
    )


def places(media: MediaKind) -> list[str]:
    """Where such weights are on this machine: packages first, then what other programs left."""
    return [*(package.place for package in packages.installed(media, names())), *caches.found(media)]


def from_json(plain: Mapping[str, Any], weights: bytes | np.ndarray | None = None) -> Checkpoint:
    """What `as_json` of a checkpoint wrote; without weights it is the architecture alone."""
    from automl.modalities.encoders.checkpoint import Checkpoint

    try:
        foreign.refuse_code(plain["facts"], "what it is built from")
    except InputError as problem:
        raise ArtifactError(f"a saved network {problem}") from None
    whole(plain["width"], "the width of a network", 1, WIDEST)
    return Checkpoint(**plain, weights=weights)
