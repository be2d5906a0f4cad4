"""Where the tables come from: a folder of data sets in the benchmark's layout, or three that ship with scikit-learn.

A data set is a folder with meta.json (modality, task, target, metric) beside train.csv and test.csv, each maybe .gz. Or
the folder holds whole tables, NAME.csv.gz, and an index.csv (name, target, task): a third of each is kept for the test.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

BUNDLED = {  # name: (loader in sklearn.datasets, task, metric)
    "breast_cancer": ("load_breast_cancer", "binary", "roc_auc"),
    "digits": ("load_digits", "multiclass", "log_loss"),
    "diabetes": ("load_diabetes", "regression", "rmse"),
}
SPLIT_SEED = 0
TEXTS = ("text", "text+tabular")  # tables whose columns hold free text
METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}  # of tables that name none
LEAST_OF_CLASS = 2  # rows, to have it on both sides

T = TypeVar("T")


@dataclass(frozen=True)
class TableSet:
    """One table, split once and for all."""

    name: str
    train: Path
    test: Path
    target: str
    task: str  # binary | multiclass | regression
    metric: str

    def answers(self, part: str) -> pd.Series:
        """The target column of "train" or "test"; labels as text, so that all who read them spell them alike."""
        path, name = {"train": self.train, "test": self.test}[part], self.target
        if self.task == "regression":
            return pd.read_csv(path, usecols=[name])[name]
        return pd.read_csv(path, usecols=[name], dtype=str, keep_default_na=False)[name]


def from_folder(folder: Path, names: tuple[str, ...] = ()) -> list[TableSet]:
    """All tabular sets in the sub-folders of `folder`, in order of name, or those named, also such with texts."""
    if not folder.is_dir():
        raise SystemExit(f"--data must be a folder, got {str(folder)!r}. Give one whose sub-folders hold meta.json.")
    found = {}
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        if meta["modality"] in (("tabular", *TEXTS) if names else ("tabular",)):
            train, test = _csv(path.parent, "train"), _csv(path.parent, "test")
            found[path.parent.name] = TableSet(
                path.parent.name, train, test, meta["target"], meta["task"], meta["metric"]
            )
    if not found:
        raise SystemExit(f"no tabular set in {str(folder)!r}. A set is a sub-folder with a meta.json (see README.md).")
    return _picked(found, names)


def from_index(folder: Path, out: Path, names: tuple[str, ...] = ()) -> list[TableSet]:
    """The whole tables that `folder`/index.csv lists, cut into two thirds to learn from and a third to test on."""
    listed = {str(row["name"]): row for row in pd.read_csv(folder / "index.csv").to_dict("records")}
    return [_halved(folder, row, out / name) for name, row in zip(names or listed, _picked(listed, names), strict=True)]


def _halved(folder: Path, row: dict[Hashable, Any], out: Path) -> TableSet:
    """One table, cut once; classes keep their shares."""
    from sklearn.model_selection import train_test_split

    name, target, task = str(row["name"]), str(row["target"]), str(row["task"])
    frame = pd.read_csv(_csv(folder, name), dtype=str, keep_default_na=False)  # every cell as it was written
    frame = frame[~frame[target].isin(["", "?", "NA"])]
    counts = frame[target].map(frame[target].value_counts())
    strata = None if task == "regression" or (counts < LEAST_OF_CLASS).any() else frame[target]
    train, test = train_test_split(frame, test_size=1 / 3, random_state=SPLIT_SEED, stratify=strata)
    out.mkdir(parents=True, exist_ok=True)
    train.to_csv(out / "train.csv", index=False)
    test.to_csv(out / "test.csv", index=False)
    return TableSet(name, out / "train.csv", out / "test.csv", target, task, METRICS[task])


def bundled(folder: Path, names: tuple[str, ...] = ()) -> list[TableSet]:
    """The sets that ship with scikit-learn, written to `folder` and split 75/25."""
    wanted = _picked({name: name for name in BUNDLED}, names)
    return [_write(name, folder / name) for name in wanted]


def _write(name: str, folder: Path) -> TableSet:
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    loader, task, metric = BUNDLED[name]
    frame = getattr(datasets, loader)(as_frame=True).frame
    strata = None if task == "regression" else frame["target"]
    train, test = train_test_split(frame, test_size=0.25, random_state=SPLIT_SEED, stratify=strata)
    folder.mkdir(parents=True, exist_ok=True)
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return TableSet(name, folder / "train.csv", folder / "test.csv", "target", task, metric)


def _csv(folder: Path, part: str) -> Path:
    for name in (f"{part}.csv", f"{part}.csv.gz"):
        if (folder / name).is_file():
            return folder / name
    raise SystemExit(
        f"{folder.name}: neither {part}.csv nor {part}.csv.gz beside its meta.json. Add it or move the set."
    )


def _picked(found: dict[str, T], names: tuple[str, ...]) -> list[T]:
    if unknown := [name for name in names if name not in found]:
        raise SystemExit(f"unknown set {unknown[0]!r} in --sets. Known sets: {', '.join(found)}.")
    return [found[name] for name in names] if names else list(found.values())
