"""The page of a model: a form of its columns, what it says of a row and why, and how programs ask it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem, problem_of
from automl.doors.service.pages.drawing import PageRoute, attempt, origin, page
from automl.doors.service.pages.forms import Sent, SentForm
from automl.doors.service.pages.pictured import lean, share
from automl.doors.service.routes import Asker, Reader, Writer
from automl.doors.service.routes import models as api
from automl.doors.service.service import service_of
from automl.errors import AutomlError
from automl.report import words

router = APIRouter(prefix="/models/{model_id}", route_class=PageRoute, include_in_schema=False)
FORM_LETTERS = 30_000  # of all fields; columns beyond are taken as usual
SHOWN, CLASSES = 12, 12  # columns of a reason, and classes with their probabilities
NUMBERS, FILES = ("number",), ("image", "audio")
LEVEL = 0.9


@router.get("")
def look(request: Request, by: Reader, model_id: str) -> Response:
    """What it is, and the form to ask it."""
    return page(request, "model", _shown(request, by, model_id, None))


@router.post("")
async def ask(request: Request, by: Asker, model_id: str, sent: Sent) -> Response:
    """What it says of the row that was filled in, and why."""
    shown = await run_in_threadpool(_shown, request, by, model_id, sent)
    try:
        answers = await _answers(request, by, shown["model"], shown["row"])
    except (Problem, AutomlError) as error:
        problem = problem_of(error)
        failed = {"where": "ask", "detail": problem.detail}
        return page(request, "model", shown | {"failed": failed}, problem.status)
    return page(request, "model", shown | answers)


@router.post("/remove")
def remove(request: Request, by: Writer, model_id: str) -> Response:
    """Remove one that was selected."""
    run = service_of(request).models.get(by, model_id).run_id

    def act() -> str:
        api.remove(request, by, model_id)
        return f"/runs/{run}"

    def again(problem: Problem) -> Response:
        failed = {"where": "remove", "detail": problem.detail}
        return page(request, "model", _shown(request, by, model_id, None) | {"failed": failed}, problem.status)

    return attempt(act, again)


# --- asked ------------------------------------------------------------------------------------------------------------


async def _answers(request: Request, by: Principal, model: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Of each target the answer, the shares of the classes, where the number lies, and what each column adds."""
    body = json.dumps({"rows": [row]}).encode()
    interval = LEVEL if model["task"] == "regression" else None
    said = await _predicted(request, by, model["id"], body, interval)
    several = len(model["targets"]) > 1
    told, why_not = {}, ""
    try:
        told = (await api.explain(_again(request, body), by, model["id"])).targets
    except (Problem, AutomlError) as error:  # the answer stands without its reasons
        why_not = problem_of(error).detail
    answers = []
    for target in model["targets"]:
        name = target["target"]

        def of(key: str, name: str = name) -> Any:
            first = next(iter(words.each(said.get(key))), None)
            return words.part(first, name) if several else first

        reason = next(iter(words.each(words.part(told, name, "rows"))), None)
        answers.append({
            "target": name, "answer": of("predictions"), "shares": _shares(of("probabilities")),
            "interval": of("intervals"), "reason": _reason(reason), "method": words.part(told, name, "method"),
        })  # fmt: skip
    return {"answers": answers, "told_notes": said.get("notes", []), "why_not": why_not, "level": LEVEL}


async def _predicted(
    request: Request, by: Principal, model_id: str, body: bytes, interval: float | None
) -> dict[str, Any]:
    asked = _again(request, body)
    try:
        answer = await api.predict(asked, by, model_id, proba=True, interval=interval, labels=None)
    except (Problem, AutomlError):
        if interval is None:
            raise
        return await _predicted(request, by, model_id, body, None)  # some models know no interval
    return dict(json.loads(bytes(answer.body)))


def _again(request: Request, body: bytes) -> Request:
    """The same who ask, with rows as a program sends them."""
    headers = [(b"content-type", b"application/json")]
    sent = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> dict[str, Any]:
        return sent

    return Request({**request.scope, "headers": headers, "query_string": b""}, receive)


