"""All kinds of data behind one face: what a stage asks about the kind of data, it asks here.

The surest claim wins a column; a row that any part cannot decode is dropped; copies must agree in all parts; findings
are joined; the prior weighs the table's own columns and the decoded ones; every rule is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from automl import modalities
from automl.errors import InputError
from automl.messages import shown
from automl.modalities.features import (
    FoldFeatures,
    bend_of,
    learn_features,
    load_features,
    made_by,
    useful,
    width,
    without,
)
from automl.modalities.files.cells import carried, kind_of_cells, placed, plain, weight_mb
from automl.modalities.files.folder import read_folder
from automl.modalities.files.texts import read_texts
from automl.modalities.protocol import Claim, FoldTraining, Pass, Prior, Raw, Reading, Report, Shown
from automl.modalities.schema import WORDED, Schema, claims_of, learn_schema, schema_from_json
from automl.modalities.table import audit as table
from automl.modalities.table.facts import facts
from automl.modalities.table.kinds import describe
from automl.modalities.table.recipes import PLAIN
from automl.modalities.table.repeats import Repeats, Way, judge
from automl.modalities.text.claims import claim_alone
from automl.options import Options
from automl.records import Codec, Column, Dataset, Decoded, Finding, Profile
from automl.records.choice import Rule
from search_spaces.spec import Media
from search_spaces.text.terms import MOST_CHARACTERS

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.protocol import Drawing

__all__ = [
    "NO_COPIES", "PLAIN", "FoldFeatures", "FoldTraining", "Prior", "Raw", "Report", "Schema", "Shown", "audit",
    "bend_of", "claims", "claims_of", "columns", "contents", "copies", "drawn", "facts", "findings", "kind_of",
    "learn_features", "learn_schema", "load_features", "made_by", "place", "portions", "prior", "read", "read_folder",
    "schema_from_json", "show", "unexplained", "useful", "width", "without", "worded",
]  # fmt: skip


NO_COPIES = Repeats(None)
LEAST_KEPT = 0.5  # of the rows in which all columns can be decoded; with fewer something else is wrong


# --- the way in ------------------------------------------------------------------------------------------------------


def claims(frame: pd.DataFrame, names: Sequence[str], base: Path | None) -> tuple[dict[str, str], list[str]]:
    """The columns among these that have to be decoded, and as what; and a note for each that only looked like it."""
    found: dict[str, str] = {}
    notes: list[str] = []
    for name in names:
        if frame[name].dtype.kind in "iufbcMm":
            continue
        said = {kind.name: kind.claim(frame[name], base) for kind in modalities.all_decoding()}
        sure = {kind: claim for kind, claim in said.items() if isinstance(claim, Claim)}
        if sure:
            found[name] = max(sure, key=lambda kind: sure[kind].sureness)
        elif names == [name] and claim_alone(frame[name]) is not None:
            found[name] = "text"
        if name not in found or not modalities.decoding(found[name]).is_of_files:
            notes += [f"column {shown(name)}: {one.why}" for one in said.values() if isinstance(one, Pass)]
    return found, notes


def contents(kind: str, files: Sequence[str]) -> tuple[list[str], list[str]]:
    """The cells of a column of files, as those are: names where a kind is of files, else what they say; and notes."""
    return (list(files), []) if modalities.decoding(kind).is_of_files else read_texts(files)


def place(frame: pd.DataFrame, claimed: Mapping[str, str], base: Path | None) -> pd.DataFrame:
    """The frame with the cells of claimed columns as decoders take them, names of files completed by their folder."""
    import pandas as pd

    made = frame.copy(deep=False)
    for name, kind in claimed.items():
        if name in made.columns:
            cells = np.empty(len(made), dtype=object)
            is_of_files = modalities.decoding(kind).is_of_files
            cells[:] = [placed(cell, base) if is_of_files else _short(cell) for cell in frame[name].tolist()]
            made[name] = pd.Series(cells, index=made.index, dtype=object)
    return made


def _short(cell: Any) -> Any:
    """A plain cell, of an endless text the part that is read."""
    cell = plain(cell)
    return cell[:MOST_CHARACTERS] if isinstance(cell, str) else cell


def portions(frame: pd.DataFrame, claimed: Mapping[str, str], most_mb: float) -> Iterator[pd.DataFrame]:
    """The frame in parts of about so many megabytes, with the files that its cells name read into them.

    For workers that do not see the disk on which the files lie.
    """
    import pandas as pd

    named = [name for name, kind in claimed.items() if name in frame and modalities.decoding(kind).is_of_files]
    each = np.array([sum(weight_mb(frame[name].iloc[at]) for name in named) for at in range(len(frame))])
    part = (np.cumsum(each) // most_mb).astype(np.int64)
    for at in np.unique(part):
        some = frame[part == at].copy(deep=False)
        for name in named:
            cells = np.empty(len(some), dtype=object)
            cells[:] = [carried(cell) for cell in some[name].tolist()]
            some[name] = pd.Series(cells, index=some.index, dtype=object)
        yield some


def kind_of(data: Any) -> str | None:
    """What an array or a list holds, where its items have to be decoded."""
    import pandas as pd

    kind = kind_of_cells(data)
    if kind is not None or not isinstance(data, list) or not data or isinstance(data[0], dict | list):
        return kind
    cells = np.empty(len(data), dtype=object)
    cells[:] = data
    found, _ = claims(pd.DataFrame({"data": cells}), ["data"], None)
    return found.get("data")


@dataclass(frozen=True)
class TakenColumns:
    """The decoded columns, and the rows in which all of them could be decoded."""

    decoded: Mapping[str, Decoded]
    kept: np.ndarray  # bool per row


def read(
    frame: pd.DataFrame, claimed: Mapping[str, str], answers: pd.Series, report: Report | None = None
) -> TakenColumns:
    """Decode every claimed column once."""
    labels, rows = answers.to_numpy(), len(frame)
    kept = np.ones(rows, dtype=bool)
    taken = {}
    for name, kind in claimed.items():
        own = modalities.decoding(kind).read(Reading(name, frame[name].tolist(), labels, report))
        taken[name] = own
        kept &= own.kept
    if kept.mean() < LEAST_KEPT:
        raise InputError(
            f"only {kept.sum():,} of {rows:,} rows are left in which {', '.join(map(shown, claimed))} can all be read. "
            "Mend the files, or leave out the column that most rows lack."
        )
    decoded = {name: own.decoded.take(np.flatnonzero(kept[own.kept])) for name, own in taken.items()}
    return TakenColumns(decoded, kept)


# --- what is said of it ----------------------------------------------------------------------------------------------


def columns(dataset: Dataset, group_column: str | None) -> tuple[Column, ...]:
    """Every column: those that were decoded first, then the table's."""
    told = [
        modalities.decoding(one.codec.kind).profile(one, dataset.frame[name]) for name, one in dataset.decoded.items()
    ]
    rest = dataset.frame.drop(columns=list(dataset.decoded)) if dataset.decoded else dataset.frame
    return (*told, *describe(rest, group_column, is_all=not dataset.decoded))


