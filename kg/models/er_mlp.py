"""ER-MLP: one hidden layer over head, relation and tail."""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.models.scorer import EmbeddingScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights


@final
class ERMLP(EmbeddingScorer):
    """score(h, r, t) = w . max(0, C [h; r; t]) (Dong et al., 2014, sec. 3.3.2; Nickel et al., 2015, eq. 15).

    encode: (B,), (B,) -> (B, dim). C (dim, 3 dim) falls into a block for each of the three, so that what question and
    candidate add to the hidden layer is computed once each. Inverses have vectors of their own: a tied one would ask
    for a second product of all candidates. Dong et al. leave the activation open.
    init: the standard deviation of the vectors at the start; C and w begin so that the hidden layer keeps their size.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.relation = RelationWeights(num_relations, dim, dropout=relation_dropout)
        self.blocks = nn.Parameter(torch.empty(3, dim, dim))  # C, of head, relation and tail, transposed
        self.output = nn.Parameter(torch.empty(dim))
        self.table.draw(init)
        self.relation.draw(init)
        nn.init.normal_(self.blocks, std=math.sqrt(2 / (3 * dim)))
        nn.init.normal_(self.output, std=math.sqrt(1 / dim))

    def encode(self, queries: Queries) -> QueryVectors:
        relation = self.relation.rows(queries.relation, queries.generator)
        return QueryVectors(self._share(0, self.heads(queries)) + self._share(1, relation), queries.graph)

    def _share(self, block: int, vectors: Float[Tensor, "*K D"]) -> Float[Tensor, "*K H"]:
        """What one of the three adds to the hidden layer, each unit times its weight w_k."""
        return (vectors @ (self.blocks[block] * self.output)).to(self.output.dtype)  # sums are not for bfloat16

    def pairwise(self, vector: Float[Tensor, "B H"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        """With y = w * (the hidden layer before it is cut), w . max(0, y / w) = sum_k (y_k + sign(w_k) |y_k|) / 2.

        The first half is a sum a side; the second is two L1 distances, from the units above and below 0, and for these
        there is a kernel that needs no (B, K, H).
        """
        shares = self._share(2, candidates)
        linear = vector.sum(1, keepdim=True) + shares.sum(1)  # (B, K)
        raising = self.output > 0
        raised, lowered = (torch.cdist(vector[:, units], -shares[:, units], p=1.0) for units in (raising, ~raising))
        return (linear + raised - lowered) / 2

    def rowwise(self, vector: Float[Tensor, "B H"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        y = vector[:, None] + self._share(2, candidates)  # (B, K, H)
        return (y.sum(2) + y.abs() @ self.output.sign()) / 2

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The three vectors; C and w belong to no fact."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self.relation.rows(queries.relation), last
