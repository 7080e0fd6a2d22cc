"""Naive Bayes by hand, then its counts against hiding one fact after the other."""

import math

import pytest
import torch
from paper import fill, no_facts

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.models.naive_bayes import NaiveBayes
from kg.models.scorer import Queries


def scores(scorer: NaiveBayes, graph: Graph, relation: int) -> list[float]:
    found: list[float] = scorer.score_tails(Queries(torch.tensor([0]), torch.tensor([relation]), graph))[0].tolist()
    return found


def test_scores_are_sums_over_the_edges_of_a_candidate() -> None:
    scorer = NaiveBayes(2, 2)
    fill(scorer.weight, [[1, 2, 4, 8], [0, 0, 0, 1], [0, 0, 0, 0], [5, 0, 0, 0]])
    graph = Graph.from_triples(torch.tensor([[0, 0, 1], [2, 0, 1], [0, 1, 2]]), 4, 2)  # 2 and 3 came later
    # 0 leaves by 0 and 1; 1 twice by the inverse of 0, that is 2; 2 by 0 and the inverse of 1; 3 has no edge
    assert scores(scorer, graph, 0) == [3, 8, 9, 0]
    assert scores(scorer, graph, 1) == [0, 0, 1, 0]
    assert scores(scorer, graph, 3) == [5, 0, 5, 0]


def test_counts_by_hand() -> None:
    """(0, r, 1), (2, r, 1), (1, s, 3): what leaves the answers of r is r^-1, the other fact's, and s, each twice."""
    graph = Graph.from_triples(torch.tensor([[0, 0, 1], [2, 0, 1], [1, 1, 3]]), 4, 2)
    scorer = NaiveBayes(4, 2, smoothing=0.5)
    scorer.count(graph)
    # of all six edges two are r, one is s, two r^-1, one s^-1; smoothed
    everywhere = [2.5 / 8, 1.5 / 8, 2.5 / 8, 1.5 / 8]
    around = [0.5 / 6, 2.5 / 6, 2.5 / 6, 0.5 / 6]
    ratios = [math.log(a / e) for a, e in zip(around, everywhere, strict=True)]
    assert scorer.weight[0].tolist() == pytest.approx(ratios)
    # the answer to s has no other edge
    assert scorer.weight[1].tolist() == pytest.approx([math.log(0.25 / e) for e in everywhere])


def test_counts_are_those_of_hiding_each_fact(random_dataset: Dataset) -> None:
    loops = torch.tensor([[7, 0, 7], [7, 1, 7], [8, 2, 8]])
    graph = Graph.from_triples(torch.cat([random_dataset.train[:120], loops]), 50, 3)
    edges = torch.zeros(6, 6)
    for fact in torch.stack([graph.head(), graph.relation, graph.tail], 1):
        _, relation, tail = fact.tolist()
        left = graph.hide(fact[None]).neighbours(torch.tensor([tail])).relation
        edges[relation] += torch.bincount(left, minlength=6)
    scorer = NaiveBayes(50, 3, smoothing=1.0)
    scorer.count(graph)
    everywhere = torch.bincount(graph.relation, minlength=6) + 1.0
    expected = ((edges + 1) / (edges + 1).sum(1, keepdim=True)).log() - (everywhere / everywhere.sum()).log()
    torch.testing.assert_close(scorer.weight, expected)


def test_an_empty_graph_says_nothing() -> None:
    scorer = NaiveBayes(3, 1)
    scorer.count(no_facts(3, 1))
    assert scores(scorer, no_facts(3, 1), 0) == [0, 0, 0]
    assert torch.equal(scorer.weight, torch.zeros(2, 2))


@pytest.mark.parametrize("smoothing", [0.0, -1.0, math.inf, math.nan])
def test_smoothing_keeps_logarithms_finite(smoothing: float) -> None:
    with pytest.raises(UserError, match="smoothing must be above 0 and finite"):
        NaiveBayes(3, 1, smoothing=smoothing)
