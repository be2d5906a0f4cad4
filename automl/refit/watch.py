"""What a saved model takes along to be watched by: its drift reference, made from the rows of its run.

Some thousand rows, cells counted once: a fraction of a second. It is part of the model and of its size; where it would
break a limit that was asked for, the model goes without.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from automl.model import artifact, manifest, reference, said
from automl.model.expected import Residuals, expect, middle
from automl.model.reference import Promise, Reference, Watched
from automl.model.watched import look
from automl.options import Options
from automl.records import Candidate
from automl.refit import picks
from automl.refit.finish import FinishInputs, Selection
from automl.runtime.clock import LEAST_ASKED_S, WRITTEN_S
from automl.scoring.metrics import sample_rows
from automl.scoring.readout import calibrated
from search_spaces.spec import OF_NUMBERS

MOST_ROWS, MOST_CELLS = 20_000, 3_000_000  # looked at, and cells of them together
FEW_ROWS = 1_000  # that are looked at whatever it takes
MEDIA_ROWS = 4_000  # the same where something was decoded


def equip(inputs: FinishInputs, end: Selection, options: Options) -> Selection:
    """Put the drift reference into the model that was saved, and measure its size again."""
    content = reference.dump(learn(inputs, end.chosen, options))
    size_mb = artifact.size_mb(inputs.model) + len(content) / 1e6
    if options.allowed_mb is not None and size_mb > options.allowed_mb:
        inputs.context.watcher.say(
            f"note: the model goes without its drift reference, {len(content) / 1e6:.2g} MB that the limit leaves no "
            "room for; automl monitor needs it"
        )
        return end
    artifact.attach(inputs.model, {reference.NAME: content})
    scores = {one.name: one.score for one in end.candidates}
    for place in (inputs.context.folder.path / picks.FOLDER).glob(f"*/{manifest.NAME}"):
        name = manifest.read(place.parent).get("name")
        if name in scores:
            artifact.attach(place.parent, {reference.NAME: reference.for_other(content, scores[name])})
    return replace(end, measured={**end.measured, "size_mb": artifact.size_mb(inputs.model)})


def learn(inputs: FinishInputs, chosen: Candidate, options: Options) -> Reference:
    """The reference of a run and of what its chosen model said of held-out rows."""
    ready, shared = inputs.ready, inputs.ready.shared
    width = max(1, shared.raw.numbers.shape[1] + shared.raw.codes.shape[1] + len(shared.raw.texts))
    most = min(MOST_ROWS, max(FEW_ROWS, MOST_CELLS // width), MEDIA_ROWS if shared.raw.blocks else MOST_ROWS)
    if inputs.context.clock.left(WRITTEN_S) < LEAST_ASKED_S:
        most = min(most, FEW_ROWS)  # some hundredths of a second, which no model goes without
    rows = np.sort(sample_rows(shared.y, most)) if len(shared.y) > most else np.arange(len(shared.y))
    frame = inputs.dataset.frame.iloc[rows]
    blocks = None if shared.folds.blocks is None else shared.folds.blocks[rows]
    columns = ready.schema.columns[: reference.MOST_WATCHED]
    names = {column.name for column in columns}
    most_cells = reference.cells_for(len(columns))
    watched = tuple(
        reference.learn(one, most_cells, blocks)
        for one in look(frame, shared.raw.take(rows), ready.schema, None)
        if one.column in names
    )
    learned = Reference(
        rows=len(shared.y), watched=watched, left_out=len(ready.schema.columns) - len(columns),
        time_column=options.time_column, deals=1 + len(shared.folds.again),
        answers=reference.learn(said.answers(shared.y[rows], inputs.dataset.target_name), reference.MOST, blocks),
    )  # fmt: skip
    return _with_predictions(learned, inputs, chosen)


def _with_predictions(learned: Reference, inputs: FinishInputs, chosen: Candidate) -> Reference:
    """The same, with what the chosen model said of rows that were held out, and what can be expected by that."""
    comparison, profile, metric = inputs.comparison, inputs.profile, inputs.ready.metric
    if any(number not in comparison.predictions for number in chosen.weights):
        return learned
    mixed = np.asarray(sum(w * comparison.predictions[number] for number, w in chosen.weights.items()))
    outputs, y = calibrated(mixed, chosen.readout), comparison.y
    some = sample_rows(y, MOST_ROWS) if len(y) > MOST_ROWS else np.arange(len(y))
    outputs, y = outputs[some], y[some]
    if not np.isfinite(outputs).all():
        return learned
    blocks = None if comparison.blocks is None else comparison.blocks[some]
    seen = said.see(outputs, profile.task, profile.classes, chosen.readout)
    predictions: tuple[Watched, ...] = tuple(reference.learn(one, reference.MOST, blocks) for one in seen)
    residuals = Residuals.of(middle(outputs), y) if profile.task in OF_NUMBERS else None
    score, expected = chosen.score, None
    is_whole = all(math.isfinite(one) for one in (score.value, score.low, score.high))
    if not metric.own:  # a function stays with its driver
        expected = expect(metric, outputs, chosen.readout, residuals)
    return replace(
        learned,
        predictions=predictions,
        promise=Promise(
            metric=score.metric, value=score.value, low=score.low, high=score.high,
            higher_is_better=score.higher_is_better, rows=len(comparison.y),
        ) if is_whole else None,
        expected=None if expected is None else expected.error,
        residuals=None if residuals is None else residuals.table,
        bins=None if residuals is None else residuals.edges,
    )  # fmt: skip
