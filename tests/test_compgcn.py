"""CompGCN, on paper."""

from math import tanh

import pytest
import torch
from torch import Tensor

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.compgcn import CompGCN
from kg.models.scorer import Queries

# 0 -0-> 1, 0 -0-> 2, 0 -1-> 2
GRAPH = Graph.from_triples(torch.tensor([[0, 0, 1], [0, 0, 2], [0, 1, 2]]), 3, 2)


def fill(parameter: Tensor, rows: object) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(rows))


def by_hand(composition: str, num_layers: int = 1) -> CompGCN:
    """Vectors 1, 2, 4 and 0.1, 0.2, 0.3, 0.4; W_O = 2, W_I = 3, W_S = 1, z_S = 0.5, W_R = -2."""
    scorer = CompGCN(3, 2, dim=1, num_layers=num_layers, composition=composition)
    fill(scorer.table.weight, [[1.0], [2.0], [4.0]])
    fill(scorer.diagonal.weight, [[0.1], [0.2], [0.3], [0.4]])
    for layer in scorer.layers:
        fill(layer.direction, [[[2.0]], [[3.0]]])
        fill(layer.loop, [[1.0]])
        fill(layer.loop_relation, [[0.5]])
        fill(layer.relation, [[-2.0]])
    return scorer


MEANS = {
    "mult": [
        (2 * 0.1 + 4 * 0.1 + 4 * 0.2) / 3 * 2 + 1 * 0.5,  # facts of entity 0 alone, and itself
        1 * 0.3 * 3 + 2 * 0.5,  # the inverse of one fact
        (1 * 0.3 + 1 * 0.4) / 2 * 3 + 4 * 0.5,
    ],
    "sub": [
        (2 - 0.1 + 4 - 0.1 + 4 - 0.2) / 3 * 2 + 1 - 0.5,
        (1 - 0.3) * 3 + 2 - 0.5,
        (1 - 0.3 + 1 - 0.4) / 2 * 3 + 4 - 0.5,
    ],
}


@pytest.mark.parametrize("composition", ["mult", "sub", "corr"])
def test_one_layer(composition: str) -> None:
    scorer = by_hand(composition)
    expected = [
        tanh(total / 3) for total in MEANS["sub" if composition == "sub" else "mult"]
    ]  # of one number corr is *
    entity, relation = scorer.vectors(GRAPH)
    assert entity[:, 0].tolist() == pytest.approx(expected)
    assert relation[:, 0].tolist() == pytest.approx([-0.2, -0.4, -0.6, -0.8])
    scores = scorer.score_tails(Queries(torch.tensor([0, 2]), torch.tensor([1, 3]), GRAPH))
    assert scores[0].tolist() == pytest.approx([expected[0] * -0.4 * tail for tail in expected])
    assert scores[1].tolist() == pytest.approx([expected[2] * -0.8 * tail for tail in expected])


def test_a_second_layer_sees_the_relations_of_the_first() -> None:
    first = [tanh(total / 3) for total in MEANS["mult"]]
    entity, relation = by_hand("mult", num_layers=2).vectors(GRAPH)
    assert entity[1].item() == pytest.approx(tanh((first[0] * -0.6 * 3 + first[1] * 0.5) / 3))
    assert relation[:, 0].tolist() == pytest.approx([0.4, 0.8, 1.2, 1.6])


@pytest.mark.parametrize("dim", [3, 4])
def test_circular_correlation(dim: int) -> None:
    """phi(x, z)_n = sum_k x_k z_(k + n), the index taken round. Of (1, 2, 0) and (3, 4, 5): (11, 14, 11)."""
    compose = CompGCN(2, 1, dim=dim, composition="corr").layers[0].compose
    if dim == 3:
        found = compose(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[3.0, 4.0, 5.0]]))
        assert found[0].tolist() == pytest.approx([11, 14, 11])
    x, z = torch.randn(5, dim), torch.randn(5, dim)
    expected = [(x * z.roll(-shift, 1)).sum(1) for shift in range(dim)]
    torch.testing.assert_close(compose(x, z), torch.stack(expected, 1))


def test_an_unknown_composition_is_an_error() -> None:
    with pytest.raises(UserError, match="composition must be one of mult, sub, corr: got add"):
        CompGCN.__init__.__wrapped__(CompGCN.__new__(CompGCN), 2, 1, composition="add")  # past the hook of these tests
