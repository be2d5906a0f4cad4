"""Tables of known structure, drawn anew from a seed: what each family of data is good for can be seen on them.

Every structure is asked for at several sizes, as numbers to predict and as two classes of the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

SIZES = (400, 1_500, 6_000)  # training rows
TEST_ROWS = 2_000
NOISE = 0.1  # of the answers' deviation

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]  # rows -> columns and answers


def smooth(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Waves of a few directions: what physics measures."""
    X = random.uniform(-1, 1, (rows, 8))
    turned = X @ np.random.default_rng(11).normal(size=(8, 3))
    return X, np.sin(2 * turned[:, 0]) + np.cos(1.5 * turned[:, 1]) * turned[:, 2]


def irregular(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps at odd places of columns with long tails."""
    X = np.exp(random.normal(size=(rows, 8)) * np.linspace(0.5, 2.0, 8))
    edges = np.random.default_rng(12).uniform(-1, 1, (8, 3))
    steps = (np.log(X)[:, :, None] > edges * np.linspace(0.5, 2.0, 8)[:, None]).sum(axis=2)
    return X, (steps % 2 * np.random.default_rng(13).normal(size=8)).sum(axis=1) + (steps[:, 0] == steps[:, 1])


def sparse(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Mostly zeros, of which a few tell something each."""
    X = (random.random((rows, 60)) < 0.06) * random.gamma(2.0, 1.0, (rows, 60))
    weights = np.random.default_rng(14).normal(size=60) * (np.arange(60) < 15)
    return X, X @ weights


def interacting(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Products of pairs, each of which tells nothing by itself."""
    X = random.normal(size=(rows, 10))
    return X, X[:, 0] * X[:, 1] + X[:, 2] * X[:, 3] + np.sign(X[:, 4] * X[:, 5])


def rotated(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps along directions that no single column follows."""
    X = random.normal(size=(rows, 10))
    turned = X @ np.linalg.qr(np.random.default_rng(15).normal(size=(10, 10)))[0]
    return X, np.floor(turned[:, 0] * 1.5) + (turned[:, 1] > 0) * 2.0 + np.abs(turned[:, 2])


def useless(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Four columns that tell, among forty that do not."""
    X = random.normal(size=(rows, 44))
    return X, np.where(X[:, 0] > 0.3, X[:, 1], -X[:, 1]) + np.maximum(X[:, 2], X[:, 3])


STRUCTURES: dict[str, Draw] = {
    draw.__name__: draw for draw in (smooth, irregular, sparse, interacting, rotated, useless)
}


def write(folder: Path, seed: int = 0) -> list[str]:
    """All of them in the benchmark's layout, and their names."""
    names = []
    for place, (structure, draw) in enumerate(STRUCTURES.items()):
        for size, rows in enumerate(SIZES):
            task = "binary" if (place + size) % 2 else "regression"
            name = f"{structure}_{rows}"
            _write(folder / name, draw, task, np.random.default_rng([seed, place, rows]), rows)
            names.append(name)
    return names


def _write(folder: Path, draw: Draw, task: str, random: np.random.Generator, rows: int) -> None:
    """One table, cut into training and test rows."""
    X, told = draw(random, rows + TEST_ROWS)
    told = told + random.normal(size=len(told)) * NOISE * told.std()
    table = pd.DataFrame(X.round(6), columns=[f"x{j}" for j in range(X.shape[1])])
    table["y"] = told if task == "regression" else np.where(told > np.median(told), "yes", "no")
    folder.mkdir(parents=True, exist_ok=True)
    table.iloc[:rows].to_csv(folder / "train.csv", index=False)
    table.iloc[rows:].to_csv(folder / "test.csv", index=False)
    metric = "rmse" if task == "regression" else "roc_auc"
    told_of = {"modality": "tabular", "task": task, "target": "y", "metric": metric}
    (folder / "meta.json").write_text(json.dumps(told_of) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import sys

    print("\n".join(write(Path(sys.argv[1]))))
