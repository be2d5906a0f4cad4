"""Several targets: a model each, one budget, one reading, and no target as a feature of another."""

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import automl
from automl import several
from automl.doors.cli import main
from automl.errors import ArtifactError, AutomlError
from automl.model.bundle import INDEX, Bundle
from automl.options import Budget, Options
from automl.report import targets as page
from automl.result import BundleResult, open_run
from automl.runtime.clock import Clock

pytestmark = pytest.mark.usefixtures("lasting_workers")

QUICK = {"families": "linear", "verbose": 0}


def table(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """A number and two classes that depend on the same features, a weight, and a price with gaps."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=rows), "z": rng.normal(size=rows), "w": rng.uniform(0.5, 2, rows)})
    data["price"] = 3 * data["x"] + rng.normal(scale=0.2, size=rows)
    data["sold"] = np.where(data["z"] + rng.normal(scale=0.3, size=rows) > 0, "yes", "no")
    data["007"] = [f"{int(v):03d}" for v in rng.integers(1, 3, rows)]
    data.loc[::20, "price"] = np.nan
    return data


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> BundleResult:
    folder = tmp_path_factory.mktemp("several") / "run"
    return automl.fit(table(), ["price", "sold"], weight="w", budget="4 trials", run_dir=folder, **QUICK)


@pytest.mark.slow
def test_each_target_gets_a_model_of_its_own(both: BundleResult) -> None:
    """A column per target, in the user's labels and on the rows given; the models and scores by name."""
    rows = table(30, seed=5).drop(columns=["price", "sold"]).set_index(np.arange(100, 130))
    predicted = both.predict(rows)
    assert list(predicted.columns) == both.targets == ["price", "sold"]
    assert list(predicted.index) == list(rows.index)
    assert set(predicted["sold"]) <= {"yes", "no"}
    assert np.corrcoef(predicted["price"], 3 * rows["x"])[0, 1] > 0.95
    assert both.models["price"].task == "regression"
    assert both.scores["sold"].metric == "roc_auc"
    assert both.score is None  # the metrics differ
    assert both.meets_min_score is None
    assert not both.interrupted


@pytest.mark.slow
def test_no_target_and_no_weight_is_a_feature(both: BundleResult) -> None:
    """What a model reads are the features alone, and its report says what was left out."""
    for target, other in (("price", "sold"), ("sold", "price")):
        schema = json.loads((both.results[target].folder / "schema.json").read_text())
        names = {coding["column"]["name"] for coding in schema["codings"]} | set(schema["ignored"])
        assert names == {"x", "z", "007"}
        told = json.loads((both.results[target].folder / "report.json").read_text())
        assert any(repr(other) in note for note in told["data"]["notes"])
        assert f"data.drop(columns=['{other}'])" in told["reproduce"]


@pytest.mark.slow
def test_rows_without_one_answer_still_teach_the_other(both: BundleResult) -> None:
    """A missing price leaves the row out of the model of the price only."""
    rows = {entry["target"]: entry["rows"] for entry in report_of(both)["targets"]}
    assert rows == {"price": 228, "sold": 240}


@pytest.mark.slow
def test_the_report_lists_every_target_and_links_to_its_own(both: BundleResult) -> None:
    """Verdict and link of each; the links lead to files."""
    html = (both.folder / "report.html").read_text()
    for entry in report_of(both)["targets"]:
        assert entry["sentence"].split(":")[0] in html
        assert f'href="{entry["report"]}"' in html
        assert (both.folder / entry["report"]).is_file()
    assert report_of(both)["reproduce"].startswith("automl.fit(data, target=['price', 'sold']")


@pytest.mark.slow
def test_saved_models_load_through_the_same_door(both: BundleResult, tmp_path: Path) -> None:
    """From the run folder or a saved copy, wherever it lies."""
    rows = table(20, seed=6)
    expected = both.predict(rows)
    place = both.save(tmp_path / "models")
    for path in (both.folder, place):
        loaded = automl.load(path)
        assert isinstance(loaded, Bundle)
        pd.testing.assert_frame_equal(loaded.predict(rows), expected, check_exact=True)
    with pytest.raises(ArtifactError, match="not empty"):
        both.save(place)
    index = json.loads((place / INDEX).read_text())
    index["targets"][0]["folder"] = "../elsewhere"
    (place / INDEX).write_text(json.dumps(index))
    with pytest.raises(ArtifactError, match="outside of it"):
        automl.load(place)
    assert repr(open_run(both.folder)) == repr(both)
    assert both.report(tmp_path / "copy.html").read_text() == (both.folder / "report.html").read_text()


@pytest.mark.slow
def test_probabilities_need_classes_and_scores_of_one_metric_have_a_mean(tmp_path: Path) -> None:
    """Labels that look like numbers stay as written; of two classes per target there are two columns each."""
    data = table().to_csv(tmp_path / "data.csv", index=False)
    data = tmp_path / "data.csv"
    result = automl.fit(data, ["sold", "007"], budget="2 trials", run_dir=tmp_path / "run", **QUICK)
    assert list(result.predict_proba(data).columns) == ["sold_no", "sold_yes", "007_001", "007_002"]
    assert set(result.predict(data)["007"]) <= {"001", "002"}
    assert result.score == pytest.approx(np.mean([score.value for score in result.scores.values()]))
    assert report_of(result)["reproduce"].startswith(f"automl fit {data} --target=sold,007")


@pytest.mark.slow
def test_the_command_line_takes_names_with_commas_between(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """fit, report and predict; a column whose own name holds the comma is one target."""
    data = table(120).rename(columns={"007": "sold,x"})
    data.to_csv(tmp_path / "data.csv", index=False)
    path, run = str(tmp_path / "data.csv"), str(tmp_path / "run")
    fixed = ["--families", "linear", "--quiet"]
    assert main(["fit", path, "-t", "price, sold", "--budget", "2 trials", "--out", run, *fixed]) == 0
    told = capsys.readouterr().out
    assert told.startswith("price: Use linear #1")
    assert main(["predict", run, path, "-o", str(tmp_path / "out.csv")]) == 0
    assert list(pd.read_csv(tmp_path / "out.csv").columns) == ["price", "sold"]
    assert main(["report", run]) == 0
    again = capsys.readouterr().out
    assert all(line in again for line in ("price", "sold", "Use linear #1"))
    assert main(["fit", path, "-t", "sold,x", "--budget", "1 trial", "--out", run + "1", *fixed]) == 0
    assert (tmp_path / "run1" / "model").is_dir()


@pytest.mark.soak
@pytest.mark.slow
def test_quantiles_of_several_targets_stand_side_by_side(tmp_path: Path) -> None:
    """A column per target and level, weights included."""
    data = table()[["x", "z", "w", "price"]].assign(cost=lambda frame: -frame["z"])
    result = automl.fit(
        data, ["price", "cost"], quantiles=(0.2, 0.8), weight="w", budget="2 trials", families="forest",
        run_dir=tmp_path / "run", verbose=0,
    )  # fmt: skip
    assert list(result.predict(data.head(3)).columns) == ["price_q0.2", "price_q0.8", "cost_q0.2", "cost_q0.8"]


BAD = {
    "twice": (["price", "price"], {}, r"'price' more than once"),
    "none": ([], {}, "empty list"),
    "unknown": (["price", "solt"], {}, r"'solt' is not a column.*Did you mean 'sold'"),
    "weight": (["price", "w"], {"weight": "w"}, "weight and target are both 'w'"),
    "all": (["x", "z", "w", "price", "sold", "007"], {}, "nothing is left to predict from"),
    "trials": (["price", "sold"], {"budget": "1 trial"}, r"Give '2 trials' or more"),
    "seconds": (["price", "sold"], {"budget": "8s"}, r"leaves 4 s for each of 2 targets.*Give '10s' or more"),
    "metric": (["price", "sold"], {"metric": "rmse"}, "'rmse' does not score binary"),
    "test": (["price", "sold"], {"test": table().drop(columns="sold")}, "'sold' is not in the data"),
    "pair": (["a", "b"], {"data": (np.ones((20, 2)), np.ones((20, 2)))}, "one value for each row"),
}  # fmt: skip


@pytest.mark.parametrize(("target", "options", "told"), BAD.values(), ids=BAD.keys())
def test_what_cannot_work_is_refused_before_anything_runs(target, options, told, tmp_path: Path) -> None:
    """One line each, and no run folder."""
    given = {"budget": "2 trials", "run_dir": tmp_path / "run", "verbose": 0, "data": table(), **options}
    with pytest.raises(AutomlError, match=told) as refusal:
        automl.fit(given.pop("data"), target, **given)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_one_target_at_a_time_is_profiled() -> None:
    """The profile is of one target."""
    with pytest.raises(AutomlError, match="one target"):
        automl.profile(table(), target=["price", "sold"])


def test_a_late_target_gets_what_the_earlier_ones_left() -> None:
    """Equal shares of what is left; after Ctrl-C the least that makes a model."""

    class Done:
        budget = "4 trials"
        cost: ClassVar = {"invoice": {"money": 0.5, "kwh": 0.1}}

    def share(budget: str, done: int, left: int, interrupted: bool = False) -> Budget:
        clock = Clock(Options(budget=budget).budget)
        return several._share(clock, dict.fromkeys(range(done), Done()), left, interrupted)

    assert share("10 trials", 0, 3).trials == 4
    assert share("10 trials", 1, 2).trials == 3
    assert share("10 trials", 1, 2, interrupted=True).trials == 1
    assert share("60s", 0, 3).time_s == pytest.approx(19.9, abs=0.1)
    assert share("60s", 0, 1).time_s == pytest.approx(59.7, abs=0.1)
    assert share("60s", 1, 2, interrupted=True).time_s == several.LEAST_S
    assert share("$2", 1, 2).money == pytest.approx(0.75)
    assert share("1kWh, 60s", 1, 3).energy == pytest.approx(0.3)
    assert share("1kWh, 60s", 1, 3).time_s == pytest.approx(19.9, abs=0.1)


def test_folders_of_targets_never_meet() -> None:
    """Names that differ only where a folder's name cannot."""
    assert several._name("a b", []) == "a-b"
    assert several._name("a/b", ["a-b"]) == "a-b-2"
    assert several._name("A-b", ["a-b", "a-b-2"]) == "A-b-3"


def test_the_page_escapes_what_the_data_brings(tmp_path: Path) -> None:
    """No name of a target becomes markup, and an empty report draws."""
    name = "</title><script>alert(1)</script>\udc80"
    told = {"run": {"name": name}, "targets": [{"target": name, "sentence": name, "report": f"targets/{name}.html"}]}
    page.write(json.loads(json.dumps(told)), tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "<script>" not in html
    assert "<html" in page.draw({})


def report_of(result: BundleResult) -> dict:
    return json.loads((result.folder / "report.json").read_text())
