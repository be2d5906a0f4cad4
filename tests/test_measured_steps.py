"""How a saved model of series is timed: a step that came twice would be refused, so none is repeated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from automl.modalities.schema import Decoder, Schema
from automl.refit import measure
from automl.refit.measure import Probe


@pytest.mark.parametrize("codec", [SimpleNamespace(gather=list), SimpleNamespace()], ids=["steps", "rows"])
def test_only_rows_that_may_come_twice_are_repeated(codec: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows become thousands to time them, but steps of series stay as many as they are."""
    asked = []
    schema = Schema((), (Decoder(SimpleNamespace(name="day"), codec),))  # type: ignore[arg-type]
    model = SimpleNamespace(schema=schema, predict=lambda rows: asked.append(len(rows)) or np.zeros(len(rows)))
    monkeypatch.setattr(measure, "opened", lambda path, packed: model)
    used = measure.use(None, Probe("nowhere", pd.DataFrame({"day": range(5)}), seconds=0.05))  # type: ignore[arg-type]
    assert (max(asked) > 5) == (not schema.is_of_steps) == (not hasattr(codec, "gather"))
    assert used.many is not None
