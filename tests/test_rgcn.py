"""R-GCN, on paper."""

import pytest
import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.rgcn import RGCN
from kg.models.scorer import Queries

# 0 -0-> 1, 0 -0-> 2, 0 -1-> 2
GRAPH = Graph.from_triples(torch.tensor([[0, 0, 1], [0, 0, 2], [0, 1, 2]]), 3, 2)


def fill(parameter: Tensor, rows: object) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(rows))


def by_hand(num_layers: int) -> RGCN:
    """Vectors 1, 2, 4; W_0 = 5 and W_r = 3, 30, and of the inverses 6, -3, in every layer."""
    scorer = RGCN(3, 2, dim=1, num_layers=num_layers, num_bases=1)
    fill(scorer.table.weight, [[1.0], [2.0], [4.0]])
    fill(scorer.diagonal.weight, [[2.0], [1.0], [-1.0], [0.5]])
    for layer in scorer.layers:
        fill(layer.basis, [[[3.0]]])
        fill(layer.coefficient, [[1.0], [10.0], [2.0], [-1.0]])
        fill(layer.loop, [[5.0]])
    return scorer


def test_one_layer() -> None:
    scorer = by_hand(1)
    # entity 0: 5 * 1 + 3 * (2 + 4) / 2 + 30 * 4; 1: 5 * 2 + 6 * 1; 2: 5 * 4 + 6 * 1 - 3 * 1
    assert scorer.entities(GRAPH)[:, 0].tolist() == [134, 16, 23]
    scores = scorer.score_tails(Queries(torch.tensor([0, 2]), torch.tensor([0, 3]), GRAPH))
    assert scores.tolist() == [[268 * 134, 268 * 16, 268 * 23], [11.5 * 134, 11.5 * 16, 11.5 * 23]]
    alone = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 3, 2)
    assert scorer.entities(alone)[:, 0].tolist() == [5, 10, 20]


def test_a_relu_stands_between_layers_only() -> None:
    scorer = by_hand(2)
    fill(scorer.layers[0].loop, [[-10.0]])
    # first 0: -10 + 9 + 120 = 119; 1: -20 + 6 < 0; 2: -40 + 6 - 3 < 0: of these the ReLU leaves 0
    assert scorer.entities(GRAPH)[:, 0].tolist() == [5 * 119, 6 * 119, (6 - 3) * 119]
    fill(scorer.layers[1].coefficient, [[-1.0]] * 4)
    assert scorer.entities(GRAPH)[:, 0].tolist() == [5 * 119, -3 * 119, -6 * 119]


def test_a_relation_is_a_mixture_of_bases() -> None:
    scorer = RGCN(3, 2, dim=2, num_layers=1, num_bases=2)
    fill(scorer.table.weight, [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    fill(scorer.layers[0].basis, [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    fill(scorer.layers[0].coefficient, [[3.0, 10.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    # half of (1, 2) (3 I + 10 (0 1; 0 0)) = (3, 16)
    assert scorer.entities(GRAPH)[0].tolist() == pytest.approx([1.5, 8.0])


def test_bases_are_shared() -> None:
    few, many = (sum(p.numel() for p in RGCN(9, 50, dim=4, num_bases=bases).parameters()) for bases in (2, 3))
    assert many - few == 2 * (16 + 100)  # a matrix and 2R coefficients, in both layers
