"""A column as its user sees it, among the encoded ones: where it lies, and rows put together of the cells of others.

All that is made of a cell (the parts of a date, the words of a text, the code of a category) moves along with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.modalities.mixture import Raw, Schema
from automl.records import Kind
from search_spaces.spec import Media


@dataclass(frozen=True)
class Place:
    """Where a column of the user's table lies among the encoded ones."""

    name: str
    numbers: tuple[int, ...] = ()
    code: int | None = None
    text: int | None = None
    is_block: bool = False  # decoded: its block and the numbers that describe it


def places(schema: Schema) -> tuple[Place, ...]:
    """The columns that can be shuffled, in the order of the table, then the decoded ones; a lone one tells nothing."""
    found, numbers, codes, texts = [], 0, 0, 0
    for coding in schema.codings:
        name, kind = coding.column.name, coding.column.kind
        if kind == Kind.CATEGORY:
            found.append(Place(name, code=codes))
            codes += 1
        elif kind == Kind.STRING:
            found.append(Place(name, text=texts))
            texts += 1
        else:
            width = len(coding.names)
            found.append(Place(name, numbers=tuple(range(numbers, numbers + width))))
            numbers += width
    found += [Place(one.column.name, is_block=True) for one in schema.decoders]
    return () if len(found) == 1 and schema.decoders else tuple(found)


def told_places(schema: Schema) -> tuple[Place, ...]:
    """The columns of which is told what each adds to an answer: a history stays with the step that it is of."""
    staying = {one.column.name for one in schema.decoders if getattr(one.codec, "stays", False)}
    return tuple(place for place in places(schema) if place.name not in staying)


def with_own(usual: Raw, raw: Raw, row: int, told: Sequence[Place]) -> Raw:
    """Usual rows with the blocks of this one, where these stay with their row."""
    names = set(raw.blocks) - {place.name for place in told}
    own = {name: raw.blocks[name].take(np.full(len(usual), row)) for name in names}
    return replace(usual, blocks={**usual.blocks, **own}) if own else usual


def shuffled(raw: Raw, place: Place, order: np.ndarray) -> Raw:
    """The rows with one column's cells in another order: as if the frame's had been shuffled before encoding."""
    if place.is_block:
        blocks = {**raw.blocks, place.name: raw.blocks[place.name].take(order)}
        return replace(raw, numbers=_reordered(raw, raw.describing(place.name), order), blocks=blocks)
    if place.numbers:
        return replace(raw, numbers=_reordered(raw, place.numbers, order))
    if place.text is not None:
        texts = list(raw.texts)
        texts[place.text] = texts[place.text][order]
        return replace(raw, texts=tuple(texts))
    codes = raw.codes.copy()
    codes[:, place.code] = codes[order, place.code]
    unseen = tuple(u.take(order, len(raw)) if u.column == place.code else u for u in raw.unseen)
    return replace(raw, codes=codes, unseen=tuple(u for u in unseen if len(u.rows)))


def _reordered(raw: Raw, columns: Sequence[int], order: np.ndarray) -> np.ndarray:
    """The numbers with some columns' cells in another order."""
    numbers, among = raw.numbers.copy(), np.array(columns, dtype=np.int64)
    numbers[:, among] = raw.numbers[np.ix_(order, among)]
    return numbers


def stacked(first: Raw, then: Raw) -> Raw:
    """Rows of one schema, one above the other."""
    blocks = {name: _stacked(block, then.blocks[name]) for name, block in first.blocks.items()}
    later = [replace(u, rows=u.rows + len(first)) for u in then.unseen]
    return Raw(
        np.concatenate([first.numbers, then.numbers]),
        np.concatenate([first.codes, then.codes]),
        tuple(np.concatenate(both) for both in zip(first.texts, then.texts, strict=True)),
        (*first.unseen, *later),
        blocks,
        first.described,
    )


def _stacked(first: Media, then: Media) -> Media:
    if first.store is then.store:
        return replace(first, rows=np.concatenate([first.rows, then.rows]))
    store = np.concatenate([first.values(), then.values()])
    lengths = None
    if first.lengths is not None and then.lengths is not None:
        lengths = np.concatenate([first.lengths[first.rows], then.lengths[then.rows]])
    return replace(first, store=store, rows=np.arange(len(store)), lengths=lengths)


def composed(raw: Raw, places: Sequence[Place], rows: np.ndarray) -> Raw:
    """(n, columns): new rows, whose cell in each column is that of the row named there; in others the first one's."""
    numbers = np.empty((len(rows), raw.numbers.shape[1]), dtype=raw.numbers.dtype)
    codes = np.empty((len(rows), raw.codes.shape[1]), dtype=raw.codes.dtype)
    texts, unseen = list(raw.texts), []
    blocks = {name: block.take(np.zeros(len(rows), dtype=np.int64)) for name, block in raw.blocks.items()}
    for place, own in zip(places, rows.T, strict=True):
        among = raw.describing(place.name) if place.is_block else place.numbers
        for column in among:
            numbers[:, column] = raw.numbers[own, column]
        if place.is_block:
            blocks[place.name] = raw.blocks[place.name].take(own)
        if place.text is not None:
            texts[place.text] = raw.texts[place.text][own]
        if place.code is not None:
            codes[:, place.code] = raw.codes[own, place.code]
            unseen += [u.take(own, len(raw)) for u in raw.unseen if u.column == place.code]
    return Raw(numbers, codes, tuple(texts), tuple(u for u in unseen if len(u.rows)), blocks, raw.described)
