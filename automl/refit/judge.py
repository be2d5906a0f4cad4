"""The verdict on the choice between routes, from what the end of a run left behind.

It takes a small part of the budget: with less time the regret is measured on fewer redrawn rows, never left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from automl.decision import verdict as deciding
from automl.decision.probes import untried
from automl.ensemble import arms
from automl.ensemble.frontier import Limits
from automl.options import Options
from automl.records import Audit, Candidate, Trial
from automl.records.choice import Decision, Skip
from automl.records.verdict import Curve, Difference, Goal, Retraining, RouteShown, Verdict
from automl.refit import existing
from automl.refit.finish import FinishInputs, Selection, limits
from automl.runtime.clock import WRITTEN_S
from automl.runtime.workplace import load_rates
from search_spaces.spec import BASELINE

LATE_DOUBT = 0.25  # of what first looks leave open is open at the end (benchmarks/LOG.md, 2026-11-29, "later")
JUDGE_SHARE, JUDGE_S = 0.02, (0.3, 5.0)  # of the budget, and its bounds: what the verdict may take


@dataclass(frozen=True, kw_only=True)
class JudgeInputs:
    """What a verdict is made of."""

    finish: FinishInputs
    end: Selection
    decision: Decision
    options: Options
    audit: Audit = Audit()
    curves: Mapping[str, Curve] = field(default_factory=dict)  # of the routes whose curves were extrapolated


def judge(inputs: JudgeInputs) -> Verdict:
    """Which route was taken, the best of every other one beside it, and what the choice cost."""
    finish, chosen = inputs.finish, inputs.end.chosen
    has_encoder = any(block.encoder is not None for block in finish.ready.shared.raw.blocks.values())
    families = deciding.families_of(has_encoder=has_encoder)
    until = _until(finish)

    def route_of(trial: Trial) -> str:
        return families[trial.plan.family]

    members = [t for t in finish.models if t.plan.number in chosen.weights and t.plan.family != BASELINE]
    mixed = tuple(route for route in dict.fromkeys(families.values()) if route in map(route_of, members))
    route = deciding.route_of_blend(mixed)
    lead, differences, best = _compare(inputs, route_of, mixed, until)
    routes = tuple(
        _shown(name, inputs, families, best.get(name)) for name in sorted(set(families.values()) | set(mixed))
        if name in best or name == lead or any(families[f] == name for f in families)
    )  # fmt: skip
    had = deciding.with_all_seconds(routes, inputs.curves)
    asked = limits(inputs.options)
    regret = arms.regret(chosen, finish.comparison, route_of, asked, had, until) if members else None
    before = inputs.decision.gain
    after = deciding.gain_after(before, lead, differences, LATE_DOUBT * untried(finish.trials))
    return Verdict(
        route=route, model=chosen.name, members=mixed, metric=finish.ready.metric.name,
        higher_is_better=finish.ready.metric.higher_is_better, perfect=finish.ready.metric.to_score(0.0),
        rows=finish.profile.rows, routes=routes,
        differences=differences, regret=regret, took_cheap=deciding.took_cheap(route, routes, differences),
        turns=deciding.turns(lead, differences, inputs.curves),
        win_before=before.win if before is not None and before.is_chance else None,
        win_after=None if after is None else after.win,
        excluded=_excluded(inputs), retraining=_retraining(inputs, lead, routes),
        existing=existing.weigh(finish, inputs.end, inputs.options, inputs.audit), goal=_goal(inputs.options, chosen),
    )  # fmt: skip


def _until(finish: FinishInputs) -> float:
    """The last moment for what can be cut short; infinite where trials are counted, for such runs repeat."""
    limit_s = finish.context.clock.limit_s
    if limit_s is None or not finish.context.clock.is_timed:
        return math.inf
    low, high = JUDGE_S
    return min(
        finish.context.clock.until - WRITTEN_S - finish.context.clock.explain_s,
        time.monotonic() + min(max(JUDGE_SHARE * limit_s, low), high),
    )


def _compare(
    inputs: JudgeInputs, route_of: arms.RouteOf, mixed: tuple[str, ...], until: float
) -> tuple[str, tuple[Difference, ...], dict[str, Trial]]:
    """The route that leads, what each other one is behind it, and the best trial of each; competitors come first."""
    finish = inputs.finish
    rivals = arms.by_route(finish.comparison.rivals, route_of)
    for own in rivals.values():
        own.sort(key=finish.comparison.error)
    every = arms.by_route(finish.trials, route_of)
    competing = {name: [*rivals.get(name, []), *(t for t in own if t not in rivals.get(name, []))]
                 for name, own in every.items()}  # fmt: skip
    able = [name for name in competing if name in mixed] or list(competing)
    if not able:
        return next(iter(mixed), deciding.CLASSICAL), (), {}
    lead = min(able, key=lambda name: _error(competing[name][0], name in rivals, finish))
    best = {lead: competing[lead][0]}
    found = []
    for name in sorted(set(competing) - {lead}):
        theirs = rivals.get(name, [])[:1] or competing[name]
        both = arms.pair(competing[lead], theirs)
        if both is not None:
            best[name] = both[1]
            found.append(arms.differ(name, both, finish.ready, until))
    return lead, tuple(found), best


def _error(trial: Trial, is_rival: bool, finish: FinishInputs) -> tuple[bool, float]:
    return not is_rival, finish.comparison.error(trial) if is_rival else trial.error


def _shown(name: str, inputs: JudgeInputs, families: Mapping[str, str], best: Trial | None) -> RouteShown:
    """One route's trials, why it could not win, or why it cannot be compared."""
    mine = [t for t in inputs.finish.trials if t.plan.family != BASELINE and families[t.plan.family] == name]
    asked = limits(inputs.options)
    above = ""
    done = [next(iter(t.folds.values())) for t in mine if t.folds]
    if done and not any(1e3 * f.row_s <= asked.row_ms and f.size_mb <= asked.size_mb for f in done):
        seen = f"{1e3 * min(f.row_s for f in done):.3g} ms a row and {min(f.size_mb for f in done):.3g} MB"
        above = f"the least are {seen}, allowed are {_allowed(asked)}"
    why_not = ""
    if best is None:
        why_not = deciding.why_not_compared(name, mine, inputs.decision, families)
        if any(t.folds for t in mine):
            why_not = "it finished no fold that the chosen one did"
    return deciding.shown(name, mine, best, above, why_not, inputs.finish.ready.fold_plan.goal)


