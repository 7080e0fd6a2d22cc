"""ARE, trained: its paths come first, and what they tell the vectors need not."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.are import ARE
from kg.models.rescal import RESCAL
from kg.training.algorithms.additive import Additive
from kg.training.gradient_descent import Descent, GradientDescent
from kg.training.objectives import OneVsAll
from kg.training.run import Run
from kg.training.train import resume, train

DESCENT = GradientDescent(
    partial(Adam, lr=0.01), OneVsAll(max_answers=8), batch_size=64, hide="exact", epochs=4, valid_every=2
)
RUN = Run(partial(ARE, dim=2, num_paths=4, max_length=2), Additive(DESCENT))


@pytest.fixture
def planted() -> Dataset:
    """Relation 0 is relation 1 followed by relation 2, a fact of it in eight held out."""
    facts, valid = [], []
    for x in range(40):
        middle, end = 40 + x, 80 + x % 20
        facts += [[x, 1, middle], [middle, 2, end]]
        (valid if x % 8 == 0 else facts).append([x, 0, end])
    names = Vocabulary([f"e{i}" for i in range(100)], ["r0", "r1", "r2"])
    return Dataset(torch.tensor(facts), torch.tensor(valid), torch.zeros(0, 3, dtype=torch.long), names)


def test_paths_tell_what_two_numbers_an_entity_cannot(planted: Dataset) -> None:
    fit = RUN.trainer(planted)
    assert isinstance(fit, Descent) and isinstance(fit.scorer, ARE)
    started = fit.scorer.weight.detach().clone()
    assert [1, 2] in fit.scorer.paths[0].tolist() and started[0].any()
    losses = [epoch.loss for epoch in fit]
    assert losses[-1] < losses[0] and not torch.equal(fit.scorer.weight, started)
    plain = Run(partial(RESCAL, dim=2), DESCENT)
    other = plain.trainer(planted)
    list(other)
    both, alone = (
        evaluate(scorer, planted, "valid").metrics().by_side["tail"].mrr for scorer in (fit.scorer, other.scorer)
    )
    assert both == 1 and alone < 0.5


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(planted: Dataset, tmp_path: Path) -> None:
    whole = train(planted, RUN, tmp_path / "whole")
    train(planted, replace(RUN, algorithm=RUN.algorithm.with_epochs(2)), tmp_path / "parts")
    parts = resume(tmp_path / "parts", epochs=4)
    stored = Bundle.load(tmp_path / "parts").scorer.state_dict()
    for name, value in whole.scorer.state_dict().items():
        assert torch.equal(value, parts.scorer.state_dict()[name]) and torch.equal(value, stored[name])


def test_what_it_does_not_fit(planted: Dataset) -> None:
    with pytest.raises(UserError, match="additive fits ARE, not RESCAL"):
        replace(RUN, scorer=partial(RESCAL, dim=2)).trainer(planted)
    with pytest.raises(UserError, match="ARE looks at the graph, where the answers stand: hide must be exact or pair"):
        replace(RUN, algorithm=Additive(replace(DESCENT, hide=None)))


def test_settings_that_cannot_be() -> None:
    with pytest.raises(UserError, match="num_facts must be at least 1: got 0"):
        Additive(DESCENT, num_facts=0)
    with pytest.raises(UserError, match="strength must be above 0"):
        Additive(DESCENT, strength=0.0)


def test_it_is_stored_with_its_descent() -> None:
    stored = json.loads(json.dumps(RUN.to_json()))
    arguments = stored["algorithm"]["arguments"]
    assert stored["algorithm"]["name"] == "additive" and arguments["num_facts"] == 500
    assert arguments["descent"]["name"] == "gradient_descent"
    assert Run.from_json(stored).to_json() == stored
    assert (RUN.algorithm.epochs, RUN.algorithm.valid_every, RUN.algorithm.batch_size) == (4, 2, 64)
