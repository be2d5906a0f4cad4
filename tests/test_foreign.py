"""A checkpoint that would bring code along is refused, and nobody is asked whether to run it."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import encoders_made as made
import pytest

from automl.errors import ArtifactError, AutomlError, InputError
from automl.modalities import encoders
from automl.modalities.encoders import caches, foreign, timm_, transformers_, transformers_text
from automl.model import lean

ROOT = Path(__file__).parent.parent
CODE = """
from pathlib import Path
from transformers import ViTConfig, ViTModel

Path(__file__).with_name("ran").touch()
Path({marker!r}).touch()


class Config(ViTConfig):
    model_type = "evil"


class Model(ViTModel):
    config_class = Config
"""
CLASSES = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as transformers saves one."""
    pytest.importorskip("transformers")
    return made.save_vit(tmp_path_factory.mktemp("checkpoints") / "vit", 1)


def with_code(source: Path, target: Path, names: dict[str, Any]) -> Path:
    """The same checkpoint with code of its own, which leaves a mark where it runs."""
    shutil.copytree(source, target)
    (target / "evil.py").write_text(CODE.format(marker=str(target.parent / "ran")))
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, **names}))
    return target


def test_a_checkpoint_with_code_of_its_own_is_refused_and_nothing_in_a_pipe_can_allow_it(
    vit: Path, tmp_path: Path
) -> None:
    """In one line, whether it is read from its folder or built anew from what a saved model holds."""
    place = with_code(vit, tmp_path / "evil", {"auto_map": CLASSES})
    facts = {**encoders.read(str(vit)).facts}
    facts["config"] = {**facts["config"], "auto_map": {name: f"{place}--{value}" for name, value in CLASSES.items()}}
    program = (
        "import json, sys\n"
        "from automl.errors import AutomlError\n"
        "from automl.modalities.encoders import read, transformers_\n"
        f"facts = json.loads({json.dumps(facts)!r})\n"
        f"for ask in (lambda: read({str(place)!r}), lambda: transformers_.build(facts, 0)):\n"
        "    try:\n"
        "        ask()\n"
        "    except AutomlError as problem:\n"
        "        print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="y\n" * 20, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    told = done.stdout.strip().splitlines()
    assert done.returncode == 0, done.stderr
    assert len(told) == 2, done
    assert all("asks to run code of its own (auto_map in" in line for line in told)
    assert not (tmp_path / "ran").exists()
    assert "[y/N]" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "told",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"text_config": {"auto_map": {"AutoModel": "evil.Model"}}},
        {"parts": [{"custom_pipelines": {"x": {"impl": "evil.Pipe"}}}]},
        {"trust_remote_code": True},
        {"_attn_implementation": "somebody/kernels"},
        {"attn_implementation": {"vision_config": "somebody/kernels"}},
        {"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": {"checkpoint_path": "model/x.pth"}},
        {"model_type": "timm_wrapper", "architecture": "hf-hub:somebody/net"},
        {"backbone_config": {"model_type": "timm_backbone", "backbone": "local-dir:/tmp/x"}},
    ],
)
def test_code_is_found_wherever_a_config_asks_for_it(told: dict[str, Any], tmp_path: Path) -> None:
    """In any of its parts, of any file that is a config, and in what a saved model keeps of it."""
    with pytest.raises(InputError, match="asks to run code of its own"):
        foreign.refuse_code(told, "it")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"in tokenizer_config\.json"):
        foreign.refuse_code_in(tmp_path)
    plain = {"kind": "transformers", "name": "x", "media": "image", "width": 1, "count": 1, "key": "x"}
    with pytest.raises(ArtifactError, match="asks to run code of its own"):
        encoders.from_json({**plain, "facts": {"config": told}})


def test_what_asks_for_no_code_passes(vit: Path, tmp_path: Path) -> None:
    """Names that are there and ask for nothing, and configs that cannot be read."""
    foreign.refuse_code({"auto_map": None, "trust_remote_code": False, "_attn_implementation": "sdpa"}, "it")
    foreign.refuse_code(
        {"architecture": "vit_base.augreg", "model_args": {"img_size": 96}, "backbone": "resnet50"}, "it"
    )
    foreign.refuse_code_in(vit)
    (tmp_path / "config.json").write_text("{")
    foreign.refuse_code_in(tmp_path)


def test_sentences_with_code_of_their_own_are_refused(tmp_path: Path) -> None:
    """Their network is our own, but who wrote the folder meant another one."""
    place = made.save_sentences(tmp_path / "sentences")
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "auto_map": CLASSES}))
    with pytest.raises(InputError, match="asks to run code of its own"):
        encoders.read(str(place))


