"""Path ranking, fitted: planted weights and a planted path are recovered, and no fact speaks for itself."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.distmult import DistMult
from kg.models.path_ranking import PathRanking
from kg.rules.path_features import Examples
from kg.training.algorithms.path_regression import PathRegression, regression
from kg.training.recipes import default_run
from kg.training.run import Run
from kg.training.train import train

RUN = Run(partial(PathRanking, num_paths=8, max_length=2), PathRegression())


def fitted(data: Dataset, run: Run = RUN) -> PathRanking:
    fit = run.trainer(data)
    epochs = list(fit)
    assert [epoch.complete for epoch in epochs] == [True] and math.isfinite(epochs[0].loss)
    assert isinstance(fit.scorer, PathRanking)
    return fit.scorer


def dataset(train_facts: list[list[int]], valid: list[list[int]], entities: int, relations: int) -> Dataset:
    nothing = torch.zeros(0, 3, dtype=torch.long)
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    return Dataset(torch.tensor(train_facts), torch.tensor(valid, dtype=torch.long).view(-1, 3), nothing, names)


def test_planted_weights_are_recovered() -> None:
    generator = np.random.default_rng(0)
    features = generator.random((20_000, 3)).astype(np.float32)
    weight, bias = np.array([4.0, 0.0, -2.0]), -1.5
    answer = (generator.random(20_000) < 1 / (1 + np.exp(-(features @ weight + bias)))).astype(np.int64)
    found, found_bias, loss = regression(Examples(features, answer, np.ones(20_000)), 0.001)
    assert found == pytest.approx(weight, abs=0.2) and found_bias == pytest.approx(bias, abs=0.1)
    chance = 1 / (1 + np.exp(-(features @ found + found_bias)))
    assert loss == pytest.approx(-np.log(np.where(answer == 1, chance, 1 - chance)).mean(), rel=1e-5)


def test_a_row_counts_as_often_as_its_weight() -> None:
    features, answer = np.array([[0.1], [0.9], [0.3]], np.float32), np.array([0, 1, 1])
    once = regression(Examples(features, answer, np.array([3.0, 2.0, 0.0])), 1.0)
    often = regression(Examples(features[[0, 0, 0, 1, 1]], answer[[0, 0, 0, 1, 1]], np.ones(5)), 1.0)
    assert once[0] == pytest.approx(often[0]) and once[1:] == pytest.approx(often[1:])


def test_a_stronger_pull_makes_smaller_weights() -> None:
    features, answer = np.array([[0.1], [0.9], [0.3]], np.float32), np.array([0, 1, 0])
    sizes = [abs(regression(Examples(features, answer, np.ones(3)), strength)[0][0]) for strength in (0.01, 1.0, 100.0)]
    assert sizes[0] > sizes[1] > sizes[2] > 0


@pytest.mark.parametrize("answer", [0, 1])
def test_of_one_kind_alone_there_is_nothing_to_tell(answer: int) -> None:
    weight, bias, loss = regression(Examples(np.ones((2, 3), np.float32), np.full(2, answer), np.array([1.0, 0])), 1.0)
    assert not weight.any() and (bias > 0) == bool(answer) and loss == 0


@pytest.fixture
def planted() -> Dataset:
    """Relation 0 is relation 1 followed by relation 2, a fact of it in eight held out; relation 3 is by chance."""
    generator = torch.Generator().manual_seed(0)
    facts, valid = [], []
    for x in range(40):
        middle, end = 40 + x, 80 + x % 20
        facts += [[x, 1, middle], [middle, 2, end], [x, 3, int(torch.randint(0, 100, (), generator=generator))]]
        (valid if x % 8 == 0 else facts).append([x, 0, end])
    return dataset(facts, valid, 100, 4)


def test_a_planted_path_is_found(planted: Dataset) -> None:
    scorer = fitted(planted)
    best = int(scorer.weight[0].argmax())
    assert scorer.paths[0, best].tolist() == [1, 2] and scorer.weight[0, best] > 0
    back = int(scorer.weight[4].argmax())
    assert scorer.paths[4, back].tolist() == [6, 5]
    ranking = evaluate(scorer, planted, "valid")
    assert ranking.metrics().by_side["tail"].mrr == 1


def test_relations_without_facts_score_nothing(planted: Dataset) -> None:
    kept = replace(planted, train=planted.train[planted.train[:, 1] != 3])
    scorer = fitted(kept)
    for relation in (3, 7):
        assert not scorer.weight[relation].any() and scorer.bias[relation] == 0
        assert bool((scorer.paths[relation] == -1).all())


def test_fitted_twice_it_is_the_same(random_dataset: Dataset) -> None:
    once, again = fitted(random_dataset).state_dict(), fitted(random_dataset).state_dict()
    assert once.keys() == {"paths", "weight", "bias"}
    assert all(torch.equal(once[name], again[name]) for name in once)
    few = replace(RUN, algorithm=PathRegression(num_facts=20))
    assert not torch.equal(fitted(random_dataset, few).weight, once["weight"])


def test_a_trained_model_is_stored_as_numbers(random_dataset: Dataset, tmp_path: Path) -> None:
    trained = train(random_dataset, default_run("path_ranking")(random_dataset), tmp_path / "model")
    stored = Bundle.load(tmp_path / "model")
    assert stored.run["algorithm"]["name"] == "path_regression"
    assert torch.equal(
        evaluate(stored.scorer, random_dataset, "valid").rank, evaluate(trained.scorer, random_dataset, "valid").rank
    )


def test_what_it_does_not_fit(random_dataset: Dataset) -> None:
    with pytest.raises(UserError, match="fits PathRanking, not DistMult"):
        replace(RUN, scorer=partial(DistMult)).trainer(random_dataset)


@pytest.mark.parametrize("strength", [0.0, -1.0, math.inf, math.nan])
def test_strengths_that_cannot_be(strength: float) -> None:
    with pytest.raises(UserError, match="strength must be above 0 and finite"):
        PathRegression(strength=strength)


def test_no_facts_are_too_few() -> None:
    with pytest.raises(UserError, match="num_facts must be at least 1: got 0"):
        PathRegression(num_facts=0)
