"""Exact softmax attention: of every token to every token, and of a few queries to ragged sets."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@final
@dataclass(frozen=True)
class Softmax:
    """softmax(q k^T / sqrt(D)) v (Vaswani et al., 2017). O(M N) time, O(M + N) memory where a fused kernel serves.

    The scale keeps the variance of q . k at that of one coordinate: unscaled, wide heads saturate the softmax, and its
    Jacobian diag(p) - p p^T vanishes.
    causal: token i > 0 sees the tokens 1 ... i. Token 0, the query, comes last: it sees all and no other sees it.
    """

    num_heads: int
    head_dim: int
    causal: bool = False

    def __call__(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        seen = mask[:, None, None, :]
        if self.causal:
            if q.shape[2] != k.shape[2]:
                raise ValueError("causal attention is of tokens to themselves: q and k must be of the same length")
            before = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
            before[0], before[1:, 0] = True, False
            seen = seen & before
        k, v = (x.masked_fill(~mask[:, None, :, None], 0) for x in (k, v))  # a NaN there would go through any mask
        return scaled_dot_product_attention(q, k, v, attn_mask=seen)


def query_attention(
    q: Float[Tensor, "B H D"], k: Float[Tensor, "M H D"], v: Float[Tensor, "M H D"], offsets: Int[Tensor, " B1"]
) -> Float[Tensor, "B H D"]:
    """softmax(q_b . k_i / sqrt(D)) v_i over row b's own tokens i = offsets[b] ... offsets[b + 1] - 1: no padding.

    O(M) time and memory; zero for a row without tokens. The softmax and all sums are in float32 at least: a GPU would
    add up bfloat16 in bfloat16.
    """
    row, weights = query_weights(q, k, offsets)
    summed = weights.new_zeros(q.shape).index_add(0, row, weights[..., None] * v)
    return summed.to(v.dtype)


def query_weights(
    q: Float[Tensor, "B H D"], k: Float[Tensor, "M H D"], offsets: Int[Tensor, " B1"]
) -> tuple[Int[Tensor, " M"], Float[Tensor, "M H"]]:
    """The row of each token, and softmax(q_b . k_i / sqrt(D)): what `query_attention` weighs it with."""
    row = torch.repeat_interleave(torch.arange(len(q), device=q.device), offsets.diff())
    logits = (q[row] * k).sum(-1) * q.shape[-1] ** -0.5  # (M, H)
    return row, segment_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), row, len(q))


def segment_softmax(logits: Float[Tensor, "M H"], row: Int[Tensor, " M"], num_rows: int) -> Float[Tensor, "M H"]:
    """exp(logits) over its sum among the entries of the same row."""
    index = row[:, None].expand_as(logits)
    lowest = logits.new_full((num_rows, logits.shape[1]), -torch.inf)
    highest = lowest.scatter_reduce(0, index, logits.detach(), "amax")  # it cancels: no gradient
    powers = (logits - highest[row]).exp()
    total = logits.new_zeros(lowest.shape).index_add(0, row, powers)
    return powers / total[row]
