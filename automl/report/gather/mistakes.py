"""What the chosen model gets wrong on rows it did not learn from: a table of answers and predictions, and examples.

Counted are the held-out predictions by which candidates were scored, read as users read them: calibrated, and with
labels decided as the saved model decides them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from automl.ensemble.candidates import HeldOutComparison
from automl.plain import as_json
from automl.records import Candidate
from automl.refit.finish import FinishInputs
from automl.report.sections.mistakes import ConfusionJson
from automl.scoring.readout import calibrated, decided

MOST_CLASSES = 30  # of a table of answers and predictions; the others are gathered
OTHERS = "others"
EXAMPLES, WRONG, UNSURE = 12, 6, 3  # examples in all, and how many of a kind where there are enough of each


@dataclass(frozen=True)
class HeldOutPredictions:
    """Held-out answers and what the chosen model said of them."""

    y: np.ndarray  # class numbers, or values
    said: np.ndarray  # class numbers, or values: of quantiles the middle one
    shares: np.ndarray | None  # (rows, classes) probabilities, of classes only


@dataclass(frozen=True)
class Confusion:
    """How many held-out rows of each answer were given each prediction."""

    classes: tuple[Any, ...]  # labels, the last one "others" where classes were gathered
    counts: tuple[tuple[int, ...], ...]  # by answer, then by prediction
    gathered: int  # classes behind "others"
    wrong: int  # rows; two classes among the others may have been taken for each other, which the table cannot show


@dataclass(frozen=True)
class Example:
    """A held-out row worth looking at."""

    row: int  # of the held-out ones
    kind: str  # "wrong" | "unsure" | "right"


def gather(inputs: FinishInputs, chosen: Candidate) -> ConfusionJson | None:
    """The table of the chosen model's held-out answers; None where answers are numbers."""
    classes = inputs.profile.classes
    if not classes:
        return None
    found: ConfusionJson = as_json(confusion(held_out(chosen, inputs.comparison, len(classes)), classes))
    return found


def held_out(candidate: Candidate, comparison: HeldOutComparison, classes: int) -> HeldOutPredictions:
    """The candidate's predictions on the arena's rows; `classes`: zero where answers are numbers."""
    mixed = np.asarray(sum(w * comparison.predictions[number] for number, w in candidate.weights.items()))
    if not classes:
        return HeldOutPredictions(comparison.y, mixed if mixed.ndim == 1 else mixed[:, mixed.shape[1] // 2], None)
    shares = calibrated(mixed, candidate.readout)
    return HeldOutPredictions(comparison.y, decided(shares, candidate.readout).argmax(axis=1), shares)


def confusion(held: HeldOutPredictions, classes: Sequence[Any]) -> Confusion:
    """The table; of very many classes those with the most answers keep a line of their own."""
    count = len(classes)
    frequency = np.bincount(held.y, minlength=count)
    kept = np.sort(np.argsort(-frequency, kind="stable")[:MOST_CLASSES])
    place = np.full(count, len(kept))
    place[kept] = np.arange(len(kept))
    size, wrong = len(kept) + (count > len(kept)), int((held.y != held.said).sum())
    flat = np.bincount(place[held.y] * size + place[held.said], minlength=size * size)
    labels = (*(classes[k] for k in kept.tolist()), *([OTHERS] if count > len(kept) else []))
    return Confusion(labels, tuple(map(tuple, flat.reshape(size, size).tolist())), count - len(kept), wrong)


def examples(held: HeldOutPredictions) -> list[Example]:
    """Rows to look at: what is surest and wrong, what is least sure, and what is right, each answer in turn."""
    wrong, unsure, right = _of_numbers(held) if held.shares is None else _of_classes(held, held.shares)
    chosen: dict[int, str] = {}
    rounds = (
        ("wrong", wrong, WRONG),
        ("unsure", unsure, UNSURE),
        ("right", right, EXAMPLES),
        ("wrong", wrong, EXAMPLES),
    )
    for kind, rows, most in rounds:
        fresh = (row for row in rows if row not in chosen)
        chosen |= dict.fromkeys(islice(fresh, min(most, EXAMPLES - len(chosen))), kind)
    order = {"wrong": 0, "unsure": 1, "right": 2}
    return sorted((Example(row, kind) for row, kind in chosen.items()), key=lambda example: order[example.kind])


def _of_classes(held: HeldOutPredictions, shares: np.ndarray) -> tuple[list[int], list[int], list[int]]:
    sure = shares[np.arange(len(held.y)), held.said]
    is_right = held.said == held.y
    surest = np.argsort(-sure, kind="stable")
    top = np.partition(shares, -2, axis=1)[:, -2:]
    closest = np.argsort(top[:, 1] - top[:, 0], kind="stable")
    right = surest[is_right[surest]].tolist()
    return surest[~is_right[surest]].tolist(), closest.tolist(), list(_in_turn(right, held.y))


def _of_numbers(held: HeldOutPredictions) -> tuple[list[int], list[int], list[int]]:
    """Those farthest off; none is unsure; of the nearest some of each fifth of the answers."""
    off = np.argsort(-np.abs(held.said - held.y), kind="stable")
    fifth = np.searchsorted(np.quantile(held.y, (0.2, 0.4, 0.6, 0.8)), held.y)
    half = len(off) // 2
    return off[:half].tolist(), [], list(_in_turn(off[half:][::-1].tolist(), fifth))


def _in_turn(rows: Sequence[int], group: np.ndarray) -> Iterator[int]:
    """The first of every group, then the second of every group, and so on."""
    of_group: dict[int, list[int]] = {}
    for row in rows:
        of_group.setdefault(int(group[row]), []).append(row)
    depth = max(map(len, of_group.values()), default=0)
    return chain.from_iterable(
        (own[k] for own in of_group.values() if k < len(own)) for k in range(min(depth, EXAMPLES))
    )
