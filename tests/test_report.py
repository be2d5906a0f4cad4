"""The report: JSON first, then a page that anything may be in and nothing can break."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import findings_made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl import records
from automl.plain import as_json
from automl.report import axes, draw, scatter, schema, sections, words, write
from automl.report.priced import AXES
from automl.report.sections import ahead, cost, verdict

HOSTILE = (
    "</title></style><script>alert('x')</script>\"'><img src=x onerror=alert(1)> {{ 7*7 }} \u202eüß漢字\U0001f600\udc80"
)
NUMBERS = st.floats() | st.none()


def score(value: float, half: float = 0.01, metric: str = "roc_auc") -> dict:
    return as_json(
        records.Score(
            metric=metric, value=value, low=value - half, high=value + half, higher_is_better=True, optimism=0.0012
        )
    )


def model(name: str, value: float, row_ms: float, on_frontier: bool, picks: tuple[str, ...] = ()) -> dict:
    return {
        "name": name, "families": ["lightgbm", "linear"], "weights": {"2": 1.0}, "score": score(value), "fit_s": 12.5,
        "row_ms": row_ms, "batch_ms": 3.9, "size_mb": 1.3, "lean_ms": 0.5, "lean_mb": 0.3,
        "told_ms": 0.0, "told_mb": 0.0,
        "on_frontier": on_frontier, "picks": list(picks), "within_ms": 5.0, "kept": {"2": 3},
        "made_from": "",
        "readout": {"slope": 0.8, "shift": 0.1, "floor": 0.0, "shares": [], "label_weights": [0.31, 0.69],
                    "log_loss_gain": 0.0021, "label_gain": 0.043},
        "train": {"s": 12.5, "money": 2e-4, "kwh": 2e-5, "gpu_s": 0.0},
        "million": {"s": 4.1, "money": 4e-5, "kwh": 5e-6, "currency": "USD", "machine": "here, 2 cores"},
        "latency": {"one": calls(1, row_ms + 2), "many": calls(10_000, 41.0), "measured": on_frontier},
        "memory_mb": 21.5, "p_best": 0.4, "p_frontier": 0.7, "tied_with_best": on_frontier,
    }  # fmt: skip


def calls(rows: int, p50: float) -> dict[str, Any]:
    """Milliseconds of calls."""
    return {"rows": rows, "p50": p50, "p95": 1.3 * p50, "calls": 20, "low": 0.9 * p50, "high": 1.1 * p50}


def fold(number: int, error: float) -> dict:
    return {
        "fold": number, "error": error, "is_cut": False, "fit_s": 1.5, "batch_s": 0.004, "row_s": 0.001,
        "size_mb": 0.3, "rounds": 120,
    }  # fmt: skip


def trial(number: int, status: str, value: float | None, message: str = "") -> dict:
    return {
        "number": number, "family": ("lightgbm", "linear", "mlp")[number % 3], "presented": "rich, 40% of the rows",
        "status": status, "because": "search",
        "score": value, "low": None if value is None else value - 0.01, "high": None if value is None else value + 0.01,
        "folds_done": 0 if value is None else 5, "params": {"trees": 300},
        "folds": [] if value is None else [fold(k, 1 - value) for k in range(5)],
        "cpu_s": 2.0 + number, "wall_s": 1.0 + number,
        "peak_mb": 310.0, "message": message, "retries": 0, "parent": None, "finished_s": 1.5 * (number + 1),
    }  # fmt: skip


def on_routes() -> dict[str, Any]:
    """The verdict on the choice between routes."""
    shown = {"trials": 3, "folds": 9, "cpu_s": 14.0, "best": "lightgbm #2", "row_ms": 0.4, "size_mb": 1.0,
             "train_s": 4.0, "above": "", "why_not": ""}  # fmt: skip
    regret = dict.fromkeys(("value", "low", "high", "gain", "gain_low", "gain_high", "error"), 0.01)
    return {
        "told": ["Classical models were used.", "Measured regret: none."], "route": "classical", "model": "lightgbm #2",
        "members": ["classical"], "metric": "roc_auc", "higher_is_better": True, "perfect": 1.0, "rows": 12_345,
        "routes": [{"route": "classical", **shown}, {"route": "neural", **shown, "best": "mlp #5"}],
        "differences": [{"route": "neural", "ours": "lightgbm #2", "theirs": "mlp #5", "our_error": 0.15,
                         "their_error": 0.17, "low": 0.01, "high": 0.03, "folds": 3, "of": 5, "rows": 7_400,
                         "share": 1.0}],
        "regret": {**regret, "against": "classical", "routes": ["classical", "neural"], "rows": 12_345},
        "took_cheap": False, "turns": [], "win_before": 0.2, "win_after": None, "excluded": [], "retraining": None,
        "existing": None, "goal": None, "unexplained": "",
    }  # fmt: skip


def effect(before, after):
    gain = after - before
    return {
        "metric": "roc_auc",
        "higher_is_better": True,
        "before": before,
        "after": after,
        "gain": gain,
        "low": gain - 0.001,
        "high": gain + 0.001,
        "rows": 2469,
        "error_before": 1 - before,
    }


def side(value, rows):
    return {name: part for name, part in score(value).items() if name != "optimism"} | {"rows": rows}


def sample() -> dict:
    """A whole report of a small run, with every key of the schema."""
    return {
        "format": 1,
        "run": {
            "name": "churn", "started": "2030-01-02T03:04:05+00:00", "seconds": 61.4, "budget": "60s", "overrun_s": 1.4,
            "interrupted": False, "command": "automl fit churn.csv --target churn --budget 60s", "folder": "runs/churn",
        },
        "verdict": {
            "sentence": None, "chosen": "lightgbm #2", "because": "the best score of 3 models", "score": score(0.853),
            "baseline": score(0.5, 0.0), "test": score(0.849, 0.02), "untested": "", "meets_min_score": True,
            "model": {"row_ms": 2.5, "batch_ms": 9.0, "size_mb": 1.2},
            "coverage": [{"level": 0.1, "share": 0.121}, {"level": 0.9, "share": 0.88}],
        },
        "data": {
            "name": "churn", "rows": 12345, "columns": 9, "target": "churn", "task": "binary",
            "task_rule": "2 distinct values; override with task=", "metric": "roc_auc", "metric_rule": "default",
            "classes": ["no", "yes"], "class_counts": [9000, 3345], "positive": 1, "levels": [0.1, 0.9],
            "kinds": {"number": 6, "category": 3},
            "notes": ["'?' was read as missing"],
        },
        "audit": [
            {"code": "imbalance", "severity": "info", "message": "the smaller class has 27 % of the rows",
             "column": None, "evidence": {"share": 0.271}, "effect": None, "advice": "", "learner": ""},
            {"code": "leak", "severity": "danger", "message": "this column tells the answer", "column": "code",
             "evidence": {"auc": 0.999}, "effect": effect(0.991, 0.712), "advice": "leave it out",
             "learner": "lightgbm #2"},
        ],
        "suspects": {
            "kind": "labels", "looked_at": 12345, "count": 61, "rate": 0.008, "low": 0.005, "high": 0.011,
            "precision": 0.84, "why": "", "teller": "blend", "learner": "lightgbm #2", "folds": 5,
            "rows": [{"row": 17, "name": None, "given": "no", "suggested": "yes", "chance": 0.97}],
            "file": "suspects.csv", "all": effect(0.853, 0.854), "trusted": effect(0.861, 0.864), "is_advised": True,
            "advice": "look at the listed rows",
        },
        "twins": {
            "rows": 310, "share": 0.025, "agreeing": 300, "looked_at": 12345,
            "with_twin": side(0.951, 310), "without_twin": side(0.85, 12035),
            "told": "they flatter",
        },
        "shift": {
            "rows": 12345, "new_rows": 3000, "compared": 9, "moved": 1,
            "columns": [{"column": "age", "effect": 0.21, "low": 0.19, "high": 0.23, "beyond": 0.001, "missing": 0.02,
                         "was_missing": 0.0, "is_alarming": True}],
            "answers": {"column": "y", "effect": 0.0, "low": 0.0, "high": 0.02, "beyond": 0.0, "missing": 0.0,
                        "was_missing": 0.0, "is_alarming": False},
            "auc": 0.71, "low": 0.69, "high": 0.73, "promised": score(0.853), "test": score(0.81), "told": "worse",
        },
        "decision": {
            "shares": {"classical": 0.8, "neural": 0.2}, "families": ["lightgbm", "linear", "mlp"],
            "rules": [{"name": "small table", "because": "12,345 rows, under 100,000", "effect": "classical first",
                       "source": ""}],
            "skipped": [{"family": "catboost", "because": "pip install 'automl-frontier[catboost]'"}],
            "gain": {"mean": 0.1, "sd": 0.2, "source": "rules", "told": "12,345 rows"},
            "evidence": [{"family": "lightgbm", "route": "classical", "trials": 3, "score": score(0.853),
                          "cpu_s": 14.0},
                         {"family": "mlp", "route": "neural", "trials": 1, "score": None, "cpu_s": 2.0}],
            "outcome": "Classical models were used.", "verdict": on_routes(),
        },
        "leaderboard": [
            model("lightgbm #2", 0.853, 0.42, True, ("best", "cheapest tied")),
            model("linear #1", 0.80, 0.05, True, ("fastest",)),
            model("mlp #5", 0.79, 3.0, False),
        ],
        "arena": {"folds": [0, 1, 2, 3, 4], "rows": 2500, "tied": [["lightgbm #2", "linear #1"]],
                  "pairs": [["lightgbm #2", "linear #1"]], "redrawn": 200},
        "trials": [
            trial(0, "done", 0.84), trial(1, "done", 0.80), trial(2, "done", 0.853), trial(3, "partial", 0.90),
            trial(4, "failed", None, "ValueError: infinity in 'income'"), trial(5, "late", None),
            trial(6, "lost", None),
        ],
        "cost": {
            "wall_s": {"load": 0.5, "search": 50.0, "refit": 8.0}, "cpu_s": 35.0, "failed_cpu_s": 21.0,
            "peak_mb": 310.0, "trials_by_status": {"done": 3, "partial": 1, "failed": 1, "late": 1, "lost": 1},
            "invoice": {
                "core_s": {"done": 70.0, "partial": 3.0, "failed": 9.0, "late": 5.0, "lost": 7.0, "idle": 4.0,
                           "overhead": 20.0},
                "held_core_s": 118.0, "gpu_s": 0.0, "machine_s": 59.0, "money": 0.00123, "currency": "USD",
                "kwh": 0.000165, "energy_how": "cpu measured, memory estimated", "co2_g": 0.078, "retries": 2,
                "until_s": 59.0,
            },
            "quote": {
                "routes": [{"route": "auto", "good": {"seconds": {"low": 4.0, "high": 27.0}}, "flattened": {
                    "seconds": {"low": 5.0, "high": 40.0}, "money": {"low": 2e-4, "high": 1e-3},
                    "kwh": {"low": 2e-5, "high": 1e-4}}}],
                "advice": "30 s will do", "rests_on": "160 runs", "currency": "USD",
                "reached": {"good_s": 9.0, "flattened_s": 41.0, "until_s": 52.0, "is_settled": False},
            },
        },
        "confusion": {
            "classes": ["no", "yes"], "counts": [[1910, 90], [150, 350]], "gathered": 0, "wrong": 240,
        },
        "samples": {
            "kind": "image", "explained": "Grad-CAM: bright is what speaks for the answer",
            "notes": ["time was left to look into 1 of 2 files only"],
            "files": [
                {"name": "IMG_1.jpg", "kind": "wrong", "answer": "dog", "prediction": "cat", "probability": 0.98,
                 "answer_probability": 0.01, "seconds": None, "picture": "01.png", "heat": "01-looked.png",
                 "words": [["dog", 0.7], ["cat", -0.2]]},
                {"name": "IMG_2.jpg", "kind": "unsure", "answer": "dog", "prediction": "dog", "probability": 0.51,
                 "answer_probability": 0.51, "seconds": 1.2, "picture": None, "heat": None, "words": []},
            ],
        },
        "ahead": {
            "metric": "roc_auc", "higher_is_better": True, "perfect": 1.0, "error": 0.147, "spent_s": 61.4,
            "money": 0.00123, "kwh": 0.000165, "currency": "USD", "trials": 6,
            "points": [{"times": 1.5, "less": 0.01, "low": 0.0, "high": 0.03},
                       {"times": 2.0, "less": 0.02, "low": 0.001, "high": 0.06},
                       {"times": 10.0, "less": 0.05, "low": 0.004, "high": 0.12}],
        },
        **findings_made.all_findings(),
        "importance": {
            "metric": "roc_auc", "higher_is_better": True, "rows": 2000, "repeats": 5, "missing": 1,
            "columns": [
                {"column": "plan", "importance": 0.081, "low": 0.07, "high": 0.092},
                {"column": "note", "importance": -0.001, "low": -0.004, "high": 0.002},
            ],
            "groups": [{"columns": ["plan", "tariff"], "alike": 0.93, "importance": 0.12, "low": 0.1, "high": 0.14}],
            "notes": ["time was left for 2 of 3 columns"],
        },
        "slopes": {
            "model": "linear #3", "weight": 0.25, "folds": 5, "scale": "log-odds",
            "columns": [
                {"column": "age", "coefficient": -0.41, "low": -0.5, "high": -0.36, "label": None},
                {"column": "plan", "coefficient": 0.3, "low": 0.2, "high": 0.35, "label": "yes"},
            ],
        },
        "explanations": {
            "unit": "log-odds", "method": "paths of trees and slopes of lines",
            "rows": [
                {
                    "name": "row 17", "kind": "wrong", "label": "yes", "prediction": "no", "answer": "yes",
                    "probability": 0.93, "base": -1.2, "said": -2.6,
                    "columns": [
                        {"column": "plan", "value": "basic", "contribution": -1.5, "error": 0.0},
                        {"column": "age", "value": 41.5, "contribution": 0.3, "error": 0.02},
                    ],
                    "others": 4, "others_add": -0.2,
                }
            ],
            "notes": ["time was left for 1 of 6 rows"],
        },
        "coverage": {
            "kind": "set", "rows": 2000, "counted": 1800.0, "usual": None, "highest": 0.995,
            "levels": [
                {"level": 0.9, "share": 0.904, "low": 0.89, "high": 0.917, "width": 1.2, "single": 0.8, "needed": None},
                {"level": 0.99, "share": 1.0, "low": 0.998, "high": 1.0, "width": None, "single": 0.1, "needed": 99},
            ],
            "group_level": 0.9,
            "groups": [
                {"column": "plan", "group": "gold", "rows": 143, "share": 0.81, "low": 0.74, "high": 0.866,
                 "is_low": True},
                {"column": "age", "group": "above 61", "rows": 300, "share": 0.88, "low": 0.84, "high": 0.912,
                 "is_low": False},
            ],
            "looked_at": 17, "notes": ["rows of older folds count half as much as those of the next one in time"],
        },
        "forecasts": {
            "why_not": None, "metric": "mase", "series": 7, "rows": 42, "step": "day", "horizon": 3, "season": 2,
            "error": 0.81, "naive": 1.02, "skill": {"value": 0.206, "low": 0.11, "high": 0.3},
            "held": [{"level": 0.8, "share": 0.81, "width": 4.0}, {"level": 0.95, "share": 0.9, "width": 9.5}],
            "steps": [
                {"step": 1, "last": 1, "error": 0.7, "naive": 1.0, "rows": 14, "held80": 0.82, "held95": 0.93},
                {"step": 2, "last": 3, "error": 0.9, "naive": 1.03, "rows": 28, "held80": 0.8, "held95": 0.88},
            ],
            "windows": [
                {"first": "2024-01-04", "last": "2024-01-06", "error": 0.8, "naive": 1.0, "rows": 21},
                {"first": "2024-01-01", "last": "2024-01-03", "error": 0.82, "naive": 1.04, "rows": 21},
            ],
            "worst": [
                {"name": "north", "error": 1.4, "naive": 1.2, "rows": 6},
                {"name": "south", "error": 0.6, "naive": 0.9, "rows": 6},
            ],
            "bins": [{"low": 0.6, "high": 1.0, "series": 5}, {"low": 1.0, "high": 1.4, "series": 2}],
            "unscaled": 1,
            "drawn": [
                {
                    "role": "worst", "name": "north", "error": 1.4, "every": 1,
                    "times": ["2023-12-30", "2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"],
                    "values": [3.0, 5.0, 2.5, None, 4.0, 6.0],
                    "windows": [
                        {"at": [2, 3, 4], "middle": [3.0, 4.5, 3.5], "low80": [2.0, 3.0, 2.0],
                         "high80": [4.0, 6.0, 5.0], "low95": [1.0, None, 0.5], "high95": [5.0, 8.0, 7.0]},
                        {"at": [5], "middle": [5.0], "low80": [4.0], "high80": [6.5], "low95": [3.0], "high95": [8.0]},
                    ],
                    "trend": [4.0, 4.1, 4.2, 4.3, 4.4, 4.5], "season": [-0.5, 0.5, -0.5, 0.5, -0.5, 0.5],
                    "rest": [-0.5, 0.4, -1.2, None, 0.1, 1.0],
                }
            ],
        },
        "lineage": {
            "before": "runs/churn", "generation": 2, "sources": ["old.csv", "new.csv"], "old_rows": 12000,
            "new_rows": 345, "held_rows": 115, "verdict": "tied", "told": "cannot be told apart from the old model",
            "gain": 0.002, "gain_low": -0.01, "gain_high": 0.014, "old_score": 0.85,
            "notes": ["3 new rows are old ones"],
        },
        "parts": {
            "metric": "roc_auc", "higher_is_better": True, "model": "lightgbm #2", "rows": 2000, "whole": 0.853,
            "parts": [
                {"part": "photo", "columns": ["photo"], "without": 0.81, "added": 0.043, "low": 0.03, "high": 0.056,
                 "row_ms": 3.2},
                {"part": "the table's own columns", "columns": ["plan", "age"], "without": 0.7, "added": 0.153,
                 "low": 0.1, "high": 0.2, "row_ms": None},
            ],
            "notes": ["time was left to do without 2 of 3 parts"],
        },
        "cheaper": {"students": [trial(9, "done", 0.84)], "unmade": "the budget has no time for one"},
        "versions": {"python": "3.11.9", "automl": "0.1.0"},
        "reproduce": "automl.fit('churn.csv', target='churn', budget='7 trials', seed=0)",
    }  # fmt: skip


class Page(HTMLParser):
    """The page as a browser would take it apart: tags balanced, attributes and text gathered."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def replaced(tree, path, value):
    """A copy of a JSON tree with the part at this path replaced, or gone where the value is KeyError."""
    tree = copy.deepcopy(tree)
    where = tree
    for step in path[:-1]:
        where = where[step]
    if value is KeyError:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return tree


