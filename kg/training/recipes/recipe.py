"""A recipe: what a newcomer who names only the model gets, and what tuning varies of it."""

from collections.abc import Callable
from dataclasses import dataclass

from kg.graph.dataset import Dataset
from kg.training.objectives import OneVsAll
from kg.training.recipes.space import Space
from kg.training.run import Run

_SMALL = 5_000  # entities: below it a minute or two is enough for any model, and small vectors overfit less
_SPARSE = 5.0  # training facts an entity: below it the nuclear norm has to do more


@dataclass(frozen=True)
class Recipe:
    """default_run: from a graph (its size decides) to a Run; None where only the caller can say, of what parts."""

    space: Space
    default_run: Callable[[Dataset], Run] | None = None


def is_small(dataset: Dataset) -> bool:
    return dataset.num_entities < _SMALL


def is_sparse(dataset: Dataset) -> bool:
    return len(dataset.train) < _SPARSE * dataset.num_entities


def nuclear_weight(dataset: Dataset) -> float:
    """Of N3."""
    return 0.01 if is_small(dataset) else 0.1 if is_sparse(dataset) else 0.05


def one_vs_all(dataset: Dataset) -> OneVsAll:
    """On a large graph, answers to a question share a row: as good after the same epochs, in half the time or less."""
    return OneVsAll() if is_small(dataset) else OneVsAll(max_answers=8)
