"""What every pool must keep, as plain functions: a new backend is a pool that passes each of CHECKS.

Each check opens its pools through the callable it is given, `open_pool(slots)`, and raises AssertionError where the
contract is broken. The functions that the checks run as jobs stand here too, so that any worker can import them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.pool import Grant, Job, Outcome, Partial, Pool, Status

OpenPool = Callable[[int], Pool]

_PATIENCE_S = 90.0  # no check waits longer for anything, on however busy a machine


# --- jobs ------------------------------------------------------------------------------------------------------------


def square(_: Grant, number: int) -> int:
    """The simplest job."""
    return number * number


def look_at(_: Grant, __: None, array: Any) -> tuple[float, bool, bool]:
    """The sum of a shared array, whether it can be written to, whether it is a copy."""
    return float(array.sum()), bool(array.flags.writeable), bool(array.flags.owndata)


def size(_: Grant, __: None, value: Any) -> int:
    """The length of a shared value."""
    return len(value)


def fail(_: Grant, message: str) -> None:
    """Raise."""
    raise ValueError(message)


def half(_: Grant, value: Any) -> Partial:
    """Say that the value is cut short."""
    return Partial(value)


def spin(_: Grant, note: str | None) -> None:
    """Burn CPU in native code that listens to no signal, for ever; write down who does, if asked."""
    if note is not None:
        Path(note).write_text(str(os.getpid()))
    sum(range(10**15))


def spin_until(grant: Grant, longest_s: float) -> float:
    """Burn CPU until the grant ends; the seconds it took."""
    started_s = time.monotonic()
    while time.monotonic() < min(grant.until, started_s + longest_s):
        pass
    return time.monotonic() - started_s


def end_itself(_: Grant, __: None) -> None:
    """Die as a worker that runs out of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


def nap(grant: Grant, duration_s: float) -> tuple[float, float, int]:
    """Sleep; return when that began and ended, and the threads granted."""
    started_s = time.monotonic()
    time.sleep(duration_s)
    return started_s, time.monotonic(), grant.threads


def meet(grant: Grant, notes: tuple[str, str]) -> tuple[float, float, int]:
    """As `hold`, for one that runs at the same time; return when that began and ended, and the threads granted."""
    started_s = time.monotonic()
    hold(grant, notes)
    return started_s, time.monotonic(), grant.threads


def hold(_: Grant, notes: tuple[str, str]) -> None:
    """Say in a file that it began, and go on until another file is there."""
    began, end = map(Path, notes)
    began.touch()
    _await(end.exists)


def lock(_: Grant, __: None) -> Any:
    """Return what no pickle holds."""
    return threading.Lock()


def allocate(_: Grant, megabytes: int) -> int:
    """Hold that much memory for a moment."""
    return len(bytearray(os.urandom(1024) * 1024 * megabytes))


# --- checks ----------------------------------------------------------------------------------------------------------


def gather(pool: Pool, count: int) -> dict[str, Outcome]:
    """Wait for that many outcomes; each job ends once."""
    outcomes: dict[str, Outcome] = {}
    ends_s = time.monotonic() + _PATIENCE_S
    while len(outcomes) < count and time.monotonic() < ends_s:
        for outcome in pool.wait(1.0):
            assert outcome.job_id not in outcomes, f"{outcome.job_id} ended twice"
            outcomes[outcome.job_id] = outcome
    assert len(outcomes) == count, f"{len(outcomes)} of {count} jobs ended: {sorted(outcomes)}"
    return outcomes


def _await(happens: Callable[[], object], meanwhile: Callable[[], object] = lambda: time.sleep(0.02)) -> None:
    ends_s = time.monotonic() + _PATIENCE_S
    while not happens():
        assert time.monotonic() < ends_s, "waited in vain"
        meanwhile()


def _one(pool: Pool, job: Job) -> Outcome:
    pool.submit(job)
    return gather(pool, 1)[job.id]


def _check_goes_on(pool: Pool) -> None:
    outcome = _one(pool, Job("afterwards", "cluster.contracts:square", 5))
    assert (outcome.status, outcome.value) == (Status.DONE, 25), outcome


def _is_alive(process: Any) -> bool:
    import psutil

    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def check_results_carry_their_ids(open_pool: OpenPool) -> None:
    """Each outcome has the id of its job, the value of its function and what it used."""
    with closing(open_pool(2)) as pool:
        for number in range(5):
            pool.submit(Job(f"job {number}", "cluster.contracts:square", number))
        outcomes = gather(pool, 5)
    assert {key: outcome.value for key, outcome in outcomes.items()} == {f"job {n}": n * n for n in range(5)}
    assert all(outcome.status is Status.DONE and outcome.worker for outcome in outcomes.values())
    assert all(outcome.cost.wall_s > 0 and outcome.cost.peak_mb > 1 for outcome in outcomes.values())


