"""Data from elsewhere: by https from hosts that the admin named, or from folders of this machine that the admin named.

The address that was checked is the one that is connected to: a name that is turned to another one in between leads
nowhere. Redirects are not followed, and no address of an inner network is asked for anything.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from automl.doors.service.data.receiving import BLOCK, Received, Writing
from automl.doors.service.ground.problems import FULL, Problem
from automl.errors import InputError
from automl.messages import one_line, shown

CONNECT_S, SILENT_S, ALL_S = 10.0, 30.0, 900.0
HTTPS = 443
URL_LETTERS = 2000
OURS = ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "fec0::/10")  # that may lead to an inner IPv4
_OURS = tuple(ipaddress.ip_network(network) for network in OURS)
_FAILED = (OSError, http.client.HTTPException, ValueError)

Resolve = Callable[..., Sequence[tuple[Any, ...]]]


def is_public(address: str) -> bool:
    """Whether an address is of the open net: not of this machine, of an inner network, or of a cloud's own services."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if any(found in network for network in _OURS):
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches from the hosts that are allowed."""

    hosts: Sequence[str]
    most_bytes: float
    all_s: float = ALL_S
    resolve: Resolve = socket.getaddrinfo
    allows: Callable[[str], bool] = is_public
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def fetch(self, url: str, place: Path, count: Callable[[int], None]) -> Received:
        """What a URL leads to, as a new file; whatever goes wrong, nothing is left of it."""
        host, port, asked = self._checked(url)
        address = self._address(host, port)
        writing = Writing(place, count)
        try:
            self._read(_Pinned(host, port, address, self.trust()), asked, writing)
            return writing.finish()
        except (InputError, Problem):
            writing.give_up()
            raise
        except _FAILED as error:
            writing.give_up()
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise InputError(f"{shown(host)} could not be read from: {one_line(error)}. Check the address.") from error
        except BaseException:
            writing.give_up()
            raise

    def _checked(self, url: str) -> tuple[str, int, str]:
        """Host, port and what is asked of it."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode().lower(), parts.port or HTTPS
        except (ValueError, UnicodeError) as error:
            raise InputError(f"{shown(url)} is no URL that can be read. Give https://HOST/PATH.") from error
        if "@" in parts.netloc:
            raise InputError("a URL with a name or password in it is not fetched. Send the file itself instead.")
        if len(url) > URL_LETTERS or not url.isprintable() or "\\" in url or parts.scheme != "https" or not host:
            raise InputError(f"{shown(url)} is not fetched: only https://HOST/PATH is. Send the file itself instead.")
        known = {one.lower() for one in self.hosts}
        if (host if port == HTTPS else f"{host}:{port}") not in known:
            what = "from no host" if not known else f"not from {shown(host)}"
            raise Problem(403, f"this server fetches {what}. Send the file itself, or ask the admin (--urls).")
        asked = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        return host, port, f"{asked}?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else asked

    def _address(self, host: str, port: int) -> str:
        """The address to connect to; none of those that the name has may be an inner one."""
        try:
            found = [str(row[4][0]) for row in self.resolve(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            raise InputError(f"{shown(host)} has no address: {one_line(error)}. Check its name.") from error
        if not found or not all(self.allows(address) for address in found):
            raise Problem(403, f"{shown(host)} is in an inner network, from which nothing is fetched. Send the file.")
        return found[0]

    def _read(self, connection: _Pinned, asked: str, writing: Writing) -> None:
        until = time.monotonic() + self.all_s
        ending = threading.Timer(self.all_s, connection.cut)  # whatever drips slower than any wait for it
        ending.daemon = True
        ending.start()
        try:
            connection.request("GET", asked, headers={"Accept-Encoding": "identity", "User-Agent": "automl"})
            with closing(connection.getresponse()) as answer:
                self._check(answer)
                while content := answer.read(BLOCK):
                    writing.add(content)
                if answer.length:
                    raise InputError(f"it ended {answer.length:,} bytes too early. Try again.")
        finally:
            ending.cancel()
            connection.close()
            if time.monotonic() > until:
                raise InputError(f"it took longer than {self.all_s:g} s. Send the file itself instead.")

    def _check(self, answer: http.client.HTTPResponse) -> None:
        if answer.status in range(300, 400):
            raise InputError(
                f"the URL leads on to another one ({answer.status}), which is not followed. Give that one."
            )
        if answer.status != http.client.OK:
            raise InputError(f"the URL answers {answer.status} {shown(answer.reason)}, not 200. Check it.")
        if answer.getheader("Content-Encoding", "identity") != "identity":
            raise InputError("the URL answers with a packed body, which was not asked for. Send the file itself.")
        if (answer.length or 0) > self.most_bytes:
            raise Problem(413, f"the file has {answer.length:,} bytes, and {self.most_bytes:,.0f} are taken here.")


class _Pinned(http.client.HTTPSConnection):
    """A connection to one address, which has to prove that it is the host."""

    def __init__(self, host: str, port: int, address: str, trust: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SILENT_S)
        self._address, self._trust = address, trust
        self._opened: ssl.SSLSocket | None = None  # also once an answer has taken it over

    def connect(self) -> None:
        """Never asks for the address again."""
        bare = socket.create_connection((self._address, self.port), CONNECT_S)
        bare.settimeout(SILENT_S)
        try:
            self.sock = self._opened = self._trust.wrap_socket(bare, server_hostname=self.host)
        except BaseException:
            bare.close()
            raise

    def cut(self) -> None:
        """End it, whoever waits for it."""
        if self._opened is not None:
            with suppress(OSError):
                self._opened.shutdown(socket.SHUT_RDWR)


def name_in(url: str) -> str:
    """What the file that a URL leads to is called."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def place_in(path: str, roots: Sequence[str], home: Path) -> tuple[Path, Path]:
    """A path of this machine that may be read, and the root below which it lies, links followed in both."""
    refused = Problem(403, f"{shown(path)} is in no folder that data may be taken from here. Send the file itself, or "
                      "ask the admin (--roots).")  # fmt: skip
    try:
        real = Path(path).resolve()
        root = next((one for one in map(_real, roots) if real.is_relative_to(one)), None)
        is_ours = real.is_relative_to(home.resolve()) or home.resolve().is_relative_to(real)
        if root is None or is_ours or not Path(path).is_absolute():
            raise refused
        if not (real.is_file() or real.is_dir()):
            raise InputError(f"{shown(path)} is not there, or is no file and no folder. Check the path.")
    except (OSError, RuntimeError) as error:
        raise refused from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise refused from error
    return real, root


def _real(root: str) -> Path:
    return Path(root).expanduser().resolve()
