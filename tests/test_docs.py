"""The README is a promise: its code runs, its file tree is the disk, its commands exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from drivers import start_s

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def right_share(predictions: Path) -> float:
    """Of the predicted files, whose folder is their class."""
    rows = [line.split(",") for line in predictions.read_text().splitlines()[1:]]
    return sum(Path(name).parent.name == label for name, label in rows) / len(rows)


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, where a reader would try things."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    return folder


@pytest.mark.slow
@pytest.mark.long
def test_the_commands_and_the_code_of_the_readme_run(playground: Path) -> None:
    """In the order of a reader who tries the command line first, then Python."""
    bin_dir = Path(sys.executable).parent
    table, pictures = (next(b for b in blocks("sh") if words in b) for words in ("automl profile", "make_digits"))
    assert "--budget 15s" in pictures
    pictures = pictures.replace("--budget 15s", f"--budget {max(15.0, 5 * start_s()):.0f}s")  # a busy machine gets more
    for line in f"{table.strip()}\n{pictures.strip()}".splitlines():
        done = subprocess.run(
            ["bash", "-c", line], cwd=playground, capture_output=True, text=True, check=False,
            env={"PATH": f"{bin_dir}:/usr/bin:/bin", "HOME": str(playground)},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (playground / "predictions.csv").is_file()
    assert right_share(playground / "digits.csv") > 0.9
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=playground, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    assert (playground / "churn-model" / "manifest.json").is_file()


@pytest.mark.slow
@pytest.mark.ray
def test_the_page_on_clusters_can_be_followed_line_by_line(playground: Path) -> None:
    """Every command that needs neither a registry nor a bucket, in the order of the page."""
    pytest.importorskip("ray")
    bin_dir = Path(sys.executable).parent
    page = (ROOT / "docs" / "cluster.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL) for line in block.splitlines()]
    lines = [line for line in lines if "pip install" not in line and "://" not in line]
    assert len(lines) >= 7
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line], cwd=playground, capture_output=True, text=True, check=False,
            env={"PATH": f"{bin_dir}:/usr/bin:/bin", "HOME": str(playground)},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert {"local", "ray", "money", "energy"} <= {path.name for path in (playground / "runs").iterdir()}


def test_the_file_tree_of_the_readme_is_the_disk() -> None:
    """Every top-level folder that git knows is named, and every named one exists."""
    tree = README.split("## The house")[1].split("```")[1]
    named = set(re.findall(r"^(\w+)/", tree, flags=re.MULTILINE))
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not tracked:
        pytest.skip("not a git checkout")
    assert named == {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}


def test_every_make_target_the_readme_names_exists() -> None:
    """And help lists them."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_every_document_the_readme_links_to_exists() -> None:
    """No dead links to files."""
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


ROWS = re.findall(r"^\| .+ \| `(fit\(.+\))` \|$", README, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("lasting_workers")
@pytest.mark.parametrize("code", ROWS)
def test_what_the_readme_says_of_tables_runs(code: str, tmp_path: Path) -> None:
    """Each line of the table gives a model that predicts, or a table of what is known of one."""
    from functools import partial

    import pandas as pd

    import automl

    data = pd.read_csv(ROOT / "examples" / "customers.csv")[:400]
    quick = partial(automl.fit, budget="2 trials", workers=2, verbose=0, run_dir=tmp_path / "run")
    result = eval(code, {"fit": quick, "data": data})  # our own README
    if isinstance(result, pd.DataFrame):
        assert len(result)
        assert result.notna().to_numpy().all()
        return
    predictions = result.predict(data.head())
    assert len(predictions) == 5
    assert predictions.notna().to_numpy().all()


def test_the_table_of_the_readme_names_every_metric() -> None:
    """No metric is a secret, and none is promised that is not there."""
    from automl.scoring import metrics

    told = README.split("another metric: ")[1].split(" |")[0]
    known = {name for task in ("binary", "multiclass", "regression") for name in metrics.names(task)}
    assert set(re.findall(r"[a-z_0-9]+", told)) == known
