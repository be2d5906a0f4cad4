"""Changes saved models of every family and kind of data at random, loads them and asks them. For LOG.md.

    python benchmarks/fuzz.py --mutations 10000

Each must load and answer, or be refused in one line: no crash, no hang, no memory over twice that of the model as it
was saved, no file written elsewhere, no code run. Done in children that are forked from one process that has everything
imported, so a change costs milliseconds. `--only 17` does one of them again, here, with its trace.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

for variable in (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
):  # a process with threads cannot be forked
    os.environ.setdefault(variable, "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hostile_models import WANTED  # noqa: E402 - found only after the line above
from mutations import MANIFEST, Saved, mutated  # noqa: E402 - likewise

import automl  # noqa: E402 - likewise
from automl.errors import AutomlError  # noqa: E402 - likewise

CPU_S, WALL_S = 5.0, 120.0  # after which a change hangs: of its own work, and of all there is on a busy machine
TIMES = 2.0  # of the memory of the process with the model as it was saved
HARD_BYTES = 6 * 2**30  # more than there is, which a child may ask for: beyond, the system refuses
AT_ONCE = 40  # changes that a child does
GOOD = ("loaded", "refused")
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "socket.bind",
             "pickle.find_class", "builtins.input", "pty.spawn", "webbrowser.open", "ctypes.dlopen")  # fmt: skip
WRITING = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.chmod",
    "shutil.rmtree",
)


@dataclass(frozen=True)
class Case:
    """One change of one model."""

    number: int
    model: str


@dataclass
class Tally:
    """What came of all of them."""

    counts: Counter[str] = field(default_factory=Counter)
    of_models: dict[str, Counter[str]] = field(default_factory=dict)
    bad: list[dict[str, Any]] = field(default_factory=list)
    most_mb: float = 0.0  # that a change took beyond what its model takes
    slowest_s: float = 0.0

    def add(self, case: Case, told: dict[str, Any]) -> None:
        """One result."""
        self.counts[told["end"]] += 1
        self.of_models.setdefault(case.model, Counter())[told["end"]] += 1
        self.most_mb = max(self.most_mb, told.get("grown_mb", 0.0))
        self.slowest_s = max(self.slowest_s, told.get("cpu_s", 0.0))
        if told["end"] not in GOOD:
            self.bad.append({"number": case.number, "model": case.model, **told})


def main(argv: Sequence[str] | None = None) -> int:
    """Change so many times, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first one, to go on with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", default="", help="names of hostile_models.py, with commas; all when not given")
    parser.add_argument("--saved", help="a folder of such models, made before; kept there when made now")
    parser.add_argument("--out", help="a JSON file for what was bad")
    parser.add_argument("--only", type=int, help="do this one alone, here")
    given = parser.parse_args(argv)
    names = [name.strip() for name in given.models.split(",") if name.strip()] or list(WANTED)
    with tempfile.TemporaryDirectory(prefix="automl-fuzz-") as scratch:
        saved = Path(given.saved or scratch) / "models"
        models = made(saved, names)
        if given.only is not None:
            return again(models, given.only, given.seed, Path(scratch))
        started = time.monotonic()
        tally = fuzz(models, range(given.first, given.first + given.mutations), given.seed, Path(scratch))
        tell(tally, time.monotonic() - started)
        if given.out:
            Path(given.out).write_text(json.dumps(tally.bad, indent=1))
    return 1 if tally.bad else 0


@dataclass(frozen=True)
class Model:
    """A saved model, and rows to ask it about."""

    saved: Saved
    rows: Any


def made(folder: Path, names: Sequence[str]) -> dict[str, Model]:
    """The models of these names: read, or fitted in a process of its own, for that one has threads."""
    missing = [name for name in names if not (folder / name / "rows.pkl").is_file()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, str(HERE / "hostile_models.py"), str(folder), *missing], check=True)
    return {name: read(folder / name) for name in names}


def read(folder: Path) -> Model:
    """One of them."""
    manifest = json.loads((folder / "model" / MANIFEST).read_text())
    files = {name: (folder / "model" / name).read_bytes() for name in manifest["files"]}
    return Model(Saved(manifest, files), pickle.loads((folder / "rows.pkl").read_bytes()))  # noqa: S301 - our own


