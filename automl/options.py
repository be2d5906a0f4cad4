"""Every knob of a run, declared once. Python, the CLI and later the service all build this object.

One dial, the budget, derives what it can. A field's metadata holds its help text and how the CLI reads it, so that
`automl fit --help`, `help(automl.fit)` and the check of names never disagree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from automl.errors import OptionError
from automl.messages import near

AUTO, NONE = "auto", "none"  # weights that are looked for, and the way to type None
IN_MEMORY = "(in memory)"  # what options.json says of values that it cannot hold
_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """What a run may use; of several limits the first one reached ends it. Trials stand alone: such runs can repeat.

    `time` counts from the call to its return: seconds, or text such as "5m". `money` in the rate card's currency and
    `energy` in kWh are those of all machines held meanwhile.
    """

    time: Any = None
    trials: int | None = None
    money: float | None = None
    energy: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.time, str):
            object.__setattr__(self, "time", Budget.parse(self.time).time)
        given = [name for name in ("time", "trials", "money", "energy") if getattr(self, name) is not None]
        if not given:
            raise OptionError("budget is empty, got neither time, trials, money nor energy. For instance budget='5m'.")
        if self.trials is not None and len(given) > 1:
            raise OptionError(
                f"budget mixes trials with {given[0]}, got {self.trials} trials. A run that counts trials looks at "
                "nothing else: give one of them."
            )
        for name, unit, hint in (("time", "seconds", "60s"), ("money", "", "$1.50"), ("energy", "kWh", "0.2kWh")):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                what = f"{name} {value!r} {unit}".rstrip()
                raise OptionError(f"budget must be above 0 and finite, got {what}. For instance '{hint}'.")
        if self.trials is not None and self.trials < 1:
            raise OptionError(f"budget must allow at least 1 trial, got {self.trials!r}. For instance '20 trials'.")

    @property
    def time_s(self) -> float | None:
        """The limit in seconds, if there is one."""
        return None if self.time is None else float(self.time)

    @classmethod
    def parse(cls, value: Any) -> Budget:
        """Read '90s', '10m', '2h', '1h30m', 60 (seconds), '50 trials', '$1.50', '0.2kWh', or some with commas."""
        if isinstance(value, Budget):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise OptionError(f"budget must be text or a number of seconds, got {value!r}. For instance '5m'.")
        if isinstance(value, int | float):
            return cls(time=float(value))
        limits = dict(_limit(part, value) for part in value.lower().split(","))
        return cls(**limits)

    def __str__(self) -> str:
        told = {"time": f"{_short(self.time)}s", "trials": f"{self.trials} trials", "money": f"${_short(self.money)}",
                "energy": f"{_short(self.energy)}kWh"}  # fmt: skip
        return ", ".join(text for name, text in told.items() if getattr(self, name) is not None)


def _limit(part: str, value: Any) -> tuple[str, Any]:
    """One limit in a budget's text: what it is of, and how much."""
    text = part.strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return "time", float(text)
    if trials := re.fullmatch(r"(-?\d+)\s*trials?", text):
        return "trials", int(trials[1])
    if money := re.fullmatch(r"(?:\$\s*(-?\d+(?:\.\d+)?)|(-?\d+(?:\.\d+)?)\s*usd)", text):
        return "money", float(money[1] or money[2])
    if energy := re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(k?)wh", text):
        return "energy", float(energy[1]) / (1.0 if energy[2] else 1000.0)
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text)
    if pieces and re.fullmatch(r"(\d+(?:\.\d+)?\s*[a-z]+\s*)+", text) and all(u in _UNITS_S for _, u in pieces):
        return "time", sum(float(number) * _UNITS_S[unit] for number, unit in pieces)
    raise OptionError(
        f"budget not understood, got {value!r}. Write '90s', '10m', '2h', 60, '50 trials', '$1.50' or '0.2kWh'."
    )


def _short(number: float | None) -> str:
    """A number with no more digits than it needs."""
    return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")


