"""The page on the service can be followed: its curl lines run against a real server, its commands are understood."""

import json
import os
import re
import shlex
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from client_made import Served
from conftest import CUSTOMERS

import automl
from automl.doors.cli.parser import build
from automl.doors.client import asking
from automl.doors.service.access.accounts import ROLES, SCOPES
from automl.doors.service.ground.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
WALK = PAGE.split("## With curl\n")[1].split("\n## ")[0]
MARK = "#### line"


def lines_of(part: str) -> list[str]:
    """The lines of its shell blocks."""
    return [line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()]


@pytest.mark.long
@pytest.mark.slow
def test_the_curl_walk_through_runs_line_by_line(tmp_path: Path) -> None:
    """From nothing but the address and the token to predictions, and everything is removed again at the end."""
    (tmp_path / "examples").symlink_to(CUSTOMERS.parent)
    lines = [line.replace('\\"5m\\"', '\\"2 trials\\"') for line in lines_of(WALK)]
    assert sum("2 trials" in line for line in lines) == 1
    script = "set -e\n" + "".join(f"echo; echo '{MARK}'\n{line}\n" for line in lines)
    with Served(tmp_path / "home") as served:
        env = {**os.environ, "SERVER": served.url, "AUTOML_TOKEN": served.token}
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = dict(zip(lines, (part.strip() for part in done.stdout.split(MARK)[1:]), strict=True))
        assert json.loads(of(told, "/v1/me"))["role"] == "admin"
        assert json.loads(of(told, "/profile"))["profile"]["task"] == "binary"
        assert of(told, "/events").count("event: end") == 1
        assert json.loads(of(told, "--data-binary", "/evaluate"))["metrics"]
        assert json.loads(of(told, "/leaderboard"))["items"]
        one = json.loads(of(told, '"rows"'))
        assert one["predictions"][0] in ("yes", "no")
        assert sum(one["probabilities"][0].values()) == pytest.approx(1)
        assert list((served.home / "runs").iterdir()) == []
        assert list((served.home / "datasets").iterdir()) == []
    said = json.loads((tmp_path / "predictions.json").read_text())["predictions"]
    assert said == pd.read_csv(tmp_path / "predictions.csv")["churned"].tolist()
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path / "model")
    assert automl.load(tmp_path / "model").predict(CUSTOMERS).tolist() == said
    assert "<html" in (tmp_path / "report.html").read_text()


@pytest.mark.long
@pytest.mark.slow
def test_the_walk_through_of_the_readme_runs_too(tmp_path: Path) -> None:
    """The block that uses the service's address, as it stands, with a shorter budget."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (one for one in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "$SERVER/v1/runs" in one)
    (tmp_path / "examples").symlink_to(CUSTOMERS.parent)
    script = "set -e\n" + block.replace('\\"5m\\"', '\\"2 trials\\"')
    assert "2 trials" in script
    with Served(tmp_path / "home") as served:
        env = {**os.environ, "SERVER": served.url, "AUTOML_TOKEN": served.token}
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.partition("event: end")[2].split("\n\n", 1)[1].split()
    assert said[0] == "churned"
    assert len(said) == 2001


def of(told: dict[str, str], *parts: str) -> str:
    """What the one line said that holds these words."""
    (found,) = (said for line, said in told.items() if all(part in line for part in parts) and "$(" not in line)
    return found


def test_every_command_of_the_page_is_understood() -> None:
    """The real grammar takes it."""
    commands = [line for line in lines_of(PAGE) if line.startswith("automl ")]
    assert len(commands) >= 8
    for line in commands:
        words = shlex.split(line, comments=True)
        assert build().parse_args(words[1:]).verb == words[1], line


def test_what_the_page_says_of_the_code_is_so() -> None:
    """Roles and scopes, flags, files, links, and what clients keep to themselves."""
    for role, scope in ROLES.items():
        assert f"| `{role}` | `{scope}` |" in PAGE
    assert all(f"`{scope}`" in PAGE for scope in SCOPES)
    for flag in set(re.findall(r"`--([a-z-]+)", PAGE)) - {"server", "config", "behind-proxy"}:
        assert flag.replace("-", "_") in Settings.__dataclass_fields__, flag
    for link in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for name in re.findall(r"tests/\w+\.py", PAGE):
        assert (ROOT / name).is_file(), name
    assert all(f"`{name}`" in PAGE for name in asking.OURS)


def test_the_settings_file_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name in it is a setting."""
    found = Settings.of({}, ROOT / "automl" / "doors" / "service" / "deploy" / "server.toml")
    assert found.is_behind_proxy
    assert found.hosts == ("ml.example.org",)
    assert found.is_local
