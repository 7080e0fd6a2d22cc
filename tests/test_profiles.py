"""Sums over the relations of each entity's edges."""

import torch

from kg.graph.graph import Graph
from kg.walks.profiles import profiles_of, relation_sums

FACTS = [[0, 0, 1], [0, 0, 2], [0, 1, 2], [2, 0, 3], [3, 1, 3], [1, 1, 4], [4, 0, 0]]


def test_each_edge_counts_and_those_of_one_relation_are_taken_together() -> None:
    graph = Graph.from_triples(torch.tensor(FACTS), 6, 2)
    profiles = profiles_of(graph)
    assert len(profiles.relation) == graph.num_edges - 1  # 0 has two edges of one relation
    sums = relation_sums(profiles, torch.eye(4))
    assert sums[0].tolist() == [2, 1, 1, 0] and sums[3].tolist() == [0, 1, 1, 1] and sums[5].tolist() == [0] * 4
    assert sums.sum() == graph.num_edges


def test_the_gradient_is_the_slope() -> None:
    profiles = profiles_of(Graph.from_triples(torch.tensor(FACTS), 6, 2))
    vector = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: relation_sums(profiles, given), (vector,))
