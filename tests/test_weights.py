"""Rows that count more than others: weights as a column or as values, and weights of classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import automl
from automl.data.prepare import weigh
from automl.data.profiler import examine
from automl.data.reading import load, load_held
from automl.doors.cli import main
from automl.errors import InputError, OptionError
from automl.options import IN_MEMORY, Options
from automl.report.sections.environment import command
from automl.runtime.folder import RunFolder
from automl.runtime.resume import options_of

pytestmark = pytest.mark.usefixtures("lasting_workers")

QUICK: dict[str, Any] = {"families": ("linear",), "workers": 1, "verbose": 0}


def table(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    return pd.DataFrame({"x": x, "z": rng.normal(size=rows), "y": (x + rng.normal(size=rows) > 1).astype(int)})


WEIGHTS = np.arange(1.0, 61.0)
FORMS = {
    "array": WEIGHTS,
    "column of an array": WEIGHTS[:, None],
    "list": WEIGHTS.tolist(),
    "whole numbers": tuple(range(1, 61)),
    "series with an index of its own": pd.Series(WEIGHTS, index=range(100, 40, -1)),
    "frame": pd.DataFrame({"w": WEIGHTS}),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_may_be_values_in_the_order_of_the_rows(form: str) -> None:
    """Of any shape with one per row; rows without an answer take theirs along; it is no feature."""
    frame = table()
    answers = frame["y"].astype(float).where(np.arange(60) != 7)
    data = load((frame[["x", "z"]], answers), Options(weight=FORMS[form]))
    assert data.weight is not None
    assert data.weight.tolist() == [weight for weight in WEIGHTS if weight != 8]
    assert list(data.frame) == ["x", "z"]


BAD = {
    "too few": (WEIGHTS[:5], "weight has 5 values, but the data has 60 rows"),
    "none": ([], "weight has 0 values"),
    "negative": ([-1.0, *WEIGHTS[1:]], "weight must be a number above 0 in every row, got '-1.0' in row 1"),
    "zero": ([1, 0, *WEIGHTS[2:]], "in row 2 .1 such rows"),
    "missing": ([*WEIGHTS[:59], np.nan], "got 'nan' in row 60"),
    "infinite": ([*WEIGHTS[:59], np.inf], "got 'inf' in row 60"),
    "text": (["heavy"] * 60, "got 'heavy' in row 1"),
    "yes and no": ([True] * 60, "not numbers"),
    "two columns": (np.ones((60, 2)), "weight must be one column"),
    "ragged": ([[1.0], [1.0, 2.0]] * 30, "weight must be one value for each row"),
    "a dict": ({"a": 1.0}, "weight of type dict cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_weights_that_cannot_be_are_refused_in_one_line(case: str) -> None:
    """With the value seen."""
    weight, message = BAD[case]
    with pytest.raises(InputError, match=message) as refusal:
        load(table(), Options(target="y", weight=weight))
    assert "\n" not in str(refusal.value)


def test_rows_kept_apart_have_no_weights_that_came_as_values() -> None:
    """They are other rows; a column of weights is theirs too."""
    assert load_held(table(9), Options(target="y", weight=WEIGHTS), ["x"]).weight is None
    with_column = load_held(table(9).assign(w=2.0), Options(target="y", weight="w"), ["x"])
    assert with_column.weight is not None
    assert with_column.weight.tolist() == [2.0] * 9


def weighed(frame: pd.DataFrame, **options: Any) -> Any:
    asked = Options(target="y", **options)
    data = load(frame, asked)
    return weigh(data, examine(data, asked)[0], asked)


def test_balanced_classes_count_alike() -> None:
    """As scikit-learn balances them, times what the rows count by themselves; one note says so."""
    frame = table()
    data = weighed(frame, class_weight="balanced")
    sums = [data.weight[frame["y"] == label].sum() for label in (0, 1)]
    assert sums == pytest.approx([30, 30])
    assert data.notes[-1].startswith("class_weight: in training and in the scores a row of a class counts ")
    twice = weighed(frame, class_weight="balanced", weight=[2.0] * 60)
    assert twice.weight == pytest.approx(2 * data.weight)
    assert weighed(frame).weight is None


@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes"), (False, True), (0.5, 1.5)])
def test_labels_say_what_their_rows_count(labels: tuple[Any, Any]) -> None:
    """Of whatever type they are, NumPy's too; a class that is not named counts one."""
    frame = table().assign(y=np.array(labels)[table()["y"]])
    frame["y"] = frame["y"].astype(str) if labels == (0.5, 1.5) else frame["y"]
    second = np.array(labels)[1]
    data = weighed(frame, class_weight={second: 3})
    assert data.weight.tolist() == [3.0 if right else 1.0 for right in table()["y"] == 1]
    kept = Options.of(json.loads(json.dumps(Options(class_weight={second: 3}).as_json())))
    assert kept.class_weight == {labels[1]: 3.0}  # as it is read back from the disk


