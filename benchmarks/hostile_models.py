"""Small saved models of every family and kind of data, for fuzz.py: FOLDER/<name>/model, and rows to ask it about.

    python benchmarks/hostile_models.py FOLDER [NAME ...]

Each is fitted on a fold as a run would fit it, and saved as a run would save it; no search, so all take a minute.
"""

from __future__ import annotations

import importlib.util
import math
import pickle
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

import search_spaces  # noqa: E402 - the tests are found only after the line above
from automl.data.prepare import prepare  # noqa: E402 - likewise
from automl.data.profiler import examine  # noqa: E402 - likewise
from automl.data.reading import load  # noqa: E402 - likewise
from automl.modalities import encoders, mixture  # noqa: E402 - likewise
from automl.modalities.encoders import kept  # noqa: E402 - likewise
from automl.model import artifact  # noqa: E402 - likewise
from automl.options import Options  # noqa: E402 - likewise
from automl.records import Calibration, Dataset, Member, Plan  # noqa: E402 - likewise
from automl.runtime.folder import RunFolder  # noqa: E402 - likewise
from automl.search.trial import FoldJob, run_fold  # noqa: E402 - likewise
from cluster.pool import Grant  # noqa: E402 - likewise
from search_spaces.spec import starts  # noqa: E402 - likewise

ROWS, ASKED = 160, 20
WORDS = ("good", "bad", "film", "plot", "slow", "bright", "music", "actor", "scene", "ending", "dull", "warm")
BRIEF = {"rounds": 3}
SLIM = {"rounds": 2, "width": 8, "stages": 2, "depth_1": 0, "depth_2": 1, "map_px": 16}


@dataclass(frozen=True)
class Wanted:
    """One model: a family on some data."""

    data: str  # table, image, audio, text, or several of them with a plus
    task: str
    family: str
    recipe: str = "plain"
    params: dict[str, Any] = field(default_factory=dict)  # over the defaults
    encoder: str = ""  # what describes the data beside, or is trained further


WANTED = {
    "constant": Wanted("table", "multiclass", "constant"),
    "linear": Wanted("table", "binary", "linear"),
    "linear rich": Wanted("table", "regression", "linear", "rich log"),
    "lightgbm": Wanted("table", "multiclass", "lightgbm", "means", BRIEF),
    "lightgbm quantile": Wanted("table", "quantile", "lightgbm", "coded", BRIEF),
    "xgboost": Wanted("table", "multiclass", "xgboost", "plain", BRIEF),
    "xgboost regression": Wanted("table", "regression", "xgboost", "rank", BRIEF),
    "xgboost quantile": Wanted("table", "quantile", "xgboost", "plain", BRIEF),
    "catboost": Wanted("table", "multiclass", "catboost", "rich", BRIEF),
    "catboost binary": Wanted("table", "binary", "catboost", "plain", {**BRIEF, "one_hot_max_size": 10}),
    "catboost quantile": Wanted("table", "quantile", "catboost", "plain", BRIEF),
    "forest": Wanted("table", "multiclass", "forest", "rich", {"trees": 4}),
    "forest quantile": Wanted("table", "quantile", "forest", "plain", {"trees": 4}),
    "extra_trees": Wanted("table", "regression", "extra_trees", "log", {"trees": 4}),
    "neighbors": Wanted("table", "binary", "neighbors"),
    "svm": Wanted("table", "multiclass", "svm"),
    "mlp": Wanted("table", "binary", "mlp", "plain", {**BRIEF, "width": 16}),
    "tabm": Wanted("table", "quantile", "tabm", "plain", {**BRIEF, "width": 16, "members": 2}),
    "convnet": Wanted("image", "binary", "convnet", "plain", SLIM),
    "convnet parts": Wanted(
        "image", "multiclass", "convnet", "plain",
        {**SLIM, "stem": "whitened", "block": "convnext", "squeeze_excite": True, "norm": "group"},
    ),
    "pictures in numbers": Wanted("image", "binary", "linear", "patches"),
    "pictures further": Wanted("image", "binary", "finetuned", "plain", {"rounds": 1}, "image"),
    "fused": Wanted("image+table", "binary", "fused", "plain", {"rounds": 2, "seen": "both", "map_width": 8}),
    "soundnet": Wanted("audio", "binary", "soundnet", "plain", SLIM),
    "sounds in numbers": Wanted("audio", "binary", "lightgbm", "plain", BRIEF),
    "text_linear": Wanted("text+table", "multiclass", "text_linear"),
    "textnet": Wanted("text", "binary", "textnet", "plain", {**BRIEF, "pair_bits": 12, "vocabulary": 1000}),
    "textnet transformer": Wanted(
        "text", "binary", "textnet", "plain", {**BRIEF, "architecture": "transformer", "vocabulary": 1000}
    ),
    "texts in numbers": Wanted("text+table", "regression", "forest", "reduced", {"trees": 4}),
    "sentences": Wanted("text", "binary", "linear", "plain", {}, "text"),
    "texts further": Wanted("text", "binary", "finetuned", "plain", {"rounds": 1}, "text"),
}  # fmt: skip
if importlib.util.find_spec("transformers"):
    WANTED |= {
        "pictures by a transformer": Wanted("image", "binary", "linear", encoder="vit"),
        "texts by a transformer": Wanted("text", "binary", "finetuned", params={"rounds": 1}, encoder="bert"),
    }


