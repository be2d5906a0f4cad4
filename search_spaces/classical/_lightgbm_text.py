"""LightGBM's text read by us first, and written again in what predicts: numbers that were checked, nothing else.

The library's own parser may end the process over a damaged text, and follows children and categories wherever they
point. Tokens of numbers are passed on as they are, so predictions stay the same to the last bit.
"""

from __future__ import annotations

import re

import numpy as np

from search_spaces.checked import family, indices, need
from search_spaces.classical._answers import Answers

# Without ways back (++ and the like), which is three times as fast. \d would let digits of other scripts in, too.
WHOLE = re.compile(r"-?[0-9]{1,10}+(?: -?[0-9]{1,10}+)*+")
_REAL = r"-?[0-9]{1,20}+(?:\.[0-9]{1,30}+)?+(?:e[-+]?[0-9]{1,3}+)?+"
_ANY = rf"(?:-?inf|{_REAL})"  # inf parts gaps from all values
REAL = re.compile(rf"{_REAL}(?: {_REAL})*+")
THRESHOLD = re.compile(rf"{_ANY}(?: {_ANY})*+")
OBJECTIVES = {
    "binary": r"binary sigmoid:1",
    "multiclass": r"multiclass num_class:[0-9]{1,6}",
    "regression": r"regression|regression_l1",
    "quantile": r"quantile(?: alpha:[0-9.e-]{1,30})?",
}
MOST_LEAVES = 131_072  # the library's own limit
NODES = ("split_feature", "decision_type", "left_child", "right_child")
SETS = ("cat_boundaries", "cat_threshold")
COUNTS = ("leaf_count", "internal_count")  # training rows: what columns add is told by their shares
KINDS = {0, 1, 2}  # what a split takes for missing: nothing, zero, NaN
IS_CATEGORY = 1


def reduced(text: str, answers: Answers) -> str:
    """The same model; ValueError where it is none, or not one of these answers."""
    head, found, rest = text.partition("\nTree=0\n")
    body, ended, _ = rest.partition("\nend of trees")
    need(bool(found and ended), "a LightGBM model has no trees, or no end")
    told = _fields(head)
    classes = answers.classes if answers.task == "multiclass" else 1
    for name in ("num_class", "num_tree_per_iteration"):
        need(told.get(name) == str(classes), f"{name} is {told.get(name, '')[:20]!r}, not {classes}")
    objective = told.get("objective", "")
    need(re.fullmatch(OBJECTIVES[answers.task], objective) is not None, f"its objective is {objective[:40]!r}")
    columns = _count(told, "max_feature_idx", 10**8) + 1
    need(told.get("feature_names", "").count(" ") + 1 == columns, "it does not name each of its columns")
    trees = [_told(block, at) for at, block in enumerate(f"0\n{body}".split("\nTree="))]
    _check(trees, columns)
    blocks = [_written(tree, at) for at, tree in enumerate(trees)]
    need(len(blocks) % classes == 0, f"{len(blocks)} trees for {classes} classes")
    names = " ".join(f"Column_{at}" for at in range(columns))
    start = {
        "version": "v4", "num_class": classes, "num_tree_per_iteration": classes, "label_index": 0,
        "max_feature_idx": columns - 1, "objective": objective, "feature_names": names,
        "feature_infos": " ".join(["none"] * columns), "tree_sizes": " ".join(str(len(block)) for block in blocks),
    }  # fmt: skip
    return f"tree\n{_lines(start)}\n{''.join(blocks)}end of trees\n\npandas_categorical:null\n"


def _fields(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in text.split("\n"))}


def _lines(fields: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in fields.items())


def _told(block: str, at: int) -> dict[str, str]:
    """What the text says of one tree."""
    number, _, text = block.partition("\n")
    told = _fields(text)
    need(number == str(at), f"tree {at} is called {number[:20]!r}")
    need(told.get("is_linear", "0") == "0", "a tree has linear leaves")
    return told


def _written(told: dict[str, str], at: int) -> str:
    """A checked tree, as the library reads it."""
    leaves, categories = int(told["num_leaves"]), int(told["num_cat"])
    names = ["leaf_value"]
    if leaves > 1:
        names += [*NODES, "threshold", *(SETS if categories else ()), *(name for name in COUNTS if name in told)]
    lines = "".join(f"{name}={told[name]}\n" for name in names)
    start = f"Tree={at}\nnum_leaves={leaves}\nnum_cat={categories}\n"
    return f"{start}{lines}is_linear=0\nshrinkage={told['shrinkage']}\n\n\n"


