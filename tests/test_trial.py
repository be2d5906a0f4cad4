"""One fold of one trial."""

import importlib
import math
from pathlib import Path
from typing import Any

import pytest

import search_spaces
from automl.data.prepare import prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.options import Options
from automl.search import trial
from automl.search.trial import FoldJob, _encode, until_of_fit
from cluster import devices
from cluster.pool import Grant, Partial
from search_spaces.spec import starts

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"


def test_a_trial_on_a_share_of_the_rows_learns_from_so_many_and_is_judged_on_all() -> None:
    """The training rows shrink with both classes in them; the held-out rows stay those of every rival."""
    options = Options(target="churned", budget="5 trials")
    dataset = load(CUSTOMERS, options)
    profile, _ = examine(dataset, options)
    shared = prepare(dataset, profile, options, core_s=float("inf")).shared
    whole = _encode(shared, FoldJob(family="lightgbm", params={}, features={"recipe": "plain"}, seed=0, fold=0))
    part = _encode(
        shared, FoldJob(family="lightgbm", params={}, features={"recipe": "plain", "share": 0.4}, seed=0, fold=0)
    )
    assert len(part.train) == round(0.4 * len(whole.train))
    assert part.train.y.mean() == pytest.approx(whole.train.y.mean(), abs=0.02)
    assert (part.held.y == whole.held.y).all()


def test_what_a_fit_loads_is_loaded_before_its_learner_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first fit of a process counts no seconds of imports, else nothing seems affordable after it."""
    loaded: list[str] = []
    loaded_before: list[str] = []
    make = trial.learners.make

    def make_and_look(*given: Any) -> Any:
        loaded_before.extend(loaded)
        return make(*given)

    monkeypatch.setattr(trial, "import_module", loaded.append)
    monkeypatch.setattr(trial.learners, "make", make_and_look)
    options = Options(target="churned", budget="5 trials")
    dataset = load(CUSTOMERS, options)
    profile, _ = examine(dataset, options)
    shared = prepare(dataset, profile, options, core_s=float("inf")).shared
    family = search_spaces.get("linear")
    trial.run_fold(
        Grant(1, float("inf")),
        FoldJob(family=family.name, params=family.configs()[0], features={}, seed=0, fold=0),
        shared,
    )
    assert loaded_before == list(family.imports) != []


@pytest.mark.parametrize("name", search_spaces.names())
def test_what_a_family_loads_is_there(name: str) -> None:
    """A misspelt module would fail every fit."""
    family = search_spaces.get(name)
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    for module in family.imports:
        importlib.import_module(module)


def test_a_network_planned_for_a_gpu_is_not_trained_on_the_cpu_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its result says so, and why; one that was planned for the CPU, and one without a network, have nothing to say."""
    options = Options(target="churned", budget="5 trials")
    dataset = load(CUSTOMERS, options)
    profile, _ = examine(dataset, options)
    shared = prepare(dataset, profile, options, core_s=float("inf")).shared
    monkeypatch.setattr(devices, "why_not", lambda: "torch 9.9 sees no GPU")

    def notes(family: str, gpus: float, **params: object) -> tuple[str, ...]:
        given = {**starts(search_spaces.get(family).space), **params}
        job = FoldJob(family=family, params=given, features={"recipe": "plain"}, seed=0, fold=0)
        result = trial.run_fold(Grant(1, math.inf, gpus), job, shared)
        return (result.value if isinstance(result, Partial) else result).notes

    small = {"width": 16, "depth": 1, "bins": 4, "embedding": 4, "rounds": 1}
    assert notes("mlp", 0.25, **small) == ("planned for a GPU, but trained on the CPU: torch 9.9 sees no GPU",)
    assert notes("mlp", 0.0, **small) == ()
    assert notes("linear", 0.25) == ()


def test_a_fit_whose_imports_took_its_time_is_not_cut_after_a_round() -> None:
    """What is left counts where it is most of what was granted; else a second, or what was granted if that was less."""
    assert until_of_fit(110.0, began=100.0, started=102.0) == 110.0
    assert until_of_fit(106.0, began=100.0, started=106.5) == 107.5
    assert until_of_fit(106.0, began=100.0, started=104.0) == 106.0
    assert until_of_fit(100.4, began=100.0, started=100.3) == pytest.approx(100.7)
    assert until_of_fit(math.inf, began=100.0, started=900.0) == math.inf


def test_encoded_folds_are_kept_as_far_as_memory_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many workers share one machine: none keeps more than a part of what is left."""
    monkeypatch.setattr(trial, "free_mb", lambda: 1e-6)
    trial._cache.clear()
    options = Options(target="churned", budget="5 trials")
    dataset = load(CUSTOMERS, options)
    profile, _ = examine(dataset, options)
    shared = prepare(dataset, profile, options, core_s=float("inf")).shared
    jobs = [FoldJob(family="lightgbm", params={}, features={"recipe": "plain"}, seed=0, fold=k) for k in range(2)]
    for job in jobs:
        _encode(shared, job)
    assert len(trial._cache) == 1
    monkeypatch.setattr(trial, "free_mb", lambda: 1e6)
    _encode(shared, jobs[0])
    assert len(trial._cache) == 2
    trial._cache.clear()
