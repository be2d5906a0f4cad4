"""How well one column alone foretells the answers, measured on rows that it was not fitted on.

A column is cut into bins (its values, or quantiles), each bin answers with what it saw, and unseen bins with the mean:
so a column of unique codes cannot score. No library is needed, and ten thousand columns take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search_spaces.spec import OF_NUMBERS, Task

ROWS = 6_000  # looked at; half to fit, half to score
FEWEST = 25  # rows to score on; below it a perfect score is no evidence
FEWEST_OF_A_CLASS = 10
BINS = 64
PRIOR_ROWS = 0.1  # weight of the overall mean in each bin: enough to answer for an empty one


@dataclass(frozen=True)
class Judge:
    """Scores single columns against fixed answers; made by `judge`."""

    task: Task
    metric: str  # what `score` is
    rows: np.ndarray  # of the data set: the first half to fit on, the rest to score on
    y: np.ndarray  # answers of these rows

    @property
    def half(self) -> int:
        """Number of rows to fit on."""
        return len(self.rows) // 2

    def score(self, values: np.ndarray, *, is_code: bool) -> float:
        """At most 1, which is perfect, for a column's values on all rows of the data set; NaN is a value too."""
        bins = _bins(values[self.rows], self.half, is_code)
        size = int(bins.max()) + 1
        fit, test, y_fit, y_test = bins[: self.half], bins[self.half :], self.y[: self.half], self.y[self.half :]
        if self.task == "multiclass":
            return _recall(fit, test, y_fit, y_test)
        counts = np.bincount(fit, minlength=size)
        answers = (np.bincount(fit, y_fit, minlength=size) + PRIOR_ROWS * y_fit.mean()) / (counts + PRIOR_ROWS)
        if self.task == "binary":
            return _auc(answers[test], y_test)
        spread = float(((y_test - y_test.mean()) ** 2).sum())
        return 1 - float(((y_test - answers[test]) ** 2).sum()) / spread


def judge(y: np.ndarray, task: Task) -> Judge | None:
    """A judge over a sample of the rows; None where they are too few to tell."""
    rows = np.random.default_rng(0).permutation(len(y))[:ROWS]
    half = len(rows) // 2
    answers = y[rows]
    if len(rows) - half < FEWEST or np.unique(answers[half:]).size < 2:
        return None
    if task in OF_NUMBERS:  # ranks, so that a few huge answers do not decide
        return Judge(task, "r2 of ranks", rows, _ranks(answers))
    if task == "multiclass":
        return Judge(task, "balanced accuracy", rows, answers)
    least = min(np.bincount(part, minlength=2).min() for part in (answers[:half], answers[half:]))
    return Judge(task, "roc_auc", rows, answers) if least >= FEWEST_OF_A_CLASS else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Places from 0 to 1, equal values sharing their mean place."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(((last - (counts + 1) / 2) / len(values))[places])


def _bins(values: np.ndarray, half: int, is_code: bool) -> np.ndarray:
    """A small number per row; a number not seen in the first half joins its lower neighbour, such a code nobody."""
    if is_code:
        return np.asarray(np.unique(values, return_inverse=True)[1])
    missing = np.isnan(values)
    sample = values[:half][~missing[:half]]
    known = np.unique(sample)
    if known.size > 2 * BINS:
        cuts = np.unique(np.quantile(sample, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
        known = np.union1d(cuts, np.nextafter(cuts, np.inf))  # a cut is a bin of its own: it may be special, as 0 is
    bins = np.searchsorted(known, values, side="right")
    bins[missing] = known.size + 1
    return bins


def _recall(fit: np.ndarray, test: np.ndarray, y_fit: np.ndarray, y_test: np.ndarray) -> float:
    """Mean share found of the classes that could be learned, each bin answering with its most frequent class."""
    classes = int(max(y_fit.max(), y_test.max())) + 1
    seen = np.bincount(y_fit, minlength=classes)
    pairs, counts = np.unique(fit * classes + y_fit, return_counts=True)
    order = np.argsort(counts, kind="stable")  # the most frequent is written last, and stays
    answers = np.full(int(max(fit.max(), test.max())) + 1, int(seen.argmax()))
    answers[pairs[order] // classes] = pairs[order] % classes
    found = np.bincount(y_test, weights=answers[test] == y_test, minlength=classes)
    asked = np.bincount(y_test, minlength=classes)
    counted = (asked > 0) & (seen >= FEWEST_OF_A_CLASS)
    return float((found[counted] / asked[counted]).mean()) if counted.sum() > 1 else 0.0


def _auc(answers: np.ndarray, y: np.ndarray) -> float:
    """Chance that a row of class 1 gets a higher answer than one of class 0; ties count half."""
    levels, place = np.unique(answers, return_inverse=True)
    ones = np.bincount(place, weights=y, minlength=levels.size)
    zeros = np.bincount(place, weights=1 - y, minlength=levels.size)
    below = np.cumsum(zeros) - zeros
    return float((ones * (below + zeros / 2)).sum() / (ones.sum() * zeros.sum()))
