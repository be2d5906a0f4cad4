"""The pages of the server, drawn: small, labelled, without script or style of their own, closed to strangers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from conftest import CUSTOMERS
from pages_made import HOSTILE, OWN, Person, Read, files_of, hostile_table, nameless, run_done, signed_in
from service_made import Made, server

from automl import Result
from automl.doors.service.pages.drawing import STATIC
from automl.doors.service.pages.run import _without

MOST_BYTES = 100_000

pytestmark = pytest.mark.slow


@dataclass
class Stage:
    """A server with something on every page."""

    made: Made
    admin: Person
    dataset: str
    run: str
    waits: str
    model: str

    def pages(self) -> list[str]:
        return [
            "/", f"/datasets/{self.dataset}", f"/datasets/{self.dataset}?look=1&target=churned", f"/runs/{self.run}",
            f"/runs/{self.waits}", f"/runs/{self.run}/report", f"/compare?run={self.run}&run={self.waits}", "/compare",
            f"/models/{self.model}", "/account", "/users", "/log",
        ]  # fmt: skip


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, finished: Result) -> Iterator[Stage]:
    with server(tmp_path_factory.mktemp("home")) as made:
        admin = signed_in(made, made.token)
        dataset = admin.bring(f"{HOSTILE}.csv", hostile_table(CUSTOMERS))
        run = run_done(made, admin, dataset, finished, HOSTILE)
        sent = admin.send(f"/datasets/{dataset}/start", target="churned", budget="1m", name=HOSTILE)
        waits = sent.headers["location"].removeprefix("/runs/")
        model = made.service.models.of_run(run)
        assert model is not None
        made.service.accounts.add_user("ada", "member", "correct horse")
        yield Stage(made, admin, dataset, run, waits, model)


@pytest.fixture(scope="module")
def drawn(stage: Stage) -> dict[str, Read]:
    """Every page, read once."""
    answers = {path: stage.admin.get(path) for path in stage.pages()}
    assert {path: one.status_code for path, one in answers.items()} == dict.fromkeys(answers, 200)
    return {path: Read(one.text) for path, one in answers.items()}


def test_every_page_is_well_formed_and_says_what_it_is(drawn: dict[str, Read]) -> None:
    """A language, a title of its own, one h1, tags that close, ids that are there once."""
    for path, read in drawn.items():
        assert read.faults == [], path
        assert read.of("html") == [{"lang": "en"}], path
        assert len(read.of("h1")) == 1, path
        ids = [one["id"] for _, one in read.tags if "id" in one]
        assert len(ids) == len(set(ids)), path
    titles = [re.search("<title>(.*?)</title>", read.text, re.DOTALL) for read in drawn.values()]
    assert all(title and len(title[1]) > len(" · automl") for title in titles)


def test_every_page_with_its_files_is_below_100_kb(stage: Stage, drawn: dict[str, Read]) -> None:
    for path, read in drawn.items():
        files = files_of(stage.made, read)
        assert len(files) >= 2, path
        assert len(read.text.encode()) + sum(map(len, files.values())) < MOST_BYTES, path


def test_a_page_of_very_wide_data_is_below_100_kb_too(stage: Stage) -> None:
    """Columns come page by page, and what is too long for a list can be typed."""
    names = [f"{HOSTILE} {'column ' * 8}{at}" for at in range(1200)]
    rows = [",".join(str((at * row) % 7) for at in range(1200)) for row in range(1, 31)]
    wide = stage.admin.bring("wide.csv", "\n".join([",".join(names), *rows]).encode())
    found = stage.admin.get(f"/datasets/{wide}?look=1&target={quote(names[-1])}&start=60")
    read = Read(found.text)
    assert (found.status_code, read.faults) == (200, [])
    assert len(found.content) + sum(map(len, files_of(stage.made, read).values())) < MOST_BYTES
    assert re.search(r"Columns 61 to 120 of 1,200, of which \d+ are told here\.", found.text)
    assert [one["list"] for one in read.of("input") if one.get("id") == "target"] == ["h-columns"]


def test_no_page_has_a_script_or_a_style_in_it(drawn: dict[str, Read]) -> None:
    """The policy that forbids them stands in every answer; here nothing is left for it to forbid."""
    for path, read in drawn.items():
        assert all(one.get("src", "").startswith("/static/") for one in read.of("script")), path  # type: ignore[union-attr]
        assert read.of("style") == [], path
        for tag, attributes in read.tags:
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (path, tag)
            places = [attributes[name] or "" for name in ("href", "src", "action") if name in attributes]
            assert all(place.startswith(("/", "?", "#", "data:,")) for place in places), (path, places)


def test_every_field_has_a_name_that_can_be_read_out(drawn: dict[str, Read]) -> None:
    for path, read in drawn.items():
        assert nameless(read) == [], path
        assert all(one.get("scope") for one in read.of("th")), path


def test_a_name_that_would_be_a_tag_is_a_text_on_every_page(drawn: dict[str, Read]) -> None:
    """A data set, a column, a cell, a run and a note are called like an image that runs a script."""
    seen = 0
    for path, read in drawn.items():
        assert read.of("img") == [], path
        seen += any(HOSTILE in word for word in read.words)
    assert seen >= 7


def test_a_stranger_is_led_to_the_way_in_and_back(stage: Stage) -> None:
    for path in stage.pages():
        found = stage.made.client.get(path, headers=OWN)
        assert found.status_code == 303, path
        assert found.headers["location"].startswith("/signin?next=/")
    entry = Read(stage.made.client.get("/signin?next=/account", headers=OWN).text)
    assert entry.faults == []
    assert nameless(entry) == []
    assert [one["value"] for one in entry.of("input") if one.get("name") == "next"] == ["/account"] * 2
    outside = Read(stage.made.client.get("/signin?next=//evil.example", headers=OWN).text)
    assert {one["value"] for one in outside.of("input") if one.get("name") == "next"} == {"/"}


def test_who_signs_in_wrongly_is_told_so_in_words(stage: Stage) -> None:
    refused = stage.made.client.post("/signin", headers=OWN, data={"name": "ada", "password": "wrong"})
    assert refused.status_code == 303
    told = stage.made.client.get(refused.headers["location"], headers=OWN)
    assert told.status_code == 401
    assert "Name, password or token are wrong" in told.text


def test_what_is_not_there_is_a_page_in_words(stage: Stage) -> None:
    for path in ("/runs/run_none", "/datasets/dataset_none", "/models/model_none", "/compare?run=run_none"):
        found = stage.admin.get(path)
        assert found.status_code == 404, path
        assert "There is no" in found.text
        assert found.headers["content-type"].startswith("text/html")
    assert stage.admin.get("/account?").status_code == 200
    assert stage.admin.get("/log?before=x").status_code == 422


def test_members_see_no_pages_of_admins_and_nothing_of_others(stage: Stage) -> None:
    name, secret = "bob", ""
    stage.made.service.accounts.add_user(name, "viewer", None)
    _, secret = stage.made.service.accounts.make_token_of(name, "t", "predict", None)
    bob = signed_in(stage.made, secret)
    home = bob.get("/")
    assert HOSTILE not in "".join(Read(home.text).words)
    assert "No run yet" in home.text
    assert "Bring a data set" not in home.text
    for path in ("/users", "/log"):
        assert bob.get(path).status_code == 403
    assert bob.get(f"/runs/{stage.run}").status_code == 404
    stage.admin.send(f"/runs/{stage.run}/share", shared="yes")
    shared = bob.get(f"/runs/{stage.run}")
    assert shared.status_code == 200
    assert Read(shared.text).of("form") == [{"method": "post", "action": "/signout"}]
    assert bob.get(f"/models/{stage.model}").status_code == 200
    stage.admin.send(f"/runs/{stage.run}/share", shared="no")
    assert bob.get(f"/runs/{stage.run}").status_code == 404


# --- forms ----------------------------------------------------------------------------------------------------------


def test_a_form_starts_one_run_however_often_it_is_sent(stage: Stage) -> None:
    fields = {"target": "churned", "budget": "", "budget_other": "3 trials", "key": "k1", "o-families": "linear"}
    first = stage.admin.send(f"/datasets/{stage.dataset}/start", **fields)
    again = stage.admin.send(f"/datasets/{stage.dataset}/start", **fields)
    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"]
    run = stage.made.service.runs.known(first.headers["location"].removeprefix("/runs/"))
    assert run.options == {"target": "churned", "budget": "3 trials", "families": "linear"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"o-max_latency_ms": "quick"}, "max_latency_ms must be a number"),
        ({"budget": "soon"}, "budget"),
        ({"o-nonsense": "1"}, "unknown option"),
    ],
)
def test_what_cannot_work_is_said_beside_the_form_and_what_was_typed_stays(
    stage: Stage, fields: dict[str, str], said: str
) -> None:
    found = stage.admin.send(f"/datasets/{stage.dataset}/start", **{"target": "churned", "name": "kept so", **fields})
    assert found.status_code == 422
    alerts = re.findall(r'<p class="alert" role="alert".*?</p>', found.text, re.DOTALL)
    assert any(said in alert.lower() for alert in alerts)
    read = Read(found.text)
    assert [one["value"] for one in read.of("input") if one.get("id") == "name"] == ["kept so"]


def test_a_run_is_renamed_taken_out_of_the_line_and_removed(stage: Stage) -> None:
    sent = stage.admin.send(f"/datasets/{stage.dataset}/start", target="churned", budget="1m")
    place = sent.headers["location"]
    assert stage.admin.send(f"{place}/name", name="calm").status_code == 303
    assert "<h1>calm</h1>" in stage.admin.get(place).text
    assert stage.admin.send(f"{place}/stop").status_code == 303
    assert "stopped before there was a model" in stage.admin.get(place).text
    refused = stage.admin.send(f"{place}/more", budget="much")
    assert refused.status_code == 422
    assert stage.admin.send(f"{place}/more").headers["location"] == place
    assert "It waits for a machine" in stage.admin.get(place).text
    assert stage.admin.send(f"{place}/remove").headers["location"] == "/"
    assert stage.admin.get(place).status_code == 404


def test_a_token_is_shown_once_and_holds_until_it_is_revoked(stage: Stage) -> None:
    made = stage.admin.send("/account/tokens", name="nightly", scope="predict", days="30")
    assert made.status_code == 201
    (secret,) = re.findall(r"aml_[\w-]{40,}", made.text)
    headers = {"Authorization": f"Bearer {secret}"}
    assert stage.made.client.get("/v1/me", headers=headers).json()["scope"] == "predict"
    account = stage.admin.get("/account").text
    assert "nightly" in account
    assert secret not in account
    (place,) = re.findall(r'action="(/account/tokens/\w+/revoke)"><button[^>]*aria-label="Revoke nightly"', account)
    assert stage.admin.send(place).status_code == 303
    assert stage.made.client.get("/v1/me", headers=headers).status_code == 401
    refused = stage.admin.send("/account/tokens", name="x" * 200, scope="predict", days="30")
    assert refused.status_code == 422
    assert 'role="alert"' in refused.text


def test_an_admin_adds_changes_and_disables_users(stage: Stage) -> None:
    added = stage.admin.send("/users", name="eve", role="viewer", password="long enough")
    assert added.status_code == 303
    user = next(one for one in stage.made.service.accounts.users() if one.name == "eve")
    assert stage.made.client.post("/signin", headers=OWN, data={"name": "eve", "password": "long enough"})
    assert stage.admin.send("/users", name="eve", role="viewer").status_code == 409
    assert stage.admin.send(f"/users/{user.id}", role="member").status_code == 303
    assert stage.admin.send(f"/users/{user.id}", password="short").status_code == 422
    assert stage.admin.send(f"/users/{user.id}", disabled="yes").status_code == 303
    found = next(one for one in stage.made.service.accounts.users() if one.name == "eve")
    assert (found.role, found.disabled_at is not None) == ("member", True)
    assert "disabled" in stage.admin.get("/users").text
    assert f"POST /users/{user.id}" in stage.admin.get("/log").text


def test_another_sites_form_changes_nothing(stage: Stage) -> None:
    before = len(stage.made.service.accounts.users())
    headers = {"Sec-Fetch-Site": "cross-site", "Cookie": f"automl_session={stage.admin.cookie}"}
    found = stage.made.client.post("/users", headers=headers, data={"name": "mallory", "role": "admin"})
    assert found.status_code == 403
    assert len(stage.made.service.accounts.users()) == before


def test_the_form_of_a_model_is_made_of_its_columns_and_answers_with_reasons(stage: Stage) -> None:
    empty = Read(stage.admin.get(f"/models/{stage.model}").text)
    names = [one.get("name") for tag in ("input", "select") for one in empty.of(tag)]
    assert {"c0", "c1", "c2"} <= set(names)
    labels = re.findall(r'<label for="(c\d+)">support_tickets</label>', empty.text)
    found = stage.admin.send(f"/models/{stage.model}", **{labels[0]: "7"})
    assert found.status_code == 200
    text = " ".join(Read(found.text).words)
    assert "What speaks for yes" in text
    assert "%" in text
    assert 'value="7"' in found.text
    refused = stage.admin.send(f"/models/{stage.model}", c0="seven")
    assert refused.status_code == 422
    assert "Column &#39;joined&#39; held dates in training, got &#39;seven&#39;" in refused.text
    assert 'value="seven"' in refused.text


def test_the_curl_line_of_a_model_names_no_token(stage: Stage) -> None:
    text = stage.admin.get(f"/models/{stage.model}").text
    assert "$AUTOML_TOKEN" in text
    assert "aml_" not in text.replace("automl_", "")


# --- files ----------------------------------------------------------------------------------------------------------


def test_style_and_scripts_are_kept_by_browsers_and_nothing_else_is_served(stage: Stage) -> None:
    for name in STATIC:
        found = stage.made.client.get(f"/static/{name}")
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["x-content-type-options"] == "nosniff"
    for name in ("page.py", "%2e%2e%2fdrawing.py", "frame.html.j2"):
        assert stage.made.client.get(f"/static/{name}").status_code == 404


def test_no_script_makes_tags_of_what_it_was_told() -> None:
    """Texts are put as texts; what is drawn comes from the server, which escapes it."""
    folder = Path(__file__).parent.parent / "automl" / "doors" / "service" / "pages" / "static"
    for script in folder.glob("*.js"):
        text = script.read_text(encoding="utf-8")
        for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "outerHTML ="):
            assert word not in text, (script.name, word)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"data": {"task": "binary"}}, "how common each class is"),
        ({"data": {"task": "regression"}}, "the same number for all"),
        ({"data": {"task": "regression"}, "forecasts": {"metric": "mase"}}, "the last season again"),
    ],
)
def test_what_a_model_is_held_against_is_named_rightly(told: dict[str, Any], said: str) -> None:
    """On the page of a run, beside the score without a model."""
    assert _without(told) == said
