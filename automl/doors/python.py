"""fit(), resume() and profile(): the door for those who write Python.

What a run is made of is imported inside: the budget counts from the call, and workers come up meanwhile.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from automl.options import Options, defaults
from automl.runtime import workplace
from automl.runtime.progress import Watcher
from automl.runtime.terminal import watcher

if TYPE_CHECKING:
    from automl.records import Profile
    from automl.result import BundleResult, Result
    from automl.runtime.resume import ResumeRequest


@overload
def fit(data: Any, target: str | None = None, **options: Any) -> Result: ...


@overload
def fit(data: Any, target: list[str] | tuple[str, ...], **options: Any) -> BundleResult: ...


def fit(data: Any, target: str | Sequence[str] | None = None, **options: Any) -> Result | BundleResult:
    """Find the best model for `data` within a budget, and say what every step up in quality costs.

    `data`: a DataFrame (pandas, polars, pyarrow), a path to a .csv, .tsv, .parquet or .jsonl file (also .gz), or a
    pair (X, y).
    `target`: the column to predict; a list of columns makes a model for each. Every other option is listed in the
    signature and in `automl fit --help`.
    """
    started = time.monotonic()
    settings = Options.of({"target": target, **options})
    return run(data, settings, watcher(settings.verbose), started)


def run(data: Any, options: Options, listener: Watcher, started: float) -> Result | BundleResult:
    """The run itself, for one target or for several; `started` is the moment from which the budget counts."""
    opened = workplace.open_pool(options) if _is_one(options.target) else None
    from automl import several
    from automl.result import Result
    from automl.stages import run_one

    many = several.find(data, options)
    if many is not None:
        return several.run(many, options, listener, started)
    return Result(run_one(data, options, listener, started, opened=opened))


def _is_one(target: Any) -> bool:
    """Whether no look at the data is needed to know that there is one target."""
    return target is None or (isinstance(target, str) and "," not in target)


def resume(
    run_dir: str | Path, budget: str | None = None, *, data: Any = None, verbose: int = 1, **changes: Any
) -> Result | BundleResult:
    """Go on with a run that was interrupted or killed; with more budget, '+10m', also with one that is finished.

    `data` and options such as `test` or a `metric` function are asked for where the run had them from memory;
    `cluster`, `workers` and `rates` may change.
    """
    started = time.monotonic()
    from automl.runtime.resume import ResumeRequest

    request = ResumeRequest(run_dir, budget, data, {**changes, "verbose": verbose})
    return go_on(request, watcher(verbose), started)


def go_on(request: ResumeRequest, listener: Watcher, started: float) -> Result | BundleResult:
    """`resume` with a listener of one's own."""
    from automl import several
    from automl.result import Result
    from automl.runtime.folder import RunFolder
    from automl.runtime.resume import on_disk, open_earlier, options_of, source_of
    from automl.stages import Before, run_one

    if several.is_begun(request.run_dir):
        return several.go_on(request, listener, started)
    with RunFolder.reopen(request.run_dir, listener.say) as folder:
        options, earlier = open_earlier(folder, options_of(folder, request.changes), request.extra)
        if request.extra is not None:
            folder.write_start({"options": on_disk(options)})
        source = source_of(folder, request.data)
        for note in folder.notes:
            listener.say(f"note: {note}")
        listener.say(earlier.told())
        return Result(run_one(source, options, listener, started + folder.waited_s, Before(earlier=earlier)))


def profile(data: Any, target: str | None = None, **options: Any) -> Profile:
    """What the data looks like to the system: kinds of columns, task, metric. Nothing is fitted."""
    from automl.data.profiler import examine
    from automl.data.reading import load
    from automl.modalities import mixture

    settings = Options.of({"target": target, **options})
    return examine(load(data, settings, decode=mixture.read), settings)[0]


fit.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # the options, declared once, show in help()
    [
        inspect.Parameter("data", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("target", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in defaults().items()
            if name != "target"
        ),
    ],
    return_annotation="Result | BundleResult",
)
