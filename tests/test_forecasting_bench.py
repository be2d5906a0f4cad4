"""The benchmark of forecasts: scores by hand, sets that are read, runs that are kept. None runs a contestant."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))  # scripts, not a package: they import each other as they do when run

import forecast_scoring  # noqa: E402 - found only after the line above
import forecast_summary  # noqa: E402 - likewise
import forecaster  # noqa: E402 - likewise
import forecasting  # noqa: E402 - likewise
import panels  # noqa: E402 - likewise
from forecast_scoring import Scores, scored  # noqa: E402 - likewise
from forecast_summary import Record  # noqa: E402 - likewise
from panels import SeriesSet  # noqa: E402 - likewise

NAN = float("nan")
META = {
    "modality": "forecasting", "target": "sold", "metric": "mase", "id": "shop", "timestamp": "day", "horizon": 2,
    "seasonality": 2, "freq": "D", "static": ["town"], "known_future": ["open"], "past_only": ["rain"],
}  # fmt: skip
HISTORIES = {"1": [1.0, 2.0, 3.0, 6.0], "02": [5.0, 5.0, 5.0, 5.0]}
FUTURES = {"1": [4.0, 8.0], "02": [5.0, 7.0]}


def rows(values: dict[str, list[float]], first: str = "2026-01-01") -> pd.DataFrame:
    parts = [
        pd.DataFrame({"shop": shop, "day": pd.date_range(first, periods=len(some)), "sold": some})
        for shop, some in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def told(values: dict[str, list[float]], half_width: float | None = None) -> pd.DataFrame:
    found = rows(values, "2026-01-05").rename(columns={"sold": "forecast"})
    if half_width is not None:
        for level in forecast_scoring.LEVELS:
            low, high = forecast_scoring.bounds(level)
            found[low], found[high] = found["forecast"] - half_width, found["forecast"] + half_width
    return found


def judge(forecast: pd.DataFrame, history: dict[str, list[float]] | None = None, future: object = FUTURES) -> Scores:
    return scored(PANEL, rows(history or HISTORIES), rows(future, "2026-01-05"), forecast)  # type: ignore[arg-type]


PANEL = SeriesSet(
    name="shops", train=Path(), test=Path(), target="sold", metric="mase", id="shop", time="day", horizon=2, season=2,
    freq="D",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one forecasting set, packed in part and out of order, and a set of another kind."""
    place = tmp_path / "data" / "shops"
    place.mkdir(parents=True)
    extra = {"town": "Ulm", "open": True, "rain": 0.0}
    rows(HISTORIES).assign(**extra).iloc[::-1].to_csv(place / "train.csv.gz", index=False)
    rows(FUTURES, "2026-01-05").assign(**extra).to_csv(place / "test.csv", index=False)
    (place / "meta.json").write_text(json.dumps(META))
    (tmp_path / "data" / "other").mkdir()
    (tmp_path / "data" / "other" / "meta.json").write_text(json.dumps({"modality": "tabular"}))
    return tmp_path / "data"


def test_scores_are_those_by_hand() -> None:
    """Errors 1 and 2, then 0 and 2; the first shop's differences of a season are 2 and 4, the second never changes."""
    found = judge(told({"1": [5.0, 10.0], "02": [5.0, 5.0]}))
    assert found.mase == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert found.rmsse == pytest.approx(np.sqrt((1 + 4) / 2) / np.sqrt((4 + 16) / 2))
    assert found.wape == pytest.approx(5 / 24)
    assert found.smape == pytest.approx((2 * 1 / 9 + 2 * 2 / 18 + 0 + 2 * 2 / 12) / 4)
    assert (found.rows, found.series, found.unscaled) == (4, 2, 1)


def test_a_series_no_longer_than_a_season_has_no_scale_and_is_counted() -> None:
    """It is left out of MASE and RMSSE, not given a scale of one; if that is all there are, both are undefined."""
    short = {"1": [1.0, 2.0, 3.0, 6.0], "02": [5.0, 9.0]}
    assert judge(told(FUTURES), short).unscaled == 1
    only = judge(told(FUTURES), {"1": [1.0], "02": [5.0, 9.0]})
    assert (only.mase, only.rmsse, only.unscaled) == (None, None, 2)
    assert only.wape == 0


