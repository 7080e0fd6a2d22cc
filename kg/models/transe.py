"""TransE: a translation a relation."""

from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import check_choice
from kg.graph.graph import Graph
from kg.models.scorer import EmbeddingScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights, negated


@final
class TransE(EmbeddingScorer):
    """score(h, r, t) = -||h + w_r - t||_p, p = 1 or 2 (Bordes et al., 2013). encode: (B,), (B,) -> (B, dim).

    A tied inverse is the translation back: w_(r+R) = -w_r; own inverses have vectors of their own.
    init: the standard deviation of all parameters at the start.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        norm: Literal[1, 2] = 2,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        check_choice("norm", norm, (1, 2))
        self.norm = norm
        tie = negated if tied else None
        self.translation = RelationWeights(num_relations, dim, tie=tie, dropout=relation_dropout)
        self.table.draw(init)
        self.translation.draw(init)

    def encode(self, queries: Queries) -> QueryVectors:
        step = self.translation.rows(queries.relation, queries.generator)
        return QueryVectors(self.heads(queries) + step, queries.graph)

    def pairwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        if self.norm == 1:
            distance: Tensor = torch.cdist(vector, candidates, p=1.0)
            return distance.neg()
        # |x - y|^2 = |x|^2 - 2 x.y + |y|^2: one matrix product; fp32, since the difference of large numbers is small
        with torch.autocast(vector.device.type, enabled=False):
            vector, candidates = vector.float(), candidates.float()
            squares = vector.square().sum(1, keepdim=True) + candidates.square().sum(1)
            squares = torch.addmm(squares, vector, candidates.T, alpha=-2.0)  # (B, K)
        return -_root(squares)

    def rowwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        difference = vector[:, None, :] - candidates  # (B, K, D)
        if self.norm == 1:
            return -difference.abs().sum(2)
        return -_root(difference.square().sum(2))

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        return self.pairwise(last - first, self.translation.every())

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self.translation.rows(queries.relation), last


def _root(squares: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    return squares.clamp_min(1e-12).sqrt()  # rounding may leave a square below 0, and the root has no gradient at 0