def _shares(found: Any) -> list[dict[str, Any]]:
    """The likeliest classes first."""
    if not isinstance(found, Mapping):
        return []
    rows = sorted(found.items(), key=lambda item: -(words.finite(item[1]) or 0.0))[:CLASSES]
    return [{"label": label, "share": value, "bar": share(value)} for label, value in rows]


def _reason(row: Any) -> dict[str, Any] | None:
    """What each column adds, the strongest first."""
    columns = [
        one
        for one in words.each(words.part(row, "columns"))
        if words.finite(words.part(one, "contribution")) is not None
    ]
    if not columns:
        return None
    columns.sort(key=lambda one: -abs(one["contribution"]))
    most = abs(columns[0]["contribution"])
    return {
        "columns": [{**one, "bar": lean(one["contribution"], most)} for one in columns[:SHOWN]],
        "label": row.get("label"), "unit": row.get("unit"), "base": row.get("base"), "said": row.get("said"),
        "others": len(columns[SHOWN:]),
    }  # fmt: skip


# --- the form ---------------------------------------------------------------------------------------------------------


def _shown(request: Request, by: Principal, model_id: str, sent: SentForm | None) -> dict[str, Any]:
    service = service_of(request)
    model = api.look(request, by, model_id).model_dump(mode="json", by_alias=True)
    run = service.runs.get(by, model["run"])
    every = model["schema"]["columns"]
    columns = _fitting(every)
    fields = [{**column, "value": _value(column, f"c{at}", sent)} for at, column in enumerate(columns)]
    row = {column["name"]: column["example"] for column in every[len(columns) :]}
    row |= {field["name"]: _cell(field) for field in fields}
    example = {column["name"]: column["example"] for column in every}
    has_files = any(column["kind"] in FILES for column in every)
    return {
        "model": model, "run": run, "fields": fields, "left_out": len(every) - len(columns), "row": row,
        "has_files": has_files, "curl": _curl(request, model_id, example, has_files=has_files),
        "python": f"automl.Client({origin(request)!r}).load({model_id!r}).predict(\"new.csv\")",
        "may_ask": by.may("predict"), "most_rows": service.settings.most_rows,
        "may_change": by.may("write") and (by.is_admin or run.user_id == by.user_id) and model["pick"] is not None,
    }  # fmt: skip


def _fitting(columns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As many columns as a page of a form may have."""
    kept: list[Mapping[str, Any]] = []
    letters = 0
    for column in columns:
        letters += 240 + 3 * len(column["name"]) + 2 * sum(len(str(one)) + 20 for one in column["choices"] or [])
        if letters > FORM_LETTERS and kept:
            break
        kept.append(column)
    return kept


def _value(column: Mapping[str, Any], field: str, sent: SentForm | None) -> str:
    """What stands in a field: what was typed, else a usual value."""
    usual = "" if column["example"] is None else str(column["example"])
    typed = None if sent is None else sent.exact(field)
    return usual if typed is None else typed


def _cell(field: Mapping[str, Any]) -> Any:
    """What was typed as a cell of a row; nothing is a gap."""
    text = str(field["value"])
    if field["kind"] in FILES:
        return {"b64": text} if text else None
    if not text.strip():
        return None
    if field["kind"] in NUMBERS:
        for read in (int, float):
            try:
                return read(text)
            except ValueError:
                continue
    return text


def _curl(request: Request, model_id: str, example: Mapping[str, Any], *, has_files: bool) -> str:
    """The line that asks the same from a shell; the token stays where it is."""
    start = 'curl -H "Authorization: Bearer $AUTOML_TOKEN"'
    place = shlex.quote(f"{origin(request)}/v1/models/{model_id}/predict?proba=true")
    if has_files:
        return f"{start} -H 'Content-Type: application/zip' --data-binary @files.zip {place}"
    rows = shlex.quote(json.dumps({"rows": [example]}, ensure_ascii=False))
    return f"{start} -H 'Content-Type: application/json' -d {rows} {place}"
