"""Options and budgets: what people type, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import automl
from automl.errors import OptionError
from automl.options import Budget, Options


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (60, 60),
        ("60", 60),
        (" 5 min ", 300),
        ("1d", 86400),
    ],
)
def test_budgets_in_time_are_read_as_people_write_them(text: object, seconds: float) -> None:
    """Units, sums of units and plain seconds."""
    assert Budget.parse(text).time_s == seconds


def test_budgets_in_trials_are_read() -> None:
    """One or many."""
    assert Budget.parse("20 trials").trials == 20
    assert Budget.parse("1 trial") == Budget(trials=1)


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "0s", "soon", "", "5 parsecs", "10", True, None, [], "0 trials", float("nan"), float("inf"), "1e3"],
)
def test_other_budgets_are_refused_with_the_value_and_an_example(value: object) -> None:
    """One line; '10' alone is ten seconds and fine."""
    if value == "10":
        assert Budget.parse(value).time_s == 10
        return
    with pytest.raises(OptionError) as refusal:
        Budget.parse(value)
    assert "\n" not in str(refusal.value)
    assert "got" in str(refusal.value)


@given(st.text(max_size=12))
def test_any_text_is_a_budget_or_refused(text: str) -> None:
    """Nothing else ever happens."""
    try:
        budget = Budget.parse(text)
    except OptionError:
        return
    assert any(limit or 0 > 0 for limit in (budget.time_s, budget.trials, budget.money, budget.energy))


@given(st.floats(0.1, 1e6), st.none() | st.floats(0.01, 1e5), st.none() | st.floats(0.001, 1e4))
def test_a_budget_survives_being_written_down(seconds: float, money: float | None, kwh: float | None) -> None:
    """options.json holds what `parse` reads again, to the digits shown."""
    again = Budget.parse(str(Budget(seconds, money=money, energy=kwh)))
    assert again.time_s == pytest.approx(seconds, abs=1e-3)
    assert again.money == (None if money is None else pytest.approx(money, abs=1e-3))
    assert again.energy == (None if kwh is None else pytest.approx(kwh, abs=1e-3))


@pytest.mark.parametrize(
    ("text", "money", "energy", "time"),
    [
        ("$1.50", 1.5, None, None),
        ("1.5 USD", 1.5, None, None),
        ("0.2kWh", None, 0.2, None),
        ("200 Wh", None, 0.2, None),
        ("$2, 10m", 2.0, None, 600.0),
        ("1kwh, $3, 90s", 3.0, 1.0, 90.0),
    ],
)
def test_money_and_energy_are_budgets_too(
    text: str, money: float | None, energy: float | None, time: float | None
) -> None:
    """Alone or together with time."""
    budget = Budget.parse(text)
    assert (budget.money, budget.energy, budget.time_s, budget.trials) == (money, energy, time, None)


@pytest.mark.parametrize(
    "given", [{"time": 60, "trials": 5}, {"money": -1.0}, {"energy": float("nan")}, {"time": "soon"}, {}]
)
def test_budgets_that_cannot_be_kept_are_refused(given: dict[str, Any]) -> None:
    """Trials beside anything else, nothing at all, amounts that are none."""
    with pytest.raises(OptionError, match="budget"):
        Budget(**given)


def test_a_clusters_address_is_read_and_other_places_refused() -> None:
    """Words that we know, host:port, ray://host:port."""
    for right in ("auto", "local", "ray", "10.0.0.7:6379", "ray://head:10001"):
        assert Options(cluster=right).cluster == right
    for wrong in ("moon", "http://head:1", "ray://", "head:port"):
        with pytest.raises(OptionError, match="cluster"):
            Options(cluster=wrong)


def test_options_survive_being_written_down() -> None:
    """as_json and of are inverse for what JSON can hold."""
    options = Options(target="y", budget="5m", families="lightgbm, linear", max_latency_ms=5)
    assert Options.of(options.as_json()) == options
    assert options.families == ("lightgbm", "linear")


