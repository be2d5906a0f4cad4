"""One thing that was watched, compared: by how much it moved, whether that is an alarm, and how it moved in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from automl.messages import shown
from automl.model.reference import Reference, Watched
from automl.scoring.drift import Drift, Spread, drift

LATER = 0.05  # more of the rows without a value: then a date did not just move on
MOSTLY_INSIDE = 0.05  # of the rows may lie outside of the range, for a middle to be told
NAMED = 40  # letters of a label
FAR_DAYS = 3_000_000  # from 1970, about as far as dates reach


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What became of one thing."""

    watch: Watched
    found: Drift
    is_clear: bool  # more than chance
    is_alarm: bool  # and large enough to matter, and not what time does by itself
    moves_on: bool  # a date or a time that is later now, as dates are
    importance: float | None
    told: str  # how it moved

    @property
    def rank(self) -> tuple[bool, float, float, str]:
        """Alarms first, then by drift times importance."""
        weight = 1.0 if self.importance is None else max(0.0, self.importance)
        return not self.is_alarm, -self.found.effect * weight, -self.found.effect, self.watch.name


def compare(watch: Watched, now: Spread, compared: int, names: Sequence[Any], known: Reference) -> Moved:
    """Compare one thing with how it was; `names`: of its codes."""
    found = drift(watch.before, now, watch.clustering)
    later = watch.kind == "date" or watch.column == known.time_column
    moves_on = later and _is_later(watch, now) and found.missing - found.was_missing < LATER
    return Moved(
        watch=watch, found=found, is_clear=found.is_clear(compared),
        is_alarm=found.is_alarming(compared) and not moves_on, moves_on=moves_on,
        importance=known.importance.get(watch.column), told=_told(watch, now, found, names),
    )  # fmt: skip


def as_plain(one: Moved) -> dict[str, Any]:
    """For machines."""
    watch, found = one.watch, one.found
    return {
        "column": watch.column, "what": watch.what or None, "kind": watch.kind,
        **{name: round(getattr(found, name), 6) for name in ("effect", "low", "high")}, "p": found.p,
        "clear": one.is_clear, "alarm": one.is_alarm, "moves_on": one.moves_on, "importance": one.importance,
        "beyond": found.beyond, "was_beyond": found.was_beyond,
        "missing": found.missing, "was_missing": found.was_missing, "told": one.told,
    }  # fmt: skip


def _is_later(watch: Watched, now: Spread) -> bool:
    """Whether the middle is later than it was."""
    before = _middle(np.concatenate([[0], watch.before.counts, [0]]))
    after = _middle(np.concatenate([[now.beyond - now.above], now.counts, [now.above]]))
    return before is not None and after is not None and after >= before


def _middle(counts: np.ndarray) -> int | None:
    """The cell in which half of the rows are reached."""
    total = counts.sum()
    return int(np.searchsorted(np.cumsum(counts), total / 2)) if total else None


def _told(watch: Watched, now: Spread, found: Drift, names: Sequence[Any]) -> str:
    """How it moved, what counts most first."""
    parts = []
    if found.beyond - found.was_beyond > 0.005:
        how = "never seen before" if watch.kind == "label" else "outside of the range that was learned from"
        parts.append(f"{_share(found.beyond)} {how}")
    if abs(found.missing - found.was_missing) > 0.005:
        parts.append(f"missing {_share(found.was_missing)} -> {_share(found.missing)}")
    if watch.kind == "label":
        parts += _labels(watch, now, names)
    elif found.beyond < MOSTLY_INSIDE:  # else the middle of what is inside says little
        parts += _typical(watch, now)
    return "; ".join(parts)


def _typical(watch: Watched, now: Spread) -> list[str]:
    """The median, before and now, as far as cells tell it."""
    before, after = (_middle(one.counts) for one in (watch.before, now))
    if before is None or after is None:
        return []
    told = [_value(watch, float(watch.edges[place])) for place in (before, after)]
    return [
        f"about half below {told[0]} -> {told[1]}" if told[0] != told[1] else f"about half below {told[0]} as before"
    ]


def _value(watch: Watched, value: float) -> str:
    value += watch.offset
    if watch.kind == "date" and abs(value) < FAR_DAYS and math.isfinite(value):
        try:
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value)).date().isoformat()
        except OverflowError:  # before the year 1 or after 9999
            return f"day {value:,.0f}"
    return f"{value:.4g}"


def _labels(watch: Watched, now: Spread, names: Sequence[Any]) -> list[str]:
    """The label whose share changed most."""
    old, new = watch.before.counts / max(1, watch.before.total), now.counts / max(1, now.total)
    place = int(np.abs(new - old).argmax())
    if place < len(watch.own):
        code = int(watch.own[place])
        name = shown(str(names[code]), NAMED) if code < len(names) else f"label {code}"
    else:
        name = "other labels"
    return [f"{name} {_share(old[place])} -> {_share(new[place])}"]


def _share(share: float) -> str:
    return f"{100 * share:.2g} %" if 0 < share < 0.995 else f"{100 * share:.0f} %"
