"""A model on disk: JSON, arrays and the libraries' own formats. Reading one runs no code and imports no pickle.

manifest.json names every other file with its SHA-256; one that is missing or altered is refused, one that is not named
is not read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import search_spaces
from automl.data.target import COMMA_FACT
from automl.errors import ArtifactError
from automl.explain import background
from automl.modalities import contents, encoders
from automl.modalities.encoders import kept
from automl.modalities.mixture import Schema, load_features, schema_from_json
from automl.model import conformity, manifest, reference
from automl.model.lean import leave_out, restored, strip
from automl.model.predictor import FittedPart, Model
from automl.places import inside
from automl.plain import as_json
from automl.records import Dataset, Member, Profile
from automl.runtime.durable import write_whole
from automl.runtime.folder import RunFolder
from automl.training import learners
from search_spaces.checked import need
from search_spaces.spec import TABLE, Learner

LIBRARIES = (
    "automl-frontier",
    "numpy",
    "pandas",
    "scikit-learn",
    "lightgbm",
    "xgboost-cpu",
    "xgboost",
    "catboost",
    "torch",
    "pillow",
    "soundfile",
    "transformers",
    "timm",
)


def save(target: Path, members: Sequence[Member], folder: RunFolder, facts: Mapping[str, Any]) -> Path:
    """Write the model made of these members. `facts` are further entries of the manifest (see `describe`)."""
    target.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    entries = []
    for member in members:
        parts = []
        for fold in member.folds:
            features = folder.read_parts(member.plan.number, fold, "features")
            key = _digest(b"".join(name.encode() + content for name, content in sorted(features.items())))[:16]
            place = f"members/{member.plan.number:04d}/{'all' if fold < 0 else f'fold{fold}'}"
            files |= _write(target, place, folder.read_parts(member.plan.number, fold, "learner"))
            files |= _write(target, f"features/{key}", features)
            parts.append({"learner": place, "features": key})
        plan = member.plan
        entries.append(
            {
                "trial": plan.number,
                "family": plan.family,
                "params": dict(plan.params),
                "weight": member.weight,
                "parts": parts,
            }
        )
    if _is_described(members):
        for media, weights in kept.weights(folder.path).items():
            files |= _write(target, f"{kept.FOLDER}/{media}" if media else kept.OLD_FOLDER, {kept.WEIGHTS: weights})
    for name, content in contents.read(folder.path).items():
        place, _, file = name.rpartition("/")
        files |= _write(target, place, {file: content})
    if background.is_shipped(usual := background.kept(folder.path)):
        files |= _write(target, background.FOLDER, usual)
    if (known := conformity.of(folder.path, str(facts.get("name")))) is not None:
        files |= _write(target, conformity.FOLDER, {conformity.NAME: known})
    told = {"format": manifest.FORMAT, **facts, "members": entries, "versions": versions(), "files": files}
    write_whole(target / manifest.NAME, _as_text(told))
    return target


def _as_text(told: Mapping[str, Any]) -> bytes:
    return json.dumps(as_json(told), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")


def describe(profile: Profile, schema: Schema, dataset: Dataset) -> dict[str, Any]:
    """The manifest's account of what is predicted from what; `name` and `readout` come with the candidate."""
    return {
        "task": profile.task,
        "target": dataset.target_name,
        "weight": dataset.weight_name,
        "class_weights": list(dataset.class_weights),
        "has_decimal_comma": bool(profile.facts.get(COMMA_FACT)),
        "classes": list(profile.classes),
        "positive": profile.positive,
        "levels": list(profile.levels),
        "metric": profile.metric,
        "schema": schema.as_json(),
    }


def load(path: str | Path) -> Model:
    """Read a saved model: a model folder, or a run folder that holds one."""
    folder, run = Path(path), None
    if not (folder / "manifest.json").is_file() and (folder / "model" / "manifest.json").is_file():
        folder, run = folder / "model", folder
    told = manifest.read(folder)
    with manifest.one_line_of(f"the saved model in {str(folder)!r}"):
        model = _loaded(told, _checked_files(folder, told["files"]))
        return model if run is None else with_usual(model, run)


def with_usual(model: Model, run: Path) -> Model:
    """With the usual rows that its run keeps, where it brings none along."""
    if model.usual is not None:
        return model
    return replace(model, usual=background.read(background.kept(run), model.schema))


def _loaded(told: Mapping[str, Any], content: Mapping[str, bytes]) -> Model:
    """The model of a manifest and the files that it names."""
    schema = schema_from_json(told["schema"], {**restored(told), **kept.weights_in(content), **contents.named(content)})
    _require(schema)
    keys = {part["features"] for member in told["members"] for part in member["parts"]}
    features = {key: load_features(_under(content, f"features/{key}")) for key in keys}
    parts = []
    for place, member in enumerate(told["members"]):
        family, weight = search_spaces.get(member["family"]), member["weight"] / len(member["parts"])
        for part in member["parts"]:
            learner = learners.load(family, _under(content, part["learner"]))
            _check_answers(learner, told)
            parts.append(FittedPart(part["features"], learner, family.reads, weight, place))
    usual = background.read(_under(content, background.FOLDER), schema)
    known = content.get(f"{conformity.FOLDER}/{conformity.NAME}")
    certain = None if known is None else conformity.read(known, told)
    return Model(schema, features, tuple(parts), dict(told), usual, certain, content.get(reference.NAME))


