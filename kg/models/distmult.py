"""DistMult: a diagonal a relation."""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries, QueryVectors, TieableScorer
from kg.models.tables import same


@final
class DistMult(TieableScorer):
    """score(h, r, t) = sum_k h_k w_rk t_k (Yang et al., 2015). encode: (B,), (B,) -> (B, dim).

    A tied inverse is the relation itself, so every relation is then symmetric; own inverses have their own weights.
    """

    tie = staticmethod(same)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = self.weights.rows(queries.relation, queries.generator)
        return QueryVectors(self.heads(queries) * weight, queries.graph)

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        return self.weights.row(relation).diag()

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        return self.weights.dots(first * last)
