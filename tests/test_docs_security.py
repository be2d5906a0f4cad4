"""The page on security: every claim names the test that holds it, and README leads there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/\w+\.py)::(\w+)`", PAGE)


def test_every_claim_names_a_test_that_is_there() -> None:
    """A line of a table is a claim and its test; no test is named that is not run."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| claim")]
    assert len(lines) >= 15
    assert all(re.search(r"\| `tests/\w+\.py::test_\w+` \|$", line) for line in lines)
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text())
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in tests, f"{file} has no {name}"


def test_the_readme_leads_to_the_page() -> None:
    """Its promise that loading runs no code, and the list of pages."""
    assert "[docs/security.md](docs/security.md)" in (ROOT / "README.md").read_text()


def test_the_page_names_what_there_is() -> None:
    """The programs, pages and options that it speaks of."""
    for link in re.findall(r"\]\(([\w-]+\.md)\)", PAGE):
        assert (ROOT / "docs" / link).is_file()
    assert (ROOT / "benchmarks" / "fuzz.py").is_file()
