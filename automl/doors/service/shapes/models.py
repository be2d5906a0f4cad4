"""Models over the wire."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from automl.doors.service.ground.when import iso
from automl.doors.service.models.described import ColumnFacts, ModelFacts, TargetTold
from automl.doors.service.models.shelf import ModelRecord
from automl.model.reference import Promise
from automl.plain import as_json

NAMED = r"^[^\x00-\x1f\x7f]*$"
SCORE: dict[str, Any] = {"metric": "roc_auc", "value": 0.84, "low": 0.81, "high": 0.87, "higher_is_better": True}
COLUMN: dict[str, Any] = {
    "name": "plan", "kind": "category", "is_required": True, "may_be_empty": True, "example": "basic",
    "choices": ["basic", "premium"],
}  # fmt: skip
Percent = Annotated[float, Field(gt=0, lt=100)]
ROW = {"plan": "basic", "months": 12, "support_calls": 3}


class ScoreShape(BaseModel):
    """A score to expect on new rows, with its 95 % interval."""

    model_config = ConfigDict(title="Score")

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool

    @classmethod
    def of(cls, promise: Promise) -> ScoreShape:
        """As it is told."""
        return cls(**{name: getattr(promise, name) for name in cls.model_fields})


class ColumnShape(BaseModel):
    """A column that rows to predict have, so that a form can be made of it."""

    model_config = ConfigDict(title="Column", json_schema_extra={"examples": [COLUMN]})

    name: str
    kind: str = Field(description="number, boolean, category, string, date, image, audio or text")
    is_required: bool = Field(description="rows must have it; what may be empty may be null in it")
    may_be_empty: bool
    example: Any = Field(description="a usual value; null of files")
    choices: list[Any] | None = Field(description="what a cell may be, where that is not much")

    @classmethod
    def of(cls, column: ColumnFacts) -> ColumnShape:
        """As it is told."""
        choices = None if column.choices is None else list(column.choices)
        return cls(
            name=column.name, kind=column.kind, is_required=True, may_be_empty=column.may_be_empty,
            example=as_json(column.example), choices=choices,
        )  # fmt: skip


class SchemaShape(BaseModel):
    """What rows look like. Further columns are passed over, their order does not matter."""

    model_config = ConfigDict(title="Schema")

    columns: list[ColumnShape]
    names: list[str] = Field(description="all columns of the training data in order, for rows without names")
    decimal: str = Field(description="mark of the numbers in the file that was learned from")


class TargetShape(BaseModel):
    """What a model predicts."""

    model_config = ConfigDict(title="Target")

    target: str
    name: str = Field(description="of the model, as the leaderboard calls it")
    task: str = Field(description="binary, multiclass, regression or quantile")
    classes: list[Any] = Field(description="the labels, where there are some")
    levels: list[float] = Field(description="of quantiles")
    metric: str
    score: ScoreShape | None

    @classmethod
    def of(cls, one: TargetTold) -> TargetShape:
        """As it is told."""
        score = None if one.score is None else ScoreShape.of(one.score)
        return cls(
            target=one.target, name=one.name, task=one.task, classes=as_json(one.classes), levels=list(one.levels),
            metric=one.metric, score=score,
        )  # fmt: skip


class ModelShape(BaseModel):
    """A model. Of several targets each stands in `targets`, and what is said of one alone is null."""

    model_config = ConfigDict(
        title="Model",
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "model_0123456789abcdef", "run": "run_0123456789abcdef", "pick": None, "target": "churned",
                    "task": "binary", "classes": ["no", "yes"], "levels": [], "metric": "roc_auc", "score": SCORE,
                    "targets": [
                        {"target": "churned", "name": "blend", "task": "binary", "classes": ["no", "yes"],
                         "levels": [], "metric": "roc_auc", "score": SCORE}
                    ],
                    "schema": {"columns": [COLUMN], "names": ["plan"], "decimal": "."},
                    "size_mb": 1.2, "created_at": "2026-11-30T08:05:00Z", "notes": [],
                }
            ]
        },
    )  # fmt: skip

    id: str
    run: str
    pick: str | None = Field(description="null: what the run itself chose")
    target: str | None
    task: str | None
    classes: list[Any] | None
    levels: list[float] | None
    metric: str | None
    score: ScoreShape | None
    targets: list[TargetShape]
    schema_: SchemaShape = Field(alias="schema")
    size_mb: float
    created_at: str
    notes: list[str] = Field(description="of how it was selected, in the answer to that")

    @classmethod
    def of(cls, one: ModelRecord, facts: ModelFacts) -> ModelShape:
        """As it is told."""
        targets = [TargetShape.of(target) for target in facts.targets]
        first = targets[0] if len(targets) == 1 else None
        return cls(
            id=one.id, run=one.run_id, pick=None if one.is_chosen else one.pick,
            target=None if first is None else first.target, task=None if first is None else first.task,
            classes=None if first is None else first.classes, levels=None if first is None else first.levels,
            metric=None if first is None else first.metric, score=None if first is None else first.score,
            targets=targets, schema=SchemaShape(
                columns=[ColumnShape.of(column) for column in facts.columns], names=list(facts.names),
                decimal=facts.decimal,
            ),
            size_mb=facts.size_mb, created_at=iso(one.created_at), notes=list(one.notes),
        )  # fmt: skip


class ModelPage(BaseModel):
    """Models, the newest first."""

    items: list[ModelShape]
    next: str | None = Field(description="cursor of the next page; null at the end")


class SelectionShape(BaseModel):
    """Which model of a run is wanted: one by name, or the best that meets limits."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"pick": "fastest"}, {"max_latency_ms": 2}]}
    )

    pick: str | None = Field(
        default=None, max_length=300, pattern=NAMED,
        description="most accurate, cheapest tied, fastest, smallest, or a name of the leaderboard",
    )  # fmt: skip
    max_latency_ms: float | None = Field(default=None, gt=0, description="to predict one row")
    max_model_mb: float | None = Field(default=None, gt=0, description="on disk")
    prefer: str | None = Field(
        default=None, max_length=40, description="cheap, balanced, accurate, fastest or smallest"
    )
    give_up_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="of the gain over no model, that the fastest and the smallest may give up",
    )


