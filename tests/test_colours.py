"""The colours of the page, light and dark, and of the short form: far enough apart, computed from their names."""

from __future__ import annotations

import re

import pytest
from report_made import sample

from automl.report import draw, short

TEXTS = ("ink", "soft", "blue", "orange", "amber")
MARKS = ("blue", "orange", "pale", "whisker")  # of pictures: they need less than words do


def light(colour: str) -> float:
    """The relative luminance of #rgb or #rrggbb."""
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As the Web Content Accessibility Guidelines count it."""
    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def themes() -> dict[str, dict[str, str]]:
    """Every set of colours by where it stands."""
    found = re.findall(r"([^{}]+)\{([^{}]*--paper:[^{}]*)\}", draw(sample()) + short.draw(sample()))
    return {place.strip().splitlines()[-1]: dict(re.findall(r"--([a-z]+):\s*(#\w+)", body)) for place, body in found}


def test_there_are_four_sets_of_colours_and_both_dark_ones_are_the_same() -> None:
    """Light, dark by the device, dark by the reader, and that of a notebook."""
    found = themes()
    assert len(found) == 4
    dark = [colours for place, colours in found.items() if "theme-" in place]
    assert len(dark) == 2
    assert dark[0] == dark[1]


@pytest.mark.parametrize("place", themes())
def test_texts_and_marks_stand_out(place: str) -> None:
    """4.5 to 1 for words on paper and on the tint, 3 to 1 for marks."""
    colours = themes()[place]
    for paper in ("paper", "tint"):
        assert [name for name in TEXTS if name in colours and contrast(colours[name], colours[paper]) < 4.5] == []
    assert [name for name in MARKS if contrast(colours[name], colours["paper"]) < 3] == []
