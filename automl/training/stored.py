"""A fitted network as named bytes and back: weights as safetensors, what it was built from as JSON.

Reading builds the network anew and gives it its weights, so no saved model brings code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import nn

from automl.modalities.encoders.shapes import shape_as_json, shape_from_json
from automl.training.answers import TargetCoding
from automl.training.network import seeded
from search_spaces.spec import Family, Params, Shape


@dataclass(frozen=True)
class StoredNetwork:
    """What every learner with a network keeps."""

    params: Params
    shape: Shape
    answers: TargetCoding
    network: nn.Module
    column: str = ""  # the decoded one that it reads; networks on tables read all others


def pack(stored: StoredNetwork) -> dict[str, bytes]:
    """As bytes."""
    from safetensors.torch import save

    facts = {
        "params": dict(stored.params),
        "shape": shape_as_json(stored.shape),
        "answers": asdict(stored.answers),
        "column": stored.column,
    }
    weights = {name: value.contiguous() for name, value in stored.network.state_dict().items()}
    return {
        "network.json": json.dumps(facts, default=lambda value: value.item()).encode(),
        "weights.safetensors": save(weights),
    }


def unpack(family: Family, parts: Mapping[str, bytes]) -> StoredNetwork:
    """From bytes; the network is ready to predict."""
    from safetensors.torch import load

    facts = json.loads(parts["network.json"])
    answers = TargetCoding(**{**facts["answers"], "prior": tuple(facts["answers"]["prior"])})
    shape = shape_from_json(facts["shape"])
    with seeded(0):  # building draws numbers that the weights replace; the caller's own are left alone
        network = family.build(facts["params"], shape)
    network.load_state_dict(load(parts["weights.safetensors"]))
    network.eval()
    return StoredNetwork(facts["params"], shape, answers, network, facts.get("column", ""))
