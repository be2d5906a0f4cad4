"""Wherever rows are asked about in batches, a batch for which there is no memory is halved, told and tried again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import search_spaces
from automl.modalities.encoders import embed as embedding
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import embed
from automl.runtime.batches import halved, hearing, in_batches, tell
from automl.training import fused, learners, media, tabular, tokens
from cluster import devices
from cluster.memory import is_out_of_memory
from search_spaces.neural import finetuned
from search_spaces.spec import Matrix, Media, Rows, Run, Shape, starts

MOST = 20  # rows that fit


class Cramped(nn.Module):
    """A network on a device that has memory for so many rows at once."""

    def __init__(self, inner: nn.Module, most: int = MOST) -> None:
        super().__init__()
        self.inner, self.most, self.asked = inner, most, list[int]()

    def forward(self, *given: Tensor) -> Tensor:
        self.asked.append(len(given[0]))
        if len(given[0]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        said: Tensor = self.inner(*given)
        return said


# --- the words of an error -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "is_memory"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("HIP out of memory"), True),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("hipErrorOutOfMemory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_memory_that_ran_out_is_known_by_class_or_by_words(problem: BaseException, is_memory: bool) -> None:
    """Of CUDA, of HIP, of their libraries and of a CPU; other errors are other errors."""
    assert is_out_of_memory(problem) is is_memory


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_without_room_is_halved_told_and_tried_again() -> None:
    """From there on all are so small; every row is asked about once, in order."""
    asked: list[slice] = []

    def ask(rows: slice) -> int:
        asked.append(rows)
        if rows.stop - rows.start > 3:
            raise torch.OutOfMemoryError("no room")
        return rows.start

    with hearing() as lines:
        found = list(in_batches(10, 8, ask, start=1))
    assert [rows for rows, _ in found] == [slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9), slice(9, 10)]
    assert asked[:3] == [slice(1, 9), slice(1, 5), slice(1, 3)]
    assert lines == ["memory ran out: 4 rows at once from now on", "memory ran out: 2 rows at once from now on"]


def test_one_row_without_room_is_an_error_and_so_is_whatever_else_is_wrong() -> None:
    """Nothing is tried for ever, and no fault is hidden."""

    def full(_: object) -> int:
        raise torch.OutOfMemoryError("no room")

    def broken(_: object) -> int:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(torch.OutOfMemoryError):
        list(in_batches(4, 4, full))
    with pytest.raises(RuntimeError, match="shapes"):
        halved(4, broken)


def test_lines_are_heard_once_and_only_by_who_listens() -> None:
    """Each hears what is told meanwhile."""
    tell("to nobody")
    with hearing() as outer:
        tell("a")
        with hearing() as inner:
            tell("b")
        tell("a")
    assert (outer, inner) == (["a"], ["b"])


# --- predictions -----------------------------------------------------------------------------------------------------

NOTHING = np.empty((64, 0), np.float32)
PICTURES = Media("image", np.random.default_rng(0).integers(0, 255, (64, 8, 8, 1), dtype=np.uint8), np.arange(64))
SENTENCES = Media("text", np.array([f"word{i % 7} " * (1 + i % 5) for i in range(64)], dtype=object), np.arange(64))


def _matrix(**blocks: Media) -> Matrix:
    numbers = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    own = NOTHING if blocks and "own" not in blocks else numbers
    return Matrix(own, NOTHING.astype(np.int32), (), {n: b for n, b in blocks.items() if n != "own"})


CASES = {
    "mlp": (_matrix(), {"width": 16, "depth": 1, "bins": 4, "embedding": 4}),
    "convnet": (_matrix(seen=PICTURES), {"width": 8, "growth": 1.0, "stages": 1, "depth_1": 0, "flip": "always"}),
    "textnet": (_matrix(said=SENTENCES), {"vocabulary": 300}),
    "fused": (_matrix(seen=PICTURES, own=PICTURES), {"flip": "always"}),
}


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_made_in_batches_that_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those of large batches, and it is told that these did not fit."""
    monkeypatch.setattr(tabular.NetworkLearner, "_looked_at", 50)
    for module in (media, tokens, fused):
        monkeypatch.setattr(module, "LOOKED_AT", 50)
    X, small = CASES[name]
    family = search_spaces.get(name)
    known = {key: value for key, value in small.items() if key in family.space}
    learner: Any = learners.make(family, {**starts(family.space), **known, "rounds": 1})
    learner.fit(Rows(X, np.arange(64) % 2), None, Run("binary", 2, "accuracy", 0))
    whole = learner.predict(X)
    learner.network = Cramped(learner.network)
    with hearing() as lines:
        parted = learner.predict(X)
    assert learner.network.asked[0] == 50
    assert max(learner.network.asked[2:]) <= MOST
    assert lines == ["memory ran out: 25 rows at once from now on", "memory ran out: 12 rows at once from now on"]
    np.testing.assert_allclose(parted, whole, atol=1e-5)


# --- a head that is fitted first -------------------------------------------------------------------------------------


