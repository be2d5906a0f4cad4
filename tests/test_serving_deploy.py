"""What it takes to deploy a model is written for that model, and is what Docker, systemd and Kubernetes understand."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement
from serving_made import wait_until

import automl
import search_spaces
from automl import Result
from automl.doors.cli import main
from automl.doors.cli.parser import build
from automl.doors.serving import deployment
from automl.doors.serving.asked import ServeOptions

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-that-is-long-enough-1234"


@pytest.fixture(scope="module")
def folder(finished: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment of a run's model, as the command writes it."""
    made = tmp_path_factory.mktemp("deployed") / "churn"
    assert main(["serve-model", str(finished.folder), "--write-deployment", str(made), "--name", "Churn_2"]) == 0
    return made


def steps(folder: Path) -> list[Any]:
    dockerfile = pytest.importorskip("dockerfile")
    return list(dockerfile.parse_file(str(folder / "Dockerfile")))


def words_of(steps: list[Any], command: str) -> list[str]:
    (found,) = [list(step.value) for step in steps if step.cmd == command]
    return found


def test_everything_is_written_and_nothing_over_something(
    folder: Path, finished: Result, customers: pd.DataFrame, capsys: pytest.CaptureFixture
) -> None:
    """A copy of the model that answers as it did, requirements, and a file for each way; a full folder is refused."""
    assert {path.name for path in folder.iterdir()} == {"model", "requirements.txt", *deployment.FILES}
    rows = customers.iloc[:3]
    assert automl.load(folder / "model").predict(rows).tolist() == finished.predict(rows).tolist()
    for name in deployment.FILES:
        assert not re.search(r"@[a-z]+@", (folder / name).read_text()), name
    assert main(["serve-model", str(finished.folder), "--write-deployment", str(folder)]) == 2
    assert "exists and is not empty. Name another folder" in capsys.readouterr().err


def test_only_what_predicts_is_installed(folder: Path, finished: Result) -> None:
    """Pinned; no search stack, no workers, no drawing, and torch only where a network answers."""
    lines = (folder / "requirements.txt").read_text().split()
    pinned = {Requirement(line).name: Requirement(line).specifier for line in lines}
    assert all(str(found).startswith("==") for found in pinned.values())
    assert not {"optuna", "ray", "jinja2", "pyarrow", "matplotlib", "sqlalchemy"} & set(pinned)
    families = {member["family"] for member in finished.model.manifest["members"]}
    is_neural = any(search_spaces.get(name).route == "neural" for name in families)
    assert ("torch" in pinned) == is_neural
    assert {"numpy", "pandas", "uvicorn", "fastapi"} <= set(pinned)


def test_every_family_says_what_it_predicts_with() -> None:
    """A classical family that is new stands in the table, or its models would be deployed without their library."""
    classical = {family.name for family in search_spaces.all_families() if family.route == "classical"}
    assert classical == set(deployment.OF_FAMILY)


# --- what reads the files ---------------------------------------------------------------------------------------------


def test_the_image_runs_the_command_as_nobody_with_a_token(folder: Path) -> None:
    """Its entry point is a command that automl understands; no root, no open door."""
    found = steps(folder)
    words = [*words_of(found, "ENTRYPOINT"), *words_of(found, "CMD")]
    given = build().parse_args(words[1:])
    assert (given.verb, given.place, given.host, given.token_file) == (
        "serve-model", "model", "0.0.0.0", "/run/secrets/token",
    )  # fmt: skip
    assert words_of(found, "USER") == ["10001:10001"]
    assert [step.value[0] for step in found if step.cmd == "FROM"] == [
        f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    ]
    (install,) = [step.value[0] for step in found if step.cmd == "RUN" and "automl-frontier==" in step.value[0]]
    assert "--no-deps" in install


