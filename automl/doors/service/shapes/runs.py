"""Runs over the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from automl.doors.service.ground.tables import RunRecord, State
from automl.doors.service.ground.when import iso

EXAMPLE: Any = {"dataset": "dataset_0123456789abcdef", "options": {"target": "churned", "budget": "5m"}}


class NewRun(BaseModel):
    """What a run is asked for with."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]})

    dataset: str = Field(description="id of a data set", max_length=80)
    name: str | None = Field(
        None, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$", description="that of the data set when not given"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="as of automl.fit; GET /v1/options lists them")


class RunChange(BaseModel):
    """What may be changed of a run."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"name": "churn in March", "shared": True}]}
    )

    name: str | None = Field(None, min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
    shared: bool | None = Field(None, description="everybody who signs in may read it and predict with its models")


class More(BaseModel):
    """How to go on."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"budget": "+10m"}]})

    budget: str | None = Field(
        None, max_length=60, description="more of the kind that it had; what is left when not given"
    )


class RunShape(BaseModel):
    """A run."""

    model_config = ConfigDict(
        title="Run",
        json_schema_extra={
            "examples": [
                {
                    "id": "run_0123456789abcdef", "name": "churn", "dataset": "dataset_0123456789abcdef", "user": "ada",
                    "state": "working", "shared": False, "options": {"target": "churned", "budget": "5m"},
                    "place_in_line": None, "created_at": "2026-11-30T08:00:00Z", "queued_at": "2026-11-30T08:00:00Z",
                    "started_at": "2026-11-30T08:00:01Z", "ended_at": None,
                    "progress": {"stage": "search", "elapsed_s": 61.2, "left_s": 238.8, "done": 14},
                    "verdict": {}, "error": None, "more": None, "has_model": False, "model": None,
                }
            ]
        },
    )  # fmt: skip

    id: str
    name: str
    dataset: str
    user: str
    state: State
    shared: bool
    options: dict[str, Any]
    place_in_line: int | None = Field(description="runs that wait before it; null where it does not wait")
    created_at: str
    queued_at: str
    started_at: str | None
    ended_at: str | None
    progress: dict[str, Any] = Field(description="stage, elapsed_s, left_s, done, failed, running, best, where")
    verdict: dict[str, Any] = Field(description="what came of it: chosen, score with its interval, sentence, cost")
    error: str | None
    more: str | None = Field(description="budget that it goes on with when it comes to its end")
    has_model: bool
    model: str | None

    @classmethod
    def of(cls, run: RunRecord, user: str, *, place: int | None, model: str | None) -> RunShape:
        """As it is told."""
        return cls(
            id=run.id, name=run.name, dataset=run.dataset_id, user=user, state=run.state, shared=run.is_shared,
            options=run.options, place_in_line=place, created_at=iso(run.created_at), queued_at=iso(run.queued_at),
            started_at=None if run.started_at is None else iso(run.started_at),
            ended_at=None if run.ended_at is None else iso(run.ended_at), progress=run.progress, verdict=run.verdict,
            error=run.error, more=run.more, has_model=model is not None, model=model,
        )  # fmt: skip


class RunPage(BaseModel):
    """Runs, the newest first."""

    items: list[RunShape]
    next: str | None = Field(description="cursor of the next page; null at the end")


class TrialShape(BaseModel):
    """A trial of a run."""

    model_config = ConfigDict(title="Trial")

    trial: int
    family: str
    route: str = Field(description="classical, neural or hybrid")
    because: str = Field(description="why it was tried")
    state: str = Field(description="asked, working, told, failed")
    score: float | None = Field(description="on the held-out rows so far")
    elapsed_s: float = Field(description="of the run, when this was last heard of")
    is_best_so_far: bool


class TrialList(BaseModel):
    """The trials of a run, in the order in which they were asked for."""

    items: list[TrialShape]
    metric: str | None
    higher_is_better: bool


class RowList(BaseModel):
    """A table, row by row."""

    items: list[dict[str, Any]]
