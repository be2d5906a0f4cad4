"""What was measured of forecasts, and what it says about us, as Markdown. Works on records alone.

Comparisons are geometric means over sets of losses' ratios, by each set's own metric. Who failed on a set has the loss
of seasonal naive there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pandas as pd
from forecast_scoring import LEVELS, Interval, Scores
from scoring import OURS, compare, markdown

SINGLE = ("naive", "ets", "theta", "mean", "lightgbm")  # the references of which the best on each set is taken
BEST = "best of them per set"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one contestant did on one set: one file of results/."""

    set: str
    contestant: str
    seconds: float | None  # None: knows no budget
    metric: str
    naive: float | None  # the set's metric of seasonal naive
    scores: Scores | None
    failure: str | None = None  # one line
    fit_s: float | None = None
    forecast_s: float | None = None
    peak_mb: float | None = None
    wall_s: float | None = None
    model: str | None = None
    version: str | None = None

    @property
    def loss(self) -> float | None:
        """The set's metric, or seasonal naive's where there is none."""
        found = self.scores.value(self.metric) if self.scores else None
        return self.naive if found is None else found


def record_from(told: dict[str, Any]) -> Record:
    """A record as its JSON tells it."""
    scores = told["scores"]
    if scores is not None:
        intervals = {
            int(level): Interval(**{**one, "by_step": tuple(one["by_step"])})
            for level, one in scores["intervals"].items()
        }
        scores = Scores(**{**scores, "intervals": intervals})
    return Record(**{**told, "scores": scores})


def line(record: Record) -> str:
    """One record in a line."""
    shown = "no score" if record.scores is None else f"{record.metric} {_number(record.scores.value(record.metric))}"
    took = "" if record.fit_s is None else f", fit {record.fit_s:.1f} s"
    failure = f", {record.failure}" if record.failure else ""
    return f"{record.set} {_label(record)}: {shown}{took}{failure}"


def summary(records: Sequence[Record]) -> str:
    """Everything, as Markdown."""
    parts = ["# Forecasts", "## Results", _results(records)]
    unscaled = {r.set: r.scores.unscaled for r in records if r.scores is not None and r.scores.unscaled}
    parts += [
        f"- {name}: {count} series left out of MASE, never changing or too short" for name, count in unscaled.items()
    ]
    if failures := [f"- {r.set}, {r.contestant}: {r.failure}" for r in records if r.failure]:
        parts += ["## Failures", "In comparisons, they have the loss of seasonal naive.", "\n".join(failures)]
    if any(r.scores is not None and r.scores.intervals for r in records):
        parts += ["## Intervals over all sets", _coverage(records)]
    losses = pd.DataFrame(
        [(r.set, r.contestant, r.loss, r.naive) for r in records], columns=["set", "who", "loss", "naive"]
    )
    parts += ["## Over all sets", _overall(losses)]
    if OURS in set(losses["who"]) and losses["who"].nunique() > 1:
        parts += ["## Ours against the others", _comparisons(losses)]
    return "\n\n".join(parts) + "\n"


def _results(records: Sequence[Record]) -> str:
    levels = [head for level in LEVELS for head in (f"in {level} %", "width", "Winkler")]
    heads = ["set", "contestant", "by", "score", "skill", "mase", "rmsse", "wape", "smape", *levels]
    rows = []
    for r in records:
        values = [None] * 4 if r.scores is None else [r.scores.value(m) for m in ("mase", "rmsse", "wape", "smape")]
        loss = r.loss if r.scores is not None else None
        skill = None if loss is None or not r.naive else 1 - loss / r.naive
        costs = [f"{v:.1f}" if v is not None else "-" for v in (r.fit_s, r.forecast_s, r.peak_mb)]
        rows.append([r.set, _label(r), r.metric, *map(_number, (loss, skill, *values)), *_intervals(r), *costs])
    return markdown([*heads, "fit s", "forecast s", "peak MB"], rows)


def _intervals(record: Record) -> list[str]:
    """Coverage, width and Winkler score of each level."""
    cells = []
    for level in LEVELS:
        one = record.scores.intervals.get(level) if record.scores else None
        cells += ["-"] * 3 if one is None else [f"{one.coverage:.1%}", _number(one.width), _number(one.winkler)]
    return cells


def _coverage(records: Sequence[Record]) -> str:
    """Of each contestant, the mean over sets and that of all rows."""
    rows = []
    for name in dict.fromkeys(r.contestant for r in records):
        mine = [r.scores for r in records if r.contestant == name and r.scores is not None and r.scores.intervals]
        if mine:
            cells: list[str] = []
            for level in LEVELS:
                some = [(s.intervals[level].coverage, s.rows) for s in mine if level in s.intervals]
                pooled = sum(share * count for share, count in some) / max(1, sum(count for _, count in some))
                cells += [f"{mean(share for share, _ in some):.1%}", f"{pooled:.1%}"] if some else ["-", "-"]
            rows.append([name, len(mine), *cells])
    return markdown(["contestant", "sets", *(f"{level} %, {of}" for level in LEVELS for of in ("sets", "rows"))], rows)


def _overall(losses: pd.DataFrame) -> str:
    """Geometric mean of each contestant's loss and of its ratio to seasonal naive's."""
    rows = []
    for name, part in losses.dropna().groupby("who", sort=False):
        ratio = _geometric(part["loss"] / part["naive"])
        rows.append([name, len(part), f"{_geometric(part['loss']):.4f}", f"{ratio:.4f}"])
    return markdown(["contestant", "sets", "geometric mean", "of seasonal naive"], rows)


def _comparisons(losses: pd.DataFrame) -> str:
    table = losses.pivot_table(index="set", columns="who", values="loss", sort=False)
    rivals = {str(name): table[name] for name in table.columns if name != OURS}
    single = [name for name in SINGLE if name in table]
    if len(single) > 1:
        rivals[BEST] = table[single].min(axis=1)
    rows = []
    for name, values in rivals.items():
        ratios = (table[OURS] / values).dropna()
        if len(ratios):
            found = compare(table[OURS], values)
            shown = ", ".join(f"{each} {ratio:.3f}" for each, ratio in ratios.items())
            rows.append([name, len(ratios), found.wins, found.ties, found.losses, str(found), shown])
    note = f"Our loss divided by theirs, below 1 we are better; {BEST}: of {', '.join(single)}, with hindsight."
    return note + "\n\n" + markdown(["against", "sets", "wins", "ties", "losses", "ratio", "on each set"], rows)


def _geometric(values: pd.Series) -> float:
    return math.exp(mean(math.log(max(value, 1e-12)) for value in values))  # an error of zero has no logarithm


def _label(record: Record) -> str:
    return record.contestant if record.seconds is None else f"{record.contestant} {record.seconds:g} s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
