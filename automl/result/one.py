"""The result of a run with one target: a view over the run folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.ensemble.frontier import GIVE_UP
from automl.errors import InputError
from automl.explain.cells import places
from automl.model import artifact, manifest, reference
from automl.model.lean import leave_rows, strip
from automl.records import Candidate, Fold, Plan, Trial, TrialStatus
from automl.refit import picks, selected
from automl.refit.renew import RenewRequest
from automl.result import board
from automl.result.choosing import Wanted, chosen
from automl.result.reported import Reported
from automl.runtime.folder import RunFolder
from automl.runtime.terminal import watcher

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.explaining import Explanations
    from automl.model.predictor import Model


# of the saved model's manifest, what holds for every model of the run
TOLD = (
    "task", "target", "weight", "class_weights", "has_decimal_comma", "classes", "positive", "levels", "metric",
    "schema",
)  # fmt: skip


class Result(Reported):
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

    def _repr_html_(self) -> str | None:
        """The short form that a notebook shows: verdict, models by name, and a picture of what accuracy costs."""
        from automl.report import short

        found = self.folder / "report.json"
        return short.draw(self._report, str(self.folder / "report.html")) if found.is_file() else None

    # --- the model ----------------------------------------------------------------------------------------------------

    @cached_property
    def model(self) -> Model:
        """The chosen model."""
        return artifact.load(self.folder) if self._packed is None else artifact.unpack(self._packed)

    def predict(self, data: Any = None, *, horizon: int | None = None, future: Any = None) -> pd.Series | pd.DataFrame:
        """Predictions of the chosen model, one per row; of quantiles a column per level. Without rows a forecast."""
        return self.model.predict(data, horizon=horizon, future=future)

    def forecast(
        self, horizon: int | None = None, *, future: Any = None, history: Any = None,
        levels: Sequence[float] = (80, 95),
    ) -> pd.DataFrame:  # fmt: skip
        """The next steps of series over time with their intervals, as `Model.forecast` gives them."""
        return self.model.forecast(horizon, future=future, history=history, levels=levels)

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """Class probabilities of the chosen model."""
        return self.model.predict_proba(data)

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> Explanations:
        """How the answers to rows come about, as `Model.explain` tells it: compared with training rows of this run."""
        return self.model.explain(data, label, column)

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """Of each row the ends, low and high, between which its number lies in that share of all new rows."""
        return self.model.predict_interval(data, level)

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """A bool column per class: the labels of each row that together hold the true one in that share of new rows."""
        return self.model.predict_set(data, level, allow_empty=allow_empty)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first.

        `data` as `fit` takes it: a table with the target's column, its path, or a pair (X, y). Weights count where the
        run had a weight column.
        """
        return self.model.evaluate(data)

    def monitor(self, data: Any, labels: str | None = None) -> dict[str, Any]:
        """What moved since the model learned, what its score is likely to be now, and whether to train anew.

        `data` as `predict` takes it; see `automl.monitor`.
        """
        return self.model.monitor(data, labels)

    def refit(
        self, data: Any, run_dir: str | Path | None = None, *, only_new: bool = False, old_data: Any = None,
        verbose: int = 1,
    ) -> Result:  # fmt: skip
        """Train the chosen pipeline anew on the run's rows and on new ones, without a search: a new run.

        A third of the new rows, the newest where there is a time column, is held out first to compare old and new.
        `only_new`: forget the old rows. `old_data`: these, where they are not where they were.
        """
        from automl.stages import renewed

        started = time.monotonic()
        asked = RenewRequest(self.folder, data, run_dir, only_new, old_data)
        return Result(renewed(asked, watcher(verbose), started))

    def save(self, path: str | Path, *, lean: bool = False, pick: str | None = None, rows: bool = True) -> Path:
        """Copy the chosen model, or the one that `pick` names as in `select`; `automl.load` reads it anywhere.

        `lean`: without the weights that come as packages; it then needs these packages where it is loaded.
        `rows=False`: without the rows of the data that explain='required' puts in, to compare answers with.
        """
        target = self._copied(path, lean=lean, pick=pick)
        if not rows:
            leave_rows(target)
        return target

    def _copied(self, path: str | Path, *, lean: bool, pick: str | None) -> Path:
        if pick is not None:
            return artifact.copy(self._selected(Wanted(pick=pick)), Path(path), is_lean=lean)
        if self._packed is not None:
            target = artifact.spread(self._packed, Path(path))
            if lean:
                strip(target)
            return target
        return artifact.copy(self.folder / "model", Path(path), is_lean=lean)

    def select(
        self,
        pick: str | None = None,
        *,
        max_latency_ms: float | None = None,
        max_model_mb: float | None = None,
        prefer: str = "accurate",
        give_up_percent: float = 100 * GIVE_UP,
        data: Any = None,
    ) -> Model:
        """Another real model of this run: the best that meets the limits, or the one that is named.

        `pick`: a named pick ("most accurate", "cheapest tied", "fastest", "smallest"), or the name of any model of the
        leaderboard. `prefer`: as the option of the same name. The fastest and the smallest give up at most
        `give_up_percent` of the best one's gain over predicting without a model. One that is fitted once on all rows
        and was not yet is fitted now: `data` gives the run's data again where it came from memory.
        """
        wanted = Wanted(
            pick=pick, max_latency_ms=max_latency_ms, max_model_mb=max_model_mb, prefer=prefer,
            give_up_percent=give_up_percent, data=data,
        )  # fmt: skip
        return artifact.with_usual(artifact.load(self._selected(wanted)), self.folder)

    def _selected(self, wanted: Wanted) -> Path:
        """The folder of the model that is meant, written where it is not there yet."""
        pick = chosen(self._report, wanted)
        trials = [self._trial(number) for number in pick.candidate.weights]
        selected.fitted(self._folder, pick.candidate, trials, wanted.data)
        facts = {name: self.model.manifest[name] for name in TOLD if name in self.model.manifest}
        saved = picks.save(self._folder, pick, trials, facts)
        if self.model.drift is not None and reference.NAME not in manifest.read(saved)["files"]:
            content = reference.for_other(self.model.drift, pick.candidate.score)
            if artifact.size_mb(saved) + len(content) / 1e6 <= wanted.limits.size_mb:
                artifact.attach(saved, {reference.NAME: content})
        return saved

    def _trial(self, number: int) -> Trial:
        """A trial as far as its files and the report know it."""
        rows = [*self._report["trials"], *(self._report.get("cheaper") or {}).get("students", ())]
        row = next(trial for trial in rows if trial["number"] == number)
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
        return [board.candidate(row) for row in self._report["leaderboard"]]

    def feature_importance(self, data: Any = None) -> pd.DataFrame:
        """By how much the metric gets worse when a column's cells are shuffled among held-out rows; the most first.

        Each row is asked of the fold models that did not learn from it; the interval is over rows and repeats. What the
        report does not hold is measured now, on the run's data: `data` gives it again where it came from memory.
        """
        return board.weighed(self.importance(data))

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
