"""A checkpoint of transformers on texts: its tokens, by the library tokenizers, and the mean of its states.

The tokenizer is a text of JSON that runs no code; it travels with the weights as bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import InputError
from search_spaces.checked import need

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

LONGEST = 256  # tokens read at once; the time of attention grows with their square
MARGIN = 2  # places that some networks do not use
# Regular expressions in a tokenizer's JSON, and those that may take for ever: something repeated in what is repeated.
PATTERN = re.compile(r'"Regex"\s*:\s*"((?:[^"\\]|\\.)*)"')
NESTED = re.compile(r"\((?:[^()\\]|\\.)*(?:[+*]|\{\d+,\d*\})(?:[^()\\]|\\.)*\)(?:[+*]|\{\d+,\d*\})")
LONGEST_PATTERN = 2_000
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")  # one of which there must be


def tokenizer_of(library: Any, folder: Path) -> Any:
    """Its tokenizer, of the fast kind; InputError where there is none."""
    if not any(file for pattern in FILES for file in folder.glob(pattern)):
        raise InputError(f"has no tokenizer ({', '.join(FILES)}), which a network on texts needs. Copy it there, too.")
    given = {"local_files_only": True, "trust_remote_code": False}
    tokenizer = library.AutoTokenizer.from_pretrained(folder, **given)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise InputError("has a tokenizer that needs code of its own. Give a checkpoint with a tokenizer.json.")
    return tokenizer


def facts_of(tokenizer: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """How many tokens are read at once, what fills up, and how long the tokenizer is as bytes."""
    places = int(config.get("max_position_embeddings") or LONGEST + MARGIN) - MARGIN
    return {
        "tokens": min(LONGEST, places, int(tokenizer.model_max_length)),
        "padding": int(tokenizer.pad_token_id or 0),
        "tokenizer_bytes": len(written(tokenizer)),
    }


def written(tokenizer: Any) -> bytes:
    """As bytes."""
    text: str = tokenizer.backend_tokenizer.to_str()
    return text.encode()


def wrapped(model: Any, facts: Mapping[str, Any], tokenizer: bytes | None) -> nn.Module:
    """The model behind its tokenizer; without one the bytes come with the weights."""
    import torch
    from torch import nn

    from search_spaces.neural.text.pieces import by_pieces, readable, spread

    class ReadingNetwork(nn.Module):
        """Texts of any length -> the mean of the model's states over their tokens."""

        tokenizer: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            content = bytearray(tokenizer or facts["tokenizer_bytes"])
            self.register_buffer("tokenizer", torch.frombuffer(content, dtype=torch.uint8))
            self.splitter: Any = None
            self.register_load_state_dict_post_hook(lambda module, _: setattr(module, "splitter", None))  # type: ignore[no-untyped-call]

        def forward(self, texts: np.ndarray) -> Tensor:
            if self.splitter is None:
                self.splitter = _read(self.tokenizer.cpu().numpy().tobytes(), facts["tokens"])
            rows = []
            for text in texts:
                whole = self.splitter.encode(readable(text))
                pieces = spread([whole.ids, *(rest.ids for rest in whole.overflowing)])
                rows.append([piece or [facts["padding"]] for piece in pieces])
            return by_pieces(rows, facts["padding"], self.say, self.tokenizer.device)

        def say(self, numbers: Tensor, mask: Tensor | None) -> Tensor:
            is_word = torch.ones_like(numbers) if mask is None else mask.long()
            states = self.model(input_ids=numbers, attention_mask=is_word).last_hidden_state.float()
            shares = is_word / is_word.sum(dim=1, keepdim=True)
            return torch.bmm(shares[:, None, :], states).squeeze(1)

    return ReadingNetwork()


def _read(content: bytes, tokens: int) -> Any:
    from tokenizers import Tokenizer

    text = content.decode()
    for written in PATTERN.findall(text):
        pattern = json.loads(f'"{written}"')
        need(len(pattern) < LONGEST_PATTERN and not NESTED.search(pattern), f"its tokenizer seeks {pattern[:40]!r}")
    splitter = Tokenizer.from_str(text)
    splitter.enable_truncation(max_length=tokens)
    splitter.no_padding()
    return splitter
