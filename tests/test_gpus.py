"""Which GPUs can be used: the driver's files tell that there may be some, a computation whether they are of use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from automl.doors import doctor
from automl.options import Options
from automl.runtime import workplace
from cluster import devices
from cluster.devices import Gpu, UsableGpus, ask_torch, read_answer, working_gpus
from cluster.local import LocalPool
from cluster.pool import Job

TWO = [Gpu("0", "NVIDIA H100"), Gpu("1", "NVIDIA H100")]
has_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="tells of machines without a GPU for torch")


@pytest.fixture(autouse=True)
def forgetful() -> None:
    """Each test asks anew."""
    devices._asked.cache_clear()
    devices._tried.cache_clear()


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that lists a card."""
    folder = tmp_path / "0000:01:00.0"
    folder.mkdir()
    (folder / "information").write_text("Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-aa\n")
    monkeypatch.setattr(devices, "_HINTS", (tmp_path,))
    monkeypatch.setattr(devices.find_gpus, "__defaults__", (tmp_path, None))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@has_no_gpu
def test_a_card_that_torch_cannot_use_is_not_planned_for(listed: None) -> None:
    """A torch without CUDA beside a driver with a card: a child tries, the pool hands out none, and it is told why."""
    found = working_gpus()
    assert found.gpus == ()
    assert found.trouble == (
        f"none of 1 GPU can be used: torch {torch.__version__} sees no GPU. Networks train on the CPU."
    )
    pool, notes = workplace.open_pool(Options(target="y", cluster="local", workers=1), ())
    with pool:
        assert [node.gpus for node in pool.nodes()] == [0]
    assert notes == [f"note: {found.trouble}"]
    assert [node.gpus for node in workplace.machines(Options(target="y", cluster="local"))] == [0]
    check = doctor._gpu()
    assert not check.is_fine
    assert check.found == found.trouble


def test_where_nothing_tells_of_a_gpu_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most machines have none, and none of them pays for the question."""
    monkeypatch.setattr(devices, "_HINTS", (Path("/nowhere"),))
    monkeypatch.setattr(devices, "ask_torch", lambda *_: pytest.fail("a child was asked"))
    assert working_gpus() == UsableGpus()
    monkeypatch.setattr(devices, "_HINTS", (Path("/"),))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert working_gpus() == UsableGpus()


@pytest.mark.parametrize(
    ("gpus", "visible", "keys", "told"),
    [
        ([["A", ""], ["B", ""]], None, ["0", "1"], ""),
        ([["A", ""], ["B", ""]], "1, GPU-aa", ["1", "GPU-aa"], ""),
        ([["A", ""], ["B", "no kernel image"]], None, ["0"],
         "1 of 2 GPUs can be used: no kernel image. Networks train on the others."),
        ([["A", "no kernel image"], ["B", ""]], "MIG-1,MIG-2", ["MIG-2"],
         "1 of 2 GPUs can be used: no kernel image. Networks train on the others."),
        ([], None, [], "none of 2 GPUs can be used: torch 9 sees no GPU. Networks train on the CPU."),
        (None, None, [], "none of 2 GPUs can be used: torch died when it was asked. Networks train on the CPU."),
    ],
)  # fmt: skip
def test_gpus_are_those_on_which_torch_computed(
    gpus: list[list[str]] | None, visible: str | None, keys: list[str], told: str
) -> None:
    """By the names that make them visible, slices of a card among them; of others it is told why they are not used."""
    said = "noise of a library\n" + ("" if gpus is None else json.dumps({"gpus": gpus, "why": "torch 9 sees no GPU"}))
    found = read_answer(said, TWO, visible)
    assert [gpu.key for gpu in found.gpus] == keys
    assert found.trouble == told


def test_cards_that_no_file_lists_are_found_by_torch() -> None:
    """AMD's driver has no such files."""
    assert read_answer(json.dumps({"gpus": [["AMD Instinct MI300X", ""]], "why": ""}), []).gpus == (
        Gpu("0", "AMD Instinct MI300X"),
    )


def test_a_process_without_a_gpu_starts_nothing_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was given none does not even ask torch: what torch once saw, it sees for ever."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("torch was asked"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not devices.computes()


@has_no_gpu
def test_a_card_that_is_there_but_fails_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch says that it is available; what counts is whether it computes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.why_not().startswith(f"torch {torch.__version__} cannot compute on it: ")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_card_is_found_and_computes() -> None:
    """By the child and by the process itself."""
    assert ask_torch(devices.find_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES")).gpus
    assert devices.computes()


def who(_grant: object, _payload: object) -> tuple[int, str]:
    """The process that runs a job, and what it has in sight."""
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize("ballast", [0, 100_000])
def test_a_gpu_goes_to_a_worker_that_never_looked_for_one(ballast: int) -> None:
    """A worker that had a job without a GPU may have found none in sight, and would find none ever after."""
    with LocalPool(1, preload=("test_gpus",), gpus=(Gpu("7", "Imaginary"),)) as pool:
        told = []
        for name, gpus in (("near", 0.0), ("far", 0.5), ("near again", 0.0)):
            pool.submit(Job(name, "test_gpus:who", b"x" * ballast, gpus=gpus))
            while not (outcomes := pool.wait(5.0)):
                pass
            assert outcomes[0].value is not None, outcomes[0].error
            told.append(outcomes[0].value)
    assert [visible for _, visible in told] == ["", "7", ""]
    assert len({pid for pid, _ in told}) == 3
