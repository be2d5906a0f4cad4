"""Data sets over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from automl.doors.service.data.datasets import KnownDataset
from automl.doors.service.ground.when import iso

TOLD_COLUMNS = 500
EXAMPLE: dict[str, Any] = {
    "id": "dataset_0123456789abcdef", "name": "customers.csv", "kind": "table", "rows": 1500, "files": None,
    "columns": ["tenure_months", "monthly_charge", "churned"], "column_count": 3, "target": None, "notes": [],
    "size_bytes": 96518, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "user": "ada",
    "is_reference": False, "created_at": "2026-11-30T08:00:00.000Z",
}  # fmt: skip


class Import(BaseModel):
    """Data from elsewhere: `path` of the server's machine or `url`, where the server's settings allow it."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"url": "https://data.example.org/customers.csv"}]}
    )

    path: str | None = Field(None, min_length=1, max_length=1000)
    url: str | None = Field(None, min_length=1, max_length=2000)
    name: str | None = Field(None, min_length=1, max_length=200, description="that of the file when not given")

    @model_validator(mode="after")
    def _one(self) -> Import:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        return self


class DatasetShape(BaseModel):
    """A data set."""

    model_config = ConfigDict(title="Dataset", json_schema_extra={"examples": [EXAMPLE]})

    id: str
    name: str
    kind: str = Field(description="table, images, audio or texts")
    rows: int | None = Field(description="of a large table counted by its lines")
    files: int | None = Field(description="of a folder")
    columns: list[str] = Field(description=f"their names, {TOLD_COLUMNS} at most")
    column_count: int
    target: str | None = Field(description="what a run predicts when none is named: the classes of a folder")
    notes: list[str] = Field(description="what a first look had to guess or leave out")
    size_bytes: int
    sha256: str = Field(description="of the body that was sent")
    user: str
    is_reference: bool = Field(description="it lies elsewhere on the server's machine and was not copied")
    created_at: str

    @classmethod
    def of(cls, dataset: KnownDataset) -> DatasetShape:
        """As it is told."""
        return cls(
            id=dataset.id, name=dataset.name, kind=dataset.kind, rows=dataset.rows, files=dataset.files,
            columns=list(dataset.columns[:TOLD_COLUMNS]), column_count=len(dataset.columns), target=dataset.target,
            notes=list(dataset.notes), size_bytes=int(dataset.size_bytes), sha256=dataset.sha256, user=dataset.user,
            is_reference=dataset.is_outside, created_at=iso(dataset.created_at),
        )  # fmt: skip


class DatasetPage(BaseModel):
    """A page of data sets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next": None}]})

    items: list[DatasetShape]
    next: str | None = Field(description="give it as cursor to have the next page")


class ProfileAsked(BaseModel):
    """What a profile is asked for with: options of a run that change how data are seen or what is quoted."""

    model_config = ConfigDict(extra="forbid")

    target: str | None = Field(None, max_length=500, description="the column to predict")
    budget: str | None = Field(None, max_length=60, description="as of a run; the quote weighs it")
    task: str | None = Field(None, max_length=60)
    metric: str | None = Field(None, max_length=60)
    time_column: str | None = Field(None, max_length=500)
    group_column: str | None = Field(None, max_length=500)
    weight: str | None = Field(None, max_length=500)
    route: str | None = Field(None, max_length=60)
    weights: str | None = Field(None, max_length=200)


class ProfileColumn(BaseModel):
    """A column, with what its small picture is drawn from."""

    name: str
    kind: str = Field(description="number, category, boolean, date, string, identifier, constant, text, image or audio")
    is_target: bool
    is_feature: bool = Field(description="models may learn from it: it is neither the target nor a weight")
    missing: float | None = Field(description="share of the rows, 0 to 1")
    distinct: int
    why: str
    examples: list[str]
    decimal: str = Field(description="of numbers that came as text, their mark")
    date_format: str | None = Field(description="of dates that came as text; null where they were mixed, or typed")
    picture: dict[str, Any] | None = Field(
        description="type histogram, dates, values, lengths, sizes or empty, with counts; null where there are too many"
    )


class Preview(BaseModel):
    """The first rows."""

    columns: list[str]
    rows: list[list[Any]]


class ProfileShape(BaseModel):
    """What a data set is, before a run."""

    model_config = ConfigDict(
        title="Profile",
        json_schema_extra={
            "examples": [
                {
                    "dataset": EXAMPLE,
                    "profile": {"rows": 1500, "task": "binary", "metric": "roc_auc", "modality": "table"},
                    "audit": [{"code": "imbalance", "severity": "info", "message": "few are yes",
                               "column": None, "evidence": {}}],
                    "preview": {"columns": ["tenure_months"], "rows": [[12]]},
                    "columns": [
                        {
                            "name": "tenure_months", "kind": "number", "is_target": False, "is_feature": True,
                            "missing": 0.0, "distinct": 72, "why": "72 distinct numbers from 1 to 72",
                            "examples": ["12", "40"], "decimal": ".", "date_format": None,
                            "picture": {"type": "histogram", "min": 1, "median": 29, "max": 72, "counts": [3, 5]},
                        }
                    ],
                    "quote": None, "notes": [],
                }
            ]
        },
    )  # fmt: skip

    dataset: DatasetShape
    profile: dict[str, Any]
    audit: list[dict[str, Any]]
    preview: Preview
    columns: list[ProfileColumn]
    quote: dict[str, Any] | None = Field(description="null without a target, or where the data are too large for one")
    notes: list[str]
