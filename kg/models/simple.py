"""SimplE: CP twice, once from each side, and the mean of both."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


@final
class SimplE(DotScorer):
    """score(h, r, t) = (<h_e, v_r, t_t> + <h_t, v'_r, t_e>) / 2 (Kazemi and Poole, 2018). encode -> (B, 2 dim).

    The row of an entity holds x_e, its vector as a head, then x_t, its vector as a tail; that of a relation v_r, then
    v'_r. A tied inverse exchanges v_r and v'_r; own inverses have vectors of their own.
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
        super().__init__(num_entities, num_relations, 2 * dim, entity_dropout)
        self.tied = tied
        self.relation_dropout = relation_dropout
        self.diagonal = nn.Embedding(num_relations if tied else 2 * num_relations, 2 * dim)
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.diagonal.weight, std=init)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = dropout(self._diagonals(queries.relation), self.relation_dropout, queries.generator)
        # In the order of a candidate's row: t_e meets h_t v'_r, and t_t meets h_e v_r.
        return QueryVectors(_exchanged(self.heads(queries) * weight) / 2, queries.graph)

    def _diagonals(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        if not self.tied:
            found: Tensor = self.diagonal(relation)
            return found
        forward, inverse = tied_relation(relation, self.num_relations)
        row: Tensor = self.diagonal(forward)
        return torch.where(inverse[:, None], _exchanged(row), row)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        both = first * _exchanged(last) / 2  # h_e t_t meets v_r, h_t t_e meets v'_r
        scores = both @ self.diagonal.weight.T
        return torch.cat([scores, _exchanged(both) @ self.diagonal.weight.T], 1) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self._diagonals(queries.relation), last


def _exchanged(row: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """The two halves in the other order."""
    return row.roll(row.shape[1] // 2, 1)
