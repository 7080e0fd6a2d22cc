"""ComplEx and models like it: Adagrad and the nuclear 3-norm (Lacroix et al., 2018)."""

from functools import partial

from torch.optim import Adagrad

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes import Recipe, has_few_entities, is_small, nuclear_weight, one_vs_all
from kg.training.recipes.scale import scaled
from kg.training.recipes.space import AGAINST_ALL, BATCH, COMMON, NUCLEAR, Space
from kg.training.regularizers import N3
from kg.training.run import Run


def _default(model: str, dataset: Dataset) -> Run:
    descent = GradientDescent(
        partial(Adagrad, lr=0.1),
        one_vs_all(dataset),
        N3(nuclear_weight(dataset)),
        batch_size=128 if has_few_entities(dataset) else 512,
        epochs=100 if is_small(dataset) else 50,
        patience=5,
    )
    return scaled(Run(partial(scorer_class(model), dim=128, init=0.001), descent), dataset)


_SPACE = Space(COMMON, objective=AGAINST_ALL, regularizer=NUCLEAR, batch_size=BATCH)
RECIPES = {model: Recipe(_SPACE, partial(_default, model)) for model in ("distmult", "complex", "cp", "simple", "hole")}
