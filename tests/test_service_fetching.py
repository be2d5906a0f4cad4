"""Data from elsewhere: from nowhere unless the admin says so, and never from an inner network or by a way round."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from datasets_made import TABLE, home_of, picture

from automl.doors.service.data.fetching import Fetcher, is_public, name_in, place_in
from automl.doors.service.ground.problems import Problem
from automl.errors import InputError

HOST = "data.example.org"
SLOW_S = 60.0


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.8", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fec0::1",
    ],
)  # fmt: skip
def test_an_address_of_an_inner_network_is_not_asked(address: str) -> None:
    """Of IPv6 also those that lead to one of IPv4."""
    assert not is_public(address)


def test_an_address_of_the_open_net_may_be_asked() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")


class Pages(BaseHTTPRequestHandler):
    """What the server of the tests answers."""

    asked: list[str]

    def log_message(self, format: str, *given: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']} {self.path}")
        where = self.path.partition("?")[0]
        if where == "/moved":
            self.send_response(302)
            self.send_header("Location", "https://127.0.0.1/secret")
            self.end_headers()
            return
        self.send_response(404 if where == "/none" else 200)
        if where == "/packed":
            self.send_header("Content-Encoding", "gzip")
        if where in ("/large", "/short"):
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        if where == "/drip":
            until = time.monotonic() + SLOW_S
            while time.monotonic() < until:
                self.wfile.write(b"1,2\n")
                time.sleep(0.02)
        if where == "/endless":
            while True:
                self.wfile.write(b"1,2\n" * 2**16)
        self.wfile.write(TABLE)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of the host, and its key."""
    folder = tmp_path_factory.mktemp("keys")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, no_password))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def site(keys: tuple[Path, Path]) -> Iterator[tuple[int, list[str]]]:
    """A server by https on a free port, and what it was asked."""
    handler = type("Own", (Pages,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*keys)
    server.handle_error = lambda *given: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1], handler.asked  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def fetcher(keys: tuple[Path, Path], port: int, **more: Any) -> Fetcher:
    """One to which the tests' server is on the open net."""
    trust = lambda: ssl.create_default_context(cafile=str(keys[0]))  # noqa: E731
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]
    told = {"hosts": [f"{HOST}:{port}"], "most_bytes": 500_000, "resolve": lambda *_, **__: found,
            "allows": lambda address: True, "trust": trust, **more}  # fmt: skip
    return Fetcher(**told)


def counting(most: int = 10**9) -> Callable[[int], None]:
    total = [0]

    def count(more: int) -> None:
        total[0] += more
        if total[0] > most:
            raise Problem(413, "too much")

    return count


def test_a_file_is_fetched_from_a_host_that_is_allowed(
    keys: tuple[Path, Path], site: tuple[int, list[str]], tmp_path: Path
) -> None:
    """It is asked under its name, which its certificate proves."""
    port, asked = site
    received = fetcher(keys, port).fetch(f"https://{HOST}:{port}/my data/ü.csv?key=1", tmp_path / "x", counting())
    assert received.path.read_bytes() == TABLE
    assert received.size_bytes == len(TABLE)
    assert asked == [f"{HOST}:{port} /my%20data/%C3%BC.csv?key=1"]
    assert name_in(f"https://{HOST}/my%20data/x.csv?key=1") == "x.csv"


URLS = (
    "http://data.example.org/x.csv", "file:///etc/passwd", "ftp://data.example.org/x", "//data.example.org/x", "",
    "x.csv",     "https:///x", "https://user:sesame@data.example.org/x", "https://@data.example.org/x", "https://data.example.org\\@x.org/",
    "https://data.example.org/\r\nHost: x", "https://data.example.org:99999/", "https://[::1/", "gopher://data.example.org",
    "https://data.example.org/" + "x" * 3000,
)  # fmt: skip


