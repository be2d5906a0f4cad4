"""The third route in whole runs: weights trained before, frozen under classical models and trained further."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import encoders_made as made
import numpy as np
import pandas as pd
import pytest

import automl
from automl.data.reading import load
from automl.decision.prior import route
from automl.decision.transfer import NO_WEIGHTS, Transfer
from automl.errors import InputError, OptionError
from automl.modalities.encoders import lite, packages
from automl.modalities.mixture import read
from automl.options import Options
from automl.records import Column, Kind, Profile
from automl.records.choice import Decision

pytestmark = pytest.mark.usefixtures("lasting_workers")

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("transformers")

STEPS = 300  # of the checkpoint's training: then it tells glyphs apart that it never saw


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decoded files of a test stay in its own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows six glyphs."""
    return made.save_vit(tmp_path_factory.mktemp("weights") / "glyph_vit", STEPS)


def save(folder: Path, each: int, seed: int) -> Path:
    """A folder for each of two glyphs that the checkpoint never saw."""
    store, y = made.glyphs(made.NEW, each, seed)
    for number, (picture, label) in enumerate(zip(store, y, strict=True)):
        place = folder / "left" if label else folder / "corner"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number:04d}.png")
    return folder


def right_share(predictions: pd.Series) -> float:
    return float(np.mean([Path(str(name)).parent.name == label for name, label in predictions.items()]))


def report(run: Path) -> dict:
    return json.loads((run / "report.json").read_text())


@pytest.mark.soak
@pytest.mark.slow
def test_frozen_weights_help_classical_models_and_the_model_needs_no_other_place(tmp_path: Path, vit: Path) -> None:
    """On glyphs that no one saw before; the saved model, moved and alone, answers as the run did, bit by bit."""
    data, new = save(tmp_path / "data", 30, seed=15), save(tmp_path / "new", 100, seed=6)
    weights = shutil.copytree(vit, tmp_path / "weights")
    options = {"budget": "1 trials", "families": ("svm",), "verbose": 0}
    plain = automl.fit(data, **options, run_dir=tmp_path / "plain")
    hybrid = automl.fit(data, **options, run_dir=tmp_path / "hybrid", weights=str(weights), route="hybrid")
    told = right_share(hybrid.predict(new))
    assert told >= right_share(plain.predict(new))
    assert told >= 0.75
    rules = {rule["name"]: rule for rule in report(tmp_path / "hybrid")["decision"]["rules"]}
    assert "96 numbers of each of 60 image files" in rules["transfer"]["because"]
    hybrid.save(tmp_path / "model")
    expected = hybrid.predict_proba(new)
    for gone in ("weights", "hybrid", "cache"):
        shutil.rmtree(tmp_path / gone)
    model = automl.load(tmp_path / "model")
    assert model.predict_proba(new).equals(expected)
    assert not [file for file in (tmp_path / "model").rglob("*") if file.suffix in (".pkl", ".pickle", ".bin", ".pt")]


@pytest.mark.soak
@pytest.mark.slow
def test_weights_are_trained_further_and_travel_with_the_model(
    tmp_path: Path, vit: Path, monkeypatch: pytest.MonkeyPatch, short_courses: None
) -> None:
    """`finetuned` runs by the one loop; its saved model reads without the weights, and says what it needs."""
    data, new = save(tmp_path / "data", 30, seed=15), save(tmp_path / "new", 60, seed=6)
    automl.fit(data, budget="1 trials", families="finetuned", weights=vit, run_dir=tmp_path / "run", verbose=0)
    trials = report(tmp_path / "run")["trials"]
    assert [trial for trial in trials if trial["family"] == "finetuned" and trial["folds_done"]]
    model = automl.load(tmp_path / "run")
    assert right_share(model.predict(new)) >= 0.7
    assert not (tmp_path / "run" / "model" / "encoders").exists()  # the network holds what it knows
    assert (
        automl.load(shutil.copytree(tmp_path / "run" / "model", tmp_path / "m")).predict(new).equals(model.predict(new))
    )
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"automl-frontier\[pretrained\]"):
        automl.load(tmp_path / "run")


