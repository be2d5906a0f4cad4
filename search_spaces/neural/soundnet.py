"""A convolutional network on log-mel spectrograms: what a convnet is to pictures, with the spectrogram in its space.

Bands and time are searched together with the architecture, for they decide both what can be heard and what it costs.
With `axes` "time" bands are channels: few operations, and no claim that a sound may move up and down in pitch.
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural.convnet import ARCHITECTURE, RECIPE
from search_spaces.spec import TORCH, Choice, Family, Float, Int, Needs, NetworkCost, Params, Price, Shape, Space

SPECTRUM: Space = {
    "window_ms": Float(10.0, 80.0, start=32.0, log=True),
    "hop_ms": Float(4.0, 30.0, start=10.0, log=True),
    "bands": Int(24, 128, start=48, log=True),
    "axes": Choice(("both", "time"), start="both"),
}

AUGMENTATION: Space = {
    "shake": Float(0.0, 0.3, start=0.1),  # share of the length by which a sound is moved
    "stretch": Float(0.0, 2.0, start=1.0),  # slower or faster, higher or lower: what helps most with new voices
    "mask_time": Float(0.0, 0.4, start=0.15),  # shares of a spectrogram that are hidden
    "mask_bands": Float(0.0, 0.4, start=0.15),
}

SPACE: Space = {
    **ARCHITECTURE,
    **RECIPE,
    "width": Int(8, 96, start=24, log=True),
    "pool": Choice(("average", "max", "both"), start="both"),
    "mix": Choice(("none", "mixup"), start="none"),
    **SPECTRUM,
    **AUGMENTATION,
}

PORTFOLIO: tuple[Params, ...] = (
    {"axes": "time", "width": 64, "growth": 1.4, "map_px": 64},  # a row costs little
    {"mix": "mixup", "dropout": 0.2, "steps": 3_000, "shake": 0.2, "stretch": 1.5},  # few rows
    {"bands": 80, "window_ms": 25.0, "width": 32, "map_px": 64, "squeeze_excite": True},
    {"window_ms": 50.0, "hop_ms": 16.0, "bands": 64, "mask_time": 0.3, "mask_bands": 0.3},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network: waves (rows, samples) of int16, or of floats on their scale -> (rows, outputs)."""
    from search_spaces.neural.vision.body import Body, BodyPlan
    from search_spaces.neural.vision.front import OnMedia, Sound

    front = Sound(params, _sound(shape))
    return OnMedia(front, Body(params, BodyPlan(front.channels, front.size, shape.outputs)))


def cost(params: Params, shape: Shape) -> NetworkCost:
    """What the network would take for a row, without the making of its spectrogram."""
    from search_spaces.neural.vision.body import Body, BodyPlan
    from search_spaces.neural.vision.cost import on_paper
    from search_spaces.neural.vision.front import Sound

    front = Sound(params, _sound(shape))
    plan = BodyPlan(front.channels, front.size, shape.outputs)
    return on_paper(lambda: Body(params, plan), (front.channels, *front.size))


def _sound(shape: Shape) -> tuple[int, int]:
    if shape.sound is None:
        raise ValueError("a soundnet reads sounds, but the shape has none. Give a Shape with `sound` set.")
    return shape.sound


FAMILY = Family(
    name="soundnet",
    title="Convolutional network on spectrograms",
    route="neural",
    reads=frozenset({"audio"}),
    is_coursed=True,
    space=SPACE,
    build=build,
    cost=cost,
    portfolio=PORTFOLIO,
    imports=TORCH,
    quick={"width": 12, "growth": 1.7, "map_px": 16, "steps": 500},
    needs=Needs(rows=(40, 10_000_000), package="torch"),
    price=Price(2.0, 30.0, cell_bytes=24.0),
)
