"""What pictures and sounds have in common before anything is tried, and as columns of a profile."""

from __future__ import annotations

from automl.modalities.protocol import Prior
from automl.records import Column, Decoded, Profile
from automl.records.choice import Rule

# In the hundreds of numbers that describe them, a kernel or a line separates classes.
FIRST_LOOKS = (
    "svm", "linear", "fused", "finetuned", "convnet", "soundnet", "extra_trees", "lightgbm", "xgboost", "neighbors",
)  # fmt: skip
FEW_ROWS = 500
ASKED_ROWS = 200  # networks that see them again for each column take long
EXAMPLES, TAIL = 3, 60  # of names, and how much of each is shown


def prior(profile: Profile) -> Prior:
    """Networks see more than numbers tell; of few files, less more."""
    share = 0.6 if profile.rows < FEW_ROWS else 0.9
    because = f"{profile.rows:,} {profile.modality} files"
    rule = Rule("perception", because, f"networks see more than numbers tell: {share:.0%} for them")
    return Prior(FIRST_LOOKS, share, (rule,), is_coursed=True, asked_rows=ASKED_ROWS)


def column(decoded: Decoded, cells: list[object]) -> Column:
    """The column as a profile tells of it; every cell is taken to be another one."""
    examples = tuple(str(cell)[-TAIL:] for cell in cells[:EXAMPLES] if isinstance(cell, str))
    return Column(
        name=decoded.column, kind=decoded.codec.kind, why=decoded.why, missing=0.0, unique=len(cells), examples=examples
    )
