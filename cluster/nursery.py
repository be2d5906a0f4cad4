"""The fork server and the workers it forks: what runs in the processes of a local pool.

The nursery is a fresh interpreter that imports the preloaded modules and forks a worker whenever the driver asks, so a
worker is warm at birth. It runs no job and starts no thread, which keeps forking safe. Whoever loses the process above
it ends: workers are killed with the nursery, the nursery kills its workers when the driver is gone.
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
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from cluster import scratch, share
from cluster.meter import Meter, rusage_mb
from cluster.task import Begun, Task, perform

NEWS = struct.Struct("!iidd")  # pid of a dead worker (0: all modules are loaded), its wait status, cpu_s, peak_mb
_PR_SET_PDEATHSIG = 1


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


def kill(pid: int) -> None:
    """End a worker, busy or not, and whatever processes it started."""
    for send in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            send(pid, signal.SIGKILL)


# --- nursery ---------------------------------------------------------------------------------------------------------


def main(control_fd: int, preload: Sequence[str], folders: Sequence[str]) -> None:
    """Fork on request until the driver is gone; then end all workers and remove the shared folders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    children: set[int] = set()
    with socket.socket(fileno=control_fd) as control:
        signal.signal(signal.SIGCHLD, lambda *_: _reap(control, children))
        try:
            _serve(control, children, preload)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for pid in children:
                kill(pid)
    scratch.remove(folders)
    os._exit(0)  # taking down a large interpreter in order would take longer than the driver waits


def _serve(control: socket.socket, children: set[int], preload: Sequence[str]) -> None:
    """Import, answering between imports. Requests that come before the first import wait for it."""
    for module in preload:
        with suppress(Exception):  # a job that needs the module fails with this very error; others go on without it
            importlib.import_module(module)
        while select.select([control], [], [], 0)[0]:
            if not _answer(control, children):
                return
    control.sendall(NEWS.pack(0, 0, 0.0, 0.0))
    while _answer(control, children):
        pass


def _answer(control: socket.socket, children: set[int]) -> bool:
    """Fork a worker for the next request, a byte with the worker's end of a pipe; False once the driver is gone."""
    try:
        request, fds, _, _ = socket.recv_fds(control, 1, 1)
    except ConnectionError:
        return False
    if not request:
        return False
    gc.freeze()  # a collection in a worker then leaves the pages of preloaded modules shared
    nursery = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # no reaping of a child that is not yet written down
    pid = os.fork()
    if pid == 0:
        _live(control, fds[0], nursery)
    children.add(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.close(fds[0])
    return True


def _reap(control: socket.socket, children: set[int]) -> None:
    """Tell the driver how workers died and what they had used. Waits for known pids only: imports have children too."""
    for pid in list(children):
        with suppress(ChildProcessError):  # a nested signal was here first
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                children.discard(pid)
                kill(pid)  # the worker is gone, what it started may not be
                with suppress(OSError):
                    control.sendall(NEWS.pack(pid, status, usage.ru_utime + usage.ru_stime, rusage_mb(usage)))


# --- worker ----------------------------------------------------------------------------------------------------------


def _live(control: socket.socket, pipe_fd: int, nursery: int) -> NoReturn:
    """A worker's life; never returns into the nursery's code."""
    try:
        os.setpgid(0, 0)  # a group of its own, to be killed as one
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        control.close()
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
        pipe.send(perform(errand.task, meter, partial(_fetch, errand.data, shared)))


def _fetch(keys: Sequence[str], shared: dict[str, Any]) -> list[Any]:
    for key in keys:
        if key not in shared:
            shared[key] = share.take(key)
    return [shared[key] for key in keys]
