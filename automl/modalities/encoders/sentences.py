"""A BERT that was trained to say what sentences mean, in the folder that sentence-transformers writes.

Network and tokens are our own (search_spaces/neural/text), so torch is all that it takes, where it was read and where
its saved model predicts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from automl.errors import InputError
from automl.messages import one_line
from automl.modalities.encoders import caches, packages
from automl.modalities.encoders.checkpoint import Checkpoint, CheckpointKind, seal
from automl.modalities.encoders.foreign import refuse_code_in

if TYPE_CHECKING:
    from torch import nn

NAME = "sentences"
WEIGHTS, CONFIG, VOCABULARY, PARTS = "model.safetensors", "config.json", "vocab.txt", "modules.json"
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}
# Share of the layers after which states are summed up too, beside the last ones: these were made for what sentences
# mean, and lose what else there is. It costs nothing; a line on both errs two fifths less on spam than on the last.
DEEP = 2 / 3
# what reading a damaged folder raises
BROKEN = (SafetensorError, OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError)


def claims(place: str) -> bool:
    """A package of such weights, or a folder of sentence-transformers whose network is a BERT in safetensors."""
    if place.startswith(packages.PREFIX):
        return packages.claims(place, NAME)
    folder = _folder(place)
    if not all((folder / name).is_file() for name in (WEIGHTS, CONFIG, VOCABULARY, PARTS)):
        return False
    try:
        return bool(_plain(folder / CONFIG).get("model_type") == "bert")
    except BROKEN:
        return False


def read(place: str) -> Checkpoint:
    """The encoder of such a folder; InputError in one line where it is not whole, or of another make."""
    if place.startswith(packages.PREFIX):
        package = packages.named(place)
        return read_folder(packages.whole(package).parent, name=package.name, told=f"weights={place!r}")
    return read_folder(_folder(place), name=Path(place).name, told=f"weights={place!r}")


def _folder(place: str) -> Path:
    """The folder itself, or that of a name that was fetched before."""
    return Path(place) if Path(place).exists() else caches.snapshot(place) or Path(place)


def read_folder(folder: Path, name: str, told: str) -> Checkpoint:
    """The encoder of a folder, under the name that people know it by; `told` begins what is said if it is none."""
    from safetensors.torch import load_file

    from search_spaces.neural.text.bert import from_published

    try:
        refuse_code_in(folder)
        facts = _facts(folder)
        network = build(facts, 0)
        vocabulary = _vocabulary(folder)
        published = from_published(load_file(folder / WEIGHTS), facts["plan"]["num_hidden_layers"])
        state = {f"bert.{place}": value for place, value in published.items()}
        network.load_state_dict({**state, "vocabulary": _as_tensor(vocabulary)})
    except InputError as problem:
        raise InputError(f"{told} {problem}") from None
    except BROKEN as problem:
        raise InputError(f"{told} cannot be read: {one_line(problem)[:160]}. Copy the whole folder again.") from problem
    width = int(facts["plan"]["hidden_size"]) * len(facts["form"]["depths"])
    return seal(NAME, name, facts, network, width)


def build(facts: Mapping[str, Any], rate: int) -> nn.Module:
    """The network without its weights and words."""
    from search_spaces.neural.text.bert import BertPlan, SentenceEncoder, SentenceForm

    del rate
    return SentenceEncoder(BertPlan(**facts["plan"]), SentenceForm(**facts["form"]), facts["vocabulary_bytes"])


KIND = CheckpointKind(NAME, claims, read, build)


def _facts(folder: Path) -> dict[str, Any]:
    from search_spaces.neural.text.bert import BertPlan, SentenceForm

    config, cased = _plain(folder / CONFIG), _plain(folder / "tokenizer_config.json")
    if (bend := config.get("hidden_act", "gelu")) != "gelu":
        raise InputError(f"bends by {bend!r}, not by 'gelu'. Install transformers, or give another encoder.")
    plan = BertPlan(**{one.name: config[one.name] for one in fields(BertPlan) if one.name in config})
    limit = int(_plain(folder / "sentence_bert_config.json").get("max_seq_length") or plan.max_position_embeddings)
    form = SentenceForm(
        tokens=min(limit, plan.max_position_embeddings),
        depths=tuple(dict.fromkeys((max(1, round(DEEP * plan.num_hidden_layers)), plan.num_hidden_layers))),
        pooling=_pooling(folder),
        is_lower=bool(cased.get("do_lower_case", True)),
        is_normalised=any(str(part.get("type", "")).endswith(".Normalize") for part in _plain(folder / PARTS)),
    )
    length = len(_vocabulary(folder))
    return {"media": "text", "plan": asdict(plan), "form": asdict(form), "vocabulary_bytes": length}


def _pooling(folder: Path) -> str:
    told = _plain(folder / "1_Pooling" / "config.json")
    asked = [name for name, value in told.items() if name.startswith("pooling_mode") and value is True]
    if len(asked) > 1 or not set(asked) <= set(POOLINGS):
        raise InputError(f"sums up by {' and '.join(asked)}; known are {', '.join(POOLINGS)}. Give another encoder.")
    return POOLINGS[asked[0]] if asked else "mean"


def _vocabulary(folder: Path) -> bytes:
    """The tokens, one a line, in the order of their numbers."""
    lines = (folder / VOCABULARY).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return "\n".join(lines).encode()


def _as_tensor(content: bytes) -> Any:
    import torch

    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _plain(file: Path) -> Any:
    """What a file of JSON says; nothing where there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
