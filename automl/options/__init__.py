"""Every knob of a run, declared once. Python, the CLI and later the service all build this object.

One dial, the budget, derives what it can. A field's metadata holds its help text and how the CLI reads it, so that
`automl fit --help`, `help(automl.fit)` and the check of names never disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from automl.errors import OptionError
from automl.messages import near
from automl.options.amounts import Budget as Budget
from automl.options.amounts import span_s
from automl.options.values import are_values, baseline_of, check_kind, levels_of, targets, weights_of_classes

AUTO, NONE = "auto", "none"  # weights that are looked for, and the way to type None
IN_MEMORY = "(in memory)"  # what options.json says of values that it cannot hold
ANYWHERE = ("auto", "local", "ray")  # of `cluster`, what names no machine
# What a model may cost where deploy= says it and no limit was given: milliseconds for a row on one CPU thread, and MB.
# A service that answers in 50 ms has other work to do; an update over the air is held to a few seconds.
DEPLOYED: Mapping[str, tuple[float | None, float | None]] = {
    "batch": (None, None), "realtime": (10.0, None), "edge": (5.0, 20.0)
}  # fmt: skip


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
        None,
        "kind of problem; inferred when not given. forecast: the next values of series over time, as horizon asks too",
        choices=("binary", "multiclass", "regression", "forecast"),
    )
    quantiles: tuple[float, ...] = _knob(
        (), "predict these quantiles of a number instead of its mean, for instance 0.1,0.5,0.9"
    )
    modality: str = _knob(
        "auto",
        "what a row is; series: its columns are the steps of one series, table: they are not; auto: found in them",
        choices=("auto", "table", "series"),
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
    series_id: str | tuple[str, ...] | None = _knob(
        None, "column that tells series apart (a store, a sensor); of several, with commas between, together"
    )
    horizon: int | None = _knob(
        None, "forecast so many steps of series over time; a season of them when only task=forecast is given"
    )
    known_future: tuple[str, ...] = _knob(
        (), "columns of series that are known ahead (prices, holidays); all others are used up to the last known step"
    )
    frequency: str | None = _knob(
        None, "from one step of a series to the next: D, B, W, MS, QS, YS, h, 15min; found in its times when not given"
    )
    season: int | None = _knob(None, "steps after which series begin anew; by their frequency when not given")
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
    baseline: Any = _knob(
        None,
        "what there is already, to be compared with: a score of the run's metric, a saved model or the folder of a run",
    )
    explain: str = _knob(
        "auto",
        "required: only models whose answers the report can explain take part, and time is kept for it",
        choices=("auto", "required"),
    )
    deploy: str = _knob(
        "batch",
        "where the model will run; realtime: 10 ms for a row on one CPU thread, edge: 5 ms and 20 MB, unless "
        "limits are given",
        choices=tuple(DEPLOYED),
    )
    retrain_every: str | None = _knob(
        None,
        "how often the model will be trained anew, for instance 1d or 7d; a year of it is priced, and where it is "
        "often a tie goes to the model that is cheaper to train",
    )
    prefer: str = _knob(
        "balanced",
        "which point of the cost frontier to return, within the limits; balanced: of those tied with the best and "
        "expected to lose at most one percent of its error the cheapest to run, up to 20 ms a row and 100 MB; "
        "accurate: the least error; cheap: the cheapest tied with it; fastest, smallest: what gives up at most "
        "give_up_percent",
        choices=("cheap", "balanced", "accurate", "fastest", "smallest"),
    )
    give_up_percent: float = _knob(
        5.0, "of the best model's gain over none, how much the fastest and the smallest model may give up, in percent"
    )
    search_for: str = _knob(
        "score",
        "what networks on images and sounds are searched for: the best score, or a choice of good and of quick ones",
        choices=("score", "score and latency"),
    )
    data_licence: str | None = _knob(None, "licence of the data, for the model card; not stated there when not given")
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
        for spec in fields(self):
            check_kind(spec.name, str(spec.type), getattr(self, spec.name))
        object.__setattr__(self, "budget", Budget.parse(self.budget))
        object.__setattr__(self, "target", targets(self.target))
        for name in ("families", "exclude", "series_id", "known_future"):
            value = getattr(self, name) or ()
            if isinstance(value, str):
                value = tuple(part.strip() for part in value.split(",") if part.strip())
            object.__setattr__(self, name, tuple(value))
        for name in ("horizon", "season"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name} must be 1 step or more, got {value!r}. Leave it out for the usual one.")
        if self.is_forecast and self.group_column is not None:
            raise OptionError("group_column is not for forecasts: backtests keep to time. Leave group_column out.")
        object.__setattr__(self, "quantiles", levels_of(self.quantiles))
        object.__setattr__(self, "positive", self.positive.item() if hasattr(self.positive, "item") else self.positive)
        object.__setattr__(self, "class_weight", weights_of_classes(self.class_weight))
        object.__setattr__(self, "baseline", baseline_of(self.baseline))
        if self.retrain_every is not None:
            span_s("retrain_every", self.retrain_every)
            object.__setattr__(self, "retrain_every", str(self.retrain_every))
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
        if not 0 <= self.give_up_percent <= 100:
            raise OptionError(
                f"give_up_percent must be from 0 to 100, got {self.give_up_percent!r}. The usual is give_up_percent=5."
            )
        if self.cluster not in ANYWHERE and not re.fullmatch(r"(ray://)?[^\s/:]+:\d+", self.cluster):
            raise OptionError(
                f"cluster must be auto, local, ray or the address of a Ray cluster, got {self.cluster!r}. "
                "For instance 'ray://head:10001'."
            )
        if not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"seed must be a whole number, 0 or above, got {self.seed!r}. Use for instance seed=0.")

    @property
    def is_forecast(self) -> bool:
        """Whether the next steps of series are asked for."""
        return self.horizon is not None or self.task == "forecast"

    @property
    def allowed_ms(self) -> float | None:
        """Milliseconds that a row may take: as given, else as where it is deployed asks."""
        return DEPLOYED[self.deploy][0] if self.max_latency_ms is None else self.max_latency_ms

    @property
    def allowed_mb(self) -> float | None:
        """Megabytes that the model may have: as given, else as where it is deployed asks."""
        return DEPLOYED[self.deploy][1] if self.max_model_mb is None else self.max_model_mb

    @property
    def retrain_s(self) -> float | None:
        """Seconds from one training to the next; None where it is trained once."""
        return None if self.retrain_every is None else span_s("retrain_every", self.retrain_every)

    @property
    def weight_column(self) -> str | None:
        """The column of weights; None where there are none, or where they came as values."""
        return None if self.weight is None or are_values(self.weight) else str(self.weight).strip()

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


def defaults() -> dict[str, Any]:
    """Each option's default, for signatures and help."""
    return {spec.name: None if spec.default is MISSING else spec.default for spec in fields(Options)}
