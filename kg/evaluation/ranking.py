"""Filtered ranking: where does the true answer stand among all candidates?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.evaluation.metrics import Figures, Metrics, figures
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, with_inverses
from kg.graph.known import KnownAnswers
from kg.interruption import in_threads
from kg.models.scorer import WORST, Queries, Scorer
from kg.progress import SILENT, Progress

_CACHE = 1 << 17  # scores compared at once on a CPU: 512 KB of fp32 stay in a core's second-level cache
_MOST_SCORES = 1 << 26  # of a batch
_FILTERS = {"train": ("train",), "valid": ("train", "valid"), "test": ("train", "valid", "test")}


def ranks(scores: Float[Tensor, "B N"], tail: Int[Tensor, "B T"], known: Int[Tensor, "2 K"]) -> Float[Tensor, "B T"]:
    """Filtered ranks of T targets a row: rank 1 is best, ties count half.

    rank = 1 + greater + ties / 2 = 1 + N - (count(s_c < s_target) + count(s_c <= s_target)) / 2, over the N candidates
    c, those that are known to be true themselves set to -inf; `known` holds (row, tail) of these, every target among
    them. A row with fewer targets is filled up with -1 (its rank there is NaN), and rows come in order of falling
    numbers of targets. A rival whose score is NaN counts as above.

    The target is read from the matrix its rivals stand in: a score computed apart differs in its last bits and hides
    ties. `scores` is used up: known answers become -inf there. Raises ValueError where a target's score is NaN or the
    rows are out of order.
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
    below = torch.full_like(target, torch.nan)
    if scores.is_cpu:
        _count_in_cache(scores.numpy(), target.numpy(), counts, below.numpy())
    else:
        for turn, count in enumerate(counts):
            rivals, own = scores[:count], target[:count, turn, None]
            below[:count, turn] = ((rivals < own).sum(1) + (rivals <= own).sum(1)).float()
    return 1 + scores.shape[1] - below / 2


