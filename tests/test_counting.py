"""Counting by hand, and in the training loop."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim import Adam

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.graph import with_inverses
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.models.frequency import Frequency
from kg.models.scorer import Queries
from kg.query.predictor import Predictor
from kg.training.algorithms.counting import Counting
from kg.training.gradient_descent import GradientDescent
from kg.training.recipes import default_run
from kg.training.run import Run
from kg.training.train import resume, train


@pytest.fixture
def small() -> Dataset:
    """(0, r, 2) twice over, (1, r, 2), (1, r, 0) and (2, s, 2); entity 3 has no fact."""
    facts = torch.tensor([[0, 0, 2], [1, 0, 2], [1, 0, 0], [2, 1, 2], [0, 0, 2]])
    return Dataset(facts, facts[:0], facts[:0], Vocabulary(["a", "b", "c", "d"], ["r", "s"]))


def run(dataset: Dataset) -> Run:
    return default_run("frequency")(dataset)


def test_counts_by_hand(small: Dataset) -> None:
    assert run(small).algorithm == Counting()
    fit = run(small).trainer(small)
    epochs = list(fit)
    # r has tails 2, 2, 0; s has 2; the heads of r are 0, 1, 1, that of s is 2. A fact given twice counts once.
    assert fit.scorer.counts.tolist() == [[1, 0, 2, 0], [0, 0, 1, 0], [1, 2, 0, 0], [0, 0, 1, 0]]
    assert [(epoch.number, epoch.queries, epoch.complete) for epoch in epochs] == [(1, 8, True)]
    # r: 2/7, 3/7, 3/7, its heads likewise; s: 2/5 both ways
    expected = -(2 * (math.log(2 / 7) + 2 * math.log(3 / 7)) + 2 * math.log(2 / 5)) / 8
    assert epochs[0].loss == pytest.approx(expected)


def test_a_frequency_is_trained_stored_and_asked(tmp_path: Path, random_dataset: Dataset) -> None:
    trained = train(random_dataset, run(random_dataset), tmp_path / "model")
    stored = Bundle.load(tmp_path / "model")
    assert stored.run["algorithm"] == {"name": "counting", "arguments": {}}
    assert isinstance(stored.scorer, Frequency) and torch.equal(stored.scorer.counts, trained.scorer.counts)
    assert stored.scorer.counts.sum() == 2 * len(random_dataset.train) and stored.temperature is not None
    assert len(evaluate(stored.scorer, stored.dataset, "test").rank) == 2 * len(random_dataset.test)
    best = Predictor.load(tmp_path / "model").tails("e0", "r1", top=1)[0]
    assert best.score == pytest.approx(math.log1p(stored.scorer.counts[1].max().item()))
    assert resume(tmp_path / "model").metrics["epochs"] == 1


def test_what_counting_cannot_use_is_an_error(small: Dataset) -> None:
    with pytest.raises(UserError, match="counting fits Frequency, NaiveBayes and Similarity, not DistMult"):
        Run(partial(DistMult, dim=2), Counting()).trainer(small)
    with pytest.raises(UserError, match="Counting passes over the facts once: epochs cannot be chosen"):
        Counting().with_epochs(2)
    with pytest.raises(UserError, match="Frequency has no weights that gradient descent could train"):
        Run(partial(Frequency), GradientDescent(partial(Adam, lr=0.1), hide="exact")).trainer(small)


def test_the_loss_of_naive_bayes_is_that_of_its_scores(small: Dataset) -> None:
    naive = default_run("naive_bayes")(small)
    fit = naive.trainer(small)
    (epoch,) = fit
    entropy = []
    for head, relation, tail in with_inverses(small.train[:4], 2):
        scores = fit.scorer.score_tails(Queries(head[None], relation[None], small.graph()))
        entropy.append(-scores.log_softmax(1)[0, tail].item())
    assert epoch.loss == pytest.approx(sum(entropy) / 8)
