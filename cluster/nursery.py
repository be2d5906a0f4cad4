"""The fork server and the workers it forks: what runs in the processes of a local pool.

The nursery is a fresh interpreter that imports the preloaded modules and forks a worker whenever the driver asks, at
once or when so many modules are loaded: a worker is warm at birth. It runs no job and starts no thread, which keeps
forking safe. Whoever loses the process above it ends: workers are killed with the nursery, the nursery kills its
workers when the driver is gone.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from cluster import scratch, share
from cluster.meter import Meter, rusage_mb
from cluster.task import Begun, Task, perform

NEWS = struct.Struct("!iidd")  # pid of a dead worker, its wait status, cpu_s, peak_mb; or 0 and the modules loaded
MOST_MODULES = 255  # a request is one byte
LEAST_S = 1.0  # that a job has, however long its worker was waited for
_PR_SET_PDEATHSIG = 1
_NOT_INHERITED = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # by what an import may start: ends of workers to come


@dataclass
class Ward:
    """What the nursery looks after: its workers, and the requests for those that are to be born later."""

    control: socket.socket
    children: set[int]
    asked: list[tuple[int, int]]  # modules to be loaded before, and the worker's end of a pipe
    loaded: int = 0


@dataclass(frozen=True)
class Born:
    """A worker's first words."""

    pid: int


@dataclass(frozen=True)
class Errand:
    """A task and where its shared values lie."""

    task: Task
    data: tuple[str, ...]
    gpu: str  # of this machine, as CUDA_VISIBLE_DEVICES names them; empty: none
    given_s: float  # of the monotonic clock, which is one for all processes of a machine


def kill(pid: int) -> None:
    """End a worker, busy or not, and whatever processes it started."""
    for send in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)


# --- nursery ---------------------------------------------------------------------------------------------------------


def main(control_fd: int, preload: Sequence[str], folders: Sequence[str]) -> None:
    """Fork on request until the driver is gone; then end all workers and remove the shared folders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    with socket.socket(fileno=control_fd) as control:
        ward = Ward(control, set(), [])
        signal.signal(signal.SIGCHLD, lambda *_: _reap(ward))
        try:
            _serve(ward, preload)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for pid in ward.children:
                kill(pid)
    scratch.remove(folders)
    os._exit(0)  # taking down a large interpreter in order would take longer than the driver waits


def _serve(ward: Ward, preload: Sequence[str]) -> None:
    """Import, answering between imports. Requests that come before the first import wait for it."""
    for module in preload:
        with suppress(Exception):  # a job that needs the module fails with this very error; others go on without it
            importlib.import_module(module)
        ward.loaded += 1
        with suppress(OSError):  # the driver is gone: the next request says so
            ward.control.sendall(NEWS.pack(0, ward.loaded, 0.0, 0.0))
        while select.select([ward.control], [], [], 0)[0]:
            if not _hear(ward):
                return
        _bear(ward)
    while _hear(ward):
        _bear(ward)


def _hear(ward: Ward) -> bool:
    """The next request: how many modules its worker is to be born with, and its end of a pipe; False: no driver."""
    try:
        request, fds, _, _ = socket.recv_fds(ward.control, 1, 1, _NOT_INHERITED)
    except ConnectionError:
        return False
    if not request:
        return False
    ward.asked.append((request[0], fds[0]))
    return True


def _bear(ward: Ward) -> None:
    """Fork the workers whose modules are loaded."""
    for request in [one for one in ward.asked if one[0] <= ward.loaded]:
        ward.asked.remove(request)
        _fork(ward, request[1])


def _fork(ward: Ward, pipe_fd: int) -> None:
    gc.freeze()  # a collection in a worker then leaves the pages of preloaded modules shared
    nursery = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # no reaping of a child that is not yet written down
    pid = os.fork()
    if pid == 0:
        _live(ward, pipe_fd, nursery)
    ward.children.add(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.close(pipe_fd)


def _reap(ward: Ward) -> None:
    """Tell the driver how workers died and what they had used. Waits for known pids only: imports have children too."""
    for pid in list(ward.children):
        with suppress(ChildProcessError):  # a nested signal was here first
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                ward.children.discard(pid)
                kill(pid)  # the worker is gone, what it started may not be
                with suppress(OSError):
                    ward.control.sendall(NEWS.pack(pid, status, usage.ru_utime + usage.ru_stime, rusage_mb(usage)))


# --- worker ----------------------------------------------------------------------------------------------------------


def _live(ward: Ward, pipe_fd: int, nursery: int) -> NoReturn:
    """A worker's life; never returns into the nursery's code."""
    try:
        os.setpgid(0, 0)  # a group of its own, to be killed as one
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        ward.control.close()
        for _, fd in ward.asked:  # of workers to come: who else held them would hide their death
            os.close(fd)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == nursery:
            with suppress(EOFError, OSError):  # the driver is gone
                _work(Connection(pipe_fd))
    except BaseException:  # noqa: BLE001 - the last frame of the process: say it, then end
        traceback.print_exc()
    finally:
        os._exit(0)


def _work(pipe: Connection) -> None:
    shared: dict[str, Any] = {}
    pipe.send(Born(os.getpid()))
    while True:
        errand: Errand = pipe.recv()
        os.environ["CUDA_VISIBLE_DEVICES"] = errand.gpu  # read when the first job that computes on one begins
        meter = Meter()
        pipe.send(Begun(meter.started_s, meter.cpu_at_start_s))  # breaks here if the driver has given the task up
        pipe.send(perform(_in_time(errand, meter), meter, partial(_fetch, errand.data, shared)))


def _in_time(errand: Errand, meter: Meter) -> Task:
    """The task with what is left of its seconds: those until this worker was born are gone."""
    left_s = errand.task.soft_s - (meter.started_s - errand.given_s)
    return replace(errand.task, soft_s=max(left_s, min(errand.task.soft_s, LEAST_S)))


def _fetch(keys: Sequence[str], shared: dict[str, Any]) -> list[Any]:
    for key in keys:
        if key not in shared:
            shared[key] = share.take(key)
    return [shared[key] for key in keys]
