"""XGBoost's file held against what may be in it, before the library sees it: it follows indices without a look.

What is asked: trees whose children, columns, sets of categories and groups of outputs exist, and numbers where the
library turns texts into numbers. A part that is not known is refused.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from search_spaces.checked import family, indices, need
from search_spaces.classical import _ubjson
from search_spaces.classical._answers import Answers

OBJECTIVES = {
    "binary": {"binary:logistic"},
    "multiclass": {"multi:softprob"},
    "regression": {"reg:squarederror", "reg:absoluteerror"},
    "quantile": {"reg:quantileerror"},
}
NUMBER = re.compile(r"-?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][-+]?[0-9]{1,3})?")
LIST = re.compile(rf"\[(?:{NUMBER.pattern}(?:,\s?{NUMBER.pattern})*)?\]")
TYPES = {"float", "int", "i", "q", "c"}
MOST_CATEGORIES = 65_536
LEAF = -1
DEEPEST = 1_000  # levels of a tree: to find how many there are the library calls itself, until the stack ends
REALS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
OF_SETS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")


def check(blob: bytes, answers: Answers) -> int:
    """How many columns a model of these answers reads; ValueError where it is none."""
    told = _ubjson.read(blob)
    _only(told, "a model", "learner", "version", "Config")
    learner = told["learner"]
    names = ("attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective")
    _only(learner, "a learner", *names)
    params = _texts(learner["learner_model_param"], "its settings")
    columns = _whole(params, "num_feature", 10**8)
    groups = max(1, _whole(params, "num_class", 10**6), _whole(params, "num_target", 10**6))
    outputs = answers.outputs
    need(groups == outputs, f"a model of {groups} outputs for {outputs}")
    need(isinstance(learner["attributes"], dict) and not learner["feature_names"], "it has attributes that are none")
    types = learner["feature_types"]
    need(isinstance(types, list) and set(map(str, types)) <= TYPES and len(types) in (0, columns), "types of columns")
    _objective(learner["objective"], answers)
    booster = learner["gradient_booster"]
    _only(booster, "its booster", "model", "name")
    need(booster["name"] == "gbtree", "it is no forest of boosted trees")
    _trees(booster["model"], columns, groups)
    return columns


def _only(told: Any, what: str, *names: str) -> None:
    need(isinstance(told, dict) and set(told) <= set(names), f"{what} of XGBoost has parts that are not known")


def _texts(told: Any, what: str) -> dict[str, str]:
    """Numbers as texts, or lists of them."""
    need(isinstance(told, dict), f"{what} are none")
    for name, value in told.items():
        is_number = isinstance(value, str) and (NUMBER.fullmatch(value) or LIST.fullmatch(value))
        need(bool(is_number), f"{what}: {name[:40]!r} is {value!r:.40}")
    return dict(told)


def _whole(told: dict[str, str], name: str, most: int) -> int:
    value = told.get(name, "0")
    need(value.isascii() and value.isdigit() and len(value) <= 9 and int(value) <= most, f"{name} is {value[:20]!r}")
    return int(value)


def _objective(told: Any, answers: Answers) -> None:
    need(isinstance(told, dict) and told.get("name") in OBJECTIVES[answers.task], "its objective is another one")
    for name, inner in told.items():
        if name != "name":
            of = _texts(inner, name[:40])
            if "quantile_alpha" in of:
                need(of["quantile_alpha"].count(",") + 1 == answers.outputs, "its quantiles are others")


def _trees(model: Any, columns: int, groups: int) -> None:
    _only(model, "a forest", "cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees")
    need(all(len(one) == 0 for one in model.get("cats", {}).values()), "it has names of categories")
    params = _texts(model["gbtree_model_param"], "its forest")
    trees, info = model["trees"], np.asarray(model["tree_info"])
    need(isinstance(trees, list) and _whole(params, "num_trees", 10**8) == len(trees) == len(info), "trees are missing")
    indices(info.astype(np.int64), "tree_info", groups)
    ends = np.asarray(model["iteration_indptr"], dtype=np.int64)
    is_whole = len(ends) > 1 and int(ends[0]) == 0 and int(ends[-1]) == len(trees)
    need(is_whole and bool((np.diff(ends) >= 0).all()), "its rounds do not follow one another")
    need(all(isinstance(tree, dict) and tree.get("id") == at for at, tree in enumerate(trees)), "trees change places")
    if trees:
        _check(trees, columns)


def _check(trees: list[dict[str, Any]], columns: int) -> None:
    """All of them at once: a call for each would take many times as long as the library's own reading."""
    nodes = np.array([_nodes(tree, columns) for tree in trees])
    first = np.repeat(np.cumsum(nodes) - nodes, nodes)  # of the tree of each node
    local = np.arange(len(first)) - first
    left, right, parents = (
        _numbers(trees, name, nodes, "i") for name in ("left_children", "right_children", "parents")
    )
    is_inner = left != LEAF
    need(bool((right[~is_inner] == LEAF).all()), "a leaf has a child")
    left, right, above = left[is_inner], right[is_inner], first[is_inner]
    family(left, right, np.repeat(nodes, nodes)[is_inner], above)
    need(all(bool((parents[side + above] == local[is_inner]).all()) for side in (left, right)), "other parents")
    for tree in trees:
        if len(tree["parents"]) > 2 * DEEPEST:
            sides = (np.asarray(tree[name]) for name in ("left_children", "right_children"))
            need(_is_shallow(*sides), f"a tree of more than {DEEPEST:,} levels")
    indices(_numbers(trees, "split_indices", nodes, "iu")[is_inner], "split_indices", columns)
    for name in REALS:
        _lengths(trees, name, nodes, "f")
    indices(_numbers(trees, "default_left", nodes, "iu"), "default_left", 2)
    kinds = indices(_numbers(trees, "split_type", nodes, "iu"), "split_type", 2)
    _sets(trees, local[(kinds == 1) & is_inner])


