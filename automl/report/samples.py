"""The mistakes of a report as the page shows them: the table of answers and predictions, and examples with pictures.

Everything is read from the report's JSON, whatever it holds, and from the files beside it that the JSON names; these
go into the page itself, so that it stays one file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.report import words

FOLDER = "pictures"  # in the run folder
MOST_SHOWN = 24
LARGEST = 200_000  # bytes of a picture that goes into the page
ROOMY = 12  # classes up to which a cell of the table says its share
NAME = re.compile(r"[a-z0-9-]{1,40}\.(png|jpg)")  # no path leads out of the folder
MIME = {"png": "image/png", "jpg": "image/jpeg"}


@dataclass(frozen=True)
class Cell:
    """How often an answer was given a prediction."""

    text: str
    share: float  # of the answer's rows
    kind: str  # "right" | "wrong" | ""
    told: str


@dataclass(frozen=True)
class Line:
    """An answer, and all that was said instead."""

    label: str
    cells: tuple[Cell, ...]
    rows: int
    right: float | None  # share


@dataclass(frozen=True)
class ConfusionTable:
    """Answers against predictions."""

    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    most: tuple[str, ...]  # the most frequent mistakes in words
    rows: int
    wrong: int
    gathered: int


@dataclass(frozen=True)
class Card:
    """An example."""

    name: str
    kind: str
    told: str
    length: str
    picture: str  # a data URI; empty where there is no file
    heat: str


def table(report: Mapping[str, Any]) -> ConfusionTable | None:
    """The confusion of a report; None where it has none, or none that adds up."""
    found = words.part(report, "confusion")
    classes, counts = words.part(found, "classes"), words.part(found, "counts")
    if not isinstance(classes, list) or not isinstance(counts, list) or len(counts) != len(classes) or not classes:
        return None
    if not all(isinstance(row, list) and len(row) == len(classes) for row in counts):
        return None
    labels = tuple(words.short(label, 60) for label in classes)
    numbers = [[_whole(count) for count in row] for row in counts]
    rows, wrong = sum(map(sum, numbers)), _whole(words.part(found, "wrong"))
    lines = tuple(_line(labels, at, row) for at, row in enumerate(numbers))
    return (
        ConfusionTable(labels, lines, _most(labels, numbers), rows, wrong, _whole(words.part(found, "gathered")))
        if rows
        else None
    )


def cards(report: Mapping[str, Any], folder: Path | None) -> list[Card]:
    """The examples of a report with their pictures out of this folder."""
    files = words.part(report, "samples", "files")
    return [_card(one, folder) for one in (files if isinstance(files, list) else [])[:MOST_SHOWN]]


def _line(labels: tuple[str, ...], at: int, counts: list[int]) -> Line:
    rows = sum(counts)
    cells = []
    for other, count in enumerate(counts):
        if not count:
            cells.append(Cell("", 0.0, "", ""))
            continue
        share = count / rows
        verb = "rightly told" if other == at else f"told to be {labels[other]}"
        shown = words.percent(share) if len(labels) <= ROOMY else words.number(count)
        told = f"{labels[at]}, {verb}: {words.number(count)} of {words.number(rows)} ({words.percent(share)})"
        cells.append(Cell(shown, share, "right" if other == at else "wrong", told))
    return Line(labels[at], tuple(cells), rows, counts[at] / rows if rows else None)


def _most(labels: tuple[str, ...], counts: list[list[int]], most: int = 5) -> tuple[str, ...]:
    """The most frequent mistakes, by how many rows they cost."""
    pairs = [
        (count, at, other) for at, row in enumerate(counts) for other, count in enumerate(row) if count and at != other
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    return tuple(
        f"{labels[at]} taken for {labels[other]}: {words.number(count)} "
        f"({words.percent(count / sum(counts[at]))} of {labels[at]})"
        for count, at, other in pairs[:most]
    )


def _card(one: Any, folder: Path | None) -> Card:
    kind = words.part(one, "kind")
    seconds = words.finite(words.part(one, "seconds"))
    return Card(
        words.short(words.part(one, "name"), 60),
        kind if kind in ("wrong", "unsure", "right") else "",
        _said(one),
        "" if seconds is None else words.seconds(seconds),
        _data_uri(words.part(one, "picture"), folder),
        _data_uri(words.part(one, "heat"), folder),
    )


def _said(one: Any) -> str:
    """Prediction and answer in one sentence."""
    said, answer = (_value(words.part(one, name)) for name in ("prediction", "answer"))
    sure = words.finite(words.part(one, "probability"))
    others = words.finite(words.part(one, "answer_probability"))
    told = "" if sure is None else f", {words.percent(sure)} sure"
    if said == answer:
        return f"{said}, rightly{told}"
    left = "" if others is None else f" ({words.percent(others)})"
    return f"said {said}{told}; it is {answer}{left}"


def _value(value: Any) -> str:
    return words.number(value) if isinstance(value, float) else words.short(value, 40)


def _whole(count: Any) -> int:
    found = words.finite(count)
    return 0 if found is None or found < 0 else int(found)


def _data_uri(name: Any, folder: Path | None) -> str:
    """The file as part of the page; nothing where there is none, or none that belongs there."""
    if folder is None or not isinstance(name, str) or not (found := NAME.fullmatch(name)):
        return ""
    try:
        content = (folder / name).read_bytes()
    except OSError:  # a report that was copied without its pictures
        return ""
    if len(content) > LARGEST:
        return ""
    return f"data:{MIME[found[1]]};base64,{base64.b64encode(content).decode('ascii')}"