class _Floats(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()


class Known:
    """An encoder of one layer."""

    width = 6

    def at(self, side: int) -> Known:
        return self

    def build(self, rate: int = 0) -> nn.Module:
        torch.manual_seed(0)
        return Cramped(nn.Sequential(_Floats(), nn.Flatten(), nn.Linear(64, 6)), most=8)

    def as_json(self) -> dict[str, Any]:
        return {}


def test_a_head_is_led_by_batches_that_fit() -> None:
    """The body reads fewer rows at once, and the head is fitted to as many of them."""
    shape = Shape((), (), 2, image=(8, 8, 1), encoder=Known())
    learner: Any = learners.make(search_spaces.get("finetuned"), starts(finetuned.SPACE))
    learner.network = finetuned.build(starts(finetuned.SPACE), shape)
    table = media.MediaTable(PICTURES, torch.arange(64) % 2, None)
    sums: list[int] = []

    class Objective:
        @staticmethod
        def learn(outputs: Tensor, y: Tensor) -> Tensor:
            sums.append(len(y))
            return nn.functional.cross_entropy(outputs, y, reduction="none")

    with hearing() as lines:
        learner._lead(table, Objective, Run("binary", 2, "accuracy", 0))
    assert learner.network.body.asked[:3] == [32, 16, 8]
    assert set(sums) == {64}
    assert len(lines) == 2


# --- embeddings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> Cramped:
    """What every encoder is built as: the mean of each picture, on a device for five of them."""

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.float().flatten(1).mean(dim=1, keepdim=True)

    made = Cramped(Mean(), most=5)
    monkeypatch.setattr(embedding, "_network", lambda *_: made)
    return made


def test_an_encoder_reads_batches_that_fit(cramped: Cramped) -> None:
    """All rows have their numbers, and progress goes on to the last."""
    done: list[int] = []
    with hearing() as lines:
        found = embed(PICTURES, Checkpoint("own", "", "image", 1, 0, {}, ""), report=lambda many, _: done.append(many))
    np.testing.assert_allclose(found.numbers, PICTURES.store.reshape(64, -1).mean(axis=1, keepdims=True), rtol=1e-5)
    assert cramped.asked[:4] == [2, 16, 8, 4]
    assert done[-1] == 64
    assert lines == ["memory ran out: 8 rows at once from now on", "memory ran out: 4 rows at once from now on"]


def test_an_encoder_leaves_the_gpu_once_it_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes there for many rows, and is back on the CPU even where reading failed: workers train there."""
    places: list[str] = []

    class Travelling(nn.Module):
        def to(self, device: torch.device) -> Travelling:  # type: ignore[override]
            places.append(device.type)
            return self

        def cpu(self) -> Travelling:
            places.append("cpu")
            return self

        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("a fault of its own")

    monkeypatch.setattr(embedding, "_network", lambda *_: Travelling())
    monkeypatch.setattr(devices, "computes", lambda: True)
    monkeypatch.setattr(embedding, "FEW", 10)
    monkeypatch.setattr(torch, "from_numpy", lambda values: Moved(values))
    with pytest.raises(ValueError, match="a fault of its own"):
        embed(PICTURES, Checkpoint("own", "", "image", 1, 0, {}, ""))
    assert places == ["cuda", "cpu"]
    places.clear()
    with pytest.raises(ValueError, match="a fault of its own"):
        embed(PICTURES.take(np.arange(10)), Checkpoint("own", "", "image", 1, 0, {}, ""))
    assert places == []


class Moved:
    """Pictures that go wherever they are sent."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def to(self, device: torch.device) -> Moved:
        return self


def test_built_encoders_are_let_go_of() -> None:
    """A driver that has read all its files keeps no network in memory."""
    embedding.forget()
    assert embedding._network.cache_info().currsize == 0


# --- where held-out rows are predicted -------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["accuracy", "mae"])
def test_held_out_rows_are_predicted_where_the_network_was_trained(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is kept of it comes back to the CPU, whatever is wrapped around it."""
    places: list[str] = []

    class Travelling:
        def to(self, device: torch.device) -> None:
            places.append(device.type)

        def cpu(self) -> None:
            places.append("cpu")

    learner: Any = learners.make(search_spaces.get("mlp"), {}, metric=metric)
    inner = learner if metric == "accuracy" else learner.learner
    inner.network = Travelling()
    monkeypatch.setattr(devices, "computes", lambda: True)
    with learners.on_device(learner) as is_far:
        assert is_far
        assert places == ["cuda"]
    assert places == ["cuda", "cpu"]


def test_models_without_a_network_stay_where_they_are() -> None:
    """Trees know no device."""
    with learners.on_device(learners.make(search_spaces.get("forest"), {})) as is_far:
        assert not is_far


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", CASES)
def test_a_gpu_and_the_cpu_predict_the_same(name: str) -> None:
    """Full precision in both places, so out-of-fold predictions are those of the saved model."""
    X, small = CASES[name]
    family = search_spaces.get(name)
    known = {key: value for key, value in small.items() if key in family.space}
    learner: Any = learners.make(family, {**starts(family.space), **known, "rounds": 1})
    learner.fit(Rows(X, np.arange(64) % 2), None, Run("binary", 2, "accuracy", 0))
    here = learner.predict(X)
    with learners.on_device(learner) as is_far:
        assert is_far
        np.testing.assert_allclose(learner.predict(X), here, atol=1e-3)
