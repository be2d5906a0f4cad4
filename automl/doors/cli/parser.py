"""The command line's grammar. Options of a run are read from the fields of Options, so they are declared only once."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import Any, NoReturn

from automl.doors.cli import forecasting, hosting, remote, serving, watching
from automl.doors.cli.auditing import ASKED as AUDITED
from automl.doors.cli.auditing import PROFILED
from automl.doors.cli.quoting import ASKED
from automl.messages import near
from automl.options import Options

EPILOG = """examples:
  automl fit churn.csv --target churn --budget 5m
  automl fit churn.csv --target churn --test holdout.csv --metric f1 --out runs/churn
  automl fit photos/ --budget 10m
  automl predict runs/churn new.csv -o predictions.csv
  automl predict runs/churn new.csv --pick fastest
  automl fit sales.csv --target sales --time-column date --series-id store --horizon 28
  automl forecast runs/sales -o next.csv
  automl evaluate runs/churn later.csv
  automl monitor runs/churn new.csv
  automl serve-model runs/churn
  automl profile churn.csv --target churn
  automl audit churn.csv --target churn
  automl quote churn.csv --target churn --budget 5m
  automl report runs/churn
  automl serve
  automl fit churn.csv --target churn --server http://127.0.0.1:8642
"""
DATA = (
    "a .csv, .tsv, .parquet or .jsonl file, also .gz; or a folder of images, sounds or texts: a sub-folder for each "
    "class, or a metadata.csv with file_name"
)
NEW_DATA = "a table or a folder as the model learned from, answers not needed; - reads CSV from standard input"
PICK = (
    "another model of the run instead of the chosen one: 'most accurate', 'cheapest tied', fastest, smallest, or a "
    "name of its leaderboard"
)
_OTHER_NAMES = {"run_dir": "--out"}  # what people type, where it differs from the option's name
_OWN = ("target", "verbose")  # declared by hand below


class OneLine(argparse.ArgumentParser):
    """A parser whose complaints are one line with the value seen and what to do."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        unknown = message.removeprefix("unrecognized arguments: ").split()[0] if "unrecognized" in message else ""
        known = [name for action in self._actions for name in action.option_strings]
        print(f"error: {message}.{near(unknown, known) if unknown else ''} See: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; an unknown option is reported by the sub-command it was given to, which knows the close ones."""
        given, rest = self.parse_known_args(args, namespace)
        if rest:
            verbs = next(a for a in self._actions if isinstance(a, argparse._SubParsersAction))
            verbs.choices[given.verb].error(f"unrecognized arguments: {' '.join(rest)}")
        return given


_MAY_CHANGE = ("cluster", "workers", "rates")  # from one driver of a run to the next


def build() -> OneLine:
    """The whole grammar."""
    top = OneLine(
        prog="automl",
        description="Find the best model within a budget, and see what each step up in quality costs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=_Version())
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", required=True, parser_class=OneLine)
    _fit(verbs)
    _predict(verbs)
    forecasting.add_forecast(verbs)
    forecasting.add_update(verbs)
    _save(verbs)
    _evaluate(verbs)
    watching.add_monitor(verbs, NEW_DATA)
    watching.add_refit(verbs, DATA)
    serving.add_serve_model(verbs, PICK)
    _importance(verbs)
    _explain(verbs)
    _profile(verbs)
    _audit(verbs)
    _quote(verbs)
    _report(verbs)
    _resume(verbs)
    _doctor(verbs)
    for add in (hosting.add_serve, hosting.add_token, hosting.add_user):
        add(verbs)
    for verb in remote.VERBS:
        remote.add_server(verb, verbs.choices[verb])
    return top


class _Version(str):
    """The version, looked up only when it is printed."""

    __slots__ = ()

    def __mod__(self, _: Any) -> str:
        from importlib.metadata import version

        return f"automl {version('automl-frontier')}"


def _fit(verbs: Any) -> None:
    fit = verbs.add_parser(
        "fit",
        help="find the best model for a table or a folder",
        description="Find the best model for a table, or for a folder of images, sounds or texts.",
    )
    fit.add_argument("data", help=DATA)
    fit.add_argument("--target", "-t", help="column to predict; of several, with commas between, each gets a model")
    for spec in fields(Options):
        if spec.name not in _OWN:
            fit.add_argument(_spelled(spec), **_argument(spec))
    _add_json(fit)
    fit.add_argument("--quiet", "-q", action="store_true", help="no progress, only the result")
    fit.add_argument("--verbose", "-v", action="store_true", help="a line for every trial")


def _spelled(spec: Any) -> str:
    """An option as people type it."""
    return _OTHER_NAMES.get(spec.name, f"--{spec.name.replace('_', '-')}")


def _argument(spec: Any) -> dict[str, Any]:
    """How argparse reads one option: numbers as numbers, the rest as text that Options checks."""
    declared = str(spec.type)
    kind = str if "tuple" in declared else float if "float" in declared else int if "int" in declared else str
    shown = "" if spec.default in (None, (), "") else f" (default: {spec.default})"
    made: dict[str, Any] = {"dest": spec.name, "type": kind, "help": spec.metadata["help"] + shown}
    if spec.metadata.get("choices"):
        made["choices"] = spec.metadata["choices"]
    else:
        made["metavar"] = {float: "NUMBER", int: "N"}.get(kind, spec.name.upper())
    return {**made, "default": argparse.SUPPRESS}


def _predict(verbs: Any) -> None:
    predict = verbs.add_parser("predict", help="predict new rows with a model", description="Predict new rows.")
    predict.add_argument("model", help="a run folder, or a saved model")
    predict.add_argument("data", help=NEW_DATA)
    predict.add_argument("--output", "-o", help="where to write; .csv, .parquet or .jsonl (default: standard output)")
    form = predict.add_mutually_exclusive_group()
    form.add_argument("--proba", action="store_true", help="a column per class with its probability")
    form.add_argument(
        "--interval", type=float, metavar="LEVEL", help="of numbers: also the ends that hold it with this probability"
    )
    form.add_argument(
        "--set", type=float, metavar="LEVEL", help="of classes: also which labels together hold it; a column for each"
    )
    predict.add_argument("--pick", help=PICK)
    _add_json(predict)


def _save(verbs: Any) -> None:
    save = verbs.add_parser("save", help="copy a run's model", description="Copy a model of a run.")
    save.add_argument("run", help="a run folder")
    save.add_argument("target", help="the folder to write, which must not exist or be empty")
    save.add_argument("--pick", help=PICK)
    save.add_argument(
        "--lean",
        action="store_true",
        help="without weights that come as packages: the model names them, and needs them where it is loaded",
    )
    save.add_argument(
        "--without-rows",
        action="store_true",
        help="without the rows of the data that explain=required puts into a model, to compare answers with",
    )


def _evaluate(verbs: Any) -> None:
    evaluate = verbs.add_parser(
        "evaluate",
        help="score a model on rows with answers",
        description="Score a model on rows whose answers are known: every metric of its task with its 95 % interval, "
        "and beside the run's own metric the score that the run promised. The rows should be none that the model "
        "learned from, or the scores flatter. Where the run had a weight column, the rows need it too.",
        epilog="examples:\n  automl evaluate runs/churn later.csv\n  automl evaluate churn-model later.csv --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    evaluate.add_argument("model", help="a run folder, or a saved model")
    evaluate.add_argument("data", help=f"rows with their answers: {DATA}; - reads CSV from standard input")
    _add_json(evaluate)


def _importance(verbs: Any) -> None:
    importance = verbs.add_parser(
        "importance",
        help="see which columns a run's model rests on",
        description="Show by how much the metric gets worse when a column's cells are shuffled among held-out rows, "
        "with 95 % intervals. Each row is asked of fold models that did not learn from it. What the run had no time to "
        "measure is measured now, on the data that the run learned from.",
        epilog="examples:\n  automl importance runs/churn\n  automl importance runs/churn --data moved.csv --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    importance.add_argument("run", help="a run folder")
    importance.add_argument(
        "--data", help="the run's data, if it was moved or came from memory; measures again in full"
    )
    _add_json(importance)


def _explain(verbs: Any) -> None:
    explain = verbs.add_parser(
        "explain",
        help="see how the answers to single rows come about",
        description="Show for each row what every column adds to the usual answer; the additions sum to what the model "
        "says, of classes in log-odds. Of texts, what their words weigh.",
        epilog="examples:\n  automl explain runs/churn rows.csv\n"
        "  automl explain runs/churn rows.csv --label yes --output why.csv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    explain.add_argument("model", help="a run folder, or a saved model")
    explain.add_argument("data", help=NEW_DATA)
    explain.add_argument("--label", help="class to explain, or level of a quantile (default: of two classes the "
                         "positive one, else the one that is predicted)")  # fmt: skip
    explain.add_argument("--column", help="only what the words of this column of texts weigh")
    explain.add_argument("--background", help="usual rows to compare with, where a saved model brings none along")
    explain.add_argument(
        "--output", "-o", help="where to write a line for each row and column; .csv, .parquet or .jsonl"
    )
    _add_json(explain)


def _profile(verbs: Any) -> None:
    profile = verbs.add_parser(
        "profile", help="see how data is understood", description="Show columns, task and findings; fits nothing."
    )
    profile.add_argument("data", help=DATA)
    profile.add_argument("--target", "-t", help="column to predict")
    for name in PROFILED:
        spec = next(spec for spec in fields(Options) if spec.name == name)
        profile.add_argument(_spelled(spec), **_argument(spec))
    _add_json(profile)


def _audit(verbs: Any) -> None:
    audit = verbs.add_parser(
        "audit",
        help="see what is odd about data, and what it would change",
        description="Look for leaks, repeated rows, answers that look wrong and, with --test, for what has moved; a "
        "quick model is learned again without what is doubted, so that the score with and without it stands beside "
        "each finding. Takes seconds; makes no model.",
        epilog="examples:\n  automl audit churn.csv --target churn\n"
        "  automl audit churn.csv --target churn --test later.csv --html audit.html --suspects suspects.csv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("data", help=f"{DATA}; - reads CSV from standard input")
    audit.add_argument("--target", "-t", help="column to predict")
    for name in AUDITED:
        spec = next(spec for spec in fields(Options) if spec.name == name)
        audit.add_argument(_spelled(spec), **_argument(spec))
    audit.add_argument("--html", metavar="FILE", help="write a page there")
    audit.add_argument("--suspects", metavar="FILE", help="write the rows whose answers look wrong there, as CSV")
    _add_json(audit)


def _quote(verbs: Any) -> None:
    quote = verbs.add_parser(
        "quote",
        help="see what a run would take before it begins",
        description="Predict the seconds, the money and the energy until a model is good (within 5 % of the error that "
        "plenty of time would end with) and until more hardly helps (within 1 %), for each route, with ranges of 10 to "
        "90 %. Reads the data and decides as a run does; fits nothing that could be used.",
        epilog="examples:\n  automl quote churn.csv --target churn --budget 5m\n"
        "  automl quote churn.csv --target churn --rates prices.toml --workers 32 --json\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    quote.add_argument("data", help=DATA)
    quote.add_argument("--target", "-t", help="column to predict; of several, with commas between, each gets a quote")
    for name in ASKED:
        spec = next(spec for spec in fields(Options) if spec.name == name)
        quote.add_argument(_spelled(spec), **_argument(spec))
    _add_json(quote)


def _report(verbs: Any) -> None:
    report = verbs.add_parser(
        "report",
        help="show a run's report",
        description="Tell a run's report, from its verdict to how to do it again: here, as Markdown, or as a page.",
        epilog="examples:\n  automl report runs/churn\n  automl report runs/churn -o churn.html\n"
        "  automl report runs/churn --markdown -o churn.md\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    report.add_argument("run", help="a run folder")
    report.add_argument("--output", "-o", help="write the page there as one HTML file; with --markdown, write that")
    report.add_argument("--markdown", action="store_true", help="Markdown, on standard output or where --output says")
    _add_json(report)


def _resume(verbs: Any) -> None:
    resume = verbs.add_parser(
        "resume",
        help="go on with a run",
        description="Go on with a run that was interrupted or killed: all that was finished is kept, the rest of its "
        "budget is used. With more budget, also with a run that is finished.",
    )
    resume.add_argument("run", help="a run folder")
    resume.add_argument("--budget", metavar="+MORE", help="what it may use from now on: '+10m', '+20 trials', '+$1'")
    resume.add_argument("--data", help="where the data is now, if it was moved; it must be the same")
    for name in _MAY_CHANGE:
        spec = next(spec for spec in fields(Options) if spec.name == name)
        resume.add_argument(f"--{name}", **_argument(spec))
    _add_json(resume)
    resume.add_argument("--quiet", "-q", action="store_true", help="no progress, only the result")
    resume.add_argument("--verbose", "-v", action="store_true", help="a line for every trial")


def _doctor(verbs: Any) -> None:
    doctor = verbs.add_parser(
        "doctor",
        help="check this installation",
        description="Check the machine and the installation, and say what to fix.",
    )
    doctor.add_argument("--cluster", help="check the machines of a Ray cluster too: ray, or its address")
    doctor.add_argument("--path", help="a folder that every machine of the cluster should be able to write to")
    _add_json(doctor)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, for machines")
