"""How to go on, how to do the run again, and the libraries it ran with."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from automl.options import NONE, Options
from automl.report.section import Section

if TYPE_CHECKING:
    from automl.report.inputs import ReportInputs


class EnvironmentKeys(TypedDict, total=False):
    """The keys of this section."""

    versions: dict[str, str]
    reproduce: str  # a line of Python or of the shell that does the run again


def gather(inputs: ReportInputs) -> EnvironmentKeys:
    """Installed versions, and the line that repeats the run."""
    from automl.model.artifact import versions

    drop = f".drop(columns={list(inputs.dataset.left_out)!r})" if inputs.dataset.left_out else ""
    options = replace(inputs.options, target=inputs.dataset.target_name)
    return {"versions": versions(), "reproduce": command(options, inputs.source, f"data{drop}")}


def command(options: Options, source: str | None, data: str = "data") -> str:
    """The line of a shell that does a run again; of Python where the data came from memory or with a function."""
    given = {**options.as_json(), "run_dir": None, "verbose": None}
    given["weights"] = given["weights"] or NONE  # auto is usual
    usual = Options(budget=Options().budget).as_json()
    changed = {n: v for n, v in given.items() if v is not None and (v != usual[n] or n in ("target", "budget", "seed"))}
    if source is None or options.in_memory or isinstance(options.class_weight, dict):
        values = {name: repr(list(value) if isinstance(value, tuple) else value) for name, value in changed.items()}
        values |= {name: changed[name] if name == "metric" else name for name in options.in_memory}
        values |= {"class_weight": repr(options.class_weight)} if options.class_weight else {}
        told = repr(source) if source is not None else data
        return f"automl.fit({told}, {', '.join(f'{name}={value}' for name, value in values.items())})"
    words = [f"--{name.replace('_', '-')}={_typed(value)}" for name, value in changed.items()]
    return shlex.join(["automl", "fit", source, *words])


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


PAGE = """
{% set run = report.run %}
<h2>Environment, and how to go on</h2>
{% if run.command %}<h3>Next</h3><pre>{{ run.command }}</pre>{% endif %}
{% if report.reproduce and report.reproduce != run.command %}\
<h3>To do it again</h3><pre>{{ report.reproduce }}</pre>{% endif %}
<dl class="facts">
{% if run.folder %}<dt>Folder</dt><dd><code>{{ run.folder|cut(120) }}</code></dd>{% endif %}
{% if report.versions|pairs %}<dt>Versions</dt><dd>{% for name, version in report.versions|pairs %}\
{{ name|cut(30) }} {{ version|cut(30) }}{{ ", " if not loop.last }}{% endfor %}</dd>{% endif %}
</dl>
<p class="soft">Drawn from report.json beside this file, which holds everything shown here in full.</p>
"""

SECTION = Section(name="environment", title="Environment", holds=EnvironmentKeys, gather=gather, page=PAGE)
