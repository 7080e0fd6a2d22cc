"""NTN: a tensor and a layer a relation."""

import math
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.models.bilinear import products
from kg.models.scorer import EmbeddingScorer, Queries, QueryVectors
from kg.models.tables import RelationWeights, same, transposed

_CACHE = 1 << 16  # numbers computed at once: they stay in a core's second-level cache


@final
class NTN(EmbeddingScorer):
    """score(h, r, t) = u_r . tanh(h^T W_r t + V_r [h; t] + b_r) (Socher et al., 2013, eq. 1).

    W_r is `slices` matrices, so that the hidden layer has as many units. For a question the input of each unit is a
    dot product with the candidate and a number, (W_rk^T h + V_rk') . t + (V_rk . h + b_rk), and encode gives these and
    u: (B,), (B,) -> (B, slices (dim + 2)). A tied inverse turns each matrix and swaps the halves of V; own inverses
    have weights of their own. relation_dropout falls on W, V and b: one draw a relation and batch.
    init: the standard deviation of the vectors at the start, and of W's and V's numbers; u begins at sqrt(1 / slices).
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 64,
        slices: int = 4,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.slices = slices
        # [h; 1]^T M_rk [t; 1] is the input of unit k, for M_rk = [W_rk, V_rk; V_rk', b_rk]
        tie, shape = transposed if tied else None, (slices, dim + 1, dim + 1)
        self.matrices = RelationWeights(num_relations, *shape, tie=tie, dropout=relation_dropout)
        self._table_last()
        self.output = RelationWeights(num_relations, slices, tie=same if tied else None)
        self.table.draw(init)
        self.matrices.draw(init)
        self.output.draw(math.sqrt(1 / slices))

    def encode(self, queries: Queries) -> QueryVectors:
        distinct, place = torch.unique(queries.relation, return_inverse=True)
        matrices = self.matrices.rows(distinct, queries.generator)
        head = nn.functional.pad(self.heads(queries), (0, 1), value=1.0)  # [h; 1]
        side_by_side = matrices.transpose(1, 2).flatten(2)  # (U, D + 1, slices (D + 1))
        layer = products(head, side_by_side, place)
        return QueryVectors(torch.cat([layer, self.output.rows(queries.relation)], 1), queries.graph)

    def _layer(
        self, vector: Float[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "S B D"], Float[Tensor, "S B"], Float[Tensor, "S B"]]:
        """(q, a, u) of the questions: score = sum_k u_k tanh(q_k . t + a_k)."""
        layer = vector[:, : -self.slices].view(len(vector), self.slices, -1).transpose(0, 1)
        return layer[..., :-1], layer[..., -1], vector[:, -self.slices :].T

    def pairwise(self, vector: Float[Tensor, "B V"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        with torch.autocast(vector.device.type, enabled=False):  # tanh takes the time, and gains nothing from bfloat16
            layer = self._layer(vector.to(candidates.dtype))
            scores: Tensor = _Pairs.apply(*layer, candidates)  # type: ignore[no-untyped-call]
        return scores

    def rowwise(self, vector: Float[Tensor, "B V"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        weight, offset, output = self._layer(vector)
        unit = torch.einsum("sbd,bkd->sbk", weight, candidates) + offset[:, :, None]
        return (output[:, :, None] * unit.tanh()).sum(0)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The relation's factor holds W, V, b and u."""
        head, last = self.pair(queries.head, tail, queries.graph)
        relation = [self.matrices.rows(queries.relation).flatten(1), self.output.rows(queries.relation)]
        return head, torch.cat(relation, 1), last


class _Pairs(torch.autograd.Function):
    """sum_k u_k tanh(q_k . t + a_k) of all pairs, a block of candidates and a unit at a time.

    Nothing of size (S, B, K) is kept: the units are computed again on the way back, while the block is in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        weight: Float[Tensor, "S B D"],
        offset: Float[Tensor, "S B"],
        output: Float[Tensor, "S B"],
        candidates: Float[Tensor, "K D"],
    ) -> Float[Tensor, "B K"]:
        ctx.save_for_backward(weight, offset, output, candidates)
        scores = candidates.new_empty(weight.shape[1], len(candidates))
        for block in _blocks(scores):
            part = torch.zeros_like(scores[:, block])
            for q, a, u in zip(weight, offset, output, strict=True):
                part.addcmul_(torch.addmm(a[:, None], q, candidates[block].T).tanh_(), u[:, None])
            scores[:, block] = part
        return scores

    @staticmethod
    def backward(ctx: Any, gradient: Float[Tensor, "B K"]) -> tuple[Tensor, ...]:
        weight, offset, output, candidates = ctx.saved_tensors
        of_weight, of_offset, of_output, of_candidates = map(torch.zeros_like, ctx.saved_tensors)
        for block in _blocks(gradient):
            part = gradient[:, block].contiguous()
            for k, (q, a, u) in enumerate(zip(weight, offset, output, strict=True)):
                unit = torch.addmm(a[:, None], q, candidates[block].T).tanh_()
                of_output[k] += torch.mul(unit, part).sum(1)
                of_input = part * unit.square_().neg_().add_(1) * u[:, None]  # tanh' = 1 - tanh^2
                of_offset[k] += of_input.sum(1)
                of_weight[k].addmm_(of_input, candidates[block])
                of_candidates[block].addmm_(of_input.T, q)
        return of_weight, of_offset, of_output, of_candidates


def _blocks(scores: Float[Tensor, "B K"]) -> list[slice]:
    width = max(1, _CACHE // max(1, len(scores)))
    return [slice(start, start + width) for start in range(0, scores.shape[1], width)]
