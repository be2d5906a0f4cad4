"""A server in a process of its own that takes runs from the line and ends them at once: for test_service_line.py.

Words: the database's address, the server's name. Prints the runs that it took, a line each.
"""

import sys

from automl.doors.service.ground.database import Database
from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Queue


def main() -> None:
    database = Database(sys.argv[1])
    queue = Queue(database)
    print("ready", flush=True)
    sys.stdin.readline()
    while (claim := queue.claim(sys.argv[2], 100, 100)) is not None:
        print(f"{claim.run_id} {claim.attempt}", flush=True)
        queue.renew(claim, [("note", {"line": sys.argv[2]})], None)
        queue.end(claim, State.DONE, "{}", None)
    database.close()


main()
