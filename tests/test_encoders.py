"""Networks trained before, as data: every kind of checkpoint keeps the contract, and what is none is refused."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import encoders_made as made
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import AutomlError, InputError, OptionError
from automl.modalities import encoders
from automl.modalities.encoders import embed as embedding
from automl.modalities.encoders import fitting, packages
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import embed
from search_spaces.neural.text import pieces
from search_spaces.spec import Media, Shape, starts

transformers = pytest.importorskip("transformers")
FEW_STEPS = 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of every kind that can be made here, and of both media."""
    root = tmp_path_factory.mktemp("checkpoints")
    models = {
        "convnext": transformers.ConvNextForImageClassification(
            transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32)
        ),
        "clip": transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50},
                vision_config={"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32,
                               "patch_size": 16},
            )
        ),
        "wav2vec2": transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=[8] * 7,
                num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
            )
        ),
        "bert": transformers.BertModel(
            transformers.BertConfig(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50
            )
        ),
    }  # fmt: skip
    for name, model in models.items():
        model.save_pretrained(root / name)
    made.save_vit(root / "vit", FEW_STEPS)
    for kind in ("image", "audio"):
        made.save_own(root / f"own_{kind}", kind)
    made.save_sentences(root / "sentences")
    shutil.copytree(root / "sentences", root / "bert_text")  # what transformers alone would have saved
    (root / "bert_text" / "modules.json").unlink()
    return {folder.name: folder for folder in root.iterdir()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[packages.Package]:
    """An installed package of weights."""
    place = tmp_path_factory.mktemp("site")
    package = made.save_package(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))
        patch.setattr(packages, "PACKAGES", [package])
        yield package


TEXTS = ("a good film", "", "bad films !", "中 " * 100, "z" * 400)


def rows_of(kind: str, seed: int = 0, channels: int = 3) -> Any:
    """Pictures and sounds of another size than any checkpoint knows; texts of no words, and of very many."""
    if kind == "text":
        return np.array(TEXTS, dtype=object)
    random = np.random.default_rng(seed)
    if kind == "image":
        return torch.from_numpy(random.integers(0, 255, (5, 20, 28, channels), dtype=np.uint8))
    return torch.from_numpy(random.integers(-9000, 9000, (5, 9000)).astype(np.int16))


def said_of(encoder: Checkpoint, rows: Any, rate: int = 11_025) -> torch.Tensor:
    with torch.inference_mode():
        said: torch.Tensor = encoder.build(rate)(rows)
    return said


SENSES = ("vit", "convnext", "clip", "wav2vec2", "own_image", "own_audio", "lite")
CASES = (*SENSES, "sentences", "bert_text")


@pytest.fixture
def place(case: str, folders: dict[str, Path], tiny: packages.Package) -> str:
    """Where the checkpoint of a case is."""
    return tiny.place if case == "lite" else str(folders[case])


def test_every_kind_has_a_case_or_a_reason_why_there_is_none() -> None:
    """A kind that joins the table needs a checkpoint here; timm does not import without torchvision."""
    assert set(encoders.names()) == {"automl", "lite", "transformers", "timm", "sentences"}


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_keeps_its_contract(case: str, place: str) -> None:
    """It reads rows of any size, repeats itself, travels as JSON and bytes, and disturbs nobody's random numbers."""
    before = torch.random.get_rng_state()
    encoder = encoders.read(place)
    encoder = encoder.at(min(encoder.sides, default=0))
    rows = rows_of(encoder.media)
    said = said_of(encoder, rows)
    assert said.shape == (5, encoder.width)
    assert said.dtype == torch.float32
    assert torch.isfinite(said).all()
    assert said.std(dim=0).max() > 0
    assert torch.allclose(said_of(encoder, rows[2:3])[0], said[2], atol=1e-4)
    again = encoders.from_json(json.loads(json.dumps(encoder.as_json())), bytes(encoder.weights))  # type: ignore[arg-type]
    assert torch.equal(said_of(again, rows), said)
    assert encoders.read(place).key.split("@")[0] == encoder.key.split("@")[0]
    assert again.key == encoder.key
    assert torch.equal(before, torch.random.get_rng_state())
    if encoder.media == "image":
        assert said_of(encoder, rows_of("image", channels=1)).shape == (5, encoder.width)


