"""Is one model better than another, or were the test facts kind to it?"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from kg.evaluation.ranking import Ranking

_DRAWS = 1 << 20  # facts drawn at once: 24 MB


@dataclass(frozen=True)
class Difference:
    """a's MRR less b's, and between which bounds it lies (a confidence interval, of percentiles)."""

    mean: float
    low: float
    high: float


def difference(
    a: Ranking, b: Ranking, generator: torch.Generator, samples: int = 10_000, level: float = 0.95
) -> Difference:
    """The paired bootstrap over test facts (Efron, 1979; for rankings Sakai, 2006).

    With F facts, a sample draws F of them with replacement and takes the mean of 1 / rank_a - 1 / rank_b over their
    entries; the bounds are those that hold the middle `level` of the samples. What is drawn is a fact with both its
    directions: its two ranks rise and fall together, and drawn apart they would count as twice the evidence, for bounds
    too narrow. The bounds tell what other test facts would change, not what another training would.

    Entries may come in any order. O(samples F) time, memory bounded; on the CPU, by a generator of the CPU. Raises
    ValueError where the two do not rank the same answers, or nothing at all.
    """
    if samples < 1 or not 0 < level < 1:
        raise ValueError(f"samples must be at least 1 and level between 0 and 1: got {samples}, {level}")
    a, b = in_order(a), in_order(b)
    if a.num_relations != b.num_relations or not torch.equal(_facts(a, directed=True), _facts(b, directed=True)):
        raise ValueError("the two rankings are not of the same facts and directions")
    if not len(a.rank):
        raise ValueError("there are no ranks to compare")
    gained = a.rank.double().reciprocal() - b.rank.double().reciprocal()
    fact = torch.unique(_facts(a, directed=False), dim=0, return_inverse=True)[1].cpu()
    weight = torch.bincount(fact).double()  # entries of a fact: two, unless the ranking is a part of one
    total = torch.bincount(fact, weights=gained.cpu())
    num_facts = len(total)
    height = max(1, _DRAWS // num_facts)
    means = []
    for start in range(0, samples, height):
        drawn = torch.randint(num_facts, (min(height, samples - start), num_facts), generator=generator)
        means.append(total[drawn].sum(1) / weight[drawn].sum(1))
    tail = (1 - level) / 2
    low, high = torch.cat(means).quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Difference(gained.mean().item(), low, high)


def mrr_within(ranking: Ranking, samples: int = 1_000) -> tuple[float, float]:
    """Between which bounds the MRR of all facts lies, with 95 % confidence, where these are a random sample of them.

    By the bootstrap over facts, each with both its directions. ValueError where there is none.
    """
    nothing = replace(ranking, rank=torch.full_like(ranking.rank, torch.inf))  # an MRR of 0
    found = difference(ranking, nothing, torch.Generator().manual_seed(0), samples)
    return found.low, found.high


def in_order(ranking: Ranking) -> Ranking:
    """The same entries by (head, relation, tail), so that those of two models stand beside each other."""
    order = torch.arange(len(ranking.rank), device=ranking.rank.device)
    for key in (ranking.tail, ranking.relation, ranking.head):
        order = order[key[order].argsort(stable=True)]
    return part(ranking, order)


def part(ranking: Ranking, rows: Int[Tensor, " K"]) -> Ranking:
    """These entries alone."""
    columns = {name: getattr(ranking, name)[rows] for name in ("head", "relation", "tail", "rank", "candidates")}
    entropy = ranking.cross_entropy[rows] if len(ranking.cross_entropy) else ranking.cross_entropy
    return replace(ranking, **columns, cross_entropy=entropy)


def _facts(ranking: Ranking, directed: bool) -> Int[Tensor, "P 3"]:
    """The fact of each entry: as it was asked, or turned forward."""
    entry = torch.stack([ranking.head, ranking.relation, ranking.tail], 1)
    if directed:
        return entry
    turned = torch.stack([ranking.tail, ranking.relation - ranking.num_relations, ranking.head], 1)
    return torch.where((ranking.relation >= ranking.num_relations)[:, None], turned, entry)
