"""Entropies by hand, then what holds of any samples."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kg.probability.uncertainty import entropies

LOG_2 = math.log(2)


def one(*samples: list[float]) -> tuple[float, float]:
    """Of one question; a row a sample."""
    aleatoric, epistemic = entropies(torch.tensor(samples)[:, None, :])
    return aleatoric.item(), epistemic.item()


def test_by_hand() -> None:
    assert one([0.25] * 4, [0.25] * 4) == pytest.approx((math.log(4), 0))
    assert one([1.0, 0.0, 0.0], [0.0, 0.0, 1.0]) == pytest.approx((0, LOG_2))  # 0 log 0 is 0
    assert one([1.0, 0.0], [1.0, 0.0]) == (0, 0)
    # The mean of (1, 0) and (1/2, 1/2) is (3/4, 1/4).
    of_mean = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert one([1.0, 0.0], [0.5, 0.5]) == pytest.approx((LOG_2 / 2, of_mean - LOG_2 / 2))
    assert one([0.3, 0.7]) == pytest.approx((-0.3 * math.log(0.3) - 0.7 * math.log(0.7), 0), abs=1e-6)
    assert one([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]) == pytest.approx((0, math.log(3)))


def test_each_question_has_its_own() -> None:
    samples = torch.tensor([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])  # (2, 2, 2)
    aleatoric, epistemic = entropies(samples)
    torch.testing.assert_close(aleatoric, torch.tensor([LOG_2, 0.0], dtype=torch.float64))
    torch.testing.assert_close(epistemic, torch.tensor([0.0, LOG_2], dtype=torch.float64))
    assert all(torch.equal(*pair) for pair in zip(entropies(samples), entropies(p for p in samples), strict=True))


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 30), st.sampled_from([0.01, 1.0, 50.0]))
def test_bounds(seed: int, num_samples: int, num_candidates: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    samples = (spread * torch.randn(num_samples, 3, num_candidates, generator=generator)).softmax(2)
    aleatoric, epistemic = entropies(samples)
    assert bool((aleatoric >= 0).all() and (aleatoric <= math.log(num_candidates) + 1e-6).all())
    assert bool((epistemic >= 0).all() and (epistemic <= math.log(num_samples) + 1e-6).all())
    mean = samples.double().mean(0)
    torch.testing.assert_close(aleatoric + epistemic, -(mean * mean.clamp(min=1e-300).log()).sum(1))


def test_samples_that_agree_leave_nothing_below_zero() -> None:
    sample = torch.randn(200, 1000, generator=torch.Generator().manual_seed(0)).softmax(1)
    _, epistemic = entropies([sample] * 7)  # a sum of seven over seven differs in its last bits
    assert bool((epistemic >= 0).all()) and bool((epistemic < 1e-12).all())


def test_what_is_no_sample() -> None:
    with pytest.raises(ValueError, match="without a sample"):
        entropies([])
    for row in ([0.5, 0.6], [1.5, -0.5], [math.nan, 1.0], [math.inf, 0.0]):
        with pytest.raises(ValueError, match="no probabilities"):
            one([0.5, 0.5], row)