def case_of(number: int, seed: int, models: dict[str, Model]) -> tuple[Case, random.Random]:
    """The model that a number changes, and the dice that say how."""
    dice = random.Random(f"{seed} {number}")
    return Case(number, dice.choice(sorted(models))), dice


def fuzz(models: dict[str, Model], numbers: Sequence[int], seed: int, scratch: Path, *, cpu_s: float = CPU_S) -> Tally:
    """All of these changes, a few dozen in a child; who ends a child is told, and the next child goes on behind."""
    warm()
    tally, left = Tally(), list(numbers)
    while left:
        some = left[:AT_ONCE]
        cases = [case_of(number, seed, models) for number in some]
        done = 0
        for told in _child(partial(_work, cases, models, scratch, cpu_s)):
            tally.add(cases[done][0], told)
            done += 1
        left = left[done:]
        if strange := [path for path in scratch.iterdir() if path.name not in ("place", "models")]:
            tally.bad.append({"number": some[0], "model": "?", "end": "wrote", "why": str(strange)})
            for path in strange:
                path.rename(scratch / "place" / "strange")
    return tally


def warm() -> None:
    """Import what loading and asking may need, before anything is forked; nothing computes here."""
    import catboost  # noqa: F401 - so that no child pays for it
    import lightgbm  # noqa: F401 - likewise
    import sklearn.ensemble
    import sklearn.neighbors
    import sklearn.svm  # noqa: F401 - likewise
    import torch
    import xgboost  # noqa: F401 - likewise
    from safetensors.torch import load  # noqa: F401 - likewise

    import search_spaces
    from automl.modalities import all_decoding, encoders
    from automl.training import fused, media, tabular, tokens  # noqa: F401 - likewise

    torch.set_num_threads(1)
    search_spaces.all_families(), all_decoding(), [encoders.get(name) for name in encoders.names()]
    warnings.simplefilter("ignore")


# --- children --------------------------------------------------------------------------------------------------------


