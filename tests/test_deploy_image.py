"""The image is code: pinned, complete, and its commands valid shell."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
from deploy_made import DEPLOY, FILES, PROJECT, ROOT

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
