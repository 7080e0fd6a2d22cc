"""Averaged weights: what follows, what is measured and kept."""

from functools import partial

import pytest
import torch
from runs import varied
from torch import Tensor
from torch.optim import Adam

from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.progress import Progress
from kg.training.gradient_descent import Descent, GradientDescent
from kg.training.run import Run

PLAIN = Run(partial(ComplEx, dim=4), GradientDescent(partial(Adam, lr=0.01), batch_size=150, epochs=4))


def fit_of(dataset: Dataset, run: Run) -> Descent:
    return run.trainer(dataset)


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_averaged_weights_follow_those_of_the_steps(random_dataset: Dataset) -> None:
    run = varied(PLAIN, averaging=0.3)
    fit, plain = fit_of(random_dataset, run), fit_of(random_dataset, PLAIN)
    expected = {name: value.clone().double() for name, value in fit.scorer.state_dict().items()}
    met = []

    class Followed(Progress):
        def at(self, what: str, done: int, total: int | None = None, figures: object = None) -> None:
            decay = min(0.3, (done + 1) / (done + 10))
            for name, value in fit.scorer.state_dict().items():
                expected[name] = decay * expected[name] + (1 - decay) * value
            met.append(done)

    fit.progress = Followed()
    list(fit)
    list(plain)
    assert met == list(range(1, 25))
    assert same(fit.scorer.state_dict(), plain.scorer.state_dict())  # the steps are the same
    for name, value in fit.answering.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6)
    assert fit.answering is not fit.scorer and plain.answering is plain.scorer


def test_averaged_weights_are_what_is_measured_and_kept(random_dataset: Dataset) -> None:
    fit = fit_of(random_dataset, varied(PLAIN, averaging=0.99))
    next(iter(fit))
    own = evaluate(fit.answering, random_dataset, "valid", temperature=None)
    assert torch.equal(fit.valid_ranking(random_dataset, None).rank, own.rank)
    assert not torch.equal(own.rank, evaluate(fit.scorer, random_dataset, "valid", temperature=None).rank)
    assert same(fit.best_weights(), fit.answering.state_dict())
    fit.report(0.5)
    assert same(fit.best_weights(), fit.answering.state_dict())
    assert not same(fit.best_weights(), fit.scorer.state_dict())


def test_averaged_weights_of_another_kind_are_no_training(random_dataset: Dataset) -> None:
    fit = fit_of(random_dataset, varied(PLAIN, averaging=0.9))
    state = fit.state_dict()
    with pytest.raises((ValueError, KeyError, TypeError)):
        fit.load_state_dict({**state, "averaged": None})
    broken = {name: torch.full_like(value, torch.nan) for name, value in state["averaged"].items()}
    with pytest.raises((ValueError, UserError)):
        fit.load_state_dict({**state, "averaged": broken})
