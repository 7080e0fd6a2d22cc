"""SimplE on paper."""

import torch
from paper import fill, no_facts, score

from kg.models.simple import SimplE


def test_simple_by_hand() -> None:
    """Entities (head part | tail part): a = (1, 2 | 3, 4), b = (5, 6 | 7, 8); v = (1, -1), v' = (2, 1)."""
    tied = SimplE(2, 1, dim=2, tied=True)
    fill(tied.table.weight, [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    fill(tied.diagonal.weight, [[1.0, -1.0, 2.0, 1.0]])
    forward = (1 * 1 * 7 - 2 * 1 * 8 + 3 * 2 * 5 + 4 * 1 * 6) / 2
    assert score(tied, 0, 0, 1) == score(tied, 1, 1, 0) == forward == 22.5
    backward = (5 * 1 * 3 - 6 * 1 * 4 + 7 * 2 * 1 + 8 * 1 * 2) / 2
    assert score(tied, 1, 0, 0) == score(tied, 0, 1, 1) == backward == 10.5
    scores = tied.score_relations(torch.tensor([0, 1]), torch.tensor([1, 0]), no_facts(2, 1))
    assert scores.tolist() == [[22.5, 10.5], [10.5, 22.5]]
    own = SimplE(2, 1, dim=2)
    fill(own.table.weight, [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    fill(own.diagonal.weight, [[1.0, -1.0, 2.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    assert score(own, 0, 0, 1) == 22.5 and score(own, 0, 1, 1) == 7 / 2
