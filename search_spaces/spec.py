"""The words in which a family says what it is: its space, its needs, its learner.

Everything here is data or a protocol. This package knows nothing of runs, budgets or workers; a learner is told its
threads and its last moment through `Run` and must obey both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    import numpy as np

Task = Literal["binary", "multiclass", "regression", "quantile"]
Route = Literal["classical", "neural"]
MediaKind = str  # "image", "audio", "text", "series", or what a modality of your own is called
Params = Mapping[str, Any]

BASELINE = "constant"  # the family that always runs and is never chosen by a search: what any model must beat
TABLE: frozenset[str] = frozenset({"table"})
ALL_TASKS: frozenset[Task] = frozenset({"binary", "multiclass", "regression"})  # quantiles are asked for by name
# What a network needs before its clock starts: the first optimizer of a process would import torch's compiler, 0.9 s.
TORCH = ("torch", "torch._dynamo")
WITH_QUANTILES: frozenset[Task] = ALL_TASKS | {"quantile"}
OF_NUMBERS: frozenset[Task] = frozenset({"regression", "quantile"})  # answers are float64


@dataclass(frozen=True)
class Int:
    """A whole number between two bounds; `start` is tried first."""

    low: int
    high: int
    start: int
    log: bool = False


@dataclass(frozen=True)
class Float:
    """A real number between two bounds; `start` is tried first."""

    low: float
    high: float
    start: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several plain values; `start` is tried first."""

    options: tuple[Any, ...]
    start: Any


Knob = Int | Float | Choice
Space = Mapping[str, Knob]


def starts(space: Space) -> dict[str, Any]:
    """The default configuration of a space."""
    return {name: knob.start for name, knob in space.items()}


@dataclass(frozen=True)
class Size:
    """How much there is to learn from in one fit."""

    rows: int
    columns: int
    classes: int = 1  # above one only where more than two are told apart


@dataclass(frozen=True)
class Price:
    """What a default fit takes on one thread, before a run has measured one."""

    start_s: float = 0.15
    cell_us: float = 5.0  # microseconds for each cell of the table
    class_power: float = 0.0  # time grows with classes to this power
    pair_ns: float = 0.0  # nanoseconds for each pair of rows
    cell_bytes: float = 16.0  # memory for each cell: copies of the table, and what the library makes of it

    def fit_mb(self, size: Size) -> float:
        """Predicted megabytes, beside the libraries themselves."""
        cells = size.rows * max(1, size.columns)
        return (self.cell_bytes * cells + 24.0 * size.rows * max(1, size.classes)) / 1024**2

    def fit_s(self, size: Size) -> float:
        """Predicted seconds."""
        cells = size.rows * max(1, size.columns)
        grown_s = 1e-6 * self.cell_us * cells * max(1, size.classes) ** self.class_power
        return float(self.start_s + grown_s + 1e-9 * self.pair_ns * size.rows**2)


@dataclass(frozen=True)
class Needs:
    """What a family asks of the data and the machine; data, so that a refusal can be printed."""

    tasks: frozenset[Task] = ALL_TASKS
    rows: tuple[int, int] = (1, 1_000_000_000)
    columns: tuple[int, int] = (1, 1_000_000)
    classes: int = 1_000_000  # at most
    package: str | None = None  # an import that must succeed
    extra: str | None = None  # the extra that brings that package


class Encoder(Protocol):
    """A trained network without its head, as data: what a worker on any machine needs to build it."""

    @property
    def width(self) -> int:
        """Numbers that it says of each row."""

    def at(self, side: int) -> Encoder:
        """The same for pictures of another side, the nearest that it can be asked; itself where there is none."""

    def build(self, rate: int = 0) -> Any:
        """The torch module: rows as a store holds them -> (rows, width). `rate`: of sounds, that of the store."""

    def as_json(self) -> dict[str, Any]:
        """All but its weights."""


