"""The mean of a scorer's weights over the last steps of its training, which is better than any of them alone."""

import copy
from typing import final

import torch
from torch import Tensor

from kg.models.scorer import Scorer


@final
class Averaged:
    """A copy of a scorer whose weights w follow those of the trained one, v: after step t w <- d w + (1 - d) v, with
    d = min(decay, (t + 1) / (t + 10)): at first over few steps, at last over 1 / (1 - decay) of them (Polyak averaging;
    the early steps as in TensorFlow's ExponentialMovingAverage). Buffers are those of the last step.
    """

    def __init__(self, trained: Scorer, decay: float) -> None:
        self.scorer = copy.deepcopy(trained).requires_grad_(False)
        self._trained, self._decay = trained, decay

    @torch.no_grad()
    def follow(self, steps: int) -> None:
        """After so many steps, the one just taken included. O(weights)."""
        share = 1 - min(self._decay, (steps + 1) / (steps + 10))
        own: list[Tensor] = list(self.scorer.parameters())
        torch._foreach_lerp_(own, list(self._trained.parameters()), share)
        for kept, last in zip(self.scorer.buffers(), self._trained.buffers(), strict=True):
            kept.copy_(last)
