"""The verdict on the choice between routes, in words: the first line is for whoever pays, the others are the evidence.

Made once, at the end of a run, and kept with the numbers; the terminal and the page show the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from automl.records.verdict import (
    BOTH,
    TIMES,
    Difference,
    Existing,
    Goal,
    MeasuredRegret,
    Retraining,
    RouteShown,
    Turn,
    Verdict,
)
from automl.report.words import megabytes, milliseconds, number, seconds

PLURAL = {"classical": "classical models", "neural": "networks", "hybrid": "models behind a trained network"}
DAY_S = 86_400.0
MOST_EXCLUDED = 4  # told by name in a line
TOLD_WIN = 0.5  # a change that is less likely is told as one that would not help


def lines(verdict: Verdict) -> tuple[str, ...]:
    """Why this route, what the others showed, what the choice cost, and what would change it."""
    told = [why(verdict)]
    if verdict.differences:  # without one the first line has said why
        told += [_other(verdict, one) for one in verdict.routes if one.route != _lead(verdict)]
    told += [_regret(verdict, verdict.regret)] if verdict.regret else []
    told += [line for line in (_odds(verdict), _turns(verdict), _excluded(verdict)) if line]
    told += [_retraining(verdict.retraining)] if verdict.retraining else []
    told += [_existing(verdict, verdict.existing)] if verdict.existing else []
    told += [_goal(verdict, verdict.goal)] if verdict.goal else []
    told += [f"Explanations were required, but {verdict.unexplained}."] if verdict.unexplained else []
    return tuple(told)


def why(verdict: Verdict) -> str:
    """The route and its reason, in one sentence without a figure that needs explaining."""
    if not verdict.members:
        return "No model was finished, so nothing can be said of the routes; what is returned knows no column."
    ours, others = _named(verdict.route, verdict), verdict.differences
    if verdict.route == BOTH:
        return _why_both(verdict, ours)
    if not others:
        away = [one for one in verdict.routes if one.route != verdict.route and one.why_not]
        told = "; ".join(
            f"{PLURAL[one.route]} {'could not be compared' if one.trials else 'took no part'} ({one.why_not})"
            for one in away
        )
        return f"{_first(ours)} were used: {told or 'nothing else took part'}."
    real = [one for one in others if one.is_real]
    better = min((one for one in real if one.gap < 0), key=lambda one: one.gap, default=None)
    if better is not None:
        return f"{_first(ours)} were used although the best of the {_short(better.route)} {_less(better)}: " + _since(
            verdict, better
        )
    tied = [one.route for one in others if not one.is_real]
    if not tied:
        nearest = min(real, key=lambda one: one.gap)
        return (
            f"{_first(ours)} were used: their best {_less(nearest)} than the best of the {_short(nearest.route)}, "
            "more than chance explains."
        )
    if verdict.took_cheap:
        return (
            f"It does not matter here: {ours} and {_joined(tied)} cannot be told apart on this data. "
            f"The cheap ones were taken, {ours}."
        )
    return (
        f"{_first(ours)} were used, but it hardly matters: on this data {_joined(tied)} cannot be told apart from them."
    )


def _why_both(verdict: Verdict, ours: str) -> str:
    found = verdict.regret
    if found is None:
        return f"{_first(ours)} were used together."
    alone = f"the best route alone, {PLURAL[found.against]}"
    if found.gain_low > 0:
        less = percent(found.gain / found.error) if found.error > 0 else "more"
        return f"{_first(ours)} were used together: their blend has {less} less error than {alone}."
    return f"{_first(ours)} were used together, but it hardly matters: their blend cannot be told apart from {alone}."


def _since(verdict: Verdict, better: Difference) -> str:
    """Why a route that is better was not taken."""
    other = _route(verdict, better.route)
    if other is not None and other.above:
        return f"none of them is within the limits ({other.above})."
    mine = _route(verdict, verdict.route)
    takes = [one.row_ms if one and one.row_ms is not None else None for one in (other, mine)]
    if takes[0] is not None and takes[1] is not None and takes[0] > takes[1]:
        return f"that one takes {milliseconds(takes[0])} a row instead of {milliseconds(takes[1])}."
    if better.folds < better.of:
        return f"that one finished {better.folds} of {better.of} folds only, and models compete on all of them."
    return "models competed on other rows than those that both saw."


def _other(verdict: Verdict, one: RouteShown) -> str:
    """What another route showed, on how much, and what it took."""
    name = _first(PLURAL[one.route])
    if one.why_not:
        return f"{name}: not compared ({one.why_not})."
    found = next((d for d in verdict.differences if d.route == one.route), None)
    if found is None:
        return f"{name}: {number(one.trials)} tried in {seconds(one.cpu_s)} of CPU."
    scores = f"{verdict.metric} {_score(verdict, found.their_error)} against {_score(verdict, found.our_error)}"
    interval = f"95 % interval of the difference {_span(found.low, found.high)}"
    on = f"{_counted(found.folds, 'common fold')}{_partly(found)}, {_counted(found.rows, 'row')}"
    on += f"; it learned from {percent(found.share)} of the rows only" if found.share < 1 else ""
    chance = "" if found.is_real else f"; {_blur(found)}"
    return (
        f"{name}: their best, {found.theirs}, {_compared(found)} {found.ours} ({scores}; {interval}; {on}{chance}). "
        f"They took {seconds(one.cpu_s)} of CPU; that one takes {milliseconds(one.row_ms)} a row and "
        f"{megabytes(one.size_mb)}."
    )


def _compared(found: Difference) -> str:
    if not found.is_real:
        return "cannot be told apart from"
    return "is ahead of" if found.gap < 0 else "is behind"


def _partly(found: Difference) -> str:
    return f" of {found.of}" if found.folds < found.of else ""


def _blur(found: Difference) -> str:
    """How large a difference would have had to be to be seen."""
    worse = max(found.our_error, found.their_error)
    half = (found.high - found.low) / 2
    return (
        f"a difference below {percent(half / worse)} would not show on them"
        if worse > 0
        else "too few rows tell them apart"
    )


def _regret(verdict: Verdict, found: MeasuredRegret) -> str:
    unit = "error" if verdict.higher_is_better else verdict.metric
    against = f"{'the best route alone, ' if len(found.routes) > 1 else ''}{PLURAL[found.against]}"
    interval = f"95 % interval {_span(found.low, found.high)}"
    if found.value <= 0:
        return f"Measured regret: none. What is returned is not behind {against} ({interval} of {unit})."
    share = f", {percent(found.value / found.error)} of its own" if found.error > 0 else ""
    return (
        f"Measured regret: {number(found.value, 2)} of {unit}{share}. By so much is what is returned behind {against} "
        f"({interval})."
    )


def _odds(verdict: Verdict) -> str:
    """How likely it was and is that networks are better."""
    if verdict.win_after is None:
        return ""
    before = "" if verdict.win_before is None else f"was thought {_chance(verdict.win_before)} likely before, and "
    return f"That networks are better {before}is {_chance(verdict.win_after)} likely by what was measured."


def _chance(share: float) -> str:
    """A probability in whole percent, never quite nothing and never quite sure."""
    return f"{min(99, max(1, round(100 * share)))} %"


def _turns(verdict: Verdict) -> str:
    """What would change the verdict, and what would not."""
    told = [_turn(verdict, one) for one in verdict.turns]
    return " ".join(told)


def _turn(verdict: Verdict, one: Turn) -> str:
    if one.win is None or one.less is None:
        return f"Without {one.what} {PLURAL[one.route]} {'would win' if one.less else 'could be tried'}."
    name = PLURAL[one.route]
    if one.win <= TOLD_WIN:
        mine = PLURAL.get(_lead(verdict), "the chosen ones")
        return f"With {TIMES:.0f}x the {one.what} {mine} would probably still be ahead, {_chance(1 - one.win)} sure."
    less = f"{percent(max(one.less, 0.001))} less error, "
    return f"With {TIMES:.0f}x the {one.what} {name} would probably win: {less}{_chance(one.win)} sure."


def _excluded(verdict: Verdict) -> str:
    if not verdict.excluded:
        return ""
    told = [f"{skip.family} ({skip.because})" for skip in verdict.excluded[:MOST_EXCLUDED]]
    more = len(verdict.excluded) - MOST_EXCLUDED
    return f"Over a limit: {'; '.join(told)}{f'; and {more} more' if more > 0 else ''}."


def _retraining(found: Retraining) -> str:
    year_s = found.times * found.cpu_s
    money = f" and {number(found.times * found.money, 2)} {found.currency}" if found.money else ""
    told = (
        f"Trained anew every {_cycle(found.every_s)}, {number(round(found.times))} times a year, the model takes "
        f"{seconds(year_s)} of CPU{money} a year"
    )
    if found.other_cpu_s is not None:
        told += f"; the best of another route would take {seconds(found.times * found.other_cpu_s)}"
    tipped = f" A tie with {found.tipped} went to the one that is cheaper to train." if found.tipped else ""
    return f"{told}.{tipped}"


def _cycle(every_s: float) -> str:
    days = every_s / DAY_S
    return "day" if days == 1 else f"{number(days, 3)} days" if days > 1 else seconds(every_s)


def _existing(verdict: Verdict, found: Existing) -> str:
    name = _first(found.name)
    if found.score is None:
        return f"{name}: no score ({found.why_not})."
    told = f"{name}: {verdict.metric} {number(found.score)} ({found.how})"
    if found.gain is None or found.gain_low is None or found.gain_high is None:
        return f"{told}."
    interval = f"95 % interval {_span(found.gain_low, found.gain_high)}"
    if not found.is_flat:
        return f"{told}. This run's model is better by {number(found.gain, 2)} ({interval})."
    if not found.is_fair:
        return f"{told}. This run's model does not look better ({interval}), but such rows cannot tell: give test=."
    odd = "; ".join(found.findings)
    look = (
        f" The audit found: {odd}."
        if odd
        else " The audit found nothing odd, so new features have to come from outside."
    )
    return (
        f"{told}. Nothing here is clearly better ({interval}): it has flattened. Look at the features before more "
        f"models or a network.{look}"
    )


def _goal(verdict: Verdict, found: Goal) -> str:
    promised = f"{verdict.metric} {number(found.promised)}"
    if found.low is not None and found.high is not None:
        promised += f" ({number(found.low, 3)} to {number(found.high, 3)})"
    if found.is_met:
        told = f"The score that was asked for, {number(found.asked)}, is met: {promised} is promised."
        edge = found.low if found.higher_is_better else found.high
        if edge is None or (edge >= found.asked if found.higher_is_better else edge <= found.asked):
            return told
        return f"{told} New rows may miss it by chance: the interval reaches beyond it."
    return (
        f"No model is worth using by what was asked for: {promised} is promised, {number(found.asked)} was the least. "
        "Nothing should be deployed."
    )


def _lead(verdict: Verdict) -> str:
    """The route that others are compared with."""
    if verdict.route != BOTH:
        return verdict.route
    compared = {one.route for one in verdict.differences}
    return next((one.route for one in verdict.routes if one.best and one.route not in compared), verdict.route)


def _route(verdict: Verdict, name: str) -> RouteShown | None:
    return next((one for one in verdict.routes if one.route == name), None)


def _named(route: str, verdict: Verdict) -> str:
    return _joined(verdict.members) if route == BOTH else PLURAL[route]


def _joined(routes: Sequence[str]) -> str:
    return " and ".join(PLURAL[route] for route in routes)


def _short(route: str) -> str:
    return PLURAL[route]


def _less(found: Difference) -> str:
    return f"has {percent(found.less)} less error" if found.less else "has less error"


def _score(verdict: Verdict, error: float) -> str:
    perfect = float(verdict.higher_is_better) if verdict.perfect is None else verdict.perfect
    return number(perfect - error if verdict.higher_is_better else perfect + error)


def _span(low: float, high: float) -> str:
    return f"{number(low, 2)} to {number(high, 2)}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def percent(share: float) -> str:
    """A share with two digits: 0.43 %, 5 %, 17 %."""
    return f"{number(100 * share, 2) if share < 1 else number(round(100 * share))} %"


def _first(text: str) -> str:
    """With a capital, without touching the rest."""
    return text[:1].upper() + text[1:]
