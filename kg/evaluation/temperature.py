"""The temperature that scores are divided by, so that their softmax means something."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.evaluation.ranking import cross_entropy
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph, with_inverses
from kg.graph.known import KnownAnswers
from kg.models.scorer import Queries, Scorer
from kg.progress import SILENT, Progress

_SAMPLE = 500  # valid facts: their mean cross-entropy stands to about 5 %
_TURNS = 4  # grids, each finer than the one before
_GRID = 5  # temperatures to each side of the best one so far
_BATCH = 256
_KEPT = 1 << 26  # scores that are kept for the next grid, 256 MB; more are computed anew

_Scored = tuple[Float[Tensor, "B N"], Float[Tensor, "B 1"]]


def fit_temperature(scorer: Scorer, dataset: Dataset, seed: int = 0, progress: Progress = SILENT) -> float | None:
    """The T > 0 that gives softmax(scores / T) the least filtered cross-entropy on valid; None without valid facts.

    Scores that a margin or a sample trained are free up to such a factor. The best of a grid over log T in [-7, 7],
    where there is one minimum, then of three finer ones around it, to 1 % of T; on at most 500 facts drawn by the seed.
    The scorer is asked once where its scores fit into 256 MB, else once a grid.
    """
    if not len(dataset.valid):
        return None
    device = scorer.device
    chosen = torch.randperm(len(dataset.valid), generator=torch.Generator().manual_seed(seed))[:_SAMPLE]
    facts, graph = dataset.valid[chosen].to(device), dataset.graph().to(device)
    known = dataset.known("train", "valid").to(device)
    asked: Callable[[], Iterable[_Scored]] = partial(_scored, scorer, facts, graph, known)
    if 2 * len(facts) * graph.num_entities <= _KEPT:
        kept = list(asked())
        asked = partial(iter, kept)
    best, step = 0.0, 1.4
    for turn in range(_TURNS):
        grid = [best + place * step for place in range(-_GRID, _GRID + 1)]
        found = _cross_entropies(asked(), [math.exp(x) for x in grid])
        progress.at("fitting the temperature", turn + 1, _TURNS)
        best, step = grid[int(found.argmin())], step / _GRID
    return math.exp(best)


@torch.no_grad()
def _scored(scorer: Scorer, hrt: Int[Tensor, "T 3"], graph: Graph, known: KnownAnswers) -> Iterator[_Scored]:
    """Of facts, both directions, a batch at a time: the scores of all answers, known ones at -inf, and its own."""
    directed = with_inverses(hrt, graph.num_relations)
    for start in range(0, len(directed), _BATCH):
        head, relation, tail = directed[start : start + _BATCH].unbind(1)
        scores = scorer.score_tails(Queries(head, relation, graph)).float()
        target = scores.gather(1, tail[:, None])
        scores[known.lookup(head, relation)] = -torch.inf
        yield scores, target


def _cross_entropies(asked: Iterable[_Scored], temperatures: list[float]) -> Float[Tensor, " G"]:
    """The sum over facts, both directions, at each temperature. In nats."""
    total = torch.zeros(len(temperatures), dtype=torch.float64)
    for scores, target in asked:
        for i, temperature in enumerate(temperatures):
            total[i] += cross_entropy(scores.clone(), target, temperature).double().sum().cpu()
    return total
