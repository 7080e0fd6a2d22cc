"""Presets for codex-s, chosen on its valid part.

    kg train ../shared/datasets/codex-s models/codex-s --preset experiments/codex_s.py:complex
    kg bench ../shared/datasets/codex-s --presets experiments/codex_s.py:complex,rescal --out bench/codex-s

What they reach stands in experiments/codex_s.json, and beside the published figures in docs/benchmarks.md.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.rescal import RESCAL
from kg.models.transe import TransE
from kg.models.tucker import TuckER
from kg.training.objectives import OneVsAll, RelationPrediction
from kg.training.regularizers import N3
from kg.training.run import Plateau, Run

FAST = OneVsAll(max_answers=8)


def rescal() -> Run:
    return Run(
        partial(RESCAL, dim=128, entity_dropout=0.5, relation_dropout=0.2),
        partial(Adagrad, lr=0.05),
        FAST,
        schedule=Plateau(),
        batch_size=256,
        epochs=60,
        patience=4,
        precision="bf16",
    )


def transe() -> Run:
    return Run(
        partial(TransE, dim=128),
        partial(Adam, lr=0.003),
        OneVsAll(),
        schedule=Plateau(),
        epochs=40,
        patience=3,
    )


def distmult() -> Run:
    return Run(
        partial(DistMult, dim=512, init=0.001),
        partial(Adagrad, lr=0.1),
        FAST,
        N3(0.01),
        batch_size=256,
        epochs=40,
        patience=3,
        precision="bf16",
    )


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=512, init=0.001),
        partial(Adagrad, lr=0.1),
        FAST,
        N3(0.01),
        batch_size=256,
        epochs=40,
        patience=3,
        precision="bf16",
    )


def complex_with_relation_prediction() -> Run:
    return Run(
        partial(ComplEx, dim=512, init=0.001),
        partial(Adagrad, lr=0.1),
        FAST,
        N3(0.01),
        RelationPrediction(0.125),
        batch_size=256,
        epochs=40,
        patience=3,
        precision="bf16",
    )


def tucker() -> Run:
    return Run(
        partial(TuckER, dim=256, relation_dim=64, entity_dropout=0.4, relation_dropout=0.3),
        partial(Adam, lr=0.002),
        FAST,
        schedule=Plateau(),
        batch_size=256,
        epochs=80,
        patience=4,
        precision="bf16",
    )
