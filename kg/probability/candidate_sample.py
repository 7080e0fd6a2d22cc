"""The candidates that a fact is one of: every (head, relation, tail) not known, sampled and weighed back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.graph.known import KnownAnswers
from kg.probability.features import features
from kg.probability.query_scores import QueryScores, ScoreBlock
from kg.progress import SILENT, Progress

_QUESTIONS = 1 << 18  # asked in all, the true facts' own aside ...
_DEAR_QUESTIONS = 1 << 15  # ... and of scorers that look at the graph for each
_DRAWN = 512  # entities at most, for either end of a relation
_TRUE = 1 << 12  # facts looked at
_ROWS = 1 << 20  # candidates kept in all
_OF_THE_KIND = 0.75  # of the heads drawn for a relation: entities that it is known to have had for a head


@final
@dataclass(frozen=True, eq=False)
class CandidateSample:
    """P candidates of all relations, each standing for `weight` of them; `is_true`: those that were held out.

    features: see kg.probability.features. size: how many candidates there are in truth, those held out included.
    """

    relation: Int[Tensor, " P"]
    features: Float[Tensor, "P X"]
    weight: Float[Tensor, " P"]
    is_true: Bool[Tensor, " P"]
    size: float

    def of(self, chosen: Bool[Tensor, " P"], weight: float) -> "CandidateSample":
        """These candidates alone, each standing for `weight` times as many."""
        relation, features, is_true = self.relation[chosen], self.features[chosen], self.is_true[chosen]
        return CandidateSample(relation, features, self.weight[chosen] * weight, is_true, self.size)

    def logits(self, weights: Float[Tensor, "R W"]) -> Float[Tensor, " P"]:
        """By a relation's weights of 1 and of the features (kg.probability.features.WEIGHTS), in fp64."""
        lines = weights[self.relation].double()
        found: Tensor = lines[:, 0] + (lines[:, 1:] * self.features).sum(1)
        return found


