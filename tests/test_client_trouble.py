"""What goes wrong between a client and a server is one line: what is wrong, where, and what to do; never the token."""

import io
import socket
import ssl
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from client_made import Answer, Asked, Scripted, as_json, certificate, listening, problem

from automl import Client
from automl.doors.client import wire as wires
from automl.doors.client.model import RemoteModel
from automl.doors.client.trouble import NoAnswerError
from automl.errors import ArtifactError, AutomlError, InputError, OptionError, RunError, SchemaError

TOKEN = "aml_" + "x" * 40


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses; and nothing of this machine's environment."""
    monkeypatch.setattr(wires, "PAUSE_S", 0.0)
    for name in ("AUTOML_SERVER", "AUTOML_TOKEN", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def refused(url: str, kind: type[AutomlError], token: str = TOKEN) -> str:
    """The line with which a server is not asked."""
    with Client(url, token) as client, pytest.raises(kind) as caught:
        client.runs()
    line = str(caught.value)
    assert "\n" not in line
    assert token not in line
    assert type(caught.value) is kind
    return line


def test_no_server_there_says_where_and_how_one_is_started() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        line = refused(url, NoAnswerError)
    assert f"no server answers at {url}: Connection refused" in line
    assert "automl serve" in line


def test_another_program_at_the_address_is_named_as_what_it_is() -> None:
    with Scripted(lambda _: (404, "text/html", b"<h1>Not found</h1>")) as other:
        line = refused(other.url, InputError)
    assert line == f"{other.url} is no automl server: it answered GET /v1/runs with 404, text/html. Check the address."


def test_a_page_instead_of_json_is_no_automl_server() -> None:
    with Scripted(lambda _: (200, "text/html", b"<h1>Welcome</h1>")) as other:
        assert "is no automl server" in refused(other.url, InputError)


def test_a_server_that_sends_on_says_where_to() -> None:
    with Scripted(lambda _: (301, "text/html", b""), {"Location": "https://ml.example.org/"}) as other:
        assert "sends on to 'https://ml.example.org/'. Give that server's address." in refused(other.url, InputError)


def test_a_connection_that_ends_without_an_answer_hints_at_tls() -> None:
    with Scripted(lambda _: (0, "", b"")) as other:
        line = refused(other.url, NoAnswerError)
        assert len(other.asked) == wires.TRIES
    assert "where it speaks TLS, use https://" in line


def test_a_token_that_is_wrong_or_missing_says_how_to_have_one(tmp_path: Path) -> None:
    """Asked of a real server, from which the token comes back in no form."""
    with listening(tmp_path / "home") as up:
        line = refused(up.url, InputError)
        assert line.startswith(f"the server at {up.url} does not know this token. Give token=..., or set AUTOML_TOKEN.")
        assert "automl token create" in line
        with Client(up.url) as client, pytest.raises(InputError, match="asks for a token"):
            client.runs()
        assert TOKEN not in repr(client) + str(vars(client._wire))


def test_a_server_of_another_version_says_so(tmp_path: Path) -> None:
    said = "is of another version than this client: update the older one"
    with listening(tmp_path / "home") as up, up.client() as client, pytest.raises(RunError, match=said):
        client._wire.get("/v1/nothing-yet")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("bad-option", 422, OptionError), ("bad-input", 422, InputError), ("bad-rows", 422, SchemaError),
        ("artifact", 409, ArtifactError), ("conflict", 409, InputError), ("not-found", 404, InputError),
        ("forbidden", 403, InputError), ("internal-server-error", 500, RunError),
        ("insufficient-storage", 507, RunError),
    ],
)  # fmt: skip
def test_a_problem_is_the_error_that_the_same_mistake_has_here(
    kind: str, status: int, expected: type[AutomlError]
) -> None:
    with Scripted(lambda _: problem(status, "what is wrong,\n and what to do.", kind)) as server:
        assert refused(server.url, expected) == "what is wrong, and what to do."


def test_a_real_refusal_keeps_its_type(tmp_path: Path) -> None:
    """An option that only the server can judge is an OptionError, what is not there an InputError."""
    table = b"a,y\n" + b"1,yes\n2,no\n" * 20
    with listening(tmp_path / "home", most_budget="1h") as up, up.client() as client:
        dataset = client._wire.send("/v1/datasets", {"name": "a.csv"}, "text/csv", table)["id"]
        with pytest.raises(OptionError, match="a run may have 1h here"):
            client.fit(dataset, target="y", budget="2h", verbose=0)
        with pytest.raises(InputError, match="there is no run 'run_0000000000000000'"):
            client.run("run_0000000000000000")


def test_who_asks_too_often_waits_as_long_as_the_server_says() -> None:
    """A moment is waited, a minute is not: the caller is told instead."""
    answers = [problem(429, "wait"), as_json({"items": [], "next": None})]
    with Scripted(lambda _: answers.pop(0), {"Retry-After": "0"}) as server, Client(server.url, TOKEN) as client:
        assert client.runs() == []
        assert len(server.asked) == 2
    with Scripted(lambda _: problem(429, "50 of your runs wait already."), {"Retry-After": "60"}) as server:
        assert "50 of your runs" in refused(server.url, RunError)
        assert len(server.asked) == 1


