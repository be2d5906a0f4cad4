"""A network fitted by several processes on the GPUs of one machine, as if by one: who starts them, and hears of them.

A worker that was granted several GPUs computes nothing itself. It lays the rows where all can map them, starts a
process for each GPU and waits, so that a process that dies, for whatever reason, is noticed at once and ends the others
too. What is left then is the state that the first one kept: the best network so far.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import search_spaces
from automl.messages import one_line
from automl.runtime.batches import hearing, tell
from automl.training import learners
from automl.training.device import find_device
from automl.training.team import Team, joined
from cluster.devices import VISIBLE
from cluster.memory import is_out_of_memory
from cluster.share import Shelf, take
from search_spaces.spec import Learner, Params, Rows, Run

TICK_S = 0.05
LATE_S = 30.0  # after its end that a team may take to write what it learned
MOST_HALVINGS = 6
FITTED, STATE, TROUBLE = "fitted", "state.pt", "trouble"  # files of a team's folder; the last has the rank behind it
TOLD = "told.json"  # of what was fitted, beside its parts
_PR_SET_PDEATHSIG = 1
_BOOT = (
    "import json, sys; given = json.loads(sys.argv[1]); sys.path[:] = given.pop('path'); "
    "from automl.training.together import main; main(**given)"
)


@dataclass(frozen=True, kw_only=True)
class TeamTask:
    """Which network, on which rows."""

    family: str
    params: Params
    bend: str
    column: str
    train: Rows
    valid: Rows | None
    run: Run

    def make(self) -> Learner:
        """The learner, not yet fitted."""
        return learners.make(search_spaces.get(self.family), self.params, self.bend, self.run.metric, self.column)


def fit_together(task: TeamTask, count: int) -> Learner:
    """The learner, fitted by so many processes; in this one alone where one of them dies before anything was kept.

    Where one dies later, the best network until then is taken, as after a course whose time was over. Where memory runs
    out in any of them all begin anew with batches half as large.
    """
    shelf, trouble = Shelf(), ""
    try:
        place = Path(shelf.folders[-1])
        is_kept = bool(task.run.kept) and Path(task.run.kept).parent.is_dir()
        task = replace(task, run=replace(task.run, kept=task.run.kept if is_kept else str(place / STATE)))
        key = shelf.put(task).key
        for halvings in range(MOST_HALVINGS + 1):
            folder = place / f"team {halvings}"
            folder.mkdir()
            trouble = _run(folder, key, Team(0, count, halvings), task.run.until)
            if not trouble:
                return _fitted(folder, task)
            if not is_out_of_memory(RuntimeError(trouble)):
                break
            tell(f"memory ran out on {count} GPUs: trained anew in batches half as large")
        return _saved(task, trouble, count)
    finally:
        shelf.close()


def _run(folder: Path, key: str, team: Team, until: float) -> str:
    """Start a team and wait for it; why it ended before its time, empty where it did not."""
    ranks: list[subprocess.Popen[bytes]] = []
    try:
        ranks += [_start(folder, key, replace(team, rank=rank)) for rank in range(team.size)]
        while all(rank.poll() in (None, 0) for rank in ranks) and any(rank.poll() is None for rank in ranks):
            if time.monotonic() > until + LATE_S:
                return f"{team.size} processes did not end in time"
            time.sleep(TICK_S)
        return _trouble(folder, ranks)
    finally:
        for rank in ranks:
            with suppress(ProcessLookupError):
                rank.kill()
            rank.wait()


def _start(folder: Path, key: str, team: Team) -> subprocess.Popen[bytes]:
    """A process of a team, with the one GPU that is its own."""
    given = os.environ.get(VISIBLE, "").split(",")
    seen = given[team.rank].strip() if len(given) >= team.size else ""
    told = {"path": [entry or str(Path.cwd()) for entry in sys.path], "folder": str(folder), "key": key,
            "rank": team.rank, "size": team.size, "halvings": team.halvings}  # fmt: skip
    # all are on this machine
    env = {**os.environ, VISIBLE: seen, "GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    return subprocess.Popen([sys.executable, "-c", _BOOT, json.dumps(told)], env=env, stdin=subprocess.DEVNULL)


def _trouble(folder: Path, ranks: Sequence[subprocess.Popen[bytes]]) -> str:
    """What went wrong first: one that fails takes the others along, whose words say less."""
    if all(rank.returncode == 0 for rank in ranks):
        return ""
    time.sleep(TICK_S)  # for the last words of those that fall with it
    files = sorted(folder.glob(f"{TROUBLE} *"), key=lambda file: file.stat().st_mtime)
    words = [file.read_text() for file in files]
    killed = [place for place, rank in enumerate(ranks) if (rank.poll() or 0) < 0]
    starved = [text for text in words if is_out_of_memory(RuntimeError(text))]
    if starved:
        return starved[0]
    if killed:
        return f"process {killed[0] + 1} of {len(ranks)} died (signal {-(ranks[killed[0]].returncode or 0)})"
    return words[0] if words else f"one of {len(ranks)} processes ended without a word"


def _fitted(folder: Path, task: TeamTask) -> Learner:
    """What the first process left, read back."""
    with zipfile.ZipFile(folder / FITTED) as files:
        told: dict[str, Any] = json.loads(files.read(TOLD))
        parts = {name: files.read(name) for name in files.namelist() if name != TOLD}
    for line in told["notes"]:
        tell(line)
    learner = learners.load(search_spaces.get(task.family), parts)
    learner.is_cut = told["is_cut"]
    vars(learner)["rounds_"] = told["rounds"]
    return learner


def _saved(task: TeamTask, trouble: str, count: int) -> Learner:
    """The best network that was kept, after a team that came to grief; where there is none yet, one trained here."""
    learner, run = task.make(), task.run
    if Path(run.kept).is_file():
        tell(f"training on {count} GPUs ended early, {trouble}: the best network so far is taken")
        run = replace(run, until=time.monotonic())  # what was kept is read, and nothing more is learned
    else:
        tell(f"training on {count} GPUs ended early, {trouble}: nothing was kept yet, so one GPU trains it anew")
    learner.fit(task.train, task.valid, run)
    return learner


def main(folder: str, key: str, rank: int, size: int, halvings: int) -> None:
    """A process of a team."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # with whoever started it
    try:
        task: TeamTask = take(key)
        run = replace(task.run, threads=max(1, task.run.threads // size))
        with joined(Team(rank, size, halvings), Path(folder), find_device()), hearing() as notes:
            learner = task.make()
            learner.fit(task.train, task.valid, run)
        if rank == 0:
            told = {"is_cut": learner.is_cut, "notes": list(notes), "rounds": getattr(learner, "rounds_", None)}
            with zipfile.ZipFile(Path(folder, FITTED), "w") as files:
                files.writestr(TOLD, json.dumps(told))
                for name, content in learner.dump().items():
                    files.writestr(name, content)
    except BaseException as problem:  # noqa: BLE001 - the last frame of the process: say it, then end
        Path(folder, f"{TROUBLE} {rank}").write_text(one_line(f"{type(problem).__name__}: {problem}"))
        os._exit(1)
    os._exit(0)  # all is written: native threads of the team that are torn down late end a process by a signal
