"""What monitoring found, in words: what moved and what the score is, and whether to train anew, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.messages import shown

NO, LOOK, YES = "no", "look", "yes"
MOST_NAMED = 3
KNOWN_IMPORTANT = 0.0  # above it the model rests on a column


def advice(told: Mapping[str, Any]) -> dict[str, str]:
    """Whether to train anew, and why."""
    score, moved = told["score"], _alarms(told["columns"])
    said = _alarms(told["predictions"])
    if score["is_below"]:
        measured, promised = score["measured"], score["promised"]
        return _advice(
            YES,
            f"{score['metric']} is {_n(measured['value'])} on {measured['rows']:,} rows with answers, below what was "
            f"promised ({_n(promised['value'])}) by more than chance. Train anew: automl refit",
        )
    if score["measured"] is not None and score["is_below"] is False:
        if told["alarm"]:
            return _advice(
                LOOK, "what is fed in moved, yet the score on rows with answers holds. Find out what changed"
            )
        return _advice(NO, "nothing moved that matters, and the score on rows with answers holds")
    if score["is_likely_worse"]:
        return _advice(
            YES,
            f"the model itself is less sure of these rows: about {_n(score['likely']['worse'], 3)} times the error "
            "that was promised. Get answers for some of them, then automl refit",
        )
    if moved and said:
        return _advice(LOOK, "columns and predictions moved. Get answers for some of these rows and monitor with them")
    if moved:
        rests = [one for one in moved if (one["importance"] or 0.0) > KNOWN_IMPORTANT or one["importance"] is None]
        because = "columns moved, but not the predictions" if rests else "only columns moved that the model hardly uses"
        return _advice(LOOK, f"{because}. Find out what changed where the data comes from")
    if said:
        return _advice(LOOK, "the predictions moved, though no column did by itself: they moved together")
    if told["alarm"]:
        return _advice(LOOK, "the answers moved: their shares are others than those learned from")
    return _advice(NO, "nothing moved that matters")


def sentence(told: Mapping[str, Any]) -> str:
    """All of it in one sentence."""
    moved, said, score = _alarms(told["columns"]), _alarms(told["predictions"]), told["score"]
    count = len({one["column"] for one in told["columns"]})
    if moved:
        names = list(dict.fromkeys(shown(one["column"], 40) for one in moved))
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        verb = "moved: " + ", ".join(names[:MOST_NAMED]) + more
        parts = [f"{len(names)} of {count:,} columns {verb}"]
    else:
        parts = [f"None of {count:,} columns moved"]
    parts.append("the predictions moved" if said else "the predictions are as before" if told["predictions"] else "")
    if told["answers"] is not None and told["answers"]["alarm"]:
        parts.append("the answers moved")
    promised = score["promised"]
    against = f", promised {_n(promised['value'])}" if promised else ""
    if score["measured"] is not None:
        held = {True: ", which is below it beyond chance", False: ", which is kept", None: ""}[score["is_below"]]
        parts.append(f"{score['metric']} is {_interval(score['measured'])}{against}{held if promised else ''}")
    elif score["likely"] is not None:
        parts.append(f"{score['metric']} is likely {_interval(score['likely'])}{against}")
    return "; ".join(part for part in parts if part) + "."


def _alarms(rows: Any) -> list[Mapping[str, Any]]:
    return [one for one in rows if one["alarm"]]


def _advice(whether: str, because: str) -> dict[str, str]:
    return {"advice": whether, "because": because}


def _interval(score: Mapping[str, Any]) -> str:
    return f"{_n(score['value'])} ({_n(score['low'])} to {_n(score['high'])})"


def _n(value: float, digits: int = 4) -> str:
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e15 else f"{value:.{digits}g}"
