"""Whether a run goes on from weights that were trained before, and what that costs: the third route's evidence.

Every file is read by the network once. Where even that takes too large a share of the budget, or where there is no
time to train the network further, the decision says so. These prices are guesses: what is asked for by name is tried.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import search_spaces
from automl.errors import OptionError
from automl.modalities import encoders, mixture
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import Report, embed
from automl.modalities.files import cache
from automl.options import Options
from automl.records import Dataset, Decoded
from automl.runtime.folder import write_whole
from search_spaces.spec import Family

EMBED_SHARE = 0.35  # of the seconds left that reading all files once may take
ASKED_SHARE = 0.8  # the same where the user asks for what goes on from them: the rest holds a model of numbers
LEAST_S = 2.0  # that may be taken however little is left
TRAIN_COST = 3.0  # a row learned from, relative to a row read
LEAST_EPOCHS, TUNE_SHARE = 3, 0.6  # fewer passes over the rows, in that share of the time left, would tune nothing
FACTS, WEIGHTS = "encoder/encoder.json", "encoder/weights.safetensors"  # in run folders and saved models
NUMBERS, SECONDS = "embedded.npy", "row_s"  # in the folder of decoded files


@dataclass(frozen=True)
class Transfer:
    """What became of it. Without an encoder nothing goes on from anything."""

    encoder: Checkpoint | None = None
    told: str = ""  # what it reads and how fast, or why it does not take part
    why_not_tuned: str = ""  # where it stays as it is


NO_WEIGHTS = Transfer(told="no pretrained weights were given")


def find(options: Options, earlier: Path | None) -> Checkpoint | None:
    """The network that the options name; of an earlier run the one it kept."""
    if earlier is not None:
        return kept_in(earlier)
    if options.weights is None:
        return None
    return encoders.read(options.weights)


def kept_in(folder: Path) -> Checkpoint | None:
    """The network that a run folder or a saved model holds; None where there is none."""
    if not (folder / FACTS).is_file():
        return None
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return encoders.from_json(facts, np.fromfile(folder / WEIGHTS, dtype=np.uint8))


def keep_in(folder: Path, encoder: Checkpoint) -> None:
    """Write it there, whole."""
    (folder / FACTS).parent.mkdir(exist_ok=True)
    write_whole(folder / WEIGHTS, bytes(encoder.weights if encoder.weights is not None else b""))
    write_whole(folder / FACTS, json.dumps(encoder.as_json()).encode())


def take_over(
    dataset: Dataset, encoder: Checkpoint, options: Options, left_s: float, report: Report | None = None
) -> tuple[Dataset, Transfer]:
    """The data set with what the network says of each file; or as it was, where that takes too long."""
    mine = {name: one for name, one in dataset.decoded.items() if one.codec.kind == encoder.media}
    if not mine:
        raise OptionError(
            f"weights={options.weights!r} read {encoder.media} files, but the data is {_kinds(dataset)}. "
            "Give weights for such data, or leave them out."
        )
    files, is_read = f"{len(dataset) * len(mine):,} {encoder.media} files", _is_read(options)
    share = ASKED_SHARE if _is_asked_for(options) else EMBED_SHARE
    limit_s = max(LEAST_S, share * left_s) / len(mine) if is_read else 0.0
    said = {name: _numbers(dataset, name, encoder, limit_s, report) for name in mine}
    whole_s = sum(row_s for _, row_s in said.values()) * len(dataset)
    is_late = any(numbers is None for numbers, _ in said.values())
    if is_late and is_read:
        told = (
            f"to read {files} once with {encoder} takes about {whole_s:,.0f} s, more than {share:.0%} of the "
            f"{max(0.0, left_s):,.0f} s left; give more time, or smaller weights"
        )
        if options.route == "hybrid":
            raise OptionError(f"route='hybrid' cannot be taken: {told}.")
        return dataset, Transfer(told=told)
    is_short = whole_s * TRAIN_COST * LEAST_EPOCHS > max(LEAST_S, TUNE_SHARE * left_s)
    why_not = f"not even {LEAST_EPOCHS} passes over {files} with {encoder} fit into the time" if is_short else ""
    taken = {name: _with(one, encoder, said[name][0] if is_read else None) for name, one in mine.items()}
    told = f"{encoder} makes {encoder.width} numbers of each of {files}"
    return replace(dataset, decoded={**dataset.decoded, **taken}), Transfer(encoder, told, why_not)


def _with(one: Decoded, encoder: Checkpoint, numbers: np.ndarray | None) -> Decoded:
    """A column whose networks can go on from the encoder; with what it says of each row, where it was asked."""
    one = replace(one, block=replace(one.block, encoder=encoder))
    if numbers is None:
        return one
    beside = np.hstack([one.codec.describe(one.block), numbers])
    return replace(mixture.described_by(one, encoder), numbers=beside)


def _kinds(dataset: Dataset) -> str:
    return " and ".join(dict.fromkeys(one.codec.kind for one in dataset.decoded.values())) or "table"


def _named(options: Options) -> list[Family]:
    """The families that the user names; unknown ones are told elsewhere."""
    known = search_spaces.names()
    return [search_spaces.get(name) for name in options.families if name in known and name not in options.exclude]


def _is_asked_for(options: Options) -> bool:
    """Whether more than weights was given: the route or a family that goes on from them."""
    return options.route == "hybrid" or any(family.goes_on for family in _named(options))


def _is_read(options: Options) -> bool:
    """Whether models of numbers take part: networks do not ask for what it says."""
    return options.route != "neural" and {family.route for family in _named(options)} != {"neural"}


def _numbers(
    dataset: Dataset, column: str, encoder: Checkpoint, limit_s: float, report: Report | None
) -> tuple[np.ndarray | None, float]:
    """What the network says of a column, remembered from an earlier run if there was one, and seconds for a row."""
    one = dataset.decoded[column]
    place = cache.place_for(dataset.frame[column].tolist(), {**one.codec.as_json(), "read_by": encoder.key})
    if place is not None and (place / SECONDS).is_file():
        cache.touch(place)
        return np.load(place / NUMBERS), float((place / SECONDS).read_text())
    found = embed(one.block, encoder, limit_s, report)
    if found.numbers is not None and place is not None:
        cache.make_room()
        place.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, found.numbers)
        write_whole(place / NUMBERS, content.getvalue())
        write_whole(place / SECONDS, repr(found.row_s).encode())  # the last: all else is there
    return found.numbers, found.row_s
