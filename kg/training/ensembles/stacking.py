"""Stacking: how much each trained part of a combination counts, by directed relation, fitted on the valid facts."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.models.combined import Combined
from kg.training.ensembles.fitting import EnsembleFitting, Gathered, Gathering, fitted, ranked

_STRENGTHS = (100.0, 10.0, 1.0, 0.1)  # of the pull towards the weights of all relations, from firm to loose


@final
@dataclass(frozen=True)
class Stacking(EnsembleFitting):
    """A multinomial logit a directed relation r, over the filtered candidates c of each valid fact (h, r, t):

        minimise sum_t -log softmax_c(w_r . x_c)[t] + strength / 2 ||w_r - w||^2

    x holds the levels, in units of their spread, and the reaches of all parts (kg.models.combined), and w is the same
    fit over all relations together. So an answer competes with its rivals, where plain logistic regression (Dong et
    al., 2014) would tell true from false over all questions. Known answers of train and valid are nobody's rivals.

    Each half of the valid facts, drawn by the seed, is ranked with weights that the other half gave: the strength
    is that of 0.1, 1, 10 and 100 with the best MRR, and these ranks are the figures that are reported, since those of
    the final weights would be measured on the facts they were fitted on. (That choice saw all of valid, as did the
    parts' choice of an epoch.)
    """

    ensemble: ClassVar[type[Combined]] = Combined

    def gathering(self, scorer: Combined, dataset: Dataset, seed: int, device: torch.device | str) -> "Stacked":
        return Stacked(scorer, dataset, self, seed, device)


def of_relations(
    evidence: dict[int, Gathered], overall: Float[Tensor, " F"], strength: float, start: Float[Tensor, "R2 F"]
) -> Float[Tensor, "R2 F"]:
    """The weights of each directed relation, drawn towards those of all; of one without evidence, just these."""
    weights = overall.repeat(len(start), 1)
    for relation, each in evidence.items():
        weights[relation] = fitted([each], overall, strength, start[relation])
    return weights


@final
class Stacked(Gathering):
    """Fits by the rivals of a directed relation, which lie together."""

    _ensemble: Combined

    def _fit(self, evidence: Gathered) -> None:
        spread = self._in_units_of_spread(evidence)
        relation = self._directed[:, 1]
        firsts, counts = torch.unique_consecutive(relation, return_counts=True)
        ends = counts.cumsum(0).tolist()
        by_relation = {}
        for number, first, last in zip(firsts.tolist(), [0, *ends], ends, strict=False):
            low, high = int(evidence.question[first]), int(evidence.question[last - 1]) + 1
            by_relation[number] = Gathered(
                evidence.rivals[low:high],
                evidence.weight[low:high],
                evidence.question[first:last] - low,
                evidence.answers[first:last],
            )
        strength = self._cross_fitted(by_relation)
        overall = self._of_all_relations(by_relation)
        weights = of_relations(by_relation, overall, strength, overall.expand(len(self._ensemble.weight), -1))
        levels, reaches = weights.chunk(2, 1)
        self._ensemble.weight.copy_(levels / spread)
        self._ensemble.reach.copy_(reaches)

    def _in_units_of_spread(self, evidence: Gathered) -> Float[Tensor, " P"]:
        """Divide the levels by their mean standard deviation within a question, which is returned."""
        num_parts = len(self._ensemble.parts)
        variances = []
        for block in evidence.blocks():
            is_rival, levels = (block.weight > 0).double()[:, :, None], block.rivals[:, :, :num_parts]
            count = is_rival.sum(1).clamp(min=1)
            away = (levels - (levels * is_rival).sum(1, keepdim=True) / count[:, None]) * is_rival
            variances.append(away.square().sum(1) / count)
        spread = torch.cat(variances).mean(0).sqrt()
        spread[spread == 0] = 1.0
        evidence.rivals[:, :, :num_parts] /= spread
        evidence.answers[:, :num_parts] /= spread
        return spread

    def _of_all_relations(self, evidence: dict[int, Gathered]) -> Float[Tensor, " F"]:
        num_parts = len(self._ensemble.parts)
        equal = torch.cat([torch.ones(num_parts), torch.zeros(num_parts)]).double()
        return fitted(list(evidence.values()), equal, 1.0, equal)

    def _cross_fitted(self, evidence: dict[int, Gathered]) -> float:
        """The strength with the best MRR; what each half is ranked with it is kept."""
        relation = self._directed[:, 1]
        halves = [{number: self._half[relation == number] == half for number in evidence} for half in (0, 1)]
        given = [{number: each.of(~half[number]) for number, each in evidence.items()} for half in halves]
        overall = [self._of_all_relations(each) for each in given]
        weights = [each.expand(len(self._ensemble.weight), -1) for each in overall]
        best, chosen = 0.0, _STRENGTHS[0]
        for strength in _STRENGTHS:
            weights = [of_relations(given[half], overall[half], strength, weights[half]) for half in (0, 1)]
            ranks, losses = torch.zeros(len(relation)).double(), torch.zeros(len(relation)).double()
            for half, (asked, fit) in enumerate(zip(halves, weights, strict=True)):
                for number, each in evidence.items():
                    mine = (relation == number) & (self._half == half)
                    ranks[mine], losses[mine] = ranked(each.of(asked[number]), fit[number])
            mrr = float(ranks.reciprocal().mean())
            if mrr > best:
                best, chosen, self._ranks, self._losses = mrr, strength, ranks, losses
        return chosen
