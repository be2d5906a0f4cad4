"""The prior: who takes part, in which order, with which share, and why."""

import pytest

import search_spaces
from automl.decision import learned
from automl.decision.expect import share_of
from automl.decision.prior import route
from automl.errors import OptionError
from automl.options import Options
from automl.records import Column, Kind, Profile


def profile(rows: int = 5_000, columns: int = 5, classes: int = 2, task: str = "binary") -> Profile:
    names = tuple(Column(name=f"c{i}", kind=Kind.NUMBER, why="", missing=0.0, unique=10) for i in range(columns))
    labels = tuple(range(classes)) if task != "regression" else ()
    return Profile(rows=rows, columns=names, task=task, task_rule="", metric="roc_auc", metric_rule="", classes=labels)


def decide(of: Profile, gpus: int = 0, **options: object):
    return route(of, Options.of({"target": "y", **options}), gpus)


def test_a_small_table_is_classical_first_with_a_neural_share() -> None:
    """The rule that fired carries the values that made it fire."""
    decision = decide(profile(5_000))
    assert decision.shares["classical"] > decision.shares["neural"] > 0
    assert "5,000 rows" in decision.rules[0].because
    assert decision.families[0] == "lightgbm"
    assert "constant" not in decision.families


@pytest.mark.parametrize(("small", "large"), [(400, 5_000), (200_000, 5_000)])
def test_few_and_very_many_rows_give_networks_less(small: int, large: int) -> None:
    """The share depends on the rows."""
    assert decide(profile(small)).shares["neural"] < decide(profile(large)).shares["neural"]


def test_a_gpu_raises_the_neural_share() -> None:
    """And the rule says so."""
    with_one = decide(profile(), gpus=1)
    assert with_one.shares["neural"] > decide(profile()).shares["neural"]
    assert any(rule.name == "gpu" for rule in with_one.rules)


def test_what_is_expected_of_networks_is_told_where_both_routes_take_part() -> None:
    """The share follows from it; a route that is alone has nothing to be weighed against."""
    decision = decide(profile())
    assert decision.gain is not None
    assert decision.shares["neural"] == pytest.approx(share_of(decision.gain))
    assert decision.rules[-1].effect.startswith(f"networks win with a probability of {decision.gain.win:.0%}")
    assert decide(profile(), route="classical").gain is None
    assert decide(profile(), families="lightgbm,linear").gain is None


def test_a_table_of_a_hundred_rows_has_networks_with_next_to_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """They can be asked for alone, and get a look otherwise; what other tables taught may say more for them."""
    assert {"mlp", "tabm"} <= set(decide(profile(100), route="neural").families)
    monkeypatch.setattr(learned, "shipped", lambda: None)
    assert decide(profile(100)).shares["neural"] <= 0.06


def test_families_that_cannot_take_part_are_skipped_with_a_reason() -> None:
    """Too few rows for a network, too many columns for neighbours."""
    reasons = {skip.family: skip.because for skip in decide(profile(rows=40)).skipped}
    assert "rows" in reasons["mlp"]
    reasons = {skip.family: skip.because for skip in decide(profile(columns=6_000)).skipped}
    assert "columns" in reasons["neighbors"]


def test_a_missing_package_is_a_reason_that_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs to guess what to install."""
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "catboost" else found(name))
    reasons = {skip.family: skip.because for skip in decide(profile()).skipped}
    assert "pip install 'automl-frontier[catboost]'" in reasons["catboost"]


def test_a_route_that_was_asked_for_is_the_only_one() -> None:
    """route='neural' leaves networks alone, all of the time theirs."""
    decision = decide(profile(), route="neural")
    assert {search_spaces.get(name).route for name in decision.families} == {"neural"}
    assert decision.shares == {"classical": 0.0, "neural": 1.0}
    assert decide(profile(), route="classical").shares["neural"] == 0.0


def test_leaving_no_family_is_refused_with_all_reasons() -> None:
    """One line that says for each family why not."""
    with pytest.raises(OptionError, match="no family of models is left"):
        decide(profile(), families="linear", exclude="linear")


def test_a_route_that_tables_do_not_have_is_refused() -> None:
    """A table has no hybrid route yet, and the message says which there are."""
    with pytest.raises(OptionError, match="hybrid"):
        decide(profile(), route="hybrid")
