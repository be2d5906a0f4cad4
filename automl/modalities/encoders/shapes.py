"""What a network must know of its input and output, as JSON and back; of an encoder all but the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from automl.modalities import encoders
from search_spaces.knobs import check_shape
from search_spaces.spec import Branch, Shape, WindowShape


def shape_as_json(shape: Shape) -> dict[str, Any]:
    """Plain values."""
    encoder = None if shape.encoder is None else shape.encoder.as_json()
    return {**asdict(replace(shape, encoder=None)), "encoder": encoder}


def shape_from_json(plain: Mapping[str, Any]) -> Shape:
    """JSON knows no tuples; models saved before there were media and encoders lack their entries.

    ValueError for a shape that no data set has.
    """
    image, sound, text, encoder, window = (plain.get(name) for name in ("image", "sound", "text", "encoder", "window"))
    series = plain.get("series")
    shape = Shape(
        tuple(tuple(column) for column in plain["edges"]),
        tuple(plain["sizes"]),
        plain["outputs"],
        image=None if image is None else (image[0], image[1], image[2]),
        sound=None if sound is None else (sound[0], sound[1]),
        series=None if series is None else (series[0], series[1]),
        text=None if text is None else (text[0], text[1]),
        encoder=None if encoder is None else encoders.from_json(encoder),
        branches=tuple(_branch(entry) for entry in plain.get("branches", ())),
        window=None if window is None else _window(window),
    )
    check_shape(shape)
    return shape


def _window(plain: Mapping[str, Any]) -> WindowShape:
    return WindowShape(plain["context"], plain["horizon"], plain["season"], plain["told"], plain["past"])


def _branch(plain: Mapping[str, Any]) -> Branch:
    image, sound = plain["image"], plain["sound"]
    return Branch(
        plain["numbers"],
        image=None if image is None else (image[0], image[1], image[2]),
        sound=None if sound is None else (sound[0], sound[1]),
    )