@pytest.mark.parametrize(
    "given",
    [
        {"route": "quantum"},
        {"prefer": "best"},
        {"workers": 0},
        {"seed": -1},
        {"seed": 1.5},
        {"max_model_mb": -2},
        {"cluster": "moon"},
    ],
)
def test_values_that_cannot_work_are_refused_by_name(given: dict[str, object]) -> None:
    """The message names the option and the value seen."""
    with pytest.raises(OptionError, match=next(iter(given))):
        Options.of(given)


@pytest.mark.parametrize("given", ["0.9, 0.1,0.5", (0.1, 0.5, 0.9), [0.5, 0.9, 0.1]])
def test_quantiles_are_read_as_people_write_them_and_sorted(given: object) -> None:
    """Text with commas or numbers; one alone is fine."""
    assert Options(quantiles=given).quantiles == (0.1, 0.5, 0.9)
    assert Options(quantiles=0.5).quantiles == Options(quantiles="0.5").quantiles == (0.5,)
    assert Options.of(Options(quantiles=given).as_json()).quantiles == (0.1, 0.5, 0.9)


@pytest.mark.parametrize("given", ["0.1,high", (0.0, 0.5), (0.5, 1.0), (0.5, 0.5), [10, 90], {0.1: 1}, None])
def test_other_quantiles_are_refused(given: object) -> None:
    """With the value seen and an example."""
    with pytest.raises(OptionError, match=r"quantiles must be different numbers.*got .*For instance 0.1,0.5,0.9"):
        Options(quantiles=given)


def test_quantiles_are_not_of_classes() -> None:
    """A task of classes and quantiles contradict each other."""
    with pytest.raises(OptionError, match="quantiles are of numbers, but task='binary'"):
        Options(quantiles=0.5, task="binary")
    assert Options(quantiles=0.5, task="regression").quantiles == (0.5,)


def test_several_targets_are_different_names() -> None:
    """A list, a tuple or an Index; one name stays one."""
    assert Options(target=["a", " b "]).target == ("a", "b")
    assert Options(target=pd.Index(["a", "b"])).target == ("a", "b")
    assert Options(target="a,b").target == "a,b"
    assert Options.of(Options(target=("a", "b")).as_json()).target == ("a", "b")
    for wrong in (["a", "a "], []):
        with pytest.raises(OptionError, match="target"):
            Options(target=wrong)


def test_a_metric_is_a_name_or_a_function() -> None:
    """Anything else is refused at once; a function is written down by its name."""
    assert Options(metric=max).as_json()["metric"] == "max"
    with pytest.raises(OptionError, match="metric must be a name or a function"):
        Options(metric=3)


def test_a_budget_in_money_that_nothing_costs_is_refused(tmp_path: Path) -> None:
    """It would never end."""
    (tmp_path / "free.toml").write_text("per_core_hour = 0.0\nper_gb_hour = 0.0\n")
    frame = pd.DataFrame({"x": range(40), "y": [0, 1] * 20})
    with pytest.raises(OptionError, match="never ends"):
        automl.fit(frame, "y", budget="$1", rates=tmp_path / "free.toml", cluster="local", verbose=0)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_latency_ms", [], "a number"),
        ("workers", "two", "a whole number"),
        ("workers", True, "a whole number"),
        ("families", None, "a text, or several"),
        ("exclude", (1, 2), "a text, or several"),
        ("series_id", True, "a text, or several"),
        ("series_id", [1], "a text, or several"),
        ("route", 3, "a text"),
        ("time_column", ["a"], "a text"),
        ("run_dir", 5, "a path"),
        ("seed", 1.5, "a whole number"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_one_line(name: str, value: object, says: str) -> None:
    with pytest.raises(OptionError, match=f"^{name} must be {says}, got [^\n]+$"):
        Options.of({name: value})


def test_numbers_of_numpy_are_numbers() -> None:
    found = Options.of({"max_latency_ms": np.float32(5), "workers": np.int32(2)})
    assert (found.max_latency_ms, found.workers) == (5.0, 2)
