"""CP on paper."""

import torch
from paper import fill, no_facts, score

from kg.models.cp import CP
from kg.models.scorer import Queries


def test_cp_by_hand() -> None:
    scorer = CP(2, 1, dim=2)
    fill(scorer.head_table.weight, [[1.0, 2.0], [0.0, 1.0]])
    fill(scorer.table.weight, [[1.0, 1.0], [3.0, 5.0]])
    fill(scorer.diagonal.weight, [[4.0, -1.0], [1.0, 2.0]])
    assert score(scorer, 0, 0, 1) == 1 * 4 * 3 - 2 * 1 * 5 == 2
    assert score(scorer, 1, 0, 0) == -1  # the other vectors of both
    assert score(scorer, 0, 0, 0) == 4 - 2
    assert score(scorer, 0, 1, 1) == 3 + 20
    scores = scorer.score_relations(torch.tensor([0, 1]), torch.tensor([1, 0]), no_facts(2, 1))
    assert scores.tolist() == [[2.0, 23.0], [-1.0, 2.0]]


def test_factors_are_the_vectors_of_the_fact() -> None:
    scorer = CP(2, 1, dim=2)
    head, relation, tail = scorer.factors(
        Queries(torch.tensor([1]), torch.tensor([1]), no_facts(2, 1)), torch.tensor([0])
    )
    assert torch.equal(head, scorer.head_table.weight[1:]) and torch.equal(tail, scorer.table.weight[:1])
    assert torch.equal(relation, scorer.diagonal.weight[1:])
