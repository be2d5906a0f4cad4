"""The report's story in a terminal, in Markdown and in a notebook: the page's words, in the page's order."""

from __future__ import annotations

import re

import pytest
from report_made import HOSTILE, Page, paths, replaced, sample

from automl import Result
from automl.report import draw, sections, short, terminal
from automl.report.page import piece
from automl.report.told import Block, markdown, story, taken_apart


def test_the_story_has_the_headings_of_the_page_in_their_order() -> None:
    """Every section that is drawn is told, by itself, whoever adds it."""
    drawn = re.findall(r"<h[12]>(.*?)</h[12]>", draw(sample()))
    told = [block.text for block in story(sample()) if block.kind in "12"]
    assert [" ".join(re.sub("<.*?>", "", text).split()) for text in drawn] == told
    assert len(told) >= len(sections.names()) - 1


@pytest.mark.parametrize("name", sections.names())
def test_every_number_of_a_table_is_told(name: str) -> None:
    """What stands in the cells of a section stands in the story's tables as well, but for pictures."""
    html = str(piece(sections.get(name), sample()).drawn)
    cells = {" ".join(text.split()) for text in re.findall(r'<td class="n">([^<]+)</td>', html)} - {"—"}
    told = {cell for block in taken_apart(html) for row in block.rows for cell in row}
    assert cells <= told


def test_a_story_has_sentences_facts_lists_tables_and_code() -> None:
    """Pictures by their description; what only helps the eye is left out."""
    html = """<h2>A</h2><dl class="tiles"><div><dt>cost</dt><dd class="big">3 s</dd><dd>of 5</dd></div></dl>
    <p>one <b>two</b><br>three.</p><ul><li>four</li></ul><p class="key">legend</p><pre>do --it</pre>
    <svg role="img"><title>t</title><desc>seen</desc><text>tick</text></svg>
    <table><thead><tr><th>x</th><th class="n">y</th><th>z</th></tr></thead>
    <tbody><tr><th>a</th><td class="n">1<br>2</td>
    <td><svg aria-hidden="true"></svg></td></tr></tbody></table>
    <p><span class="tag">x</span><span class="tag">y</span></p>"""
    assert taken_apart(html) == [
        Block("2", "A"), Block("fact", "3 s (of 5)", "cost"), Block("say", "One two three."), Block("item", "four"),
        Block("code", "do --it"), Block("say", "Seen"),
        Block("table", rows=(("x", "y"), ("a", "1 · 2")), numbers=(False, True)),
        Block("say", "X, y"),
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_terminal_holds_its_width(width: int) -> None:
    """But for commands, which are kept whole so that they can be copied."""
    for line in terminal.text(story(sample()), width).splitlines():
        assert len(line) <= width or line.startswith("    ")


def test_a_table_too_wide_says_what_it_left_out() -> None:
    """Words are wrapped first; then columns go from the right; rows beyond fifteen are counted."""
    wide = Block(
        "table", rows=tuple(tuple(f"{'n' * 12}{row}{k}" for k in range(6)) for row in range(20)), numbers=(True,) * 6
    )
    told = terminal.text([wide], 60)
    assert "(4 more lines and 3 more columns in report.html)" in told
    assert "nnnnnnnnnnnn00" in told
    words = Block("table", rows=(("a", "b"), ("some words that go on " * 3, "7")), numbers=(False, True))
    assert "more" not in terminal.text([words], 40)


def test_no_name_moves_the_cursor_or_becomes_markup() -> None:
    """Escape signs, marks that turn a line round, tags, pipes and stars are shown as text."""
    report = sample()
    report["data"]["notes"] = [HOSTILE + "\x1b[31m | *bold* `code` [a](javascript:x) \u202e"]
    told = terminal.text(story(report), 80)
    assert not re.search("[\x1b\u202e\udc80]", told)
    plain = markdown(story(report))
    (line,) = [line for line in plain.splitlines() if "bold" in line]
    assert "\\<script\\>" in line
    assert "\\| \\*bold\\* \\`code\\` \\[a\\](javascript:x)" in line


def test_headings_are_bold_only_where_someone_reads() -> None:
    """A file or a pipe gets plain text."""
    assert "\x1b" not in terminal.text(story(sample()), 80)
    assert "\x1b[1mWhat was paid\x1b[0m" in terminal.text(story(sample()), 80, is_styled=True)


def test_any_part_may_be_missing_from_the_short_form() -> None:
    """A notebook shows what there is, balanced and without a word of Python."""
    for path in paths({key: sample()[key] for key in ("verdict", "leaderboard", "arena", "decision")}):
        assert "None" not in Page(short.draw(replaced(sample(), path, None))).words
    Page(short.draw({}))


def test_a_notebook_shows_verdict_picks_and_a_picture(finished: Result) -> None:
    """In less than 20 kB, with no script, no id that another result could have, and no style for others."""
    html = finished._repr_html_()
    page = Page(html)
    assert finished.best in page.words
    assert "most accurate" in page.words
    assert [tag for tag, _ in page.tags].count("svg") == 1
    assert not [attrs for _, attrs in page.tags if "id" in attrs]
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link"}
    assert len(html) < 20_000
    style = re.search("<style>(.*?)</style>", html, re.S)[1]
    assert all(rule.strip().startswith(".automl-short") for rule in re.findall(r"(?:^|})([^{}]+){", style))
    hostile = short.draw(replaced(sample(), ("leaderboard", 0, "name"), HOSTILE))
    assert not {tag for tag, _ in Page(hostile).tags} & {"script", "img"}
