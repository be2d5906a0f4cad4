"""The result of a run with several targets: a Result for each, and what they come to together."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import ArtifactError, InputError
from automl.model import artifact
from automl.model.bundle import INDEX, Bundle, fetched, stacked, target_folders, write_index
from automl.model.lean import leave_rows
from automl.records import Score
from automl.result.one import Result
from automl.runtime.folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.explaining import Explanations
    from automl.model.predictor import Model


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

    def _repr_html_(self) -> str:
        """The short form that a notebook shows, of one target after the other."""
        return "\n".join(found for result in self.results.values() if (found := result._repr_html_()))

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

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> dict[str, Explanations]:
        """`Result.explain` of each target's model."""
        return {target: result.explain(data, label, column) for target, result in self.results.items()}

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """Columns like price_low and price_high for each target, all of which are numbers."""
        return self.model.predict_interval(data, level)

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """A bool column per target and class, named like churned_yes; all targets have classes."""
        return self.model.predict_set(data, level, allow_empty=allow_empty)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of each target's task on rows with their answers, each with its 95 % interval."""
        return self.model.evaluate(data)

    def select(self, pick: str) -> Bundle:
        """The models that this names in each target's run, as one: "most accurate", "cheapest tied", "fastest" ..."""
        return Bundle({target: result.select(pick) for target, result in self.results.items()})

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

    def save(self, path: str | Path, *, lean: bool = False, rows: bool = True) -> Path:
        """Copy the chosen models; `automl.load` reads them anywhere. `lean` and `rows` as of one model."""
        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ArtifactError(f"{str(target)!r} exists and is not empty. Name another folder for the models.")
        found = {}
        places = target_folders(self.folder)
        for place in places.values() if lean else ():
            artifact.check_lean(place / "model")  # refused before anything is written
        for name, place in places.items():
            found[name] = artifact.copy(place / "model", target / "targets" / place.name, is_lean=lean)
            if not rows:
                leave_rows(found[name])
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