def along_latency(report, width):
    """The frontier's picture along latency."""
    return scatter.draw(report, scatter.marks(report), AXES[0], width)


def paths(tree, base=()):
    """The place of every value; of list items that are alike, of the first."""
    seen = set()
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(tree, list) and shape(value) in seen:
            continue
        seen.add(shape(value))
        yield (*base, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*base, key))


def shape(value):
    """What kind of value it is, down to its leaves."""
    if isinstance(value, dict):
        return frozenset((key, shape(one)) for key, one in value.items())
    return frozenset(map(shape, value)) if isinstance(value, list) else type(value)


def test_the_page_holds_its_parts_in_order():
    """What was found, why, what it costs, what is odd, how good it is where, what it rests on, how to do it again."""
    page = Page(draw(sample()))
    parts = sections.names()
    told = (
        "verdict",
        "decision",
        "frontier",
        "leaderboard",
        "cost",
        "data",
        "mistakes",
        "columns",
        "looked",
        "environment",
    )
    assert [part for part in parts if part in told] == list(told)
    assert [attrs["id"] for tag, attrs in page.tags if tag in ("header", "section")] == parts
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["#main", *(f"#{part}" for part in parts[1:])]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_what_the_run_found_can_be_read_on_the_page():
    """Verdict, reasons, failures and the way to repeat the run are there in words, not only in pictures."""
    text = Page(draw(sample())).words
    for said in (
        "Use lightgbm #2: roc_auc 0.8530 (95 % interval 0.8430 to 0.8630), against 0.5 without a model",
        "it predicts a row in 2.5 ms.",  # the saved model, not the estimate of the leaderboard
        "Chosen: the best score of 3 models.",
        "over the budget by 1.4 s",
        "classical 80 % neural 20 %",
        "Measured regret: none.",
        "pip install 'automl-frontier[catboost]'",
        "ValueError: infinity in 'income'",
        "3 done, 1 partial, 1 failed, 1 late, 1 lost",
        "yes · 3,345",
        "automl.fit('churn.csv', target='churn', budget='7 trials', seed=0)",
    ):
        assert said in text
    assert text.index("this column tells the answer") < text.index("the smaller class has 27 %")  # danger before info


