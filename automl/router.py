"""Which families take part, in which order, and how the search seconds are split between the routes.

This is the prior. Each rule that fires is recorded with its values; what the trials then measured stands beside it in
the report. A route that lost keeps a share, so that every run ends with a measured regret.
"""

from __future__ import annotations

import importlib.util

import search_spaces
from automl.errors import OptionError
from automl.options import Options, near
from automl.records import Decision, Profile, Rule, Skip
from search_spaces.spec import Family

BASELINE = "constant"  # always runs, never chosen by the search
# The order of the first looks: strong and cheap first, then what adds most to an ensemble of those before it.
FIRST_LOOKS = ("lightgbm", "linear", "xgboost", "catboost", "mlp", "tabm", "extra_trees", "forest", "neighbors")
MANY_ROWS = 100_000
FEW_ROWS = 500


def route(profile: Profile, options: Options, gpus: int = 0) -> Decision:
    """The split of the budget before anything is tried."""
    _check_names(options)
    if options.route == "hybrid":
        raise OptionError(
            "route='hybrid' is for images, sounds and texts behind a network, got a table. "
            "Use auto, classical or neural."
        )
    skipped: list[Skip] = []
    able: list[Family] = []
    for family in _in_order():
        reason = _why_not(family, profile, options)
        if reason:
            skipped.append(Skip(family.name, reason))
        else:
            able.append(family)
    if not able:
        reasons = "; ".join(f"{skip.family}: {skip.because}" for skip in skipped)
        raise OptionError(f"no family of models is left to try ({reasons}). Loosen route, families or exclude.")
    share, rules = _neural_share(profile, options, gpus)
    routes = {family.route for family in able}
    if routes == {"neural"}:
        share = 1.0
    elif "neural" not in routes:
        share = 0.0
    return Decision(
        shares={"classical": 1.0 - share, "neural": share},
        families=tuple(family.name for family in able),
        rules=rules,
        skipped=tuple(skipped),
    )


def _neural_share(profile: Profile, options: Options, gpus: int) -> tuple[float, tuple[Rule, ...]]:
    rules = []
    if options.route != "auto":
        rules.append(Rule("asked", f"route={options.route!r} was given", f"only {options.route} models take part"))
        return (1.0 if options.route == "neural" else 0.0), tuple(rules)
    if profile.rows < FEW_ROWS:
        share = 0.10
        rules.append(Rule("few rows", f"{profile.rows:,} rows, below {FEW_ROWS}", "classical first; neural 10 %"))
    elif profile.rows < MANY_ROWS:
        share = 0.25
        because = f"a table of {profile.rows:,} rows, below {MANY_ROWS:,}"
        rules.append(Rule("table", because, "classical first; neural gets a look, then at most 25 % unless it wins"))
    else:
        share = 0.15
        because = f"a table of {profile.rows:,} rows, {MANY_ROWS:,} or more"
        rules.append(Rule("large table", because, "classical first; neural joins with at most 15 %"))
    if gpus:
        share = min(0.5, 2 * share)
        rules.append(
            Rule("gpu", f"{gpus} GPU{'s' if gpus > 1 else ''} at hand", f"neural share doubled to {share:.0%}")
        )
    return share, tuple(rules)


def _in_order() -> list[Family]:
    names = [name for name in FIRST_LOOKS if name in search_spaces.names()]
    names += [name for name in search_spaces.names() if name not in names and name != BASELINE]
    return [search_spaces.get(name) for name in names]


def _check_names(options: Options) -> None:
    known = [name for name in search_spaces.names() if name != BASELINE]
    for option in ("families", "exclude"):
        for name in getattr(options, option):
            if name not in known:
                raise OptionError(
                    f"{option} names an unknown family {name!r}.{near(name, known)} Known: {', '.join(known)}."
                )


def _why_not(family: Family, profile: Profile, options: Options) -> str:
    """Why a family cannot or may not take part; empty when it does."""
    needs, columns = family.needs, len(profile.used)
    if options.families and family.name not in options.families:
        return "not among the families asked for"
    if family.name in options.exclude:
        return "excluded by the user"
    if options.route in ("classical", "neural") and family.route != options.route:
        return f"route={options.route!r} was asked for"
    if family.eats != profile.modality:
        return f"reads {family.eats}, not {profile.modality}"
    if profile.task not in needs.tasks:
        return f"does not do {profile.task}"
    if not needs.rows[0] <= profile.rows <= needs.rows[1]:
        return f"made for {needs.rows[0]:,} to {needs.rows[1]:,} rows, got {profile.rows:,}"
    if not needs.columns[0] <= columns <= needs.columns[1]:
        return f"made for at most {needs.columns[1]:,} columns, got {columns:,}"
    if len(profile.classes) > needs.classes:
        return f"made for at most {needs.classes:,} classes, got {len(profile.classes):,}"
    if needs.package and importlib.util.find_spec(needs.package) is None:
        hint = f": pip install 'automl-frontier[{needs.extra}]'" if needs.extra else ""
        return f"{needs.package} is not installed{hint}"
    return ""
