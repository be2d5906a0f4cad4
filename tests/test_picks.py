"""What every model of a run costs, and the named picks as real models: measured where saved, had at once by name."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import automl
from automl import Result
from automl.doors.cli import main
from automl.ensemble.frontier import PICKS
from automl.errors import AutomlError, OptionError
from automl.options import Options
from automl.refit import costs, timing
from automl.report import draw
from automl.result.choosing import NAMES
from automl.runtime.clock import Tariff
from cluster.pool import Node

NEW = ("train", "million", "latency", "memory_mb", "p_best", "p_frontier", "tied_with_best")


def rows_of(result: Result) -> list[dict]:
    return json.loads((result.folder / "report.json").read_text(encoding="utf-8"))["leaderboard"]


def test_every_model_has_its_price_and_what_was_measured_is_marked(finished: Result) -> None:
    """All costs of all rows; of the chosen one and of every named pick they were measured on the saved model."""
    rows = rows_of(finished)
    assert sum(row["p_best"] for row in rows) == pytest.approx(1.0)
    assert any(row["tied_with_best"] for row in rows)
    for row in rows:
        latency, name = row["latency"], row["name"]
        for calls in (latency["one"], latency["many"]):
            assert 0 < calls["low"] <= calls["p50"] * (1 + 1e-9) <= calls["high"] * (1 + 1e-9) + 1e-9, name
            assert calls["p95"] is None or calls["p95"] >= calls["p50"]
            assert (calls["calls"] > 0) == latency["measured"]
        is_asked = name == finished.best or (bool(row["picks"]) and name != "constant")
        assert latency["measured"] is is_asked, name
        assert row["train"]["s"] == pytest.approx(row["fit_s"])
        assert row["train"]["money"] > 0 < row["million"]["money"]
        assert row["million"]["currency"] == "USD"
        assert row["memory_mb"] is None or row["memory_mb"] >= 0
        assert row["p_best"] <= row["p_frontier"] + 1e-9


def test_the_leaderboard_as_a_table_has_the_costs_too(finished: Result) -> None:
    """The same numbers as in the report, one column each."""
    board, rows = finished.leaderboard(), rows_of(finished)
    assert list(board["p50_ms"]) == [row["latency"]["one"]["p50"] for row in rows]
    assert list(board["million_money"]) == [row["million"]["money"] for row in rows]
    assert list(board["is_measured"]) == [row["latency"]["measured"] for row in rows]
    assert {"many_p95_ms", "train_kwh", "memory_mb", "p_frontier", "tied_with_best"} <= set(finished.frontier().columns)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_named_pick_is_the_row_that_carries_its_name(finished: Result, customers: pd.DataFrame, name: str) -> None:
    """As a real model, which says what the members of that row say together."""
    row = next(row for row in rows_of(finished) if NAMES[name] in row["picks"])
    model = finished.select(name)
    assert model.manifest["name"] == row["name"]
    assert {str(member["trial"]) for member in model.manifest["members"]} == set(row["weights"])
    pd.testing.assert_frame_equal(
        model.predict_proba(customers.head(50)), finished.select(row["name"]).predict_proba(customers.head(50))
    )


def test_the_best_by_name_says_what_the_returned_model_says(finished: Result, customers: pd.DataFrame) -> None:
    """Where nothing was trimmed or fitted anew, one is made of the same folds as the other."""
    named, returned = finished.select(finished.best), finished.model
    assert len(named.parts) == len(returned.parts)
    pd.testing.assert_frame_equal(
        named.predict_proba(customers.head(99)), returned.predict_proba(customers.head(99)), rtol=1e-12
    )


def test_the_measured_picks_lie_in_the_run_already(finished: Result) -> None:
    """Whoever asks for one has it at once."""
    saved = {json.loads(file.read_text())["name"] for file in (finished.folder / "models").glob("*/manifest.json")}
    measured = {row["name"] for row in rows_of(finished) if row["latency"]["measured"]}
    assert measured - {finished.best} <= saved


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"pick": "fastets"}, r"pick='fastets' is no model of this run and no named pick\. Did you mean 'fastest'\?"),
        ({"prefer": "chep"}, r"prefer must be one of .*got 'chep'\. Did you mean 'cheap'"),
        ({"max_latency_ms": -1}, "max_latency_ms must be above 0, got -1"),
        ({"give_up_percent": 101}, "give_up_percent must be from 0 to 100, got 101"),
        ({"give_up_percent": math.nan}, "give_up_percent must be from 0 to 100, got nan"),
        ({"pick": "fastest", "max_latency_ms": 1e-9}, "no model of this run meets max_latency_ms=1e-09"),
    ],
)
def test_what_cannot_be_picked_is_refused_in_a_line(finished: Result, asked: dict, told: str) -> None:
    """What is wrong, the value seen, what to do."""
    with pytest.raises(OptionError, match=told) as refusal:
        finished.select(**asked)
    assert "\n" not in str(refusal.value)


def test_options_take_the_new_preferences_and_refuse_odd_shares() -> None:
    """The same words at every door."""
    assert Options(prefer="smallest", give_up_percent=0).prefer == "smallest"
    with pytest.raises(OptionError, match="give_up_percent must be from 0 to 100, got -3"):
        Options(give_up_percent=-3)


def test_the_command_line_predicts_and_saves_another_pick(finished: Result, customers: pd.DataFrame, tmp_path: Path) -> None:  # fmt: skip  # noqa: E501
    """As Python does."""
    few, out = tmp_path / "new.csv", tmp_path / "out.csv"
    customers.head(20).to_csv(few, index=False)
    assert main(["predict", str(finished.folder), str(few), "--pick", "smallest", "--proba", "-o", str(out)]) == 0
    expected = finished.select("smallest").predict_proba(few)
    np.testing.assert_allclose(pd.read_csv(out).to_numpy(), expected.to_numpy())
    assert main(["save", str(finished.folder), str(tmp_path / "model"), "--pick", "smallest"]) == 0
    np.testing.assert_array_equal(automl.load(tmp_path / "model").predict_proba(few).to_numpy(), expected.to_numpy())
    assert main(["predict", str(finished.folder), str(few), "--pick", "none such"]) == 2


def test_a_run_of_an_earlier_version_is_selected_from_and_drawn(finished: Result, tmp_path: Path) -> None:
    """Its leaderboard has none of the new costs, and its arena only who is tied with the best."""
    shutil.copytree(finished.folder, tmp_path / "old")
    told = json.loads((tmp_path / "old" / "report.json").read_text(encoding="utf-8"))
    for row in told["leaderboard"]:
        for key in NEW:
            del row[key]
        row["picks"] = [pick for pick in row["picks"] if pick != "smallest"]
    for key in ("pairs", "redrawn"):
        del told["arena"][key]
    told["run"]["budget"] = "60s"  # in a run that counts trials megabytes decide, and not the clock
    (tmp_path / "old" / "report.json").write_text(json.dumps(told), encoding="utf-8")
    old = Result(tmp_path / "old")
    assert old.leaderboard()["p50_ms"].isna().all()
    assert not old.leaderboard()["is_measured"].any()
    assert old.select("smallest").parts
    assert old.select(prefer="cheap").manifest["name"] == finished.select("cheapest tied").manifest["name"]
    assert "What accuracy costs" in draw(told, old.folder)


@pytest.mark.parametrize(("prefer", "pick"), [(prefer, pick) for pick, prefer in PICKS.items()])
def test_a_preference_is_the_pick_that_stands_in_the_report(
    finished: Result, tmp_path: Path, prefer: str, pick: str
) -> None:
    """Whatever blend the clock let in: one word and the other mean the same row, and with a limit no row is meant."""
    shutil.copytree(finished.folder, tmp_path / "timed")
    told = json.loads((tmp_path / "timed" / "report.json").read_text(encoding="utf-8"))
    told["run"]["budget"] = "60s"
    names = [row["name"] for row in told["leaderboard"] if row["name"] != "constant"]
    for row in told["leaderboard"]:  # a row that no rule would choose
        row["picks"] = [pick] if row["name"] == names[-1] else []
    (tmp_path / "timed" / "report.json").write_text(json.dumps(told), encoding="utf-8")
    timed = Result(tmp_path / "timed")
    assert timed.select(prefer=prefer).manifest["name"] == timed.select(pick).manifest["name"] == names[-1]


def test_where_trials_are_counted_a_preference_goes_by_size(finished: Result) -> None:
    """What a clock measured decides nothing there: no model that is tied with the chosen one is smaller."""
    rows = {row["name"]: row for row in rows_of(finished)}
    cheap = rows[str(finished.select(prefer="cheap").manifest["name"])]
    best = rows[str(finished.select(prefer="accurate", max_latency_ms=1e9).manifest["name"])]
    pairs = json.loads((finished.folder / "report.json").read_text(encoding="utf-8"))["arena"]["pairs"]
    tied = {best["name"], *(name for pair in pairs if best["name"] in pair for name in pair)}
    plain = [rows[name] for name in tied if len(rows[name]["weights"]) == 1]
    assert cheap["name"] in tied
    assert all(cheap["size_mb"] <= row["size_mb"] for row in plain)


def test_a_result_without_its_run_picks_nothing(finished: Result, tmp_path: Path) -> None:
    """In one line: other models are in the run's folder alone."""
    shutil.copytree(finished.folder, tmp_path / "gone")
    result = Result(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(AutomlError, match="is not there any more"):
        result.select("fastest")


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=80))
def test_the_spread_of_calls_holds_their_median(took: list[float]) -> None:
    """Whatever they took: the interval of the median lies within the calls, and the tail is not below it."""
    told = timing.Timed(tuple(took), 1.0).told(10)
    assert min(took) <= told.low <= told.p50 <= told.high <= max(took)
    assert told.calls == len(took)
    assert told.p95 is None or told.p50 <= told.p95 <= max(took)


