"""The quote before a run: ranges in order, never less for more rows, and what runs really took read off their folds."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import CUSTOMERS
from hypothesis import given
from hypothesis import strategies as st

import automl
from automl.decision import quote
from automl.decision.quote import Work
from automl.decision.reached import FoldEnd, ends, reached
from automl.doors.cli import main
from automl.doors.cli.parser import build
from automl.errors import OptionError
from automl.options import Budget
from automl.records.choice import Decision, Gain
from automl.records.quote import AUTO_ROUTE, Quote
from automl.report import quoted
from automl.runtime.clock import Tariff
from cluster.prices import Machine, Rates
from search_spaces.spec import ALL_TASKS, Size

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts, not a package

import quotes

BOTH = Decision(
    shares={"classical": 0.8, "neural": 0.2},
    families=("lightgbm", "mlp", "linear"),
    gain=Gain(mean=0.1, sd=0.3, source="rules"),
)
TARIFF = Tariff(money=1e-5, kwh=1e-6)
WORKS = st.builds(
    Work,
    size=st.builds(Size, st.integers(20, 10**7), st.integers(1, 3_000), st.integers(1, 100)),
    task=st.sampled_from(sorted(ALL_TASKS)),
    has_media=st.booleans(),
    reading_s=st.floats(0, 100),
    cores=st.integers(1, 128),
    gpus=st.sampled_from([0.0, 1.0, 8.0]),
)


def of(work: Work, tariff: Tariff = TARIFF, budget: str | None = None, decision: Decision = BOTH) -> Quote:
    return quote.quote(work, decision, tariff, "USD", None if budget is None else Budget.parse(budget))


def numbers(told: Quote, what: str) -> list[float]:
    """Every number of a kind, in the same order."""
    marks = [mark for route in told.routes for mark in (route.good, route.flattened)]
    return [value for mark in marks for value in vars(getattr(mark, what)).values()]


SMALL = Work(size=Size(1_000, 10), task="binary")


@given(WORKS)
def test_every_range_is_in_order_and_flat_comes_after_good(work: Work) -> None:
    """Also of what was never measured."""
    told = of(work)
    assert [route.route for route in told.routes] == [AUTO_ROUTE, "classical", "neural"]
    for route in told.routes:
        for mark in (route.good, route.flattened):
            assert 0 < mark.seconds.low <= mark.seconds.middle <= mark.seconds.high < float("inf")
        for end in ("low", "middle", "high"):
            assert getattr(route.good.seconds, end) <= getattr(route.flattened.seconds, end)


@given(WORKS)
def test_twice_the_rows_are_never_quoted_less(work: Work) -> None:
    """No end of any range goes down."""
    twice = Work(**{**vars(work), "size": Size(2 * work.size.rows, work.size.columns, work.size.classes)})
    for once, more in zip(numbers(of(work), "seconds"), numbers(of(twice), "seconds"), strict=True):
        assert more >= once * (1 - 1e-9)


@given(WORKS, st.floats(1, 50), st.floats(1, 50))
def test_a_dearer_rate_card_is_never_quoted_fewer_dollars(work: Work, core: float, memory: float) -> None:
    """The same seconds, the same energy."""
    machine = [Machine("one", 4, 16)]
    cards = [Rates(), Rates(per_core_hour=core * Rates().per_core_hour, per_gb_hour=memory * Rates().per_gb_hour)]
    cheap, dear = (
        of(work, Tariff(card.money_for_seconds(1.0, machine), card.energy_for_seconds(1.0, machine))) for card in cards
    )
    assert all(d >= c for c, d in zip(numbers(cheap, "money"), numbers(dear, "money"), strict=True))
    assert numbers(cheap, "seconds") == numbers(dear, "seconds")
    assert numbers(cheap, "kwh") == numbers(dear, "kwh")


def test_a_route_that_was_asked_for_is_quoted_alone() -> None:
    """And by the price of a family that takes part."""
    told = of(SMALL, decision=Decision(shares={"classical": 1.0, "neural": 0.0}, families=("linear", "catboost")))
    assert [route.route for route in told.routes] == ["classical"]
    assert quote.price_s("classical", ("linear", "catboost"), SMALL.size) < quote.price_s(
        "classical", ("catboost",), SMALL.size
    )


def test_what_was_never_measured_has_a_wider_range_and_says_so() -> None:
    """Several cores, a GPU, and files."""
    known = of(SMALL)
    for odd in ({"cores": 8}, {"has_media": True}, {"gpus": 1.0}):
        told = of(Work(size=SMALL.size, task="binary", **odd))
        ranges = [one.routes[-1].good.seconds for one in (known, told)]
        assert ranges[1].high / ranges[1].middle > ranges[0].high / ranges[0].middle
        assert not told.routes[0].is_measured
        assert "a guess" in told.rests_on
    assert known.routes[0].is_measured
    assert "a guess" not in known.rests_on


def test_the_advice_weighs_the_budget() -> None:
    """Seconds, money and energy alike; trials have no length that is known."""
    assert "will do; more than" in of(SMALL).advice
    assert "would hardly help" in of(SMALL).advice
    for short, long in (("1s", "10h"), ("$0.00001", "$1"), ("0.000001kWh", "0.1kWh")):
        assert "is short" in of(SMALL, budget=short).advice
        assert "more than is needed" in of(SMALL, budget=long).advice
    assert of(SMALL, budget="50 trials").advice == of(SMALL).advice
    assert of(SMALL, Tariff(), "$1").advice == of(SMALL).advice


def test_a_run_is_good_when_a_model_is_close_to_the_best_on_the_folds_that_both_did() -> None:
    """An easy fold flatters nobody, and a lucky fold makes no best model."""
    found = [
        FoldEnd(1.0, 1, 0, 0.90), FoldEnd(2.0, 2, 0, 0.41), FoldEnd(3.0, 2, 1, 0.10), FoldEnd(4.0, 1, 1, 0.30),
        FoldEnd(5.0, 3, 0, 0.40), FoldEnd(6.0, 3, 1, 0.10), FoldEnd(7.0, 4, 1, 0.05),
    ]  # fmt: skip
    told = reached(found, 9.0)
    assert told is not None
    assert (told.good_s, told.flattened_s, told.until_s) == (2.0, 5.0, 9.0)
    assert not told.is_settled
    stricter = reached(found, 9.0, good=0.022)
    assert stricter is not None
    assert stricter.good_s == 3.0
    assert reached([], 9.0) is None


def test_errors_below_zero_and_of_zero_are_compared_too() -> None:
    """Of a metric of one's own, and of a model that makes no error."""
    below = reached([FoldEnd(1, 1, 0, -0.5), FoldEnd(2, 2, 0, -0.97), FoldEnd(3, 3, 0, -1.0)], 8)
    none = reached([FoldEnd(1, 1, 0, 0.1), FoldEnd(2, 2, 0, 0.0)], 8)
    assert below is not None
    assert none is not None
    assert (below.good_s, below.flattened_s, below.is_settled) == (2, 3, True)
    assert (none.good_s, none.flattened_s) == (2, 2)


