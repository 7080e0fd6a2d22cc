"""Which questions an epoch draws."""

import pytest
import torch

from kg.graph.known import KnownAnswers
from kg.training.rows import Rows


def test_rare_relations_are_drawn_more_often_than_they_stand_in_the_graph() -> None:
    """Of 16 facts to 1 the drawn are 8 to 1, while there are rows enough."""
    own = [[2 * i, 0, 2 * i + 1] for i in range(4000)] + [[8000 + i // 50, 1, 8010 + i] for i in range(250)]
    rows = Rows.of(KnownAnswers.from_triples(torch.tensor(own), 2), 100)
    assert torch.bincount(rows.relation).tolist() == [4000, 5, 4000, 250]
    count = torch.zeros(4)
    for seed in range(200):
        chosen = rows.drawn(100, torch.Generator().manual_seed(seed))
        assert len(chosen.unique()) == 100
        count += torch.bincount(rows.relation[chosen], minlength=4)
    assert count[0] / count[2] == pytest.approx(1, abs=0.05)
    assert count[0] / count[3] == pytest.approx(8, rel=0.1)
    assert count[1] > 0.6 * 5 * 200  # it has no more rows; drawn as it stands it would come 12 times
