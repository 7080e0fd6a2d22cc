"""TuckER on paper."""

from typing import Any

import pytest
import torch
from paper import fill, no_facts, score

from kg.models.tucker import TuckER


def made(mixtures: list[list[float]], **arguments: Any) -> TuckER:
    """Two entities (1, 2) and (3, 5), and a core of two matrices."""
    scorer = TuckER(2, 1, dim=2, relation_dim=2, **arguments)
    fill(scorer.table.weight, [[1.0, 2.0], [3.0, 5.0]])
    fill(scorer.core, [[[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    fill(scorer.mixture.weight, mixtures)
    return scorer


def test_a_relation_mixes_the_matrices_of_the_core() -> None:
    own = made([[1.0, 0.0], [2.0, -3.0]])
    # The first matrix alone: (1, 2) W = (1, 0), times (3, 5) is 3; (3, 5) W = (3, 1), times (1, 2) is 5.
    assert score(own, 0, 0, 1) == 3 and score(own, 1, 0, 0) == 5
    # 2 W_1 - 3 W_2 = ((2, 1), (0, -2)): (1, 2) M = (2, -3), times (3, 5) is -9; (3, 5) M = (6, -7), times (1, 2) is -8.
    assert score(own, 0, 1, 1) == -9 and score(own, 1, 1, 0) == -8


def test_a_tied_inverse_is_the_core_transposed() -> None:
    tied = made([[2.0, -3.0]], tied=True)
    assert score(tied, 0, 0, 1) == score(tied, 1, 1, 0) == -9
    assert score(tied, 1, 0, 0) == score(tied, 0, 1, 1) == -8


def test_all_relations_by_hand() -> None:
    head, tail = torch.tensor([0]), torch.tensor([1])
    assert made([[1.0, 0.0], [2.0, -3.0]]).score_relations(head, tail, no_facts(2, 1)).tolist() == [[3.0, -9.0]]
    assert made([[2.0, -3.0]], tied=True).score_relations(head, tail, no_facts(2, 1)).tolist() == [[-9.0, -8.0]]


def test_a_mixture_starts_as_large_as_a_vector() -> None:
    torch.manual_seed(0)
    scorer = TuckER(50, 40, dim=32, relation_dim=50, init=0.2)
    mixed = scorer.mixture.weight @ scorer.core.flatten(1)
    assert mixed.std().item() == pytest.approx(0.2, rel=0.05) == scorer.table.weight.std().item()
