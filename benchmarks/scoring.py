"""Scores, their comparison, and the tables that show both. Works on records alone, so old results can be read again.

A loss is what is left to gain: 1 - AUC, 1 - accuracy, log loss, RMSE, MAE. Ratios of losses are what is averaged.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd

OURS = "ours"
GAINS = ("roc_auc", "accuracy")  # scores of which 1 is perfect; all others are losses already
TIE = 0.002  # a difference in loss below this share is no difference
FLOOR = 0.001  # losses below this share of the constant's count as that: a ratio of near-zeros says nothing
RESAMPLES = 10_000
STORED = " (stored)"


@dataclass(frozen=True)
class Record:
    """What one contestant did on one set with one seed: one line of results.jsonl."""

    set: str
    contestant: str
    seed: int
    seconds: float
    metric: str
    constant_loss: float  # of predicting class shares or the mean; stands in where a contestant gave nothing
    score: float | None = None
    failure: str | None = None  # one line
    fit_s: float | None = None
    overrun_s: float | None = None
    row_ms: float | None = None
    batch_ms: float | None = None
    size_mb: float | None = None
    peak_mb: float | None = None
    wall_s: float | None = None
    model: str | None = None
    version: str | None = None
    promised: float | None = None  # the score that the contestant expects on new rows
    low: float | None = None  # and the bounds of its interval
    high: float | None = None

    @property
    def loss(self) -> float:
        """What is left to gain; the constant's where there is no score."""
        return self.constant_loss if self.score is None else loss(self.metric, self.score)


@dataclass(frozen=True)
class Ratio:
    """Geometric mean over sets of our loss divided by another's, with a bootstrap interval; below one we are better."""

    value: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int

    def __str__(self) -> str:
        if self.wins + self.ties + self.losses == 1:
            return f"{self.value:.4f}"  # one set says nothing about the next
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


# --- one score -------------------------------------------------------------------------------------------------------


def loss(metric: str, score: float) -> float:
    """The score as something to make small."""
    return 1 - score if metric in GAINS else score


def score(metric: str, truth: pd.Series, predictions: pd.DataFrame) -> float:
    """Score of predictions: a column per class with its probability, or one column of numbers."""
    from sklearn import metrics

    if len(predictions) != len(truth):
        raise ValueError(f"{len(predictions)} predictions for {len(truth)} test rows")
    if not np.isfinite(predictions.to_numpy(dtype=float)).all():
        raise ValueError("predictions hold cells that are no finite numbers")
    if metric == "rmse":
        return float(metrics.root_mean_squared_error(truth, predictions.iloc[:, 0]))
    if metric == "mae":
        return float(metrics.mean_absolute_error(truth, predictions.iloc[:, 0]))
    if not set(truth) & set(predictions.columns):
        raise ValueError(f"predicted classes {list(predictions.columns)[:3]} are none of {sorted(set(truth))[:3]}")
    labels = sorted({*truth, *predictions.columns})
    chances = predictions.reindex(columns=labels, fill_value=0.0).to_numpy(dtype=float)
    if metric == "accuracy":
        return float(metrics.accuracy_score(truth, np.array(labels, dtype=object)[chances.argmax(axis=1)]))
    if metric == "log_loss":
        return float(metrics.log_loss(truth, chances / chances.sum(axis=1, keepdims=True), labels=labels))
    if metric == "roc_auc" and len(labels) == 2:
        return float(metrics.roc_auc_score(truth == labels[1], chances[:, 1]))
    raise ValueError(f"metric {metric!r} with {len(labels)} classes is not one that this benchmark scores")


def constant(train: pd.Series, task: str, rows: int) -> pd.DataFrame:
    """What one predicts who has seen the target only: the classes' shares, or the mean."""
    values = {"prediction": train.mean()} if task == "regression" else train.value_counts(normalize=True).to_dict()
    return pd.DataFrame({str(name): np.full(rows, value) for name, value in values.items()})


# --- comparison ------------------------------------------------------------------------------------------------------


def losses(records: Sequence[Record]) -> pd.DataFrame:
    """Mean loss over seeds: a row per set, a column per contestant, NaN where it did not take part."""
    floors = {record.set: FLOOR * record.constant_loss for record in records if math.isfinite(record.constant_loss)}
    rows = [(r.set, r.contestant, max(r.loss, floors.get(r.set, 0.0))) for r in records]
    return pd.DataFrame(rows, columns=["set", "contestant", "loss"]).pivot_table(
        index="set", columns="contestant", values="loss", sort=False
    )