def findings(dataset: Dataset) -> list[Finding]:
    """What was odd about decoded columns, each named where there are several.

    Files that are alike and have different answers contradict each other only where nothing else can tell them apart.
    """
    is_alone = dataset.frame.shape[1] == 1
    return [
        finding if len(dataset.decoded) == 1 else replace(finding, column=name)
        for name, one in dataset.decoded.items()
        for finding in one.findings
        if is_alone or finding.code != "contradictions"
    ]


def audit(dataset: Dataset, profile: Profile, y: np.ndarray, options: Options) -> tuple[int, tuple[Finding, ...]]:
    """Rows that repeat an earlier one, and everything odd, the gravest first."""
    ids = None
    if dataset.decoded:
        twins = alike(dataset)
        ids = np.arange(len(dataset)) if twins is None else twins
    found = table.survey(dataset.frame, profile.columns, y, profile.task, ids)
    duplicates = table.repeats(found.rows)
    told = table.inspect(dataset, replace(profile, duplicates=duplicates), y, found, options)
    return duplicates, table.ordered([*findings(dataset), *told])


def prior(profile: Profile, gpus: int = 0) -> Prior:
    """What to expect of this data: of the decoded columns that take longest, of a table, or of both together."""
    told = {kind: modalities.get(kind).prior(profile, gpus) for kind in profile.decoded}
    of_table, found = modalities.get("table").prior(profile, gpus), [one for one in told.values() if one is not None]
    assert of_table is not None
    if not found:
        return of_table
    of_blocks = next((one for one in found if one.is_coursed), found[0])
    seen = sum(column.kind in told and told[column.kind] is not None for column in profile.columns)
    own = len(profile.used) - seen
    return _weighed(of_table, of_blocks, (own, seen), profile.modality) if own else of_blocks


