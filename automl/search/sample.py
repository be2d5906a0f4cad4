"""Spaces to Optuna and back; with showcase.py, the only file that imports optuna.

One study per family, in memory: a family's trials teach its own sampler and nothing else, and which family
is next is decided in allocate.py. Each ask gets a fresh sampler seeded by the trial's number, so that there is no
hidden random state to lose.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import search_spaces
from automl.records import Plan
from automl.runtime.journal import ToldTrial
from automl.search.showcase import Showcase
from search_spaces.spec import Choice, Family, Float, Int, Knob

STARTUP_TRIALS = 6  # of a family, before its results steer the sampler
TRADED = 0.4  # of the trials count as good where there are two objectives: with the usual tenth all were quick ones
TURN = 15_485_863  # between the seeds of two asks for one trial
SEEDS = 2**32

Second = Callable[[Family, Mapping[str, Any]], float | None]  # of a configuration: what is minimised beside its error
Refused = tuple[Mapping[str, Any], float]  # a configuration, and how far it is from what is allowed


class Studies:
    """The studies of a run: ask for parameters, tell how they did.

    With a `second` objective, the studies of families that have one look for the whole trade of the one for the other.
    """

    def __init__(self, journal: Path, seed: int, second: Second | None = None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._storage = optuna.storages.InMemoryStorage()
        self._showcase = Showcase(journal)
        self._seed, self._second = seed, second
        self._studies: dict[str, Any] = {}
        self._open: dict[int, tuple[str, Any]] = {}

    def ask(self, number: int, family: Family, given: Mapping[str, Any] | None = None, turn: int = 0) -> dict[str, Any]:
        """Parameters for trial `number`: those given (a tried-first default), or the sampler's next idea.

        `turn`: how many of its ideas were refused before.
        """
        import optuna

        study = self._study(family)
        if given is not None:
            study.enqueue_trial({name: given[name] for name in family.space if name in given})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)  # Optuna 6 takes gamma away
            study.sampler = optuna.samplers.TPESampler(
                seed=(self._seed * 1_000_003 + number + turn * TURN) % SEEDS,
                n_startup_trials=STARTUP_TRIALS,
                multivariate=True,
                gamma=_traded if len(study.directions) > 1 else None,
            )
        trial = study.ask({name: _distribution(knob) for name, knob in family.space.items()})
        trial.set_user_attr("number", number)
        self._open[number] = (family.name, trial)
        return {**(given or {}), **trial.params}

    def replay(
        self, plans: Iterable[Plan], told: Iterable[ToldTrial], refused: Mapping[int, Sequence[Refused]] | None = None
    ) -> None:
        """Teach new studies what an earlier driver's learned; trials never told stay open.

        `refused`: by trial, what the sampler had thought of before.
        """
        for plan in plans:
            family = search_spaces.get(plan.family)
            for params, excess in (refused or {}).get(plan.number, ()):
                self.ask(plan.number, family, params)
                self.refuse(plan.number, excess)
            self.ask(plan.number, family, plan.params)
        for past in told:
            self.tell(past.number, math.inf if past.error is None else past.error, past.folds, past.is_whole)

    def refuse(self, number: int, excess: float) -> None:
        """Close a trial that is not even begun, since its parameters are so far (above 0) from what is allowed.

        Stopped before any result, it ranks last, and samplers stay away. Failures teach them nothing: of networks
        beyond a limit they asked for a fifth more.
        """
        from optuna.trial import TrialState

        name, trial = self._open.pop(number)
        trial.set_user_attr("excess", excess)
        self._showcase.show(name, self._studies[name].tell(trial, state=TrialState.PRUNED))

    def tell(self, number: int, error: float, folds: int, is_complete: bool) -> None:
        """Close a trial: complete, stopped early with `folds` folds, or failed (an infinite error)."""
        from optuna.trial import TrialState

        name, trial = self._open.pop(number)
        study = self._studies[name]
        is_double = len(study.directions) > 1
        if not math.isfinite(error) or (is_double and not is_complete):  # two objectives know no early stop
            ended = study.tell(trial, state=TrialState.FAIL)
        elif is_complete:
            second = [self._second(search_spaces.get(name), trial.params)] if is_double and self._second else []
            ended = study.tell(trial, [error, *second])
        else:
            trial.report(error, folds)
            ended = study.tell(trial, state=TrialState.PRUNED)
        self._showcase.show(name, ended)

    def close(self) -> None:
        """Finish the file that others watch."""
        self._showcase.close()

    def _study(self, family: Family) -> Any:
        import optuna

        if family.name not in self._studies:
            count = 1 if self._second is None or family.cost is None else 2
            self._showcase.open(family.name, count)
            self._studies[family.name] = optuna.create_study(
                storage=self._storage, study_name=family.name, directions=["minimize"] * count
            )
        return self._studies[family.name]


def _traded(trials: int) -> Any:
    """How many of them count as good: as many as a whole trade-off has."""
    return math.ceil(TRADED * trials)


def _distribution(knob: Knob) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(knob, Int):
        return IntDistribution(knob.low, knob.high, log=knob.log)
    if isinstance(knob, Float):
        return FloatDistribution(knob.low, knob.high, log=knob.log)
    if isinstance(knob, Choice):
        return CategoricalDistribution(knob.options)
    raise TypeError(f"not a knob: {knob!r}")
