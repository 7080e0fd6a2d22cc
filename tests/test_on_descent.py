"""What goes on by gradient descent takes as long, and holds as much, as that does."""

from functools import partial

import pytest
from torch.optim import Adam

from kg.training.algorithms.additive import Additive
from kg.training.algorithms.on_descent import OnDescent
from kg.training.algorithms.transfer import FineTuning
from kg.training.gradient_descent import GradientDescent, WarmUp

DESCENT = GradientDescent(
    partial(Adam, lr=0.01), epochs=7, valid_every=2, patience=3, batch_size=11, schedule=WarmUp(), averaging=0.9
)


@pytest.mark.parametrize("made", [Additive(DESCENT, num_facts=50), FineTuning(DESCENT)], ids=["additive", "fine"])
def test_its_figures_are_those_of_the_descent(made: OnDescent) -> None:
    names = ("epochs", "valid_every", "patience", "batch_size", "is_iterative", "has_planned_steps", "numbers_a_weight")
    assert {name: getattr(made, name) for name in names} == {name: getattr(DESCENT, name) for name in names}
    shorter = made.with_epochs(4)
    assert type(shorter) is type(made) and shorter.epochs == 4 and shorter.patience == 3