def _allowed(asked: Limits) -> str:
    """The limits that there are."""
    told = [f"{asked.row_ms:g} ms"] if math.isfinite(asked.row_ms) else []
    return " and ".join([*told, *([f"{asked.size_mb:g} MB"] if math.isfinite(asked.size_mb) else [])])


def _excluded(inputs: JudgeInputs) -> tuple[Skip, ...]:
    """The families that a limit or a lack of memory kept out, as it turned out."""
    options, asked = inputs.options, limits(inputs.options)
    families: dict[str, list[Trial]] = {}
    for trial in inputs.finish.trials:
        if trial.plan.family != BASELINE:
            families.setdefault(trial.plan.family, []).append(trial)
    names = tuple(
        f"{name}={value:g} was asked for" if getattr(options, name) else f"deploy={options.deploy!r} allows {value:g}"
        for name, value in (("max_latency_ms", asked.row_ms), ("max_model_mb", asked.size_mb))
    )
    return deciding.by_limits(families, (asked.row_ms, asked.size_mb), (names[0], names[1]))


def _retraining(inputs: JudgeInputs, lead: str, routes: Sequence[RouteShown]) -> Retraining | None:
    """What a year of it takes, beside the best of the other routes."""
    every_s = inputs.options.retrain_s
    if every_s is None:
        return None
    context = inputs.finish.context
    money_s = context.price(context.pool.nodes()).money / max(1, context.pool.slots)
    other = next((one for one in routes if one.route != lead and one.best), None)
    currency = load_rates(inputs.options.rates).currency
    found = deciding.retraining(every_s, inputs.end.chosen.fit_s, money_s, currency, other)
    return replace(found, tipped=inputs.end.tipped)


def _goal(options: Options, chosen: Candidate) -> Goal | None:
    if options.min_score is None:
        return None
    score = chosen.score
    is_met = score.value >= options.min_score if score.higher_is_better else score.value <= options.min_score
    return Goal(
        asked=options.min_score, promised=score.value, is_met=is_met, low=score.low, high=score.high,
        higher_is_better=score.higher_is_better,
    )  # fmt: skip
