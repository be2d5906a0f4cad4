"""What it takes to deploy one model: a copy, the packages it predicts with, files for Docker, systemd and Kubernetes.

A search stack is hundreds of megabytes that a prediction never loads. What a model does load is known from its families
and the kinds of its columns, so automl is installed without its dependencies beside exactly that.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from automl import modalities
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.served import name_of
from automl.errors import InputError
from automl.model import artifact
from automl.model.bundle import INDEX, Bundle, load, target_folders, write_index
from automl.runtime.durable import write_whole

if TYPE_CHECKING:
    from automl.model.predictor import Model

FILES = ("Dockerfile", "automl-model.service", "kubernetes.yaml")
TEMPLATES = Path(__file__).parent / "deploy"
CORE = ("numpy", "pandas", "scipy", "filelock", "fsspec", "psutil", "threadpoolctl")
SERVER = ("fastapi", "starlette", "uvicorn", "httptools", "uvloop")
NETWORK = ("torch", "safetensors")
OF_FAMILY: Mapping[str, tuple[str, ...]] = {
    "arima": (),
    "catboost": ("catboost",),
    "consensus": (),
    "constant": (),
    "croston": (),
    "ets": (),
    "extra_trees": ("scikit-learn",),
    "forest": ("scikit-learn",),
    "lag_boosting": ("lightgbm",),
    "lag_linear": (),
    "lightgbm": ("lightgbm",),
    "linear": (),
    "neighbors": ("scikit-learn",),
    "quant": ("scikit-learn",),
    "rocket": (),
    "seasonal_naive": (),
    "svm": ("scikit-learn",),
    "text_linear": (),
    "theta": (),
    "xgboost": ("xgboost-cpu", "xgboost"),
}
OF_KIND: Mapping[str, tuple[str, ...]] = {"image": ("pillow",), "audio": ("soundfile",), "text": ("scikit-learn",)}
CPU_INDEX = " --extra-index-url https://download.pytorch.org/whl/cpu"
BASE_MB, TORCH_MB = 400, 500  # of a process: the libraries, and room for requests
LOADED = 4  # times its size on disk that a model takes in memory
PAUSE_S = 10  # between being told to end and being asked no more


def write(place: str, folder: Path, pick: str | None = None, name: str | None = None) -> Iterator[str]:
    """Write all that is needed into a folder that holds nothing; what was written, line by line."""
    options = ServeOptions(place=place, pick=pick, name=name)  # checked as for serving
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists and is not empty. Name another folder for the deployment.")
    copied = _copy(options, folder / "model")
    loaded = load(copied)
    models = list(loaded.models.values()) if isinstance(loaded, Bundle) else [loaded]
    needed = requirements(models)
    write_whole(folder / "requirements.txt", "\n".join([*needed, ""]).encode())
    facts = _facts(options, needed, artifact.size_mb(copied), models)
    for file in FILES:
        write_whole(folder / file, filled((TEMPLATES / file).read_text(encoding="utf-8"), facts).encode())
    yield f"{folder / 'model'}: {artifact.size_mb(copied):,.1f} MB"
    yield f"{folder / 'requirements.txt'}: {', '.join(line.partition('==')[0] for line in needed)}"
    for file in FILES:
        yield f"{folder / file}: what to do with it stands at its top"


def requirements(models: list[Model]) -> list[str]:
    """What these models predict with, of the versions that are installed here."""
    named = {*CORE, *SERVER}
    for model in models:
        for member in model.manifest["members"]:
            family = search_spaces.get(member["family"])
            named |= set(OF_FAMILY.get(family.name, NETWORK if family.route == "neural" else ("scikit-learn",)))
        for one in model.schema.decoders:
            named |= set(OF_KIND.get(modalities.decoding(one.codec.kind).name, ()))
            if getattr(one.codec, "encoder", None) is not None:
                named |= {*NETWORK, "transformers"}
    return [f"{name}=={found}" for name in sorted(named) if (found := _installed(name)) is not None]


def _installed(name: str) -> str | None:
    """A version without what only this machine's build of it says."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def _copy(options: ServeOptions, target: Path) -> Path:
    """A copy of the model, or of those of several targets."""
    source = Path(options.place)
    if options.pick is not None:
        from automl.result import BundleResult, open_run

        run = open_run(source)
        if isinstance(run, BundleResult):
            raise InputError(f"pick={options.pick!r} is of runs with one target. Give the folder of one.")
        return run.save(target, pick=options.pick)
    if not (source / INDEX).is_file():
        return artifact.copy(_model_in(source), target)
    found = {}
    for name, place in target_folders(source).items():
        found[name] = artifact.copy(_model_in(place), target / "targets" / place.name)
    write_index(target, found)
    return target


def _model_in(folder: Path) -> Path:
    """The model's own folder, of a model or of the run that made it."""
    is_run = not (folder / "manifest.json").is_file() and (folder / "model" / "manifest.json").is_file()
    return folder / "model" if is_run else folder


def _facts(options: ServeOptions, needed: list[str], size_mb: float, models: list[Model]) -> dict[str, str]:
    """What the templates leave open."""
    has_torch = any(line.startswith("torch==") for line in needed)
    name = re.sub(r"[^a-z0-9]+", "-", (options.name or name_of(options.place)).lower()).strip("-")[:50].strip("-")
    from automl.doors.serving.served import version_of

    return {
        "name": name if re.match(r"[a-z]", name) else f"model-{name}".strip("-"),
        "version": version_of({str(model.manifest["target"]): model for model in models}),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "automl": importlib.metadata.version("automl-frontier"),
        "index": CPU_INDEX if has_torch else "",
        "memory": str(round(BASE_MB + TORCH_MB * has_torch + LOADED * size_mb)),
        "stop": str(round(2 * options.timeout_s) + PAUSE_S),
    }


def filled(template: str, facts: Mapping[str, str]) -> str:
    """A template with its gaps filled; systemd's own @names stay."""
    return re.sub(r"@(\w+)@", lambda found: facts[found[1]], template)
