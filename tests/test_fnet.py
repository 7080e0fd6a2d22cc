"""Fourier mixing on paper and against the matrices of the transform."""

import math

import pytest
import torch
from torch import Tensor

from kg.attention.fnet import Fourier


def transformed(v: Tensor, mask: Tensor | None = None) -> Tensor:
    """q and k are NaN: nothing may look at them."""
    mask = torch.ones(v.shape[0], v.shape[2], dtype=torch.bool) if mask is None else mask
    unused = torch.full_like(v, torch.nan)
    return Fourier(v.shape[1], v.shape[3])(unused, unused, v, mask)


def fourier_matrix(n: int) -> Tensor:
    """F_jk = exp(-2 pi i j k / n) / sqrt(n)."""
    places = torch.arange(n, dtype=torch.float64)
    angle = -2 * math.pi * places[:, None] * places / n
    return torch.complex(angle.cos(), angle.sin()) / math.sqrt(n)


def ragged() -> tuple[Tensor, Tensor]:
    """Six rows of 8 tokens with 8, 3, 3, 1, 0 and 5 of them valid, here and there."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(6, 2, 8, 3, dtype=torch.float64, generator=generator)
    rank = torch.rand(6, 8, generator=generator).argsort().argsort()
    return v, rank < torch.tensor([8, 3, 3, 1, 0, 5])[:, None]


def test_two_tokens_by_hand() -> None:
    """[[a, b], [c, d]]: half of [[a+b+c+d, a-b+c-d], [a+b-c-d, a-b-c+d]]."""
    out = transformed(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    torch.testing.assert_close(out, torch.tensor([[[[5.0, -1.0], [-2.0, 0.0]]]]))


def test_three_tokens_by_hand() -> None:
    """1 + 2 cos(120 deg) + 6 cos(240 deg) = -3."""
    out = transformed(torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1))
    torch.testing.assert_close(out.flatten(), torch.tensor([9.0, -3.0, -3.0]) / math.sqrt(3))


def test_is_the_matrices_product_over_the_valid_tokens_and_all_heads() -> None:
    v, mask = ragged()
    expected = torch.zeros_like(v)
    for row, there in enumerate(mask):
        hidden = torch.cat(list(v[row, :, there]), 1).to(torch.complex128)  # (n, 2 heads of 3)
        mixed = (fourier_matrix(len(hidden)) @ hidden @ fourier_matrix(6)).real
        expected[row, :, there] = torch.stack([mixed[:, :3], mixed[:, 3:]])
    torch.testing.assert_close(transformed(v, mask), expected)


def test_a_rows_bucket_does_not_matter() -> None:
    v, mask = ragged()
    out = transformed(v, mask)
    for rows in ([1], [2, 1], [0, 2], [5, 4, 3, 2, 1]):
        torch.testing.assert_close(transformed(v[rows], mask[rows]), out[rows])


def test_masked_tokens_give_zero_and_get_no_gradient() -> None:
    v, mask = ragged()
    v = v.transpose(1, 2).masked_fill(~mask[..., None, None], torch.nan).transpose(1, 2).requires_grad_()
    out = transformed(v, mask)
    out.square().sum().backward()
    assert v.grad is not None
    for x in (out, v.grad):
        assert bool(x.isfinite().all()) and not x.transpose(1, 2)[~mask].count_nonzero()


def test_the_real_part_forgets_what_is_odd() -> None:
    """Twice the transform is its even part, (v_jk + v_-j-k) / 2, whose sum of squares once the transform has."""
    v = ragged()[0]
    hidden = v.transpose(1, 2).flatten(2)
    mirrored = hidden.roll((-1, -1), (1, 2)).flip(1, 2)
    even = ((hidden + mirrored) / 2).view(v.transpose(1, 2).shape).transpose(1, 2)
    out = transformed(v)
    torch.testing.assert_close(transformed(out), even)
    torch.testing.assert_close(out.square().sum((1, 2, 3)), even.square().sum((1, 2, 3)))
    assert bool((out.square().sum((1, 2, 3)) < v.square().sum((1, 2, 3))).all())
    torch.testing.assert_close(transformed(even), out)  # nothing is lost of what is even


def test_bfloat16_is_transformed_in_float32() -> None:
    v = ragged()[0].bfloat16()
    out = transformed(v)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, transformed(v.float()).bfloat16())


def test_queries_of_another_number_are_refused() -> None:
    v, mask = ragged()
    with pytest.raises(ValueError, match="of the same length"):
        Fourier(2, 3)(v[:, :, :1], v, v, mask)
