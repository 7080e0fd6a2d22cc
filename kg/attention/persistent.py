"""Persistent vectors: keys and values that every row has."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kg.attention.softmax import Softmax
from kg.errors import check_at_least_one


@final
class Persistent(nn.Module):
    """softmax(q [k; P]^T / sqrt(D)) [v; P'] (all-attention; Sukhbaatar et al., 2019). O(M (N + num_vectors) D).

    Of tokens to themselves O(N (N + num_vectors) D): it costs what softmax attention does, and a little more.
    The num_vectors learned keys P and values P' of each head share one softmax with the tokens: knowledge that is no
    neighbour, or a place to look away to. A row without keys sees them alone.
    They are kept as N(0, 1/D) and N(0, 1/num_vectors) and used as N(0, 1): Adam's steps are of one size for every
    weight, and these vectors should move as fast as those that linear layers make.
    """

    def __init__(self, num_heads: int, head_dim: int, num_vectors: int = 16) -> None:
        super().__init__()
        check_at_least_one(num_vectors=num_vectors)
        self.attend = Softmax(num_heads, head_dim)
        self.scales = head_dim**0.5, num_vectors**0.5
        self.key, self.value = (nn.Parameter(torch.randn(num_heads, num_vectors, head_dim) / x) for x in self.scales)

    def forward(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        k = torch.cat([k, self.scales[0] * self.key.expand(len(k), -1, -1, -1)], 2)
        v = torch.cat([v, self.scales[1] * self.value.expand(len(v), -1, -1, -1)], 2)
        return self.attend(q, k, v, torch.cat([mask, mask.new_ones(len(mask), self.key.shape[1])], 1))
