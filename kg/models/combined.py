"""Trained scorers in one: each candidate's weighted sum of their scores, with weights of each directed relation."""

from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.models.ensemble import Ensemble
from kg.models.scorer import WORST, Scorer


@final
class Combined(Ensemble):
    """score(h, r, t) = log softmax over all t of sum_p weight_rp level_p(h, r, t) + reach_rp reached_p(h, r, t).

    The level is what part p scores, reached is 1 where that is above the lowest score of the row and 0 where it is the
    lowest, as of all candidates that no rule leads to: see `level_and_reach`. A linear stack of scorers (Wolpert, 1992;
    Dong et al., 2014, fuse extractors so), fitted by kg.training.ensembles.stacking; until then every part counts once.
    """

    num_features: ClassVar[int] = 2
    weight: Float[Tensor, "R2 P"]
    reach: Float[Tensor, "R2 P"]

    def __init__(self, num_entities: int, num_relations: int, parts: Sequence[Callable[[int, int], Scorer]]) -> None:
        super().__init__(num_entities, num_relations, parts)
        self.register_buffer("weight", torch.ones(2 * num_relations, len(parts)))
        self.register_buffer("reach", torch.zeros(2 * num_relations, len(parts)))

    def features(self, opinion: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], ...]:
        level, reached = level_and_reach(opinion)
        return level, reached.to(level.dtype)

    def weights(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "P F B"]:
        return torch.stack([self.weight[relation].T, self.reach[relation].T], 1)


def level_and_reach(scores: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], Bool[Tensor, "B N"]]:
    """The scores, and whether each is above the lowest of its row; a candidate without a vector has that lowest one.

    A row in which no candidate has a vector is 0 throughout, and nothing in it is reached.
    """
    has_vector = scores > WORST
    lowest = scores.masked_fill(~has_vector, torch.inf).amin(1, keepdim=True)
    level = torch.where(has_vector, scores, lowest.masked_fill(lowest.isinf(), 0))
    return level, level > lowest
