"""ARE: RESCAL's settings, but small batches, since what a batch asks for is hidden, and most must be seen."""

from functools import partial

from torch.optim import Adam

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.algorithms.additive import Additive
from kg.training.gradient_descent import GradientDescent, Plateau
from kg.training.objectives import OneVsAll
from kg.training.recipes import Recipe, is_small
from kg.training.recipes.space import COMMON, Choice, Space
from kg.training.run import Run


def _default(dataset: Dataset) -> Run:
    descent = GradientDescent(
        partial(Adam, lr=0.001),
        OneVsAll(max_answers=8),
        schedule=Plateau(),
        batch_size=max(32, min(256, len(dataset.train) // 80)),  # of up to 8 facts a row
        hide="exact",
        epochs=50,
        patience=5,
    )
    made = partial(scorer_class("are"), dim=64 if is_small(dataset) else 128, entity_dropout=0.5)
    return Run(made, Additive(descent))


_SPACE = Space({**COMMON, "dim": Choice((32, 64, 128)), "num_paths": Choice((8, 16, 32))})
RECIPES = {"are": Recipe(_SPACE, _default)}
