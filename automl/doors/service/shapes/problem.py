"""How a refusal looks, for OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from automl.doors.service.ground.problems import MEDIA_TYPE


class ProblemShape(BaseModel):
    """problem+json, RFC 9457."""

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:automl:bad-input",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "unknown option 'bugdet'. Did you mean 'budget'?",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route: those that all have, and `more`."""
    told = {
        401: "No token, or one that does not hold.",
        403: "The token's scope or the user's role does not allow it.",
        404: "There is none of this name, or it is somebody else's.",
        409: "It is not in a state in which this can be done.",
        413: "The body is larger than this server takes.",
        415: "The body is of a kind that is not read here.",
        421: "The server is not called by this name.",
        422: "A value cannot work; the detail says which, and what to do.",
        429: "Too many requests, or too many runs that wait; Retry-After says how long to wait.",
        503: "The server cannot do it now.",
        507: "The server's disk is full; nothing was kept.",
    }
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    always = (401, 403, 421, 422, 429)
    return {code: {"description": told[code], "content": {MEDIA_TYPE: schema}} for code in sorted({*always, *more})}
