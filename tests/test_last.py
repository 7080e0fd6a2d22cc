"""What is computed of a graph is computed again only where something has changed."""

import copy

import torch
from torch import nn

from kg.graph.graph import Graph
from kg.models.last import Last


def graph() -> Graph:
    return Graph.from_triples(torch.tensor([[0, 0, 1]]), 2, 1)


def test_it_is_computed_anew_for_another_graph_and_for_other_weights() -> None:
    made: list[int] = []
    last: Last[int] = Last()
    scorer, where, other = nn.Linear(2, 2), graph(), graph()

    def found(of: Graph) -> int:
        return last.of(scorer, of, lambda: made.append(0) or len(made))

    assert [found(where), found(where), found(other), found(other), found(where)] == [1, 1, 2, 2, 3]
    with torch.no_grad():
        scorer.weight[0, 0] += 1
    assert [found(where), found(where)] == [4, 4]
    assert copy.deepcopy(last).of(scorer, where, lambda: -1) == -1
