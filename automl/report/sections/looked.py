"""Held-out files with where the model looked at them: images, sounds and texts.

The pictures are files beside report.json that it names; they go into the page itself, so that it stays one file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from automl.report import words
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs

FOLDER = "pictures"  # in the run folder
LOOKS = {
    "image": ("Images", ""),
    "audio": ("Sounds", "sounds"),
    "text": ("Texts", "texts"),
}  # kind -> what they are called, and their layout
MOST_SHOWN = 24
MOST_WORDS, LEAST_WEIGHT = 120, 0.1  # of a text that are drawn; marked from this weight on
LARGEST = 200_000  # bytes of a picture that goes into the page
PICTURES = 1_200_000  # characters of all of them there: the page stays under 2 MB
NAME = re.compile(r"[a-z0-9-]{1,40}\.(png|jpg)")  # no path leads out of the folder
MIME = {"png": "image/png", "jpg": "image/jpeg"}


class SampleJson(TypedDict, total=False):
    """A held-out image, sound or text; pictures are names of files in the run's folder `pictures`."""

    name: str  # of its file, or its row
    kind: str  # "wrong" | "unsure" | "right"
    picture: str | None  # as the model sees it: pixels, or a spectrogram
    heat: str | None  # the same with what the answer rests on; null where that is not known
    answer: Any
    prediction: Any
    probability: float | None  # of the prediction; null where answers are numbers
    answer_probability: float | None
    seconds: float | None  # of a sound; null for images
    words: list[Any]  # of a text: pairs of a word and what it weighs, -1 .. 1


class SamplesJson(TypedDict, total=False):
    """What the chosen model makes of some held-out images, sounds or texts; null for tables."""

    kind: str  # "image" | "audio" | "text"
    files: list[SampleJson]  # what is surest and wrong comes first
    explained: str | None  # how it was found where the model looked; null where it was not
    notes: list[str]  # what could not be done, and why


class LookedKeys(TypedDict, total=False):
    """The keys of this section."""

    samples: SamplesJson | None


def gather(inputs: ReportInputs) -> LookedKeys:
    """What gather/examples.py found."""
    return {"samples": cast("SamplesJson | None", inputs.samples)}


