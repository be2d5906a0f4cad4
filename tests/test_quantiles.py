"""Quantiles: learned by every family that says so, scored, blended, saved, told and predicted as columns."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_pinball_loss

import automl
from automl import Result
from automl.doors.cli import main
from automl.ensemble.blend import blend, honest_error, mix
from automl.errors import InputError, OptionError
from automl.scoring import metrics
from automl.scoring.losses import pinball_of

pytestmark = pytest.mark.usefixtures("lasting_workers")

LEVELS = (0.1, 0.5, 0.9)


def table(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A number whose spread, not only its middle, depends on what is known."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows), "w": rng.uniform(0.5, 2, rows)})
    return data.assign(y=2 * data["x"] + np.exp(0.7 * data["z"]) * rng.normal(size=rows))


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("quantiles") / "run"
    return automl.fit(
        table(), "y", quantiles=(0.9, 0.1, 0.5), families="lightgbm,xgboost,forest", budget="3 trials", weight="w",
        test=table(300, seed=9), run_dir=folder, verbose=0,
    )  # fmt: skip


# --- the metric ------------------------------------------------------------------------------------------------------


def test_the_score_is_the_mean_pinball_loss_of_scikit_learn() -> None:
    """With and without weights, averaged over the levels; zero is perfect."""
    rng = np.random.default_rng(0)
    y, p, w = rng.normal(size=200), np.sort(rng.normal(size=(200, 3)), axis=1), rng.uniform(0.1, 3, 200)
    metric = metrics.get("pinball", LEVELS)
    for weight in (None, w):
        judged = [mean_pinball_loss(y, p[:, k], alpha=LEVELS[k], sample_weight=weight) for k in range(3)]
        assert metric.score(y, p, weight) == pytest.approx(np.mean(judged))
    assert metric.error(y, np.repeat(y[:, None], 3, axis=1)) == 0.0
    assert not metric.higher_is_better
    assert metrics.names("quantile") == ["pinball"]
    assert metrics.default("quantile")[0] == "pinball"
    low, high = metrics.interval(metric, y, p, w)
    assert low < metric.score(y, p, w) < high


def test_the_true_quantile_has_the_least_loss() -> None:
    """Moving it either way costs."""
    y = np.random.default_rng(1).normal(size=20_000)
    for level in LEVELS:
        loss = {shift: pinball_of((level,))(y, np.full((len(y), 1), np.quantile(y, level) + shift)).mean() for shift in (-0.3, 0, 0.3)}  # fmt: skip  # noqa: E501
        assert loss[0] < min(loss[-0.3], loss[0.3])


def test_quantiles_are_blended_in_full_precision_and_keep_rising() -> None:
    """Two models that err by themselves are better together; large values lose no digits."""
    rng = np.random.default_rng(2)
    y = 1e9 + rng.normal(size=2_000)
    truth = y[:, None] + np.array([-1.0, 0.0, 1.0])
    models = [np.sort(truth + rng.normal(scale=0.7, size=truth.shape), axis=1) for _ in range(3)]
    metric = metrics.get("pinball", LEVELS)
    weights = blend(metric, y, models)
    mixed = mix(weights, models)
    assert (weights > 0.2).sum() >= 2
    assert (np.diff(mixed, axis=1) >= 0).all()
    assert metric.error(y, mixed) < min(metric.error(y, model) for model in models)
    honest = honest_error(metric, y, models)
    assert honest.predictions.shape == truth.shape
    assert honest.error >= metric.error(y, mixed) * 0.99


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_predicts_a_column_per_level(spread: Result) -> None:
    """Rising in every row, with the index of the rows given; about as many answers below as each level says."""
    new = table(500, seed=5).set_index(np.arange(1000, 1500))
    predicted = spread.predict(new)
    assert list(predicted.columns) == ["y_q0.1", "y_q0.5", "y_q0.9"]
    assert list(predicted.index) == list(new.index)
    assert (np.diff(predicted.to_numpy(), axis=1) >= 0).all()
    below = (new["y"].to_numpy()[:, None] <= predicted.to_numpy()).mean(axis=0)
    assert np.abs(below - LEVELS).max() < 0.12
    assert np.corrcoef(predicted["y_q0.9"] - predicted["y_q0.1"], np.exp(0.7 * new["z"]))[0, 1] > 0.5
    assert spread.predict(new.head(0)).shape == (0, 3)
    with pytest.raises(InputError, match="predicts numbers"):
        spread.predict_proba(new)


@pytest.mark.slow
def test_the_score_is_far_better_than_none_and_holds_on_test_data(spread: Result) -> None:
    """Pinball, lower is better, clearly below the constant quantiles; the weight column is no feature."""
    board = spread.leaderboard().set_index("name")
    assert spread.score.metric == "pinball"
    assert spread.score.high < 0.8 * board.loc["constant", "score"]
    assert spread.test_score is not None
    assert spread.test_score.low < spread.score.value * 1.2
    schema = json.loads((spread.folder / "schema.json").read_text())
    assert [coding["column"]["name"] for coding in schema["codings"]] == ["x", "z"]


@pytest.mark.slow
def test_rows_with_answers_are_scored_as_the_test_data_were(spread: Result) -> None:
    """Pinball at the run's levels under the run's weights, with the same interval."""
    found, test = spread.evaluate(table(300, seed=9)), spread.test_score
    assert test is not None
    assert found["metric"].tolist() == ["pinball"]
    assert found.iloc[0][["value", "low", "high"]].tolist() == pytest.approx([test.value, test.low, test.high])


@pytest.mark.slow
def test_the_report_tells_how_well_each_quantile_holds(spread: Result) -> None:
    """The share of held-out answers below each level, in the JSON and on the page."""
    told = json.loads((spread.folder / "report.json").read_text())
    assert told["data"]["task"] == "quantile"
    assert told["data"]["levels"] == list(LEVELS)
    assert [row["level"] for row in told["verdict"]["coverage"]] == list(LEVELS)
    assert all(abs(row["share"] - row["level"]) < 0.15 for row in told["verdict"]["coverage"])
    html = (spread.folder / "report.html").read_text()
    assert "at or below the 0.9 quantile" in html
    assert "pinball, lower is better" in html
    assert "quantiles=[0.1, 0.5, 0.9]" in told["reproduce"]
    skipped = {skip["family"]: skip["because"] for skip in spread.decision["skipped"]}
    assert skipped["catboost"] == "not among the families asked for"


@pytest.mark.slow
def test_saved_quantiles_load_and_can_be_selected(spread: Result, tmp_path: Path) -> None:
    """The levels travel with the model, also with another model of the run."""
    rows = table(20, seed=4)
    model = automl.load(spread.save(tmp_path / "model"))
    assert (model.task, model.levels) == ("quantile", LEVELS)
    pd.testing.assert_frame_equal(model.predict(rows), spread.predict(rows), check_exact=True)
    assert list(spread.select(max_latency_ms=1e4, prefer="cheap").predict(rows).columns) == list(
        model.predict(rows).columns
    )


@pytest.mark.slow
def test_forward_folds_refit_on_all_rows(tmp_path: Path) -> None:
    """With times, the members are fitted again as many rounds as early stopping took."""
    data = table(200).assign(day=pd.date_range("2030-01-01", periods=200))
    result = automl.fit(
        data, "y", quantiles="0.2,0.8", time_column="day", families="lightgbm,xgboost,catboost", budget="3 trials",
        run_dir=tmp_path / "run", verbose=0,
    )  # fmt: skip
    assert (np.diff(result.predict(data).to_numpy(), axis=1) >= 0).all()


@pytest.mark.soak
@pytest.mark.slow
def test_the_command_line_writes_a_column_per_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--quantiles with commas; one level is one column."""
    frame = load_diabetes(as_frame=True).frame
    frame.to_csv(tmp_path / "data.csv", index=False)
    path, run = str(tmp_path / "data.csv"), str(tmp_path / "run")
    fixed = ["--budget", "1 trial", "--families", "extra_trees", "-q"]
    assert main(["fit", path, "-t", "target", "--quantiles", "0.9,0.1", "--out", run, *fixed]) == 0
    assert main(["predict", run, path, "-o", str(tmp_path / "out.csv")]) == 0
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["target_q0.1", "target_q0.9"]
    inside = frame["target"].between(found["target_q0.1"], found["target_q0.9"]).mean()
    assert inside > 0.7
    assert main(["fit", path, "-t", "target", "--quantiles", "0.5", "--out", run + "1", *fixed]) == 0
    assert automl.load(run + "1").predict(frame).shape == (442, 1)
    assert "--quantiles=0.1,0.9" in json.loads((Path(run) / "report.json").read_text())["reproduce"]


