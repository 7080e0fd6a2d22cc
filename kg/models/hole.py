"""HolE: a circular correlation, weighed by a relation."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries, QueryVectors, TieableScorer


def _convolved(left: Float[Tensor, "B D"], right: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """[x]_k = sum_i left_i right_(k-i mod D). There is no transform of bfloat16."""
    transforms = torch.fft.rfft(left.float()) * torch.fft.rfft(right.float())
    found: Tensor = torch.fft.irfft(transforms, n=left.shape[1])
    return found


def _backwards(weight: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """[x]_(-k mod D)."""
    return weight.flip(1).roll(1, 1)


@final
class HolE(TieableScorer):
    """score(h, r, t) = w_r . (h * t), [h * t]_k = sum_i h_i t_(i+k mod dim) (Nickel, Rosasco and Poggio, 2016, eq. 2).

    encode: (B,), (B,) -> (B, dim): the circular convolution of h and w_r, by the fast Fourier transform. The transforms
    of all vectors make it ComplEx with weights that are conjugate-symmetric (Hayashi and Shimbo, 2017). A tied inverse
    is w_r read backwards, the conjugate of its transform; own inverses have vectors of their own.
    """

    weights_name = "weight"
    tie = staticmethod(_backwards)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = self.weights.rows(queries.relation, queries.generator)
        return QueryVectors(_convolved(self.heads(queries), weight), queries.graph)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        return self.weights.dots(_convolved(_backwards(first), last))
