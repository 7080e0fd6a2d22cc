"""Numbers that stand for something: whether they do, and several as one."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from torch import Tensor


def check_ids(name: str, ids: Int[Tensor, "*shape"] | Int[np.ndarray, "*shape"], lowest: int, stop: int) -> None:
    """ValueError unless all are at least `lowest` and below `stop`: compiled loops that use them as indices check
    nothing."""
    if 0 not in ids.shape:
        low, high = int(ids.min()), int(ids.max())
        if low < lowest or high >= stop:
            raise ValueError(f"{name} must hold numbers from {lowest} to {stop - 1:,}: it holds {low:,} to {high:,}")


def packed(columns: Sequence[Int[np.ndarray, " T"]], sizes: Sequence[int]) -> Int[np.ndarray, " T"]:
    """A number a row, in the order of the rows (by the first column, then the next), equal where rows are.

    Each column holds numbers from 0 to below its size. To sort these takes a twentieth of np.unique(axis=0).
    OverflowError where int64 cannot hold them.
    """
    if math.prod(sizes) >= 2**63:
        raise OverflowError(f"rows of numbers below {tuple(sizes)} do not fit one of 64 bits")
    key = columns[0].astype(np.int64)
    for column, size in zip(columns[1:], sizes[1:], strict=True):
        key *= size
        key += column
    return key


def ordered(keys: Int[np.ndarray, " T"]) -> Int[np.ndarray, " S"]:
    """Each once, in order: np.unique, which finds them by a hash table, in a fifth of the time."""
    keys = np.sort(keys)
    is_first: Bool[np.ndarray, " T"] = np.diff(keys, prepend=keys[:1] - 1) != 0
    found: Int[np.ndarray, " S"] = keys[is_first]
    return found
