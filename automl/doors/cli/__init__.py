"""The automl command: one sub-command per file of verbs.py, options taken from automl.options.

Parsing loads no data library, so that --help answers at once. Exit codes: 0 done, 2 bad input (one line), 3 nothing met
min_score, 130 interrupted (the best model so far is saved), 1 the run itself could not go on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from automl.doors.cli.parser import build
from automl.errors import AutomlError, RunError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    given = build().parse_args(argv)
    from automl.doors.cli import verbs

    try:
        return int(getattr(verbs, given.verb)(given))
    except AutomlError as error:
        _complain(str(error), as_json=getattr(given, "json", False))
        return FAILED if isinstance(error, RunError) else BAD_INPUT
    except KeyboardInterrupt:
        _complain("interrupted before a model could be saved", as_json=getattr(given, "json", False))
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone: not an error of ours
        sys.stderr.close()
        return OK


def _complain(message: str, as_json: bool) -> None:
    line = " ".join(message.split())
    if as_json:
        print(json.dumps({"error": line}, ensure_ascii=False))
    print(f"error: {line}", file=sys.stderr)
