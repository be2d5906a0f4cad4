"""The sections of a report: what holds for each in the table, and that a new one is one file and one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from report_made import Page, misfits, paths, replaced, sample

import automl
from automl.report import draw, schema, sections
from automl.report.page import piece

HEAVY = ("torch", "ray", "optuna", "sklearn", "pandas", "numpy", "lightgbm", "scipy", "pyarrow")

NEW = '''
"""What was in vain."""

from typing import TypedDict

from automl.report.section import Section


class VainKeys(TypedDict, total=False):
    vain: list[str]


def gather(inputs):
    return {"vain": [trial.plan.family for trial in inputs.trials if not trial.folds]}


PAGE = """
{% if report.vain is defined %}
<h2>In vain</h2>
<p>{{ report.vain|each|length|number }} of {{ report.trials|each|length|number }} trials gave nothing.</p>
{% endif %}
"""

STYLE = ".vain { color: var(--soft); }"

SECTION = Section(name="vain", title="In vain", holds=VainKeys, gather=gather, page=PAGE, style=STYLE)
'''


@pytest.fixture
def vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A section that was added: one file and one line."""
    (tmp_path / "section_of_a_test.py").write_text(NEW)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sections._SECTIONS, "vain", "section_of_a_test")
    yield "vain"
    sys.modules.pop("section_of_a_test", None)


def test_every_file_is_in_the_table() -> None:
    """Under its own name, which is its place in the page as well; an unknown name is answered with the known ones."""
    files = {path.stem for path in Path(sections.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(sections.names()) == files
    assert [section.name for section in sections.all_sections()] == sections.names()
    with pytest.raises(ValueError, match=r"unknown section 'verdicts'\. Known sections: verdict, decision"):
        sections.get("verdicts")


def test_each_key_belongs_to_one_section() -> None:
    """What two of them held, the later one would overwrite."""
    held = [key for section in sections.all_sections() for key in section.holds.__annotations__]
    assert len(held) == len(set(held))
    assert {"format", *held} == set(schema.Report.__annotations__)


@pytest.mark.parametrize("name", sections.names())
def test_a_section_survives_a_report_of_nothing_and_draws_a_full_one(name: str) -> None:
    """Of a full report there is something to see; of an empty one at most dashes, and no claim."""
    section = sections.get(name)
    full, empty = (Page(str(piece(section, report).drawn)) for report in (sample(), {}))
    assert full.words
    assert [tag for tag, _ in full.tags if tag in ("h1", "h2")]
    assert "None" not in empty.words


@pytest.mark.long
@pytest.mark.parametrize("name", sections.names())
def test_a_section_survives_the_loss_of_anything_it_holds(name: str) -> None:
    """Null, gone, or of another type: whatever part of its own keys it is, the page stays whole."""
    section, report = sections.get(name), sample()
    for path in paths({key: report[key] for key in section.holds.__annotations__}):
        for value in (None, KeyError, 7, "x", [], {}):
            if value is KeyError and isinstance(path[-1], int):
                continue
            Page(str(piece(section, replaced(report, path, value)).drawn))


@pytest.mark.parametrize("name", sections.names())
def test_what_a_section_holds_is_what_the_sample_has(name: str) -> None:
    """The types stand in its file: they describe what is drawn from."""
    section = sections.get(name)
    assert list(misfits({key: sample()[key] for key in section.holds.__annotations__}, section.holds)) == []


def test_drawing_a_page_loads_nothing_heavy(tmp_path: Path) -> None:
    """Neither libraries of data and learning, nor what gathers: a page comes from its JSON."""
    (tmp_path / "report.json").write_text(json.dumps(sample()))
    code = (
        "import json, pathlib, sys\nfrom automl.report import draw\n"
        f"report = json.loads(pathlib.Path({str(tmp_path / 'report.json')!r}).read_text())\n"
        "assert 'Use lightgbm #2' in draw(report)\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(heavy + [m for m in sys.modules if m.startswith('automl.report.gather')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("lasting_workers")
def test_a_section_is_added_by_one_file_and_one_line(vain: str, tmp_path: Path) -> None:
    """A run then has its key in report.json, behind the others, and its piece on the page, with link and style."""
    run = tmp_path / "run"
    automl.fit(
        Path(__file__).parent.parent / "examples" / "customers.csv", target="churned", budget="1 trials",
        families="linear", workers=1, run_dir=run, verbose=0,
    )  # fmt: skip
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert tuple(report) == (*schema.ORDER, vain)
    assert report[vain] == []
    html = (run / "report.html").read_text(encoding="utf-8")
    drawn = Page(html)
    assert [attrs["id"] for tag, attrs in drawn.tags if tag == "section"][-1] == vain
    assert f"#{vain}" in [attrs.get("href") for tag, attrs in drawn.tags if tag == "a"]
    assert f"0 of {len(report['trials'])} trials gave nothing." in drawn.words
    assert import_module("section_of_a_test").STYLE in html


def test_a_section_with_nothing_to_show_is_not_on_the_page(vain: str) -> None:
    """Nor in the list of its parts: reports that were written before it was there look as they did."""
    assert piece(sections.get(vain), sample()).drawn == ""
    told = Page(draw(sample()))
    assert vain not in [attrs.get("id") for _, attrs in told.tags]
    assert f"#{vain}" not in [attrs.get("href") for _, attrs in told.tags]
    assert draw(sample()).count("<section") == len(sections.names()) - 2  # the head of the page is none
