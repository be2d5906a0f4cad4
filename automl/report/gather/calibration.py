"""Whether the chosen model is as sure as it is right: what it said of held-out rows beside how often that came true.

Of two classes the probability of the one to be found is asked about, of several that of the answer given, and the class
whose own probability is farthest off. Of quantiles it is counted how many answers lie below each.
"""

from __future__ import annotations

import numpy as np

from automl.report.gather.findings import GatherInputs
from automl.report.gather.held import HeldRows, held_rows, shares_apart, unfit
from automl.report.sections.calibration import BinJson, CalibrationJson, CurveJson, LevelJson
from automl.scoring import chance

LEAST_ROWS = 100  # below it no share says anything
LEAST_OF_CLASS = 50  # answers of a class, from which its own probability is judged
LEAST_IN_BIN = 25
CUTS = 5  # bins evenly over the rows, and over those of which it is unsure
MOST_CLASSES = 30  # whose own probability is looked at, the most frequent first
ROUNDS = 400  # redrawings of the bins
MULTIPLES = np.linspace(0.0, 3.0, 41)  # of the gaps seen, that are tried


def gather(given: GatherInputs) -> CalibrationJson:
    """What was said beside what came true."""
    profile, held = given.finish.profile, held_rows(given)
    found: CalibrationJson = {
        "why_not": None, "kind": "classes", "rows": len(held.y), "curves": [], "levels": [], "between": [],
    }  # fmt: skip
    if not (profile.classes or profile.levels):
        return {**found, "kind": "numbers", "why_not": "it predicts numbers, whose errors are shown below"}
    if told := unfit(held, LEAST_ROWS):
        return {**found, "why_not": told}
    if profile.levels:
        assert held.levels is not None
        levels, between = coverage(profile.levels, held.levels, held)
        return {**found, "kind": "levels", "levels": levels, "between": between}
    shares = shares_apart(given, held)
    labels = [str(label) for label in profile.classes]
    if len(labels) == 2:
        return {**found, "curves": [curve(shares[:, profile.positive], held.y == profile.positive, held,
                                          ("class", labels[profile.positive]))]}  # fmt: skip
    sure = shares[np.arange(len(held.y)), held.said]
    curves = [curve(sure, held.said == held.y, held, ("answer", None))]
    return {**found, "curves": curves + worst_class(shares, held, labels)}


def curve(
    said: np.ndarray, is_so: np.ndarray, held: HeldRows, of: tuple[str, str | None], level: float = chance.LEVEL
) -> CurveJson:
    """Probabilities in bins beside the shares that came true, and how far off they are on average."""
    bin_of = binned(said)
    bins: list[BinJson] = []
    gaps, errors, sizes = [], [], []
    for k in range(int(bin_of.max()) + 1):
        own = bin_of == k
        weight, blocks = held.weight[own], None if held.blocks is None else held.blocks[own]
        told, true = float(np.average(said[own], weights=weight)), chance.share(is_so[own], weight, blocks)
        bins.append({"said": told, "found": true.value, "low": true.low, "high": true.high, "rows": int(own.sum()),
                     "start": float(said[own].min()), "end": float(said[own].max())})  # fmt: skip
        gaps.append(told - true.value)
        errors.append(_noise(told, is_so[own] - said[own], weight, blocks))
        sizes.append(float(weight.sum()))
    error, low, high, by_chance = far_off(np.array(gaps), np.array(errors), np.array(sizes), level)
    return {"of": of[0], "label": of[1], "bins": bins, "error": error, "low": low, "high": high,
            "by_chance": by_chance}  # fmt: skip


def binned(said: np.ndarray) -> np.ndarray:
    """The bin of each row: evenly over the rows, and again over those of which it is unsure, none with few rows."""
    cuts, unsure = np.arange(1, CUTS) / CUTS, said * (1 - said)
    edges = [np.quantile(said, cuts)]
    if unsure.any():
        edges.append(chance.quantile(said, unsure, cuts))
    bin_of = np.searchsorted(np.unique(np.concatenate(edges)), said, side="right")
    counts = np.bincount(bin_of)
    names, name, inside = np.zeros(len(counts), dtype=np.int64), 0, 0
    left = len(said)
    for k, count in enumerate(counts.tolist()):
        names[k] = name
        inside, left = inside + count, left - count
        if inside >= LEAST_IN_BIN and left >= LEAST_IN_BIN:
            name, inside = name + 1, 0
    return names[bin_of]


