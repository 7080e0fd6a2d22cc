"""The arithmetic of losses: matrices of scores in, a number out."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

_CACHE = 1 << 19  # scores a block: 2 MB of fp32 stays in the second-level caches from one pass to the next


class _SoftmaxCrossEntropy(torch.autograd.Function):
    """The gradient is written over the scores on the way forward, while a block of them is in the cache.

    So no second (B, N) matrix is held, the exponential is taken once, and the way back reads nothing. Each pass over a
    (B, N) matrix that leaves the cache costs about a tenth of the product that made it.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, row: Tensor, tail: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        size, width = scores.shape
        of_row = weight.new_zeros(size).index_add_(0, row, weight)
        share = (of_row / of_row.sum())[:, None]  # of each row in the mean
        answers = weight / of_row.sum() * (1 - smoothing)
        total = -(answers * scores[row, tail].float()).sum()
        height = max(1, _CACHE // width)
        for start in range(0, size, height):
            block, part = scores[start : start + height], share[start : start + height]
            if smoothing:
                total -= smoothing / width * (part * block.sum(1, keepdim=True, dtype=torch.float32)).sum()
            highest = block.amax(1, keepdim=True)
            normaliser = block.sub_(highest).exp_().sum(1, keepdim=True, dtype=torch.float32)
            total += (part * (highest + normaliser.log())).sum()
            block.mul_((part / normaliser).to(block.dtype))
            if smoothing:
                block -= (smoothing / width * part).to(block.dtype)
        scores.index_put_((row, tail), -answers.to(scores.dtype), accumulate=True)
        ctx.save_for_backward(scores)
        return total

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
    """Weighted mean over answers of -log softmax(s)_answer, in nats; the answers are the entries (row, tail).

    Rows weigh what their answers weigh together. With smoothing, a row's answers keep 1 - smoothing of that weight and
    the rest is spread over all N. The scores are used up: read them before, not after.
    """
    loss: Tensor = _SoftmaxCrossEntropy.apply(scores, row, tail, weight, smoothing)  # type: ignore[no-untyped-call]
    return loss


def chunked_softmax_cross_entropy(
    compare: Callable[[slice], Tensor],
    shape: tuple[int, int],
    row: Int[Tensor, " P"],
    tail: Int[Tensor, " P"],
    weight: Float[Tensor, " P"],
    smoothing: float,
    width: int,
) -> Float[Tensor, ""]:
    """`softmax_cross_entropy` of scores of this shape, `width` candidates at a time: compare(slice) gives theirs.

    Each block is compared again on the way back, so that (B, width) scores are the most that is ever held; four matrix
    products instead of three are its price.
    """
    size, num_candidates = shape
    of_row = weight.new_zeros(size).index_add_(0, row, weight)

    def block(part: slice, row: Tensor, tail: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        scores = compare(part).float()
        gained = (1 - smoothing) * (weight * scores[row, tail - part.start]).sum()
        return scores.logsumexp(1), gained + smoothing / num_candidates * (of_row * scores.sum(1)).sum()

    normalisers, gains = [], weight.new_zeros(())
    for start in range(0, num_candidates, width):
        part = slice(start, min(start + width, num_candidates))
        here = (tail >= part.start) & (tail < part.stop)
        normaliser, gained = checkpoint(block, part, row[here], tail[here], weight[here], use_reentrant=False)
        normalisers.append(normaliser)
        gains = gains + gained
    total: Tensor = (of_row * torch.stack(normalisers).logsumexp(0)).sum() - gains
    return total / of_row.sum()


def binary_cross_entropy(
    scores: Float[Tensor, "B N"], row: Int[Tensor, " P"], tail: Int[Tensor, " P"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean over all B * N entries of the logistic loss, entries (row, tail) true, the rest false.

    With smoothing the labels are (1 - smoothing) * label + smoothing / N (Dettmers et al., 2018).
    """
    width = scores.shape[1]
    true = (1 - smoothing) * scores[row, tail].float().sum() + smoothing / width * scores.sum(dtype=torch.float32)
    return (functional.softplus(scores).sum(dtype=torch.float32) - true) / scores.numel()


class _SampledSoftmax(torch.autograd.Function):
    """As _SoftmaxCrossEntropy: the gradient is written over the negatives, a block at a time."""

    @staticmethod
    def forward(ctx: Any, positive: Tensor, negative: Tensor) -> Tensor:
        lost, of_positive = torch.empty_like(positive), torch.empty_like(positive)
        height = max(1, _CACHE // max(1, negative.shape[1]))
        for start in range(0, len(positive), height):
            rows = slice(start, start + height)
            block, own = negative[rows], positive[rows]
            highest = torch.maximum(own, block.amax(1))
            share = (own - highest).exp_()
            normaliser = block.sub_(highest[:, None]).exp_().sum(1) + share
            block.div_(normaliser[:, None])
            of_positive[rows] = share / normaliser - 1
            lost[rows] = normaliser.log() + highest - own
        ctx.save_for_backward(of_positive, negative)
        return lost

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        of_positive, of_negative = ctx.saved_tensors
        return of_positive * grad, of_negative.mul_(grad[:, None])


def sampled_softmax(positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"]) -> Float[Tensor, " B"]:
    """-log softmax of the positive among itself and its K negatives, in nats. A negative of -inf does not count.

    The negatives are used up: read them before, not after.
    """
    lost: Tensor = _SampledSoftmax.apply(positive, negative)  # type: ignore[no-untyped-call]
    return lost


def margin_ranking(positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"], margin: float) -> Float[Tensor, " B"]:
    """Mean over the negatives of max(0, margin - positive + negative) (Bordes et al., 2013)."""
    return functional.relu(margin - positive[:, None] + negative).mean(1)


def adversarial_logistic(
    positive: Float[Tensor, " B"], negative: Float[Tensor, "B K"], margin: float, temperature: float
) -> Float[Tensor, " B"]:
    """-log sigmoid(margin + s+) - sum_k p_k log sigmoid(-margin - s_k), halved, p = softmax(temperature * s).

    Self-adversarial negative sampling (Sun et al., 2019, eq. 6); p has no gradient; scores are negative distances
    there. Temperature 0 weighs all negatives alike. A negative of -inf does not count.
    """
    weight = torch.softmax(torch.where(negative.isinf(), negative, temperature * negative).detach(), 1)
    lost = torch.where(weight > 0, weight * functional.softplus(negative + margin), 0.0).sum(1)
    return (functional.softplus(-margin - positive) + lost) / 2