def test_gaps_are_no_values() -> None:
    """Missing training values leave the scale to the others, missing test values leave their row out; steps stay."""
    gaps = judge(
        told({"1": [99.0, 10.0], "02": [5.0, 7.0]}, 0.5),
        {"1": [1.0, NAN, 3.0, 6.0], "02": [5.0, 5.0, 5.0, 5.0]},
        {"1": [NAN, 8.0], "02": [5.0, 7.0]},
    )
    assert gaps.mase == pytest.approx(2 / 2)
    assert gaps.rows == 3
    assert gaps.intervals[80].by_step == (1.0, 0.5)


def test_all_zeros_leave_wape_undefined_and_smape_without_those_rows() -> None:
    """0/0 is dropped, and a total of zero has no share."""
    zeros = {"1": [0.0, 0.0], "02": [0.0, 0.0]}
    assert judge(told(zeros), future=zeros).wape is None
    assert judge(told(zeros), future=zeros).smape is None
    half = judge(told({"1": [0.0, 3.0], "02": [0.0, 0.0]}), future=zeros)
    assert (half.wape, half.smape) == (None, 2.0)


def test_intervals_tell_coverage_width_and_winkler_in_units_of_the_scale() -> None:
    """The first shop's scale is 3; a row missed by a half costs 2 / 0.2 times that at 80 % and 2 / 0.05 at 95 %."""
    found = judge(told({"1": [5.0, 9.5], "02": [5.0, 5.0]}, 1.0)).intervals
    assert found[80].coverage == found[95].coverage == 0.5
    assert found[80].width == pytest.approx(2 / 3)
    assert found[80].winkler == pytest.approx((2 / 3 + (2 + 10 * 0.5) / 3) / 2)
    assert found[95].winkler == pytest.approx((2 / 3 + (2 + 40 * 0.5) / 3) / 2)
    assert found[80].by_step == (1.0, 0.0)
    assert judge(told(FUTURES)).intervals == {}


@pytest.mark.parametrize(
    ("forecast", "message"),
    [
        (told({"1": [5.0], "02": [5.0, 5.0]}), "1 of 4 test rows have no forecast, first 1 2026-01-06"),
        (pd.concat([told(FUTURES), told({"1": [4.0]})]), "1 rows of id and time are forecast twice"),
        (told({"1": [5.0, NAN], "02": [5.0, 5.0]}), "no finite numbers"),
        (told(FUTURES).rename(columns={"forecast": "mean"}), "no column 'forecast'"),
    ],
)
def test_forecasts_that_make_no_sense_are_refused(forecast: pd.DataFrame, message: str) -> None:
    """What is missing, doubled, infinite or unnamed is a failure, not a score."""
    with pytest.raises(ValueError, match=message):
        judge(forecast)


def test_order_and_further_rows_do_not_matter() -> None:
    """Forecasts are found by series and time."""
    longer = {"1": [5.0, 10.0, 1.0], "02": [5.0, 5.0, 1.0], "new": [3.0]}
    assert judge(told(longer).iloc[::-1]) == judge(told({"1": [5.0, 10.0], "02": [5.0, 5.0]}))


def test_a_set_is_read_as_its_meta_says(folder: Path) -> None:
    """Ids stay texts, rows are in order, sets of other kinds are passed over."""
    (panel,) = panels.from_folder(folder)
    assert (panel.name, panel.horizon, panel.season, panel.static) == ("shops", 2, 2, ("town",))
    train = panel.read("train")
    assert train["shop"].tolist() == ["02"] * 4 + ["1"] * 4
    assert train["sold"].tolist() == [*HISTORIES["02"], *HISTORIES["1"]]
    assert panel.asked().columns.tolist() == ["shop", "day", "open"]
    with pytest.raises(SystemExit, match=r"unknown set 'other'.*shops"):
        panels.from_folder(folder, ("other",))


