"""Presets for umls: the defaults of `kg train`, written out; a start for presets of your own.

    kg train $KG_DATA/umls models/umls --preset experiments/presets/umls.py:complex
    kg bench $KG_DATA/umls --preset experiments/presets/umls.py:rescal,transe,distmult,complex --out bench/umls

What they reach stands in experiments/results/defaults_umls.json.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.models.complex import ComplEx
from kg.models.distmult import DistMult
from kg.models.rescal import RESCAL
from kg.models.rules import RuleScorer
from kg.models.transe import TransE
from kg.training.algorithms.als import ALS
from kg.training.algorithms.mining import Mining
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import OneVsAll
from kg.training.regularizers import N3
from kg.training.run import Run


def rescal() -> Run:
    return Run(
        partial(RESCAL, dim=64, entity_dropout=0.5),
        GradientDescent(
            partial(Adam, lr=0.001), OneVsAll(), schedule=Plateau(), batch_size=128, epochs=100, patience=5
        ),
    )


def transe() -> Run:
    return Run(
        partial(TransE, dim=128, norm=2),
        GradientDescent(partial(Adam, lr=0.003), OneVsAll(), schedule=Plateau(), epochs=100, patience=5),
    )


def distmult() -> Run:
    return Run(
        partial(DistMult, dim=128, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), OneVsAll(), N3(0.005), batch_size=128, epochs=100, patience=5),
    )


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=128, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), OneVsAll(), N3(0.005), batch_size=128, epochs=100, patience=5),
    )


def rescal_als() -> Run:
    return Run(partial(RESCAL, dim=100, tied=True), ALS(epochs=30, patience=3))


def rules() -> Run:
    """Two atoms: three are half a million rules, and no better."""
    return Run(partial(RuleScorer), Mining(max_length=2))
