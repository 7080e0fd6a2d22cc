"""Filtered ranking: where does the true answer stand among all candidates?"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, with_inverses
from kg.graph.known import KnownAnswers
from kg.models.scorer import WORST, Queries, Scorer

_CACHE = 1 << 18  # scores that one pass of comparisons touches: 1 MB of fp32 stays in a core's second-level cache
_FILTERS = {"train": ("train",), "valid": ("train", "valid"), "test": ("train", "valid", "test")}

Progress = Callable[[int, int], None]  # (ranks so far, ranks in all)


def ranks(
    scores: Float[Tensor, "B N"], tail: Int[Tensor, "B T"], known: Int[Tensor, "2 K"]
) -> Float[Tensor, "B T"]:
    """Filtered ranks of T targets a row: rank 1 is best, ties count half.

    rank = 1 + greater + ties / 2 = 1 + (N + sum_c sign(s_c - s_target)) / 2, over the candidates c that are not known
    to be true themselves; `known` holds (row, tail) of those, every target among them. A row with fewer targets is
    filled up with -1 (its rank there is NaN), and rows come in order of falling numbers of targets.

    The target is read from the matrix its rivals stand in: a score computed apart differs in its last bits and hides
    ties. One pass of N a target, in blocks that stay in the cache. `scores` is used up: known answers become -inf.
    Raises ValueError where a target's score is NaN or the rows are out of order.
    """
    given = tail >= 0
    counts = given.sum(0).tolist()
    if bool((given[1:] & ~given[:-1]).any()):
        raise ValueError("rows of targets must come in order of falling length")
    # A target without a vector keeps a finite score, so that it ties with its like and stays above what is filtered.
    target = scores.gather(1, tail.clamp(min=0)).clamp(min=WORST)
    if bool((target.isnan() & given).any()):
        raise ValueError("the score of a true answer is NaN")
    scores[known[0], known[1]] = -torch.inf
    sums = torch.full_like(target, torch.nan)
    height = max(1, _CACHE // scores.shape[1])
    buffer = torch.empty_like(scores[:height])
    for start in range(0, len(scores), height):
        for turn, count in enumerate(counts):
            rows = slice(start, min(start + height, count))
            if rows.stop <= start:
                break
            work = torch.sub(scores[rows], target[rows, turn, None], out=buffer[: rows.stop - start])
            torch.sum(work.sign_(), 1, out=sums[rows, turn])
    return 1 + (scores.shape[1] + sums) / 2


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where P true answers stand. One entry a (fact, direction): relation r + R means that the head was asked for.

    candidates: how many rivals each had, itself included, the other known answers left out.
    cross_entropy: -log softmax(scores / temperature) of the answer over those candidates, in nats; empty if not asked.
    """

    head: Int[Tensor, " P"]
    relation: Int[Tensor, " P"]
    tail: Int[Tensor, " P"]
    rank: Float[Tensor, " P"]
    candidates: Int[Tensor, " P"]
    cross_entropy: Float[Tensor, " C"]
    num_relations: int

    def metrics(self, names: tuple[str, ...] | None = None) -> "Metrics":
        """Overall, per side and (with relation names, in id order) per relation."""
        relation, asked_head = self.relation % self.num_relations, self.relation >= self.num_relations
        sides = {"head": self._figures(asked_head), "tail": self._figures(~asked_head)}
        by_relation = {
            name: self._figures(relation == i) for i, name in enumerate(names or ()) if bool((relation == i).any())
        }
        return Metrics(**asdict(self._figures(torch.ones_like(asked_head))), by_side=sides, by_relation=by_relation)

    def _figures(self, chosen: Tensor) -> "Figures":
        rank, candidates = self.rank[chosen].double(), self.candidates[chosen].double()
        if not len(rank):
            return Figures(*(math.nan,) * 7, num_ranks=0)
        expected = (candidates + 1).mean().item() / 2  # the mean rank of a random order
        mean = rank.mean().item()
        hits = [(rank <= k).double().mean().item() for k in (1, 3, 10)]
        entropy = self.cross_entropy[chosen].double().mean().item() if len(self.cross_entropy) else math.nan
        return Figures(
            mrr=rank.reciprocal().mean().item(),
            mean_rank=mean,
            amri=1 - (mean - 1) / (expected - 1) if expected > 1 else math.nan,
            hits_at_1=hits[0],
            hits_at_3=hits[1],
            hits_at_10=hits[2],
            perplexity=math.exp(min(entropy, 700.0)) if not math.isnan(entropy) else math.nan,
            num_ranks=len(rank),
        )


