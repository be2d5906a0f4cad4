"""Texts of any length for a network that reads only so many tokens at once, and many texts for one that wants batches.

A long text is read in pieces: its beginning, and others evenly spread. Batches hold texts of about one length, as
padding costs what words cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from search_spaces.text.terms import without_markup

PARTS = 5  # of a long text that are read: more cost more and seldom tell more
PART_LETTERS = 8_000  # what is longer than all parts of this size is cut before it is split into tokens
LINK = re.compile(r"(?:https?://|www\.)\S+")  # its letters say nothing, and there are many of them
BATCH_TOKENS = 2_048  # of one batch: enough for fast products, few enough for the caches
BATCH_TOKENS_ON_GPU = 65_536
ENOUGH_TOKENS, LONGER = 512, 1.5  # a batch of so many ends before a text so many times longer than its first one

Say = Callable[[Tensor, Tensor | None], Tensor]  # numbers and mask, (texts, tokens) both -> (texts, width)


def readable(text: str) -> str:
    """A text without markup and the letters of links; a very long one as parts of it, evenly spread."""
    text = LINK.sub("http", without_markup(text))
    if len(text) <= PARTS * PART_LETTERS:
        return text
    return " ".join(text[start : start + PART_LETTERS] for start in _starts(len(text), PART_LETTERS))


def cut(numbers: Sequence[int], width: int) -> list[Sequence[int]]:
    """The numbers of a text in pieces of at most `width`: one after another, or evenly spread where they are many."""
    if len(numbers) <= PARTS * width:
        starts = range(0, max(1, len(numbers)), width)
        return [numbers[start : start + width] for start in starts]
    return [numbers[start : start + width] for start in _starts(len(numbers), width)]


def spread(pieces: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """So many of the pieces as are read, evenly spread."""
    if len(pieces) <= PARTS:
        return list(pieces)
    return [pieces[start] for start in _starts(len(pieces), 1)]


def _starts(length: int, width: int) -> list[int]:
    return [round(place * (length - width) / (PARTS - 1)) for place in range(PARTS)]


def by_pieces(rows: Sequence[Sequence[Sequence[int]]], padding: int, say: Say, device: torch.device) -> Tensor:
    """What is said of the pieces of each row, (rows, width): on average, a long piece counting for more."""
    pieces = [piece for row in rows for piece in row]
    lengths = np.array([len(piece) for piece in pieces])
    order = np.argsort(lengths, kind="stable")
    said = []
    for batch in batches(lengths[order], BATCH_TOKENS_ON_GPU if device.type == "cuda" else BATCH_TOKENS):
        numbers, mask = padded([pieces[place] for place in order[batch]], padding)
        said.append(say(numbers.to(device), None if mask is None else mask.to(device)))
    back = torch.from_numpy(np.argsort(order, kind="stable")).to(device)
    vectors = torch.cat(said)[back]
    if len(pieces) == len(rows):
        return vectors
    owner = torch.from_numpy(np.repeat(np.arange(len(rows)), [len(row) for row in rows])).to(device)
    weight = torch.from_numpy(lengths).to(device, vectors.dtype)[:, None]
    total = torch.zeros(len(rows), vectors.shape[1], dtype=vectors.dtype, device=device)
    shares = torch.zeros(len(rows), 1, dtype=vectors.dtype, device=device).index_add(0, owner, weight)
    return total.index_add(0, owner, vectors * weight) / shares


def batches(lengths: np.ndarray, tokens: int) -> Iterator[slice]:
    """Slices of rising lengths whose padded tokens are at most so many, or of one row."""
    start = 0
    while start < len(lengths):
        end = start + 1
        while end < len(lengths) and (end + 1 - start) * lengths[end] <= tokens:
            if (end - start) * lengths[end - 1] >= ENOUGH_TOKENS and lengths[end] > LONGER * lengths[start]:
                break
            end += 1
        yield slice(start, end)
        start = end


def padded(pieces: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor | None]:
    """Numbers as one block, and which of them are words; None where all are."""
    lengths = np.array([len(piece) for piece in pieces])
    longest = int(lengths.max())
    if (lengths == longest).all():
        return torch.from_numpy(np.array(pieces, dtype=np.int64)), None
    block = np.full((len(pieces), longest), padding, dtype=np.int64)
    for row, piece in enumerate(pieces):
        block[row, : len(piece)] = piece
    return torch.from_numpy(block), torch.from_numpy(np.arange(longest) < lengths[:, None])
