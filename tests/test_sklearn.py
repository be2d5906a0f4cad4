"""The estimators do what users of scikit-learn expect: its own checks, its tools, pickles that outlive their run."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from lasting import Lasting, sharing
from scipy.sparse import csr_matrix
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import automl
from automl import AutoMLClassifier, AutoMLRegressor
from automl.errors import InputError, OptionError

ROOT = Path(__file__).parent.parent
QUICK: dict[str, Any] = {"families": ("linear",), "workers": 1}


@pytest.fixture(scope="module", autouse=True)
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the runs of all tests, and workers of their own: they find a run where they were started."""
    folder = tmp_path_factory.mktemp("estimators")
    pools: dict[int, Lasting] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with sharing(pools):
            yield folder
        for pool in pools.values():
            pool.close()


def numbers(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Three numbers, and an answer that follows from them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3))
    return X, 3 * X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=rows)


def classifier(**options: Any) -> AutoMLClassifier:
    return AutoMLClassifier("1 trials", options={**QUICK, **options})


def regressor(**options: Any) -> AutoMLRegressor:
    return AutoMLRegressor("1 trials", options={**QUICK, **options})


EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 stands in one fold, once, "
    "and without its rows of weight zero the check has fewer than the 10 rows that a run needs",
}


@pytest.mark.soak
@parametrize_with_checks([classifier(), regressor()], expected_failed_checks=lambda _: EXPECTED)
def test_the_checks_of_scikit_learn_pass(estimator: Any, check: Any) -> None:
    """All that scikit-learn asks of an estimator, but what is expected to fail for the reason given."""
    check(estimator)


def test_text_labels_made_of_digits_keep_the_order_of_scikit_learn() -> None:
    """The engine sorts '9' before '10', scikit-learn after it: its scorers must rank a good classifier high."""
    X = np.random.default_rng(0).normal(size=(80, 2))
    y = np.where(X[:, 0] > 0, "9", "10")
    fitted = classifier().fit(X, y)
    assert fitted.classes_.tolist() == ["10", "9"]
    assert get_scorer("roc_auc")(fitted, X, y) > 0.99
    assert (fitted.predict(X) == y).mean() > 0.95
    assert fitted.classes_[fitted.predict_proba(X).argmax(axis=1)].tolist() == fitted.predict(X).tolist()


def test_columns_count_by_their_place_and_are_checked() -> None:
    """An extra or a moved column is refused; lists of dicts and whole numbers as names work."""
    X, y = numbers(60)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = regressor().fit(frame, y)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    assert fitted.n_features_in_ == 3
    expected = fitted.predict(frame)
    for wrong in (frame.assign(d=1.0), frame[["b", "a", "c"]], frame[["a", "b"]]):
        with pytest.raises(ValueError, match="feature names should match"):
            fitted.predict(wrong)
    assert fitted.predict(frame.to_dict("records")).tolist() == expected.tolist()
    assert fitted.predict(frame.to_dict("list")).tolist() == expected.tolist()
    with pytest.warns(UserWarning, match="valid feature names"):
        assert fitted.predict(X).tolist() == expected.tolist()
    rows = regressor().fit(frame.to_dict("records"), y)
    assert rows.predict(frame).tolist() == expected.tolist()
    bare = regressor().fit(pd.DataFrame(X), y)
    assert not hasattr(bare, "feature_names_in_")
    assert bare.predict(X).tolist() == bare.predict(pd.DataFrame(X)).tolist()
    with pytest.raises(ValueError, match="X has 4 features, but AutoMLRegressor is expecting 3"):
        bare.predict(np.hstack([np.zeros((60, 1)), X]))


@pytest.mark.parametrize(
    ("X", "told"),
    [
        (csr_matrix(np.eye(20)), "[Ss]parse"),
        (np.zeros((20, 3, 3)), "dim 3"),
        (pd.Series(np.arange(20.0)), "2-dimensional|2D array"),
        (pd.DataFrame(index=range(20)), "0 feature"),
        (pd.DataFrame({"a": [1.0]}), "1 sample"),
    ],
    ids=["sparse", "3-d", "a series", "no column", "one row"],
)
def test_what_is_no_table_is_refused_before_the_run(X: Any, told: str) -> None:
    """In a few words, without a run folder."""
    before = set(Path.cwd().glob("runs/*"))
    for estimator in (classifier(), regressor()):
        with pytest.raises((ValueError, TypeError), match=told):
            estimator.fit(X, np.arange(X.shape[0]) % 2)
    assert set(Path.cwd().glob("runs/*")) == before


