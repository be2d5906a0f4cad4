"""The page on the house says what is so: its picture is drawn from today's code, its rooms, nouns and places exist."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROOMS, FLOW, ADDING = (
    PAGE.split(f"## {title}")[1].split("\n## ")[0] for title in ("The rooms", "How data", "Where do I")
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """What draws the picture."""
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "docs" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its dataclass looks for it there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def layers() -> list[str]:
    """The rooms of automl from top to bottom, as the linter holds them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(contract["layers"] for contract in contracts if contract.get("containers") == ["automl"])


def test_the_picture_is_drawn_from_todays_code(script: ModuleType) -> None:
    """Whoever lets a room import another one draws it anew: python docs/draw_architecture.py."""
    assert (ROOT / "docs" / "architecture.svg").read_text() == script.draw(script.read())


def test_the_picture_shows_every_room_and_no_arc_leads_up(script: ModuleType) -> None:
    """In the order of the layers; words can be selected, and colours follow the reader's."""
    picture = (ROOT / "docs" / "architecture.svg").read_text()
    drawn = ElementTree.fromstring(picture)  # our own file
    words = [node.text for node in drawn.iter(f"{SVG}text")]
    assert set(layers()) | {"search_spaces", "cluster"} <= set(words)
    house = script.read()
    assert [*house.rooms, *house.ground] == layers()
    told = [
        tuple(str(node.text).split(" imports ")) for node in drawn.iter(f"{SVG}title") if " imports " in str(node.text)
    ]
    order = layers()
    pairs = [pair for pair in told if len(pair) == 2 and pair[0] in order]
    assert {("stages", "search"), ("search", "training"), ("report", "scoring")} <= set(pairs)
    assert all(order.index(above) < order.index(below) for above, below in pairs)
    assert "prefers-color-scheme: dark" in picture


def test_arcs_that_others_imply_are_told_apart(script: ModuleType) -> None:
    """Of a chain with a short cut, the short cut is not needed."""
    edges = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert script.needed(edges) == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}


def test_only_which_room_imports_which_counts(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further files and imports between rooms that know each other leave the picture as it is; a new pair does not."""
    files = {"above/one.py": "from house.below import two", "below/two.py": "", "ground.py": ""}
    monkeypatch.setattr(script, "HOUSE", "house")
    (tmp_path / "pyproject.toml").write_text(
        '[[tool.importlinter.contracts]]\ncontainers = ["house"]\nlayers = ["above", "below", "ground"]\n'
    )
    drawn = []
    for name, content in (
        *files.items(),
        ("above/three.py", "import house.below.two"),
        ("below/four.py", "import cluster"),
    ):
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if len(list((tmp_path / "house").rglob("*.py"))) >= len(files):
            drawn.append(script.draw(script.read(tmp_path)))
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_page_lists_the_rooms_in_the_order_of_the_layers() -> None:
    """Every one of them, and no other."""
    listed = re.findall(r"^- `automl/(\w+)", ROOMS, flags=re.MULTILINE)
    listed += re.findall(r"`automl/(\w+)\.py`", ROOMS.split("Below all of them")[1])
    assert listed == layers()


def test_every_path_that_the_page_names_exists() -> None:
    """Files, folders and links."""
    named = re.findall(r"`((?:automl|search_spaces|cluster|tests|docs)/[\w./]*)`", PAGE)
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).exists()] == []
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


def test_every_table_and_function_to_add_to_is_where_the_page_says() -> None:
    """A name in a file is one that the file defines, assigns or has as a field."""
    named = re.findall(r"`(\w+)` in `([\w/]+\.py)`", ADDING)
    assert len(named) >= 10
    for name, path in named:
        tree = ast.parse((ROOT / path).read_text())
        known = {getattr(node, "name", None) for node in ast.walk(tree)}
        known |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        assert name in known, f"{name} is not in {path}"


def test_every_noun_of_the_flow_is_a_record() -> None:
    """Or a word of the spec."""
    nouns = set(re.findall(r"`([A-Z]\w+)`", FLOW))
    files = (*(ROOT / "automl" / "records").glob("*.py"), ROOT / "search_spaces" / "spec.py")
    known = {
        node.name for path in files for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    }
    assert len(nouns) > 15
    assert nouns <= known, sorted(nouns - known)