@pytest.mark.long
@pytest.mark.slow
def test_a_model_of_an_earlier_run_is_weights_too_and_a_run_goes_on_with_what_it_kept(
    tmp_path: Path, short_courses: None
) -> None:
    """No package is needed; what the run read is in its folder, so resuming needs nothing else."""
    data = save(tmp_path / "data", 20, seed=1)
    network = {"budget": "1 trials", "families": ("convnet",), "verbose": 0}
    automl.fit(data, **network, run_dir=tmp_path / "first")
    options = {"budget": "1 trials", "families": ("linear",), "route": "hybrid", "verbose": 0}
    automl.fit(data, **options, run_dir=tmp_path / "second", weights=str(tmp_path / "first"))
    shutil.rmtree(tmp_path / "first")
    shutil.rmtree(tmp_path / "cache")
    again = automl.resume(tmp_path / "second", budget="+1 trials", verbose=0)
    assert len([trial for trial in report(tmp_path / "second")["trials"] if trial["family"] == "linear"]) == 2
    assert list(again.predict(data))[:3]
    assert "convnet of first" in report(tmp_path / "second")["decision"]["rules"][-1]["because"]


def test_a_saved_model_on_frozen_weights_names_what_is_not_installed(
    tmp_path: Path, vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once when it is read, not when it first predicts."""
    data = save(tmp_path / "data", 12, seed=1)
    options = {"budget": "1 trials", "families": ("linear",), "route": "hybrid", "verbose": 0}
    automl.fit(data, **options, run_dir=tmp_path / "run", weights=str(vit))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"automl-frontier\[pretrained\]"):
        automl.load(tmp_path / "run")


@pytest.mark.long
def test_a_package_on_the_machine_is_used_without_a_word_and_travels_with_the_model(
    tmp_path: Path,
) -> None:
    """The decision says what was used; the model needs no package, and one of the format before is read alike."""
    package = made.save_package(tmp_path / "site")
    data = save(tmp_path / "data", 12, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "site"))
        patch.setattr(packages, "PACKAGES", [package])
        patch.setattr(lite, "KIND", replace(lite.KIND, sides=(64,)))
        result = automl.fit(
            data, budget="1 trials", families=("linear",), route="classical", run_dir=tmp_path / "run", verbose=0
        )
    (rule,) = [rule for rule in report(tmp_path / "run")["decision"]["rules"] if rule["name"] == "transfer"]
    assert "tiny-lite-weights" in rule["because"]
    assert "at 64 px makes 1728 numbers of each of 24 image files" in rule["because"]
    expected = result.predict_proba(data)
    model = shutil.copytree(tmp_path / "run" / "model", tmp_path / "model")
    for gone in ("site", "run", "cache"):
        shutil.rmtree(tmp_path / gone)
    assert automl.load(model).predict_proba(data).equals(expected)
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["format"] == 4
    assert "encoders/image/weights.safetensors" in manifest["files"]
    (model / "encoders" / "image").rename(model / "encoder")
    files = {name.replace("encoders/image/", "encoder/"): digest for name, digest in manifest["files"].items()}
    (model / "manifest.json").write_text(json.dumps({**manifest, "format": 3, "files": files}))
    assert automl.load(model).predict_proba(data).equals(expected)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"route": "hybrid", "weights": None}, "weights=None rules that out"),
        ({"route": "hybrid", "weights": "none"}, "weights=None rules that out"),
    ],
)
def test_a_route_and_weights_that_contradict_each_other_are_refused(options: dict, told: str) -> None:
    """Before anything is read."""
    with pytest.raises(OptionError, match=told):
        Options.of({"target": "y", **options})


def test_weights_for_another_kind_of_data_are_refused(tmp_path: Path, vit: Path, customers: pd.DataFrame) -> None:
    """A table has nothing that a network on images could look at."""
    with pytest.raises(OptionError, match="read image files, but the data is table"):
        automl.fit(customers, target="churned", weights=str(vit), run_dir=tmp_path / "run", verbose=0)


# --- the decision ----------------------------------------------------------------------------------------------------


def decide(transfer: Transfer, modality: str = "image", **options: object) -> Decision:
    kind = Kind.NUMBER if modality == "table" else modality
    profile = Profile(
        rows=1000,
        columns=(Column(name="image", kind=kind, why="", missing=0.0, unique=1000),),
        task="binary",
        task_rule="",
        metric="roc_auc",
        metric_rule="",
        classes=(0, 1),
    )
    return route(profile, Options.of(options), 0, transfer)


def test_without_weights_the_decision_says_so_and_what_to_give() -> None:
    """In one rule, and beside the family that does not take part."""
    decision = decide(NO_WEIGHTS)
    rule = next(rule for rule in decision.rules if rule.name == "transfer")
    assert rule.because == "weights=None was given"
    assert "pip install 'automl-frontier[pretrained]'" in rule.effect
    skip = next(skip for skip in decision.skipped if skip.family == "finetuned")
    assert skip.because == "weights=None was given"
    nothing = Transfer(told="none are here", advice="pip install 'automl-frontier[images]' brings some")
    decision = decide(nothing)
    assert decision.rules[-1].effect == f"no transfer was tried; {nothing.advice}"
    assert f"none are here: {nothing.advice}" in [skip.because for skip in decision.skipped]
    with pytest.raises(OptionError, match=r"none are here. pip install 'automl-frontier\[images\]' brings some"):
        decide(nothing, route="hybrid")
    assert not [rule for rule in decide(NO_WEIGHTS, "audio", weights="x").rules if "weights='...'" in rule.effect]


def test_with_weights_all_compete_and_the_third_route_alone_leaves_out_what_begins_anew(vit: Path) -> None:
    """route='auto' with weights: the trained network first, others too; 'hybrid': only what goes on from it."""
    from automl.modalities import encoders

    known = Transfer({"image": encoders.read(str(vit))}, "a network")
    names = decide(known, weights="x").families
    assert names.index("finetuned") < names.index("convnet")
    assert {"svm", "linear"} < set(names)
    hybrid = decide(known, weights="x", route="hybrid").families
    assert {"finetuned", "svm"} < set(hybrid)
    assert "convnet" not in hybrid
    neural = decide(known, weights="x", route="neural").families
    assert set(neural) == {"finetuned", "convnet"}
    classical = decide(known, weights="x", route="classical")
    assert not {"finetuned", "convnet"} & set(classical.families)
    assert classical.rules[-1].effect == "classical models read these; nothing is trained further"


def test_what_is_asked_for_by_name_is_tried_whatever_its_price_seems(vit: Path) -> None:
    """That there is no time to train further is a guess: it counts where the choice is left to the run."""
    from automl.modalities import encoders

    slow = Transfer({"image": encoders.read(str(vit))}, "a network", "no time to train it")
    decision = decide(slow, weights="x")
    doubted = decide(replace(slow, why_not_tuned="", leads=False), weights="x")
    assert doubted.families.index("convnet") < doubted.families.index("finetuned")
    assert doubted.shares == decide(NO_WEIGHTS).shares
    assert "begin anew come first" in doubted.rules[-1].effect
    assert "finetuned" not in decision.families
    assert "no time to train it" in [skip.because for skip in decision.skipped]
    assert decide(slow, weights="x", families="finetuned").families == ("finetuned",)


@pytest.mark.parametrize(
    ("options", "limit_s"),
    [
        ({}, 35.0),
        ({"families": "svm"}, 35.0),
        ({"families": "svm,finetuned"}, 80.0),
        ({"route": "hybrid"}, 80.0),
        ({"families": "finetuned"}, None),
        ({"families": "finetuned,convnet"}, None),
        ({"route": "neural"}, None),
    ],
)
def test_the_files_are_read_for_those_who_ask_what_the_network_says(
    options: dict, limit_s: float | None, tmp_path: Path, vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them may take its share of the time, a larger one where it was asked for; for networks alone none is."""
    from automl.decision import transfer
    from automl.modalities import encoders
    from automl.modalities.encoders.embed import Embedded

    limits: list[float] = []

    def too_slow(media: object, encoder: object, limit_s: float, report: object, *, is_exact: bool) -> Embedded:
        limits.append(limit_s)
        return Embedded(None, 1000.0)

    monkeypatch.setattr(transfer, "embed", too_slow)
    given = Options.of({"weights": str(vit), **options})
    dataset = load(save(tmp_path / "data", 10, seed=1), given, decode=read)
    encoder = encoders.read(str(vit))
    found = {"image": encoder}
    if limit_s is None:
        taken, told = transfer.take_over(dataset, found, given, 100.0)
        assert (limits, told.encoders) == ([0.0], found)
        (one,) = taken.decoded.values()
        assert one.block.encoder is encoder
    elif given.route == "hybrid":
        with pytest.raises(OptionError, match="more than 80% of the 100 s left"):
            transfer.take_over(dataset, found, given, 100.0)
    else:
        assert not transfer.take_over(dataset, found, given, 100.0)[1].encoders
    assert limits[-1] == (limit_s or 0.0)
    assert limits[0] == 0.0  # what a row takes is asked first
