"""What users wish of a model beside its score: each wish is an option and a rule, and changes what is done."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from automl.decision import verdict as deciding
from automl.decision import wishes
from automl.ensemble.frontier import Limits, Pick, cheapest_to_train, choose
from automl.errors import OptionError
from automl.modalities import mixture
from automl.options import Options
from automl.records import Candidate, Column, Fold, Plan, Profile, Score, Trial, TrialStatus
from automl.refit import finish
from automl.report.gather.explained import unexplained

TABLE = Profile(
    rows=1000, columns=(Column(name="a", kind="number", why="", missing=0.0, unique=9),), task="binary", task_rule="",
    metric="roc_auc", metric_rule="",
)  # fmt: skip


def candidate(name: str, value: float, row_ms: float = 1.0, fit_s: float = 10.0, size_mb: float = 1.0) -> Candidate:
    score = Score(metric="roc_auc", value=value, low=value - 0.01, high=value + 0.01, higher_is_better=True)
    return Candidate(name=name, weights={hash(name): 1.0}, score=score, fit_s=fit_s, row_ms=row_ms, batch_ms=1.0,
                     size_mb=size_mb, lean_ms=row_ms / 2, lean_mb=size_mb / 2)  # fmt: skip


def always(_a: Candidate, _b: Candidate) -> bool:
    return True


def never(_a: Candidate, _b: Candidate) -> bool:
    return False


def fired(options: Options) -> dict[str, str]:
    return {rule.name: f"{rule.because}: {rule.effect}" for rule in wishes.rules(options, TABLE)}


def test_without_a_wish_nothing_fires() -> None:
    """Today's behaviour stays."""
    assert fired(Options()) == {}
    assert finish.limits(Options()) == Limits()


@pytest.mark.parametrize(
    ("options", "limits", "told"),
    [
        (Options(deploy="realtime"), Limits(10.0), "no model over 10 ms for a row on one CPU thread is returned"),
        (
            Options(deploy="edge"), Limits(5.0, 20.0),
            "no model over 5 ms for a row on one CPU thread or 20 MB is returned",
        ),
        (Options(deploy="edge", max_latency_ms=50), Limits(50.0, 20.0), "no model over 20 MB is returned"),
        (Options(deploy="realtime", max_latency_ms=50), Limits(50.0), "the limits that were given hold"),
    ],
)  # fmt: skip
def test_where_the_model_will_run_sets_the_limits_that_were_not_given(
    options: Options, limits: Limits, told: str
) -> None:
    """And the rule says which."""
    assert finish.limits(options) == limits
    assert fired(options)["deploy"] == f"deploy={options.deploy!r} was given: {told}"


def test_every_wish_is_a_rule_with_its_value() -> None:
    """So that the report shows what each of them did."""
    told = fired(
        Options(max_latency_ms=2, min_score=0.9, retrain_every="1d", explain="required", baseline=0.8, deploy="edge")
    )
    assert list(told) == ["deploy", "limits", "explain", "retraining", "min_score", "baseline"]
    assert told["limits"] == "max_latency_ms=2 was given: nothing above is returned, however good it is"
    assert told["retraining"] == (
        "retrain_every='1d' was given: a year of it is priced in the verdict; of models that cannot be told apart the "
        "cheapest to train is returned"
    )
    assert "cheapest" not in fired(Options(retrain_every="30d"))["retraining"]
    assert "what each column is worth" in told["explain"]


@pytest.mark.parametrize(("given", "seconds"), [("1d", 86_400), ("12h", 43_200), ("1d12h", 129_600), (3600, 3600)])
def test_spans_of_time_are_read_as_budgets_are(given: object, seconds: float) -> None:
    """And survive the way through options.json."""
    options = Options.of({"retrain_every": given})
    assert options.retrain_s == seconds
    assert Options.of(options.as_json()).retrain_s == seconds


@pytest.mark.parametrize("wrong", ["weekly", "0d", -1, "7 trials", True])
def test_what_is_no_span_of_time_is_refused_with_the_value(wrong: object) -> None:
    """One line with an example."""
    with pytest.raises(OptionError, match=r"retrain_every must be a span of time above 0, got .*For instance '12h'"):
        Options.of({"retrain_every": wrong})


def test_a_baseline_is_a_score_or_a_place() -> None:
    """Text that is a number is one; what is neither is refused."""
    assert Options(baseline="0.85").baseline == 0.85
    assert Options(baseline=Path("runs/old")).baseline == "runs/old"
    assert Options.of(Options(baseline="runs/old").as_json()).baseline == "runs/old"
    for wrong in (math.nan, [0.8], True):
        with pytest.raises(OptionError, match="baseline must be a score, a saved model or the folder of a run"):
            Options(baseline=wrong)