class PredictionsShape(BaseModel):
    """Answers, one for each row in its order; of several targets each is an object with one for each target."""

    model_config = ConfigDict(
        title="Predictions",
        json_schema_extra={
            "examples": [
                {"predictions": ["no"], "probabilities": [{"no": 0.81, "yes": 0.19}], "sets": [["no"]], "notes": []}
            ]
        },
    )

    files: list[str] | None = Field(default=None, description="of an archive, which file each row is")
    predictions: list[Any] = Field(description="a value; of quantiles an object with one for each level")
    probabilities: list[dict[str, Any]] | None = Field(default=None, description="of each class, where proba=true")
    intervals: list[Any] | None = Field(default=None, description="low and high, where interval= is given")
    sets: list[Any] | None = Field(
        default=None, description="labels that together hold the true one, where set= is given"
    )
    notes: list[str]


class ForecastWishShape(BaseModel):
    """Which steps of series are wanted, and what is known of them."""

    model_config = ConfigDict(
        title="ForecastWish", extra="forbid", strict=True, json_schema_extra={"examples": [{"horizon": 7}]}
    )

    horizon: int | None = Field(default=None, ge=1, le=1_000_000, description="steps of each series; null: as fitted")
    levels: list[Percent] = Field(default=[80.0, 95.0], max_length=20, description="percent that intervals hold")
    future: list[dict[str, Any]] | None = Field(
        default=None, description="rows of these steps with what is known ahead"
    )
    history: list[dict[str, Any]] | None = Field(
        default=None, description="rows with values that became known since, or of new series: these alone are foretold"
    )


class ForecastShape(BaseModel):
    """A row for each step of each series: its columns, its time, the forecast, and the ends of each interval."""

    model_config = ConfigDict(title="Forecast")

    columns: list[str] = Field(description="of the rows, in their order")
    dates: list[str] = Field(description="columns of them that are times")
    forecast: list[dict[str, Any]]
    notes: list[str]


class ExplanationsShape(BaseModel):
    """How answers come about: by target the method, and of each row what its columns add and its words weigh."""

    model_config = ConfigDict(title="Explanations")

    targets: dict[str, Any]


class TellingShape(BaseModel):
    """What is told of rows as a whole, as `automl monitor --json` and `automl evaluate --json` tell it."""

    model_config = ConfigDict(title="Telling", extra="allow")


ROWS_SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["rows"], "additionalProperties": False,
    "properties": {"rows": {"type": "array", "items": {"type": "object"}}},
}  # fmt: skip
