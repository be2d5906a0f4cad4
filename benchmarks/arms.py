"""What the automatic choice was worth: every arm at the same budget beside it, its promises beside what came.

An arm is a forced route. Works on records and on the run folders that lie beside them; a report that lacks a number
counts nowhere that number is asked for.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import outcomes
import pandas as pd
import scoring
import sets
import tables
from scoring import Record

AUTO = "ours"  # the contestant's name of the automatic choice
FORCED = ("classical", "neural")
HYBRID = "hybrid"
RESAMPLES = 200  # of the test rows, for the standard error of a difference of two losses
LEAST_FOLDS = 3  # on which both routes should be comparable
LATE_S = 300  # beyond its seconds, after which a run is given up


@dataclass(frozen=True)
class Place:
    """A set and how an arm is run on it."""

    name: str
    arms: tuple[str, ...]
    run: Callable[[str, float, int, Path], Record]
    truth: Callable[[], pd.Series]


def places(folder: Path, out: Path, names: Sequence[str]) -> list[Place]:
    """Tables, tables of texts, and folders with train/ and test/; behind trained networks where there are files."""
    if (folder / "index.csv").is_file():
        return [_table(table, FORCED) for table in sets.from_index(folder, out / "sets", tuple(names))]
    found = []
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name
        if names and name not in names:
            continue
        if (path.parent / "train").is_dir() and (path.parent / "test").is_dir():
            found.append(_folder(path.parent))
        elif meta["modality"] in ("tabular", *sets.TEXTS):
            arms = FORCED if meta["modality"] == "tabular" else (*FORCED, HYBRID)
            found.append(_table(sets.from_folder(folder, (name,))[0], arms))
    if missing := set(names) - {place.name for place in found}:
        raise SystemExit(f"no set {sorted(missing)[0]!r} of tables, texts or files in {str(folder)!r}.")
    return found


def _table(table: sets.TableSet, arms: tuple[str, ...]) -> Place:
    def run(arm: str, seconds: float, seed: int, out: Path) -> Record:
        return tables.compete(tables.contestant(arm), table, seconds, seed, out)

    return Place(table.name, arms, run, lambda: table.answers("test"))


def _folder(folder: Path) -> Place:
    """A class per sub-folder; scored by the share of test files that are told right."""

    def run(arm: str, seconds: float, seed: int, out: Path) -> Record:
        return _run_folder(folder, arm, seconds, seed, out / "runs" / folder.name / f"{arm}-{seed}")

    return Place(folder.name, (*FORCED, HYBRID), run, lambda: _labels(folder / "test"))


def _labels(folder: Path) -> pd.Series:
    return pd.Series({str(file): file.parent.name for file in sorted(folder.glob("*/*"))})


def _run_folder(folder: Path, arm: str, seconds: float, seed: int, place: Path) -> Record:
    """The command on the training files, then its labels of the test files."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    route = "auto" if arm == AUTO else arm
    truth = _labels(folder / "test")
    constant = 1 - float((truth == _labels(folder / "train").mode()[0]).mean())
    command = [sys.executable, "-m", "automl"]
    fit = [*command, "fit", str(folder / "train"), "--budget", f"{seconds:g}", "--seed", str(seed), "--route", route]
    started = time.monotonic()
    failure = _call([*fit, "--out", str(place / "run"), "--quiet"], place, seconds)
    fit_s, score = time.monotonic() - started, None
    answers = place / "predictions.csv"
    failure = failure or _call([*command, "predict", str(place / "run"), str(folder / "test"), "-o", str(answers)],
                               place, seconds)  # fmt: skip
    if not failure:
        told = pd.read_csv(answers, dtype=str)
        score = float((told.iloc[:, -1] == [Path(name).parent.name for name in told.iloc[:, 0]]).mean())
    return Record(
        folder.name, arm, seed, seconds, "accuracy", constant, score=score, failure=failure or None, fit_s=fit_s
    )


def _call(command: Sequence[str], place: Path, seconds: float) -> str:
    """What went wrong, in a line; empty where nothing did."""
    with (place / "log.txt").open("ab") as log:
        try:
            done = subprocess.run(command, check=False, stdout=log, stderr=log, timeout=seconds + LATE_S)
        except subprocess.TimeoutExpired:
            return f"not done {LATE_S} s after its {seconds:g}"
    return f"ended with code {done.returncode}, see log.txt" if done.returncode else ""


# --- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Case:
    """One set and seed: the loss of every arm, and what the automatic run said of itself."""

    name: str
    seed: int
    losses: Mapping[str, float]  # of arms that gave a model
    auto: Record
    auto_loss: float
    all_s: float  # seconds of all arms together
    told: Told
    errors: Mapping[str, float]  # arm -> standard error of the automatic run's loss less its own

    @property
    def best(self) -> float:
        """Of the arms, with hindsight."""
        return min(self.losses.values())

    @property
    def over(self) -> float:
        """Log of the automatic run's loss over the best arm's."""
        return math.log(self.auto_loss / self.best)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a run's report says of its choice; None where it does not."""

    win_before: float | None = None
    win_after: float | None = None
    folds: int | None = None  # on which the routes were compared
    regret: tuple[float, float] | None = None  # its interval
    decision_share: float | None = None  # of the trials' seconds that went into probes


