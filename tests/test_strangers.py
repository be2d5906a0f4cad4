"""A run folder that somebody else made: going on with it reaches no machine that its owner named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import automl
from automl.doors.cli import main
from automl.errors import ArtifactError, InputError, OptionError
from automl.model.manifest import one_line_of
from automl.options import Options
from automl.runtime.resume import on_disk

ADDRESS = "10.0.0.5:6379"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder that names a cluster; there is not enough in it to go on."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "options.json").write_text(json.dumps(on_disk(Options(target="y", cluster=ADDRESS))))
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may come as far as to load what connects."""
    monkeypatch.setitem(sys.modules, "cluster.on_ray", ModuleType("cluster.on_ray"))


def test_the_cluster_that_a_run_folder_names_has_to_be_given_again(run: Path) -> None:
    """In one line that says what the folder names and what to type."""
    with pytest.raises(OptionError, match=rf"names the cluster '{ADDRESS}'.*--cluster {ADDRESS}; else") as told:
        automl.resume(run, verbose=0)
    assert "\n" not in str(told.value)
    assert f"automl resume {run} " in str(told.value)


def test_what_to_type_is_one_command_whatever_the_folder_is_called(run: Path) -> None:
    """Its maker chose the name, and it is meant to be copied to a shell."""
    odd = run.rename(run.parent / "run; touch x")
    with pytest.raises(OptionError, match="names the cluster") as told:
        automl.resume(odd, verbose=0)
    assert f"automl resume '{odd}' --cluster" in str(told.value)


@pytest.mark.parametrize("given", [ADDRESS, "local", "auto"])
def test_with_the_cluster_given_the_run_goes_on(run: Path, given: str) -> None:
    """As far as there is something in it: this one lacks all else."""
    with pytest.raises((FileNotFoundError, InputError)) as told:
        automl.resume(run, verbose=0, cluster=given)
    assert "names the cluster" not in str(told.value)


@pytest.mark.parametrize("named", ["auto", "local", "ray"])
def test_words_that_name_no_machine_need_not_be_given_again(run: Path, named: str) -> None:
    """What they mean, the one who goes on decides: by RAY_ADDRESS, or by what runs here."""
    (run / "options.json").write_text(json.dumps(on_disk(Options(target="y", cluster=named))))
    with pytest.raises((FileNotFoundError, InputError)) as told:
        automl.resume(run, verbose=0)
    assert "names the cluster" not in str(told.value)


def test_the_command_line_says_it_and_ends_with_two(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As any option that cannot work."""
    assert main(["resume", str(run)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "--cluster local" in told.err


def test_a_lack_of_memory_is_not_told_as_damage() -> None:
    """Of a model as of rows: nobody need copy it again."""
    wanted = r"^this model needs more memory than there is\. .*fewer rows"
    with pytest.raises(ArtifactError, match=wanted) as told, one_line_of("this model"):
        np.zeros(2**50)
    assert "damaged" not in str(told.value)
