"""The line of runs, on SQLite and on PostgreSQL: fair, one process at a time for each run, nothing lost without it."""

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from ground_made import JOBS, Ground, ground, together
from sqlalchemy import update

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import RUNS, State
from automl.doors.service.line.queue import MOST_LOSSES, Assignment, Queue

CLAIMANT = Path(__file__).with_name("claimant.py")
PATIENCE_S = 120


@pytest.fixture
def made(database_url: str, tmp_path: Path) -> Iterator[Ground]:
    with ground(database_url, tmp_path) as found:
        yield found


# --- who comes next ---------------------------------------------------------------------------------------------------


def test_users_take_turns_and_each_ones_runs_come_in_their_order(made: Ground) -> None:
    """Somebody with many runs does not keep the others waiting."""
    many, few = made.user("many"), made.user("few")
    added = [made.add(many, f"many {place}").id for place in range(4)]
    added += [made.add(few, f"few {place}").id for place in range(2)]
    order = []
    while (claim := made.queue.claim("here", 1, JOBS)) is not None:
        order.append(added.index(claim.run_id))
        made.queue.end(claim, State.DONE, "{}", None)
    assert order == [0, 4, 1, 5, 2, 3]


def test_who_has_less_at_work_comes_first(made: Ground) -> None:
    one, other = made.user("one"), made.user("other")
    first, second = made.add(one), made.add(one)
    third = made.add(other)
    assert [made.claim().run_id for _ in range(3)] == [first.id, third.id, second.id]


def test_a_user_has_no_more_at_work_than_settings_allow_and_a_server_neither(made: Ground) -> None:
    one, other = made.user("one"), made.user("other")
    for by in (one, one, one, other):
        made.add(by)
    first = made.claim(most_working=2)
    taken = [first, made.claim(most_working=2), made.claim(most_working=2)]
    assert Counter(made.row(claim.run_id).user_id for claim in taken) == {one.user_id: 2, other.user_id: 1}
    assert made.queue.claim("here", JOBS, 2) is None
    made.queue.end(first, State.DONE, "{}", None)
    assert made.queue.claim("here", 2, 2) is None  # two of this server work still
    assert made.queue.claim("elsewhere", 2, 2) is not None


def test_runs_of_a_user_who_was_disabled_wait(made: Ground) -> None:
    made.user("stays", "admin")
    gone = made.user("gone")
    made.add(gone)
    made.accounts.change_user(gone.user_id, is_disabled=True)
    assert made.queue.claim("here", JOBS, JOBS) is None
    made.accounts.change_user(gone.user_id, is_disabled=False)
    assert made.queue.claim("here", JOBS, JOBS) is not None


def test_a_run_that_goes_on_counts_as_its_users_turn(made: Ground) -> None:
    """Who goes on with an old run has had a start just now, whenever its first one was."""
    one, other = made.user("one"), made.user("other")
    old = made.add(one)
    made.queue.end(made.claim(), State.DONE, "{}", None)
    made.add(other)
    made.queue.end(made.claim(), State.DONE, "{}", None)
    made.runs.resume(one, old.id, "+1m")
    made.queue.end(made.claim(), State.STOPPED, "{}", None)
    made.add(one)
    waits = made.add(other)
    assert made.claim().run_id == waits.id


# --- one run, one process ---------------------------------------------------------------------------------------------


def test_of_many_who_ask_at_once_each_run_is_given_to_one(made: Ground) -> None:
    users = [made.user(f"user-{place}") for place in range(3)]
    added = [made.add(users[place % 3]).id for place in range(12)]
    taken: list[Assignment] = []

    def work(server: str) -> None:
        while (claim := made.queue.claim(server, 2, 3)) is not None:
            taken.append(claim)
            at_work = [made.row(run_id) for run_id in added]
            busy = Counter(row.user_id for row in at_work if row.state == State.WORKING)
            assert max(busy.values(), default=0) <= 3
            made.queue.end(claim, State.DONE, "{}", None)

    assert together([partial(work, f"server-{place}") for place in range(6)]) == [None] * 6
    assert sorted(claim.run_id for claim in taken) == sorted(added)
    assert {claim.attempt for claim in taken} == {1}


