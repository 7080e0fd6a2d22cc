"""Presets for wn18rr, chosen on its valid part, or where docs/benchmarks.md says "not run" after the published
settings.

    kg train $KG_DATA/wn18rr models/wn18rr --preset experiments/presets/wn18rr.py:complex --seed 0
    kg train $KG_DATA/wn18rr models/wn18rr --resume       # after Ctrl-C
    python experiments/quality/trained.py models/wn18rr

An epoch of the bilinear models takes half a minute on one core (bfloat16); RotatE and large sizes are for a GPU.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.rescal import RESCAL
from kg.models.rotate import RotatE
from kg.models.rules import RuleScorer
from kg.models.transe import TransE
from kg.models.tucker import TuckER
from kg.training.algorithms.mining import Mining
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import KvsAll, NegativeSampling, OneVsAll, RelationPrediction
from kg.training.regularizers import N3
from kg.training.run import Run

FAST = OneVsAll(max_answers=8)


def rescal() -> Run:
    return Run(
        partial(RESCAL, dim=128, relation_dropout=0.25),
        GradientDescent(
            partial(Adam, lr=0.00085),
            KvsAll(label_smoothing=0.3),
            schedule=Plateau(patience=8),
            batch_size=128,
            precision="bf16",
            epochs=400,
        ),
    )


def transe() -> Run:
    return Run(
        partial(TransE, dim=512, entity_dropout=0.25),
        GradientDescent(
            partial(Adagrad, lr=0.25), NegativeSampling(158), schedule=Plateau(patience=5), batch_size=128, epochs=400
        ),
    )


def distmult() -> Run:
    return Run(
        partial(DistMult, dim=256, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.1), precision="bf16", epochs=40, patience=3),
    )


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=128, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.1), precision="bf16", epochs=50, patience=3),
    )


def neighbourhood() -> Run:
    return Run(
        partial(
            NeighbourhoodTransformer,
            dim=128,
            width=32,
            num_neighbours=32,
            readout="votes",
            neighbour_dropout=0.7,
            token_dropout=0.8,
            hidden_dropout=0.3,
            init=0.001,
        ),
        GradientDescent(partial(Adagrad, lr=0.1), FAST, N3(0.1), hide="exact", precision="bf16", epochs=40, patience=3),
    )


def gated() -> Run:
    """On top of `complex`, trained before into out/wn18rr-complex."""
    own = partial(
        NeighbourhoodTransformer,
        dim=16,
        width=32,
        num_neighbours=32,
        readout="votes",
        vote_hops=2,
        neighbour_dropout=0.3,
        token_dropout=0.8,
        hidden_dropout=0.1,
        init=0.001,
    )
    return Run(
        partial(Gated, own=own, base=partial(ComplEx, dim=128, init=0.001), frozen=True, base_dropout=0.3),
        GradientDescent(
            partial(Adam, lr=0.003),
            FAST,
            hide="exact",
            precision="bf16",
            base="out/wn18rr-complex",
            epochs=4,
            valid_every=1,
            patience=2,
        ),
    )


def complex_with_relation_prediction() -> Run:
    return Run(
        partial(ComplEx, dim=256, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.1),
            FAST,
            N3(0.1),
            auxiliary=RelationPrediction(0.05),
            precision="bf16",
            epochs=35,
            patience=3,
        ),
    )


def rotate() -> Run:
    return Run(
        partial(RotatE, dim=500),
        GradientDescent(
            partial(Adam, lr=5e-5),
            NegativeSampling(1024, loss="logistic", margin=6.0, adversarial_temperature=0.5),
            epochs=240,
        ),
    )


def tucker() -> Run:
    return Run(
        partial(TuckER, dim=200, relation_dim=30, entity_dropout=0.2, relation_dropout=0.2, query_dropout=0.3),
        GradientDescent(
            partial(Adam, lr=0.003),
            OneVsAll(label_smoothing=0.1, max_answers=8),
            batch_size=128,
            precision="bf16",
            epochs=200,
        ),
    )


def rules() -> Run:
    """Four atoms: a minute more than three, and better on valid."""
    return Run(partial(RuleScorer), Mining(max_length=4, min_support=1))
