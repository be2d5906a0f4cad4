"""An AutoML server: data sets, runs and models for people and programs that reach them by HTTP.

`app.py` puts the parts together; what a request may do is decided in `guard.py`, what waits for a machine in
`queue.py`; each run works in a process of its own, `worker.py`, which outlives the server.
"""