def _check(trees: list[dict[str, str]], columns: int) -> None:
    """All of them at once: a call for each would take many times as long as the library's own reading."""
    leaves = np.array([_count(told, "num_leaves", MOST_LEAVES) for told in trees])
    categories = np.array([_count(told, "num_cat", MOST_LEAVES) for told in trees])
    need(int(leaves.min()) >= 1, "a tree has no leaves")
    _joined(trees, "leaf_value", leaves, REAL)
    _joined(trees, "shrinkage", np.ones_like(leaves), REAL)
    grown = leaves > 1
    if grown.any():
        some = [told for told, is_grown in zip(trees, grown, strict=True) if is_grown]
        _check_nodes(some, leaves[grown], categories[grown], columns)


def _check_nodes(trees: list[dict[str, str]], leaves: np.ndarray, categories: np.ndarray, columns: int) -> None:
    inner = leaves - 1
    feature, kind, left, right = (_numbers(_joined(trees, name, inner, WHOLE)) for name in NODES)
    indices(feature, "split_feature", columns)
    need(not (set(np.unique(kind >> 2).tolist()) - KINDS), "a split takes something unknown for missing")
    # leaves are numbered from -1 downwards: behind the inner nodes they are nodes like others
    here, nodes = np.repeat(inner, inner), leaves + inner
    left, right = (np.where(side < 0, here - 1 - side, side) for side in (left, right))
    family(left, right, np.repeat(nodes, inner), np.repeat(np.cumsum(nodes) - nodes, inner))
    _check_counts(trees, leaves)
    threshold = _joined(trees, "threshold", inner, THRESHOLD)
    if (with_sets := categories > 0).any():
        of_sets = [told for told, has_sets in zip(trees, with_sets, strict=True) if has_sets]
        _check_sets(of_sets, categories[with_sets])
    is_category = (kind & IS_CATEGORY).astype(bool)
    if is_category.any():
        tokens = threshold.split(" ")
        asked = np.array([tokens[at] for at in np.flatnonzero(is_category)], dtype=np.float64)
        there = np.repeat(categories, inner)[is_category]
        need(bool((asked == np.floor(asked)).all()), "a set of categories has no whole number")
        need(bool(((asked >= 0) & (asked < there)).all()), "a tree asks for a set of categories that is not there")


def _check_counts(trees: list[dict[str, str]], leaves: np.ndarray) -> None:
    """Rows of leaves and of inner nodes, where a model tells them."""
    for name, counts, least in zip(COUNTS, (leaves, leaves - 1), (0, 1), strict=True):
        has = np.array([name in told for told in trees])
        if has.any():
            some = [told for told, tells in zip(trees, has, strict=True) if tells]
            found = _numbers(_joined(some, name, counts[has], WHOLE))
            need(bool((found >= least).all() and (found < 2**31).all()), f"{name} is no number of rows")


def _check_sets(trees: list[dict[str, str]], categories: np.ndarray) -> None:
    """Sets of categories, as words of bits: each begins where the one before it ends."""
    ends = np.cumsum(categories + 1)
    bounds = _numbers(_joined(trees, "cat_boundaries", categories + 1, WHOLE))
    is_rising = np.diff(bounds) > 0
    is_rising[ends[:-1] - 1] = True  # from one tree to the next
    begins = bool((bounds[ends - categories - 1] == 0).all())
    need(begins and bool(is_rising.all()), "categories do not follow one another")
    words = _numbers(_joined(trees, "cat_threshold", bounds[ends - 1], WHOLE))
    indices(words, "cat_threshold", 2**32)


def _count(told: dict[str, str], name: str, most: int) -> int:
    value = told.get(name, "")
    need(re.fullmatch(r"[0-9]{1,9}", value) is not None and int(value) <= most, f"{name} is {value[:20]!r}")
    return int(value)


def _joined(trees: list[dict[str, str]], name: str, counts: np.ndarray, form: re.Pattern[str]) -> str:
    """The numbers that each tree has under a name, as many as wanted, one after the other."""
    values = [told.get(name, "") for told in trees]
    found = np.array([value.count(" ") + 1 for value in values])
    text = " ".join(values)
    fits = np.array_equal(found, counts) and form.fullmatch(text) is not None
    need(fits, f"{name} of a tree is not as many numbers as it should be")
    return text


def _numbers(text: str) -> np.ndarray:
    return np.fromstring(text, dtype=np.int64, sep=" ")
