"""What is done to mixed probabilities before anybody sees them: learned on held-out rows, kept only where it pays.

Calibration makes a model as sure as it is right: a slope on log-probabilities, for two classes a shift besides, and a
floor under all of them, since a few rows that were thought impossible can cost more than all others together.
For metrics of labels the threshold is the one that calibrated probabilities themselves expect to score best: it varies
far less than the one that happened to score best on the rows seen. Both are judged on rows they were not learned on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.ensemble.blend import BlendPart, mix
from automl.records import Calibration
from automl.scoring.folds import make_folds
from automl.scoring.losses import FLOOR, TableRule
from automl.scoring.metrics import Metric, sample_rows
from automl.scoring.readout import calibrated, decided

CLEAR = 1.0  # standard errors by which a gain must exceed zero; two let more gains go than losses they spared
PRIOR = 5.0  # rows' worth of belief that nothing needs to change: few rows move little
FIT_ROWS, FIT_CELLS = 4_000, 100_000  # learned on so many rows, fewer where there are many classes
WORST_SHARE = 0.25  # of these rows are those told worst, which decide the floor; the others stand for more each
NEWTON_STEPS = 20
ROUNDS_OF_TRUST = 8  # between the floor and the slope of the rows that it does not explain
FIRST_FLOOR = 0.01
SURPRISES = 0.5  # rows' worth of belief that something thought impossible happens
STEEP = (0.1, 10.0)  # slopes that can be believed
LEVELS = 32  # thresholds that are compared, twice: evenly over the rows, and over the rows of the rarer class
MOST_OWN = 100  # classes of which a user's function is asked about every answer by every label
OWN_LEVELS = 4  # the same at least where each look asks a user's function
POWERS = np.linspace(0.0, 1.2, 13)  # of several classes, the label weights are the classes' shares to minus these
TUNED_PARTS, TUNED_ROWS = 3, 3_000  # of a fold, to learn its rule for labels: a few milliseconds
ROUNDS = 60  # redrawings that tell what chance leaves of a gain in labels
RANKINGS = ("roc_auc", "average_precision")  # no calibration of two classes changes them


@dataclass(frozen=True)
class Chosen:
    """Models mixed by weights: those chosen on all rows, and for each part of the rows those chosen without it."""

    predictions: Sequence[np.ndarray]
    weights: np.ndarray
    parts: Sequence[BlendPart]

    def on(self, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """The mixture on these rows."""
        given: np.ndarray = self.weights if weights is None else weights
        used = [k for k in range(len(given)) if given[k] > 0]
        return mix(given[used], [self.predictions[k][rows] for k in used])

    def pooled(self, change: Callable[[int, np.ndarray], np.ndarray] = lambda _, p: p) -> np.ndarray:
        """Each part predicted by what was chosen without it, and then changed as part k asks."""
        pooled = np.empty(self.predictions[0].shape)
        for k, part in enumerate(self.parts):
            pooled[part.held] = change(k, self.on(part.held, part.weights))
        return pooled


def tune(
    metric: Metric, y: np.ndarray, chosen: Chosen, weight: np.ndarray | None = None
) -> tuple[Calibration, np.ndarray]:
    """The readout that pays, and predictions to score: of each row, by weights and readout learned without it."""
    raw = chosen.pooled()
    if not metric.is_of_classes or not np.isfinite(raw).all():
        return Calibration(), raw
    everything = np.arange(len(y))
    rows = [_sample(y, raw, np.delete(everything, part.held), weight) for part in chosen.parts]
    seen = [chosen.on(some.rows, part.weights) for some, part in zip(rows, chosen.parts, strict=True)]
    learned = [_learn(y[some.rows], p, some.weight) for some, p in zip(rows, seen, strict=True)]
    all_rows = _sample(y, raw, everything, weight)
    whole = chosen.on(all_rows.rows)
    final = _learn(y[all_rows.rows], whole, all_rows.weight)
    sure, best = chosen.pooled(lambda k, p: calibrated(p, learned[k])), raw
    gain, noise = _gain(y, raw, sure, weight)
    kept = Calibration()
    if gain > CLEAR * noise and _is_fit(metric, y, raw, sure, weight):
        kept = replace(final, log_loss_gain=gain)
        best = raw if metric.name in RANKINGS else sure
    if metric.needs != "label":
        return kept, best
    rules = []
    for some, p, read in zip(rows, seen, learned, strict=True):
        shown = calibrated(p, read) if kept.log_loss_gain else p
        rules.append(_label_weights(metric, shown, calibrated(p, read), some.weight))
    told = chosen.pooled(
        lambda k, p: decided(
            calibrated(p, learned[k]) if kept.log_loss_gain else p, Calibration(label_weights=rules[k])
        )
    )
    gain, noise = _label_gain(metric, y, best, told, weight)
    if gain <= CLEAR * noise:
        return kept, best
    rule = _label_weights(metric, calibrated(whole, kept), calibrated(whole, final), all_rows.weight)
    return replace(kept, label_weights=rule, label_gain=gain), told


def calibrated_apart(
    y: np.ndarray, raw: np.ndarray, parts: Sequence[BlendPart], weight: np.ndarray | None = None
) -> np.ndarray:
    """Mixed probabilities, those of each part calibrated by what the other parts teach."""
    told = np.array(raw, dtype=np.float64)
    for part in parts:
        some = _sample(y, raw, np.delete(np.arange(len(y)), part.held), weight)
        told[part.held] = calibrated(raw[part.held], _learn(y[some.rows], raw[some.rows], some.weight))
    return told


def tuned_error(metric: Metric, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The error with the rule for labels that these rows teach, each row told by a rule learned on others.

    What a search is to compare: with one row in a hundred positive, half is a threshold that no good model passes.
    """
    told = tuned(metric, y, p, weight)
    plain = metric.error(y, p, weight)
    return plain if told is p else min(plain, metric.error(y, told, weight))


