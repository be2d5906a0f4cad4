"""The report of a run: JSON first, then one self-contained page drawn from that JSON and nothing else.

`schema.Report` says what the JSON holds, `sections/` has a file for each part. The page needs no network and no script,
and asks the browser to run none: names and labels come from the user's data and may hold anything.
"""

from automl.report.page import draw, write

__all__ = ["draw", "write"]
