"""What a run says of the choice between routes: the words for a dozen profiles, pinned, from records without a fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.decision import verdict as deciding
from automl.records import Fold, Plan, Trial, TrialStatus
from automl.records.choice import OF_SHARES, Gain, Skip
from automl.records.verdict import (
    Change,
    Curve,
    Difference,
    Existing,
    Goal,
    MeasuredRegret,
    RouteShown,
    Turn,
    Verdict,
)
from automl.report.spoken import lines, why

BOOSTER = RouteShown(
    route="classical", trials=12, folds=50, cpu_s=80.0, best="lightgbm #4", row_ms=1.5, size_mb=2.0, train_s=9.0
)
NETWORK = RouteShown(route="neural", trials=5, folds=20, cpu_s=41.0, best="mlp #7", row_ms=4.0, size_mb=0.4, train_s=30)
AHEAD = Difference(
    route="neural", ours="lightgbm #4", theirs="mlp #7", our_error=0.1, their_error=0.12, low=0.01, high=0.03,
    folds=5, of=5, rows=2000,
)  # fmt: skip
TIED = replace(AHEAD, their_error=0.101, low=-0.004, high=0.006)
NO_REGRET = MeasuredRegret(
    value=0.0, low=0.0, high=0.004, gain=0.001, gain_low=-0.004, gain_high=0.006, error=0.101, against="classical",
    routes=("classical", "neural"), rows=2000,
)  # fmt: skip
CLASSICAL = Verdict(
    route="classical", model="lightgbm #4", members=("classical",), metric="roc_auc", higher_is_better=True, rows=2000,
    routes=(BOOSTER, NETWORK), differences=(AHEAD,), regret=NO_REGRET,
)  # fmt: skip
OTHER_WAY = Difference(
    route="classical", ours="mlp #7", theirs="lightgbm #4", our_error=2.1, their_error=3.5, low=1.1, high=1.7,
    folds=3, of=5, rows=4915,
)  # fmt: skip
NEURAL = replace(
    CLASSICAL, route="neural", model="mlp #7", members=("neural",), metric="rmse", higher_is_better=False,
    differences=(OTHER_WAY,), regret=replace(NO_REGRET, against="neural", error=2.1, high=0.0),
)  # fmt: skip


def test_classical_is_clearly_better() -> None:
    """Both sentences name the size of the difference, the evidence and what the loser took."""
    assert lines(CLASSICAL) == (
        "Classical models were used: their best has 17 % less error than the best of the networks, more than chance "
        "explains.",
        "Networks: their best, mlp #7, is behind lightgbm #4 (roc_auc 0.88 against 0.9; 95 % interval "
        "of the difference 0.01 to 0.03; 5 common folds, 2,000 rows). They took 41 s of CPU; that one takes 4 ms a row "
        "and 0.4 MB.",
        "Measured regret: none. What is returned is not behind the best route alone, classical models (95 % interval "
        "0 to 0.004 of error).",
    )


def test_the_verdict_in_the_readme_is_what_the_code_says_of_that_run() -> None:
    """The records of the run that the README shows, as its report holds them."""
    linear = RouteShown(
        route="classical", trials=19, folds=47, cpu_s=5.593, best="linear #18", row_ms=0.1066, size_mb=0.0131
    )
    network = RouteShown(route="neural", trials=2, folds=4, cpu_s=5.911, best="mlp #6", row_ms=0.8659, size_mb=1.238)
    apart = Difference(
        route="neural", ours="linear #18", theirs="mlp #6", our_error=0.29336, their_error=0.30494, low=-0.00327,
        high=0.02645, folds=3, of=3, rows=2000,
    )  # fmt: skip
    regret = MeasuredRegret(
        value=0.0, low=0.0, high=0.0195, gain=0.0044, gain_low=-0.0129, gain_high=0.0217, error=0.29336,
        against="classical", routes=("classical", "neural"), rows=2000,
    )  # fmt: skip
    run = Verdict(
        route="classical", model="linear #18", members=("classical",), metric="roc_auc", higher_is_better=True,
        rows=2000, routes=(linear, network), differences=(apart,), regret=regret, took_cheap=True, win_before=0.542,
        win_after=0.424, turns=(Turn(what="rows", route="neural", less=-0.1007, win=0.1346),),
    )  # fmt: skip
    shown = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8").split("```text\n")[1]
    assert shown.split("```")[0].splitlines()[1:] == list(lines(run))


def test_a_network_is_clearly_better_on_a_regression() -> None:
    """Errors are those of the metric, and folds that only one did are told."""
    assert lines(NEURAL)[:2] == (
        "Networks were used: their best has 40 % less error than the best of the classical models, more than chance "
        "explains.",
        "Classical models: their best, lightgbm #4, is behind mlp #7 (rmse 3.5 against 2.1; 95 % "
        "interval of the difference 1.1 to 1.7; 3 common folds of 5, 4,915 rows). They took 1 min 20 s of CPU; that "
        "one takes 1.5 ms a row and 2 MB.",
    )


def test_what_cannot_be_told_apart_is_said_not_to_matter() -> None:
    """The cheap one was taken; how small a difference these rows would show is told."""
    tied = replace(CLASSICAL, differences=(TIED,), took_cheap=True)
    assert lines(tied)[:2] == (
        "It does not matter here: classical models and networks cannot be told apart on this data. The cheap ones were "
        "taken, classical models.",
        "Networks: their best, mlp #7, cannot be told apart from lightgbm #4 (roc_auc 0.899 against 0.9; 95 % interval "
        "of the difference −0.004 to 0.006; 5 common folds, 2,000 rows; a difference below 5 % would not show on them)"
        ". They took 41 s of CPU; that one takes 4 ms a row and 0.4 MB.",
    )


def test_a_tie_in_which_the_dear_one_was_taken_says_so() -> None:
    """Nothing is called cheap that is not."""
    dear = replace(TIED, route="classical", ours="mlp #7", theirs="lightgbm #4")
    assert why(replace(CLASSICAL, route="neural", members=("neural",), differences=(dear,))) == (
        "Networks were used, but it hardly matters: on this data classical models cannot be told apart from them."
    )


def test_a_blend_of_both_that_is_better_than_either() -> None:
    """It is compared with the best route alone, the routes with each other."""
    regret = replace(NO_REGRET, gain=0.006, gain_low=0.002, gain_high=0.01, high=0.0)
    both = replace(
        CLASSICAL, route="both", model="blend", members=("classical", "neural"), differences=(TIED,), regret=regret
    )
    assert why(both) == (
        "Classical models and networks were used together: their blend has 5.9 % less error than the best route alone, "
        "classical models."
    )
    assert lines(both)[1].startswith("Networks: their best, mlp #7, cannot be told apart from lightgbm #4")
    assert why(replace(both, regret=NO_REGRET)) == (
        "Classical models and networks were used together, but it hardly matters: their blend cannot be told apart "
        "from the best route alone, classical models."
    )


@pytest.mark.parametrize(
    "reason",
    [
        "route='classical' was asked for",
        "explain='required' was asked for, and its answers cannot be explained",
        "no weights are here: pip install 'automl-frontier[pretrained]'",
        "failed: RuntimeError: out of memory",
        "too slow: no fold was finished in time",
    ],
)
def test_a_route_that_could_not_compete_is_named_with_the_reason(reason: str) -> None:
    """In the first sentence; what was tried in vain is not called absent."""
    away = RouteShown(route="neural", why_not=reason)
    alone = replace(CLASSICAL, routes=(BOOSTER, away), differences=(), regret=None)
    assert lines(alone) == (f"Classical models were used: networks took no part ({reason}).",)
    tried = replace(alone, routes=(BOOSTER, replace(away, trials=2)))
    assert lines(tried) == (f"Classical models were used: networks could not be compared ({reason}).",)


def test_a_better_route_that_breaks_a_limit_is_told_with_the_limit() -> None:
    """What the limit costs is no secret."""
    better = replace(AHEAD, their_error=0.08, low=-0.03, high=-0.01)
    slow = replace(NETWORK, above="the least are 31 ms a row and 0.4 MB, allowed are 10 ms")
    limited = replace(
        CLASSICAL, routes=(BOOSTER, slow), differences=(better,),
        excluded=(Skip("mlp", "its fastest model takes 31 ms a row, and max_latency_ms=10 was asked for"),),
    )  # fmt: skip
    assert why(limited) == (
        "Classical models were used although the best of the networks has 20 % less error: none of them is within the "
        "limits (the least are 31 ms a row and 0.4 MB, allowed are 10 ms)."
    )
    assert lines(limited)[-1] == (
        "Over a limit: mlp (its fastest model takes 31 ms a row, and max_latency_ms=10 was asked for)."
    )
    assert why(replace(limited, routes=(BOOSTER, NETWORK))).endswith("that one takes 4 ms a row instead of 1.5 ms.")


def test_a_regret_that_was_measured_is_told_with_its_interval() -> None:
    """In units of the metric where it is an error itself."""
    regret = replace(NO_REGRET, value=0.05, low=0.01, high=0.09, gain=-0.05, error=2.1, against="neural")
    assert lines(replace(NEURAL, regret=regret))[2] == (
        "Measured regret: 0.05 of rmse, 2.4 % of its own. By so much is what is returned behind the best route alone, "
        "networks (95 % interval 0.01 to 0.09)."
    )


def test_ten_times_the_rows_would_change_it_or_would_not() -> None:
    """What learning curves say of both routes, with how sure that is."""
    learns = {"classical": Curve(rows=Change(-0.05, 0.01)), "neural": Curve(rows=Change(-0.3, 0.05))}
    turned = replace(CLASSICAL, turns=deciding.turns("classical", (AHEAD,), learns))
    assert lines(turned)[3] == "With 10x the rows networks would probably win: 6.5 % less error, 83 % sure."
    stays = {"classical": Curve(rows=Change(-0.3, 0.05)), "neural": Curve(rows=Change(-0.3, 0.05))}
    assert lines(replace(CLASSICAL, turns=deciding.turns("classical", (AHEAD,), stays)))[3] == (
        "With 10x the rows classical models would probably still be ahead, 98 % sure."
    )
    assert deciding.turns("classical", (AHEAD,), {}) == ()


def test_what_all_seconds_would_have_done_follows_the_curve() -> None:
    """A tenth of the seconds is a whole step of the curve, all of them none, and without a curve nothing is said."""
    tenth, rest = replace(NETWORK, cpu_s=10.0), replace(BOOSTER, cpu_s=90.0)
    curves = {"neural": Curve(seconds=Change(-0.2, 0.1)), "classical": Curve(seconds=Change(-0.1, 0.1))}
    found = deciding.with_all_seconds((tenth, rest), curves)
    assert found["neural"].mean == pytest.approx(-0.2)
    assert -0.01 < found["classical"].mean < 0
    assert deciding.with_all_seconds((tenth, rest), {}) == {}
    assert deciding.with_all_seconds((rest,), curves) == {}


def test_what_was_thought_before_and_what_is_thought_after() -> None:
    """Prior and measurement in one line; what was measured weighs by its error."""
    after = deciding.gain_after(Gain(mean=0.0, sd=0.3, source="rules"), "classical", (AHEAD,))
    assert after is not None
    assert after.win < 0.05
    told = lines(replace(CLASSICAL, win_before=0.5, win_after=after.win))
    assert told[3] == "That networks are better was thought 50 % likely before, and is 1 % likely by what was measured."
    assert deciding.gain_after(None, "hybrid", (AHEAD,)) is None


def test_a_score_that_was_asked_for_and_missed_is_told_plainly() -> None:
    """Nothing to deploy; a score that is met is one line, too."""
    missed = replace(CLASSICAL, goal=Goal(asked=0.95, promised=0.8944, is_met=False))
    assert lines(missed)[-1] == (
        "No model is worth using by what was asked for: roc_auc 0.8944 is promised, 0.95 was the least. Nothing should "
        "be deployed."
    )
    assert lines(replace(missed, goal=Goal(asked=0.8, promised=0.8944, is_met=True)))[-1] == (
        "The score that was asked for, 0.8, is met: roc_auc 0.8944 is promised."
    )
    sure = Goal(asked=0.8, promised=0.8944, is_met=True, low=0.87, high=0.91)
    assert lines(replace(missed, goal=sure))[-1].endswith(" is met: roc_auc 0.8944 (0.87 to 0.91) is promised.")
    for goal in (replace(sure, low=0.79), replace(sure, asked=0.9, higher_is_better=False)):
        assert lines(replace(missed, goal=goal))[-1].endswith(
            " is promised. New rows may miss it by chance: the interval reaches beyond it."
        )
    assert lines(replace(missed, goal=replace(sure, asked=0.92, higher_is_better=False)))[-1].endswith("is promised.")


def test_an_existing_model_that_has_flattened_sends_the_reader_to_the_features() -> None:
    """With what the audit found; one that is beaten is told by how much."""
    found = deciding.against_number(
        0.89, (0.894, 0.87, 0.91), higher_is_better=True, findings=("column 'id' numbers the rows",)
    )
    assert lines(replace(CLASSICAL, existing=found))[-1] == (
        "The score that was given: roc_auc 0.89 (as it was given: on which rows is not known). Nothing here is clearly "
        "better (95 % interval −0.02 to 0.02): it has flattened. Look at the features before more models or a network. "
        "The audit found: column 'id' numbers the rows."
    )
    beaten = deciding.against_number(4.0, (2.1, 1.9, 2.3), higher_is_better=False, findings=())
    assert lines(replace(NEURAL, existing=beaten))[-1].endswith(
        "This run's model is better by 1.9 (95 % interval 1.7 to 2.1)."
    )
    seen = replace(found, name="the model in 'old'", how="on the rows that this run held out", is_fair=False)
    assert lines(replace(CLASSICAL, existing=seen))[-1] == (
        "The model in 'old': roc_auc 0.89 (on the rows that this run held out). This run's model does not look better "
        "(95 % interval −0.02 to 0.02), but such rows cannot tell: give test=."
    )
    unknown = Existing(name="the model in 'old'", score=None, why_not="it predicts another target, 'plan'")
    assert lines(replace(NEURAL, existing=unknown))[-1] == (
        "The model in 'old': no score (it predicts another target, 'plan')."
    )


def test_a_year_of_daily_training_has_a_price() -> None:
    """Seconds and money of it, of both routes, and the tie that it tipped."""
    daily = deciding.retraining(86_400.0, 9.0, 0.00002, "USD", NETWORK)
    assert lines(replace(CLASSICAL, retraining=replace(daily, tipped="mlp #7")))[-1] == (
        "Trained anew every day, 365 times a year, the model takes 54 min 45 s of CPU and 0.066 USD a year; the best "
        "of another route would take 3 h 02 min. A tie with mlp #7 went to the one that is cheaper to train."
    )
    weekly = deciding.retraining(7 * 86_400.0, 9.0, 0.0, "USD", None)
    assert lines(replace(CLASSICAL, retraining=weekly))[-1] == (
        "Trained anew every 7 days, 52 times a year, the model takes 7 min 49 s of CPU a year."
    )


def test_without_a_finished_model_nothing_is_claimed() -> None:
    """Only the constant is returned."""
    assert lines(replace(CLASSICAL, members=(), differences=(), regret=None)) == (
        "No model was finished, so nothing can be said of the routes; what is returned knows no column.",
    )


def test_on_tiny_data_the_verdict_says_what_could_not_be_seen() -> None:
    """Sixty rows show only large differences."""
    tiny = replace(TIED, low=-0.05, high=0.052, rows=60)
    told = lines(replace(CLASSICAL, rows=60, differences=(tiny,), took_cheap=True))
    assert "60 rows; a difference below 50 % would not show on them" in told[1]


def test_a_route_that_was_only_probed_on_a_part_of_the_rows_is_told_with_that_part() -> None:
    """It is compared, but not as if it had learned from all."""
    probed = replace(AHEAD, folds=1, rows=400, share=1 / 9)
    assert (
        "1 common fold of 5, 400 rows; it learned from 11 % of the rows only)"
        in lines(replace(CLASSICAL, differences=(probed,)))[1]
    )


def test_explanations_that_are_missing_are_told_where_they_were_required() -> None:
    """No silent promise."""
    assert lines(replace(CLASSICAL, unexplained="no time was left to shuffle columns"))[-1] == (
        "Explanations were required, but no time was left to shuffle columns."
    )


def test_a_route_that_did_not_finish_is_priced_as_if_it_had() -> None:
    """One fold of five would seem cheap; a model is used with all of them."""
    one = look(1, "mlp", 1.0, 0.2)
    whole = deciding.shown("neural", [one], one, "", "", goal=5)
    assert (whole.row_ms, whole.size_mb) == (5000.0, 5.0)
    assert deciding.shown("neural", [one], one, "", "").row_ms == 1000.0
    assert deciding.shown("neural", [one], None, "", "too slow").row_ms is None


def look(number: int, family: str, share: float, error: float) -> Trial:
    """A trial of one fold on a share of the rows."""
    fold = Fold(fold=0, predictions=np.empty(0), error=error, is_cut=False, fit_s=1, batch_s=1, row_s=1, size_mb=1)
    plan = Plan(number=number, family=family, params={}, seed=0, because="", features={"share": share})
    return Trial(plan=plan, status=TrialStatus.DONE, folds={0: fold})


def test_only_a_tie_with_dearer_routes_is_called_cheap() -> None:
    """The chosen one must take less time for a row than every other, and no difference may be real."""
    assert deciding.took_cheap("classical", (BOOSTER, NETWORK), (TIED,))
    assert not deciding.took_cheap("classical", (BOOSTER, NETWORK), (AHEAD,))
    assert not deciding.took_cheap("classical", (BOOSTER, replace(NETWORK, row_ms=1.0)), (TIED,))
    assert not deciding.took_cheap("both", (BOOSTER, NETWORK), (TIED,))
    assert not deciding.took_cheap("classical", (BOOSTER,), ())


def test_a_better_route_that_is_quicker_too_is_told_why_it_was_not_taken() -> None:
    """Not by its time for a row, which is no reason then."""
    better = replace(AHEAD, their_error=0.08, low=-0.03, high=-0.01, folds=3, of=5)
    quick = replace(CLASSICAL, routes=(BOOSTER, replace(NETWORK, row_ms=0.3)), differences=(better,))
    assert why(quick).endswith("that one finished 3 of 5 folds only, and models compete on all of them.")
    whole = replace(quick, differences=(replace(better, folds=5),))
    assert why(whole).endswith("models competed on other rows than those that both saw.")


def test_scores_of_a_users_function_are_told_as_it_gives_them() -> None:
    """A profit of at most 5,000 that lacks 300 of it is 4,700."""
    theirs = replace(AHEAD, our_error=300.0, their_error=340.0, low=20.0, high=60.0)
    told = lines(replace(CLASSICAL, metric="profit", perfect=5_000.0, differences=(theirs,)))
    assert any("profit 4,660 against 4,700" in line for line in told), told


def test_endless_errors_say_nothing_of_the_routes() -> None:
    """A user's function may fail on the rows of one of them."""
    for ours, theirs in ((math.inf, 0.3), (0.3, math.inf), (math.inf, math.inf)):
        broken = replace(AHEAD, our_error=ours, their_error=theirs, low=-math.inf, high=math.inf)
        before = Gain(mean=0.2, sd=0.3, source="rules")
        after = deciding.gain_after(before, "classical", (broken,))
        assert after is None or after == before
        told = deciding.turns("classical", (broken,), {})
        assert told == ()


def test_a_gain_read_off_shares_is_no_chance_to_argue_with() -> None:
    """Of sounds and pictures only what was measured is told: it may not outvote a difference that is real."""
    ahead = replace(AHEAD, our_error=0.014, their_error=0.032, low=0.002, high=0.033)
    shares, rules = (Gain(mean=-0.6, sd=0.4, source=source) for source in (OF_SHARES, "rules"))
    alone, argued = (deciding.gain_after(one, "classical", (ahead,)) for one in (shares, rules))
    assert alone is not None
    assert argued is not None
    assert alone.win < 0.1 < 0.4 < argued.win
