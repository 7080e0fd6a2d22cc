"""Rules, and weighted paths."""

from functools import partial

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.algorithms.mining import Mining
from kg.training.algorithms.path_regression import PathRegression
from kg.training.recipes import Recipe, is_small, is_sparse
from kg.training.recipes.space import Choice, Space
from kg.training.run import Run


def _rules(dataset: Dataset) -> Run:
    """In dense graphs three atoms are very many rules, and bring nothing on valid; in large ones twice is by chance."""
    often = 2 if is_small(dataset) or is_sparse(dataset) else 3
    mining = Mining(max_length=3 if is_sparse(dataset) else 2, min_constant_support=often)
    return Run(partial(scorer_class("rules")), mining)


def _path_ranking(_: Dataset) -> Run:
    return Run(partial(scorer_class("path_ranking")), PathRegression())


RECIPES = {
    "rules": Recipe(Space({"aggregation": Choice(("max_plus", "noisy_or"))}), _rules),
    "path_ranking": Recipe(Space({"num_paths": Choice((16, 32, 64))}), _path_ranking),
}
