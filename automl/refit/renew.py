"""Training the chosen pipeline of a finished run anew, on its rows and on new ones, without a search.

The same members with the same parameters, rounds, weights and readout. Some of the new rows are held out first, the
newest where there is a time: the old model never saw them, and neither did what is fitted to be compared with it. What
is returned is then fitted on all rows: two fits of each member in all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.joined import joined, table_of
from automl.data.prepare import Prepared, alike
from automl.errors import InputError, OptionError
from automl.modalities import mixture
from automl.model import manifest as manifests
from automl.options import ANYWHERE, IN_MEMORY, Options
from automl.records import Calibration, Dataset, FoldPlan, Plan, Profile
from automl.records.verdict import Existing
from automl.runtime.folder import RunFolder
from automl.runtime.journal import ASKED, Past
from automl.runtime.resume import BEGINNING, whereabouts
from automl.scoring.folds import BLOCKS, Folds, make_folds
from search_spaces.spec import BASELINE

if TYPE_CHECKING:
    import pandas as pd

FILE = "lineage.json"
LEAST_NEW = 20  # rows with answers, of which a third is held out
DEALS = 3  # one part of so many of the new rows is held out
BLIND = "is_blind"  # among a plan's features: its fit is not shown the rows that it is compared on


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What is trained anew, and from which rows on the data is new."""

    old: Path  # the run that it goes on from
    plans: tuple[Plan, ...]
    weights: Mapping[int, float]  # of the plans, by their new numbers
    readout: Calibration
    name: str
    first_new: int  # the place of the first new row in the data
    sources: tuple[str, ...]  # of all rows, in their order; empty where some came from memory
    generation: int
    notes: tuple[str, ...] = ()

    @property
    def past(self) -> Past:
        """As if a run had asked for these plans and then stopped: what is missing is fitted."""
        return Past(plans=list(self.plans), folds={plan.number: {} for plan in self.plans})


@dataclass(frozen=True)
class RenewRequest:
    """What the user says."""

    run: str | Path
    data: Any
    out: str | Path | None = None
    only_new: bool = False
    old_data: Any = None  # the run's own rows, where they are not where they were


def begin(asked: RenewRequest) -> tuple[pd.DataFrame, Options, Renewal]:
    """The rows, the options and what is to be fitted; whatever cannot work is refused before anything is written."""
    folder = RunFolder(Path(asked.run))
    report = _report(folder)
    manifest = manifests.read(folder.path / "model")
    plans, weights, row = _chosen(folder, report)
    options = _options(folder, manifest, plans, asked)
    new, source = table_of(asked.data, manifest, "the new rows"), _source(asked.data)
    if len(new) < LEAST_NEW:
        raise InputError(f"{len(new)} new rows have answers, at least {LEAST_NEW} are needed. Give more rows.")
    notes: list[str] = []
    lineage = _lineage(folder)
    sources = [] if asked.only_new else [str(one) for one in lineage["sources"]]
    old = None if asked.only_new else _old(asked, sources, manifest, notes)
    frame, first_new, told = joined(old, new)
    notes += told
    known = [*(sources if old is not None else []), *([source] if source else [])]
    return frame, options, Renewal(
        old=folder.path.resolve(), plans=plans, weights=weights, readout=_readout(row), name=str(row["name"]),
        first_new=first_new, sources=tuple(known) if source else (), generation=int(lineage["generation"]) + 1,
        notes=tuple(notes),
    )  # fmt: skip


