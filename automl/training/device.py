"""What torch computes on, and what that can do: asked of torch where it matters, never guessed from a name.

A GPU is looked at only by what trains on one. Reading a saved network back touches none, so that a server that answers
on the CPU takes no memory of a card that others train on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cluster import devices
from search_spaces.neural.blocks import has_bf16

CPU = torch.device("cpu")
NARROW_FROM = 8  # compute capability of NVIDIA's cards (Ampere) that multiply bfloat16; older ones only imitate it
STORE_SHARE = 0.25  # of the memory that this process may still take of a GPU, for rows that stay there
UNKNOWN_SHARE = 0.25  # of a card's memory, where torch is too old to say what this process was granted


def find_device() -> torch.device:
    """Where networks are trained: on a GPU that this process was given, if torch computes on it."""
    return torch.device("cuda" if devices.computes() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are."""
    return next((parameter.device for parameter in network.parameters()), CPU)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, count))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Draw torch's random numbers from this seed for a while; nobody else's are disturbed.

    Those of a GPU only where one is named: to keep the numbers of a device, torch has to start it.
    """
    is_far = device.type == "cuda"
    with torch.random.fork_rng(devices=[device.index or 0] if is_far else []):
        torch.default_generator.manual_seed(seed)
        if is_far:
            torch.cuda.manual_seed(seed)
        yield


def is_fast_narrow(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself: elsewhere it is slower than float32, or fails."""
    if device.type != "cuda":
        return has_bf16()
    # AMD's cards number their capabilities otherwise, and all that torch supports have it
    return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= NARROW_FROM


def narrow(device: torch.device, *, is_large: bool) -> torch.autocast:
    """bfloat16 where it is fast: on a GPU that has it, and on a CPU that has it once products are large."""
    is_wanted = device.type == "cuda" or is_large
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_wanted and is_fast_narrow(device))


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Full precision for a while: on a GPU torch cuts factors of convolutions to ten bits if it is not told."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def has_room(nbytes: float, device: torch.device) -> bool:
    """Whether so many bytes of rows may stay on a device, without crowding those who compute there."""
    return device.type != "cuda" or nbytes < STORE_SHARE * room_bytes(device)


def room_bytes(device: torch.device) -> float:
    """Memory of a GPU that this process may still take: what is free, and no more than is left of its own share."""
    free, total = torch.cuda.mem_get_info(device)
    asked = getattr(torch.cuda, "get_per_process_memory_fraction", None)  # since torch 2.8
    share = UNKNOWN_SHARE if asked is None else float(asked(device))
    return room_of(free, total, share, torch.cuda.memory_reserved(device))


def room_of(free: float, total: float, share: float, held: float) -> float:
    """Bytes left of a share of all memory, of which some are held already, and no more than are free."""
    return max(0.0, min(free, share * total - held))