@pytest.mark.parametrize("case", CASES)
def test_every_checkpoint_can_be_trained_further_in_part(case: str, place: str) -> None:
    """First layers stay as they are, gradients reach the rest, and the head starts as a guess of nothing."""
    from search_spaces.neural import finetuned

    encoder = encoders.read(place)
    encoder = encoder.at(min(encoder.sides, default=0))
    rows = rows_of(encoder.media)
    told = {"image": {"image": (20, 28, 3)}, "audio": {"sound": (9000, 11_025)}, "text": {"text": (0, 5)}}
    shape = Shape((), (), 3, encoder=encoder, **told[encoder.media])
    network = finetuned.build({**starts(finetuned.SPACE), "frozen": 0.5}, shape)
    network.learn(rows)
    assert torch.equal(network(rows), torch.zeros(5, 3))
    torch.nn.init.ones_(network.head.weight)
    network.train()
    network(rows)[:, 0].sum().backward()
    learns = [parameter.requires_grad for parameter in network.body.parameters()]
    assert not learns[0]
    assert learns[-1]
    assert any(parameter.grad is not None for parameter in network.body.parameters())


def test_a_vision_transformer_tells_its_class_token_and_the_mean_of_the_others(folders: dict[str, Path]) -> None:
    """Both, as what was trained with a head lies in the one, and what was not in the other."""
    assert encoders.read(str(folders["vit"])).width == 2 * 48
    assert encoders.read(str(folders["convnext"])).width == 16


def test_the_preparation_of_a_checkpoint_is_kept(folders: dict[str, Path], tmp_path: Path) -> None:
    """Size, mean and deviation come from preprocessor_config.json; without one from the config."""
    folder = shutil.copytree(folders["convnext"], tmp_path / "prepared")
    assert encoders.read(str(folder)).facts["sides"] == [32, 32]
    told = {"size": {"shortest_edge": 48}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 0.2]}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    facts = encoders.read(str(folder)).facts
    assert facts["sides"] == [48, 48]
    grey = torch.full((1, 48, 48, 3), 51, dtype=torch.uint8)
    prepared = fitting.FittedPictures(facts)(grey)[0, :, 0, 0]
    assert prepared.tolist() == pytest.approx([(0.2 - 0.1) / 0.5, 0.0, (0.2 - 0.3) / 0.2], abs=1e-6)


@given(st.recursive(st.none() | st.integers(1, 500) | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)))
def test_no_size_breaks_the_reader(told: object) -> None:
    """Whatever a preparation says of its size, it is two sides or nothing."""
    from automl.modalities.encoders.transformers_ import _sides

    for form in (told, {"height": told, "width": told}, {"shortest_edge": told}):
        found = _sides(form)
        assert found is None or all(isinstance(side, int) for side in found)


# --- what is no checkpoint -------------------------------------------------------------------------------------------


def _nothing(folders: dict[str, Path], place: Path) -> str:
    return str(place / "nowhere" / "at all" / "here")


def _empty(folders: dict[str, Path], place: Path) -> str:
    return str(place)


def _text(folders: dict[str, Path], place: Path) -> str:
    return str(folders["bert"])


