"""A Run with some settings replaced."""

from dataclasses import replace
from functools import partial

import pytest
from torch.optim import Adam

from kg.errors import UserError
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import KvsAll, NegativeSampling, OneVsAll
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


def test_negatives_in_place_of_all_entities_and_back() -> None:
    some = varied(RUN, negatives=64)
    assert isinstance(some.algorithm, GradientDescent) and some.algorithm.batch_size == 1024
    assert some.algorithm.objective == NegativeSampling(64, loss="corrected_softmax", candidates="by_degree")
    more = varied(some, negatives=7, batch_size=32).algorithm
    assert isinstance(more, GradientDescent) and more.batch_size == 32
    assert more.objective == replace(some.algorithm.objective, num_negatives=7)
    everything = varied(some, negatives=0).algorithm
    assert isinstance(everything, GradientDescent) and everything.batch_size == 512
    assert everything.objective == OneVsAll(max_answers=8)
    assert varied(RUN, negatives=0) == RUN


def test_what_has_no_negatives() -> None:
    for run in (
        Run(partial(Frequency), Counting()),
        replace(RUN, algorithm=replace(RUN.algorithm, objective=KvsAll())),
    ):
        with pytest.raises(UserError, match=r"^negatives: (Counting|KvsAll) has no such setting"):
            varied(run, negatives=3)
    with pytest.raises(UserError, match="negatives must be at least 0: got -1"):
        varied(RUN, negatives=-1)


@pytest.mark.parametrize("setting", ["dim", "lr", "batch_size", "epochs"])
def test_settings_that_are_not_there(setting: str) -> None:
    with pytest.raises(UserError, match=setting) as raised:
        varied(Run(partial(Frequency), Counting()), **{setting: 3})  # type: ignore[arg-type]
    assert raised.value.setting == setting
