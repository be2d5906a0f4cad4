"""A saved model, loaded: rows in, predictions out. Needs the libraries of its own members, no search and no pickle.

Predictions depend on the rows alone: category codes are looked up by their text, columns by their name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.modalities import mixture
from automl.modalities.mixture import FoldFeatures, Raw, Schema
from automl.model.manifest import one_line_of
from automl.records import Calibration
from automl.scoring.conformal import Conformal, Said, blended
from automl.scoring.readout import calibrated, decided
from search_spaces.spec import OF_NUMBERS, TABLE, Learner, Matrix, Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.explain import Question
    from automl.explain.additive import ColumnQuestion
    from automl.explain.wording import WordQuestion
    from automl.model.explaining import Explanations

CHUNK_ROWS = 50_000  # rows encoded at a time, so that memory stays bounded
THREADED_ROWS = 5_000  # below this, starting threads costs more than it gives


@dataclass(frozen=True)
class FittedPart:
    """One fitted fold of one member."""

    features: str  # key of the fitted features it reads
    learner: Learner
    reads: frozenset[str]  # kinds of blocks; where none is "table", rows need not be described in numbers
    weight: float  # the member's weight divided by its folds
    member: int = 0  # which one it is of

    def looks_at(self, column: str, block: Media) -> bool:
        """Whether it is a network that reads this column itself, and nothing beside it."""
        inner = getattr(self.learner, "learner", self.learner)
        return not self.reads & TABLE and block.kind in self.reads and getattr(inner, "column", "") in ("", column)


Ask = Callable[[FittedPart, Matrix, int], np.ndarray]  # how a part is asked, on so many threads


def _at_once(part: FittedPart, rows: Matrix, threads: int) -> np.ndarray:
    return part.learner.predict(rows, threads)


@dataclass(frozen=True)
class Model:
    """A trained model of one run."""

    schema: Schema
    features: Mapping[str, FoldFeatures]
    parts: tuple[FittedPart, ...]
    manifest: Mapping[str, Any]
    usual: Raw | None = None  # rows to compare an answer with, where it brings some along
    conformal: Conformal | None = None  # how far single predictions may be off; models of older versions do not know
    drift: bytes | None = None  # its drift reference, as it was saved; see reference.py

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
    def readout(self) -> Calibration:
        """How its probabilities are calibrated and labels read off them, as learned on held-out rows."""
        saved = dict(self.manifest.get("readout") or {})
        return Calibration(**{**saved, **{name: tuple(saved.get(name, ())) for name in ("label_weights", "shares")}})

    def predict(self, data: Any = None, *, horizon: int | None = None, future: Any = None) -> pd.Series | pd.DataFrame:
        """One prediction per row, in the user's own labels and with the index of the rows given.

        Of quantiles a column per level, named like price_q0.9. Of series over time, without rows, the next steps of all
        that the model knows, as `forecast` gives them.
        """
        import pandas as pd

        if data is None or horizon is not None or future is not None:
            return self.forecast(horizon=horizon, future=future, history=data)
        frame = self.rows(data)
        values = self.outputs(frame)
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
        frame = self.rows(data)
        return pd.DataFrame(self.outputs(frame), index=frame.index, columns=pd.Index(self.classes))

    def predict_interval(self, data: Any, level: float = 0.9) -> pd.DataFrame:
        """Of each row the ends, low and high, between which its number lies in that share of all new rows.

        Learned from held-out rows, wider where those were harder to predict. With too few of them for a level the ends
        are infinite, and a warning says how many are needed. Nothing is learned anew, so asking costs nothing.
        """
        from automl.model.certain import predict_interval

        return predict_interval(self, data, level)

    def predict_set(self, data: Any, level: float = 0.9, *, allow_empty: bool = False) -> pd.DataFrame:
        """A bool column per class: the labels of each row that together hold the true one in that share of new rows.

        Classes with a hundred held-out rows or more keep to the level each by itself. The predicted label is always in,
        so sets of one label hold more than was asked for where a model is right more often; `allow_empty` leaves it out
        where nothing is as likely as true labels were.
        """
        from automl.model.certain import predict_set

        return predict_set(self, data, level, allow_empty=allow_empty)

    def forecast(
        self, horizon: int | None = None, *, future: Any = None, history: Any = None,
        levels: Sequence[float] = (80, 95),
    ) -> pd.DataFrame:  # fmt: skip
        """The next steps of series over time: a row each, with the ends between which `levels` percent of values lie.

        `horizon`: steps of each series, as in training where none is given. `future`: rows of these steps with the
        columns that are known ahead. `history`: rows with values that became known since, or of new series; then these
        series alone are foretold.
        """
        from automl.model.forecasting import ForecastRequest, forecast

        return forecast(self, ForecastRequest(horizon=horizon, future=future, history=history, levels=levels))

    def updated(self, rows: Any) -> Model:
        """The same model of series over time, knowing these rows too; nothing is fitted anew."""
        from automl.model.forecasting import updated

        return updated(self, rows)

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first.

        `data` as `fit` takes it: a table with the target's column, its path, or a pair (X, y). Weights count where the
        run had a weight column.
        """
        from automl.model.evaluate import evaluate

        return evaluate(self, data).table()

    def monitor(self, data: Any, labels: str | None = None) -> dict[str, Any]:
        """What moved since the model learned, what its score is likely to be on these rows, whether to train anew.

        `data` as `predict` takes it. Where the answers are among the columns they are scored; `labels` names their
        column, if it is not called as in training.
        """
        from automl.model.monitor import monitor

        return monitor(self, data, labels)

    def explain(self, data: Any, label: Any = None, column: str | None = None, background: Any = None) -> Explanations:
        """How the answers to rows come about, one `Explanation` a row.

        `columns`: what each column adds to the usual answer; base and additions sum to what the model says (of classes
        in log-odds). `words`: what the words of texts weigh. `maps`: where in images or sounds the answer comes from.
        `label`: the class to explain, or the level of a quantile; None: of a table with two classes the positive one,
        else the one that is predicted. `column`: only the words or the map of this one. `background`: usual rows to
        compare with, where the model carries none.
        """
        from automl.model.explaining import explain

        asked = self._place(label)
        usual = self.usual if background is None else self._encode(self.rows(background))
        return explain(self, self.rows(data), usual, asked, column)

    def column_question(
        self, frame: pd.DataFrame, usual: Raw | None, outputs: Sequence[int] | int | None = None
    ) -> ColumnQuestion:
        """What does each column add to these answers, against usual rows; of two classes, to the positive one."""
        from automl.explain.additive import ColumnQuestion
        from automl.explain.background import fitted
        from automl.explain.cells import told_places
        from automl.explain.paths import AskedPart

        raw = self._encode(frame)
        if outputs is None:
            outputs = int(self.manifest.get("positive", 1)) if self.task == "binary" else self._predicted(raw)
        return ColumnQuestion(
            raw=raw,
            places=told_places(self.schema),
            outputs=np.full(len(frame), outputs, dtype=np.int64),
            ask=self._mix,
            parts=tuple(AskedPart(self.features[part.features], part.learner, part.weight) for part in self.parts),
            readout=self.readout,
            is_numeric=self.task in OF_NUMBERS,
            usual=None if usual is None else fitted(usual, raw),
        )

    def question(
        self,
        frame: pd.DataFrame,
        column: str,
        blocks: Mapping[str, Media] | None = None,
        outputs: Sequence[int] | int | None = None,
    ) -> Question:
        """Where do these answers come from in a decoded column, as explainers ask it.

        `blocks`: the frame's columns that are decoded already; `outputs`: of each row, or of all, the place of the
        class asked about, else of the predicted one.
        """
        from automl.explain import Question

        raw = self._encode(frame, blocks)
        block = raw.blocks[column]

        def ask(row: int, others: Media) -> np.ndarray:
            rows = np.full(len(others), row)
            beside = {name: own.take(rows) for name, own in raw.blocks.items() if name != column}
            return self._mix(self._encode(frame.iloc[rows], {**beside, column: others}))

        outputs = self._predicted(raw) if outputs is None else outputs
        parts = tuple((part.weight, part.learner) for part in self.parts if part.looks_at(column, block))
        places = np.full(len(frame), outputs, dtype=np.int64)
        return Question(
            block=block,
            drawn=self.schema.drawn[column],
            outputs=places,
            ask=ask,
            parts=parts,
            is_numeric=self.task in OF_NUMBERS,
        )

    def explain_words(self, data: Any, label: Any = None, column: str | None = None) -> list[list[tuple[str, float]]]:
        """Which words the answers to texts rest on: for each row its words, each with a weight of -1 .. 1.

        What speaks for the answer is above zero, what speaks against it below. `label`: the class to ask about; None:
        the one that is predicted. `column`: of several columns of texts, which.
        """
        from automl.explain.wording import weigh_words

        known = self.schema.worded
        if not known or (column or known[0]) not in known:
            raise InputError(
                f"explain_words weighs the words of texts, but this model reads {', '.join(map(repr, known)) or 'none'}"
                f"{'' if column is None else f', not {column!r}'}. Name a column of texts."
            )
        frame, place = self.rows(data), self._place(label)
        asked = self.word_question(frame, column or known[0], outputs=place)
        return [list(zip(one.words, one.weights, strict=True)) for one in weigh_words(asked)]

    def word_question(
        self, frame: pd.DataFrame, column: str, outputs: Sequence[int] | int | None = None
    ) -> WordQuestion:
        """Which words do these answers rest on; as `question`."""
        from automl.explain.wording import WordQuestion

        raw = self._encode(frame)

        def ask(row: int, texts: Sequence[str]) -> np.ndarray:
            rows = np.full(len(texts), row)
            cells = frame.iloc[rows].copy()
            cells[column] = list(texts)
            beside = {name: own.take(rows) for name, own in raw.blocks.items() if name != column}
            return self._mix(self._encode(cells, beside))

        outputs = self._predicted(raw) if outputs is None else outputs
        places = np.full(len(frame), outputs, dtype=np.int64)
        return WordQuestion(tuple(raw.blocks[column].values().tolist()), places, ask, self.task in OF_NUMBERS)

    def _place(self, label: Any) -> int | None:
        """Of a class, or of the level of a quantile, among the outputs; None for the usual one; others are refused."""
        known = self.classes or list(self.levels)
        if label is None:
            return None
        if label not in known:
            one, all_ = ("level", "levels") if self.levels else ("class", "classes")
            told = ", ".join(map(repr, known[:8])) or "none, as it predicts numbers"
            raise InputError(f"label={label!r} is no {one} of this model. Its {all_}: {told}.")
        return known.index(label)

    def _predicted(self, raw: Raw) -> Sequence[int] | int:
        """Of each row the place of the predicted class; of numbers the middle one."""
        if not self.classes:
            return len(self.levels) // 2
        found: list[int] = decided(self._mix(raw), self.readout).argmax(axis=1).tolist()
        return found

    def rows(self, data: Any) -> pd.DataFrame:
        """Rows to predict from whatever `predict` takes, their columns called as in training."""
        from automl.data.reading import load_features

        return load_features(data, self.schema)

    def outputs(self, frame: pd.DataFrame) -> np.ndarray:
        """What it says of such rows: numbers, quantiles, or calibrated probabilities."""
        rows = len(frame)
        if rows <= CHUNK_ROWS:
            return self._mix(self._encode(frame))
        chunks = [frame.iloc[at : at + CHUNK_ROWS] for at in range(0, rows, CHUNK_ROWS)]
        return np.concatenate([self._mix(self._encode(chunk)) for chunk in chunks])

    def said(self, frame: pd.DataFrame) -> Said:
        """The same of numbers, with how far the members of a blend are apart."""
        starts = range(0, max(1, len(frame)), CHUNK_ROWS)
        return self.said_of(self._encode(frame.iloc[at : at + CHUNK_ROWS]) for at in starts)

    def said_of(self, raws: Iterable[Raw], ask: Ask = _at_once) -> Said:
        """The same of rows that are encoded already; `ask`: how each part is asked."""
        outputs, totals, units = [], [], []
        for raw in raws:
            units.append(mixture.units(raw))
            apart: dict[int, np.ndarray] = {}
            outputs.append(self._mix(raw, apart, ask))
            totals.append(apart)
        weights = dict.fromkeys(totals[0], 0.0)
        for part in self.parts:
            weights[part.member] += part.weight
        told = [np.concatenate([one[k] for one in totals]) / weight for k, weight in weights.items() if weight]
        said = blended(np.concatenate(outputs), told, [weight for weight in weights.values() if weight], self.levels)
        known = [one for one in units if one is not None]
        if not known:
            return said
        unit, step = (np.concatenate([one[k] for one in known]) for k in (0, 1))
        return replace(said, unit=unit, step=step)

    def encoded(self, frame: pd.DataFrame) -> Raw:
        """Rows as its members are given them."""
        return self._encode(frame)

    def _encode(self, frame: pd.DataFrame, blocks: Mapping[str, Media] | None = None) -> Raw:
        with one_line_of("what this model knows of its columns"):
            return self.schema.encode(frame, blocks, is_described=self.is_described)

    @property
    def is_described(self) -> bool:
        """Whether any member reads the numbers that describe decoded columns."""
        return any(part.reads >= TABLE for part in self.parts)

    def _mix(self, raw: Raw, apart: dict[int, np.ndarray] | None = None, ask: Ask = _at_once) -> np.ndarray:
        """The weighted mean of all parts, calibrated; `apart` is given the share of each member."""
        from cluster.cores import cores

        threads = 1 if len(raw) < THREADED_ROWS else cores()
        encoded: dict[str, Matrix] = {}
        total: Any = 0.0
        with one_line_of("a member of this model"):
            for part in self.parts:
                if part.features not in encoded:
                    encoded[part.features] = self.features[part.features].transform(raw)
                said = part.weight * ask(part, encoded[part.features], threads)
                total = total + said
                if apart is not None:
                    apart[part.member] = apart.get(part.member, 0.0) + said
            return calibrated(np.asarray(total), self.readout)


def _label_type(classes: list[Any]) -> Any:
    """bool, int64 or float64 where all labels are of that type, else object so that nothing is turned into text."""
    kinds = {type(label) for label in classes}
    return kinds.pop() if kinds in ({bool}, {int}, {float}) else object
