"""TuckER: the matrix of a relation is a mixture of matrices that all relations share."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.bilinear import forms, products
from kg.models.dropout import dropout
from kg.models.scorer import DotScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights, same


@final
class TuckER(DotScorer):
    """score(h, r, t) = W x1 h x2 w_r x3 t (Balazevic, Allen and Hospedales, 2019). encode: (B,), (B,) -> (B, dim).

    In other words h^T M_r t, where M_r = sum_k w_rk W_k mixes `relation_dim` matrices of the core W. A tied inverse
    has the same weights over the core transposed, M_(r+R) = M_r^T; own inverses have weights of their own.
    relation_dropout: on w_r, drawn once a batch for each relation. query_dropout: on h^T M_r.
    init: the standard deviation of all vectors at the start; that of the core makes it M_r's as well.

    There is no batch normalisation: it would undo the tie, and softmax losses do without.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        relation_dim: int = 64,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        query_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.query_dropout = query_dropout
        tie = same if tied else None
        self.mixture = RelationWeights(num_relations, relation_dim, tie=tie, dropout=relation_dropout)
        self.core = nn.Parameter(torch.empty(relation_dim, dim, dim))
        self.table.draw(init)
        self.mixture.draw(init)
        nn.init.normal_(self.core, std=relation_dim**-0.5)

    def encode(self, queries: Queries) -> QueryVectors:
        # There are fewer relations than questions, and a matrix is large: each is mixed once.
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrix = self._matrices(distinct, queries.generator)  # (U, D, D)
        vector = products(self.heads(queries), matrix, place)
        return QueryVectors(dropout(vector, self.query_dropout, queries.generator), queries.graph)

    def _matrices(self, relation: Int[Tensor, " U"], generator: torch.Generator | None) -> Float[Tensor, "U D D"]:
        weight = self.mixture.rows(relation, generator)
        matrix = (weight @ self.core.flatten(1)).view(-1, *self.core.shape[1:])
        if not self.mixture.tie:
            return matrix
        is_inverse = (relation >= self.num_relations)[:, None, None]
        return torch.where(is_inverse, matrix.mT, matrix)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        mixtures = self.mixture.kept().T
        scores = forms(first, self.core, last) @ mixtures
        return torch.cat([scores, forms(last, self.core, first) @ mixtures], 1) if self.mixture.tie else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """h, w_r, t: the core belongs to no fact and is not weighed."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self.mixture.rows(queries.relation), last
