"""A saved model, loaded: rows in, predictions out. Needs the libraries of its own members, no search and no pickle.

Predictions depend on the rows alone: category codes are looked up by their text, columns by their name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.modalities.mixture import FoldFeatures, Raw, Schema
from automl.model.manifest import one_line_of
from automl.records import Calibration
from automl.scoring.readout import calibrated, decided
from search_spaces.spec import OF_NUMBERS, TABLE, Learner, Matrix, Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.explain import Question
    from automl.explain.wording import WordQuestion

CHUNK_ROWS = 50_000  # rows encoded at a time, so that memory stays bounded
THREADED_ROWS = 5_000  # below this, starting threads costs more than it gives


@dataclass(frozen=True)
class FittedPart:
    """One fitted fold of one member."""

    features: str  # key of the fitted features it reads
    learner: Learner
    reads: frozenset[str]  # kinds of blocks; where none is "table", rows need not be described in numbers
    weight: float  # the member's weight divided by its folds

    def looks_at(self, column: str, block: Media) -> bool:
        """Whether it is a network that reads this column itself, and nothing beside it."""
        inner = getattr(self.learner, "learner", self.learner)
        return not self.reads & TABLE and block.kind in self.reads and getattr(inner, "column", "") in ("", column)


@dataclass(frozen=True)
class Model:
    """A trained model of one run."""

    schema: Schema
    features: Mapping[str, FoldFeatures]
    parts: tuple[FittedPart, ...]
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
    def readout(self) -> Calibration:
        """How its probabilities are calibrated and labels read off them, as learned on held-out rows."""
        saved = dict(self.manifest.get("readout") or {})
        return Calibration(**{**saved, **{name: tuple(saved.get(name, ())) for name in ("label_weights", "shares")}})

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """One prediction per row, in the user's own labels and with the index of the rows given.

        Of quantiles a column per level, named like price_q0.9.
        """
        import pandas as pd

        frame = self.rows(data)
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
        frame = self.rows(data)
        return pd.DataFrame(self._outputs(frame), index=frame.index, columns=pd.Index(self.classes))

    def evaluate(self, data: Any) -> pd.DataFrame:
        """Every metric of the task on rows with their answers, each with its 95 % interval; the run's metric first.

        `data` as `fit` takes it: a table with the target's column, its path, or a pair (X, y). Weights count where the
        run had a weight column.
        """
        from automl.model.evaluate import evaluate

        return evaluate(self, data).table()

    def explain(self, data: Any, label: Any = None, column: str | None = None) -> list[np.ndarray]:
        """Where the answers to images or sounds come from: for each row a map of 0 .. 1, highest where it counts.

        Of images (height, width) as the model sees them; of sounds (bands, frames), the lowest band first.
        `label`: the class to look for; None: the one that is predicted. `column`: of several columns of images or
        sounds, the one to draw the maps of. Of tables there are no such maps.
        """
        from automl.explain import explain

        place = self._place(label)
        chosen = self._drawn(column)
        frame = self.rows(data)
        if not len(frame):
            return []
        return list(explain(self.question(frame, chosen, outputs=place)).maps)

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
        """Of a class among the outputs; None for the predicted one."""
        if label is None:
            return None
        if label not in self.classes:
            known = ", ".join(map(repr, self.classes[:8])) or "none, as it predicts numbers"
            raise InputError(f"label={label!r} is no class of this model. Its classes: {known}.")
        return self.classes.index(label)

    def _predicted(self, raw: Raw) -> Sequence[int] | int:
        """Of each row the place of the predicted class; of numbers the middle one."""
        if not self.classes:
            return len(self.levels) // 2
        found: list[int] = decided(self._mix(raw), self.readout).argmax(axis=1).tolist()
        return found

    def _drawn(self, column: str | None) -> str:
        """The decoded column that maps are drawn of."""
        known = list(self.schema.drawn)
        if not known:
            raise InputError(
                f"explain draws maps of images and sounds, but this model reads {self._kinds()}. "
                f"{'explain_words weighs words.' if self.schema.worded else 'Predict rows that differ in one column.'}"
            )
        if column is None and len(known) > 1:
            raise InputError(
                f"this model looks at {len(known)} columns. Say which one: column={known[0]!r}, for instance."
            )
        if column is not None and column not in known:
            raise InputError(f"column={column!r} is none that is looked at. Give one of {', '.join(map(repr, known))}.")
        return column or known[0]

    def _kinds(self) -> str:
        return " and ".join(dict.fromkeys(self.schema.claims.values())) or "a table"

    def rows(self, data: Any) -> pd.DataFrame:
        """Rows to predict from whatever `predict` takes, their columns called as in training."""
        from automl.data.reading import load_features

        return load_features(data, self.schema)

    def _outputs(self, frame: pd.DataFrame) -> np.ndarray:
        rows = len(frame)
        if rows <= CHUNK_ROWS:
            return self._mix(self._encode(frame))
        chunks = [frame.iloc[at : at + CHUNK_ROWS] for at in range(0, rows, CHUNK_ROWS)]
        return np.concatenate([self._mix(self._encode(chunk)) for chunk in chunks])

    def _encode(self, frame: pd.DataFrame, blocks: Mapping[str, Media] | None = None) -> Raw:
        with one_line_of("what this model knows of its columns"):
            return self.schema.encode(frame, blocks, is_described=any(part.reads >= TABLE for part in self.parts))

    def _mix(self, raw: Raw) -> np.ndarray:
        """The weighted mean of all parts, calibrated."""
        from cluster.cores import cores

        threads = 1 if len(raw) < THREADED_ROWS else cores()
        encoded: dict[str, Matrix] = {}
        total: Any = 0.0
        with one_line_of("a member of this model"):
            for part in self.parts:
                if part.features not in encoded:
                    encoded[part.features] = self.features[part.features].transform(raw)
                total = total + part.weight * part.learner.predict(encoded[part.features], threads)
            return calibrated(np.asarray(total), self.readout)


def _label_type(classes: list[Any]) -> Any:
    """bool, int64 or float64 where all labels are of that type, else object so that nothing is turned into text."""
    kinds = {type(label) for label in classes}
    return kinds.pop() if kinds in ({bool}, {int}, {float}) else object
