"""Induced points on paper, and against the formula in full."""

import pytest
import torch
from torch import Tensor

from kg.attention.induced import InducedPoints
from kg.errors import UserError


def of(numbers: list[list[float]]) -> Tensor:
    """(1, 1, N, D)."""
    return torch.tensor(numbers)[None, None]


def induced(points: list[list[float]]) -> InducedPoints:
    """One head, whose maps are the identity."""
    attend = InducedPoints(1, len(points[0]), num_points=len(points))
    with torch.no_grad():
        attend.points.copy_(torch.tensor(points)[None])
        attend.key.weight.copy_(torch.eye(len(points[0])))
        attend.value.weight.copy_(torch.eye(len(points[0])))
    return attend


def test_points_at_zero_find_the_mean() -> None:
    attend = induced([[0.0], [0.0]])
    mask = torch.tensor([[True, True, False, True]])
    v = of([[1.0], [2.0], [100.0], [6.0]])
    out = attend(of([[5.0], [-5.0]]), of([[1.0], [0.0], [3.0], [-4.0]]), v, mask)
    torch.testing.assert_close(out.flatten(), torch.tensor([3.0, 3.0]))


def test_a_query_reads_the_point_whose_tokens_it_seeks() -> None:
    """Each point attends to the keys on its side; what it found, and the point itself, is the key that q meets."""
    attend = induced([[50.0, 0.0], [-50.0, 0.0]])
    k = of([[2.0, 0.0], [-2.0, 0.0], [2.0, 9.0], [-2.0, 9.0]])
    v = of([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0]])
    out = attend(of([[1.0, 0.0], [-1.0, 0.0]]), k, v, torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(out, of([[0.0, 2.0], [0.0, 3.0]]))


def test_the_formula_in_full() -> None:
    torch.manual_seed(0)
    attend = InducedPoints(3, 4, num_points=5)
    q, k, v = torch.randn(2, 3, 7, 4), torch.randn(2, 3, 6, 4), torch.randn(2, 3, 6, 4)
    mask = torch.rand(2, 6) < 0.7
    logits = torch.einsum("hpd,bhnd->bhpn", attend.points, k) / 2
    found = logits.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1) @ v  # (2, 3, 5, 4)
    # A weight's rows and columns are (head, coordinate), the heads of k and v one after the other.
    w_k, w_v = (x.weight.view(3, 4, 3, 4) for x in (attend.key, attend.value))
    keys = torch.einsum("bgpe,hdge->bhpd", found + attend.points, w_k)
    values = torch.einsum("bgpe,hdge->bhpd", found, w_v)
    expected = (torch.einsum("bhmd,bhpd->bhmp", q, keys) / 2).softmax(-1) @ values
    torch.testing.assert_close(attend(q, k, v, mask), expected)


def test_points_differ_at_the_start() -> None:
    torch.manual_seed(0)
    points = InducedPoints(2, 64).points
    assert points.shape == (2, 16, 64)
    assert torch.nn.functional.cosine_similarity(points[0, :, None], points[0], dim=2).fill_diagonal_(0).max() < 0.6


def test_some_points_are_needed() -> None:
    with pytest.raises(UserError, match=r"num_points must be at least 1: got 0"):
        InducedPoints(1, 4, num_points=0)
