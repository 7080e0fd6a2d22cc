"""Numbers that stand for something: whether they do."""

import numpy as np
from jaxtyping import Int
from torch import Tensor


def check_ids(name: str, ids: Int[Tensor, "*shape"] | Int[np.ndarray, "*shape"], lowest: int, stop: int) -> None:
    """ValueError unless all are at least `lowest` and below `stop`: compiled loops that use them as indices check
    nothing."""
    if 0 not in ids.shape:
        low, high = int(ids.min()), int(ids.max())
        if low < lowest or high >= stop:
            raise ValueError(f"{name} must hold numbers from {lowest} to {stop - 1:,}: it holds {low:,} to {high:,}")
