"""OnDescent: what an algorithm that begins in its own way and goes on by gradient descent has of that."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from kg.training.algorithm import TrainingAlgorithm
from kg.training.gradient_descent import GradientDescent


@dataclass(frozen=True)
class OnDescent(TrainingAlgorithm, ABC):
    """`start` and `trainer` are its own; how long, how often and how much are those of the descent."""

    descent: GradientDescent

    tables: ClassVar[Mapping[str, Mapping[str, Any]]] = {"descent": {"gradient_descent": GradientDescent}}

    @property
    def epochs(self) -> int:
        return self.descent.epochs

    @property
    def valid_every(self) -> int:
        return self.descent.valid_every

    @property
    def patience(self) -> int:
        return self.descent.patience

    @property
    def is_iterative(self) -> bool:
        return True

    @property
    def has_planned_steps(self) -> bool:
        return self.descent.has_planned_steps

    @property
    def batch_size(self) -> int:
        return self.descent.batch_size

    @property
    def numbers_a_weight(self) -> int:
        return self.descent.numbers_a_weight

    def with_epochs(self, epochs: int) -> "OnDescent":
        return replace(self, descent=replace(self.descent, epochs=epochs))

    def check_scorer(self, made: Any) -> None:
        self.descent.check_scorer(made)
