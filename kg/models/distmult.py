"""DistMult: a diagonal a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


@final
class DistMult(DotScorer):
    """score(h, r, t) = sum_k h_k w_rk t_k (Yang et al., 2015). encode: (B,), (B,) -> (B, dim).

    A tied inverse is the relation itself, so every relation is then symmetric; own inverses have their own weights.
    init: the standard deviation of all parameters at the start.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.tied = tied
        self.relation_dropout = relation_dropout
        self.diagonal = nn.Embedding(num_relations if tied else 2 * num_relations, dim)
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.diagonal.weight, std=init)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = dropout(self._diagonals(queries.relation), self.relation_dropout, queries.generator)
        return QueryVectors(self.heads(queries) * weight, queries.graph)

    def _diagonals(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        found: Tensor = self.diagonal(tied_relation(relation, self.num_relations)[0] if self.tied else relation)
        return found

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        return self._diagonals(torch.tensor([relation], device=self.device))[0].diag()

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        scores = (first * last) @ self.diagonal.weight.T
        return scores.repeat(1, 2) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self._diagonals(queries.relation), last
