"""PathNetwork: few weights, learned from a part of the questions; each pass through the graph is what costs."""

from functools import partial

from torch.optim import Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.gradient_descent import GradientDescent, WarmUp
from kg.training.objectives import OneVsUnknown
from kg.training.recipes import Recipe, has_few_entities, is_small
from kg.training.recipes.space import DROPOUT, Choice, Real, Space
from kg.training.run import Run

_THIN = 2.5  # training facts an entity: below it an answer lies further away


def _default(dataset: Dataset) -> Run:
    few, is_thin = has_few_entities(dataset), len(dataset.train) < _THIN * dataset.num_entities
    made = partial(scorer_class("paths"), num_layers=6 if is_thin else 4)
    descent = GradientDescent(
        partial(Adam, lr=0.008 if few else 0.006),
        OneVsUnknown(max_answers=1 if few else 8),
        schedule=WarmUp(),
        batch_size=16,
        hide="exact",
        questions=10_000,  # passes are what costs
        averaging=0.998,
        epochs=8 if few else 6 if is_small(dataset) else 12,
        valid_every=1,
        patience=3,
    )
    return Run(made, descent)


_SPACE = Space(
    {
        "dim": Choice((16, 32, 64)),
        "num_layers": Choice((2, 3, 4, 5, 6)),
        "max_nodes": Choice((200, 500, 1000, 4000)),
        "message": Choice(("add", "times")),
        "aggregation": Choice(("sum", "mean")),
        "hidden_dropout": DROPOUT,
    },
    optimizer={"adam": {"lr": Real(0.001, 0.02, log=True)}},
    objective={"one_vs_unknown": {"max_answers": Choice((1, 4, 16))}},
    batch_size=Choice((8, 16, 32)),
)
RECIPES = {"paths": Recipe(_SPACE, _default)}