@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url)[:30])
def test_a_url_that_is_not_plain_https_is_refused(url: str, tmp_path: Path) -> None:
    """Before anybody is asked for an address."""
    with pytest.raises(InputError) as told:
        Fetcher(hosts=[HOST], most_bytes=9, resolve=None).fetch(url, tmp_path / "x", counting())  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    assert "sesame" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["https://example.org/x", f"https://{HOST}.evil.org/x", f"https://evil.org/{HOST}", f"https://{HOST}:8443/x",
            "https://169.254.169.254/latest/meta-data", "https://localhost/x"]
)  # fmt: skip
def test_a_host_that_the_admin_did_not_name_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="this server fetches not from") as told:
        Fetcher(hosts=[HOST], most_bytes=9, resolve=None).fetch(url, tmp_path / "x", counting())  # type: ignore[arg-type]
    assert told.value.status == 403


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:169.254.169.254"], []])
def test_a_name_that_leads_to_an_inner_network_is_refused(addresses: list[str], tmp_path: Path) -> None:
    """All addresses of a name are looked at, not the first one; nothing is connected to."""
    rows = [(0, 0, 0, "", (address, 443)) for address in addresses]
    asking = Fetcher(hosts=[HOST], most_bytes=9, resolve=lambda *_, **__: rows)
    with pytest.raises(Problem, match="is in an inner network") as told:
        asking.fetch(f"https://{HOST}/x", tmp_path / "x", counting())
    assert told.value.status == 403
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_turns_to_another_address_leads_nowhere(
    keys: tuple[Path, Path], site: tuple[int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for once, and what was checked then is connected to: rebinding comes too late."""
    port, asked = site
    found, connected = [], []

    def resolve(*_: Any, **__: Any) -> Any:
        found.append("10.0.0.66" if found else "127.0.0.1")
        return [(0, 0, 0, "", (found[-1], port))]

    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda to, *more: connected.append(to) or connect(to, *more))
    fetcher(keys, port, resolve=resolve).fetch(f"https://{HOST}:{port}/x", tmp_path / "x", counting())
    assert found == ["127.0.0.1"]
    assert connected == [("127.0.0.1", port)]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/moved", "leads on to another one \\(302\\), which is not followed"),
        ("/none", "answers 404"),
        ("/packed", "answers with a packed body"),
        ("/large", "has 1,000,000 bytes"),
        ("/short", "bytes too early|could not be read"),
        ("/endless", "too much"),
        ("/drip", "took longer than 0.3 s"),
    ],
)
def test_what_does_not_arrive_as_it_should_is_refused_and_leaves_nothing(
    keys: tuple[Path, Path], site: tuple[int, list[str]], tmp_path: Path, path: str, said: str
) -> None:
    """Redirects, bodies that are packed, too long, too short, without an end, or that drip."""
    port, asked = site
    more = {"all_s": 0.3} if path == "/drip" else {"most_bytes": 10**7} if path == "/short" else {}
    with pytest.raises((InputError, Problem), match=said):
        fetcher(keys, port, **more).fetch(f"https://{HOST}:{port}{path}", tmp_path / "x", counting(10**6))
    assert len(asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_who_cannot_prove_to_be_the_host_is_refused(
    keys: tuple[Path, Path], site: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, asked = site
    strict = fetcher(keys, port, hosts=[f"other.example.org:{port}"])
    with pytest.raises(InputError, match="CERTIFICATE_VERIFY_FAILED"):
        strict.fetch(f"https://other.example.org:{port}/x", tmp_path / "x", counting())
    assert asked == []


# --- folders of this machine -----------------------------------------------------------------------------------------


def test_a_path_is_taken_only_below_a_folder_that_the_admin_named(tmp_path: Path) -> None:
    """Links are followed before that is asked; the server's own home is never taken."""
    root, home, secret = tmp_path / "root", tmp_path / "root" / "home", tmp_path / "secret.csv"
    (root / "sub").mkdir(parents=True)
    home.mkdir()
    for file in (secret, root / "sub" / "x.csv", home / "server.db"):
        file.write_bytes(TABLE)
    (root / "link.csv").symlink_to(secret)
    (root / "up").symlink_to(tmp_path)
    (root / "good.csv").symlink_to(root / "sub" / "x.csv")
    assert place_in(str(root / "sub" / "x.csv"), [str(root)], home) == (root / "sub" / "x.csv", root)
    assert place_in(str(root / "good.csv"), [str(root)], home)[0] == root / "sub" / "x.csv"
    hostile = [secret, root / "link.csv", root / "up" / "secret.csv", root / ".." / "secret.csv", home / "server.db",
               home, root, tmp_path, "/etc/passwd", "sub/x.csv", "a\0b", "", "/nope", "x" * 5000]  # fmt: skip
    for path in hostile:
        with pytest.raises(Problem, match="in no folder that data may be taken from") as told:
            place_in(str(path), [str(root)], home)
        assert told.value.status == 403
    with pytest.raises(InputError, match="is not there"):
        place_in(str(root / "nope.csv"), [str(root)], home)
    with pytest.raises(Problem, match="in no folder"):
        place_in(str(secret), [], home)


def test_imports_are_closed_unless_the_settings_open_them(tmp_path: Path) -> None:
    with home_of(tmp_path / "home") as home:
        ada = home.headers("ada")
        for wanted in ({"path": "/etc/passwd"}, {"url": f"https://{HOST}/x.csv"}):
            assert home.client.post("/v1/datasets/imports", json=wanted, headers=ada).status_code == 403
        for wanted in ({}, {"path": "/x", "url": "https://x"}, {"path": "/x", "more": 1}):
            assert home.client.post("/v1/datasets/imports", json=wanted, headers=ada).status_code == 422
        assert home.left() == []


def test_a_path_that_is_taken_is_used_where_it_lies(tmp_path: Path) -> None:
    """It takes no room of its user, and removing the data set leaves it there."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "x.csv").write_bytes(TABLE)
    with home_of(tmp_path / "home", roots=(str(root),), most_stored_mb=1.0) as home:
        ada = home.headers("ada")
        answer = home.client.post("/v1/datasets/imports", json={"path": str(root / "x.csv")}, headers=ada)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        assert (told["name"], told["rows"], told["is_reference"]) == ("x.csv", 2, True)
        assert (home.datasets.source(told["id"]).path, home.datasets.source(told["id"]).within) == (
            root / "x.csv",
            root,
        )
        (root / "x.csv").unlink()
        (root / "x.csv").symlink_to("/etc/passwd")
        with pytest.raises(InputError, match="in no folder"):
            home.datasets.source(told["id"])
        assert home.client.delete(answer.headers["location"], headers=ada).status_code == 204
        assert (root / "x.csv").is_symlink()


def test_a_url_that_is_taken_is_a_data_set_like_any(
    keys: tuple[Path, Path], site: tuple[int, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, _ = site
    with home_of(tmp_path / "home", urls=(f"{HOST}:{port}",)) as home:
        ada = home.headers("ada")
        url = f"https://{HOST}:{port}/people.csv"
        assert home.client.post("/v1/datasets/imports", json={"url": url}, headers=ada).status_code in (403, 422)
        monkeypatch.setattr(home.datasets, "fetcher", lambda: fetcher(keys, port))
        answer = home.client.post("/v1/datasets/imports", json={"url": url}, headers=ada)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["name"], answer.json()["rows"]) == ("people.csv", 2)
        wanted = {"url": f"https://{HOST}:{port}/large"}
        assert home.client.post("/v1/datasets/imports", json=wanted, headers=ada).status_code == 413
        assert len(home.left()) == 2


def test_a_folder_that_is_taken_reads_no_link_out_of_its_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "pets" / "a").mkdir(parents=True)
    (root / "pets" / "b").mkdir()
    (tmp_path / "secret.png").write_bytes(picture(77))
    for at in range(6):
        (root / "pets" / "ab"[at % 2] / f"{at}.png").write_bytes(picture(at * 40))
    (root / "pets" / "a" / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "pets" / "c").symlink_to(tmp_path)
    with home_of(tmp_path / "home", roots=(str(root),)) as home:
        answer = home.client.post(
            "/v1/datasets/imports", json={"path": str(root / "pets")}, headers=home.headers("ada")
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["files"] == 6
        assert any("2 links left out: they lead out of this folder" in note for note in answer.json()["notes"])
