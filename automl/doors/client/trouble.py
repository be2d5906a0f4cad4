"""What can go wrong between here and a server, as the errors that the same mistake has without one: one line each.

Whoever has not got an answer yet, since no server was reached, may ask again: that is NoAnswerError.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

from automl.errors import ArtifactError, AutomlError, InputError, OptionError, RunError, SchemaError
from automl.messages import one_line, shown

if TYPE_CHECKING:
    import httpx

KINDS: dict[str, type[AutomlError]] = {
    "urn:automl:artifact": ArtifactError,
    "urn:automl:bad-option": OptionError,
    "urn:automl:bad-rows": SchemaError,
}
NAMES: dict[str, type[AutomlError]] = {
    one.__name__: one for one in (InputError, SchemaError, OptionError, ArtifactError, RunError)
}
UNKNOWN = " is nothing that this server "  # says one that is older than what it is asked, or newer
MAKE_ONE = "automl token create makes one, on the server's machine; so does the page, under Account."


class NoAnswerError(RunError):
    """No server answered, or none that could do it now; asking again may help."""


def of_answer(answer: httpx.Response, url: str) -> AutomlError:
    """The error that an answer above 399, or one that sends on to elsewhere, stands for."""
    found = _problem(answer)
    if found is None:
        return _of_stranger(answer, url)
    detail = " ".join(str(found.get("detail") or found.get("title") or answer.reason_phrase).split())
    if answer.status_code == 401:
        had = "authorization" in answer.request.headers
        said = f"the server at {url} does not know this token" if had else f"the server at {url} asks for a token"
        return InputError(f"{said}. Give token=..., or set AUTOML_TOKEN. {MAKE_ONE}")
    if UNKNOWN in detail:
        return RunError(f"{detail} The server at {url} is of another version than this client: update the older one.")
    if answer.status_code == 503:
        return NoAnswerError(detail)
    if answer.status_code == 429 or answer.status_code >= 500:
        return RunError(detail)
    return KINDS.get(str(found.get("type")), InputError)(detail)


def of_run(kind: str | None, line: str) -> AutomlError:
    """The error with which a run ended on the server."""
    return NAMES.get(kind or "", RunError)(line)


def of_transport(error: Exception, url: str) -> AutomlError:
    """The error of an exchange that did not come to an answer."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return InputError(
                f"the certificate of {url} is not trusted: {one_line(cause.verify_message)}. If it is your own, set "
                "SSL_CERT_FILE to the file of who signed it."
            )
        if isinstance(cause, ssl.SSLError):
            return InputError(
                f"{url} does not speak TLS as this machine does: {one_line(cause.reason or cause)}. Check the port, or "
                "use http:// where the server is on this machine."
            )
    kind = type(error).__name__
    if kind == "LocalProtocolError":
        return InputError(
            f"what was sent to {url} changed on its way: {one_line(error)}. Does another program write to the file? "
            "Try again once it has ended."
        )
    if kind in ("UnsupportedProtocol", "InvalidURL"):
        return OptionError(f"{shown(url)} cannot be asked: {one_line(error)}. Give http://HOST:PORT or https://HOST.")
    if kind in ("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"):
        return NoAnswerError(f"the server at {url} does not answer in time. Check that it runs, and try again.")
    if kind == "ConnectError":
        told = next((cause for cause in reversed(causes) if isinstance(cause, OSError)), error)
        return NoAnswerError(
            f"no server answers at {url}: {one_line(getattr(told, 'strerror', None) or told)}. Check the address, and "
            "that it runs: automl serve."
        )
    return NoAnswerError(
        f"the server at {url} ended the connection: {one_line(error)}. Try again; where it speaks TLS, use https://."
    )


def _problem(answer: httpx.Response) -> dict[str, Any] | None:
    """The members of a problem; None of an answer that no automl server gave."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        found = json.loads(answer.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _of_stranger(answer: httpx.Response, url: str) -> AutomlError:
    """Of what stands in front of a server, or of another one."""
    status = answer.status_code
    if 300 <= status < 400:
        place = answer.headers.get("location", "another address")
        return InputError(f"{url} sends on to {shown(place)}. Give that server's address.")
    if status == 413:
        return InputError(f"the proxy in front of {url} takes no body of this size. Ask its admin for more.")
    if status in (502, 503, 504):
        return NoAnswerError(f"the server behind {url} does not answer ({status}). Check that it runs, and try again.")
    kind = answer.headers.get("content-type", "nothing").partition(";")[0]
    return InputError(
        f"{url} is no automl server: it answered {answer.request.method} {answer.request.url.path} with {status}, "
        f"{kind}. Check the address."
    )


def _causes(error: BaseException) -> list[BaseException]:
    """An error, and those that it came from."""
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in found:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found
