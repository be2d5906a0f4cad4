"""Options of a run as a stranger gives them: the same as everywhere, less what names places of its machine.

A data set to test on and a model to compare with are named by their ids here, and turned into places at last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.errors import OptionError
from automl.messages import near, shown
from automl.options import AUTO, NONE, Options, defaults

OURS = ("run_dir", "cluster", "workers", "rates", "verbose")  # the server's to say
OPEN_TO_ALL = tuple(name for name in defaults() if name not in OURS)
PACKAGE, HUB = "package:", "hub:"
DEPTH, ITEMS, LETTERS = 4, 1000, 1000
DATASET, MODEL = "dataset_", "model_"


def check(options: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Options that may be stored and run; refused where they cannot work or are not for strangers to give."""
    for name in options:
        if name in OURS:
            raise OptionError(f"{name} is the server's to say, not a request's. Leave it out.")
        if name not in OPEN_TO_ALL:
            hint = near(name, OPEN_TO_ALL)
            raise OptionError(f"unknown option {name!r}.{hint} Known options: {', '.join(OPEN_TO_ALL)}.")
    given = dict(options)
    _check_json(given)
    _check_weights(given.get("weights"), settings)
    _check_named(given, "test", DATASET, "a data set")
    if isinstance(given.get("baseline"), str) and not _is_number(given["baseline"]):
        _check_named(given, "baseline", MODEL, "a score, or a model")
    for name in ("metric", "weight", "class_weight"):
        _check_plain(name, given.get(name))
    plain = Options.of({name: value for name, value in given.items() if name not in ("test", "baseline")})
    check_budget(plain.budget.time, settings)
    return given


def check_budget(time_s: float | None, settings: Settings) -> None:
    """Refuse more than a run may have."""
    if time_s is not None and time_s > settings.most_budget_s:
        raise OptionError(f"a run may have {settings.most_budget} here, got {time_s:g} s. Give less, or ask the admin.")


def names_of(options: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The data set to test on and the model to compare with, by their ids, where there are some."""
    baseline = options.get("baseline")
    is_model = isinstance(baseline, str) and baseline.startswith(MODEL)
    return options.get("test"), str(baseline) if is_model else None


def _check_json(value: Any, depth: int = 0) -> None:
    """Refuse what JSON may hold and no option means: numbers that are none, letters that are half one, nests."""
    if depth > DEPTH:
        raise OptionError(f"options are nested more than {DEPTH} deep. Give plain values and lists.")
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"options hold {value!r}, which is no number. Leave it out.")
    if isinstance(value, str) and (len(value) > LETTERS or not _is_storable(value)):
        raise OptionError(f"options hold the text {value[:20]!a}, {len(value):,} letters, which cannot be meant.")
    if isinstance(value, Mapping | list):
        if len(value) > ITEMS:
            raise OptionError(f"options hold a list of {len(value):,}, at most {ITEMS:,} are taken.")
        for item in (*value, *value.values()) if isinstance(value, Mapping) else value:
            _check_json(item, depth + 1)


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _check_weights(value: Any, settings: Settings) -> None:
    if value is None or value in (AUTO, NONE):
        return
    if isinstance(value, str) and value.startswith(PACKAGE):
        return
    if isinstance(value, str) and value.startswith(HUB):
        if settings.downloads_weights:
            return
        raise Problem(403, f"weights={shown(value)} would be downloaded, which this server does not. Ask its admin.")
    raise OptionError(f"weights must be auto, none or package:NAME here, got {shown(value)}.")


def _check_named(given: Mapping[str, Any], name: str, start: str, what: str) -> None:
    value = given.get(name)
    if value is not None and not (isinstance(value, str) and value.startswith(start)):
        raise OptionError(f"{name} is {what} of this server, by its id, for instance {start}5f0c, got {shown(value)}.")


def _check_plain(name: str, value: Any) -> None:
    """Values that Python may hold and JSON may not mean."""
    allowed = (str, type(None), list, dict) if name == "class_weight" else (str, type(None))
    if not isinstance(value, allowed):
        raise OptionError(f"{name} must be a text here, got {shown(value)}. In Python it may be more.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
