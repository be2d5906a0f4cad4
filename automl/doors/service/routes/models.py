"""Models: listed, asked with rows, explained, watched, scored, taken along; and others of a run that are selected."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from automl.doors.service.access.accounts import Principal
from automl.doors.service.asking import predicting
from automl.doors.service.asking.answers import Telling
from automl.doors.service.asking.foretelling import foretold
from automl.doors.service.asking.rows_in import CSV, JSON, PARQUET, ZIP, SentBody, TableReader, body_of
from automl.doors.service.ground import asked
from automl.doors.service.ground.downloads import as_attachment
from automl.doors.service.ground.problems import Problem
from automl.doors.service.models.artifacts import entries, zipped
from automl.doors.service.models.described import NOTHING, saved_in
from automl.doors.service.models.loaded import cannot_be_read
from automl.doors.service.models.selecting import Wish
from automl.doors.service.models.shelf import ModelRecord
from automl.doors.service.routes import Asker, Reader, Writer
from automl.doors.service.service import Service, service_of
from automl.doors.service.shapes.models import (
    ROW,
    ROWS_SCHEMA,
    ExplanationsShape,
    ForecastShape,
    ForecastWishShape,
    ModelPage,
    ModelShape,
    PredictionsShape,
    SelectionShape,
    TellingShape,
)
from automl.doors.service.shapes.problem import problems
from automl.doors.serving.refused import RefusedError
from automl.doors.serving.told import Wishes
from automl.doors.serving.work import ModelWork
from automl.errors import ArtifactError, InputError
from automl.messages import near, shown
from automl.places import only_within

router = APIRouter(prefix="/v1", tags=["models"])
Level = Annotated[float | None, Query(gt=0, lt=1, description="a share of new rows, such as 0.9")]
Name = Annotated[str | None, Query(max_length=300)]
T = TypeVar("T")
CARD = "model_card.md"


def _body(*, is_explained: bool = False, has_answers: bool = False) -> dict[str, Any]:
    """A body with rows, for OpenAPI."""
    row = {**ROW, "churned": "no"} if has_answers else ROW
    example: dict[str, Any] = {"rows": [row], **({"label": "yes"} if is_explained else {})}
    schema = ROWS_SCHEMA
    if is_explained:
        more = {"label": {}, "column": {"type": ["string", "null"]}}
        schema = {**ROWS_SCHEMA, "properties": {**ROWS_SCHEMA["properties"], **more}}
    csv = "\n".join([",".join(row), ",".join(map(str, row.values()))])
    content = {
        JSON: {"schema": schema, "example": example}, CSV: {"schema": {"type": "string"}, "example": csv},
        PARQUET: {"schema": {"type": "string", "format": "binary"}},
        ZIP: {"schema": {"type": "string", "format": "binary"}},
    }  # fmt: skip
    return {"requestBody": {"required": True, "content": content}}


def shape(service: Service, one: ModelRecord) -> ModelShape:
    """A model as it is told."""
    return ModelShape.of(one, service.models.facts(one))


@router.get("/models", responses=problems())
def page(
    request: Request, by: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    run: Annotated[str | None, Query(max_length=80)] = None,
) -> ModelPage:  # fmt: skip
    """Models of runs that are yours or shared with you, the newest first; `run` tells those of one run."""
    service = service_of(request)
    found = service.models.page(by, limit, cursor, run)
    return ModelPage(items=[_listed(service, one) for one in found.items], next=found.next)


def _listed(service: Service, one: ModelRecord) -> ModelShape:
    """The same in a list, in which one that is damaged keeps no other from being seen."""
    try:
        return shape(service, one)
    except Problem as problem:
        return ModelShape.of(replace(one, notes=(problem.detail,)), NOTHING)


@router.get("/models/{model_id}", responses=problems(404, 409))
def look(request: Request, by: Reader, model_id: str) -> ModelShape:
    """What a model predicts, from which columns, and how good it promises to be."""
    service = service_of(request)
    return shape(service, service.models.get(by, model_id))


@router.delete("/models/{model_id}", status_code=204, responses=problems(404, 409))
def remove(request: Request, by: Writer, model_id: str) -> None:
    """Remove a model that was selected. What a run itself chose goes with its run."""
    service_of(request).models.remove(by, model_id)


@router.post("/runs/{run_id}/select", status_code=201, responses=problems(404, 409, 413, 503, 507))
def select(request: Request, by: Writer, run_id: str, wanted: SelectionShape) -> ModelShape:
    """Another real model of a run that is over: the best within limits, or one by name. Asked again, it is the same."""
    service = service_of(request)
    run = service.runs.get(by, run_id, to_change=True)
    folders = []
    for dataset in (run.dataset_id, asked.names_of(run.options)[0]):
        try:
            folders += [service.datasets.source(dataset).within] if dataset is not None else []
        except (InputError, Problem):
            continue  # it was removed: then models are as they were fitted
    one = service.models.select(by, run_id, Wish(**wanted.model_dump()), only_within(*folders))
    return shape(service, one)


@router.post(
    "/models/{model_id}/predict", response_model=PredictionsShape, openapi_extra=_body(),
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, **problems(404, 409, 413, 415, 503, 507)},
)  # fmt: skip
async def predict(
    request: Request, by: Asker, model_id: str, proba: bool = False, interval: Level = None,
    labels: Annotated[float | None, Query(alias="set", gt=0, lt=1, description="a share of new rows")] = None,
) -> Response:  # fmt: skip
    """Predict rows: JSON, CSV, Parquet, or a zip of files. Files in cells of JSON are {"b64": "..."}.

    `proba=true` tells the probability of each class, `interval=0.9` the ends between which the number lies in nine of
    ten new rows, `set=0.9` the labels that together hold the true one. With Accept: text/csv the answer is a table.
    """
    _check_names(request, ("proba", "interval", "set"))
    service, one, body = await _asked(request, by, model_id)
    is_csv = CSV in request.headers.get("accept", "")

    async def ask(work: ModelWork, tables: TableReader) -> bytes:
        telling = Telling(Wishes(interval, labels), proba, work.served.is_several, is_csv)
        return await predicting.predicted(work, tables, body, telling)

    return Response(await _answered(service, one, ask), media_type=CSV if is_csv else JSON)


@router.post(
    "/models/{model_id}/explain", openapi_extra=_body(is_explained=True),
    responses=problems(404, 409, 413, 415, 503, 507),
)  # fmt: skip
async def explain(
    request: Request, by: Asker, model_id: str, label: Name = None, column: Name = None
) -> ExplanationsShape:
    """How the answers to rows come about: what each column adds to the usual answer, what the words of texts weigh.

    `label` is the class to explain, or the level of a quantile; `column` asks for the words of this one alone.
    """
    _check_names(request, ("label", "column"))
    told = await _aside(
        request, by, model_id, lambda work, tables, body: predicting.explained(work, tables, body, (label, column))
    )
    return ExplanationsShape(**told)


@router.post(
    "/models/{model_id}/forecast", response_model=ForecastShape, responses=problems(404, 409, 413, 415, 503, 507),
    openapi_extra={
        "requestBody": {"required": True, "content": {JSON: {"schema": ForecastWishShape.model_json_schema()}}}
    },
)  # fmt: skip
async def forecast(request: Request, by: Asker, model_id: str) -> Response:
    """The next steps of the series that a model knows, with intervals; `history` goes on from newer values.

    Nothing is kept of what is sent: the model stays as it was fitted.
    """
    _check_names(request, ())
    service, one, body = await _asked(request, by, model_id, (JSON,))

    async def ask(work: ModelWork, tables: TableReader) -> bytes:
        async with service.models.loaded.aside:
            return await asyncio.to_thread(foretold, work, tables, body.content)

    return Response(await _answered(service, one, ask), media_type=JSON)


@router.post("/models/{model_id}/monitor", openapi_extra=_body(), responses=problems(404, 409, 413, 415, 503, 507))
async def monitor(request: Request, by: Asker, model_id: str, labels: Name = None) -> TellingShape:
    """What moved in rows since the model learned, what its score is likely to be on them, whether to train anew.

    Where the answers are among the columns they are scored; `labels` names their column, if it is called otherwise.
    """
    _check_names(request, ("labels",))
    return TellingShape(
        **await _aside(
            request, by, model_id, lambda work, tables, body: predicting.monitored(work, tables, body, labels)
        )
    )


@router.post(
    "/models/{model_id}/evaluate", openapi_extra=_body(has_answers=True),
    responses=problems(404, 409, 413, 415, 503, 507),
)  # fmt: skip
async def evaluate(request: Request, by: Asker, model_id: str) -> TellingShape:
    """Every metric of the task on rows with their answers, each with its interval, beside what was promised."""
    _check_names(request, ())
    service = service_of(request)
    promised = {one.target: one.score for one in service.models.facts(service.models.get(by, model_id)).targets}
    return TellingShape(
        **await _aside(
            request, by, model_id, lambda work, tables, body: predicting.evaluated(work, tables, body, promised)
        )
    )


@router.get(
    "/models/{model_id}/artifact", response_class=StreamingResponse,
    responses={200: {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}, **problems(404, 409)},
)  # fmt: skip
def artifact(request: Request, by: Asker, model_id: str) -> StreamingResponse:
    """The saved model as a zip. Unpacked, `automl.load` reads it anywhere, and nothing in it is code."""
    service = service_of(request)
    one = service.models.get(by, model_id)
    try:
        files = entries(service.models.wanted(one).place)
    except ArtifactError as error:
        raise cannot_be_read(error, service.settings.home) from error
    name = f"{service.runs.known(one.run_id).name}{'' if one.is_chosen else f'-{one.pick}'}-model.zip"
    return StreamingResponse(zipped(files), media_type=ZIP, headers=as_attachment(name))


@router.get(
    "/models/{model_id}/card", response_class=Response,
    responses={200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}, **problems(404, 409)},
)  # fmt: skip
def card(request: Request, by: Reader, model_id: str) -> Response:
    """The model card, Markdown: what it is, what it learned from, how good it is and where it ends."""
    service = service_of(request)
    one = service.models.get(by, model_id)
    places = [place / CARD for place in saved_in(service.models.wanted(one).place).values()]
    if not all(place.is_file() for place in places):
        raise Problem(409, "this model has no card of its own: it was selected. What its run chose has one.")
    text = "\n\n---\n\n".join(place.read_text(encoding="utf-8") for place in places)
    return Response(text, media_type="text/markdown; charset=utf-8")


# --- what they share --------------------------------------------------------------------------------------------------


async def _asked(
    request: Request, by: Principal, model_id: str, kinds: Sequence[str] = (JSON, CSV, PARQUET, ZIP)
) -> tuple[Service, ModelRecord, SentBody]:
    """The model that is asked, found before the body is read."""
    service = service_of(request)
    one = service.models.get(by, model_id)
    return service, one, await body_of(request, kinds)


async def _answered(service: Service, one: ModelRecord, ask: Callable[[ModelWork, TableReader], Any]) -> Any:
    """What a model says; refusals of its rows as problems."""
    try:
        async with service.models.loaded.use(service.models.wanted(one)) as work:
            return await ask(work, TableReader(work.served.bodies, service.settings, service.datasets.looking))
    except RefusedError as error:
        raise Problem(422 if error.status == 400 else error.status, str(error), kind="bad-input") from error


async def _aside(
    request: Request, by: Principal, model_id: str, call: Callable[[ModelWork, TableReader, SentBody], dict[str, Any]]
) -> dict[str, Any]:
    """What takes long: a few at a time on the whole server, and never in the way of predictions."""
    service, one, body = await _asked(request, by, model_id)

    async def ask(work: ModelWork, tables: TableReader) -> dict[str, Any]:
        async with service.models.loaded.aside:
            return await asyncio.to_thread(call, work, tables, body)

    found: dict[str, Any] = await _answered(service, one, ask)
    return found


def _check_names(request: Request, names: Sequence[str]) -> None:
    """Refuse what would be passed over in silence."""
    for name in request.query_params:
        if name not in names:
            known = f"Known: {', '.join(names)}." if names else "Leave it out."
            raise InputError(f"{shown(name)} is not known here.{near(name, names)} {known}")
