"""Which families take part, in which order, and how the search seconds are split between the routes.

This is the prior. Each rule that fires is recorded with its values; what the trials then measured stands beside it in
the report. A route that lost keeps a share, so that every run ends with a measured regret.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import search_spaces
from automl.decision.transfer import NO_WEIGHTS, Transfer
from automl.errors import OptionError
from automl.messages import near
from automl.options import Options
from automl.records import Decision, Profile, Rule, Skip
from search_spaces.spec import Family

BASELINE = "constant"  # always runs, never chosen by the search
# The order of the first looks: strong and cheap first, then what adds most to an ensemble of those before it.
FIRST_LOOKS = ("lightgbm", "linear", "xgboost", "catboost", "mlp", "tabm", "extra_trees", "forest", "neighbors")
# The same for images and sounds: in the hundreds of numbers that describe them, a kernel or a line separates classes.
FIRST_LOOKS_OF_MEDIA = (
    "svm", "linear", "finetuned", "convnet", "soundnet", "extra_trees", "lightgbm", "xgboost", "neighbors",
)  # fmt: skip
WITH_WEIGHTS = (
    "weights='...' names a run of automl, the folder of a transformers checkpoint or its name on the hub "
    "(pip install 'automl-frontier[pretrained]')"
)
ASKED_FOR = ("svm",)  # on tables, where nobody has measured yet what it adds
MANY_ROWS = 100_000
FEW_ROWS = 500
TRANSFER_SHARE = 0.5  # for networks, where one trained before describes the files to classical models as well


def route(profile: Profile, options: Options, gpus: int = 0, transfer: Transfer = NO_WEIGHTS) -> Decision:
    """The split of the budget before anything is tried; `transfer`: what became of weights trained before."""
    _check_names(options)
    if options.route == "hybrid" and transfer.encoder is None:
        raise OptionError(
            f"route='hybrid' is for images and sounds behind a network trained before, got {profile.modality}. "
            "Use auto, classical or neural."
        )
    skipped: list[Skip] = []
    able: list[Family] = []
    for family in _in_order(FIRST_LOOKS if profile.modality == "table" else FIRST_LOOKS_OF_MEDIA):
        reason = _why_not(family, profile, options) or _why_not_on(family, profile, options, transfer)
        if reason:
            skipped.append(Skip(family.name, reason))
        else:
            able.append(family)
    if not able:
        reasons = "; ".join(f"{skip.family}: {skip.because}" for skip in skipped)
        raise OptionError(f"no family of models is left to try ({reasons}). Loosen route, families or exclude.")
    share, rules = _neural_share(profile, options, gpus)
    if profile.modality != "table":
        share, rules = (
            (TRANSFER_SHARE if transfer.encoder and options.route != "neural" else share),
            (
                *rules,
                _transferred(transfer, options),
            ),
        )
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


def _transferred(transfer: Transfer, options: Options) -> Rule:
    """The third route, taken or not."""
    if transfer.encoder is None:
        hint = WITH_WEIGHTS if options.weights is None else "images and sounds are described without them"
        return Rule("transfer", transfer.told, f"no transfer was tried; {hint}")
    if options.route == "neural":
        return Rule("transfer", transfer.told, "it is trained further, beside networks that begin anew")
    if options.families and {search_spaces.get(name).eats for name in options.families} == {"media"}:
        return Rule("transfer", transfer.told, "it is trained further, and nothing else was asked for")
    return Rule(
        "transfer", transfer.told, f"classical models read these; trained further it has part of {TRANSFER_SHARE:.0%}"
    )


def _neural_share(profile: Profile, options: Options, gpus: int) -> tuple[float, tuple[Rule, ...]]:
    rules = []
    if options.route != "auto":
        rules.append(Rule("asked", f"route={options.route!r} was given", f"only {options.route} models take part"))
        return {"neural": 1.0, "hybrid": TRANSFER_SHARE}.get(options.route, 0.0), tuple(rules)
    if profile.modality != "table":
        share = 0.6 if profile.rows < FEW_ROWS else 0.9
        because = f"{profile.rows:,} {profile.modality} files"
        rules.append(Rule("perception", because, f"networks see more than numbers tell: {share:.0%} for them"))
    elif profile.rows < FEW_ROWS:
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
    if gpus and profile.modality == "table":
        share = min(0.5, 2 * share)
        rules.append(
            Rule("gpu", f"{gpus} GPU{'s' if gpus > 1 else ''} at hand", f"neural share doubled to {share:.0%}")
        )
    return share, tuple(rules)


def _in_order(first: Sequence[str]) -> list[Family]:
    names = [name for name in first if name in search_spaces.names()]
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


def _why_not_on(family: Family, profile: Profile, options: Options, transfer: Transfer) -> str:
    """Why a family that goes on from a network trained before does not; empty for all others."""
    if family.eats != "media" or profile.modality == "table":
        return ""
    if transfer.encoder is None:
        return f"{transfer.told}: {WITH_WEIGHTS}" if transfer is NO_WEIGHTS else transfer.told
    return "" if family.name in options.families else transfer.why_not_tuned  # a guess: who asks for it has it tried


def _can_read(family: Family, profile: Profile) -> bool:
    """Its own modality; classical families also read what images and sounds are described by."""
    if family.eats == "media":
        return profile.modality in ("image", "audio")
    return family.eats == profile.modality or (family.eats == "table" and family.route == "classical")


def _why_not(family: Family, profile: Profile, options: Options) -> str:
    """Why a family cannot or may not take part; empty when it does."""
    needs, columns = family.needs, len(profile.used)
    if options.families and family.name not in options.families:
        return "not among the families asked for"
    if profile.modality == "table" and family.name in ASKED_FOR and family.name not in options.families:
        return f"on tables only when it is asked for, families=({family.name!r},)"
    if family.name in options.exclude:
        return "excluded by the user"
    if options.route in ("classical", "neural") and family.route != options.route:
        return f"route={options.route!r} was asked for"
    if options.route == "hybrid" and family.eats not in ("table", "media"):
        return "route='hybrid' was asked for, and this begins from nothing"
    if options.route == "hybrid" and family.route == "neural" and family.eats == "table":
        return "reads table, not " + profile.modality
    if not _can_read(family, profile):
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
