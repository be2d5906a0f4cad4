"""The nouns that flow between the stages, in the order in which a run makes them: frozen, plain where they are kept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from automl.records.costs import Latency, Million, Training
from search_spaces.spec import Media, MediaKind, Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


# --- load ------------------------------------------------------------------------------------------------------------


class Codec(Protocol):
    """How the cells of a column become blocks and numbers; fixed at training, saved with the model."""

    @property
    def kind(self) -> MediaKind:
        """What it decodes."""

    @property
    def names(self) -> list[str]:
        """Names of the numbers of `describe`."""

    @property
    def drawn(self) -> Drawn | None:
        """How its rows are drawn; None where there is nothing to look at."""

    def encode(self, cells: Sequence[Any]) -> Media:
        """Files, bytes or arrays, decoded in memory; one that cannot be is an error that names it."""

    def describe(self, block: Media) -> np.ndarray:
        """(rows, numbers) float32: what models of tables are told of each."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""


class Drawn(Protocol):
    """How rows of a block are drawn, and parts of them hidden: explanations are maps of what is drawn."""

    @property
    def hiding(self) -> str:
        """What `hide` does to a part, as one says it: hidden, hushed."""

    def plane(self, block: Media) -> list[np.ndarray]:
        """Each row as it is drawn, 0 .. 1 (height, width)."""

    def size(self, block: Media) -> tuple[int, int]:
        """Height and width of that plane."""

    def grid(self, block: Media) -> tuple[int, int]:
        """The cells of the plane, down and across, whose parts can be hidden."""

    def hide(self, block: Media, windows: Sequence[tuple[slice, slice]]) -> np.ndarray:
        """Of a block of one row, as many copies as windows of cells, each with its window hidden."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """A column of a data set that had to be decoded, once for all trials."""

    column: str
    block: Media
    codec: Codec
    why: str  # this size, this length
    twins: np.ndarray | None = None  # a number per row, equal for those that look or sound the same
    findings: tuple[Finding, ...] = ()
    numbers: np.ndarray | None = None  # what `describe` would give, where it is known already

    def take(self, rows: np.ndarray) -> Decoded:
        """The given rows."""
        twins = None if self.twins is None else self.twins[rows]
        numbers = None if self.numbers is None else self.numbers[rows]
        return dataclasses.replace(self, block=self.block.take(rows), twins=twins, numbers=numbers)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What the user brought, as one table of features and, for training, one column of answers."""

    name: str
    frame: pd.DataFrame  # features; unique string column names, a plain RangeIndex
    target: pd.Series | None  # answers as read, same rows; None where only features were given
    target_name: str = "target"
    weight: np.ndarray | None = None  # one positive number per row
    claims: Mapping[str, str] = field(default_factory=dict)  # columns that have to be decoded, and as what
    decoded: Mapping[str, Decoded] = field(default_factory=dict)  # those that were, by name
    notes: tuple[str, ...] = ()  # what reading had to guess or mend, one line each
    left_out: tuple[str, ...] = ()  # columns that are other targets of the same run
    test: str | None = None  # a folder that came with it, made to test on
    weight_name: str | None = None  # the column that `weight` was
    class_weights: tuple[float, ...] = ()  # what a row of each class counts, in `weight` already; in code order
    decimal: str = "."  # mark of the numbers in the file it came from
    places: np.ndarray | None = None  # of its rows among those that were brought, where some were left out

    def __len__(self) -> int:
        return len(self.frame)


# --- profile ---------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a column of a table holds; columns that have to be decoded have the name of their modality instead."""

    NUMBER = "number"
    CATEGORY = "category"
    BOOLEAN = "boolean"
    DATE = "date"
    STRING = "string"  # names, titles, addresses: short, and seldom twice the same; free text has a modality
    IDENTIFIER = "identifier"  # left out of the features
    CONSTANT = "constant"  # left out of the features


