"""Presets for codex-s, chosen on its valid part.

    kg train $KG_DATA/codex-s models/codex-s --preset experiments/presets/codex_s.py:complex
    kg bench $KG_DATA/codex-s --preset experiments/presets/codex_s.py:complex,rescal --out bench/codex-s

What they reach stands in experiments/results/bench_codex_s.json, and beside the published figures in
docs/benchmarks.md.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.models.compgcn import CompGCN
from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.er_mlp import ERMLP
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.ntn import NTN
from kg.models.rescal import RESCAL
from kg.models.rgcn import RGCN
from kg.models.rules import RuleScorer
from kg.models.scorer import Scorer
from kg.models.structured import StructuredEmbedding
from kg.models.transe import TransE
from kg.models.tucker import TuckER
from kg.training.algorithms.als import ALS
from kg.training.algorithms.mining import Mining
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import OneVsAll, RelationPrediction
from kg.training.regularizers import N3
from kg.training.run import Run

FAST = OneVsAll(max_answers=8)


def rescal() -> Run:
    return Run(
        partial(RESCAL, dim=128, entity_dropout=0.5, relation_dropout=0.2),
        GradientDescent(
            partial(Adagrad, lr=0.05), FAST, schedule=Plateau(), batch_size=256, precision="bf16", epochs=60, patience=4
        ),
    )


def transe() -> Run:
    return Run(
        partial(TransE, dim=128),
        GradientDescent(partial(Adam, lr=0.003), OneVsAll(), schedule=Plateau(), epochs=40, patience=3),
    )


def distmult() -> Run:
    return Run(
        partial(DistMult, dim=512, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.1), FAST, N3(0.01), batch_size=256, precision="bf16", epochs=40, patience=3
        ),
    )


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=512, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.03), FAST, N3(0.01), batch_size=256, precision="bf16", epochs=60, patience=4
        ),
    )


def complex_with_relation_prediction() -> Run:
    return Run(
        partial(ComplEx, dim=512, init=0.001),
        GradientDescent(
            partial(Adagrad, lr=0.03),
            FAST,
            N3(0.01),
            auxiliary=RelationPrediction(0.125),
            batch_size=256,
            precision="bf16",
            epochs=60,
            patience=4,
        ),
    )


def neighbourhood() -> Run:
    return Run(
        partial(
            NeighbourhoodTransformer,
            dim=512,
            width=32,
            num_neighbours=32,
            readout="votes",
            neighbour_dropout=0.3,
            token_dropout=0.8,
            hidden_dropout=0.3,
            init=0.001,
        ),
        GradientDescent(
            partial(Adagrad, lr=0.03),
            FAST,
            N3(0.01),
            batch_size=256,
            hide="exact",
            precision="bf16",
            epochs=60,
            patience=4,
        ),
    )


def gated() -> Run:
    """On top of `complex`, trained before into out/codex-s-complex."""
    own = partial(
        NeighbourhoodTransformer,
        dim=16,
        width=32,
        num_neighbours=32,
        readout="votes",
        neighbour_dropout=0.3,
        token_dropout=0.8,
        hidden_dropout=0.3,
        init=0.001,
    )
    return Run(
        partial(Gated, own=own, base=partial(ComplEx, dim=512, init=0.001), frozen=True, base_dropout=0.1),
        GradientDescent(
            partial(Adam, lr=0.003),
            FAST,
            batch_size=256,
            hide="exact",
            precision="bf16",
            base="out/codex-s-complex",
            epochs=15,
            valid_every=1,
            patience=6,
        ),
    )


def tucker() -> Run:
    return Run(
        partial(TuckER, dim=256, relation_dim=64, entity_dropout=0.4, relation_dropout=0.3),
        GradientDescent(
            partial(Adam, lr=0.002), FAST, schedule=Plateau(), batch_size=256, precision="bf16", epochs=80, patience=4
        ),
    )


def er_mlp() -> Run:
    return _with_adam(partial(ERMLP, dim=64, entity_dropout=0.3))


def ntn() -> Run:
    return _with_adam(partial(NTN, dim=32, entity_dropout=0.3))


def se() -> Run:
    return _with_adam(partial(StructuredEmbedding, dim=32, entity_dropout=0.3))


def rgcn() -> Run:
    return _encoder(partial(RGCN, dim=128, num_layers=1, init=0.3, entity_dropout=0.3, hidden_dropout=0.2), lr=0.01)


def compgcn() -> Run:
    scorer = partial(CompGCN, dim=128, composition="sub", init=0.3, entity_dropout=0.3, hidden_dropout=0.2)
    return _encoder(scorer, lr=0.01)


def rescal_als() -> Run:
    return Run(partial(RESCAL, dim=100, tied=True), ALS(epochs=30, patience=3))


def _with_adam(scorer: "partial[Scorer]") -> Run:
    return Run(
        scorer,
        GradientDescent(partial(Adam, lr=0.003), FAST, schedule=Plateau(), batch_size=256, epochs=30, patience=2),
    )


def _encoder(scorer: "partial[Scorer]", lr: float) -> Run:
    return Run(
        scorer, GradientDescent(partial(Adam, lr=lr), FAST, batch_size=1024, hide="exact", epochs=30, patience=2)
    )


def rules() -> Run:
    """Three atoms bring nothing here, and take twenty times as long."""
    return Run(partial(RuleScorer), Mining(max_length=2))
