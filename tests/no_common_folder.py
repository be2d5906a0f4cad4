"""Two hosts that share no folder: a head without CPUs, where the driver is, and a worker that sees none of its files.

    python no_common_folder.py table|images|s3    as root; prints what the run ended with

Each host has an address of its own, and memory of its own mounted over the place that holds all that is the driver's:
data, run folder, decoded files, home and temporary files. Code alone lies beside it, as if installed on both. With
"s3" the run folder is in a store that only the driver's host reaches. Run by test_no_common_folder.py. Whatever this
program makes it takes away.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from two_hosts import FIRST, SECOND, hosts, until  # noqa: E402

PORT = 6398
PATIENCE_S = 300.0
SPACE = (
    "mount -t tmpfs -o size=1g none {base} && mount -t tmpfs -o size=1g none /dev/shm && echo ready && exec sleep 9999"
)


def main(what: str) -> int:
    """The hosts up, a run, and what it left on each."""
    base = Path(tempfile.mkdtemp(prefix="n", dir="/tmp"))  # short: sockets lie in it, whose names may not be long
    environment = {
        **os.environ, "HOME": str(base), "TMPDIR": str(base), "XDG_CACHE_HOME": str(base / "cache"),
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{HERE.parent}:{os.environ.get('PYTHONPATH', '')}",
    }  # fmt: skip
    try:
        with ExitStack() as stack:
            one, two = (stack.enter_context(apart(name, base)) for name in stack.enter_context(hosts()))
            head = ["--head", f"--port={PORT}", f"--node-ip-address={FIRST}", "--num-cpus=0"]
            stack.enter_context(ray_on(one, base, environment, [*head, "--include-dashboard=false"]))
            joining = [f"--address={FIRST}:{PORT}", f"--node-ip-address={SECOND}", "--num-cpus=2"]
            stack.enter_context(ray_on(two, base, environment, joining))
            driver = [*one, sys.executable, str(HERE / "no_common_folder.py"), what, str(base)]
            done = subprocess.run(driver, env=environment, timeout=PATIENCE_S, check=False)
            seen = subprocess.run([*two, "ls", str(base)], capture_output=True, text=True, check=True).stdout.split()
            print(json.dumps({"worker_sees": sorted({"data", "others", "run", "cache"}.intersection(seen))}))
            return done.returncode
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextmanager
def apart(host: str, base: Path) -> Iterator[list[str]]:
    """A mount namespace in a host's network, empty where the driver's files are; the words that lead into it."""
    mount = ["unshare", "--mount", "--propagation", "private", "sh", "-c", SPACE.format(base=base)]
    keeper = subprocess.Popen(["ip", "netns", "exec", host, *mount], stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n", "no namespace of its own"
        yield ["nsenter", "--target", str(keeper.pid), "--mount", "--net"]
    finally:
        keeper.kill()
        keeper.wait()


@contextmanager
def ray_on(inside: list[str], base: Path, environment: dict[str, str], words: list[str]) -> Iterator[None]:
    """A Ray node, until the end."""
    start = [*inside, "ray", "start", "--block", f"--temp-dir={base}/ray", "--object-store-memory=200000000", *words]
    log = base / f"{len(list(base.iterdir()))}.log"  # out of sight of both hosts
    with log.open("w") as said:
        node = subprocess.Popen(start, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        until(lambda: "Ray runtime started" in log.read_text(), node)
        yield
    finally:
        node.terminate()
        try:
            node.wait(15)
        except subprocess.TimeoutExpired:
            node.kill()


# --- the driver, on the first host -----------------------------------------------------------------------------------


def drive(what: str, base: Path) -> int:
    """A run whose every file is in the driver's own place; what it ended with, as JSON."""
    from s3_server import bucket, s3_server

    import automl

    make = {"table": table, "images": images, "s3": table}[what]
    data, test, rows, options = make(base)
    asked = {"cluster": f"{FIRST}:{PORT}", "test": test, "verbose": 1, **options}
    if what == "s3":
        with s3_server() as variables:
            store = bucket("runs", variables)
            result = automl.fit(data, run_dir="s3://runs/one", **asked)
            assert store.exists("runs/one/model/manifest.json")
    else:
        result = automl.fit(data, run_dir=base / "run", **asked)
    report = json.loads((result.folder / "report.json").read_text())
    predicted = automl.load(result.folder).predict(rows)
    told = {
        "best": result.best,
        "test": None if result.test_score is None else result.test_score.value,
        "untested": report["verdict"]["untested"],
        "model": report["verdict"]["model"],
        "importance": len(report["importance"]["columns"]),
        "notes": report["importance"]["notes"],
        "samples": report.get("samples") and {k: report["samples"][k] for k in ("explained", "notes")},
        "families": sorted({trial["family"] for trial in report["trials"] if trial["folds_done"]}),
        "predicted": len(predicted),
    }
    print(json.dumps(told))
    return 0


def table(base: Path) -> tuple:
    """The head of the bundled table."""
    import pandas as pd

    whole = pd.read_csv(HERE.parent / "examples" / "customers.csv")
    (base / "data").mkdir()
    whole.head(400).to_csv(base / "data" / "small.csv", index=False)
    answer = whole.pop("churned")
    test = whole.assign(churned=answer).iloc[400:500]
    options = {"target": "churned", "budget": "3 trials", "families": ("linear", "lightgbm")}
    return base / "data" / "small.csv", test, test.drop(columns="churned"), options


def images(base: Path) -> tuple:
    """A folder of two classes, and another one; a network that learns for a moment."""
    from test_media_run import save_pictures

    import search_spaces

    family = search_spaces.get("convnet")
    for knob, value in family.quick.items():
        family.space[knob] = replace(family.space[knob], start=value)
    family.space["steps"] = replace(family.space["steps"], low=1, start=30)
    save_pictures(base / "data", 20)
    save_pictures(base / "others", 5, seed=1)
    options = {"budget": "2 trials", "families": ("svm", "convnet")}
    return base / "data", base / "others", base / "others", options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else drive(sys.argv[1], Path(sys.argv[2])))