def misfits(value: object, hint: object, where: str = "") -> Iterator[str]:
    """Where a JSON value is not what its hint says; null is allowed everywhere."""
    if value is None or hint is Any:
        return
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is UnionType:
        yield from misfits(value, next(one for one in parts if one is not NoneType), where)
    elif is_typeddict(kind):
        hints = get_type_hints(kind)
        yield from (f"{where}.{key} is unknown" for key in value if key not in hints)
        yield from (f"{where}.{key} is missing" for key in hints if key not in value)
        for key in hints.keys() & value.keys():
            yield from misfits(value[key], hints[key], f"{where}.{key}")
    elif kind in (list, dict):
        if not isinstance(value, kind):
            yield f"{where} is {value!r}"
            return
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from misfits(item, parts[-1], f"{where}[{key}]")
    elif isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
        yield f"{where} is {value!r}"


def test_the_sample_has_every_key_that_the_schema_names():
    """What these tests draw is what the sections promise, level by level, key by key and type by type."""
    report = sample()
    assert list(schema.Report.__annotations__) == list(schema.ORDER)
    assert list(misfits(report, schema.Report)) == []
    assert set(report["leaderboard"][0]) - {"families"} == set(records.Candidate.__dataclass_fields__)
    assert set(report["leaderboard"][0]["readout"]) == set(records.Calibration.__dataclass_fields__)
    assert set(report["audit"][0]) == set(records.Finding.__dataclass_fields__) | {"effect", "advice", "learner"}
    assert set(report["trials"][0]["folds"][0]) == set(records.Fold.__dataclass_fields__) - {"predictions"}
    assert list(misfits(report | {"run": report["run"] | {"seconds": "61"}, "x": 1}, schema.Report)) == [
        ".x is unknown",
        ".run.seconds is '61'",
    ]


