"""HolE: a circular correlation, weighed by a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


@final
class HolE(DotScorer):
    """score(h, r, t) = w_r . (h * t), [h * t]_k = sum_i h_i t_(i+k mod dim) (Nickel, Rosasco and Poggio, 2016, eq. 2).

    encode: (B,), (B,) -> (B, dim): the circular convolution of h and w_r, by the fast Fourier transform. The transforms
    of all vectors make it ComplEx with weights that are conjugate-symmetric (Hayashi and Shimbo, 2017). A tied inverse
    is w_r read backwards, the conjugate of its transform; own inverses have vectors of their own.
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
        self.weight = nn.Embedding(num_relations if tied else 2 * num_relations, dim)
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.weight.weight, std=init)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = dropout(self._weights(queries.relation), self.relation_dropout, queries.generator)
        return QueryVectors(_convolved(self.heads(queries), weight), queries.graph)

    def _weights(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        if not self.tied:
            found: Tensor = self.weight(relation)
            return found
        forward, inverse = tied_relation(relation, self.num_relations)
        row: Tensor = self.weight(forward)
        return torch.where(inverse[:, None], _backwards(row), row)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        correlation = _convolved(_backwards(first), last)
        scores = correlation @ self.weight.weight.T
        return torch.cat([scores, _backwards(correlation) @ self.weight.weight.T], 1) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self._weights(queries.relation), last


def _convolved(left: Float[Tensor, "B D"], right: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """[x]_k = sum_i left_i right_(k-i mod D). There is no transform of bfloat16."""
    transforms = torch.fft.rfft(left.float()) * torch.fft.rfft(right.float())
    found: Tensor = torch.fft.irfft(transforms, n=left.shape[1])
    return found


def _backwards(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """[x]_(-k mod D)."""
    return x.flip(1).roll(1, 1)
