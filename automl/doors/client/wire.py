"""One server, as it is asked: the only file that knows HTTP.

What changes nothing is asked again where no answer came; so is what carries a key by which the server knows it again.
The token is in no message and in no repr.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from automl.doors.client.trouble import NoAnswerError, of_answer, of_transport
from automl.errors import InputError, OptionError
from automl.messages import shown

if TYPE_CHECKING:
    import httpx

TOKEN, SERVER = "AUTOML_TOKEN", "AUTOML_SERVER"  # in the environment
CONNECT_S = 10.0
ANSWER_S = 600.0  # a profile, an explanation and a model that is fitted now take their time
SILENCE_S = 60.0  # of events; the server says something four times as often
TRIES, PAUSE_S = 4, 0.3  # the pause doubles
MOST_WAIT_S = 10.0  # that a server may ask for before it is asked again; for more the caller is told
PAGE = 200


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; progress has no number."""

    kind: str
    body: Mapping[str, Any]
    number: int | None


class Wire:
    """A connection to a server."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = _plain(url)
        try:
            import httpx
        except ModuleNotFoundError as error:
            raise InputError(
                "asking a server needs httpx, which is not installed. pip install 'automl-frontier[client]'."
            ) from error
        self._httpx = httpx
        headers = {"User-Agent": "automl"}
        if token := (token or os.environ.get(TOKEN) or "").strip():
            if not token.isascii() or not token.isprintable() or " " in token:
                raise OptionError(f"token holds letters that no token has, {len(token)} in all. Copy it again.")
            headers["Authorization"] = f"Bearer {token}"
        limits = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=limits)
        except (OSError, ValueError, TypeError) as error:  # a file of certificates that cannot be read, an odd proxy
            raise InputError(
                f"a connection to {self.url} cannot be made: {error}. Check SSL_CERT_FILE and the proxies in the "
                "environment."
            ) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    # --- asked --------------------------------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """JSON that is there to be read."""
        return self.again(lambda: self._json(self._http.build_request("GET", path, params=_given(params))))

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Each item of a list, a page at a time."""
        cursor = None
        while True:
            found = self.get(path, {**(params or {}), "limit": PAGE, "cursor": cursor})
            yield from found["items"]
            cursor = found.get("next")
            if not cursor:
                return

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> Any:
        """JSON for JSON; with a `key` the server knows a request again, so that it may be sent more than once."""
        headers = {} if key is None else {"Idempotency-Key": key}
        make = self._http.build_request
        return self.again(lambda: self._json(make("POST", path, json=body, headers=headers)), TRIES if key else 1)

    def send(
        self, path: str, params: Mapping[str, Any], kind: str, content: bytes | Callable[[], Iterator[bytes]],
        *, size: int | None = None,
    ) -> Any:  # fmt: skip
        """JSON for bytes of that media type: such that are at hand, or as they come; so many, where that is known."""
        body, headers = content if isinstance(content, bytes) else content(), {"Content-Type": kind}
        if size is not None:  # what is too large is then refused before it is sent
            headers["Content-Length"] = str(size)
        return self._json(self._http.build_request("POST", path, params=_given(params), content=body, headers=headers))

    def delete(self, path: str) -> None:
        """Remove it."""
        self._answer(self._http.build_request("DELETE", path)).close()

    def text(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The bytes of an answer that is no JSON."""

        def once() -> bytes:
            answer = self._answer(self._http.build_request("GET", path, params=_given(params)))
            return bytes(answer.content)

        found: bytes = self.again(once)
        return found

    @contextmanager
    def stream(self, path: str) -> Iterator[Iterator[bytes]]:
        """The bytes of a large answer, as they come."""
        answer = self._answer(self._http.build_request("GET", path), is_stream=True)
        try:
            yield self._told(answer.iter_bytes())
        finally:
            answer.close()

    def events(self, path: str, seen: int) -> Iterator[Event]:
        """Server-sent events after the one of that number, until the server ends them."""
        headers = {"Last-Event-ID": str(seen), "Accept": "text/event-stream"}
        limits = self._httpx.Timeout(SILENCE_S, connect=CONNECT_S)
        request = self._http.build_request("GET", path, headers=headers, timeout=limits)
        answer = self._answer(request, is_stream=True)
        try:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise InputError(f"{self.url} is no automl server: {path} tells no events. Check the address.")
            yield from _events(_lines(self._told(answer.iter_text())))
        finally:
            answer.close()

    def again(self, ask: Callable[[], Any], tries: int = TRIES) -> Any:
        """Ask until there is an answer, a few times."""
        pause_s = PAUSE_S
        for left in range(tries - 1, -1, -1):
            try:
                return ask()
            except NoAnswerError:
                if not left:
                    raise
            time.sleep(pause_s)
            pause_s *= 2
        return None

    # --- answered -----------------------------------------------------------------------------------------------------

    def _json(self, request: httpx.Request) -> Any:
        answer = self._answer(request)
        try:
            return answer.json()
        except ValueError:
            raise InputError(
                f"{self.url} is no automl server: its answer to {request.method} {request.url.path} is no JSON. "
                "Check the address."
            ) from None

    def _answer(self, request: httpx.Request, *, is_stream: bool = False) -> httpx.Response:
        """An answer that is none of trouble; a server that asks to wait a moment is asked again."""
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = self._http.send(request, stream=True)
                if answer.status_code >= 300 or not is_stream:
                    answer.read()
            except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
                raise of_transport(error, self.url) from error
            if answer.status_code < 300:
                return answer
            wait_s = _wait_s(answer)
            if wait_s is None or not left or not isinstance(request.stream, self._httpx.ByteStream):
                raise of_answer(answer, self.url) from None
            time.sleep(wait_s)
        raise AssertionError  # the last try raises

    def _told(self, parts: Iterator[Any]) -> Iterator[Any]:
        """The parts of an answer; where they end too early, in words."""
        try:
            yield from parts
        except self._httpx.HTTPError as error:
            raise of_transport(error, self.url) from error


def _plain(url: Any) -> str:
    """The address, without what does not belong into it."""
    text = str(url).strip().rstrip("/")
    try:
        found = urlsplit(text)
        is_fine = found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
    except ValueError:
        is_fine = False
    if not is_fine:
        raise OptionError(f"the address of a server is http://HOST:PORT or https://HOST, got {shown(url)}.")
    if found.username or found.password:
        raise OptionError("the address of a server holds no name and no password. Give token=..., or set AUTOML_TOKEN.")
    if found.query or found.fragment:
        raise OptionError(
            f"the address of a server ends with its host or a path, got {shown(url)}. Leave out the rest."
        )
    return text


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a query holds; nothing of what was not given."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in (params or {}).items()
        if value is not None
    }


def _wait_s(answer: httpx.Response) -> float | None:
    """Seconds after which the server wants to be asked again, if that is soon."""
    told = answer.headers.get("retry-after", "")
    if answer.status_code not in (429, 503) or not told.isdigit() or int(told) > MOST_WAIT_S:
        return None
    return float(told)


def _lines(parts: Iterator[str]) -> Iterator[str]:
    """Lines as server-sent events have them: texts may hold what else counts as the end of one."""
    rest = ""
    for part in parts:
        *whole, rest = (rest + part).split("\n")
        yield from (line.removesuffix("\r") for line in whole)


def _events(lines: Iterator[str]) -> Iterator[Event]:
    """Events of a stream; comments and what is none are passed over."""
    kind, number, data = "message", None, []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id" and value.isdigit():
            number = int(value)
        elif name == "data":
            data.append(value)
        elif not line:
            if data:
                yield Event(kind, json.loads("\n".join(data)), number)
            kind, number, data = "message", None, []


def check_server(wire: Wire) -> dict[str, Any]:
    """Who we are to the server; refused in one line where it is none, or does not know us."""
    found = wire.get("/v1/me")
    if not isinstance(found, dict) or "user" not in found:
        raise InputError(f"{wire.url} is no automl server: /v1/me tells no user. Check the address.")
    return found
