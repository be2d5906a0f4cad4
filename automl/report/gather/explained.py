"""What could not be explained, where explanations were required: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.options import Options
from automl.report.gather.importance import NO_COLUMNS

Found = Mapping[str, Any] | None


def unexplained(options: Options, importance: Found, samples: Found, single: Found = None) -> str:
    """Which explanations the report does not ship, and why; empty where all are there or none were required."""
    if options.explain != "required":
        return ""
    told = []
    if samples is not None and not samples.get("explained"):
        told.append("; ".join(samples.get("notes") or ()) or "no example was explained")
    notes = [note for note in (importance or {}).get("notes", ()) if note != NO_COLUMNS]
    if importance is not None and importance["missing"] and (notes or not importance["columns"]):
        told.append("; ".join(notes) or "no column was measured")
    if single is not None and not single.get("rows"):
        told.append("; ".join(single.get("notes") or ()) or "no single prediction was explained")
    return "; ".join(told)
