"""A saved model, loaded: rows in, predictions out. Needs the libraries of its own members, no search and no pickle.

Predictions depend on the rows alone: category codes are looked up by their text, columns by their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.modalities.table.encode import Raw, Schema
from automl.modalities.table.features import Features
from automl.readout import calibrated, decided
from automl.records import Readout
from search_spaces.spec import Learner, Matrix

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 50_000  # rows encoded at a time, so that memory stays bounded
THREADED_ROWS = 5_000  # below this, starting threads costs more than it gives


@dataclass(frozen=True)
class Part:
    """One fitted fold of one member."""

    features: str  # key of the fitted features it reads
    learner: Learner
    weight: float  # the member's weight divided by its folds


@dataclass(frozen=True)
class Model:
    """A trained model of one run."""

    schema: Schema
    features: Mapping[str, Features]
    parts: tuple[Part, ...]
    manifest: Mapping[str, Any]

    @property
    def task(self) -> str:
        """What it predicts: binary, multiclass, regression or quantile."""
        return str(self.manifest["task"])

    @property
    def classes(self) -> list[Any]:
        """The labels, in the order of the columns of `predict_proba`; empty for regression."""
        return list(self.manifest["classes"])

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the quantiles it predicts, rising; empty for other tasks."""
        return tuple(self.manifest.get("levels", ()))

    @property
    def readout(self) -> Readout:
        """How its probabilities are calibrated and labels read off them, as learned on held-out rows."""
        saved = dict(self.manifest.get("readout") or {})
        return Readout(**{**saved, "label_weights": tuple(saved.get("label_weights", ()))})

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """One prediction per row, in the user's own labels and with the index of the rows given.

        Of quantiles a column per level, named like price_q0.9.
        """
        import pandas as pd

        frame = self._frame(data)
        values = self._outputs(frame)
        if self.levels:
            names = pd.Index([f"{self.manifest['target']}_q{level:g}" for level in self.levels])
            return pd.DataFrame(values, index=frame.index, columns=names)
        if self.classes:
            labels = np.array(self.classes, dtype=_label_type(self.classes))
            values = labels[decided(values, self.readout).argmax(axis=1)]
        return pd.Series(values, index=frame.index, name=self.manifest["target"])

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per class with its probability."""
        import pandas as pd

        if not self.classes:
            raise InputError("predict_proba needs classes, but this model predicts numbers. Use predict.")
        frame = self._frame(data)
        return pd.DataFrame(self._outputs(frame), index=frame.index, columns=pd.Index(self.classes))

    def _frame(self, data: Any) -> pd.DataFrame:
        import pandas as pd

        if isinstance(data, pd.DataFrame) and data.columns.is_unique:
            return data
        from automl.reading import load_features

        return load_features(data)

    def _outputs(self, frame: pd.DataFrame) -> np.ndarray:
        rows = len(frame)
        if rows <= CHUNK_ROWS:
            return self._mix(self.schema.encode(frame))
        chunks = [frame.iloc[at : at + CHUNK_ROWS] for at in range(0, rows, CHUNK_ROWS)]
        return np.concatenate([self._mix(self.schema.encode(chunk)) for chunk in chunks])

    def _mix(self, raw: Raw) -> np.ndarray:
        """The weighted mean of all parts, calibrated."""
        from cluster.cores import cores

        threads = 1 if len(raw) < THREADED_ROWS else cores()
        encoded: dict[str, Matrix] = {}
        total: Any = 0.0
        for part in self.parts:
            if part.features not in encoded:
                encoded[part.features] = self.features[part.features].transform(raw)
            total = total + part.weight * part.learner.predict(encoded[part.features], threads)
        return calibrated(np.asarray(total), self.readout)


def _label_type(classes: list[Any]) -> Any:
    """bool, int64 or float64 where all labels are of that type, else object so that nothing is turned into text."""
    kinds = {type(label) for label in classes}
    return kinds.pop() if kinds in ({bool}, {int}, {float}) else object
