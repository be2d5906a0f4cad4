"""The page on monitoring is followed line by line, in the order of a reader."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from automl.doors.cli import main
from automl.model import monitor, reference
from automl.scoring import drift

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text()


@pytest.mark.long
def test_every_line_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting_workers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands leave with the code beside them, else with 0; the code of the page holds what it asserts."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    commands = 0
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", PAGE, flags=re.DOTALL):
        if language == "python":
            exec(compile(block, "docs/monitoring.md", "exec"), names)
            continue
        for line in block.splitlines():
            code = re.search(r"# exit code (\d+)", line)
            here = line.replace(" runs/", f" {tmp_path}/runs/")  # workers of other tests stand elsewhere
            assert main(shlex.split(here, comments=True)[1:]) == (int(code[1]) if code else 0), line
            commands += 1
    assert commands >= 9
    said = capsys.readouterr().out
    assert "2 of 10 columns moved" in said
    assert "None of 10 columns moved" in said
    for file in ("moved.html", "moved.json", "runs/churn-2/report.html", "runs/churn-3/model/model_card.md"):
        assert (tmp_path / file).is_file()


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"at least {drift.MATTERS}" in PAGE
    assert f"{drift.CHANCE:.0%}".replace("%", " %") in PAGE
    assert f"{reference.MOST_BYTES // 1000} kB" in PAGE
    assert f"more than {reference.MOST_WATCHED} columns" in PAGE
    assert f"Below {monitor.FEW_ROWS} rows" in PAGE


def test_links_and_files_of_the_page_exist() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for path in re.findall(r"`(tests/[\w./]+)`", PAGE):
        assert (ROOT / path).exists(), path
