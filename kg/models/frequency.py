"""Frequency: how often a candidate answers the relation, whatever the head. What any other scorer has to beat."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.graph.ids import check_ids
from kg.models.scorer import Queries, Scorer, Tails


@final
class Frequency(Scorer):
    """score(h, r, t) = log(1 + number of training facts (., r, t)), counted by kg.training.algorithms.counting.

    The softmax of a row is then p(t | r), with add-one (Laplace) smoothing. An entity that came after the training has
    answered nothing so far: as a candidate it scores log 1, like one that training knows but never saw answer r; as a
    head it is as good as any. There is nothing for a gradient or a regularizer to move.
    counts: 2R x N whole numbers, 28 MB for FB15k-237.
    """

    counts: Int[Tensor, "R2 N"]

    def __init__(self, num_entities: int, num_relations: int) -> None:
        super().__init__(num_entities, num_relations)
        self.register_buffer("counts", torch.zeros(2 * num_relations, num_entities, dtype=torch.int32))

    def count(self, graph: Graph) -> None:
        """Learn from this graph."""
        answered = torch.bincount(graph.relation * self.num_entities + graph.tail, minlength=self.counts.numel())
        self.counts.copy_(answered.view_as(self.counts))

    def check_arrays(self) -> None:
        check_ids("counts", self.counts, 0, 2**31)

    def encode(self, queries: Queries) -> Queries:
        return queries

    def compare(self, state: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        if isinstance(tails, Tensor):
            known = tails.clamp(max=self.num_entities - 1)
            return self.counts[state.relation[:, None], known].masked_fill(tails >= self.num_entities, 0).log1p()
        start, stop, _ = (tails or slice(None)).indices(state.graph.num_entities)
        counts = self.counts[:, start:stop][state.relation]
        return nn.functional.pad(counts, (0, stop - start - counts.shape[1])).log1p()

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()
