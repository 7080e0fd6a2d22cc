"""Presets for fb15k-237, chosen on its valid part, or where docs/benchmarks.md says "not run" after the published
settings.

    kg train $KG_DATA/fb15k-237 models/fb15k-237 --preset experiments/presets/fb15k237.py:complex --seed 0
    kg train $KG_DATA/fb15k-237 models/fb15k-237 --resume       # after Ctrl-C
    python experiments/quality/trained.py models/fb15k-237

An epoch of the bilinear models takes about 20 s on one core (bfloat16); RotatE and large sizes are for a GPU.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rescal import RESCAL
from kg.models.rotate import RotatE
from kg.models.rules import RuleScorer
from kg.models.transe import TransE
from kg.models.tucker import TuckER
from kg.training.algorithms.mining import Mining
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import NegativeSampling, OneVsAll, RelationPrediction
from kg.training.regularizers import N3
from kg.training.run import Run

FAST = OneVsAll(max_answers=8)


def rescal() -> Run:
    return Run(
        partial(RESCAL, dim=128, entity_dropout=0.4, relation_dropout=0.15),
        GradientDescent(partial(Adam, lr=0.0007), FAST, schedule=Plateau(), precision="bf16", epochs=60, patience=4),
    )


def transe() -> Run:
    return Run(
        partial(TransE, dim=128),
        GradientDescent(
            partial(Adam, lr=0.0003), NegativeSampling(512), schedule=Plateau(patience=5), batch_size=128, epochs=100
        ),
    )


def distmult() -> Run:
    return Run(
        partial(DistMult, dim=256, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.05), precision="bf16", epochs=50, patience=4),
    )


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=128, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.05), precision="bf16", epochs=50, patience=4),
    )


def neighbourhood() -> Run:
    return Run(
        partial(
            NeighbourhoodTransformer,
            dim=128,
            width=32,
            num_neighbours=32,
            readout="votes",
            neighbour_dropout=0.3,
            token_dropout=0.8,
            hidden_dropout=0.3,
            init=0.001,
        ),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.05), hide="pair", precision="bf16", epochs=40, patience=3),
    )


def complex_with_relation_prediction() -> Run:
    return Run(
        partial(ComplEx, dim=1000, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.1),
            FAST,
            N3(0.05),
            auxiliary=RelationPrediction(4.0),
            batch_size=1000,
            precision="bf16",
            epochs=100,
        ),
    )


def rotate() -> Run:
    return Run(
        partial(RotatE, dim=1000),
        GradientDescent(
            partial(Adam, lr=5e-5), NegativeSampling(256, loss="logistic", margin=9.0), batch_size=1024, epochs=190
        ),
    )


def tucker() -> Run:
    return Run(
        partial(TuckER, dim=200, relation_dim=200, entity_dropout=0.3, relation_dropout=0.4, query_dropout=0.5),
        GradientDescent(
            partial(Adam, lr=0.0005),
            OneVsAll(label_smoothing=0.1, max_answers=8),
            batch_size=128,
            precision="bf16",
            epochs=200,
        ),
    )


def rules() -> Run:
    """Three atoms bring nothing here, and take minutes."""
    return Run(partial(RuleScorer, aggregation="noisy_or"), Mining(max_length=2, min_constant_support=3))
