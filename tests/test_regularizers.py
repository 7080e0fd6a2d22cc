"""Penalties on paper."""

import pytest
import torch

from kg.graph.graph import Graph
from kg.models.complex import ComplEx
from kg.models.scorer import Queries
from kg.training.regularizers import F2, L1, N3, REGULARIZERS, Regularizer

# Two facts, three factors; the relation's has another width.
FACTORS = (
    torch.tensor([[1.0, -2.0], [0.0, 3.0]]),
    torch.tensor([[-1.0], [2.0]]),
    torch.tensor([[0.5, 0.0], [1.0, -1.0]]),
)


@pytest.mark.parametrize(
    ("regularizer", "total"),
    [
        (N3(0.1), (1 + 8 + 27) + (1 + 8) + (0.125 + 1 + 1)),
        (F2(0.1), (1 + 4 + 9) + (1 + 4) + (0.25 + 1 + 1)),
        (L1(0.1), (1 + 2 + 3) + (1 + 2) + (0.5 + 1 + 1)),
    ],
    ids=str,
)
def test_by_hand(regularizer: Regularizer, total: float) -> None:
    assert regularizer(FACTORS).item() == pytest.approx(0.1 * total / 2)  # the mean over two facts


def test_n3_of_complex_weighs_moduli() -> None:
    scorer = ComplEx(2, 1, dim=1)
    with torch.no_grad():
        scorer.table.weight.copy_(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
        scorer.diagonal.weight.copy_(torch.tensor([[6.0, -8.0], [0.0, 0.0]]))
    graph = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 2, 1)
    factors = scorer.factors(Queries(torch.tensor([0]), torch.tensor([0]), graph), torch.tensor([1]))
    assert N3(0.5)(factors).item() == pytest.approx(0.5 * (5**3 + 10**3 + 2**3))


def test_every_one_has_a_name() -> None:
    assert REGULARIZERS == {"n3": N3, "f2": F2, "l1": L1}