def test_kubernetes_accepts_the_manifest(folder: Path) -> None:
    """Against the strict schemas of Kubernetes; probes, limits and rights are what the server has and needs."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    documents = list(yaml.safe_load_all((folder / "kubernetes.yaml").read_text()))
    kinds = {one["kind"]: one for one in documents}
    assert set(kinds) == {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}
    for version in ("1.29", "1.34"):
        for one in documents:
            kubernetes_validate.validate(one, version, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**kinds["Service"], "spek": {}}, version, strict=True)
    pod = kinds["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > 2 * ServeOptions(place="x").timeout_s
    selector = kinds["Service"]["spec"]["selector"].items()
    assert selector <= pod["metadata"]["labels"].items()
    assert all(one["metadata"]["name"] == "churn-2" for one in documents)
    assert kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "churn-2"


def test_systemd_accepts_the_unit(folder: Path) -> None:
    """It is whole, its command is one that automl understands, and systemd itself counts it among the safe ones."""
    unit = (folder / "automl-model.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.*)$", unit, flags=re.MULTILINE)
    given = build().parse_args(shlex.split(start)[1:])
    assert (given.verb, given.token_file, given.host) == ("serve-model", "%d/token", "127.0.0.1")
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "DynamicUser=yes", "PrivateTmp=yes"):
        assert f"\n{line}\n" in unit
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not here to ask")
    place = folder.parent / "churn.service"
    place.write_text(unit.replace(shlex.split(start)[0], sys.executable))
    asked = subprocess.run([analyze, "verify", "--man=no", place], capture_output=True, text=True, check=False)
    assert "churn.service" not in asked.stderr, asked.stderr
    asked = subprocess.run([analyze, "security", "--offline=true", "--no-pager", place], capture_output=True, text=True,
                           check=False)  # fmt: skip
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", asked.stdout)
    if level is None:
        pytest.skip("this systemd cannot judge a file")
    assert float(level[1]) <= 3.0, asked.stdout


# --- the image, made --------------------------------------------------------------------------------------------------


@pytest.mark.image
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("families", [("linear",), ("lightgbm",)], ids=lambda families: families[0])
def test_the_image_predicts_with_what_it_installs(
    families: tuple[str, ...], customers: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Its steps in a fresh environment of Python, a folder standing for its root: it serves, explains and watches."""
    given = {"budget": "2 trials", "families": families, "verbose": 0, "run_dir": tmp_path / "run"}
    result = automl.fit(customers.iloc[:400], "churned", **given)
    image = tmp_path / "image"
    list(deployment.write(str(result.folder), image, None, "churn"))
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", image / "wheels", ROOT], check=True,
                   capture_output=True)  # fmt: skip
    shutil.copy(image / "requirements.txt", image / "wheels")
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    kept = ("HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "XDG_CONFIG_HOME")
    env = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
    env["PATH"] = f"{tmp_path}/venv/bin:/usr/bin:/bin"
    bare_mb = size_mb(tmp_path / "venv")
    for step in steps(image):
        if step.cmd == "RUN" and "apt-get" not in step.value[0]:
            done = subprocess.run(["sh", "-c", step.value[0]], cwd=image, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-4000:]
    words = [*words_of(steps(image), "ENTRYPOINT"), "--port", "0", "--token-file", str(tmp_path / "token")]
    (tmp_path / "token").write_text(TOKEN)
    plain = customers.iloc[:3].drop(columns="churned").astype(object)
    rows = plain.where(plain.notna(), None).to_dict(orient="records")
    with subprocess.Popen(words, cwd=image, env=env, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline() if server.stderr is not None else ""
            assert " on http://" in line, line
            port = line.split(" on ")[1].split(";")[0].rsplit(":", 1)[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False,
                              headers={"authorization": f"Bearer {TOKEN}"}) as client:  # fmt: skip
                told = client.post("/predict?set=0.9", json={"rows": rows}).json()
                assert told["predictions"]["churned"] == result.predict(plain).tolist()
                text = plain.to_csv(index=False)
                by_csv = client.post("/predict", content=text, headers={"content-type": "text/csv"}).json()
                assert by_csv["probabilities"] == told["probabilities"]
                explained = client.post("/explain", json={"rows": rows})  # lines need usual rows, which no copy brings
                assert explained.status_code == (200 if families == ("lightgbm",) else 400), explained.text
                wait_until(lambda: client.get("/drift").json()["rows"]["churned"] == 6)
        finally:
            server.terminate()
        assert server.wait(60) == 0
    with capsys.disabled():
        told_of = {"families": families, "installed_mb": round(size_mb(tmp_path / "venv") - bare_mb)}
        print(f"\n{json.dumps({**told_of, 'model_mb': round(size_mb(image / 'model'), 2)})}")


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6
