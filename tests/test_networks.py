"""Every network of the registry keeps the contract, on each kind of rows that it reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import encoders_made as made
import numpy as np
import pytest
import series_made
import torch

import search_spaces
from automl.modalities import encoders
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.training import learners
from automl.training.forms import given, shape_of
from search_spaces import contracts
from search_spaces.series.contracts import check_forecasts
from search_spaces.spec import OF_NUMBERS, TABLE, Family, Learner, Matrix, Media, Rows, Run, Shape, WindowShape

NETWORKS = [family for family in search_spaces.all_families() if family.route == "neural"]
CASES = [(family.name, kind) for family in NETWORKS if not family.fuses for kind in sorted(family.reads)]
FITS = [(name, kind, task) for name, kind in CASES for task in sorted(search_spaces.get(name).needs.tasks)]
PANEL = "panel"
ROUNDS = 2
LEVELS = np.array([0.2, 0.5, 0.8])

EncoderOf = Callable[[str], Checkpoint]


def pictures(levels: np.ndarray, random: np.random.Generator) -> Media:
    """Noise on some grey, of sides that nothing divides."""
    noise = random.normal(0, 20, (len(levels), 15, 11, 3))
    store = np.clip(40 + 170 * levels[:, None, None, None] + noise, 0, 255).astype(np.uint8)
    return Media("image", store, np.arange(len(levels)))


def sounds(levels: np.ndarray, random: np.random.Generator) -> Media:
    """Tones of some height in noise, each with a little padding."""
    seconds = np.arange(1600) / 8000
    store = 6000 * np.sin(2 * np.pi * (300 + 2000 * levels[:, None]) * seconds) + random.normal(
        0, 300, (len(levels), 1600)
    )
    store[:, 1500:] = 0
    return Media("audio", store.astype(np.int16), np.arange(len(levels)), 8000, np.full(len(levels), 1500))


def texts(levels: np.ndarray, random: np.random.Generator) -> Media:
    """Words for low and for high, among others; one text is empty, one is of no words that training sees."""
    store = np.array([
        " ".join(random.permutation(["high"] * round(9 * level) + ["low"] * round(9 * (1 - level)) + ["and", "so!"]))
        for level in levels
    ], dtype=object)  # fmt: skip
    store[:2] = ["", "\U0001f600 中文 ???"]
    return Media("text", store, np.arange(len(levels)))


def series(levels: np.ndarray, random: np.random.Generator) -> Media:
    """Waves of some pace, some of them shorter and with gaps."""
    return series_made.block(levels, random)


BLOCKS = {"image": pictures, "audio": sounds, "text": texts, "series": series}


def rows_of(kind: str, run: Run, count: int, seed: int = 0, encoder: Checkpoint | None = None) -> Rows:
    """Rows of a kind whose answers can be seen, or heard."""
    if kind in TABLE:
        return contracts.made_up_rows(run, count, seed)
    random = np.random.default_rng(seed)
    levels = random.random(count)
    block = replace(BLOCKS[kind](levels, random), encoder=encoder)
    block.store.flags.writeable = False
    y = (
        1000.0 * levels
        if run.task in OF_NUMBERS
        else np.minimum((levels * run.classes).astype(np.int64), run.classes - 1)
    )
    nothing = np.empty((count, 0))
    return Rows(Matrix(nothing.astype(np.float32), nothing.astype(np.int32), (), {"seen": block}), y)


@pytest.fixture(scope="module")
def encoder_of(tmp_path_factory: pytest.TempPathFactory) -> EncoderOf:
    """A network trained before on data of a kind, for families that go on from one."""

    @cache
    def find(kind: str) -> Checkpoint:
        folder = tmp_path_factory.mktemp(kind)
        return encoders.read(str(made.save_sentences(folder / "s") if kind == "text" else made.save_own(folder, kind)))

    return find


def encoder_for(family: Family, kind: str, encoder_of: EncoderOf) -> Checkpoint | None:
    return encoder_of(kind) if family.goes_on else None


def test_rows_can_be_made_of_whatever_a_network_reads() -> None:
    """A network that reads another kind of blocks is tested on rows of that kind, made here."""
    assert {kind for _, kind in CASES} <= {*TABLE, *BLOCKS, PANEL}


def test_declaring_networks_loads_no_torch() -> None:
    """The spaces can be read where no network is ever built."""
    code = "import sys, search_spaces; search_spaces.all_families(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_network_is_built_at_corners_of_its_space_and_costs_what_was_counted(
    name: str, kind: str, encoder_of: EncoderOf
) -> None:
    """It takes its rows, alone as among others, lets gradients through, and is counted on paper as it is."""
    family = search_spaces.get(name)
    if kind == PANEL:
        window = WindowShape(context=11, horizon=6, season=4, told=3, past=2)
        inputs = (torch.rand(5, 11), torch.rand(5, 11, 2), torch.rand(5, 6, 3), torch.randint(4, (5, 6, 2)))
        contracts.check_network(family, Shape((), (4, 5), 3, window=window), inputs)
        return
    rows = rows_of(kind, contracts.run_of("multiclass"), 5)
    if kind in TABLE:
        inputs = torch.rand(5, 2), torch.tensor([[0, 3], [1, 0], [2, 4], [3, 1], [0, 0]])
        shape = Shape(((0.0, 0.3, 0.7, 1.0), (0.0, 1.0)), (4, 5), 3)
    elif family.reads_all:
        numbers = np.random.default_rng(0).integers(1, 40, (5, 9))
        inputs = (torch.from_numpy(np.where(np.arange(9) < [[4], [9], [1], [2], [8]], numbers, 0)),)
        shape = Shape((), (), 3, text=(40, 9))
    else:
        block = rows.X.media["seen"]
        inputs = (given(block.values()),)
        shape = replace(shape_of(block, 3), encoder=encoder_for(family, kind, encoder_of))
    contracts.check_network(family, shape, inputs)


@pytest.mark.parametrize(("name", "kind", "task"), FITS)
def test_a_network_keeps_the_contract_of_a_learner(name: str, kind: str, task: str, encoder_of: EncoderOf) -> None:
    """It predicts what the task asks, repeats itself under one seed, is read back bit by bit and ends when it must."""
    family = search_spaces.get(name)
    params = {**contracts.small(family.space), "rounds": ROUNDS}

    def make() -> Learner:
        return learners.make(family, params)

    def load(parts) -> Learner:
        return learners.load(family, parts)

    if kind in TABLE:
        contracts.check_learner(make, load, task)
        return
    if kind == PANEL:
        check_forecasts(make, load, task)
        return
    run, encoder = contracts.run_of(task), encoder_for(family, kind, encoder_of)
    train, valid = (rows_of(kind, run, count, seed, encoder) for seed, count in enumerate((40, 20)))
    contracts.check_fit(make, load, (train, valid, run))


def test_the_contract_catches_networks_that_break_it() -> None:
    """One that mixes rows, one that miscounts and one whose default is outside its space do not pass."""
    family = search_spaces.get("mlp")
    inputs, shape = (torch.rand(5, 2), torch.zeros(5, 0, dtype=torch.int64)), Shape(((0.0, 0.5, 1.0),) * 2, (), 3)

    class Mixing(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *given: torch.Tensor) -> torch.Tensor:
            return self.inner(*given) - self.inner(*given).mean(dim=0)

    def miscounted(params, shape):
        from search_spaces.neural.vision.cost import cost

        return replace(cost(search_spaces.get("convnet").build(params, shape), shape.image), layers=1)

    mixing = replace(family, build=lambda params, shape: Mixing(family.build(params, shape)))
    with pytest.raises(AssertionError, match="not close"):
        contracts.check_network(mixing, shape, inputs)
    outside = replace(family, portfolio=({"depth": 99},))
    with pytest.raises(AssertionError, match="depth=99 is outside"):
        contracts.check_network(outside, shape, inputs)
    dear = replace(search_spaces.get("convnet"), cost=miscounted)
    seen = torch.from_numpy(pictures(LEVELS, np.random.default_rng(0)).store)
    with pytest.raises(AssertionError, match="on paper, but"):
        contracts.check_network(dear, Shape((), (), 3, image=(15, 11, 3)), (seen,))


# --- several parts in one network ------------------------------------------------------------------------------------

FUSED = search_spaces.get("fused")


def mixed_rows(run: Run, count: int, seed: int = 0, kinds: tuple[str, ...] = ("image", "audio")) -> Rows:
    """Numbers with gaps and codes, beside blocks, one of which two numbers tell of; each part knows something."""
    rows = contracts.made_up_rows(run, count, seed)
    random = np.random.default_rng(seed)
    ranks = np.argsort(np.argsort(rows.y)) / count
    media = {kind: BLOCKS[kind](ranks, random) for kind in kinds}
    told = np.stack([ranks, random.random(count)], axis=1).astype(np.float32)
    numbers = np.hstack([rows.X.numbers, told])
    return replace(rows, X=replace(rows.X, numbers=numbers, media=media, told={kinds[0]: np.array([3, 4])}))


@pytest.mark.parametrize("seen", ["blocks", "numbers", "both"])
def test_a_network_of_several_branches_is_built_at_corners_of_its_space(seen: str) -> None:
    """Whatever its branches read; it costs what was counted, and no branch is idle."""
    params = {**contracts.small(FUSED.space), "seen": seen}
    learner = learners.make(FUSED, params | {"rounds": 1})
    rows = mixed_rows(contracts.run_of("multiclass"), 12)
    learner.fit(rows, None, contracts.run_of("multiclass"))
    inputs = tuple(
        part if isinstance(part, torch.Tensor) else torch.from_numpy(part.values()) for part in learner._parts(rows.X)
    )
    contracts.check_network(FUSED, learner.shape, inputs)
    assert [branch.numbers for branch in learner.shape.branches] == [0 if seen == "blocks" else 2, 0]
    assert [branch.is_seen for branch in learner.shape.branches] == [seen != "numbers", True]


@pytest.mark.parametrize("task", sorted(FUSED.needs.tasks))
def test_a_network_of_several_branches_keeps_the_contract_of_a_learner(task: str) -> None:
    """Bit by bit when read back, the same under one seed, ended when it must."""
    run = contracts.run_of(task)
    params = {**contracts.small(FUSED.space), "rounds": ROUNDS}
    jobs = mixed_rows(run, 40), mixed_rows(run, 20, 1), run
    contracts.check_fit(lambda: learners.make(FUSED, params), lambda parts: learners.load(FUSED, parts), jobs)


@pytest.mark.parametrize("part", ["numbers", "codes", "image", "audio"])
def test_every_branch_is_read_and_nothing_but_its_columns_is_asked_for(part: str) -> None:
    """Other values of one part change what is said; a column that is gone is named."""
    run = contracts.run_of("regression")
    rows = mixed_rows(run, 60)
    learner = learners.make(FUSED, {**contracts.small(FUSED.space), "rounds": 3, "seen": "blocks"})
    learner.fit(rows, None, run)
    mirrored = rows.X.take(np.arange(60)[::-1])
    if part in ("numbers", "codes"):
        other = replace(rows.X, **{part: getattr(mirrored, part)})
    else:
        other = replace(rows.X, media={**rows.X.media, part: mirrored.media[part]})
        lost = replace(rows.X, media={name: one for name, one in rows.X.media.items() if name != part})
        with pytest.raises(ValueError, match=f"no column '{part}' to read"):
            learner.predict(lost)
    assert not np.allclose(learner.predict(other), learner.predict(rows.X))


@pytest.mark.long
def test_branches_together_know_more_than_each_alone() -> None:
    """A number knows one half of the answer, a picture's brightness the other."""
    random = np.random.default_rng(0)
    halves = random.random((240, 2))
    numbers, codes = halves[:, :1].astype(np.float32), np.empty((240, 0), dtype=np.int32)
    y, block = (100 * halves).sum(axis=1), pictures(halves[:, 1], random)
    whole = Rows(Matrix(numbers, codes, (), {"photo": block}), y)
    parts = {
        "both": whole,
        "number": Rows(Matrix(numbers, codes, ()), y),
        "picture": Rows(Matrix(numbers[:, :0], codes, (), {"photo": block}), y),
    }
    params = {**contracts.small(FUSED.space), "steps": 200, "shift": 0.0, "erase": 0.0, "small": 1.0}
    errors = {}
    for name, rows in parts.items():
        learner = learners.make(FUSED, params)
        learner.fit(Rows(rows.X.take(np.arange(180)), y[:180]), None, contracts.run_of("regression"))
        errors[name] = np.abs(learner.predict(rows.X.take(np.arange(180, 240))) - y[180:]).mean()
    assert errors["both"] < 0.6 * min(errors["number"], errors["picture"])
