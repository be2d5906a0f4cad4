"""Pictures taken in for a run: a size is chosen by their headers, then all are decoded once."""

from __future__ import annotations

import numpy as np

from automl.modalities.files import intake
from automl.modalities.files.intake import STORE, STORE_SHARE, Stored
from automl.modalities.image import pictures
from automl.modalities.image.codec import ImageCodec
from automl.modalities.protocol import Reading, Taken
from cluster.cores import cores
from cluster.memory import free_mb
from search_spaces.spec import Media


def read(reading: Reading) -> Taken:
    """Decode a column of pictures, or take over what an earlier run decoded of the same files."""
    cells = reading.cells
    look, why = pictures.choose_look(pictures.measure(cells), len(cells), STORE_SHARE * free_mb())
    codec = ImageCodec(look)
    place, is_there = intake.place_of(cells, codec)
    if not is_there:
        decoded = pictures.decode_all(cells, look, place / STORE, cores(), reading.report)
        intake.write_facts(place, {"failures": decoded.failures})
    store, facts = intake.read_store(place)
    stored = Stored(Media("image", store, np.arange(len(store))), intake.numbered(facts["failures"]))
    return intake.taken(reading, stored, codec, why)
