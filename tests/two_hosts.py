"""Two hosts for real: network namespaces with addresses of their own, a Ray on each, a run, and the cable pulled.

    python two_hosts.py DATA RUN_FOLDER    as root; prints what happened, ends with 0 if the run ended with a model

The head and the driver are on the first host, half of the CPUs on the second. Mid-run the second host's link goes down:
nothing on it dies, it is only never heard of again. Whatever this program made it takes away.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from drivers import count, events, fit_words, report  # noqa: E402

FIRST, SECOND = "10.77.0.1", "10.77.0.2"
PORT = 6399
BIN = Path(sys.executable).parent
PATIENCE_S = 60.0


def main(data: str, run: str) -> int:
    """Two hosts up, a run, one cut off, a model."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
                   "PATH": f"{BIN}:{os.environ['PATH']}", "RAY_USAGE_STATS_ENABLED": "0"}  # fmt: skip
    folder = Path(run)
    with ExitStack() as stack:
        one, two = stack.enter_context(hosts())
        head = ["--head", f"--port={PORT}", f"--node-ip-address={FIRST}", "--include-dashboard=false"]
        stack.enter_context(ray_on(one, [*head, "--num-cpus=1"], environment))
        other = [f"--address={FIRST}:{PORT}", f"--node-ip-address={SECOND}", "--num-cpus=1"]
        stack.enter_context(ray_on(two, other, environment))
        print(f"hosts {FIRST} and {SECOND} are up")
        words = [*fit_words(Path(data), folder, "10 trials"), "--cluster", f"{FIRST}:{PORT}"]
        driver = subprocess.Popen([*inside(one), "automl", *words], env=environment, stderr=subprocess.PIPE, text=True)
        until(lambda: folder.exists() and count(folder, "finished") >= 12, driver)
        seen = Counter(event["worker"] for event in events(folder) if event.get("worker"))
        print(f"folds by host before: {dict(seen)}")
        subprocess.run(["ip", "-n", two, "link", "set", "cable", "down"], check=True)
        cut_s = time.monotonic()
        print(f"the cable of {SECOND} is pulled")
        _, err = driver.communicate(timeout=300)
        print(f"the run ended {time.monotonic() - cut_s:.0f} s later with code {driver.returncode} {err.strip()}")
        if driver.returncode:
            return 1
        told = [event for event in events(folder) if event["event"] == "machines"]
        print(f"machines: {[len(event['machines']) for event in told]}")
        print(f"jobs: {dict(Counter(event.get('status') for event in events(folder) if event.get('job')))}")
        print(f"trials: {dict(Counter(trial['status'] for trial in report(folder)['trials']))}")
        print(json.dumps({"score": report(folder)["verdict"]["score"]["value"], "hosts": len(seen)}))
    return 0


@contextmanager
def hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them."""
    one, two = (f"automl-{os.getpid()}-{letter}" for letter in "ab")
    commands = [
        f"ip netns add {one}", f"ip netns add {two}",
        f"ip -n {one} link add cable type veth peer name cable netns {two}",
        f"ip -n {one} addr add {FIRST}/24 dev cable", f"ip -n {two} addr add {SECOND}/24 dev cable",
        *(f"ip -n {name} link set {link} up" for name in (one, two) for link in ("lo", "cable")),
    ]  # fmt: skip
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield one, two
    finally:
        for name in (one, two):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def ray_on(host: str, words: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    """A Ray node on a host, until the end."""
    place = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    log = (place / "start.log").open("w")
    node = subprocess.Popen(
        [*inside(host), "ray", "start", "--block", f"--temp-dir={place}", "--object-store-memory=200000000", *words],
        env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until(lambda: "Ray runtime started" in (place / "start.log").read_text(), node)
        yield
    finally:
        node.terminate()
        try:
            node.wait(15)
        except subprocess.TimeoutExpired:
            node.kill()
        log.close()
        shutil.rmtree(place, ignore_errors=True)


def inside(host: str) -> list[str]:
    return ["ip", "netns", "exec", host]


def until(condition: object, process: subprocess.Popen) -> None:
    """Wait for something that a process brings about."""
    ends_s = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        if process.poll() is not None or time.monotonic() > ends_s:
            sys.exit(f"waited in vain; ended with {process.poll()}: {process.stderr.read() if process.stderr else ''}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
