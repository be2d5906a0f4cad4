"""A user's function as a metric: what it is called with, which way is up, and a trial before anything is fitted.

It is called in the driver alone, so it need not travel; workers know its name only. Its error is its distance from the
score that it gives to the answers themselves: zero is perfect whatever its scale, and a wrong direction shows at once.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from automl.errors import OptionError
from automl.records import Profile
from automl.scoring import metrics
from automl.scoring.folds import Folds
from automl.scoring.losses import Errors, Rule
from automl.scoring.metrics import OWN_ROWS, Metric, Own, sample_rows

Needs = Literal["probability", "label", "value"]

ROUNDS = (6, 40)  # redrawings for an interval, at least and at most
COMPARISONS = 60  # looks at the rows of an interval that comparing the candidates takes, for each round
TUNING = 75  # and that learning when to tell which label takes
END_SHARE = 0.2  # of the budget that these may take
MOST_TOLD = 160  # characters of what a function gave or complained of
DRAWN_ROWS = 1_000  # weights that are no counts are rounded to so many rows where the function takes none


@dataclass(frozen=True)
class Facts:
    """What a function says of itself by its attributes and its signature."""

    name: str
    higher_is_better: bool
    needs: Needs
    takes_weight: bool


def read(function: Callable[..., Any], is_of_classes: bool) -> Facts:
    """Its name, direction and wants; those that do not fit the task are refused."""
    bare = function.func if isinstance(function, partial) else function
    name = str(getattr(bare, "__name__", type(bare).__name__)).strip("<>")
    taken = {metric for task in ("binary", "multiclass", "regression", "quantile") for metric in metrics.names(task)}
    name = f"{name} (own)" if name in taken else name
    is_up = getattr(function, "greater_is_better", True)
    if not isinstance(is_up, bool):
        raise OptionError(f"{name}.greater_is_better must be True or False, got {is_up!r}.")
    needs: Any = getattr(function, "needs", "label" if is_of_classes else "value")
    fitting = ("label", "probability") if is_of_classes else ("value",)
    if needs not in fitting:
        known = "" if needs in get_args(Needs) else f" (known: {', '.join(get_args(Needs))})"
        raise OptionError(
            f"{name}.needs={needs!r} does not fit this task{known}. Use {' or '.join(map(repr, fitting))}."
        )
    try:
        takes_weight = "sample_weight" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions made in C do not say
        takes_weight = False
    return Facts(name, is_up, needs, takes_weight)


def rule(facts: Facts) -> str:
    """Why this metric and how its direction was read."""
    up = "higher is better" if facts.higher_is_better else "lower is better"
    return f"metric={facts.name} was given, a function, {up}; override with its attribute greater_is_better"


@dataclass(frozen=True)
class MetricTrial:
    """What a function is tried on: the answers, and the rows that folds hold out."""

    y: np.ndarray
    weight: np.ndarray | None
    folds: Folds
    budget_s: float  # infinite where trials are counted


def metric_of(function: Callable[..., Any], profile: Profile, trial: MetricTrial) -> Metric:
    """The function as a metric, tried on the predictions of a constant model first: what is wrong is told now."""
    facts = read(function, bool(profile.classes))
    if trial.weight is not None and not facts.takes_weight:
        raise OptionError(
            f"metric {facts.name} takes no sample_weight, but weights were given. "
            "Add a parameter sample_weight=None to the function, or leave weight and class_weight out."
        )
    asked = _Asked(function, facts, profile)
    baseline, took_s = _try(asked, trial)
    perfect = asked.score(trial.y, _knowing(trial.y, profile), trial.weight)
    if (perfect < baseline) if facts.higher_is_better else (perfect > baseline):
        way, other = ("higher", False) if facts.higher_is_better else ("lower", True)
        raise OptionError(
            f"metric {facts.name} gives the answers themselves {perfect:.5g} and a constant guess {baseline:.5g}, yet "
            f"{way} is said to be better. Set {facts.name}.greater_is_better = {other}."
        )
    proxy = metrics.get("log_loss" if profile.classes else metrics.default(profile.task)[0], profile.levels)
    rounds, wait_s = _effort(facts, took_s, trial.budget_s)
    own = Own(perfect, proxy, rounds, wait_s, is_quick=rounds == max(ROUNDS))
    needs: Any = "quantiles" if profile.levels else facts.needs
    return Metric(facts.name, (profile.task,), facts.higher_is_better, needs, asked.rule(perfect), own)


def _try(asked: _Asked, trial: MetricTrial) -> tuple[float, float]:
    """The constant model's score on all rows, and the seconds for as many as intervals are made of; folds are tried."""
    known = _constant(trial.y, asked.profile)

    def score(rows: np.ndarray) -> float:
        weight = None if trial.weight is None else trial.weight[rows]
        return asked.score(trial.y[rows], np.repeat(known[None], len(rows), axis=0), weight)

    for fold in range(trial.folds.count):
        score(trial.folds.held(fold))
    some, took_s = sample_rows(trial.y, OWN_ROWS), math.inf
    for _ in range(3):
        started = time.perf_counter()
        score(some)
        took_s = min(took_s, time.perf_counter() - started)
    return score(np.arange(len(trial.y))), took_s


