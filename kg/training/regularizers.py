"""Penalties on the parameters of the facts in a batch."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor


class Regularizer(ABC):
    """regularizer(factors) -> weight * sum over factors of the norm, the mean over the batch's facts.

    factors: the (B, .) parameters of head, relation and tail, as `Scorer.factors` gives them.
    """

    weight: float

    @abstractmethod
    def norm(self, factor: Float[Tensor, "B _"]) -> Float[Tensor, ""]:
        """The sum over the batch of one factor's norm."""

    @final
    def __call__(self, factors: tuple[Float[Tensor, "B _"], ...]) -> Float[Tensor, ""]:
        total = sum((self.norm(factor) for factor in factors), start=factors[0].new_zeros(()))
        return self.weight * total / len(factors[0])


@final
@dataclass(frozen=True)
class N3(Regularizer):
    """sum |x|^3: the nuclear 3-norm (Lacroix et al., 2018)."""

    weight: float

    def norm(self, factor: Float[Tensor, "B _"]) -> Float[Tensor, ""]:
        return factor.abs().pow(3).sum()


@final
@dataclass(frozen=True)
class F2(Regularizer):
    """sum x^2: the squared L2 norm."""

    weight: float

    def norm(self, factor: Float[Tensor, "B _"]) -> Float[Tensor, ""]:
        return factor.square().sum()


@final
@dataclass(frozen=True)
class L1(Regularizer):
    """sum |x|."""

    weight: float

    def norm(self, factor: Float[Tensor, "B _"]) -> Float[Tensor, ""]:
        return factor.abs().sum()


REGULARIZERS: dict[str, type[Regularizer]] = {"n3": N3, "f2": F2, "l1": L1}
