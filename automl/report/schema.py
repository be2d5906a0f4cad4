"""What report.json holds, key by key: format 1.

Every key may be missing or null (an interrupted run has no verdict yet); the page then shows a dash or leaves the part
out. Later formats may add keys; a reader ignores what it does not know.
"""

from __future__ import annotations

from typing import Any, TypedDict

FORMAT = 1


class ScoreJson(TypedDict, total=False):
    """A `records.Score`."""

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    level: float
    optimism: float  # already removed from the value


class RunJson(TypedDict, total=False):
    """Which run this was."""

    name: str
    started: str  # ISO 8601 with its offset
    seconds: float  # from the call to its return
    budget: str  # as the user would write it: "300s", "50 trials"
    overrun_s: float  # above the budget; zero or negative: it held
    interrupted: bool
    command: str  # what to type next, for instance to predict
    folder: str


class MeasuredJson(TypedDict, total=False):
    """The saved model as a user meets it: raw rows in, predictions out."""

    row_ms: float
    batch_ms: float  # 1,000 rows
    size_mb: float


class CoverageJson(TypedDict, total=False):
    """What a quantile promises and what it held on held-out rows."""

    level: float
    share: float  # of the answers that do not exceed it


class VerdictJson(TypedDict, total=False):
    """What the run found."""

    sentence: str  # without one, `words.verdict` writes it
    chosen: str  # name of a row of the leaderboard
    because: str  # why this one, `frontier.Pick.because`
    score: ScoreJson
    baseline: ScoreJson  # predicting without a model
    test: ScoreJson  # on the held-out data the user gave
    untested: str  # why there is no such score, where that data was given; else empty
    meets_min_score: bool  # null where none was asked for
    coverage: list[CoverageJson]  # of quantiles; empty for other tasks
    model: MeasuredJson


class DataJson(TypedDict, total=False):
    """What was learned from."""

    name: str
    rows: int
    columns: int
    target: str
    task: str
    task_rule: str
    metric: str
    metric_rule: str
    classes: list[Any]
    class_counts: list[int]
    positive: int  # of two classes the place of the one that f1 and average_precision look for
    levels: list[float]  # of the quantiles to predict; empty for other tasks
    kinds: dict[str, int]
    notes: list[str]


class FindingJson(TypedDict, total=False):
    """A `records.Finding`."""

    code: str
    severity: str  # "danger" | "warning" | "info"
    message: str
    column: str
    evidence: dict[str, Any]


class RuleJson(TypedDict, total=False):
    """A `records.Rule`."""

    name: str
    because: str
    effect: str


class SkipJson(TypedDict, total=False):
    """A `records.Skip`."""

    family: str
    because: str


class EvidenceJson(TypedDict, total=False):
    """What one family showed on the same folds."""

    family: str
    route: str
    trials: int
    score: ScoreJson  # of its best trial; null where no trial was done
    cpu_s: float


class DecisionJson(TypedDict, total=False):
    """How the budget was split, why, and what came of it."""

    shares: dict[str, float]  # route -> share of the search seconds
    families: list[str]
    rules: list[RuleJson]
    skipped: list[SkipJson]
    evidence: list[EvidenceJson]
    outcome: str  # one sentence


class ConfusionJson(TypedDict, total=False):
    """A `mistakes.Confusion`: held-out rows by answer, then by what the chosen model said; null for numbers."""

    classes: list[Any]  # labels, at most 30; where there are more the last one is "others"
    counts: list[list[int]]
    gathered: int  # classes behind "others"
    wrong: int  # rows


class SampleJson(TypedDict, total=False):
    """A held-out image or sound; pictures are names of files in the run's folder `pictures`."""

    name: str  # of its file, or its row
    kind: str  # "wrong" | "unsure" | "right"
    answer: Any
    prediction: Any
    probability: float  # of the prediction; null where answers are numbers
    answer_probability: float
    seconds: float  # of a sound; null for images
    picture: str  # as the model sees it: pixels, or a spectrogram
    heat: str  # the same with what the answer rests on; null where that is not known


class SamplesJson(TypedDict, total=False):
    """A `samples.Samples`: what the chosen model makes of some held-out images or sounds; null for tables."""

    kind: str  # "image" | "audio"
    files: list[SampleJson]  # what is surest and wrong comes first
    explained: str  # how it was found where the model looked; null where it was not
    notes: list[str]  # what could not be done, and why


class ColumnJson(TypedDict, total=False):
    """A column, and by how much the metric gets worse when its cells are shuffled among held-out rows."""

    column: str
    importance: float  # above zero: the model rests on it
    low: float
    high: float  # of the 95 % interval over rows and repeats


class ImportanceJson(TypedDict, total=False):
    """An `importance.Importance` of the chosen model."""

    metric: str
    higher_is_better: bool
    rows: int  # held out
    repeats: int
    columns: list[ColumnJson]  # what the model rests on most comes first
    missing: int  # columns that were not measured
    notes: list[str]  # why


class ReadoutJson(TypedDict, total=False):
    """A `records.Calibration`: from mixed probabilities to those shown, and to labels."""

    slope: float
    shift: float
    label_weights: list[float]  # of two classes the first, with both summing to one, is the threshold
    log_loss_gain: float
    label_gain: float


class CandidateJson(TypedDict, total=False):
    """A `records.Candidate` with the families of its members."""

    name: str
    families: list[str]
    score: ScoreJson
    fit_s: float
    row_ms: float
    batch_ms: float  # 1,000 rows
    size_mb: float
    lean_ms: float  # with one fold of each member kept
    lean_mb: float
    on_frontier: bool
    picks: list[str]
    within_ms: float  # of a blend: what its members' folds together may take for a row; null: anything
    kept: dict[str, int]  # trial number -> its folds that take part, where not all do
    readout: ReadoutJson


class TrialJson(TypedDict, total=False):
    """One configuration that was tried."""

    number: int
    family: str
    presented: str  # how it saw the table: a recipe of features, and the share of the rows if not all
    status: str  # a `records.TrialStatus`
    because: str
    score: ScoreJson | float  # mean over its folds, in the metric's unit
    folds_done: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    message: str
    retries: int  # jobs that were given again, since their worker died
    parent: int  # the trial that it tries again on fewer rows, since memory ran out; null for most
    finished_s: float  # since the start of the run


class InvoiceJson(TypedDict, total=False):
    """An `invoice.Invoice`: every second of every core held."""

    core_s: dict[str, float]  # done, partial, failed, late, lost, idle, overhead
    held_core_s: float  # their sum
    gpu_s: float
    machine_s: float
    money: float  # for holding the machines
    currency: str
    kwh: float
    energy_how: str
    co2_g: float
    retries: int
    until_s: float  # of the run


class CostJson(TypedDict, total=False):
    """What was spent on what."""

    wall_s: dict[str, float]  # stage -> seconds, in the order of the stages
    cpu_s: float
    failed_cpu_s: float  # of it, for trials that gave nothing
    peak_mb: float
    trials_by_status: dict[str, int]
    invoice: InvoiceJson


class Report(TypedDict, total=False):
    """The whole report."""

    format: int
    run: RunJson
    verdict: VerdictJson
    data: DataJson
    audit: list[FindingJson]
    decision: DecisionJson
    leaderboard: list[CandidateJson]  # best first
    confusion: ConfusionJson
    samples: SamplesJson
    importance: ImportanceJson
    trials: list[TrialJson]  # by number
    cost: CostJson
    versions: dict[str, str]
    reproduce: str  # a line of Python or of the shell that does the run again
