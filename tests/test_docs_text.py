"""The page on texts: what it shows is executed, and its numbers are those of the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "text.md").read_text()


@pytest.mark.slow
@pytest.mark.soak
def test_the_page_on_texts_can_be_followed_line_by_line(tmp_path: Path) -> None:
    """Its commands and its code run, in the order of the page."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines()]
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)))
    assert len(commands) >= 4
    told = {}
    for line in [*commands, "python page.py"]:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, env=env
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        told[line] = done.stdout
    assert len((tmp_path / "said.csv").read_text().splitlines()) == 601
    assert "('wonderful'," in told["python page.py"]
    assert "text" in next(said for line, said in told.items() if line.startswith("automl profile"))


def test_what_the_page_says_of_texts_is_what_the_code_does() -> None:
    """Every number of the page is read from the code."""
    from automl.modalities.files import listing
    from automl.modalities.text import claims, near, numbers
    from search_spaces.classical import text_linear
    from search_spaces.spec import starts
    from search_spaces.text import terms

    assert set(re.findall(r"`(\.\w+)`", PAGE)) == listing.TEXTS
    assert (claims.LEAST_WORDS, near.RUN, near.LARGEST) == (4.0, 3, 0.05)
    assert (numbers.DIRECTIONS, numbers.FLAGS, terms.MOST_CHARACTERS) == (48, 40, 200_000)
    default = starts(text_linear.FAMILY.space)
    assert (default["words"], text_linear.SHORTEST, default["characters"]) == (2, 3, 5)


def test_every_option_and_link_of_the_page_exists() -> None:
    """A page that lags behind sends people astray."""
    from automl.options import defaults

    for option in set(re.findall(r"--([a-z][a-z-]+)", PAGE)) - {"out"}:
        assert option.replace("-", "_") in defaults(), option
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
