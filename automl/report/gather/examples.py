"""Held-out images and sounds for the report: what the model gets wrong, as pictures, with where it looked.

The pictures are drawn here and always; the maps of where the model looked are asked of the saved model in a worker,
as far as the clock leaves time. Nothing in here may end a run: what goes wrong becomes a note.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from automl.explain.plane import drawn_mel
from automl.records import Candidate
from automl.refit.finish import WRITE_S, FinishInputs, wait_for
from automl.refit.measure import Looked, LookRequest
from automl.report import paint
from automl.report.gather.mistakes import Example, HeldOutPredictions, examples, held_out
from automl.report.samples import FOLDER
from automl.runtime.folder import write_whole
from cluster.pool import Job, Status
from search_spaces.spec import Media

LEAST_S = 0.3  # below it, no worker is asked where the model looked
SPARE_S = 0.2  # of what is left: drawing what came back
LONGEST_S = 60.0  # of a run that counts trials
DEPTH_NEPERS = 14.0  # power below a sound's loudest spot that is drawn black, 60 dB


@dataclass
class Samples:
    """What report.json holds of them (report/schema.py: SamplesJson)."""

    kind: str
    files: list[dict[str, Any]] = field(default_factory=list)
    explained: str | None = None
    notes: list[str] = field(default_factory=list)


def gather(inputs: FinishInputs, chosen: Candidate) -> Samples | None:
    """Examples of the chosen model's held-out answers, their pictures in the run folder; None for tables."""
    sensed = inputs.dataset.sensed
    if sensed is None:
        return None
    held = held_out(chosen, inputs.comparison, len(inputs.profile.classes))
    shown = examples(held)
    places = inputs.comparison.rows[[example.row for example in shown]]
    media = _in_memory(sensed.media.take(places))
    samples = Samples(media.kind)
    folder = inputs.context.folder.path / FOLDER
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        planes = _planes(media)
        for at, (example, place) in enumerate(zip(shown, places.tolist(), strict=True)):
            name = _name(inputs.dataset.frame[sensed.column].iloc[place], place)
            samples.files.append({"name": name, **_told(example, held, inputs), **_length(media, at)})
            is_sound = media.kind == "audio"
            painted = paint.spectrogram(planes[at]) if is_sound else paint.image(media.store[at])
            samples.files[-1]["picture"] = _write(folder, f"{at + 1:02d}", painted)
        looked = _look(inputs, media, places, [int(held.said[example.row]) for example in shown])
        if isinstance(looked, str):
            samples.notes.append(looked)
            return samples
        samples.explained = looked.told
        for at, heat in enumerate(looked.maps):
            painted = paint.looked(planes[at], heat, is_sound=media.kind == "audio")
            samples.files[at]["heat"] = _write(folder, f"{at + 1:02d}-looked", painted)
        if len(looked.maps) < len(shown):
            samples.notes.append(f"time was left to look into {len(looked.maps)} of {len(shown)} files only")
    except (OSError, MemoryError) as error:
        samples.notes.append(f"not all pictures could be made: {error}")
    return samples


def _look(inputs: FinishInputs, media: Media, places: np.ndarray, said: Sequence[int]) -> Looked | str:
    """Where the saved model looked, or why that is not known."""
    left = min(inputs.context.clock.until - time.monotonic() - WRITE_S - SPARE_S, LONGEST_S)
    if inputs.context.interrupt.asked:
        return "the run was interrupted, so no map was made of where the model looked"
    if left < LEAST_S:
        return "no time was left to see where the model looked; give a larger budget, or ask with Model.explain"
    outputs = tuple(said) if inputs.profile.classes else len(inputs.profile.levels) // 2
    frame = inputs.dataset.frame.iloc[places]
    job = Job(
        "look",
        "automl.refit.measure:look",
        LookRequest(str(inputs.model), frame, media, outputs),
        soft_s=left,
        hard_s=left + SPARE_S,
    )
    inputs.context.pool.submit(job)
    outcome = wait_for(job, inputs.context.pool)
    if outcome.status is Status.DONE:
        return cast(Looked, outcome.value)
    if outcome.status is Status.LATE:
        return "it took too long to see where the model looked; give a larger budget, or ask with Model.explain"
    return f"where the model looked is not known: {outcome.error or 'its worker died'}"


def _in_memory(media: Media) -> Media:
    """The rows without the store of all others, to send to a worker anywhere."""
    lengths = None if media.lengths is None else media.lengths[media.rows]
    return Media(media.kind, media.values(), np.arange(len(media)), media.rate, lengths)


def _planes(media: Media) -> Sequence[np.ndarray]:
    """Each as it is drawn, 0 .. 1: an image's lightness, a sound's loudness in bands over time."""
    if media.kind == "image":
        return [paint.lightness(pixels) for pixels in media.store]
    from automl.modalities.audio.spectra import log_mel  # it imports scipy

    logs = log_mel(media.store, media.rate, drawn_mel(media))
    loudest = logs.max(axis=(1, 2), keepdims=True)
    return list(np.clip(1 + (logs - loudest) / DEPTH_NEPERS, 0, 1))


def _name(cell: Any, place: int) -> str:
    """The last part of a file's path; of what came from memory its row."""
    return Path(cell).name if isinstance(cell, str) else f"row {place + 1}"


def _told(example: Example, held: HeldOutPredictions, inputs: FinishInputs) -> dict[str, Any]:
    """What was right, what was said, and how sure it was."""
    y, said, classes = held.y[example.row].item(), held.said[example.row].item(), inputs.profile.classes
    facts = {"kind": example.kind, "picture": None, "heat": None}
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


def _length(media: Media, at: int) -> dict[str, float | None]:
    if media.kind == "image":
        return {"seconds": None}
    samples = media.store.shape[1] if media.lengths is None else int(media.lengths[at])
    return {"seconds": samples / media.rate if media.rate and math.isfinite(media.rate) else None}


def _write(folder: Path, stem: str, painted: paint.Painted) -> str:
    name = stem + painted.suffix
    write_whole(folder / name, painted.content)
    return name
