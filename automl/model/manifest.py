"""What a saved model says of itself, held against what can be so, before anything is read or built by it.

Whoever has the folder can write what he likes into it, hashes included. What follows is checked where it is read; what
still does not fit is an error in one line, never a trace, whether it shows in loading or in the first answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import search_spaces
from automl.errors import ArtifactError, AutomlError
from automl.messages import one_line
from search_spaces.checked import finite, need
from search_spaces.spec import Task

NAME = "manifest.json"
# 2: labels made of words bring their words along; 3: any number of decoded columns, by name; 4: networks that describe
# these by what they read
FORMAT = 4
READ = (2, 3, 4)
FEWEST = {"binary": (2, 2), "multiclass": (2, 100_000), "regression": (0, 0), "quantile": (0, 0)}  # and most classes
RUST = "pyo3_runtime"  # whose panics are no Exceptions
READOUT = ("slope", "shift", "floor", "log_loss_gain", "label_gain")
OF_CLASSES = ("shares", "label_weights")


@contextmanager
def one_line_of(what: str) -> Iterator[None]:
    """Whatever goes wrong inside as an ArtifactError: of damaged files it can be anything."""
    try:
        yield
    except AutomlError:
        raise
    except ImportError as problem:
        raise ArtifactError(
            f"{what} needs a package: {one_line(problem)}. Install what it was saved with."
        ) from problem
    except MemoryError as problem:
        raise ArtifactError(
            f"{what} needs more memory than there is. Predict fewer rows at a time, or make room."
        ) from problem
    except BaseException as problem:  # the edge of a file that others wrote
        if not isinstance(problem, Exception) and type(problem).__module__ != RUST:
            raise
        raise ArtifactError(
            f"{what} is damaged, or of another version: {type(problem).__name__}, {one_line(problem)}. "
            "Copy the whole folder again, or save the model anew."
        ) from problem


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a saved model."""
    path = folder / NAME
    if not path.is_file():
        raise ArtifactError(
            f"no saved model in {str(folder)!r}: manifest.json is not there. Give a model or run folder."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{str(path)!r} is damaged: {one_line(error)}. Save the model again.") from error
    if found not in READ:
        written = manifest.get("versions", {})
        made_by = written.get("automl-frontier", "unknown") if isinstance(written, dict) else "unknown"
        raise ArtifactError(
            f"{str(path)!r} has format {found!r:.40}, this version reads {', '.join(map(str, READ))}. Install the "
            f"version that saved it ({made_by!s:.40})."
        )
    with one_line_of(f"the manifest of {str(folder)!r}"):
        _check(manifest)
    return dict(manifest)


def outputs(manifest: Mapping[str, Any]) -> int:
    """How many numbers a member has to say of a row: one for each class or quantile."""
    return len(manifest["classes"]) or len(manifest.get("levels", ())) or 1


def _check(manifest: Mapping[str, Any]) -> None:
    files, members = manifest["files"], manifest["members"]
    need(isinstance(files, dict) and all(isinstance(digest, str) for digest in files.values()), "it lists no files")
    need(isinstance(members, list) and bool(members), "it has no members")
    for member in members:
        search_spaces.get(member["family"])
        finite(member["weight"], "the weight of a member")
        parts = member["parts"]
        need(isinstance(parts, list) and bool(parts), "a member has no parts")
        for part in parts:
            need(isinstance(part["learner"], str) and isinstance(part["features"], str), "a part has no place")
    _check_answers(manifest)


def _check_answers(manifest: Mapping[str, Any]) -> None:
    task, classes, levels = manifest["task"], manifest["classes"], manifest.get("levels", [])
    need(task in get_args(Task) and isinstance(classes, list) and isinstance(levels, list), "its task is not known")
    least, most = FEWEST[task]
    need(least <= len(classes) <= most, f"{len(classes)} classes for {task}")
    need(all(isinstance(one, str | int | float) for one in classes), "a class is neither a word nor a number")
    need(len({(type(one), one) for one in classes}) == len(classes), "it has a class twice")
    rising = [finite(level, "a quantile", 0.0, 1.0) for level in levels]
    need(bool(levels) == (task == "quantile") and rising == sorted(set(rising)), "its quantiles do not rise")
    need(isinstance(manifest["target"], str), "its target has no name")
    readout = manifest.get("readout") or {}
    for name in READOUT:
        finite(readout.get(name, 0.0), name)
    for name in OF_CLASSES:
        told = [finite(one, name) for one in readout.get(name, ())]
        need(len(told) in (0, len(classes)), f"{len(told)} {name} for {len(classes)} classes")