def test_folds_are_read_from_the_events_of_every_driver() -> None:
    """The baseline, failures and refits are none of them; the search may go on after a crash."""
    end = {"event": "finished", "status": "done", "family": "linear", "trial": 1, "fold": 0, "error": 0.5}
    events = [
        {"event": "stage", "stage": "search", "elapsed_s": 1.0},
        {**end, "family": "constant", "trial": 0, "elapsed_s": 1.1},
        {**end, "elapsed_s": 2.0},
        {**end, "status": "failed", "error": None, "fold": 1, "elapsed_s": 2.5},
        {"event": "stage", "stage": "search", "elapsed_s": 3.0},
        {**end, "fold": 1, "error": 0.4, "elapsed_s": 4.0},
        {"event": "stage", "stage": "ensemble", "elapsed_s": 5.0},
        {**end, "fold": -1, "elapsed_s": 6.0},
    ]
    assert ends(events) == ([FoldEnd(2.0, 1, 0, 0.5), FoldEnd(4.0, 1, 1, 0.4)], 5.0)


def test_what_is_shipped_says_what_it_rests_on() -> None:
    """Every factor with its runs, and how many of them are lower bounds."""
    told = json.loads(quote.MEASURED.read_text())
    assert "one core" in told["rests_on"]
    for mark in ("good", "flat"):
        for route in ("classical", "neural"):
            law = told["marks"][mark][route]
            assert law["runs"] > law["lower_bounds"] >= 0
            assert law["sd"] >= quotes.LEAST_SD
            assert min(law["fixed_s"], law["factor"], law["largest_price_s"]) > 0


def test_the_law_is_found_again_when_late_runs_are_bounds() -> None:
    """Cut at 30 s; taken for ends, the bounds would make large tables look quick."""
    runs = []
    for k in range(60):
        price = 0.2 * 1.09**k
        true_s = (2.0 + 1.5 * price) * (1.25 if k % 2 else 0.8)
        runs.append(quotes.Took(
            name=str(k), route="classical", task="binary", price_s=price, budget_s=30.0,
            seconds={"good": min(30.0, true_s), "flat": 30.0}, is_bound={"good": true_s > 30, "flat": True},
        ))  # fmt: skip
    law = quotes.fit(runs, "good")
    assert law["lower_bounds"] > 5
    assert law["factor"] == pytest.approx(1.5, rel=0.25)
    assert law["fixed_s"] == pytest.approx(2.0, rel=0.25)


