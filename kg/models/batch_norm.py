"""Batch normalisation for scorers: only a question with a generator, to a module in training, is part of a batch."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

_MOMENTUM = 0.1  # of the newest batch in the running figures
_EPSILON = 1e-5


@final
class BatchNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-5) * weight + bias, one of each a channel (Ioffe and Szegedy, 2015).

    With a generator mean and variance are the batch's, and a tenth of them goes into the running figures, which serve
    without one. They serve as well for a channel of one number, which has no variance: a last batch of one question;
    and in eval mode, which a Bundle's scorer is in: dropout may be drawn to see how sure an answer is, but what is
    asked beside it is no batch, and an answer must not change the model.
    """

    running_mean: Float[Tensor, " C"]
    running_var: Float[Tensor, " C"]

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Float[Tensor, "B C *rest"], generator: torch.Generator | None) -> Float[Tensor, "B C *rest"]:
        of_batch = generator is not None and self.training and x.numel() > len(self.weight)
        return nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, of_batch, _MOMENTUM, _EPSILON
        )
