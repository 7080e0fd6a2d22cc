"""TuckER: the matrix of a relation is a mixture of matrices that all relations share."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.graph.graph import Graph
from kg.models.bilinear import forms, products
from kg.models.scorer import DotScorer, Queries, QueryVectors, dropout, tied_relation


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
        self.tied = tied
        self.relation_dropout = relation_dropout
        self.query_dropout = query_dropout
        self.mixture = nn.Embedding(num_relations if tied else 2 * num_relations, relation_dim)
        self.core = nn.Parameter(torch.empty(relation_dim, dim, dim))
        nn.init.normal_(self.table.weight, std=init)
        nn.init.normal_(self.mixture.weight, std=init)
        nn.init.normal_(self.core, std=relation_dim**-0.5)

    def encode(self, queries: Queries) -> QueryVectors:
        # There are fewer relations than questions, and a matrix is dear: each is mixed once.
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrix = self._matrices(distinct, queries.generator)  # (U, D, D)
        vector = products(self.heads(queries), matrix, place)
        return QueryVectors(dropout(vector, self.query_dropout, queries.generator), queries.graph)

    def _matrices(self, relation: Int[Tensor, " U"], generator: torch.Generator | None) -> Float[Tensor, "U D D"]:
        weight = dropout(self._mixtures(relation), self.relation_dropout, generator)
        matrix = (weight @ self.core.flatten(1)).view(-1, *self.core.shape[1:])
        if not self.tied:
            return matrix
        _, inverse = tied_relation(relation, self.num_relations)
        return torch.where(inverse[:, None, None], matrix.transpose(1, 2), matrix)

    def _mixtures(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        found: Tensor = self.mixture(tied_relation(relation, self.num_relations)[0] if self.tied else relation)
        return found

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        scores = forms(first, self.core, last) @ self.mixture.weight.T
        return torch.cat([scores, forms(last, self.core, first) @ self.mixture.weight.T], 1) if self.tied else scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """h, w_r, t: the core belongs to no fact and is not weighed."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self._mixtures(queries.relation), last
