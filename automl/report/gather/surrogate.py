"""A short tree that says about what the chosen model says, and how well: grown on half of the held-out rows.

Its fidelity is measured on the other half: the share of the variation of what the model says that the tree tells.
"""

from __future__ import annotations

import time

import numpy as np

from automl.data.facets import Facet, facets
from automl.explain import surrogate
from automl.explain.surrogate import TreeNode
from automl.report.conditions import ConditionJson
from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, unfit
from automl.report.sections.surrogate import NodeJson, SurrogateJson
from automl.scoring.readout import decided

ROWS, LEAST_HELD = 6_000, 200
MOST_COLUMNS, MOST_CLASSES = 40, 30
LEAST_ROWS, LEAST_SHARE = 15, 0.03  # of the rows that it grows on, in a leaf
ROUNDS = 200


def gather(given: GatherInputs) -> SurrogateJson:
    """The tree question by question, and its fidelity."""
    profile = given.finish.profile
    found: SurrogateJson = {"why_not": None, "is_share": bool(profile.classes), "output": None, "rows": 0, "tested": 0,
                            "fidelity": None, "low": None, "high": None, "agreement": None, "nodes": []}  # fmt: skip
    held = held_rows(given, ROWS)
    if why := unfit(held, LEAST_HELD):
        return {**found, "why_not": why}
    asked = _columns(given, held)
    if not asked:
        return {**found, "why_not": "there is no column that questions could be about"}
    told = _told(given, held)
    grows = _half(held)
    if (told.max(axis=0) == told.min(axis=0)).all():
        return {**found, "why_not": "the model says the same of all rows"}
    least = max(LEAST_ROWS, int(LEAST_SHARE * grows.sum()))
    own = [Facet(one.name, one.column, one.values[grows], one.labels, one.is_date) for one in asked]
    tree = surrogate.grow(own, told[grows], held.weight[grows], least)
    tested = np.flatnonzero(~grows)
    said = surrogate.said(tree, asked, tested)
    fidelity, low, high = measured(told[tested], said, held.weight[tested], _of(held.blocks, tested))
    classes = [str(label) for label in profile.classes]
    found |= {"rows": int(grows.sum()), "tested": len(tested), "fidelity": fidelity, "low": low, "high": high,
              "nodes": _nodes(tree, asked, classes)}  # fmt: skip
    if classes:
        labels = _labels(given, said)
        found["agreement"] = float(np.average(labels == held.said[tested], weights=held.weight[tested]))
    if len(classes) == 2:
        found["output"] = classes[profile.positive]
    return found


def measured(
    told: np.ndarray, said: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None
) -> tuple[float, float, float]:
    """The share of the variation that is told, and its 95 % interval over rows; below zero the mean tells more."""
    middle = np.average(told, axis=0, weights=weight)
    left, whole = (weight * np.square(told - other).sum(axis=1) for other in (said, middle))
    if blocks is not None:
        numbers = np.unique(blocks, return_inverse=True)[1]
        left, whole = np.bincount(numbers, left), np.bincount(numbers, whole)
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(left), np.full(len(left), 1 / len(left)), ROUNDS).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = 1 - (drawn @ left) / (drawn @ whole)
        fidelity = 1 - left.sum() / whole.sum()
    if not np.isfinite(fidelity):
        return 0.0, 0.0, 0.0
    ends = np.quantile(shares[np.isfinite(shares)], (0.025, 0.975))
    return float(fidelity), min(float(ends[0]), float(fidelity)), max(float(ends[1]), float(fidelity))


def _told(given: GatherInputs, held: HeldRows) -> np.ndarray:
    """What the model said: the chance of the one class or of all of them, or the number."""
    if held.shares is None:
        return np.asarray(held.said, dtype=np.float64)[:, None]
    positive = given.finish.profile.positive
    if held.shares.shape[1] == 2:
        return held.shares[:, positive : positive + 1]
    often = np.argsort(-held.shares.sum(axis=0), kind="stable")[:MOST_CLASSES]
    return np.where(np.isin(np.arange(held.shares.shape[1]), often), held.shares, 0.0)


def _half(held: HeldRows) -> np.ndarray:
    """Half of the rows, or of the blocks of rows that are alike."""
    random = np.random.default_rng(0)
    if held.blocks is None:
        return np.asarray(random.permutation(len(held.y)) < len(held.y) / 2)
    count = int(held.blocks.max()) + 1
    return np.asarray((random.permutation(count) < count / 2)[held.blocks])


def _labels(given: GatherInputs, said: np.ndarray) -> np.ndarray:
    """The label that would be drawn from what the tree says."""
    profile = given.finish.profile
    if said.shape[1] == 1:
        said = np.column_stack([1 - said, said] if profile.positive == 1 else [said, 1 - said])
    return np.asarray(decided(said, given.end.chosen.readout).argmax(axis=1))


def _nodes(tree: TreeNode, asked: list[Facet], classes: list[str]) -> list[NodeJson]:
    """From the top down, the side for which a question holds first."""
    found: list[NodeJson] = []
    conditions: dict[int, ConditionJson] = {}
    whole = tree.weight
    for depth, node in tree.flat():
        is_otherwise = depth > 0 and conditions.get(depth) is None
        condition = conditions.pop(depth, None)
        if node.split is not None:
            conditions[depth + 1] = _condition(asked[node.split.facet], node)
        label = classes[int(node.mean.argmax())] if len(classes) > 2 else None
        value = float(node.mean.max() if len(classes) > 2 else node.mean[0])
        found.append({"depth": depth, "condition": condition, "is_otherwise": is_otherwise,
                      "is_leaf": node.split is None, "value": value, "label": label,
                      "share": node.weight / whole})  # fmt: skip
    return found


def _condition(facet: Facet, node: TreeNode) -> ConditionJson:
    assert node.split is not None
    split = node.split
    return {
        "column": facet.name, "low": None, "high": split.below,
        "labels": [facet.labels[k] for k in split.labels] or None,
        "is_date": facet.is_date, "is_missing": split.takes_missing,
    }  # fmt: skip


def _columns(given: GatherInputs, held: HeldRows) -> list[Facet]:
    """What can be said of the rows, what the model rests on most first, while there is time."""
    weighed = [one["column"] for one in (given.importance or {}).get("columns", ())]
    named = list(dict.fromkeys([*weighed, *given.finish.profile.used]))[:MOST_COLUMNS]
    found: list[Facet] = []
    for name in named:
        if time.monotonic() >= given.until:
            break
        found += facets(given.finish.dataset, given.finish.profile, held.rows, [name])
    return found


def _of(blocks: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if blocks is None else blocks[rows]
