"""A training that takes minutes is not lost with its worker: its state is kept, and the next attempt goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.training import kept, learners, network
from automl.training.kept import Kept
from search_spaces.neural import convnet
from search_spaces.spec import Matrix, Media, Rows, Run, starts

ROUNDS, DIED_AFTER = 30, 12
SMALL = {"width": 8, "growth": 1.5, "stages": 2, "depth_1": 0, "depth_2": 0, "small": 1.0, "erase": 0.0, "shift": 0.05}


def halves(rows: int, seed: int) -> Rows:
    """Is the upper or the lower half of a noisy picture bright?"""
    random = np.random.default_rng(seed)
    store = random.integers(0, 150, (rows, 16, 16, 1), dtype=np.uint8)
    y = random.integers(0, 2, rows)
    for picture, is_low in zip(store, y, strict=True):
        picture[8 * is_low : 8 * is_low + 8] += 60
    nothing = np.empty((rows, 0), np.float32)
    return Rows(Matrix(nothing, nothing.astype(np.int32), (), {"seen": Media("image", store, np.arange(rows))}), y)


@pytest.mark.parametrize(("ema", "held"), [(0.0, 250), (1.0, 250), (1.0, 50)])
def test_a_training_that_died_goes_on_where_its_state_was_kept(
    ema: float, held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt counts on from the epochs of the first, also where so few are held out that no look counts."""
    monkeypatch.setattr(kept, "EVERY_S", 0.0)
    epochs, learn = [0], network._Attempt._epoch

    def dying(self: network._Attempt, *given: Any) -> float:
        epochs[0] += 1
        if epochs[0] == DIED_AFTER + 1:
            raise KeyboardInterrupt
        return learn(self, *given)

    run = Run("binary", 2, "accuracy", 0, kept=str(tmp_path / "state.pt"))
    monkeypatch.setattr(network._Attempt, "_epoch", dying)
    fit = {**starts(convnet.FAMILY.space), **SMALL, "rounds": ROUNDS, "ema": ema}
    learner = learners.make(convnet.FAMILY, fit)
    with pytest.raises(KeyboardInterrupt):
        learner.fit(halves(150, 0), halves(held, 1), run)
    assert (tmp_path / "state.pt").is_file()
    epochs[0] = -1000
    learner.fit(halves(150, 0), halves(held, 1), run)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["epochs"][1] == DIED_AFTER + epochs[0] + 1000
    assert state["epochs"][1] <= ROUNDS
    new = halves(100, 2)
    assert float((learner.predict(new.X).argmax(axis=1) == new.y).mean()) > 0.9


def test_a_torn_state_or_none_at_all_begins_anew(tmp_path: Path) -> None:
    """Half a file, and a folder that a worker elsewhere cannot see."""
    (tmp_path / "state.pt").write_bytes(b"half a fi")
    assert Kept.at(str(tmp_path / "state.pt")).read() is None
    assert Kept.at(str(tmp_path / "not here" / "state.pt")).place is None
    assert Kept.at("").read() is None


def test_a_state_runs_no_code_when_it_is_read(tmp_path: Path) -> None:
    """A file that holds anything but tensors and numbers is not taken."""
    torch.save({"rate": Path("of something")}, tmp_path / "state.pt")
    assert Kept.at(str(tmp_path / "state.pt")).read() is None