@dataclass(frozen=True)
class Media:
    """An image, a sound or a text per row, decoded, of one shape: some rows of a store, which is never copied."""

    kind: MediaKind
    # images: uint8 (all, height, width, channels); sounds: int16 (all, samples); texts: object (all,) of str;
    # series: float32 (all, channels, steps), NaN where nothing is known
    store: np.ndarray
    rows: np.ndarray  # int64, which of the store these are, in order
    rate: int = 0  # of sounds: samples a second
    lengths: np.ndarray | None = None  # of sounds and series, (all,): samples that were there; padding follows
    encoder: Encoder | None = None  # a network trained before on such media, where there is one to go on from

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> Self:
        """The given rows; nothing is copied but their numbers."""
        return replace(self, rows=self.rows[rows])

    def values(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Those of some rows, copied out of the store."""
        copied: np.ndarray = self.store[self.rows[rows]]
        return copied


def _no_places() -> np.ndarray:
    import numpy as np

    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Panel(Media):
    """Series over time, one behind the other in the store: a row is a step of a series that is, or was, to be foretold.

    The store holds float64 (all,): the values of the target, step after step without gaps, NaN where none is known.
    A learner may look at the values of the rows that it learns from, and of a row that it predicts at those before its
    origin; search_spaces.series.panel gives it no others.
    """

    starts: np.ndarray = field(default_factory=_no_places)  # (series + 1,): where each begins; last, where all end
    origins: np.ndarray = field(default_factory=_no_places)  # (all,): the first place not yet known when it is foretold
    stamps: np.ndarray = field(default_factory=_no_places)  # (all,): steps since the beginning of 1970
    numbers: np.ndarray = field(default_factory=_no_places)  # (series,): of each as training had it, -1 of new ones
    past: np.ndarray | None = None  # float32 (all, columns): what else is known of steps before an origin, NaN missing
    frequency: str = ""  # of its steps, as pandas spells it: "D", "MS", "h", "15min"; "" where stamps are whole numbers
    season: int = 1  # steps after which it begins anew; 1: none is known
    horizon: int = 1  # steps that are foretold at once, usually


@dataclass(frozen=True)
class Matrix:
    """Encoded rows.

    `numbers` is float32, NaN where missing. `codes` is int32, 0 where missing or never seen in training, and column j
    holds values in 0 .. sizes[j] - 1. Both blocks may have no columns only where there are `media`.
    """

    numbers: np.ndarray
    codes: np.ndarray
    sizes: tuple[int, ...]
    media: Mapping[str, Media] = field(default_factory=dict)  # by the name of their column
    told: Mapping[str, np.ndarray] = field(default_factory=dict)  # which of the numbers tell of each of the media

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def take(self, rows: np.ndarray) -> Matrix:
        """The given rows, copied."""
        media = {name: block.take(rows) for name, block in self.media.items()}
        return Matrix(self.numbers[rows], self.codes[rows], self.sizes, media, self.told)


@dataclass(frozen=True)
class Rows:
    """Encoded rows with their answers: float64 for tasks of numbers, else class numbers (int64, 0 .. classes - 1)."""

    X: Matrix
    y: np.ndarray
    weight: np.ndarray | None = None
    stands_for: int = 0  # rows that were counted once into these, with weights; 0: none were

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Run:
    """What one fit is granted and what it is for."""

    task: Task
    classes: int  # 1 for regression, the number of levels for quantiles
    metric: str  # what to watch, by its name among the metrics; of numbers "mae" asks for absolute misses, else squares
    seed: int
    threads: int = 1
    until: float = field(default=float("inf"))  # time.monotonic() of the last moment; stop there with what there is
    levels: tuple[float, ...] = ()  # for quantiles: which ones, rising, each above 0 and below 1
    kept: str = ""  # a file in which a long training may keep its state, to go on from there after a crash

    @property
    def is_over(self) -> bool:
        """Whether the time granted has run out."""
        return time.monotonic() >= self.until


class Learner(Protocol):
    """A model of one family, before and after its fit.

    The contract, checked for every family by search_spaces.contracts:
    - `fit` stops by itself soon after `run.until` and is then still usable; `is_cut` says that it happened.
    - `predict` gives (rows,) floats for regression, (rows, levels) rising quantiles, else (rows, classes) probabilities
      that sum to one.
    - `dump` gives the whole fitted state as named bytes in formats that run no code when read.
    - the same seed, threads and rows give the same model; a loaded model predicts bit-equally.
    """

    is_cut: bool

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Learn from `train`; `valid`, where given, may be used to stop early."""

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""

    def dump(self) -> dict[str, bytes]:
        """The fitted state."""


@dataclass(frozen=True)
class Additions:
    """What each encoded column adds to the raw answers of a learner: base and values of a row sum to these.

    A learner whose columns add up has `additions(X, beside, threads)`, which gives them, or None where its answers are
    no such sums. `beside`: usual rows, which lines are compared with; without them they have none.
    """

    base: np.ndarray  # (outputs,): what is answered of no row in particular
    values: np.ndarray  # (rows, columns of numbers and then of codes, outputs)
    is_log_odds: bool  # raw answers are log-odds of the classes, a single one against zero; else the numbers themselves


@dataclass(frozen=True)
class Branch:
    """A decoded column as a network is told of it that reads several parts of a table."""

    numbers: int = 0  # that tell of it, scaled; 0: it does not read them
    image: tuple[int, int, int] | None = None  # height, width, channels, where it sees the pictures themselves
    sound: tuple[int, int] | None = None  # samples, and how many in a second, where it hears the sounds

    @property
    def is_seen(self) -> bool:
        """Whether it reads the block itself."""
        return self.image is not None or self.sound is not None


@dataclass(frozen=True)
class WindowShape:
    """Windows of series as a network reads them."""

    context: int  # steps before an origin
    horizon: int  # steps that are foretold at once
    season: int = 1
    told: int = 0  # numbers known of each step to come
    past: int = 0  # numbers known of each step before, beside its value


@dataclass(frozen=True)
class Shape:
    """What a bare network must know of its input and output before it is built."""

    edges: tuple[tuple[float, ...], ...]  # per numeric column: rising bin edges found on the training rows
    sizes: tuple[int, ...]  # per categorical column: number of codes, 0 (missing) included
    outputs: int
    image: tuple[int, int, int] | None = None  # height, width, channels
    sound: tuple[int, int] | None = None  # samples, and how many there are in a second
    series: tuple[int, int] | None = None  # channels, and steps
    text: tuple[int, int] | None = None  # numbers that a token may have, and most tokens of a row
    encoder: Encoder | None = None  # what it is built on, where it goes on from a trained network
    branches: tuple[Branch, ...] = ()  # of a network that reads several parts: its decoded columns, in their order
    window: WindowShape | None = None  # of a network that foretells series


@dataclass(frozen=True)
class NetworkCost:
    """What a network takes for one row, counted on paper.

    Operations alone mistake seconds by up to nine times: thin layers wait for memory, and a single row for each layer's
    start. The weights were measured on CPUs; with them nine predictions in ten are within a factor of two.
    """

    parameters: int
    flops: int  # products and sums of convolutions and matrices
    values: int  # numbers that those write
    layers: int  # of those

    @property
    def step_ops(self) -> float:
        """What a row in a large batch takes, in operations: a number written takes as long as so many."""
        return self.flops + 600.0 * self.values

    @property
    def row_ops(self) -> float:
        """What a row alone takes, in operations."""
        return self.flops + 100.0 * self.values + 1.5e6 * self.layers


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of model: what it needs, what can be tuned, how to build and read it.

    Classical: `build(params) -> Learner` and `load(parts) -> Learner`.
    Neural: `build(params, shape) -> torch.nn.Module`; the training loop and the file format are automl's.
    """

    name: str
    title: str
    route: Route
    space: Space
    build: Callable[..., Any]
    load: Callable[[Mapping[str, bytes]], Learner] | None = None
    reads: frozenset[str] = TABLE  # kinds of blocks: numbers and codes, or "image", "audio", "text"
    is_coursed: bool = False  # trained on a course: its rate must come to rest in the time that it is granted
    goes_on: bool = False  # from a network that was trained before
    reads_all: bool = False  # columns of its kinds at once; else it reads one of them
    needs: Needs = Needs()
    portfolio: tuple[Params, ...] = ()  # strong configurations, each over `starts`, tried in this order after it
    quick: Params = field(default_factory=dict)  # over `starts`: a fraction of its time, for a first model in seconds
    price: Price = Price()
    # ways to present a table, by automl's names, in the order of their trial
    recipes: tuple[str, ...] = ("reduced", "plain", "patches", "log", "means", "rich", "rich log")
    counts_weights: bool = False  # to it a row of weight two is the same as that row twice
    is_threaded: bool = True  # whether one fit makes good use of several threads
    cost: Callable[[Params, Shape], NetworkCost] | None = (
        None  # of a network: what cannot be afforded is then never trained
    )
    imports: tuple[str, ...] = ()  # what a fit loads the first time in a process: seconds that are not the fit's

    @property
    def fuses(self) -> bool:
        """Whether it reads a table's own columns and decoded ones together."""
        return self.route == "neural" and self.reads > TABLE

    def columns(self, media: Mapping[str, Media]) -> list[str]:
        """The columns that this family can read, in their order: all at once, or one of them."""
        return [
            name for name, block in media.items()
            if block.kind in self.reads and (block.encoder is not None or not self.goes_on)
        ]  # fmt: skip

    def configs(self) -> list[dict[str, Any]]:
        """The default, then the portfolio, as full configurations."""
        default = starts(self.space)
        return [default, *({**default, **entry} for entry in self.portfolio)]
