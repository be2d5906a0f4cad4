"""What became known of series since a model was saved, kept beside it: the next forecast goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl.errors import InputError
from automl.modalities import contents
from automl.model import artifact, manifest
from automl.model.forecasting import codec_of, updated


def keep_update(place: Path, rows: Any) -> str:
    """Write into a saved model, or the model of a run, what became known of its series; a line on what that was."""
    folder = place / "model" if (place / "model" / manifest.NAME).is_file() else place
    model = updated(artifact.load(folder), rows)
    codec = codec_of(model)
    known = codec.history
    if known is None or not len(known):
        raise InputError(f"the model in {str(folder)!r} knows no series. Fit it again with horizon=.")
    artifact.attach(folder, {f"{contents.FOLDER}/{codec.kind}/{contents.NAME}": codec.content()})
    last = known.first + known.ends - known.starts[:-1] - 1
    newest = codec.frequency.told(last[[last.argmax()]])[0]
    return f"{len(known):,} series are known in {str(folder)!r}, the newest until {newest}"
