"""What fit() returns: a view over the run folder. Everything it says can be read again later from the files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.ensemble.frontier import Limits, choose
from automl.errors import ArtifactError, InputError, OptionError
from automl.explain.permutation import places
from automl.model import artifact
from automl.model.bundle import INDEX, Bundle, fetched, stacked, target_folders, write_index
from automl.model.lean import strip
from automl.records import Calibration, Candidate, Fold, Plan, Score, Trial, TrialStatus
from automl.refit.members import as_bags, lean
from automl.runtime.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.predictor import Model


class Result:
    """A finished run: its model, and why it is the one."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "report.json").is_file():
            raise InputError(f"no finished run in {str(folder)!r}: report.json is not there. Give a run folder.")
        self._folder = RunFolder(self.folder)
        self._packed: dict[str, bytes] | None = None  # the model's files, where they came in a pickle

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: where the run lies, and its model's files, with which it predicts anywhere."""
        packed = self._packed or artifact.pack(self.folder / "model")
        return {"folder": self.folder, "_folder": self._folder, "_packed": packed}

    def __repr__(self) -> str:
        if not (self.folder / "report.json").is_file():  # a pickle may outlive its run
            return f"<Result of a run that was in {str(self.folder)!r}>"
        return f"<Result {self.best}: {self.score}, in {str(self.folder)!r}>"

    # --- the model ----------------------------------------------------------------------------------------------------

    @cached_property
    def model(self) -> Model:
        """The chosen model."""
        return artifact.load(self.folder / "model") if self._packed is None else artifact.unpack(self._packed)

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """Predictions of the chosen model, one per row; of quantiles a column per level."""
        return self.model.predict(data)

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """Class probabilities of the chosen model."""
        return self.model.predict_proba(data)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first.

        `data` as `fit` takes it: a table with the target's column, its path, or a pair (X, y). Weights count where the
        run had a weight column.
        """
        return self.model.evaluate(data)

    def save(self, path: str | Path, *, lean: bool = False) -> Path:
        """Copy the chosen model; `automl.load` reads it anywhere.

        `lean`: without the weights that come as packages; it then needs these packages where it is loaded.
        """
        if self._packed is not None:
            target = artifact.spread(self._packed, Path(path))
            if lean:
                strip(target)
            return target
        return artifact.copy(self.folder / "model", Path(path), is_lean=lean)

    def select(
        self, *, max_latency_ms: float | None = None, max_model_mb: float | None = None, prefer: str = "accurate"
    ) -> Model:
        """Another real model of this run: the best that meets the limits."""
        limits = Limits(max_latency_ms or math.inf, max_model_mb or math.inf)
        pick = choose(self._candidates, self._tied, limits, prefer)
        if pick is None:
            fastest = min(self._candidates, key=lambda c: c.lean_ms)
            raise OptionError(
                f"no model of this run meets {limits}. "
                f"The fastest takes {fastest.lean_ms:.3g} ms a row and {fastest.lean_mb:.3g} MB; allow as much."
            )
        place = f"{pick.candidate.name.replace(' #', '-')}-{pick.limits.row_ms:g}ms-{pick.limits.size_mb:g}mb"
        target = self.folder / "models" / place
        if not (target / "manifest.json").is_file():
            trials = [self._trial(number) for number in pick.candidate.weights]
            members = lean(as_bags(pick.candidate, trials), trials, pick.limits)
            told = (
                "task",
                "target",
                "weight",
                "class_weights",
                "has_decimal_comma",
                "classes",
                "levels",
                "metric",
                "schema",
            )
            facts = {name: self.model.manifest[name] for name in told if name in self.model.manifest}
            chosen = {"name": pick.candidate.name, "readout": pick.candidate.readout}
            artifact.save(target, members, self._folder, {**facts, **chosen})
        return artifact.load(target)

    def _trial(self, number: int) -> Trial:
        """A trial as far as its files and the report know it."""
        row = next(trial for trial in self._report["trials"] if trial["number"] == number)
        folds = {fold["fold"]: Fold(predictions=np.empty(0), **fold) for fold in row["folds"]}
        return Trial(
            plan=Plan(number=number, family=row["family"], params=row["params"], seed=0, because=row["because"]),
            status=TrialStatus(row["status"]),
            folds=folds,
        )

    # --- why ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _report(self) -> dict[str, Any]:
        if not (self.folder / "report.json").is_file():
            raise InputError(
                f"the run in {str(self.folder)!r} is not there any more, so only its model can be used. "
                "For scores and reports keep the run's folder."
            )
        return dict(self._folder.read_json("report.json"))

    @cached_property
    def _candidates(self) -> list[Candidate]:
        return [_candidate(row) for row in self._report["leaderboard"]]

    def _tied(self, a: Candidate, b: Candidate) -> bool:
        return [a.name, b.name] in self._report["arena"]["tied"] or [b.name, a.name] in self._report["arena"]["tied"]

    @property
    def best(self) -> str:
        """Name of the chosen candidate."""
        return str(self._report["verdict"]["chosen"])

    @property
    def score(self) -> Score:
        """The score to expect on new data; the optimism of the search is already taken off.

        Its interval holds the score of a new sample of as many rows as were held out, in 95 of 100 cases.
        """
        return Score(**self._report["verdict"]["score"])

    @property
    def test_score(self) -> Score | None:
        """The score on the held-out data given as `test`, if any."""
        found = self._report["verdict"]["test"]
        return None if found is None else Score(**found)

    @property
    def decision(self) -> dict[str, Any]:
        """Which routes took part, why, and what each showed."""
        return dict(self._report["decision"])

    @property
    def audit(self) -> list[dict[str, Any]]:
        """What is odd about the data, with the evidence."""
        return list(self._report["audit"])

    @property
    def cost(self) -> dict[str, Any]:
        """What the run used, by stage and by what became of it."""
        return dict(self._report["cost"])

    @property
    def budget(self) -> str:
        """What the run was allowed to use, as one would write it."""
        return str(self._report["run"]["budget"])

    @property
    def interrupted(self) -> bool:
        """Whether the search was ended by Ctrl-C."""
        return bool(self._report["run"]["interrupted"])

    @property
    def meets_min_score(self) -> bool | None:
        """Whether `min_score` was reached; None when none was asked for."""
        found = self._report["verdict"]["meets_min_score"]
        return None if found is None else bool(found)

    def leaderboard(self) -> pd.DataFrame:
        """Every model the run could return, best first, with its cost; a given `baseline` stands among them."""
        import pandas as pd

        rows = [_flat(row) for row in self._report["leaderboard"]]
        return pd.DataFrame(_with_existing(rows, self._report))

    def frontier(self) -> pd.DataFrame:
        """The models that no other one beats in both score and time to predict."""
        board = self.leaderboard()
        return board[board["on_frontier"]].drop(columns="on_frontier").reset_index(drop=True)

    def feature_importance(self, data: Any = None) -> pd.DataFrame:
        """By how much the metric gets worse when a column's cells are shuffled among held-out rows; the most first.

        Each row is asked of the fold models that did not learn from it; the interval is over rows and repeats. What the
        report does not hold is measured now, on the run's data: `data` gives it again where it came from memory.
        """
        import pandas as pd

        found = self.importance(data)
        told = pd.DataFrame(found["columns"], columns=["column", "importance", "low", "high"])
        told.attrs = {name: found[name] for name in ("metric", "rows", "repeats", "notes")}
        return told

    def importance(self, data: Any = None) -> dict[str, Any]:
        """What `feature_importance` tells, as the report holds it."""
        from automl.report.gather.importance import LATER, again

        held = self._report.get("importance")
        if data is None and (self.folder / LATER).is_file():
            return dict(self._folder.read_json(LATER))
        if data is None and held and (not held["missing"] or not places(self.model.schema)):
            return dict(held)
        chosen = next(one for one in self._candidates if one.name == self.best)
        self._folder.write_json(LATER, again(self._folder, self._report, chosen, self.model, data))
        return dict(self._folder.read_json(LATER))

    def report(self, path: str | Path | None = None) -> Path:
        """The report as one HTML file: the run's own, or a copy at `path`."""
        from automl.report import draw

        target = self.folder / "report.html" if path is None else Path(path)
        if path is not None or not target.is_file():
            target.write_text(draw(self._report, self.folder), encoding="utf-8", errors="xmlcharrefreplace")
        return target