def _knob(default: Any, help_text: str, **cli: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **cli})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every knob of a run."""

    target: str | tuple[str, ...] | None = _knob(
        None, "column to predict; of several, with commas between, each gets a model"
    )
    budget: Any = _knob(
        "10m", "what the run may use, all included: '90s', '10m', '2h', 60 (seconds), '50 trials', '$1.50' or '0.2kWh'"
    )
    metric: str | Callable[..., Any] | None = _knob(None, "score to optimise; chosen by task when not given")
    positive: Any = _knob(
        None, "of two classes the label that f1 and average_precision look for; the rarer one when not given"
    )
    task: str | None = _knob(
        None, "kind of problem; inferred when not given", choices=("binary", "multiclass", "regression")
    )
    quantiles: tuple[float, ...] = _knob(
        (), "predict these quantiles of a number instead of its mean, for instance 0.1,0.5,0.9"
    )
    route: str = _knob("auto", "which kind of models may take part", choices=("auto", "classical", "neural", "hybrid"))
    weights: str | None = _knob(
        AUTO,
        "go on from a network trained before: auto looks for packages and checkpoints on this machine (automl doctor "
        "lists them) and downloads nothing; none does without. Else package:NAME, a run or saved model of automl, the "
        "folder of a transformers checkpoint or its name (extra: pretrained), timm:NAME; hub:NAME downloads. Frozen it "
        "describes images and sounds for classical models, fine-tuned it competes itself; route=hybrid leaves all "
        "others out",
    )
    families: tuple[str, ...] = _knob((), "only these families of models, for instance lightgbm,linear")
    exclude: tuple[str, ...] = _knob((), "all families but these")
    test: Any = _knob(None, "held-out data to score the final model on; never used to choose it")
    time_column: str | None = _knob(None, "column that orders the rows in time; folds then look forward only")
    group_column: str | None = _knob(None, "column whose equal values must stay in one fold (a patient, a household)")
    repeats: Literal["auto", "together", "apart"] = _knob(
        "auto",
        "rows that repeat the features of another: together in one fold with it, so that no model is scored on what it "
        "saw, or apart, as new rows will repeat them too; auto: together where they repeat more than chance explains",
        choices=("auto", "together", "apart"),
    )
    weight: Any = _knob(
        None, "column with a weight for each row, not used as a feature; in Python also the weights, one for each row"
    )
    class_weight: Any = _knob(
        None,
        "'balanced': rows of rare classes count more, in training and in the scores, until all classes count alike; "
        "in Python also what the rows of each class count, {label: weight}",
    )
    max_latency_ms: float | None = _knob(None, "the model must predict one row within this many milliseconds")
    max_model_mb: float | None = _knob(None, "the saved model must not be larger than this many megabytes")
    min_score: float | None = _knob(None, "below this score the verdict is that no model is worth using")
    prefer: str = _knob(
        "balanced", "which point of the cost frontier to return", choices=("cheap", "balanced", "accurate")
    )
    search_for: str = _knob(
        "score",
        "what networks on images and sounds are searched for: the best score, or a choice of good and of quick ones",
        choices=("score", "score and latency"),
    )
    cluster: str = _knob(
        "auto", "where trials run: local, ray, or a Ray cluster's address; auto: local, unless RAY_ADDRESS is set"
    )
    workers: int | None = _knob(
        None, "CPUs to use at most; all when not given. A cluster that can grow is asked for them"
    )
    rates: str | Path | None = _knob(None, "TOML file with your own prices and watts; see docs/cluster.md")
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
        object.__setattr__(self, "positive", self.positive.item() if hasattr(self.positive, "item") else self.positive)
        object.__setattr__(self, "class_weight", _class_weight(self.class_weight))
        if self.quantiles and self.task not in (None, "regression"):
            raise OptionError(
                f"quantiles are of numbers, but task={self.task!r} was given. Leave out task, or quantiles."
            )
        if self.weights is not None:
            object.__setattr__(self, "weights", None if str(self.weights) == NONE else str(self.weights))
        if self.weights is None and self.route == "hybrid":
            raise OptionError(
                "route='hybrid' goes on from a network trained before, but weights=None rules that out. Leave weights "
                "out, or give a run or saved model of automl, the folder of a checkpoint, package:NAME or hub:NAME."
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
        if self.cluster not in ("auto", "local", "ray") and not re.fullmatch(r"(ray://)?[^\s/:]+:\d+", self.cluster):
            raise OptionError(
                f"cluster must be auto, local, ray or the address of a Ray cluster, got {self.cluster!r}. "
                "For instance 'ray://head:10001'."
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"seed must be a whole number, 0 or above, got {self.seed!r}. Use for instance seed=0.")

    @property
    def weight_column(self) -> str | None:
        """The column of weights; None where there are none, or where they came as values."""
        return None if self.weight is None or _are_values(self.weight) else str(self.weight).strip()

    @property
    def in_memory(self) -> tuple[str, ...]:
        """Names of the options whose values no file holds."""
        is_kept = {
            "metric": not callable(self.metric),
            "test": self.test is None or isinstance(self.test, str | Path),
            "weight": self.weight is None or self.weight_column is not None,
        }
        return tuple(name for name, kept in is_kept.items() if not kept)

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
        plain["test"] = None if self.test is None else IN_MEMORY if "test" in self.in_memory else str(self.test)
        plain["weight"] = IN_MEMORY if "weight" in self.in_memory else self.weight_column
        if isinstance(self.class_weight, dict):  # a list of pairs: the keys of JSON objects would turn into text
            plain["class_weight"] = [list(pair) for pair in self.class_weight.items()]
        for name in ("run_dir", "rates"):
            plain[name] = None if getattr(self, name) is None else str(getattr(self, name))
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


def _are_values(weight: Any) -> bool:
    """Whether weights are given themselves, and not the name of their column."""
    return hasattr(weight, "__len__") and not isinstance(weight, str | bytes)


def _class_weight(given: Any) -> str | dict[Any, float] | None:
    """'balanced', or a positive number for each label; pairs, as options.json holds them, are a dict again."""
    hint = "Give 'balanced', or for instance {'yes': 5, 'no': 1}."
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    try:
        pairs = {} if isinstance(given, str) else dict(given)
        weights = {_plain(label): float(weight) for label, weight in pairs.items()}
    except (TypeError, ValueError):
        weights = {}
    if not weights:
        raise OptionError(f"class_weight must be 'balanced' or a weight for each label, got {given!r}. {hint}")
    for label, weight in weights.items():
        if not 0 < weight < math.inf:
            raise OptionError(f"class_weight of {label!r} must be above 0 and finite, got {weight!r}. {hint}")
    return weights


def _plain(label: Any) -> Any:
    """A label of NumPy as Python's own."""
    return label.item() if hasattr(label, "item") else label


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


def defaults() -> dict[str, Any]:
    """Each option's default, for signatures and help."""
    return {spec.name: None if spec.default is MISSING else spec.default for spec in fields(Options)}
