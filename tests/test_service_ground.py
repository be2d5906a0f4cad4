"""What a server keeps, on SQLite and on PostgreSQL: accounts, answers, deeds and lists hold beside others at once."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from ground_made import Ground, ground, together
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from automl.doors.service.access.accounts import Principal
from automl.doors.service.access.deeds import Deed, Deeds
from automl.doors.service.access.idempotent import forget_open, once
from automl.doors.service.ground.database import Database
from automl.doors.service.ground.problems import Problem, problem_of
from automl.doors.service.ground.tables import EVENTS, META, MODELS, RUNS, TOKENS, RunRecord, State
from automl.doors.service.line import live
from automl.doors.service.line.live import Live
from automl.errors import OptionError, RunError

KEPT_S = 3600.0


@pytest.fixture
def made(database_url: str, tmp_path: Path) -> Iterator[Ground]:
    with ground(database_url, tmp_path) as found:
        yield found


# --- the database -----------------------------------------------------------------------------------------------------


def test_a_database_of_a_newer_version_is_refused_and_left_alone(made: Ground) -> None:
    with made.database.writing() as work:
        work.execute(update(META).where(META.c.name == "schema").values(value="999"))
    with pytest.raises(RunError, match=r"newer version \(999\)"):
        made.database.prepare()


def test_a_change_is_made_whole_or_not_at_all(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)

    def half() -> None:
        with made.database.writing() as work:
            work.execute(update(RUNS).where(RUNS.c.id == run.id).values(name="half"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert made.runs.known(run.id).name == "run"


def test_a_run_belongs_to_somebody_who_is_there(made: Ground) -> None:
    row = dict(made.row(made.add(made.user("one")).id)._mapping)
    with pytest.raises(IntegrityError), made.database.writing() as work:
        work.execute(insert(RUNS).values(**{**row, "id": "run_other", "user_id": "user_nobody"}))


def test_a_letter_that_no_database_keeps_is_refused_in_a_line(made: Ground) -> None:
    for name in ("a\0b", "a\ud800b"):
        try:
            made.accounts.add_user(name, "member", None)
        except Exception as error:  # noqa: BLE001 - each database has its own
            problem = problem_of(error)
            assert problem.status == 422
            assert "\n" not in problem.detail
        else:
            assert made.database.is_sqlite  # which keeps the first one


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_of_servers_that_begin_at_once_one_makes_the_first_admin(made: Ground) -> None:
    found = together([made.accounts.first_admin] * 4)
    assert sum(isinstance(one, str) for one in found) == 1
    assert found.count(None) == 3
    assert [user.name for user in made.accounts.users()] == ["admin"]


def test_of_two_admins_who_step_back_at_once_one_stays(made: Ground) -> None:
    ids = [made.user(name, "admin").user_id for name in ("ada", "grace")]
    found = together([lambda who=who: made.accounts.change_user(who, role="member") for who in ids])
    assert sorted(type(one).__name__ for one in found) == ["Problem", "User"]
    assert sorted(user.role for user in made.accounts.users()) == ["admin", "member"]


def test_a_name_is_given_to_one_of_those_who_ask_for_it_at_once(made: Ground) -> None:
    found = together([lambda: made.accounts.add_user("ada", "member", None)] * 3)
    assert sorted(type(one).__name__ for one in found) == ["Problem", "Problem", "User"]


def test_a_token_is_known_until_it_is_revoked_and_its_use_is_written_down_beside_requests(made: Ground) -> None:
    by = made.user("one")
    token, secret = made.accounts.make_token(by, "mine", "read", 1.0)
    found = made.accounts.who(secret)
    assert found is not None
    assert (found.user, found.scope) == ("one", "read")
    assert made.accounts.who(secret[:-1]) is None
    made.accounts.flush()
    with made.database.reading() as work:
        assert work.execute(select(TOKENS.c.used_at).where(TOKENS.c.id == token.id)).scalar_one() > 0
    made.accounts.revoke(by, token.id)
    assert made.accounts.who(secret) is None
    other = made.user("other")
    with pytest.raises(Problem, match="there is no token"):
        made.accounts.revoke(other, made.accounts.make_token(by, "again", "read", None)[0].id)


def test_passwords_sign_in_and_a_new_one_ends_the_sessions_of_the_old(made: Ground) -> None:
    made.user("root", "admin")
    user = made.accounts.add_user("ada", "member", "correct horse")
    session = made.accounts.sign_in("ada", "correct horse")
    assert made.accounts.who(session) is not None
    made.accounts.change_user(user.id, password="another horse")
    assert made.accounts.who(session) is None
    with pytest.raises(Problem):
        made.accounts.sign_in("ada", "correct horse")
    assert made.accounts.who(made.accounts.sign_in("ada", "another horse")) is not None


# --- the same request twice -------------------------------------------------------------------------------------------


class Act:
    """Something that must be done once."""

    def __init__(self, made: Ground, by: Principal, wait_s: float = 0.0) -> None:
        self.made, self.by, self.wait_s, self.count = made, by, wait_s, 0

    def __call__(self, name: str) -> tuple[int, dict[str, Any]]:
        self.count += 1
        time.sleep(self.wait_s)
        return 201, {"number": self.count}

    def ask(self, key: str | None, asked: Any = "x", kept_s: float = KEPT_S) -> tuple[int, dict[str, Any]]:
        return once(self.made.database, self.by, key, asked, self, kept_s)


def test_of_the_same_request_sent_many_times_at_once_one_is_done(made: Ground) -> None:
    act = Act(made, made.user("one"), wait_s=0.2)
    found = together([lambda: act.ask("key")] * 6)
    assert act.count == 1
    answers = [one for one in found if isinstance(one, tuple)]
    refusals = [one for one in found if isinstance(one, Problem)]
    assert len(answers) + len(refusals) == 6
    assert all(one == (201, {"number": 1}) for one in answers)
    assert {(one.status, one.kind) for one in refusals} <= {(409, "key-at-work")}
    assert act.ask("key") == (201, {"number": 1})


def test_a_key_is_good_for_one_request_of_one_user_and_for_a_time(made: Ground) -> None:
    act = Act(made, made.user("one"))
    act.ask("key")
    with pytest.raises(Problem) as refused:
        act.ask("key", asked="y")
    assert (refused.value.status, refused.value.kind) == (422, "key-reused")
    other = Act(made, made.user("other"))
    assert other.ask("key") == (201, {"number": 1})
    assert act.ask("key", kept_s=0.0) == (201, {"number": 2})
    assert act.ask(None) == (201, {"number": 3})
    for key in ("", "x" * 201, "a\nb", "ü"):
        with pytest.raises(OptionError, match="Idempotency-Key must be"):
            act.ask(key)


def test_what_failed_may_be_asked_again(made: Ground) -> None:
    by = made.user("one")

    def refuses(_name: str) -> tuple[int, dict[str, Any]]:
        raise OptionError("no")

    with pytest.raises(OptionError):
        once(made.database, by, "key", "x", refuses, KEPT_S)
    assert Act(made, by).ask("key") == (201, {"number": 1})


@pytest.mark.parametrize("is_made", [False, True])
def test_a_crash_before_the_answer_makes_nothing_twice(made: Ground, is_made: bool) -> None:
    """Whether the run was put into the line before the crash or not: asked for again, there is one."""
    by = made.user("one")

    def crashes(name: str) -> tuple[int, dict[str, Any]]:
        if is_made:
            made.runs.add(by, "dataset_x", "run", {}, name)
        raise SystemExit

    def adds(name: str) -> tuple[int, dict[str, Any]]:
        return 201, {"id": made.runs.add(by, "dataset_x", "run", {}, name).id}

    with pytest.raises(SystemExit):
        once(made.database, by, "key", "x", crashes, KEPT_S)
    with pytest.raises(Problem, match="still at work"):
        once(made.database, by, "key", "x", adds, KEPT_S)
    forget_open(made.database)  # as the next server does
    answer = once(made.database, by, "key", "x", adds, KEPT_S)
    assert answer == once(made.database, by, "key", "x", adds, KEPT_S)
    assert [run.id for run in made.runs.page(by, 10, None).items] == [answer[1]["id"]]


# --- deeds and lists --------------------------------------------------------------------------------------------------


def deed(place: str) -> Deed:
    return Deed.of(None, "127.0.0.1", "POST", place, 200)


def test_deeds_are_told_newest_first_and_what_is_counted_once(made: Ground) -> None:
    deeds = Deeds(made.database)
    deeds.note(deed("/a"))
    for _ in range(3):
        deeds.count(deed("/b"))
    deeds.flush()
    deeds.flush()
    rows = deeds.newest(10)
    assert [(row["place"], row["times"]) for row in rows] == [("/b", 3), ("/a", 1)]
    assert [row["place"] for row in deeds.newest(10, before=rows[0]["id"])] == ["/a"]


def test_deeds_that_the_database_does_not_take_are_kept_until_it_does(
    made: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeds = Deeds(made.database)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", fails)
        deeds.note(deed("/a"))
        deeds.count(deed("/b"))
        with pytest.raises(DBAPIError):
            deeds.flush()
    deeds.flush()
    assert sorted(row["place"] for row in deeds.newest(10)) == ["/a", "/b"]


def fails(*_: Any) -> Any:
    raise DBAPIError("INSERT", None, OSError("database or disk is full"))


def test_a_list_shows_each_run_once_while_others_are_added(made: Ground) -> None:
    by = made.user("one")
    added = [made.add(by).id for _ in range(7)]
    with made.database.writing() as work:  # three of the same moment
        work.execute(update(RUNS).where(RUNS.c.id.in_(added[2:5])).values(created_at=made.row(added[3]).created_at))
    seen: list[str] = []
    cursor = None
    while True:
        page = made.runs.page(by, 2, cursor)
        seen += [run.id for run in page.items]
        made.add(by)
        if (cursor := page.next) is None:
            break
    assert sorted(seen) == sorted(added)


def test_who_a_run_is_shared_with_sees_it_and_changes_nothing(made: Ground) -> None:
    by, other = made.user("one"), made.user("other")
    run = made.add(by)
    with pytest.raises(Problem, match="there is no run"):
        made.runs.get(other, run.id)
    made.runs.change(by, run.id, None, is_shared=True)
    assert made.runs.get(other, run.id).id == run.id
    assert [one.id for one in made.runs.page(other, 10, None).items] == [run.id]
    for act in (
        lambda: made.runs.stop(other, run.id, now=True),
        lambda: made.runs.resume(other, run.id, None),
        lambda: made.runs.remove(other, run.id),
        lambda: made.runs.change(other, run.id, "theirs", None),
    ):
        with pytest.raises(Problem, match="there is no run"):
            act()


def test_a_run_that_is_removed_is_gone_with_all_that_was_of_it(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    folder = made.runs.folder(run.id)
    (folder / "trials").mkdir(parents=True)
    claim = made.claim()
    with pytest.raises(Problem, match="at work"):
        made.runs.remove(by, run.id)
    made.queue.end(claim, State.DONE, "{}", None)
    made.runs.remove(by, run.id)
    assert not folder.exists()
    with made.database.reading() as work:
        for table in (EVENTS, MODELS):
            assert not work.execute(select(table).where(table.c.run_id == run.id)).all()
    assert not made.queue.renew(claim, [], None).is_mine


# --- watched live -----------------------------------------------------------------------------------------------------


def test_all_who_watch_hear_everything_in_order_and_who_was_cut_off_the_rest(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)

    async def watched() -> list[list[str]]:
        watching = Live(made.runs)
        tasks = [asyncio.create_task(gathered(watching.watch(run, 0))) for _ in range(3)]
        tasks.append(asyncio.create_task(gathered(watching.watch(run, 2))))
        claim = await asyncio.to_thread(made.claim)
        for place in range(5):
            await asyncio.to_thread(
                made.queue.renew, claim, [("note", {"line": str(place)})], f'{{"stage": "{place}"}}'
            )
            await asyncio.sleep(0)
        await asyncio.to_thread(made.queue.end, claim, State.DONE, "{}", None)
        found = await asyncio.gather(*tasks)
        assert not watching._watched
        return found

    for place, lines in enumerate(asyncio.run(watched())):
        numbers = [int(line.split()[1]) for line in lines if line.startswith("id: ")]
        assert numbers == list(range(3 if place == 3 else 1, 9))
        assert lines[-1].startswith("event: end\n")
        assert any('"stage": "4"' in line for line in lines if line.startswith("event: progress"))


def test_who_watches_goes_on_when_the_database_was_away(made: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    by = made.user("one")
    run = made.add(by)
    monkeypatch.setattr(live, "AWAY_S", 0.01)
    known, is_away, missed = made.runs.known_or_none, threading.Event(), threading.Event()

    def at_times_away(run_id: str) -> RunRecord | None:
        if is_away.is_set():
            missed.set()
            fails()
        return known(run_id)

    async def watched() -> list[str]:
        watching = Live(made.runs)
        lines = aiter(watching.watch(run, 0))
        found = [await anext(lines)]
        monkeypatch.setattr(made.runs, "known_or_none", at_times_away)
        is_away.set()
        rest = asyncio.create_task(gathered(lines))
        assert await asyncio.to_thread(missed.wait, 60)
        is_away.clear()
        claim = await asyncio.to_thread(made.claim)
        await asyncio.to_thread(made.queue.end, claim, State.DONE, "{}", None)
        return found + await rest

    lines = asyncio.run(watched())
    assert [line.split()[1] for line in lines if line.startswith("id: ")] == ["1", "2", "3"]
    assert lines[-1].startswith("event: end\n")


async def gathered(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]


def test_a_clock_is_shared_by_all_servers(made: Ground) -> None:
    with made.database.reading() as work:
        first = made.database.now(work)
        work.execute(text("SELECT 1"))
        assert made.database.now(work) >= first > 1e9
