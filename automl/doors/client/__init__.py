"""Runs, models and data sets on a server, from Python: the verbs of the library, asked of another machine by HTTP.

`wire.py` is the only file that knows HTTP; what a run or a model answers is read into the same records as here.
"""

from automl.doors.client.client import Client as Client
