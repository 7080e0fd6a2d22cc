"""How the learning rate changes in the course of a training."""

from dataclasses import dataclass
from typing import final

from kg.errors import UserError


@final
@dataclass(frozen=True)
class Plateau:
    """After more than `patience` validations in a row without a better MRR the rate falls to `factor` of itself."""

    factor: float = 0.95
    patience: int = 1


@final
@dataclass(frozen=True)
class WarmUp:
    """The learning rate rises linearly over the first `share` of all steps, then falls linearly to nothing."""

    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"share must be at least 0 and below 1: got {self.share:g}")

    def factor(self, progress: float) -> float:
        """Of the rate, after this share of all steps."""
        return progress / self.share if progress < self.share else (1 - progress) / (1 - self.share)


SCHEDULES: dict[str, type[Plateau] | type[WarmUp]] = {"plateau": Plateau, "warm_up": WarmUp}
