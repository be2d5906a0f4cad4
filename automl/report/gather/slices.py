"""Where the chosen model errs more than elsewhere: slices of the held-out rows by what stands in their columns.

Slices are categories, ranges of numbers and dates, missing cells, and pairs of these for the columns that count most;
of files what is easily said of them. Shown is what chance does not explain (scoring/slices.py) and is worth knowing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, cast

import numpy as np

from automl.data.facets import Facet, facets
from automl.report.conditions import ConditionJson
from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, unfit
from automl.report.sections.slices import SliceJson, SlicesJson
from automl.scoring import chance, slices

MOST_ROWS = 10_000
LEAST_HELD = 200
LEAST_ROWS, LEAST_SHARE, MOST_SHARE = 30, 0.01, 0.8  # of the rows, in a slice
LEAST_WRONG = 5.0  # that a slice would have if it were like all others: below it a share says nothing
MOST_COLUMNS, MOST_LABELS, RANGES, PAIRED = 60, 12, 5, 4
MOST_SLICES = 400
SHOWN = 8
WORTH = 1.1  # times the error of the others, from which a slice is worth a line
MORE = 1.2  # times the error of either part, that a pair surely has where it tells more than its parts
ALIKE = 0.6  # of the rows of two slices together are in both: the clearer one is shown
CAPPED = 0.99  # of the errors of numbers; few enormous ones must not hide the rest
TESTED_S = 2e-9  # for a row, a slice and a deal


@dataclass(frozen=True)
class Slice:
    """Some rows, and what they have in common."""

    conditions: tuple[ConditionJson, ...]
    columns: tuple[str, ...]
    rows: np.ndarray  # bool

    @property
    def is_pair(self) -> bool:
        """Whether it is by two columns."""
        return len(self.conditions) > 1


def gather(given: GatherInputs) -> SlicesJson:
    """The worst slices, clearest first, or that none stands out."""
    profile = given.finish.profile
    found: SlicesJson = {"why_not": None, "kind": "wrong" if profile.classes else "off", "rows": 0, "columns": 0,
                         "looked_at": 0, "least_rows": 0, "mean": None, "slices": []}  # fmt: skip
    held = held_rows(given, MOST_ROWS)
    if told := unfit(held, LEAST_HELD):
        return {**found, "why_not": told}
    if held.blocks is not None and int(held.blocks.max()) + 1 < slices.LEAST_BLOCKS:
        return {**found, "why_not": f"its rows stand together in {int(held.blocks.max()) + 1} groups or stretches of "
                                    f"time, and {slices.LEAST_BLOCKS} are needed to tell"}  # fmt: skip
    named = _in_order(given)
    looked = _columns(given, held, named)
    errors = (held.y != held.said).astype(np.float64) if profile.classes else np.abs(held.y - held.said)
    mean = float(np.average(errors, weights=held.weight))
    least = _least(len(errors), mean if profile.classes else 1.0)
    found |= {"rows": len(errors), "columns": len({one.column for one in looked}), "mean": mean, "least_rows": least}
    if not looked:
        return {**found, "why_not": "nothing that could be named is known of its rows"}
    if not mean:
        return found
    every = _affordable(given, all_slices(looked, least), len(errors))
    found["looked_at"] = len(every)
    if every:
        found["slices"] = worst(every, errors, held, is_wrong=bool(profile.classes))
    return found


def worst(every: Sequence[Slice], errors: np.ndarray, held: HeldRows, *, is_wrong: bool) -> list[SliceJson]:
    """Those that chance does not explain, each of them saying something that no clearer one says."""
    members = np.stack([one.rows for one in every])
    capped = errors if is_wrong else np.minimum(errors, np.quantile(errors, CAPPED))
    judged = slices.judge(capped, members, held.weight, held.blocks)
    sums, sizes = members @ (held.weight * errors), members @ held.weight
    means = sums / sizes
    rest = (float(held.weight @ errors) - sums) / np.maximum(float(held.weight.sum()) - sizes, 1e-12)
    mean_of = {_key(one.conditions[0]): mean for one, mean in zip(every, means, strict=True) if not one.is_pair}
    shown: list[int] = []
    for k in np.argsort(-judged.excess, kind="stable").tolist():
        if judged.p[k] > slices.LEVEL or means[k] < WORTH * rest[k] or len(shown) == SHOWN:
            continue
        parts = [mean_of.get(_key(part), 0.0) for part in every[k].conditions]
        if every[k].is_pair and means[k] - chance.Z * _mean(members[k], errors, held)[1] < MORE * max(parts):
            continue
        if all(_overlap(members[k], members[other]) < ALIKE for other in shown):
            shown.append(k)
    found = []
    for k in shown:
        ends = _ends(members[k], errors, held, judged.reach, is_wrong=is_wrong)
        found.append(cast(SliceJson, {**_told(every[k], errors, held), **ends, "p": float(judged.p[k])}))
    return found


def all_slices(looked: Sequence[Facet], least: int) -> list[Slice]:
    """Of each column on its own, then of pairs of those that stand first, as many as are looked at together."""
    most = MOST_SHARE * len(looked[0].values)
    single = [[one for one in _of_facet(facet) if least <= one.rows.sum() <= most] for facet in looked]
    found = [one for own in single for one in own][:MOST_SLICES]
    for mine, theirs in combinations(single[:PAIRED], 2):
        for one in mine:
            for other in theirs:
                both = one.rows & other.rows
                smaller = min(one.rows.sum(), other.rows.sum())
                if least <= both.sum() <= MOST_SHARE * smaller and len(found) < MOST_SLICES:
                    found.append(Slice((*one.conditions, *other.conditions), (*one.columns, *other.columns), both))
    return found


def _of_facet(facet: Facet) -> Iterator[Slice]:
    """Its categories, or ranges that hold about as many rows each, and its missing cells."""
    values = facet.values
    gone = np.isnan(values)
    for place, label in enumerate(facet.labels[:MOST_LABELS]):
        yield Slice((condition(facet, labels=[label]),), (facet.column,), values == place)
    if not facet.labels and not gone.all():
        edges = ranges(values[~gone])
        bounds = [None, *edges, None]
        for low, high in pairwise(bounds):
            if low is None and high is None:
                continue
            inside = (
                ~gone & (values >= (-np.inf if low is None else low)) & (values < (np.inf if high is None else high))
            )
            yield Slice((condition(facet, low=low, high=high),), (facet.column,), inside)
    if gone.any():
        yield Slice((condition(facet, is_missing=True),), (facet.column,), gone)


def ranges(values: np.ndarray) -> list[float]:
    """Values that divide the others into about equal parts, no part empty."""
    cuts = np.quantile(values, np.arange(1, RANGES) / RANGES, method="higher")
    return [edge for edge in np.unique(cuts).tolist() if edge > values.min()]


def condition(facet: Facet, **bounds: Any) -> ConditionJson:
    """As report.json holds it."""
    found = {"column": facet.name, "low": None, "high": None, "labels": None, "is_date": facet.is_date,
             "is_missing": False}  # fmt: skip
    return cast(ConditionJson, {**found, **bounds})


def _key(one: ConditionJson) -> str:
    return repr((one["column"], one["low"], one["high"], one["labels"], one["is_missing"]))


def _overlap(mine: np.ndarray, theirs: np.ndarray) -> float:
    return float((mine & theirs).sum() / max(1, (mine | theirs).sum()))


def _told(one: Slice, errors: np.ndarray, held: HeldRows) -> SliceJson:
    weight, rows = held.weight, one.rows
    found: SliceJson = {
        "conditions": list(one.conditions),
        "rows": int(rows.sum()),
        "share": float(weight[rows].sum() / weight.sum()),
        "mean": _mean(rows, errors, held)[0],
        "rest": _mean(~rows, errors, held)[0],
        "part": float((weight * errors)[rows].sum() / (weight * errors).sum()),
    }
    return found


def _ends(inside: np.ndarray, errors: np.ndarray, held: HeldRows, reach: float, *, is_wrong: bool) -> dict[str, float]:
    """Where its error may lie, and the distance to the others': so wide that they hold for all slices together."""
    mean, noise = _mean(inside, errors, held)
    rest, rest_noise = _mean(~inside, errors, held)
    half = reach * float(np.hypot(noise, rest_noise))
    ends = (max(0.0, mean - reach * noise), mean + reach * noise)
    if is_wrong and 0 < mean < 1 and noise > 0:
        share = chance.wilson(mean, mean * (1 - mean) / noise**2, reach)
        ends = (share.low, share.high)
    gap = mean - rest
    return {"low": ends[0], "high": ends[1], "gap": gap, "gap_low": gap - half, "gap_high": gap + half}