@given(st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)), min_size=1, max_size=5), st.floats(0, 1e3))
def test_an_estimate_is_never_below_zero_and_rises_with_the_parts(
    seen: list[tuple[float, float]], parts: float
) -> None:
    """Slower parts never make a faster model."""
    less, more = costs._carried(parts, seen), costs._carried(parts + 1.0, seen)
    assert 0 <= less <= more + 1e-9


def test_an_estimate_lies_on_the_line_of_what_was_measured() -> None:
    """Reading rows comes on top, and parts that batch well are shared out."""
    assert costs._carried(5.0, [(2.0, 7.0)]) == pytest.approx(10.0)  # 5 ms on top
    assert costs._carried(5.0, [(10.0, 2.0)]) == pytest.approx(1.0)  # a fifth of its parts
    assert costs._carried(5.0, [(1.0, 4.0), (11.0, 9.0)]) == pytest.approx(6.0)


def test_the_price_of_machines_is_shared_out_among_cores_and_gpus() -> None:
    """A core second of all cores, and a GPU second of all GPUs, together cost what the machines do."""
    nodes = [Node("one", 4, 1000.0), Node("two", 12, 1000.0, 2, "H100")]

    def price(held: list[Node]) -> Tariff:
        return Tariff(sum(2.0 * node.cpus + 100.0 * node.gpus for node in held), sum(node.cpus for node in held))

    context = SimpleNamespace(pool=SimpleNamespace(nodes=lambda: nodes), price=price)
    tariff = costs.core_tariff(context, "EUR")  # type: ignore[arg-type]
    assert (tariff.core.money, tariff.gpu.money, tariff.core.kwh, tariff.gpu.kwh) == (2.0, 100.0, 1.0, 0.0)
    assert tariff.trained(10.0, 1.0).money == pytest.approx(120.0)
    found = tariff.million(1e-3)
    assert found is not None
    assert (found.s, found.money, found.currency) == (pytest.approx(1e3), pytest.approx(2e3), "EUR")
    assert found.machine == "2 machines, 16 cores"
    assert tariff.million(math.nan) is None
