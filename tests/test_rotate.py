"""RotatE on paper, and its distances against the plain formula."""

import cmath
import math

import pytest
import torch
from paper import fill, no_facts, score
from torch import Tensor

from kg.models import rotate
from kg.models.rotate import RotatE
from kg.models.scorer import Queries


def test_rotate_by_hand() -> None:
    """Rows hold the real parts first: e = (3 + 4i, 1), f = (-4, 1 + 5i). A quarter turn of 3 + 4i is -4 + 3i."""
    scorer = RotatE(2, 1, dim=2, tied=True)
    fill(scorer.table.weight, [[3.0, 1.0, 4.0, 0.0], [-4.0, 1.0, 0.0, 5.0]])
    fill(scorer.phase.weight, [[math.pi / 2, 0.0]])
    assert score(scorer, 0, 0, 1) == pytest.approx(-3 - 5)  # |-4 + 3i + 4| + |1 - 1 - 5i|
    assert score(scorer, 1, 1, 0) == pytest.approx(-8)  # back: 4i - (3 + 4i), and 5i
    assert score(scorer, 1, 0, 0) == pytest.approx(-abs(-4j - (3 + 4j)) - 5)
    own = RotatE(2, 1, dim=2)
    fill(own.table.weight, [[3.0, 1.0, 4.0, 0.0], [-4.0, 1.0, 0.0, 5.0]])
    fill(own.phase.weight, [[math.pi / 2, 0.0], [math.pi, 1.0]])
    assert score(own, 0, 0, 1) == pytest.approx(-8)
    assert score(own, 0, 1, 1) == pytest.approx(-abs(-3 - 4j + 4) - abs(cmath.exp(1j) - 1 - 5j))


def test_a_rotation_keeps_the_modulus() -> None:
    scorer = RotatE(1, 1, dim=1)
    fill(scorer.table.weight, [[3.0, 4.0]])
    fill(scorer.phase.weight, [[0.0], [2 * math.pi]])  # no turn, and a whole one
    assert score(scorer, 0, 0, 0) == pytest.approx(0, abs=1e-6) == score(scorer, 0, 1, 0)


def plain(vector: Tensor, candidates: Tensor) -> Tensor:
    """-sum_k |a_k - c_k|, with the (B, N, dim) tensor that the scorer avoids."""
    left, right = (torch.complex(*x.chunk(2, dim=1)) for x in (vector, candidates))
    return -(left[:, None] - right).abs().sum(2)


@pytest.mark.parametrize("tile", [1, 12, 100, 1 << 17])
@pytest.mark.parametrize(("rows", "entities"), [(1, 1), (3, 17), (17, 3)])
def test_distances_and_their_gradients(tile: int, rows: int, entities: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "_CACHE", tile)
    monkeypatch.setattr(rotate, "_FEW", 1)
    generator = torch.Generator().manual_seed(0)
    vector, candidates, weight = (
        torch.randn(shape, generator=generator, requires_grad=True)
        for shape in ((rows, 8), (entities, 8), (rows, entities))
    )
    scorer = RotatE(entities, 1, dim=4)
    found, expected = scorer.pairwise(vector, candidates), plain(vector, candidates)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found, scorer.rowwise(vector, candidates.expand(rows, -1, -1)))
    for here, there in zip(
        torch.autograd.grad((found * weight).sum(), [vector, candidates]),
        torch.autograd.grad((expected * weight).sum(), [vector, candidates]),
        strict=True,
    ):
        torch.testing.assert_close(here, there)


def test_no_gradient_where_two_numbers_meet() -> None:
    vector = torch.tensor([[1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    candidates = torch.tensor(
        [[1.0, 0.0, 3.0, 4.0]], requires_grad=True
    )  # 1 + 3i meets 1 + 3i; 2 is between the others
    score = RotatE(1, 1, dim=2).pairwise(vector, candidates)
    score.backward()
    assert score.item() == -2
    assert vector.grad.tolist() == [[0.0, -1.0, 0.0, 0.0]] and candidates.grad.tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_nothing_to_compare() -> None:
    scorer = RotatE(3, 1, dim=2)
    assert scorer.pairwise(torch.zeros(0, 4), scorer.table.weight).shape == (0, 3)
    assert scorer.pairwise(torch.zeros(2, 4), scorer.table.weight[:0]).shape == (2, 0)


def test_half_precision_does_not_reach_the_distance() -> None:
    scorer = RotatE(5, 1, dim=4, init=100.0)
    queries = Queries(torch.arange(5), torch.tensor([0, 1, 0, 1, 0]), no_facts(5, 1))
    expected = scorer.score_tails(queries)
    with torch.autocast("cpu", torch.bfloat16):
        found = scorer.score_tails(queries)
    assert found.dtype == torch.float32 and torch.equal(found, expected)