def test_the_profile_says_why() -> None:
    """Task, rule and metric; also where two values or a few whole numbers would have been classes."""
    profile = automl.profile(table().assign(y=lambda frame: (frame["x"] > 0).astype(int)), "y", quantiles=LEVELS)
    assert (profile.task, profile.metric, profile.levels, profile.outputs) == ("quantile", "pinball", LEVELS, 3)
    assert profile.task_rule.startswith("quantiles=0.1, 0.5, 0.9 were given")


def test_what_is_no_number_has_no_quantiles() -> None:
    """Labels, and metrics of other tasks, are refused."""
    with pytest.raises(InputError, match="which is not a number"):
        automl.profile(table().assign(y=["low", "high"] * 200), "y", quantiles=0.5)
    with pytest.raises(OptionError, match=r"'rmse' does not score quantile. Choose from pinball"):
        automl.profile(table(), "y", quantiles=0.5, metric="rmse")


def test_intervals_are_the_predicted_quantiles_set_right(spread: Result) -> None:
    """Nine of ten new rows are held, and the ends are far apart where the quantiles are."""
    rows = table(600, seed=5)
    found = spread.predict_interval(rows, 0.9)
    held = (found["low"] <= rows["y"]) & (rows["y"] <= found["high"])
    assert 0.84 <= held.mean() <= 0.96
    width, said = found["high"] - found["low"], spread.predict(rows)
    apart = said.iloc[:, -1] - said.iloc[:, 0]
    assert np.corrcoef(width, apart)[0, 1] > 0.9
    told = json.loads((spread.folder / "report.json").read_text())["coverage"]
    assert told["kind"] == "interval"
    assert told["levels"][1]["share"] > 0.84
