"""What a model is asked for: the target on its way in, predictions on their way out.

Targets that are numbers are standardised for every family, so that penalties, float32 and stopping rules mean the same
for incomes in cents as for shares of a gram.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import get_args

import numpy as np

from search_spaces.checked import finite, need, whole
from search_spaces.classical._parts import pack_json, unpack_json
from search_spaces.spec import OF_NUMBERS, Additions, Matrix, Rows, Run, Task

MOST_CLASSES = 100_000  # or quantiles, that a saved model may say it has


@dataclass(frozen=True)
class Answers:
    """The form of a model's answers."""

    task: Task
    classes: int
    center: float = 0.0  # numbers: what standardising took off
    spread: float = 1.0  # and what it divided by

    @classmethod
    def of(cls, train: Rows, run: Run) -> Answers:
        """Learned from the training rows."""
        if run.task not in OF_NUMBERS:
            return cls(run.task, run.classes)
        center = float(np.average(train.y, weights=train.weight))
        spread = float(np.sqrt(np.average((train.y - center) ** 2, weights=train.weight)))
        # a constant target leaves rounding noise, which must not be blown up to spread one
        flat = not np.isfinite(spread) or spread <= 1e-12 * abs(center)
        return cls(run.task, run.classes, center, 1.0 if flat else spread)

    @classmethod
    def read(cls, parts: Mapping[str, bytes]) -> Answers:
        """Read back from what `pack` wrote."""
        told = unpack_json(parts["answers.json"])
        need(told.get("task") in get_args(Task), f"its task is {told.get('task')!r:.40}")
        whole(told.get("classes"), "classes", 1, MOST_CLASSES)
        center, spread = (finite(told.get(name, usual), name) for name, usual in (("center", 0.0), ("spread", 1.0)))
        return cls(told["task"], told["classes"], center, spread)

    def pack(self) -> bytes:
        """As bytes, for the part `answers.json`."""
        return pack_json(asdict(self))

    @property
    def outputs(self) -> int:
        """Numbers a model must learn per row: one, but for several classes or quantiles."""
        return self.classes if self.task in ("multiclass", "quantile") else 1

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Targets as a model learns them."""
        return (y - self.center) / self.spread if self.task in OF_NUMBERS else y

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Predictions as the contract wants them, from standardised values, P(class 1) or class weights."""
        raw = np.asarray(raw, dtype=np.float64)
        if self.task == "regression":
            return raw.reshape(-1) * self.spread + self.center
        if self.task == "quantile":  # learned apart, they may cross
            rising: np.ndarray = np.sort(raw.reshape(len(raw), -1), axis=1) * self.spread + self.center
            return rising
        if raw.ndim == 1:
            return np.column_stack([1.0 - raw, raw])
        shares: np.ndarray = raw / raw.sum(axis=1, keepdims=True)
        return shares

    def additions(self, base: np.ndarray, values: np.ndarray) -> Additions:
        """What columns add, on the scale of the answers, from what they add to standardised values or log-odds."""
        if self.task in OF_NUMBERS:
            return Additions(base * self.spread + self.center, values * self.spread, is_log_odds=False)
        return Additions(base, values, is_log_odds=True)

    def from_library(self, told: np.ndarray) -> Additions | None:
        """The same of what boosters tell: (rows, columns + 1) or (rows, outputs, columns + 1), their base last.

        None where they know of fewer outputs, as of classes that no training row had.
        """
        told = np.asarray(told, dtype=np.float64)
        told = told.reshape(len(told), -1, told.shape[-1])
        if told.shape[1] != self.outputs:
            return None
        return self.additions(told[0, :, -1], told[:, :, :-1].transpose(0, 2, 1))

    def nothing(self) -> np.ndarray:
        """Predictions for no rows."""
        return np.empty(0) if self.task == "regression" else np.empty((0, self.classes))


def shares_of(raw: np.ndarray) -> np.ndarray:
    """Softmax; a single column is measured against zero for the class before it."""
    if raw.shape[1] == 1:
        raw = np.concatenate([np.zeros_like(raw), raw], axis=1)
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return shares


def unit_weight(rows: Rows) -> np.ndarray | None:
    """Weights with mean one for each row that was there, so that limits on a leaf's weight keep their meaning."""
    if rows.weight is None:
        return None
    unit: np.ndarray = rows.weight / (rows.weight.sum() / (rows.stands_for or len(rows)))
    return unit


def joined(X: Matrix) -> np.ndarray:
    """Both blocks side by side as float32, codes last; float64 where a code would not fit."""
    wide = max(X.sizes, default=0) > 2**24
    return np.concatenate([X.numbers, X.codes], axis=1, dtype=np.float64 if wide else np.float32)