def _child(work: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """What a forked child says, line by line; a last line for how it ended, where it did not come to its end."""
    out, into = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(out)
        _serve(work, into)
    os.close(into)
    waiting, open_s = b"", time.monotonic()
    try:
        while True:
            if not select.select([out], [], [], max(0.0, open_s + WALL_S - time.monotonic()))[0]:
                os.kill(child, signal.SIGKILL)
                yield {"end": "hung", "why": f"no word for {WALL_S:g} s"}
                return
            said = os.read(out, 1 << 16)
            if not said:
                break
            *lines, waiting = (waiting + said).split(b"\n")
            for line in lines:
                open_s = time.monotonic()
                told = json.loads(line)
                if told["end"] == "over":
                    return
                yield told
    finally:
        os.close(out)
        _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGPROF:
        yield {"end": "hung", "why": f"over {CPU_S:g} s of work"}
    else:
        yield {"end": "crashed", "why": signal.Signals(number).name if number else f"exit {os.WEXITSTATUS(status)}"}


def _serve(work: Callable[[], Iterator[dict[str, Any]]], into: int) -> None:
    """The life of a child."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(nowhere, handle)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + HARD_BYTES, size + HARD_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for told in work():
            os.write(into, json.dumps(told).encode() + b"\n")
        os.write(into, b'{"end": "over"}\n')
    except BaseException:  # noqa: BLE001 - it is told as a child that ended early
        os._exit(70)
    os._exit(0)


def _work(
    cases: Sequence[tuple[Case, random.Random]], models: dict[str, Model], scratch: Path, cpu_s: float
) -> Iterator[dict[str, Any]]:
    place = scratch / "place"
    place.mkdir(exist_ok=True)
    watch = Watch(place)
    sys.addaudithook(watch)
    usual: dict[str, float] = {}
    for case, dice in cases:
        model = models[case.model]
        if case.model not in usual:
            as_saved = _measured(partial(_ask, model.saved, model, place), CPU_S * 4)
            if as_saved["end"] != "loaded":
                raise ValueError(f"{case.model} does not load as it was saved: {as_saved}")
            usual[case.model] = as_saved["peak_mb"]
        changed, told = mutated(model.saved, dice)
        watch.seen.clear()
        found = _measured(partial(_ask, changed, model, place, watch), cpu_s)
        peak_mb = found.pop("peak_mb")
        found |= {"what": told, "grown_mb": round(peak_mb - usual[case.model], 1)}
        if watch.seen and found["end"] in GOOD:
            found |= {"end": "wrote" if "wrote" in watch.seen[0] else "ran code", "why": watch.seen[0]}
        allowed_mb = TIMES * (usual[case.model] + max(0.0, changed.mb - model.saved.mb))
        if peak_mb > allowed_mb and found["end"] in GOOD:
            found |= {"end": "memory", "why": f"{peak_mb:.0f} MB, as saved {usual[case.model]:.0f} MB"}
        yield found


class Watch:
    """Sees what Python itself does: files opened to write elsewhere, programs started, pickles read."""

    def __init__(self, place: Path) -> None:
        self.place, self.seen, self.is_on = str(place), list[str](), False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """One event."""
        if not self.is_on:
            return
        if event in FORBIDDEN:
            self.seen.append(f"{event} {arguments!r:.80}")
        elif (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        ) or event in WRITING:
            self._wrote(arguments[0])
        elif event == "exec" and str(getattr(arguments[0], "co_filename", "")).startswith(self.place):
            self.seen.append(f"{event} {arguments[0]!r:.80}")

    def _wrote(self, path: Any) -> None:
        if not str(path).startswith((self.place, os.devnull)):
            self.seen.append(f"wrote {path!r:.80}")


def _measured(work: Callable[[], dict[str, Any]], cpu_s: float) -> dict[str, Any]:
    """With its work and the largest memory meanwhile; a child that works longer dies of it."""
    Path("/proc/self/clear_refs").write_text("5")
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    began = time.process_time()
    found = work()
    spent_s = time.process_time() - began
    signal.setitimer(signal.ITIMER_PROF, 0)
    status = Path("/proc/self/status").read_text()
    peak_mb = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return {**found, "peak_mb": peak_mb, "cpu_s": round(spent_s, 3)}


def _ask(saved: Saved, model: Model, place: Path, watch: Watch | None = None) -> dict[str, Any]:
    """Write it, load it, ask it."""
    folder = place / "model"
    removed(folder)
    write(saved, folder)
    if watch is not None:
        watch.is_on = True
    try:
        loaded = automl.load(folder)
        loaded.predict(model.rows)
        if loaded.classes:
            loaded.predict_proba(model.rows)
    except AutomlError as problem:
        is_line = "\n" not in str(problem) and len(str(problem)) < 1000
        return (
            {"end": "refused", "why": str(problem)[:200]}
            if is_line
            else {"end": "not one line", "why": str(problem)[:300]}
        )
    except Exception as problem:  # noqa: BLE001 - what must not happen is told
        return {"end": "trace", "why": f"{type(problem).__name__}: {problem!s:.200}"}
    finally:
        if watch is not None:
            watch.is_on = False
    return {"end": "loaded"}


def write(saved: Saved, folder: Path) -> None:
    """As a folder."""
    folder.mkdir(parents=True)
    for name, content in saved.files.items():
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        except (OSError, ValueError):
            continue  # a name that no file can have
    (folder / MANIFEST).write_bytes(saved.sealed())


def removed(folder: Path) -> None:
    """The folder of the change before."""
    for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    if folder.exists():
        folder.rmdir()


# --- telling ---------------------------------------------------------------------------------------------------------


def again(models: dict[str, Model], number: int, seed: int, scratch: Path) -> int:
    """One change, here, with its trace."""
    warm()
    case, dice = case_of(number, seed, models)
    changed, told = mutated(models[case.model].saved, dice)
    print(f"{case.model}: {told}", flush=True)
    write(changed, scratch / "place" / "model")
    try:
        loaded = automl.load(scratch / "place" / "model")
        print(loaded.predict(models[case.model].rows))
    except Exception:  # noqa: BLE001 - shown
        traceback.print_exc()
        return 1
    return 0


def tell(tally: Tally, seconds: float) -> None:
    """The figures."""
    for name, counts in sorted(tally.of_models.items()):
        print(f"{name:22s} {', '.join(f'{end} {count}' for end, count in sorted(counts.items()))}")
    for one in tally.bad[:40]:
        print(f"BAD {one}")
    total = tally.counts.total()
    print(f"{total} changes of {len(tally.of_models)} models in {seconds:.0f} s: {dict(tally.counts)}")
    print(f"at most {tally.most_mb:.0f} MB beyond the model's own, {tally.slowest_s:.2f} s of work for one")


if __name__ == "__main__":
    sys.exit(main())
