"""Few files: which of them models are compared on, where networks had time for some folds only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.data.prepare import Prepared, prepare
from automl.data.profiler import examine
from automl.data.reading import load
from automl.ensemble.candidates import HeldOutComparison, candidates, enter
from automl.ensemble.frontier import Limits
from automl.modalities.mixture import read
from automl.options import Options
from automl.records import Fold, Member, Plan, Spent, Trial, TrialStatus
from automl.refit.members import Refitter
from automl.scoring.metrics import get

pytestmark = pytest.mark.usefixtures("lasting_workers")

pytest.importorskip("PIL.Image")
FILES = 120
SURE = {"svm": 0.30, "linear": 0.35, "convnet": 0.30, "constant": 0.5}  # share of files each is wrong about


@pytest.fixture(scope="module")
def ready() -> Prepared:
    """A folder of few pictures as a search with a clock sees it."""
    random = np.random.default_rng(0)
    labels = ["bright", "dark"] * (FILES // 2)
    X = random.integers(0, 90, (FILES, 8, 8, 1), dtype=np.uint8)
    X[::2] += 100
    options = Options.of({"budget": "60s", "metric": "accuracy"})
    dataset = load((X, labels), options, decode=read)
    return prepare(dataset, examine(dataset, options)[0], options, core_s=100.0)


def trial(ready: Prepared, number: int, family: str, folds: range, wrong: float | None = None) -> Trial:
    """A trial that is wrong about some of the files."""
    random, metric, shared = np.random.default_rng(number), get("accuracy"), ready.shared
    done = {}
    for k in folds:
        y = shared.y[shared.folds.held(k)]
        is_wrong = random.random(len(y)) < (SURE[family] if wrong is None else wrong)
        said = np.where(is_wrong, 1 - y, y)
        shares = np.where(np.arange(2) == said[:, None], 0.8, 0.2)
        done[k] = Fold(
            fold=k,
            predictions=shares,
            error=metric.error(y, shares),
            is_cut=False,
            fit_s=0.1,
            batch_s=0.01,
            row_s=0.001,
            size_mb=0.1,
        )
    return Trial(
        plan=Plan(number=number, family=family, params={}, seed=0, because=""),
        status=TrialStatus.PARTIAL,
        folds=done,
        spent=Spent(),
    )


def comparison(ready: Prepared, convnet: range, wrong: float | None = None) -> HeldOutComparison:
    """Models of numbers with all folds, and a network with some."""
    everything = range(ready.shared.folds.count)
    others = [trial(ready, number, family, everything) for number, family in enumerate(("constant", "svm", "linear"))]
    return enter([*others, trial(ready, 3, "convnet", convnet, wrong)], ready)


def test_a_folder_of_few_files_has_two_deals_of_five_folds(ready: Prepared) -> None:
    """And a model needs all of them to count as finished."""
    assert (ready.fold_plan.count, ready.fold_plan.goal, ready.shared.folds.each) == (10, 10, 5)
    assert ready.is_careful


def test_without_any_model_the_constant_is_scored_on_each_file_once(ready: Prepared) -> None:
    """Two deals are not twice the files."""
    found = enter([trial(ready, 0, "constant", range(10))], ready)
    assert sorted(found.rows) == list(range(FILES))


def test_all_are_compared_on_the_files_that_the_network_predicted_too(ready: Prepared) -> None:
    """Each file counts once, however often it was dealt, and the interval is that of so few files."""
    found = comparison(ready, range(2), wrong=0.25)
    expected = np.concatenate([ready.shared.folds.held(k) for k in range(2)])
    assert found.rows.tolist() == expected.tolist()
    assert {t.plan.family for t in found.trials} == {"constant", "svm", "linear", "convnet"}
    few, all_ = (
        candidates(one, Limits(), until=float("inf")) for one in (found, comparison(ready, range(5), wrong=0.25))
    )
    widths = [next(c.score.high - c.score.low for c in field if c.name.startswith("convnet")) for field in (few, all_)]
    assert widths[0] > widths[1]


def test_a_network_of_one_deal_meets_models_of_two_on_all_files(ready: Prepared) -> None:
    """What was dealt twice is predicted by the mean of both, and ranked by the errors of both."""
    found = comparison(ready, range(5))
    assert sorted(found.rows) == list(range(FILES))
    assert len(found.trials) == 4
    svm = next(t for t in found.trials if t.plan.family == "svm")
    assert found.error(svm) == pytest.approx(np.mean([fold.error for fold in svm.folds.values()]))
    assert len(np.unique(found.predictions[1])) > len(np.unique(found.predictions[3]))  # means of two


@pytest.mark.parametrize(("folds", "wrong", "takes_part"), [(1, 0.45, False), (4, 0.36, True), (4, 0.9, False)])
def test_a_network_behind_on_its_few_files_does_not_shorten_the_comparison(
    folds: int, wrong: float, takes_part: bool, ready: Prepared
) -> None:
    """The others keep the evidence of all theirs; one that lacks a single fold may be somewhat worse."""
    found = comparison(ready, range(folds), wrong)
    assert len(found.rows) == (FILES * folds // 5 if takes_part else FILES)
    assert ("convnet" in {t.plan.family for t in found.trials}) is takes_part


def test_networks_that_predicted_every_file_or_several_folds_are_kept_as_they_are(ready: Prepared) -> None:
    """A refit would put one network in the place of several; a single one is worth it."""
    from types import SimpleNamespace

    context = SimpleNamespace(clock=SimpleNamespace(is_timed=False))
    for folds, is_refitted in ((1, True), (2, False), (5, False)):
        one = trial(ready, 3, "convnet", range(folds))
        refitter = Refitter([one], ready.shared, context)  # type: ignore[arg-type]
        assert refitter._may(Member(one.plan, 1.0, tuple(one.folds)), one, is_each=False) is is_refitted
    svm = trial(ready, 1, "svm", range(5))
    refitter = Refitter([svm], ready.shared, context)  # type: ignore[arg-type]
    assert not refitter._may(Member(svm.plan, 1.0, tuple(svm.folds)), svm, is_each=False)
    two = replace(svm, folds={k: svm.folds[k] for k in range(2)})
    assert refitter._may(Member(two.plan, 1.0, tuple(two.folds)), two, is_each=False)
