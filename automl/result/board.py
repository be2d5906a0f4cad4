"""The leaderboard of report.json: its rows as the candidates they were written from, and as those of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automl.records import Calibration, Candidate, Score

if TYPE_CHECKING:
    import pandas as pd


def candidate(row: Mapping[str, Any]) -> Candidate:
    """A row of the leaderboard as the record it was written from."""
    counts = {name: {int(number): value for number, value in row[name].items()} for name in ("weights", "kept")}
    return Candidate(
        name=row["name"],
        weights=counts["weights"],
        score=Score(**row["score"]),
        fit_s=row["fit_s"],
        row_ms=row["row_ms"],
        batch_ms=row["batch_ms"],
        size_mb=row["size_mb"],
        lean_ms=row["lean_ms"],
        lean_mb=row["lean_mb"],
        told_ms=row.get("told_ms", 0.0),
        told_mb=row.get("told_mb", 0.0),
        on_frontier=row["on_frontier"],
        picks=tuple(row["picks"]),
        within_ms=row["within_ms"] or math.inf,
        kept=counts["kept"],
        made_from=row.get("made_from", ""),
        readout=Calibration(**{**row["readout"], "label_weights": tuple(row["readout"]["label_weights"])}),
        p_best=row.get("p_best"),
        p_frontier=row.get("p_frontier"),
        tied_with_best=bool(row.get("tied_with_best", False)),
    )


def with_existing(rows: list[dict[str, Any]], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows with the model or score that was there before the run, in its place, where its score is known."""
    found = (report["decision"].get("verdict") or {}).get("existing") or {}
    if found.get("score") is None:
        return rows
    row = {"name": found["name"], "families": "", "score": found["score"], "on_frontier": False, "picks": "baseline"}
    sign = 1 if report["verdict"]["score"]["higher_is_better"] else -1
    place = sum(sign * one["score"] >= sign * found["score"] for one in rows)
    return [*rows[:place], {**dict.fromkeys(rows[0], math.nan), **row}, *rows[place:]]


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the leaderboard as one of a table."""
    score = row["score"]
    return {
        "name": row["name"],
        "families": ", ".join(row["families"]),
        "score": score["value"],
        "low": score["low"],
        "high": score["high"],
        "fit_s": row["fit_s"],
        "row_ms": row["row_ms"],
        "batch_ms": row["batch_ms"],
        "size_mb": row["size_mb"],
        "on_frontier": row["on_frontier"],
        "picks": ", ".join(row["picks"]),
        **_costs(row),
        "memory_mb": row.get("memory_mb"),
        "p_best": row.get("p_best"),
        "p_frontier": row.get("p_frontier"),
        "tied_with_best": bool(row.get("tied_with_best", False)),
    }


def weighed(told: Mapping[str, Any]) -> pd.DataFrame:
    """What columns are worth, by the report's part on it, as a table."""
    import pandas as pd

    found = pd.DataFrame(told["columns"], columns=["column", "importance", "low", "high"])
    found.attrs = {name: told[name] for name in ("metric", "rows", "repeats", "notes")}
    found.attrs["groups"] = told.get("groups") or []  # columns that say the same, shuffled together
    return found


def _costs(row: Mapping[str, Any]) -> dict[str, Any]:
    """What it takes to ask and to train it; of runs of earlier versions nothing is known."""
    latency, million, train = (row.get(name) or {} for name in ("latency", "million", "train"))
    one, many = (latency.get(name) or {} for name in ("one", "many"))
    return {
        "p50_ms": one.get("p50"),
        "p95_ms": one.get("p95"),
        "many_rows": many.get("rows"),
        "many_p50_ms": many.get("p50"),
        "many_p95_ms": many.get("p95"),
        "is_measured": bool(latency.get("measured", False)),
        "million_money": million.get("money"),
        "million_kwh": million.get("kwh"),
        "train_money": train.get("money"),
        "train_kwh": train.get("kwh"),
    }
