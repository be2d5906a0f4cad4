"""The models of several targets behind one face, and the run that made them.

A folder with targets.json holds one folder per target below targets/, each a run or a saved model of its own; nothing
else is known of them here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.data.source import open_source
from automl.errors import ArtifactError, InputError
from automl.model import artifact
from automl.places import inside
from automl.runtime import remote
from automl.runtime.durable import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.evaluate import Evaluation
    from automl.model.explaining import Explanations
    from automl.model.predictor import Model

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

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """`Model.predict_interval` of each target, in columns like price_low and price_high."""
        import pandas as pd

        for name, model in self.models.items():
            if model.classes:
                raise InputError(
                    f"predict_interval needs numbers, but target {name!r} has classes. Use models[{name!r}]."
                )
        rows = self.rows(data)
        told = [model.predict_interval(rows, level).add_prefix(f"{name}_") for name, model in self.models.items()]
        return pd.concat(told, axis=1)

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """`Model.predict_set` of each target, in columns like churned_yes."""
        import pandas as pd

        for name, model in self.models.items():
            if not model.classes:
                raise InputError(f"predict_set needs classes, but target {name!r} is a number. Use models[{name!r}].")
        rows = self.rows(data)
        told = {name: model.predict_set(rows, level, allow_empty=allow_empty) for name, model in self.models.items()}
        return pd.concat([held.add_prefix(f"{name}_") for name, held in told.items()], axis=1)

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> dict[str, Explanations]:
        """`Model.explain` of each target's model."""
        rows = self.rows(data)
        return {target: model.explain(rows, label, column) for target, model in self.models.items()}

    def evaluate(self, data: Any) -> pd.DataFrame:
        """`Model.evaluate` for each target, on rows that hold the answers of all; a first column names the target."""
        return stacked({target: found.table() for target, found in self.evaluations(data).items()})

    def evaluations(self, data: Any) -> dict[str, Evaluation]:
        """The scores of each target's model, on rows that are read once."""
        from automl.model.evaluate import evaluate

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
    if isinstance(path, str) and remote.is_url(path):
        with remote.borrowed(path) as folder:
            return load(folder)
    folder = Path(path)
    if not (folder / INDEX).is_file():
        return artifact.load(folder)
    return Bundle({target: artifact.load(place) for target, place in target_folders(folder).items()})


def fetched(path: str | Path) -> Path:
    """The folder, fetched if it is behind a URL."""
    return remote.checkout(path) if isinstance(path, str) and remote.is_url(path) else Path(path)


def target_folders(folder: Path) -> dict[str, Path]:
    """The folder of each target."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = {str(entry["target"]): entry["folder"] for entry in index["targets"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{str(folder / INDEX)!r} is damaged: {error}. Copy the whole folder again.") from error
    return {target: inside(folder, name, ArtifactError) for target, name in found.items()}


def write_index(folder: Path, found: Mapping[str, Path]) -> None:
    """Note which target lies where."""
    entries = [{"target": name, "folder": place.relative_to(folder).as_posix()} for name, place in found.items()]
    content = json.dumps({"format": FORMAT, "targets": entries}, ensure_ascii=False, indent=1)
    write_whole(folder / INDEX, content.encode("utf-8", "surrogatepass"))
