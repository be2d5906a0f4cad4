"""Held-out images and sounds for the report: what the model gets wrong, as pictures, with where it looked.

The pictures are drawn here and always; the maps of where the model looked are asked of the saved model in a worker,
as far as the clock leaves time. Nothing in here may end a run: what goes wrong becomes a note.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from automl.explain.wording import TOLD, WeighedText
from automl.modalities import mixture
from automl.modalities.mixture import Shown
from automl.records import Candidate
from automl.refit.asking import ask, portions, reached
from automl.refit.finish import FinishInputs
from automl.refit.measure import Looked, LookRequest, WordRequest, look, weigh
from automl.report.gather import paint
from automl.report.gather.mistakes import Example, HeldOutPredictions, examples, held_out
from automl.report.sections.looked import FOLDER, SampleJson, SamplesJson
from automl.runtime.clock import ANSWERED_S, LEAST_ASKED_S, WRITTEN_S
from automl.runtime.durable import write_whole
from cluster.pool import Job, Status
from search_spaces.spec import Media

LONGEST_S = 60.0  # of a run that counts trials
MOST_WORDS = 120  # of a text that are drawn


def gather(inputs: FinishInputs, chosen: Candidate) -> SamplesJson | None:
    """Examples of the chosen model's held-out answers, their pictures in the run folder; None where nothing is drawn.

    Of several columns that can be looked at, the first is; where none can, the words of the first text are weighed.
    """
    drawn = mixture.drawn(inputs.dataset.decoded)
    if not drawn:
        return _texts(inputs, chosen)
    column, one = drawn[0], inputs.dataset.decoded[drawn[0]]
    held = held_out(chosen, inputs.comparison, len(inputs.profile.classes))
    told = examples(held)
    places = inputs.comparison.rows[[example.row for example in told]]
    blocks = {name: _in_memory(own.block.take(places)) for name, own in inputs.dataset.decoded.items()}
    files: list[SampleJson] = []
    notes: list[str] = []
    samples: SamplesJson = {"kind": one.codec.kind, "files": files, "explained": None, "notes": notes}
    if len(drawn) > 1:
        notes.append(f"shown is column {column!r}; Model.explain(data, column=...) looks into the others")
    folder = inputs.context.folder.path / FOLDER
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shown = mixture.show(one.codec, blocks[column])
        for at, (example, place) in enumerate(zip(told, places.tolist(), strict=True)):
            name = _name(inputs.dataset.frame[column].iloc[place], place)
            files.append({"name": name, **_told(example, held, inputs), "seconds": shown[at].seconds})
            files[-1]["picture"] = _write(folder, f"{at + 1:02d}", _painted(shown[at]))
        asked = LookRequest(
            str(inputs.model), inputs.dataset.frame.iloc[places], column, blocks, _outputs(told, held, inputs)
        )
        looked = _look(inputs, asked)
        if isinstance(looked, str):
            notes.append(looked)
            return samples
        samples["explained"] = looked.told
        for at, heat in enumerate(looked.maps):
            painted = paint.looked(shown[at].plane, heat, is_sound=shown[at].pixels is None)
            files[at]["heat"] = _write(folder, f"{at + 1:02d}-looked", painted)
        if len(looked.maps) < len(told):
            notes.append(f"time was left to look into {len(looked.maps)} of {len(told)} files only")
    except (OSError, MemoryError) as error:
        notes.append(f"not all pictures could be made: {error}")
    return samples


def _texts(inputs: FinishInputs, chosen: Candidate) -> SamplesJson | None:
    """The same of texts: their words, each with what it weighs."""
    worded = mixture.worded(inputs.dataset.decoded)
    if not worded:
        return None
    column = worded[0]
    held = held_out(chosen, inputs.comparison, len(inputs.profile.classes))
    told = examples(held)
    places = inputs.comparison.rows[[example.row for example in told]]
    rows = pd.concat(portions(inputs.dataset.frame.iloc[places], inputs.ready.schema.claims, inputs.context.pool))
    outputs = _outputs(told, held, inputs)
    request = WordRequest(str(inputs.model), rows, column, outputs)
    found = _ask(inputs, Job("weigh", f"{weigh.__module__}:{weigh.__name__}", request))
    notes = [found] if isinstance(found, str) else []
    weighed: Sequence[WeighedText] = () if isinstance(found, str) else found
    if len(worded) > 1:
        notes.append(f"shown is column {column!r}; Model.explain_words(data, column=...) looks into the others")
    files: list[SampleJson] = []
    for at, (example, text) in enumerate(
        zip(told, inputs.dataset.decoded[column].block.take(places).values(), strict=True)
    ):
        files.append({"name": f"row {places[at] + 1}", **_told(example, held, inputs), "seconds": None})
        words = weighed[at].words if at < len(weighed) else tuple(text.split())
        weights = weighed[at].weights if at < len(weighed) else (0.0,) * len(words)
        files[-1]["words"] = [[word, weight] for word, weight in zip(words[:MOST_WORDS], weights, strict=False)]
    return {"kind": "text", "files": files, "explained": TOLD if weighed else None, "notes": notes}


def _painted(shown: Shown) -> paint.Painted:
    return paint.spectrogram(shown.plane) if shown.pixels is None else paint.image(shown.pixels)


def _outputs(told: Sequence[Example], held: HeldOutPredictions, inputs: FinishInputs) -> tuple[int, ...] | int:
    """Of each example the place of the predicted class; of numbers the middle one."""
    if not inputs.profile.classes:
        return len(inputs.profile.levels) // 2
    return tuple(int(held.said[example.row]) for example in told)


def _look(inputs: FinishInputs, asked: LookRequest) -> Looked | str:
    """Where the saved model looked, or why that is not known."""
    found = _ask(inputs, Job("look", f"{look.__module__}:{look.__name__}", asked))
    return found if isinstance(found, str) else cast(Looked, found)


def _ask(inputs: FinishInputs, job: Job) -> Any:
    """What a worker finds in the saved model, or why that is not known."""
    left = min(inputs.context.clock.left(WRITTEN_S + ANSWERED_S), LONGEST_S)
    if inputs.context.interrupt.asked:
        return "the run was interrupted, so no map was made of where the model looked"
    if left < LEAST_ASKED_S:
        return "no time was left to see where the model looked; give a larger budget, or ask with Model.explain"
    job = replace(job, soft_s=left, hard_s=left + ANSWERED_S)
    with reached(inputs.model, inputs.context.pool) as model:
        outcome = ask(replace(job, data=model), inputs.context)
    if outcome.status is Status.DONE:
        return outcome.value
    if outcome.status is Status.LATE:
        return "it took too long to see where the model looked; give a larger budget, or ask with Model.explain"
    return f"where the model looked is not known: {outcome.error or 'its worker died'}"


def _in_memory(media: Media) -> Media:
    """The rows without the store of all others, to send to a worker anywhere."""
    lengths = None if media.lengths is None else media.lengths[media.rows]
    return Media(media.kind, media.values(), np.arange(len(media)), media.rate, lengths)


def _name(cell: Any, place: int) -> str:
    """The last part of a file's path; of what came from memory its row."""
    return Path(cell).name if isinstance(cell, str) else f"row {place + 1}"


def _told(example: Example, held: HeldOutPredictions, inputs: FinishInputs) -> SampleJson:
    """What was right, what was said, and how sure it was."""
    y, said, classes = held.y[example.row].item(), held.said[example.row].item(), inputs.profile.classes
    facts: SampleJson = {"kind": example.kind, "picture": None, "heat": None}
    if held.shares is None:
        return {**facts, "answer": y, "prediction": said, "probability": None, "answer_probability": None}
    shares = held.shares[example.row]
    return {
        **facts,
        "answer": classes[y],
        "prediction": classes[said],
        "probability": float(shares[said]),
        "answer_probability": float(shares[y]),
    }


def _write(folder: Path, stem: str, painted: paint.Painted) -> str:
    name = stem + painted.suffix
    write_whole(folder / name, painted.content)
    return name
