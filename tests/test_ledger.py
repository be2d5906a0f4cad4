"""The books of a pool that spans machines: what goes where, and what never could."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.ledger import Held, Ledger
from cluster.pool import Job, Node
from cluster.sent import Others

SMALL = Node("small", cpus=2, memory_mb=4_000)
LARGE = Node("large", cpus=16, memory_mb=64_000)
GPU = Node("gpu", cpus=4, memory_mb=16_000, gpus=1.0, gpu_type="T4")


def ledger(*nodes: Node, limit: int | None = None) -> Ledger:
    made = Ledger(limit)
    made.update({node.name: node for node in nodes})
    return made


def job(name: str, threads: int = 1, **options: float) -> Job:
    return Job(name, "module:function", threads=threads, **options)  # type: ignore[arg-type]


def test_a_wide_job_goes_where_one_machine_has_its_threads() -> None:
    """Free CPUs of several machines do not add up for one job."""
    books = ledger(SMALL, LARGE)
    assert books.slots == 18
    assert books.take(job("wide", 10)) == "large"
    assert books.take(job("wider", 10)) is None
    books.give_back("wide")
    assert books.take(job("wider", 10)) == "large"


def test_a_job_wider_than_any_machine_is_narrowed() -> None:
    """To the largest that could run it; one that needs a GPU, to the largest with one."""
    assert ledger(SMALL, LARGE).fitted(job("a", 99)).threads == 16
    assert ledger(SMALL, LARGE, GPU).fitted(job("a", 99, gpus=0.5)).threads == 4
    assert ledger(SMALL, LARGE, limit=3).fitted(job("a", 99)).threads == 3


def test_jobs_without_a_gpu_leave_the_machine_with_one_to_networks() -> None:
    """As long as there is room elsewhere."""
    books = ledger(SMALL, GPU)
    assert [books.take(job(str(n))) for n in range(3)] == ["small", "small", "gpu"]


def test_a_gpu_is_shared_up_to_the_whole() -> None:
    """Four quarters, then no more; CPUs are still to be had."""
    books = ledger(GPU, LARGE)
    assert [books.take(job(str(n), gpus=0.25)) for n in range(5)] == ["gpu"] * 4 + [None]
    assert books.take(job("cpu")) == "large"
    assert books.nodes()[0].busy_gpus == 1.0
    assert books.nodes()[0].busy_cpus == 4


def test_memory_is_counted_like_cpus() -> None:
    """Two jobs of 3 GB do not fit on a machine of 4."""
    books = ledger(SMALL)
    assert books.take(job("a", memory_mb=3_000)) == "small"
    assert books.take(job("b", memory_mb=3_000)) is None
    assert books.take(job("c", memory_mb=500)) == "small"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"gpus": 2.0}, "2 GPUs, but no machine has more than 1"),
        ({"memory_mb": 1e6}, "1,000,000 MB"),
        ({"gpus": 1.0}, ""),
    ],
)
def test_what_no_machine_has_is_told_before_it_waits_for_ever(wanted: dict[str, float], told: str) -> None:
    """With what is missing; what could be had is not refused."""
    why = ledger(SMALL, LARGE, GPU).why_never(job("a", **wanted))
    assert told in why
    assert bool(why) is bool(told)


def test_what_a_lost_machine_held_goes_with_it() -> None:
    """Its jobs give back nothing that is there any more."""
    books = ledger(SMALL, LARGE, limit=4)
    assert books.take(job("a", 2)) == "large"
    books.update({"small": SMALL})
    assert books.slots == 2
    books.give_back("a")
    assert books.take(job("b", 2)) == "small"


@given(st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0.0, 0.25, 1.0]), st.floats(0, 20_000)), max_size=40))
def test_no_machine_is_ever_overbooked(wanted: list[tuple[int, float, float]]) -> None:
    """Whatever is asked for, in whatever order."""
    books = ledger(SMALL, LARGE, GPU)
    for number, (threads, gpus, memory_mb) in enumerate(wanted):
        one = books.fitted(job(str(number), threads, gpus=gpus, memory_mb=memory_mb))
        if not books.why_never(one):
            books.take(one)
    for node in books.nodes():
        assert node.busy_cpus <= node.cpus
        assert node.busy_gpus <= node.gpus


# --- a thousand machines, and others on them --------------------------------------------------------------------------


def looks(machines: int, jobs: int) -> int:
    """Machines weighed for one more job, among so many that hold so many."""
    books = ledger(*(Node(f"n{n}", cpus=8, memory_mb=32_000) for n in range(machines)))
    for n in range(jobs):
        assert books.take(job(str(n), memory_mb=100)) is not None
    before = books.looked_at
    assert books.take(job("last", memory_mb=100)) is not None
    return books.looked_at - before


def test_a_thousand_machines_take_no_more_looks_than_a_few() -> None:
    """However many jobs they hold; and where all are full, none is looked at."""
    assert looks(10, 30) == looks(1_000, 30) == looks(1_000, 7_900) == 1
    books = ledger(*(Node(f"n{n}", cpus=2) for n in range(100)))
    assert all(books.take(job(str(n))) for n in range(200))
    before = books.looked_at
    assert books.take(job("one more")) is None
    assert books.looked_at == before


def test_what_is_counted_is_what_is_held() -> None:
    """After any coming and going the machines show what the jobs on them hold, and are as free as before at the end."""
    books = ledger(SMALL, LARGE, GPU)
    for n in range(12):
        books.take(job(str(n), 1 + n % 3, gpus=0.25 * (n % 2), memory_mb=500))
    books.update({node.name: node for node in (LARGE, GPU)})
    for n in range(12):
        books.give_back(str(n))
    assert all(not node.busy_cpus and not node.busy_gpus for node in books.nodes())
    assert books.take(job("wide", 16)) == "large"


def test_what_others_hold_is_left_to_them() -> None:
    """Their CPUs are no slots, jobs go where none are, and no job is so wide that it would wait for them to go."""
    books = ledger(LARGE, SMALL)
    assert not books.update({"large": LARGE, "small": SMALL})
    assert books.update({"large": LARGE, "small": SMALL}, {"large": Held(cpus=14.5, memory_mb=60_000)})
    assert books.slots == 3
    assert books.fitted(job("wide", 16)).threads == 2
    assert books.take(job("a", memory_mb=3_900)) == "small"
    assert books.take(job("b", memory_mb=5_000)) is None
    assert books.take(job("c", memory_mb=1_000)) == "large"
    books.update({"small": SMALL}, {"small": Held(cpus=2)})
    assert books.slots == 1  # one job can always wait


def test_held_by_others_is_what_was_seen_twice() -> None:
    """Ray is late to tell that a job of ours has ended: it is nobody else's."""
    others, nodes = Others(), {"large": LARGE}
    assert others.look(nodes, {"large": {"CPU": 4.0, "memory": 64_000 * 2**20}}, {"large": Held(4)}) == {
        "large": Held()
    }
    seen = others.look(nodes, {"large": {"CPU": 10.0, "memory": 64_000 * 2**20}}, {"large": Held(4)})
    assert seen == {"large": Held(cpus=2)}
    assert others.look(nodes, {}, {}) == {}
