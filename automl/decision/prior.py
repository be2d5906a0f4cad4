"""Which families take part, in which order, and how the search seconds are split between the routes.

This is the prior. Each rule that fires is recorded with its values; what the trials then measured stands beside it in
the report. A route that lost keeps a share, so that every run ends with a measured regret.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import search_spaces
from automl.decision import wishes
from automl.decision.expect import Leaning, Setting, expect
from automl.decision.transfer import NO_WEIGHTS, Transfer
from automl.errors import OptionError
from automl.messages import near
from automl.modalities import mixture
from automl.modalities.mixture import Prior
from automl.options import AUTO, Options
from automl.records import Profile
from automl.records.choice import Decision, Rule, Skip
from search_spaces.spec import BASELINE, TABLE, Family

WITH_WEIGHTS = (
    "weights='...' names a run of automl, the folder of a transformers checkpoint or hub:NAME "
    "(pip install 'automl-frontier[pretrained]')"
)
TRANSFER_SHARE = 0.5  # for networks, where one trained before describes the files to classical models as well


def route(
    profile: Profile, options: Options, gpus: int = 0, transfer: Transfer = NO_WEIGHTS, core_s: float | None = None
) -> Decision:
    """The split of the budget before anything is tried; `transfer`: what became of weights trained before.

    `core_s`: seconds of all workers together, None where they are not counted.
    """
    _check_names(options)
    if options.route == "hybrid" and not transfer.encoders:
        told = f"got {profile.modality}. Use auto, classical or neural"
        if profile.decoded:
            told = f"but {transfer.told}. {transfer.advice or WITH_WEIGHTS}"
        raise OptionError(f"route='hybrid' is for images, sounds and texts behind a network trained before, {told}.")
    skipped: list[Skip] = []
    able: list[Family] = []
    known = mixture.prior(profile, gpus)
    for family in _in_order(known.first_looks if transfer.leads else _doubted(known.first_looks)):
        reason = _why_not(family, profile, options, known) or _why_not_on(family, profile, options, transfer)
        reason = reason or wishes.why_not_explained(family, profile, options)
        if reason:
            skipped.append(Skip(family.name, reason))
        else:
            able.append(family)
    if not able:
        reasons = "; ".join(f"{skip.family}: {skip.because}" for skip in skipped)
        raise OptionError(f"no family of models is left to try ({reasons}). Loosen route, families or exclude.")
    expected = expect(profile, known, Setting(options, gpus, core_s))
    share, rules = _neural_share(expected, options)
    could = any(family.goes_on and family.reads & set(profile.decoded) for family in search_spaces.all_families())
    if could or transfer.encoders:
        is_shared = bool(transfer.encoders) and transfer.leads and options.route != "neural"
        share = min(share, TRANSFER_SHARE) if is_shared else share
        rules = (*rules, _transferred(transfer, options))
    routes = {family.route for family in able}
    if routes == {"neural"}:
        share = 1.0
    elif "neural" not in routes:
        share = 0.0
    return Decision(
        shares={"classical": 1.0 - share, "neural": share},
        families=tuple(family.name for family in able),
        rules=(*rules, *wishes.rules(options, profile)),
        skipped=tuple(skipped),
        gain=expected.gain if len(routes) == 2 else None,
    )


def _transferred(transfer: Transfer, options: Options) -> Rule:
    """The third route, taken or not."""
    if not transfer.encoders:
        hint = transfer.advice or WITH_WEIGHTS
        if options.weights not in (None, AUTO):
            hint = "images and sounds are described without them"
        return Rule("transfer", transfer.told, f"no transfer was tried; {hint}")
    if options.route == "classical":
        return Rule("transfer", transfer.told, "classical models read these; nothing is trained further")
    if options.route == "neural":
        return Rule("transfer", transfer.told, "it is trained further, beside networks that begin anew")
    if options.families and all(search_spaces.get(name).goes_on for name in options.families):
        return Rule("transfer", transfer.told, "it is trained further, and nothing else was asked for")
    if not transfer.leads:
        return Rule("transfer", transfer.told, "classical models read these too; networks that begin anew come first")
    return Rule(
        "transfer", transfer.told, f"classical models read these; trained further it has part of {TRANSFER_SHARE:.0%}"
    )


def _neural_share(expected: Leaning, options: Options) -> tuple[float, tuple[Rule, ...]]:
    if options.route == "auto":
        return expected.share, expected.rules
    rule = Rule("asked", f"route={options.route!r} was given", f"only {options.route} models take part")
    return {"neural": 1.0, "hybrid": TRANSFER_SHARE}.get(options.route, 0.0), (rule,)


def _doubted(first: Sequence[str]) -> list[str]:
    """The same order, but those that go on from weights stand last: our own numbers know more of such data."""
    known = [name for name in first if name in search_spaces.names()]
    return sorted(known, key=lambda name: search_spaces.get(name).goes_on)


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
    if not family.goes_on or not profile.decoded:
        return ""
    if not transfer.encoders:
        return f"{transfer.told}: {transfer.advice}" if transfer.advice else transfer.told
    return "" if family.name in options.families else transfer.why_not_tuned  # a guess: who asks for it has it tried


def _parts(profile: Profile) -> int:
    """The decoded columns, those of a kind that are read as one counted once, and a table's own together."""
    others = [family for family in search_spaces.all_families() if family.reads_all and not family.fuses]
    read_as_one = {kind for family in others for kind in family.reads - TABLE}
    decoded = [column.kind for column in profile.columns if column.is_decoded]
    parts = [kind for kind in decoded if kind not in read_as_one] + sorted(read_as_one & set(decoded))
    return len(parts) + (len(profile.used) > len(decoded))


def _can_read(family: Family, profile: Profile, known: Prior) -> bool:
    """A decoded column, or numbers; where networks read blocks themselves, none reads what describes these."""
    if (family.reads - TABLE) & set(profile.decoded):
        return True
    return family.reads == TABLE and (family.route == "classical" or not known.is_coursed)


def _why_not(family: Family, profile: Profile, options: Options, known: Prior) -> str:
    """Why a family cannot or may not take part; empty when it does."""
    needs, columns = family.needs, len(profile.used)
    if options.families and family.name not in options.families:
        return "not among the families asked for"
    if family.name in known.asked_for and family.name not in options.families:
        return f"on such data only when it is asked for, families=({family.name!r},)"
    if family.name in options.exclude:
        return "excluded by the user"
    if options.route in ("classical", "neural") and family.route != options.route:
        return f"route={options.route!r} was asked for"
    if options.route == "hybrid" and family.reads != TABLE and not family.goes_on:
        return "route='hybrid' was asked for, and this begins from nothing"
    if options.route == "hybrid" and family.route == "neural" and family.reads == TABLE:
        return "reads table, not " + profile.modality
    if family.fuses and (parts := _parts(profile)) < 2:
        return f"joins the parts of a table, its own columns and each decoded one, and here is {parts}"
    if not _can_read(family, profile, known):
        return f"reads {' and '.join(sorted(family.reads))}, not {profile.modality}"
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
