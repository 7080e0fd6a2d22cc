"""The candidates that a fact is one of: every (head, relation, tail) of observed types, drawn in strata, weighed back.

Few enough, they are all taken. Otherwise the heads and the tails of a relation are drawn in strata, and every pair of
them stands for as many as its ends were drawn from. With certainty enter, together with all that is wrong about them,
the ends of the facts that are looked at and the entities with the most known answers (hubs): were a hub drawn only
where it is the end of a fact, nothing would contradict that the more children it has, the more any child is its own.
Of the pairs the more plausible ones are kept with the greater probability, as it is they that a fit can be wrong about.
Of a relation known to hold between an entity and itself, these pairs are a stratum of their own: they are one in N, and
score higher than any other of their entities where the relation is symmetric.
"""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.graph.known import KnownAnswers
from kg.probability.features import FEATURES, features, names_of, of_block
from kg.probability.query_scores import QueryScores, ScoreBlock
from kg.progress import SILENT, Progress
from kg.search.eligibility import Eligibility

_ALL = 2e7  # candidates: so many or fewer are not drawn, but taken
_HUBS = 256  # entities with the most known answers, for either end of a relation
_QUESTIONS = 1 << 18  # asked in all, about ends that no fact has ...
_DRAWN = 256  # entities at most, for either end of a relation, beside those that are certain
_TRUE = 1 << 12  # facts looked at
ROWS = 1 << 20  # candidates kept in all
DEAR_QUESTIONS = 1 << 15  # of a scorer that looks at the graph for each
_LOOPS = 1 << 12  # (h, r, h) drawn of a relation
_OF_THE_KIND = 0.75  # of the entities drawn: those that are known to have stood there


@final
@dataclass(frozen=True, eq=False)
class CandidateSample:
    """P candidates of all relations, each standing for `weight` of them; `is_true`: those that were held out.

    features: a column each of `names`, see kg.probability.features.
    """

    hrt: Int[Tensor, "P 3"]
    features: Float[Tensor, "P X"]
    weight: Float[Tensor, " P"]
    is_true: Bool[Tensor, " P"]
    names: tuple[str, ...] = FEATURES

    @property
    def relation(self) -> Int[Tensor, " P"]:
        return self.hrt[:, 1]

    @property
    def size(self) -> float:
        """How many candidates there are, those held out included."""
        return self.weight.sum(dtype=torch.float64).item()

    def of(self, chosen: Bool[Tensor, " P"], weight: float = 1.0) -> "CandidateSample":
        """These candidates alone, each standing for `weight` times as many."""
        hrt, found, is_true = self.hrt[chosen], self.features[chosen], self.is_true[chosen]
        return CandidateSample(hrt, found, self.weight[chosen] * weight, is_true, self.names)

    def without(self, listed: KnownAnswers) -> "CandidateSample":
        """What it says of all the candidates that are not these."""
        return self.of(~listed.contains(*self.hrt.unbind(1)))

    def logits(self, weights: Float[Tensor, "R W"]) -> Float[Tensor, " P"]:
        """By a relation's weights of 1 and of the features, in fp64."""
        lines = weights[self.relation].double()
        found: Tensor = lines[:, 0] + (lines[:, 1:] * self.features).sum(1)
        return found


def joined(*samples: CandidateSample) -> CandidateSample:
    """Of what lies apart, such as strata."""
    hrt, found, weight, is_true = (
        torch.cat([getattr(each, name) for each in samples]) for name in ("hrt", "features", "weight", "is_true")
    )
    return CandidateSample(hrt, found, weight, is_true, samples[0].names)


def listed_candidates(
    scores: QueryScores, hrt: Int[Tensor, "L 3"], true: KnownAnswers, progress: Progress = SILENT
) -> CandidateSample:
    """These candidates, each standing for itself."""
    names = names_of(bool(scores.asked))
    found, done = torch.zeros(len(hrt), len(names), device=hrt.device), 0
    for block in scores.of_facts(hrt):
        found[block.chosen] = of_block(block)
        done += len(block.chosen)
        progress.at("the best candidates", done, len(hrt))
    is_true = true.contains(*hrt.unbind(1)).cpu()
    return CandidateSample(hrt.cpu(), found.cpu(), torch.ones(len(hrt)), is_true, names)


