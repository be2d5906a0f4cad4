"""monitor() and refit(): the door for models that are in use."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from automl.errors import InputError
from automl.model.bundle import Bundle, load
from automl.model.predictor import Model
from automl.refit.renew import RenewRequest
from automl.result import BundleResult, Result, open_run
from automl.runtime.progress import Watcher
from automl.runtime.terminal import watcher


def monitor(
    model: str | Path | Model | Bundle | Result | BundleResult, data: Any, labels: str | None = None
) -> dict[str, Any]:
    """What moved since a model learned, what its score is likely to be now, and whether to train anew.

    `model`: a run folder, a saved model's folder, or either of them opened; `data` as `predict` takes it. Where the
    answers are among its columns they are scored; `labels` names their column, if it is not called as in training.
    """
    opened = _opened(model)
    if isinstance(opened, Model):
        return opened.monitor(data, labels)
    if labels is not None:
        raise InputError(
            f"labels={labels!r} names the answers of one target, this model has {len(opened.models)}. "
            "Call their columns as in training."
        )
    found = {target: one.monitor(data) for target, one in opened.models.items()}
    return {"format": 1, "alarm": any(one["alarm"] for one in found.values()), "targets": found}


def refit(
    run: str | Path, data: Any, run_dir: str | Path | None = None, *, only_new: bool = False, old_data: Any = None,
    verbose: int = 1,
) -> Result:  # fmt: skip
    """Train the chosen pipeline of a finished run anew, on its rows and on new ones; see `Result.refit`."""
    return anew(RenewRequest(run, data, run_dir, only_new, old_data), watcher(verbose))


def anew(asked: RenewRequest, listener: Watcher) -> Result:
    """`refit` with a listener of one's own."""
    from automl.stages import renewed

    started = time.monotonic()
    opened = open_run(asked.run)
    if isinstance(opened, BundleResult):
        raise InputError(
            f"the run in {str(asked.run)!r} has {len(opened.targets)} targets, and each is trained anew by itself. "
            f"Give the folder of one: {opened.results[opened.targets[0]].folder}"
        )
    return Result(renewed(replace(asked, run=opened.folder), listener, started))


def _opened(model: Any) -> Model | Bundle:
    """The model itself."""
    if isinstance(model, str | Path):
        return load(model)
    found = getattr(model, "model", model)
    if not isinstance(found, Model | Bundle):
        raise InputError(f"monitor looks at a model or a run, got {type(model).__name__}. Give the folder of one.")
    return found
