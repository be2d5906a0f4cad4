"""What a run on a server came to: the same face as Result. Its report is read once, its model answers over there.

What a Result has and this has not: `folder` and `refit`, since the run's files are the server's, and `data=` of select
and feature_importance, since the server has the run's data.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.client.model import RemoteModel
from automl.ensemble.frontier import GIVE_UP
from automl.errors import InputError
from automl.result import board
from automl.result.reported import Reported

if TYPE_CHECKING:
    import pandas as pd

    from automl.doors.client.nouns import RemoteRun
    from automl.doors.client.wire import Wire
    from automl.model.explaining import Explanations
    from automl.records import Score


class RunOnServer:
    """What runs of one target and of several have in common."""

    is_several = False

    def __init__(self, wire: Wire, run: RemoteRun) -> None:
        self._wire, self._run = wire, run

    @property
    def id(self) -> str:
        """What the run is called on the server."""
        return self._run.id

    @property
    def name(self) -> str:
        """What people call it."""
        return self._run.name

    @property
    def options(self) -> dict[str, Any]:
        """What it was asked for with."""
        return dict(self._run.options)

    @property
    def page(self) -> str:
        """The address of its report, for a browser."""
        return f"{self._wire.url}/runs/{self.id}/report"

    @cached_property
    def told(self) -> dict[str, Any]:
        """What report.json holds."""
        found: dict[str, Any] = json.loads(self._wire.text(f"/v1/runs/{self.id}/report", {"form": "json"}))
        return found

    @cached_property
    def model(self) -> RemoteModel:
        """The chosen model, or those of all targets as one."""
        return RemoteModel(self._wire, self._wire.get(f"/v1/models/{self._run.model}"))

    def report(self, path: str | Path | None = None) -> Path:
        """The report as one HTML file: at `path`, or in a new folder for files that do not stay."""
        target = Path(tempfile.mkdtemp(prefix="automl-")) / "report.html" if path is None else Path(path)
        target.write_bytes(self._wire.text(f"/v1/runs/{self.id}/report", {"form": "html"}))
        return target


class RemoteResult(RunOnServer, Reported):
    """A finished run on a server: its model, and why it is the one."""

    def __repr__(self) -> str:
        return f"<RemoteResult {self.best}: {self.score}, {self.id} on {self._wire.url}>"

    def _repr_html_(self) -> str:
        """The short form that a notebook shows."""
        from automl.report import short

        return short.draw(self.told, self.page)

    @property
    def _report(self) -> dict[str, Any]:
        return self.told

    # --- the model ----------------------------------------------------------------------------------------------------

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """Predictions of the chosen model, one per row; of quantiles a column per level."""
        return self.model.predict(data)

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
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first."""
        return self.model.evaluate(data)

    def monitor(self, data: Any, labels: str | None = None) -> dict[str, Any]:
        """What moved since the model learned, what its score is likely to be now, and whether to train anew."""
        return self.model.monitor(data, labels)

    def save(self, path: str | Path, *, lean: bool = False, pick: str | None = None, rows: bool = True) -> Path:
        """Bring the chosen model here, or the one that `pick` names as in `select`; `automl.load` reads it anywhere.

        `lean` and `rows` as of `Result.save`.
        """
        return (self.model if pick is None else self.select(pick)).save(path, lean=lean, rows=rows)

    def select(
        self,
        pick: str | None = None,
        *,
        max_latency_ms: float | None = None,
        max_model_mb: float | None = None,
        prefer: str = "accurate",
        give_up_percent: float = 100 * GIVE_UP,
    ) -> RemoteModel:
        """Another real model of this run, as `Result.select` chooses it; it answers on the server, too."""
        wanted = {
            "pick": pick, "max_latency_ms": max_latency_ms, "max_model_mb": max_model_mb, "prefer": prefer,
            "give_up_percent": give_up_percent,
        }  # fmt: skip
        usual = {"prefer": "accurate", "give_up_percent": 100 * GIVE_UP}
        asked = {name: value for name, value in wanted.items() if value is not None and value != usual.get(name)}
        return RemoteModel(self._wire, self._wire.post(f"/v1/runs/{self.id}/select", asked))

    # --- why ----------------------------------------------------------------------------------------------------------

    @property
    def scores(self) -> dict[str, Score]:
        """The score to expect on new data, under the name of the target."""
        return {self.model.target: self.score}

    def feature_importance(self) -> pd.DataFrame:
        """By how much the metric gets worse when a column's cells are shuffled among held-out rows; the most first."""
        return board.weighed(self.importance())

    def importance(self) -> dict[str, Any]:
        """What `feature_importance` tells, as the report holds it."""
        found = self.told.get("importance")
        if not found:
            raise InputError(f"the run {self.id} had no time to weigh its columns. Give it more: client.resume().")
        return dict(found)
