"""A server with something on every page of it, and what reads pages as a browser does: tags, labels, addresses."""

import json
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from service_made import Made

from automl import Result
from automl.doors.service.access.guard import COOKIE
from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Queue
from automl.doors.service.line.worker import told

HOSTILE = "<img src=x onerror=alert(1)>"
OWN = {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
ALONE = ("input", "img", "meta", "link", "br", "hr")  # tags that are never closed


@dataclass
class Person:
    """Somebody who is signed in on the page."""

    made: Made
    cookie: str

    def get(self, path: str) -> Any:
        """A page."""
        return self.made.client.get(path, headers={**OWN, "Cookie": f"{COOKIE}={self.cookie}"})

    def send(self, path: str, **fields: str) -> Any:
        """A form, as the page sends it."""
        return self.made.client.post(path, headers={**OWN, "Cookie": f"{COOKIE}={self.cookie}"}, data=fields)

    def bring(self, name: str, content: bytes) -> str:
        """A data set, by its id."""
        headers = {**OWN, "Cookie": f"{COOKIE}={self.cookie}"}
        found = self.made.client.post("/v1/datasets", params={"name": name}, content=content, headers=headers)
        assert found.status_code == 201, found.text
        return str(found.json()["id"])


def signed_in(made: Made, token: str) -> Person:
    found = made.client.post("/signin", headers=OWN, data={"token": token, "next": "/"})
    assert found.status_code == 303
    made.client.cookies.clear()
    return Person(made, found.headers["set-cookie"].partition(";")[0].partition("=")[2])


def run_done(made: Made, person: Person, dataset: str, result: Result, name: str = "churn") -> str:
    """A run that came to its end, with the files of one that did; its id."""
    headers = {**OWN, "Cookie": f"{COOKIE}={person.cookie}"}
    asked = {"dataset": dataset, "name": name, "options": {"target": "churned", "budget": "5 trials"}}
    run = str(made.client.post("/v1/runs", headers=headers, json=asked).json()["id"])
    queue = Queue(made.service.database)
    claim = queue.claim("test", 9, 9)
    assert claim is not None
    assert claim.run_id == run
    shutil.copytree(result.folder, made.service.runs.folder(run))
    said = [("stage", {"stage": "search"}), ("note", {"line": f"column {HOSTILE} is left out"})]
    queue.renew(claim, said, json.dumps({"stage": "search", "elapsed_s": 1.0, "left_s": None, "done": 5}))
    queue.end(claim, State.DONE, json.dumps(told(result)), None)
    return run


@dataclass
class Read(HTMLParser):
    """What a page holds."""

    text: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        if self.open:
            self.faults.append(f"not closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def files_of(made: Made, read: Read) -> dict[str, bytes]:
    """The style and the scripts that come with a page."""
    places = [one["href"] for one in read.of("link") if one.get("rel") == "stylesheet"]
    places += [one["src"] for one in read.of("script")]
    return {str(place): made.client.get(str(place)).content for place in places}


def nameless(read: Read) -> list[dict[str, str | None]]:
    """Fields that nobody could say the name of."""
    labelled = {one.get("for") for one in read.of("label")}
    fields = [one for tag in ("input", "select", "textarea", "progress") for one in read.of(tag)]
    wrapped = _wrapped(read)
    return [
        one for one in fields
        if one.get("type") != "hidden" and not one.get("aria-label") and one.get("id") not in labelled
        and (one.get("name"), one.get("value")) not in wrapped
    ]  # fmt: skip


def _wrapped(read: Read) -> set[tuple[str | None, str | None]]:
    """Fields that stand in their label."""
    found, is_in = set(), False
    for tag, attributes in read.tags:
        if tag == "label":
            is_in = "for" not in attributes
        elif is_in and tag == "input":
            found.add((attributes.get("name"), attributes.get("value")))
            is_in = False
    return found


def hostile_table(customers: Path) -> bytes:
    """The customers with a column and a value that would be tags."""
    lines = customers.read_text(encoding="utf-8").splitlines()[:200]
    head = f'{lines[0]},"{HOSTILE}"'
    rows = [f'{line},"{HOSTILE if at % 2 else "plain"}"' for at, line in enumerate(lines[1:])]
    return "\n".join([head, *rows]).encode()
