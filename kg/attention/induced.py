"""Induced points: tokens reach each other through a few summaries."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kg.attention.softmax import Softmax
from kg.errors import check_at_least_one


@final
class InducedPoints(nn.Module):
    """A(q, W_K (I + S), W_V S) with S = A(I, k, v) and A the softmax attention. O((M + N) num_points D).

    The attention of the Set Transformer's ISAB (Lee et al., 2019): num_points learned queries I of each head read the
    keys, and q reads what they found. W_K and W_V mix the heads and have no bias: of no keys comes 0.
    """

    def __init__(self, num_heads: int, head_dim: int, num_points: int = 16) -> None:
        super().__init__()
        check_at_least_one(num_points=num_points)
        self.attend = Softmax(num_heads, head_dim)
        self.points = nn.Parameter(torch.randn(num_heads, num_points, head_dim))
        width = num_heads * head_dim
        self.key, self.value = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        for linear in (self.key, self.value):
            nn.init.xavier_uniform_(linear.weight)

    def forward(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        points = self.points.expand(len(k), -1, -1, -1)
        found = self.attend(points, k, v, mask)
        keys, values = _across_heads(points + found, self.key), _across_heads(found, self.value)
        return self.attend(q, keys, values, mask.new_ones(len(k), points.shape[2]))


def _across_heads(x: Float[Tensor, "B H N D"], linear: nn.Linear) -> Float[Tensor, "B H N D"]:
    tokens = x.transpose(1, 2)
    mapped: Tensor = linear(tokens.flatten(2))  # (B, N, H * D)
    return mapped.view_as(tokens).transpose(1, 2)
