"""FNet: tokens mixed by a Fourier transform."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@final
@dataclass(frozen=True)
class Fourier:
    """Re(F_sequence(F_hidden(v))) (FNet; Lee-Thorp et al., 2021), F orthonormal. O(N log N) in the tokens.

    No token attends to another: q and k are not used, nothing is learned, and the sum of squares cannot grow. The
    hidden dimension is all heads' numbers, side by side. A pad would be a token like any other, so rows are taken by
    their number of valid tokens, one transform a number: short of batches of like length, as many calls as lengths.
    """

    num_heads: int
    head_dim: int

    def __call__(
        self,
        q: Float[Tensor, "B H M D"],
        k: Float[Tensor, "B H N D"],
        v: Float[Tensor, "B H N D"],
        mask: Bool[Tensor, "B N"],
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "B H M D"]:
        if q.shape != v.shape:
            raise ValueError("a Fourier transform has as many outputs as inputs: q and v must be of the same length")
        hidden = v.transpose(1, 2).flatten(2)  # (B, N, H D)
        out = hidden.masked_fill(~mask[..., None], 0)
        count = mask.sum(1)
        for n in torch.unique(count[count > 0]).tolist():
            chosen = mask & (count == n)[:, None]
            rows = hidden[chosen].view(-1, n, hidden.shape[2])
            rows = rows.to(torch.promote_types(v.dtype, torch.float32))  # there is no transform of bfloat16
            out[chosen] = torch.fft.fft2(rows, norm="ortho").real.flatten(0, 1).to(v.dtype)
        return out.view(v.transpose(1, 2).shape).transpose(1, 2)
