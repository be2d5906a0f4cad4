"""What numbers know of the answers, told in a moment: each of some rows is predicted from all others by one ridge.

Asked before seconds are spent on a network that may know nothing of this data: with a kernel matrix of a few hundred
rows the predictions with each row left out are exact, and cost one eigendecomposition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ASKED_ROWS = 500  # more tell hardly more
MOST_CLASSES = 50  # different numbers up to which they are taken for classes
PENALTIES = 10.0 ** np.arange(-3, 2)  # relative to the mean of the kernel's diagonal
# Error of our own numbers below which a network that begins from nothing learns the rest: hand signs 0.17 (said 0.11),
# right on all new ones from nothing at 60 s, on 0.93 by what the network says; five kinds of photographs 0.41 (0.27).
EASY = 0.25
CONSTANT = 100.0  # relative to the same
FLATTEST = 1e-6  # deviation below which a number is constant


@dataclass(frozen=True)
class LineErrors:
    """Errors with each row left out, relative to always giving the mean or the most frequent class."""

    rows: int
    own: float  # of the numbers that describe a file without a trained network
    said: float  # of what the network says

    @property
    def leads(self) -> bool:
        """Whether the network knows more of the answers than our own numbers do, and these leave much open."""
        return self.said < self.own and self.own > EASY

    def __str__(self) -> str:
        return (
            f"a line on these errs {self.said:.2f} times as much as knowing nothing, on numbers without it "
            f"{self.own:.2f} ({self.rows:,} rows, each left out)"
        )


def weigh(answers: pd.Series, numbers: Mapping[str, np.ndarray]) -> LineErrors:
    """How much `own` numbers and those that were `said` tell of the answers of the same rows."""
    aims, is_class = _aims(answers)
    errors = {name: _error(values, aims, is_class=is_class) for name, values in numbers.items()}
    return LineErrors(len(answers), errors["own"], errors["said"])


def sample(rows: int, seed: int) -> np.ndarray:
    """Which of all rows are asked about, in order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:ASKED_ROWS])


def _aims(answers: pd.Series) -> tuple[np.ndarray, bool]:
    """A column for each class, or the answers as they are."""
    import pandas as pd

    is_number = pd.api.types.is_numeric_dtype(answers) and not pd.api.types.is_bool_dtype(answers)
    if is_number and answers.nunique() > MOST_CLASSES:
        return answers.to_numpy(dtype=np.float64)[:, None], False
    codes, labels = pd.factorize(answers)
    return (codes[:, None] == np.arange(max(1, len(labels)))).astype(np.float64), True


def _error(values: np.ndarray, aims: np.ndarray, *, is_class: bool) -> float:
    """Of the best penalty."""
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0))[:, spread > FLATTEST] / spread[spread > FLATTEST]
    kernel = scaled.astype(np.float64) @ scaled.T.astype(np.float64)
    usual = max(float(np.trace(kernel)) / max(1, len(kernel)), 1e-12)
    # A constant, hardly held back: were the answers centred instead, those of the others would tell the one left out.
    roots, turned = np.linalg.eigh(kernel + CONSTANT * usual)
    roots = np.maximum(roots, 0.0)
    found = []
    for penalty in PENALTIES * usual:
        kept = roots / (roots + penalty)
        fitted = (turned * kept) @ (turned.T @ aims)
        lever = np.minimum((turned**2) @ kept, 1 - 1e-9)[:, None]
        found.append(_missed(aims - (aims - fitted) / (1 - lever), aims, is_class=is_class))
    return min(found)


def _missed(left_out: np.ndarray, aims: np.ndarray, *, is_class: bool) -> float:
    """Relative to knowing nothing: labels that are wrong, or squares."""
    if not is_class:
        return float(((left_out - aims) ** 2).mean() / max(float(aims.var()), 1e-300))
    wrong = float((left_out.argmax(axis=1) != aims.argmax(axis=1)).mean())
    return wrong / max(1 - float(aims.mean(axis=0).max()), 1e-12)
