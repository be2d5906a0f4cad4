"""CatBoost's file held against what may be in it, before the library sees it: it follows indices without a look.

A model is a buffer of trees and features, and behind it tables of what was counted of categories: a hash of values into
rows of counts. What only other models have (trees that branch unevenly, texts, embeddings) is refused.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from search_spaces.checked import indices, need
from search_spaces.classical._answers import Answers
from search_spaces.classical._flatbuffer import BufferTable, root

MARK, FORMAT, PART = b"CBM1", "FlabuffersModel_v1", "static_provider_v1"
DEEPEST = 16  # of a tree: the library's own limit
MOST_BORDERS = 65_535
A_BIN = 254  # borders that one byte tells apart
BORDERS, BUCKETS, OF_MEANS, OF_COUNTS = 0, 1, (2, 3), (4, 5)  # kinds of counts
NOTHING = 2**64 - 1  # the hash of an empty bucket
BUCKET = np.dtype([("hash", "<u8"), ("row", "<u4")])
PAIR = np.dtype([("index", "<i4"), ("value", "<i4")])
BORDER = np.dtype([("index", "<i4"), ("border", "<f4")])
SPLIT = np.dtype([("feature", "<u2"), ("mask", "u1"), ("split", "u1")])
DEEPEST_JSON = 12


def check(blob: bytes, answers: Answers) -> None:
    """ValueError where this is no model of these answers, or one that would lead the library astray."""
    need(blob[:4] == MARK and len(blob) >= 8, "it is no CatBoost model")
    size = int.from_bytes(blob[4:8], "little")
    need(size <= len(blob) - 8 and size < 2**31, "a CatBoost model is cut off")
    core = root(blob[8 : 8 + size])
    need(core.text(0) == FORMAT, "it is a CatBoost model of another format")
    notes = [(entry.text(0), entry.text(1)) for entry in core.tables(2)]
    need(len(dict(notes)) == len(notes), "it has two notes of one name")
    told = [_check_note(name, value, answers) for name, value in notes]
    outputs = max((count for count in told if count), default=answers.outputs)
    parts = [part.as_text() for part in core.tables(3)]
    need(parts in ([], [PART]), "a CatBoost model has parts that are not known")
    trees = core.table(1)
    bins = _features(trees)
    _trees(trees, bins, outputs)
    tables = _counts(blob[8 + size :]) if parts else {}
    need(bool(parts) or size == len(blob) - 8, "something follows the end of a CatBoost model")
    for feature in trees.tables(7):
        ctr = feature.table(0)
        key = _base(ctr.table(0))
        need(key in tables, "what was counted of categories is missing")
        need(0 <= ctr.whole(1) < tables[key], "a class that nothing was counted of")


def _check_note(name: str, value: str, answers: Answers) -> int:
    """Notes beside the model, some of them JSON that the library reads; of several classes, how many it has learned."""
    if value[:1] not in ("{", "["):
        need(len(value) < 100_000, f"the note {name[:40]!r} is without end")
        return 0
    told = json.loads(value)
    depth, level = 0, [told]
    while level:
        depth += 1
        need(depth <= DEEPEST_JSON, f"the note {name[:40]!r} is nested too deeply")
        level = [inner for one in level for inner in _inner(one)]
    return _classes(told, answers) if name == "class_params" else 0


def _classes(told: Any, answers: Answers) -> int:
    """Which class each output is of: one that the training rows did not hold has none. The library looks nothing up."""
    need(isinstance(told, dict), "its classes are none")
    count, labels = told.get("classes_count", 0), told.get("class_to_label", [])
    is_several = answers.task == "multiclass"
    most = answers.classes if is_several else 2
    need(type(count) is int and count in ((most,) if is_several else (0, most)), f"classes_count is {count!r:.20}")
    are_labels = isinstance(labels, list) and all(type(one) is int and 0 <= one < most for one in labels)
    need(are_labels and sorted(set(labels)) == labels, "its labels are of classes that there are none of")
    need(not is_several or len(labels) >= 2, "it has labels for no classes")
    return len(labels) if is_several else 0


def _inner(one: Any) -> list[Any]:
    return list(one.values()) if isinstance(one, dict) else list(one) if isinstance(one, list) else []


def _base(base: BufferTable) -> tuple[Any, ...]:
    """What was counted, and how: equal for equal ones."""
    of = base.table(0)
    combined = (bytes(of.array(slot, form, is_needed=True)) for slot, form in ((0, "<i4"), (1, PAIR), (2, PAIR)))
    return (*combined, int(base.number(1, "<b")))


def _features(trees: BufferTable) -> np.ndarray:
    """Of every split that a tree may ask for, what the library makes of it."""
    need(not any(trees.tables(slot) for slot in (12, 13, 18)), "a CatBoost model reads texts or embeddings")
    numbers, codes = trees.tables(5), trees.tables(4)
    for at, feature in enumerate(numbers):
        need(feature.whole(1, -1) == at and feature.whole(2, -1) == at, "its columns of numbers are not in order")
        need(int(feature.number(5, "<b")) in (0, 1, 2), "it takes gaps for something unknown")
    for at, feature in enumerate(codes):
        is_so = feature.whole(0, -1) == at and feature.whole(1, -1) == len(numbers) + at
        need(is_so, "its columns of categories are not in order")
    used = np.array([bool(feature.number(3, "<b", 1)) for feature in codes], dtype=bool)
    edges = [_borders(feature.array(3, "<f4")) for feature in numbers]
    made, bucket = [], 0
    for own in edges:
        made.append(_splits(len(own), bucket, is_value=False))
        bucket += -(-len(own) // A_BIN)
    values: dict[int, set[int]] = {}
    for feature in trees.tables(6):
        column, own = feature.whole(0, -1), feature.array(1, "<i4")
        need(0 <= column < len(codes) and bool(used[column]), "it asks for a category of no column")
        values.setdefault(column, set()).update(own.tolist())
        made.append(_splits(len(own), bucket, is_value=True))
        bucket += -(-len(own) // A_BIN)
    for feature in trees.tables(7):
        _combination(feature.table(0).table(0).table(0), used, edges, values)
        own = _borders(feature.array(1, "<f4"))
        made.append(_splits(len(own), bucket, is_value=False))
        bucket += -(-len(own) // A_BIN)
    need(bucket <= 2**16, "it asks for more than it can")
    return np.concatenate(made) if made else np.zeros(0, dtype=SPLIT)


def _borders(found: np.ndarray) -> np.ndarray:
    is_rising = bool(np.isfinite(found).all()) and bool((np.diff(found) > 0).all())
    need(len(found) <= MOST_BORDERS and is_rising, "the borders of a column do not rise")
    return found


def _splits(count: int, bucket: int, *, is_value: bool) -> np.ndarray:
    """So many splits of one feature, as the library writes them."""
    made, at = np.zeros(count, dtype=SPLIT), np.arange(count)
    made["feature"] = (bucket + at // A_BIN) % 2**16
    place = (at % A_BIN + 1).astype(np.uint8)
    made["mask"], made["split"] = (~place, 0xFF) if is_value else (0, place)
    return made


def _combination(of: BufferTable, used: np.ndarray, edges: list[np.ndarray], values: dict[int, set[int]]) -> None:
    """Columns that are looked at together: each of them must be there."""
    columns = indices(of.array(0, "<i4", is_needed=True), "a column of categories", len(used))
    need(bool(used[columns].all()), "it counts a column that is not used")
    for index, border in of.array(1, BORDER, is_needed=True):
        need(
            0 <= index < len(edges) and bool((edges[index] == border).any()), "it counts by a border that is not there"
        )
    for index, value in of.array(2, PAIR, is_needed=True):
        need(int(value) in values.get(int(index), ()), "it counts by a category that is not there")


def _trees(trees: BufferTable, bins: np.ndarray, outputs: int) -> None:
    """Trees of one split at each depth, and their leaves."""
    dimension = trees.whole(0)
    need(dimension == outputs, f"a CatBoost model of {dimension} outputs for {outputs}")
    need(not len(trees.array(10, "<u4")) and not len(trees.array(11, "<u4")), "its trees branch unevenly")
    splits, sizes, starts = (trees.array(slot, "<i4") for slot in (1, 2, 3))
    need(bool(((sizes >= 0) & (sizes <= DEEPEST)).all()), "a tree without end")
    ends = np.cumsum(sizes, dtype=np.int64)
    follows = len(starts) == len(sizes) and np.array_equal(starts, ends - sizes)
    need(bool(follows) and len(splits) == int(sizes.sum()), "its trees do not follow one another")
    indices(splits, "a split", len(bins))
    leaves = int((1 << sizes.astype(np.int64)).sum())
    need(len(trees.array(8, "<f8")) == leaves * dimension, f"{leaves} leaves have other answers")
    need(len(trees.array(9, "<f8")) in (0, leaves), f"{leaves} leaves have other weights")
    need(len(trees.array(16, "<f8")) in (0, dimension), "its bias is of other answers")
    for slot, usual in ((14, 1.0), (15, 0.0)):
        need(bool(np.isfinite(trees.number(slot, "<d", usual))), "its scale is no number")
    packed = trees.array(17, SPLIT)
    need(not len(packed) or np.array_equal(packed, bins[splits]), "its splits are not what it says that they are")


def _counts(content: bytes) -> dict[tuple[Any, ...], int]:
    """Of each table of counts how many classes it tells apart."""
    found, at = {}, 4
    count = int.from_bytes(content[:4], "little")
    need(len(content) >= 4 and count <= len(content), "a CatBoost model is cut off")
    for _ in range(count):
        size = int.from_bytes(content[at : at + 4], "little")
        need(len(content) - at >= 4 and 0 < size <= len(content) - at - 4, "a CatBoost model is cut off")
        table = root(content[at + 4 : at + 4 + size])
        found[_base(table.table(0))] = _table(table)
        at += 4 + size
    need(at == len(content), "something follows the end of a CatBoost model")
    return found


def _table(table: BufferTable) -> int:
    """Values lead to rows that are there, and looking for one that is not there comes to an end."""
    kind, classes = int(table.table(0).number(1, "<b")), table.whole(4)
    raw, blob = (table.array(slot, "u1", is_needed=True) for slot in (1, 2))
    need(len(raw) % BUCKET.itemsize == 0, "what was counted of categories is cut off")
    buckets = raw.view(BUCKET)
    need(len(buckets) > 0 and len(buckets) & (len(buckets) - 1) == 0, "a table of hashes has an odd size")
    is_full = buckets["hash"] != NOTHING
    need(not bool(is_full.all()), "a table of hashes is full")
    need(kind in (BORDERS, BUCKETS, *OF_MEANS, *OF_COUNTS), "it counts in an unknown way")
    told = 1
    if kind in (BORDERS, BUCKETS):
        told = classes if kind == BUCKETS else max(2, classes)
        need(1 <= told <= 100_000 and classes >= 1, f"counts of {classes} classes")
    width = 8 if kind in OF_MEANS else 4 * told
    indices(buckets["row"][is_full].astype(np.int64), "a row of counts", len(blob) // width)
    return max(1, told)
