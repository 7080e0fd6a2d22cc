"""RESCAL: a matrix a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.bilinear import forms, products
from kg.models.scorer import Queries, QueryVectors, TieableScorer
from kg.models.tables import transposed


@final
class RESCAL(TieableScorer):
    """score(h, r, t) = h^T W_r t (Nickel, Tresp and Kriegel, 2011, eq. 2). encode: (B,), (B,) -> (B, dim).

    A tied inverse is the transpose: W_(r+R) = W_r^T; own inverses have matrices of their own.
    relation_dropout: on W_r, drawn once a batch for each relation.
    """

    weights_name = "matrix"
    tie = staticmethod(transposed)

    @staticmethod
    def sizes(dim: int) -> tuple[int, tuple[int, ...]]:
        return dim, (dim, dim)

    def encode(self, queries: Queries) -> QueryVectors:
        # There are fewer relations than questions, and a matrix is large: each is read, and dropped from, once.
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrix = self.weights.rows(distinct, queries.generator)
        return QueryVectors(products(self.heads(queries), matrix, place), queries.graph)

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"]:
        return self.weights.row(relation)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        matrices = self.weights.kept()
        scores = forms(first, matrices, last)
        return torch.cat([scores, forms(last, matrices, first)], 1) if self.weights.tie else scores