def _pickle(folders: dict[str, Path], place: Path) -> str:
    shutil.copy(folders["vit"] / "config.json", place)
    (place / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    return str(place)


def _cut_off(folders: dict[str, Path], place: Path) -> str:
    folder = shutil.copytree(folders["vit"], place / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    return str(folder)


def _of_another(folders: dict[str, Path], place: Path) -> str:
    folder = shutil.copytree(folders["vit"], place / "mixed")
    shutil.copy(folders["convnext"] / "model.safetensors", folder)
    return str(folder)


def _broken_config(folders: dict[str, Path], place: Path) -> str:
    folder = shutil.copytree(folders["vit"], place / "broken")
    (folder / "config.json").write_text("{")
    return str(folder)


def _unknown(folders: dict[str, Path], place: Path) -> str:
    folder = shutil.copytree(folders["vit"], place / "unknown")
    (folder / "config.json").write_text('{"model_type": "never_heard_of"}')
    return str(folder)


def _altered(folders: dict[str, Path], place: Path) -> str:
    folder = shutil.copytree(folders["own_image"], place / "altered")
    weights = next(folder.rglob("weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    return str(folder)


def _without_network(folders: dict[str, Path], place: Path) -> str:
    (place / "manifest.json").write_text('{"members": [{"family": "svm", "weight": 1}], "files": {}}')
    return str(place)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_nothing, "no such folder"),
        (_empty, r"neither manifest\.json nor config\.json"),
        (_text, "has no tokenizer"),
        (_pickle, r"only pytorch_model\.bin, which could run code"),
        (_cut_off, "cannot be read"),
        (_of_another, "lacks .* weights, first"),
        (_broken_config, "cannot be read"),
        (_unknown, "cannot be read"),
        (_altered, "is not what was saved"),
        (_without_network, "no network on images or sounds, only svm"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(
    make: Callable[[dict[str, Path], Path], str], told: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """What is wrong, the value seen, what to do."""
    with pytest.raises(AutomlError, match=told) as refusal:
        encoders.read(make(folders, tmp_path))
    assert "\n" not in str(refusal.value)
    assert "Give" in str(refusal.value) or "Copy" in str(refusal.value)


def test_a_hub_that_does_not_answer_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is no folder here is asked of the hub; without a net that ends at once."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OptionError, match="the hub did not give it") as refusal:
        encoders.read("hub:nobody/no-model-of-this-name")
    assert "\n" not in str(refusal.value)


def test_without_transformers_its_extra_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs to guess what to install."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'automl-frontier\[pretrained\]'"):
        encoders.read(str(folders["vit"]))


class _Broken(ModuleType):
    def __getattr__(self, name: str) -> object:
        raise RuntimeError("operator torchvision::nms does not exist")


def test_a_broken_torchvision_beside_it_is_a_reason_and_no_crash(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers loads its parts on demand, so an import that breaks shows late."""
    monkeypatch.setitem(sys.modules, "transformers", _Broken("transformers"))
    with pytest.raises(InputError, match=r"torchvision::nms does not exist.*uninstall torchvision"):
        encoders.read(str(folders["vit"]))


@pytest.mark.parametrize("line", ["import torchvision_of_another_torch", "raise RuntimeError('operator missing')"])
def test_a_timm_that_cannot_be_imported_is_a_reason_and_no_crash(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs torchvision, which is often there for another torch, or not at all."""
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text(line)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(InputError, match="torchvision") as refusal:
        encoders.read("timm:resnet18")
    assert "\n" not in str(refusal.value)


# --- fitting ---------------------------------------------------------------------------------------------------------


def test_a_tone_keeps_its_pitch_and_loudness_at_another_rate() -> None:
    """From 8,000 to 16,000 samples a second, and back; what the lower rate cannot hold is silence there."""
    seconds = torch.arange(8000) / 8000
    tone = torch.sin(2 * math.pi * 440 * seconds)[None]
    higher = fitting.resampled(tone, 8000, 16_000)
    assert higher.shape == (1, 16_000)
    assert torch.allclose(higher[0, ::2], tone[0], atol=1e-3)
    assert torch.allclose(fitting.resampled(higher, 16_000, 8000), tone, atol=1e-3)
    hiss = torch.sin(2 * math.pi * 3500 * seconds)[None]
    assert fitting.resampled(hiss, 8000, 4000).abs().max() < 0.05


def test_silent_stretches_say_nothing() -> None:
    """A long sound is the mean of its stretches, less those that are padding."""
    waves = torch.zeros(2, 25)
    waves[0, :10], waves[1, :20] = 2.0, 4.0
    assert fitting.by_stretches(waves, 10, lambda part: part.mean(dim=1, keepdim=True)).flatten().tolist() == [2, 4]
    assert fitting.ends(waves).tolist() == [10, 20]


# --- asking ----------------------------------------------------------------------------------------------------------


def test_all_rows_are_asked_and_none_where_it_takes_too_long(folders: dict[str, Path]) -> None:
    """Progress is told; the first batches show how long the rest would take."""
    encoder = encoders.read(str(folders["vit"]))
    store, _ = made.glyphs((0, 1), 40, seed=3)
    media = Media("image", store, np.arange(80)[::-1])
    seen: list[int] = []
    found = embed(media, encoder, report=lambda done, total: seen.append(done))
    assert found.numbers is not None
    assert found.numbers.shape == (80, encoder.width)
    assert found.row_s > 0
    assert seen[-1] == 80
    assert np.allclose(found.numbers[5], said_of(encoder, torch.from_numpy(store[74:75]))[0].numpy(), atol=1e-4)
    assert embed(media, encoder, limit_s=0.0).numbers is None
    assert embed(media.take(np.arange(0)), encoder).numbers.shape == (0, encoder.width)  # type: ignore[union-attr]


@pytest.mark.parametrize("rows", [10, 80])
def test_what_a_row_costs_is_measured_once_the_network_is_warm(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first call that sets up for a minute, and a batch while others held the cores, are no price of a row."""
    now, calls = [0.0], []

    def network(pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        now[0] += {1: 60.0, 3: 30.0}.get(len(calls), 0.01 * len(pixels))
        return torch.zeros(len(pixels), 3)

    monkeypatch.setattr(embedding, "_network", lambda *_: network)
    monkeypatch.setattr(embedding.time, "monotonic", lambda: now[0])
    media = Media("image", np.zeros((rows, 4, 4, 3), np.uint8), np.arange(rows))
    found = embed(media, Checkpoint("own", "", "image", 3, 0, {}, ""), limit_s=2.0)
    assert found.row_s == pytest.approx(0.01)
    assert found.numbers is not None


def test_a_row_alone_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server asks of one row at a time, and what setting up takes is nobody's price there."""
    calls: list[int] = []

    def network(pixels: torch.Tensor) -> torch.Tensor:
        calls.append(len(pixels))
        return torch.zeros(len(pixels), 3)

    monkeypatch.setattr(embedding, "_network", lambda *_: network)
    embed(Media("image", np.zeros((1, 4, 4, 3), np.uint8), np.arange(1)), Checkpoint("own", "", "image", 3, 0, {}, ""))
    assert calls == [1]


# --- batches ---------------------------------------------------------------------------------------------------------

ROUNDING = 2e-4  # of the largest number: sums of other lengths are added up in another order
ONE_WAY = 0.999  # cosine of what is read in bfloat16


def many_of(kind: str) -> Media:
    """Rows of all lengths: sounds that end early, texts of one piece and of many."""
    random = np.random.default_rng(4)
    if kind == "text":
        words = [" ".join(random.choice(["good", "bad", "film", "!", "abc"], 1 + 7 * number)) for number in range(12)]
        return Media("text", np.array([*words, *TEXTS], dtype=object), np.arange(17))
    if kind == "image":
        return Media("image", random.integers(0, 255, (17, 20, 28, 3), dtype=np.uint8), np.arange(17))
    store = random.integers(-9000, 9000, (17, 9000)).astype(np.int16)
    for row, wave in enumerate(store):
        wave[9000 - 500 * row :] = 0
    return Media("audio", store, np.arange(17), rate=11_025)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_numbers_do_not_hang_on_the_batch(case: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row alone, among few and among many, whichever these are and however they pad it, has the same numbers."""
    encoder = encoders.read(place)
    media, found = many_of(encoder.media), dict[bool, list[np.ndarray]]()
    for is_exact in (True, False):
        for batch, seed in ((1, 0), (3, 1), (17, 2)):
            for name in ("BATCH", "TEXTS", "PROBED_TEXTS"):
                monkeypatch.setattr(embedding, name, batch)
            monkeypatch.setattr(pieces, "BATCH_TOKENS", 40 * batch)
            order = np.random.default_rng(seed).permutation(17)
            said = embed(media.take(order), encoder, is_exact=is_exact).numbers
            assert said is not None
            found.setdefault(is_exact, []).append(said[np.argsort(order)])
    alone = found[True][0]
    for other in found[True]:
        np.testing.assert_allclose(other, alone, rtol=0, atol=ROUNDING * np.abs(alone).max())
    for other in found[False]:
        likeness = (other * alone).sum(axis=1) / np.linalg.norm(other, axis=1) / np.linalg.norm(alone, axis=1)
        assert likeness.min() > ONE_WAY
