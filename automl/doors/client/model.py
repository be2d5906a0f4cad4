"""A model on a server: rows in, predictions out, as of a model here; what it is asked in pieces comes back as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.doors.client import told
from automl.doors.client.downloading import bring
from automl.doors.client.rows import KnownColumns, RequestLimits, answered, pieces, plain_rows
from automl.doors.client.told import RemoteAnswers, RemoteTarget
from automl.errors import InputError, OptionError

if TYPE_CHECKING:
    import pandas as pd

    from automl.doors.client.wire import Wire
    from automl.model.evaluate import Evaluation
    from automl.model.explaining import Explanations

MOST_EXPLAINED = 200  # rows of one request


class RemoteModel:
    """A trained model that answers on a server. `save` brings it here, where `automl.load` reads it."""

    def __init__(self, wire: Wire, about: Mapping[str, Any]) -> None:
        self._wire, self._about = wire, about

    def __repr__(self) -> str:
        return f"<RemoteModel {self.id} of {self.run}, on {self._wire.url}>"

    @property
    def id(self) -> str:
        """What it is called on the server."""
        return str(self._about["id"])

    @property
    def run(self) -> str:
        """The run that it came from."""
        return str(self._about["run"])

    @property
    def pick(self) -> str | None:
        """What it was selected by; None of the one that the run chose."""
        return self._about.get("pick") or None

    @property
    def target(self) -> str:
        """The column that it predicts; of several, with commas between."""
        return ", ".join(self.targets)

    @property
    def targets(self) -> list[str]:
        """The columns that it predicts."""
        return [one.target for one in self._targets]

    @property
    def task(self) -> str:
        """What it predicts: binary, multiclass, regression or quantile; that of the first of several targets."""
        return self._targets[0].task

    @property
    def classes(self) -> list[Any]:
        """The labels, in the order of the columns of `predict_proba`; empty for regression."""
        return list(self._targets[0].classes)

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the quantiles it predicts, rising; empty for other tasks."""
        return self._targets[0].levels

    # --- asked --------------------------------------------------------------------------------------------------------

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """One prediction per row, in the user's own labels and with the index of the rows given."""
        rows = self.rows(data)
        return RemoteAnswers(self._targets, list(self._asked("predict", rows, {})), rows.index).predictions()

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per class with its probability."""
        rows = self.rows(data)
        found = self._asked("predict", rows, {"proba": True}) if all(one.classes for one in self._targets) else ()
        return RemoteAnswers(self._targets, list(found), rows.index).probabilities()

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """Of each row the ends, low and high, between which its number lies in that share of all new rows."""
        rows = self.rows(data)
        found = list(self._asked("predict", rows, {"interval": level}))
        _warn(found)
        return RemoteAnswers(self._targets, found, rows.index).intervals()

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """A bool column per class: the labels of each row that together hold the true one in that share of new rows."""
        if allow_empty:
            raise OptionError("allow_empty is not known to servers. Leave it out, or save the model and ask it here.")
        rows = self.rows(data)
        found = list(self._asked("predict", rows, {"set": level}))
        _warn(found)
        return RemoteAnswers(self._targets, found, rows.index).sets()

    def forecast(
        self, horizon: int | None = None, *, future: Any = None, history: Any = None,
        levels: Sequence[float] = (80, 95),
    ) -> pd.DataFrame:  # fmt: skip
        """The next steps of series over time with their intervals, as `Model.forecast` gives them."""
        asked: dict[str, Any] = {"horizon": horizon, "levels": [float(level) for level in levels]}
        beside = {"future": future, "history": history}
        asked |= {name: plain_rows(rows) for name, rows in beside.items() if rows is not None}
        path = f"/v1/models/{self.id}/forecast"
        found = self._wire.again(lambda: self._wire.post(path, asked))
        _warn([found])
        return told.forecast(found)

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> Explanations:
        """How the answers to rows come about, an `Explanation` a row, as `Model.explain` tells it, but without maps."""
        if len(self._targets) > 1:
            raise InputError(f"this model has {len(self._targets)} targets: {self.target}. explanations() has all.")
        return self.explanations(data, label, column)[self.target]

    def explanations(self, data: Any, label: Any = None, column: str | None = None) -> dict[str, Explanations]:
        """The same by target."""
        rows = self.rows(data)
        found = list(self._asked("explain", rows, {"label": label, "column": column}, MOST_EXPLAINED))
        return {name: told.explanations(name, found, rows) for name in self.targets}

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first."""
        return told.tables(self.evaluations(data))

    def evaluations(self, data: Any) -> dict[str, Evaluation]:
        """The same for each target, with what was guessed or mended while reading."""
        return told.evaluations(self._whole("evaluate", data, {}), self._targets)

    def monitor(self, data: Any, labels: str | None = None) -> dict[str, Any]:
        """What moved since it learned, what its score is likely to be on these rows, whether to train anew."""
        return dict(self._whole("monitor", data, {"labels": labels}))

    def save(self, path: str | Path, *, lean: bool = False, rows: bool = True) -> Path:
        """Bring it here, into a folder that `automl.load` reads; `lean` and `rows` as of `Result.save`."""
        return bring(self._wire, f"/v1/models/{self.id}/artifact", Path(path), lean=lean, rows=rows)

    def card(self) -> str:
        """Its model card, as Markdown."""
        return self._wire.text(f"/v1/models/{self.id}/card").decode()

    def rows(self, data: Any) -> pd.DataFrame:
        """Rows to predict from whatever `predict` takes, their columns called as in training."""
        from automl.data.reading import load_features

        return load_features(data, self._known)

    # --- below --------------------------------------------------------------------------------------------------------

    @cached_property
    def _targets(self) -> tuple[RemoteTarget, ...]:
        return tuple(RemoteTarget.of(one) for one in self._about["targets"])

    @cached_property
    def _known(self) -> KnownColumns:
        return KnownColumns.of(self._about["schema"])

    @cached_property
    def _limits(self) -> RequestLimits:
        return RequestLimits.of(self._wire.get("/v1/me").get("limits") or {})

    def _asked(
        self, verb: str, rows: pd.DataFrame, params: Mapping[str, Any], most: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """The answers to rows, a piece after the other."""
        for piece in pieces(rows, self._known, self._limits.at_most(most)):
            yield self._send(verb, params, piece.kind, piece.content)

    def _whole(self, verb: str, data: Any, params: Mapping[str, Any]) -> Any:
        """The answer to rows that have to be seen together."""
        with answered(data, None if len(self._targets) > 1 else self.target) as (kind, parcel):
            return self._send(verb, params, kind, parcel.open, parcel.size)

    def _send(self, verb: str, params: Mapping[str, Any], kind: str, content: Any, size: int | None = None) -> Any:
        """Asking a model changes nothing, so it may be asked again where no answer came."""
        path = f"/v1/models/{self.id}/{verb}"
        return self._wire.again(lambda: self._wire.send(path, params, kind, content, size=size))


def _warn(found: list[dict[str, Any]]) -> None:
    """What few rows do to intervals and sets is a warning, as of a model here."""
    for note in dict.fromkeys(str(note) for one in found for note in one.get("notes") or ()):
        warnings.warn(note, UserWarning, stacklevel=3)
