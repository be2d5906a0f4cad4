"""Score against a cost, on a logarithmic axis: every model a mark that tells all of it when pointed at or focused.

What a mark tells stands once below the picture (the page shows it by its class), so that each axis stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.report import axes, charts, priced, words
from automl.report.axes import Box, Scale
from automl.report.charts import MOST_MARKS, PHONE
from automl.report.priced import AXES, Axis

MOST_TOLD = 48  # marks that can be pointed at: the page has a rule of style for each


@dataclass(frozen=True)
class Mark:
    """A model that can be drawn."""

    name: str
    value: float
    low: float
    high: float
    costs: Mapping[str, float]  # by axis
    is_chosen: bool
    is_tied: bool  # cannot be told apart from the best
    on_frontier: bool  # of latency, as the report says
    is_timed: bool  # with calls, not by the sums over its folds
    roles: tuple[str, ...]
    told: tuple[tuple[str, str], ...]


def marks(report: Mapping[str, Any]) -> list[Mark]:
    """The models worth a look first, then the best of the others.

    The baseline is a line rather than a mark, unless it was picked: it costs nothing and would stretch both axes.
    """
    chosen, baseline = words.part(report, "verdict", "chosen"), _baseline_of(report)
    tied = _tied(report)
    found = []
    for row in charts.rows_of(report, "leaderboard"):
        value, name = words.value_of(row.get("score")), row.get("name")
        costs = {axis.name: max(cost, axis.least) for axis in AXES if (cost := axis.of(row)) is not None}
        roles = tuple(words.short(role, 24) for role in priced.roles(row, chosen))
        if value is None or not costs or (not roles and value == baseline):
            continue
        low, high = words.ends(row.get("score"))
        ends = (value if low is None else low, value if high is None else high)
        told = tuple(priced.facts(row, chosen))
        is_tied = (isinstance(name, str) and name in tied) or row.get("tied_with_best") is True
        is_member = row.get("on_frontier") is True
        is_timed = words.finite(words.part(row, "latency", "one", "p50")) is not None
        found.append(
            Mark(
                words.short(name, 80),
                value,
                *ends,
                costs,
                roles[:1] == ("chosen",),
                is_tied,
                is_member,
                is_timed,
                roles,
                told,
            )
        )
    kept = [one for one in found if one.on_frontier or one.roles]
    others = [one for one in found if not (one.on_frontier or one.roles)]
    return [*kept, *others[: max(0, MOST_MARKS - len(kept))]]


def axes_of(found: Sequence[Mark]) -> list[Axis]:
    """The axes for which there is something above the least that can be drawn."""
    return [axis for axis in AXES if any(one.costs.get(axis.name, 0.0) > axis.least for one in found)] or [
        axis for axis in AXES[:1] if any(axis.name in one.costs for one in found)
    ]


def members(found: Sequence[Mark], axis: Axis, is_higher: bool) -> list[int]:
    """Places of the marks that no other one beats in score and in this cost, cheapest first.

    Along latency, where it was not measured, they are those that the report names: it knows more digits.
    """
    drawn = [at for at, one in enumerate(found) if axis.name in one.costs]
    by_cost = sorted(drawn, key=lambda at: (found[at].costs[axis.name], -_good(found[at], is_higher)))
    if axis is AXES[0] and any(one.on_frontier for one in found) and not any(one.is_timed for one in found):
        return [at for at in by_cost if found[at].on_frontier]
    kept: list[int] = []
    for at in by_cost:
        if not kept or _good(found[at], is_higher) > _good(found[kept[-1]], is_higher):
            kept.append(at)
    return kept


def draw(report: Mapping[str, Any], found: Sequence[Mark], axis: Axis, width: int, *, is_alone: bool = False) -> str:
    """The picture along one axis; `is_alone`: nothing beside it tells of its marks, so none can be pointed at."""
    drawn = [at for at, one in enumerate(found) if axis.name in one.costs]
    if not drawn:
        return ""
    is_wide, is_higher = width > PHONE, charts.is_higher(report)
    best = members(found, axis, is_higher)
    height, left = (430, 66) if is_wide else (360, 52)
    baseline = _baseline_of(report)
    ends = [end for at in drawn if at in best or found[at].is_chosen for end in (found[at].low, found[at].high)]
    others = [found[at].value for at in drawn if not (at in best or found[at].is_chosen)]
    low, high = axes.span(ends or others, [*others, *([] if baseline is None else [baseline])])
    costs = [found[at].costs[axis.name] for at in drawn]
    x = Scale(min(costs) / 1.6, max(costs) * 1.6, left, width - 14, is_log=True)
    y = Scale(low, high, height - 50, 34)
    picture = _Picture(found, axis, x, y, tuple(best))
    money = priced.currency(charts.rows_of(report, "leaderboard"))
    body = [*picture.band(drawn), *axes.grid(x, y, (6, 5) if is_wide else (4, 5))]
    body += [
        axes.text(2, 16, f"{charts.metric(report)}, {'higher' if is_higher else 'lower'} is better", "label"),
        axes.text(width - 14, height - 8, axis.told.format(currency=money), "label", "end"),
        *([] if baseline is None else _baseline(x, y, baseline, charts.metric(report))),
        picture.steps(),
        *(picture.mark(at) for at in sorted(drawn, key=lambda at: (found[at].is_chosen, at in best))),
        *picture.labels(drawn, width),
        *(() if is_alone else picture.targets(drawn)),
    ]
    told = (
        f"Score against {axis.told.format(currency=money)}",
        f"{len(drawn)} models, {len(best)} of them on the frontier. {words.verdict(report)}",
    )
    name = "" if is_alone else f"frontier-{axis.name}-{width}"
    return axes.canvas(body, (width, height), name, told, "img" if is_alone else "group")


@dataclass(frozen=True)
class _Picture:
    """Marks and where they go."""

    found: Sequence[Mark]
    axis: Axis
    x: Scale
    y: Scale
    best: tuple[int, ...]  # cheapest first

    def at(self, place: int) -> tuple[float, float]:
        """The pixels of a mark."""
        return self.x(self.found[place].costs[self.axis.name]), self.y(self.found[place].value)

    def band(self, drawn: Sequence[int]) -> list[str]:
        """A shade behind those that cannot be told apart from the best."""
        heights = [self.at(place)[1] for place in drawn if self.found[place].is_tied]
        if len(heights) < 2:
            return []
        top, bottom = min(heights) - 11, max(heights) + 11
        size = f'width="{self.x.end - self.x.start:.1f}" height="{bottom - top:.1f}"'
        return [f'<rect class="tied" x="{self.x.start:.1f}" y="{top:.1f}" {size}/>']

    def steps(self) -> str:
        """The best that each cost buys: flat until a dearer model is better."""
        if not self.best:
            return ""
        corners = [self.at(self.best[0])]
        for place in self.best[1:]:
            across, up = self.at(place)
            corners += [(across, corners[-1][1]), (across, up)]
        return axes.path([*corners, (self.x.end, corners[-1][1])], "step")

    def mark(self, place: int) -> str:
        """A diamond for the chosen one, a dot on the frontier, a ring for the others; with its interval."""
        one, (across, up) = self.found[place], self.at(place)
        kind = "chosen" if one.is_chosen else "member" if place in self.best else "dominated"
        if not self.y.holds(one.value):
            return axes.arrow(across, up, one.value > self.y.high, kind)
        bar = ""
        if one.low < one.high:
            bar = axes.line(across, self.y(one.low), across, self.y(one.high), f"whisker {kind}-line")
        halo = axes.dot(across, up, "halo", 9) if one.is_tied else ""
        return bar + halo + (axes.diamond(across, up, kind) if one.is_chosen else axes.dot(across, up, kind))

    def targets(self, drawn: Sequence[int]) -> list[str]:
        """What can be pointed at and focused, above all marks, from left to right."""
        told = sorted((place for place in drawn if place < MOST_TOLD), key=self.at)
        return [
            f'<g class="mark m{place}" tabindex="0" role="img" aria-labelledby="told-{place}">'
            f"{axes.dot(*self.at(place), 'target', 12)}</g>"
            for place in told
        ]

    def labels(self, drawn: Sequence[int], width: int) -> list[str]:
        """The name and the role of each picked point, where they cover the least."""
        frame = Box(self.x.start, 22, self.x.end - self.x.start, self.y.start - 24)
        taken = [Box(self.at(place)[0] - 6, self.at(place)[1] - 6, 12, 12) for place in drawn]
        for place in self.best:
            top, bottom = self.y(self.found[place].high), self.y(self.found[place].low)
            taken.append(Box(self.at(place)[0] - 2, min(top, bottom), 4, abs(bottom - top)))
        body = []
        for place in sorted(drawn, key=lambda place: not self.found[place].is_chosen):
            one = self.found[place]
            if not one.roles:
                continue
            name, role = words.short(one.name, 30 if width > PHONE else 18), ", ".join(one.roles)
            role = words.short(role, 64 if width > PHONE else 26)
            wide = max(len(name) * axes.NAME_PX, len(role) * axes.CHAR_PX)
            box = axes.place(self.at(place), (wide, 29.0), taken, frame)
            taken.append(box)
            body.append(axes.text(box.x, box.y + 11, name, "name"))
            body.append(axes.text(box.x, box.y + 25, role, "role chosen-text" if one.is_chosen else "role"))
        return body


def _good(one: Mark, is_higher: bool) -> float:
    return one.value if is_higher else -one.value


def _baseline_of(report: Mapping[str, Any]) -> float | None:
    return words.value_of(words.part(report, "verdict", "baseline"))


def _tied(report: Mapping[str, Any]) -> set[str]:
    """Names of the best model and of those that cannot be told apart from it; empty where there are none."""
    rows = charts.rows_of(report, "leaderboard")
    best = next((row.get("name") for row in rows if "best" in words.each(row.get("picks"))), None)
    pairs = [words.each(pair) for pair in words.each(words.part(report, "arena", "tied"))]
    texts = [[name for name in pair if isinstance(name, str)] for pair in pairs]
    found = {name for pair in texts if isinstance(best, str) and best in pair for name in pair}
    return found | {best for row in rows if isinstance(best, str) and row.get("tied_with_best") is True}


def _baseline(x: Scale, y: Scale, value: float, metric: str) -> list[str]:
    said = f"without a model: {metric} {words.number(value)}"
    if y.holds(value):
        label_y = y(value) - 6 if y(value) > y.end + 20 else y(value) + 15
        return [
            axes.line(x.start, y(value), x.end, y(value), "baseline"),
            axes.text(x.start + 6, label_y, said, "tick"),
        ]
    is_above = value > y.high
    at = y.end + 12 if is_above else y.start - 8
    return [axes.text(x.start + 6, at, f"{said}, {'above' if is_above else 'below'} this picture", "tick")]
