"""The model card: what a model is, what it learned from, how good it is and where it ends, as Markdown beside it.

Written from report.json and the model's manifest, once the run knows all of it; it travels with the saved model. What
nobody stated says "not stated". Whatever came from data is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.modalities.encoders import packages
from automl.model import artifact, manifest, reference
from automl.report import conditions, words

NAME = "model_card.md"
UNKNOWN = "not stated"
MOST_COLUMNS, MOST_CLASSES, MOST_ROWS = 60, 40, 12
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>&~$-])")


def attach(folder: Path, report: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write the card into a run's saved model, and let its drift reference know which columns count.

    `facts`: what the report does not hold, see `text`.
    """
    model = folder / "model"
    told = manifest.read(model)
    more = {NAME: text(report, told, facts).encode("utf-8", "backslashreplace")}
    if reference.NAME in told["files"]:
        weights = {
            str(row["column"]): float(row["importance"])
            for row in words.each(words.part(report, "importance", "columns"))
            if words.finite(words.part(row, "importance")) is not None
        }
        content = (model / reference.NAME).read_bytes()
        more[reference.NAME] = reference.weighed(content, weights)
    artifact.attach(model, more)


def text(report: Mapping[str, Any], model: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card. `model`: its manifest; `facts`: "source", "fingerprint" and "licence" of the data, "lineage"."""
    parts = (_head(report, model), _use(report), _data(report, facts), _scores(report), _slices(report),
             _limits(model), _cost(report), _licences(model, facts), _loading(model))  # fmt: skip
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part) + "\n"


def plain(value: Any, length: int = 200) -> str:
    """A text of the user's in Markdown: one line, nothing in it means anything."""
    return _SPECIAL.sub(r"\\\1", words.short(value, length))


def _head(report: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[str]:
    data = _part(report, "data")
    yield f"# {plain(data.get('target'), 60)}: a model of automl"
    yield ""
    yield plain(words.verdict(report), 500)
    yield ""
    yield f"- Task: {plain(model.get('task'))}"
    yield f"- Predicts: {plain(model.get('target'), 80)}"
    families = ", ".join(dict.fromkeys(str(one.get("family")) for one in model.get("members", [])))
    yield f"- Model: {plain(model.get('name'), 80)} ({plain(families)})"
    yield f"- Trained: {plain(words.part(report, 'run', 'started'))}"


def _use(report: Mapping[str, Any]) -> Iterator[str]:
    yield "## Intended use"
    yield ""
    yield f"- Intended use: {UNKNOWN}"
    yield f"- Out of scope: {UNKNOWN}"
    yield f"- Who is affected, and how: {UNKNOWN}"
    if words.part(report, "verdict", "meets_min_score") is False:
        yield "- It does not reach the score that was asked for: by what was asked, it is not worth using."


def _data(report: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    data, lineage = _part(report, "data"), facts.get("lineage")
    yield "## Data"
    yield ""
    yield f"- Source: {plain(facts.get('source') or 'from memory', 300)}"
    yield f"- Rows: {words.number(data.get('rows'))}; columns: {words.number(data.get('columns'))}"
    kinds = ", ".join(f"{words.number(count)} {plain(kind, 30)}" for kind, count in _part(data, "kinds").items())
    yield f"- Kinds of columns: {kinds or UNKNOWN}"
    yield f"- Fingerprint of the encoded data and its folds: {plain(facts.get('fingerprint') or UNKNOWN)}"
    if isinstance(lineage, Mapping):
        old, new, generation = (words.number(lineage.get(name)) for name in ("old_rows", "new_rows", "generation"))
        yield f"- Trained anew from: {plain(lineage.get('before'), 300)} (generation {generation})"
        yield f"- Rows before: {old}; new rows: {new}"
    for note in words.each(data.get("notes"))[:MOST_ROWS]:
        yield f"- Read as follows: {plain(note, 300)}"
    found = [one for one in words.each(report.get("audit")) if words.part(one, "severity") in ("danger", "warning")]
    for one in found[:MOST_ROWS]:
        yield f"- Odd about the data: {plain(words.part(one, 'message'), 400)}"


def _scores(report: Mapping[str, Any]) -> Iterator[str]:
    verdict = _part(report, "verdict")
    yield "## How good it is"
    yield ""
    yield "| score | value | 95 % interval |"
    yield "| --- | --- | --- |"
    rows = (("promised on new rows", verdict.get("score")), ("without a model", verdict.get("baseline")),
            ("on the test data", verdict.get("test")))  # fmt: skip
    for name, score in rows:
        value = words.value_of(score)
        if value is not None:
            metric, places = words.part(score, "metric"), words.decimals(score)
            told = f"{plain(metric, 40)} {name}" if metric else name
            yield f"| {told} | {words.fixed(value, places)} | {words.interval_text(score)} |"
    yield ""
    yield "The optimism of choosing among many models is taken off."


def _slices(report: Mapping[str, Any]) -> Iterator[str]:
    """The worst slices, where they were looked for."""
    found = _part(report, "slices")
    rows = [row for row in words.each(found.get("slices")) if isinstance(row, Mapping)]
    if not rows:
        return
    yield "## Where it errs most"
    yield ""
    yield f"| rows with | rows | {'wrong' if found.get('kind') == 'wrong' else 'mean error'} | interval | all others |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows[:MOST_ROWS]:
        held = " and ".join(plain(conditions.told(one), 80) for one in words.each(row.get("conditions")))
        mean, low, high, rest = (words.number(row.get(name), 3) for name in ("mean", "low", "high", "rest"))
        yield f"| {held or UNKNOWN} | {words.number(row.get('rows'))} | {mean} | {low} to {high} | {rest} |"


def _limits(model: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield ""
    classes = model.get("classes") or []
    if classes:
        yield f"- It knows these classes and no others: {_listed(classes, MOST_CLASSES)}"
    columns = list(_columns(model))
    yield f"- Every row needs these {len(columns):,} columns, empty where nothing is known:"
    for name, kind in columns[:MOST_COLUMNS]:
        yield f"  - {plain(name, 60)}: {plain(kind, 20)}"
    if len(columns) > MOST_COLUMNS:
        yield f"  - and {len(columns) - MOST_COLUMNS:,} more"
    if reference.NAME in model.get("files", {}):
        yield "- It holds a drift reference: `automl monitor` tells when new rows are unlike those it learned from."
    else:
        yield "- It holds no drift reference, so nobody is told when new rows are unlike those it learned from."
    yield "- What it says of rows unlike those that it learned from is not covered by its score."
    yield "- It tells what goes together with the answers, not what brings them about."


def _cost(report: Mapping[str, Any]) -> Iterator[str]:
    bill = _part(report, "cost", "invoice")
    yield "## What training took"
    yield ""
    yield f"- Time: {words.seconds(words.part(report, 'run', 'seconds'))}"
    yield f"- Energy: {words.number(bill.get('kwh'), 3)} kWh ({plain(bill.get('energy_how') or UNKNOWN, 160)})"
    yield f"- Money: {words.number(bill.get('money'), 3)} {plain(bill.get('currency') or '', 8)}".rstrip()
    yield f"- CO2: {words.number(bill.get('co2_g'), 3)} g"
    row = words.chosen_row(report)
    yield f"- To use: {words.milliseconds(row.get('row_ms'))} for a row, {words.megabytes(row.get('size_mb'))} on disk"


def _licences(model: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    yield "## Licences"
    yield ""
    yield f"- Data: {plain(facts.get('licence') or UNKNOWN, 120)}"
    encoders = [one["codec"]["encoder"] for one in words.each(_part(model, "schema").get("decoders"))
                if words.part(one, "codec", "encoder")]  # fmt: skip
    for encoder in {str(one.get("name")): one for one in encoders}.values():
        yield f"- Weights of {plain(encoder.get('name'), 80)}, trained before: {plain(licence_of(encoder), 120)}"
    if not encoders:
        yield "- Weights: trained by this run from the data alone"
    yield f"- Model: {UNKNOWN}"


def licence_of(encoder: Mapping[str, Any]) -> str:
    """Of weights that were trained before, as the table of packages knows it."""
    name, kind = str(encoder.get("name", "")), encoder.get("kind")
    found = [one for one in packages.PACKAGES if one.kind == kind and name and one.name.startswith(name)]
    return found[0].licence if found else UNKNOWN


def _loading(model: Mapping[str, Any]) -> Iterator[str]:
    yield "## How to load it"
    yield ""
    yield "```python"
    yield "import automl"
    yield 'model = automl.load("model/")  # this folder'
    yield "model.predict(rows)"
    yield "```"
    yield ""
    told = ", ".join(f"{plain(name, 40)} {plain(version, 30)}" for name, version in _part(model, "versions").items())
    yield f"Saved with {told or UNKNOWN}."


def _columns(model: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    schema = _part(model, "schema")
    for one in (*words.each(schema.get("codings")), *words.each(schema.get("decoders"))):
        yield str(words.part(one, "column", "name")), str(words.part(one, "column", "kind"))


def _listed(values: Sequence[Any], most: int) -> str:
    more = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(plain(value, 40) for value in values[:most]) + more


def _part(mapping: Any, *keys: str) -> Mapping[str, Any]:
    found = words.part(mapping, *keys)
    return found if isinstance(found, Mapping) else {}