def check_data_arrives_in_place(open_pool: OpenPool) -> None:
    """Arrays given to `put` arrive in every worker, neither copied nor writable."""
    import numpy as np

    with closing(open_pool(2)) as pool:
        ref = pool.put(np.arange(1_000_000, dtype=np.float64))
        for key in ("a", "b", "c"):
            pool.submit(Job(key, "cluster.contracts:look_at", data=(ref,)))
        for outcome in gather(pool, 3).values():
            assert outcome.value == (sum(range(1_000_000)), False, False), outcome


def check_a_value_is_forgotten(open_pool: OpenPool) -> None:
    """What is forgotten is freed, once or twice; other values stay."""
    import numpy as np

    with closing(open_pool(1)) as pool:
        one, other = pool.put(np.ones(1_000)), pool.put(np.ones(2_000))
        assert _one(pool, Job("a", "cluster.contracts:look_at", data=(one,))).value[0] == 1_000
        pool.forget(one)
        pool.forget(one)
        assert _one(pool, Job("b", "cluster.contracts:look_at", data=(other,))).value[0] == 2_000


def check_an_exception_is_an_outcome(open_pool: OpenPool) -> None:
    """What a job raises comes back as one line and a traceback; the pool goes on."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:fail", "odd\nvalue 7"))
        assert outcome.status is Status.FAILED, outcome
        assert outcome.error == "ValueError: odd value 7", outcome.error
        assert "contracts.py" in outcome.trace, outcome.trace
        missing = _one(pool, Job("b", "cluster.contracts:no_such_function"))
        assert missing.status is Status.FAILED, missing
        assert "no_such_function" in missing.error, missing.error
        _check_goes_on(pool)


def check_partial_is_told(open_pool: OpenPool) -> None:
    """A value wrapped in Partial arrives unwrapped, as PARTIAL."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:half", [1, 2]))
        assert (outcome.status, outcome.value) == (Status.PARTIAL, [1, 2]), outcome


def check_a_hanging_job_is_late(open_pool: OpenPool) -> None:
    """A job that listens to nothing is killed soon after its hard deadline, is charged, and its worker is replaced."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:spin", hard_s=0.5))
        assert outcome.status is Status.LATE, outcome
        assert 0.5 <= outcome.cost.wall_s < _PATIENCE_S / 3, outcome.cost
        assert outcome.cost.cpu_s > 0, outcome.cost
        _check_goes_on(pool)


def check_a_dead_worker_is_a_loss(open_pool: OpenPool) -> None:
    """A job whose worker dies is LOST and says so; later jobs run."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:end_itself"))
        assert outcome.status is Status.LOST, outcome
        assert "died" in outcome.error, outcome.error
        _check_goes_on(pool)


def check_cancelling(open_pool: OpenPool) -> None:
    """Running and queued jobs end as LATE when cancelled; an unknown id is ignored."""
    with TemporaryDirectory() as folder, closing(open_pool(1)) as pool:
        note = Path(folder, "pid")
        pool.submit(Job("running", "cluster.contracts:spin", str(note)))
        pool.submit(Job("queued", "cluster.contracts:square", 2))
        _await(note.exists, lambda: pool.wait(0.1))
        assert pool.wait(0.1) == []
        for key in ("queued", "running", "unknown"):
            pool.cancel(key)
        outcomes = gather(pool, 2)
        assert {outcome.status for outcome in outcomes.values()} == {Status.LATE}, outcomes
        assert outcomes["running"].cost.cpu_s > 0, outcomes
        _check_goes_on(pool)


def check_many_jobs_end_once(open_pool: OpenPool) -> None:
    """Two hundred tiny jobs all end, each once; then there is nothing to wait for."""
    with closing(open_pool(2)) as pool:
        for number in range(200):
            pool.submit(Job(str(number), "cluster.contracts:square", number))
        assert {int(key): outcome.value for key, outcome in gather(pool, 200).items()} == {n: n * n for n in range(200)}
        started_s = time.monotonic()
        assert pool.wait(_PATIENCE_S) == []
        assert time.monotonic() - started_s < _PATIENCE_S / 2, "waited for nothing"


