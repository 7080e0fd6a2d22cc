"""Newton's method, for functions that are convex and whose curvature a few numbers make: logistic regressions."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from torch import Tensor

Vector = TypeVar("Vector", Tensor, np.ndarray)

_STEPS = 100  # at most; some six are taken
_SMALLEST_STEP = 1e-9  # of a step's largest number: what is smaller is not halved again


def minimised(
    at: Callable[[Vector], tuple[float, Vector, Vector]],
    start: Vector,
    *,
    least_gain: float = 0.0,
    least_share: float = 0.0,
) -> Vector:
    """The x where a convex function is least: x - curvature^-1 gradient again and again, from `start` on.

    at(x): the value, the gradient, and the step curvature^-1 gradient, where the curvature is positive definite: the
    Hessian or what is expected of it. A step that leads upwards is halved until it does not.

    Stops before a step that promises less than `least_gain` (gradient . step, twice what a quadratic function would
    gain), after one that has gained less than `least_share` of the value before it, and after 100 steps.
    """
    x, (value, gradient, step) = start, at(start)
    for _ in range(_STEPS):
        if gradient @ step < least_gain:
            break
        after = at(x - step)
        while after[0] > value and gradient @ step > least_gain and abs(step).max() > _SMALLEST_STEP:
            step = step / 2
            after = at(x - step)
        x, before = x - step, value
        value, gradient, step = after
        if before - value < least_share * abs(before):
            break
    return x