def told_by(run: Path) -> Told:
    """Read from a run folder, whatever version of the report it holds."""
    report: dict[str, Any] = {}
    with suppress(FileNotFoundError, json.JSONDecodeError):
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    decision = report.get("decision") or {}
    verdict = decision.get("verdict") or {}
    before = verdict.get("win_before")
    if before is None and (gain := decision.get("gain")) and gain.get("sd"):
        before = NormalDist().cdf(-gain["mean"] / gain["sd"])
    folds = [one.get("folds") for one in verdict.get("differences") or [] if one.get("folds") is not None]
    regret = verdict.get("regret") or {}
    bounds = regret.get("low"), regret.get("high")
    trials = [one for one in report.get("trials") or [] if one.get("cpu_s") is not None]
    probes_s = sum(one["cpu_s"] for one in trials if str(one.get("because", "")).startswith("probe"))
    all_s = sum(one["cpu_s"] for one in trials)
    return Told(
        win_before=before,
        win_after=verdict.get("win_after"),
        folds=max(folds, default=0) if "differences" in verdict else None,
        regret=(float(bounds[0]), float(bounds[1])) if None not in bounds else None,
        decision_share=probes_s / all_s if all_s > 0 else None,
    )


def cases(records: Sequence[Record], asked: Mapping[str, Place], out: Path) -> list[Case]:
    """Where the automatic run and at least one arm gave a model."""
    found = []
    for name, seed in dict.fromkeys((record.set, record.seed) for record in records):
        mine = {r.contestant: r for r in records if (r.set, r.seed) == (name, seed)}
        auto = mine.pop(AUTO, None)
        given = {arm: record for arm, record in mine.items() if record.score is not None}
        if auto is None or not given:
            continue
        floor = scoring.FLOOR * auto.constant_loss
        runs = out / "runs" / name
        found.append(
            Case(
                name=name,
                seed=seed,
                losses={arm: max(record.loss, floor) for arm, record in given.items()},
                auto=auto,
                auto_loss=max(auto.loss, floor),
                all_s=sum(record.fit_s or record.seconds for record in mine.values()),
                told=told_by(runs / f"{AUTO}-{seed}" / "run"),
                errors=_errors(asked[name], auto, runs, given),
            )
        )
    return found


def _errors(place: Place, auto: Record, runs: Path, given: Mapping[str, Record]) -> dict[str, float]:
    """Standard errors of differences of losses over redrawn test rows; of arms whose predictions are there."""
    found: dict[str, float] = {}
    ours = runs / f"{AUTO}-{auto.seed}" / "predictions.csv"
    truth = place.truth().reset_index(drop=True)
    for arm in given:
        theirs = runs / f"{arm}-{auto.seed}" / "predictions.csv"
        if auto.score is None or not (ours.is_file() and theirs.is_file()):
            continue
        found[arm] = standard_error(auto.metric, truth, pd.read_csv(ours), pd.read_csv(theirs))
    return found


def standard_error(metric: str, truth: pd.Series, ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """Of our loss less theirs; draws without both classes are left out."""
    random, found = np.random.default_rng(0), []
    is_of_labels = ours.shape[1] > 1 and metric == "accuracy" and not set(truth) & set(ours.columns)
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(truth), len(truth))
        some = truth.iloc[rows]
        if metric == "roc_auc" and some.nunique() < 2:
            continue
        losses = []
        for table in (ours, theirs):
            if is_of_labels:
                names = [Path(name).parent.name for name in table.iloc[rows, 0]]
                losses.append(float((table.iloc[rows, -1].astype(str) != names).mean()))
            else:
                told = scoring.score(metric, some.reset_index(drop=True), table.iloc[rows].reset_index(drop=True))
                losses.append(scoring.loss(metric, told))
        found.append(losses[0] - losses[1])
    return float(np.std(found)) if found else math.nan


