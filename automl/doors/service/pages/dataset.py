"""The page of a data set: what it is, what is odd about it, what a run on it will take, and the form that starts one.

The look at the data takes seconds, so the page comes without it and asks for itself again, with it (static/look.js).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem, problem_of
from automl.doors.service.pages import fields
from automl.doors.service.pages.drawing import PageRoute, attempt, page, unfit
from automl.doors.service.pages.forms import Sent, SentForm
from automl.doors.service.pages.pictured import with_pictures
from automl.doors.service.routes import Reader, Writer, accounts, runs
from automl.doors.service.routes import datasets as api
from automl.doors.service.service import service_of
from automl.doors.service.shapes.datasets import ProfileAsked
from automl.doors.service.shapes.runs import NewRun
from automl.errors import AutomlError
from automl.options import Budget
from automl.report import words

router = APIRouter(prefix="/datasets/{dataset_id}", route_class=PageRoute, include_in_schema=False)
BUDGETS = (("1m", "1 minute"), ("5m", "5 minutes"), ("20m", "20 minutes"), ("1h", "1 hour"), ("4h", "4 hours"))
USUAL = "5m"
TOLD_NAMES = ("target", "label", "class", "y", "outcome", "answer", "response", "churn", "churned", "price", "sold")
MOST_LISTED, LISTED_LETTERS = 80, 4000  # columns to choose from in a list; of more they are typed
AT_ONCE, CELLS = 60, 24  # columns of the table, and of the preview
FINDINGS = 30


@router.get("")
def look(
    request: Request, by: Reader, dataset_id: str, look: bool = False, target: str | None = None,
    start: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:  # fmt: skip
    """What it is; with `look` also what is in it."""
    told = service_of(request).datasets.get(by, dataset_id)
    asked = {"target": [target] if target is not None else [], "budget": request.query_params.getlist("budget")}
    shown = _shown(request, by, told.id, SentForm({name: values for name, values in asked.items() if values}))
    if look:
        shown |= _looked(request, by, dataset_id, shown, start)
    return page(request, "dataset", shown)


@router.post("/start")
def start(request: Request, by: Writer, dataset_id: str, sent: Sent) -> Response:
    """A run on it."""

    def act() -> str:
        options = fields.options_of(sent)
        if budget := _typed_budget(sent):
            options["budget"] = budget
        if target := sent.text("target"):
            options["target"] = target
        asked = NewRun(dataset=dataset_id, name=sent.or_none("name"), options=options)
        answer = runs.begin(request, by, asked, sent.or_none("key"))
        return answer.headers["location"].removeprefix("/v1")

    def again(problem: Problem) -> Response:
        shown = {
            "failed": {"where": "start", "detail": problem.detail},
            "given": sent,
            "has_options": _has_options(sent),
        }
        return page(request, "dataset", _shown(request, by, dataset_id, sent) | shown, problem.status)

    return attempt(act, again)


@router.post("/remove")
def remove(request: Request, by: Writer, dataset_id: str) -> Response:
    """Remove it for good."""

    def act() -> str:
        api.remove(request, by, dataset_id)
        return "/"

    def again(problem: Problem) -> Response:
        shown = {"failed": {"where": "remove", "detail": problem.detail}}
        return page(request, "dataset", _shown(request, by, dataset_id, SentForm({})) | shown, problem.status)

    return attempt(act, again)


# --- what is shown ----------------------------------------------------------------------------------------------------


def guess(columns: Sequence[str], kind: str) -> Mapping[str, str]:
    """The column that is probably to be predicted, and why it is thought so; none in a folder, whose classes are."""
    if kind != "table" or not columns:
        return {}
    named = [name for name in columns if name.strip().lower() in TOLD_NAMES]
    if named:
        return {"column": named[-1], "why": "its name"}
    return {"column": columns[-1], "why": "the last column"}


def _shown(request: Request, by: Principal, dataset_id: str, sent: SentForm) -> dict[str, Any]:
    service = service_of(request)
    data = api.look(request, by, dataset_id).model_dump(mode="json")
    columns = data["columns"]
    guessed = guess(columns, data["kind"])
    others = [(one.id, one.name) for one in api.page(request, by, 50).items if one.id != dataset_id]
    budgets = [one for one in BUDGETS if _seconds(one[0]) <= service.settings.most_budget_s]
    usual = USUAL if USUAL in dict(budgets) else service.settings.most_budget
    budget = _typed_budget(sent) or usual
    is_short = data["column_count"] <= MOST_LISTED and sum(map(len, columns)) <= LISTED_LETTERS
    return {
        "data": data, "guess": guessed, "target": sent.text("target", guessed.get("column", "")),
        "key": secrets.token_hex(16), "is_short": is_short, "names": _fitting(columns),
        "budgets": budgets, "budget": budget, "is_usual": budget in dict(budgets),
        "most_budget": service.settings.most_budget, "may_write": by.may("write"),
        "groups": fields.grouped(accounts.options().items, others, sent),
    }  # fmt: skip


def _looked(request: Request, by: Principal, dataset_id: str, shown: Mapping[str, Any], start: int) -> dict[str, Any]:
    """What the look found, or why it found nothing."""
    more = {name: request.query_params.get(f"{fields.START}{name}") for name in ProfileAsked.model_fields}
    more |= {"target": shown["target"], "budget": shown["budget"]}
    problem = None
    try:
        wanted = ProfileAsked(**{name: value for name, value in more.items() if value})
        told = api.profile(request, by, dataset_id, wanted)
    except (Problem, AutomlError, ValidationError) as error:
        problem = unfit(error.errors()) if isinstance(error, ValidationError) else problem_of(error)
        try:  # that the target cannot be predicted says nothing against the columns
            told = api.profile(request, by, dataset_id, ProfileAsked.model_validate({}))
        except (Problem, AutomlError):
            return {"looked": True, "problem": problem}
    profile, columns = told["profile"] or {}, told["columns"]
    front = sorted(columns, key=lambda one: not one["is_target"])
    findings = told["audit"] or []
    return {
        "looked": True, "problem": problem, "quote": told["quote"] if words.part(told["quote"], "routes") else None,
        "findings": findings[:FINDINGS],
        "more_findings": len(findings[FINDINGS:]),
        "columns": with_pictures(front[start : start + AT_ONCE]), "start": start,
        "next_start": start + AT_ONCE if len(front) > start + AT_ONCE else None, "all_columns": len(front),
        "preview": told["preview"], "cells": CELLS, "task": _task(profile), "notes": told["notes"][:FINDINGS],
    }  # fmt: skip


def _task(profile: Mapping[str, Any]) -> str:
    """What kind of problem it was taken for, and by which score."""
    if not profile.get("task"):
        return ""
    return f"{profile['task']}, scored by {profile['metric']}: {words.short(profile.get('task_rule', ''), 200)}"


def _typed_budget(sent: SentForm) -> str:
    return sent.text("budget") or sent.text("budget_other")


def _has_options(sent: SentForm) -> bool:
    return any(name.startswith(fields.START) and values[0].strip() for name, values in sent.fields.items())


def _seconds(budget: str) -> float:
    return float(Budget.parse(budget).time or 0.0)


def _fitting(columns: Sequence[str]) -> list[str]:
    """As many names as a page may hold; the others can be typed all the same."""
    kept, letters = [], 0
    for name in columns:
        letters += len(name)
        if letters > LISTED_LETTERS:
            break
        kept.append(name)
    return kept
