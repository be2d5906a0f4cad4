"""Fewer files where a page makes many: what its commands do is shown by some, and reading all of them takes minutes."""

from pathlib import Path


def thin(folder: Path, one_in: int, suffix: str = ".png") -> int:
    """Keep one file in so many of each folder below this one; how many are left."""
    left = 0
    for place in sorted({file.parent for file in folder.rglob(f"*{suffix}")}):
        for number, file in enumerate(sorted(place.glob(f"*{suffix}"))):
            if number % one_in:
                file.unlink()
            else:
                left += 1
    return left
