"""The models of several targets behind one face, and the run that made them.

A folder with targets.json holds one folder per target below targets/, each a run or a saved model of its own; nothing
else is known of them here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl import artifact, remote
from automl.errors import ArtifactError, InputError
from automl.folder import RunFolder, write_whole
from automl.records import Score
from automl.result import Result
from automl.source import open_source

if TYPE_CHECKING:
    import pandas as pd

    from automl.evaluate import Evaluation
    from automl.model import Model

FORMAT = 1
INDEX = "targets.json"


@dataclass(frozen=True)
class Bundle:
    """A model for each of several targets."""

    models: Mapping[str, Model]

    @property
    def targets(self) -> list[str]:
        """The columns it predicts."""
        return list(self.models)

    def rows(self, data: Any) -> pd.DataFrame:
        """Rows to predict, read once for all models: they learned from the same columns."""
        return next(iter(self.models.values())).rows(data)

    def predict(self, data: Any) -> pd.DataFrame:
        """A column per target in the user's labels, with the index of the rows given; of quantiles one per level."""
        import pandas as pd

        rows = self.rows(data)
        return pd.concat([pd.DataFrame(model.predict(rows)) for model in self.models.values()], axis=1)

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per target and class with its probability, named like churned_yes."""
        import pandas as pd

        for name, model in self.models.items():
            if not model.classes:
                raise InputError(f"predict_proba needs classes, but target {name!r} is a number. Use predict.")
        rows = self.rows(data)
        return pd.concat([model.predict_proba(rows).add_prefix(f"{n}_") for n, model in self.models.items()], axis=1)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """`Model.evaluate` for each target, on rows that hold the answers of all; a first column names the target."""
        return stacked({target: found.table() for target, found in self.evaluations(data).items()})

    def evaluations(self, data: Any) -> dict[str, Evaluation]:
        """The scores of each target's model, on rows that are read once."""
        from automl.evaluate import evaluate

        source = open_source(data, self.targets)
        if source.labels is not None:
            raise InputError(
                f"a pair (X, y) has the answers of one target, this model has {len(self.models)}. "
                f"Give one table with {', '.join(map(repr, self.targets))}."
            )
        return {target: evaluate(model, source) for target, model in self.models.items()}


def stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several targets as one, whose first column names the target."""
    import pandas as pd

    told = [table.assign(target=target) for target, table in tables.items()]
    rows = pd.concat(told, ignore_index=True)
    return rows[["target", *rows.columns.drop("target")]]


def load(path: str | Path) -> Model | Bundle:
    """Read a saved model, or those of several targets: their folder, or the folder of the run that made them."""
    folder = _here(path)
    if not (folder / INDEX).is_file():
        return artifact.load(folder)
    return Bundle({target: artifact.load(place) for target, place in places(folder).items()})


def open_run(path: str | Path) -> Result | BundleResult:
    """A finished run, of one target or of several."""
    folder = _here(path)
    return BundleResult(folder) if (folder / INDEX).is_file() else Result(folder)


def _here(path: str | Path) -> Path:
    """The folder, fetched if it is behind a URL."""
    return remote.checkout(path) if isinstance(path, str) and remote.is_url(path) else Path(path)


def places(folder: Path) -> dict[str, Path]:
    """The folder of each target."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = {str(entry["target"]): folder / entry["folder"] for entry in index["targets"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(folder / INDEX)!r} is damaged: {error}. Copy the whole folder again.") from error
    for place in found.values():
        if not place.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(f"{str(folder / INDEX)!r} names {str(place)!r}, outside its folder. Copy it again.")
    return found


def write_index(folder: Path, found: Mapping[str, Path]) -> None:
    """Note which target lies where."""
    entries = [{"target": name, "folder": place.relative_to(folder).as_posix()} for name, place in found.items()]
    content = json.dumps({"format": FORMAT, "targets": entries}, ensure_ascii=False, indent=1)
    write_whole(folder / INDEX, content.encode("utf-8", "surrogatepass"))


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
        return {target: Result(place) for target, place in places(self.folder).items()}

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

    def save(self, path: str | Path) -> Path:
        """Copy the chosen models; `automl.load` reads them anywhere."""
        target = Path(path)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ArtifactError(f"{str(target)!r} exists and is not empty. Name another folder for the models.")
        found = {}
        for name, place in places(self.folder).items():
            found[name] = artifact.copy(place / "model", target / "targets" / place.name)
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
