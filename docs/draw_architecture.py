"""Draws architecture.svg from the code: the rooms of automl in the layers of pyproject.toml, and who imports whom.

    python docs/draw_architecture.py

Only which room imports which counts, so most changes leave the picture as it is; a test says when it is not the code's.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
HOUSE, BESIDE = "automl", ("search_spaces", "cluster")

LEFT, WIDE, HIGH, PITCH, TOP = 160, 150, 26, 38, 48  # px: of a room's box, and from one to the next
TRUNKS = {"search_spaces": (65, 65), "cluster": (115, 190)}  # px from the left: of the line, and of the box below
APART = {"search_spaces": 4, "cluster": -4}  # px below a room's middle that its line to them leaves
ARC, FURTHER = 26, 20  # px that an arc to the next room bulges, and more for each further one
WIDTH = 600
STYLE = """
  .page { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
  .box { fill: #f6f8fa; stroke: #8c959f }
  .faint { fill: #59636e }
  .arc { fill: none; stroke: #59636e; stroke-width: 1; opacity: 0.3 }
  .needed { stroke: #0969da; stroke-width: 1.5; opacity: 0.9 }
  .trunk { fill: none; stroke: #8c959f; stroke-width: 1 }
  .end { fill: #59636e }
  .room:hover .arc { stroke: #bc4c00; stroke-width: 2; opacity: 1 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #e6edf3 }
    .box { fill: #161b22; stroke: #6e7681 }
    .faint, .end { fill: #9198a1 }
    .arc { stroke: #9198a1 }
    .needed { stroke: #58a6ff }
    .trunk { stroke: #6e7681 }
    .room:hover .arc { stroke: #f0883e }
  }
"""

Edges = Mapping[str, frozenset[str]]  # of each room, those that it imports


@dataclass(frozen=True)
class House:
    """The rooms from top to bottom, the single files that all of them may stand on, and who imports whom."""

    rooms: tuple[str, ...]
    ground: tuple[str, ...]
    edges: Edges


def read(root: Path = ROOT) -> House:
    """The house as it stands on disk."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == [HOUSE])
    last = max(at for at, name in enumerate(layers) if (root / HOUSE / name).is_dir())
    return House(tuple(layers[: last + 1]), tuple(layers[last + 1 :]), edges(root, layers))


def edges(root: Path, layers: list[str]) -> Edges:
    """Which room of the house imports which other one, and which of the packages beside it."""
    found: dict[str, set[str]] = {name: set() for name in layers}
    for path in sorted((root / HOUSE).rglob("*.py")):
        room = path.relative_to(root / HOUSE).parts[0].removesuffix(".py")
        if room in found:  # the public face, __init__, is none
            found[room] |= {other for name in imported(path) if (other := room_of(name)) != room}
    return {room: frozenset(others & {*layers, *BESIDE}) for room, others in found.items()}


def imported(path: Path) -> Iterator[str]:
    """Whole names of all that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    """The room of a module of the house, the package of any other."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == HOUSE else package


def needed(edges: Edges) -> Edges:
    """Without the imports that follow from others: of a room that is reached by way of another one."""

    def reached(room: str) -> set[str]:
        return {room}.union(*(reached(other) for other in edges.get(room, ())))

    return {
        room: frozenset(one for one in others if not any(one in reached(other) for other in others - {one}))
        for room, others in edges.items()
    }


def draw(house: House) -> str:
    """The picture: a box for each room; arcs lead down to the rooms that it imports, lines to the packages beside."""
    place = {room: TOP + PITCH * at for at, room in enumerate(house.rooms)}
    ground_at = TOP + PITCH * len(house.rooms) + 20
    trunk_ends = ground_at + HIGH + 50
    without_ground = {room: house.edges[room] & {*house.rooms} for room in house.rooms}
    strong = needed(without_ground)
    of_ground = frozenset[str]().union(*(house.edges[room] for room in house.ground))
    used = {place[room]: house.edges[room] for room in house.rooms} | {ground_at: of_ground}
    marks = {name: [at + HIGH // 2 + APART[name] for at, others in used.items() if name in others] for name in BESIDE}
    size = f"{WIDTH} {trunk_ends + HIGH + 10}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" class="page">',
        "<title>The rooms of automl, and who imports whom</title>",
        f"<style>{STYLE}</style>",
        text(LEFT, 24, "Every arc leads down, to a room that is imported;", "faint"),
        text(LEFT, 40, "blue are those that no other arcs imply.", "faint"),
        *(_trunk(name, marks[name], trunk_ends) for name in BESIDE),
        *(_room(room, place, without_ground[room], strong[room]) for room in house.rooms),
        *(
            _end(place[room])
            for room in sorted(frozenset[str]().union(*without_ground.values()), key=place.__getitem__)
        ),
        _ground(house.ground, ground_at),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def text(x: int, y: int, words: str, kind: str = "", anchor: str = "start") -> str:
    """Words that can be selected."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def _room(name: str, place: Mapping[str, int], others: frozenset[str], strong: frozenset[str]) -> str:
    """Its box, and the arcs that leave it: from below its middle to above the middle of the other room."""
    at, edge = place[name], LEFT + WIDE
    lines = []
    for other in sorted(others, key=lambda one: place[one], reverse=True):
        start, end = at + HIGH // 2 + 5, place[other] + HIGH // 2 - 5
        bulge = edge + ARC + FURTHER * ((place[other] - at) // PITCH)
        kind = "arc needed" if other in strong else "arc"
        lines.append(
            f'<path class="{kind}" d="M{edge} {start}C{bulge} {start} {bulge} {end} {edge} {end}">'
            f"<title>{escape(name)} imports {escape(other)}</title></path>"
        )
    return "\n".join(
        [
            f'<g class="room"><rect class="box" x="{LEFT}" y="{at}" width="{WIDE}" height="{HIGH}" rx="4"/>',
            text(LEFT + WIDE // 2, at + 17, name, anchor="middle"),
            *lines,
            "</g>",
        ]
    )


def _end(at: int) -> str:
    """Where arcs come in."""
    return f'<path class="end" d="M{LEFT + WIDE + 1} {at + HIGH // 2 - 5}l6 -3v6z"/>'


def _ground(names: tuple[str, ...], at: int) -> str:
    wide = WIDTH - LEFT - 10
    step = wide // len(names)
    return "\n".join(
        [
            text(LEFT, at - 6, "ground, which every room may import", "faint"),
            f'<rect class="box" x="{LEFT}" y="{at}" width="{wide}" height="{HIGH}" rx="4"/>',
            *(
                text(LEFT + step * place + step // 2, at + 17, name, anchor="middle")
                for place, name in enumerate(names)
            ),
        ]
    )


def _trunk(name: str, marks: list[int], ends: int) -> str:
    """A package beside the house: its box at the bottom, and a line that leads to it from all rooms that import it."""
    (at, box), wide = TRUNKS[name], len(name) * 8 + 14
    return "\n".join(
        [
            f'<path class="trunk" d="M{at} {min(marks, default=ends)}V{ends - 16}H{box}V{ends}"/>',
            *(
                f'<path class="trunk" d="M{LEFT} {y}H{at}"/><circle class="end" cx="{at}" cy="{y}" r="2.5"/>'
                for y in marks
            ),
            f'<rect class="box" x="{box - wide // 2}" y="{ends}" width="{wide}" height="{HIGH}" rx="4"/>',
            text(box, ends + 17, name, anchor="middle"),
        ]
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(read()), encoding="utf-8")