def data_of(wanted: Wanted, seed: int = 0) -> pd.DataFrame:
    """Rows with every kind of column that such data can have, and their answers in "y"."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=ROWS)
    frame: dict[str, Any] = {}
    if "table" in wanted.data:
        jobs = [f"{a} {b} clerk" for a in WORDS for b in WORDS[:3]]
        first = np.datetime64("2024-01-01") + random.integers(0, 300, ROWS)
        frame = {
            "size": np.where(random.random(ROWS) < 0.2, np.nan, signal + random.normal(size=ROWS)),
            "count": random.integers(0, 25, ROWS) * 100,
            "colour": random.choice(["red", "green", "blue"], ROWS),
            "job": random.choice(jobs, ROWS),
            "when": first.astype(str),
            "title": [f"{WORDS[at % 12]} {WORDS[at // 12 % 12]} nr {at}" for at in range(ROWS)],
        }
    if "image" in wanted.data:
        pictures = random.integers(0, 120, (ROWS, 16, 16, 3)) + (60 * (signal > 0))[:, None, None, None]
        frame["picture"] = list(pictures.astype(np.uint8))
    if "audio" in wanted.data:
        pitch = 300 + 500 * (signal > 0)
        time = np.arange(2400) / 8000
        waves = np.sin(2 * np.pi * pitch[:, None] * time) * 0.4 + 0.05 * random.normal(size=(ROWS, 2400))
        frame["sound"] = [{"array": wave.astype(np.float32), "sampling_rate": 8000} for wave in waves]
    if "text" in wanted.data:
        frame["review"] = [
            f"the {random.choice(WORDS)} was {'good' if s > 0 else 'bad'} and the {' '.join(random.choice(WORDS, 9))}"
            for s in signal
        ]
    answers: Any = signal + 0.3 * random.normal(size=ROWS)
    if wanted.task in ("binary", "multiclass"):
        edges = [0.0] if wanted.task == "binary" else [-0.4, 0.4]
        answers = np.array(["low", "mid", "high"])[np.searchsorted(edges, answers)]
    elif wanted.recipe.endswith("log"):
        answers = np.exp(2 * answers)
    columns = {
        name: pd.Series(cells, dtype=object if isinstance(cells, list) else None) for name, cells in frame.items()
    }
    return pd.DataFrame({**columns, "y": answers})


def make(folder: Path, name: str) -> None:
    """Fit and save one of them."""
    wanted = WANTED[name]
    shutil.rmtree(folder / name, ignore_errors=True)  # half of one, of a process that was ended
    frame = data_of(wanted)
    levels = {"quantiles": (0.1, 0.5, 0.9)} if wanted.task == "quantile" else {}
    options = Options.of({"target": "y", "weights": None, "verbose": 0, **levels})
    dataset = load(frame, options, decode=mixture.read)
    known = {}
    if wanted.encoder:
        encoder = encoders.read(str(_encoder(folder, wanted.encoder)))
        known[encoder.media] = encoder
        dataset = _described(dataset, encoder, is_further=wanted.family == "finetuned")
    profile, _ = examine(dataset, options)
    ready = prepare(dataset, profile, options, core_s=math.inf)
    family = search_spaces.get(wanted.family)
    params = {**starts(family.space), **wanted.params}
    job = FoldJob(family=family.name, params=params, features={"recipe": wanted.recipe}, seed=1, fold=0)
    found: Any = run_fold(Grant(1, math.inf), job, ready.shared)
    found = getattr(found, "value", found)
    run = RunFolder.create(folder / name / "run", name)
    run.save_parts(1, 0, {"learner": found.parts, "features": found.features})
    kept.keep(run.path, known)
    plan = Plan(number=1, family=family.name, params=params, seed=1, because="default")
    readout = Calibration(slope=0.9, floor=0.01, shares=(1 / profile.outputs,) * profile.outputs)
    facts = {**artifact.describe(profile, ready.schema, dataset), "name": name}
    facts["readout"] = readout if profile.classes else None
    artifact.save(folder / name / "model", [Member(plan, 1.0, (0,))], run, facts)
    (folder / name / "rows.pkl").write_bytes(pickle.dumps(frame.drop(columns="y").head(ASKED)))


def _described(dataset: Dataset, encoder: Any, *, is_further: bool) -> Dataset:
    """The data as a run has it that was given weights."""
    decoded = {}
    for name, one in dataset.decoded.items():
        if one.codec.kind == encoder.media:
            one = replace(one, block=replace(one.block, encoder=encoder))  # noqa: PLW2901 - the same column, told more
            one = one if is_further else mixture.described_by(one, encoder)  # noqa: PLW2901 - likewise
        decoded[name] = one
    return replace(dataset, decoded=decoded)


def _encoder(folder: Path, make: str) -> Path:
    import encoders_made as made

    place = folder / f"encoder {make}"
    if place.exists():
        return place
    if make == "image":
        return made.save_own(place, "image")
    if make == "vit":
        return made.save_vit(place, 1)
    made.save_sentences(place)
    if make == "bert":
        (place / "modules.json").unlink()  # what transformers alone would have saved
    return place


def main(argv: Sequence[str]) -> int:
    """Make those named, or all."""
    folder = Path(argv[0])
    for name in argv[1:] or WANTED:
        make(folder, name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
