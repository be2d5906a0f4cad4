"""`automl serve`, `automl token` and `automl user`: taught by --help, refused in a line, and tokens in no log."""

import json
import sys
import time
import tomllib
from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from client_made import Served

from automl.doors.cli import main
from automl.doors.service.ground.settings import Settings

Capture = pytest.CaptureFixture[str]


def said(capsys: Capture, *words: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_help_teaches_how_a_server_is_started_and_asked(capsys: Capture) -> None:
    """Every setting is a flag with its own words."""
    with pytest.raises(SystemExit) as stop:
        main(["serve", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert stop.value.code == 0
    for told in (
        "AUTOML_TOKEN",
        "--server http://127.0.0.1:8642",
        "curl -H",
        "--config FILE",
        "Ctrl-C stops the server",
    ):
        assert told in out
    for spec in fields(Settings):
        assert " ".join(spec.metadata["help"].split()) in out, spec.name


def test_flags_and_a_file_make_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed counts more than what the file says."""
    from automl.doors.service import app

    seen: list[Settings] = []
    monkeypatch.setattr(app, "serve", lambda settings: seen.append(settings) or 0)
    config = tmp_path / "server.toml"
    config.write_text(f'home = "{tmp_path}/home"\nmost_budget = "1h"\njobs = 2\nhosts = ["a.example", "b.example"]\n')
    assert main(["serve", "--config", str(config), "--jobs", "3", "--port", "0"]) == 0
    assert main(["serve", "--home", f"{tmp_path}/home", "--most-budget", "1h", "--jobs", "3", "--port", "0", "--hosts",
                 "a.example,b.example"]) == 0  # fmt: skip
    assert seen[0] == seen[1]
    assert (seen[0].jobs, seen[0].hosts) == (3, ("a.example", "b.example"))
    assert tomllib.loads(config.read_text())["jobs"] == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("serve --host 0.0.0.0", "lets other machines in, and tokens must not travel in the open"),
        ("serve --jobs 0", "jobs must be a number, 1 or above, got 0."),
        ("serve --config none.toml", "'none.toml' cannot be read as TOML"),
        ("serve --home /proc/none", "'/proc/none' cannot be written"),
        ("token list", "no server was ever started in "),
        ("user add ada", "no server was ever started in "),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(
    words: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *words.split())
    assert code in (1, 2)
    assert out == ""
    assert err.count("\n") == 1
    assert line in err
    assert list(tmp_path.iterdir()) == []


def test_the_first_token_can_be_made_before_a_server_is_started(tmp_path: Path, capsys: Capture) -> None:
    """So that no log has it: the start then prints none. It is the only one that holds."""
    home = tmp_path / "home"
    code, secret, told = said(capsys, "token", "create", "--home", home, "--scope", "admin")
    assert code == 0
    assert secret.startswith("aml_")
    assert secret.strip() not in told
    listed = json.loads(said(capsys, "token", "list", "--home", home, "--json")[1])["tokens"]
    assert [(one["user"], one["scope"]) for one in listed] == [("admin", "admin")]
    with Served(home) as served:
        assert "this once" not in served.greeting
        assert served.get("/v1/me", secret.strip()) == 200
        assert home.stat().st_mode & 0o77 == 0


def test_a_start_prints_the_first_token_once_and_how_to_stop(tmp_path: Path) -> None:
    """The token opens the server, nothing else does; Ctrl-C stops it with exit code 0 or 130, and says nothing more."""
    home = tmp_path / "home"
    with Served(home) as served:
        assert f"automl is at {served.url}" in served.greeting
        assert "Ctrl-C stops the server" in served.greeting
        secret = served.token
        assert served.get("/v1/me", secret) == 200
        assert served.get("/v1/me", "aml_no") == 401
    with Served(home) as again:
        assert secret not in again.greeting
        assert "this once" not in again.greeting
        assert again.get("/v1/me", secret) == 200


def test_tokens_and_users_are_made_while_a_server_is_up(tmp_path: Path, capsys: Capture) -> None:
    """They hold at once, and end before long."""
    home = tmp_path / "home"
    with Served(home) as served:
        assert said(capsys, "user", "add", "ada", "--home", home)[0] == 0
        code, secret, told = said(
            capsys, "token", "create", "--user", "ada", "--scope", "read", "--days", "1", "--home", home
        )
        assert code == 0
        assert "ada" in told
        assert served.get("/v1/runs", secret.strip()) == 200
        (one,) = (
            one for one in json.loads(said(capsys, "token", "list", "--home", home, "--json")[1])["tokens"]
            if one["user"] == "ada"
        )  # fmt: skip
        assert one["expires"] is not None
        assert said(capsys, "token", "revoke", one["id"], "--home", home)[0] == 0
        until = time.monotonic() + 120
        while served.get("/v1/runs", secret.strip()) != 401:  # a server that is up remembers who asked for a moment
            assert time.monotonic() < until
            time.sleep(0.1)
    table = said(capsys, "user", "list", "--home", home)[1].splitlines()
    assert table[0].split()[:3] == ["id", "name", "role"]
    assert [line.split()[1] for line in table[1:]] == ["ada", "admin"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("token create --user adda", "there is no user 'adda'. Did you mean 'ada'"),
        ("token create --user ada --scope wirte", "Did you mean 'write'"),
        ("token revoke token_none", "there is no token 'token_none'"),
        ("user add ada", "there is a user 'ada' already"),
        ("user add bob --role king", "role must be one of viewer, member, admin, got 'king'"),
        ("user add bob --password", "a password must have 10 letters or more, got 5"),
    ],
)
def test_accounts_that_cannot_be_are_refused_in_a_line(
    words: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import io

    home = ["--home", tmp_path / "home"]
    said(capsys, "token", "create", *home)
    said(capsys, "user", "add", "ada", *home)
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    code, out, err = said(capsys, *words.split(), *home)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert line in err


def test_a_password_is_read_from_a_pipe_and_opens_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import io

    home = tmp_path / "home"
    said(capsys, "token", "create", "--home", home)
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert said(capsys, "user", "add", "ada", "--password", "--home", home)[0] == 0
    with Served(home) as served:
        headers = {"Sec-Fetch-Site": "same-origin"}
        signed = {"name": "ada", "password": "correct horse"}
        assert httpx.post(f"{served.url}/signin", json=signed, headers=headers).status_code == 204
