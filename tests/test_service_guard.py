"""What stands before every request of the server: strangers, other sites, floods and long bodies get no further."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_made import BASE, Made, bearer, server
from service_real import until

from automl.doors.service.access.accounts import Principal
from automl.doors.service.access.guard import COOKIE
from automl.doors.service.ground.environment import NEEDED, without_secrets
from automl.doors.service.ground.problems import Problem
from automl.errors import OptionError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with server(tmp_path_factory.mktemp("home")) as found:
        yield found


def admin_of(made: Made) -> Principal:
    found = made.service.accounts.who(made.token)
    assert found is not None
    return found


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/datasets", "/v1/me", "/v1/models/x/predict", "/v1/nothing"])
def test_without_a_token_nothing_is_told_not_even_what_there_is(made: Made, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        found = made.client.request(method, path)
        assert found.status_code == 401
        assert found.headers["content-type"] == "application/problem+json"
        assert "token" in found.json()["detail"]


@pytest.mark.parametrize(
    "given", ["Bearer aml_wrong", "Bearer ", "Basic YWRtaW46", "Bearer aml_\udcff".encode("utf-8", "replace").decode()]
)
def test_a_token_that_is_not_known_opens_nothing(made: Made, given: str) -> None:
    assert made.client.get("/v1/me", headers={"Authorization": given}).status_code == 401


def test_a_revoked_an_ended_and_a_disabled_token_hold_no_longer(made: Made) -> None:
    accounts, admin = made.service.accounts, admin_of(made)
    token, secret = accounts.make_token(admin, "short", "read", 1.0)
    assert made.client.get("/v1/me", headers=bearer(secret)).status_code == 200
    accounts.revoke(admin, token.id)
    assert made.client.get("/v1/me", headers=bearer(secret)).status_code == 401
    _, over = accounts.make_token(admin, "over", "read", -1.0)
    assert made.client.get("/v1/me", headers=bearer(over)).status_code == 401
    headers = made.of("leaves")
    assert made.client.get("/v1/me", headers=headers).status_code == 200
    user = next(one for one in accounts.users() if one.name == "leaves")
    accounts.change_user(user.id, is_disabled=True)
    assert made.client.get("/v1/me", headers=headers).status_code == 401


def test_what_is_made_with_a_token_that_ends_ends_with_it(made: Made) -> None:
    """Else whoever has one for a day has one for ever; also by way of a session."""
    accounts, admin = made.service.accounts, admin_of(made)
    _, secret = accounts.make_token(admin, "a day", "write", 1.0)
    session = accounts.who(accounts.exchange(secret))
    for by in (accounts.who(secret), session):
        assert by is not None
        for days in (None, 2.0):
            with pytest.raises(Problem, match=r"ends in 1\.0 days"):
                accounts.make_token(by, "longer", "read", days)
        assert accounts.make_token(by, "as long", "read", 0.5)[0].expires_at is not None
    accounts.add_user("signs", "member", "a long password 1")
    by_password = accounts.who(accounts.sign_in("signs", "a long password 1"))
    assert by_password is not None
    assert accounts.make_token(by_password, "for ever", "read", None)[0].expires_at is None


def test_the_log_of_deeds_tells_who_signed_in_and_who_could_not(made: Made) -> None:
    """Also from the page's form, whose answer leads on either way."""
    accounts = made.service.accounts
    accounts.add_user("comes", "member", "a long password 1")
    for password in ("a long password 1", "a wrong one"):
        answer = made.client.post(
            "/signin", data={"name": "comes", "password": password, "next": "/"}, headers={"Origin": BASE}
        )
        assert answer.status_code == 303, answer.text
        made.client.cookies.clear()

    def told() -> set[tuple[str | None, int]]:
        made.service.deeds.flush()
        return {(one["user"], one["status"]) for one in made.service.deeds.newest(50) if one["place"] == "/signin"}

    until(lambda: {("comes", 303), (None, 401)} <= told())


