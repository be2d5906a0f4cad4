"""The pages of the server in a headless Chromium: the whole way from signing in to a prediction, with a real server."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import CUSTOMERS
from pages_made import HOSTILE, hostile_table
from test_browser import CONTRASTS, browser

__all__ = ["browser"]  # the fixture
pytestmark = [pytest.mark.slow, pytest.mark.long]

WAIT_MS = 240_000  # for what a busy machine does in seconds
DESK, PHONE, SMALL = {"width": 1100, "height": 900}, {"width": 390, "height": 800}, {"width": 360, "height": 740}
SERVE = """
import sys
from pathlib import Path
from automl.doors.service.app import serve
from automl.doors.service.ground.settings import Settings
sys.exit(serve(Settings(home=Path(sys.argv[1]), port=0)))
"""


@dataclass
class Up:
    """A server that is up."""

    url: str
    token: str
    folder: Path  # for files to send


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("server")
    table = folder / f"{HOSTILE.replace('/', '')}.csv"
    table.write_bytes(hostile_table(CUSTOMERS))
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder / "home")], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    said = ""
    with process.stderr:
        while not (found := re.search(r"(http://\S+?),[\s\S]*shown this once: (\S+)", said)):
            line = process.stderr.readline()
            assert line, f"the server ended: {said}"
            said += line
        yield Up(found[1], found[2], folder)
        os.killpg(process.pid, signal.SIGTERM)
        process.stderr.read()
    process.wait()


@dataclass
class Visit:
    """Somebody at a screen, and what their browser complained about."""

    context: Any
    page: Any
    complaints: list[str] = field(default_factory=list)

    def tab_to(self, is_there: str) -> None:
        """Press Tab until what is focused is what this expression says."""
        for _ in range(200):
            if self.page.evaluate(f"(one => {is_there})(document.activeElement)"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {is_there}")


@pytest.fixture(scope="module")
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    """Opens a browser of its own for each who visits."""
    opened: list[Visit] = []

    def make(**given: Any) -> Visit:
        context = browser.new_context(**{"viewport": DESK, "color_scheme": "light", "accept_downloads": True, **given})
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        made = Visit(context, page)
        page.on("console", lambda message: made.complaints.append(message.text))
        page.on("pageerror", lambda error: made.complaints.append(str(error)))
        page.on("dialog", lambda dialog: made.complaints.append(f"a script ran: {dialog.message}"))
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.context.close()


def enter(one: Visit, up: Up) -> None:
    """Sign in with the token, by keyboard alone."""
    one.page.goto(up.url)
    one.tab_to("one.id === 'token'")
    one.page.keyboard.type(up.token)
    one.page.keyboard.press("Enter")
    one.page.wait_for_url(f"{up.url}/")


@dataclass
class Way:
    """What was made on the way."""

    desk: Visit
    dataset: str
    run: str
    model: str = ""


@pytest.fixture(scope="module")
def way(visit: Callable[..., Visit], up: Up) -> Way:
    """Sign in, bring a file, look at it, start a run on two trials of linear models and watch it to its end."""
    one = visit()
    page = one.page
    enter(one, up)
    page.set_input_files("#file", str(next(up.folder.glob("*.csv"))))
    page.wait_for_url(re.compile(r"/datasets/dataset_"))
    dataset = page.url
    page.wait_for_selector("#columns table")
    assert page.locator("#quote strong").count() == 1
    one.tab_to("one.id === 'target'")
    assert page.input_value("#target") == "churned"  # the guess
    one.tab_to("one.id === 'budget-other'")
    page.keyboard.type("2 trials")
    one.tab_to("one.id === 'name'")
    page.keyboard.type(HOSTILE)
    one.tab_to("one.tagName === 'SUMMARY'")
    page.keyboard.press("Enter")
    one.tab_to("one.id === 'o-families'")
    page.keyboard.type("linear")
    one.tab_to("one.id === 'go'")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/runs/run_"))
    run = page.url
    page.wait_for_selector("#outcome .lead")
    return Way(one, dataset, run)


def test_a_run_is_watched_from_its_start_to_its_verdict(way: Way) -> None:
    """Events alone brought the page from the line to its end; notes came one by one; the route is shown."""
    page = way.desk.page
    page.goto(way.run)
    assert page.inner_text("h1") == HOSTILE
    assert "roc_auc" in page.inner_text("#outcome .lead")
    assert page.locator("#notes li").count() >= 1
    assert page.locator("#picture .wide svg").is_visible()
    assert "classical" in page.inner_text("#race")
    assert page.locator("#about .tag").inner_text() == "done"
    assert way.desk.complaints == []


def test_the_report_is_read_in_its_frame(way: Way) -> None:
    page = way.desk.page
    page.goto(way.run)
    page.click("text=Read the report")
    frame = page.frame_locator("iframe")
    frame.locator("h1").wait_for()
    assert "roc_auc" in frame.locator("h1").inner_text()
    assert way.desk.complaints == []


def test_a_row_is_predicted_and_the_curl_line_copied(way: Way, up: Up) -> None:
    """The form is filled with usual values; Enter asks; the line in the clipboard is the one on the page."""
    page = way.desk.page
    way.desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(way.run)
    page.click("text=Predict with the model")
    page.wait_for_url(re.compile(r"/models/model_"))
    way.model = page.url
    way.desk.tab_to("one.id === 'c0'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .said")
    assert page.inner_text("#answer .said") in ("yes", "no", "1", "0", "True", "False")
    assert page.locator("#answer table").count() == 2  # probabilities, and why
    copy = page.locator("[data-copy]").first
    copy.click()
    page.locator("[data-copy]", has_text="Copied").wait_for()
    line = page.evaluate("navigator.clipboard.readText()")
    assert line == page.locator(".code code").first.inner_text()
    asked = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, env={**os.environ, "AUTOML_TOKEN": up.token}
    )
    assert "predictions" in asked.stdout
    assert way.desk.complaints == []


def test_a_table_of_rows_comes_back_as_a_table(way: Way, up: Up) -> None:
    page = way.desk.page
    page.goto(way.model or _model(way))
    page.click("#predict-many")
    assert "Choose a file" in page.inner_text("#many-said")
    page.set_input_files("#rows", str(next(up.folder.glob("*.csv"))))
    page.click("#predict-many")
    page.wait_for_selector("#many-said a")
    with page.expect_download() as coming:
        page.keyboard.press("Enter")  # the link has the focus
    lines = Path(coming.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 200
    assert way.desk.complaints == []


def _model(way: Way) -> str:
    page = way.desk.page
    page.goto(way.run)
    return str(page.locator("text=Predict with the model").evaluate("one => one.href"))


def test_what_is_no_table_is_refused_in_words_beside_the_place_it_was_dropped(way: Way, up: Up) -> None:
    page = way.desk.page
    page.goto(f"{up.url}/")
    empty = up.folder / "empty.csv"
    empty.write_bytes(b"")
    page.set_input_files("#file", str(empty))
    assert "is empty" in page.inner_text("#refused")
    page.evaluate("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["a"], "a.csv")); data.items.add(new File(["b"], "b.csv"));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }""")
    assert "One file at a time" in page.inner_text("#refused")
    before = len(way.desk.complaints)
    page.evaluate("""() => {
      const data = new DataTransfer();
      data.items.add(new File(["\\x00\\x01\\x02 no table"], "odd.parquet"));
      document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }""")
    page.locator("#refused", has_text="Parquet").wait_for()
    del way.desk.complaints[before:]  # the browser's own line on an answer of 422


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE, SMALL], ids=["desk", "phone", "small"])
def test_every_page_can_be_read_on_every_screen(
    visit: Callable[..., Visit], up: Up, way: Way, scheme: str, screen: dict[str, int]
) -> None:
    """Nothing is wider than the screen, every text has a contrast of 4.5, and the browser complains of nothing."""
    one = visit(viewport=screen, color_scheme=scheme, storage_state=way.desk.context.storage_state())
    run = way.run.rpartition("/")[2]
    places = [
        "/", way.dataset.removeprefix(up.url), way.run.removeprefix(up.url), f"/runs/{run}/report",
        f"/compare?run={run}", _model(way).removeprefix(up.url), "/account", "/users", "/log",
    ]  # fmt: skip
    for place in places:
        one.page.goto(up.url + place)
        if place.startswith("/datasets/"):
            one.page.wait_for_selector("#columns table")
        one.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert one.page.evaluate("document.documentElement.scrollWidth") <= screen["width"], place
        assert one.page.evaluate(CONTRASTS) == [], place
    assert one.complaints == []
    one.context.close()


