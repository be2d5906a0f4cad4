"""python -m automl: the same as the automl command."""

import sys

from automl.doors.cli import main

if __name__ == "__main__":
    sys.exit(main())
