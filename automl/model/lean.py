"""Saved models without what a copy need not hold: weights that come as packages, rows of the data to explain by.

Of weights they name the package, and refuse to do without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.errors import ArtifactError, AutomlError
from automl.explain import background
from automl.modalities import encoders
from automl.modalities.encoders import kept, packages
from automl.places import inside
from automl.runtime.durable import write_whole
from search_spaces.spec import MediaKind

ELSEWHERE = "elsewhere"  # in the manifest: kind of data -> the place of its weights, and their key


def strip(folder: Path) -> None:
    """Take out of a saved model the weights that this machine has as a package; those of other makes stay."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    elsewhere = leave_out(manifest)
    for media in elsewhere:
        file = f"{kept.FOLDER}/{media}/{kept.WEIGHTS}"
        inside(folder, file, ArtifactError).unlink()
        del manifest["files"][file]
    text = json.dumps({**manifest, ELSEWHERE: elsewhere}, indent=1, ensure_ascii=False)
    write_whole(folder / "manifest.json", text.encode("utf-8", "backslashreplace"))


def leave_rows(folder: Path) -> None:
    """Take out of a saved model the rows of the data with which answers are compared when they are explained."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name in [name for name in manifest["files"] if name.startswith(f"{background.FOLDER}/")]:
        inside(folder, name, ArtifactError).unlink()
        del manifest["files"][name]
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    write_whole(folder / "manifest.json", text.encode("utf-8", "backslashreplace"))


def leave_out(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a lean copy leaves out, and where it is had from; ArtifactError where that is nothing."""
    elsewhere: dict[str, Any] = {}
    for one in manifest["schema"].get("decoders", ()):
        encoder = one["codec"].get("encoder")
        if encoder is None:
            continue
        file = f"{kept.FOLDER}/{encoder['media']}/{kept.WEIGHTS}"
        if file not in manifest["files"] or (place := _package_of(encoder)) is None:
            continue
        elsewhere[encoder["media"]] = {"place": place, "key": _bare(encoder["key"])}
    if not elsewhere:
        raise ArtifactError(
            "this model holds no weights that come as a package, so there is nothing to leave out. Save it as it is."
        )
    return elsewhere


def restored(manifest: Mapping[str, Any]) -> dict[MediaKind, bytes]:
    """The weights that a lean model left to packages; an error in one line where they are not here, or are others."""
    found = {}
    for media, told in manifest.get(ELSEWHERE, {}).items():
        if not str(told["place"]).startswith(packages.PREFIX):  # nor read from a place, nor fetched, because it says so
            raise ArtifactError(
                f"this model was saved lean, and names {told['place']!r:.80} as a package. Do not use it."
            )
        try:
            encoder = encoders.read(told["place"])
        except AutomlError as problem:
            raise ArtifactError(f"this model was saved lean, and needs its weights: {problem}") from problem
        if encoder.key != told["key"] or encoder.weights is None:
            raise ArtifactError(
                f"this model was saved lean with weights {told['key']} of {told['place']!r}, which has {encoder.key} "
                "here. Install the version that it was saved with."
            )
        found[media] = bytes(encoder.weights)
    return found


def _package_of(encoder: Mapping[str, Any]) -> str | None:
    """The place of the package whose weights these are."""
    for package in packages.installed(encoder["media"], encoders.names()):
        if package.kind == encoder["kind"] and encoders.read(package.place).key == _bare(encoder["key"]):
            return package.place
    return None


def _bare(key: str) -> str:
    """A key without the size at which pictures are seen."""
    return key.split("@", maxsplit=1)[0]
