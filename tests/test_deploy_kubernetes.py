"""Manifests are code: Kubernetes' strict schemas and Ray's autoscaler read them here."""

import re
import shlex
from typing import Any

import pytest
from deploy_made import FILES, MANIFESTS, by_kind, groups, pods, ray_cluster, understood_by_ray
from packaging.version import Version

from automl.doors.cli.parser import build
from automl.options import Budget


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
