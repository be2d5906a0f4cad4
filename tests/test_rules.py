"""Rules as data: each fires on its bounds, says what it saw, and moves what is expected of networks."""

from dataclasses import replace

import pytest

from automl.decision import learned, rules
from automl.decision.expect import Setting, expect, measured
from automl.decision.rules import RULES, Bound, PriorRule
from automl.modalities import mixture
from automl.options import Options
from automl.records import Column, Kind, Profile
from automl.records.choice import Gain


@pytest.fixture(autouse=True)
def rules_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned from other tables is looked at elsewhere."""
    monkeypatch.setattr(learned, "shipped", lambda: None)


def table(rows: int = 5_000, columns: int = 8, **facts: float) -> Profile:
    named = tuple(Column(name=f"c{at}", kind=Kind.NUMBER, why="", missing=0.0, unique=10) for at in range(columns))
    return Profile(
        rows=rows, columns=named, task="regression", task_rule="", metric="rmse", metric_rule="",
        facts={"rows": float(rows), **facts},
    )  # fmt: skip


def gain(of: Profile, gpus: int = 0, core_s: float | None = None, **options: object) -> Gain:
    return told(of, gpus, core_s, **options).gain


def told(of: Profile, gpus: int = 0, core_s: float | None = None, **options: object):
    setting = Setting(Options.of({"target": "y", **options}), gpus, core_s)
    return expect(of, mixture.prior(of, gpus), setting)


def test_a_rule_says_the_values_that_made_it_fire_and_who_found_it() -> None:
    """Value, noun, bound, source."""
    fired = next(rule for rule in told(table(kurtosis_std=2_694.0)).rules if rule.name == "heavy tails")
    assert fired.because == "2,694 deviation of the columns' kurtoses, 1,000 or more"
    assert "McElfresh" in fired.source


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_fires_on_its_bounds_and_not_below(rule: PriorRule) -> None:
    """Each has a source, and nouns for all its facts."""
    inside = {bound.fact: bound.least if bound.least > -1e9 else bound.below - 1 for bound in rule.when}
    fired = rule.fired(inside)
    assert fired is not None
    assert all((fired.because, fired.effect, fired.source))
    first = rule.when[0]
    outside = first.least - 1 if first.least > -1e9 else first.below
    assert rule.fired({**inside, first.fact: outside}) is None
    assert rule.fired({}) is None


def test_names_are_not_given_twice() -> None:
    """A report tells rules by their names."""
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("facts", "sign"),
    [({"kurtosis_std": 5_000.0}, 1), ({"max_cardinality": 500.0}, 1),
     ({"landmark_smooth": 0.2, "landmark_boosted": 0.3, "landmark_line": 0.8}, -1),
     ({"landmark_smooth": 0.6, "landmark_boosted": 0.2, "landmark_line": 0.7}, 1)],
)  # fmt: skip
def test_facts_move_the_gain_towards_whom_they_speak_for(facts: dict[str, float], sign: int) -> None:
    """Above nought classical models are expected to win."""
    landmarks = {"landmark_neighbors": 0.8, "landmark_tree": 0.7, "landmark_stump": 0.8} if len(facts) > 1 else {}
    mean = gain(table(**facts, **landmarks)).mean
    assert (mean - gain(table()).mean) * sign > 0


def test_where_little_is_left_to_tell_routes_hardly_differ() -> None:
    """Quick models that err as much as the mean make the gain smaller and surer; who wins is as open as before."""
    noisy = table(**{f"landmark_{name}": 1.0 for name in ("line", "stump", "tree", "boosted", "neighbors", "smooth")})
    told_well = table(**{name: value / 10 for name, value in noisy.facts.items() if name != "rows"})
    assert gain(noisy).sd <= gain(told_well).sd / 2
    assert gain(noisy).win == gain(table()).win
    assert "noise" in {rule.name for rule in told(noisy).rules}


def test_a_budget_in_which_no_network_ends_speaks_for_classical_models() -> None:
    """Seconds of all workers; where none are counted nothing is said."""
    large = table(80_000, 60)
    assert gain(large, core_s=10.0).win < gain(large, core_s=10_000.0).win == gain(large).win


def test_a_gpu_and_a_short_time_for_a_row_pull_apart() -> None:
    """One towards networks, the other away."""
    assert gain(table(), max_latency_ms=1).win < gain(table()).win < gain(table(), gpus=1).win
    assert gain(table(), deploy="realtime").win < gain(table()).win


def test_rows_that_look_forward_speak_for_boosting() -> None:
    """Time and group columns are what the user says."""
    assert measured(table(), Setting(Options.of({"target": "y", "time_column": "c0"})))["is_forward"] == 1
    assert gain(table(), time_column="c0").win < gain(table()).win


@pytest.mark.parametrize("kind", ["image", "audio", "text"])
def test_the_measured_shares_of_media_stay_whatever_rules_say(kind: str) -> None:
    """Rules move what is thought of the gain; the share is that of the kind."""
    media = replace(table(200, 0), columns=(Column(name="seen", kind=kind, why="", missing=0.0, unique=200),))
    few = replace(media, class_counts=(190, 10), classes=("a", "b"))
    known = mixture.prior(media)
    assert told(media).share == told(few).share == known.neural_share
    assert gain(few).win < gain(media).win


def test_bounds_hold_from_the_least_and_end_before_the_last() -> None:
    """And a fact that was not measured holds nothing."""
    bound = Bound("rows", 500, 1_000)
    assert [bound.holds({"rows": rows}) for rows in (499, 500, 999, 1_000)] == [False, True, True, False]
    assert not bound.holds({})
    assert rules.number(0.123) == "0.12"
    assert Bound("share_number", 0.8).told({"share_number": 1.0}) == "100% of the columns are numbers, 80% or more"
