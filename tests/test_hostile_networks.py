"""Saved networks that somebody changed to do harm: what would be built is compared with what their files hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hostile_made import read, saved
from torch import nn

import search_spaces
from search_spaces import knobs
from search_spaces.neural import restored
from search_spaces.spec import Choice, Shape, starts


@pytest.mark.parametrize(
    "told",
    [
        {"params": {"width": 10**9}}, {"params": {"depth": 10**9}}, {"params": {"depth": -1}},
        {"params": {"width": "x"}},
        {"params": {"embedding": 32}}, {"shape": {"outputs": 10**9}}, {"shape": {"sizes": [10**9, 40]}},
        {"shape": {"edges": [[0.0, 1.0]] * 10_000}}, {"shape": {"edges": [[1.0, 0.0, 2.0]] * 4}},
        {"answers": {"outputs": 7}},
    ],
)  # fmt: skip
def test_a_network_larger_than_its_weights_is_never_built(told: dict[str, Any]) -> None:
    """Whatever its configuration and shape say: it is no lack of memory that ends it (a RuntimeError of torch's)."""
    parts, _ = saved("mlp", "multiclass")
    facts = json.loads(parts["network.json"])
    for name, inner in told.items():
        facts[name].update(inner)
    with pytest.raises((ValueError, TypeError), match=r"\w"):
        read("mlp", {**parts, "network.json": json.dumps(facts).encode()})


def test_a_network_of_layers_without_end_stops_at_the_tensors_of_its_file() -> None:
    """Layers are counted while it is laid out."""
    made: list[nn.Module] = []

    def make() -> nn.Module:
        for _ in range(10**9):
            made.append(nn.Linear(1, 1))  # noqa: PERF401 - they are counted as they are made
        return nn.Sequential(*made)

    from safetensors.torch import save

    with pytest.raises(ValueError, match="has more than"):
        restored.restore(make, save({"weight": torch.zeros(1)}))
    assert len(made) < 1000


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(10**6, 10**6), lambda: torch.zeros(10**5, 10**6), lambda: torch.randn((10**6, 10**6)),
        lambda: torch.full((10**12,), 1.0), lambda: torch.linspace(0, 1, 10**12), lambda: torch.arange(10**12),
        lambda: torch.eye(10**6), lambda: torch.empty(size=(10**12,)), lambda: torch.randint(0, 5, (10**12,)),
        lambda: [torch.zeros(10**6) for _ in range(1000)],
    ],
)  # fmt: skip
def test_a_tensor_that_its_file_does_not_hold_is_never_made(make: Callable[[], Any]) -> None:
    """However it is asked for, at once or bit by bit."""
    from safetensors.torch import save

    with pytest.raises(ValueError, match="its file holds far fewer"):
        restored.restore(make, save({"weight": torch.zeros(1)}))


def test_other_threads_build_networks_meanwhile() -> None:
    """What is counted is counted in one thread."""
    with restored._counted(0):
        import threading

        done: list[nn.Module] = []
        other = threading.Thread(target=lambda: done.append(nn.Linear(2, 2)))
        other.start()
        other.join()
        assert done
        with pytest.raises(ValueError, match="has more than"):
            nn.Linear(2, 2)
    nn.Linear(2, 2)


def test_a_file_of_weights_that_lies_about_itself_is_refused() -> None:
    """Its header, its shapes, and where these lie."""
    from safetensors.torch import save

    good = save({"weight": torch.zeros(2, 3)})
    assert restored.shapes(good) == {"weight": (2, 3)}
    for bad in (b"", good[:5], good[:-1], good + b"x", (2**62).to_bytes(8, "little") + good[8:],
                good.replace(b"[2,3]", b"[2,9]"), good.replace(b"[2,3]", b"[-2,-3]"),
                good.replace(b"[0,24]", b"[9,99]")):  # fmt: skip
        with pytest.raises((ValueError, KeyError), match=r"\w"):
            restored.shapes(bad) if bad != good.replace(b"[2,3]", b"[2,9]") else restored.restore(
                lambda: nn.Linear(3, 2), bad
            )


def test_knobs_of_another_space_are_left_out_and_wild_ones_refused() -> None:
    """A model may be of a version whose space was wider; what no space has says nothing."""
    space = search_spaces.get("mlp").space
    usual = starts(space)
    assert knobs.known(space, {**usual, "map": {"x": 1}, "rounds": 3}) == {**usual, "rounds": 3}
    assert knobs.known({"ema": Choice((0.0, 0.5, 1.0), start=0.5)}, {"ema": 1}) == {"ema": 1}
    for name, value in (("width", 10**7), ("width", 0.5), ("dropout", float("nan")), ("rounds", "x"), ("bins", True)):
        with pytest.raises(ValueError, match=f"the knob {name}"):
            knobs.known(space, {**usual, name: value})


@pytest.mark.parametrize(
    "shape",
    [
        Shape((), (), 2, image=(10**6, 8, 3)), Shape((), (), 2, sound=(10**9, 8000)), Shape((), (), 0),
        Shape((), (), 2, sound=(10, 10**9)), Shape((), (), 2, text=(10, 10**9)), Shape((), (0,), 2),
        Shape(((0.0, float("nan")),), (), 2),
    ],
)  # fmt: skip
def test_shapes_that_no_data_set_has_are_refused(shape: Shape) -> None:
    """Sides, lengths and codes decide what is built."""
    with pytest.raises(ValueError, match=r"\w"):
        knobs.check_shape(shape)
