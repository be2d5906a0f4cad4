"""The files of cluster/deploy, as the tests of each kind of them read them."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

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


def understood_by_ray(arguments: list[str]) -> Any:
    """What Ray's command line reads from the arguments of `ray`; complains where it does."""
    import click
    from ray.scripts.scripts import cli

    name, command, rest = cli.resolve_command(click.Context(cli), list(arguments))
    assert command is not None, arguments
    return command.make_context(name, rest).params
