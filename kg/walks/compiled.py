"""Loops over edges, compiled to machine code."""

import inspect
from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """The function as machine code, compiled at its first call and kept on disk; other threads run beside it.

    It holds what it calls, and is compiled again when its own file changes, not when theirs do: who edits a function
    that another file calls removes the *.nbc beside them. No index is checked: callers see to that.

    What checks shapes while the tests run wraps a function in Python, which cannot be compiled: it is taken off.
    """
    return cast(_Function, numba.njit(cache=True, nogil=True)(inspect.unwrap(function)))


def vectorised(function: _Function) -> _Function:
    """`compiled`, where a sum of floats may be taken in another order: several numbers at once, always in the same."""
    options = {"reassoc", "contract", "nsz"}
    return cast(_Function, numba.njit(cache=True, nogil=True, fastmath=options)(inspect.unwrap(function)))


@compiled
def longer(array: np.ndarray, length: int) -> np.ndarray:
    """The array, of one axis or two, with zeros up to this length."""
    made = np.zeros((length,) + array.shape[1:], array.dtype)
    made[: len(array)] = array
    return made