def tuned(metric: Metric, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Probabilities moved by such a rule; as they are where no labels are scored, or looking would take too long."""
    is_slow = metric.own is not None and not metric.own.is_quick
    if metric.needs != "label" or is_slow or len(y) < 2 or not np.isfinite(p).all():
        return p
    folds = make_folds(y, "multiclass", count=TUNED_PARTS, seed=0)  # a threshold cannot know a group by heart
    chosen = Chosen([p], np.ones(1), [BlendPart(folds.held(k), np.ones(1)) for k in range(folds.count)])
    rules = []
    for part in chosen.parts:
        rows = np.delete(np.arange(len(y)), part.held)
        rows = rows[sample_rows(y[rows], TUNED_ROWS)]
        some = _of(weight, rows)
        rules.append(_label_weights(metric, p[rows], calibrated(p[rows], _learn(y[rows], p[rows], some)), some))
    moved = chosen.pooled(lambda k, found: decided(found, Calibration(label_weights=rules[k])))
    return np.asarray(moved / moved.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class _Sample:
    """Rows to learn from, and how many each stands for, one on average."""

    rows: np.ndarray
    weight: np.ndarray


def _sample(y: np.ndarray, p: np.ndarray, rows: np.ndarray, weight: np.ndarray | None) -> _Sample:
    """All rows where they are few; else those told worst, and of the others an even part that stands for them."""
    most = min(FIT_ROWS, max(1_000, FIT_CELLS // p.shape[1]))
    stands_for = np.ones(len(rows))
    if len(rows) > most:
        worst = round(WORST_SHARE * most)
        order = np.argsort(p[rows, y[rows]], kind="stable")
        bad, rest = rows[np.sort(order[:worst])], rows[np.sort(order[worst:])]
        some = rest[sample_rows(y[rest], most - worst)]
        rows = np.concatenate([bad, some])
        stands_for = np.concatenate([np.ones(len(bad)), np.full(len(some), len(rest) / len(some))])
    given = stands_for if weight is None else stands_for * np.asarray(weight, dtype=np.float64)[rows]
    return _Sample(rows, _of(given, np.arange(len(rows))))


def _of(weight: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """The weights of these rows, one on average."""
    some = np.ones(len(rows)) if weight is None else np.asarray(weight, dtype=np.float64)[rows]
    return some * (len(some) / float(some.sum())) if some.any() else np.ones(len(some))


# --- calibration -----------------------------------------------------------------------------------------------------


def _learn(y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> Calibration:
    """Slope, shift and floor with the least log loss: in turn, rows that the floor explains teach no slope.

    Few rows leave them near one, zero and zero.
    """
    logs = np.log(np.maximum(p, FLOOR, dtype=np.float64))
    shares = np.bincount(y, weight, minlength=p.shape[1]) + 1.0 / p.shape[1]
    shares /= shares.sum()
    at, floor, trust = np.array([1.0, 0.0]), FIRST_FLOOR, np.ones(len(y))
    for _ in range(ROUNDS_OF_TRUST):
        at, told = _sharpen(logs, y, weight * trust, at)
        before, known = floor, (1.0 - floor) * told
        trust = known / (known + floor * shares[y])
        floor = float((weight * (1.0 - trust)).sum() + SURPRISES) / (float(weight.sum()) + SURPRISES + PRIOR)
        if abs(floor - before) < 0.01 * floor:
            break
    return Calibration(
        slope=float(at[0]), shift=float(at[1]), floor=floor, shares=tuple(float(share) for share in shares)
    )


def _sharpen(logs: np.ndarray, y: np.ndarray, weight: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and shift with the least log loss, by Newton's method, and the probabilities of the answers under them."""
    is_binary, truth = logs.shape[1] == 2, logs[np.arange(len(y)), y]
    for _ in range(NEWTON_STEPS):
        q = _raised(logs, at)
        mean = (q * logs).sum(axis=1)
        slope = (weight * (mean - truth)).sum() + PRIOR * (at[0] - 1.0)
        bend = (weight * ((q * logs * logs).sum(axis=1) - mean * mean)).sum() + PRIOR
        step = np.array([slope / bend, 0.0])
        if is_binary:
            last, spread = q[:, 1], q[:, 1] * (1.0 - q[:, 1])
            lift = (weight * (last - y)).sum() + PRIOR * at[1]
            both, rise = (weight * (last * logs[:, 1] - last * mean)).sum(), (weight * spread).sum() + PRIOR
            step = np.linalg.solve(np.array([[bend, both], [both, rise]]), np.array([slope, lift]))
        step = np.clip(step, -1.0, 1.0)  # far from the end a full step may overshoot
        at = at - step
        at[0] = min(max(at[0], STEEP[0]), STEEP[1])
        if np.abs(step).max() < 1e-4:
            break
    return at, _raised(logs, at)[np.arange(len(y)), y]


def _raised(logs: np.ndarray, at: np.ndarray) -> np.ndarray:
    raised = at[0] * logs
    raised[:, -1] += at[1]
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _losses(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    losses: np.ndarray = -np.log(np.maximum(p[np.arange(len(y)), y], FLOOR))
    return losses


def _gain(y: np.ndarray, before: np.ndarray, after: np.ndarray, weight: np.ndarray | None) -> tuple[float, float]:
    """What the log loss lost, and the standard error of that.

    Half a row of surprise is part of it: where no held-out row was told surely wrong, one of those to come may be, and
    what that costs is what a floor is for.
    """
    saved, weight = _losses(y, before) - _losses(y, after), _of(weight, np.arange(len(y)))
    gain = float((weight * saved).mean())
    noise = float(np.sqrt((np.square(weight * (saved - gain))).sum())) / len(y)
    shares = np.bincount(y, weight, minlength=before.shape[1]) / len(y)
    surprises = [float((np.log(np.maximum(p, FLOOR)) @ shares).mean()) for p in (before, after)]
    return gain + SURPRISES / len(y) * (surprises[1] - surprises[0]), noise


def _is_fit(metric: Metric, y: np.ndarray, raw: np.ndarray, sure: np.ndarray, weight: np.ndarray | None) -> bool:
    """Whether calibration leaves the metric alone or lowers its error."""
    if metric.name in RANKINGS or metric.needs == "label":
        return raw.shape[1] == 2 or metric.needs == "label"  # of several classes a slope moves rows past each other
    if metric.name == "log_loss":  # that gain was asked for already, with what has not been seen yet
        return True
    return metric.error(y, sure, weight) < metric.error(y, raw, weight)


# --- labels ----------------------------------------------------------------------------------------------------------


def _label_weights(metric: Metric, shown: np.ndarray, chances: np.ndarray, weight: np.ndarray) -> tuple[float, ...]:
    """The weights under which the probabilities shown, were the chances true, would score best."""
    classes = shown.shape[1]
    judge = _judge(metric, classes)
    if judge is None:
        return tuple(1.0 / classes for _ in range(classes))
    tables: Iterable[np.ndarray]
    if classes == 2:
        levels = max(OWN_LEVELS, metric.own.rounds // 5) if metric.own else LEVELS
        thresholds, tables = _by_threshold(shown[:, 1], chances[:, 1], weight, levels)
        weights = np.column_stack([thresholds, 1.0 - thresholds])
    else:
        shares = np.maximum((chances * weight[:, None]).mean(axis=0), 1.0 / len(shown))
        weights = shares[None, :] ** -POWERS[:, None]
        tables = (_table(chances * weight[:, None], (shown * each).argmax(axis=1)) for each in weights)
    errors = np.array([judge(table) for table in tables])
    least = np.flatnonzero(errors <= errors.min() + 1e-12)
    chosen = weights[least[len(least) // 2]]
    return tuple(float(each) for each in chosen / chosen.sum())


def _judge(metric: Metric, classes: int) -> Callable[[np.ndarray], float] | None:
    """The metric's error by a table of answers and labels; None where a user's function would see too long a one."""
    if isinstance(metric.rule, TableRule):
        return metric.rule.error_of
    if classes > MOST_OWN:
        return None
    answers, told = np.divmod(np.arange(classes**2), classes)
    errors = metric.errors(answers, np.eye(classes)[told])
    return lambda table: errors(table.ravel())


def _by_threshold(
    shown: np.ndarray, chances: np.ndarray, weight: np.ndarray, levels: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Thresholds between probabilities and beyond all of them, each with the expected table of answers by labels."""
    order = np.argsort(shown, kind="stable")
    shown, found = shown[order], (weight * chances)[order]
    misses, hits = np.cumsum(weight[order] - found), np.cumsum(found)
    shares = (np.arange(levels) + 0.5) / levels
    rarer = hits if hits[-1] <= misses[-1] else misses
    places = np.concatenate([np.searchsorted(sums, shares * sums[-1]) for sums in (misses + hits, rarer)])
    places = np.unique(np.minimum(places, len(shown) - 2))
    places = places[shown[places] < shown[places + 1]] if len(shown) > 1 else places[:0]
    thresholds = [shown[0] / 2, *((shown[places] + shown[places + 1]) / 2), (shown[-1] + 1) / 2]
    below = np.column_stack([misses, hits])
    cuts = np.concatenate([np.zeros((1, 2)), below[places], below[-1:]])
    tables = [np.column_stack([cut, below[-1] - cut]) for cut in cuts]  # of each class the rows below and above
    inside = [k for k, threshold in enumerate(thresholds) if 0 < threshold < 1]
    return np.array(thresholds)[inside], [tables[k] for k in inside]


def _table(chances: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Expected answers (rows) by labels told (columns)."""
    return np.stack([np.bincount(told, each, minlength=chances.shape[1]) for each in chances.T])


def _label_gain(
    metric: Metric, y: np.ndarray, before: np.ndarray, after: np.ndarray, weight: np.ndarray | None
) -> tuple[float, float]:
    """What the metric's error lost, and the standard error of that: rows redrawn, equal rows together."""
    classes, weight = before.shape[1], _of(weight, np.arange(len(y)))
    first, second = before.argmax(axis=1), after.argmax(axis=1)
    cells, cell_of = np.unique((y * classes + first) * classes + second, return_inverse=True)
    shares = np.bincount(cell_of, weight)
    answers, told = cells // classes**2, np.eye(classes)
    old = metric.errors(answers, told[cells // classes % classes])
    new = metric.errors(answers, told[cells % classes])
    rounds = max(8, metric.own.rounds // 3) if metric.own else ROUNDS
    count = math.ceil(len(y) ** 2 / float(np.square(weight).sum()))  # rows of equal weight that tell as much
    drawn = np.random.default_rng(0).multinomial(count, shares / shares.sum(), rounds).astype(np.float64)
    return old(shares) - new(shares), float(np.std([old(each) - new(each) for each in drawn]))
