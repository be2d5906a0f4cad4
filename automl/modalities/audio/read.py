"""Sounds taken in for a run: a rate and a length are chosen by their headers, then all are decoded once."""

from __future__ import annotations

import numpy as np

from automl.modalities.audio import sounds
from automl.modalities.audio.codec import AudioCodec
from automl.modalities.files import intake
from automl.modalities.files.intake import STORE, STORE_SHARE, Stored
from automl.modalities.protocol import Reading, Taken
from cluster.cores import cores
from cluster.memory import free_mb
from search_spaces.spec import Media


def read(reading: Reading) -> Taken:
    """Decode a column of sounds, or take over what an earlier run decoded of the same files."""
    cells = reading.cells
    lengths = sounds.measure(cells)
    hearing, why = sounds.choose_hearing(lengths, len(cells), STORE_SHARE * free_mb())
    codec = AudioCodec(hearing)
    place, is_there = intake.place_of(cells, codec)
    if not is_there:
        found = sounds.decode_all(cells, hearing, place / STORE, cores(), reading.report)
        facts = {"silent": found.silent, "clipped": found.clipped, "lengths": found.lengths.tolist()}
        intake.write_facts(place, {"failures": found.failures, **facts})
    store, facts = intake.read_store(place)
    failures, real = intake.numbered(facts["failures"]), np.array(facts["lengths"], dtype=np.int64)
    decoded = sounds.SoundStore(str(place / STORE), real, failures, tuple(facts["silent"]), tuple(facts["clipped"]))
    block = Media("audio", store, np.arange(len(store)), hearing.rate, real)
    odd = tuple(sounds.findings(lengths, hearing, decoded))
    return intake.taken(reading, Stored(block, failures, odd), codec, why)
