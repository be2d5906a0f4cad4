"""What a search is up against: its data, the folds they allow, and the machines that there are at its start."""

from __future__ import annotations

from automl.data.counted import share_of_distinct
from automl.data.prepare import Prepared
from automl.modalities.mixture import useful
from automl.records.choice import Decision
from automl.search.steps import Load, room_mb
from automl.training.aimed import BENT
from automl.training.bent import has_long_tail
from cluster.pool import Pool
from search_spaces.spec import OF_NUMBERS


def load_of(ready: Prepared, decision: Decision, pool: Pool) -> Load:
    """Of this data, with what is thought of the routes, on these machines."""
    shared, nodes = ready.shared, pool.nodes()
    is_long = shared.metric not in BENT and shared.task == "regression" and has_long_tail(shared.y)
    return Load(
        folds=shared.folds.count,
        goal=ready.fold_plan.goal,
        size=shared.size,
        slots=pool.slots,
        neural_share=decision.shares.get("neural", 0.0),
        is_careful=ready.is_careful,
        recipes=useful(shared.raw, shared.labels, has_long_tail=is_long),
        room_mb=room_mb(nodes),
        widest=min(pool.slots, max(node.cpus for node in nodes)),
        gpus=sum(node.gpus for node in nodes),
        gpus_together=int(max(node.gpus for node in nodes)),
        is_rough=ready.is_rough,
        distinct=share_of_distinct(shared.same_rows),
        deal=shared.folds.each,
        gain=None if ready.prior.is_coursed else decision.gain,
        held=len(shared.folds.held(0)),
        is_number=shared.task in OF_NUMBERS,
    )
