"""Logistic regression: how much each path type of a relation counts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int

from kg.errors import UserError, check_at_least_one
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.interruption import waited_for
from kg.models.path_ranking import PathRanking
from kg.models.scorer import Scorer
from kg.rules.path_features import Examples, examples, path_types, walkable
from kg.training.algorithm import Epoch, Trainer, TrainingAlgorithm


class Weighed(NamedTuple):
    """What was fitted for a directed relation."""

    relation: int
    paths: Int[np.ndarray, "P L"]
    weight: Float[np.ndarray, " P"]
    bias: float
    loss: float


@final
@dataclass(frozen=True)
class PathRegression(TrainingAlgorithm):
    """Path types of every directed relation, and a logistic regression over the probabilities of their walks:

        minimise sum_i -log sigmoid(y_i (bias + w . x_i)) + strength / 2 ||s w||^2

    over the rows of kg.rules.path_features.examples, y 1 for answers and -1 otherwise, s the root mean square of each
    x. From at most num_facts facts a relation, in a random order that is always the same.
    """

    num_facts: int = 500
    strength: float = 100.0

    def __post_init__(self) -> None:
        check_at_least_one(num_facts=self.num_facts)
        if not 0 < self.strength < math.inf:
            raise UserError(f"strength must be above 0 and finite: got {self.strength}")

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Regressions":
        """UserError for anything but PathRanking."""
        if not isinstance(scorer, PathRanking):
            raise UserError(f"path regression fits PathRanking, not {type(scorer).__name__}")
        return Regressions(scorer, dataset, self, seed, device)

    def regressions(self, graph: Graph, relation: int, num_paths: int, max_length: int) -> list[Weighed]:
        """Of both directions of a relation, if it has facts."""
        facts = some_facts(graph, relation, self.num_facts)
        if not len(facts):
            return []
        forth, back = path_types(graph, relation, facts, num_paths, max_length)
        turned, found = np.ascontiguousarray(facts[:, ::-1]), []
        for directed, paths, pairs in ((relation, forth, facts), (relation + graph.num_relations, back, turned)):
            fitted = regression(examples(walkable(graph), paths, directed, pairs), self.strength)
            found.append(Weighed(directed, paths, *fitted))
        return found


@final
class Regressions(Trainer):
    """One pass, a step a relation. loss: mean of -log sigmoid over the examples, each relation counting alike."""

    algorithm: PathRegression

    def __init__(
        self,
        scorer: PathRanking,
        dataset: Dataset,
        algorithm: PathRegression,
        seed: int,
        device: torch.device | str,
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._ranking = scorer
        self._graph = dataset.graph()
        self._losses: list[float] = []  # of each directed relation that is fitted
        self.num_queries = 2 * len(dataset.train)
        self.num_steps = dataset.num_relations

    def loss(self) -> float:
        return float(np.mean(self._losses)) if self._losses else math.log(2)

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            while self.step < self.num_steps and not self._paused:
                shape = self._ranking.path_shape
                for fitted in waited_for(partial(self.algorithm.regressions, self._graph, self.step, *shape)):
                    self._ranking.learn(fitted.relation, fitted.paths, fitted.weight, fitted.bias)
                    self._losses.append(fitted.loss)
                self._step_taken()
            if self.step < self.num_steps:
                self._paused = False
                yield Epoch(self.epoch + 1, self.loss(), 0, complete=False)
                continue
            self.step = 0
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "losses": self._losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._losses = state.get("losses", [])


def some_facts(graph: Graph, relation: int, most: int) -> Int[np.ndarray, "F 2"]:
    """(head, tail) of facts of a relation, in an order that is random but always the same."""
    chosen = (graph.relation.cpu() == relation).nonzero()[:, 0]
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:most]]
    return torch.stack([graph.head().cpu()[chosen], graph.tail.cpu()[chosen]], 1).numpy()


def regression(seen: Examples, strength: float) -> tuple[Float[np.ndarray, " K"], float, float]:
    """The weights and the bias that minimise what PathRegression says; and the mean loss without the penalty."""
    from sklearn.linear_model import LogisticRegression  # takes a second or two

    used = seen.weight > 0
    x, y, weight = seen.features[used].astype(np.float64), seen.answer[used], seen.weight[used]
    if len(np.unique(y)) < 2:
        bias = 10.0 if y.all() else -10.0
        return np.zeros(x.shape[1], np.float32), bias, 0.0
    scale = np.sqrt(np.average(x**2, axis=0, weights=weight))
    scale[scale == 0] = 1
    model = LogisticRegression(C=1 / strength, solver="newton-cholesky", max_iter=1000)
    model.fit(x / scale, y, sample_weight=weight)
    logits = model.decision_function(x / scale) * np.where(y == 1, 1, -1)
    loss = np.average(np.logaddexp(0, -logits), weights=weight)
    return (model.coef_[0] / scale).astype(np.float32), float(model.intercept_[0]), float(loss)
