"""The least of convex functions: of a parabola in one step, of a steep one by halved steps, and where it stops."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from kg.newton import minimised

Numbers = np.ndarray
At = Callable[[Numbers], tuple[float, Numbers, Numbers]]


def counted(at: At) -> tuple[At, list[Numbers]]:
    seen: list[Numbers] = []

    def seeing(x: Numbers) -> tuple[float, Numbers, Numbers]:
        seen.append(x)
        return at(x)

    return seeing, seen


def softplus(x: Numbers) -> tuple[float, Numbers, Numbers]:
    """log(1 + e^x) + log(1 + e^-x), least at 0; from 3 on a whole step overshoots, each time by more."""
    p = 1 / (1 + np.exp(-x))
    gradient = 2 * p - 1
    return float((np.logaddexp(0, x) + np.logaddexp(0, -x))[0]), gradient, gradient / (2 * p * (1 - p))


def test_a_parabola_takes_one_step() -> None:
    matrix, least = np.array([[3.0, 1.0], [1.0, 2.0]]), np.array([5.0, -4.0])

    def parabola(x: Numbers) -> tuple[float, Numbers, Numbers]:
        gradient = matrix @ (x - least)
        return float((x - least) @ gradient / 2), gradient, np.linalg.solve(matrix, gradient)

    at, seen = counted(parabola)
    assert minimised(at, np.zeros(2), least_gain=1e-9) == pytest.approx(least)
    assert len(seen) == 2


def test_a_step_that_leads_upwards_is_halved() -> None:
    assert softplus(np.array([3.0]) - softplus(np.array([3.0]))[2])[0] > softplus(np.array([3.0]))[0]
    at, seen = counted(softplus)
    assert minimised(at, np.array([3.0]), least_share=1e-9) == pytest.approx([0.0], abs=1e-4)
    values = [softplus(x)[0] for x in seen]
    assert values[1] > values[0]  # looked at, and not taken


def test_where_it_stops() -> None:
    """Before a step that promises too little, or after one that has gained too little."""
    for settings, points in (({"least_gain": 10.0}, 1), ({"least_share": 0.9}, 2)):
        at, seen = counted(softplus)
        found = minimised(at, np.array([1.0]), **settings)
        assert len(seen) == points and found[0] == seen[-1][0]


def test_tensors() -> None:
    def parabola(x: torch.Tensor) -> tuple[float, torch.Tensor, torch.Tensor]:
        return float((x - 2) @ (x - 2)), 2 * (x - 2), x - 2

    assert minimised(parabola, torch.zeros(3), least_gain=1e-9).tolist() == [2, 2, 2]
