"""A table of series on its way in: the grid of steps, what is odd about them, backtests, and rows that are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panels_made import sales

from automl.data.prepare import Prepared, prepare, weigh
from automl.data.profiler import examine
from automl.data.reading import load
from automl.ensemble.candidates import HeldOutComparison
from automl.errors import AutomlError, InputError
from automl.modalities import mixture
from automl.modalities.panel.codec import PanelCodec, codec_from_json
from automl.modalities.panel.fields import Fields
from automl.modalities.panel.windows import choose_windows, fold_windows, newest_window, window_of
from automl.options import Options
from automl.records import Audit, Dataset, Profile
from automl.refit import conforming
from automl.scoring import metrics, promise
from automl.scoring.metrics import Redrawing
from search_spaces.series.panel import asked, learned_from, series_of
from search_spaces.spec import Matrix, Panel, Rows

OPTIONS = Options(
    target="sales", time_column="date", series_id="store", horizon=7, known_future="promo", budget="10 trials"
)


def read(frame: pd.DataFrame, options: Options = OPTIONS) -> tuple[Dataset, Profile, Audit]:
    dataset = load(frame, options, decode=mixture.read)
    return dataset, *examine(dataset, options)


def prepared(frame: pd.DataFrame, options: Options = OPTIONS) -> Prepared:
    dataset, profile, _ = read(frame, options)
    return prepare(weigh(dataset, profile, options), profile, options, core_s=float("inf"))


def panel_of(ready: Prepared) -> Panel:
    found = mixture.panel(ready.shared.raw)
    assert found is not None
    return found


def codec_of(dataset: Dataset) -> PanelCodec:
    codec = dataset.decoded["date"].codec
    assert isinstance(codec, PanelCodec)
    return codec


def test_columns_are_told_apart_by_when_they_are_known() -> None:
    """What never changes is static, what is named is known ahead, all else is known afterwards and leaves the table."""
    dataset, profile, _ = read(sales())
    fields = codec_of(dataset).fields
    assert (fields.static, fields.known, fields.past) == (("town",), ("promo",), ("visitors",))
    assert list(dataset.frame.columns) == ["store", "date", "promo", "town"]
    assert "'visitors': used up to the moment of a forecast; if known ahead, name them in known_future" in dataset.notes
    assert (profile.task, profile.metric, profile.modality) == ("regression", "mase", "panel")
    assert {name: profile.facts[name] for name in ("series", "season", "horizon")} == {
        "series": 4.0, "season": 7.0, "horizon": 7.0
    }  # fmt: skip


def test_the_order_of_rows_changes_nothing_but_their_order() -> None:
    """Sorted by anything, the same steps have the same places and origins."""
    frame = sales()
    shuffled = frame.sample(frac=1, random_state=0)
    a, b = panel_of(prepared(frame)), panel_of(prepared(shuffled))
    assert np.array_equal(a.store, b.store, equal_nan=True)
    assert np.array_equal(a.rows[shuffled.index.to_numpy()], b.rows)
    assert np.array_equal(a.origins, b.origins)


@pytest.mark.parametrize("kind", ["int64", "float64", "str", "object", "Int64", "category"])
def test_a_series_with_a_number_for_a_name_is_the_same_however_it_is_held(kind: str) -> None:
    """3, 3.0 and "3": rows of JSON, of a Parquet file with gaps and of a CSV are of one series."""
    fields = Fields(time="d", target="y", series=("shop",))
    assert fields.names(pd.DataFrame({"shop": pd.Series([3, 12]).astype(kind)})) == ["3", "12"]
    assert fields.names(pd.DataFrame({"shop": pd.Series([3.0, "12 "], dtype=object)})) == ["3", "12"]
    with pytest.raises(InputError, match="'shop' names the series of a row, and is empty in row 2"):
        fields.names(pd.DataFrame({"shop": pd.Series([3, None], dtype=object)}))


def test_a_gap_stays_a_gap() -> None:
    """Its steps are in the grid without a value, and told."""
    frame = sales(stores=1, days=60)
    dataset, _, audit = read(frame.drop(index=range(20, 25)))
    panel = dataset.decoded["date"].block
    assert np.flatnonzero(np.isnan(panel.store)).tolist() == [20, 21, 22, 23, 24]
    assert [finding.evidence["steps"] for finding in audit.of("gaps")] == [5]


def test_the_newest_steps_of_each_series_are_held_out_wherever_it_ends() -> None:
    """Windows count from the end of each; one trains on all before it."""
    frame = sales()
    frame = frame[(frame["store"] != "s1") | (frame["date"] < "2023-03-01")]
    ready = prepared(frame)
    panel, folds = panel_of(ready), ready.shared.folds
    assert folds.count == 5
    for k in range(folds.count):
        held, train = panel.take(folds.held(k)), panel.take(folds.train(k))
        assert len(held) == 4 * 7
        ends = {s: train.rows[series_of(panel, train.rows) == s].max() + 1 for s in range(4)}
        assert all(held.origins[row] == ends[s] for row, s in zip(held.rows, series_of(panel, held.rows), strict=True))
        assert asked(held).steps.tolist() == list(range(1, 8)) * 4


def test_what_a_fold_learns_from_ends_where_its_window_begins() -> None:
    """Not a value of the window is in the histories that a learner is given."""
    ready = prepared(sales())
    panel, y = panel_of(ready), ready.shared.y
    for k in range(ready.shared.folds.count):
        rows = ready.shared.folds.train(k)
        nothing = np.zeros((len(rows), 0))
        matrix = Matrix(nothing.astype(np.float32), nothing.astype(np.int32), (), {"date": panel.take(rows)})
        known = learned_from(Rows(matrix, y[rows]))
        assert known.values.shape[1] == 120 - 7 * (k + 1)
        assert np.array_equal(known.values, asked(panel.take(ready.shared.folds.held(k))).histories.values)


def test_short_series_take_part_as_far_as_they_go() -> None:
    """One shorter than a window is learned from and not held out; a finding counts it."""
    frame = sales()
    frame = frame[(frame["store"] != "s2") | (frame["date"] >= "2023-04-28")]
    ready = prepared(frame)
    held = series_of(panel_of(ready), panel_of(ready).rows[ready.shared.folds.held(0)])
    assert sorted(set(held.tolist())) == [0, 1, 3]
    assert [f.evidence["series"] for f in read(frame)[2].of("short_series")] == [1]


def test_rows_count_by_what_their_series_usually_changes() -> None:
    """The mean scaled error of the forecast that repeats the last season is about one."""
    ready = prepared(sales(stores=6, days=200))
    panel, shared = panel_of(ready), ready.shared
    rows = shared.folds.held(0)
    last = panel.store[panel.rows[rows] - 7]
    assert shared.weight is not None
    assert 0.6 < ready.metric.error(shared.y[rows], last, shared.weight[rows]) < 1.6


@pytest.mark.parametrize(
    ("lengths", "horizon", "windows", "origins"),
    [
        ([5], 2, [2, 1, 1, 0, 0], [0, 1, 1, 3, 3]),
        ([3, 2], 2, [1, 0, 0, 0, 0], [0, 1, 1, 3, 3]),
    ],
)
def test_windows_count_back_from_the_end(
    lengths: list[int], horizon: int, windows: list[int], origins: list[int]
) -> None:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    found = window_of(starts[1:], starts, horizon)
    assert [part.tolist() for part in found] == [windows, origins]


def hourly(series: int, steps: int) -> Panel:
    """A panel of so many equally long series, foretold by days."""
    store, starts = np.arange(float(series * steps)), np.arange(series + 1) * steps
    window, origins = window_of(starts[1:], starts, 24)
    assert window.max() == (steps - 1) // 24
    return Panel(
        "panel", store, np.arange(len(store)), starts=starts, origins=origins, stamps=np.arange(len(store)) % steps,
        numbers=np.arange(series), season=24, horizon=24,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("series", "steps", "backtests", "each"),
    [(1, 9600, 5, 8), (1, 1200, 5, 2), (1, 400, 5, 1), (10, 9600, 5, 4), (50, 9600, 3, 4), (120, 9600, 2, 1)],
)
def test_few_long_series_are_backtested_on_several_windows_by_each_fit(
    series: int, steps: int, backtests: int, each: int
) -> None:
    """A fit sees nothing newer than the oldest of its windows; each window is foretold from its own origin."""
    panel = hourly(series, steps)
    plan = choose_windows(panel, np.inf, 1.0)
    assert plan.count == backtests
    folds = fold_windows(panel, plan.count)
    assert [len(folds.held(k)) for k in range(folds.count)] == [series * each * 24] * backtests
    for k in range(folds.count):
        held, learned = folds.held(k), folds.train(k)
        assert len(np.unique(panel.origins[held])) == series * each
        assert (learned % steps).max() < (held % steps).min()
    assert (newest_window(panel).of_row == 0).sum() == series * 24


def test_a_codec_is_read_back_with_all_that_it_knows() -> None:
    """From JSON and one file of plain arrays; damaged ones are refused."""
    codec = codec_of(read(sales())[0])
    again = codec_from_json(codec.as_json(), codec.content())
    assert again.as_json() == codec.as_json()
    assert again.history is not None
    assert codec.history is not None
    assert again.history.names == codec.history.names
    assert again.history.identities == codec.history.identities
    for name in ("starts", "first", "values", "past"):
        assert np.array_equal(getattr(again.history, name), getattr(codec.history, name), equal_nan=True)
    with pytest.raises(ValueError, match="horizon of no steps"):
        codec_from_json({**codec.as_json(), "horizon": 0}, codec.content())
    content = codec.content()
    with pytest.raises(Exception, match=r".") as refused:
        codec_from_json(codec.as_json(), content[: len(content) // 2])
    assert not isinstance(refused.value, AutomlError)  # artifact.py makes one line of whatever is damaged


def test_rows_after_what_is_known_are_foretold_from_its_end() -> None:
    """Also a step that skips some, one of a new series, and one that comes with its value."""
    codec = codec_of(read(sales())[0])
    rows = pd.DataFrame(
        {
            "store": ["s0", "s0", "new", "s1", "s1"],
            "date": ["2023-05-02", "2023-05-09", "2023-05-05", "2023-05-02", "2023-05-03"],
            "sales": [np.nan, np.nan, np.nan, 77.0, np.nan],
        }
    )
    block = codec.encode(codec.gather(rows))
    assert isinstance(block, Panel)
    found = asked(block)
    assert found.steps.tolist() == [1, 8, 1, 1, 1]
    assert block.numbers[series_of(block, block.rows)].tolist() == [0, 0, -1, 1, 1]
    assert found.histories.values[found.of_row[4], -1] == 77.0
    assert found.histories.lengths[found.of_row].tolist() == [120, 120, 0, 120, 121]


def test_a_step_may_be_asked_for_twice_but_has_one_value() -> None:
    """Repeated rows to predict are alike; two values of one step are refused."""
    codec = codec_of(read(sales())[0])
    rows = pd.DataFrame({"store": "s0", "date": ["2023-05-02"] * 3, "sales": [np.nan, 50.0, np.nan]})
    block = codec.encode(codec.gather(rows))
    assert block.values().tolist() == [50.0] * 3
    with pytest.raises(InputError, match="1 steps come twice, first 2023-05-02"):
        codec.encode(codec.gather(rows.assign(sales=[49.0, 50.0, np.nan])))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), min_size=1, max_size=30, unique=True))
@settings(max_examples=30, deadline=None)
def test_rows_to_predict_come_back_in_their_own_order(wanted: list[tuple[str, int]]) -> None:
    """Of two series, one of them known, at any steps: each row stands for the step that it names."""
    day = np.datetime64("2023-05-02")
    frame = pd.DataFrame(
        {"store": [{"a": "s0", "b": "new"}[name] for name, _ in wanted], "date": [day + at for _, at in wanted]}
    )
    block = CODEC.encode(CODEC.gather(frame))
    assert isinstance(block, Panel)
    days = CODEC.frequency.stamps(block.stamps[block.rows]).astype("datetime64[D]")
    assert days.tolist() == [(day + at).tolist() for _, at in wanted]


CODEC = codec_of(read(sales())[0])


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        (lambda f: pd.concat([f, f.iloc[[3]]]), {}, r"1 steps come twice, first 2023-01-05.* of series 's0'"),
        (lambda f: f.drop(columns="date"), {}, "time_column 'date' is not in the data"),
        (lambda f: f, {"series_id": "shop"}, "series_id 'shop' is not in the data"),
        (lambda f: f, {"known_future": "weather"}, "known_future 'weather' is not in the data"),
        (lambda f: f, {"horizon": 120}, "horizon=120 is as long as the longest series, of 120 steps"),
        (lambda f: f, {"season": 121}, "season=121 is longer than a usual series here, of 120 steps"),
        (lambda f: f, {"horizon": 0}, "horizon must be 1 step or more, got 0"),
        (lambda f: f, {"group_column": "town"}, "group_column is not for forecasts"),
        (lambda f: f, {"metric": "rmsle"}, "metric=.rmsle. does not score regression"),
        (lambda f: f.assign(sales="much"), {}, "target 'sales'"),
        (
            lambda f: f.assign(date=f["date"].where(f["date"] != "2023-01-04")),
            {},
            "time is missing or no time in 4 rows",
        ),
        (lambda f: f, {"frequency": "often"}, "frequency='often' is not known"),
        (lambda f: f.drop(columns="store"), {"series_id": None}, "steps come twice"),
        (
            lambda f: f.assign(date=np.arange(480) % 120 + 10**6 * (np.arange(480) % 120 > 60)),
            {},
            "nearly all would be gaps. Give frequency=",
        ),
    ],
)
def test_what_cannot_be_foretold_is_refused_in_one_line(change, options, told) -> None:
    """What is wrong, the value seen, what to do."""
    given_options = {**OPTIONS.as_json(), "budget": "10 trials", **options}
    with pytest.raises(AutomlError, match=told) as refused:
        read(change(sales()), Options.of(given_options))
    assert "\n" not in str(refused.value)


def test_tables_for_other_libraries_need_no_names() -> None:
    """item_id and timestamp, unique_id and ds."""
    for series, time in (("item_id", "timestamp"), ("unique_id", "ds")):
        frame = sales()[["store", "date", "sales"]].set_axis([series, time, "sales"], axis=1)
        fields = load(frame, Options(target="sales", horizon=3), decode=mixture.read).decoded[time].codec.fields
        assert (fields.series, fields.time) == ((series,), time)
    with pytest.raises(InputError, match="which column holds the times"):
        load(sales().rename(columns={"date": "when"}), Options(target="sales", horizon=3), decode=mixture.read)


def test_without_a_horizon_a_season_is_foretold() -> None:
    """As far as series are long enough."""
    options = Options(target="sales", time_column="date", series_id="store", task="forecast")
    assert codec_of(read(sales(), options)[0]).horizon == 7
    assert codec_of(read(sales(days=20), options)[0]).horizon == 4


def test_where_some_rows_must_do_they_are_the_newest_of_each_series() -> None:
    """Without holes: rows at random would be no series any more."""
    panel = panel_of(prepared(sales()))
    every = np.arange(len(panel))
    kept = panel.take(mixture.newest_share(panel, every, 0.25))
    for series in range(4):
        mine = kept.rows[series_of(kept, kept.rows) == series]
        assert sorted(mine.tolist()) == list(range(120 * series + 90, 120 * series + 120))
    assert len(mixture.newest_share(panel, every, 0.01)) == 4 * 2 * 7


def test_a_step_of_a_large_series_counts_as_one_where_intervals_are_learned() -> None:
    """Weights bring errors to one scale; were rows counted by them, the smallest series alone would tell of all."""
    frame = sales()
    large = frame["store"] != "s0"
    ready = prepared(frame.assign(sales=frame["sales"].where(~large, 1_000 * frame["sales"])))
    shared = ready.shared
    rows = np.concatenate([shared.folds.held(k) for k in range(shared.folds.count)])
    assert shared.weight is not None
    comparison = HeldOutComparison(
        trials=(), metric=ready.metric, folds=tuple(range(shared.folds.count)), rows=rows, y=shared.y[rows],
        weight=shared.weight[rows], predictions={},
    )  # fmt: skip
    found = conforming.sample(comparison, ready)
    assert found.weight is not None
    by_fold = [set(found.weight[shared.folds.of_row[rows] == k].tolist()) for k in range(shared.folds.count)]
    assert by_fold == [{0.5**k} for k in range(shared.folds.count)]


def test_what_is_promised_of_small_series_does_not_hang_on_large_ones() -> None:
    """The same misses in units of each series promise the same, whatever the units are."""
    random = np.random.default_rng(0)
    blocks, scaled = np.repeat(np.arange(30), 12), random.normal(3, 1, 360)
    said, ends = scaled + random.normal(0, 0.5, 360), []
    for units in (np.ones(30), 10.0 ** np.linspace(-2, 4, 30)):
        unit = units[blocks]
        redrawn = Redrawing(scaled * unit, 1 / unit, blocks)
        metric = metrics.get("mase")
        error = metric.error(redrawn.y, said * unit, redrawn.weight)
        ends.append(promise.interval(metric, said * unit, redrawn, error=error))
    assert np.allclose(ends[0], ends[1], rtol=0.02)
    assert 0.2 < ends[0][0] < 0.4 < ends[0][1] < 0.8
