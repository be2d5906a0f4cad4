"""Texts as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.protocol import Claim, FoldTraining, Pass, Prior, Reading, Taken
from automl.modalities.text import claims
from automl.records import Column, Decoded, Profile
from automl.records.choice import Rule
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.text.codec import TextCodec
    from automl.modalities.text.numbers import TextNumbers

# A line through words and characters is the strongest simple model of texts; boosters read what stands beside them.
FIRST_LOOKS = ("text_linear", "linear", "textnet", "svm", "finetuned", "lightgbm")
# Of terms reduced to a few numbers trees make little: where there is nothing but text they are seconds lost.
ASKED_FOR = ("xgboost", "catboost", "extra_trees", "forest", "neighbors", "mlp", "tabm")
NEURAL_SHARE = 0.3
EXAMPLES, SHOWN = 3, 40  # of texts, and how much of each is shown


class Text:
    """What people write: messages, headlines, reviews, reports, in any language."""

    name = "text"
    kinds = ("text",)
    is_of_files = False
    extra = None

    def prior(self, profile: Profile, gpus: int) -> Prior:  # noqa: ARG002 - alike on any machine
        """Terms first."""
        because = f"{profile.rows:,} texts in {', '.join(profile.of_kind(self.name))}"
        effect = f"linear models of words and characters come first; networks get {NEURAL_SHARE:.0%}"
        return Prior(FIRST_LOOKS, NEURAL_SHARE, (Rule("terms", because, effect),), asked_for=ASKED_FOR)

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:  # noqa: ARG002 - no files
        """Sentences."""
        return claims.claim(cells)

    def read(self, reading: Reading) -> Taken:
        """Take them in."""
        from automl.modalities.text.read import read

        return read(reading)

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:  # noqa: ARG002 - the block has them
        """The column."""
        texts = decoded.block.values().tolist()
        known = [text for text in texts if text.strip()]
        return Column(
            name=decoded.column, kind=self.name, why=decoded.why, missing=1 - len(known) / max(1, len(texts)),
            unique=len(set(known)), examples=tuple(text[:SHOWN] for text in known[:EXAMPLES]),
        )  # fmt: skip

    def recipes(self, block: Media) -> tuple[str, ...]:  # noqa: ARG002 - alike for all texts
        """The plain one says it."""
        return ()

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> TextNumbers | None:  # noqa: ARG002 - as above
        """Its terms as a few numbers, under any recipe."""
        from automl.modalities.text.numbers import learn_numbers

        return learn_numbers(block, training)

    def learned(self, arrays: Mapping[str, np.ndarray]) -> TextNumbers:
        """Read back."""
        from automl.modalities.text.numbers import numbers_from

        return numbers_from(arrays)

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> TextCodec:
        """Read back."""
        from automl.modalities.text.codec import codec_from_json

        return codec_from_json(plain, weights)

    def measures(self, block: Media) -> dict[str, np.ndarray]:
        """How many words."""
        return {"words": np.array([len(text.split()) for text in block.values()], dtype=np.float64)}


MODALITY = Text()
