"""A report as a run writes it, and a page taken apart: what the tests of reports draw and look at."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from html.parser import HTMLParser
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import findings_made
from hypothesis import strategies as st

from automl import records
from automl.plain import as_json
from automl.report import scatter
from automl.report.priced import AXES

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
