"""Every knob of a run, declared once. Python, the CLI and later the service all build this object.

One dial, the budget, derives what it can. A field's metadata holds its help text and how the CLI reads it, so that
`automl fit --help`, `help(automl.fit)` and the check of names never disagree.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from automl.errors import OptionError

_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """What a run may use. Seconds count from the call to its return; trials make a run repeatable."""

    time_s: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.time_s is None and self.trials is None:
            raise OptionError("budget is empty, got neither seconds nor trials. Give for instance budget='5m'.")
        if self.time_s is not None and not (0 < self.time_s < math.inf):
            raise OptionError(
                f"budget must be above 0 seconds and finite, got {self.time_s!r}. For a quick look use '60s'."
            )
        if self.trials is not None and self.trials < 1:
            raise OptionError(f"budget must allow at least 1 trial, got {self.trials!r}. For instance '20 trials'.")

    @classmethod
    def parse(cls, value: Any) -> Budget:
        """Read '90s', '10m', '2h', '1h30m', 60 (seconds) or '50 trials'."""
        if isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise OptionError(f"budget must be text or a number of seconds, got {value!r}. For instance '5m'.")
        if isinstance(value, int | float):
            return cls(time_s=float(value))
        text = value.strip().lower()
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return cls(time_s=float(text))
        if trials := re.fullmatch(r"(-?\d+)\s*trials?", text):
            return cls(trials=int(trials[1]))
        pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
        if pieces and re.fullmatch(r"(\d+(?:\.\d+)?\s*[a-z]+\s*)+", text) and all(u in _UNITS_S for _, u in pieces):
            return cls(time_s=sum(float(number) * _UNITS_S[unit] for number, unit in pieces))
        if text.startswith("$") or text.endswith("wh"):
            raise OptionError(f"budget in money or energy is not supported yet, got {value!r}. Give time: '10m', '2h'.")
        raise OptionError(f"budget not understood, got {value!r}. Write '90s', '10m', '2h', 60 or '50 trials'.")

    def __str__(self) -> str:
        if self.time_s is None:
            return f"{self.trials} trials"
        return f"{self.time_s:.3f}".rstrip("0").rstrip(".") + "s"


def _knob(default: Any, help_text: str, **cli: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **cli})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every knob of a run."""

    target: str | tuple[str, ...] | None = _knob(
        None, "column to predict; of several, with commas between, each gets a model"
    )
    budget: Any = _knob("10m", "what the run may use, all included: '90s', '10m', '2h', 60 (seconds) or '50 trials'")
    metric: str | Callable[..., Any] | None = _knob(None, "score to optimise; chosen by task when not given")
    task: str | None = _knob(
        None, "kind of problem; inferred when not given", choices=("binary", "multiclass", "regression")
    )
    quantiles: tuple[float, ...] = _knob(
        (), "predict these quantiles of a number instead of its mean, for instance 0.1,0.5,0.9"
    )
    route: str = _knob("auto", "which kind of models may take part", choices=("auto", "classical", "neural", "hybrid"))
    families: tuple[str, ...] = _knob((), "only these families of models, for instance lightgbm,linear")
    exclude: tuple[str, ...] = _knob((), "all families but these")
    test: Any = _knob(None, "held-out data to score the final model on; never used to choose it")
    time_column: str | None = _knob(None, "column that orders the rows in time; folds then look forward only")
    group_column: str | None = _knob(None, "column whose equal values must stay in one fold (a patient, a household)")
    weight: str | None = _knob(None, "column with a weight for each row; not used as a feature")
    max_latency_ms: float | None = _knob(None, "the model must predict one row within this many milliseconds")
    max_model_mb: float | None = _knob(None, "the saved model must not be larger than this many megabytes")
    min_score: float | None = _knob(None, "below this score the verdict is that no model is worth using")
    prefer: str = _knob(
        "balanced", "which point of the cost frontier to return", choices=("cheap", "balanced", "accurate")
    )
    cluster: str = _knob("local", "where trials run", choices=("local",))
    workers: int | None = _knob(None, "trials side by side; one per core when not given")
    run_dir: str | Path | None = _knob(None, "folder for the run; runs/<name>-<time> when not given")
    seed: int = _knob(0, "same seed and a budget in trials: the same model")
    verbose: int = _knob(1, "0 silent, 1 progress, 2 every trial")

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", Budget.parse(self.budget))
        object.__setattr__(self, "target", _target(self.target))
        for name in ("families", "exclude"):
            value = getattr(self, name)
            if isinstance(value, str):
                value = tuple(part.strip() for part in value.split(",") if part.strip())
            object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "quantiles", _levels(self.quantiles))
        if self.quantiles and self.task not in (None, "regression"):
            raise OptionError(
                f"quantiles are of numbers, but task={self.task!r} was given. Leave out task, or quantiles."
            )
        if not (self.metric is None or isinstance(self.metric, str) or callable(self.metric)):
            raise OptionError(
                f"metric must be a name or a function of y_true and y_pred, got {self.metric!r}. For instance 'f1'."
            )
        for spec in fields(self):
            allowed = spec.metadata.get("choices")
            value = getattr(self, spec.name)
            if allowed and value is not None and value not in allowed:
                raise OptionError(
                    f"{spec.name} must be one of {', '.join(allowed)}, got {value!r}.{near(value, allowed)}"
                )
        for name in ("max_latency_ms", "max_model_mb", "workers"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise OptionError(f"{name} must be above 0, got {value!r}. Leave it out for no limit.")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"seed must be a whole number, 0 or above, got {self.seed!r}. Use for instance seed=0.")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """Options from names and values, unknown names refused."""
        known = [spec.name for spec in fields(cls)]
        for name in given:
            if name not in known:
                raise OptionError(f"unknown option {name!r}.{near(name, known)} Known options: {', '.join(known)}.")
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Plain values, to be read back with `of`."""
        plain = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        plain["budget"] = str(self.budget)
        plain["metric"] = getattr(self.metric, "__name__", "(function)") if callable(self.metric) else self.metric
        plain["test"] = (
            None if self.test is None else str(self.test) if isinstance(self.test, str | Path) else "(in memory)"
        )
        plain["run_dir"] = None if self.run_dir is None else str(self.run_dir)
        return plain


def _target(given: Any) -> str | tuple[str, ...] | None:
    """One column, or different ones as a tuple."""
    given = given.tolist() if hasattr(given, "tolist") else given  # an Index or an array of names
    if given is None or isinstance(given, str) or not isinstance(given, Sequence):
        return given if given is None else str(given)
    names = tuple(str(name).strip() for name in given)
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"target names {twice[0]!r} more than once, got {list(names)!r}. Name each column once.")
    if not names:
        raise OptionError("target is an empty list. Name at least one column.")
    return names


def _levels(given: Any) -> tuple[float, ...]:
    """Levels of quantiles, rising: from text with commas, one number or several."""
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, Sequence) else (given,)
    try:
        levels = sorted(float(part) for part in parts if not (isinstance(part, str) and not part.strip()))
    except (TypeError, ValueError):
        levels = [math.nan]
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise OptionError(
            f"quantiles must be different numbers above 0 and below 1, got {given!r}. For instance 0.1,0.5,0.9."
        )
    return tuple(levels)


def near(name: Any, known: Any) -> str:
    """A hint at the closest known name, or nothing."""
    close = difflib.get_close_matches(str(name), [str(item) for item in known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def defaults() -> dict[str, Any]:
    """Each option's default, for signatures and help."""
    return {spec.name: None if spec.default is MISSING else spec.default for spec in fields(Options)}
