"""What is asked of a device, and what is kept off it. The machine that runs these needs no GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import automl
from automl.training import device, learners
from automl.training.augment import Augment, change
from automl.training.device import is_fast_narrow, narrow, room_of, seeded
from search_spaces.neural import convnet
from search_spaces.spec import Matrix, Media, Rows, Run, starts

CUDA = torch.device("cuda")
ROOT = Path(automl.__file__).parents[1]


# --- numbers of chance, and what a saved network touches --------------------------------------------------------------

STORED = """
import sys, torch
from pathlib import Path
from automl.training import learners
from search_spaces.neural import convnet

def started(*_):
    raise AssertionError("CUDA was started")

torch.cuda.is_available, torch.cuda.device_count = lambda: True, lambda: 1  # as on a machine with a card
torch.cuda._lazy_init = torch.cuda.current_device = torch.cuda.get_rng_state = started
parts = {file.name: file.read_bytes() for file in Path(sys.argv[1]).iterdir()}
assert learners.load(convnet.FAMILY, parts).network is not None
"""


def bright_halves(rows: int = 24) -> Rows:
    """Pictures of which one half is bright."""
    y = np.arange(rows) % 2
    store = np.zeros((rows, 8, 8, 1), np.uint8)
    for picture, is_low in zip(store, y, strict=True):
        picture[4 * is_low : 4 * is_low + 4] = 200
    nothing = np.empty((rows, 0), np.float32)
    return Rows(Matrix(nothing, nothing.astype(np.int32), (), {"seen": Media("image", store, np.arange(rows))}), y)


SMALL = {"width": 8, "growth": 1.0, "stages": 1, "depth_1": 0, "small": 1.0, "rounds": 2}


def test_a_saved_network_is_read_without_starting_cuda(tmp_path: Path) -> None:
    """A server that predicts on the CPU takes no memory of a card that is there."""
    learner = learners.make(convnet.FAMILY, {**starts(convnet.FAMILY.space), **SMALL})
    learner.fit(bright_halves(), None, Run("binary", 2, "accuracy", 0))
    for name, content in learner.dump().items():
        (tmp_path / name).write_bytes(content)
    subprocess.run([sys.executable, "-c", STORED, str(tmp_path)], check=True, timeout=120)


def test_seeded_numbers_repeat_and_disturb_nobody() -> None:
    """Inside one seed gives the same numbers; outside they go on as if nothing had been."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        assert torch.equal(first, torch.rand(4))
    assert torch.equal(before, torch.get_rng_state())


def test_whatever_reads_tensors_says_where_they_go() -> None:
    """Weights that were written on a GPU are read on machines without one: every load names its device."""
    for file in (file for room in ("automl", "search_spaces", "cluster") for file in (ROOT / room).rglob("*.py")):
        for call in re.findall(r"torch\.load\(.*", file.read_text(encoding="utf-8")):
            assert "map_location=" in call, f"{file}: {call}"
            assert "weights_only=True" in call, f"{file}: {call}"


# --- what a card can do ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("capability", "is_fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bfloat16_is_used_only_by_cards_that_have_it(
    capability: tuple[int, int], is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Turing card trains in float32: its bfloat16 is imitated, and slower."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert is_fast_narrow(CUDA) is is_fast
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)  # torch counts imitation as support
    assert narrow(CUDA, is_large=False)._enabled is is_fast


def test_a_cpu_narrows_large_products_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those only where it multiplies bfloat16 itself."""
    monkeypatch.setattr(device, "has_bf16", lambda: True)
    assert narrow(device.CPU, is_large=True)._enabled
    assert not narrow(device.CPU, is_large=False)._enabled
    monkeypatch.setattr(device, "has_bf16", lambda: False)
    assert not narrow(device.CPU, is_large=True)._enabled


@pytest.mark.parametrize(
    ("free", "share", "held", "room"),
    [
        (80, 1.0, 0, 80),  # alone on an empty card of 80
        (30, 1.0, 0, 30),  # others hold the rest
        (80, 0.25, 0, 20),  # no more than its own quarter, however empty the card is
        (75, 0.25, 15, 5),  # of which it holds some already
        (60, 0.25, 25, 0),
    ],
)
def test_room_on_a_card_is_no_more_than_ones_share(free: float, share: float, held: float, room: float) -> None:
    """Networks that train side by side on one card each keep to their part of its memory."""
    assert room_of(free, 80, share, held) == room


# --- where indices are made ------------------------------------------------------------------------------------------


class _Largest(TorchDispatchMode):
    """The most numbers that an operation left on the CPU."""

    found = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, torch.Tensor) and one.device.type == "cpu":
                self.found = max(self.found, one.numel())
        return out


@pytest.mark.parametrize("how", [Augment(flips=True, shift=0.1), Augment(erase=0.3)])
def test_places_of_pixels_are_made_where_the_pictures_are(how: Augment) -> None:
    """A number for each picture crosses over to the device, not one for each of its pixels."""
    rows, side = 8, 64
    pictures = torch.empty((rows, side, side, 3), dtype=torch.uint8, device="meta")
    with _Largest() as largest:
        changed = change(pictures, how, torch.Generator().manual_seed(0))
    assert changed.device.type == "meta"
    assert largest.found <= rows
