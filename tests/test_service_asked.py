"""Options and settings as strangers and admins give them: refused in one line where they cannot be meant."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_made import server

from automl.doors.service.ground import asked
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.settings import Settings
from automl.errors import AutomlError, OptionError

SETTINGS = Settings(home=Path("home"))


@pytest.mark.parametrize("name", ["run_dir", "cluster", "workers", "rates", "verbose"])
def test_what_is_the_servers_to_say_is_not_a_requests(name: str) -> None:
    with pytest.raises(OptionError, match="is the server's to say"):
        asked.check({name: "local"}, SETTINGS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bugdet": "5m"}, "Did you mean 'budget'"),
        ({"budget": "5 bananas"}, "5 bananas"),
        ({"budget": "5h"}, "a run may have 4h here"),
        ({"test": "/etc/passwd"}, "by its id"),
        ({"test": ["dataset_1"]}, "by its id"),
        ({"baseline": "/srv/other/model"}, "by its id"),
        ({"weights": "/srv/other/run"}, "must be auto, none or package:NAME here"),
        ({"weights": "timm:resnet18"}, "must be auto, none or package:NAME here"),
        ({"metric": {"name": "f1"}}, "metric must be a text"),
        ({"weight": [1, 2]}, "weight must be a text"),
        ({"route": "quantum"}, "quantum"),
        ({"seed": -1}, "seed"),
        ({"give_up_percent": float("nan")}, "no number"),
        ({"target": "a\0b"}, "cannot be meant"),
        ({"target": "a\ud800b"}, "cannot be meant"),
        ({"target": [[[[["deep"]]]]]}, "nested"),
    ],
)
def test_options_that_cannot_work_are_refused_with_what_was_seen(options: dict[str, Any], says: str) -> None:
    with pytest.raises(AutomlError, match=r"^[^\n]+$") as told:
        asked.check(options, SETTINGS)
    assert says in str(told.value)


def test_weights_are_downloaded_only_where_the_admin_allows_it() -> None:
    with pytest.raises(Problem, match="which this server does not"):
        asked.check({"weights": "hub:somebody/network"}, SETTINGS)
    assert asked.check({"weights": "hub:a/b"}, Settings(home=Path("home"), downloads_weights=True))


def test_data_sets_and_models_are_named_by_their_ids() -> None:
    given_options = {"test": "dataset_1", "baseline": "model_2", "target": "y"}
    assert asked.check(given_options, SETTINGS) == given_options
    assert asked.names_of(given_options) == ("dataset_1", "model_2")
    assert asked.names_of({"baseline": 0.7}) == (None, None)
    assert asked.check({"baseline": "0.7"}, SETTINGS)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(asked.OPEN_TO_ALL) | st.text(max_size=10), PLAIN, max_size=4))
def test_whatever_is_asked_for_is_taken_or_refused_in_one_line(options: dict[str, Any]) -> None:
    with suppress(AutomlError, Problem):
        assert asked.check(options, SETTINGS) == options


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"jobs": 0}, "jobs must be a number, 1 or above, got 0"),
        ({"prot": 80}, "Did you mean 'port'"),
        ({"most_budget": "20 trials"}, "must be a time"),
        ({"database": "mysql://root:secret@db/x"}, "postgresql://"),
        ({"workers": 0}, "workers must be 1 or above"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError) as told:
        Settings.of(settings)
    assert says in str(told.value)
    assert "secret" not in str(told.value)


def test_settings_come_from_a_file_and_what_is_given_beside_it_counts_more(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('port = 9000\nhosts = ["ml.example.org"]\njobs = 3\n')
    found = Settings.of({"jobs": 2}, file)
    assert (found.port, found.jobs, found.hosts) == (9000, 2, ("ml.example.org",))
    file.write_text("port = \n")
    with pytest.raises(OptionError, match="cannot be read as TOML"):
        Settings.of({}, file)


@pytest.mark.parametrize("body", [b"\xa5", b"\xff\xfe{", b"{", b"[" * 100_000, b""])
def test_a_body_that_is_no_json_is_refused_in_a_line(tmp_path: Path, body: bytes) -> None:
    """Whatever its bytes are: as a problem of the caller, with the status that is described."""
    with server(tmp_path) as made:
        answer = made.client.post("/v1/runs", content=body, headers=made.admin | {"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert "See /v1/openapi.json" in answer.json()["detail"]