def _candidate(row: Mapping[str, Any]) -> Candidate:
    """A row of the leaderboard as the record it was written from."""
    counts = {name: {int(number): value for number, value in row[name].items()} for name in ("weights", "kept")}
    return Candidate(
        name=row["name"],
        weights=counts["weights"],
        score=Score(**row["score"]),
        fit_s=row["fit_s"],
        row_ms=row["row_ms"],
        batch_ms=row["batch_ms"],
        size_mb=row["size_mb"],
        lean_ms=row["lean_ms"],
        lean_mb=row["lean_mb"],
        told_ms=row.get("told_ms", 0.0),
        told_mb=row.get("told_mb", 0.0),
        on_frontier=row["on_frontier"],
        picks=tuple(row["picks"]),
        within_ms=row["within_ms"] or math.inf,
        kept=counts["kept"],
        readout=Calibration(**{**row["readout"], "label_weights": tuple(row["readout"]["label_weights"])}),
    )


def _with_existing(rows: list[dict[str, Any]], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows with the model or score that was there before the run, in its place, where its score is known."""
    found = (report["decision"].get("verdict") or {}).get("existing") or {}
    if found.get("score") is None:
        return rows
    row = {"name": found["name"], "families": "", "score": found["score"], "on_frontier": False, "picks": "baseline"}
    sign = 1 if report["verdict"]["score"]["higher_is_better"] else -1
    place = sum(sign * one["score"] >= sign * found["score"] for one in rows)
    return [*rows[:place], {**dict.fromkeys(rows[0], math.nan), **row}, *rows[place:]]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    score = row["score"]
    return {
        "name": row["name"],
        "families": ", ".join(row["families"]),
        "score": score["value"],
        "low": score["low"],
        "high": score["high"],
        "fit_s": row["fit_s"],
        "row_ms": row["row_ms"],
        "batch_ms": row["batch_ms"],
        "size_mb": row["size_mb"],
        "on_frontier": row["on_frontier"],
        "picks": ", ".join(row["picks"]),
    }


def open_run(path: str | Path) -> Result | BundleResult:
    """A finished run, of one target or of several."""
    folder = fetched(path)
    return BundleResult(folder) if (folder / INDEX).is_file() else Result(folder)


class BundleResult:
    """A finished run for several targets: a Result for each, and what they come to together."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "report.json").is_file():
            raise InputError(f"no finished run in {str(folder)!r}: report.json is not there. Give a run folder.")

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: where the run lies, and the results of the targets, which bring their models."""
        return {"folder": self.folder, "results": self.results}

    def __repr__(self) -> str:
        told = ", ".join(f"{name}: {score}" for name, score in self.scores.items())
        return f"<BundleResult {told}, in {str(self.folder)!r}>"

    @cached_property
    def results(self) -> dict[str, Result]:
        """The run of each target."""
        return {target: Result(place) for target, place in target_folders(self.folder).items()}

    @property
    def targets(self) -> list[str]:
        """The columns it predicts."""
        return list(self.results)

    @cached_property
    def model(self) -> Bundle:
        """The chosen models, as one."""
        return Bundle({target: result.model for target, result in self.results.items()})

    @property
    def models(self) -> dict[str, Model]:
        """The chosen model of each target."""
        return dict(self.model.models)

    def predict(self, data: Any) -> pd.DataFrame:
        """A column per target."""
        return self.model.predict(data)

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per target and class."""
        return self.model.predict_proba(data)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of each target's task on rows with their answers, each with its 95 % interval."""
        return self.model.evaluate(data)

    def feature_importance(self, data: Any = None) -> pd.DataFrame:
        """`Result.feature_importance` of each target's model; a first column names the target."""
        return stacked({target: result.feature_importance(data) for target, result in self.results.items()})

    @property
    def scores(self) -> dict[str, Score]:
        """The score to expect of each target's model on new data."""
        return {target: result.score for target, result in self.results.items()}

    @property
    def score(self) -> float | None:
        """The mean of the targets' scores; None where they are of different metrics."""
        return mean_of(list(self.scores.values()))

    @property
    def interrupted(self) -> bool:
        """Whether a search was ended by Ctrl-C."""
        return any(result.interrupted for result in self.results.values())

    @property
    def meets_min_score(self) -> bool | None:
        """Whether every target reached `min_score`; None when none was asked for."""
        met = [result.meets_min_score for result in self.results.values()]
        return None if None in met else all(met)

    def save(self, path: str | Path, *, lean: bool = False) -> Path:
        """Copy the chosen models; `automl.load` reads them anywhere. `lean` as of one model."""
        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ArtifactError(f"{str(target)!r} exists and is not empty. Name another folder for the models.")
        found = {}
        places = target_folders(self.folder)
        for place in places.values() if lean else ():
            artifact.check_lean(place / "model")  # refused before anything is written
        for name, place in places.items():
            found[name] = artifact.copy(place / "model", target / "targets" / place.name, is_lean=lean)
        write_index(target, found)
        return target

    def report(self, path: str | Path | None = None) -> Path:
        """The page that lists every target: the run's own, or a copy at `path`."""
        from automl.report.targets import draw

        target = self.folder / "report.html" if path is None else Path(path)
        if path is not None or not target.is_file():
            told = RunFolder(self.folder).read_json("report.json")
            target.write_text(draw(told), encoding="utf-8", errors="xmlcharrefreplace")
        return target


def mean_of(scores: list[Score]) -> float | None:
    """The mean of scores of one metric; None where there are several metrics."""
    return sum(score.value for score in scores) / len(scores) if len({score.metric for score in scores}) == 1 else None
