"""A saved configuration of a network: what its space does not know is left out, what it would not allow is refused.

Sizes of layers, of batches and of spectrograms are taken from it before any weight is seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from search_spaces.checked import need
from search_spaces.spec import Choice, Int, Knob, Shape, Space

# Knobs that no space lists: how long training took, and whether flips taught, as it turned out.
BESIDE: Space = {"rounds": Int(0, 1_000_000_000, start=1), "flip": Choice(("auto", "never", "always"), start="auto")}
ROOM = 4.0  # times the largest value that a space allows today; it may have allowed more before
MOST_SIDE, MOST_SAMPLES, MOST_RATE = 512, 10_000_000, 500_000
MOST_STEPS = 1_000_000
MOST_OUTPUTS, MOST_CODES, MOST_TOKENS, MOST_VOCABULARY = 100_000, 100_000_000, 65_536, 10_000_000


def known(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs of a space among saved ones; ValueError for a value far outside of it."""
    knobs = {**BESIDE, **space}
    kept = {name: value for name, value in params.items() if name in knobs}
    for name, value in kept.items():
        need(_fits(knobs[name], value), f"the knob {name} is {value!r:.40}")
    return kept


def _fits(knob: Knob, value: Any) -> bool:
    if isinstance(knob, Choice):
        if isinstance(value, str | bool):
            return any(one == value for one in knob.options if type(one) is type(value))
        numbers = [one for one in knob.options if not isinstance(one, str | bool)]
        is_whole = all(isinstance(one, int) for one in numbers)
        return bool(numbers) and _is_number(value, min(numbers) / ROOM, ROOM * max(numbers), is_whole=is_whole)
    if isinstance(knob, Int):
        return _is_number(value, min(1, knob.low), ROOM * knob.high, is_whole=True)
    return _is_number(value, knob.low / ROOM, ROOM * knob.high, is_whole=False)


def _is_number(value: Any, low: float, high: float, *, is_whole: bool) -> bool:
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def check_shape(shape: Shape) -> None:
    """Refuse sides, lengths and numbers of codes that no data set has."""
    _counts("outputs", (shape.outputs,), MOST_OUTPUTS)
    _counts("codes", shape.sizes, MOST_CODES)
    for column in shape.edges:
        is_rising = all(isinstance(a, int | float) and a < b for a, b in pairwise(column))
        need(is_rising and all(map(math.isfinite, column)), "edges of a column do not rise")
    for image, sound in ((shape.image, shape.sound), *((one.image, one.sound) for one in shape.branches)):
        _counts("sides of pictures", image or (), MOST_SIDE)
        _counts("samples of a sound", (sound or ())[:1], MOST_SAMPLES)
        _counts("samples a second", (sound or ())[1:], MOST_RATE)
    _counts("channels and steps of series", shape.series or (), MOST_SAMPLES)
    if shape.text is not None:
        _counts("tokens", tuple(map(_plus_one, shape.text)), MOST_VOCABULARY)
        _counts("tokens of a row", (shape.text[1],), MOST_TOKENS)
    if (window := shape.window) is not None:
        _counts("steps of a window", (window.context, window.horizon, window.season), MOST_STEPS)
        _counts("numbers of a step", (_plus_one(window.told), _plus_one(window.past)), MOST_CODES)
    _counts("numbers of a branch", tuple(_plus_one(branch.numbers) for branch in shape.branches), MOST_CODES)


def _plus_one(value: Any) -> Any:
    """None may be right of some counts."""
    return value + 1 if isinstance(value, int) else value


def _counts(name: str, values: tuple[Any, ...], most: int) -> None:
    for value in values:
        need(_is_number(value, 1, most, is_whole=True), f"{name}: {value!r:.40}")
