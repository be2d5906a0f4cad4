"""Some hundred of the changes of benchmarks/fuzz.py, of saved models of every family and kind of data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

fuzz = pytest.importorskip("fuzz", reason="needs what all families need")

CHANGES = 300


def test_whatever_is_changed_in_a_saved_model_it_loads_or_is_refused(tmp_path: Path) -> None:
    """Bytes, fields, indices, shapes, names and sizes, with hashes that fit: one line, and nothing else happens."""
    models = fuzz.made(tmp_path / "models", list(fuzz.WANTED))
    tally = fuzz.fuzz(models, range(CHANGES), 0, tmp_path, cpu_s=60.0)
    assert tally.bad == []
    assert tally.counts.total() == CHANGES
    assert tally.counts["refused"] > CHANGES / 4
    assert tally.counts["loaded"] > CHANGES / 20
