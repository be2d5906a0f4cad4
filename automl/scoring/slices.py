"""Which groups of rows are told worse than the others, beyond what looking at many of them explains.

All slices are judged together: errors are dealt to the rows anew, and the largest excess among all slices, whichever
has it, is what chance can do. A slice is worse where its own excess is beyond that in all but one of twenty deals, so
that among slices of pure noise none is named in nineteen of twenty cases, however many overlap, and however errors are
spread. Rows that err alike are not dealt one by one: their sums change their sign together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.scoring import chance

LEVEL = 0.05
DEALS = 199  # with which the twentieth part is a whole number of deals
LEAST_BLOCKS = 10  # groups of rows that err alike, from which their spread can be told


@dataclass(frozen=True)
class Excess:
    """How far the errors of each slice are above what they would be by chance, and how far chance goes."""

    excess: np.ndarray  # (slices,) in standard deviations
    p: np.ndarray  # the chance that any slice of so many shows as much
    reach: float  # the excess that chance stays below in 95 % of deals


def judge(
    errors: np.ndarray, members: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None = None, seed: int = 0
) -> Excess:
    """Every slice of the rows, (slices, rows) of truth values, beside what chance does to the largest of them."""
    random = np.random.default_rng(seed)
    off = (weight * (errors - np.average(errors, weights=weight))).astype(np.float32)
    inside = np.asarray(members, dtype=np.float32)
    excess, dealt = _whole(off, inside, blocks, weight, random) if blocks is not None else _each(off, inside, random)
    largest = np.sort(dealt.max(axis=1))
    beyond = len(largest) - np.searchsorted(largest, excess - 1e-6 * np.abs(excess))
    reach = float(largest[-int(LEVEL * (len(largest) + 1))])
    return Excess(excess, (1 + beyond) / (1 + len(largest)), max(reach, chance.Z))


def _each(off: np.ndarray, inside: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors are dealt to the rows one by one."""
    rows, sizes = len(off), inside.sum(axis=1)
    scale = np.sqrt(np.maximum(sizes * (1 - sizes / rows), 1e-12)) * max(float(off.std()), 1e-12)
    dealt = random.permuted(np.broadcast_to(off, (DEALS, rows)), axis=1)
    return inside @ off / scale, dealt @ inside.T / scale


def _whole(
    off: np.ndarray, inside: np.ndarray, blocks: np.ndarray, weight: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The sums of blocks change their sign as a whole; a slice that lies in few of them is never sure."""
    share = inside @ weight.astype(np.float32) / float(weight.sum())
    parts = off * (inside - share[:, None])
    order = np.argsort(blocks, kind="stable")
    starts = np.flatnonzero(np.diff(blocks[order], prepend=blocks[order][0] - 1))
    sums = np.add.reduceat(parts[:, order], starts, axis=1)
    scale = np.maximum(np.sqrt(np.square(sums).sum(axis=1)), 1e-12)
    signs = random.choice(np.array((-1, 1), dtype=np.float32), (DEALS, sums.shape[1]))
    return sums.sum(axis=1) / scale, signs @ sums.T / scale
