"""RESCAL: a matrix a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.bilinear import forms, products
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


@final
class RESCAL(DotScorer):
    """score(h, r, t) = h^T W_r t (Nickel, Tresp and Kriegel, 2011, eq. 2). encode: (B,), (B,) -> (B, dim).

    A tied inverse is the transpose: W_(r+R) = W_r^T; own inverses have matrices of their own.
    relation_dropout: on W_r, drawn once a batch for each relation.
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
        self.matrix = nn.Parameter(torch.empty(num_relations if tied else 2 * num_relations, dim, dim))
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.matrix, std=init)

    def encode(self, queries: Queries) -> QueryVectors:
        # There are fewer relations than questions, and a matrix is dear: each is read, and dropped from, once.
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrix = dropout(self._matrices(distinct), self.relation_dropout, queries.generator)
        return QueryVectors(products(self.heads(queries), matrix, place), queries.graph)

    def _matrices(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B D D"]:
        # index_select: the gradient of plain indexing sorts its way through the copies, at twice the time
        if not self.tied:
            return self.matrix.index_select(0, relation)
        forward, inverse = tied_relation(relation, self.num_relations)
        matrix = self.matrix.index_select(0, forward)
        return torch.where(inverse[:, None, None], matrix.transpose(1, 2), matrix)

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        return self._matrices(torch.tensor([relation], device=self.device))[0]

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        scores = forms(first, self.matrix, last)
        return torch.cat([scores, forms(last, self.matrix, first)], 1) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self._matrices(queries.relation).flatten(1), last