def test_a_family_that_reads_what_nothing_explains_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, sounds and texts have their maps and words, tables their columns; other kinds may have nothing."""
    required = Options(explain="required")
    families = [search_spaces.get(name) for name in ("lightgbm", "mlp", "convnet", "textnet")]
    pictures = replace(TABLE, columns=(replace(TABLE.columns[0], kind="image"),))
    for profile in (TABLE, pictures):
        assert [wishes.why_not_explained(family, profile, required) for family in families] == [""] * 4
    monkeypatch.setattr(mixture, "unexplained", lambda kinds: [kind for kind in kinds if kind == "image"])
    told = [wishes.why_not_explained(family, pictures, required) for family in families]
    assert [bool(one) for one in told] == [True, False, True, False]
    assert told[2] == "explain='required' was asked for, and what it makes of image cannot be explained"
    assert wishes.why_not_explained(families[2], pictures, Options()) == ""


def test_explanations_that_are_missing_are_named() -> None:
    """Only where they were required, and not where there is nothing to explain."""
    short = {"missing": 3, "columns": [], "notes": ["no time was left, so no column was shuffled"]}
    assert unexplained(Options(), short, None) == ""
    required = Options(explain="required")
    assert unexplained(required, short, None) == "no time was left, so no column was shuffled"
    assert unexplained(required, {"missing": 0, "columns": [{}], "notes": []}, None) == ""
    assert unexplained(required, None, {"explained": None, "notes": ["no time was left"]}) == "no time was left"


def test_a_short_cycle_tips_a_tie_to_the_one_that_is_cheaper_to_train() -> None:
    """A real difference it does not tip, and a limit it does not break."""
    field = [candidate("mlp", 0.9, fit_s=30), candidate("linear", 0.895, fit_s=2), candidate("slow", 0.89, 99, fit_s=1)]
    found = Pick(field[0], "the best score of 3 models", Limits(20.0))
    tipped = cheapest_to_train(found, field, always)
    assert (tipped.candidate.name, tipped.instead) == ("linear", "mlp")
    assert tipped.because == (
        "cannot be told apart from the best, mlp, and takes 2 s of CPU to train instead of 30, again and again"
    )
    assert cheapest_to_train(found, field, never) is found
    small = [candidate("mlp", 0.9, fit_s=1, size_mb=3), candidate("linear", 0.895, fit_s=2, size_mb=0.5)]
    repeated = cheapest_to_train(Pick(small[0], "", Limits(20.0)), small, always, is_timed=False)
    assert repeated.candidate.name == "linear"  # where trials are counted no clock decides
    assert "has 0.5 MB instead of 3, again and again" in repeated.because
    assert cheapest_to_train(Pick(field[1], "", Limits(20.0)), field, always).candidate.name == "linear"


@given(
    costs=st.lists(st.tuples(st.floats(0.5, 0.99), st.floats(0.01, 100.0)), min_size=1, max_size=8),
    limits=st.tuples(st.floats(0.01, 200.0), st.floats(0.01, 200.0)),
    are_tied=st.booleans(),
    prefer=st.sampled_from(["cheap", "accurate"]),
)
def test_a_stricter_latency_limit_never_picks_a_slower_model(
    costs: list[tuple[float, float]], limits: tuple[float, float], are_tied: bool, prefer: str
) -> None:
    """Of the same models; where nothing meets the stricter one, none is picked."""
    field = [candidate(f"m{k}", score, row_ms) for k, (score, row_ms) in enumerate(costs)]
    tied = always if are_tied else never
    loose, strict = (choose(field, tied, Limits(ms), prefer) for ms in sorted(limits, reverse=True))
    if strict is not None:
        assert loose is not None
        assert strict.candidate.row_ms <= loose.candidate.row_ms


def trial(number: int, family: str, row_s: float, message: str = "") -> Trial:
    held = {} if message else {
        0: Fold(fold=0, predictions=[], error=0.1, is_cut=False, fit_s=1, batch_s=1, row_s=row_s, size_mb=3.0)
    }  # type: ignore[arg-type]  # fmt: skip
    plan = Plan(number=number, family=family, params={}, seed=0, because="")
    return Trial(plan=plan, status=TrialStatus.FAILED if message else TrialStatus.DONE, folds=held, message=message)


def test_what_a_limit_or_memory_left_out_is_a_skip_with_its_values() -> None:
    """Only where no trial of the family is within it."""
    families = {
        "mlp": [trial(1, "mlp", 0.05), trial(2, "mlp", 0.031)],
        "linear": [trial(3, "linear", 0.05), trial(4, "linear", 0.001)],
        "knn": [trial(5, "knn", 0.0, "ran out of memory: 9 GB")],
    }
    names = ("max_latency_ms=10 was asked for", "max_model_mb=1 was asked for")
    slow = {skip.family: skip.because for skip in deciding.by_limits(families, (10.0, math.inf), names)}
    assert slow == {
        "mlp": "its fastest model takes 31 ms a row, and max_latency_ms=10 was asked for",
        "knn": "memory did not suffice: ran out of memory: 9 GB",
    }
    large = {skip.family: skip.because for skip in deciding.by_limits(families, (math.inf, 1.0), names)}
    assert large["linear"] == "its smallest model has 3 MB, and max_model_mb=1 was asked for"


def test_why_a_route_has_no_fold_is_told_by_what_became_of_it() -> None:
    """Not let in, failed, too late, or never begun."""
    from automl.records.choice import Decision, Skip

    known = {"mlp": "neural", "tabm": "neural", "linear": "classical"}
    out = Decision({"classical": 1.0, "neural": 0.0}, ("linear",), (), (Skip("mlp", "too many rows"), Skip("tabm", "too many rows")))  # fmt: skip  # noqa: E501
    both = Decision({"classical": 0.5, "neural": 0.5}, ("linear", "mlp"))
    mixed = replace(out, skipped=(Skip("convnet", "reads image, not table"), Skip("soundnet", "reads audio, not table"), Skip("mlp", "excluded by the user")))  # fmt: skip  # noqa: E501
    every = {**known, "convnet": "neural", "soundnet": "neural"}
    assert deciding.why_not_compared("neural", [], mixed, every) == "excluded by the user"
    late = replace(trial(1, "mlp", 0.0, "x"), status=TrialStatus.LATE, message="")
    told = [
        deciding.why_not_compared("neural", [], out, known),
        deciding.why_not_compared("neural", [], both, known),
        deciding.why_not_compared("neural", [trial(1, "mlp", 0.0, "ValueError: infinity")], both, known),
        deciding.why_not_compared("neural", [late], both, known),
    ]
    assert told == [
        "too many rows",
        "too slow: there was no time to begin one",
        "failed: ValueError: infinity",
        "too slow: no fold was finished in time",
    ]
