"""What findings of a report look like as JSON, small but with every key: part of the sample of the tests."""

from __future__ import annotations

from typing import Any


def calibration() -> dict[str, Any]:
    bin_ = {"said": 0.81, "found": 0.72, "low": 0.66, "high": 0.77, "rows": 210, "start": 0.7, "end": 0.9}
    return {
        "why_not": None, "kind": "classes", "rows": 2500,
        "curves": [{"of": "class", "label": "yes", "bins": [bin_ | {"said": 0.1, "found": 0.11}, bin_], "error": 0.03,
                    "low": 0.01, "high": 0.05, "by_chance": 0.012}],
        "levels": [{"lower": None, "upper": 0.9, "asked": 0.9, "share": 0.84, "low": 0.8, "high": 0.87}],
        "between": [{"lower": 0.1, "upper": 0.9, "asked": 0.8, "share": 0.79, "low": 0.75, "high": 0.83}],
    }  # fmt: skip


def residuals() -> dict[str, Any]:
    bin_ = {"said": 10.0, "low": -3.0, "middle": 0.2, "high": 4.0, "rows": 120}
    return {
        "why_not": None, "kind": "numbers", "rows": 2500, "middle": 1.2, "half": 4.4,
        "bins": [bin_, bin_ | {"said": 40.0, "high": 9.0}], "points": [[10.0, -1.0], [41.0, 30.0]],
        "largest": [{"row": 17, "answer": 71.0, "said": 41.0}],
        "spread": {"ratio": 2.1, "low": 1.6, "high": 2.7, "below": 12.0, "above": 30.0, "narrow": 7.0, "wide": 14.7},
    }  # fmt: skip


def rare() -> dict[str, Any]:
    point = {"threshold": 0.4, "marked": 0.05, "rows": 125.0, "precision": 0.6, "low": 0.5, "high": 0.7, "recall": 0.5,
             "recall_low": 0.4, "recall_high": 0.6}  # fmt: skip
    return {
        "why_not": None, "label": "yes", "share": 0.06, "rows": 2500, "of_class": 150, "precision": 0.55, "low": 0.5,
        "high": 0.6, "curve": [point, point | {"marked": 1.0, "precision": 0.06, "recall": 1.0}],
        "top": [point], "chosen": point | {"marked": 0.08},
    }  # fmt: skip


def slices() -> dict[str, Any]:
    ranged = {"column": "age", "low": 30.0, "high": 45.0, "labels": None, "is_date": False, "is_missing": True}
    named = {"column": "city", "low": None, "high": None, "labels": ["Rome"], "is_date": False, "is_missing": False}
    return {
        "why_not": None, "kind": "wrong", "rows": 2500, "columns": 5, "looked_at": 40, "least_rows": 30, "mean": 0.1,
        "slices": [{"conditions": [ranged, named], "rows": 120, "share": 0.05, "mean": 0.3, "low": 0.2, "high": 0.4,
                    "rest": 0.09, "gap": 0.21, "gap_low": 0.1, "gap_high": 0.32, "part": 0.15, "p": 0.005}],
    }  # fmt: skip


def shapes() -> dict[str, Any]:
    point = {"at": 1.0, "label": None, "value": 0.2, "low": 0.15, "high": 0.25, "share": 0.0}
    shape = {
        "column": "age",
        "is_date": False,
        "output": "yes",
        "middle": 0.3,
        "change": 0.4,
        "change_low": 0.3,
        "change_high": 0.5,
        "points": [point, point | {"at": 3.0, "value": 0.6}],
        "together": ["tenure"],
    }
    named = point | {"at": None, "label": "Rome"}
    return {
        "why_not": None, "rows": 1000, "is_share": True, "left_out": 1,
        "columns": [shape, shape | {"column": "city", "points": [named, named | {"label": "Oslo", "value": 0.5}]}],
    }  # fmt: skip


def surrogate() -> dict[str, Any]:
    condition = {"column": "age", "low": None, "high": 45.0, "labels": None, "is_date": False, "is_missing": True}
    node = {
        "depth": 1,
        "condition": condition,
        "is_otherwise": False,
        "is_leaf": True,
        "value": 0.2,
        "label": None,
        "share": 0.6,
    }
    top = node | {"depth": 0, "condition": None, "is_leaf": False, "share": 1.0}
    return {
        "why_not": None, "is_share": True, "output": "yes", "rows": 1250, "tested": 1250, "fidelity": 0.8, "low": 0.75,
        "high": 0.85, "agreement": 0.93,
        "nodes": [top, node, node | {"condition": None, "is_otherwise": True, "value": 0.7, "label": "no"}],
    }  # fmt: skip


def all_findings() -> dict[str, Any]:
    """By key of report.json."""
    return {
        "calibration": calibration(),
        "residuals": residuals(),
        "rare": rare(),
        "slices": slices(),
        "shapes": shapes(),
        "surrogate": surrogate(),
    }
