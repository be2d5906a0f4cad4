"""Spaces to Optuna and back; with showcase.py, the only file that imports optuna.

One study per family, in memory: a family's trials teach its own sampler and nothing else, and which family
is next is decided in allocate.py. Each ask gets a fresh sampler seeded by the trial's number, so that there is no
hidden random state to lose.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import search_spaces
from automl.records import Plan
from automl.search.journal import Told
from automl.search.showcase import Showcase
from search_spaces.spec import Choice, Family, Float, Int, Knob

STARTUP_TRIALS = 6  # of a family, before its results steer the sampler


class Studies:
    """The studies of a run: ask for parameters, tell how they did."""

    def __init__(self, journal: Path, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = optuna.storages.InMemoryStorage()
        self._showcase = Showcase(journal)
        self._seed = seed
        self._studies: dict[str, Any] = {}
        self._open: dict[int, tuple[str, Any]] = {}

    def ask(self, number: int, family: Family, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Parameters for trial `number`: those given (a tried-first default), or the sampler's next idea."""
        import optuna

        study = self._study(family.name)
        if given is not None:
            study.enqueue_trial({name: given[name] for name in family.space if name in given})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.sampler = optuna.samplers.TPESampler(
                seed=self._seed * 1_000_003 + number, n_startup_trials=STARTUP_TRIALS, multivariate=True
            )
        trial = study.ask({name: _distribution(knob) for name, knob in family.space.items()})
        trial.set_user_attr("number", number)
        self._open[number] = (family.name, trial)
        return {**(given or {}), **trial.params}

    def replay(self, plans: Iterable[Plan], told: Iterable[Told]) -> None:
        """Teach new studies what an earlier driver's learned; trials never told stay open."""
        for plan in plans:
            self.ask(plan.number, search_spaces.get(plan.family), plan.params)
        for past in told:
            self.tell(past.number, math.inf if past.error is None else past.error, past.folds, past.is_whole)

    def tell(self, number: int, error: float, folds: int, is_complete: bool) -> None:
        """Close a trial: complete, stopped early with `folds` folds, or failed (an infinite error)."""
        from optuna.trial import TrialState

        name, trial = self._open.pop(number)
        study = self._studies[name]
        if not math.isfinite(error):
            ended = study.tell(trial, state=TrialState.FAIL)
        elif is_complete:
            ended = study.tell(trial, error)
        else:
            trial.report(error, folds)
            ended = study.tell(trial, state=TrialState.PRUNED)
        self._showcase.show(name, ended)

    def close(self) -> None:
        """Finish the file that others watch."""
        self._showcase.close()

    def _study(self, name: str) -> Any:
        import optuna

        if name not in self._studies:
            self._studies[name] = optuna.create_study(
                storage=self._storage, study_name=name, direction="minimize", load_if_exists=True
            )
        return self._studies[name]


def _distribution(knob: Knob) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(knob, Int):
        return IntDistribution(knob.low, knob.high, log=knob.log)
    if isinstance(knob, Float):
        return FloatDistribution(knob.low, knob.high, log=knob.log)
    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.options)
    raise TypeError(f"not a knob: {knob!r}")