def _count_in_cache(
    scores: Float[np.ndarray, "B N"],
    target: Float[np.ndarray, "B T"],
    counts: list[int],
    below: Float[np.ndarray, "B T"],
) -> None:
    """below[b, t] = count(scores[b] < target[b, t]) + count(scores[b] <= target[b, t]) in the first counts[t] rows.

    On a CPU NumPy compares two to four times as fast as PyTorch. Its booleans are bytes: added as words of eight, 255
    words at a time, no byte runs over. To count them one by one would take longer than to compare.
    """
    num_candidates = scores.shape[1]
    height = max(1, _CACHE // num_candidates)
    num_words = -(-num_candidates // (8 * 255)) * 255
    is_below = np.zeros((height, 2, 8 * num_words), dtype=bool)  # less, and less or equal; the rest stays False
    less, at_most = (is_below[:, i, :num_candidates] for i in range(2))
    words = is_below.view(np.uint64).reshape(height, -1, 255)
    for start in range(0, len(scores), height):
        for turn, count in enumerate(counts):
            size = min(height, count - start)
            if size <= 0:
                break
            rows = slice(start, start + size)
            np.less(scores[rows], target[rows, turn, None], out=less[:size])
            np.less_equal(scores[rows], target[rows, turn, None], out=at_most[:size])
            below[rows, turn] = words[:size].sum(2).view(np.uint8).sum(1)


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

    def metrics(self, names: tuple[str, ...] | None = None) -> Metrics:
        """Overall, per side and (with relation names, in id order) per relation."""
        relation, asked_head = self.relation % self.num_relations, self.relation >= self.num_relations
        sides = {"head": self._figures(asked_head), "tail": self._figures(~asked_head)}
        by_relation = {
            name: self._figures(relation == i) for i, name in enumerate(names or ()) if bool((relation == i).any())
        }
        return Metrics(**asdict(self._figures(torch.ones_like(asked_head))), by_side=sides, by_relation=by_relation)

    def _figures(self, chosen: Bool[Tensor, " P"]) -> Figures:
        entropy = self.cross_entropy[chosen] if len(self.cross_entropy) else self.cross_entropy
        return figures(self.rank[chosen], self.candidates[chosen], entropy)


def evaluate(
    scorer: Scorer,
    dataset: Dataset,
    part: str,
    *,
    temperature: float | None = 1.0,
    batch_size: int = 256,
    sample: int | None = None,
    progress: Progress = SILENT,
) -> Ranking:
    """Filtered ranks of a part's facts, both directions, against every entity of every part.

    Known answers are those of train and valid (for 'valid'), of all three (for 'test'). Questions that several facts
    share are scored once. temperature divides the scores in the cross-entropy; None leaves the cross-entropy out.
    batch_size: questions that each of at most two threads scores at once, fewer where N is large; memory is
    2 * batch_size * N scores, at most 512 MB. sample: rank at most so many of the facts, drawn at random, the same each
    time.
    """
    device, facts = scorer.device, dataset.part(part)
    if sample is not None and sample < len(facts):
        facts = facts[torch.randperm(len(facts), generator=torch.Generator().manual_seed(0))[:sample].sort().values]
    batch_size = min(batch_size, max(1, _MOST_SCORES // dataset.num_entities))
    known = dataset.known(*_FILTERS[part]).to(device)
    graph = dataset.graph().to(device)
    return rank_facts(scorer, facts.to(device), graph, known, temperature, batch_size, progress)


def rank_facts(
    scorer: Scorer,
    hrt: Int[Tensor, "T 3"],
    graph: Graph,
    known: KnownAnswers,
    temperature: float | None,
    batch_size: int,
    progress: Progress = SILENT,
) -> Ranking:
    """`evaluate` of any facts over any graph; `known` must hold the facts themselves."""
    if not scorer.is_finite():
        raise ValueError("the model's parameters are not finite: ranks would mean nothing")  # a NaN ties with nothing
    directed = with_inverses(hrt, graph.num_relations)
    question, order, counts = _by_question(directed, graph.num_relations)
    directed = directed[order]  # the targets of a question together, questions with most targets first
    row, answer = known.lookup(question[:, 0], question[:, 1])
    num_known = torch.bincount(row, minlength=len(question))
    first_target, first_known = ([0, *count.cumsum(0).tolist()] for count in (counts, num_known))
    rank, entropy = torch.empty(len(directed), device=hrt.device), torch.empty(len(directed), device=hrt.device)

    @torch.no_grad()
    def rank_batch(start: int) -> int:
        """Fill in the ranks of the questions from `start` on; how many ranks these are."""
        stop = min(start + batch_size, len(question))
        targets = slice(first_target[start], first_target[stop])
        filtered = slice(first_known[start], first_known[stop])
        tail = _padded(directed[targets, 2], counts[start:stop])
        given = tail >= 0
        scores = scorer.score_tails(Queries(question[start:stop, 0], question[start:stop, 1], graph)).float()
        target = scores.gather(1, tail.clamp(min=0))
        rank[targets] = ranks(scores, tail, torch.stack([row[filtered] - start, answer[filtered]]))[given]
        if temperature is not None:  # rivals only are left in scores
            entropy[targets] = cross_entropy(scores, target, temperature)[given]
        return len(rank[targets])

    done = 0
    with _threads(hrt.device) as run:
        for count in run(rank_batch, range(0, len(question), batch_size)):
            done += count
            progress.at("ranking", done, len(directed))
    candidates = (graph.num_entities + 1 - num_known).repeat_interleave(counts)
    if temperature is None:
        entropy = entropy[:0]
    head, relation, tail = directed.unbind(1)
    return Ranking(head, relation, tail, rank, candidates, entropy, graph.num_relations)


@contextmanager
def _threads(device: torch.device) -> Iterator[Callable[..., Iterator[int]]]:
    """A `map` over two threads, each with half of PyTorch's own; over one, where there is nothing to halve.

    Threads that share every operation wait for each other in each; those that take batches in turn do not. A signal
    is heard by who waits for them, even where a batch takes long.
    """
    num_threads = torch.get_num_threads()
    count = 2 if device.type == "cpu" and num_threads > 1 else 1
    torch.set_num_threads(num_threads // count)
    try:
        yield partial(in_threads, threads=count)
    finally:
        torch.set_num_threads(num_threads)


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


def cross_entropy(
    rivals: Float[Tensor, "B N"], target: Float[Tensor, "B T"], temperature: float
) -> Float[Tensor, "B T"]:
    """-log softmax of each target among itself and the rivals of its row (known answers are -inf there). In nats.

    The rivals are used up.
    """
    target = target / temperature
    others = torch.logsumexp(rivals.div_(temperature), 1, keepdim=True)
    return torch.logaddexp(others, target) - target
