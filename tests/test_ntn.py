"""NTN on paper."""

import math

import pytest
import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.models import ntn
from kg.models.ntn import NTN
from kg.models.scorer import Queries

NOTHING = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 2, 1)


def scores(scorer: NTN, head: int, relation: int) -> list[float]:
    queries = Queries(torch.tensor([head]), torch.tensor([relation]), NOTHING)
    return scorer.score_tails(queries)[0].tolist()


def test_ntn_by_hand() -> None:
    """dim 1, two units: W = (1, 0), V = ([2, 0], [0, -1]), b = (-3, 1), u = (10, 1)."""
    scorer = NTN(2, 1, dim=1, slices=2, tied=True)
    units = [[[1.0, 2.0], [0.0, -3.0]], [[0.0, 0.0], [-1.0, 1.0]]]  # [W, V of the head; V of the tail, b]
    values = {"table.weight": [[2.0], [0.5]], "matrices.weight": [units], "output.weight": [[10.0, 1.0]]}
    scorer.load_state_dict({name: torch.tensor(rows) for name, rows in values.items()})

    def formula(head: float, tail: float) -> float:
        return 10 * math.tanh(head * tail + 2 * head - 3) + math.tanh(-tail + 1)

    assert scores(scorer, 0, 0) == pytest.approx([formula(2, 2), formula(2, 0.5)])
    assert formula(2, 0.5) == 10 * math.tanh(2) + math.tanh(0.5)
    assert scores(scorer, 1, 0) == pytest.approx([formula(0.5, 2), formula(0.5, 0.5)])
    assert scores(scorer, 1, 1) == pytest.approx([formula(2, 0.5), formula(0.5, 0.5)])  # which heads lead to it


def plainly(scorer: NTN, head: Tensor, relation: Tensor) -> Tensor:
    """Socher's formula, written out."""
    matrices, dim = scorer.matrices.weight[relation], scorer.table.size
    entities = scorer.table.weight
    first = entities[head]
    bilinear = torch.einsum("bd,bsde,ne->bsn", first, matrices[:, :, :dim, :dim], entities)
    of_head = torch.einsum("bd,bsd->bs", first, matrices[:, :, :dim, dim])
    of_tail = torch.einsum("nd,bsd->bsn", entities, matrices[:, :, dim, :dim])
    unit = (bilinear + of_head[:, :, None] + of_tail + matrices[:, :, dim, dim, None]).tanh()
    return (scorer.output.weight[relation][:, :, None] * unit).sum(1)


@pytest.mark.parametrize("cache", [1, 100, 1 << 16])
def test_scores_and_gradients_are_those_of_the_formula_written_out(cache: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntn, "_CACHE", cache)  # blocks of one candidate, of ten, of all
    torch.manual_seed(0)
    scorer = NTN(25, 4, dim=5, slices=3, init=1.0).double()
    graph = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 25, 4)
    head, relation = torch.arange(10), torch.tensor([7, 0, 3, 3, 7, 1, 0, 0, 3, 7])
    weight = torch.randn(10, 25, dtype=torch.float64)
    parameters = list(scorer.parameters())
    found, expected = scorer.score_tails(Queries(head, relation, graph)), plainly(scorer, head, relation)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad((x * weight).sum(), parameters) for x in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
