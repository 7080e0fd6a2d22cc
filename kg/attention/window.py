"""Differentiable windows: a soft span of the tokens' order that each query chooses to attend to."""

from typing import Literal, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kg.errors import check_at_least_one, check_choice


@final
class DifferentiableWindow(nn.Module):
    """softmax(q k^T / sqrt(D)) v, drawn to the window m of the keys that each query chooses (Nguyen et al., 2020).

    m_i is the probability that key i lies between the two keys, both included, that two pointers point at (`between`);
    a pointer is softmax((q W) (k W')^T / sqrt(D)) over the row's valid keys, with W and W' of its own in each head.
    mode 'multiplicative': the softmax times m, over its sum (the authors' code leaves that sum below 1).
    mode 'additive': softmax((q k^T + m (q W) (k W')^T) / sqrt(D)), a third W and W': what is outside is still seen.
    segment: so many neighbouring keys share their m, and a window takes in the segments of its ends whole; 1: none do.
    It focuses and saves nothing: O(M N D), linear for a few queries but quadratic, with three or four scores where
    softmax attention has one, for the tokens themselves.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        mode: Literal["multiplicative", "additive"] = "multiplicative",
        segment: int = 1,
    ) -> None:
        super().__init__()
        check_choice("mode", mode, ("multiplicative", "additive"))
        check_at_least_one(segment=segment)
        self.segment = segment
        shape = (2 + (mode == "additive"), 1, num_heads, head_dim, head_dim)  # two pointers; the scores to add
        self.query, self.key = (nn.Parameter(torch.randn(shape) * head_dim**-0.5) for _ in range(2))

    def forward(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        k, v = (x.masked_fill(~mask[:, None, :, None], 0) for x in (k, v))  # a NaN there would go through any mask
        scores, pointing = _scores(q, k), _scores(q @ self.query, k @ self.key)
        first, second = _over(mask, pointing[:2])
        m = self.window(first, second, mask)
        if len(pointing) == 3:
            scores = scores + m * pointing[2]
        else:  # log m within the softmax is m outside it; below eps m is rounding
            scores = scores + m.clamp(min=torch.finfo(m.dtype).eps).log()
        return _over(mask, scores).to(v.dtype) @ v

    def window(
        self, first: Float[Tensor, "B H M N"], second: Float[Tensor, "B H M N"], mask: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B H M N"]:
        """m, of two pointers that have no mass where the mask is False."""
        segment = (mask.cumsum(1).sub(1).clamp(min=0) // self.segment)[:, None, None].expand_as(first)
        pooled = (torch.zeros_like(x).scatter_add(3, segment, x) for x in (first, second))
        return between(*pooled).gather(3, segment)


def between(first: Float[Tensor, "*B N"], second: Float[Tensor, "*B N"]) -> Float[Tensor, "*B N"]:
    """P(min(a, b) <= i <= max(a, b)) for each i, where a and b are drawn from these two: f_1 g_2 + f_2 g_1 - p_1 p_2.

    f = P(a <= i) and g = P(a >= i). The paper leaves out the last term, and so counts a = b = i twice.
    """
    return from_first(first) * to_last(second) + from_first(second) * to_last(first) - first * second


def from_first(pointer: Float[Tensor, "*B N"]) -> Float[Tensor, "*B N"]:
    """f_i, the sum over the places up to i: it never falls."""
    return pointer.cumsum(-1)


def to_last(pointer: Float[Tensor, "*B N"]) -> Float[Tensor, "*B N"]:
    """g_i, the sum over the places from i on: it never rises."""
    reverse: Tensor = pointer.flip(-1).cumsum(-1).flip(-1)
    return reverse


def _scores(q: Float[Tensor, "*B M D"], k: Float[Tensor, "*B N D"]) -> Float[Tensor, "*B M N"]:
    """q k^T / sqrt(D), in float32 at least."""
    scores = q @ k.mT * q.shape[-1] ** -0.5
    wide: Tensor = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return wide


def _over(mask: Bool[Tensor, "B N"], scores: Float[Tensor, "*P B H M N"]) -> Float[Tensor, "*P B H M N"]:
    """The softmax over what the mask lets through; over all where that is nothing."""
    found: Tensor = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min).softmax(-1)
    return found
