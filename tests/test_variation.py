"""A Run with some settings replaced."""

from functools import partial

import pytest
from torch.optim import Adam

from kg.errors import UserError
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent
from kg.training.run import Run
from kg.training.variation import varied

RUN = Run(partial(DistMult, dim=4), GradientDescent(partial(Adam, lr=0.1), epochs=7), seed=1)


def test_each_setting() -> None:
    assert varied(RUN) == RUN
    found = varied(RUN, dim=8, epochs=3, lr=0.5, batch_size=16, precision="bf16", seed=2).to_json()
    assert found["scorer"]["arguments"] == {"dim": 8} and found["seed"] == 2
    arguments = found["algorithm"]["arguments"]
    assert arguments["optimizer"] == {"name": "adam", "arguments": {"lr": 0.5}}
    assert [arguments[name] for name in ("epochs", "batch_size", "precision")] == [3, 16, "bf16"]
    assert RUN.to_json()["scorer"]["arguments"] == {"dim": 4}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dim": 0}, "dim must be at least 1: got 0"),
        ({"lr": 0.0}, "lr must be above 0: got 0"),
        ({"epochs": 0}, "epochs must be at least 1: got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1: got 0"),
    ],
)
def test_values_that_are_none(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        varied(RUN, **settings)  # type: ignore[arg-type]
    assert raised.value.setting == next(iter(settings))


@pytest.mark.parametrize("setting", ["dim", "lr", "batch_size", "epochs"])
def test_settings_that_are_not_there(setting: str) -> None:
    with pytest.raises(UserError, match=setting) as raised:
        varied(Run(partial(Frequency), Counting()), **{setting: 3})  # type: ignore[arg-type]
    assert raised.value.setting == setting
