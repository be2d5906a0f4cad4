"""What a server's model said, in pieces of JSON -> the frames and records that a model here gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.model.evaluate import Evaluation
from automl.model.explaining import Addition, Explanation, Explanations
from automl.records import Score

if TYPE_CHECKING:
    import pandas as pd

Pieces = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RemoteTarget:
    """What a model predicts."""

    target: str
    task: str
    classes: tuple[Any, ...]
    levels: tuple[float, ...]
    metric: str  # of its run

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> RemoteTarget:
        """From what a server tells of a model."""
        classes, levels = tuple(told.get("classes") or ()), tuple(told.get("levels") or ())
        return cls(str(told["target"]), str(told["task"]), classes, levels, str(told["metric"]))

    def labels(self, values: Sequence[Any]) -> np.ndarray:
        """Labels as JSON has them, in the type that a model here gives them in."""
        kinds = {type(label) for label in self.classes}
        made = np.empty(len(values), dtype=kinds.pop() if kinds in ({bool}, {int}, {float}) else object)
        made[:] = values
        return made


def forecast(found: Mapping[str, Any]) -> pd.DataFrame:
    """A row for each step of each series."""
    import pandas as pd

    frame = pd.DataFrame(found["forecast"], columns=pd.Index(found["columns"]))
    for name in found["dates"]:
        frame[name] = pd.to_datetime(frame[name])
    return frame


@dataclass(frozen=True)
class RemoteAnswers:
    """All pieces of an answer, for a model of one target or of several."""

    targets: tuple[RemoteTarget, ...]
    found: Pieces
    index: pd.Index

    def predictions(self) -> pd.Series | pd.DataFrame:
        """One prediction per row, of quantiles one per level, of several targets a column each."""
        found: pd.Series | pd.DataFrame = self._joined(self._predicted)
        return found

    def _predicted(self, one: RemoteTarget, cells: list[Any]) -> pd.Series | pd.DataFrame:
        import pandas as pd

        if one.levels:
            names = [f"{one.target}_q{level:g}" for level in one.levels]
            rows = np.array([[_number(cell[name]) for name in names] for cell in cells], dtype=np.float64)
            return pd.DataFrame(rows.reshape(-1, len(names)), index=self.index, columns=pd.Index(names))
        values = one.labels(cells) if one.classes else np.array([_number(cell) for cell in cells], dtype=np.float64)
        return pd.Series(values, index=self.index, name=one.target)

    def _joined(self, made: Callable[[RemoteTarget, list[Any]], Any], of: str = "predictions") -> Any:
        """What is made of the cells of each target; of several side by side."""
        import pandas as pd

        rows = [row for piece in self.found for row in piece[of]]
        if len(rows) != len(self.index):
            raise InputError(f"the server answered {len(rows):,} rows of {len(self.index):,}. Ask again.")
        if len(self.targets) == 1:
            return made(self.targets[0], rows)
        frames = {one.target: pd.DataFrame(made(one, [row[one.target] for row in rows])) for one in self.targets}
        if of == "predictions":
            return pd.concat(frames.values(), axis=1)
        return pd.concat([frame.add_prefix(f"{target}_") for target, frame in frames.items()], axis=1)

    def probabilities(self) -> pd.DataFrame:
        """A column per class."""
        import pandas as pd

        def made(one: RemoteTarget, cells: list[Any]) -> pd.DataFrame:
            rows = np.array([[_number(cell[str(label)]) for label in one.classes] for cell in cells], dtype=np.float64)
            return pd.DataFrame(
                rows.reshape(-1, len(one.classes)), index=self.index, columns=pd.Index(list(one.classes))
            )

        for one in self.targets:
            if not one.classes:
                which = (
                    "this model predicts numbers" if len(self.targets) == 1 else f"target {one.target!r} is a number"
                )
                raise InputError(f"predict_proba needs classes, but {which}. Use predict.")
        found: pd.DataFrame = self._joined(made, "probabilities")
        return found

    def intervals(self) -> pd.DataFrame:
        """The ends, low and high; infinite ones are null in JSON."""
        import pandas as pd

        def made(_: RemoteTarget, cells: list[Any]) -> pd.DataFrame:
            low = [-math.inf if cell["low"] is None else cell["low"] for cell in cells]
            high = [math.inf if cell["high"] is None else cell["high"] for cell in cells]
            return pd.DataFrame({"low": low, "high": high}, index=self.index, dtype=np.float64)

        found: pd.DataFrame = self._joined(made, "intervals")
        return found

    def sets(self) -> pd.DataFrame:
        """A bool column per class."""
        import pandas as pd

        def made(one: RemoteTarget, cells: list[Any]) -> pd.DataFrame:
            held = np.array([[label in cell for label in one.classes] for cell in cells], dtype=bool)
            return pd.DataFrame(
                held.reshape(-1, len(one.classes)), index=self.index, columns=pd.Index(list(one.classes))
            )

        found: pd.DataFrame = self._joined(made, "sets")
        return found


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def explanations(target: str, found: Pieces, rows: pd.DataFrame) -> Explanations:
    """An Explanation for each row, with the cells and the index that were asked about; maps are not sent."""
    own = [piece["targets"][target] for piece in found]
    told = [row for piece in own for row in piece["rows"]]
    if len(told) != len(rows):
        raise InputError(f"the server explained {len(told):,} rows of {len(rows):,}. Ask again.")
    made = [_explained(one, index, rows.iloc[at]) for at, (one, index) in enumerate(zip(told, rows.index, strict=True))]
    method = next((str(piece["method"]) for piece in own if piece.get("method")), "")
    names = {column["column"] for one in told for column in one.get("columns") or ()}
    return Explanations(made, method, [name for name in rows.columns if name in names])


def _explained(one: Mapping[str, Any], index: Any, cells: pd.Series) -> Explanation:
    columns = tuple(
        Addition(own["column"], cells[own["column"]], float(own["contribution"]), float(own["error"]))
        for own in one.get("columns") or ()
    )
    words = {
        name: tuple((word, float(weight)) for word, weight in weighed)
        for name, weighed in (one.get("words") or {}).items()
    }
    return Explanation(
        row=index, label=one.get("label"), unit=one.get("unit") or "", base=one.get("base"), said=one.get("said"),
        columns=columns, words=words,
    )  # fmt: skip


def evaluations(told: Mapping[str, Any], targets: Sequence[RemoteTarget]) -> dict[str, Evaluation]:
    """The scores of each target."""
    several = told.get("targets")
    found = several if isinstance(several, Mapping) else {targets[0].target: told}
    return {one.target: _evaluation(one, found[one.target]) for one in targets}


def _evaluation(one: RemoteTarget, told: Mapping[str, Any]) -> Evaluation:
    scores = tuple(
        Score(metric=str(row["metric"]), value=_number(row["value"]), low=_number(row["low"]),
              high=_number(row["high"]), higher_is_better=bool(row["higher_is_better"]))
        for row in told["metrics"]
    )  # fmt: skip
    return Evaluation(one.target, int(told["rows"]), scores, one.metric, tuple(told.get("notes") or ()))


def tables(found: Mapping[str, Evaluation]) -> pd.DataFrame:
    """A row per metric; of several targets a first column names the target."""
    from automl.model.bundle import stacked

    every = {target: one.table() for target, one in found.items()}
    return stacked(every) if len(every) > 1 else next(iter(every.values()))
