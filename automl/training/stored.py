"""A fitted network as named bytes and back: weights as safetensors, what it was built from as JSON.

Reading builds the network anew and gives it its weights, so no saved model brings code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from torch import nn

from automl.modalities.encoders.shapes import shape_as_json, shape_from_json
from automl.training.answers import TargetCoding, coding_from_json
from automl.training.device import seeded
from search_spaces.checked import json_object, need
from search_spaces.knobs import known
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
    from search_spaces.neural.restored import restore

    facts = json_object(parts["network.json"])
    answers = coding_from_json(facts["answers"])
    shape, params = shape_from_json(facts["shape"]), known(family.space, facts["params"])
    need(shape.outputs == answers.outputs, f"a network of {shape.outputs} outputs for {answers.outputs} answers")
    with seeded(0):  # building draws numbers that the weights replace; the caller's own are left alone
        network = restore(lambda: family.build(params, shape), parts["weights.safetensors"])
    network.eval()
    return StoredNetwork(params, shape, answers, network, str(facts.get("column", "")))
