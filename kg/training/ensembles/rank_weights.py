"""One weight a part of an ensemble of ranks, chosen on the valid facts."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.models.rank_ensemble import RankEnsemble
from kg.training.ensembles.fitting import EnsembleFitting, Gathered, Gathering, fitted, ranked, weighted

_FINEST = 20  # steps from a share of 0 to one of 1
_MOST = 100  # mixtures that are tried
_BLUNTEST = 0.01  # a sharpness of 0 or below would not keep the order


@final
@dataclass(frozen=True)
class RankWeighing(EnsembleFitting):
    """Of the `mixtures` of all parts that with the best filtered MRR on valid, and the sharpness with the least
    cross-entropy there. Each half of the valid facts is ranked with weights that the other half gave: these are the
    figures reported, as of kg.training.ensembles.stacking.
    """

    ensemble: ClassVar[type[RankEnsemble]] = RankEnsemble

    def gathering(self, scorer: RankEnsemble, dataset: Dataset, seed: int, device: torch.device | str) -> "RankWeighed":
        return RankWeighed(scorer, dataset, self, seed, device)


def mixtures(num_parts: int) -> Float[Tensor, "G P"]:
    """Shares that sum to 1: equal ones first, then all in multiples of 1/20, or as coarse as leaves 100 of them.

    (Of more than 100 parts, each alone.)
    """
    others = num_parts - 1
    steps = next((n for n in range(_FINEST, 1, -1) if math.comb(n + others, others) <= _MOST), 1)
    ends = [(-1, *bars, steps + others) for bars in combinations(range(steps + others), others)]
    shares = torch.tensor(ends).double().diff(dim=1).sub(1) / steps
    return torch.cat([torch.full((1, num_parts), 1 / num_parts).double(), shares])


def sharpest(evidence: Gathered, weights: Float[Tensor, " P"]) -> Float[Tensor, ""]:
    """The factor of these weights with the least cross-entropy of the answers: 1, in doubt."""
    rivals, answers = (weighted(x, weights)[..., None] for x in (evidence.rivals, evidence.answers))
    one = torch.ones(1).double()
    return fitted([Gathered(rivals, evidence.weight, evidence.question, answers)], one, 1.0, one)[0].clamp(_BLUNTEST)


@final
class RankWeighed(Gathering):
    """Ranks the valid facts by every mixture, once; halves and whole then differ in what they take the mean of."""

    _ensemble: RankEnsemble

    def _fit(self, evidence: Gathered) -> None:
        tried = mixtures(len(self._ensemble.parts))
        gains = torch.stack([ranked(evidence, weights)[0].reciprocal() for weights in tried])  # (G, T)
        self._ranks, self._losses = torch.zeros(2, len(self._half)).double()
        for half in (0, 1):
            mine = self._half == half
            weights = tried[gains[:, ~mine].sum(1).argmax()]
            weights = weights * sharpest(evidence.of(~mine), weights)
            self._ranks[mine], self._losses[mine] = ranked(evidence.of(mine), weights)
        weights = tried[gains.sum(1).argmax()]
        self._ensemble.weight.copy_(weights)
        self._ensemble.sharpness.copy_(sharpest(evidence, weights))
