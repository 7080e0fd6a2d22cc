"""Models that are counts, or are read off the graph: nothing is learned but by counting."""

from functools import partial

from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.algorithms.counting import Counting
from kg.training.recipes import Recipe, is_sparse
from kg.training.recipes.space import Real, Space
from kg.training.run import Run


def _counted(model: str, _: Dataset) -> Run:
    return Run(partial(scorer_class(model)), Counting())


def _similarity(model: str, dataset: Dataset) -> Run:
    """Where heads have few facts, similarity to their known answers must say more."""
    return Run(partial(scorer_class(model), known_weight=1.0 if is_sparse(dataset) else 0.01), Counting())


RECIPES = {
    "frequency": Recipe(Space({}), partial(_counted, "frequency")),
    "naive_bayes": Recipe(Space({"smoothing": Real(0.001, 1.0, log=True)}), partial(_counted, "naive_bayes")),
    "preferential_attachment": Recipe(Space({}), partial(_counted, "preferential_attachment")),
    **{
        model: Recipe(Space({}), partial(_similarity, model))  # what one of them takes, another does not
        for model in ("common_neighbours", "adamic_adar", "katz", "pagerank")
    },
}
