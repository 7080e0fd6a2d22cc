"""Recipes by the name of a model: what a newcomer who names only the model gets, and what tuning varies of it.

Asking for one imports its family alone.

The settings were chosen on the valid parts of umls, and of larger graphs too for rescal, transe, distmult and complex;
those of complex and rescal on few entities by the mean over seeds, of complex on nations as well.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models import scorer_class
from kg.training.objectives import OneVsAll
from kg.training.recipes.space import COMMON, Space
from kg.training.run import Run

_FEW = 1_000  # entities: below it all answers of a question can be weighed at once, and steps are cheap
_SMALL = 5_000  # entities: below it a minute or two is enough for any model, and small vectors overfit less
_SPARSE = 5.0  # training facts an entity: below it the nuclear norm has to do more

FAMILIES = {
    "rescal": "kg.training.recipes.dropout",
    "transe": "kg.training.recipes.dropout",
    "distmult": "kg.training.recipes.bilinear",
    "complex": "kg.training.recipes.bilinear",
    "cp": "kg.training.recipes.bilinear",
    "simple": "kg.training.recipes.bilinear",
    "hole": "kg.training.recipes.bilinear",
    "rotate": "kg.training.recipes.dropout",
    "conve": "kg.training.recipes.dropout",
    "tucker": "kg.training.recipes.dropout",
    "ntn": "kg.training.recipes.dropout",
    "er_mlp": "kg.training.recipes.dropout",
    "se": "kg.training.recipes.dropout",
    "frequency": "kg.training.recipes.counting",
    "naive_bayes": "kg.training.recipes.counting",
    "rules": "kg.training.recipes.rules",
    "path_ranking": "kg.training.recipes.rules",
    "are": "kg.training.recipes.additive",
    "common_neighbours": "kg.training.recipes.counting",
    "adamic_adar": "kg.training.recipes.counting",
    "preferential_attachment": "kg.training.recipes.counting",
    "katz": "kg.training.recipes.counting",
    "pagerank": "kg.training.recipes.counting",
    "rgcn": "kg.training.recipes.encoders",
    "compgcn": "kg.training.recipes.encoders",
    "neighbourhood": "kg.training.recipes.neighbourhood",
    "paths": "kg.training.recipes.paths",
    "pretrained": "kg.training.recipes.pretrained",
    "gated": "kg.training.recipes.ensembles",
    "combine": "kg.training.recipes.ensembles",
    "rank_ensemble": "kg.training.recipes.ensembles",
}


@dataclass(frozen=True)
class Recipe:
    """default_run: from a graph (its size decides) to a Run; None where only the caller can say, of what parts."""

    space: Space
    default_run: Callable[[Dataset], Run] | None = None


def recipe(model: str) -> Recipe:
    """The recipe of a model, from the RECIPES of its family; without one, a search of the arguments that most scorers
    have, and no default. UserError where there is no such model.
    """
    made = scorer_class(model)
    if model in FAMILIES:
        found: dict[str, Recipe] = resolve_name(f"{FAMILIES[model]}:RECIPES")
        return found[model]
    takes = inspect.signature(made).parameters
    return Recipe(Space({name: each for name, each in COMMON.items() if name in takes}))


def default_run(model: str) -> Callable[[Dataset], Run]:
    """From a graph to the Run for this model. UserError where no defaults are known."""
    found = recipe(model).default_run
    if not found:
        raise UserError(f"{model} has no default settings yet: give a Run in Python")
    return found


# What families ask of a graph


def has_few_entities(dataset: Dataset) -> bool:
    return dataset.num_entities < _FEW


def is_small(dataset: Dataset) -> bool:
    return dataset.num_entities < _SMALL


def is_sparse(dataset: Dataset) -> bool:
    return len(dataset.train) < _SPARSE * dataset.num_entities


def nuclear_weight(dataset: Dataset) -> float:
    """Of N3."""
    return 0.005 if has_few_entities(dataset) else 0.01 if is_small(dataset) else 0.1 if is_sparse(dataset) else 0.05


def one_vs_all(dataset: Dataset) -> OneVsAll:
    """On a large graph, answers to a question share a row: as good after the same epochs, in half the time or less."""
    return OneVsAll() if is_small(dataset) else OneVsAll(max_answers=8)