def compare(ours: pd.Series, other: pd.Series) -> Ratio:
    """Our losses against another's on the sets that both have."""
    logs = np.log((ours / other).dropna().to_numpy())
    draws = np.random.default_rng(0).choice(logs, size=(RESAMPLES, len(logs))).mean(axis=1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    wins, defeats = int((logs < math.log(1 - TIE)).sum()), int((logs > -math.log(1 - TIE)).sum())
    return Ratio(math.exp(logs.mean()), float(low), float(high), wins, len(logs) - wins - defeats, defeats)


def stored(file: Path, metrics: Mapping[str, str]) -> list[Record]:
    """Records of earlier scores, for the sets that are being compared by the same metric."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return [
        Record(name, peer + STORED, 0, content["seconds"], scores["metric"], math.nan, score=value)
        for name, scores in content["scores"].items()
        if metrics.get(name) == scores["metric"]
        for peer, value in scores.items()
        if peer != "metric"
    ]


# --- words -----------------------------------------------------------------------------------------------------------


def summary(records: Sequence[Record]) -> str:
    """Everything that was measured and what it says about us, as Markdown."""
    parts = ["## Results", _results(records)]
    if failures := [r for r in records if r.failure]:
        lines = [f"- {r.set}, {r.contestant}, seed {r.seed}: {r.failure}" for r in failures]
        note = "In comparisons, a run without predictions has the loss of the constant predictor."
        parts += ["## Failures", note, "\n".join(lines)]
    if any(r.low is not None and r.score is not None for r in records):
        parts += ["## Promises kept", _promises(records)]
    table = losses(records)
    peers = [name for name in table.columns if name != OURS]
    if OURS in table.columns and peers:
        parts += ["## Ours against the others", _comparisons(table, peers)]
    return "\n\n".join(parts) + "\n"


def _results(records: Sequence[Record]) -> str:
    headers = ["set", "metric", "contestant", "score", "fit s", "overrun s", "row ms", "batch ms", "MB", "peak MB"]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.set, record.contestant), []).append(record)
    order = list(dict.fromkeys(record.set for record in records))
    rows = []
    for (name, contestant), runs in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        scores = [run.score for run in runs if run.score is not None]
        shown = f"{mean(scores):.5g}" if scores else "failed"
        costs = [_typical(runs, field) for field in ("fit_s", "overrun_s", "row_ms", "batch_ms", "size_mb", "peak_mb")]
        rows.append([name, runs[0].metric, contestant, shown, *costs])
    return markdown(headers, rows)


def _promises(records: Sequence[Record]) -> str:
    """How often the test score lay inside the promised interval, and on which side it was missed."""
    told = [r for r in records if r.low is not None and r.high is not None and r.score is not None]
    rows = []
    for contestant in dict.fromkeys(r.contestant for r in told):
        mine = [r for r in told if r.contestant == contestant]
        for metric in ["all", *dict.fromkeys(r.metric for r in mine)]:
            some = [r for r in mine if metric in ("all", r.metric)]
            good, poor = sum(map(_promised_too_much, some)), sum(map(_promised_too_little, some))
            rows.append([contestant, metric, len(some), f"{1 - (good + poor) / len(some):.1%}", good, poor])
    missed = [r for r in told if _promised_too_much(r) or _promised_too_little(r)]
    lines = [
        f"- {r.set}, {r.contestant}, seed {r.seed}: {r.promised:.4g} [{r.low:.4g}, {r.high:.4g}] promised, "
        f"{r.score:.4g} kept"
        for r in missed
    ]
    return (
        markdown(["contestant", "metric", "runs", "inside", "too much", "too little"], rows) + "\n\n" + "\n".join(lines)
    )


def _promised_too_much(record: Record) -> bool:
    """Whether the test score is worse than the interval allows."""
    assert record.low is not None
    assert record.high is not None
    assert record.score is not None
    return record.score < record.low if record.metric in GAINS else record.score > record.high


def _promised_too_little(record: Record) -> bool:
    """Whether it is better."""
    assert record.low is not None
    assert record.high is not None
    assert record.score is not None
    return record.score > record.high if record.metric in GAINS else record.score < record.low


def _typical(runs: Sequence[Record], field: str) -> str:
    """The median over seeds, but the worst overrun."""
    values = [value for run in runs if (value := getattr(run, field)) is not None]
    return f"{(max if field == 'overrun_s' else median)(values):.3g}" if values else "-"


def _comparisons(table: pd.DataFrame, peers: list[str]) -> str:
    rivals = {name: table[name] for name in peers}
    if len(peers) > 1:
        rivals["best of them per set"] = table[peers].min(axis=1)
    rows: list[list[Any]] = []
    for name, values in rivals.items():
        if (shared := int((table[OURS] / values).notna().sum())) == 0:
            continue
        ratio = compare(table[OURS], values)
        rows.append([name, shared, ratio.wins, ratio.ties, ratio.losses, str(ratio)])
    note = (
        f"Wins need a loss smaller by more than {TIE:.1%}. The ratio is the geometric mean over sets of our loss "
        "divided by theirs, with a 95 % bootstrap interval over sets: below 1 we are better. The best per set is "
        "picked with hindsight, on the test rows: no one could have had it."
    )
    return note + "\n\n" + markdown(["against", "sets", "wins", "ties", "losses", "ratio"], rows)


def markdown(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table that reads well both as text and as Markdown."""
    cells = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(headers))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
