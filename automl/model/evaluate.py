"""How good a model is on rows whose answers are known: every metric of its task, each with the interval chance leaves.

Rows are read as those of a `test=` are. A saved model knows its target, its classes and its weights, so it needs
neither the run nor the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from automl.data import spelling
from automl.data.reading import load_held
from automl.data.target import COMMA_FACT, counted_by_class, encode_target
from automl.modalities import mixture
from automl.modalities.mixture import claims_of
from automl.options import Options
from automl.records import Calibration, Dataset, Profile, Score
from automl.scoring import metrics
from automl.scoring.metrics import Metric
from automl.scoring.readout import decided
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

ROUNDS = 200  # redrawings of the rows for an interval
CELLS = 1_000_000  # rows times classes redrawn: all metrics of 50,000 rows and 300 classes then take 11 s of one core
LEAST_ROWS = 2_000  # redrawn even where there are many hundred classes


class Predictor(Protocol):
    """What is asked of a saved model."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What it says of itself."""

    @property
    def readout(self) -> Calibration:
        """How its labels are read off its probabilities."""

    def predict(self, data: Any) -> pd.Series | pd.DataFrame:
        """A value for each row, of quantiles one per level."""

    def predict_proba(self, data: Any) -> pd.DataFrame:
        """A column per class."""


@dataclass(frozen=True)
class Evaluation:
    """All scores of a model on some rows; that of the run's metric first, where it is one of them."""

    target: str
    rows: int
    scores: tuple[Score, ...]
    metric: str  # of the run
    notes: tuple[str, ...]  # what was guessed, mended or left out while reading

    def table(self) -> pd.DataFrame:
        """A row per metric."""
        import pandas as pd

        rows = [
            (s.metric, s.value, s.low, s.high, s.higher_is_better, s.metric == self.metric) for s in self.scores
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["metric", "value", "low", "high", "higher_is_better", "is_of_run"])


@dataclass(frozen=True, kw_only=True)
class AnsweredRows:
    """Rows with their answers as numbers, and what each of them counts."""

    dataset: Dataset
    y: np.ndarray
    weight: np.ndarray | None


def evaluate(model: Predictor, data: Any) -> Evaluation:
    """Score a model on rows with answers, given as anything that `fit` takes."""
    return score(model, answers_of(model.manifest, data))


def answers_of(manifest: Mapping[str, Any], data: Any) -> AnsweredRows:
    """Rows with answers as a saved model's manifest says they are read."""
    dataset = _read(data, manifest)
    assert dataset.target is not None  # reading refuses rows without answers
    y = encode_target(dataset.target, profile_of(manifest))
    return AnsweredRows(
        dataset=dataset, y=y, weight=counted_by_class(y, dataset.weight, manifest.get("class_weights", ()))
    )


def score(model: Predictor, answers: AnsweredRows) -> Evaluation:
    """The scores of a model on rows that were read."""
    profile, dataset, y = profile_of(model.manifest), answers.dataset, answers.y
    told = model.predict_proba(dataset.frame) if profile.classes else model.predict(dataset.frame)
    predictions = np.asarray(told)
    blocks = _series(model, dataset)
    names = metrics.names(profile.task, is_of_series=bool(blocks))
    known = [metrics.get(name, profile.levels, profile.positive) for name in names]
    known.sort(key=lambda metric: metric.name != profile.metric)
    notes = dataset.notes
    if profile.metric not in [metric.name for metric in known]:
        notes += (f"{profile.metric}, the metric of the run, is a function that a saved model does not hold",)
    weights = {
        name: mixture.scaled_weights(blocks, name, answers.weight) if name in metrics.SCALED else answers.weight
        for name in names
    }
    scores = tuple(_score(metric, y, predictions, weights[metric.name], model.readout) for metric in known)
    return Evaluation(dataset.target_name, len(y), scores, profile.metric, notes)


def _series(model: Predictor, dataset: Dataset) -> Mapping[str, Media]:
    """The rows as steps of series, where the model is of such; else nothing."""
    encoded = getattr(model, "encoded", None)
    if encoded is None or "panel" not in dataset.claims.values():
        return {}
    blocks: Mapping[str, Media] = encoded(dataset.frame).blocks
    return blocks


def _read(data: Any, manifest: Mapping[str, Any]) -> Dataset:
    """The rows with their answers and weights; of a folder with a part made to test on, that part."""
    options = Options(target=manifest["target"], weight=manifest.get("weight"))
    schema = manifest.get("schema", {})
    names, claims = schema.get("names", ()), claims_of(schema)
    steps = mixture.steps_in(schema)
    spelled = spelling.of_saved(manifest)
    dataset = load_held(data, options, names, claims, steps, spelled)
    return dataset if dataset.test is None else load_held(dataset.test, options, names, claims, steps, spelled)


def profile_of(manifest: Mapping[str, Any]) -> Profile:
    """What reading the answers needs to know of the data that was learned from."""
    return Profile(
        rows=0, columns=(), task=manifest["task"], task_rule="", metric=manifest["metric"], metric_rule="",
        classes=tuple(manifest["classes"]),
        levels=tuple(manifest.get("levels", ())), positive=manifest.get("positive", 1),
        facts={COMMA_FACT: float(manifest.get("has_decimal_comma", False))},
    )  # fmt: skip


def _score(
    metric: Metric, y: np.ndarray, predictions: np.ndarray, weight: np.ndarray | None, readout: Calibration
) -> Score:
    """Probabilities are scored as users see them, labels as the model decides them."""
    told = decided(predictions, readout) if metric.needs == "label" else predictions
    value = metric.score(y, told, weight)
    width = told.shape[1] if told.ndim == 2 else 1
    most = min(metrics.BOOTSTRAP_ROWS, max(LEAST_ROWS, CELLS // width))
    low, high = metrics.interval(metric, y, told, weight, rounds=ROUNDS, most_rows=most)
    return Score(metric=metric.name, value=value, low=low, high=high, higher_is_better=metric.higher_is_better)
