"""What must not turn the choice between routes, and what must not make a model worse."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl.data.profiler import outline
from automl.data.reading import load
from automl.decision.landmarks import with_landmarks
from automl.decision.prior import route
from automl.modalities import mixture
from automl.options import Options
from automl.records.choice import Gain
from automl.result import Result

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts, not a package

import generated


def table(structure: str, rows: int = 500) -> pd.DataFrame:
    """One of the generated ones, with numbers to predict."""
    X, y = generated.STRUCTURES[structure](np.random.default_rng(1), rows)
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])]).assign(y=y)


def gain(frame: pd.DataFrame) -> Gain:
    """What is thought of networks before anything is tried."""
    options = Options(target="y")
    dataset = load(frame, options, decode=mixture.read)
    found = route(with_landmarks(dataset, outline(dataset, options)), options, core_s=60.0).gain
    assert found is not None
    return found


@pytest.mark.parametrize("structure", sorted(generated.STRUCTURES))
def test_doubling_every_row_does_not_turn_what_is_expected(structure: str) -> None:
    """They say nothing new: the winner stays, and how sure that is hardly moves."""
    frame = table(structure)
    once, twice = gain(frame), gain(pd.concat([frame, frame], ignore_index=True))
    assert abs(once.win - twice.win) < 0.15
    assert (once.win > 0.5) == (twice.win > 0.5) or abs(once.win - 0.5) < 0.1


@pytest.mark.parametrize("structure", sorted(generated.STRUCTURES))
def test_columns_of_noise_do_not_favour_networks(structure: str) -> None:
    """Trees leave them aside, networks have to learn to."""
    frame = table(structure)
    noise = np.random.default_rng(2).normal(size=(len(frame), 20))
    noisy = pd.concat([pd.DataFrame(noise, columns=[f"n{j}" for j in range(20)]), frame], axis=1)
    assert gain(noisy).win <= gain(frame).win + 0.05


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> dict[str, Result]:
    """The same small table once, with every row twice, and with more trials."""
    del lasting_workers
    place, frame = tmp_path_factory.mktemp("runs"), table("useless", 300)
    twice = pd.concat([frame, frame], ignore_index=True)
    asked = {"once": (frame, "4 trials"), "twice": (twice, "4 trials"), "longer": (frame, "8 trials")}
    return {
        name: automl.fit(data, "y", budget=budget, families="linear,lightgbm,mlp", run_dir=place / name, verbose=0)
        for name, (data, budget) in asked.items()
    }


@pytest.mark.slow
@pytest.mark.soak
def test_doubling_every_row_does_not_turn_the_verdict(runs: dict[str, Result]) -> None:
    """Where the difference is real both ways, the same route is ahead."""
    told = {name: runs[name].decision["verdict"] for name in ("once", "twice")}
    real = [any(one["low"] > 0 or one["high"] < 0 for one in verdict["differences"]) for verdict in told.values()]
    if all(real) and "both" not in (told["once"]["route"], told["twice"]["route"]):
        assert told["once"]["route"] == told["twice"]["route"]
    wins = [verdict["win_after"] for verdict in told.values()]
    assert (wins[0] > 0.9 and wins[1] < 0.1) is False
    assert (wins[0] < 0.1 and wins[1] > 0.9) is False


@pytest.mark.slow
@pytest.mark.soak
def test_more_budget_never_promises_less_beyond_noise(runs: dict[str, Result]) -> None:
    """Twelve trials begin with the same six."""
    six, twelve = runs["once"].score, runs["longer"].score
    assert twelve.value <= six.value + (six.high - six.low) / 2  # an error: lower is better
