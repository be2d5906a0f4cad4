"""The report as a browser shows it: opened in a headless Chromium, without a network and without a script."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from report_made import model, sample

from automl import Result
from automl.report import draw

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PHONE, DESK = {"width": 360, "height": 760}, {"width": 1100, "height": 900}
LEAST_CONTRAST = 4.5

# The contrast of every text with what lies behind it, colours that let through mixed as the browser mixes them.
CONTRASTS = """() => {
  const parse = c => { const n = (c.match(/[\\d.]+/g) || []).map(Number); return n.length === 3 ? [...n, 1] : n; };
  const over = (a, b) => [0, 1, 2].map(k => a[k] * a[3] + b[k] * (1 - a[3])).concat([1]);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { const found = [];
    for (; e; e = e.parentElement) found.push(parse(getComputedStyle(e).backgroundColor));
    return found.reverse().reduce((under, one) => over(one, under), [255, 255, 255, 1]); };
  const poor = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || e.closest('title, desc, style') || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), inPicture = e.closest('svg');
    const paper = behind(inPicture ? inPicture.parentElement : e);
    const ink = over(parse(inPicture ? style.fill : style.color), paper);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < LEAST) poor.push(`${node.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return poor;
}""".replace("LEAST)", f"{LEAST_CONTRAST})")


def priced(row: dict[str, Any], factor: float) -> dict[str, Any]:
    """A row of the leaderboard with every cost."""
    one = {"p50": 0.4 * factor, "p95": 0.6 * factor, "low": 0.38 * factor, "high": 0.42 * factor}
    return row | {
        "latency": {"one": one, "many": {**one, "rows": 10_000}, "measured": True},
        "million": {"money": 0.02 * factor, "kwh": 0.001 * factor, "currency": "USD"},
        "train": {"s": 12.0, "money": 0.001, "kwh": 0.0002},
        "memory_mb": 120.0 * factor, "p_best": 0.4, "p_frontier": 0.7, "tied_with_best": factor < 1.5,
    }  # fmt: skip


def full() -> dict[str, Any]:
    """A report with every cost, and with names that are long."""
    report = sample()
    report["leaderboard"] = [priced(row, 1.0 / (at + 1)) for at, row in enumerate(report["leaderboard"])]
    report["leaderboard"].append(priced(model("blend of " + "x" * 60, 0.85, 3.0, False), 2.0))
    report["data"]["notes"] = ["a_column_" + "n" * 200]
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; without one the tests are skipped, but in CI they fail."""
    place = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        place = None
    if place is None:
        told = "no Chromium here that Playwright could open: apt-get install chromium, pip install playwright"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=place, args=list(FLAGS))
        yield chromium
        chromium.close()


class Opened:
    """A page of a report, and what the browser complained about."""

    def __init__(self, browser: Any, file: Path, **given: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", **given})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    def is_seen(self, selector: str) -> bool:
        """Whether the first such element is visible."""
        return bool(self.page.locator(selector).first.is_visible())

    def paper(self) -> str:
        """The colour behind everything."""
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in a file, as a run leaves it."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(draw(full()), encoding="utf-8", errors="xmlcharrefreplace")
    return file


@pytest.fixture(scope="module")
def opened(browser: Any, drawn: Path) -> Iterator[Opened]:
    """The report on a desk."""
    found = Opened(browser, drawn)
    yield found
    found.context.close()


def test_a_browser_has_nothing_to_complain_about(opened: Opened, drawn: Path) -> None:
    """No error, no warning, and nothing is asked for but the file itself."""
    assert opened.complaints == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [drawn.as_uri()]


def test_the_cost_axis_is_switched_by_pointer_and_by_keyboard(opened: Opened) -> None:
    """Latency first; then what was clicked, and with an arrow key the next."""
    page = opened.page
    assert opened.is_seen(".by-latency svg")
    assert not opened.is_seen(".by-money svg")
    for name in ("money", "kwh", "size", "memory"):
        page.click(f"label[for=axis-{name}]")
        assert opened.is_seen(f".by-{name} svg")
        assert page.locator(".by:visible").count() == 1
    page.focus("#axis-memory")
    page.keyboard.press("ArrowLeft")
    assert opened.is_seen(".by-size svg")
    page.click("label[for=axis-latency]")
    assert opened.is_seen(".by-latency svg")


def test_a_mark_tells_all_of_its_model_on_hover_and_focus(opened: Opened) -> None:
    """Name, score with its interval, and every cost, below the picture; the same is its name for a screen reader."""
    page = opened.page
    page.keyboard.press("Escape")
    assert page.locator(".told:visible").all_inner_texts()[0].startswith("lightgbm #2")  # the chosen one until then
    page.locator(".by-latency .wide .m1").hover()
    (told,) = page.locator(".told:visible").all_inner_texts()
    for said in (
        "linear #1",
        "0.8000 (95 % interval 0.7900 to 0.8100)",
        "0.2 ms",
        "0.01 USD",
        "kWh",
        "1.3 MB",
        "60 MB",
    ):
        assert said in told
    page.mouse.move(0, 0)
    page.focus("#axis-latency")
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen += page.locator(".told:visible").all_inner_texts()
        named = page.evaluate(
            "document.getElementById(document.activeElement.getAttribute('aria-labelledby')).innerText"
        )
        assert seen[-1] == named
    assert {line.split()[0] for line in seen} == {"lightgbm", "linear", "mlp", "blend"}


def test_light_and_dark_follow_the_device_until_one_is_picked(browser: Any, drawn: Path) -> None:
    """The device's choice holds until the reader's; a mark, a text and the paper change together."""
    page = Opened(browser, drawn, color_scheme="dark")
    dark = page.paper()
    page.page.click("label[for=theme-light]")
    light = page.paper()
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(21, 24, 28)")
    page.page.click("label[for=theme-dark]")
    page.page.emulate_media(color_scheme="light")
    assert page.paper() == dark
    page.page.click("label[for=theme-auto]")
    assert page.paper() == light
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(opened: Opened, theme: str) -> None:
    """A contrast of 4.5 with what lies behind it, everything folded out."""
    opened.page.click(f"label[for=theme-{theme}]")
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert opened.page.evaluate(CONTRASTS) == []
    opened.page.click("label[for=theme-auto]")


@pytest.mark.long
def test_nothing_is_wider_than_a_phone(browser: Any, drawn: Path, finished: Result) -> None:
    """At 360 pixels only tables scroll, each in itself; pictures are those for a phone, and marks can be tapped."""
    for file in (drawn, finished.folder / "report.html"):
        found = Opened(browser, file, viewport=PHONE, has_touch=True)
        found.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert found.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert found.is_seen("#frontier .narrow svg")
        assert not found.is_seen("#frontier .wide svg")
        assert found.complaints == []
        if file == drawn:
            found.page.locator(".by-latency .narrow .m2").tap()
            assert found.page.locator(".told:visible").all_inner_texts()[0].startswith("mlp #5")
        found.context.close()


def test_print_shows_what_is_folded_and_no_switch(browser: Any, drawn: Path) -> None:
    """On white paper, whatever was picked."""
    found = Opened(browser, drawn)
    found.page.click("label[for=theme-dark]")
    found.page.emulate_media(media="print")
    assert found.paper() == "rgb(255, 255, 255)"
    for gone in ("nav", ".switch", "input[type=radio]", "label", ".hint"):
        assert not found.is_seen(gone)
    table = found.page.locator("#frontier details table").first
    assert table.bounding_box()["height"] > 40  # folded on the screen, and open on paper
    assert len(found.page.pdf()) > 10_000
    found.context.close()


def test_headings_stand_in_order_and_every_picture_has_a_name(opened: Opened) -> None:
    """One h1, no level skipped; pictures and what can be focused say what they are."""
    levels = opened.page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    nameless = """[...document.querySelectorAll('svg:not([aria-hidden]), img, [tabindex], input')].filter(one => {
      const by = (one.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id));
      const own = one.getAttribute('aria-label') || one.getAttribute('alt') || one.labels?.length;
      return !(own || by.some(it => it?.textContent));
    }).map(one => one.outerHTML.slice(0, 80))"""
    assert opened.page.evaluate(nameless) == []