PLAIN_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.BOOLEAN, Kind.DATE, Kind.STRING)  # a cell can be read by itself
UNUSED_KINDS = (Kind.IDENTIFIER, Kind.CONSTANT)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature column and why it was read as it was."""

    name: str
    kind: str  # a Kind, or the name of the modality that decodes it
    why: str  # the rule that decided the kind, with its values
    missing: float  # share of rows, 0 .. 1
    unique: int  # distinct values, missing left out
    examples: tuple[str, ...] = ()
    decimal: str = "."  # for numbers that came as text
    date_format: str | None = None  # for dates that came as text; None: mixed or native

    @property
    def is_decoded(self) -> bool:
        """Whether its cells have to be decoded."""
        return self.kind not in (*PLAIN_KINDS, *UNUSED_KINDS)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The facts about a data set that later stages decide on."""

    rows: int
    columns: tuple[Column, ...]
    task: Task
    task_rule: str  # why this task, and the option that overrides it
    metric: str
    metric_rule: str
    classes: tuple[Any, ...] = ()  # the labels as users spell them, in code order; empty for regression
    class_counts: tuple[int, ...] = ()
    positive: int = 1  # of two classes the place of the one that metrics such as f1 look for
    levels: tuple[float, ...] = ()  # of the quantiles to predict, rising; empty for other tasks
    duplicates: int = 0  # rows whose features repeat an earlier row
    facts: Mapping[str, float] = field(default_factory=dict)  # further measured numbers for the router

    def of_kind(self, *kinds: str) -> list[str]:
        """Names of the columns of these kinds, in order."""
        return [column.name for column in self.columns if column.kind in kinds]

    @property
    def used(self) -> list[str]:
        """Names of the columns that models see."""
        return [column.name for column in self.columns if column.kind not in UNUSED_KINDS]

    @property
    def decoded(self) -> tuple[str, ...]:
        """The kinds of its columns that were decoded, each once."""
        return tuple(dict.fromkeys(column.kind for column in self.columns if column.is_decoded))

    @property
    def modality(self) -> str:
        """What sort of data it is, in a word or three."""
        return " and ".join(self.decoded) or "table"

    @property
    def outputs(self) -> int:
        """Numbers a model gives per row: classes, quantiles, or one."""
        return max(1, len(self.classes), len(self.levels))


@dataclass(frozen=True)
class Finding:
    """One odd thing about the data, with its evidence."""

    code: str  # stable, for machines: "leak", "identifier", "duplicates", "imbalance", "group_hint", ...
    severity: str  # "info" | "warning" | "danger"
    message: str  # one line: what, the value seen, what to do
    column: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """Everything odd about the data."""

    findings: tuple[Finding, ...] = ()
    alone: Mapping[str, float] = field(default_factory=dict)  # how well a column alone foretells the answers; 1: always
    alone_metric: str = ""  # of these scores

    def of(self, code: str) -> list[Finding]:
        """The findings of one code."""
        return [finding for finding in self.findings if finding.code == code]


# --- folds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FoldPlan:
    """How many folds there are, and how many of them a model needs before it counts as finished."""

    count: int
    goal: int  # below `count`: the first fold is a holdout, and the others only run when time is left
    why: str
    deals: int = 1  # of all rows into folds, one after another; `count` is the folds of all of them


# --- search ----------------------------------------------------------------------------------------------------------


