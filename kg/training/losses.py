"""The arithmetic of losses: matrices of scores in, a number out."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_CACHE = 1 << 19  # scores a block: 2 MB of fp32 stays in the second-level caches from one pass to the next


class _SoftmaxCrossEntropy(torch.autograd.Function):
    """The gradient is written over the scores on the way forward, while a block of them is in the cache.

    So no second (B, N) matrix is held, the exponential is taken once, and the way back reads nothing. Each pass over a
    (B, N) matrix that leaves the cache costs about a tenth of the product that made it.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, row: Tensor, tail: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        size, width = scores.shape
        total = -(1 - smoothing) * (weight * scores[row, tail].float()).sum()
        height = max(1, _CACHE // width)
        for start in range(0, size, height):
            block = scores[start : start + height]
            if smoothing:
                total -= smoothing / width * block.sum(dtype=torch.float32)
            highest = block.amax(1, keepdim=True)
            normaliser = block.sub_(highest).exp_().sum(1, keepdim=True, dtype=torch.float32)
            total += highest.sum(dtype=torch.float32) + normaliser.log().sum()
            block.mul_((1 / (size * normaliser)).to(block.dtype))
            if smoothing:
                block -= smoothing / (size * width)
        answers = weight * ((smoothing - 1) / size)
        scores.index_put_((row, tail), answers.to(scores.dtype), accumulate=True)
        ctx.save_for_backward(scores)
        return total / size

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        if grad.is_cuda or grad != 1:  # a GPU multiplies sooner than it answers
            gradient.mul_(grad)
        return gradient, None, None, None, None


def softmax_cross_entropy(
    scores: Float[Tensor, "B N"],
    row: Int[Tensor, " P"],
    tail: Int[Tensor, " P"],
    weight: Float[Tensor, " P"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean over rows of -sum_c q_c log softmax(s)_c, in nats, where q = (1 - smoothing) * answers + smoothing / N.

    The answers of a row are the entries (row, tail) with their weights, which add up to 1 in every row.
    The scores are used up: read them before, not after.
    """
    loss: Tensor = _SoftmaxCrossEntropy.apply(scores, row, tail, weight, smoothing)  # type: ignore[no-untyped-call]
    return loss


def binary_cross_entropy(
    scores: Float[Tensor, "B N"], row: Int[Tensor, " P"], tail: Int[Tensor, " P"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean over all B * N entries of the logistic loss, entries (row, tail) true, the rest false.

    With smoothing the labels are (1 - smoothing) * label + smoothing / N (Dettmers et al., 2018).
    """
    width = scores.shape[1]
    true = (1 - smoothing) * scores[row, tail].float().sum() + smoothing / width * scores.sum(dtype=torch.float32)
    return (functional.softplus(scores).sum(dtype=torch.float32) - true) / scores.numel()


def sampled_softmax(positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"]) -> Float[Tensor, ""]:
    """Mean of -log softmax of the positive among itself and its K negatives. A negative of -inf does not count."""
    normaliser = torch.logaddexp(positive, torch.logsumexp(negative, 1))
    return (normaliser - positive).mean()


def margin_ranking(
    positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"], margin: float
) -> Float[Tensor, ""]:
    """Mean over pairs of max(0, margin - positive + negative) (Bordes et al., 2013)."""
    return functional.relu(margin - positive[:, None] + negative).mean()


def adversarial_logistic(
    positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"], margin: float, temperature: float
) -> Float[Tensor, ""]:
    """-log sigmoid(margin + s+) - sum_k p_k log sigmoid(-margin - s_k), halved, p = softmax(temperature * s).

    Self-adversarial negative sampling (Sun et al., 2019, eq. 6); p has no gradient; scores are negative distances
    there. Temperature 0 weighs all negatives alike. A negative of -inf does not count.
    """
    weight = torch.softmax(torch.where(negative.isinf(), negative, temperature * negative).detach(), 1)
    lost = torch.where(weight > 0, weight * functional.softplus(negative + margin), 0.0).sum(1)
    return (functional.softplus(-margin - positive) + lost).mean() / 2