def sample_candidates(
    scores: QueryScores,
    true: Int[Tensor, "F 3"],
    eligible: Eligibility,
    seed: int = 0,
    rows: int = ROWS,
    dear: int = DEAR_QUESTIONS,
    progress: Progress = SILENT,
) -> CandidateSample:
    """Of all candidates, by `eligible`, and of `true`, which are held out of what `scores` knows.

    Three quarters of the entities drawn for an end of a relation are known to have stood there. Of the pairs of a
    relation the most plausible are kept, and fewer of the others. The sum of the weights is the number of candidates
    (in expectation). rows: so many are kept in all. dear: some so many questions are asked of a scorer that looks at
    the graph for each.
    """
    return _Sampler(scores, true, eligible, seed, rows, dear).sample(progress)


def takes_all(scores: QueryScores, eligible: Eligibility, dear: int) -> bool:
    """Whether all candidates are looked at, of which more than some can be told apart: see sample_candidates."""
    if not scores.scorer.reads_graph:
        return eligible.num_candidates <= _ALL
    heads = eligible.num_heads
    questions = heads[list(scores.asked)] if scores.asked else heads
    return bool(questions.sum() <= dear) and eligible.num_candidates <= _ALL


@final
class _Sampler:
    def __init__(
        self, scores: QueryScores, true: Int[Tensor, "F 3"], eligible: Eligibility, seed: int, rows: int, dear: int
    ) -> None:
        self._scores, self._eligible = scores, eligible
        self._generator = torch.Generator().manual_seed(seed)
        self._num_relations = scores.known.num_relations
        self._most_rows = max(2, rows // self._num_relations)  # of a relation
        self._takes_all = takes_all(scores, eligible, dear)
        true = true[eligible.are_candidates(true)]
        most = dear // 2 if scores.scorer.reads_graph else _QUESTIONS  # the other half of those are the facts' own
        sides = 2 if scores.asked else 4  # hubs, and others, of the ends that are asked about
        least = 1 if scores.scorer.reads_graph else 16
        self._most_drawn = min(_DRAWN, max(least, most // (sides * self._num_relations)))
        self._held_out = KnownAnswers.from_triples(true, self._num_relations)
        most = len(true) if self._takes_all else min(_TRUE, dear // sides) if scores.scorer.reads_graph else _TRUE
        self._share = max(1.0, len(true) / max(1, most))  # each fact stands for so many, looked at or not
        if self._share > 1:
            true = true[torch.randperm(len(true), generator=self._generator)[:most].to(true.device)]
        self._true = true

    def sample(self, progress: Progress) -> CandidateSample:
        parts = []
        for relation in range(self._num_relations):
            parts.append(self._of_relation(relation))
            progress.at("sampling candidates", relation + 1, self._num_relations)
        return joined(*parts)

    def _of_relation(self, relation: int) -> CandidateSample:
        scores, inverse = self._scores, relation + self._num_relations
        facts = self._true[self._true[:, 1] == relation]
        (heads, of_head), (tails, of_tail) = (
            self._ends(directed, facts[:, place]) for directed, place in ((relation, 0), (inverse, 2))
        )
        forward = scores.block(relation, heads, tails)
        backward = scores.block(inverse, tails, heads)
        weight = of_head[:, None] * of_tail  # of the pairs
        weight[self._eligible.no_candidates(relation, heads, tails)] = 0
        row_of, column_of = (_places(ends, scores.graph.num_entities) for ends in (heads, tails))
        loops = self._loops(relation)
        if loops is not None:
            weight[heads[:, None] == tails] = 0
        row, tail = self._held_out.lookup(heads, torch.full_like(heads, relation))
        column = column_of[tail]
        weight[row[column >= 0], column[column >= 0]] = 0
        pairs, weight = _thinned(weight, _plausible(forward, backward), self._most_rows, self._generator)
        row, column = torch.cat([pairs[0], row_of[facts[:, 0]]]), torch.cat([pairs[1], column_of[facts[:, 2]]])
        hrt = torch.stack([heads[row], torch.full_like(row, relation), tails[column]], 1)
        weight = torch.cat([weight, weight.new_full((len(facts),), self._share)])
        is_true = torch.arange(len(row), device=row.device) >= len(pairs[0])
        found = features(forward, backward, row, column)
        names = names_of(bool(scores.asked))
        pairs_drawn = CandidateSample(hrt.cpu(), found.cpu(), weight.cpu(), is_true.cpu(), names)
        return pairs_drawn if loops is None else joined(pairs_drawn, loops)

    def _loops(self, relation: int) -> CandidateSample | None:
        """Of (h, relation, h); None where they are taken or left out with all other pairs."""
        if self._takes_all or not self._scores.known.reflexive[relation]:
            return None
        both = self._eligible.answerable
        hrt = torch.stack([both, torch.full_like(both, relation), both], 1)
        hrt = hrt[self._eligible.are_candidates(hrt) & ~self._held_out.contains(*hrt.unbind(1))]
        most = self._most_drawn if self._scores.scorer.reads_graph else _LOOPS
        drawn = hrt[torch.randperm(len(hrt), generator=self._generator)[:most].to(hrt.device)]
        found = listed_candidates(self._scores, drawn, self._held_out)
        return replace(found, weight=found.weight * (len(hrt) / max(1, len(drawn))))

    def _ends(self, relation: int, own: Int[Tensor, " F"]) -> tuple[Int[Tensor, " K"], Float[Tensor, " K"]]:
        """Heads of a directed relation, and how many each stands for. own: those of the facts."""
        every = self._eligible.heads(relation, "observed")
        if self._takes_all or not self._scores.is_asked(relation):
            return every, torch.ones(len(every), device=every.device)
        scores, num, most = self._scores, self._num_relations, self._most_drawn
        stood = scores.answers((relation + num) % (2 * num))
        stood = stood[torch.isin(stood, every)]
        known = scores.known.counts(stood, torch.full_like(stood, relation))
        hubs = stood[known.argsort(descending=True, stable=True)[: min(_HUBS, most)]]
        certain = torch.unique(torch.cat([own, hubs]))
        seen, others = stood[~torch.isin(stood, certain)], every[~torch.isin(every, torch.cat([certain, stood]))]
        num_seen = min(len(seen), max(round(_OF_THE_KIND * most), most - len(others)))
        drawn, weights = [certain], [torch.ones(len(certain), device=certain.device)]
        for stratum, count in ((seen, num_seen), (others, min(len(others), max(most - num_seen, 1)))):
            drawn.append(stratum[torch.randperm(len(stratum), generator=self._generator)[:count].to(stratum.device)])
            weights.append(torch.full((count,), len(stratum) / max(count, 1), device=stratum.device))
        return torch.cat(drawn), torch.cat(weights)


def _places(ids: Int[Tensor, " K"], num_entities: int) -> Int[Tensor, " N"]:
    """entity -> its place among these, -1 where it is not."""
    place = ids.new_full((num_entities,), -1)
    place[ids] = torch.arange(len(ids), device=ids.device)
    return place


def _plausible(forward: ScoreBlock, backward: ScoreBlock) -> Float[Tensor, "H T"]:
    """How near a pair comes to being worth a look: in nats, for want of weights."""
    there = forward.scores - forward.normaliser[:, None]
    back = (backward.scores - backward.normaliser[:, None]).T
    counts = forward.count[:, None].float().log1p() + backward.count.float().log1p()
    return there + back + counts


def _thinned(
    weight: Float[Tensor, "H T"], plausible: Float[Tensor, "H T"], most: int, generator: torch.Generator
) -> tuple[Int[Tensor, "2 P"], Float[Tensor, " P"]]:
    """(row, column) of some `most` of the pairs, and what each stands for: the k-th most plausible is kept with the
    probability min(1, c / k)."""
    candidates = weight.flatten().nonzero()[:, 0]
    ranked = candidates[plausible.flatten()[candidates].argsort(descending=True)]
    rank = torch.arange(1, len(ranked) + 1, dtype=torch.float64)
    kept = (_certain(len(ranked), most) / rank).clamp(max=1)
    drawn = torch.rand(len(ranked), generator=generator, dtype=torch.float64) < kept
    chosen = ranked[drawn.to(ranked.device)]
    stands_for = weight.flatten()[chosen] / kept[drawn].to(chosen.device, torch.float32)
    return torch.stack([chosen // weight.shape[1], chosen % weight.shape[1]]), stands_for


def _certain(count: int, most: int) -> float:
    """c for which the sum over k = 1 ... count of min(1, c / k) is about `most`: c (1 + log(count / c))."""
    if count <= most:
        return float(count)
    from scipy.optimize import brentq  # which takes a second to import, and a question needs none of it

    return float(brentq(lambda c: c * (1 + math.log(count / c)) - most, 1e-9, most))
