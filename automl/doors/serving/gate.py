"""What every request passes before its route: who asks, how much, how long; and what is counted and told of it after.

Outermost and plain ASGI: a caller without a token is turned away before his body is read. A fault of ours becomes one
line for the caller and one for the log, which names a place in the code and nothing of the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from automl.doors.serving.asked import LOOPBACK, ServeOptions, is_known
from automl.doors.serving.gauges import OTHER, Gauges
from automl.doors.serving.refused import RefusedError, status_of
from automl.errors import ArtifactError, AutomlError

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Message], Any]

PUBLIC = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")  # for probes, which have no token
PROTOCOL = "/v2"
PROBLEM = "application/problem+json"
FAULT = "the server failed on this request, by a fault of its own. Its log says where."
SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
LOG = logging.getLogger("automl.serving")


class Gate:
    """An ASGI application before another one."""

    def __init__(self, app: Any, options: ServeOptions, gauges: Gauges) -> None:
        self.app, self.options, self.gauges = app, options, gauges
        self._hosts = {*LOOPBACK, "[::1]", options.host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, passage = time.perf_counter(), _Passage(receive, send, self.options)
        try:
            self._admit(scope, passage)
            async with asyncio.timeout(2 * self.options.timeout_s):
                await self.app(scope, passage.receive, passage.send)
        except Exception as problem:  # noqa: BLE001 - the edge of the server: told and logged
            await self._tell(scope, passage, problem)
        finally:
            route = getattr(scope.get("route"), "path", OTHER)
            self.gauges.requests.add(1.0, route, str(passage.status or 0))
            self.gauges.seconds.observe(time.perf_counter() - began, route)

    def _admit(self, scope: Scope, passage: _Passage) -> None:
        """Refuse who may not ask, and what is announced to be too much."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        length = headers.get(b"content-length", "0")
        passage.is_half_read = length != "0" or b"transfer-encoding" in headers
        if self.options.tokens:
            scheme, _, token = headers.get(b"authorization", "").partition(" ")
            is_let_in = scheme.lower() == "bearer" and is_known(token.strip(), self.options.tokens)
            if not is_let_in and scope["path"] not in PUBLIC:
                raise RefusedError(
                    HTTPStatus.UNAUTHORIZED, "a token is needed. Send the header: Authorization: Bearer TOKEN"
                )
        elif not self.options.is_open:
            host = headers.get(b"host", "").lower()
            name = host.rsplit(":", 1)[0] if host.rfind(":") > host.rfind("]") else host
            if name not in self._hosts:  # a page elsewhere may have been told that its name is this address
                raise RefusedError(
                    HTTPStatus.MISDIRECTED_REQUEST,
                    "this server is for callers on its own machine. Start it with --token-file or --open for others.",
                )
        if not length.isdecimal():
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the header Content-Length is no number.")
        passage.check_size(int(length))

    async def _tell(self, scope: Scope, passage: _Passage, problem: Exception) -> None:
        """Answer with what went wrong, if there is no answer yet."""
        status, line = said_of(problem)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(problem, RefusedError | TimeoutError):
            self.gauges.failures.add()
            LOG.error("%s %s failed: %s", scope["method"], OTHER if scope.get("route") is None
                      else scope["route"].path, place_of(problem))  # fmt: skip
        if passage.status is None:
            body, kind = as_problem(status, line, is_of_protocol=scope["path"].startswith(PROTOCOL))
            headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
            if status == HTTPStatus.UNAUTHORIZED:
                headers.append((b"www-authenticate", b"Bearer"))
            if status == HTTPStatus.SERVICE_UNAVAILABLE:
                headers.append((b"retry-after", b"1"))
            await passage.send({"type": "http.response.start", "status": status, "headers": headers})
            await passage.send({"type": "http.response.body", "body": body})


class _Passage:
    """A request on its way in and its answer on the way out, watched."""

    def __init__(self, receive: Receive, send: Send, options: ServeOptions) -> None:
        self._receive, self._send, self._options = receive, send, options
        self.status: int | None = None
        self._size = 0
        self.is_half_read = False  # a part of the body is yet to come

    async def receive(self) -> Message:
        """The next part of the body, if it comes in time and is not one too many."""
        try:
            async with asyncio.timeout(self._options.timeout_s if self.is_half_read else None):
                message: Message = await self._receive()
        except TimeoutError as slow:
            raise RefusedError(
                HTTPStatus.REQUEST_TIMEOUT,
                f"the body did not come within {self._options.timeout_s:g} s. Send it faster.",
            ) from slow
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self.check_size(self._size)
            self.is_half_read = bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            closing = ((b"connection", b"close"),) if self.is_half_read else ()  # the rest is not waited for
            message = {**message, "headers": [*message.get("headers", ()), *SAFE, *closing]}
        await self._send(message)

    def check_size(self, size: int) -> None:
        """Refuse a body that is too large, announced or not."""
        if size > self._options.body_bytes:
            raise RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the body has more than {self._options.max_mb:g} MB, the most that is read. Send it in parts.",
            )


def said_of(problem: BaseException) -> tuple[int, str]:
    """Status and line for the caller; of what is no fault of his nothing but that."""
    if isinstance(problem, ArtifactError) or not isinstance(problem, AutomlError | TimeoutError):
        return HTTPStatus.INTERNAL_SERVER_ERROR, FAULT
    if isinstance(problem, TimeoutError):
        return HTTPStatus.GATEWAY_TIMEOUT, "there was no answer in time. Ask for fewer rows, or again later."
    return status_of(problem), " ".join(str(problem).split())


def place_of(problem: BaseException) -> str:
    """What went wrong and where, without what it says: that may be of the data."""
    frames = traceback.extract_tb(problem.__traceback__)
    where = (
        f"{frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]}" if frames else "?"
    )
    return f"{type(problem).__name__} in {where}"


def as_problem(status: int, line: str, *, is_of_protocol: bool) -> tuple[bytes, str]:
    """The body of a refusal and its type: RFC 9457's, or the one that the Open Inference Protocol knows."""
    if is_of_protocol:
        return json.dumps({"error": line}, ensure_ascii=False).encode("utf-8", "backslashreplace"), "application/json"
    title = HTTPStatus(status).phrase
    plain = {"type": "about:blank", "title": title, "status": int(status), "detail": line}
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "backslashreplace"), PROBLEM
