"""Some of the changes of benchmarks/fuzz.py, of saved models of every family and kind of data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

fuzz = pytest.importorskip("fuzz", reason="needs what all families need")

SOME = ("linear", "lightgbm", "xgboost", "catboost", "forest", "mlp", "pictures in numbers", "soundnet", "text_linear")


@pytest.mark.parametrize(
    ("names", "changes"),
    [(SOME, 40), pytest.param(tuple(fuzz.WANTED), 150, marks=pytest.mark.long)],
    ids=["some", "all"],
)
def test_whatever_is_changed_in_a_saved_model_it_loads_or_is_refused(
    names: tuple[str, ...], changes: int, tmp_path: Path
) -> None:
    """Bytes, fields, indices, shapes, names and sizes, with hashes that fit: one line, and nothing else happens."""
    tally = fuzz.fuzz(fuzz.made(tmp_path / "models", names), range(changes), 0, tmp_path, cpu_s=60.0)
    assert tally.bad == []
    assert tally.counts.total() == changes
    assert tally.counts["refused"] > changes / 4
    assert tally.counts["loaded"] > changes / 20
