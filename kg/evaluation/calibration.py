"""From scores to probabilities."""

import math

import torch

from kg.evaluation.ranking import rank_facts
from kg.graph.dataset import Dataset
from kg.models.scorer import Scorer

_SAMPLE = 500  # valid facts: their mean cross-entropy stands to about 5 %
_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(scorer: Scorer, dataset: Dataset, seed: int = 0) -> float | None:
    """The T > 0 that gives softmax(scores / T) the least filtered cross-entropy on valid; None without valid facts.

    Scores that a margin or a sample trained are free up to such a factor. Golden-section search over log T, which
    has one minimum, in [-7, 7]; on at most 500 facts drawn by the seed.
    """
    if not len(dataset.valid):
        return None
    device = scorer.device
    chosen = torch.randperm(len(dataset.valid), generator=torch.Generator().manual_seed(seed))[:_SAMPLE]
    facts, graph = dataset.valid[chosen].to(device), dataset.graph().to(device)
    known = dataset.known("train", "valid").to(device)

    def cross_entropy(log_temperature: float) -> float:
        ranking = rank_facts(scorer, facts, graph, known, math.exp(log_temperature), batch_size=256)
        return ranking.cross_entropy.double().mean().item()

    low, high = -7.0, 7.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = cross_entropy(left), cross_entropy(right)
    while high - low > 0.02:  # 2 % of T changes the perplexity by far less
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = cross_entropy(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = cross_entropy(right)
    return math.exp((low + high) / 2)
