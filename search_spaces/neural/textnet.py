"""Networks on texts that are trained here from nothing: a bag of words, convolutions or a small transformer.

Tokens are learned from the training texts, so any language will do. All text columns are read, one after another.
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural import text
from search_spaces.spec import TORCH, Choice, Family, Float, Int, Needs, Params, Price, Shape, Space

TOKENS: Space = {
    "vocabulary": Int(1_000, 32_000, start=8_000, log=True),
    "tokens": Int(32, 512, start=192, log=True),  # that are read of a row: its beginning and its end
    "case": Choice(("lower", "kept"), start="lower"),
}

ARCHITECTURE: Space = {
    "architecture": Choice(text.names(), start="bag"),
    "embedding": Int(16, 256, start=64, log=True),  # numbers of a token
    "pair_bits": Choice((0, 12, 14, 16), start=0),  # vectors of neighbouring pairs, as a power of two
    "width": Int(32, 256, start=96, log=True),  # of what stands behind the tokens
    "depth": Int(1, 4, start=1),
    "pool": Choice(("average", "max", "both", "weighed"), start="both"),
    "dropout": Float(0.0, 0.7, start=0.5),
    "word_dropout": Float(0.0, 0.5, start=0.3),  # share of tokens hidden, anew each time
}

RECIPE: Space = {
    "optimizer": Choice(("adamw",), start="adamw"),
    "learning_rate": Float(3e-4, 3e-2, start=3e-3, log=True),
    "weight_decay": Float(1e-4, 1.0, start=0.05, log=True),
    "batch_scale": Float(0.5, 4.0, start=1.0, log=True),
    "steps": Int(200, 6_000, start=600, log=True),
    "smoothing": Float(0.0, 0.2, start=0.05),  # of class labels
    "ema": Choice((0.0, 0.5, 1.0, 2.0), start=1.0),  # epochs over which weights are averaged
}

SPACE: Space = {**TOKENS, **ARCHITECTURE, **RECIPE}

PORTFOLIO: tuple[Params, ...] = (
    {"architecture": "cnn", "learning_rate": 2e-3},
    {"pair_bits": 14, "case": "kept", "embedding": 96, "depth": 2},  # many rows
    {"architecture": "transformer", "learning_rate": 1e-3, "dropout": 0.3, "word_dropout": 0.2},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network: numbers of tokens (rows, tokens) -> (rows, outputs)."""
    from search_spaces.neural.text.parts import TextNetwork

    if shape.text is None:
        raise ValueError("a textnet reads texts, but the shape has none. Give a Shape with `text` set.")
    return TextNetwork(params, shape.text, shape.outputs, text.get(params["architecture"]))


FAMILY = Family(
    name="textnet",
    title="Network on texts",
    route="neural",
    reads=frozenset({"text"}),
    reads_all=True,
    space=SPACE,
    build=build,
    portfolio=PORTFOLIO,
    recipes=("plain",),
    imports=TORCH,
    quick={"steps": 200, "embedding": 32},
    needs=Needs(rows=(100, 10_000_000), package="torch"),
    price=Price(3.0, 2.0, cell_bytes=24.0),
)