def test_a_run_holds_what_the_schema_names(finished):
    """Every key of a real report, in this order, is named with its type; nothing is left out but what others write."""
    report = json.loads((finished.folder / "report.json").read_text(encoding="utf-8"))
    assert tuple(report) == schema.ORDER
    found = set(misfits(report, schema.Report))
    means = {f".decision.evidence[{at}].score" for at in range(len(report["decision"]["evidence"]))}
    free = {f"{place}.{key} is missing" for place in means for key in ("low", "high", "level", "optimism")}
    assert found - free == {".verdict.sentence is missing"}


def test_the_page_is_drawn_from_the_json_alone(tmp_path):
    """What is written and read back draws the same page, and records are written as plain values."""
    report = sample() | {"audit": [records.Finding("leak", "danger", "tells", "code", {"auc": math.nan})]}
    data, page = write(report, tmp_path / "new")
    assert (read := json.loads(data.read_text(encoding="utf-8"))) == as_json(report)
    assert page.read_text(encoding="utf-8") == draw(read)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.json"]


def test_the_page_needs_nothing_from_outside():
    """No script, no address, no import, and a policy that forbids them."""
    html = draw(sample())
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img", "object", "embed", "base"}
    for _, attrs in page.tags:
        assert re.match(r"#|data:", attrs.get("href", "#"))
        assert "src" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_no_name_from_the_data_becomes_markup(tmp_path):
    """Every text of the report may hold tags, quotes, template marks and half characters; all are shown as text."""
    report = sample()
    for path in list(paths(report)):
        value = report
        for step in path:
            value = value[step]
        if isinstance(value, str) and path[-1] not in ("severity", "status"):
            report = replaced(report, path, HOSTILE + value if path[-1] != "chosen" else HOSTILE + "lightgbm #2")
    report["cost"]["wall_s"] = {HOSTILE: 3.0}
    report["decision"]["shares"] = {HOSTILE: 1.0}
    report["data"]["kinds"] = report["versions"] = report["cost"]["trials_by_status"] = {HOSTILE: 3}
    report["audit"][0]["evidence"] = {HOSTILE: [HOSTILE]}
    for trial_ in report["trials"]:
        trial_["status"] = HOSTILE
    data, file = write(report, tmp_path)
    page = Page(file.read_text(encoding="utf-8"))
    assert json.loads(data.read_text(encoding="utf-8")) == report
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "{{ 7*7 }}" in page.words
    assert "chosen" in page.words  # the hostile name is still found in the leaderboard