def _mean(rows: np.ndarray, errors: np.ndarray, held: HeldRows) -> tuple[float, float]:
    """Of the errors of some rows, and its standard error."""
    blocks, weight = None if held.blocks is None else held.blocks[rows], held.weight[rows]
    return float(np.average(errors[rows], weights=weight)), chance.standard_error(errors[rows], weight, blocks)


def _least(rows: int, mean: float) -> int:
    return int(max(LEAST_ROWS, LEAST_SHARE * rows, min(rows / 4, LEAST_WRONG / max(mean, 1e-9))))


def _in_order(given: GatherInputs) -> list[str]:
    """The columns, those that the model rests on most first."""
    weighed = [one["column"] for one in (given.importance or {}).get("columns", ())]
    return list(dict.fromkeys([*(name for name in weighed if name in given.finish.profile.used),
                               *given.finish.profile.used]))[:MOST_COLUMNS]  # fmt: skip


def _columns(given: GatherInputs, held: HeldRows, named: Sequence[str]) -> list[Facet]:
    """What can be said of the rows, while there is time."""
    found: list[Facet] = []
    for name in named:
        if time.monotonic() >= given.until:
            break
        found += facets(given.finish.dataset, given.finish.profile, held.rows, [name])
    return found


def _affordable(given: GatherInputs, every: list[Slice], rows: int) -> list[Slice]:
    """As many slices as there is time to judge."""
    left_s = given.until - time.monotonic()
    if left_s == float("inf"):
        return every
    return every[: max(0, int(left_s / (2 * TESTED_S * slices.DEALS * rows)))]
