"""What the user wishes of the model beside its score: each wish that changes something is a rule of the decision."""

from __future__ import annotations

from automl.decision.verdict import SHORT_CYCLE_S
from automl.modalities import mixture
from automl.options import DEPLOYED, Options
from automl.records import Profile
from automl.records.choice import Rule
from search_spaces.spec import Family


def rules(options: Options, profile: Profile) -> tuple[Rule, ...]:
    """The rules that this run's wishes make, each with the value that was given."""
    found = (_deployed(options), _limited(options), _explained(options, profile), _retrained(options), _asked(options),
             _existing(options))  # fmt: skip
    return tuple(rule for rule in found if rule is not None)


def why_not_explained(family: Family, profile: Profile, options: Options) -> str:
    """Why a family is left out where explanations are required: it reads a kind that nothing explains; empty if not."""
    if options.explain != "required":
        return ""
    dark = set(mixture.unexplained(profile.decoded))
    read = sorted(dark & set(family.reads)) or (sorted(dark) if family.route == "classical" else [])
    if not read:
        return ""
    return f"explain='required' was asked for, and what it makes of {' and '.join(read)} cannot be explained"


def _deployed(options: Options) -> Rule | None:
    ms, mb = DEPLOYED[options.deploy]
    told = [f"{ms:g} ms for a row on one CPU thread"] if ms is not None and options.max_latency_ms is None else []
    told += [f"{mb:g} MB"] if mb is not None and options.max_model_mb is None else []
    if ms is None:
        return None
    effect = f"no model over {' or '.join(told)} is returned" if told else "the limits that were given hold"
    return Rule("deploy", f"deploy={options.deploy!r} was given", effect)


def _limited(options: Options) -> Rule | None:
    given = [f"{name}={value:g}" for name in ("max_latency_ms", "max_model_mb")
             if (value := getattr(options, name)) is not None]  # fmt: skip
    if not given:
        return None
    was = "was" if len(given) == 1 else "were"
    return Rule("limits", f"{' and '.join(given)} {was} given", "nothing above is returned, however good it is")


def _explained(options: Options, profile: Profile) -> Rule | None:
    if options.explain != "required":
        return None
    of_columns = "what each column is worth, and how single answers come about"
    shown = "maps of what was looked at, or the weight of words" if profile.decoded else of_columns
    return Rule("explain", "explain='required' was given", f"time is kept for explanations; the report ships {shown}")


def _retrained(options: Options) -> Rule | None:
    if options.retrain_s is None:
        return None
    effect = "a year of it is priced in the verdict"
    if options.retrain_s <= SHORT_CYCLE_S:
        effect = f"{effect}; of models that cannot be told apart the cheapest to train is returned"
    return Rule("retraining", f"retrain_every={options.retrain_every!r} was given", effect)


def _asked(options: Options) -> Rule | None:
    if options.min_score is None:
        return None
    return Rule(
        "min_score", f"min_score={options.min_score:g} was given",
        "below it the verdict is that no model is worth using (exit code 3)",
    )  # fmt: skip


def _existing(options: Options) -> Rule | None:
    if options.baseline is None:
        return None
    return Rule(
        "baseline", f"baseline={options.baseline!r} was given",
        "it is compared with what is returned; where nothing is clearly better, features come before more models",
    )  # fmt: skip