@dataclass(frozen=True)
class Figures:
    """mrr: mean reciprocal rank. mean_rank: 1 is best. amri: adjusted mean rank index, 1 - (mean rank - 1) /
    (expected rank - 1): 1 is perfect, 0 random (Berrendorf et al., 2020). hits_at_k: share of ranks <= k.
    perplexity: exp(mean cross-entropy of the true answer), the effective number of candidates left to choose from.
    """

    mrr: float
    mean_rank: float
    amri: float
    hits_at_1: float
    hits_at_3: float
    hits_at_10: float
    perplexity: float
    num_ranks: int


@dataclass(frozen=True)
class Metrics(Figures):
    """Figures over all ranks, then over those of each side asked for and of each relation (both sides)."""

    by_side: dict[str, Figures]
    by_relation: dict[str, Figures]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; what could not be measured is null."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def evaluate(
    scorer: Scorer,
    dataset: Dataset,
    part: str,
    *,
    temperature: float | None = 1.0,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> Ranking:
    """Filtered ranks of a part's facts, both directions, against every entity of every part.

    Known answers are those of train and valid (for 'valid'), of all three (for 'test'). Questions that several facts
    share are scored once. temperature divides the scores in the cross-entropy; None leaves the cross-entropy out.
    batch_size: questions scored at once; memory is batch_size * N scores.
    """
    device = next(scorer.parameters()).device
    known = dataset.known(*_FILTERS[part]).to(device)
    graph = dataset.graph().to(device)
    return rank_facts(scorer, dataset.part(part).to(device), graph, known, temperature, batch_size, progress)


@torch.no_grad()
def rank_facts(
    scorer: Scorer,
    hrt: Int[Tensor, "T 3"],
    graph: Graph,
    known: KnownAnswers,
    temperature: float | None,
    batch_size: int,
    progress: Progress | None = None,
) -> Ranking:
    """`evaluate` of any facts over any graph; `known` must hold the facts themselves."""
    if not all(bool(parameter.isfinite().all()) for parameter in scorer.parameters()):
        raise ValueError("the model's parameters are not finite: ranks would mean nothing")  # a NaN ties with nothing
    directed = with_inverses(hrt, graph.num_relations)
    question, order, counts = _by_question(directed, graph.num_relations)
    directed = directed[order]  # the targets of a question together, questions with most targets first
    rank, entropy = torch.empty(len(directed), device=hrt.device), torch.empty(len(directed), device=hrt.device)
    candidates = torch.empty(len(directed), dtype=torch.long, device=hrt.device)
    done = 0
    for start in range(0, len(question), batch_size):
        rows, count = question[start : start + batch_size], counts[start : start + batch_size]
        targets = slice(done, done := done + int(count.sum()))
        tail = _padded(directed[targets, 2], count)
        given = tail >= 0
        queries = Queries(rows[:, 0], rows[:, 1], graph)
        scores = scorer.score_tails(queries).float()
        filtered = known.lookup(queries.head, queries.relation)
        target = scores.gather(1, tail.clamp(min=0))
        rank[targets] = ranks(scores, tail, torch.stack(filtered))[given]  # rivals only are left in scores
        if temperature is not None:
            entropy[targets] = _cross_entropy(scores, target, temperature)[given]
        rivals = graph.num_entities - torch.bincount(filtered[0], minlength=len(rows))
        candidates[targets] = (rivals + 1).repeat_interleave(count)
        if progress:
            progress(done, len(directed))
    if temperature is None:
        entropy = entropy[:0]
    head, relation, answer = directed.unbind(1)
    return Ranking(head, relation, answer, rank, candidates, entropy, graph.num_relations)


def _by_question(
    directed: Int[Tensor, "P 3"], num_relations: int
) -> tuple[Int[Tensor, "Q 2"], Int[Tensor, " P"], Int[Tensor, " Q"]]:
    """Distinct (head, relation), those with most targets first; the order of facts that goes with them; the counts."""
    key = directed[:, 0] * (2 * num_relations) + directed[:, 1]
    unique, inverse, counts = torch.unique(key, return_inverse=True, return_counts=True)
    falling = counts.argsort(descending=True, stable=True)
    place = torch.empty_like(falling)
    place[falling] = torch.arange(len(falling), device=key.device)
    unique = unique[falling]
    question = torch.stack([unique // (2 * num_relations), unique % (2 * num_relations)], 1)
    return question, place[inverse].argsort(stable=True), counts[falling]


def _padded(tail: Int[Tensor, " P"], count: Int[Tensor, " B"]) -> Int[Tensor, "B T"]:
    given = torch.arange(int(count.max()), device=count.device) < count[:, None]
    return tail.new_full(given.shape, -1).masked_scatter_(given, tail)


def _cross_entropy(
    rivals: Float[Tensor, "B N"], target: Float[Tensor, "B T"], temperature: float
) -> Float[Tensor, "B T"]:
    """-log softmax of each target among itself and the rivals of its row (known answers are -inf there). In nats."""
    target = target / temperature
    others = torch.logsumexp(rivals.div_(temperature), 1, keepdim=True)
    return torch.logaddexp(others, target) - target