def shown(report: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """The cards."""
    called, layout = LOOKS.get(str(words.part(report, "samples", "kind")), ("Files", ""))
    files = cards(report, None if folder is None else folder / FOLDER)
    return {"cards": files, "called": called, "layout": layout}


@dataclass(frozen=True)
class Word:
    """A word of a text."""

    text: str
    weight: float  # its size, 0 .. 1
    kind: str  # "for" | "against" | ""


@dataclass(frozen=True)
class Card:
    """An example."""

    name: str
    kind: str
    told: str
    length: str
    picture: str  # a data URI; empty where there is no file
    heat: str
    words: tuple[Word, ...] = ()


def cards(report: Mapping[str, Any], folder: Path | None) -> list[Card]:
    """The examples of a report with their pictures out of this folder."""
    files = words.part(report, "samples", "files")
    found, left = [], PICTURES
    for one in (files if isinstance(files, list) else [])[:MOST_SHOWN]:
        card = _card(one, folder)
        left -= len(card.picture) + len(card.heat)
        found.append(card if left >= 0 else replace(card, picture="", heat=""))
    return found


def _card(one: Any, folder: Path | None) -> Card:
    kind = words.part(one, "kind")
    seconds = words.finite(words.part(one, "seconds"))
    return Card(
        words.short(words.part(one, "name"), 60),
        kind if kind in ("wrong", "unsure", "right") else "",
        _said(one),
        "" if seconds is None else words.seconds(seconds),
        _data_uri(words.part(one, "picture"), folder),
        _data_uri(words.part(one, "heat"), folder),
        _words(words.part(one, "words")),
    )


def _words(pairs: Any) -> tuple[Word, ...]:
    """The words of a text, those that weigh something marked."""
    found = []
    for pair in (pairs if isinstance(pairs, list) else [])[:MOST_WORDS]:
        if not isinstance(pair, list) or len(pair) != 2:
            continue
        weight = max(-1.0, min(1.0, words.finite(pair[1]) or 0.0))
        kind = "" if abs(weight) < LEAST_WEIGHT else "for" if weight > 0 else "against"
        found.append(Word(words.short(pair[0], 40), abs(weight), kind))
    return tuple(found)


def _said(one: Any) -> str:
    """Prediction and answer in one sentence."""
    said, answer = (_value(words.part(one, name)) for name in ("prediction", "answer"))
    sure = words.finite(words.part(one, "probability"))
    others = words.finite(words.part(one, "answer_probability"))
    told = "" if sure is None else f", {words.percent(sure)} sure"
    if said == answer:
        return f"{said}, rightly{told}"
    left = "" if others is None else f" ({words.percent(others)})"
    return f"said {said}{told}; it is {answer}{left}"


def _value(value: Any) -> str:
    return words.number(value) if isinstance(value, float) else words.short(value, 40)


def _data_uri(name: Any, folder: Path | None) -> str:
    """The file as part of the page; nothing where there is none, or none that belongs there."""
    if folder is None or not isinstance(name, str) or not (found := NAME.fullmatch(name)):
        return ""
    try:
        content = (folder / name).read_bytes()
    except OSError:  # a report that was copied without its pictures
        return ""
    if len(content) > LARGEST:
        return ""
    return f"data:{MIME[found[1]]};base64,{base64.b64encode(content).decode('ascii')}"


PAGE = """
{% if cards %}
<h2>{{ called }} to look at</h2>
<p class="soft">Held out while learning; what is surest and wrong comes first.\
{% if report.samples.explained %}{% if layout != "texts" %} Left what the model is given, right where it looked.\
{% endif %} {{ report.samples.explained|cut(300) }}.{% endif %}</p>
<div class="cards {{ layout }}">{% for card in cards %}
<figure class="{{ card.kind }}">
{% if card.picture or card.heat %}<div class="pair">\
{% if card.picture %}<img src="{{ card.picture }}" alt="{{ card.name }}">{% endif %}\
{% if card.heat %}<img src="{{ card.heat }}" alt="where the model looked in {{ card.name }}">{% endif %}\
</div>{% endif %}
{% if card.words %}<p class="said">{% for word in card.words %}{% if word.kind %}\
<span class="{{ word.kind }}" style="--s:{{ "%.2f"|format(word.weight) }}">{{ word.text }}</span>\
{% else %}{{ word.text }}{% endif %} {% endfor %}</p>{% endif %}
<figcaption>\
{% if card.kind %}<span class="tag {{ "lost" if card.kind == "wrong" else "warning" if card.kind == "unsure" }}">\
{{ "least sure" if card.kind == "unsure" else card.kind }}</span>{% endif %} {{ card.told|cut(120) }}<br>\
<span class="soft">{{ card.name|cut(32) }}{% if card.length %} · {{ card.length }}{% endif %}</span></figcaption>
</figure>{% endfor %}
</div>
{% for note in (report.samples.notes|each)[:10] %}<p class="soft outcome">{{ note|cut(300) }}.</p>{% endfor %}
{% endif %}
"""

STYLE = """
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem .9rem;\
 margin: .8rem 0; }
.cards figure { margin: 0; border-top: 3px solid var(--line); padding-top: .4rem; min-width: 0; }
.cards .wrong { border-color: var(--orange); } .cards .unsure { border-color: var(--amber); }\
 .cards .right { border-color: var(--blue); }
.pair { display: flex; gap: 3px; } .pair img { flex: 1 1 0; min-width: 0; width: 50%; max-width: 140px; height: auto;\
 object-fit: contain; image-rendering: pixelated; }
.texts { grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); } .cards .said { font-size: .9rem;\
 line-height: 1.6; overflow-wrap: anywhere; margin: .2rem 0; }
.said span { border-radius: 2px; padding: 0 .1em; }
.said .for { background: rgba(10, 92, 158, calc(.08 + .42 * var(--s))); }
.said .against { background: rgba(200, 88, 0, calc(.08 + .42 * var(--s))); }
.sounds .pair img { max-width: none; } figcaption { font-size: .875rem; margin-top: .3rem; line-height: 1.4; }
"""

SECTION = Section(name="looked", title="Examples", holds=LookedKeys, gather=gather, page=PAGE, shown=shown, style=STYLE)
