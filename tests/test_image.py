"""The image as its Dockerfile makes it, in a fresh environment of Python: a folder stands for the root of the image.

What needs root or another registry is left out: apt-get, useradd, and PyTorch's own index, for which pip's usual one
stands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "cluster" / "deploy" / "Dockerfile"
NEEDS_ROOT = ("apt-get", "useradd")

pytestmark = [pytest.mark.image, pytest.mark.slow, pytest.mark.timeout(3600)]


class Image:
    """A root folder with an environment whose programs come first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        venv.create(root / "venv", with_pip=True, symlinks=True)
        kept = ("HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "XDG_CONFIG_HOME")
        plain = {name: value for name, value in os.environ.items() if name in kept or name.startswith("PIP_")}
        self.env = {**plain, "PATH": f"{root}/venv/bin:/usr/bin:/bin", "XDG_CACHE_HOME": str(root / "cache")}

    def run(self, command: str, **arguments: str) -> str:
        """A command as it would run in the image; what it said."""
        for place in ("/src", "/wheels"):
            command = re.sub(rf"(?<![\w.]){place}\b", str(self.root) + place, command)
        command = re.sub(r"--index-url \S+", "", command)
        done = subprocess.run(
            ["sh", "-c", command], env={**self.env, **arguments}, cwd=self.root, capture_output=True, text=True
        )
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])
        return done.stdout

    def build(self, steps: list[Any], arguments: dict[str, str]) -> None:
        """The steps of a stage that can be done here."""
        known = dict(arguments)
        for step in steps:
            if step.cmd == "ARG" and "=" in step.value[0]:
                name, default = step.value[0].split("=")
                known.setdefault(name, default)
            elif step.cmd == "COPY" and not step.flags:
                *sources, target = step.value
                for source in sources:
                    self._copy(ROOT / source, target)
            elif step.cmd == "RUN" and not any(word in step.value[0] for word in NEEDS_ROOT):
                self.run(step.value[0], **known)

    def _copy(self, source: Path, target: str) -> None:
        place = self.root / target.strip("/")
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)


def stages() -> dict[str, list[Any]]:
    """The steps of each stage by its name; the last has none."""
    found: dict[str, list[Any]] = {}
    for step in pytest.importorskip("dockerfile").parse_file(str(DOCKERFILE)):
        if step.cmd == "FROM":
            steps = found.setdefault(step.value[2] if len(step.value) == 3 else "", [])
        elif found:
            steps.append(step)
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Built from this checkout, as by --build-arg PACKAGE=source."""
    image = Image(tmp_path_factory.mktemp("image"))
    for name in ("from-source", ""):
        image.build(stages()[name], {"DEVICE": "cpu"})
    return image


def test_the_image_fits_on_pictures_and_sounds(image: Image) -> None:
    """What its steps install is enough for every kind of data, the files being read and networks trained."""
    made = """
import numpy as np, soundfile
from pathlib import Path
from PIL import Image
random = np.random.default_rng(0)
for kind, light, tone in (("day", 200, 300), ("night", 60, 900)):
    for number in range(15):
        for folder in ("pictures", "sounds"):
            Path(folder, kind).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(random.normal(light, 30, (24, 24, 3)), 0, 255).astype("uint8")
        Image.fromarray(pixels).save(f"pictures/{kind}/{number}.png")
        wave = np.sin(np.arange(4000) * tone * 6.28 / 8000) + random.normal(0, 0.1, 4000)
        soundfile.write(f"sounds/{kind}/{number}.wav", wave * 0.5, 8000)
"""
    (image.root / "make.py").write_text(made)
    image.run("python make.py")
    for data in ("pictures", "sounds"):
        image.run(f"automl fit {data} --budget '2 trials' --workers 1 --quiet --out run-{data}")
        told = json.loads((image.root / f"run-{data}" / "report.json").read_text())
        assert told["verdict"]["chosen"]
    image.run("python -c 'import transformers, PIL, soundfile, catboost, s3fs, gcsfs, ray'")
    assert str(image.root) in image.run("python -c 'import automl; print(automl.__file__)'")


def test_what_starts_machines_on_aws_leaves_the_pins_whole(image: Image) -> None:
    """The head's second install: boto3 beside s3fs, and nothing that is installed contradicts another."""
    head = yaml.safe_load((DOCKERFILE.parent / "aws.yaml").read_text())["head_setup_commands"]
    for command in head:
        image.run(command.replace("~/venv", str(image.root / "venv")))
    image.run("pip check")
    image.run("python -c 'import boto3, aiobotocore.session, s3fs'")


def test_the_environment_is_a_fresh_one(image: Image) -> None:
    """Nothing of the one that runs the tests is seen in it."""
    assert Path(sys.prefix) != image.root / "venv"
    assert "pytest" not in image.run("pip list")