def _check_answers(learner: Learner, told: Mapping[str, Any]) -> None:
    """ValueError where a member answers another question than the model."""
    answers: Any = getattr(getattr(learner, "learner", learner), "answers", None)
    if answers is not None:
        count, wanted = getattr(answers, "classes", None) or answers.outputs, manifest.outputs(told)
        need(answers.task == told["task"], f"a member is of the task {answers.task}, the model of {told['task']!r:.40}")
        need(count == wanted, f"a member has {count} answers to a row, the model {wanted}")


def _is_described(members: Sequence[Member]) -> bool:
    """Whether a member reads what images or sounds are described by."""
    return any(search_spaces.get(member.plan.family).reads >= TABLE for member in members)


def _require(schema: Schema) -> None:
    """Say at once what a network that describes columns needs, and this machine does not have."""
    for one in schema.decoders:
        encoder = getattr(one.codec, "encoder", None)
        if encoder is not None and encoder.weights is not None:
            encoders.get(encoder.kind).require()


def copy(source: Path, target: Path, *, is_lean: bool = False) -> Path:
    """A saved model in another place; a folder that holds something is refused. Lean: without weights of packages.

    The files that it names, as they were saved: what else lies or is linked there is none of it.
    """
    _refuse_full(target)
    told = manifest.read(source)
    if is_lean:
        leave_out(told)
    with _writing(target):
        for name in told["files"]:
            place = inside(target, name, ArtifactError)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_checked(source, name, told["files"][name]))
        (target / manifest.NAME).write_bytes((source / manifest.NAME).read_bytes())
    if is_lean:
        strip(target)
    return target


def attach(folder: Path, more: Mapping[str, bytes]) -> None:
    """Add small files to a saved model, named in its manifest like all others; of the same names they are replaced."""
    told = manifest.read(folder)
    for name, content in more.items():
        write_whole(inside(folder, name, ArtifactError), content)
    told["files"] = {**told["files"], **{name: _digest(content) for name, content in more.items()}}
    write_whole(folder / manifest.NAME, _as_text(told))


def check_lean(source: Path) -> None:
    """Refuse, before anything is written, what cannot be saved lean."""
    leave_out(manifest.read(source))


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """A place where nothing can be written is refused in one line."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"the model cannot be written to {str(target)!r}: {error.strerror or error}. Name another folder."
        ) from error


def _refuse_full(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ArtifactError(f"{str(target)!r} exists and is not empty. Name another folder for the model.")


def pack(folder: Path) -> dict[str, bytes]:
    """A saved model as the bytes of its files, checked, to travel in a pickle."""
    files = _checked_files(folder, manifest.read(folder)["files"])
    return {"manifest.json": (folder / "manifest.json").read_bytes(), **files}


def spread(files: Mapping[str, bytes], target: Path) -> Path:
    """The files of `pack` as a saved model; a folder that holds something is refused."""
    _refuse_full(target)
    with _writing(target):
        for name, content in files.items():
            place = inside(target, name, ArtifactError)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return target


def unpack(files: Mapping[str, bytes]) -> Model:
    """The model of `pack`."""
    with tempfile.TemporaryDirectory() as place:
        return load(spread(files, Path(place)))  # all of it is read: nothing needs the folder any more


def size_mb(folder: Path) -> float:
    """Megabytes of a saved model on disk."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def versions() -> dict[str, str]:
    """Installed versions of the libraries a model depends on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional library, or the other of the two xgboost builds
    return found


def _write(target: Path, place: str, parts: Mapping[str, bytes]) -> dict[str, str]:
    folder = target / place
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        write_whole(folder / name, content)
    return {f"{place}/{name}": _digest(content) for name, content in parts.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _checked_files(folder: Path, files: Mapping[str, str]) -> dict[str, bytes]:
    """Every file the manifest names, as it was saved."""
    return {name: _checked(folder, name, digest) for name, digest in files.items()}


def _checked(folder: Path, name: str, digest: str) -> bytes:
    """One of them."""
    path = inside(folder, name, ArtifactError)
    if not path.is_file():
        raise ArtifactError(f"the saved model in {str(folder)!r} lacks {name!r}. Copy the whole folder again.")
    content = path.read_bytes()
    if _digest(content) != digest:
        raise ArtifactError(f"{name!r} in {str(folder)!r} is not what was saved. Copy the whole folder again.")
    return content


def _under(content: Mapping[str, bytes], place: str) -> dict[str, bytes]:
    """The files below one place, by their bare names."""
    return {name.rsplit("/", 1)[1]: data for name, data in content.items() if name.rsplit("/", 1)[0] == place}
