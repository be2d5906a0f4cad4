"""The automl command: one sub-command per file of verbs.py, options taken from automl.options.

Parsing loads no data library, so that --help answers at once. Exit codes: 0 done, 2 bad input (one line), 3 nothing met
min_score, 4 monitoring found an alarm, 130 interrupted (the best model so far is saved), 1 the run itself could not go
on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from automl.doors.cli.parser import build
from automl.errors import AutomlError, RunError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
RUNS = ("fit", "resume", "refit")  # verbs that leave a run behind


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    given = build().parse_args(argv)
    from automl.doors.cli import remote, verbs

    try:
        where = remote if remote.is_asked(given) else verbs
        return int(getattr(where, given.verb.replace("-", "_"))(given))
    except AutomlError as error:
        _complain(str(error), as_json=getattr(given, "json", False))
        return FAILED if isinstance(error, RunError) else BAD_INPUT
    except KeyboardInterrupt:
        is_here = given.verb in RUNS and not remote.is_asked(given)
        goes_on = "; automl resume RUN_DIR goes on with a run that had begun" if is_here else ""
        _complain(f"interrupted{goes_on}", as_json=getattr(given, "json", False))
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: not an error of ours
        sys.stderr.close()
        return OK


def _complain(message: str, as_json: bool) -> None:
    line = " ".join(message.split())
    if as_json:
        print(json.dumps({"error": line}, ensure_ascii=False))
    print(f"error: {line}", file=sys.stderr)
