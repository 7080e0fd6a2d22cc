"""Ranks among a few candidates drawn at random: what papers report of answers for entities never seen before."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.evaluation.ranking import ranks


def sampled_ranks(
    scores: Float[Tensor, "B N"],
    tail: Int[Tensor, " B"],
    known: Int[Tensor, "2 K"],
    num_negatives: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, " B"], Int[Tensor, " B"]]:
    """The rank of each row's target among itself and `num_negatives` others, drawn uniformly, each at most once; and
    among how many that was: of a row that has fewer others, all are taken.

    Rank 1 is best, ties count half. `known` holds (row, tail) of what is known to be true, which is never drawn.
    `scores` is left as it was. Raises ValueError where a target's score is NaN.
    """
    key = torch.rand(scores.shape, generator=generator, device=scores.device)
    key[known[0], known[1]] = -1
    key.scatter_(1, tail[:, None], -1)
    drawn, place = key.topk(min(num_negatives, key.shape[1]))
    lacking, missing = (drawn < 0).nonzero().unbind(1)
    first = torch.zeros_like(tail)
    row = torch.arange(len(tail), device=tail.device)
    few = scores.gather(1, torch.cat([tail[:, None], place], 1))
    left_out = torch.stack([torch.cat([row, lacking]), torch.cat([first, missing + 1])])
    return ranks(few, first[:, None], left_out)[:, 0], 1 + (drawn >= 0).sum(1)
