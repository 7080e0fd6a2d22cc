"""Counting: the whole training of a Frequency."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.frequency import Frequency
from kg.models.scorer import Scorer
from kg.training.fit import Epoch, Fitting
from kg.training.run import Procedure, Run


@final
@dataclass(frozen=True)
class Counting(Procedure):
    """One pass over the training facts, both directions; a second one would find the same."""

    def fit(self, scorer: Scorer, dataset: Dataset, run: Run, device: torch.device | str) -> Fitting:
        """UserError for anything but Frequency, and for parts of a run that descend a gradient."""
        if not isinstance(scorer, Frequency):
            raise UserError(f"counting fits Frequency alone, not {type(scorer).__name__}")
        unused = [part for part in ("optimizer", "regularizer", "auxiliary", "schedule") if getattr(run, part)]
        if unused:
            raise UserError(f"counting has no use for this run's {' and '.join(unused)}: leave them out")
        return Pass(scorer, dataset, run, device)


@final
class Pass(Fitting):
    """Counts. loss: the mean cross-entropy of the training facts' answers given their relations, in nats."""

    def __init__(self, scorer: Frequency, dataset: Dataset, run: Run, device: torch.device | str) -> None:
        super().__init__(scorer, dataset, run, device)
        self._counts = scorer.counts
        self._graph = dataset.graph().to(self.device)
        self.num_queries = self._graph.num_edges
        self.num_steps = 1

    def loss(self) -> float:
        counts = self._counts.double()
        share = (counts + 1) / (counts + 1).sum(1, keepdim=True)
        return -float((counts * share.log()).sum() / counts.sum())

    def __iter__(self) -> Iterator[Epoch]:
        while not self.finished:
            answered = self._graph.relation * self._counts.shape[1] + self._graph.tail
            self._counts.copy_(torch.bincount(answered, minlength=self._counts.numel()).view_as(self._counts))
            self.epoch += 1
            yield Epoch(self.epoch, self.loss(), self.num_queries, complete=True)
