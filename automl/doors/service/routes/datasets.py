"""Data sets: sent or named, listed, looked at, removed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from automl.doors.service.routes import Reader, Writer
from automl.doors.service.service import service_of
from automl.doors.service.shapes.datasets import DatasetPage, DatasetShape, Import, ProfileAsked, ProfileShape
from automl.doors.service.shapes.problem import problems

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
RAW = {"schema": {"type": "string", "format": "binary"}}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": RAW,
            "text/csv": {**RAW, "example": "age,city,churned\n41,Oslo,no\n35,Rome,yes\n"},
            "application/zip": RAW,
        },
    }
}


@router.post(
    "", status_code=201, response_model=DatasetShape, responses=problems(413, 415, 503, 507), openapi_extra=BODY
)
async def upload(
    request: Request, response: Response, by: Writer,
    name: Annotated[str, Query(max_length=500, description="of the file, with its extension")] = "data",
) -> DatasetShape:  # fmt: skip
    """Send a file as the body, as it is: csv, tsv, jsonl or parquet, text also as .gz, or a .zip of a folder of
    pictures, sounds or texts.

    For instance `curl --data-binary @customers.csv 'http://.../v1/datasets?name=customers.csv'`.
    """
    made = DatasetShape.of(await service_of(request).datasets.upload(by, name, request.stream()))
    response.headers["Location"] = f"/v1/datasets/{made.id}"
    return made


@router.post("/imports", status_code=201, response_model=DatasetShape, responses=problems(413, 415, 503, 507))
def take_in(request: Request, response: Response, by: Writer, wanted: Import) -> DatasetShape:
    """Take data from a folder of the server's machine or from a URL, where its settings allow these."""
    datasets = service_of(request).datasets
    if wanted.path is not None:
        found = datasets.refer(by, wanted.path, wanted.name)
    else:
        found = datasets.fetch(by, str(wanted.url), wanted.name)
    made = DatasetShape.of(found)
    response.headers["Location"] = f"/v1/datasets/{made.id}"
    return made


@router.get("", responses=problems())
def page(
    request: Request, by: Reader, limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> DatasetPage:  # fmt: skip
    """Your data sets, the newest first."""
    found = service_of(request).datasets.page(by, limit, cursor)
    return DatasetPage(items=[DatasetShape.of(dataset) for dataset in found.items], next=found.next)


@router.get("/{dataset_id}", responses=problems(404))
def look(request: Request, by: Reader, dataset_id: str) -> DatasetShape:
    """What a first look found."""
    return DatasetShape.of(service_of(request).datasets.get(by, dataset_id))


@router.delete("/{dataset_id}", status_code=204, responses=problems(404, 409))
def remove(request: Request, by: Writer, dataset_id: str) -> None:
    """Remove a data set and its files for good. Runs that were made on it stay, with their models."""
    service_of(request).datasets.remove(by, dataset_id)


@router.get("/{dataset_id}/profile", response_model=ProfileShape, responses=problems(404, 503, 507))
def profile(request: Request, by: Reader, dataset_id: str, wanted: Annotated[ProfileAsked, Query()]) -> Any:
    """What the data are, what is odd about them, their first rows, a picture of each column, and what a run would take.

    The first answer takes seconds, for the data are read; the next one for the same question is there at once.
    """
    datasets = service_of(request).datasets
    found = datasets.profile(by, dataset_id, wanted.model_dump(exclude_none=True))
    return {"dataset": DatasetShape.of(datasets.get(by, dataset_id)), **found}