def test_long_names_are_shortened_to_the_eye_and_whole_on_hover():
    """A name of 300 characters takes no more room than others, and is in the title."""
    name = "column_" + "x" * 300
    page = Page(draw(replaced(sample(), ("audit", 1, "column"), name)))
    assert name in [attrs.get("title") for _, attrs in page.tags]
    assert name not in page.words
    assert name[:30] in page.words


@pytest.mark.parametrize("depth", [2, pytest.param(99, marks=pytest.mark.soak)], ids=["parts", "all"])
def test_any_part_may_be_missing(depth):
    """Whatever is null or left out, in turns, the page is still drawn, whole and balanced.

    Of lists the first item will do: of what a section holds itself every part is tried both ways in test_sections.py.
    """
    found = [path for path in paths(sample()) if not any(isinstance(step, int) and step for step in path)]
    tried = [path for path in found if len(path) <= depth]
    for at, path in enumerate(tried):
        gone = KeyError if at % 2 and not isinstance(path[-1], int) else None
        page = Page(draw(replaced(sample(), path, gone)))
        assert "None" not in page.words


def test_an_empty_report_says_so():
    """Nothing known gives a page of dashes that claims nothing."""
    text = Page(draw({})).words
    assert "No model could be trained, or none is within the limits" in text
    assert "No audit was recorded." in text
    assert "None" not in text