def held_out(
    ready: Prepared, dataset: Dataset, profile: Profile, options: Options, renewal: Renewal
) -> tuple[Prepared, Dataset]:
    """The same data with one fold: a third of the new rows held out, and learned from all others."""
    shared = ready.shared
    new = np.flatnonzero(_places(dataset) >= renewal.first_new)
    if len(new) < LEAST_NEW:
        raise InputError(f"{len(new)} new rows can be read, at least {LEAST_NEW} are needed. Give more rows.")
    if (panel := mixture.panel(shared.raw)) is not None:
        newest_window = mixture.newest_window(panel)
        return _in_one(ready, newest_window, newest_window.why), replace(
            dataset, notes=(*dataset.notes, *renewal.notes)
        )
    some = replace(dataset, frame=dataset.frame.iloc[new].reset_index(drop=True), weight=None, decoded={}, places=None)
    blocks = alike(some, profile, options)
    if options.time_column is not None and blocks is not None:
        newest = blocks >= BLOCKS - BLOCKS // DEALS
        held, how = new[newest] if 0 < newest.sum() < len(new) else new[len(new) - len(new) // DEALS :], "the newest"
    else:
        groups = blocks if blocks is not None and len(np.unique(blocks)) >= DEALS else None
        dealt = make_folds(shared.y[new], shared.task, count=DEALS, seed=options.seed, groups=groups)
        held, how = new[dealt.held(0)], "one in three"
    of_row = np.full(len(shared.y), -1, dtype=np.int16)
    of_row[held] = 0
    why = f"{how} of {len(new):,} new rows, {len(held):,} in all, held out to compare with the old model"
    folds = Folds(1, of_row, "forward", why, shared.folds.blocks)
    return _in_one(ready, folds, why), replace(dataset, notes=(*dataset.notes, *renewal.notes))


def _in_one(ready: Prepared, folds: Folds, why: str) -> Prepared:
    """The same with this one fold."""
    shared = replace(ready.shared, folds=folds, key=f"{ready.shared.key} anew")
    return replace(ready, shared=shared, fold_plan=FoldPlan(1, 1, why), told=why)


def _places(dataset: Dataset) -> np.ndarray:
    """Of its rows among those that were brought."""
    return np.arange(len(dataset)) if dataset.places is None else dataset.places


def lineage(renewal: Renewal, ready: Prepared, dataset: Dataset, existing: Existing | None) -> dict[str, Any]:
    """Where the model comes from, and whether it is better than the one before."""
    new = int((_places(dataset) >= renewal.first_new).sum())
    verdict, told = _compared(existing, is_checked=renewal.first_new > 0)
    return {
        "before": str(renewal.old), "generation": renewal.generation, "sources": list(renewal.sources),
        "old_rows": len(dataset) - new, "new_rows": new, "held_rows": len(ready.shared.folds.held(0)),
        "verdict": verdict, "told": told,
        **{name: None if existing is None else getattr(existing, name) for name in ("gain", "gain_low", "gain_high")},
        "old_score": None if existing is None else existing.score, "notes": list(renewal.notes),
    }  # fmt: skip


def _compared(existing: Existing | None, *, is_checked: bool) -> tuple[str, str]:
    """The verdict on old and new, on new rows that neither had learned from; not `is_checked`: those are gone."""
    if existing is None or existing.gain is None or existing.gain_low is None or existing.gain_high is None:
        why = existing.why_not if existing is not None and existing.why_not else "there was nothing to compare with"
        return "unknown", f"not compared with the old model: {why}"
    by = _by(existing.gain, existing.gain_low, existing.gain_high)
    rows = "new rows that neither learned from"
    if not is_checked:
        rows = "rows held out, which the old one did not learn from unless they are not new"
    if existing.gain_low > 0:
        return "better", f"better than the old model on {rows}: {by}"
    if existing.gain_high < 0:
        return "worse", f"worse than the old model on {rows}, so keep the old one: {by}"
    return "tied", f"cannot be told apart from the old model on {rows}: {by}"


def _by(gain: float, low: float, high: float) -> str:
    """How much less error, or more where that is so, with its interval the same way round."""
    what = "less"
    if gain < 0:
        gain, low, high, what = -gain, -high, -low, "more"
    return f"{gain:.3g} {what} error (95 % interval {low:.3g} to {high:.3g})"


# --- what the old run says --------------------------------------------------------------------------------------------


def _report(folder: RunFolder) -> Mapping[str, Any]:
    if not (folder.path / "report.json").is_file() or not (folder.path / "options.json").is_file():
        raise InputError(
            f"no finished run of one target in {str(folder.path)!r}: its report.json or options.json is not there. "
            "Give a run folder; of a run for several targets the one below targets/."
        )
    return dict(folder.read_json("report.json"))


def _chosen(
    folder: RunFolder, report: Mapping[str, Any]
) -> tuple[tuple[Plan, ...], dict[int, float], Mapping[str, Any]]:
    """The plans of the chosen candidate with new numbers, their weights, and its row of the leaderboard."""
    name = report["verdict"]["chosen"]
    row = next((one for one in report["leaderboard"] if one["name"] == name), None)
    asked = {event["trial"]: Plan(**event["plan"]) for event in folder.events() if event["event"] == ASKED}
    rounds = {trial["number"]: [fold.get("rounds") for fold in trial["folds"]] for trial in report["trials"]}
    found = {int(number): float(weight) for number, weight in (row or {"weights": {}})["weights"].items() if weight > 0}
    if row is None or not found or any(number not in asked for number in found):
        raise InputError(
            f"the model of the run in {str(folder.path)!r}, {name!r}, is not made of trials, so it cannot be trained "
            "anew by itself. Run automl fit on all rows."
        )
    if all(asked[number].family == BASELINE for number in found):
        raise InputError(
            f"the run in {str(folder.path)!r} found no model that is better than a constant, so there is nothing to "
            "train anew. Run automl fit on all rows."
        )
    plans, weights = [], {}
    for place, (number, weight) in enumerate(sorted(found.items(), key=lambda pair: -pair[1]), 1):
        plan = asked[number]
        known = [one for one in rounds.get(number, ()) if one is not None]
        params = {**plan.params, "rounds": max(1, round(sum(known) / len(known)))} if known else plan.params
        because = f"trial {number} of the run before"
        plans.append(
            replace(
                plan, number=place, params=params, because=because, parent=None, granted_s=0.0, is_quick=False,
                is_long=True, features={**plan.features, BLIND: True},
            )
        )  # fmt: skip
        weights[place] = weight
    return tuple(plans), weights, row


def _readout(row: Mapping[str, Any]) -> Calibration:
    told = dict(row["readout"])
    return Calibration(**{**told, **{name: tuple(told.get(name) or ()) for name in ("label_weights", "shares")}})


def _options(folder: RunFolder, manifest: Mapping[str, Any], plans: Sequence[Plan], asked: RenewRequest) -> Options:
    """The options of the old run; task, metric and positive class as they came to be, and no other families."""
    kept = dict(folder.read_start("options"))
    if kept.pop("metric_is_function", False):
        raise OptionError(
            f"the metric of the run in {str(folder.path)!r} is a function, which no file holds. Run automl.fit on all "
            "rows with metric=..."
        )
    if kept.get("weight") == IN_MEMORY:
        raise OptionError(
            f"the weights of the run in {str(folder.path)!r} came from memory. Run automl.fit on all rows with "
            "weight=..."
        )
    task = manifest["task"]
    changed = {
        "target": manifest["target"], "task": None if task == "quantile" else task, "metric": manifest["metric"],
        "positive": manifest["classes"][manifest.get("positive", 1)] if task == "binary" else None,
        "families": tuple(dict.fromkeys(plan.family for plan in plans)),
        "budget": f"{len(plans)} trials", "run_dir": asked.out, "baseline": str(folder.path.resolve()),
        "test": None if kept.get("test") == IN_MEMORY else kept.get("test"),
        "cluster": kept.get("cluster", "auto") if kept.get("cluster") in ANYWHERE else "local",
        "class_weight": _class_weight(kept.get("class_weight")),
    }  # fmt: skip
    return Options.of({**kept, **changed})


def _class_weight(kept: Any) -> Any:
    return dict(map(tuple, kept)) if isinstance(kept, list) else kept


def _lineage(folder: RunFolder) -> Mapping[str, Any]:
    """Where the old run's rows came from, and how often it was trained anew."""
    if (folder.path / FILE).is_file():
        found = folder.read_json(FILE)
        return {"sources": list(found.get("sources", ())), "generation": int(found.get("generation", 0))}
    source = folder.read_start(BEGINNING).get("source")
    return {"sources": [source] if source else [], "generation": 0}


def _source(data: Any) -> str | None:
    return whereabouts(str(data)) if isinstance(data, str | Path) else None


def _old(asked: RenewRequest, sources: Sequence[str], manifest: Mapping[str, Any], notes: list[str]) -> Any:
    """The old rows, where they can be had."""
    import pandas as pd

    if asked.old_data is not None:
        return table_of(asked.old_data, manifest, "the old rows")
    gone = [one for one in sources if "://" not in one and not Path(one).exists()]
    if not sources or gone:
        why = f"{gone[0]!r} is not there any more" if gone else "they came from memory"
        notes.append(f"learned from the new rows only, for the old ones cannot be had: {why}")
        return None
    return pd.concat([table_of(one, manifest, "the old rows") for one in sources], ignore_index=True)


def keep(folder: RunFolder, told: Mapping[str, Any]) -> None:
    """Write down where the model comes from."""
    folder.write_json(FILE, json.loads(json.dumps(told)))
