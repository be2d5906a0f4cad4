"""Files of text, as texts: in whatever encoding they are, and no longer than anybody reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from automl.errors import InputError
from automl.messages import counted, shown
from automl.modalities.files.sniff import find_encoding
from search_spaces.text.terms import MOST_CHARACTERS

MOST_BYTES = 4 * MOST_CHARACTERS  # of a file that are read: what follows, no model looks at


def read_texts(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """The text of each file, and notes; one that cannot be read is an empty text."""
    texts, broken = [], []
    for file in files:
        try:
            with Path(file).open("rb") as stream:
                content = stream.read(MOST_BYTES)
            texts.append(content.decode(find_encoding(content), "replace")[:MOST_CHARACTERS])
        except (OSError, InputError) as problem:
            texts.append("")
            broken.append(f"{shown(Path(file).name)} ({str(problem)[:80]})")
    if not broken:
        return texts, []
    return texts, [f"{counted(len(broken), 'file')} cannot be read and counts as empty, for instance {broken[0]}"]
