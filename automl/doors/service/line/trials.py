"""The trials of a run while it works, as its own journal tells them: the folder is the truth, no copy of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import search_spaces
from automl.runtime.journal import ASKED, ENDED, STARTED, TOLD
from automl.scoring import metrics

KEPT = "asked"  # the state of a trial of which nothing more was heard


def trials_of(folder: Path) -> dict[str, Any]:
    """Every trial with what is known of it; none where the search has not begun. Of several targets, of all in turn."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    metric, best = None, None
    for place in _folders(folder):
        metric = _metric(place) or metric
        for event in _events(place):
            key = (place.name, int(event.get("trial", -1)))
            if event["event"] == ASKED:
                found[key] = _asked(event)
            elif key in found:
                _heard(found[key], event, metric)
        best = None
    items = list(found.values())
    for item in items:
        score = item["score"]
        is_better = score is not None and (
            best is None or (score > best if metric and metric.higher_is_better else score < best)
        )
        item["is_best_so_far"] = is_better
        best = score if is_better else best
    higher = metric is None or metric.higher_is_better
    return {"items": items, "metric": None if metric is None else metric.name, "higher_is_better": higher}


def _folders(folder: Path) -> list[Path]:
    targets = folder / "targets"
    return sorted(targets.iterdir()) if targets.is_dir() else [folder]


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    """Line by line; a last line that is being written is left for the next look."""
    journal = folder / "events.jsonl"
    if not journal.is_file():
        return
    with journal.open("rb") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event


def _metric(folder: Path) -> Any:
    """The metric of a run; None where it is not decided, or the user's own."""
    try:
        told = json.loads((folder / "profile.json").read_text(encoding="utf-8"))
        return metrics.get(str(told["metric"]))
    except (OSError, ValueError, KeyError):
        return None


def _asked(event: dict[str, Any]) -> dict[str, Any]:
    family = str(event["family"])
    known = family in search_spaces.names()
    return {
        "trial": event["trial"], "family": family, "route": search_spaces.get(family).route if known else "",
        "because": str(event.get("because", "")), "state": KEPT, "score": None,
        "elapsed_s": float(event.get("elapsed_s", 0.0)),
    }  # fmt: skip


def _heard(item: dict[str, Any], event: dict[str, Any], metric: Any) -> None:
    item["elapsed_s"] = float(event.get("elapsed_s", item["elapsed_s"]))
    if event["event"] == STARTED and item["state"] == KEPT:
        item["state"] = "working"
    elif event["event"] == ENDED and event.get("status") in ("failed", "late", "lost") and item["score"] is None:
        item["state"] = "failed"
    elif event["event"] == TOLD:
        item["state"] = "told"
        error = event.get("error")
        item["score"] = None if error is None else float(metric.to_score(error)) if metric else float(error)
