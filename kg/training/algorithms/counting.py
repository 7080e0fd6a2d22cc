"""Counting: the whole training of a scorer that is made of counts, or that reads them off the graph when asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.frequency import Frequency
from kg.models.naive_bayes import NaiveBayes
from kg.models.scorer import Queries, Scorer
from kg.models.similarity import Similarity
from kg.training.algorithm import Epoch, Trainer, TrainingAlgorithm

_SOME = 256  # facts: their mean loss stands to some 5 %


@final
@dataclass(frozen=True)
class Counting(TrainingAlgorithm):
    """One pass over the training facts, both directions; a second one would find the same."""

    def trainer(self, scorer: Scorer, dataset: Dataset, seed: int, device: torch.device | str = "cpu") -> "Pass":
        """UserError for what is not made of counts."""
        if not isinstance(scorer, Frequency | NaiveBayes | Similarity):
            raise UserError(f"counting fits Frequency, NaiveBayes and Similarity, not {type(scorer).__name__}")
        return Pass(scorer, dataset, self, seed, device)


@final
class Pass(Trainer):
    """Counts. loss: mean of -log softmax(scores) of the training facts' answers, none of them hidden, in nats.

    Where scores depend on the head it is that of some facts, drawn by the seed: all would take longer than to rank.
    """

    def __init__(
        self,
        scorer: Frequency | NaiveBayes | Similarity,
        dataset: Dataset,
        algorithm: Counting,
        seed: int,
        device: torch.device | str,
    ) -> None:
        super().__init__(scorer, algorithm, seed, device)
        self._counted = scorer
        self._graph = dataset.graph().to(self.device)
        self.num_queries = self._graph.num_edges
        self.num_steps = 1

    def loss(self) -> float:
        if isinstance(self._counted, Similarity):
            return self._loss_of_some()
        relations = torch.arange(2 * self._graph.num_relations, device=self.device)
        scores = self.scorer.score_tails(Queries(torch.zeros_like(relations), relations, self._graph))
        return -float(scores.log_softmax(1)[self._graph.relation, self._graph.tail].mean())

    def _loss_of_some(self) -> float:
        order = torch.randperm(self._graph.num_edges, generator=torch.Generator().manual_seed(self.seed))
        head, relation, tail = (
            x[order[:_SOME].to(x.device)] for x in (self._graph.head(), self._graph.relation, self._graph.tail)
        )
        scores = self.scorer.score_tails(Queries(head, relation, self._graph))
        return -float(scores.log_softmax(1).gather(1, tail[:, None]).mean())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            self._counted.count(self._graph)
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)
