"""RankEnsemble: trained scorers in one by where each ranks a candidate, the baseline beside Combined."""

from collections.abc import Callable, Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.models.ensemble import Ensemble
from kg.models.scorer import Scorer


@final
class RankEnsemble(Ensemble):
    """score(h, r, t) = log softmax over all t of sharpness * sum_p weight_p * -log rank_p(h, r, t).

    rank_p: where part p ranks t among all candidates, known answers included, since those that are asked for cannot
    be left out: see `mean_ranks`. A part without scores in a row ranks all the same. Weights, one a part whatever the
    relation, sum to 1. After Meilicke et al. (2021), who found that such sums work well for rules and embeddings;
    fitted by kg.training.ensembles.rank_weights, until then every part counts the same.
    """

    num_features: ClassVar[int] = 1
    weight: Float[Tensor, " P"]
    sharpness: Float[Tensor, ""]

    def __init__(self, num_entities: int, num_relations: int, parts: Sequence[Callable[[int, int], Scorer]]) -> None:
        super().__init__(num_entities, num_relations, parts)
        self.register_buffer("weight", torch.full((len(parts),), 1 / len(parts)))
        self.register_buffer("sharpness", torch.ones(()))

    def features(self, opinion: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B N"], ...]:
        return (-mean_ranks(opinion).log(),)

    def weights(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "P F B"]:
        return (self.sharpness * self.weight)[:, None, None].expand(-1, 1, len(relation))


def mean_ranks(scores: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Where each score stands in its row: 1 is the highest, ties share the mean of their places. O(N log N) a row."""
    rising, order = scores.contiguous().sort(1)
    below, at_most = (torch.searchsorted(rising, rising, right=right) for right in (False, True))
    return torch.empty_like(scores).scatter_(1, order, scores.shape[1] - (below + at_most - 1) / 2)