def test_on_a_phone_the_way_in_and_out_is_the_same(visit: Callable[..., Visit], up: Up, way: Way) -> None:
    one = visit(viewport=PHONE, has_touch=True)
    one.page.goto(way.run)
    assert "/signin?next=/runs/" in one.page.url
    one.page.fill("#token", up.token)
    one.page.tap("text=Sign in with the token")
    one.page.wait_for_url(way.run)
    one.page.tap("text=Predict with the model")
    one.page.tap("#one button")
    one.page.wait_for_selector("#answer .said")
    one.page.tap("text=Sign out")
    one.page.wait_for_url(re.compile("/signin"))
    one.page.goto(way.run)
    assert "/signin" in one.page.url


def test_without_scripts_pages_are_read_and_forms_are_sent(visit: Callable[..., Visit], up: Up, way: Way) -> None:
    one = visit(java_script_enabled=False)
    one.page.goto(up.url)
    one.page.fill("#token", up.token)
    one.page.click("text=Sign in with the token")
    one.page.wait_for_url(f"{up.url}/")
    assert HOSTILE in one.page.inner_text("#runs")
    assert one.page.locator("text=this is the way to bring a file").count() == 1
    one.page.goto(way.dataset)
    one.page.click("text=Describe it for this target and budget")
    one.page.wait_for_selector("#columns table")
    one.page.goto(way.run)
    assert "roc_auc" in one.page.inner_text("#outcome .lead")
    one.page.click("text=Predict with the model")
    one.page.click("#one button")
    one.page.wait_for_selector("#answer .said")
