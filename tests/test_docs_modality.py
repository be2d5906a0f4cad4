"""The page on new kinds of data: the house gets what it shows, in a copy and in this process, and is better for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl import modalities
from automl.data.profiler import examine
from automl.data.reading import load
from automl.decision.prior import route
from automl.modalities import contracts, mixture
from automl.modalities.contracts import Cells
from automl.modalities.protocol import Pass
from automl.options import Options

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding-a-modality.md").read_text()
FILES = dict(re.findall(r"`(automl/[\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE, flags=re.DOTALL))
(LINE,) = re.findall(r"in the table of `automl/modalities/__init__.py`.*?```python\n(.*?)```", PAGE, flags=re.DOTALL)
(PEERS,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
MAKER, MADE, EXAMPLE = re.findall(r"```python\n(.*?)```", PAGE.split("one more maker")[1], flags=re.DOTALL)
TOLD = """
import json
print(json.dumps({
    "error": result.score.value,
    "new": float(np.abs(model.predict(flats[600:]) - flats["rent"][600:]).mean()),
    "kinds": {column.name: str(column.kind) for column in automl.profile(flats, target="rent").columns},
    "pictures": (result.folder / "pictures").exists(),
    "worth": result.feature_importance().set_index("column")["importance"].to_dict(),
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house in which somebody followed the page."""
    place = tmp_path_factory.mktemp("copy")
    for package in ("automl", "cluster", "search_spaces"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in FILES.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(content)
    table = place / "automl" / "modalities" / "__init__.py"
    table.write_text(table.read_text().replace('    "table":', f'{LINE}    "table":', 1))
    rules = (ROOT / "pyproject.toml").read_text()
    assert PEERS.replace(" | place", "") in rules
    (place / "pyproject.toml").write_text(rules.replace(PEERS.replace(" | place", ""), PEERS))
    return place


@pytest.fixture
def place(copy: Path) -> Iterator[object]:
    """The kind of the page, known to this process."""
    name, module = re.findall(r'"(\w+)": "([\w.]+)"', LINE)[0]
    known = dict(modalities._MODALITIES)
    modalities.__path__.append(str(copy / "automl" / "modalities"))
    modalities._MODALITIES.clear()
    modalities._MODALITIES.update({name: module, **known})
    yield modalities.decoding(name)
    modalities._MODALITIES.clear()
    modalities._MODALITIES.update(known)
    modalities.__path__.pop()


def flats(rows: int = 40) -> pd.DataFrame:
    """Where they are, and what they cost."""
    random = np.random.default_rng(0)
    where = [f"{48 + a:.3f}, {16 + b:.3f}" for a, b in random.random((rows, 2))]
    return pd.DataFrame({"where": where, "rooms": random.integers(1, 6, rows), "rent": 900 * random.random(rows)})


def test_the_page_shows_a_whole_folder_and_the_line_that_finds_it() -> None:
    """Every file of it, and a module that is among them."""
    assert {Path(name).parent.as_posix() for name in FILES} == {"automl/modalities/place"}
    assert {Path(name).name for name in FILES} == {"__init__.py", "codec.py", "anchors.py", "modality.py"}
    assert re.search(r'"place": "([\w.]+)"', LINE)[1].replace(".", "/") + ".py" in FILES  # type: ignore[index]


@pytest.mark.parametrize("check", contracts.CHECKS, ids=lambda check: check.__name__)
def test_the_new_kind_keeps_the_contract(check: Callable[..., None], place, tmp_path: Path) -> None:
    """On the cells that the page's own maker makes."""
    known: dict = {"np": np, "Path": Path, "Cells": Cells, "ROWS": 8}
    exec(MAKER, known)  # our own page
    made = eval(f"{{{MADE}}}", known)
    contracts.check_modality(place)
    check(place, made[place.name](tmp_path))


def test_what_only_looks_like_places_is_passed_with_a_reason(place) -> None:
    """Pairs of numbers of which most are not on the globe stay text."""
    said = place.claim(pd.Series([f"{100 + n}.5, 7.25" for n in range(20)]), None)
    assert isinstance(said, Pass)
    assert "'100.5, 7.25' is not on the globe" in said.why


def test_a_kind_of_a_few_numbers_leaves_the_decision_to_what_holds_for_tables(place) -> None:
    """Networks on tables take part, no course is planned, and nobody speaks of weights for pictures."""
    options = Options(target="rent")
    dataset = load(flats(400), options, decode=mixture.read)
    assert dict(dataset.claims) == {"where": "place"}
    assert mixture.drawn(dataset.decoded) == []
    profile, _ = examine(dataset, options)
    prior, decision = mixture.prior(profile), route(profile, options)
    assert not prior.is_coursed
    assert [rule.name for rule in decision.rules] == [rule.name for rule in prior.rules] == ["few rows"]
    assert {"lightgbm", "mlp"} <= set(decision.families)
    assert {skip.family for skip in decision.skipped} >= {"convnet", "soundnet", "finetuned"}


def test_a_row_without_a_place_is_left_out_and_told(place) -> None:
    """As the page says of what cannot be decoded."""
    table = flats(20)
    table.loc[4, "where"] = None
    found = load(table, Options(target="rent"), decode=mixture.read)
    assert len(found) == 19
    assert [finding.message for finding in mixture.findings(found)] == [
        "1 of 20 cells are no places, first 'None'; these rows were left out"
    ]


@pytest.mark.soak
@pytest.mark.slow
def test_the_example_of_the_page_is_better_with_the_new_kind(copy: Path, tmp_path: Path) -> None:
    """The error is less than half, on new rows too; the saved model is read and predicts; nothing is drawn."""
    told = {}
    for name, house in (("with", copy), ("without", ROOT)):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", EXAMPLE + TOLD], cwd=tmp_path / name, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(house)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told[name] = json.loads(done.stdout.splitlines()[-1])
    assert told["with"]["kinds"] == {"where": "place", "rooms": "number"}
    assert told["without"]["kinds"]["where"] != "place"
    assert told["with"]["error"] < 0.5 * told["without"]["error"]
    assert told["with"]["new"] < 0.5 * told["without"]["new"]
    assert not told["with"]["pictures"]
    assert told["with"]["worth"]["where"] > 0


@pytest.mark.slow
def test_the_code_of_the_page_is_that_of_the_house(copy: Path) -> None:
    """What readers copy passes the checks that the house's own files pass, and knows none of its peers."""
    tools = {name: shutil.which(name) or str(Path(sys.executable).parent / name) for name in ("ruff", "lint-imports")}
    if not all(Path(tool).exists() for tool in tools.values()):
        pytest.skip("the linters are not installed")
    shown = [str(copy / name) for name in FILES]
    for words in (["ruff", "check", *shown], ["ruff", "format", "--check", *shown], ["lint-imports"]):
        done = subprocess.run(
            [tools[words[0]], *words[1:]], cwd=copy, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(copy)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