@pytest.mark.slow
def test_two_processes_that_take_runs_at_once_never_take_the_same(made: Ground) -> None:
    by = made.user("one")
    added = [made.add(by).id for _ in range(30)]
    words = [sys.executable, str(CLAIMANT), made.url]
    processes = [
        subprocess.Popen([*words, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    taken = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
        taken += [line.split()[0] for line in out.splitlines()]
    assert sorted(taken) == sorted(added)
    for run_id in added:
        kinds = [kind for kind, _ in made.said(run_id)]
        assert kinds == ["state", "state", "note", "state"]


# --- processes that go away -------------------------------------------------------------------------------------------


def test_a_silent_process_loses_its_run_which_keeps_its_place_and_hears_of_it(made: Ground) -> None:
    by = made.user("one")
    first, second = made.add(by), made.add(by)
    late = made.claim()
    assert made.queue.give_back() == []
    made.lapse(first.id)
    assert made.queue.give_back() == [first.id]
    assert made.row(first.id).state == State.QUEUED
    new = made.claim()
    assert (new.run_id, new.attempt) == (first.id, late.attempt + 1)
    before = made.row(first.id)
    assert not made.queue.renew(late, [("note", {"line": "late"})], '{"stage": "late"}').is_mine
    assert made.queue.end(late, State.FAILED, '{"late": 1}', "late") is None
    made.queue.has_more(late, "1m")
    made.queue.lost(late)
    assert made.row(first.id) == before
    assert made.queue.renew(new, [], None).is_mine
    assert made.claim().run_id == second.id


def test_a_run_whose_processes_go_away_again_and_again_ends_in_a_line(made: Ground) -> None:
    run = made.add(made.user("one"))
    for _ in range(MOST_LOSSES - 1):
        made.queue.lost(made.claim())
    claim = made.claim()
    assert made.queue.renew(claim, [("stage", {"stage": "search"})], '{"stage": "search"}').is_mine  # it gets on again
    for _ in range(MOST_LOSSES):
        made.queue.lost(claim)
        assert made.row(run.id).error is None
        claim = made.claim()
        if made.row(run.id).losses == MOST_LOSSES - 1:
            break
    made.queue.lost(claim)
    found = made.runs.known(run.id)
    assert found.state == State.FAILED
    assert found.error
    assert "stage search" in found.error
    assert "\n" not in found.error


def test_a_run_that_was_to_stop_when_its_process_went_away_is_stopped(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    made.runs.stop(by, run.id, now=True)
    made.queue.lost(claim)
    assert made.runs.known(run.id).state == State.STOPPED
    made.runs.resume(by, run.id, None)
    assert made.claim().run_id == run.id


def test_a_run_that_ends_while_it_is_given_up_has_ended(made: Ground) -> None:
    """Whoever decides over a run sees what its process wrote a moment ago."""
    by = made.user("one")
    decide = {
        "given back": lambda claim: made.queue.give_back(),
        "lost": made.queue.lost,
        "stopped": lambda claim: made.runs.stop(by, claim.run_id, now=False),
    }
    for told, act in decide.items():
        run = made.add(by)
        claim = made.claim()
        made.lapse(run.id)
        acting = threading.Thread(target=act, args=(claim,))
        with made.database.writing() as work:
            ended = update(RUNS).where(RUNS.c.id == run.id)
            work.execute(ended.values(state=State.DONE, lease_until=None, verdict='{"chosen": "x"}'))
            acting.start()
            time.sleep(0.2)  # for it to come as far as it can
        acting.join(PATIENCE_S)
        assert made.row(run.id).state == State.DONE, told


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_are_numbered_without_gaps_and_seen_in_order_beside_their_writers(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    over = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while True:
            is_last = over.is_set()
            seen.extend(number for number, _, _ in made.runs.events(run.id, seen[-1] if seen else 0))
            if is_last:
                return

    def write(name: str) -> None:
        for place in range(15):
            said = [("note", {"line": f"{name} {place} {part}"}) for part in range(2)]
            assert made.queue.renew(claim, said, None).is_mine

    reader = threading.Thread(target=look)
    reader.start()
    try:
        assert together([partial(write, name) for name in "abc"]) == [None] * 3
    finally:
        over.set()
        reader.join(PATIENCE_S)
    assert seen == list(range(1, 2 + 3 * 30 + 1))
    assert made.row(run.id).seq == seen[-1]
    lines = [line for kind, line in made.said(run.id) if kind == "note"]
    for name in "abc":  # each writer's own are in its order
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name} {place} {part}" for place, part in itertools.product(range(15), range(2))]


def test_a_long_past_is_read_in_parts(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    made.queue.renew(claim, [("note", {"line": str(place)}) for place in range(50)], None)
    seen = 0
    lines: list[str] = []
    while found := made.runs.events(run.id, seen, limit=7):
        assert [number for number, _, _ in found] == list(range(seen + 1, seen + 1 + len(found)))
        seen = found[-1][0]
        lines += [body["line"] for _, kind, body in found if kind == "note"]
    assert lines == [str(place) for place in range(50)]


# --- more budget ------------------------------------------------------------------------------------------------------


def test_budget_given_to_a_run_at_work_is_used_once_at_its_end(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    made.runs.resume(by, run.id, "+1m")
    made.runs.resume(by, run.id, "90s")
    assert made.queue.end(claim, State.DONE, "{}", None) == "150s"
    made.queue.has_more(claim, "150s")
    assert made.row(run.id).more is None
    assert made.queue.end(claim, State.DONE, "{}", None) is None
    assert made.row(run.id).state == State.DONE


def test_budget_given_while_other_budget_is_taken_is_kept_and_none_counts_twice(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    made.runs.resume(by, run.id, "+5m")
    taken = made.queue.end(claim, State.DONE, "{}", None)
    assert taken is not None
    made.runs.resume(by, run.id, "+60s")  # before the run's folder holds the five minutes
    made.queue.has_more(claim, taken)
    assert made.queue.end(claim, State.DONE, "{}", None) == "60s"
    made.queue.has_more(claim, "60s")
    assert made.row(run.id).more is None


def test_budget_given_from_many_sides_at_once_adds_up(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    claim = made.claim()
    made.runs.resume(by, run.id, "10 trials")
    taken: list[str] = []

    def take() -> None:
        for _ in range(5):
            if (found := made.queue.end(claim, State.DONE, "{}", None)) is not None:
                taken.append(found)
                made.queue.has_more(claim, found)

    def give() -> None:
        for _ in range(5):
            made.runs.resume(by, run.id, "+1 trial")

    assert together([take, give, give]) == [None] * 3
    rest = made.row(run.id).more
    assert sum(int(text.split()[0].strip("+")) for text in [*taken, *([rest] if rest else [])]) == 20


def test_a_run_that_waits_keeps_the_budget_it_was_given(made: Ground) -> None:
    by = made.user("one")
    run = made.add(by)
    made.runs.resume(by, run.id, "+1m")
    claim = made.claim()
    made.queue.lost(claim)
    assert made.row(run.id).more == "+1m"
    assert made.queue.end(made.claim(), State.DONE, "{}", None) == "+1m"


# --- a database that goes away ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_postgres_that_ends_and_comes_back_costs_no_run(postgres: object, tmp_path: Path) -> None:
    """Connections that were open are made anew."""
    with ground(postgres.new(), tmp_path) as made:  # type: ignore[attr-defined]
        run = made.add(made.user("one"))
        claim = made.claim()
        postgres.stop()  # type: ignore[attr-defined]
        with pytest.raises(Exception, match=r"connection|refused|socket|terminat"):
            made.queue.renew(claim, [("note", {"line": "lost"})], None)
        postgres.start()  # type: ignore[attr-defined]
        assert made.queue.renew(claim, [("note", {"line": "kept"})], None).is_mine
        assert made.said(run.id)[-1] == ("note", "kept")


def test_two_servers_that_begin_at_once_make_the_tables_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    found = together([database.prepare for database in databases])
    for database in databases:
        database.close()
    assert found == [None] * 4
    assert Queue(databases[0]).give_back() == []
    databases[0].close()