def _noise(told: float, off: np.ndarray, weight: np.ndarray, blocks: np.ndarray | None) -> float:
    """The standard error of a bin's gap; where all came out alike what is said tells the spread instead."""
    seen = chance.standard_error(off, weight, blocks)
    expected = float(np.sqrt(told * (1 - told) * np.square(weight).sum())) / float(weight.sum())
    return max(seen, expected)


def far_off(
    gaps: np.ndarray, errors: np.ndarray, sizes: np.ndarray, level: float = chance.LEVEL
) -> tuple[float, float, float, float]:
    """The mean distance without what chance adds to it, its 95 % interval, and what chance alone would show.

    Distances count without their sign, so that noise makes them larger. Asked is which multiples of the gaps seen, as
    they are and with what noise alone would make of them taken off, could have shown as much: these are the interval.
    """
    share, errors = sizes / sizes.sum(), np.where(np.isfinite(errors), errors, 0.5)
    noise = np.random.default_rng(0).standard_normal((ROUNDS, len(gaps))) * errors
    seen = float(share @ np.abs(gaps))
    sure = np.sign(gaps) * np.sqrt(np.maximum(gaps**2 - errors**2, 0.0))
    inside: list[float] = []
    likeliest: list[float] = []
    for shape in (gaps, sure if sure.any() else gaps):
        size = float(share @ np.abs(shape))
        shown = np.stack([np.abs(times * shape + noise) @ share for times in MULTIPLES])
        low, middle, high = np.quantile(shown, ((1 - level) / 2, 0.5, (1 + level) / 2), axis=1)
        could = (low <= seen) & (seen <= high)
        likeliest.append(size * float(MULTIPLES[np.abs(middle - seen).argmin()]))
        inside += (size * MULTIPLES[could]).tolist() or likeliest[-1:]
    return float(np.mean(likeliest)), min(inside), max(inside), float((np.abs(noise) @ share).mean())


def worst_class(shares: np.ndarray, held: HeldRows, labels: list[str]) -> list[CurveJson]:
    """The class whose own probability is farthest off, where more than chance says so."""
    counts = np.bincount(held.y, minlength=len(labels))
    often = [k for k in np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist() if counts[k] >= LEAST_OF_CLASS]
    level = 1 - (1 - chance.LEVEL) / max(1, len(often))  # one of many is off by chance
    curves = {k: curve(shares[:, k], held.y == k, held, ("class", labels[k]), level) for k in often}
    worst = max(curves, key=lambda k: curves[k]["low"], default=None)
    if worst is None or curves[worst]["low"] <= 0:
        return []
    return [curve(shares[:, worst], held.y == worst, held, ("class", labels[worst]))]


def coverage(levels: tuple[float, ...], told: np.ndarray, held: HeldRows) -> tuple[list[LevelJson], list[LevelJson]]:
    """The share of answers at or below each quantile, and between the outer ones and their inner pairs."""
    below = [chance.share(held.y <= told[:, k], held.weight, held.blocks) for k in range(len(levels))]
    single: list[LevelJson] = [
        {"lower": None, "upper": level, "asked": level, "share": one.value, "low": one.low, "high": one.high}
        for level, one in zip(levels, below, strict=True)
    ]
    pairs: list[LevelJson] = []
    for k in range(len(levels) // 2):
        other = len(levels) - 1 - k
        inside = (told[:, k] <= held.y) & (held.y <= told[:, other])
        one = chance.share(inside, held.weight, held.blocks)
        pairs.append({"lower": levels[k], "upper": levels[other], "asked": levels[other] - levels[k],
                      "share": one.value, "low": one.low, "high": one.high})  # fmt: skip
    return single, pairs
