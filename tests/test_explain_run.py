"""Explanations as part of a run and of its model: required, shipped, drawn, and asked of held-out rows alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.doors.cli import main
from automl.errors import ArtifactError, InputError
from automl.report.sections import columns, single
from automl.runtime.folder import RunFolder

pytestmark = pytest.mark.usefixtures("lasting_workers")


def table(rows: int = 240) -> pd.DataFrame:
    """The class rests on x and its copy in other words, on a shop, and not on noise."""
    random = np.random.default_rng(5)
    x = random.normal(size=rows)
    shop = random.choice(["a", "b", "c"], rows)
    odds = 2 * x + 1.5 * (shop == "b")
    return pd.DataFrame(
        {
            "x": x, "like_x": np.exp(x) + 0.01 * random.normal(size=rows), "shop": shop,
            "noise": random.normal(size=rows), "sold": np.where(odds + random.logistic(size=rows) > 0.3, "yes", "no"),
        }
    )  # fmt: skip


DATA = table()


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A line that must explain itself."""
    folder = tmp_path_factory.mktemp("required") / "run"
    options = {"families": "linear", "budget": "2 trials", "workers": 2, "explain": "required"}
    return automl.fit(DATA, "sold", run_dir=folder, verbose=0, **options)


def test_the_model_brings_along_what_explaining_needs(required: Result, tmp_path: Path) -> None:
    """Saved and loaded without the run it explains alike; lines need usual rows, which other models leave behind."""
    rows = DATA.head(4)
    saved = required.save(tmp_path / "model")
    wide = required.explain(rows).wide()
    pd.testing.assert_frame_equal(automl.load(saved).explain(rows).wide(), wide)
    share = automl.load(saved).predict_proba(rows)["yes"].to_numpy()
    np.testing.assert_allclose(wide.drop(columns="(said)").sum(axis=1), np.log(share / (1 - share)), atol=1e-6)
    saved = required.save(tmp_path / "without", rows=False)
    assert not (saved / "background" / "background.npz").exists()
    with pytest.raises(InputError, match="usual rows, and it carries none"):
        automl.load(saved).explain(rows)
    given = automl.load(saved).explain(rows, background=DATA.tail(50)).wide()
    np.testing.assert_allclose(given["(said)"], wide["(said)"])


def test_the_command_line_leaves_the_rows_behind(required: Result, tmp_path: Path) -> None:
    """With the models of a run that required explanations they come along unless it is said otherwise."""
    for more, is_there in (([], True), (["--without-rows"], False)):
        target = tmp_path / f"model{len(more)}"
        assert main(["save", str(required.folder), str(target), *more]) == 0
        assert (target / "background" / "background.npz").exists() == is_there
        assert automl.load(target).predict(DATA.head(3)).shape == (3,)


def test_a_model_of_another_run_has_no_rows_of_the_data_in_it(finished: Result) -> None:
    """Rows of the data lie in the run's folder, and come along only where explanations were required."""
    files = json.loads((finished.folder / "model" / "manifest.json").read_text())["files"]
    assert not [name for name in files if name.startswith("background")]
    assert (finished.folder / "background").is_dir()


def test_altered_usual_rows_are_refused_in_one_line(required: Result, tmp_path: Path) -> None:
    """Of a run folder they have no hash, so they are held against the schema."""
    shutil.copytree(required.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model" / "background")
    place = tmp_path / "run" / "model" / "manifest.json"
    told = json.loads(place.read_text())
    told["files"] = {name: one for name, one in told["files"].items() if not name.startswith("background")}
    place.write_text(json.dumps(told))
    (tmp_path / "run" / "background" / "background.json").write_text('{"texts": [], "described": {}}')
    with pytest.raises(ArtifactError, match="damaged") as refused:
        automl.load(tmp_path / "run")
    assert "\n" not in str(refused.value)


def test_held_out_rows_are_explained_by_models_that_did_not_learn_from_them(required: Result) -> None:
    """Typical ones, unsure ones and wrong ones; the sum is the held-out prediction that was scored."""
    found = json.loads((required.folder / "report.json").read_text())["explanations"]
    assert {one["kind"] for one in found["rows"]} == {"typical", "unsure", "wrong"}
    assert found["unit"] == "log-odds"
    assert not found["notes"]
    for one in found["rows"]:
        added = sum(own["contribution"] for own in one["columns"]) + one["others_add"]
        assert one["base"] + added == pytest.approx(one["said"])
        sure = 1 / (1 + np.exp(-one["said"]))  # of "yes", the positive class
        assert one["label"] == "yes"
        assert one["probability"] == pytest.approx(sure if one["prediction"] == "yes" else 1 - sure, abs=1e-6)
        assert (one["prediction"] == one["answer"]) == (one["kind"] != "wrong") or one["kind"] == "unsure"
        place = int(one["name"].removeprefix("row ")) - 1
        told = {own["column"]: own["value"] for own in one["columns"]}
        assert told["shop"] == DATA["shop"][place]
        assert told["x"] == pytest.approx(DATA["x"][place])


def test_coefficients_of_the_line_are_told_with_their_folds(required: Result) -> None:
    """What the class rests on is steep in every fold, the sign is that of rising; noise is flat."""
    found = json.loads((required.folder / "report.json").read_text())["slopes"]
    steep = {one["column"]: one for one in found["columns"]}
    assert set(steep) == {"x", "like_x", "shop", "noise"}
    assert found["folds"] > 1
    assert steep["x"]["low"] > 0
    assert abs(steep["noise"]["coefficient"]) < abs(steep["x"]["coefficient"]) / 2
    for one in found["columns"]:
        assert one["low"] <= one["coefficient"] <= one["high"]
    sizes = [abs(one["coefficient"]) for one in found["columns"]]
    assert sizes == sorted(sizes, reverse=True)


def test_columns_that_say_the_same_are_shuffled_together(required: Result) -> None:
    """Together they are worth more than each alone; asked later it is the same."""
    found = required.feature_importance()
    (group,) = found.attrs["groups"]
    assert set(group["columns"]) == {"x", "like_x"}
    alone = found.set_index("column")["importance"]
    assert group["importance"] > 1.5 * max(alone["x"], alone["like_x"])
    assert group["low"] <= group["importance"] <= group["high"]
    assert required.feature_importance(DATA).attrs["groups"][0]["importance"] == pytest.approx(group["importance"])
    told = columns.groups(json.loads((required.folder / "report.json").read_text()))
    assert len(told) == 1
    assert "say the same: together" in told[0]


def test_the_page_draws_them(required: Result) -> None:
    """Each row a picture with its sum, the coefficients as a table."""
    page = (required.folder / "report.html").read_text()
    found = json.loads((required.folder / "report.json").read_text())
    assert page.count('id="falls-') >= len(found["explanations"]["rows"])
    assert "Coefficients of the line" in page
    picture = single.falls(found["explanations"]["rows"][0], 0)
    assert picture.count('class="up"') + picture.count('class="down"') == len(found["slopes"]["columns"])
    assert RunFolder(required.folder).read_json("decision.json")["verdict"]["unexplained"] == ""


@pytest.mark.parametrize(
    "given", [None, {}, {"base": 1}, {"base": "x", "said": 2}, {"base": 1, "said": float("nan")}, 3]
)
def test_a_row_without_numbers_is_not_drawn(given: object) -> None:
    """Whatever the JSON holds."""
    assert single.falls(given, 0) == ""
    assert single.shown({"explanations": {"rows": [given]}}, None)["cards"] == []