def test_a_long_run_stays_a_page_that_opens():
    """50 trials and models fit into 350 kB; of thousands the page shows a part and says so."""
    report = sample()
    report["trials"] = [trial(n, "done" if n % 9 else "failed", 0.8 + n / 1000 if n % 9 else None) for n in range(50)]
    report["leaderboard"] = [model(f"lightgbm #{n}", 0.9 - n / 500, 0.1 + n, n < 5) for n in range(50)]
    assert len(draw(report).encode()) < 350_000
    report["trials"] *= 100
    html = draw(report)
    assert len(html.encode()) < 500_000
    assert "The first 100 of 5,000 trials; all are in report.json." in Page(html).words


def test_the_frontier_picture_tells_chosen_members_and_dominated_apart():
    """The chosen model has its own shape, members a line through them, and the baseline its own line or note."""
    picture = along_latency(sample(), 900)
    assert picture.count('<path class="chosen"') == 1
    assert picture.count('<circle class="member"') == 1
    assert picture.count('class="dominated"') == 1
    assert picture.count('class="step"') == 1
    assert "chosen, best, cheapest tied" in picture
    assert "without a model: roc_auc 0.5, below this picture" in picture
    with_baseline = sample()
    with_baseline["leaderboard"].append(model("constant", 0.5, 1e-4, True))
    assert along_latency(with_baseline, 900) == picture  # it would stretch both axes; the note stands for it
    near = replaced(sample(), ("verdict", "baseline"), score(0.79, 0.0))
    assert 'class="baseline"' in along_latency(near, 900)


