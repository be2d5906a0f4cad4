"""All kinds of data behind one face: what a stage asks about the kind of data, it asks here.

The surest claim wins a column; a row that any part cannot decode is dropped; copies must agree in all parts; findings
are joined; the prior weighs the table's own columns and the decoded ones; every rule is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from automl import modalities
from automl.errors import InputError, OptionError
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
from automl.modalities.panel.codec import PanelCodec
from automl.modalities.panel.roles import time_column
from automl.modalities.panel.scales import units as units_of
from automl.modalities.panel.scales import weights_by_scale
from automl.modalities.panel.told import NamedPanel, named
from automl.modalities.panel.windows import choose_windows, fold_windows, newest_share, newest_window
from automl.modalities.protocol import Claim, FoldTraining, Gathered, Pass, Prior, Raw, Reading, Report, Shown, Taken
from automl.modalities.schema import WORDED, Schema, all_names, claims_of, learn_schema, schema_from_json, steps_in
from automl.modalities.series.claims import with_series
from automl.modalities.series.steps import LongTable
from automl.modalities.series.steps import steps_of as find_steps
from automl.modalities.table import audit as table
from automl.modalities.table.facts import facts
from automl.modalities.table.kinds import describe
from automl.modalities.table.recipes import PLAIN
from automl.modalities.table.repeats import Repeats, Way, judge
from automl.modalities.table.sources import Source, Sources
from automl.modalities.text.claims import claim_alone
from automl.options import Options
from automl.records import Audit, Codec, Column, Dataset, Decoded, Finding, Profile
from automl.records.choice import Rule
from automl.scoring.metrics import SCALED
from search_spaces.spec import Media, Panel
from search_spaces.text.terms import MOST_CHARACTERS

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.protocol import Decoding, Drawing, Gathering

__all__ = [
    "NO_COPIES", "PLAIN", "FoldFeatures", "FoldTraining", "LongTable", "NamedPanel", "Prior", "Raw", "Report",
    "Schema", "Shown", "Source", "Sources", "audit", "bare", "bend_of", "block_facts", "choose_windows", "claims",
    "claims_of", "columns", "contents", "copies", "drawn", "facts", "find_steps", "findings", "fold_windows",
    "kind_of", "learn_features", "learn_schema", "load_features", "made_by", "measures", "named_panel",
    "newest_share", "newest_window", "panel", "place", "portions", "prior", "read", "read_folder", "scaled_weights",
    "schema_from_json", "show", "steps_in", "steps_of", "time_column", "unexplained", "units", "useful",
    "whole_names", "width", "with_series", "with_steps", "without", "worded",
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


def with_steps(decoded: Mapping[str, Decoded], steps: LongTable | None) -> Mapping[str, Decoded]:
    """The decoded columns of a long table, which know how its rows were folded."""
    if steps is None:
        return decoded
    own = decoded[steps.step]
    return {**decoded, steps.step: replace(own, codec=replace(own.codec, steps=steps))}  # type: ignore[type-var]


def steps_of(decoded: Mapping[str, Decoded]) -> LongTable | None:
    """Of a long table, what made its rows a case."""
    return next((steps for one in decoded.values() if (steps := getattr(one.codec, "steps", None)) is not None), None)


def whole_names(dataset: Dataset) -> tuple[str, ...]:
    """The columns that the data came with, those that are in decoded ones now among them."""
    return all_names(dataset.frame.columns, {name: one.codec for name, one in dataset.decoded.items()})


@dataclass(frozen=True)
class TakenColumns:
    """The decoded columns, and the rows in which all of them could be decoded."""

    decoded: Mapping[str, Decoded]
    kept: np.ndarray  # bool per row
    absorbed: tuple[str, ...] = ()  # columns of the table that are in decoded ones now
    notes: tuple[str, ...] = ()
    cells: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # that take the place of what stood in columns

    def table(self, frame: pd.DataFrame) -> pd.DataFrame:
        """What is left of the table: without what is in decoded columns now."""
        import pandas as pd

        frame = frame.drop(columns=list(self.absorbed))
        for name, own in self.cells.items():
            placed = np.empty(len(own), dtype=object)
            placed[:] = own
            frame[name] = pd.Series(placed, index=frame.index, dtype=object)
        return frame


def read(
    frame: pd.DataFrame, claimed: Mapping[str, str], answers: pd.Series, options: Options | None = None,
    report: Report | None = None,
) -> TakenColumns:  # fmt: skip
    """Decode every claimed column once."""
    rows = len(frame)
    kept = np.ones(rows, dtype=bool)
    taken: dict[str, Taken] = {}
    made: list[Gathered] = []
    for name, kind in claimed.items():
        decoding = modalities.decoding(kind)
        own_cells = _gathered(decoding, frame, name, answers, options)
        reading = Reading(name, own_cells.cells, answers.to_numpy(), report, options, own_cells.about)
        taken[name] = own = decoding.read(reading)
        made.append(own_cells)
        kept &= own.kept
    if kept.mean() < LEAST_KEPT:
        raise InputError(
            f"only {kept.sum():,} of {rows:,} rows are left in which {', '.join(map(shown, claimed))} can all be read. "
            "Mend the files, or leave out the column that most rows lack."
        )
    decoded = {name: own.decoded.take(np.flatnonzero(kept[own.kept])) for name, own in taken.items()}
    absorbed = tuple(name for one in made for name in one.absorbed)
    cells = {name: one.cells for name, one in zip(claimed, made, strict=True) if one.stands}
    return TakenColumns(decoded, kept, absorbed, tuple(note for one in made for note in one.notes), cells)


def _gathered(kind: Decoding, frame: pd.DataFrame, name: str, answers: pd.Series, options: Options | None) -> Gathered:
    """The cells of a column; of some kinds they are made of others as well."""
    if options is not None and hasattr(kind, "gather"):
        return cast("Gathering", kind).gather(frame, name, answers, options)
    return Gathered(frame[name].tolist(), ())


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


def audit(dataset: Dataset, profile: Profile, y: np.ndarray, options: Options) -> tuple[int, Audit]:
    """Rows that repeat an earlier one, and everything odd, the gravest first."""
    ids = None
    if dataset.decoded:
        twins = alike(dataset)
        ids = np.arange(len(dataset)) if twins is None else twins
    found = table.survey(dataset.frame, profile.columns, y, profile.task, ids)
    duplicates = table.repeats(found.rows)
    told = table.inspect(dataset, replace(profile, duplicates=duplicates), y, found, options)
    kept = [finding for finding in told if not _is_moot(finding, dataset)]
    alone = {n: told for n, told in found.scores.items() if not _is_moot(Finding("leak", "danger", "", n), dataset)}
    return duplicates, Audit(table.ordered([*findings(dataset), *kept]), alone, found.metric)


def _is_moot(finding: Finding, dataset: Dataset) -> bool:
    """Whether a finding about a table means nothing beside what was decoded."""
    judges = [(getattr(modalities.get(one.codec.kind), "is_moot", None), one.codec) for one in dataset.decoded.values()]
    return any(judge is not None and judge(finding, codec) for judge, codec in judges)


def prior(profile: Profile, gpus: int = 0) -> Prior:
    """What to expect of this data: of the decoded columns that take longest, of a table, or of both together."""
    told = {kind: modalities.get(kind).prior(profile, gpus) for kind in profile.decoded}
    of_table, found = modalities.get("table").prior(profile, gpus), [one for one in told.values() if one is not None]
    assert of_table is not None
    if not found:
        return of_table
    of_blocks = next((one for one in found if one.is_coursed), found[0])
    seen = sum(column.kind in told and told[column.kind] is not None for column in profile.columns)
    own = 0 if of_blocks.is_alone else len(profile.used) - seen
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


def measures(kind: str, block: Media) -> dict[str, np.ndarray]:
    """What people would say of its rows in a number each, by name: how long, how bright; nothing of some kinds."""
    own = getattr(modalities.get(kind), "measures", None)
    return {} if own is None else own(block)


def panel(raw: Raw) -> Panel | None:
    """The series over time among the blocks, where there are some."""
    return next((block for block in raw.blocks.values() if isinstance(block, Panel)), None)


def bare(raw: Raw) -> Raw:
    """The rows with nothing to tell them by, save what came before steps of series: what a yardstick may look at."""
    past = {name: block for name, block in raw.blocks.items() if isinstance(block, Panel)}
    return replace(raw, numbers=np.empty((len(raw), 0), dtype=np.float32), blocks=past, described={})


def named_panel(raw: Raw, decoded: Mapping[str, Decoded]) -> NamedPanel | None:
    """The same with the names of its series and the times of its steps."""
    block = panel(raw)
    codec = next((one.codec for one in decoded.values() if isinstance(one.codec, PanelCodec)), None)
    return None if block is None or codec is None else named(block, codec)


def units(raw: Raw) -> tuple[np.ndarray, np.ndarray] | None:
    """Of steps of series what theirs usually change, and how far ahead each is foretold; None of other rows."""
    block = panel(raw)
    return None if block is None else units_of(block)


def scaled_weights(blocks: Mapping[str, Media], metric: str, weight: np.ndarray | None) -> np.ndarray:
    """Of each row one over what its series usually changes in a season, as the metric takes it."""
    block = next((one for one in blocks.values() if isinstance(one, Panel)), None)
    if block is None:
        raise OptionError(f"metric={metric!r} is of series over time. Give horizon=, or another metric.")
    return weights_by_scale(block, SCALED[metric], weight)


def block_facts(decoded: Mapping[str, Decoded]) -> dict[str, float]:
    """Plain numbers for the decision, of the decoded columns whose kind tells some."""
    told: dict[str, float] = {}
    for one in decoded.values():
        own = getattr(modalities.get(one.codec.kind), "facts", None)
        told |= {} if own is None else own(one.block)
    return told


def described_by(decoded: Decoded, encoder: Any) -> Decoded:
    """The same decoding, described by a trained network as well."""
    return replace(decoded, codec=replace(decoded.codec, encoder=encoder))  # type: ignore[type-var]