def test_a_pickle_needs_neither_its_run_nor_its_process(tmp_path: Path) -> None:
    """Written after predict, read where the run folder is gone; the result in it predicts and saves too."""
    X, y = numbers(60)
    fitted = regressor(run_dir=tmp_path / "runs").fit(X, y)
    expected = fitted.predict(X)
    joblib.dump((fitted, X), tmp_path / "fitted.joblib")
    shutil.rmtree(tmp_path / "runs")
    code = (
        "import joblib, sys; fitted, X = joblib.load(sys.argv[1]); print(repr(fitted.predict(X).tolist())); "
        "fitted.result_.save(sys.argv[2]); joblib.dump((fitted, X), sys.argv[1])"
    )
    there = [sys.executable, "-c", code, str(tmp_path / "fitted.joblib"), str(tmp_path / "model")]
    done = subprocess.run(there, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    assert ast.literal_eval(done.stdout) == expected.tolist()
    assert automl.load(tmp_path / "model").predict(X).tolist() == expected.tolist()
    again, _ = joblib.load(tmp_path / "fitted.joblib")
    assert again.predict(X).tolist() == expected.tolist()
    with pytest.raises(InputError, match="is not there any more, so only its model can be used"):
        _ = again.result_.score
    assert "run that was in" in repr(again.result_)


def test_searches_and_pipelines_of_scikit_learn_use_it(tmp_path: Path) -> None:
    """Clones fit in a pipeline, under cross-validation and in a grid, though one run_dir is named for all."""
    X, y = numbers(60)
    labels = (y > 0).astype(int)
    piped = make_pipeline(StandardScaler(), classifier(run_dir=tmp_path / "runs"))
    assert cross_val_score(piped, X, labels, cv=2, scoring="roc_auc").min() > 0.9
    grid = GridSearchCV(regressor(), {"options": [QUICK, {**QUICK, "metric": "mae"}]}, cv=2).fit(X, y)
    assert grid.best_score_ > 0.8
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_random_state_is_the_seed_of_the_search() -> None:
    """A number as it is; a generator gives the next; none leaves the option."""
    X, y = numbers(40)

    def seed(random_state: Any, **options: Any) -> int:
        estimator = regressor(**options).set_params(random_state=random_state).fit(X, y)
        return int(json.loads((estimator.result_.folder / "options.json").read_text())["seed"])

    assert (seed(7), seed(None, seed=3)) == (7, 3)
    assert seed(np.random.RandomState(1)) == np.random.RandomState(1).randint(2**31)


def test_rows_without_weight_are_no_rows_and_weights_move_the_model() -> None:
    """A weight of zero is as if the row were not there; heavy rows pull the predictions."""
    X, y = numbers(60)
    two = np.where(np.arange(60) % 2, y, -y)  # every other row says the opposite
    heavy = np.where(np.arange(60) % 2, 50.0, 0.02)
    without = regressor().fit(X[1::2], two[1::2]).predict(X)
    assert regressor().fit(X, two, sample_weight=heavy * (heavy > 1) / 50).predict(X) == pytest.approx(
        without, abs=1e-5
    )
    assert np.corrcoef(regressor().fit(X, two, sample_weight=heavy).predict(X), y)[0, 1] > 0.9
    with pytest.raises(OptionError, match="weights twice"):
        regressor(weight=heavy).fit(X, two, sample_weight=heavy)


def test_class_weights_favour_the_rare_class() -> None:
    """Through the options, by name or by label: more rows are told to be of the class that counts more."""
    X, _ = numbers(120)
    rare = np.where(X[:, 1] + np.random.default_rng(1).normal(size=120) > 1.3, "yes", "no")
    told = [
        (classifier(metric="log_loss", **options).fit(X, rare).predict(X) == "yes").sum()
        for options in ({}, {"class_weight": "balanced"}, {"class_weight": {"yes": 9}})
    ]
    assert told[0] < told[1]
    assert told[0] < told[2]