def check_threads_are_slots(open_pool: OpenPool) -> None:
    """Narrow jobs run side by side, a wide one alone; one wider than the pool gets the pool."""
    with TemporaryDirectory() as folder, closing(open_pool(2)) as pool:
        for key, threads, other in (("a", 1, "b"), ("b", 1, "a"), ("wide", 5, "wide"), ("c", 1, "c")):
            meeting = str(Path(folder, key)), str(Path(folder, other))
            pool.submit(Job(key, "cluster.contracts:meet", meeting, threads=threads))
        met = {key: outcome.value for key, outcome in gather(pool, 4).items()}
    assert met["wide"][0] >= max(met["a"][1], met["b"][1]), met
    assert met["c"][0] >= met["wide"][1], met
    assert [met[key][2] for key in ("a", "b", "wide", "c")] == [1, 1, 2, 1]


def check_what_cannot_travel_fails(open_pool: OpenPool) -> None:
    """A value or payload that cannot be pickled is a FAILED job, not a hang."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:lock"))
        assert outcome.status is Status.FAILED, outcome
        assert "lock" in outcome.error, outcome.error
        assert _one(pool, Job("b", "cluster.contracts:square", threading.Lock())).status is Status.FAILED
        _check_goes_on(pool)


def check_the_soft_deadline_is_told(open_pool: OpenPool) -> None:
    """The grant names the moment at which the function should return; without a limit it is never."""
    with closing(open_pool(1)) as pool:
        soft = _one(pool, Job("a", "cluster.contracts:spin_until", 20.0, soft_s=0.3))
        assert soft.value < 10, soft
        assert soft.cost.wall_s >= 0.3, soft.cost
        assert _one(pool, Job("b", "cluster.contracts:spin_until", 0.1)).value >= 0.1


def check_closing(open_pool: OpenPool) -> None:
    """Closing ends busy workers and may be repeated."""
    import psutil

    with TemporaryDirectory() as folder:
        note = Path(folder, "pid")
        pool = open_pool(2)
        pool.submit(Job("a", "cluster.contracts:spin", str(note)))
        _await(lambda: note.exists() and note.read_text(), lambda: pool.wait(0.1))
        worker = psutil.Process(int(note.read_text()))
        pool.close()
        pool.close()
    _await(lambda: not _is_alive(worker))


def check_machines_are_told(open_pool: OpenPool) -> None:
    """The machines have room for the slots, and show what our jobs hold of them."""
    with closing(open_pool(2)) as pool:
        assert pool.slots == 2
        assert sum(node.cpus for node in pool.nodes()) >= 2
        assert all(node.name and node.memory_mb > 0 for node in pool.nodes())
        with TemporaryDirectory() as folder:
            began, end = Path(folder, "began"), Path(folder, "end")
            pool.submit(Job("a", "cluster.contracts:hold", (str(began), str(end)), threads=2))
            _await(began.exists, lambda: pool.wait(0.1))
            assert sum(node.busy_cpus for node in pool.nodes()) == 2
            end.touch()
            gather(pool, 1)
        assert sum(node.busy_cpus for node in pool.nodes()) == 0


def check_what_no_machine_has_is_refused(open_pool: OpenPool) -> None:
    """A job that no machine could ever run fails at once, saying what is missing."""
    with closing(open_pool(1)) as pool:
        outcome = _one(pool, Job("a", "cluster.contracts:square", 2, gpus=99.0))
        assert outcome.status is Status.FAILED, outcome
        assert "99 GPUs" in outcome.error, outcome.error
        _check_goes_on(pool)


def check_interrupting_a_wait(open_pool: OpenPool) -> None:
    """Ctrl-C leaves `wait` as KeyboardInterrupt; the job in flight and the pool go on. Run it in the main thread."""
    main = threading.main_thread().ident
    assert main is not None
    with TemporaryDirectory() as folder, closing(open_pool(1)) as pool:
        began, end = Path(folder, "began"), Path(folder, "end")
        pool.submit(Job("a", "cluster.contracts:hold", (str(began), str(end))))
        _await(began.exists, lambda: pool.wait(0.1))
        timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
        was_interrupted = False
        try:
            timer.start()
            pool.wait(_PATIENCE_S)
        except KeyboardInterrupt:
            was_interrupted = True
        timer.join()
        end.touch()
        assert was_interrupted
        assert gather(pool, 1)["a"].status is Status.DONE
        _check_goes_on(pool)


CHECKS: tuple[Callable[[OpenPool], None], ...] = (
    check_results_carry_their_ids,
    check_data_arrives_in_place,
    check_a_value_is_forgotten,
    check_an_exception_is_an_outcome,
    check_partial_is_told,
    check_a_hanging_job_is_late,
    check_a_dead_worker_is_a_loss,
    check_cancelling,
    check_many_jobs_end_once,
    check_threads_are_slots,
    check_what_cannot_travel_fails,
    check_the_soft_deadline_is_told,
    check_closing,
    check_machines_are_told,
    check_what_no_machine_has_is_refused,
    check_interrupting_a_wait,
)
