"""Rare classes: the one to be found is searched for, scored, told and kept in the saved model; classes stay sorted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score

import automl
from automl import Result
from automl.data.prepare import prepare
from automl.data.profiler import examine
from automl.doors.cli.parser import build
from automl.options import Options
from automl.records import Dataset

pytestmark = pytest.mark.usefixtures("lasting_workers")


def payments(rows: int, seed: int) -> pd.DataFrame:
    """Eight in a hundred are fraud, and no row is more likely fraud than not."""
    random = np.random.default_rng(seed)
    is_fraud = random.random(rows) < 0.08
    frame = pd.DataFrame(random.normal(size=(rows, 2)) + 1.1 * is_fraud[:, None], columns=["amount", "hour"])
    return frame.assign(kind=np.where(is_fraud, "fraud", "legit"))


NEW = payments(2_000, 1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run that looks for the rare class, which comes first in the alphabet."""
    folder = tmp_path_factory.mktemp("payments") / "run"
    options = {"budget": "2 trials", "families": ("linear",), "test": NEW, "run_dir": folder, "verbose": 0}
    return automl.fit(payments(1_500, 0), "kind", metric="f1", **options)


def test_the_rare_class_is_found_though_no_row_is_more_likely_it(found: Result) -> None:
    """Trials are told apart by what their labels reach, in the leaderboard and for the sampler alike."""
    told = found.predict(NEW.drop(columns="kind"))
    assert (told == "fraud").mean() > 0.02
    score = f1_score(NEW["kind"], told, pos_label="fraud")
    assert 0.25 < score < 0.7
    assert found.test_score.value == pytest.approx(score)
    assert all(trial["score"] > 0.2 for trial in found._report["trials"] if trial["family"] == "linear")
    assert "'fraud' being the positive class, the rarer one" in found._report["data"]["task_rule"]


def test_columns_and_classes_stay_where_scikit_learn_expects_them(found: Result) -> None:
    """Sorted, in the saved model too; its scores are of the class that was looked for."""
    shares = found.predict_proba(NEW.drop(columns="kind"))
    assert list(shares.columns) == found.model.classes == ["fraud", "legit"]
    assert shares["fraud"].mean() == pytest.approx(0.08, abs=0.04)
    scores = automl.load(found.folder).evaluate(NEW).set_index("metric")["value"]
    is_fraud = NEW["kind"] == "fraud"
    assert scores["f1"] == pytest.approx(found.test_score.value)
    assert scores["average_precision"] == pytest.approx(average_precision_score(is_fraud, shares["fraud"]))
    page = (found.folder / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    assert "labelled 'fraud' above a probability of 0." in page


def test_the_class_to_be_found_can_be_given_on_the_command_line() -> None:
    """As text, which is compared with the labels as they are spelled."""
    given = build().parse_args(["fit", "payments.csv", "--metric", "f1", "--positive", "legit"])
    profile = automl.profile(payments(200, 0), "kind", metric=given.metric, positive=given.positive)
    assert "'legit' being the positive class, as given" in profile.task_rule
    assert "of the class 'legit'; override with positive=" in profile.metric_rule


@pytest.mark.parametrize(("given", "column"), [(None, 1), ("fraud", 0), ("legit", 1)])
def test_a_function_gets_the_probability_of_the_second_class_unless_told_which(given: str | None, column: int) -> None:
    """As scikit-learn's own scorers do, whatever is rarer."""
    data = payments(200, 0)
    seen: list[np.ndarray] = []

    def closeness(y: np.ndarray, p: np.ndarray) -> float:
        seen.append(p)
        return float(-np.abs((y == ["fraud", "legit"][column]) - p).mean())

    closeness.needs = "probability"  # type: ignore[attr-defined]
    options = Options(target="kind", metric=closeness, positive=given)
    dataset = Dataset(name="payments", frame=data.drop(columns="kind"), target=data["kind"])
    profile, _ = examine(dataset, options)
    ready = prepare(dataset, profile, options, core_s=float("inf"))
    shares = np.random.default_rng(0).dirichlet((1, 1), 200)
    ready.metric.error(ready.shared.y, shares)
    assert np.array_equal(seen[-1], shares[:, column])
