"""A run that was begun before: what it wrote down at its start, and what it takes to go on with it.

The data are read again where they lie, and must be the same to the last value. What the run decided by the clock, its
folds, is taken from the folder; all else follows from data and options as it did then.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from automl.errors import InputError, OptionError
from automl.messages import shown
from automl.options import ANYWHERE, IN_MEMORY, Budget, Options
from automl.records import FoldPlan
from automl.records.choice import Decision, Gain, Rule, Skip
from automl.runtime import invoice, journal
from automl.runtime.clock import Clock
from automl.runtime.folder import RunFolder
from automl.runtime.invoice import Invoice
from automl.runtime.journal import Past
from automl.runtime.workplace import load_rates

BEGINNING, BEGINNING_FILE = "beginning", "beginning.json"


@dataclass(frozen=True)
class Beginning:
    """What a run must remember to be gone on with."""

    source: str | None  # the file the data came from; None: from memory
    key: str  # of the encoded data
    fold_plan: FoldPlan


@dataclass(frozen=True)
class ResumeRequest:
    """What the user says when going on with a run."""

    run_dir: str | Path
    extra: str | None = None  # budget
    data: Any = None
    changes: Mapping[str, Any] = field(default_factory=dict)  # of options


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A run to go on with."""

    folder: RunFolder
    past: Past
    fold_plan: FoldPlan
    key: str
    decision: Decision
    money: float  # spent so far
    kwh: float

    def clock(self, options: Options, started: float) -> Clock:
        """The run's clock, set to what it had worked."""
        return Clock(options.budget, started - self.past.elapsed_s, money=self.money, kwh=self.kwh)

    def told(self) -> str:
        """What is taken over, in one line."""
        folds = sum(map(len, self.past.folds.values()))
        trials = sum(plan.number > 0 for plan in self.past.plans)
        return f"resume: {trials} trials and {folds} folds are kept from {self.past.elapsed_s:.0f} s of work"

    def check(self, key: str, now: Decision) -> Decision:
        """The decision of that run; refused where the data or what is installed are no longer the same."""
        if key != self.key:
            raise InputError(
                f"the data is not that of the run in {str(self.folder.path)!r}: a value, a row or a column changed. "
                "Give the same data, or start a new run."
            )
        missing = [name for name in self.decision.families if name not in now.families]
        if missing:
            why = {skip.family: skip.because for skip in now.skipped}
            raise OptionError(
                f"the run in {str(self.folder.path)!r} uses {missing[0]}, which cannot be used here: "
                f"{why.get(missing[0], 'unknown')}. Go on where it can."
            )
        return self.decision


def on_disk(options: Options) -> dict[str, Any]:
    """Options as options.json holds them; a folder by its whole path, for a run may be gone on with from elsewhere."""
    plain = options.as_json()
    if isinstance(options.baseline, str):
        plain["baseline"] = str(Path(options.baseline).resolve())
    return {**plain, "metric_is_function": callable(options.metric)}


def options_of(folder: RunFolder, changes: Mapping[str, Any]) -> Options:
    """The options of an earlier run; `changes` may say where to run and give what files cannot hold."""
    kept = folder.read_start("options")
    lost = {name: kept[name] == IN_MEMORY for name in ("test", "weight")}
    lost["metric"] = kept.pop("metric_is_function", False)
    for name, is_lost in lost.items():
        if is_lost and changes.get(name) is None:
            raise OptionError(
                f"{name} of the run in {str(folder.path)!r} was given in Python and is not on disk. "
                f"Go on from Python: automl.resume(run, {name}=...)."
            )
    if changes.get("cluster") is None:
        _ask_for_cluster(folder, str(kept.get("cluster", "auto")))
    return Options.of({**kept, "run_dir": None, **{n: v for n, v in changes.items() if v is not None}})


def _ask_for_cluster(folder: RunFolder, cluster: str) -> None:
    """Who made the folder named the address in it: nothing is sent there, nor code taken from there, unless asked."""
    if cluster not in ANYWHERE:
        raise OptionError(
            f"the run in {str(folder.path)!r} names the cluster {shown(cluster)}, and is not followed there unasked. "
            f"If it is yours: automl resume {shlex.quote(str(folder.place))} --cluster {shlex.quote(cluster)}; "
            "else --cluster local."
        )


def open_earlier(folder: RunFolder, options: Options, extra: str | None) -> tuple[Options, Earlier]:
    """The run as its folder tells it, and its options with what its budget now is."""
    past = journal.read(folder)
    events = folder.events()
    bill = invoice.of(events, past.elapsed_s, load_rates(options.rates))
    is_finished = journal.is_closed(events)
    is_interrupted = is_finished and _was_cut_short(folder)
    if is_finished and not is_interrupted and extra is None:
        raise OptionError(f"the run in {str(folder.path)!r} is finished. To go on searching give more: --budget +10m.")
    begun, told = folder.read_start(BEGINNING), folder.read_start("decision")
    decision = Decision(
        told["shares"], tuple(told["families"]), tuple(Rule(**rule) for rule in told["rules"]),
        tuple(Skip(**skip) for skip in told["skipped"]), Gain(**told["gain"]) if told.get("gain") else None,
    )  # fmt: skip
    budget = options.budget if extra is None else grown(options.budget, past, bill, extra)
    earlier = Earlier(
        folder=folder,
        past=past,
        fold_plan=FoldPlan(**(begun.get("fold_plan") or begun["bags"])),
        key=begun["key"],
        decision=decision,
        money=bill.money,
        kwh=bill.kwh,
    )
    return replace(options, budget=budget), earlier


def _was_cut_short(folder: RunFolder) -> bool:
    """Whether the end of a finished run came by Ctrl-C, or its report is damaged: then the end is made again."""
    try:
        return bool(folder.read_json("report.json")["run"]["interrupted"])
    except (InputError, FileNotFoundError):
        folder.note("report.json is damaged: it is made again")
        return True


def grown(budget: Budget, past: Past, bill: Invoice, extra: str) -> Budget:
    """A budget with more: counted from what the run has used by now."""
    more = Budget.parse(extra.strip().removeprefix("+"))
    if (more.trials is None) != (budget.trials is None):
        raise OptionError(f"the run's budget is '{budget}', so more of it must be alike, got {extra!r}.")
    if more.trials is not None:
        return Budget(trials=max((plan.number for plan in past.plans), default=0) + more.trials)
    return Budget(
        None if more.time is None else past.elapsed_s + more.time,
        money=None if more.money is None else bill.money + more.money,
        energy=None if more.energy is None else bill.kwh + more.energy,
    )


def source_of(folder: RunFolder, data: Any, name: str = BEGINNING, *, advice: str | None = None) -> Any:
    """The data given, or the file that the run read; `advice`: how to give it, where that is not by resume."""
    if data is not None:
        return data
    source = folder.read_start(name)["source"]
    if source is None:
        raise InputError(
            f"the run in {str(folder.path)!r} had its data from memory. "
            f"{advice or 'Go on from Python: automl.resume(run, data=...).'}"
        )
    if "://" not in source and not Path(source).exists():
        raise InputError(
            f"the data of the run, {source!r}, is not there any more. "
            f"{advice or 'Name it: automl resume RUN --data FILE.'}"
        )
    return source


def whereabouts(source: str) -> str:
    """A path or URL that means the same from any folder."""
    return source if "://" in source else str(Path(source).resolve())
