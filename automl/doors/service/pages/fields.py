"""The options of a run as fields of a form, and what was typed into them as options again.

Every option that the API takes has its field, so a new one needs nothing here; groups only put alike ones together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from automl.doors.service.ground.problems import Problem
from automl.doors.service.pages.forms import SentForm
from automl.doors.service.shapes.accounts import OptionShape
from automl.messages import shown
from automl.options import Options

AT_THE_TOP = ("target", "budget")  # they have places of their own
OF_COLUMNS = ("time_column", "group_column", "weight")
GROUPS: Mapping[str, Sequence[str]] = {
    "What is asked": ("task", "metric", "positive", "quantiles", "min_score", "baseline"),
    "Of the data": ("test", "time_column", "group_column", "weight", "class_weight", "repeats"),
    "Of the models": ("route", "families", "exclude", "weights", "explain", "search_for"),
    "Where it will run": ("deploy", "prefer", "max_latency_ms", "max_model_mb", "give_up_percent", "retrain_every"),
}
REST = "Other"
NUMBERS = {"float": float, "float | None": float, "int": int, "int | None": int}
START = "o-"  # of the names of fields


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a form."""

    name: str
    help: str
    usual: str  # what holds when it is left alone
    choices: Sequence[tuple[str, str]] | None  # value and what is shown; None: it is typed
    hints: Sequence[str] = ()  # values that may be typed
    list: str = ""  # of names that a browser offers while one types
    value: str = ""


def grouped(
    options: Sequence[OptionShape], datasets: Sequence[tuple[str, str]], given: SentForm | None
) -> list[tuple[str, list[Field]]]:
    """All fields, group by group, holding what was typed; `datasets`: ids and names of those to test on."""
    found = {one.name: _field(one, datasets, given) for one in options if one.name not in AT_THE_TOP}
    placed = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, REST: [name for name in found if name not in placed]}
    rows = [(title, [found[name] for name in names if name in found]) for title, names in groups.items()]
    return [(title, group) for title, group in rows if group]


def options_of(sent: SentForm) -> dict[str, Any]:
    """The options that were filled in; Problem where a number is none."""
    types = {spec.name: NUMBERS.get(str(spec.type)) for spec in fields(Options)}
    given: dict[str, Any] = {}
    for field, values in sent.fields.items():
        name, text = field.removeprefix(START), values[0].strip()
        if not field.startswith(START) or not text:
            continue
        read = types.get(name)
        try:
            given[name] = text if read is None else read(text)
        except ValueError:
            raise Problem(422, f"{name} must be a number, got {shown(text)}.", kind="bad-input") from None
    return given


def _field(one: OptionShape, datasets: Sequence[tuple[str, str]], given: SentForm | None) -> Field:
    choices: list[tuple[str, str]] | None = None
    if one.choices:
        choices = [(choice, choice) for choice in one.choices]
    elif one.name == "test":
        choices = list(datasets)
    value = "" if given is None else given.text(START + one.name)
    offered = "columns" if one.name in OF_COLUMNS else "metrics" if one.name == "metric" else ""
    return Field(
        name=one.name, help=one.help, usual=_usual(one.default), choices=choices, hints=_hints(one.name), list=offered,
        value=value,
    )  # fmt: skip


def _usual(default: Any) -> str:
    """A default in words."""
    if default is None or default in ([], (), ""):
        return "not given"
    return ", ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)


def _hints(name: str) -> Sequence[str]:
    if name == "metric":
        from automl.scoring import metrics
        from search_spaces.spec import Task

        return list(dict.fromkeys(metric for task in get_args(Task) for metric in metrics.names(task)))
    if name in ("families", "exclude"):
        import search_spaces

        return search_spaces.names()
    return ("balanced",) if name == "class_weight" else ()