def test_what_makes_something_is_sent_again_only_under_its_key() -> None:
    """A run has an Idempotency-Key, the same each time; without one, nothing is sent twice."""
    answers: list[Answer] = [(0, "", b""), (0, "", b""), as_json({"id": "run_1"})]
    with Scripted(lambda _: answers.pop(0)) as server, Client(server.url, TOKEN) as client:
        assert client._wire.post("/v1/runs", {}, key="k") == {"id": "run_1"}
        assert [asked.headers["idempotency-key"] for asked in server.asked] == ["k", "k", "k"]
        answers[:] = [(0, "", b""), as_json({})]
        with pytest.raises(NoAnswerError):
            client._wire.post("/v1/runs/run_1/cancel", {})


def test_what_is_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """The server reads its size and nothing more; where that is not known it stops in the middle."""
    large = tmp_path / "large" / "a.csv"
    large.parent.mkdir()
    large.write_bytes(b"a,b\n" + b"1,2\n" * 2_000_000)
    with listening(tmp_path / "home", most_upload_mb=1) as up, up.client() as client:
        for data in (large, large.parent):
            with pytest.raises(InputError, match="larger than the 1 MB that are taken here"):
                client.upload(data)
        assert client.datasets() == []


def test_an_upload_that_broke_off_is_sent_anew_and_one_that_arrived_is_not_kept_twice(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    known = {"id": "dataset_1", "name": "a.csv", "sha256": ""}

    def answer(asked: Asked) -> Answer:
        import hashlib

        if asked.method == "POST":
            known["sha256"] = hashlib.sha256(asked.body).hexdigest()
            return 0, "", b""  # it arrived, and the answer did not
        return as_json({"items": [known], "next": None})

    with Scripted(answer) as server, Client(server.url, TOKEN) as client:
        assert client.upload(tmp_path / "a.csv").id == "dataset_1"
        assert [asked.method for asked in server.asked] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8642", "http://HOST:PORT or https://HOST, got 'localhost:8642'"),
        ("ftp://ml.example.org", "got 'ftp://ml.example.org'"),
        ("http://", "got 'http://'"),
        ("http://host:port", "got 'http://host:port'"),
        ("http://ada:secret@host", "holds no name and no password"),
        ("http://host/?a=1", "Leave out the rest"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_asked(url: str, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        Client(url, TOKEN)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_an_address_the_environment_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"which server.* or set AUTOML_SERVER"):
        Client()
    monkeypatch.setenv("AUTOML_SERVER", "http://127.0.0.1:1/")
    monkeypatch.setenv("AUTOML_TOKEN", TOKEN)
    with Client() as client:
        assert client.url == "http://127.0.0.1:1"
        assert TOKEN not in repr(client)


@pytest.mark.parametrize("token", ["two words", "gänsefüßchen", "a\nb"])
def test_a_token_that_can_be_none_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(OptionError) as caught:
        Client("http://127.0.0.1:1", token)
    assert token not in str(caught.value)


def test_a_certificate_of_ones_own_says_how_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its file named it is trusted; TLS asked of what speaks none is told apart."""
    key, trust = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust, key)
    server = Scripted(lambda _: as_json({"items": [], "next": None}))
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    server._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of a client that did not trust it
    secure = f"https://127.0.0.1:{server.port}"
    with server:
        line = refused(secure, InputError)
        assert f"the certificate of {secure} is not trusted: self-signed certificate" in line
        assert "set SSL_CERT_FILE" in line
        monkeypatch.setenv("SSL_CERT_FILE", str(trust))
        with Client(secure, TOKEN) as client:
            assert client.runs() == []
    monkeypatch.delenv("SSL_CERT_FILE")
    with Scripted(lambda _: as_json({})) as plain:
        assert "does not speak TLS" in refused(plain.url.replace("http", "https"), InputError)


def test_without_httpx_a_line_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("raise ModuleNotFoundError(\"No module named 'httpx'\", name='httpx')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import automl\ntry:\n    automl.Client('http://127.0.0.1:1')\n"
        "except automl.AutomlError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "asking a server needs httpx, which is not installed. pip install 'automl-frontier[client]'."
    )


# --- models that a server sends ---------------------------------------------------------------------------------------


def packed(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


HOSTILE = {
    "a name that leads out": (packed(("manifest.json", b"{}"), ("../out.json", b"x")), "would be outside of it"),
    "an absolute name": (packed(("/tmp/out.json", b"x")), "would be outside of it"),
    "the same name twice": (packed(("a", b"1"), ("./a", b"2")), "is no packed model"),
    "more than a model holds": (packed(("zeros", bytes(250_000_000))), "unpacks to more than a model holds"),
    "no archive": (b"<html>", "is no packed model"),
    "half of one": (packed(("a", b"1" * 1000))[:-30], "is no packed model"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_from_a_server_lands_in_its_folder_whole_or_not_at_all(name: str, tmp_path: Path) -> None:
    """Whoever answers in the server's place cannot write elsewhere, fill the disk, or leave half of a model."""
    content, line = HOSTILE[name]
    about = {"id": "model_1", "run": "run_1", "pick": None, "targets": [], "schema": {"columns": []}}
    with Scripted(lambda _: (200, "application/zip", content)) as server, Client(server.url, TOKEN) as client:
        model = RemoteModel(client._wire, about)
        with pytest.raises(ArtifactError, match=line):
            model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    assert not Path("/tmp/out.json").exists()
