"""One training by several processes: the same as by one, and what is left when one of them dies. GPUs are pretended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import nn

import search_spaces
from automl.runtime.batches import hearing
from automl.search.lanes import TEAM_GAIN, TEAM_START_S, together
from automl.search.screen import LINK_BYTES_S, MEETING_S, Speeds, epoch_s, steps_of
from automl.search.steps import Course
from automl.training import together as team_fit
from automl.training.network import Batch, Objective, TrainingRecipe, train
from automl.training.team import ALONE, Team, joined
from automl.training.together import TeamTask, fit_together
from search_spaces.spec import Learner, Matrix, NetworkCost, Rows, Run, starts

HERE = str(Path(__file__).parent)
EPOCHS = 8
MEMBER = """
import sys
sys.path.insert(0, {here!r})
from test_together import member
member(int(sys.argv[1]), 2, {folder!r})
"""


# --- one loop, two processes -----------------------------------------------------------------------------------------


class Curve:
    """A feed of rows with a curved answer, in batches of 32, and half as many weights as rows."""

    held_rows, progress, length = 96, 0.0, 0.0

    def __init__(self) -> None:
        dice = torch.Generator().manual_seed(1)
        self.x = torch.rand(256 + self.held_rows, 2, generator=dice) * 4 - 2
        self.y = torch.sin(2 * self.x[:, 0]) + self.x[:, 1].abs()
        self.weight = torch.linspace(0.5, 1.5, len(self.x))
        self.steps = 8

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        for rows in torch.randperm(256, generator=generator).tensor_split(self.steps):
            yield Batch((self.x[rows],), self.y[rows], self.weight[rows])

    def held(self) -> Iterator[Batch]:
        for rows in torch.arange(256, len(self.x)).split(20):
            yield Batch((self.x[rows],), self.y[rows], self.weight[rows])

    def halve(self) -> bool:
        self.steps *= 2
        return True


def squared(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (outputs.squeeze(1) - y) ** 2


def course() -> tuple[float, ...]:
    """The errors of a short training, epoch by epoch; by whatever team this process is in."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
    recipe = TrainingRecipe(EPOCHS, 0.02, ema=0.5)
    run = Run("regression", 1, "rmse", 3, until=time.monotonic() + 3600)
    return train(network, Curve(), Objective(squared, squared), recipe, run).errors


def member(rank: int, size: int, folder: str) -> None:
    """A process of a team: its errors go to a file."""
    with joined(Team(rank, size), Path(folder), torch.device("cpu")):
        Path(folder, f"{rank}.json").write_text(json.dumps(course()))
    os._exit(0)  # as a process of a team ends


@pytest.mark.long
def test_two_processes_learn_what_one_learns_from_the_whole_batch(tmp_path: Path) -> None:
    """Error by error, but for rounding; and both hold the very same network, by which all is decided in both."""
    script = MEMBER.format(here=HERE, folder=str(tmp_path))
    processes = [subprocess.Popen([sys.executable, "-c", script, str(rank)]) for rank in range(2)]
    alone = course()
    assert [process.wait(120) for process in processes] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second
    assert len(alone) == EPOCHS
    assert alone[-1] < 0.8 * alone[0]
    np.testing.assert_allclose(first, alone, rtol=1e-3)


def test_the_parts_of_a_batch_are_the_batch() -> None:
    """Each row is one process's; of a batch too small for all each learns from the whole."""
    whole = Batch((torch.arange(7), torch.arange(7) * 2), torch.arange(7), torch.arange(7) / 7)
    parts = [Team(rank, 2).part(whole) for rank in range(2)]
    assert sorted(int(y) for part, _ in parts for y in part.target) == list(range(7))
    assert all(torch.equal(part.inputs[1], 2 * part.target) and count == 7 for part, count in parts)
    scales = [Team(rank, 2).scale(7, len(part.target)) for rank, (part, _) in enumerate(parts)]
    assert sum(scales) / 2 == pytest.approx(1.0)  # means over parts weigh as much as the mean over all
    assert scales == pytest.approx([8 / 7, 6 / 7])
    assert all(Team(rank, 4).part(whole)[0] is whole for rank in range(4))
    assert Team(0, 4).scale(7, 7) == 1.0
    assert ALONE.part(whole) == (whole, 7)


# --- a learner -------------------------------------------------------------------------------------------------------


def rows(count: int, seed: int) -> Rows:
    X = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    return Rows(Matrix(X, np.empty((count, 0), np.int32), ()), y)


def task(run: Run, **params: Any) -> TeamTask:
    family = search_spaces.get("mlp")
    small = {"width": 32, "depth": 1, "bins": 4, "embedding": 4, "dropout": 0.0}
    fitting = {name: value for name, value in small.items() if name in family.space}
    given = {**starts(family.space), **fitting, **params}
    return TeamTask(family="mlp", params=given, bend="", column="", train=rows(600, 0), valid=rows(200, 1), run=run)


def right(learner: Learner) -> float:
    new = rows(500, 2)
    return float((learner.predict(new.X).argmax(axis=1) == new.y).mean())


@pytest.mark.long
def test_a_learner_comes_back_from_its_team_as_if_fitted_here() -> None:
    """Its answers are those of one process, but for rounding; it knows its rounds."""
    given = task(Run("binary", 2, "accuracy", 0), rounds=6)
    alone = given.make()
    alone.fit(given.train, given.valid, given.run)
    both = fit_together(given, 2)
    np.testing.assert_allclose(both.predict(rows(300, 2).X), alone.predict(rows(300, 2).X), atol=0.02)
    assert not both.is_cut
    assert both.rounds_ is not None  # type: ignore[attr-defined]


