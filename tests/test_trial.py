"""One fold of one trial."""

from pathlib import Path

import pytest

from automl.options import Options
from automl.prepare import prepare
from automl.profiler import examine
from automl.reading import load
from automl.search.trial import FoldJob, _encode

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"


def test_a_trial_on_a_share_of_the_rows_learns_from_so_many_and_is_judged_on_all() -> None:
    """The training rows shrink with both classes in them; the held-out rows stay those of every rival."""
    options = Options(target="churned", budget="5 trials")
    dataset = load(CUSTOMERS, options)
    profile, _ = examine(dataset, options)
    shared = prepare(dataset, profile, options, core_s=float("inf")).shared
    whole = _encode(shared, FoldJob("lightgbm", {}, {"recipe": "plain"}, 0, 0))
    part = _encode(shared, FoldJob("lightgbm", {}, {"recipe": "plain", "share": 0.4}, 0, 0))
    assert len(part.train) == round(0.4 * len(whole.train))
    assert part.train.y.mean() == pytest.approx(whole.train.y.mean(), abs=0.02)
    assert (part.held.y == whole.held.y).all()