def test_what_is_called_a_secret_is_left_out_of_an_environment() -> None:
    """By names as everybody gives them; what programs need to run stays, and what is asked to."""
    kept = {"PATH": "/bin", "HOME": "/root", "LD_LIBRARY_PATH": "/lib", "HF_HOME": "/cache", "OMP_NUM_THREADS": "1"}
    opens = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "AUTOML_TOKEN", "DATABASE_URL", "API_KEY")
    assert without_secrets({**kept, **dict.fromkeys(opens, "x")}) == kept
    assert without_secrets({"PGPASSWORD": "x", "API_KEY": "x"}, kept=NEEDED) == {"PGPASSWORD": "x"}


def test_a_token_may_do_no_more_than_its_scope_and_its_user(made: Made) -> None:
    accounts, admin = made.service.accounts, admin_of(made)
    _, secret = accounts.make_token(admin, "reads", "read", None)
    refused = made.client.post("/v1/runs", headers=bearer(secret), json={"dataset": "dataset_x"})
    assert refused.status_code == 403
    assert "'write'" in refused.json()["detail"]
    assert made.client.get("/v1/users", headers=made.of("curious")).status_code == 403
    more = made.client.post("/v1/tokens", headers=bearer(secret), json={"name": "more", "scope": "admin"})
    assert more.status_code == 403
    viewer = made.of("looks", "viewer")
    assert made.client.get("/v1/me", headers=viewer).json()["scope"] == "predict"
    assert made.client.post("/v1/runs", headers=viewer, json={"dataset": "dataset_x"}).status_code == 403


def test_the_last_admin_stays_one(made: Made) -> None:
    user = next(one for one in made.service.accounts.users() if one.name == "admin")
    for change in ({"role": "member"}, {"disabled": True}):
        found = made.client.patch(f"/v1/users/{user.id}", headers=made.admin, json=change)
        assert found.status_code == 409
    assert made.client.get("/v1/me", headers=made.admin).json()["role"] == "admin"


def test_the_database_holds_no_token_and_no_password(made: Made) -> None:
    made.service.accounts.add_user("keeps-a-secret", "member", "a long enough one")
    content = b"".join(file.read_bytes() for file in made.service.settings.home.glob("server.db*"))
    assert made.token.encode() not in content
    assert b"a long enough one" not in content
    assert b"keeps-a-secret" in content


def test_a_session_signs_in_and_out(made: Made) -> None:
    found = made.client.post("/signin", json={"token": made.token}, headers={"Origin": BASE})
    assert found.status_code == 204
    kept = found.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert made.token not in kept
    session = {"Cookie": f"{COOKIE}={found.cookies[COOKIE]}"}
    made.client.cookies.clear()
    assert made.client.get("/v1/me", headers=session).status_code == 200
    assert made.client.post("/signout", headers={**session, "Origin": BASE}).status_code == 204
    made.client.cookies.clear()
    assert made.client.get("/v1/me", headers=session).status_code == 401
    made.client.cookies.clear()


def test_a_wrong_password_and_an_unknown_name_are_refused_alike(made: Made) -> None:
    made.service.accounts.add_user("grace", "member", "correct horse")
    said = [
        made.client.post("/signin", json={"name": name, "password": word}, headers={"Origin": BASE})
        for name, word in (("grace", "wrong horse"), ("nobody", "correct horse"))
    ]
    assert [one.status_code for one in said] == [401, 401]
    assert said[0].json() == said[1].json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {},
    ],
)
def test_another_site_cannot_act_in_the_name_of_who_is_signed_in(made: Made, headers: dict[str, str]) -> None:
    _, secret = made.service.accounts.make_token(admin_of(made), "as a session", "admin", None)
    found = made.client.post("/v1/tokens", json={"name": "x"}, headers={**headers, "Cookie": f"{COOKIE}={secret}"})
    made.client.cookies.clear()
    assert found.status_code == 403
    assert "another site" in found.json()["detail"]


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8642", "127.0.0.1.evil.example", "[::2]", ""])
def test_a_name_that_is_not_the_servers_is_refused(made: Made, name: str) -> None:
    """A page of elsewhere may have its name lead to this address (DNS rebinding)."""
    assert made.client.get("/v1/me", headers={**made.admin, "Host": name}).status_code == 421


@pytest.mark.parametrize("name", ["127.0.0.1:8642", "localhost:1", "LOCALHOST", "[::1]:8642"])
def test_the_servers_own_names_are_known(made: Made, name: str) -> None:
    assert made.client.get("/v1/me", headers={**made.admin, "Host": name}).status_code == 200


