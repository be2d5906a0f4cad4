"""Some of the changes of benchmarks/fuzz.py, of saved models of every family and kind of data."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

fuzz = pytest.importorskip("fuzz", reason="needs what all families need")

SOME = ("linear", "lightgbm", "mlp", "text_linear")


def told_by(names: Sequence[str], changes: int, place: Path) -> fuzz.Tally:
    """What came of so many changes."""
    return fuzz.fuzz(fuzz.made(place / "models", names), range(changes), 0, place, cpu_s=60.0)


@pytest.mark.parametrize(
    ("names", "changes"),
    [(SOME, 20), pytest.param(tuple(fuzz.WANTED), 150, marks=pytest.mark.soak)],
    ids=["some", "all"],
)
def test_whatever_is_changed_in_a_saved_model_it_loads_or_is_refused(
    names: tuple[str, ...], changes: int, tmp_path: Path
) -> None:
    """Bytes, fields, indices, shapes, names and sizes, with hashes that fit: one line, and nothing else happens."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:  # one with threads cannot be forked
        tally = fresh.submit(told_by, names, changes, tmp_path).result()
    assert tally.bad == []
    assert tally.counts.total() == changes
    assert tally.counts["refused"] > changes / 4
    assert tally.counts["loaded"] > changes / 20
