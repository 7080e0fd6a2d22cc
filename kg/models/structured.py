"""Structured embeddings: two matrices a relation, one for each side."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kg.models.bilinear import products
from kg.models.scorer import EmbeddingScorer, Queries, QueryVectors, Tails
from kg.models.tables import RelationWeights


@dataclass(frozen=True, eq=False)
class Projected(QueryVectors):
    """vector: the heads, projected. The tails' matrices of the U relations asked for; where each question's is."""

    place: Int[Tensor, " B"]
    matrices: Float[Tensor, "U D D"]


@final
class StructuredEmbedding(EmbeddingScorer):
    """score(h, r, t) = -||M1_r h - M2_r t||_1 (SE; Bordes et al., 2011, eq. 1; Nickel et al., 2015, sec. 5.D).

    encode: (B,), (B,) -> (B, dim), and M2 of each relation asked for. A tied inverse swaps the matrices: M1_(r+R) =
    M2_r and M2_(r+R) = M1_r; own inverses have matrices of their own. All candidates are projected once a relation
    in the batch: O(U N dim^2). relation_dropout: one draw a relation and batch.
    init: the standard deviation of the vectors at the start; the matrices begin so that they keep a vector's length.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 64,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        # M1 and M2 of each relation, transposed: rows of vectors are multiplied from the left
        tie = _swapped if tied else None
        self.matrices = RelationWeights(num_relations, 2, dim, dim, tie=tie, dropout=relation_dropout)
        self._table_last()
        self.table.draw(init)
        self.matrices.draw(math.sqrt(1 / dim))

    def encode(self, queries: Queries) -> Projected:
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrices = self.matrices.rows(distinct, queries.generator)
        of_head, of_tail = matrices.unbind(1)
        vector = products(self.heads(queries), of_head, place)
        return Projected(vector, queries.graph, place, of_tail)

    def compare(self, state: QueryVectors, tails: Tails = None) -> Float[Tensor, "B K"]:
        if tails is None or isinstance(tails, slice):
            every = torch.arange(state.graph.num_entities, device=state.vector.device)
            tails = every if tails is None else every[tails]
        return super().compare(state, tails)

    def _gathered(self, state: QueryVectors, tails: Int[Tensor, "*shape"]) -> Float[Tensor, "B K"]:
        """What vector a candidate is compared by depends on the relation."""
        assert isinstance(state, Projected)
        candidates = self.entities(state.graph, tails.reshape(-1))
        if tails.ndim == 2:
            own = products(candidates, state.matrices, state.place.repeat_interleave(tails.shape[1]))
            return self.rowwise(state.vector, own.view(*tails.shape, -1))
        order = state.place.argsort()
        counts = torch.bincount(state.place, minlength=len(state.matrices)).tolist()
        parts = [
            # Computed again on the way back: else all projections, U K dim numbers, would be kept until then.
            checkpoint(self._to_all, vector, candidates, matrix, use_reentrant=False)
            for vector, matrix in zip(torch.split(state.vector[order], counts), state.matrices.unbind(), strict=True)
        ]
        return torch.cat(parts)[order.argsort()]

    def _to_all(
        self, vector: Float[Tensor, "b D"], candidates: Float[Tensor, "K D"], matrix: Float[Tensor, "D D"]
    ) -> Float[Tensor, "b K"]:
        return self.pairwise(vector, candidates @ matrix)

    def pairwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        """Both sides projected."""
        distance: Tensor = torch.cdist(vector, candidates, p=1.0)
        return distance.neg()

    def rowwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        return -(vector[:, None].float() - candidates.float()).abs().sum(2)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self.matrices.rows(queries.relation).flatten(1), last


def _swapped(matrices: Float[Tensor, "B 2 D D"]) -> Float[Tensor, "B 2 D D"]:
    """M1 and M2 in the other order."""
    return matrices.flip(1)
