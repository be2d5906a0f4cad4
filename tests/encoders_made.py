"""Small checkpoints that tests make themselves: trained for seconds on pictures of glyphs, saved as libraries do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from automl.modalities.encoders import packages
from automl.training import learners
from search_spaces.neural import convnet, soundnet
from search_spaces.spec import Family, Matrix, Media, Rows, Run, starts

SIDE = 24
GLYPHS = tuple(
    np.array([[mark == "#" for mark in line] for line in glyph.split()])
    for glyph in (
        "##### ....# ...#. ..#.. ..#..",
        "#...# .#.#. ..#.. .#.#. #...#",
        "..#.. ..#.. ##### ..#.. ..#..",
        "##### #...# #...# #...# #####",
        "..#.. .#.#. #...# .#.#. ..#..",
        "###.. #.... ###.. ..#.. ###..",
        "#.... #.... #.... #.... #####",
        "....# ...## ..#.# .#..# #####",
    )
)
KNOWN, NEW = (0, 1, 2, 3, 4, 5), (6, 7)  # what the checkpoints were trained on, and what the tests learn


def glyphs(which: tuple[int, ...], each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, each with one glyph in some bright colour anywhere on noise, and which of those it is."""
    random = np.random.default_rng(seed)
    store = random.integers(0, 100, (each * len(which), SIDE, SIDE, 3), dtype=np.uint8)
    y = np.repeat(np.arange(len(which)), each)
    for picture, label in zip(store, y, strict=True):
        top, left = random.integers(0, SIDE - 5, 2)
        picture[top : top + 5, left : left + 5][GLYPHS[which[label]]] = random.integers(150, 255, 3)
    return store, y


def save_vit(folder: Path, steps: int) -> Path:
    """A vision transformer that was trained for so many steps, as transformers saves one."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96, image_size=SIDE,
        patch_size=4, num_labels=len(KNOWN),
    )  # fmt: skip
    store, y = glyphs(KNOWN, 200, seed=0)
    pictures = torch.from_numpy(store).permute(0, 3, 1, 2).float() / 127.5 - 1
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTForImageClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
        for _ in range(steps):
            rows = torch.randint(0, len(y), (64,))
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                model(pixel_values=pictures[rows]).logits, torch.from_numpy(y)[rows]
            )
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    model.save_pretrained(folder)
    return folder


LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS),
         "good", "bad", "film", "##s", ".", "!", "中")  # fmt: skip


def save_sentences(folder: Path, seed: int = 0) -> Path:
    """An untrained BERT, as sentence-transformers saves one: mean over the tokens, vectors of length one."""
    import torch
    from safetensors.torch import save_file

    width, inner, places = 32, 64, 24
    sizes = {"vocab_size": len(WORDS), "hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 4}
    more = {"intermediate_size": inner, "max_position_embeddings": places, "hidden_act": "gelu", "type_vocab_size": 2}
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(*shape, generator=generator)

    state = {
        f"embeddings.{name}_embeddings.weight": drawn(rows, width)
        for name, rows in (("word", len(WORDS)), ("position", places), ("token_type", 2))
    }
    shapes = {f"attention.self.{name}": (width, width) for name in ("query", "key", "value")}
    shapes |= {"attention.output.dense": (width, width), "intermediate.dense": (inner, width)}
    shapes |= {"output.dense": (width, inner)}
    norms = ["embeddings.LayerNorm"]
    for number in range(2):
        there = f"encoder.layer.{number}"
        norms += [f"{there}.attention.output.LayerNorm", f"{there}.output.LayerNorm"]
        for name, shape in shapes.items():
            state |= {f"{there}.{name}.weight": drawn(*shape), f"{there}.{name}.bias": drawn(shape[0])}
    for name in norms:
        state |= {f"{name}.weight": 1 + drawn(width), f"{name}.bias": drawn(width)}
    (folder / "1_Pooling").mkdir(parents=True)
    save_file(state, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    pooling = {"word_embedding_dimension": width, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    parts = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling", "Normalize")]
    plain = {
        "config.json": {"model_type": "bert", **sizes, **more},
        "modules.json": parts,
        "1_Pooling/config.json": pooling,
        "tokenizer_config.json": {"do_lower_case": True, "tokenizer_class": "BertTokenizer"},
        "sentence_bert_config.json": {"max_seq_length": 16},
    }
    for name, content in plain.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def save_own(folder: Path, kind: str) -> Path:
    """A saved model with one network, by the files that its manifest names."""
    family: Family = convnet.FAMILY if kind == "image" else soundnet.FAMILY
    random = np.random.default_rng(0)
    if kind == "image":
        store, y = glyphs((0, 1), 20, seed=0)
        media = Media("image", store, np.arange(len(store)))
    else:
        waves = random.integers(-9000, 9000, (40, 4000)).astype(np.int16)
        media, y = Media("audio", waves, np.arange(40), rate=8000, lengths=np.full(40, 4000)), np.arange(40) % 2
    small = {"width": 8, "stages": 2, "depth_1": 0, "depth_2": 0, "rounds": 2}
    learner = learners.make(family, {**starts(family.space), **small})
    nothing = np.empty((len(y), 0))
    rows = Rows(Matrix(nothing.astype(np.float32), nothing.astype(np.int32), (), {"seen": media}), y)
    learner.fit(rows, None, Run("binary", 2, "log_loss", seed=1))
    files = {f"members/0001/fold0/{name}": content for name, content in learner.dump().items()}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    member = {"family": family.name, "weight": 1.0, "parts": [{"learner": "members/0001/fold0"}]}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (folder / "manifest.json").write_text(json.dumps({"members": [member], "files": digests}))
    return folder


def save_package(folder: Path, name: str = "tiny-lite-weights") -> packages.Package:
    """A package with an EfficientNet-Lite that learned nothing, installed in that folder; its code must never run."""
    import torch

    from search_spaces.neural.vision.lite import PUT_OUT, Lite

    module = name.replace("-", "_")
    (folder / module / "models").mkdir(parents=True)
    (folder / module / "__init__.py").write_text("raise RuntimeError('weights are read, their package is not run')")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Lite(0)
        state = {**network.state_dict(), "_fc.weight": torch.zeros(2, PUT_OUT), "_fc.bias": torch.zeros(2)}
    torch.save(state, folder / module / "models" / "tiny.pth")
    return packages.Package(
        name=name,
        module=module,
        file="models/tiny.pth",
        sha256=hashlib.sha256((folder / module / "models" / "tiny.pth").read_bytes()).hexdigest(),
        licence="Apache-2.0",
        mb=13,
        media="image",
        knows="nothing",
        kind="lite",
        extra="images",
        facts={"sides": [224, 224], "channels": 3, "mean": [0.5] * 3, "deviation": [0.5] * 3, "size": 0},
    )
