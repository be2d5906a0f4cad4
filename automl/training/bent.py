"""A learner of bent answers: prices, incomes and counts with a long tail, learned on a scale where the tail is short.

Predictions are bent back. That makes them medians rather than means, which costs squared error where noise is large;
so it is a choice that trials make, never a rule. Nothing beyond the training answers is ever predicted: a straight line
that goes on beyond the last of them is an explosion once it is bent back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from search_spaces.spec import Learner, Matrix, Rows, Run

PART = "bent.json"
SMALL = 0.05  # quantile of the answers' sizes up to which the scale is straight
NARROW = 1e-6  # of the largest answer, below which the scale would have no digits left
KNOTS = 500  # of the scale by ranks
HEAVY = 3.0  # how much farther the upper tail reaches than the lower half, from which bending may pay
LEAST_ROWS = 50


@dataclass(frozen=True)
class Bend:
    """A rising curve through the answers: `knots` on their scale, `places` on the bent one."""

    kind: str  # "log" | "log1p" | "rank"
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    places: tuple[float, ...] = ()
    ends: tuple[float, float] = (-500.0, 500.0)  # of the training answers, on the bent scale

    def there(self, y: np.ndarray) -> np.ndarray:
        """Answers on the bent scale."""
        if self.kind == "log":
            return np.asarray(np.arcsinh(y / self.scale))
        if self.kind == "log1p":
            return np.asarray(np.log1p(np.maximum(y, 0.0)))
        return np.asarray(np.interp(y, self.knots, self.places))

    def back(self, bent: np.ndarray) -> np.ndarray:
        """Answers as they were."""
        if self.kind == "log":
            return np.asarray(np.sinh(np.clip(bent, *self.ends)) * self.scale)
        if self.kind == "log1p":
            return np.asarray(np.expm1(np.clip(bent, *self.ends)))
        between = np.interp(bent, self.places, self.knots)
        return np.asarray(np.clip(between, self.knots[0], self.knots[-1]))  # rounding may leave these by a digit


def find_bend(kind: str, y: np.ndarray) -> Bend:
    """The curve for these training answers: straight near zero and a logarithm beyond, or normal by their ranks."""
    if kind in ("log", "log1p"):
        sizes = np.abs(y[y != 0])
        has_scale = kind == "log" and len(sizes) > 0
        straight = Bend(kind, scale=float(max(np.quantile(sizes, SMALL), NARROW * sizes.max())) if has_scale else 1.0)
        ends = straight.there(np.array([y.min(), y.max()]))
        return replace(straight, ends=(float(ends[0]), float(ends[1])))
    from scipy.special import ndtri

    shares = np.linspace(0, 1, min(KNOTS, len(y)) + 2)[1:-1]
    knots, first = np.unique(np.quantile(y, shares), return_index=True)
    return Bend(kind, knots=tuple(knots.tolist()), places=tuple(ndtri(shares[first]).tolist()))


def has_long_tail(y: np.ndarray) -> bool:
    """Whether the largest answers lie several times farther from the middle than the smallest."""
    low, middle, high = np.quantile(y, [0.01, 0.5, 0.99])
    return len(y) >= LEAST_ROWS and bool(high - middle > HEAVY * (middle - low) > 0 or middle == low < high)


class TransformedTarget:
    """Any regression learner, fitted on bent answers."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, learner: Learner, kind: str) -> None:
        self.learner, self.kind = learner, kind
        self.bend = Bend(kind)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Learn from `train`, stopping by `valid`, both on the bent scale."""
        self.bend = find_bend(self.kind, train.y)
        held = None if valid is None else replace(valid, y=self.bend.there(valid.y))
        self.learner.fit(replace(train, y=self.bend.there(train.y)), held, run)
        self.is_cut, self.rounds_ = self.learner.is_cut, getattr(self.learner, "rounds_", None)

    @property
    def judged(self) -> np.ndarray | None:
        """Validation rows as the learner judges them, where it does."""
        said = getattr(self.learner, "judged", None)
        return None if said is None else self.bend.back(said)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows, on the scale of the answers."""
        return self.bend.back(self.learner.predict(X, threads))

    def dump(self) -> dict[str, bytes]:
        """The learner's state and the curve."""
        return {**self.learner.dump(), PART: json.dumps(asdict(self.bend)).encode()}


def load_bent(learner: Learner, part: bytes) -> TransformedTarget:
    """The bent learner of a fitted one and its saved curve."""
    read: dict[str, Any] = json.loads(part)
    facts = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    bent = TransformedTarget(learner, read["kind"])
    bent.bend = Bend(**facts)  # type: ignore[arg-type]  # as they were written
    return bent
