"""What an epoch asks: the questions of training, some several times, and which of them are drawn."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from kg.graph.graph import spans
from kg.graph.known import KnownAnswers

_TEMPERED = 0.75  # drawn, a directed relation counts as (its facts) to this power: rare ones more than in the graph


@dataclass(frozen=True, eq=False)
class Rows:
    """Q rows of scores: the question each asks, and the stretch of `KnownAnswers.tails` it is trained on."""

    question: Int[Tensor, " Q"]
    start: Int[Tensor, " Q"]
    count: Int[Tensor, " Q"]
    relation: Int[Tensor, " Q"]  # directed

    @classmethod
    def of(cls, known: KnownAnswers, max_answers: int | None) -> "Rows":
        """Each question as often as it takes to serve all its answers, at most so many a row."""
        counts = known.offsets.diff()
        most = max_answers or int(counts.max())
        question, part = spans(torch.zeros_like(counts), (counts + most - 1) // most)
        count = (counts[question] - part * most).clamp(max=most)
        relation = known.questions[question] % (2 * known.num_relations)
        return cls(question, known.offsets[question] + part * most, count, relation)

    def __len__(self) -> int:
        return len(self.question)

    def drawn(self, most: int, generator: torch.Generator) -> Int[Tensor, " _"]:
        """Places of rows, in the order in which they are taken: all; or `most` of them, none twice, each with a chance
        that makes a directed relation of n facts come n^.75 times as often as one of a single fact, while it has rows.
        """
        if most >= len(self):
            return torch.randperm(len(self), generator=generator, device=self.start.device)
        facts = torch.bincount(self.relation, self.count.double())
        weight = facts.pow(_TEMPERED)[self.relation] / torch.bincount(self.relation)[self.relation]
        drawn = torch.rand(len(self), generator=generator, device=weight.device, dtype=torch.float64)
        chosen = (drawn.log() / weight).topk(most, sorted=False).indices  # Efraimidis and Spirakis, 2006
        return chosen.sort().values[torch.randperm(most, generator=generator, device=weight.device)]
