"""What networks on texts share: vectors of tokens and of pairs of them, and one vector out of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.bpe import PADDING
from search_spaces.spec import Params

POOLS = ("average", "max", "both", "weighed")
MIX = 1_000_003  # a prime: spreads pairs over the buckets
# Deviation of vectors at the start: at 0.3, as columns of tables have it, texts are told apart by the noise of their
# rare tokens; on 5,700 tweets 0.02 to 0.05 gave 0.015 more AUC.
START = 0.02


class TokenVectors(nn.Module):
    """Numbers of tokens as vectors; those of neighbouring pairs, which share 2 ** `bits` vectors, are added."""

    def __init__(self, vocabulary: int, width: int, bits: int) -> None:
        super().__init__()
        self.buckets = 2**bits if bits else 0
        self.single = nn.Parameter(torch.randn(vocabulary, width) * START)
        self.pairs = nn.Parameter(torch.zeros(self.buckets, width)) if bits else None

    def forward(self, numbers: Tensor) -> Tensor:
        """(texts, tokens) -> (texts, tokens, width); zeros where there is padding."""
        vectors = nn.functional.embedding(numbers, self.single)
        is_word = (numbers != PADDING).unsqueeze(-1)
        if self.pairs is not None and numbers.shape[1] > 1:
            following = nn.functional.pad(numbers[:, 1:], (0, 1), value=PADDING)
            bucket = (numbers * MIX + following) % self.buckets
            has_next = (following != PADDING).unsqueeze(-1)
            vectors = vectors + nn.functional.embedding(bucket, self.pairs) * has_next
        return vectors * is_word


class WordPool(nn.Module):
    """One vector of the vectors of words."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind, self.width = kind, 2 * width if kind == "both" else width
        self.score = nn.Linear(width, 1) if kind == "weighed" else None

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(texts, tokens, width) and (texts, tokens) -> (texts, self.width)."""
        words = mask.unsqueeze(-1)
        parts = []
        if self.score is not None:
            scores = self.score(x).float().masked_fill(~words, -torch.inf)
            parts.append((x * scores.softmax(dim=1)).sum(dim=1))
        if self.kind in ("average", "both"):
            parts.append((x * words).sum(dim=1) / words.sum(dim=1))
        if self.kind in ("max", "both"):
            parts.append(x.masked_fill(~words, torch.finfo(x.dtype).min).amax(dim=1))
        return torch.cat(parts, dim=1)


class TextNetwork(nn.Module):
    """Vectors of tokens, a body, and a head that starts as a guess of nothing."""

    def __init__(self, params: Params, text: tuple[int, int], outputs: int, body: Callable[[Params, int], Any]) -> None:
        super().__init__()
        vocabulary, _ = text
        self.vectors = TokenVectors(vocabulary, params["embedding"], params["pair_bits"])
        self.body = body(params, params["embedding"])
        self.dropout = Dropout(params["dropout"])
        self.head = nn.Linear(self.body.width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, numbers: Tensor) -> Tensor:
        """(texts, tokens), PADDING at their ends -> (texts, outputs)."""
        said: Tensor = self.head(self.dropout(self.body(self.vectors(numbers), numbers != PADDING)))
        return said
