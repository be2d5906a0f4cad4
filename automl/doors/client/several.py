"""What a run for several targets on a server came to: one model that answers for all of them, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automl.doors.client.model import RemoteModel
from automl.doors.client.result import RunOnServer
from automl.records import Score
from automl.result import mean_of

if TYPE_CHECKING:
    import pandas as pd

    from automl.model.explaining import Explanations


class RemoteBundleResult(RunOnServer):
    """A finished run for several targets on a server."""

    is_several = True

    def __repr__(self) -> str:
        found = ", ".join(f"{name}: {score}" for name, score in self.scores.items())
        return f"<RemoteBundleResult {found}, {self.id} on {self._wire.url}>"

    @property
    def targets(self) -> list[str]:
        """The columns it predicts."""
        return [str(row["target"]) for row in self.told["targets"]]

    def predict(self, data: Any) -> pd.DataFrame:
        """A column per target."""
        return cast("pd.DataFrame", self.model.predict(data))

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per target and class."""
        return self.model.predict_proba(data)

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """Columns like price_low and price_high for each target, all of which are numbers."""
        return self.model.predict_interval(data, level)

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """A bool column per target and class, named like churned_yes; all targets have classes."""
        return self.model.predict_set(data, level, allow_empty=allow_empty)

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> dict[str, Explanations]:
        """`RemoteResult.explain` of each target's model."""
        return self.model.explanations(data, label, column)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of each target's task on rows with their answers, each with its 95 % interval."""
        return self.model.evaluate(data)

    def select(self, pick: str) -> RemoteModel:
        """The models that this names in each target's run, as one: "most accurate", "cheapest tied", "fastest" ..."""
        return RemoteModel(self._wire, self._wire.post(f"/v1/runs/{self.id}/select", {"pick": pick}))

    @property
    def scores(self) -> dict[str, Score]:
        """The score to expect of each target's model on new data."""
        return {str(row["target"]): Score(**row["score"]) for row in self.told["targets"]}

    @property
    def score(self) -> float | None:
        """The mean of the targets' scores; None where they are of different metrics."""
        return mean_of(list(self.scores.values()))

    @property
    def interrupted(self) -> bool:
        """Whether a search was ended by Ctrl-C, or on request."""
        return bool(self._run.verdict.get("interrupted"))

    @property
    def meets_min_score(self) -> bool | None:
        """Whether every target reached `min_score`; None when none was asked for."""
        met = [row["meets_min_score"] for row in self.told["targets"]]
        return None if None in met else all(met)

    def save(self, path: str | Path, *, lean: bool = False, rows: bool = True, pick: str | None = None) -> Path:
        """Bring the chosen models here; `automl.load` reads them anywhere. `lean` and `rows` as of one model."""
        return (self.model if pick is None else self.select(pick)).save(path, lean=lean, rows=rows)