def test_a_set_that_does_not_say_enough_is_refused(folder: Path) -> None:
    """The key that its meta.json lacks is named, and so is a metric that nobody scores."""
    for change, message in (({"horizon": None}, "nothing of 'horizon'"), ({"metric": "mape"}, "'mape' is none of")):
        meta = {key: value for key, value in {**META, **change}.items() if value is not None}
        (folder / "shops" / "meta.json").write_text(json.dumps(meta))
        with pytest.raises(SystemExit, match=message):
            panels.from_folder(folder)


def test_a_set_reaches_a_contestant_as_it_was(folder: Path, tmp_path: Path) -> None:
    """What the harness writes down is the same set when read again."""
    (panel,) = panels.from_folder(folder)
    (tmp_path / "panel.json").write_text(
        json.dumps(asdict(panel) | {"train": str(panel.train), "test": str(panel.test)})
    )
    assert forecaster.read_panel(tmp_path / "panel.json") == panel


def test_the_stopwatch_keeps_what_a_contestant_forecasts_and_how_it_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given rows in order and what is known beforehand; an error is a result in one line, without a score."""
    (panel,) = panels.from_folder(folder)
    place = tmp_path / "panel.json"
    place.write_text(json.dumps(asdict(panel) | {"train": str(panel.train), "test": str(panel.test)}))

    def fit(given: forecaster.Given) -> forecaster.Forecaster:
        if given.seed:
            raise RuntimeError("two\nlines")
        assert given.train["sold"].tolist() == [*HISTORIES["02"], *HISTORIES["1"]]
        return forecaster.Forecaster(lambda: given.asked.assign(forecast=5.0), lambda: "five")

    monkeypatch.setitem(sys.modules, "forecasters.ours", SimpleNamespace(PACKAGE="pandas", fit=fit))
    for seed, failure in ((0, None), (1, "RuntimeError: two lines")):
        out = tmp_path / str(seed)
        argv = ["--name", "ours", "--panel", str(place), "--seconds", "5", "--seed", str(seed), "--out", str(out)]
        assert forecaster.main(argv) == 0
        facts = json.loads((out / "result.json").read_text())
        record = forecasting.judged(panel, "ours", 5.0, out, facts)
        assert (record.failure, record.model, record.version) == (failure, None if seed else "five", pd.__version__)
        assert (record.scores is None) == bool(seed)


def test_seasonal_naive_repeats_the_newest_season(folder: Path) -> None:
    """Gaps take the season before, histories shorter than a season their newest value, and none at all zeros."""
    (panel,) = panels.from_folder(folder)
    assert forecast_scoring.seasonal_naive(panel)["forecast"].tolist() == [5.0, 5.0, 3.0, 6.0]
    repeated = forecast_scoring._repeated
    assert repeated(np.array([1.0, 2.0, NAN, 6.0]), 2, 3).tolist() == [1.0, 6.0, 1.0]
    assert repeated(np.array([4.0, 7.0]), 3, 4).tolist() == [7.0, 4.0, 7.0, 7.0]
    assert repeated(np.array([NAN]), 3, 2).tolist() == repeated(np.empty(0), 3, 2).tolist() == [0.0, 0.0]


def test_the_made_up_panel_is_the_same_each_time_and_of_three_kinds(tmp_path: Path) -> None:
    """As many series and points as asked for; a third are counts with zeros; what is written is not written again."""
    made = panels.made_up(6, 30)
    assert made.equals(panels.made_up(6, 30))
    zeros = made.groupby("id")["value"].agg(lambda values: (values == 0).any())
    assert zeros.tolist() == [False, False, True] * 2
    panel = panels.written(tmp_path, series=6, points=30, horizon=3)
    assert (len(panel.read("train")), len(panel.read("test"))) == (180, 18)
    before = panel.train.stat().st_mtime_ns
    assert panels.written(tmp_path) == panel
    assert panel.train.stat().st_mtime_ns == before


def test_results_are_kept_and_only_what_is_missing_or_asked_for_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call reads; another budget is another result of those that know one; --again runs anew."""
    ran = []

    def compete(panel: SeriesSet, name: str, seconds: float, place: forecasting.Place) -> Record:
        ran.append((name, seconds))
        run = tmp_path / "out" / "runs" / place.named(panel, name, seconds)
        run.mkdir(parents=True, exist_ok=True)
        forecast_scoring.seasonal_naive(panel).assign(lower_80=0.0, upper_80=9.0).to_csv(run / "forecast.csv")
        return forecasting.judged(panel, name, None, run, {"failure": None, "fit_s": 2.0})

    monkeypatch.setattr(forecasting, "compete", compete)
    argv = ["--data", str(folder), "--out", str(tmp_path / "out"), "--contestants", "ours,naive"]
    assert forecasting.main([*argv, "--seconds", "5"]) == forecasting.main([*argv, "--seconds", "5"]) == 0
    assert ran == [("ours", 5), ("naive", 5)]
    forecasting.main([*argv, "--seconds", "9,shops=7", "--again", "naive"])
    assert ran[2:] == [("ours", 7), ("naive", 7)]
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| ours       | 1    | 100.0%     | 100.0%     | -          | -          |" in text


