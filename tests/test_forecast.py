"""Forecasts from end to end: steps ahead, what is known ahead, what became known, saved models, the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lasting import Lasting, sharing
from panels_made import sales

import automl
from automl import Result
from automl.doors.cli import main, streams
from automl.errors import AutomlError

pytestmark = pytest.mark.usefixtures("lasting_workers")

OPTIONS: dict[str, Any] = {"families": "theta", "workers": 1, "verbose": 0}
LEVELS = ["lower_80", "upper_80", "lower_95", "upper_95"]
DAYS = 100  # of three stores, from Monday 2023-01-02 to 2023-04-11


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, lasting_pools: dict[int, Lasting]) -> Iterator[Result]:
    """A run on three stores, whose promotions are known ahead and whose visitors are not."""
    with sharing(lasting_pools):
        yield automl.fit(
            sales(stores=3, days=DAYS), target="sales", time_column="date", series_id="store", horizon=7,
            known_future="promo", budget="2 trials", run_dir=tmp_path_factory.mktemp("panel") / "run", **OPTIONS,
        )  # fmt: skip


@pytest.fixture(scope="module")
def model(result: Result) -> Any:
    """As it is read back from its folder."""
    return automl.load(result.folder)


def ahead(days: int = 21, stores: tuple[str, ...] = ("s0", "s1", "s2"), start: str = "2023-04-12") -> pd.DataFrame:
    """The next days of some stores, with what is known of them."""
    dates = pd.date_range(start, periods=days, freq="D")
    rows = [(store, date, float(date.day % 7 == 0), "ab"[store != "s0"]) for store in stores for date in dates]
    return pd.DataFrame(rows, columns=["store", "date", "promo", "town"])


def later(days: int, stores: int = 3) -> pd.DataFrame:
    """What became known in as many days after the run."""
    frame = sales(stores=stores, days=DAYS + days)
    return frame[frame["date"] >= "2023-04-12"]


# --- how far ---------------------------------------------------------------------------------------------------------


def test_all_series_are_foretold_as_far_as_was_asked_for(model: Any) -> None:
    """A row for each step of each series, in order, with nested intervals; without a horizon that of the run."""
    found = model.forecast(future=ahead())
    assert list(found) == ["store", "date", "forecast", *LEVELS]
    assert found["store"].tolist() == [name for name in ("s0", "s1", "s2") for _ in range(7)]
    assert found["date"].tolist() == pd.date_range("2023-04-12", periods=7).tolist() * 3
    ends = found[["lower_95", "lower_80", "forecast", "upper_80", "upper_95"]].to_numpy()
    assert np.isfinite(ends).all()
    assert (np.diff(ends, axis=1) >= 0).all()
    wider = found["upper_80"] - found["lower_80"]
    assert (wider.groupby(found["store"]).diff().dropna() >= -1e-9).all()


def test_a_longer_horizon_begins_with_the_shorter_one(model: Any) -> None:
    """Also the intervals of its steps, which do not hang on how many are asked for."""
    short, usual, long = (model.forecast(steps, future=ahead()) for steps in (2, 7, 21))
    assert len(long) == 3 * 21
    pd.testing.assert_frame_equal(long.groupby("store").head(7).reset_index(drop=True), usual)
    pd.testing.assert_frame_equal(usual.groupby("store").head(2).reset_index(drop=True), short)
    assert np.isfinite(long[["forecast", *LEVELS]].to_numpy()).all()


def test_forecasts_are_near_what_came(model: Any) -> None:
    """Nearer than the mean of each store, and inside of most intervals."""
    found, came = model.forecast(future=ahead()), later(7)["sales"].to_numpy()
    mean = sales(stores=3, days=DAYS).groupby("store")["sales"].mean().repeat(7).to_numpy()
    assert np.abs(found["forecast"] - came).mean() < 0.8 * np.abs(mean - came).mean()
    assert ((found["lower_95"] <= came) & (came <= found["upper_95"])).mean() > 0.8


def test_levels_are_percentages(model: Any) -> None:
    """As many as are asked for, of any size between none and all."""
    found = model.forecast(future=ahead(), levels=(50, 80))
    assert list(found)[3:] == ["lower_50", "upper_50", "lower_80", "upper_80"]
    assert (found["lower_80"] <= found["lower_50"]).all()
    assert list(model.forecast(future=ahead(), levels=())) == ["store", "date", "forecast"]


def test_predict_without_rows_is_a_forecast_and_with_rows_says_each_of_them(model: Any) -> None:
    """In the order of the rows, whatever it is, and with their index."""
    frame = ahead(7)
    forecast = model.forecast(future=frame)
    pd.testing.assert_frame_equal(model.predict(future=frame), forecast)
    mixed = frame.sample(frac=1, random_state=1)
    said = model.predict(mixed)
    assert said.index.tolist() == mixed.index.tolist()
    assert said.sort_index().to_numpy() == pytest.approx(forecast["forecast"].to_numpy())
    assert model.predict(mixed.iloc[[3]]).to_numpy() == pytest.approx(said.iloc[[3]].to_numpy())


def test_a_result_foretells_as_its_model_does(result: Result, model: Any) -> None:
    """Bit for bit."""
    pd.testing.assert_frame_equal(result.forecast(3, future=ahead()), model.forecast(3, future=ahead()))


def test_without_a_model_the_last_season_comes_again(result: Result) -> None:
    """That is what the verdict compares with, and what the report counts on the same rows."""
    report = json.loads((result.folder / "report.json").read_text())
    assert report["verdict"]["baseline"]["value"] == pytest.approx(report["forecasts"]["naive"], rel=1e-3)
    assert report["forecasts"]["error"] == pytest.approx(result.score.value, rel=1e-3)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "'promo' is known ahead, and needed for the steps to be foretold. Give future= with a row for each"),
        ({"future": ahead().drop(columns="promo")}, "future has no column 'promo', which is known ahead"),
        ({"future": ahead().drop(columns="store")}, "column 'store' is not among these rows"),
        ({"future": ahead().drop(index=3)}, "future has no row for 2023-04-15.* of series 's0'"),
        ({"horizon": 22, "future": ahead()}, "future has no row for 2023-05-03.* or a shorter horizon"),
        ({"horizon": 0, "future": ahead()}, "horizon must be 1 step or more, got 0"),
        ({"levels": (0.8, 100), "future": ahead()}, "levels are percentages above 0, at most 99.99, got 100"),
        ({"future": ahead(), "history": later(3).drop(columns="sales")}, "rows of history have no column 'sales'"),
        ({"future": ahead(), "history": pd.concat([later(3), later(3)])}, "9 steps come twice, first 2023-04-12"),
        (
            {"future": ahead().assign(date=["2023-04-12", "13/04/2023", *["2023-04-14"] * 61])},
            "time '13/04/2023' in row 2 is unlike '2023-04-12'",
        ),
        ({"future": ahead().assign(date=range(63))}, "times in 'date' are numbers, but were dates in training"),
    ],
)  # fmt: skip
def test_what_cannot_be_foretold_is_refused_in_one_line(model: Any, asked: dict[str, Any], told: str) -> None:
    """What is wrong, the value seen, what to do."""
    with pytest.raises(AutomlError, match=told) as refused:
        model.forecast(**asked)
    assert "\n" not in str(refused.value)


def test_rows_far_after_what_is_known_are_refused(model: Any) -> None:
    """Nothing is made up for years that nobody told of."""
    with pytest.raises(
        AutomlError, match=r"a row is 3,6\d\d steps \(a step is day\) after what is known of its series"
    ):
        model.predict(ahead(start="2033-04-12"))


def test_an_empty_cell_of_what_is_known_ahead_is_no_reason_to_refuse(model: Any) -> None:
    """It is unknown then."""
    assert np.isfinite(model.forecast(future=ahead().assign(promo=np.nan))["forecast"]).all()


# --- what became known -----------------------------------------------------------------------------------------------


def test_a_forecast_goes_on_from_newer_values(model: Any) -> None:
    """Of the series that they are of alone; the model itself stays as it was."""
    before = model.forecast(future=ahead())
    newer = later(10).query("store != 's1'")
    found = model.forecast(future=ahead(), history=newer)
    assert found["store"].unique().tolist() == ["s0", "s2"]
    assert found["date"].min() == pd.Timestamp("2023-04-22")
    pd.testing.assert_frame_equal(model.forecast(future=ahead()), before)


def test_a_new_series_is_foretold_from_the_history_that_comes_with_it(model: Any) -> None:
    """Near its own level, which no series of the run has; of one without a value, something finite."""
    history = sales(stores=1, days=40, start="2023-03-03").assign(store="new", town="b")
    history["sales"] += 1_000
    found = model.forecast(future=ahead(stores=("new",)), history=history)
    assert found["store"].tolist() == ["new"] * 7
    assert found["date"].min() == pd.Timestamp("2023-04-12")
    assert found["forecast"].between(1_000, 1_100).all()
    assert np.isfinite(model.predict(ahead(2, stores=("unheard of",)))).all()


def test_an_updated_model_knows_more_and_keeps_it(model: Any, tmp_path: Path) -> None:
    """As its next forecast says; in steps or at once is the same; where both know a step the newer value is right."""
    at_once = model.updated(later(10))
    in_steps = model.updated(later(10).query("date < '2023-04-16'")).updated(later(10).query("date >= '2023-04-16'"))
    pd.testing.assert_frame_equal(at_once.forecast(future=ahead()), in_steps.forecast(future=ahead()))
    assert at_once.forecast(future=ahead())["date"].min() == pd.Timestamp("2023-04-22")
    mended = at_once.updated(later(10).assign(sales=lambda f: f["sales"] + 500))
    assert (mended.forecast(future=ahead())["forecast"] > at_once.forecast(future=ahead())["forecast"] + 50).all()


def test_a_model_is_scored_on_steps_that_came_later(model: Any) -> None:
    """By the metrics of series too; the error of a scaled one is what its definition says."""
    answers = later(7)
    table = model.evaluate(answers).set_index("metric")
    assert table.index[0] == "mase"
    assert {"rmsse", "wape", "smape", "mae", "rmse"} <= set(table.index)
    known = sales(stores=3, days=DAYS)
    scale = known.groupby("store")["sales"].apply(lambda values: values.diff(7).abs().mean()).loc[answers["store"]]
    miss = np.abs(model.predict(answers.drop(columns="sales")).to_numpy() - answers["sales"].to_numpy())
    assert table.loc["mase", "value"] == pytest.approx((miss / scale.to_numpy()).mean())
    assert table.loc["wape", "value"] == pytest.approx(miss.sum() / answers["sales"].abs().sum())


def test_what_columns_add_is_told_of_steps_too(model: Any) -> None:
    """The history of a step is its own; what stands beside it adds what it adds, and all sums to what is said."""
    told = model.explain(ahead(2))
    assert len(told) == 6
    for one, said in zip(told, model.predict(ahead(2)), strict=True):
        assert one.base + sum(own.contribution for own in one.columns) == pytest.approx(said)


# --- models that are saved -------------------------------------------------------------------------------------------


def test_a_saved_model_needs_neither_its_run_nor_its_data(result: Result, model: Any, tmp_path: Path) -> None:
    """Its history comes along."""
    moved = automl.load(result.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(moved.forecast(future=ahead()), model.forecast(future=ahead()))


def test_the_command_line_foretells_and_is_told_what_became_known(
    result: Result, model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a table, as JSON, as a file; `update` writes beside the model and nowhere else."""
    place, future = str(result.save(tmp_path / "model")), str(tmp_path / "future.csv")
    ahead().to_csv(future, index=False)
    later(10).to_csv(tmp_path / "later.csv", index=False)
    assert main(["forecast", place, "--future", future, "--levels", "80", "-o", str(tmp_path / "said.csv")]) == 0
    said = pd.read_csv(tmp_path / "said.csv", parse_dates=["date"])
    expected = model.forecast(future=future, levels=(80,))
    assert said["forecast"].to_numpy() == pytest.approx(expected["forecast"].to_numpy())
    assert list(said) == list(expected)
    assert main(["update", place, str(tmp_path / "later.csv")]) == 0
    assert "3 series are known" in capsys.readouterr().err
    assert main(["forecast", place, "--future", future, "--horizon", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 6
    assert told["forecast"]["date"][0].startswith("2023-04-22")
    assert main(["forecast", place, "--future", future, "--levels", "most"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert len(automl.load(result.folder).forecast(future=ahead())) == 21  # of the run, which was told nothing


def test_a_model_of_rows_foretells_nothing(finished: Result) -> None:
    """And says what would."""
    with pytest.raises(AutomlError, match="forecast needs a model of series over time, made with horizon="):
        finished.forecast()


# --- other data ------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_several_columns_name_a_series_and_values_may_be_negative(tmp_path: Path) -> None:
    """Names of two kinds of cells; the newest steps are kept apart as test data, and scored by the run."""
    frame = sales(stores=4, days=90).assign(
        country=lambda f: f["store"].str[1].astype(int) // 2, shop=lambda f: f["store"].str[1].astype(int) % 2
    )
    frame["sales"] -= 90
    frame = frame.drop(columns=["store", "visitors"])
    newest = frame["date"] > frame["date"].max() - pd.Timedelta(days=7)
    result = automl.fit(
        frame[~newest], target="sales", time_column="date", series_id=("country", "shop"), horizon=7,
        known_future="promo", test=frame[newest], budget="1 trials", run_dir=tmp_path / "run", **OPTIONS,
    )  # fmt: skip
    found = result.forecast(future=frame[newest])
    assert list(found)[:3] == ["country", "shop", "date"]
    assert found[["country", "shop"]].drop_duplicates().to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert (found["forecast"] < 0).any()
    scored = result.evaluate(frame[newest]).set_index("metric").loc["mase", "value"]
    told = json.loads((result.folder / "report.json").read_text())["verdict"]["test"]
    assert told["value"] == pytest.approx(scored)


@pytest.mark.long
def test_one_series_of_whole_numbers_needs_no_name_and_goes_on_after_its_run(tmp_path: Path) -> None:
    """Its stamps count steps; a run that goes on keeps what was asked for."""
    frame = sales(stores=1, days=90)[["sales"]].assign(step=range(90)).sample(frac=1, random_state=0)
    result = automl.fit(
        frame, target="sales", time_column="step", horizon=5, season=7, budget="1 trials", run_dir=tmp_path / "run",
        **OPTIONS,
    )  # fmt: skip
    found = result.forecast()
    assert list(found) == ["step", "forecast", *LEVELS]
    assert found["step"].tolist() == [90.0, 91.0, 92.0, 93.0, 94.0]
    went_on = automl.resume(tmp_path / "run", budget="+1 trials", data=frame, verbose=0)
    assert went_on.forecast()["step"].tolist() == found["step"].tolist()
    told = json.loads((went_on.folder / "report.json").read_text())
    assert told["forecasts"]["season"] == 7
    assert len(told["trials"]) > 1


def test_files_of_what_became_known_are_read_as_the_run_read_its_own(tmp_path: Path) -> None:
    """Series that look like numbers keep their names, numbers their groups of digits; what is none is refused."""
    days = pd.date_range("2024-01-01", periods=80)
    frame = pd.DataFrame({
        "date": [*days, *days], "shop": ["007"] * 80 + ["A1"] * 80,
        "sales": [*(1_000 + 10 * np.arange(80) % 70), *(1_500 + 10 * np.arange(80) % 70)],
    })  # fmt: skip
    run = automl.fit(
        frame, target="sales", time_column="date", series_id="shop", horizon=5, budget="1 trials",
        run_dir=tmp_path / "run", **OPTIONS,
    )  # fmt: skip
    new = tmp_path / "later.csv"
    new.write_text('date,shop,sales\n2024-03-21,007,"1,020"\n2024-03-22,007,980\n2024-03-23,007,\n')
    known = run.model.updated(new)
    found = known.forecast(1)
    assert dict(zip(found["shop"], found["date"].dt.strftime("%m-%d"), strict=True)) == {"007": "03-23", "A1": "03-21"}
    history = next(one.codec for one in known.schema.decoders).history
    at = history.names.index("007")
    assert history.values[history.starts[at] :][80:82].tolist() == [1_020.0, 980.0]
    other = pd.DataFrame({"date": days[-3:], "shop": "7", "sales": [1.0, 2.0, 3.0]})
    assert set(run.model.updated(other).forecast(1)["shop"]) == {"007", "A1", "7"}  # as texts they are two
    assert set(run.model.updated(other.assign(shop=7)).forecast(1)["shop"]) == {"007", "A1"}  # a number was read
    new.write_text("date,shop,sales\n2024-03-21,007,many\n")
    with pytest.raises(AutomlError, match="column 'sales' holds numbers, got 'many'"):
        run.model.updated(new)


def test_a_table_of_lines_keeps_dates_and_all_digits(tmp_path: Path) -> None:
    """What was written is read back as it was: dates as text, small numbers as they are, nothing as null."""
    frame = pd.DataFrame({
        "date": pd.to_datetime(["2024-05-15", None]), "p": [1e-12, 0.1 + 0.2], "name": ["a", None],
    })  # fmt: skip
    streams.write_table(frame, tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == [{"date": "2024-05-15", "p": 1e-12, "name": "a"}, {"date": None, "p": 0.1 + 0.2, "name": None}]
