"""A machine as Ray's list of nodes describes it. Imports no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cluster.pool import Node

_MB = 1024.0**2


def node_of(row: Mapping[str, Any]) -> Node:
    """The machine of a row of `ray.nodes()`."""
    has = row["Resources"]
    kinds = [name.removeprefix("accelerator_type:") for name in has if name.startswith("accelerator_type:")]
    is_spot = row.get("Labels", {}).get("ray.io/market-type") == "spot"
    return Node(
        row["NodeManagerHostname"] + "/" + row["NodeManagerAddress"], int(has.get("CPU", 0)),
        has.get("memory", 0.0) / _MB, has.get("GPU", 0.0), kinds[0] if kinds else "", is_spot,
    )  # fmt: skip


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What Ray itself says of a machine, for a doctor."""
    return {"node": node_of(row), "store_mb": row["Resources"].get("object_store_memory", 0) / _MB}
