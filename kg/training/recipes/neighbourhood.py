"""NeighbourhoodTransformer: on few entities, all answers at once and dropout; on more, ComplEx with the votes of the
neighbourhood.
"""

from functools import partial

from torch.optim import Adagrad, Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.gradient_descent import GradientDescent, WarmUp
from kg.training.objectives import KvsAll, OneVsAll
from kg.training.recipes import Recipe, has_few_entities, is_small, is_sparse, nuclear_weight
from kg.training.recipes.space import COMMON, DROPOUT, Choice, Space
from kg.training.regularizers import N3
from kg.training.run import Run


def _default(dataset: Dataset) -> Run:
    return _of_few() if has_few_entities(dataset) else _of_many(dataset)


def _of_few() -> Run:
    dropouts = {"entity_dropout": 0.4, "hidden_dropout": 0.3, "neighbour_dropout": 0.3, "identity_dropout": 0.05}
    descent = GradientDescent(
        partial(Adam, lr=0.005),
        KvsAll("bce", label_smoothing=0.1),
        schedule=WarmUp(),
        batch_size=64,
        hide="exact",
        epochs=60,
    )
    return Run(partial(scorer_class("neighbourhood"), token_dropout=0.2, output_dropout=0.5, **dropouts), descent)


def _of_many(dataset: Dataset) -> Run:
    neighbour_dropout = 0.7 if is_sparse(dataset) else 0.3
    dropouts = {"token_dropout": 0.8, "neighbour_dropout": neighbour_dropout, "hidden_dropout": 0.3}
    made = partial(
        scorer_class("neighbourhood"),
        dim=512 if is_small(dataset) else 128,
        width=32,
        num_neighbours=32,
        readout="votes",
        init=0.001,
        **dropouts,
    )
    descent = GradientDescent(
        partial(Adagrad, lr=0.03 if is_small(dataset) else 0.1),
        OneVsAll(max_answers=8),
        N3(nuclear_weight(dataset)),
        batch_size=max(32, min(256 if is_small(dataset) else 512, len(dataset.train) // 80)),  # of up to 8 facts a row
        hide="exact",
        epochs=60 if is_small(dataset) else 50,
        patience=5,
    )
    return Run(made, descent)


_SPACE = Space(
    {
        **COMMON,
        "width": Choice((32, 64, 128)),
        "num_layers": Choice((1, 2, 3)),
        "readout": Choice(("votes", "vector", "both")),
        "neighbour_dropout": DROPOUT,
        "token_dropout": DROPOUT,
        "hidden_dropout": DROPOUT,
        "output_dropout": DROPOUT,
    }
)
RECIPES = {"neighbourhood": Recipe(_SPACE, _default)}
