"""The page on serving: its commands are understood, its curl lines are answered, its numbers are those of the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from serving_made import running
from test_serving_protocol import inputs

from automl import Result
from automl.doors.cli.parser import build
from automl.doors.serving.asked import ServeOptions
from automl.doors.serving.routes import MOST_EXPLAINED

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "serving.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]


def test_every_command_of_the_page_is_understood() -> None:
    """By the real grammar, with the options it names."""
    commands = [shlex.split(line, comments=True) for line in LINES if line.startswith("automl ")]
    assert len(commands) >= 6
    for words in commands:
        assert build().parse_args(words[1:]).verb == "serve-model"


def test_every_curl_line_of_the_page_is_answered(finished: Result, customers: pd.DataFrame, tmp_path: Path) -> None:
    """With 200, on the bundled table."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    rows = customers.iloc[:3].drop(columns="churned")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "infer.json").write_text(json.dumps({"inputs": inputs(rows)}))
    lines = [line for line in LINES if line.startswith("curl ")]
    assert len(lines) >= 7
    with running(finished.model, name="churn") as client:
        for line in lines:
            asked = line.replace("localhost:8080", f"127.0.0.1:{client.base_url.port}")
            done = subprocess.run(
                ["bash", "-c", f"{asked} --noproxy '*' --silent --fail-with-body"], cwd=tmp_path, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (line, done.stdout, done.stderr)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    plain = ServeOptions(place="x")
    assert f"at most {MOST_EXPLAINED} rows" in PAGE
    assert f"the latest {plain.watched_rows:,} rows" in PAGE


def test_links_of_the_page_exist() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for path in re.findall(r"`((?:tests|benchmarks|docs)/[\w./]+\.\w+)`", PAGE):
        assert (ROOT / path).exists(), path
