"""The pages on images, sounds and new networks: what they show is executed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from thinned import thin

import search_spaces
from search_spaces import contracts
from search_spaces.neural import vision
from search_spaces.spec import Family, Matrix, Media, Rows, Run, Shape, Task, starts

pytestmark = pytest.mark.usefixtures("lasting_workers")

ROOT = Path(__file__).parent.parent
ADDING = (ROOT / "docs" / "adding-a-network.md").read_text()
USING = (ROOT / "docs" / "images-and-sounds.md").read_text()
FILES = dict(re.findall(r"`(search_spaces/[\w/]+\.py)`:\n\n```python\n(.*?)```", ADDING, flags=re.DOTALL))
LINES = re.findall(r"in the table of `([\w/.]+)`:\n\n```python\n +\"(\w+)\": \"([\w.]+):(\w+)\",\n```", ADDING)
SMALL = {"width": 32, "depth": 1, "patches": 4, "steps": 500, "shift": 0.05, "erase": 0.0}


@pytest.fixture(scope="module")
def patchnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    """The family of the page, from a file that holds what the page shows."""
    place = tmp_path_factory.mktemp("page")
    (place / "patchnet_of_the_page.py").write_text(FILES["search_spaces/neural/patchnet.py"])
    sys.path.insert(0, str(place))
    search_spaces._FAMILIES["patchnet"] = "patchnet_of_the_page:FAMILY"
    yield search_spaces.get("patchnet")
    del search_spaces._FAMILIES["patchnet"]
    sys.path.remove(str(place))


def squares(rows: int, task: Task = "multiclass", seed: int = 0) -> Rows:
    """In which quarter of a noisy picture, of sides that no patch divides, lies the bright square?"""
    random = np.random.default_rng(seed)
    store = random.integers(0, 120, (rows, 18, 14, 3), dtype=np.uint8)
    quarters = random.integers(0, 4, rows)
    for picture, quarter in zip(store, quarters, strict=True):
        top, left = 2 + 9 * (quarter // 2), 1 + 7 * (quarter % 2)
        picture[top : top + 4, left : left + 4] = 220
    y = {"multiclass": quarters, "binary": quarters // 2, "regression": 10.0 * quarters}[task]
    nothing = np.empty((rows, 0), np.float32)
    return Rows(Matrix(nothing, nothing.astype(np.int32), (), {"seen": Media("image", store, np.arange(rows))}), y)


def test_the_block_that_is_shown_is_the_one_on_disk() -> None:
    """File and line are those of the house, so the page is never behind."""
    shown = "search_spaces/neural/vision/fused.py"
    assert FILES[shown] == (ROOT / shown).read_text()
    table, name, module, attribute = LINES[0]
    assert f'    "{name}": "{module}:{attribute}",\n' in (ROOT / table).read_text()
    assert module.replace(".", "/") + ".py" == shown
    assert vision.get(name).__name__ == attribute


def test_a_line_in_the_table_of_blocks_is_all_that_a_knob_needs() -> None:
    """Both families offer every block of the table, and begin with the plain one."""
    for name in ("convnet", "soundnet"):
        knob = search_spaces.get(name).space["block"]
        assert knob.options == vision.names()  # type: ignore[union-attr]  # a choice
        assert knob.start == vision.names()[0] == "plain"


def test_the_line_for_the_family_names_the_file_that_is_shown() -> None:
    """Whoever follows the page letter by letter finds the family."""
    table, name, module, attribute = LINES[1]
    assert (table, name, attribute) == ("search_spaces/__init__.py", "patchnet", "FAMILY")
    assert module.replace(".", "/") + ".py" in FILES
    assert "_FAMILIES" in (ROOT / table).read_text()


def test_declaring_the_family_loads_no_torch(tmp_path: Path) -> None:
    """As the page says of every family's file."""
    (tmp_path / "page.py").write_text(FILES["search_spaces/neural/patchnet.py"])
    code = "import sys, page; print('torch' in sys.modules or 'numpy' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "False"


def test_the_family_passes_the_contract_of_networks(patchnet: Family) -> None:
    """Built at corners of its space, counted as it is; and it has what the training reads."""
    import torch

    from search_spaces.neural.convnet import RECIPE

    seen = torch.from_numpy(squares(5).X.media["seen"].values())
    contracts.check_network(patchnet, Shape((), (), 4, image=(18, 14, 3)), (seen,))
    assert set(RECIPE) <= set(patchnet.space)


