"""Models trained with Adam, and with dropout against overfitting."""

from functools import partial
from typing import Any

from torch.optim import Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.recipes import Recipe, has_few_entities, is_small, one_vs_all
from kg.training.recipes.scale import scaled
from kg.training.recipes.space import AGAINST_ALL, BATCH, COMMON, DROPOUT, INIT, NUCLEAR, SAMPLED, Choice, Space
from kg.training.run import Run


def _recipe(
    model: str, lr: float, small: int, large: int, arguments: dict[str, Any], space: Space, of_few: int = 512
) -> Recipe:
    """lr: the learning rate. small, large: dim on small and on large graphs. of_few: the batch on few entities."""

    def default(dataset: Dataset) -> Run:
        descent = GradientDescent(
            partial(Adam, lr=lr),
            one_vs_all(dataset),
            schedule=Plateau(),
            batch_size=of_few if has_few_entities(dataset) else 512,
            epochs=100,
            patience=5,
        )
        made = partial(scorer_class(model), dim=small if is_small(dataset) else large, **arguments)
        return scaled(Run(made, descent), dataset)

    return Recipe(space, default)


RECIPES = {
    "rescal": _recipe(
        "rescal",
        0.001,
        64,
        128,
        {"entity_dropout": 0.5},
        Space({**COMMON, "dim": Choice((32, 64, 128))}, objective=AGAINST_ALL, regularizer=NUCLEAR, batch_size=BATCH),
        of_few=128,
    ),
    "tucker": _recipe(
        "tucker",
        0.002,
        64,
        200,
        {"entity_dropout": 0.4, "relation_dropout": 0.2},
        Space(
            {**COMMON, "dim": Choice((64, 128, 200)), "relation_dim": Choice((32, 64, 128)), "query_dropout": DROPOUT},
            objective=AGAINST_ALL,
            batch_size=BATCH,
        ),
    ),
    # It does a little better with the L1 norm, but then without matrix products.
    "transe": _recipe(
        "transe",
        0.003,
        128,
        128,
        {"norm": 2},
        Space({**COMMON, "norm": Choice((1, 2))}, objective={**AGAINST_ALL, **SAMPLED}, batch_size=BATCH),
    ),
    "rotate": _recipe(
        "rotate",
        0.003,
        64,
        64,
        {},
        Space(
            {"dim": Choice((32, 64, 128)), "entity_dropout": DROPOUT, "init": INIT}, objective=SAMPLED, batch_size=BATCH
        ),
    ),
    "conve": _recipe(
        "conve",
        0.003,
        100,
        200,
        {"entity_dropout": 0.2, "feature_map_dropout": 0.2, "projection_dropout": 0.3},
        Space(
            {**COMMON, "dim": Choice((100, 200)), "feature_map_dropout": DROPOUT, "projection_dropout": DROPOUT},
            batch_size=BATCH,
        ),
    ),
    "er_mlp": _recipe(
        "er_mlp",
        0.003,
        64,
        64,
        {"entity_dropout": 0.3},
        Space({**COMMON, "dim": Choice((32, 64, 128))}, batch_size=BATCH),
    ),
    "ntn": _recipe(
        "ntn",
        0.003,
        32,
        32,
        {"entity_dropout": 0.3},
        Space({**COMMON, "dim": Choice((16, 32, 64)), "slices": Choice((2, 4, 8))}, batch_size=BATCH),
    ),
    "se": _recipe(
        "se",
        0.003,
        32,
        32,
        {"entity_dropout": 0.3},
        Space({**COMMON, "dim": Choice((16, 32, 64))}, batch_size=BATCH),
    ),
}
