"""Random features on paper, and by their statistics."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from kg.attention.performer import Performer, exponents, orthogonal_normals, shortened
from kg.attention.softmax import Softmax
from kg.errors import UserError


def everywhere(x: Tensor) -> Tensor:
    return torch.ones(x.shape[0], x.shape[2], dtype=torch.bool)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("w", "second"), [(0.0, math.exp(-1 / 2)), (1.0, math.exp(1 / 2)), (-2.0, math.exp(-5 / 2))])
def test_one_feature(w: float, second: float) -> None:
    """Of the keys 0 and 1 the features are 1 and exp(w - 1/2); the query's cancels."""
    attend = Performer(1, 1, num_features=1)
    attend.projection = torch.tensor([[[w]]])
    k, v = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1), torch.tensor([3.0, 7.0]).view(1, 1, 2, 1)
    out = attend(torch.tensor([0.3, -0.9]).view(1, 1, 2, 1), k, v, everywhere(k))
    expected = (3 + 7 * second) / (1 + second)
    torch.testing.assert_close(out.flatten(), torch.tensor([expected, expected]))


def test_shortened() -> None:
    x = torch.zeros(3, 16)  # D^-1/4 = 1/2
    x[0, :2] = torch.tensor([3.0, 4.0])
    x[1, 2] = -3.0
    expected = torch.zeros(3, 16)
    expected[0, :2] = torch.tensor([1.2, 1.6])
    expected[1, 2] = -1.5
    torch.testing.assert_close(shortened(x[None, None])[0, 0], expected)


def kernels(q: Tensor, k: Tensor, num_features: int, draws: int) -> Tensor:
    """phi(q) . phi(k), once a draw."""
    projection = orthogonal_normals(draws, num_features, len(q), generator=torch.Generator().manual_seed(0))
    phi_q, phi_k = (exponents(x.expand(1, draws, 1, -1), projection).exp() for x in (q, k))
    return (phi_q * phi_k).mean(-1).flatten()


@pytest.mark.parametrize("num_features", [2, 5])
@pytest.mark.parametrize("k", [(0.7, 0.0), (-0.6, 0.0), (0.0, 0.7), (0.3, -0.5)])
def test_the_kernel_is_unbiased(k: tuple[float, float], num_features: int) -> None:
    q, key = torch.tensor([0.7, 0.0]), torch.tensor(k)
    found = kernels(q, key, num_features, draws=40_000)
    standard_error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - (q @ key).exp()) < 3 * standard_error
    assert standard_error < 0.015


def test_the_error_falls_as_the_root_of_the_number_of_features() -> None:
    q, k = 0.7 * torch.eye(8)[0], 0.7 * torch.eye(8)[1]
    sizes = [8, 16, 32, 64, 128]
    errors = [(kernels(q, k, size, draws=1000) - 1).square().mean().sqrt().item() for size in sizes]
    x, y = (torch.tensor(numbers).log() for numbers in (sizes, errors))
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    assert -0.55 < slope < -0.45


@pytest.mark.parametrize("dim", [2, 8])
def test_directions_are_uniform(dim: int) -> None:
    """Q as LAPACK gives it has a mean diagonal of -0.64 at 2 dimensions, and of -0.2 at 8."""
    rows = orthogonal_normals(20_000, dim, dim, generator=torch.Generator().manual_seed(0))
    directions = rows / rows.norm(dim=2, keepdim=True)
    assert directions.mean(0).abs().max() < 4 / math.sqrt(20_000 * dim)
    torch.testing.assert_close(directions @ directions.mT, torch.eye(dim).expand(20_000, -1, -1), rtol=0, atol=1e-4)
    # Of a direction's coordinates: E x^2 = 1/d, E x^4 = 3 / (d (d + 2)).
    torch.testing.assert_close(directions.square().mean(0), torch.full((dim, dim), 1 / dim), rtol=0.04, atol=0)
    fourth = torch.full((dim, dim), 3 / (dim * (dim + 2)))
    torch.testing.assert_close(directions.pow(4).mean(0), fourth, rtol=0.1, atol=0)


def test_rows_are_orthogonal_within_a_block_and_as_long_as_other_normals() -> None:
    rows = orthogonal_normals(2000, 10, 4, generator=torch.Generator().manual_seed(0))  # blocks of 4, 4 and 2
    assert rows.shape == (2000, 10, 4)
    angles = rows @ rows.mT
    block = torch.arange(10) // 4
    within = (block[:, None] == block) & ~torch.eye(10, dtype=torch.bool)
    assert angles[:, within].abs().max() < 1e-4
    assert angles[:, block[:, None] != block].abs().mean() > 0.5
    lengths = rows.norm(dim=2)
    torch.testing.assert_close(lengths.square().mean(0), torch.full((10,), 4.0), rtol=0.1, atol=0)  # chi^2 of 4
    torch.testing.assert_close(lengths.square().var(0), torch.full((10,), 8.0), rtol=0.25, atol=0)
    assert (torch.corrcoef(lengths.T) - torch.eye(10)).abs().max() < 0.1