def _weighed(of_table: Prior, of_blocks: Prior, columns: tuple[int, int], modality: str) -> Prior:
    """Each column weighs alike in what networks get; where most are the table's own, its families and folds lead."""
    own, seen = columns
    share = (own * of_table.neural_share + seen * of_blocks.neural_share) / (own + seen)
    is_led = own >= seen
    first, then = (of_table, of_blocks) if is_led else (of_blocks, of_table)
    said = f"{own} of the table's own, for which networks get {of_table.neural_share:.0%}"
    because = f"{said}, beside {seen} of {modality}, for which they get {of_blocks.neural_share:.0%}"
    led = "models of numbers lead, on both; networks get" if is_led else "networks lead, with"
    in_turn = zip_longest(first.first_looks, then.first_looks)
    return Prior(
        tuple(dict.fromkeys(name for both in in_turn for name in both if name is not None)),
        share,
        (Rule("mixture", because, f"{led} {share:.0%}, each column weighing alike, unless trials tell otherwise"),),
        is_coursed=of_blocks.is_coursed and not is_led,
        asked_for=tuple(name for name in of_table.asked_for if name not in of_blocks.first_looks),
        asked_rows=min(of_table.asked_rows, of_blocks.asked_rows),
    )


def copies(dataset: Dataset, raw: Raw, y: np.ndarray, way: Way) -> Repeats:
    """Which rows belong in one fold. Blocks that are alike are copies, whatever chance says of tables."""
    if not dataset.decoded:
        return judge(raw, y, way)
    twins = alike(dataset)
    return Repeats(None if way == "apart" else twins)


def alike(dataset: Dataset) -> np.ndarray | None:
    """A number per row, equal where all decoded columns look or sound the same; None where no two rows do."""
    parts = [one.twins for one in dataset.decoded.values()]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    if len(known) == 1:
        return known[0]
    _, together = np.unique(np.stack(known), axis=1, return_inverse=True)
    return np.asarray(together) if len(np.unique(together)) < len(together) else None


def drawn(decoded: Mapping[str, Decoded]) -> list[str]:
    """The decoded columns whose rows can be looked at."""
    return [name for name, one in decoded.items() if one.codec.drawn is not None]


def worded(decoded: Mapping[str, Decoded]) -> list[str]:
    """The decoded columns that hold words, which can be taken out one by one."""
    return [name for name, one in decoded.items() if one.codec.kind == WORDED]


def unexplained(kinds: Sequence[str]) -> list[str]:
    """Of decoded kinds those of which nothing tells where an answer comes from: neither maps nor words."""
    return [kind for kind in kinds if kind != WORDED and not hasattr(modalities.get(kind), "show")]


def show(codec: Codec, block: Media) -> list[Shown]:
    """Rows of a block as a report draws them; none where there is nothing to look at."""
    return [] if codec.drawn is None else cast("Drawing", modalities.get(codec.kind)).show(codec.drawn, block)


def described_by(decoded: Decoded, encoder: Any) -> Decoded:
    """The same decoding, described by a trained network as well."""
    return replace(decoded, codec=replace(decoded.codec, encoder=encoder))  # type: ignore[type-var]