@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
def test_the_family_learns_repeats_itself_and_is_read_back(patchnet: Family, task: Task) -> None:
    """What the training asks of a network, it has: for classes and numbers, in the same numbers after a round trip."""
    from automl.training import learners

    run = Run(task, {"multiclass": 4, "binary": 2}.get(task, 1), "accuracy", seed=3)
    made = []
    for _ in range(2):
        made.append(learners.make(patchnet, {**starts(patchnet.space), **SMALL, "rounds": 12}))
        made[-1].fit(squares(160, task), squares(60, task, 1), run)
    held = squares(60, task, 2)
    said = made[0].predict(held.X)
    assert np.array_equal(said, made[1].predict(held.X))
    assert np.array_equal(said, learners.load(patchnet, made[0].dump()).predict(held.X))
    if task == "regression":
        assert np.abs(said - held.y).mean() < 0.5 * np.abs(held.y - held.y.mean()).mean()
    else:
        assert (said.argmax(axis=1) == held.y).mean() > 0.9


def test_the_search_takes_the_family_as_it_is(patchnet: Family) -> None:
    """It is counted, screened and routed to like those of the house."""
    from automl.decision.prior import _in_order
    from automl.search.screen import Speeds, epoch_s
    from automl.search.steps import Course

    assert patchnet.name in [family.name for family in _in_order(("svm", "convnet"))]
    assert patchnet.cost is not None
    cost = patchnet.cost(patchnet.configs()[0], Shape((), (), 4, image=(32, 32, 3)))
    assert 0 < epoch_s(cost, 1000, Speeds(), Course(10.0, 2)) < 60


def test_a_network_on_the_wrong_media_is_refused(patchnet: Family) -> None:
    """As those of the house do."""
    with pytest.raises(ValueError, match="reads images, but the shape has none"):
        patchnet.build(starts(patchnet.space), Shape((), (), 2))


# --- the page on images and sounds -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.soak
def test_the_page_on_images_and_sounds_can_be_followed_line_by_line(tmp_path: Path) -> None:
    """Its commands and its code run, in the order of the page, on a twelfth of the digits."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    env = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    commands = [line for block in re.findall(r"```sh\n(.*?)```", USING, flags=re.DOTALL) for line in block.splitlines()]
    commands = [line for line in commands if "pip install" not in line]
    (tmp_path / "page.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", USING, flags=re.DOTALL)))
    assert len(commands) >= 5
    told = {}
    for line in [*commands, "python page.py"]:
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, env=env
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        told[line] = done.stdout
        if "make_digits" in line:
            thin(tmp_path / "digits", 12)
    asked = len(list((tmp_path / "digits" / "test").rglob("*.png")))
    assert len((tmp_path / "digits.csv").read_text().splitlines()) == 1 + asked > 30
    assert any("bright" in text and "dark" in text for text in told.values())
    assert (tmp_path / ".cache" / "automl" / "automl-media").is_dir()


def test_what_the_page_says_of_files_sizes_and_limits_is_what_the_code_does() -> None:
    """Every number and every extension of the page is read from the code."""
    from automl.data.reading import MIN_ROWS
    from automl.modalities.audio import sounds
    from automl.modalities.files import cache, folder, intake, listing
    from automl.modalities.image import pictures
    from automl.search import courses, screen

    def words(name: str) -> set[str]:
        told = re.search(rf"{name}: ((?:`[^`]*`[ ,]*)+)", USING)
        assert told is not None
        return set(re.findall(r"\.\w+", told[1]))

    assert words("Images") == listing.IMAGES
    assert words("Sounds") == listing.SOUNDS
    assert {".heic", ".m4a"} <= listing.UNREADABLE
    assert set(listing.TABLES) == {f"metadata{suffix}" for suffix in (".csv", ".tsv", ".jsonl", ".parquet")}
    assert (folder.STRAYS, MIN_ROWS, intake.MOST_UNREADABLE, intake.STORE_SHARE) == (0.01, 10, 0.5, 0.25)
    assert (pictures.ALIKE, pictures.LONGEST_PX, pictures.LONGEST_FEW_PX, pictures.FEW) == (0.9, 128, 160, 2000)
    assert (sounds.USUAL_HZ, sounds.COVERED, sounds.LONGEST_S) == (16_000, 0.95, 10.0)
    assert (cache.MOST_GB, cache.KEPT) == (20.0, "automl-media")
    assert screen.MIN_EPOCHS == 5
    assert courses.LOOKS_SHARE < 1 / 3


def test_every_option_that_the_page_names_exists() -> None:
    """And the links lead somewhere."""
    from automl.options import defaults

    for option in set(re.findall(r"--([a-z][a-z-]+)", USING)) - {"proba", "out"}:
        assert option.replace("-", "_") in defaults(), option
    for page in (USING, ADDING):
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page):
            assert (ROOT / "docs" / link).exists(), link


def test_the_code_of_the_family_is_that_of_the_house(tmp_path: Path) -> None:
    """What readers copy passes the checks that the house's own files pass."""
    place = tmp_path / "patchnet.py"
    place.write_text(FILES["search_spaces/neural/patchnet.py"])
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    if not Path(ruff).exists():
        pytest.skip("ruff is not installed")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *words, "--config", str(ROOT / "pyproject.toml"), str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
