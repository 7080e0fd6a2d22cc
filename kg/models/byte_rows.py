"""Vectors in a quarter of their bytes, and between which bounds a product with each of them lies."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int8
from torch import Tensor

from kg.walks.compiled import compiled

_ROWS = 1 << 13  # at a time
_LARGEST = 127
_ROUNDING = 2.0**-22  # of a sum of products in float32, for each of them
_SQUARED = 1e-18  # at least: what is smaller may be lost in float32 when it is squared


@final
@dataclass(frozen=True, eq=False)
class ByteRows:
    """Row i is about scales[i] numbers[i], which is `lengths[i]` long and no more than `errors[i]` from it; that covers
    what a product in float32 is rounded by, too."""

    numbers: Int8[np.ndarray, "N D"]
    scales: Float32[np.ndarray, " N"]
    lengths: Float32[np.ndarray, " N"]
    errors: Float32[np.ndarray, " N"]

    @classmethod
    def of(cls, block: Callable[[slice], Float[Tensor, "K D"]], num_rows: int, size: int) -> "ByteRows":
        """Of so many rows that are given by blocks. One pass."""
        numbers = np.empty((num_rows, size), np.int8)
        scales, lengths, errors = (np.empty(num_rows, np.float32) for _ in range(3))
        for start in range(0, num_rows, _ROWS):
            part = slice(start, min(start + _ROWS, num_rows))
            rows = block(part).detach()
            scale = (rows.abs().amax(1) / _LARGEST).clamp_(min=torch.finfo(torch.float32).tiny)[:, None]
            near = (rows / scale).round_().clamp_(-_LARGEST, _LARGEST)
            numbers[part] = near.to(torch.int8).numpy()
            near *= scale
            lost = _SQUARED * math.sqrt(size)
            scales[part], lengths[part] = scale[:, 0].numpy(), near.norm(dim=1).numpy() + lost
            rounding = size * _ROUNDING * (lengths[part] + rows.norm(dim=1).numpy()) + lost
            errors[part] = near.sub_(rows).norm(dim=1).numpy() + rounding
        return cls(numbers, scales, lengths, errors)

    def bounds(self, vector: Float[Tensor, " D"]) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """No product with a row is below the first, or above the second: with q the vector, h a row, ~ what is near,

        |q . h - q~ . h~| <= |q| |h - h~| + |q - q~| |h~|
        """
        query = vector.detach().double()
        largest = min(32767, (2**31 - 1) // (_LARGEST * len(query)))  # so that a sum stays below 2^31
        scale = max(float(query.abs().max()) / largest, torch.finfo(torch.float32).tiny)
        near = (query / scale).round()
        apart = float((near * scale - query).norm())
        low, high = np.empty(len(self.scales), np.float32), np.empty(len(self.scales), np.float32)
        arrays = self.numbers, self.scales, self.lengths, self.errors
        _products(*arrays, near.to(torch.int16).numpy(), scale, apart, float(query.norm()), low, high)
        return torch.from_numpy(low), torch.from_numpy(high)


@compiled
def _products(
    numbers: Int8[np.ndarray, "N D"],
    scales: Float32[np.ndarray, " N"],
    lengths: Float32[np.ndarray, " N"],
    errors: Float32[np.ndarray, " N"],
    query: Int[np.ndarray, " D"],
    scale: float,
    apart: float,
    length: float,
    low: Float32[np.ndarray, " N"],
    high: Float32[np.ndarray, " N"],
) -> None:
    for i in range(len(numbers)):
        product = np.int32(0)
        for k in range(len(query)):
            # Else Numba adds up in 64 bits, at almost twice the time.
            product = np.int32(product + np.int32(np.int32(numbers[i, k]) * np.int32(query[k])))
        score, slack = product * scale * scales[i], length * errors[i] + apart * lengths[i]
        low[i], high[i] = score - slack, score + slack
