"""The deployment files do what docs/service.md says: nginx in front of a real server, and a unit that systemd reads."""

import configparser
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_made import Up, certificate, listening
from conftest import CUSTOMERS

from automl import Client, Result

FILES = Path(__file__).parent.parent / "automl" / "doors" / "service" / "deploy"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
WAIT_S = 60.0
needs_nginx = pytest.mark.skipif(
    NGINX is None and not os.environ.get("CI"), reason="needs nginx: apt-get install nginx-light"
)


@dataclass
class Front:
    """A proxy that listens, and what is behind it."""

    up: Up
    url: str
    plain: str  # its port without TLS
    trust: Path  # the certificate


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The file of the repository with its names, ports and certificate filled in, and nothing else changed."""
    folder = tmp_path_factory.mktemp("proxy")
    key, trust = certificate(folder)
    secure, plain = free_port(), free_port()
    with listening(folder / "home", is_behind_proxy=True, hosts=("ml.example.org", "127.0.0.1")) as up:
        site = (FILES / "nginx.conf").read_text()
        for before, after in (
            ("127.0.0.1:8642", up.url.removeprefix("http://")), ("listen 443 ssl", f"listen 127.0.0.1:{secure} ssl"),
            ("listen 80", f"listen 127.0.0.1:{plain}"),
            ("/etc/letsencrypt/live/ml.example.org/fullchain.pem", str(trust)),
            ("/etc/letsencrypt/live/ml.example.org/privkey.pem", str(key)),
        ):  # fmt: skip
            assert site.count(before) == 1, before
            site = site.replace(before, after)
        with nginx(folder, site):
            yield Front(up, f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}", trust)


@contextmanager
def nginx(folder: Path, site: str) -> Iterator[None]:
    """A process of nginx with one site, which keeps to its own folder."""
    assert NGINX is not None
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (folder / name).mkdir()
    places = "".join(f"  {'client_body' if n == 'body' else n}_temp_path {folder}/{n};\n" for n in
                     ("body", "proxy", "fastcgi", "uwsgi", "scgi"))  # fmt: skip
    (folder / "site.conf").write_text(site)
    whole = f"daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
    whole += "user root;\n" if os.geteuid() == 0 else ""
    whole += f"events {{}}\nhttp {{\n  access_log off;\n{places}  include {folder}/site.conf;\n}}\n"
    (folder / "whole.conf").write_text(whole)
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "whole.conf")])
    try:
        port = int(re.findall(r"listen 127\.0\.0\.1:(\d+) ssl", site)[0])
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            assert process.poll() is None, (folder / "error.log").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def asked(front: Front, method: str, path: str, **given: Any) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(front.trust))
    return httpx.request(method, f"{front.url}{path}", verify=context, **given)


@needs_nginx
def test_without_tls_one_is_sent_to_it(front: Front) -> None:
    found = httpx.get(f"{front.plain}/v1/me", headers={"Host": "ml.example.org"})
    assert (found.status_code, found.headers["location"]) == (308, "https://ml.example.org/v1/me")


@needs_nginx
def test_who_signs_in_has_a_cookie_for_https_alone(front: Front) -> None:
    signed = asked(front, "POST", "/signin", json={"token": front.up.token}, headers={"Sec-Fetch-Site": "same-origin"})
    assert signed.status_code == 204
    cookie = signed.headers["set-cookie"].lower()
    assert "; secure" in cookie
    assert "; httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=31536000" in signed.headers["strict-transport-security"]


@needs_nginx
def test_the_server_believes_the_proxy_and_not_the_caller(front: Front) -> None:
    """Whatever a caller claims to be, the log of deeds has the address that the proxy saw."""
    forged = {
        "Authorization": f"Bearer {front.up.token}",
        "X-Forwarded-For": "6.6.6.6, 7.7.7.7",
        "Forwarded": "for=8.8.8.8",
    }
    made = asked(front, "POST", "/v1/tokens", json={"name": "x", "scope": "read"}, headers=forged)
    assert made.status_code == 201
    deeds = asked(front, "GET", "/v1/deeds?limit=1000", headers=forged).json()["items"]
    (deed,) = (one for one in deeds if one["place"] == "/v1/tokens")
    assert deed["address"] == "127.0.0.1"


@needs_nginx
def test_a_name_that_the_server_does_not_have_is_refused_through_the_proxy_too(front: Front) -> None:
    found = asked(front, "GET", "/v1/me", headers={"Host": "evil.example.com"})
    assert found.status_code == 421


@needs_nginx
def test_an_upload_larger_than_nginx_usually_takes_passes(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own limit is a megabyte; and a client that trusts the certificate works through it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(front.trust))
    large = tmp_path / "large.csv"
    head, rest = CUSTOMERS.read_text().split("\n", 1)
    large.write_text(head + "\n" + rest * (1 + 3_000_000 // len(rest)))
    with Client(front.url, front.up.token) as client:
        found = client.upload(large)
        assert found.size_bytes is not None
        assert large.stat().st_size > 2_000_000
        client.remove(found)


@needs_nginx
def test_events_come_through_as_they_happen(front: Front, finished: Result) -> None:
    """The first ones are read while the run has not ended: nothing waits in a buffer for more."""
    up = front.up
    run = up.planted(finished, CUSTOMERS)
    up.set(run, state="working", lease_until=2.0**33)
    headers = {"Authorization": f"Bearer {up.token}"}
    context = ssl.create_default_context(cafile=str(front.trust))
    with httpx.stream("GET", f"{front.url}/v1/runs/{run}/events", headers=headers, verify=context) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: state"
        up.say(run, "two")
        assert next(line for line in lines if '"two"' in line).startswith("data:")
        up.set(run, state="done")
        up.say(run, "three")
        assert "event: end" in list(lines)


# --- systemd ----------------------------------------------------------------------------------------------------------


def test_the_unit_starts_the_server_and_leaves_runs_at_work() -> None:
    """Only the server's own process is stopped, by what Ctrl-C sends; the command is one that automl understands."""
    from automl.doors.cli.parser import build

    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(FILES / "automl.service")
    service = dict(unit["Service"])
    assert (service["KillMode"], service["KillSignal"]) == ("process", "SIGINT")
    program, *words = service["ExecStart"].split()
    assert program.endswith("/bin/automl")
    assert build().parse_args(words).verb == "serve"
    comments = (FILES / "automl.service").read_text()
    (create,) = re.findall(r"bin/automl (token create[^#\n]*)", comments)
    assert build().parse_args(create.split()).way == "create"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a program in place of the one that is not installed here, it has nothing to say."""
    text = (FILES / "automl.service").read_text()
    text = text.replace("/opt/automl/bin/automl", "/bin/true").replace("User=automl\nGroup=automl\n", "")
    (tmp_path / "automl.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "automl.service")], capture_output=True, text=True, check=False
    )
    own = [line for line in (done.stdout + done.stderr).splitlines() if "automl.service" in line]
    assert own == []
    assert done.returncode == 0
