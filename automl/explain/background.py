"""Usual rows: some of the training rows, encoded, with which an answer is compared to tell what each column added.

A run keeps them in its folder. A saved model brings them along only where explanations were asked for, since they are
rows of the data; they are arrays and JSON, held against the schema when they are read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from automl.modalities.mixture import Raw, Schema
from automl.runtime.durable import write_whole
from search_spaces.checked import arrays, indices, json_object, need, table
from search_spaces.spec import Media

FOLDER = "background"  # in a run's folder and in a saved model
ROWS = 64
BLOCK_BYTES = 4_000_000  # of decoded cells that are kept, at most
FEWEST = 8  # rows, however large they are
FACTS, ARRAYS = "background.json", "background.npz"


def choose(raw: Raw, weight: np.ndarray | None, seed: int = 0) -> Raw:
    """Rows by chance, heavy ones rather than light ones; fewer where their decoded cells are large."""
    each = sum(_bytes(block) for block in raw.blocks.values())
    most = ROWS if not each else max(FEWEST, min(ROWS, BLOCK_BYTES // each))
    random, chance = np.random.default_rng(seed), None
    count = min(most, len(raw))
    if weight is not None and int((weight > 0).sum()) >= count:
        chance = weight / weight.sum()
    rows = np.sort(random.choice(len(raw), count, replace=False, p=chance))
    return replace(raw.take(rows), unseen=())


def _bytes(block: Media) -> int:
    """Of one cell, roughly."""
    one = block.values(slice(0, 1))
    return 1_000 if one.dtype == object else int(one.nbytes)


def keep(folder: Path, usual: Raw, *, is_shipped: bool) -> None:
    """Write them below a run's folder; whether its saved models bring them along."""
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for name, content in dump(usual, is_shipped=is_shipped).items():
        write_whole(place / name, content)


def kept(folder: Path) -> dict[str, bytes]:
    """The files that `keep` wrote; none in a run of an earlier version."""
    place = folder / FOLDER
    return {name: (place / name).read_bytes() for name in (FACTS, ARRAYS) if (place / name).is_file()}


def is_shipped(parts: Mapping[str, bytes]) -> bool:
    """Whether saved models bring them along."""
    return FACTS in parts and json_object(parts[FACTS]).get("is_shipped") is True


def dump(usual: Raw, *, is_shipped: bool = False) -> dict[str, bytes]:
    """Arrays, and texts as JSON."""
    stored = {"numbers": usual.numbers, "codes": usual.codes}
    blocks = {}
    for at, (name, block) in enumerate(usual.blocks.items()):
        cells, lengths = block.values(), None if block.lengths is None else block.lengths[block.rows]
        is_words = cells.dtype == object
        if not is_words:
            stored[f"block{at}"] = cells
        if lengths is not None:
            stored[f"lengths{at}"] = lengths
        blocks[name] = {"kind": block.kind, "rate": block.rate, "words": cells.tolist() if is_words else None}
    facts = {
        "is_shipped": is_shipped, "texts": [text.tolist() for text in usual.texts], "blocks": blocks,
        "described": dict(usual.described),
    }  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **stored)  # type: ignore[arg-type]  # the stubs take a flag for an array's name
    return {FACTS: json.dumps(facts).encode(), ARRAYS: buffer.getvalue()}


def read(parts: Mapping[str, bytes], schema: Schema) -> Raw | None:
    """What `dump` wrote, held against the schema; None where nothing was."""
    if not {FACTS, ARRAYS} <= parts.keys():
        return None
    facts, stored = json_object(parts[FACTS]), arrays(parts[ARRAYS])
    codes = table(stored, "codes", (None, len(schema.labels)), "i")
    for column, labels in enumerate(schema.labels):
        indices(codes[:, column], "codes", len(labels) + 1)
    rows = len(codes)
    described = {str(name): int(count) for name, count in facts["described"].items()}
    known = {one.column.name: one.codec for one in schema.decoders}
    need(list(facts["blocks"]) == list(known) and set(described) <= set(known), "its usual rows have other columns")
    need(all(len(known[name].names) == count for name, count in described.items()), "they are described otherwise")
    own = sum(len(coding.names) for coding in schema.codings)
    numbers = table(stored, "numbers", (rows, own + sum(described.values())), "f")
    texts = tuple(_texts(cells, rows) for cells in facts["texts"])
    need(len(texts) == len(schema.text_names), "its usual rows have other texts")
    blocks = {
        name: _block(entry, stored, at, rows) for at, (name, entry) in enumerate(facts["blocks"].items())
    }  # fmt: skip
    need(all(block.kind == known[name].kind for name, block in blocks.items()), "its usual rows are of other kinds")
    return Raw(numbers, codes, texts, (), blocks, described)


def _texts(cells: object, rows: int) -> np.ndarray:
    need(isinstance(cells, list) and len(cells) == rows, "there is no text for each usual row")
    assert isinstance(cells, list)
    need(all(isinstance(cell, str) for cell in cells), "a text is none")
    told = np.empty(rows, dtype=object)
    told[:] = cells
    return told


def _block(entry: Mapping[str, object], stored: Mapping[str, np.ndarray], at: int, rows: int) -> Media:
    words = entry["words"]
    cells = stored[f"block{at}"] if words is None else _texts(words, rows)
    need(cells.ndim >= 1 and len(cells) == rows, "there is no decoded cell for each usual row")
    lengths = stored.get(f"lengths{at}")
    need(lengths is None or lengths.shape == (rows,), "there is no length for each usual row")
    return Media(str(entry["kind"]), cells, np.arange(rows), int(str(entry["rate"])), lengths)


def fitted(usual: Raw, raw: Raw) -> Raw:
    """The usual rows as these are: without the numbers that describe blocks, where these have none."""
    if usual.described == raw.described:
        return usual
    need(not raw.described, "its usual rows are not described as others are")
    return replace(usual, numbers=usual.own, described={})