def test_where_one_dies_before_anything_was_kept_one_process_trains_it() -> None:
    """It is told, and there is a model all the same."""
    with hearing() as lines:
        learner = team_fit._saved(task(Run("binary", 2, "accuracy", 0, kept="/nowhere/x"), rounds=3), "why", 2)
    assert lines == ["training on 2 GPUs ended early, why: nothing was kept yet, so one GPU trains it anew"]
    assert right(learner) > 0.5


def booted(first: str) -> str:
    """What a process of a team begins with, with a line or two before its work."""
    path, work = team_fit._BOOT.split("from automl", 1)
    return f"{path}\n{first}\nfrom automl{work}"


def children(told: str) -> list[psutil.Process]:
    """The processes begun by this one that were told so; another may end while it is asked."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(told in word for word in child.cmdline()):
                found.append(child)
    return found


EAGER = "from automl.training import kept; kept.EVERY_S = 0.0"


@pytest.mark.long
def test_a_process_that_dies_leaves_the_best_network_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others end at once, it is told which one died and how, and what was kept is the model."""
    monkeypatch.setattr(team_fit, "_BOOT", booted(EAGER))
    state = tmp_path / "state.pt"

    def kill() -> None:
        while not state.is_file():
            time.sleep(0.05)
        for child in children('"rank": 1'):
            child.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run = Run("binary", 2, "accuracy", 0, until=time.monotonic() + 300, kept=str(state))
    with hearing() as lines:
        learner = fit_together(task(run, rounds=100_000), 2)
    killer.join()
    assert lines == ["training on 2 GPUs ended early, process 2 of 2 died (signal 9): the best network so far is taken"]
    assert learner.is_cut
    best = torch.load(state, weights_only=True, map_location="cpu")["best"]
    for name, value in learner.network.state_dict().items():  # type: ignore[attr-defined]
        torch.testing.assert_close(value, best[name])
    assert not children('"rank"')


STARVED = """
import torch
from automl.training import tabular
serve = tabular.TableFeed.epoch
def epoch(feed, generator):
    for batch in serve(feed, generator):
        if len(batch.target) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield batch
tabular.TableFeed.epoch = epoch
"""


@pytest.mark.soak
def test_a_team_without_memory_begins_anew_with_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it, for its processes must agree on what a batch is."""
    monkeypatch.setattr(team_fit, "_BOOT", booted(STARVED))
    with hearing() as lines:
        learner = fit_together(task(Run("binary", 2, "accuracy", 0), rounds=2), 2)
    assert lines == ["memory ran out on 2 GPUs: trained anew in batches half as large"]
    assert right(learner) > 0.4


# --- when it pays ----------------------------------------------------------------------------------------------------

RESNET_50 = NetworkCost(parameters=23_500_000, flops=4_100_000_000, values=11_000_000, layers=53)  # at 224 px
SMALL = NetworkCost(parameters=5_000_000, flops=20_000_000, values=50_000, layers=12)


def seconds(cost: NetworkCost, files: int) -> dict[int, float]:
    return {count: epoch_s(cost, files, Speeds(), Course(0.0, 4, float(count))) for count in range(1, 9)}


def test_gpus_meet_at_every_step() -> None:
    """What they add up crosses the bus twice, less what each has itself."""
    alone = epoch_s(RESNET_50, 44_000, Speeds(), Course(0.0, 4, 1.0))
    two = epoch_s(RESNET_50, 44_000, Speeds(), Course(0.0, 4, 2.0))
    met_s = steps_of(44_000) * (MEETING_S + 4 * 23_500_000 / LINK_BYTES_S)
    assert two == pytest.approx(alone / 2 + met_s)


@pytest.mark.parametrize(
    ("cost", "files", "left_s", "count"),
    [
        (RESNET_50, 44_000, 1_020.0, 2),  # 47 s an epoch on one: 21 of 40 epochs
        (RESNET_50, 44_000, 600.0, 4),
        (RESNET_50, 44_000, 300.0, 8),  # not enough on any number: as many as pay
        (RESNET_50, 44_000, 4_000.0, 1),  # one holds enough, and others train other networks
        (RESNET_50, 44_000, 18.0, 1),  # over before they have begun
        (SMALL, 44_000, 5.0, 1),
        (SMALL, 2_000_000, 20.0, 1),  # they would wait for each other
    ],
)
def test_several_train_one_network_only_where_that_pays(
    cost: NetworkCost, files: int, left_s: float, count: int
) -> None:
    """The fewest that hold enough epochs, else the most that are worth it; one wherever that is open."""
    assert together(seconds(cost, files), left_s, enough=40) == count


def test_what_is_not_known_to_pay_is_not_done() -> None:
    """Without a prediction, and with a gain too small, each GPU trains a network of its own."""
    assert together({1: 0.0, 2: 0.0}, 100.0, 40) == 1
    assert together({1: 10.0, 2: 9.0}, 100.0, 40) == 1
    assert together({1: 10.0, 2: 5.0}, 1_000.0, 400) == 2
    left_s = TEAM_START_S / (1 - TEAM_GAIN / 2)
    assert together({1: 10.0, 2: 5.0}, left_s - 1, 400) == 1
    assert together({1: 10.0, 2: 5.0}, left_s + 1, 400) == 2