class TrialStatus(StrEnum):
    """How a trial ended."""

    DONE = "done"  # all folds
    PARTIAL = "partial"  # some folds, or a fold cut by its deadline
    FAILED = "failed"
    LATE = "late"  # killed at the deadline before its first fold was done
    LOST = "lost"  # its worker died


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One configuration to try, and why it is its turn."""

    number: int
    family: str
    params: Mapping[str, Any]
    seed: int
    because: str  # "default", "portfolio 2 of 5", "search", ...
    features: Mapping[str, Any] = field(default_factory=dict)  # options of the in-fold features
    is_quick: bool = False  # made to be early, not good
    is_long: bool = False  # a network's course for the model; others are shorter, and made to choose by
    parent: int | None = None  # the trial that this one tries again on less, since memory ran out
    granted_s: float = 0.0  # seconds for each fold of a network on a table; nought: as long as it takes
    teacher: str = ""  # the candidate whose answers it learned from, of a student made at the end of a run

    @property
    def is_fair(self) -> bool:
        """Whether it tells its sampler something: early models are worse, and long courses better, than the others."""
        return not (self.is_quick or self.is_long)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """What one fold of a trial gave. The fitted model itself lies in the run folder, not in memory."""

    fold: int
    predictions: np.ndarray  # of the fold's held-out rows, in their order
    error: float  # metric, lower is better; of labels, by the rule that these rows teach
    is_cut: bool  # stopped by its deadline
    fit_s: float
    batch_s: float  # predicting 1,000 rows at once
    row_s: float  # predicting one row
    size_mb: float
    rounds: int | None = None  # boosting rounds or epochs that early stopping chose


@dataclass(frozen=True)
class Spent:
    """What work cost, summed over its jobs."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    gpu_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        peak_mb = max(self.peak_mb, other.peak_mb)
        return Spent(self.cpu_s + other.cpu_s, self.wall_s + other.wall_s, peak_mb, self.gpu_s + other.gpu_s)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One configuration after it was tried: an outcome, whatever happened."""

    plan: Plan
    status: TrialStatus
    folds: Mapping[int, Fold] = field(default_factory=dict)
    spent: Spent = Spent()
    message: str = ""  # one line, where something went wrong
    ended_s: float = 0.0  # seconds after the start of the run
    retries: int = 0  # jobs that were given again, since their worker died
    is_gone: bool = False  # its models were removed at an earlier end of the run

    @property
    def error(self) -> float:
        """Mean error over the finished folds; infinite without one."""
        return sum(fold.error for fold in self.folds.values()) / len(self.folds) if self.folds else math.inf


# --- ensemble, refit -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value of the metric with an interval: promised, of what a new sample of as many rows will have (promise.py).

    Of rows that were given to be scored on, it is where the score of all such rows may lie.
    """

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    level: float = 0.95
    optimism: float = 0.0  # what searching added to the naive value, in units of the metric; removed already

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.5g} [{self.low:.5g}, {self.high:.5g}]"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """From a model's mixed probabilities to those that users see, and to labels. The default changes nothing."""

    slope: float = 1.0  # times the logarithm of every probability; below one: less sure
    shift: float = 0.0  # added to the log-odds of the second of two classes
    floor: float = 0.0  # share of the class shares that is mixed in: nothing is impossible
    shares: tuple[float, ...] = ()  # of the classes, where there is a floor
    label_weights: tuple[float, ...] = ()  # the label has the largest probability times weight; empty: the likeliest
    log_loss_gain: float = 0.0  # what slope, shift and floor took off the log loss of rows they were not learned on
    label_gain: float = 0.0  # what the weights added to the metric, on rows they were not learned on

    @property
    def threshold(self) -> float:
        """Of two classes, the probability of the second above which it is the label."""
        return self.label_weights[0] / sum(self.label_weights) if len(self.label_weights) == 2 else 0.5


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that the run could return: one trial or a weighted blend of several."""

    name: str
    weights: Mapping[int, float]  # trial number -> weight, summing to one
    score: Score
    fit_s: float  # CPU seconds that its members cost
    row_ms: float  # predicting one row
    batch_ms: float  # predicting 1,000 rows
    size_mb: float
    lean_ms: float  # one row, with one fold of each member kept: held-out scores are scores of single folds
    lean_mb: float
    told_ms: float = 0.0  # of both times, for what a trained network says of a row
    told_mb: float = 0.0  # of both sizes, for its weights
    on_frontier: bool = False
    picks: tuple[str, ...] = ()  # "best", "cheapest tied", "fastest", ...
    within_ms: float = math.inf  # of a blend: what its members' folds together may take for a row
    kept: Mapping[int, int] = field(default_factory=dict)  # trial number -> its first folds that take part; else all
    readout: Calibration = Calibration()
    train: Training | None = None
    million: Million | None = None
    latency: Latency | None = None
    memory_mb: float | None = None  # that the model and a batch add to a process which has its libraries
    p_best: float | None = None  # how likely it has the least error of all, by redrawn rows
    p_frontier: float | None = None  # how likely no other one is both better and faster
    tied_with_best: bool = False
    made_from: str = ""  # the candidate that this is a cheaper form of: one fit of each member, or a student of it


@dataclass(frozen=True)
class Member:
    """One trial's part in the final model: the fitted folds to average, and its weight."""

    plan: Plan
    weight: float
    folds: tuple[int, ...]  # (ALL_ROWS,) after a refit
