"""BERT (Devlin et al. 2018) as an encoder of texts: one vector for each, of trained weights that lie elsewhere.

Products of queries, keys and values are one, and what marks the first of two sentences is part of the places: there is
only one sentence here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.pieces import by_pieces, cut, readable
from search_spaces.neural.text.wordpiece import WordPiece

_LAYER = {  # what the published files call the parts of a layer, and what they are called here
    "attention.output.dense": "joined",
    "attention.output.LayerNorm": "first_norm",
    "intermediate.dense": "widened",
    "output.dense": "narrowed",
    "output.LayerNorm": "second_norm",
}


@dataclass(frozen=True)
class BertPlan:
    """Sizes of a BERT, by the names of its config.json."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1


@dataclass(frozen=True)
class SentenceForm:
    """How texts are read and summed up."""

    tokens: int  # that are read at once, those that mark the ends included
    depths: tuple[int, ...]  # layers after which the states are summed up: what several of them say stands side by side
    pooling: str = "mean"  # over the tokens, or "first"
    is_lower: bool = True
    is_normalised: bool = True  # to vectors of length one


class BertLayer(nn.Module):
    """Attention, then a wider layer for each token; normed after each."""

    def __init__(self, plan: BertPlan) -> None:
        super().__init__()
        width, inner = plan.hidden_size, plan.intermediate_size
        self.heads = plan.num_attention_heads
        self.asked = nn.Linear(width, 3 * width)  # queries, keys, values
        self.joined = nn.Linear(width, width)
        self.first_norm = nn.LayerNorm(width, plan.layer_norm_eps)
        self.widened, self.narrowed = nn.Linear(width, inner), nn.Linear(inner, width)
        self.second_norm = nn.LayerNorm(width, plan.layer_norm_eps)
        self.dropout = Dropout(plan.hidden_dropout_prob)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(texts, tokens, width), of the same shape; mask: (texts, 1, 1, tokens), true for words."""
        texts, tokens, width = x.shape
        asked = self.asked(x).view(texts, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(asked[0], asked[1], asked[2], attn_mask=mask)
        x = self.first_norm(x + self.dropout(self.joined(heard.transpose(1, 2).reshape(texts, tokens, width))))
        wide = functional.gelu(self.widened(x))
        normed: Tensor = self.second_norm(x + self.dropout(self.narrowed(wide)))
        return normed


class Bert(nn.Module):
    """Numbers of tokens -> their states after some layers."""

    def __init__(self, plan: BertPlan) -> None:
        super().__init__()
        self.words = nn.Embedding(plan.vocab_size, plan.hidden_size)
        self.words.weight.requires_grad_(False)  # half of all weights, and few texts hold a word
        self.places = nn.Parameter(torch.zeros(plan.max_position_embeddings, plan.hidden_size))
        self.norm = nn.LayerNorm(plan.hidden_size, plan.layer_norm_eps)
        self.layers = nn.ModuleList(BertLayer(plan) for _ in range(plan.num_hidden_layers))

    def forward(self, numbers: Tensor, mask: Tensor | None, depths: Collection[int]) -> list[Tensor]:
        """(texts, tokens) -> for each depth (texts, tokens, width)."""
        states: Tensor = self.norm(self.words(numbers) + self.places[: numbers.shape[1]])
        wide = None if mask is None else mask[:, None, None, :]
        told = []
        for depth, layer in enumerate(self.layers, start=1):
            states = layer(states, wide)
            if depth in depths:
                told.append(states)
        return told


class SentenceEncoder(nn.Module):
    """Texts -> one vector each. The vocabulary travels with the weights, as the bytes of its lines."""

    vocabulary: Tensor

    def __init__(self, plan: BertPlan, form: SentenceForm, vocabulary_bytes: int) -> None:
        super().__init__()
        self.form = form
        self.bert = Bert(plan)
        self.register_buffer("vocabulary", torch.zeros(vocabulary_bytes, dtype=torch.uint8))
        self._splitter: WordPiece | None = None
        self.register_load_state_dict_post_hook(_forget_splitter)  # type: ignore[no-untyped-call]

    @property
    def splitter(self) -> WordPiece:
        """What makes tokens of texts."""
        if self._splitter is None:
            lines = self.vocabulary.cpu().numpy().tobytes().decode()
            self._splitter = WordPiece(lines.split("\n"), is_lower=self.form.is_lower)
        return self._splitter

    def forward(self, texts: np.ndarray) -> Tensor:
        """(texts,) of str -> (texts, width) float32."""
        splitter = self.splitter
        rows = []
        for text in texts:
            pieces = cut(splitter.encode(readable(text)), self.form.tokens - 2)
            rows.append([[splitter.first, *piece, splitter.last] for piece in pieces])
        return self._levelled(by_pieces(rows, splitter.padding, self.say, self.vocabulary.device))

    def say(self, numbers: Tensor, mask: Tensor | None) -> Tensor:
        """(texts, tokens) -> (texts, depths * width)."""
        said = [self._pooled(states.float(), mask) for states in self.bert(numbers, mask, self.form.depths)]
        return self._levelled(torch.cat(said, dim=1))

    def _pooled(self, states: Tensor, mask: Tensor | None) -> Tensor:
        if self.form.pooling == "first":
            return states[:, 0]
        if mask is None:
            return states.mean(dim=1)
        shares = mask / mask.sum(dim=1, keepdim=True)
        return torch.bmm(shares[:, None, :], states).squeeze(1)

    def _levelled(self, said: Tensor) -> Tensor:
        """Each depth's vector of length one, where that is asked."""
        if not self.form.is_normalised:
            return said
        apart = said.view(len(said), len(self.form.depths), -1)
        return functional.normalize(apart, dim=2).flatten(1)


def _forget_splitter(module: nn.Module, keys: object) -> None:
    """Another vocabulary may have come with the weights."""
    del keys
    assert isinstance(module, SentenceEncoder)
    module._splitter = None


def from_published(state: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Weights of a Bert, from those of a BERT as it is published; KeyError names one that is not there."""
    plain = {name.removeprefix("bert."): value.float() for name, value in state.items()}
    embedded = {name: plain[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    own = {"words.weight": embedded["word"], "places": embedded["position"] + embedded["token_type"][0]}
    own |= _two("norm", plain, "embeddings.LayerNorm")
    for number in range(layers):
        there, here = f"encoder.layer.{number}", f"layers.{number}"
        asked = [f"{there}.attention.self.{name}" for name in ("query", "key", "value")]
        for part in ("weight", "bias"):
            own[f"{here}.asked.{part}"] = torch.cat([plain[f"{name}.{part}"] for name in asked])
        for name, mine in _LAYER.items():
            own |= _two(f"{here}.{mine}", plain, f"{there}.{name}")
    return own


def _two(here: str, plain: Mapping[str, Tensor], there: str) -> dict[str, Tensor]:
    return {f"{here}.{part}": plain[f"{there}.{part}"] for part in ("weight", "bias")}
