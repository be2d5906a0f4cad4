"""A model of an earlier run as an encoder: the network among its members that weighs most, without its head.

Needs no package and no net. Its first fold is taken: folds of one configuration know about the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

import search_spaces
from automl.errors import ArtifactError, InputError
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal
from automl.modalities.encoders.shapes import shape_as_json, shape_from_json
from automl.places import inside
from search_spaces.knobs import known

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "manifest.json"
# what reading a damaged model raises
BROKEN = (SafetensorError, ValueError, KeyError, TypeError, IndexError, OSError, RuntimeError)


def claims(place: str) -> bool:
    """A run folder or a saved model."""
    return _model(Path(place)) is not None


def read(place: str) -> Checkpoint:
    """The network of a saved model; InputError where it has none."""
    from search_spaces.neural.restored import restore

    folder = _model(Path(place)) or Path(place)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        members = [m for m in manifest["members"] if _has_network(m["family"])]
        if not members:
            families = ", ".join(sorted({str(m["family"]) for m in manifest["members"]}))
            raise InputError(
                f"weights={place!r} has no network on images or sounds, only {families}. Give a model that has one: "
                "a run with route='neural', for instance."
            )
        best = max(members, key=lambda m: float(m["weight"]))
        part = best["parts"][0]["learner"]
        facts = json.loads(_whole(folder, f"{part}/network.json", manifest["files"]))
        weights = _whole(folder, f"{part}/weights.safetensors", manifest["files"])
        shape = shape_as_json(shape_from_json(facts["shape"]))
        network: Any = restore(lambda: _network(best["family"], facts["params"], shape), weights)
    except (InputError, ArtifactError):
        raise
    except BROKEN as problem:
        raise ArtifactError(f"weights={place!r} is damaged: {problem}. Copy the whole folder again.") from problem
    width = _behead(network)
    media = "image" if shape["image"] else "audio"
    told = {"media": media, "family": best["family"], "params": facts["params"], "shape": shape}
    return seal(
        "automl", f"{best['family']} of {folder.resolve().parent.name}", told, _wrapped(network, told, 0), width
    )


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights."""
    network = _network(facts["family"], facts["params"], facts["shape"])
    _behead(network)
    return _wrapped(network, facts, rate)


KIND = CheckpointKind("automl", claims, read, build)


def _model(folder: Path) -> Path | None:
    return next((place for place in (folder, folder / "model") if (place / MANIFEST).is_file()), None)


def _has_network(family: str) -> bool:
    found = search_spaces.get(family)
    return found.route == "neural" and found.is_coursed and not found.reads_all


def _whole(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    content = inside(folder, name, ArtifactError).read_bytes()
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise ArtifactError(f"{name!r} in {str(folder)!r} is not what was saved. Copy the whole folder again.")
    return content


def _network(family: str, params: Mapping[str, Any], shape: Mapping[str, Any]) -> Any:
    """As it was trained, head and all."""
    wanted = search_spaces.get(family)
    return wanted.build(known(wanted.space, params), shape_from_json(shape))


def _behead(network: Any) -> int:
    """Take off the outermost layer of that name; how many numbers it was given."""
    from torch import nn

    for module in network.modules():
        head = getattr(module, "head", None)
        if isinstance(head, nn.Linear):
            module.head = nn.Identity()
            return int(head.in_features)
    raise InputError(f"a {type(network).__name__} has no head to take off. Give a model with another network.")


def _wrapped(network: Any, facts: Mapping[str, Any], rate: int) -> nn.Module:
    """Behind what makes pictures and sounds of any size fit it."""
    from torch import Tensor, nn

    from automl.modalities.encoders import fitting

    shape = shape_from_json(facts["shape"])

    class OwnNetwork(nn.Module):
        """Rows of a store -> what the network says of them."""

        def __init__(self) -> None:
            super().__init__()
            self.body = network

        def forward(self, x: Tensor) -> Tensor:
            if shape.image is not None:
                height, width, channels = shape.image
                fitted = fitting.pictures(x, (height, width), channels).permute(0, 2, 3, 1)
                return self.body(fitted)  # type: ignore[no-any-return]  # torch's modules are untyped
            samples, known = shape.sound or (x.shape[1], rate)
            waves = fitting.resampled(x.float(), rate, known)
            return fitting.by_stretches(waves, samples, self.body)

    return OwnNetwork()
