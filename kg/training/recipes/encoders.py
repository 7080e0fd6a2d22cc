"""Graph encoders: large batches, since each encodes the whole graph; but what a batch asks for is hidden, and most must
be seen.
"""

from functools import partial
from typing import Any

from torch.optim import Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes import Recipe, is_small, one_vs_all
from kg.training.recipes.space import COMMON, DROPOUT, Choice, Space
from kg.training.run import Run


def _default(model: str, lr: float, arguments: dict[str, Any], dataset: Dataset) -> Run:
    dropout = {"entity_dropout": 0.3, "hidden_dropout": 0.2}
    descent = GradientDescent(
        partial(Adam, lr=lr),
        one_vs_all(dataset),
        batch_size=max(32, min(1024 if is_small(dataset) else 4096, len(dataset.train) // 10)),  # of 2 * train
        hide="exact",
        epochs=100,
        patience=5,
    )
    return Run(partial(scorer_class(model), dim=128, init=0.3, **dropout, **arguments), descent)


RECIPES = {
    "rgcn": Recipe(
        Space({**COMMON, "num_layers": Choice((1, 2)), "num_bases": Choice((1, 2, 4)), "hidden_dropout": DROPOUT}),
        partial(_default, "rgcn", 0.01, {"num_layers": 1}),
    ),
    "compgcn": Recipe(
        Space(
            {
                **COMMON,
                "num_layers": Choice((1, 2)),
                "composition": Choice(("mult", "sub", "corr")),
                "hidden_dropout": DROPOUT,
            }
        ),
        partial(_default, "compgcn", 0.005, {"composition": "sub"}),
    ),
}