def test_the_mean_is_that_of_its_parts_and_fails_with_them(folder: Path, tmp_path: Path) -> None:
    """Forecasts are averaged row by row, seconds are added; the part that failed is named."""
    (panel,) = panels.from_folder(folder)
    place = forecasting.Place(tmp_path, tmp_path, 0)
    for number, name in enumerate(forecasting.MEAN_OF):
        run = tmp_path / "runs" / panel.name / name
        run.mkdir(parents=True)
        told({"1": [3.0 * number, 8.0], "02": [5.0, 7.0]}).to_csv(run / "forecast.csv", index=False)
        record = forecasting.judged(
            panel, name, None, run, {"failure": None, "fit_s": 2.0, "forecast_s": 0.0, "wall_s": 1.0}
        )
        kept = tmp_path / "results" / panel.name / f"{name}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(record)))
    mean = forecasting.result(panel, "mean", 60, place)
    assert mean.scores is not None
    assert (mean.fit_s, mean.failure) == (6.0, None)
    assert mean.scores.wape == pytest.approx(1 / 24)
    kept.write_text(json.dumps(asdict(replace(record, scores=None, failure="boom"))))
    assert forecasting.result(panel, "mean", 60, place, is_new=True).failure == "theta: boom"


def test_a_record_is_the_same_when_read_again() -> None:
    """Nothing of it is lost on disk, and a failure has the loss of seasonal naive."""
    scores = judge(told({"1": [5.0, 10.0], "02": [5.0, 5.0]}, 1.0))
    record = Record(set="shops", contestant="ours", seconds=5.0, metric="wape", naive=0.5, scores=scores)
    assert forecast_summary.record_from(json.loads(json.dumps(asdict(record)))) == record
    assert record.loss == scores.wape
    assert replace(record, scores=None).loss == 0.5


def test_the_summary_compares_by_each_sets_metric_and_names_failures() -> None:
    """Geometric means over sets, against each other and against the best of the references on each set."""

    def record(name: str, who: str, wape: float | None, metric: str = "wape") -> Record:
        scores = None if wape is None else Scores(2 * wape, None, wape, None, rows=4, series=2, unscaled=0)
        failure = None if scores else "boom"
        return Record(set=name, contestant=who, seconds=None, metric=metric, naive=0.4, scores=scores, failure=failure)

    text = forecast_summary.summary([
        record("a", "ours", 0.1), record("a", "naive", 0.4), record("a", "ets", 0.2),
        record("b", "ours", 0.1, "mase"), record("b", "naive", 0.2, "mase"), record("b", "ets", None, "mase"),
    ])  # fmt: skip
    told = {cells[0]: cells for row in text.splitlines() if (cells := [c.strip() for c in row.strip("| ").split("|")])}
    assert "- b, ets: boom" in text
    assert told["naive"][1:4] == ["2", "2", "0"]
    assert told["naive"][5].startswith("0.3536")
    assert told["best of them per set"][-1] == "a 0.500, b 0.500"
    assert "| ours       | 2    | 0.1414         | 0.3536            |" in text
