"""LightGBM's text read by us first, and written again in what predicts: numbers that were checked, nothing else.

The library's own parser may end the process over a damaged text, and follows children and categories wherever they
point. Tokens of numbers are passed on as they are, so predictions stay the same to the last bit.
"""

from __future__ import annotations

import re

import numpy as np

from search_spaces.checked import children, indices, need
from search_spaces.classical._answers import Answers

WHOLE = re.compile(r"-?\d{1,10}(?: -?\d{1,10})*")
REAL = re.compile(r"-?\d{1,20}(?:\.\d{1,30})?(?:e[-+]?\d{1,3})?(?: -?\d{1,20}(?:\.\d{1,30})?(?:e[-+]?\d{1,3})?)*")
OBJECTIVES = {
    "binary": r"binary sigmoid:1",
    "multiclass": r"multiclass num_class:\d{1,6}",
    "regression": r"regression|regression_l1",
    "quantile": r"quantile(?: alpha:[\d.e-]{1,30})?",
}
MOST_LEAVES = 131_072  # the library's own limit
KINDS = (0, 1, 2)  # what a split takes for missing: nothing, zero, NaN
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
    blocks = [_tree(block, at, columns) for at, block in enumerate(f"0\n{body}".split("\nTree="))]
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


def _tree(block: str, at: int, columns: int) -> str:
    """One tree, checked, as the library reads it."""
    number, _, text = block.partition("\n")
    told = _fields(text)
    need(number == str(at), f"tree {at} is called {number[:20]!r}")
    need(told.get("is_linear", "0") == "0", "a tree has linear leaves")
    leaves, categories = _count(told, "num_leaves", MOST_LEAVES), _count(told, "num_cat", MOST_LEAVES)
    need(leaves >= 1, "a tree has no leaves")
    made: dict[str, object] = {
        "num_leaves": leaves,
        "num_cat": categories,
        "leaf_value": _real(told, "leaf_value", leaves),
    }
    if leaves > 1:
        made |= _nodes(told, leaves, categories, columns)
    made |= {"is_linear": 0, "shrinkage": _real(told, "shrinkage", 1)}
    return f"Tree={at}\n{_lines(made)}\n\n"


def _nodes(told: dict[str, str], leaves: int, categories: int, columns: int) -> dict[str, object]:
    inner = leaves - 1
    names = ("split_feature", "decision_type", "left_child", "right_child")
    feature, kind, left, right = (_whole(told, name, inner) for name in names)
    indices(feature, "split_feature", columns)
    need(bool(np.isin(kind >> 2, KINDS).all()), "a split takes something unknown for missing")
    # leaves are numbered from -1 downwards: behind the inner nodes they are nodes like others
    left, right = (_as_nodes(side, inner, leaves) for side in (left, right))
    children(left, right, np.arange(inner + leaves) < inner)
    made: dict[str, object] = {name: told[name] for name in names}
    made["threshold"] = _real(told, "threshold", inner)
    is_category = (kind & IS_CATEGORY).astype(bool)
    if categories:
        bounds = _whole(told, "cat_boundaries", categories + 1)
        need(bounds[0] == 0 and bool((np.diff(bounds) > 0).all()), "categories do not follow one another")
        words = _whole(told, "cat_threshold", int(bounds[-1]))
        indices(words, "cat_threshold", 2**32)
        made |= {name: told[name] for name in ("cat_boundaries", "cat_threshold")}
    if is_category.any():
        asked = np.array(told["threshold"].split(" "), dtype=np.float64)[is_category]
        need(bool((asked == np.floor(asked)).all()), "a set of categories has no whole number")
        indices(asked.astype(np.int64), "threshold", categories)
    return made


def _as_nodes(side: np.ndarray, inner: int, leaves: int) -> np.ndarray:
    """Children of all nodes, leaves included, which have none."""
    return np.concatenate([np.where(side < 0, inner - 1 - side, side), np.full(leaves, -1)])


def _count(told: dict[str, str], name: str, most: int) -> int:
    value = told.get(name, "")
    need(re.fullmatch(r"\d{1,9}", value) is not None and int(value) <= most, f"{name} is {value[:20]!r}")
    return int(value)


def _whole(told: dict[str, str], name: str, count: int) -> np.ndarray:
    value = told.get(name, "")
    need(WHOLE.fullmatch(value) is not None and value.count(" ") + 1 == count, f"{name} is not {count} whole numbers")
    return np.fromstring(value, dtype=np.int64, sep=" ")


def _real(told: dict[str, str], name: str, count: int) -> str:
    value = told.get(name, "")
    need(REAL.fullmatch(value) is not None and value.count(" ") + 1 == count, f"{name} is not {count} numbers")
    return value
