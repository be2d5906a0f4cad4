"""What a model learned of how far single predictions may be off, as a file: of a saved model, of a run's candidates.

A run keeps that of each candidate by its name, so whichever is saved, at once or later, brings its own along.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from automl.runtime.durable import write_all
from automl.scoring.conformal import BINS, KEPT, KEPT_OF_CLASS, Conformal, HeldOutScores, Reach
from search_spaces.checked import arrays, need

FOLDER, NAME = "conformity", "scores.npz"
OF_NUMBERS = ("at", "up", "down", "apart_at", "apart", "least", "floor")
GROWTH = "growth"  # of models of series
MOST_ROWS = 1e15


def keep(run: Path, known: Mapping[str, Conformal]) -> None:
    """Keep those of a run's candidates, by their names."""
    if known:
        write_all({_place(run, name): dump(one) for name, one in known.items()})


def of(run: Path, name: str) -> bytes | None:
    """That of a run's candidate; None where it is not known."""
    place = _place(run, name)
    return place.read_bytes() if place.is_file() else None


def _place(run: Path, name: str) -> Path:
    return run / FOLDER / f"{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:16]}.npz"


def dump(known: Conformal) -> bytes:
    """Plain arrays: the scores of all together, then those of each class that has its own."""
    groups = [known.pooled, *(known.of_class[k] for k in sorted(known.of_class))]
    told: dict[str, Any] = {
        "values": np.concatenate([one.values for one in groups]),
        "mass": np.concatenate([one.mass for one in groups]),
        "counts": np.array([len(one.values) for one in groups], dtype=np.int64),
        "rows": np.array([one.rows for one in groups]),
        "classes": np.array(sorted(known.of_class), dtype=np.int64),
    }
    if known.reach is not None and len(known.reach.growth):
        told[GROWTH] = known.reach.growth
    if known.reach is not None:
        told |= {name: np.atleast_1d(np.asarray(getattr(known.reach, name), dtype=np.float64)) for name in OF_NUMBERS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **told)
    return buffer.getvalue()


def read(content: bytes, manifest: Mapping[str, Any]) -> Conformal:
    """What `dump` wrote, held against what can be so in the model of this manifest; ValueError where it cannot."""
    found = arrays(content)
    classes = len(manifest["classes"])
    need({"values", "mass", "counts", "rows", "classes"} <= set(found), "scores of held-out rows are missing")
    for name in ("values", "mass", "rows"):
        need(found[name].ndim == 1 and found[name].dtype.kind == "f", f"{name} of held-out rows are no numbers")
    counts, own = found["counts"], found["classes"]
    need(counts.dtype.kind == own.dtype.kind == "i" and counts.ndim == own.ndim == 1, "classes of scores are damaged")
    need(len(counts) == len(found["rows"]) == len(own) + 1, "scores of held-out rows do not fit their classes")
    need(len(set(own.tolist())) == len(own) and all(0 <= k < classes for k in own.tolist()), "scores of no class")
    limits = [KEPT, *[KEPT_OF_CLASS] * len(own)]
    need(all(0 < n <= most for n, most in zip(counts.tolist(), limits, strict=True)), "too many scores, or none")
    need(int(counts.sum()) == len(found["values"]) == len(found["mass"]), "scores of held-out rows are cut off")
    cuts = np.cumsum(counts)[:-1]
    parts = zip(np.split(found["values"], cuts), np.split(found["mass"], cuts), found["rows"].tolist(), strict=True)
    pooled, *others = [_scores(*part) for part in parts]
    return Conformal(
        pooled=pooled, reach=None if classes else _reach(found), of_class=dict(zip(own.tolist(), others, strict=True))
    )


def _scores(values: np.ndarray, mass: np.ndarray, rows: float) -> HeldOutScores:
    for told in (values, mass):
        need(bool(np.isfinite(told).all() and (np.diff(told) >= 0).all() and told[0] >= 0), "scores do not rise")
    need(0 < rows < MOST_ROWS and mass[-1] <= rows * (1 + 1e-6), "scores are of more rows than there were")
    return HeldOutScores(values, mass, rows)


def _reach(found: Mapping[str, np.ndarray]) -> Reach:
    need(set(OF_NUMBERS) <= set(found), "the reach of predicted numbers is missing")
    at, up, down, apart_at, apart = (_numbers(found[name]) for name in OF_NUMBERS[:5])
    need(len(at) == len(up) == len(down) > 0 and len(apart_at) == len(apart), "the reach of numbers is cut off")
    need(all(bool((np.diff(one) > 0).all()) for one in (at, apart_at)), "the reach of numbers does not rise")
    need(all(bool((side >= 0).all()) for side in (up, down, apart)), "the reach of numbers is below zero")
    need(all(found[name].size == 1 for name in OF_NUMBERS[5:]), "the least reach of numbers is damaged")
    least, floor = (float(found[name].reshape(-1)[0]) for name in OF_NUMBERS[5:])
    need(math.isfinite(least) and least > 0 and floor in (0.0, -math.inf), "the least reach of numbers is damaged")
    growth = found.get(GROWTH, np.empty(0))
    is_growth = growth.ndim == 1 and growth.dtype.kind == "f" and bool(np.isfinite(growth).all() and (growth > 0).all())
    need(is_growth, "the growth of errors with the horizon is damaged")
    return Reach(at=at, up=up, down=down, least=least, floor=floor, apart_at=apart_at, apart=apart, growth=growth)


def _numbers(side: np.ndarray) -> np.ndarray:
    is_fit = side.ndim == 1 and side.dtype.kind == "f" and len(side) <= BINS
    need(is_fit and bool(np.isfinite(side).all()), "the reach of predicted numbers is damaged")
    return side
