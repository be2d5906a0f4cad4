"""About what the model says, in a few questions: a short tree, and how much of what is said it tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import conditions, words
from automl.report.conditions import ConditionJson
from automl.report.section import Section, late

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

FAITHFUL = 0.6  # of the variation of what is said; a tree that tells less would mislead
MOST_NODES, DEEPEST = 31, 4


class NodeJson(TypedDict, total=False):
    """A question, or an answer of the tree."""

    depth: int
    condition: ConditionJson | None  # under which a row comes here from the one above; null: otherwise, or the top
    is_otherwise: bool
    is_leaf: bool
    value: float  # what is said on average: a number, the probability of `output`, or that of the label
    label: str | None  # of several classes the likeliest
    share: float  # of the rows


class SurrogateJson(TypedDict, total=False):
    """A tree that imitates the chosen model."""

    why_not: str | None
    is_share: bool  # values are probabilities
    output: str | None  # of two classes the one whose probability it is
    rows: int  # held out, that it was grown on
    tested: int  # other held-out rows, on which it was compared with the model
    fidelity: float | None  # the share of the variation of what the model says that it tells
    low: float | None
    high: float | None  # of its 95 % interval
    agreement: float | None  # share of rows that both give the same label
    nodes: list[NodeJson]  # from the top down, the side for which a question holds first


class SurrogateKeys(TypedDict, total=False):
    """The key of this section."""

    surrogate: SurrogateJson | None


def gather(inputs: ReportInputs) -> SurrogateKeys:
    """What gather/surrogate.py grew."""
    nothing: SurrogateJson = {
        "is_share": bool(inputs.profile.classes), "output": None, "rows": 0, "tested": 0, "fidelity": None, "low": None,
        "high": None, "agreement": None, "nodes": [],
    }  # fmt: skip
    return {"surrogate": cast(SurrogateJson, late(inputs, "surrogate", nothing))}


def shown(report: Mapping[str, Any], _folder: Path | None) -> dict[str, Any]:
    """Sentences and the tree."""
    return {"told": told(report), "tree": tree(report) if _is_faithful(report) else []}


@dataclass
class TreeLine:
    """A line of the tree, and the lines below it."""

    when: str
    said: str  # of a leaf
    share: float
    below: list[TreeLine] = field(default_factory=list)


def told(report: Mapping[str, Any]) -> list[str]:
    """How faithful it is; the terminal says the same."""
    found = words.part(report, "surrogate")
    fidelity, agreement = words.finite(words.part(found, "fidelity")), words.finite(words.part(found, "agreement"))
    if fidelity is None:
        return []
    low, high = words.ends(found)
    ends = "" if low is None or high is None else f" (95 % interval {_part(low)} to {_part(high)})"
    same = "" if agreement is None else f" Both give the same label to {words.percent(agreement)} of them."
    on = f"on {words.number(words.part(found, 'tested'))} other held-out rows"
    if fidelity < FAITHFUL:
        return [f"No short tree says what the model does: three questions tell {_part(fidelity)} of how its answers"
                f" vary{ends}, {on}.{same}"]  # fmt: skip
    return [f"Three questions tell {_part(fidelity)} of how the model's answers vary{ends}, {on}.{same} The rest is"
            " finer than this."]  # fmt: skip


def tree(report: Mapping[str, Any]) -> list[TreeLine]:
    """The lines below the top, each with those below it."""
    found = words.part(report, "surrogate")
    top = TreeLine("", "", 1.0)
    path = [top]
    for node in words.each(words.part(found, "nodes"))[:MOST_NODES]:
        depth = words.finite(words.part(node, "depth"))
        if depth is None or not 1 <= depth <= min(DEEPEST, len(path)):
            continue
        del path[int(depth) :]
        condition = words.part(node, "condition")
        when = "otherwise" if words.part(node, "is_otherwise") is True else f"if {conditions.told(condition)}"
        line = TreeLine(when, _said(node, found), words.finite(words.part(node, "share")) or 0.0)
        path[-1].below.append(line)
        path.append(line)
    return top.below


def _said(node: Any, found: Any) -> str:
    value, label = words.finite(words.part(node, "value")), words.part(node, "label")
    if words.part(node, "is_leaf") is not True or value is None:
        return ""
    if words.part(found, "is_share") is not True:
        return words.number(value)
    name = words.part(found, "output") if label is None else label
    return f"{words.short(name, 40)} {words.percent(value)}"


def _is_faithful(report: Mapping[str, Any]) -> bool:
    return (words.finite(words.part(report, "surrogate", "fidelity")) or 0.0) >= FAITHFUL


def _part(share: float) -> str:
    """A share that may be below nothing, which tells nothing."""
    return words.percent(round(max(0.0, share), 3))


PAGE = """
{% set found = report.surrogate %}
{% if told %}
<h2>In three questions</h2>
{% for line in told %}<p>{{ line|cut(300) }}</p>{% endfor %}
{% if tree %}
<ul class="tree">{% for line in tree recursive %}
<li>{{ line.when|cut(120) }}{% if line.said %}: <b>{{ line.said|cut(60) }}</b>{% endif %} \
<span class="soft">{{ line.share|percent }} of rows</span>\
{% if line.below %}<ul>{{ loop(line.below) }}</ul>{% endif %}</li>{% endfor %}
</ul>
<p class="key">A tree that imitates the model, grown on {{ found.rows|number }} held-out rows: what stands behind a\
 colon is what the model says there on average. It is no model of its own, and is not used to predict.</p>
{% endif %}
{% elif found.why_not %}
<h2>In three questions</h2>
<p class="soft">Not shown: {{ found.why_not|cut(200) }}.</p>
{% endif %}
"""

STYLE = """
.tree, .tree ul { list-style: none; padding-left: 0; } .tree ul { padding-left: 1.1rem; margin: 0;\
 border-left: 2px solid var(--line); } .tree li { margin: .3rem 0; }
"""

SECTION = Section(
    name="surrogate",
    title="In three questions",
    holds=SurrogateKeys,
    gather=gather,
    page=PAGE,
    shown=shown,
    style=STYLE,
)
