"""The nouns of what a run says at its end of the choice between routes: who was compared, by how much, at what cost.

Errors are those of the metric, lower is better; of scores that rise it is what they lack of one.
"""

from __future__ import annotations

from dataclasses import dataclass

from automl.records.choice import Skip

BOTH = "both"  # the route of a blend of several
TIMES = 10.0  # as many rows, or seconds: what learning curves are extrapolated to


@dataclass(frozen=True, kw_only=True)
class RouteShown:
    """What one route showed, and what it would have cost."""

    route: str  # "classical", "neural" or "hybrid": behind a network trained before
    trials: int = 0
    folds: int = 0  # that they finished
    cpu_s: float = 0.0
    best: str = ""  # its best model, the others compared with it on the folds that both did
    row_ms: float | None = None  # of that model as it would be used
    size_mb: float | None = None
    train_s: float | None = None  # CPU seconds that it took to train
    above: str = ""  # the limit that no model of it meets, with its values
    why_not: str = ""  # why nothing of it can be compared


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The best model of another route against the best of the chosen one, on the same rows."""

    route: str
    ours: str
    theirs: str
    our_error: float
    their_error: float
    low: float  # of their error less ours
    high: float  # its 95 % interval over rows
    folds: int  # that both did
    of: int  # folds that a finished model has
    rows: int
    share: float = 1.0  # of the training rows that theirs learned from

    @property
    def gap(self) -> float:
        """By how much their error is above ours; below zero they are better."""
        return self.their_error - self.our_error

    @property
    def is_real(self) -> bool:
        """Whether chance does not explain it."""
        return self.low > 0 or self.high < 0

    @property
    def less(self) -> float:
        """The share of its error that the better one of the two saves."""
        worse = max(self.their_error, self.our_error)
        return abs(self.gap) / worse if worse > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class MeasuredRegret:
    """How far the returned model is behind the best route alone, had one known: held out, corrected for the choice."""

    value: float  # in units of the error; never below zero
    low: float
    high: float  # of its 95 % interval
    gain: float  # what the best route alone has more error than the returned model; below zero it has less
    gain_low: float
    gain_high: float
    error: float  # of the best route alone
    against: str  # which route that is
    routes: tuple[str, ...]  # that were looked at
    rows: int


@dataclass(frozen=True)
class Change:
    """The logarithm of an error with more of something over the error now, as a normal distribution."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Curve:
    """What a route's learning curve says: of ten times the rows, and of ten times the seconds."""

    rows: Change | None = None
    seconds: Change | None = None


@dataclass(frozen=True)
class Turn:
    """A fact that is another one would change the verdict, or would not."""

    what: str  # "rows", "seconds": ten times as many; or the option whose other value would do it
    route: str  # that would then win, or be let in
    less: float | None = None  # the share of the error that it would save against the chosen one
    win: float | None = None  # how sure that is


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """What it takes to train the model again and again for a year."""

    every_s: float
    times: float  # a year
    cpu_s: float  # of one training
    money: float  # of one training; 0: these machines cost nothing
    currency: str = "USD"
    other_cpu_s: float | None = None  # of one training of the best other route
    tipped: str = ""  # the model that a tie was taken from, since it costs more to train


@dataclass(frozen=True, kw_only=True)
class Existing:
    """The model or score that there is already."""

    name: str
    score: float | None
    low: float | None = None
    high: float | None = None
    how: str = ""  # on which rows it was scored, and what is not known of it
    is_fair: bool = True  # whether these are rows that it is not known to have had a chance to learn from
    gain: float | None = None  # by how much our error is below its own
    gain_low: float | None = None
    gain_high: float | None = None
    findings: tuple[str, ...] = ()  # of the audit, worth a look before more models
    why_not: str = ""  # why it has no score

    @property
    def is_flat(self) -> bool:
        """Whether nothing of this run is clearly better."""
        return self.gain_low is not None and self.gain_low <= 0


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The score below which no model is worth using."""

    asked: float
    promised: float
    is_met: bool
    low: float | None = None
    high: float | None = None  # of the promised interval
    higher_is_better: bool = True


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Which route was taken, on what evidence, what that choice cost, and what would change it."""

    route: str  # of the returned model: one of them, or "both"
    model: str
    members: tuple[str, ...] = ()  # the routes that it mixes
    metric: str
    higher_is_better: bool
    perfect: float | None = None  # the score of no error; None: what it is by the way scores go
    rows: int  # of the data
    routes: tuple[RouteShown, ...] = ()
    differences: tuple[Difference, ...] = ()
    regret: MeasuredRegret | None = None
    took_cheap: bool = False  # no difference could be told, and the cheaper one was taken
    turns: tuple[Turn, ...] = ()
    win_before: float | None = None  # the probability that networks are better, as it was thought
    win_after: float | None = None  # with what was measured
    excluded: tuple[Skip, ...] = ()  # by a limit or a wish, not for lack of merit
    retraining: Retraining | None = None
    existing: Existing | None = None
    goal: Goal | None = None
    unexplained: str = ""  # what explanation could not be shipped, where they are required
