"""A network from its weights: built under watch, so that it takes no more memory than they do, then held against them.

What is built follows from a saved configuration that may say anything: a million layers, a layer a million wide. Who
asks for a tensor beyond the file's own, or counts more of them than it holds, is stopped before it has one. (Torch's
"meta" device would do, but its first use in a process imports 1.2 s of torch.)
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from search_spaces.checked import need

MOST_HEADER = 100 * 2**20  # bytes, as the format itself has it
TIMES = 4  # as many tensors as the file holds, and as many numbers: some are drawn on the way, or taken off again
SPARE_TENSORS, SPARE_NUMBERS = 256, 16_000_000  # beyond them
SIZED = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}  # by their first arguments
FULL: dict[Any, int | slice] = {
    torch.full: 0,
    torch.randint: -1,
    torch.linspace: 2,
    torch.arange: slice(0, 2),
    torch.eye: slice(0, 2),
}


def restore(make: Callable[[], nn.Module], content: bytes) -> nn.Module:
    """The network that `make` builds, with the weights of a safetensors file; ValueError where they are not its own."""
    from safetensors.torch import load

    told = shapes(content)
    numbers = sum(map(math.prod, told.values()))
    with _Watch(TIMES * numbers + SPARE_NUMBERS), _counted(TIMES * len(told) + SPARE_TENSORS):
        network = make()
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name in (*wanted, *told):
        mine, theirs = wanted.get(name), told.get(name)
        need(mine == theirs, f"weights {name!r:.80} are {theirs}, the network has {mine}")
    network.load_state_dict(load(content))
    return network


def shapes(content: bytes) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a safetensors file, which must fill it to the last byte."""
    length = int.from_bytes(content[:8], "little")
    need(len(content) >= 8 and length <= min(MOST_HEADER, len(content) - 8), "a file of weights is cut off")
    header: Any = json.loads(content[8 : 8 + length])
    need(isinstance(header, dict), "a file of weights has no header")
    found, held, most = {}, 0, len(content) - 8 - length
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
        need(all(isinstance(side, int) and side >= 0 for side in shape), f"weights {name!r:.80} are {shape!s:.60}")
        is_whole = isinstance(start, int) and isinstance(end, int) and 0 <= start <= end <= most
        need(
            is_whole and end - start <= 8 * math.prod(shape) <= 64 * (end - start), f"weights {name!r:.80} are cut off"
        )
        found[name], held = shape, held + end - start
    need(held == most, "a file of weights holds more than weights")
    return found


class _Watch(TorchFunctionMode):
    """Adds up the numbers that are asked for in this thread; beyond so many there are none."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {} if kwargs is None else kwargs
        if (wanted := _asked(func, args, kwargs)) > 0:
            self.left -= wanted
            need(self.left >= 0, f"a network asks for {wanted:,} numbers, and its file holds far fewer")
        return func(*args, **kwargs)


def _asked(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many numbers a call would make; 0 where it makes them of others, which are counted already."""
    if func in SIZED:
        sizes: Any = kwargs.get("size", args)
    elif func in FULL:
        places = FULL[func]
        sizes = kwargs.get("size", kwargs.get("steps", args[places] if isinstance(places, slice) or len(args) else ()))
    else:
        return 0
    flat = _flat(sizes)
    flat = flat * 2 if func is torch.eye and len(flat) == 1 else flat
    return int(abs(sum(flat))) if func is torch.arange else math.prod(int(abs(side)) for side in flat)


def _flat(sizes: Any) -> list[float]:
    if isinstance(sizes, int | float):
        return [sizes]
    return [one for inner in sizes for one in _flat(inner)] if isinstance(sizes, list | tuple) else [1]


@contextmanager
def _counted(most: int) -> Iterator[None]:
    """A ValueError for who registers more parameters than that in this thread."""
    mine, seen = threading.get_ident(), 0

    def count(_module: nn.Module, _name: str, _value: Any) -> None:
        nonlocal seen
        if threading.get_ident() == mine:
            seen += 1
            need(seen <= most, f"a network has more than {most:,} tensors, and its file holds far fewer")

    handles = [
        hooks.register_module_parameter_registration_hook(count),
        hooks.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
