"""The page on the decision: its numbers are those of the code and of the prior, its links and commands are real."""

from __future__ import annotations

import json
import re
from pathlib import Path

from automl.decision import expect, landmarks, learned, probes
from automl.doors.cli.parser import build
from automl.search import rivals

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "decision.md").read_text()


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    """Shares, rows, folds and powers."""
    assert f"at least {probes.AUDIT:.0%}".replace("%", " %") in PAGE
    assert f"at most {rivals.PROBES_SHARE:.0%}".replace("%", " %") in PAGE
    assert f"up to {rivals.SINGLE_SHARE:.0%}".replace("%", " %") in PAGE
    assert rivals.FOLDS == 3
    assert [round(1 / share) for share in rivals.SHARES] == [9, 3]
    assert f"power of {expect.SOFTENED:g}" in PAGE
    assert f"at most {landmarks.MOST_ROWS:,} rows" in PAGE


def test_the_figures_of_the_prior_are_those_that_it_was_shipped_with() -> None:
    figures = json.loads(learned.FILE.read_text())["figures"]
    assert f"on {figures['tables']} tables" in PAGE
    told = " ".join(f"{value:.3f}" for value in _numbers(figures))
    for number in re.findall(r"\b0\.\d{3}\b", PAGE.split("## 2.")[0]):
        assert number == "0.693" or number in told, number


def _numbers(figures: object) -> list[float]:
    if isinstance(figures, dict):
        return [number for value in figures.values() for number in _numbers(value)]
    return [float(figures)] if isinstance(figures, int | float) else []


def test_links_and_files_exist_and_commands_are_understood() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
    for path in re.findall(r"`((?:automl|benchmarks)/[\w./]+)", PAGE):
        assert (ROOT / path).exists(), path
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 2
    for command in commands:
        assert build().parse_args(command.split()[1:]).verb in ("fit", "quote")