def test_class_weights_that_cannot_be_are_refused() -> None:
    """As an option, for an unknown label, and for numbers; before anything runs."""
    for wrong in ("fair", 3, {}, {"yes": 0}, {"yes": -1}, {"yes": np.nan}, {"yes": "much"}, [1, 2]):
        with pytest.raises(OptionError, match="class_weight"):
            Options(class_weight=wrong)
    with pytest.raises(OptionError, match=r"names 'maybe', which is no class of the target. Classes: 0, 1"):
        weighed(table(), class_weight={"maybe": 2})
    with pytest.raises(OptionError, match="is for classes, but the target is a number"):
        automl.profile(table().assign(y=np.linspace(0, 1, 60)), "y", class_weight="balanced")
    with pytest.raises(OptionError, match="is for classes"):
        automl.fit(table(), ["y", "x"], class_weight="balanced", verbose=0)


def test_a_run_with_weights_in_memory_goes_on_with_them_alone(tmp_path: Path) -> None:
    """They are asked for again, and must be the same; class weights are kept on disk, whatever their labels."""
    frame = table()
    given = {"weight": WEIGHTS, "class_weight": {1: 2.5}, "test": frame[:30], "budget": "1 trials", **QUICK}
    result = automl.fit(frame, "y", run_dir=tmp_path / "run", **given)
    told = json.loads((tmp_path / "run" / "options.json").read_text())
    assert (told["weight"], told["class_weight"]) == (IN_MEMORY, [[1, 2.5]])
    assert any("counts 1 (0), 2.5 (1)" in note for note in result._report["data"]["notes"])
    assert result._report["reproduce"] == (
        "automl.fit(data, target='y', budget='1 trials', families=['linear'], test=test, weight=weight, "
        "class_weight={1: 2.5}, workers=1, seed=0)"
    )
    assert result.test_score is not None
    scored = result.evaluate(frame[:30])  # as the run scored them: classes count, the weights of other rows do not
    assert scored["value"].iloc[0] == pytest.approx(result.test_score.value)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(OptionError, match=r"weight of the run .* automl.resume\(run, weight=...\)"):
        options_of(folder, {"test": frame[:30]})
    again = {"data": frame, "test": frame[:30], "verbose": 0}
    with pytest.raises(InputError, match="is not that of the run"):
        automl.resume(tmp_path / "run", "+1 trials", weight=WEIGHTS[::-1], **again)
    grown = automl.resume(tmp_path / "run", "+1 trials", weight=WEIGHTS, **again)
    assert len(grown._report["trials"]) > len(result._report["trials"])


def test_several_targets_share_the_weights(tmp_path: Path) -> None:
    """Each run has those of its own rows."""
    frame = table().assign(late=np.where(np.arange(60) % 9, np.arange(60) % 2, np.nan))
    result = automl.fit(
        frame, ["y", "late"], weight=WEIGHTS, class_weight="balanced", budget="2 trials", run_dir=tmp_path / "run",
        **QUICK,
    )  # fmt: skip
    assert [one._report["data"]["rows"] for one in result.results.values()] == [60, 53]
    counts = frame["y"].value_counts()[[0, 1]]
    assert result.model.models["y"].manifest["class_weights"] == pytest.approx((30 / counts).tolist())


def test_what_lies_in_memory_is_told_as_a_name() -> None:
    """A command line that named it would not run."""
    assert command(Options(target="y", test=table()), "a.csv") == (
        "automl.fit('a.csv', target='y', budget='600s', test=test, seed=0)"
    )
    assert command(Options(target="y", weight="w", class_weight="balanced"), "a.csv") == (
        "automl fit a.csv --target=y --budget=600s --weight=w --class-weight=balanced --seed=0"
    )


def test_classes_are_balanced_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name; what is no such name is refused."""
    table().to_csv(tmp_path / "t.csv", index=False)
    fit = ["fit", str(tmp_path / "t.csv"), "-t", "y", "--budget", "1 trials", "--families", "linear", "-q"]
    assert main([*fit, "--class-weight", "fair"]) == 2
    assert "class_weight must be 'balanced' or a weight for each label, got 'fair'" in capsys.readouterr().err
    assert main([*fit, "--class-weight", "balanced", "--out", str(tmp_path / "run"), "--workers", "1"]) == 0
    told = json.loads((tmp_path / "run" / "report.json").read_text())
    assert any(note.startswith("class_weight: ") for note in told["data"]["notes"])


def test_columns_are_weighed_again_where_classes_count(tmp_path: Path) -> None:
    """The run's own data is known again: what its classes count is part of what its rows count."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=80)})
    frame["y"] = np.where(frame["x"] + rng.normal(0, 0.3, 80) > 0.8, "rare", "usual")
    result = automl.fit(frame, "y", class_weight="balanced", budget="1 trial", run_dir=tmp_path / "run", **QUICK)
    told = result.feature_importance(frame)
    assert told["column"].tolist() == ["x"]
    assert told["importance"][0] > 0
