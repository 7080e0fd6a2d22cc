"""Dropout whose randomness is passed in."""

import torch
from jaxtyping import Float
from torch import Tensor


def dropout(x: Float[Tensor, "*shape"], share: float, generator: torch.Generator | None) -> Float[Tensor, "*shape"]:
    """x with a share of its values set to 0 and the others scaled by 1 / (1 - share); x itself without a generator."""
    if generator is None or share == 0:
        return x
    keep = torch.empty_like(x).bernoulli_(1 - share, generator=generator)
    return x * keep.div_(1 - share)


def row_dropout(x: Float[Tensor, "M W"], share: float, generator: torch.Generator | None) -> Float[Tensor, "M W"]:
    """x with a share of its rows set to 0; x itself without a generator."""
    if generator is None or not share:
        return x
    return x * (torch.rand(len(x), 1, generator=generator, device=x.device) >= share)