def test_the_command_quotes_a_table_before_anything_is_fitted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every route with ranges, what the words mean, and one line of advice; nothing is left behind."""
    monkeypatch.setattr("automl.doors.cli.verbs._started", time.monotonic)  # this process is older than the command
    assert main(["quote", str(CUSTOMERS), "-t", "churned", "--budget", "10m", "--workers", "1"]) == 0
    told = capsys.readouterr().out.splitlines()
    seconds = r"[\d.]+ s|\d+ min \d\d s"
    span = rf"({seconds}) +\(?"
    assert re.match(r"2,000 rows, binary, on 1 core; [\d.]+ s of it to read the data", told[0])
    assert told[1].split() == ["route", "good", "in", "flattened", "in", "USD", "kWh"]
    for line, route in zip(told[2:5], (AUTO_ROUTE, "classical", "neural"), strict=True):
        assert re.match(rf"{route} +{span}({seconds}) to ({seconds})\) +{span}({seconds}) to ({seconds})\)", line), line
    assert told[5].startswith("good: within 5 % of the error")
    assert told[6].startswith("rests on: ")
    assert re.search(r"advice: budget='600s' is more than is needed; .+ will do; more than .+ would hardly", told[7])
    assert len(told) == 8


def test_what_shapes_a_run_shapes_its_quote() -> None:
    """Options that change columns, rows held out or routes are those of fit, spelled alike; so is what they decide."""
    words = ["--time-column", "joined", "--max-latency-ms", "5", "--quantiles", "0.1,0.9", "--weight", "w"]
    given = build().parse_args(["quote", "x.csv", "-t", "y", *words])
    assert (given.time_column, given.max_latency_ms, given.quantiles, given.weight) == ("joined", 5.0, "0.1,0.9", "w")
    table = pd.read_csv(CUSTOMERS)
    plain = automl.quote(table, "churned", budget="1m")
    alone = automl.quote(table, "churned", budget="1m", route="classical")
    assert isinstance(plain, Quote)
    assert isinstance(alone, Quote)
    assert [one.route for one in alone.routes] == ["classical"] != [one.route for one in plain.routes]


def test_the_quote_for_machines_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object; a dearer card is dearer, and a table of two targets has two quotes."""
    given = ["quote", str(CUSTOMERS), "--json", "--workers", "1"]
    assert main([*given, "-t", "churned,plan"]) == 0
    told = json.loads(capsys.readouterr().out)["targets"]
    assert list(told) == ["churned", "plan"]
    for one in told.values():
        good = one["routes"][0]["good"]
        assert 0 < good["seconds"]["low"] < good["seconds"]["high"] < 600
        assert good["money"]["high"] / good["money"]["low"] == pytest.approx(
            good["seconds"]["high"] / good["seconds"]["low"]
        )
        assert "budget=" not in one["advice"]


def test_python_quotes_as_the_command_does(customers: pd.DataFrame) -> None:
    """Only the routes that may take part, on the rows that there are."""
    told = automl.quote(customers, "churned", route="classical", workers=1, rates=None)
    assert [one.route for one in told.routes] == ["classical"]
    assert (told.rows, told.cores, told.budget) == (len(customers), 1, None)
    with pytest.raises(OptionError, match="unknown family"):
        automl.quote(customers, "churned", families="lightgbn")


def test_pictures_are_quoted_and_said_to_be_a_guess(tmp_path: Path) -> None:
    """Classical models and networks, with the time to read the files."""
    pytest.importorskip("PIL")
    from PIL import Image

    for k in range(40):
        place = tmp_path / "pictures" / ("dark" if k % 2 else "light")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (200 - 180 * (k % 2), k, 40)).save(place / f"{k}.png")
    told = automl.quote(tmp_path / "pictures", workers=1, weights=None)
    assert {one.route for one in told.routes} >= {"classical", "neural"}
    assert not any(one.is_measured for one in told.routes)
    assert told.routes[0].good.seconds.low > told.reading_s > 0


def test_a_run_keeps_its_quote_and_puts_it_beside_the_bill(finished: automl.Result) -> None:
    """What was quoted, when the run really was good and had flattened, and what was paid."""
    kept = json.loads((finished.folder / "quote.json").read_text())
    told = finished.cost["quote"]
    assert told["routes"] == kept["routes"]
    reached = told["reached"]
    assert 0 < reached["good_s"] <= reached["flattened_s"] <= reached["until_s"]
    page = (finished.folder / "report.html").read_text()
    assert "The quote beside the bill" in page
    assert "quoted, auto" in page
    line = quoted.beside(json.loads((finished.folder / "report.json").read_text()))
    assert re.fullmatch(
        r"bill: good came at .+ \(quoted .+ to .+\); flattened came at .+ \(quoted .+ to .+\); paid .+ USD and .+ kWh",
        line,
    )


def test_a_report_from_before_there_were_quotes_is_drawn_without_one(finished: automl.Result) -> None:
    """Its JSON has no such key."""
    from automl.report import draw

    told = json.loads((finished.folder / "report.json").read_text())
    del told["cost"]["quote"]
    assert "The quote beside the bill" not in draw(told)
    assert quoted.beside(told) == ""