# --- weights that could run code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_weights_in_a_pickle_are_refused(name: str, vit: Path, tmp_path: Path) -> None:
    """They are not opened at all."""
    place = Path(shutil.copytree(vit, tmp_path / "vit"))
    (place / "model.safetensors").rename(place / name)
    with pytest.raises(InputError, match=f"holds only {name}, which could run code"):
        encoders.read(str(place))


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What timm was asked for; the library itself does not import without torchvision."""
    asked: dict[str, Any] = {}

    def create_model(name: str, **given: Any) -> Any:
        asked.update(name=name, **given)
        raise RuntimeError("no network here")

    library = ModuleType("timm")
    library.create_model = create_model  # type: ignore[attr-defined]
    library.get_pretrained_cfg = lambda name: SimpleNamespace(hf_hub_id=f"timm/{name}.tag")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", library)
    return asked


def test_timm_is_given_weights_in_safetensors_alone(
    timm: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it finds on the hub by itself may be a pickle, so it is not left to look there."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    fetched: list[str] = []
    monkeypatch.setattr(transformers_, "fetched", lambda name: fetched.append(name) or tmp_path)
    monkeypatch.setattr(caches, "snapshot", lambda _: tmp_path)
    for place in ("hub:timm/resnet18", "timm:resnet18"):
        with pytest.raises(AutomlError, match="no network here"):
            encoders.read(place)
        assert timm["pretrained_cfg_overlay"] == {"file": str(tmp_path / "model.safetensors")}
    assert fetched == ["timm/resnet18.tag"]
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"holds only pytorch_model\.bin, which could run code"):
        encoders.read("hub:timm/resnet18")


@pytest.mark.parametrize("name", ["hf-hub:somebody/net", "hf_hub:x", "local-dir:/tmp/x", "../x", ""])
def test_a_saved_model_cannot_have_timm_read_another_place(name: str, timm: dict[str, Any]) -> None:
    """Its names may also be places on the hub, or folders."""
    with pytest.raises(InputError, match="is no name of a network of timm"):
        timm_.build({"name": name}, 0)
    assert timm == {}


# --- no call is without its guard ------------------------------------------------------------------------------------

GUARDS: dict[str, Callable[[ast.Call], bool]] = {
    "from_pretrained": lambda call: given(call, "trust_remote_code", False) or has_more(call),
    "from_config": lambda call: given(call, "trust_remote_code", False),
    "torch.load": lambda call: given(call, "weights_only", True),
    "np.load": lambda call: not given(call, "allow_pickle", True),
}


def given(call: ast.Call, name: str, value: bool) -> bool:
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in call.keywords)


def has_more(call: ast.Call) -> bool:
    """Whether it is given options by name from elsewhere, which are looked at by the test below."""
    return any(k.arg is None for k in call.keywords)


def test_every_reader_of_weights_runs_no_code() -> None:
    """No call of transformers without trust_remote_code=False, none of torch that reads pickles, no pickle at all."""
    seen = set()
    for path in [*(ROOT / "automl").rglob("*.py"), *(ROOT / "search_spaces").rglob("*.py")]:
        text = path.read_text()
        assert "pickle.load" not in text, path
        assert "joblib.load" not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                for ending, is_guarded in GUARDS.items():
                    if name == ending or name.endswith(f".{ending}"):
                        seen.add(ending)
                        assert is_guarded(node), f"{path}: {ast.unparse(node)}"
                        assert not has_more(node) or '"trust_remote_code": False' in text, path
    assert seen == set(GUARDS)


# --- what else a saved model may ask for -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["hub:somebody/net", "somebody/net", "/tmp", "timm:resnet18"])
def test_a_lean_model_has_nothing_fetched_but_packages(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its weights are is written in it: neither a download nor another folder is started by that."""
    monkeypatch.setattr(encoders, "read", lambda _: pytest.fail("it was read"))
    with pytest.raises(ArtifactError, match="as a package"):
        lean.restored({"elsewhere": {"image": {"place": place, "key": "x"}}})


def test_how_attention_is_computed_is_for_this_machine_to_say() -> None:
    """Some ways compile code; whatever a saved config says of it is left out."""
    told = {"a": 1, "_attn_implementation": "flex_attention", "text_config": {"attn_implementation": "x", "b": [{}]}}
    assert foreign.without_choices(told) == {"a": 1, "text_config": {"b": [{}]}}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(x*y){2,}", "([^b]+c?)*", "x" * 5000])
def test_a_tokenizer_that_may_seek_for_ever_is_refused(pattern: str) -> None:
    """Its JSON may hold regular expressions; those of known tokenizers repeat nothing that is repeated inside."""
    plain = {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    splitter = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    with pytest.raises(ValueError, match="its tokenizer seeks"):
        transformers_text._read(json.dumps({**plain, "pre_tokenizer": splitter}).encode(), 8)


def test_the_expressions_of_known_tokenizers_pass() -> None:
    """As GPT-2, GPT-4 and Llama have them."""
    known = (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+",
        " {2,}",
    )
    for pattern in known:
        assert not transformers_text.NESTED.search(pattern)
