"""Answers to held-out rows explained, each by the fitted folds that did not learn from it. Runs in a worker."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import search_spaces
from automl.data.prepare import Shared
from automl.explain.additive import Additive, ColumnQuestion, explain_columns
from automl.explain.cells import Place
from automl.explain.paths import AskedPart
from automl.explain.permutation import AskedTrial, Parts, fold_parts
from automl.modalities.mixture import Raw, load_features
from automl.records import Calibration
from automl.runtime.folder import RunFolder
from automl.scoring.readout import calibrated
from automl.training import learners
from cluster.pool import Grant


@dataclass(frozen=True, kw_only=True)
class HeldRequest:
    """Of which models, which rows, and what of the answers to them."""

    path: str  # of the run
    members: tuple[AskedTrial, ...]
    readout: Calibration
    rows: np.ndarray  # of the data set
    fold: np.ndarray  # that held each of them out
    outputs: np.ndarray  # which of the model's outputs is explained of each
    places: tuple[Place, ...]
    usual: Raw
    is_numeric: bool
    asked: int  # questions about a row


def folds_of(ask: HeldRequest, folder: RunFolder) -> Parts:
    """The files of the folds that will be asked, to travel to a worker that does not see the run's folder."""
    return fold_parts(ask.members, np.unique(ask.fold).tolist(), folder)


def explain_held(grant: Grant, ask: HeldRequest, shared: Shared, parts: Parts | None = None) -> Additive:
    """Row by row, as many as there is time for."""
    files = folds_of(ask, RunFolder(Path(ask.path))) if parts is None else parts
    panels: dict[int, tuple[AskedPart, ...]] = {}
    found: list[Additive] = []
    for row, fold, output in zip(ask.rows.tolist(), ask.fold.tolist(), ask.outputs.tolist(), strict=True):
        if fold not in panels:
            panels[fold] = tuple(_part(files, member, fold) for member in ask.members)
        raw = shared.raw.take(np.array([row]))
        found.append(explain_columns(_question(ask, raw, panels[fold], output)))
        if time.monotonic() >= grant.until:
            break
    return Additive(
        found[0].method if found else "",
        *(np.concatenate([getattr(one, name) for one in found]) for name in ("base", "said", "values", "errors")),
    )


def _part(files: Parts, member: AskedTrial, fold: int) -> AskedPart:
    learner, features = (files[member.number, fold, group] for group in ("learner", "features"))
    read = learners.load(search_spaces.get(member.family), learner)
    return AskedPart(load_features(features), read, member.weight)


def _question(ask: HeldRequest, raw: Raw, parts: tuple[AskedPart, ...], output: int) -> ColumnQuestion:
    def answers(rows: Raw) -> np.ndarray:
        mixed = sum(part.weight * part.learner.predict(part.features.transform(rows), 1) for part in parts)
        return np.asarray(mixed) if ask.is_numeric else calibrated(np.asarray(mixed), ask.readout)

    return ColumnQuestion(
        raw=raw, places=ask.places, outputs=np.array([output]), ask=answers, parts=parts, readout=ask.readout,
        is_numeric=ask.is_numeric, usual=ask.usual, asked=ask.asked,
    )  # fmt: skip
