"""Counting: the whole training of a scorer that is made of counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.frequency import Frequency
from kg.models.naive_bayes import NaiveBayes
from kg.models.scorer import Queries, Scorer
from kg.training.fit import Epoch, Fitting
from kg.training.run import Procedure, Run


@final
@dataclass(frozen=True)
class Counting(Procedure):
    """One pass over the training facts, both directions; a second one would find the same."""

    def fit(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str) -> Fitting:
        """UserError for what is not made of counts, and for parts of a run that descend a gradient."""
        if not isinstance(scorer, Frequency | NaiveBayes):
            raise UserError(f"counting fits Frequency and NaiveBayes, not {type(scorer).__name__}")
        self.check_unused(run)
        if run.hide == "pair":
            raise UserError("counting leaves out a fact's own edge alone: hide must be exact")
        return Pass(scorer, dataset, run, device)


@final
class Pass(Fitting):
    """Counts. loss: mean of -log softmax(scores) of the training facts' answers, none of them hidden, in nats."""

    def __init__(
        self, scorer: Frequency | NaiveBayes, dataset: Dataset, run: Run, device: torch.device | str
    ) -> None:
        super().__init__(scorer, dataset, run, device)
        self._counted = scorer
        self._graph = dataset.graph().to(self.device)
        self.num_queries = self._graph.num_edges
        self.num_steps = 1

    def loss(self) -> float:
        relations = torch.arange(2 * self._graph.num_relations, device=self.device)
        scores = self.scorer.score_tails(Queries(torch.zeros_like(relations), relations, self._graph))
        return -float(scores.log_softmax(1)[self._graph.relation, self._graph.tail].mean())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            self._counted.count(self._graph)
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)
