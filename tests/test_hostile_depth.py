"""What a library's own reader would end with the process over: trees that are a chain, digits of other scripts."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hostile_made import read, rows, saved

from search_spaces.classical import _ubjson, _xgboost_file

MARKS = {"int8": "i", "uint8": "U", "int32": "l", "int64": "L", "float32": "d", "float64": "D"}


def written(value: Any) -> bytes:
    """What `_ubjson.read` reads."""
    if isinstance(value, dict):
        return b"{" + b"".join(written(name)[1:] + written(inner) for name, inner in value.items()) + b"}"
    if isinstance(value, np.ndarray):
        big = value.astype(value.dtype.newbyteorder(">")).tobytes()
        return b"[$" + MARKS[value.dtype.name].encode() + b"#" + written(len(value)) + big
    if isinstance(value, list):
        return b"[#" + written(len(value)) + b"".join(map(written, value))
    if isinstance(value, str):
        return b"S" + written(len(value.encode())) + value.encode()
    return b"L" + struct.pack(">q", value)


def chained(content: bytes, levels: int) -> bytes:
    """The first tree of an XGBoost file has one way, which goes down so many levels."""
    told = _ubjson.read(content)
    tree = told["learner"]["gradient_booster"]["model"]["trees"][0]
    inner, nodes = np.arange(levels) * 2, 2 * levels + 1
    known = {"left_children": np.full(nodes, -1), "right_children": np.full(nodes, -1)}
    known["parents"] = np.full(nodes, 2**31 - 1)
    known["left_children"][inner], known["right_children"][inner] = inner + 1, inner + 2
    known["parents"][inner + 1] = known["parents"][inner + 2] = inner
    for name, value in tree.items():
        if isinstance(value, np.ndarray):
            length = 0 if name.startswith("categories") else nodes
            tree[name] = known.get(name, np.zeros(length)).astype(value.dtype)
    tree["tree_param"]["num_nodes"] = str(nodes)
    return written(told)


def test_a_tree_of_levels_without_end_is_refused() -> None:
    """One as deep as any that is trained is read and answers; a million levels would end the process."""
    pytest.importorskip("xgboost")
    parts, _ = saved("xgboost", "binary")
    whole = {**parts, "model.ubj": chained(parts["model.ubj"], _xgboost_file.DEEPEST - 1)}
    assert len(read("xgboost", whole).predict(rows("binary").X)) == 120
    for levels in (_xgboost_file.DEEPEST + 1, 100_000):
        with pytest.raises(ValueError, match=r"more than 1,000 levels"):
            read("xgboost", {**parts, "model.ubj": chained(parts["model.ubj"], levels)})


def test_digits_of_other_scripts_are_no_numbers() -> None:
    """Python takes them for digits, and the libraries' readers do not."""
    pytest.importorskip("lightgbm")
    parts, _ = saved("lightgbm", "binary")
    for name in (b"leaf_value=", b"threshold=", b"left_child=", b"num_leaves="):
        before, _, after = parts["model.txt"].partition(name)
        digit = next(at for at, letter in enumerate(after) if letter in b"0123456789")
        other = before + name + after[:digit] + "\u0663".encode() + after[digit + 1 :]
        with pytest.raises(ValueError, match=name.decode()[:-1]):
            read("lightgbm", {**parts, "model.txt": other})
