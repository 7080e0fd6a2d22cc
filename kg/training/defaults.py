"""What a newcomer who names only the model gets: settings chosen on the valid parts of public benchmarks."""

from collections.abc import Callable
from functools import partial

from torch.optim import Adagrad, Adam

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.objectives import OneVsAll
from kg.training.regularizers import N3
from kg.training.run import Plateau, Run

_SMALL = 5_000  # entities: below it a minute or two is enough for any of these, and small vectors overfit less
_SPARSE = 5.0  # training facts an entity: below it the nuclear norm has to do more


def defaults(model: str) -> Callable[[Dataset], Run]:
    """From a graph (its size decides) to the Run for this model. UserError where no defaults are known."""
    if model not in _DEFAULTS:
        scorer_class(model)  # says which models there are
        raise UserError(f"{model} has no default settings yet: give a Run in Python")
    return _DEFAULTS[model]


def _is_small(dataset: Dataset) -> bool:
    return dataset.num_entities < _SMALL


def _rescal(dataset: Dataset) -> Run:
    dim = 64 if _is_small(dataset) else 128
    return Run(
        partial(scorer_class("rescal"), dim=dim, entity_dropout=0.5),
        partial(Adam, lr=0.001),
        OneVsAll(),
        schedule=Plateau(),
        epochs=100,
        patience=5,
    )


def _transe(dataset: Dataset) -> Run:
    return Run(
        partial(scorer_class("transe"), dim=128, norm=2),  # L1 does a little better, without matrix products
        partial(Adam, lr=0.003),
        OneVsAll(),
        schedule=Plateau(),
        epochs=100,
        patience=5,
    )


def _bilinear(model: str, dataset: Dataset) -> Run:
    """Adagrad and the nuclear 3-norm (Lacroix et al., 2018)."""
    sparse = len(dataset.train) < _SPARSE * dataset.num_entities
    weight = 0.01 if _is_small(dataset) else 0.1 if sparse else 0.05
    return Run(
        partial(scorer_class(model), dim=128, init=0.001),
        partial(Adagrad, lr=0.1),
        OneVsAll(),
        N3(weight),
        epochs=100 if _is_small(dataset) else 50,
        patience=5,
    )


_DEFAULTS: dict[str, Callable[[Dataset], Run]] = {
    "rescal": _rescal,
    "transe": _transe,
    "distmult": partial(_bilinear, "distmult"),
    "complex": partial(_bilinear, "complex"),
}