@pytest.mark.parametrize(("num_features", "error"), [(64, 0.2), (4096, 0.025)])
def test_short_queries_and_keys_are_near_the_softmax(num_features: int, error: float) -> None:
    torch.manual_seed(0)
    q, k, v = (randn(3, 2, 16, 8, seed=seed) for seed in range(3))
    q, k = (x / x.norm(dim=3, keepdim=True) for x in (q, k))  # |D^-1/4 x|^2 = 0.35
    exact = Softmax(2, 8)(q, k, v, everywhere(k))
    found = Performer(2, 8, num_features)(q, k, v, everywhere(k))
    assert (found - exact).norm() / exact.norm() < error


def test_masked_keys_are_not_counted_below_the_line() -> None:
    q, k = randn(1, 1, 64, 8), randn(1, 1, 64, 8, seed=1)
    mask = torch.arange(64)[None] < 8
    torch.testing.assert_close(Performer(1, 8)(q, k, torch.ones_like(k), mask), torch.ones_like(q))


def test_a_masked_keys_exponent_is_not_what_is_subtracted() -> None:
    """Of the valid key all features are below e^-90, which a float32 holds as 0, if it is not their own greatest."""
    attend = Performer(1, 1, num_features=1)
    attend.projection = torch.tensor([[[-200.0]]])
    k, v = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1), torch.tensor([3.0, 7.0]).view(1, 1, 2, 1)
    out = attend(k, k, v, torch.tensor([[True, False]]))
    torch.testing.assert_close(out.flatten(), torch.tensor([3.0, 3.0]))


def test_long_queries_and_keys_differ_by_direction_only() -> None:
    attend = Performer(2, 8)
    q, k, v = (randn(3, 2, 16, 8, seed=seed) for seed in range(3))
    out, further = attend(100 * q, 100 * k, v, everywhere(k)), attend(1e5 * q, 1e8 * k, v, everywhere(k))
    torch.testing.assert_close(out, further, rtol=0, atol=1e-4)


def test_keys_opposite_to_queries_are_counted() -> None:
    """In 256 dimensions, along a feature and against it, e^-64 of the greatest product is left."""
    attend = Performer(1, 256)
    q = 1000 * attend.projection[None]
    k, v = -q, randn(1, 1, 64, 256)
    out = attend(q[:, :, :1], k[:, :, :1], v[:, :, :1], everywhere(k[:, :, :1]))
    torch.testing.assert_close(out, v[:, :, :1])
    assert attend(q, k, v, everywhere(k)).isfinite().all()


def test_features_are_redrawn_by_a_generator_and_never_without() -> None:
    torch.manual_seed(0)
    attend, generator = Performer(1, 4, 6, redraw_every=3), torch.Generator().manual_seed(1)
    q = randn(1, 1, 5, 4)
    seen = []
    for _ in range(7):
        attend(q, q, q, everywhere(q))
        attend(q, q, q, everywhere(q), generator)
        seen.append(attend.projection)
    assert [not torch.equal(one, two) for one, two in pairwise(seen)] == [False, True, False] * 2
    generator.manual_seed(1)
    assert torch.equal(seen[2], orthogonal_normals(1, 6, 4, generator=generator))


def test_a_resumed_training_draws_alike() -> None:
    torch.manual_seed(0)
    attend, generator = Performer(1, 4, redraw_every=3), torch.Generator().manual_seed(1)
    q = randn(1, 1, 5, 4)
    for _ in range(4):
        attend(q, q, q, everywhere(q), generator)
    stored, chance = {key: x.clone() for key, x in attend.state_dict().items()}, generator.get_state()
    expected = [attend(q, q, q, everywhere(q), generator) for _ in range(4)]
    other, generator = Performer(1, 4, redraw_every=3), torch.Generator()
    other.load_state_dict(stored)
    generator.set_state(chance)
    found = [other(q, q, q, everywhere(q), generator) for _ in range(4)]
    assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


def test_samples_of_a_trained_model_redraw_nothing() -> None:
    """Uncertainty is sampled by a generator: later answers stay as they are."""
    attend, generator = Performer(1, 4, redraw_every=1).eval(), torch.Generator().manual_seed(1)
    q, before = randn(1, 1, 5, 4), {key: x.clone() for key, x in attend.state_dict().items()}
    attend(q, q, q, everywhere(q), generator)
    assert all(torch.equal(x, before[key]) for key, x in attend.state_dict().items())


def test_features_may_be_redrawn_before_the_backward_pass() -> None:
    attend, generator = Performer(1, 4, redraw_every=1), torch.Generator().manual_seed(1)
    q = randn(1, 1, 5, 4).requires_grad_()
    sum(attend(q, q, q, everywhere(q), generator).sum() for _ in range(2)).backward()
    assert q.grad is not None and q.grad.isfinite().all()


def test_features_are_float32_under_autocast() -> None:
    attend = Performer(2, 8)
    q, k, v = (randn(3, 2, 16, 8, seed=seed) for seed in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attend(q, k, v, everywhere(k))
    assert torch.equal(found, attend(q, k, v, everywhere(k)))
    low = [x.bfloat16() for x in (q, k, v)]
    assert torch.equal(attend(*low, everywhere(k)), attend(*(x.float() for x in low), everywhere(k)).bfloat16())


def test_some_features_are_needed() -> None:
    with pytest.raises(UserError, match=r"num_features must be at least 1: got 0"):
        Performer(1, 4, num_features=0)