def single_best(found: Sequence[Case]) -> str:
    """The arm that errs least on the whole, of those that gave a model everywhere, or nearly."""
    names = list(dict.fromkeys(arm for case in found for arm in case.losses))
    usual = {arm: sum(arm in case.losses for case in found) for arm in names}
    able = [arm for arm in names if usual[arm] == max(usual.values())]
    return min(
        able, key=lambda arm: float(np.mean([math.log(c.losses[arm] / c.best) for c in found if arm in c.losses]))
    )


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What the choice was worth over all sets and seeds."""

    runs: int
    over_best: float  # geometric mean of the error over the best arm's
    worst: tuple[str, float]  # set and ratio, over seeds
    arms: Mapping[str, float]  # the same mean for each arm
    single: str  # the arm that is best on the whole
    closed_gap: float  # of the way from that arm to the best of each
    harm: float | None  # share of runs worse than that arm by more than a standard error
    saved: float  # of the seconds of all arms
    calibration: Mapping[str, float]  # of the chance that networks win, before and after
    comparable: float | None  # share of runs with both routes on three folds or more
    inside: float | None  # share of runs whose interval of the regret holds the one seen
    decision_share: float | None


def worth(found: Sequence[Case]) -> Worth:
    """The figures of the bars."""
    single = single_best(found)
    by_set: dict[str, list[float]] = {}
    for case in found:
        by_set.setdefault(case.name, []).append(case.over)
    worst = max(by_set, key=lambda name: float(np.mean(by_set[name])))
    shared = [case for case in found if single in case.losses]
    lost = float(np.mean([math.log(case.losses[single] / case.best) for case in shared]))
    ours = float(np.mean([case.over for case in shared]))
    judged = [case for case in shared if math.isfinite(case.errors.get(single, math.nan))]
    harmed = [case.auto_loss - case.losses[single] > case.errors[single] for case in judged]
    seen = [case for case in found if case.told.regret is not None]
    held = [_holds(case) for case in seen]
    folds = [case.told.folds >= LEAST_FOLDS for case in found if case.told.folds is not None]
    shares = [case.told.decision_share for case in found if case.told.decision_share is not None]
    arms = dict.fromkeys(arm for case in found for arm in case.losses)
    return Worth(
        runs=len(found),
        over_best=math.exp(float(np.mean([case.over for case in found]))),
        worst=(worst, math.exp(float(np.mean(by_set[worst])))),
        arms={
            arm: math.exp(float(np.mean([math.log(c.losses[arm] / c.best) for c in found if arm in c.losses])))
            for arm in arms
        },
        single=single,
        closed_gap=(lost - ours) / lost if lost > 0 else math.nan,
        harm=_share(harmed),
        saved=1 - sum(case.auto.fit_s or case.auto.seconds for case in found) / sum(case.all_s for case in found),
        calibration=_calibrations(found),
        comparable=_share(folds),
        inside=_share(held),
        decision_share=float(np.mean(shares)) if shares else None,
    )


def _holds(case: Case) -> bool:
    """Whether the stated interval holds the regret on the test rows, against the best forced arm."""
    assert case.told.regret is not None
    low, high = case.told.regret
    return low <= max(0.0, case.auto_loss - case.best) <= high


def _calibrations(found: Sequence[Case]) -> dict[str, float]:
    """Expected calibration errors of the chances that were told, where both routes gave a model."""
    both = [case for case in found if set(FORCED) <= set(case.losses)]
    errors: dict[str, float] = {}
    for when in ("win_before", "win_after"):
        some = [case for case in both if getattr(case.told, when) is not None]
        if some:
            ratio = np.array([math.log(case.losses["neural"] / case.losses["classical"]) for case in some])
            won = np.where(np.abs(ratio) < scoring.TIE, 0.5, ratio < 0)
            errors[when] = outcomes.calibration(np.array([getattr(case.told, when) for case in some]), won)
    return errors


def _share(truths: Sequence[bool]) -> float | None:
    return float(np.mean(truths)) if truths else None


# --- words -----------------------------------------------------------------------------------------------------------


def summary(records: Sequence[Record], asked: Mapping[str, Place], out: Path) -> str:
    """Every run, and what the choice was worth."""
    found = cases(records, asked, out)
    if not found:
        return "No set has both an automatic run and an arm.\n"
    names = list(dict.fromkeys(arm for case in found for arm in case.losses))
    rows = [
        [case.name, case.seed, *(f"{case.losses[arm]:.5g}" if arm in case.losses else "-" for arm in names),
         f"{case.auto_loss:.5g}", f"{math.exp(case.over):.3f}", case.auto.model or ""]
        for case in found
    ]  # fmt: skip
    lost = [f"- {r.set}, {r.contestant}, seed {r.seed}: {r.failure}" for r in records if r.failure]
    table = scoring.markdown(["set", "seed", *names, "auto", "over best", "model"], rows)
    return (
        "\n\n".join([table, *(["## Failures", "\n".join(lost)] if lost else []), "## Worth", _words(worth(found))])
        + "\n"
    )


def _gap(closed: float) -> str:
    return "it is the best arm of every set" if math.isnan(closed) else f"closed gap {closed:.0%}"


def _words(one: Worth) -> str:
    def share(value: float | None) -> str:
        return "not told" if value is None else f"{value:.0%}"

    lines = [
        f"{one.runs} runs; error over the best arm's {one.over_best:.4f} (geometric mean), worst set {one.worst[0]} "
        f"{one.worst[1]:.3f}",
        "always one arm: " + ", ".join(f"{arm} {value:.4f}" for arm, value in one.arms.items()),
        f"single best arm: {one.single}; " + _gap(one.closed_gap),
        f"worse than it by more than a standard error: {share(one.harm)}",
        f"seconds saved against all arms: {one.saved:.0%}",
        "calibration error of the chance that networks win: "
        + (
            ", ".join(f"{when.removeprefix('win_')} {value:.3f}" for when, value in one.calibration.items())
            or "not told"
        ),
        f"both routes comparable on {LEAST_FOLDS} folds or more: {share(one.comparable)}",
        f"interval of the regret holds the one seen: {share(one.inside)}",
        f"probes' share of the trials' seconds: {share(one.decision_share)}",
    ]
    return "\n".join(f"- {line}" for line in lines)