def _effort(facts: Facts, took_s: float, budget_s: float) -> tuple[int, float]:
    """How often rows are redrawn, and what comparing candidates then takes."""
    least, most = ROUNDS
    looks = COMPARISONS + (TUNING if facts.needs == "label" else 0)
    rounds = max(least, int(min(float(most), END_SHARE * budget_s / max(looks * took_s, 1e-9))))
    if least * COMPARISONS * took_s > END_SHARE * budget_s:
        raise OptionError(
            f"metric {facts.name} takes {took_s:.2g} s for {OWN_ROWS:,} rows, too long for this budget. Make it faster "
            "(NumPy instead of a loop), or give a larger budget or one in trials."
        )
    return rounds, rounds * COMPARISONS * took_s


# --- calling it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """A function, and how it is called."""

    function: Callable[..., Any]
    facts: Facts
    profile: Profile

    def score(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None) -> float:
        """What it says; an exception or anything but a finite number is told as an error."""
        name, shown = self.facts.name, self._shown(predictions)
        called = (
            f"It is called as {name}(y_true, y_pred{', sample_weight' if weight is not None else ''}) with {shown}."
        )
        try:
            found: Any = self.ask(y, predictions, weight)
        except Exception as error:  # a user's function may raise anything
            told = f"{type(error).__name__}: {_short(error, str)}".rstrip(".")
            raise OptionError(f"metric {name} failed: {told}. {called}") from error
        if not isinstance(found, float) or not math.isfinite(found):
            raise OptionError(f"metric {name} must return one finite number, got {_short(found)}. {called}")
        return found

    def ask(self, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None) -> Any:
        """What it says, as a float where it is a number."""
        more = {} if weight is None else {"sample_weight": weight}
        found = self.function(self._answers(y), self._given(predictions), **more)
        is_number = np.ndim(found) == 0 and np.asarray(found).dtype.kind in "biuf"
        return float(found) if is_number else found

    def rule(self, perfect: float) -> Rule:
        """Its error under any weights: counts as repeated rows where it takes no weights."""
        sign = 1.0 if self.facts.higher_is_better else -1.0

        def of(y: np.ndarray, predictions: np.ndarray) -> Errors:
            def error(weight: np.ndarray) -> float:
                rows, left = self._drawn(weight)
                try:
                    return sign * (perfect - float(self.ask(y[rows], predictions[rows], left)))
                except Exception:  # noqa: BLE001 - it worked on every fold; on odd rows it may fail, which is no score
                    return math.inf

            return error

        return of

    def _drawn(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows to call it with, and their weights where they differ and it takes any."""
        if (weight == weight[0]).all():
            return np.arange(len(weight)), None
        if self.facts.takes_weight:
            rows = np.flatnonzero(weight)
            return rows, weight[rows]
        if (weight == np.floor(weight)).all():
            return np.repeat(np.arange(len(weight)), weight.astype(np.int64)), None
        ends = np.cumsum(weight)
        return np.searchsorted(ends, (np.arange(DRAWN_ROWS) + 0.5) / DRAWN_ROWS * ends[-1]), None

    def _answers(self, y: np.ndarray) -> np.ndarray:
        return _labels(self.profile)[y] if self.profile.classes else y

    def _given(self, predictions: np.ndarray) -> np.ndarray:
        if not self.profile.classes:
            return predictions
        if self.facts.needs == "label":
            return np.asarray(_labels(self.profile)[predictions.argmax(axis=1)])
        return predictions[:, self.profile.positive] if len(self.profile.classes) == 2 else predictions

    def _shown(self, predictions: np.ndarray) -> str:
        given = self._given(predictions[:1])
        return f"y_pred of shape {(len(predictions), *given.shape[1:])} and type {given.dtype}"


def _short(value: object, spell: Callable[[object], str] = repr) -> str:
    text = " ".join(spell(value).split())
    return text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}…"


def _labels(profile: Profile) -> np.ndarray:
    """The user's labels; those of several types stay what they are."""
    is_plain = len({type(label) for label in profile.classes}) == 1
    return np.asarray(profile.classes, dtype=None if is_plain else object)


def _constant(y: np.ndarray, profile: Profile) -> np.ndarray:
    """One row of predictions that know nothing: shares of the classes, the mean, or the quantiles."""
    if profile.classes:
        return np.asarray(np.bincount(y, minlength=len(profile.classes)) / len(y))
    return np.asarray(np.quantile(y, profile.levels) if profile.levels else y.mean())


def _knowing(y: np.ndarray, profile: Profile) -> np.ndarray:
    """The predictions that are the answers."""
    if profile.classes:
        return np.asarray(np.eye(len(profile.classes))[y])
    return np.repeat(y[:, None], len(profile.levels), axis=1) if profile.levels else np.asarray(y)