def _nodes(tree: dict[str, Any], columns: int) -> int:
    """How many nodes a tree says it has."""
    params = _texts(tree["tree_param"], "a tree")
    nodes = _whole(params, "num_nodes", 10**8)
    need(nodes >= 1 and _whole(params, "num_feature", 10**8) == columns, "a tree reads other columns")
    need(_whole(params, "num_deleted", 10**8) <= nodes and _whole(params, "size_leaf_vector", 1) <= 1, "a tree's sizes")
    return nodes


def _is_shallow(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether all ways from the root end in time; a tree of fewer nodes has no such ways."""
    level = np.zeros(1, dtype=np.int64)
    for _ in range(DEEPEST):
        below = np.concatenate([left[level], right[level]])
        level = below[below != LEAF]
        if not len(level):
            return True
    return False


def _sets(trees: list[dict[str, Any]], asked: np.ndarray) -> None:
    """The categories of the nodes that ask for them, set after set."""
    found, at, starts, sizes = (_numbers(trees, name, None, "iu") for name in OF_SETS)
    counts, held = (np.array([len(tree[name]) for tree in trees]) for name in ("categories_nodes", "categories"))
    for name in ("categories_segments", "categories_sizes"):
        _lengths(trees, name, counts, "iu")
    indices(found, "categories", MOST_CATEGORIES)
    need(np.array_equal(at, asked), "a node asks for categories, and has none")
    indices(sizes - 1, "categories_sizes", max(1, len(found)))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    of_trees = np.cumsum(counts)
    begins = ends[of_trees - counts]
    fits = np.array_equal(ends[of_trees] - begins, held) and np.array_equal(
        starts, ends[:-1] - np.repeat(begins, counts)
    )
    need(bool(fits), "sets of categories do not follow one another")


def _numbers(trees: list[dict[str, Any]], name: str, counts: np.ndarray | None, kinds: str) -> np.ndarray:
    """What all trees have under a name, one after the other."""
    return np.concatenate(_lengths(trees, name, counts, kinds)).astype(np.int64)


def _lengths(trees: list[dict[str, Any]], name: str, counts: np.ndarray | None, kinds: str) -> list[np.ndarray]:
    """The same, held against how many they should be."""
    found = [np.asarray(tree[name]) for tree in trees]
    are_rows = all(one.ndim == 1 and (one.dtype.kind in kinds or not len(one)) for one in found)
    fits = counts is None or np.array_equal([len(one) for one in found], counts)
    need(are_rows and fits, f"{name} of a tree are not as many numbers as it has nodes")
    return found
