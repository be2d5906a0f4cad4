"""How a configuration becomes a fitted model, whatever its family: `learners.make` and `learners.load` are the door.

Classical families bring their own learners. Networks are bare modules; network.py is the one loop that trains them, and
one file per kind of data (tabular.py, media.py) turns rows into batches.
"""
