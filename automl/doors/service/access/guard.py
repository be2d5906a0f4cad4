"""What stands before every request: who asks, from where, how often and how much, and how answers may be used.

It is ASGI and not a dependency, so that a stranger is sent away before any of the body is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse

from automl.doors.service.access.accounts import Accounts, Principal
from automl.doors.service.access.deeds import Deed, Deeds
from automl.doors.service.ground.problems import Problem, problem_of
from automl.doors.service.ground.settings import LOOPBACK, Settings
from automl.messages import shown

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "automl_session"
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("/healthz", "/readyz", "/signin", "/v1/openapi.json")  # to anybody who reaches the server
PROBES = OPEN[:2]  # which are asked by address, whatever the server is called
STATIC = "/static/"
UPLOADS = "/v1/datasets"  # the one place where large bodies go
WITH_ROWS = ("/v1/models/", "/models/")  # where bodies hold rows
PLAIN_BYTES = 1e6  # of any other body: it is read whole before it is looked at
COUNTED = ("/predict", "/explain")  # deeds that are counted, not listed
TAKEN_OUT = ("/artifact", "/file", "/report")  # safe requests that are deeds
TRIES_A_MINUTE = 10  # of signing in, from one address
MOST_BUCKETS = 10_000
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_CSP = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Guard:
    """The outermost layer of the app."""

    def __init__(self, app: App, settings: Settings, accounts: Accounts, deeds: Deeds) -> None:
        self._app, self._settings, self._accounts, self._deeds = app, settings, accounts, deeds
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so
        self._swept = 0.0  # when the full ones were last taken out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        answer = _Answer(send, _headers(self._settings))
        try:
            principal = await self._admit(request)
        except Exception as error:  # noqa: BLE001 - of a database that is away, for instance: it is told, and logged
            problem = problem_of(error)
            await _refusal(request, problem)(scope, receive, answer)
            self._note(request, None, problem.status)
            return
        scope.setdefault("state", {})["principal"] = principal
        limited = _Limited(receive, self._most_bytes(request), request)
        answer.limited = limited
        try:
            await self._app(scope, limited, answer)
        except Exception as error:  # noqa: BLE001 - the last frame before the wire: it is told, and logged
            if not answer.has_begun:  # else it was told, and its like is in the log
                await (limited.problem or problem_of(error)).response()(scope, receive, answer)
        finally:
            came = scope["state"]  # who signed in is told by the way in, as is a refusal that a page leads on from
            self._note(request, came.get("signed_in", principal), came.get("refused", answer.status))

    async def _admit(self, request: Request) -> Principal | None:
        """Who it is; Problem where the request goes no further."""
        path = request.scope["path"]
        if path not in PROBES:
            self._check_name(request)
        if path == "/signin" and request.method == "POST":
            self._spend(f"sign in {self._address(request)}", TRIES_A_MINUTE)
            _check_origin(request)
        secret = None if path.startswith(STATIC) else _secret_of(request)
        principal = None if secret is None else await self._who(secret)
        who = self._address(request) if principal is None or path in OPEN else principal.token_id
        self._spend(who, self._settings.requests_per_minute)
        if path.startswith(STATIC):
            return None
        if principal is None and path not in OPEN:
            known = {"WWW-Authenticate": 'Bearer realm="automl"'}
            what = "this token is not known here, or no longer holds" if secret else "no token was given"
            raise Problem(401, f"{what}. Send Authorization: Bearer TOKEN, or sign in on the page.", headers=known)
        if principal is not None and "authorization" not in request.headers and request.method not in SAFE:
            _check_origin(request)
        return principal

    async def _who(self, secret: str) -> Principal | None:
        """Whose token it is: as a moment ago, or by a look at the database, which may take its time."""
        return self._accounts.recalled(secret) or await asyncio.to_thread(self._accounts.who, secret)

    def _check_name(self, request: Request) -> None:
        """A page of elsewhere whose name was turned to this address gets nothing."""
        name = request.headers.get("host", "").rpartition("@")[2]
        host = name[: name.rfind("]") + 1] if name.startswith("[") else name.partition(":")[0]
        known = {self._settings.host, *self._settings.hosts, *(LOOPBACK if self._settings.is_local else ())}
        is_any = self._settings.host in ("0.0.0.0", "::") and not self._settings.hosts  # noqa: S104 - compared, not bound
        if host.strip("[]").lower() not in {one.lower() for one in known} and not is_any:
            raise Problem(
                421, f"this server is not called {shown(host)}. Its admin can add a name: --hosts {host[:60]}."
            )

    def _address(self, request: Request) -> str:
        """Where it comes from; a proxy tells the last hop before it."""
        if self._settings.is_behind_proxy and (told := request.headers.get("x-forwarded-for")):
            return told.rpartition(",")[2].strip()[:60]
        return request.client.host if request.client else "unknown"

    def _spend(self, who: str, a_minute: int) -> None:
        """One request of so many a minute; they come back evenly."""
        now = time.monotonic()
        if len(self._buckets) > MOST_BUCKETS and now > self._swept + 1:
            self._swept = now
            self._buckets = {key: found for key, found in self._buckets.items() if now - found[1] < 60}
        left, at = self._buckets.get(who, (float(a_minute), now))
        left = min(float(a_minute), left + (now - at) * a_minute / 60)
        self._buckets[who] = (max(0.0, left - 1), now)
        if left < 1:
            wait_s = 60 / a_minute
            raise Problem(429, f"more than {a_minute:,} requests in a minute. Wait a moment and ask again.",
                          headers={"Retry-After": str(max(1, round(wait_s)))})  # fmt: skip

    def _most_bytes(self, request: Request) -> float:
        if _is_upload(request):
            return self._settings.most_upload_mb * 1e6
        most = self._settings.most_asked_mb * 1e6
        return most if request.scope["path"].startswith(WITH_ROWS) else min(most, PLAIN_BYTES)

    def _note(self, request: Request, principal: Principal | None, status: int) -> None:
        path = request.scope["path"]
        is_deed = request.method not in SAFE or status in (401, 403) or path.endswith(TAKEN_OUT)
        if not is_deed:
            return
        deed = Deed.of(principal, self._address(request), request.method, path, status)
        is_many = path.endswith(COUNTED) or status in (401, 429) or (principal is None and status >= 400)
        if is_many:
            self._deeds.count(deed)
            return
        task = asyncio.get_running_loop().run_in_executor(None, self._deeds.note, deed)
        task.add_done_callback(lambda done: done.exception() and problem_of(done.exception()))  # type: ignore[arg-type]


class _Answer:
    """Passes an answer on, with the headers that all of them have; a body that was too long has one answer only."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send, self._headers = send, headers
        self.status, self.has_begun = 500, False
        self.limited: _Limited | None = None
        self._is_replaced = False

    async def __call__(self, message: Message) -> None:
        if self._is_replaced:
            return
        problem = None if self.limited is None else self.limited.problem
        if problem is not None and not self.has_begun:
            self._is_replaced, response = True, problem.response()
            await self._pass({"type": "http.response.start", "status": problem.status, "headers": response.raw_headers})
            message = {"type": "http.response.body", "body": response.body}
        await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.has_begun = message["status"], True
            own = {name.lower() for name, _ in message.get("headers", [])}
            added = [(n.encode(), v.encode()) for n, v in self._headers.items() if n.encode() not in own]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await self._send(message)