def test_better_is_up_or_down_as_the_metric_says():
    """Pixels grow downwards: a larger value is drawn higher, and the label says which way is better."""
    picture = along_latency(sample(), 900)
    chosen = float(re.search(r'<path class="chosen" d="M[\d.]+ ([\d.]+)l', picture)[1])
    member = float(re.search(r'<circle class="member" cx="[\d.]+" cy="([\d.]+)"', picture)[1])
    assert chosen < member
    assert "higher is better" in picture
    lower = replaced(sample(), ("verdict", "score", "higher_is_better"), False)
    assert "lower is better" in along_latency(lower, 900)


def test_one_awful_model_does_not_press_the_others_together():
    """A value far below is an arrow at the edge; the scale belongs to the models worth a look."""
    report = sample()
    report["leaderboard"].append(model("broken", -1e6, 1.0, False))
    picture = along_latency(report, 900)
    assert re.search(r'class="dominated" d="M[\d.]+ [\d.]+h9l-4.5 6z"', picture)
    assert ">0.8<" in picture or ">0.80<" in picture


def test_the_curve_only_ever_gets_better_and_ignores_partial_trials():
    """Trial 3 scored 0.90 on some folds only: it neither leads nor is drawn; failed ones are crosses."""
    picture = ahead.progress(sample(), 900)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", re.search(r'class="step" d="([^"]+)"', picture)[1])]
    assert heights == sorted(heights, reverse=True)
    assert "the best, 0.853, within" in picture
    assert picture.count("×") == 3


def test_bars_account_for_every_second_and_for_what_was_lost():
    """Stages add up to the run; a family's lost part is its failed, late and lost trials."""
    stages = cost.stage_bars(sample())
    assert [bar.label for bar in stages] == ["load", "search", "refit", "everything else"]
    assert sum(bar.length for bar in stages) == pytest.approx(61.4)
    families = {bar.label: bar for bar in cost.family_bars(sample())}
    assert (families["linear"].length, families["linear"].lost) == (9.0, 6.0)  # trials 1 and 4; 4 failed
    assert families["linear"].note == "2 trials, 1 for nothing"


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.booleans()), max_size=8))
def test_pictures_survive_every_number(rows):
    """Whatever was measured, infinite and absurd included, every drawn coordinate is a plain number."""
    report = {
        "leaderboard": [
            {"name": f"m{i}", "score": {"value": v, "low": low, "high": v}, "row_ms": ms, "on_frontier": member}
            for i, (v, low, ms, member) in enumerate(rows)
        ],
        "trials": [{"score": v, "finished_s": ms, "cpu_s": low, "status": "done"} for v, low, ms, _ in rows],
    }
    html = draw(report)
    for coordinates in re.findall(r' (?:d|x|y|cx|cy|width)="([^"]*)"', html):
        assert not re.search(r"nan|inf|e[+-]", coordinates)


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_ticks_are_few_and_inside(low, width):
    """An axis has between one and a dozen labels, all within its bounds and all different."""
    scale = axes.Scale(*axes.span([low, low + width]), 0, 100)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 12
    assert all(scale.low <= value <= scale.high for value, _ in ticks)


