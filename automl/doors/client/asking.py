"""What goes to a server and comes back: options as JSON, ids, and what is told as JSON read as records again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from automl.errors import InputError, OptionError
from automl.messages import near, shown
from automl.options import Options
from automl.plain import as_json
from automl.records import Column, Profile
from automl.records.quote import Quote, Range, RouteQuote, Takes

OURS = ("run_dir", "cluster", "workers", "rates")  # the server's to say
NAME = "name"  # of the run over there
ELSEWHERE = ("test", "baseline")  # what names data and models: by their ids over there
SEEN = ("budget", "task", "metric", "time_column", "group_column", "weight", "route", "weights")  # of a profile


def options_of(target: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run as a server takes them; checked here first, before anything is uploaded."""
    known = [spec.name for spec in fields(Options) if spec.name not in (*OURS, "verbose")]
    for name in given:
        if name in OURS:
            raise OptionError(f"{name} is the server's to say. Leave it out.")
        if name not in (*known, NAME):
            raise OptionError(f"unknown option {name!r}.{near(name, known)} Known options: {', '.join(known)}.")
    plain = {name: value for name, value in given.items() if name not in (*ELSEWHERE, NAME)}
    options = Options.of({"target": target, **plain})
    if callable(options.metric):
        raise OptionError("a metric function cannot be sent to a server. Give the name of a metric, or fit here.")
    if "weight" in options.in_memory:
        raise OptionError("weights as values cannot be sent. Put them into a column of the data and give its name.")
    told = options.as_json()
    asked = {name: as_json(told[name]) for name in ("target", *plain) if told[name] is not None or name in plain}
    if given.get("test") is not None:
        asked["test"] = given["test"]
    if given.get("baseline") is not None:
        asked["baseline"] = _baseline(given["baseline"])
    return asked


def seen_with(target: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a server is asked to look at data with."""
    if not isinstance(target, str | None):
        raise OptionError(f"a server looks at one target at a time, got {shown(target)}. Give one column.")
    for name in given:
        if name not in SEEN:
            hint = near(name, SEEN)
            raise OptionError(f"a server looks at data without {shown(name)}.{hint} Known here: {', '.join(SEEN)}.")
    options = Options.of({"target": target, **given}).as_json()
    return {"target": target, **{name: options[name] for name in given}}


def _baseline(value: Any) -> Any:
    """What a run is compared with: a score, or a model over there."""
    found = getattr(getattr(value, "model", value), "id", value)
    is_fine = isinstance(found, int | float) and not isinstance(found, bool)
    if is_fine or (isinstance(found, str) and (found.startswith("model_") or _is_number(found))):
        return found
    raise OptionError(
        f"baseline is a score or a model on the server, by its id, for instance model_5f0c..., got {shown(found)}."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def checked(name: str, kind: str) -> str:
    """An id of that kind; whatever else would become part of an address is refused."""
    if re.fullmatch(rf"{kind}_[0-9A-Za-z]{{1,64}}", name):
        return name
    raise InputError(f"{shown(name)} is no id of a {kind} on a server. Give one, for instance {kind}_5f0c...")


def profile_of(seen: Mapping[str, Any]) -> Profile:
    """The profile in what a server tells of data; refused where no target was named, since the task hangs on it."""
    told, known = seen["profile"], {spec.name for spec in fields(Profile)} - {"columns"}
    if told.get("task") is None:
        raise InputError("which column to predict? Give target='...': what a server tells of data hangs on it.")
    columns = tuple(_column(one) for one in seen["columns"] if one["is_feature"])
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items() if name in known
    }
    return Profile(columns=columns, **plain)


def _column(told: Mapping[str, Any]) -> Column:
    own = {spec.name: told[spec.name] for spec in fields(Column) if spec.name in told}
    return Column(**{**own, "unique": told["distinct"], "examples": tuple(told["examples"])})


def quote_of(told: Mapping[str, Any]) -> Quote:
    """A quote as it was told."""
    routes = tuple(
        RouteQuote(
            route=one["route"], good=_takes(one["good"]), flattened=_takes(one["flattened"]),
            is_measured=one["is_measured"],
        )
        for one in told["routes"]
    )  # fmt: skip
    known = {spec.name for spec in fields(Quote)} - {"routes"}
    return Quote(routes=routes, **{name: value for name, value in told.items() if name in known})


def _takes(told: Mapping[str, Any]) -> Takes:
    return Takes(*(Range(**told[name]) for name in ("seconds", "money", "kwh")))