class _Limited:
    """Passes a body on, as far as it may be long."""

    def __init__(self, receive: Receive, most: float, request: Request) -> None:
        self._receive, self._most, self._seen = receive, most, 0
        self.problem: Problem | None = None
        told = request.headers.get("content-length", "")
        self._is_told_long = told.isdigit() and int(told) > most

    async def __call__(self) -> Message:
        message = {"type": "http.request"} if self._is_told_long else await self._receive()
        self._seen += len(message.get("body", b""))
        if self._is_told_long or self._seen > self._most:
            self.problem = Problem(413, f"the body is larger than the {self._most / 1e6:,.0f} MB that are taken here. "
                                   "Send less, or ask the admin for more.")  # fmt: skip
            raise self.problem
        return message


def _headers(settings: Settings) -> dict[str, str]:
    return {**HEADERS, "strict-transport-security": "max-age=31536000"} if settings.is_behind_proxy else HEADERS


def _is_upload(request: Request) -> bool:
    return request.method in ("POST", "PUT") and request.scope["path"] == UPLOADS


def _secret_of(request: Request) -> str | None:
    """The token of a request, from its header or its cookie."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind:
        return secret.strip() if kind.lower() == "bearer" else ""
    return request.cookies.get(COOKIE)


def _check_origin(request: Request) -> None:
    """A cookie alone changes nothing when another site's page sends it."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = request.headers.get("host", "")
    is_own = site in ("same-origin", "none") if site else origin is not None and origin.partition("://")[2] == own
    if not is_own:
        raise Problem(403, "a page of another site asked in your name. Use this server's own pages, or a token.")


def _refusal(request: Request, problem: Problem) -> Any:
    """A problem; on the page the way to sign in."""
    is_page = request.method == "GET" and not request.scope["path"].startswith("/v1/")
    if problem.status == 401 and is_page and "text/html" in request.headers.get("accept", ""):
        query = request.scope["query_string"].decode("latin-1")
        asked = f"{request.scope['path']}?{query}" if query else request.scope["path"]
        return RedirectResponse(f"/signin?next={quote(asked)}", status_code=303)
    return problem.response()


def set_cookie(response: Any, secret: str, settings: Settings) -> None:
    """Keep the session in the browser, out of reach of scripts and of other sites."""
    response.set_cookie(
        COOKIE, secret, httponly=True, samesite="strict", secure=settings.is_behind_proxy, path="/", max_age=12 * 3600
    )