@pytest.mark.parametrize("value", [13.4994510, 0.68553, 1234567.8, 0.0123, 0.0, -3.2])
def test_the_labels_of_a_single_value_are_short(value):
    """A run with one trial is drawn too: its score is no string of digits that the picture cuts."""
    ticks = axes.Scale(*axes.span([value]), 0, 100).ticks(5)
    assert ticks
    assert all(len(label) <= 9 for _, label in ticks), ticks
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.floats(1e-4, 1e6), st.floats(1, 1e6))
def test_logarithmic_ticks_are_few_and_inside(low, factor):
    """The same for the cost axis, however wide it is."""
    scale = axes.Scale(low / 1.6, low * factor * 1.6, 0, 100, is_log=True)
    ticks = scale.ticks(6)
    assert 1 <= len(ticks) <= 12
    assert all(scale.low <= value <= scale.high for value, _ in ticks)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.number(0.85314), "0.8531"), (words.number(1234567), "1,234,567"), (words.number(3700.0), "3,700"),
        (words.number(-2.5), "−2.5"), (words.number(1.2e-7), "1.2e-07"), (words.number(None), "—"),
        (words.number(math.nan), "—"), (words.number("7"), "—"), (words.number(True), "—"), (words.number(0.0), "0"),
        (words.seconds(0.021), "0.02 s"), (words.seconds(3.42), "3.4 s"), (words.seconds(9.97), "10 s"),
        (words.seconds(59.7), "1 min 00 s"), (words.seconds(3720), "1 h 02 min"), (words.seconds(-3.2), "−3.2 s"),
        (words.milliseconds(0.4214), "0.421 ms"), (words.megabytes(0.0034), "3.4 kB"),
        (words.megabytes(1.34), "1.3 MB"), (words.megabytes(2345), "2.3 GB"), (words.percent(0.8), "80 %"),
        (words.percent(0.0041), "0.4 %"), (words.percent(0.00001), "<0.1 %"), (words.percent(0.9999), ">99.9 %"),
        (words.percent(1), "100 %"),
        (words.short("a  b\nc", 9), "a b c"), (words.short("abcdefgh", 5), "abcd…"),
        (words.fixed(0.5, 3), "0.500"), (words.fixed(0.5, None), "0.5"), (words.fixed(None, 3), "—"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(said, expected):
    """Units, separators and precision; what is not a number is a dash."""
    assert said == expected


def test_the_verdict_admits_what_it_must():
    """A model no better than none, a score that was not met, no model at all: each has its own sentence."""
    assert words.verdict(sample()).startswith("Use lightgbm #2: roc_auc 0.8530")
    unclear = replaced(sample(), ("verdict", "baseline"), score(0.8471, 0.0))
    assert words.verdict(unclear).startswith("No model is clearly better than none: lightgbm #2 has")
    unmet = replaced(sample(), ("verdict", "meets_min_score"), False)
    assert words.verdict(unmet).startswith("No model reached the score that was asked for; the closest, lightgbm #2,")
    assert words.verdict(replaced(sample(), ("verdict", "chosen"), None)).startswith("No model could be trained")


def test_how_well_quantiles_hold_is_told_in_words():
    """What each promises beside what it held; nothing where there are none."""
    told = verdict.coverage(sample())
    assert told == "Of the held-out answers, 12 % at or below the 0.1 quantile, 88 % at or below the 0.9 quantile."
    assert verdict.coverage(replaced(sample(), ("verdict", "coverage"), [])) == ""
    assert verdict.coverage(replaced(sample(), ("verdict", "coverage"), [None, {"share": None}, 3])) == ""


def test_what_was_done_to_probabilities_and_labels_is_told_in_words():
    """The threshold, the class, both gains and where they were measured; nothing where nothing was done."""
    text = verdict.readout(sample())
    assert "labelled 'yes' above a probability of 0.31 instead of 0.5; that gains 0.043 roc_auc" in text
    assert "log loss 0.0021 lower on rows not learned from" in text
    assert text in " ".join(" ".join(Page(draw(sample())).text).split())
    plain = sample()
    plain["leaderboard"][0]["readout"] = as_json(records.Calibration())
    assert verdict.readout(plain) == ""
    plain["leaderboard"][0]["readout"]["label_weights"] = [0.2, 0.3, 0.5]
    assert verdict.readout(plain).startswith("Labels favour some classes")
    assert verdict.readout({}) == ""
