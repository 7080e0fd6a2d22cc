"""The arithmetic of losses: matrices of scores in, a number out."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_CACHE = 1 << 19  # scores a block: 2 MB of fp32 stays in the second-level caches from one pass to the next


class _SoftmaxCrossEntropy(torch.autograd.Function):
    """exp(s - max) is written over the scores on the way forward, the gradient over that on the way back.

    So no second (B, N) matrix is held, and the exponential is taken once. Each pass over a (B, N) matrix that leaves
    the cache costs about a tenth of the product that made it: everything is done block by block.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, row: Tensor, tail: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        total = -(1 - smoothing) * (weight * scores[row, tail].float()).sum()
        normaliser = torch.empty(len(scores), 1, device=scores.device)
        height = max(1, _CACHE // scores.shape[1])
        for start in range(0, len(scores), height):
            block = scores[start : start + height]
            if smoothing:
                total -= smoothing / scores.shape[1] * block.sum(dtype=torch.float32)
            highest = block.amax(1, keepdim=True)
            normaliser[start : start + height] = block.sub_(highest).exp_().sum(1, keepdim=True, dtype=torch.float32)
            total += highest.sum(dtype=torch.float32)
        total += normaliser.log().sum()
        ctx.save_for_backward(scores, row, tail, weight, normaliser)
        ctx.smoothing = smoothing
        return total / len(scores)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scores, row, tail, weight, normaliser = ctx.saved_tensors
        scale, width = grad / len(scores), scores.shape[1]
        factor = (scale / normaliser).to(scores.dtype)
        height = max(1, _CACHE // width)
        for start in range(0, len(scores), height):
            block = scores[start : start + height].mul_(factor[start : start + height])
            if ctx.smoothing:
                block -= (scale * (ctx.smoothing / width)).to(scores.dtype)
        answers = (weight * (ctx.smoothing - 1) * scale).to(scores.dtype)
        scores.index_put_((row, tail), answers, accumulate=True)
        return scores, None, None, None, None


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
