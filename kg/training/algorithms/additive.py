"""Additive: the paths of ARE are found first, then all its weights are fitted together."""

from dataclasses import dataclass
from functools import partial
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.interruption import waited_for
from kg.models.are import ARE
from kg.models.scorer import Scorer
from kg.progress import SILENT, Progress
from kg.training.algorithm import Trainer
from kg.training.algorithms.on_descent import OnDescent
from kg.training.algorithms.path_regression import PathRegression


@final
@dataclass(frozen=True)
class Additive(OnDescent):
    """Paths and the weights to begin with from the regressions of PathRegression; then gradient descent.

    The walks of a batch go through the graph without its facts, so that a fact never supports itself.
    """

    num_facts: int = 500
    strength: float = 100.0

    def __post_init__(self) -> None:
        PathRegression(self.num_facts, self.strength)  # which says what cannot be

    def start(self, scorer: Scorer, dataset: Dataset, progress: Progress = SILENT) -> None:
        """Find the paths. UserError for anything but ARE."""
        graph, found = dataset.graph(), PathRegression(self.num_facts, self.strength)
        checked = _checked(scorer)
        for relation in range(graph.num_relations):
            for fitted in waited_for(partial(found.regressions, graph, relation, *checked.path_shape)):
                checked.learn(fitted.relation, fitted.paths, fitted.weight)
            progress.at("finding paths", relation + 1, graph.num_relations)

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> Trainer:
        """UserError for anything but ARE."""
        return self.descent.trainer(_checked(scorer), dataset, seed, device)


def _checked(scorer: Scorer) -> ARE:
    if not isinstance(scorer, ARE):
        raise UserError(f"additive fits ARE, not {type(scorer).__name__}")
    return scorer
