"""What the processes of the server are told of its environment: nothing that opens a door."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

# AWS_ACCESS_KEY_ID, PGPASSWORD, GITHUB_TOKEN, DATABASE_URL and the like
OPENS = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|ACCESS_?KEY|API_?KEY|PRIVATE|DATABASE|DSN|^PG", re.IGNORECASE)


NEEDED = ("PG", "HF_TOKEN")  # how a run reaches the server's database and what it may download


def without_secrets(environment: Mapping[str, str] | None = None, kept: Sequence[str] = ()) -> dict[str, str]:
    """The environment less what its names call a secret, but for names that begin so: who reads files needs none."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if name.startswith(tuple(kept)) or not OPENS.search(name)}
