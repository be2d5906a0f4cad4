"""Whether a run goes on from weights that were trained before, and what that costs: the third route's evidence.

Weights are those that the user names, else what is on the machine for the kinds of data that there are. Every file is
read by the network once, at the largest size of picture that the time allows. Where even the smallest takes too large a
share of the budget, or where there is no time to train the network further, the decision says so. These prices are
guesses: what is asked for by name is tried.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import search_spaces
from automl.decision import evidence
from automl.decision.evidence import LineErrors
from automl.errors import AutomlError, OptionError
from automl.modalities import encoders, mixture
from automl.modalities.encoders import kept, packages
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import Report, embed, forget
from automl.modalities.files import cache
from automl.options import AUTO, Options
from automl.records import Dataset, Decoded
from automl.runtime.durable import write_whole
from search_spaces.spec import Family, MediaKind

EMBED_SHARE = 0.35  # of the seconds left that reading all files once may take
TEXT_SHARE = 0.6  # the same where there is nothing but texts: a line on these numbers is level with counted words
ASKED_SHARE = 0.8  # the same where the user asks for what goes on from them: the rest holds a model of numbers
DOUBTED_SHARE = 0.1  # the same where our own numbers tell more of the answers
LOOK_SHARE, FEWEST_ASKED = 0.05, 60  # of the seconds left for asking that of some rows, and how few are too few
EXACT_COST = 1.7  # times what a row took to learn from, which may have been rounded
RIVALLED = ("image", "audio")  # kinds that we describe well ourselves; of texts only words are counted
MOST_TRIED = 1.5  # times that share, for all sizes that are begun: where one takes longer than it seemed, a smaller one
LEAST_S = 2.0  # that may be taken however little is left
TRAIN_COST = 3.0  # a row learned from, relative to a row read
LEAST_EPOCHS, TUNE_SHARE = 3, 0.6  # fewer passes over the rows, in that share of the time left, would tune nothing
SMALL_PX, MOST_OF_SMALL_PX = 48, 192  # small pictures have nothing that a larger view than this would show
GROWTH = 2.5  # power of the side by which a row's time grows; measured 64 to 128 px 2.5, 64 to 192 px 2.4
NUMBERS, SECONDS = "embedded.npy", "row_s"  # in the folder of decoded files


@dataclass(frozen=True)
class Transfer:
    """What became of it. Without encoders nothing goes on from anything."""

    encoders: Mapping[MediaKind, Checkpoint] = field(default_factory=dict)  # by what they read
    told: str = ""  # what is read and how, or why nothing takes part
    why_not_tuned: str = ""  # where they stay as they are
    advice: str = ""  # what to install, where nothing was found
    leads: bool = True  # what is read tells more of the answers than our own numbers do, as far as that was asked
    row_s: float = 0.0  # what a row takes, read exactly, as predictions are


NO_WEIGHTS = Transfer(told="weights=None was given")


@dataclass(frozen=True)
class _Looked:
    """What became of one kind of data."""

    encoder: Checkpoint | None
    told: str
    said: Mapping[str, np.ndarray | None] = field(default_factory=dict)  # by column
    why_not_tuned: str = ""
    is_slow: bool = False
    leads: bool = True
    row_s: float = 0.0  # as it was read


def find(options: Options, earlier: Path | None) -> dict[MediaKind, Checkpoint]:
    """The network that the options name; of an earlier run those that it kept."""
    if earlier is not None:
        return kept.read(earlier)
    if options.weights in (None, AUTO):
        return {}
    named = encoders.read(str(options.weights))
    return {named.media: named}


def is_wanted(dataset: Dataset, found: Mapping[MediaKind, Checkpoint], options: Options, *, goes_on: bool) -> bool:
    """Whether there is something to look for, or to refuse."""
    return bool(found) or (not goes_on and options.weights is not None and bool(_kinds(dataset)))


def take_over(
    dataset: Dataset,
    found: Mapping[MediaKind, Checkpoint],
    options: Options,
    left_s: float,
    report: Report | None = None,
    *,
    goes_on: bool = False,
) -> tuple[Dataset, Transfer]:
    """The data set with what networks say of each file; or as it was, where there are none or that takes too long.

    `found`: what was named or kept; for other kinds of data what is on the machine is looked for, but not where a run
    `goes_on`: what it did without at first it does without to the end.
    """
    kinds, misfits = _kinds(dataset), [one for media, one in found.items() if media not in _kinds(dataset)]
    if misfits:
        raise OptionError(
            f"weights={options.weights!r} read {_called(misfits[0].media)}, but the data is "
            f"{' and '.join(kinds) or 'table'}. Give weights for such data, or leave them out."
        )
    wanted = list(found) if goes_on else kinds
    given = _Asked(dataset, options, left_s / max(1, len(kinds)), report)
    try:
        looked = {media: _look(given, media, found.get(media)) for media in wanted}
    finally:
        forget()  # this process reads no more, and memory is for those that train
    taken = {media: one for media, one in looked.items() if one.encoder is not None}
    told = "; ".join(one.told for one in looked.values())
    if not taken:
        if options.route == "hybrid" and any(one.is_slow for one in looked.values()):
            raise OptionError(f"route='hybrid' cannot be taken: {told}.")
        return dataset, Transfer(told=told, advice=_advice([m for m, one in looked.items() if not one.is_slow]))
    decoded = dict(dataset.decoded)
    for one in taken.values():
        for name, numbers in one.said.items():
            assert one.encoder is not None
            decoded[name] = _with(decoded[name], one.encoder, numbers)
    reasons = [one.why_not_tuned for one in taken.values()]
    known = {media: one.encoder for media, one in taken.items() if one.encoder is not None}
    leads = all(one.leads for one in taken.values())
    row_s = EXACT_COST * sum(one.row_s for one in taken.values())
    why_not = reasons[0] if all(reasons) else ""
    return replace(dataset, decoded=decoded), Transfer(known, told, why_not, leads=leads, row_s=row_s)


@dataclass(frozen=True)
class _Asked:
    """The data, what is asked of it, and how many seconds are left for one kind of it."""

    dataset: Dataset
    options: Options
    left_s: float
    report: Report | None

    @property
    def is_read(self) -> bool:
        """Whether models of numbers take part: networks do not ask for what an encoder says."""
        families = {family.route for family in _named(self.options)}
        return self.options.route != "neural" and families != {"neural"}

    @property
    def is_asked_for(self) -> bool:
        """Whether more than weights was given: the route or a family that goes on from them."""
        return self.options.route == "hybrid" or any(family.goes_on for family in _named(self.options))

    def share(self, media: MediaKind) -> float:
        """Of the seconds left that reading may take."""
        is_alone = media not in RIVALLED and len(self.columns(media)) == self.dataset.frame.shape[1]
        usual = TEXT_SHARE if is_alone else EMBED_SHARE
        return ASKED_SHARE if self.is_asked_for else usual

    def columns(self, media: MediaKind) -> list[str]:
        """The columns of a kind."""
        return [name for name, one in self.dataset.decoded.items() if one.codec.kind == media]


def _look(asked: _Asked, media: MediaKind, given: Checkpoint | None) -> _Looked:
    """Weights for one kind of data, and what they say of it."""
    troubles = []
    encoder = given
    if encoder is None:
        for one in _on_this_machine(media):
            if isinstance(one, Checkpoint):
                encoder = one
                break
            troubles.append(one)
    if encoder is None:
        return _Looked(None, "; ".join([f"no pretrained weights for {_called(media)} are on this machine", *troubles]))
    return _taken(asked, media, encoder, is_fixed=given is not None and "@" in given.key)


def _on_this_machine(media: MediaKind) -> Iterator[Checkpoint | str]:
    """Weights that are here, the best first; in place of what cannot be read the reason."""
    for place in encoders.places(media):
        try:
            yield encoders.read(place)
        except AutomlError as problem:
            yield str(problem)


def _taken(asked: _Asked, media: MediaKind, encoder: Checkpoint, *, is_fixed: bool) -> _Looked:
    """What a network says of all columns of its kind; `is_fixed`: its size was chosen by an earlier driver."""
    columns, rows = asked.columns(media), len(asked.dataset)
    files, left_s = f"{rows * len(columns):,} {_called(media)}", asked.left_s
    sides = [] if is_fixed else _sides(encoder, [asked.dataset.decoded[name] for name in columns])
    sizes = [encoder.at(side) for side in sides] or [encoder]
    is_timed = left_s < math.inf
    least_s = _numbers(asked, columns[0], sizes[0], 0.0)[1] * len(columns) if is_timed else 0.0  # for a row
    told = _evidence(asked, columns[0], sizes, least_s) if asked.is_read and not is_fixed else None
    share = asked.share(media) if told is None or told.leads or asked.is_asked_for else DOUBTED_SHARE
    limit_s = max(LEAST_S, share * left_s) if asked.is_read else 0.0
    tried, said, began = sizes[0], dict[str, tuple[np.ndarray | None, float]](), time.monotonic()
    for tried in _by_size(asked, columns[0], sizes, (least_s, limit_s)) if asked.is_read else ():
        room_s = min(limit_s, max(0.0, MOST_TRIED * limit_s - (time.monotonic() - began)))
        said = {name: _numbers(asked, name, tried, room_s / len(columns)) for name in columns}
        if all(numbers is not None for numbers, _ in said.values()):
            break
    is_late = any(numbers is None for numbers, _ in said.values())
    if is_late:
        took_s = sum(row_s for _, row_s in said.values()) * rows
        why = (
            f"to read {files} once with {tried} takes about {took_s:,.0f} s, more than {share:.0%} of the "
            f"{max(0.0, left_s):,.0f} s left; give more time, or smaller weights"
        )
        return _Looked(None, why, is_slow=True)
    is_short = least_s * rows * TRAIN_COST * LEAST_EPOCHS > max(LEAST_S, TUNE_SHARE * left_s)
    why_not = f"not even {LEAST_EPOCHS} passes over {files} with {tried} fit into the time" if is_short else ""
    at = f" at {tried.facts['sides'][0]} px" if sides else ""
    made = f"{tried}{at} makes {tried.width} numbers of each of {files}" + (f"; {told}" if told else "")
    numbers = {name: said[name][0] if name in said else None for name in columns}
    row_s = sum(took_s for _, took_s in said.values())
    return _Looked(tried, made, numbers, why_not, leads=told is None or told.leads, row_s=row_s)


def _evidence(asked: _Asked, column: str, sizes: list[Checkpoint], row_s: float) -> LineErrors | None:
    """What the network knows of the answers to some rows, beside what our own numbers know; None: no time to ask."""
    dataset, room_s = asked.dataset, LOOK_SHARE * asked.left_s
    if dataset.target is None or dataset.decoded[column].codec.kind not in RIVALLED:
        return None
    rows = evidence.sample(len(dataset), asked.options.seed)
    if row_s > 0:
        rows = rows[: int(min(len(rows), room_s / row_s))]
    if len(rows) < FEWEST_ASKED:
        return None
    able = [one for one in sizes if _growth(one, sizes[0]) * row_s * len(rows) <= room_s]
    some = dataset.decoded[column].take(rows)
    said = embed(some.block, able[-1] if able else sizes[0], is_exact=False).numbers
    assert said is not None  # there is no limit
    return evidence.weigh(dataset.target.iloc[rows], {"own": some.codec.describe(some.block), "said": said})


def _sides(encoder: Checkpoint, columns: list[Decoded]) -> list[int]:
    """Sides of pictures that are worth asking about, rising; none where the encoder has its own."""
    longest = max(max(one.block.store.shape[1:3], default=0) for one in columns)
    most = MOST_OF_SMALL_PX if longest <= SMALL_PX else max(encoder.sides, default=0)
    return [side for side in encoder.sides if side <= most]


def _growth(one: Checkpoint, least: Checkpoint) -> float:
    """How many times longer a row takes than with the smallest pictures, by experience."""
    if one is least:
        return 1.0
    return float((one.facts["sides"][0] / least.facts["sides"][0]) ** GROWTH)


def _by_size(asked: _Asked, column: str, sizes: list[Checkpoint], seconds: tuple[float, float]) -> Iterator[Checkpoint]:
    """The encoder for the largest pictures whose reading fits into the time, as predicted; then for smaller ones.

    `seconds`: that the smallest take for a row, and that there are for all.
    """
    least_s, limit_s = seconds
    for one in reversed(sizes):
        fits = least_s * len(asked.dataset) * _growth(one, sizes[0]) <= limit_s
        if fits or one is sizes[0] or _is_known(asked, column, one):
            yield one


def _with(one: Decoded, encoder: Checkpoint, numbers: np.ndarray | None) -> Decoded:
    """A column whose networks can go on from the encoder; with what it says of each row, where it was asked."""
    one = replace(one, block=replace(one.block, encoder=encoder))
    if numbers is None:
        return one
    beside = np.hstack([one.codec.describe(one.block), numbers])
    return replace(mixture.described_by(one, encoder), numbers=beside)


def _kinds(dataset: Dataset) -> list[MediaKind]:
    """Of the decoded columns, those kinds that networks were trained on before."""
    read = {kind for family in search_spaces.all_families() if family.goes_on for kind in family.reads}
    return [kind for kind in dict.fromkeys(one.codec.kind for one in dataset.decoded.values()) if kind in read]


def _called(media: MediaKind) -> str:
    return "texts" if media == "text" else f"{media} files"


def _advice(kinds: list[MediaKind]) -> str:
    """The one command that brings weights for such data, and what they are."""
    advised = [one for media in kinds if (one := packages.advised(media, encoders.names())) is not None]
    if not advised:
        return ""
    if len(advised) == 1:
        one = advised[0]
        return f"{one.command} brings {one.name} ({one.mb} MB, {one.licence}): {one.knows}"
    extras = ",".join(str(one.extra) for one in advised)
    return f"pip install 'automl-frontier[{extras}]' brings {' and '.join(one.name for one in advised)}"


def _named(options: Options) -> list[Family]:
    """The families that the user names; unknown ones are told elsewhere."""
    known = search_spaces.names()
    return [search_spaces.get(name) for name in options.families if name in known and name not in options.exclude]


# --- what was said before --------------------------------------------------------------------------------------------


def _place(asked: _Asked, column: str, encoder: Checkpoint) -> Path | None:
    """Where what is said of a column's files is kept."""
    one = asked.dataset.decoded[column]
    how = {**one.codec.as_json(), "read_by": encoder.key}
    if one.block.store.dtype == object:
        return cache.place_of_texts(one.block.values().tolist(), how)
    return cache.place_for(asked.dataset.frame[column].tolist(), how)


def _is_known(asked: _Asked, column: str, encoder: Checkpoint) -> bool:
    place = _place(asked, column, encoder)
    return place is not None and (place / SECONDS).is_file()


def _numbers(asked: _Asked, column: str, encoder: Checkpoint, limit_s: float) -> tuple[np.ndarray | None, float]:
    """What the network says of a column, remembered from an earlier run if there was one, and seconds for a row."""
    place = _place(asked, column, encoder)
    if place is not None and (place / SECONDS).is_file():
        cache.touch(place)
        with suppress(OSError, ValueError, EOFError):  # cut off: it is asked anew
            return np.load(place / NUMBERS), float((place / SECONDS).read_text())
    found = embed(asked.dataset.decoded[column].block, encoder, limit_s, asked.report, is_exact=False)
    if found.numbers is not None and place is not None:
        cache.make_room()
        place.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, found.numbers)
        write_whole(place / NUMBERS, content.getvalue())
        write_whole(place / SECONDS, repr(found.row_s).encode())  # the last: all else is there
    return found.numbers, found.row_s
