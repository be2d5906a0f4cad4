"""What can be asked of the server, a file for each noun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from automl.doors.service.access.accounts import Principal
from automl.doors.service.ground.problems import Problem
from automl.doors.service.service import principal_of


def allowed(scope: str) -> Callable[[Request], Awaitable[Principal]]:
    """Who asks, if role and token allow this; 403 where they do not."""

    async def check(request: Request) -> Principal:  # so that it costs no change of thread
        by = principal_of(request)
        if not by.may(scope):
            raise Problem(
                403, f"this needs the scope {scope!r}, yours is {by.scope!r}. Ask an admin, or use another token."
            )
        return by

    return check


def needs(scope: str) -> Any:
    """What it takes to ask a route, to be written at its parameter `by` or at the route itself."""
    return Depends(allowed(scope))


# Who asks, where reading, predicting or changing is allowed: the type of a route's parameter `by`.
Reader = Annotated[Principal, needs("read")]
Asker = Annotated[Principal, needs("predict")]
Writer = Annotated[Principal, needs("write")]