def sample_candidates(
    scores: QueryScores,
    true: Int[Tensor, "F 3"],
    reflexive: Bool[Tensor, " R"],
    others: KnownAnswers | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> CandidateSample:
    """All candidates that `scores.known` does not hold: `true` is held out of it, `others` is left out besides.

    (h, r, h) is no candidate but where `reflexive[r]`. Of each relation heads and tails are drawn, three quarters of
    them from those that it is known to have had, and every pair of them stands for as many as its ends were drawn from;
    of these pairs the most plausible are kept, and as many of the others. So the sum of the weights is the number of
    candidates (in expectation), and a small graph is taken whole.
    """
    generator = torch.Generator().manual_seed(seed)
    num_relations = scores.known.num_relations
    head, relation, tail = true.unbind(1)
    is_candidate = ~scores.known.contains(head, relation, tail) & ((head != tail) | reflexive.to(true.device)[relation])
    true = true[is_candidate]
    held_out = KnownAnswers.from_triples(true, num_relations)  # each stands for itself, looked at or not
    share = 1.0
    if len(true) > _TRUE:
        share = len(true) / _TRUE
        true = true[torch.randperm(len(true), generator=generator)[:_TRUE].to(true.device)]
    left_out = (scores.known, held_out, *([] if others is None else [others]))
    parts = []
    for each in range(num_relations):
        parts.append(_of_relation(scores, each, true, share, left_out, reflexive, generator))
        progress.at("sampling candidates", each + 1, num_relations)
    candidates = [torch.cat(each) for each in zip(*parts, strict=True)]
    relation, found, weight, is_true = (each.cpu() for each in candidates)
    return CandidateSample(relation, found, weight, is_true, weight.sum(dtype=torch.float64).item())


def _of_relation(
    scores: QueryScores,
    relation: int,
    true: Int[Tensor, "F 3"],
    share: float,
    left_out: Sequence[KnownAnswers],
    reflexive: Bool[Tensor, " R"],
    generator: torch.Generator,
) -> tuple[Int[Tensor, " P"], Float[Tensor, "P X"], Float[Tensor, " P"], Bool[Tensor, " P"]]:
    inverse = relation + scores.known.num_relations
    facts = true[true[:, 1] == relation]
    (heads, of_head), (tails, of_tail) = (_drawn(scores, side, generator) for side in (inverse, relation))
    # The facts' own ends come after those drawn, so that the pairs of the latter are one corner of the matrix.
    all_heads, all_tails = (
        torch.cat([drawn, own[~torch.isin(own, drawn)]])
        for drawn, own in ((heads, torch.unique(facts[:, 0])), (tails, torch.unique(facts[:, 2])))
    )
    forward = scores.block(relation, all_heads, all_tails)
    backward = scores.block(inverse, all_tails, all_heads)
    row_of, column_of = (_places(ends, scores.graph.num_entities) for ends in (all_heads, all_tails))

    most = max(1, _ROWS // (2 * scores.known.num_relations))
    weight = of_head[:, None] * of_tail  # the pairs of those drawn, a matrix
    for known in left_out:
        row, tail = known.lookup(heads, torch.full_like(heads, relation))
        column = column_of[tail]
        inside = (column >= 0) & (column < len(tails))
        weight[row[inside], column[inside]] = 0
    if not reflexive[relation]:
        weight[heads[:, None] == tails] = 0
    row, column = row_of[facts[:, 0]], column_of[facts[:, 2]]
    pairs, weight = _thinned(weight, _plausible(forward, backward, len(heads), len(tails)), most, generator)
    found = features(forward, backward, torch.cat([pairs[0], row]), torch.cat([pairs[1], column]))
    weight = torch.cat([weight, weight.new_full((len(facts),), share)])
    is_true = torch.cat([torch.zeros_like(pairs[0], dtype=torch.bool), torch.ones_like(row, dtype=torch.bool)])
    return torch.full_like(is_true, relation, dtype=torch.long), found, weight, is_true


def _drawn(
    scores: QueryScores, relation: int, generator: torch.Generator
) -> tuple[Int[Tensor, " K"], Float[Tensor, " K"]]:
    """Entities drawn as answers of a directed relation, and how many each stands for."""
    every = scores.scorer.num_entities
    questions = _DEAR_QUESTIONS if scores.scorer.reads_graph else _QUESTIONS
    most = min(_DRAWN, max(16, questions // (2 * scores.known.num_relations)))
    seen = scores.answers(relation)
    seen = seen[seen < every]
    is_other = torch.ones(every, dtype=torch.bool, device=seen.device)
    is_other[seen] = False
    others = is_other.nonzero()[:, 0]
    num_seen = min(len(seen), max(round(_OF_THE_KIND * most), most - len(others)))
    drawn, weights = [], []
    for stratum, count in ((seen, num_seen), (others, min(len(others), most - num_seen))):
        drawn.append(stratum[torch.randperm(len(stratum), generator=generator)[:count].to(stratum.device)])
        weights.append(torch.full((count,), len(stratum) / max(count, 1), device=stratum.device))
    return torch.cat(drawn), torch.cat(weights)


def _places(ids: Int[Tensor, " K"], num_entities: int) -> Int[Tensor, " N"]:
    """entity -> its place among these, -1 where it is not."""
    place = ids.new_full((num_entities,), -1)
    place[ids] = torch.arange(len(ids), device=ids.device)
    return place


def _plausible(forward: ScoreBlock, backward: ScoreBlock, num_heads: int, num_tails: int) -> Float[Tensor, "H T"]:
    """How near a pair comes to being worth a look: in nats, for want of weights."""
    there = forward.scores[:num_heads, :num_tails] - forward.normaliser[:num_heads, None]
    back = (backward.scores[:num_tails, :num_heads] - backward.normaliser[:num_tails, None]).T
    counts = forward.count[:num_heads, None].float().log1p() + backward.count[:num_tails].float().log1p()
    return there + back + counts


def _thinned(
    weight: Float[Tensor, "H T"], plausible: Float[Tensor, "H T"], most: int, generator: torch.Generator
) -> tuple[Int[Tensor, "2 P"], Float[Tensor, " P"]]:
    """(row, column) of the most plausible pairs, as many of the others at random, and what each stands for."""
    weight_of = weight.flatten()
    is_candidate = weight_of > 0
    best = plausible.flatten().masked_fill(~is_candidate, -torch.inf).topk(min(most, int(is_candidate.sum()))).indices
    is_candidate[best] = False
    rest = is_candidate.nonzero()[:, 0]
    some = rest[torch.randperm(len(rest), generator=generator)[:most].to(rest.device)]
    chosen = torch.cat([best, some])
    stands_for = weight_of[chosen]
    stands_for[len(best) :] *= len(rest) / max(len(some), 1)
    return torch.stack([chosen // weight.shape[1], chosen % weight.shape[1]]), stands_for