def test_who_asks_too_often_waits(tmp_path: Path) -> None:
    with server(tmp_path, requests_per_minute=5) as made:
        codes = [made.client.get("/v1/me", headers=made.admin) for _ in range(8)]
        assert [one.status_code for one in codes[:5]] == [200] * 5
        assert codes[-1].status_code == 429
        assert int(codes[-1].headers["retry-after"]) > 0
        assert made.client.get("/v1/me", headers=made.of("somebody-else")).status_code == 200


def test_guessing_passwords_is_slowed_down(tmp_path: Path) -> None:
    with server(tmp_path) as made:
        guess = {"name": "admin", "password": "password1234"}
        codes = [made.client.post("/signin", json=guess, headers={"Origin": BASE}).status_code for _ in range(12)]
        assert codes[0] == 401
        assert codes[-1] == 429


def test_a_body_that_is_too_long_is_refused_with_and_without_its_length(tmp_path: Path) -> None:
    with server(tmp_path, most_asked_mb=1) as made:
        body = b'{"name": "' + b"x" * 2_000_000 + b'"}'
        headers = {**made.admin, "Content-Type": "application/json"}
        told = made.client.post("/v1/tokens", content=body, headers=headers)
        assert told.status_code == 413
        parts = (body[at : at + 65536] for at in range(0, len(body), 65536))
        streamed = made.client.post("/v1/tokens", content=parts, headers=headers)
        assert streamed.status_code == 413
        assert "1 MB" in streamed.json()["detail"]


def test_every_answer_carries_the_headers_that_keep_a_browser_in_bounds(made: Made) -> None:
    for path in ("/healthz", "/v1/me", "/v1/nothing", "/signin", "/"):
        found = made.client.get(path, headers=made.admin)
        assert "default-src 'none'" in found.headers["content-security-policy"], path
        assert "unsafe" not in found.headers["content-security-policy"]
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "no-referrer"
        assert found.headers["cache-control"] == "no-store"
        assert "server" not in found.headers


def test_who_did_what_is_written_down_without_what_was_sent(made: Made) -> None:
    headers = made.of("maker")
    made.client.post("/v1/tokens", headers=headers, json={"name": "very private name"})
    made.client.get("/v1/users", headers=headers)
    made.client.get("/v1/me", headers={"Authorization": "Bearer aml_guess"})
    made.service.deeds.flush()

    def told() -> list[dict[str, object]]:
        return made.client.get("/v1/deeds?limit=200", headers=made.admin).json()["items"]

    for _ in range(100):  # notes are written beside the answer
        items = told()
        mine = {(one["action"], one["place"], one["status"]) for one in items if one["user"] == "maker"}
        if len(mine) >= 2:
            break
    assert mine == {("POST", "/v1/tokens", 201), ("GET", "/v1/users", 403)}
    assert any(one["user"] is None and one["status"] == 401 for one in items)
    assert "very private name" not in str(items)


def test_what_nobody_foresaw_is_a_number_and_no_traceback(
    made: Made, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a secret value: 42-1337")

    monkeypatch.setattr(made.service.accounts, "tokens", fails)
    found = made.client.get("/v1/tokens", headers=made.admin)
    assert found.status_code == 500
    assert "1337" not in found.text
    number = found.json()["detail"].rpartition(" ")[2].rstrip(".")
    assert number in caplog.text


def test_an_unknown_place_and_method_are_problems(made: Made) -> None:
    found = made.client.get("/v1/nothing", headers=made.admin)
    assert found.status_code == 404
    assert found.json()["type"] == "urn:automl:not-found"
    assert made.client.put("/v1/me", headers=made.admin).status_code == 405


def test_a_scope_and_a_role_that_there_are_not_are_refused_in_a_line(made: Made) -> None:
    with pytest.raises(
        OptionError, match=r"scope must be one of read, predict, write, admin, got 'wirte'. Did you mean 'write'"
    ):
        made.service.accounts.make_token_of("admin", "x", "wirte", None)
    with pytest.raises(Problem, match="there is a user 'admin' already"):
        made.service.accounts.add_user("admin", "member", None)
