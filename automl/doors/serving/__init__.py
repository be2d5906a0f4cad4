"""One model behind HTTP: the simple route, the Open Inference Protocol, metrics, drift, and what it takes to deploy it.

A request is read cell by cell without pandas, waits in a line from which one thread takes all that is there, and gets
the bits that it would have got alone. Nothing that a stranger sends is a name of a file, a pickle or a line of a log.
"""
