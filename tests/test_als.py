"""RESCAL-ALS against the same least squares with dense matrices, and in the training loop."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import varied
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.ranking import evaluate
from kg.graph.dataset import Dataset
from kg.graph.vocabulary import Vocabulary
from kg.models.complex import ComplEx
from kg.models.rescal import RESCAL
from kg.training.algorithm import Trainer
from kg.training.algorithms import als
from kg.training.algorithms.als import (
    ALS,
    Slices,
    Sweeps,
    fitted_relations,
    leading_eigenvectors,
    moved_entities,
    squared_error,
)
from kg.training.run import Run
from kg.training.train import resume, train

RUN = Run(partial(RESCAL, dim=5, tied=True), ALS(2.0, 3.0, epochs=4, valid_every=1))
N, R = 50, 3


def new_fit(dataset: Dataset, run: Run = RUN) -> Trainer:
    return run.trainer(dataset)


def dataset_of(facts: list[list[int]], entities: int, relations: int) -> Dataset:
    names = Vocabulary([f"e{i}" for i in range(entities)], [f"r{i}" for i in range(relations)])
    nothing = torch.zeros(0, 3, dtype=torch.long)
    return Dataset(torch.tensor(facts), nothing, nothing, names)


def dense(dataset: Dataset) -> Tensor:
    tensor = torch.zeros(dataset.num_relations, dataset.num_entities, dataset.num_entities, dtype=torch.float64)
    head, relation, tail = dataset.train.unbind(1)
    tensor[relation, head, tail] = 1
    return tensor


@pytest.fixture
def slices(random_dataset: Dataset) -> Slices:
    return Slices.from_triples(random_dataset.train, N, R)


@pytest.fixture
def factors() -> tuple[Tensor, Tensor]:
    """A (50, 5) and R (3, 5, 5), random."""
    generator = torch.Generator().manual_seed(1)
    shapes = ((N, 5), (R, 5, 5))
    vectors, matrices = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return 0.3 * vectors, matrices


def test_slices_by_hand() -> None:
    made = Slices.from_triples(torch.tensor([[2, 0, 1], [0, 1, 2], [2, 0, 0], [2, 0, 1]]), 3, 2)
    assert made.counts == [1, 1, 2, 1] and made.num_facts == 3  # a fact given twice counts once
    assert made.head.tolist() == [2, 0, 0, 1, 2]
    assert [part.tolist() for part in made.tails.tensor_split(made.offsets[1:-1])] == [[0, 1], [2], [2], [2], [0]]


def test_one_entity_by_hand() -> None:
    """X = 1, A = 2: R = A^2 / (A^4 + weight); then Nickel's A' = 2 R A / (2 R^2 A^2 + weight)."""
    one = Slices.from_triples(torch.tensor([[0, 0, 0]]), 1, 1)
    vectors = torch.tensor([[2.0]], dtype=torch.float64)
    matrices = fitted_relations(one, vectors, 4.0)
    assert matrices.item() == pytest.approx(4 / 20)
    assert squared_error(one, vectors, matrices).item() == pytest.approx((1 - 0.8) ** 2)
    # f(a) = (1 - a^2 / 5)^2 + a^2 / 5 has f' = -2 a / 5 + 4 a^3 / 25, which is 0 at a^2 = 5 / 2
    assert moved_entities(one, vectors, matrices, 0.2).item() == pytest.approx(2.5**0.5)


def test_the_squared_error_is_that_of_every_entry(
    random_dataset: Dataset, slices: Slices, factors: tuple[Tensor, Tensor]
) -> None:
    vectors, matrices = factors
    expected = (dense(random_dataset) - vectors @ matrices @ vectors.T).square().sum()
    torch.testing.assert_close(squared_error(slices, vectors, matrices), expected)


def test_relations_are_the_ridge_regression(
    random_dataset: Dataset, slices: Slices, factors: tuple[Tensor, Tensor]
) -> None:
    vectors, _ = factors
    design = torch.kron(vectors, vectors)  # a row an entry of X_k
    target = dense(random_dataset).flatten(1).T
    ridge = design.T @ design + 0.7 * torch.eye(25, dtype=torch.float64)
    expected = torch.linalg.solve(ridge, design.T @ target).T.view(R, 5, 5)
    torch.testing.assert_close(fitted_relations(slices, vectors, 0.7), expected)


def test_entities_move_to_the_lowest_point_on_the_way_to_nickels(
    random_dataset: Dataset, slices: Slices, factors: tuple[Tensor, Tensor]
) -> None:
    vectors, matrices = factors
    tensor, weight = dense(random_dataset), 0.7
    target = (tensor @ vectors @ matrices.mT + tensor.mT @ vectors @ matrices).sum(0)
    gram = vectors.T @ vectors
    inner = (matrices @ gram @ matrices.mT + matrices.mT @ gram @ matrices).sum(0) + weight * torch.eye(5)
    step = target @ torch.linalg.inv(inner) - vectors

    def loss(share: Tensor) -> Tensor:
        there = vectors + share * step
        return (tensor - there @ matrices @ there.T).square().sum() + weight * there.square().sum()

    moved = moved_entities(slices, vectors, matrices, weight) - vectors
    share = (moved * step).sum() / step.square().sum()
    torch.testing.assert_close(moved, share * step)
    lowest = loss(share)
    assert all(lowest < loss(torch.tensor(other)) for other in (0.0, share.item() - 0.01, share.item() + 0.01, 1.0))


@pytest.mark.parametrize(
    ("coefficients", "expected"),
    [
        ([5.0, -2.0, 1.0, 0.0, 0.0], 1.0),
        ([0.0, -4.0, 0.0, 0.0, 1.0], 1.0),
        ([0.0, -24.0, 22.0, -8.0, 1.0], 1.0),  # the derivative is 4 (x - 1) (x - 2) (x - 3)
        ([0.0, 0.0, -18.0, 0.0, 1.0], 3.0),
        ([7.0, 0.0, 0.0, 0.0, 0.0], 1.0),
    ],
)
def test_how_far_a_polynomial_falls(coefficients: list[float], expected: float) -> None:
    assert als._first_low(coefficients) == pytest.approx(expected)


def test_the_start_is_the_leading_eigenvectors(random_dataset: Dataset) -> None:
    found = leading_eigenvectors(random_dataset.graph(), 5, seed=3)
    total = dense(random_dataset).sum(0)
    values, vectors = torch.linalg.eigh(total + total.T)
    leading = vectors[:, values.abs().argsort(descending=True)[:5]]
    torch.testing.assert_close((leading.T @ found).abs(), torch.eye(5, dtype=torch.float64), rtol=0, atol=0.05)
    torch.testing.assert_close(found.T @ found, torch.eye(5, dtype=torch.float64))
    assert torch.equal(found, leading_eigenvectors(random_dataset.graph(), 5, seed=3))


@pytest.mark.parametrize("algorithm", [ALS(), ALS(0.01, 0.01), ALS(1e-9, 100.0), ALS(100.0, 1e-9)])
def test_no_update_raises_the_loss(slices: Slices, factors: tuple[Tensor, Tensor], algorithm: ALS) -> None:
    vectors, matrices = factors
    matrices = 10 * matrices  # where Nickel's full step overshoots

    def loss() -> float:
        penalty = algorithm.entity_weight * vectors.square().sum() + algorithm.relation_weight * matrices.square().sum()
        return float(squared_error(slices, vectors, matrices) + penalty)

    losses = [loss()]
    for _ in range(40):
        vectors = moved_entities(slices, vectors, matrices, algorithm.entity_weight)
        losses.append(loss())
        matrices = fitted_relations(slices, vectors, algorithm.relation_weight)
        losses.append(loss())
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(losses))
    assert losses[-1] < losses[0] / 2


def test_losses_fall_sweep_by_sweep_and_are_those_of_the_weights(random_dataset: Dataset) -> None:
    fit = new_fit(random_dataset, varied(RUN, epochs=30))
    losses = [epoch.loss for epoch in fit]
    assert all(after < before * (1 + 1e-6) for before, after in pairwise(losses))
    assert losses[-1] < losses[0] < 1  # a model that is 0 everywhere has 1
    assert isinstance(fit.scorer, RESCAL)
    vectors, matrices = (x.detach().double() for x in (fit.scorer.table.weight, fit.scorer.matrix.weight))
    error = (dense(random_dataset) - vectors @ matrices @ vectors.T).square().sum()
    penalty = 2 * vectors.square().sum() + 3 * matrices.square().sum()
    assert fit.loss() == pytest.approx(float(error + penalty) / len(random_dataset.train), rel=1e-5)


def test_a_tiny_graph_is_learned() -> None:
    facts = [[i, 0, (i + 1) % 6] for i in range(6)] + [[i, 1, 5 - i] for i in range(6)]
    data = dataset_of(facts, 6, 2)
    fit = new_fit(data, Run(partial(RESCAL, dim=6, tied=True), ALS(0.01, 0.01, epochs=50)))
    assert all(epoch.complete for epoch in fit)
    assert evaluate(fit.scorer, data, "train").metrics().mrr == 1


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor held that any operation made."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        found = [x.numel() for x in (made if isinstance(made, tuple | list) else [made]) if isinstance(x, Tensor)]
        self.numel = max([self.numel, *found])
        return made


def test_no_tensor_of_entities_times_entities() -> None:
    data = dataset_of([[i, i % 2, (3 * i + 1) % 300] for i in range(300)], 300, 2)
    with Largest() as largest:
        assert len(list(new_fit(data, varied(RUN, epochs=2)))) == 2
    assert 300 * 5 <= largest.numel < 300 * 300 / 10


def test_no_facts_is_no_trouble() -> None:
    data = dataset_of([[0, 0, 1]], 4, 2)
    losses = [epoch.loss for epoch in new_fit(replace(data, train=data.train[:0]), replace(RUN, scorer=small()))]
    assert losses == [0.0] * 4


def small(**arguments: Any) -> "partial[Any]":
    return partial(RESCAL, **{"dim": 3, "tied": True, **arguments})


# In the training loop


def weights(fit: Trainer) -> list[Tensor]:
    return [value.clone() for value in fit.scorer.state_dict().values()]


def test_a_pause_after_any_step_changes_nothing(random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = new_fit(random_dataset)
    expected = [epoch.loss for epoch in whole]
    first = new_fit(random_dataset)
    take_step = Sweeps._take_step

    def take_one(fit: Sweeps) -> None:
        take_step(fit)
        fit.pause()

    monkeypatch.setattr(Sweeps, "_take_step", take_one)
    epochs = iter(first)
    assert [(epoch.number, epoch.complete) for epoch in (next(epochs) for _ in range(3))] == [
        (1, False), (1, True), (2, False)
    ]  # fmt: skip
    state = first.state_dict()
    monkeypatch.undo()
    second = new_fit(random_dataset, replace(RUN, scorer=partial(RESCAL, dim=5, tied=True, init=9.0)))
    second.load_state_dict(state)
    assert second.loss() == first.loss()
    losses = [epoch.loss for epoch in second]
    assert losses == expected[1:]
    assert all(map(torch.equal, weights(second), weights(whole)))


def test_the_training_loop_takes_it_as_it_is(random_dataset: Dataset, tmp_path: Path) -> None:
    trained = train(random_dataset, RUN, tmp_path / "whole")
    fit = new_fit(random_dataset)
    mrrs = []
    for _ in fit:
        mrrs.append(evaluate(fit.scorer, random_dataset, "valid").metrics().mrr)
    history = trained.metrics["history"]
    assert [row["valid_mrr"] for row in history] == mrrs
    assert trained.metrics["valid"]["mrr"] == pytest.approx(max(mrrs), rel=1e-6)
    assert trained.temperature not in (None, 1.0)  # least squares are no probabilities
    train(random_dataset, varied(RUN, epochs=2), tmp_path / "part")
    resumed = resume(tmp_path / "part", epochs=4)
    assert [row["loss"] for row in resumed.metrics["history"]] == [row["loss"] for row in history]
    card = next((tmp_path / "part").glob("*/README.md")).read_text()
    assert "- als, seed 0" in card
    stored = Bundle.load(tmp_path / "part")
    assert stored.run == varied(RUN, epochs=4).to_json()
    for name, value in trained.scorer.state_dict().items():
        assert torch.equal(stored.scorer.state_dict()[name], value)


def test_it_is_a_function_of_the_seed(random_dataset: Dataset) -> None:
    def ended(seed: int) -> list[Tensor]:
        fit = new_fit(random_dataset, replace(RUN, seed=seed))
        for _ in fit:
            pass
        return weights(fit)

    assert all(map(torch.equal, ended(0), ended(0)))
    assert not torch.equal(ended(0)[0], ended(1)[0])


def test_json_round_trip() -> None:
    stored = json.loads(json.dumps(RUN.to_json()))
    settings = {"entity_weight": 2.0, "relation_weight": 3.0, "epochs": 4, "valid_every": 1, "patience": 10}
    assert stored["algorithm"] == {"name": "als", "arguments": settings}
    assert Run.from_json(stored).algorithm == RUN.algorithm
    assert Run.from_json(stored).to_json() == stored


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (partial(RESCAL, dim=3), "RESCAL with tied=True alone"),
        (partial(ComplEx, dim=3, tied=True), "RESCAL with tied=True alone"),
        (small(dim=51), "dim 51 is more than the 50 entities"),
        (small(entity_dropout=0.1), "no use for dropout"),
        (small(relation_dropout=0.1), "no use for dropout"),
    ],
)
def test_what_it_cannot_fit_is_an_error(random_dataset: Dataset, scorer: "partial[Any]", message: str) -> None:
    with pytest.raises(UserError, match=message):
        new_fit(random_dataset, replace(RUN, scorer=scorer))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_is_above_0_and_finite(weight: float) -> None:
    with pytest.raises(UserError, match="entity_weight must be above 0"):
        ALS(weight, 1.0)
    with pytest.raises(UserError, match="relation_weight must be above 0"):
        ALS(1.0, weight)
