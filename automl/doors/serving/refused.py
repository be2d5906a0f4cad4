"""What a request is refused for, with the status that says so; the line is for whoever sent it."""

from __future__ import annotations

from http import HTTPStatus

from automl.errors import ArtifactError, AutomlError, InputError, SchemaError


class RefusedError(InputError):
    """A request that is not answered, and by which status."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


def status_of(error: AutomlError) -> int:
    """Whose fault it is: the rows' (422), the request's (400), or the model's (500)."""
    if isinstance(error, RefusedError):
        return error.status
    if isinstance(error, SchemaError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.INTERNAL_SERVER_ERROR if isinstance(error, ArtifactError) else HTTPStatus.BAD_REQUEST
