"""Additive: the paths of ARE are found first, then all its weights are fitted together."""

from dataclasses import dataclass
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.are import ARE
from kg.models.scorer import Scorer
from kg.training.algorithms.path_regression import Logistic
from kg.training.gradient_descent import Fit, Fitting
from kg.training.run import Procedure, Run


@final
@dataclass(frozen=True)
class Additive(Procedure):
    """Paths and the weights to begin with from the regressions of Logistic; then the run's optimizer and objective.

    The walks of a batch go through the graph without its facts, so that a fact never supports itself.
    """

    num_facts: int = 500
    strength: float = 100.0

    def __post_init__(self) -> None:
        Logistic(self.num_facts, self.strength)  # which says what cannot be

    def fit(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str) -> Fitting:
        """UserError for anything but ARE, and without an optimizer. A scorer that has its paths keeps them."""
        if not isinstance(scorer, ARE):
            raise UserError(f"additive fits ARE, not {type(scorer).__name__}")
        if run.optimizer is None:
            raise UserError("additive descends a gradient after its paths are found: the run needs an optimizer")
        if bool((scorer.paths < 0).all()):
            self._start(scorer, dataset)
        return Fit(scorer, dataset, run, device)

    def _start(self, scorer: ARE, dataset: Dataset) -> None:
        graph, found = dataset.graph(), Logistic(self.num_facts, self.strength)
        for relation in range(graph.num_relations):
            for fitted in found.regressions(graph, relation, *scorer.path_shape):
                scorer.learn(fitted.relation, fitted.paths, fitted.weight)
