"""Presets for umls: every attention mechanism of the neighbourhood transformer beside the strongest factorizations.

    kg bench $KG_DATA/umls --preset experiments/presets/attention.py --seeds 3 --out bench/attention

The mechanisms share all other settings: two layers, 32 neighbours drawn in training, 30 epochs. What they reach stands
in experiments/results/bench_attention.json, and what is to be made of it in docs/attention.md.

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial
from typing import Any, Literal

from torch.optim import Adagrad, Adam

from kg.attention.fnet import Fourier
from kg.attention.induced import InducedPoints
from kg.attention.performer import Performer
from kg.attention.persistent import Persistent
from kg.attention.softmax import Softmax
from kg.attention.sparse import Expander, Star
from kg.attention.window import DifferentiableWindow
from kg.models.compgcn import CompGCN
from kg.models.complex import ComplEx
from kg.models.frequency import Frequency
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.tucker import TuckER
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent, Plateau, WarmUp
from kg.training.objectives import KvsAll, OneVsAll
from kg.training.regularizers import N3
from kg.training.run import Run


def neighbourhood() -> Run:
    """What `kg train --model neighbourhood` gives."""
    return _transformer(64, 60, identity_dropout=0.05)


def pair() -> Run:
    """With every edge between the two ends hidden, not those that are asked for alone."""
    return _transformer(64, 60, hide="pair", identity_dropout=0.05)


def unmasked() -> Run:
    """Without source masking: it has no answer for newcomers."""
    return _transformer(64, 60)


def query() -> Run:
    return _transformer(32, 30)


def softmax() -> Run:
    return _mixing(partial(Softmax))


def causal() -> Run:
    return _mixing(partial(Softmax, causal=True))


def performer() -> Run:
    return _mixing(partial(Performer))


def star() -> Run:
    return _mixing(partial(Star))


def expander() -> Run:
    return _mixing(partial(Expander))


def fnet() -> Run:
    return _mixing(partial(Fourier))


def persistent() -> Run:
    return _mixing(partial(Persistent))


def persistent_alone() -> Run:
    return _mixing(partial(Persistent), feed_forward=False)


def window() -> Run:
    return _mixing(partial(DifferentiableWindow))


def induced() -> Run:
    return _mixing(partial(InducedPoints))


def context_free() -> Run:
    return _transformer(32, 30, context=False)


def complex() -> Run:
    return Run(
        partial(ComplEx, dim=128, init=0.001),
        GradientDescent(partial(Adagrad, lr=0.1), OneVsAll(), N3(0.01), epochs=100, patience=5),
    )


def tucker() -> Run:
    return Run(
        partial(TuckER, dim=64, entity_dropout=0.4, relation_dropout=0.2),
        GradientDescent(partial(Adam, lr=0.002), OneVsAll(), schedule=Plateau(), epochs=100, patience=5),
    )


def compgcn() -> Run:
    return Run(
        partial(CompGCN, dim=128, init=0.3, composition="sub", entity_dropout=0.3, hidden_dropout=0.2),
        GradientDescent(partial(Adam, lr=0.005), OneVsAll(), batch_size=521, hide="exact", epochs=100, patience=5),
    )


def frequency() -> Run:
    return Run(partial(Frequency), Counting())


def _mixing(attention: "partial[Any]", **arguments: Any) -> Run:
    return _transformer(32, 30, attention=attention, **arguments)


def _transformer(num_neighbours: int, epochs: int, hide: Literal["exact", "pair"] = "exact", **arguments: Any) -> Run:
    dropouts = {"entity_dropout": 0.4, "hidden_dropout": 0.3, "neighbour_dropout": 0.3}
    return Run(
        partial(
            NeighbourhoodTransformer,
            num_neighbours=num_neighbours,
            token_dropout=0.2,
            output_dropout=0.5,
            **dropouts,
            **arguments,
        ),
        GradientDescent(
            partial(Adam, lr=0.005),
            KvsAll("bce", label_smoothing=0.1),
            schedule=WarmUp(),
            batch_size=64,
            hide=hide,
            epochs=epochs,
            valid_every=5,
        ),
    )
