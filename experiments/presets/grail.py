"""Presets for the inductive splits of GraIL (Teru, Denis and Hamilton, 2020): what has no row answers.

    kg train $KG_DATA/grail/fb237-v1 out/fb237-v1 --preset experiments/presets/grail.py:fb237_v1
    python experiments/quality/inductive.py out/fb237-v1

Chosen by how the valid facts of the training folder are answered when all its entities are taken for unseen ones.
Each was chosen on the set it is named for; what it is worth on the other is in docs/attention.md.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adam

from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.training.gradient_descent import GradientDescent, WarmUp
from kg.training.objectives import OneVsAll
from kg.training.run import Run


def fb237_v1() -> Run:
    scorer = partial(
        NeighbourhoodTransformer,
        dim=32,
        identity_dropout=1.0,
        entity_dropout=0.1,
        neighbour_dropout=0.2,
        hidden_dropout=0.2,
    )
    return Run(scorer, GradientDescent(partial(Adam, lr=0.003), OneVsAll(), schedule=WarmUp(), hide="exact", epochs=40))


def wn18rr_v1() -> Run:
    scorer = partial(
        NeighbourhoodTransformer,
        dim=32,
        num_layers=1,
        num_hops=3,
        vote_hops=2,
        identity_dropout=1.0,
        entity_dropout=0.1,
        hidden_dropout=0.1,
        output_dropout=0.1,
    )
    return Run(
        scorer,
        GradientDescent(
            partial(Adam, lr=0.003), OneVsAll(), schedule=WarmUp(), batch_size=256, hide="exact", epochs=30
        ),
    )
