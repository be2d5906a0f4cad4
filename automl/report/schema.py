"""What report.json holds: format 1, the sum of what its sections hold.

What stands under a key says the section that holds it (sections/). Every key may be missing or null (an interrupted run
has no verdict yet); the page then shows a dash or leaves the part out. Later formats may add keys; a reader ignores
what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, get_type_hints

from automl.report import sections

FORMAT = 1
ORDER = (  # of the keys in report.json; others follow in the order of their sections
    "format", "run", "verdict", "data", "audit", "suspects", "twins", "shift", "decision", "lineage", "leaderboard",
    "forecasts", "confusion", "calibration", "residuals", "rare", "slices", "coverage", "samples", "importance",
    "slopes", "shapes", "surrogate", "explanations", "parts", "arena", "trials", "cheaper", "cost", "ahead",
    "versions", "reproduce",
)  # fmt: skip


def in_order(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same keys, in the order of report.json."""
    return {key: found[key] for key in sorted(found, key=lambda key: ORDER.index(key) if key in ORDER else len(ORDER))}


def _keys() -> dict[str, Any]:
    """Every key with the type of what it holds, as the sections in the table say."""
    hints: dict[str, Any] = {"format": int}
    for section in sections.all_sections():
        hints |= get_type_hints(section.holds)
    return in_order(hints)


Report = TypedDict("Report", _keys(), total=False)  # type: ignore[misc] # the table says which keys
