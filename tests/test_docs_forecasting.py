"""The page on forecasts is followed line by line, in the order of a reader."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import search_spaces
from automl.doors.cli import main
from automl.modalities.panel import codec, history, roles, windows
from automl.options import defaults
from automl.scoring import metrics

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "forecasting.md").read_text()


@pytest.mark.slow
@pytest.mark.long
def test_every_line_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting_workers: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands leave with the code beside them, else with 0; the code of the page holds what it asserts."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    commands = 0
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", PAGE, flags=re.DOTALL):
        if language == "python":
            exec(compile(block, "docs/forecasting.md", "exec"), names)
            continue
        for line in block.splitlines():
            code = re.search(r"# exit code (\d+)", line)
            here = line.replace(" runs/", f" {tmp_path}/runs/")  # workers of other tests stand elsewhere
            assert main(shlex.split(here, comments=True)[1:]) == (int(code[1]) if code else 0), line
            commands += 1
    assert commands == 7
    said = capsys.readouterr()
    assert "future has no row for 2024-05-29 of series 'north', a step to be foretold" in said.err
    assert "the newest until 2024-05-28" in said.err
    assert len((tmp_path / "next.csv").read_text().splitlines()) == 22


def test_what_the_page_says_of_forecasts_is_what_the_code_does() -> None:
    """Its numbers, names of columns, metrics and families are read from the code."""
    for usual in (*roles.TIMES, *roles.SERIES):
        assert f"`{usual}`" in PAGE, usual
    assert f"the newest {history.KEPT:,} steps" in PAGE
    assert f"up to {codec.FARTHEST} horizons" in PAGE
    assert windows.MOST_WINDOWS == 5
    known = metrics.names("regression", is_of_series=True)
    for metric in ("mase", "rmsse", "wape", "smape", "mae", "rmse"):
        assert f"`{metric}`" in PAGE
        assert metric in known
    for family in ("seasonal_naive", "theta", "ets", "croston"):
        assert f"`{family}`" in PAGE
        assert "panel" in search_spaces.get(family).reads


def test_every_option_and_link_of_the_page_exists() -> None:
    """A page that lags behind sends people astray."""
    of_forecast = {"future", "history", "levels", "output"}
    for option in set(re.findall(r"--([a-z][a-z-]+)", PAGE)) - {"out"} - of_forecast:
        assert option.replace("-", "_") in defaults(), option
    for option in ("horizon", "series_id", "time_column", "known_future", "frequency", "season"):
        assert f"`{option}`" in PAGE
        assert option in defaults()
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
