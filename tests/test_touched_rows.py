"""Steps that touch a few rows: the same training as one over whole tables, and nothing else moves."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from runs import varied
from torch.optim import Adagrad, Adam, AdamW

from kg.graph.dataset import Dataset
from kg.models.complex import ComplEx
from kg.models.cp import CP
from kg.models.tables import EntityTable
from kg.models.transe import TransE
from kg.training.gradient_descent import Descent, GradientDescent, Plateau
from kg.training.objectives import MaskedEntity, NegativeSampling, OneVsAll, RelationPrediction
from kg.training.regularizers import N3
from kg.training.run import Run

SAMPLED = NegativeSampling(4, loss="corrected_softmax")
FEW = GradientDescent(partial(Adagrad, lr=0.3), SAMPLED, N3(0.01), batch_size=8, epochs=2)


@pytest.fixture
def few_facts(random_dataset: Dataset) -> Dataset:
    return replace(random_dataset, train=random_dataset.train[:60])


def trained(dataset: Dataset, run: Run, whole: bool = False) -> Descent:
    fit = run.trainer(dataset)
    assert isinstance(fit, Descent) and fit._touched_tables
    if whole:
        fit._touched_tables = []
    for _ in fit:
        pass
    return fit


@pytest.mark.parametrize(
    ("scorer", "descent"),
    [
        (partial(ComplEx, dim=4, entity_dropout=0.2), {}),
        (partial(ComplEx, dim=4), {"auxiliary": RelationPrediction(0.3), "pieces": 3}),
        (
            partial(TransE, dim=4),
            {"objective": NegativeSampling(1, shared=False, loss="margin"), "schedule": Plateau()},
        ),
        (partial(CP, dim=4), {"objective": NegativeSampling(4, candidates="by_degree", exclude_known=True)}),
    ],
    ids=["dropout", "pieces", "own negatives", "two tables"],
)
def test_adagrad_takes_the_steps_of_whole_tables(few_facts: Dataset, scorer: Any, descent: dict[str, Any]) -> None:
    run = varied(Run(scorer, FEW), **descent)
    few, whole = trained(few_facts, run), trained(few_facts, run, whole=True)
    for name, value in whole.scorer.state_dict().items():
        torch.testing.assert_close(few.scorer.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    for own, other in zip(few.scorer.parameters(), whole.scorer.parameters(), strict=True):
        torch.testing.assert_close(few.optimizer.state[own]["sum"], whole.optimizer.state[other]["sum"])


@pytest.mark.parametrize(
    "optimizer", [partial(Adagrad, lr=0.3), partial(Adam, lr=0.1), partial(AdamW, lr=0.1)], ids=str
)
def test_what_a_step_does_not_read_stays_as_it_is(few_facts: Dataset, optimizer: Any) -> None:
    fit = varied(Run(partial(ComplEx, dim=4), FEW), optimizer=optimizer).trainer(few_facts)
    assert isinstance(fit, Descent)
    table = fit.scorer.table
    assert isinstance(table, EntityTable)
    order = fit._order()
    for _ in range(3):
        before = table.whole().detach().clone()
        chosen = order[fit.step * 8 : (fit.step + 1) * 8]
        batch = SAMPLED.with_rivals(fit._batch(chosen, fit._graph, fit._generator(0, fit.step)))
        fit._take_step(order)
        moved = (table.whole() != before).any(1).nonzero().flatten()
        assert set(moved.tolist()) == set(batch.entities().tolist())
    assert table.weight.grad is None


@pytest.mark.parametrize("optimizer", [partial(Adagrad, lr=0.3), partial(Adam, lr=0.1)], ids=str)
def test_a_resumed_training_takes_bitwise_the_same_steps(few_facts: Dataset, optimizer: Any) -> None:
    run = varied(Run(partial(ComplEx, dim=4, entity_dropout=0.2), FEW), optimizer=optimizer)
    whole = trained(few_facts, run)
    first = run.trainer(few_facts)
    next(iter(first))
    resumed = run.trainer(few_facts)
    resumed.load_state_dict(first.state_dict())
    for _ in resumed:
        pass
    for name, value in whole.scorer.state_dict().items():
        assert torch.equal(resumed.scorer.state_dict()[name], value)


def test_where_most_rows_are_read_all_are(few_facts: Dataset) -> None:
    """Half of 50 entities is 25: two ends of 8 questions and 8 negatives are fewer, 9 are not."""
    run = Run(partial(ComplEx, dim=4), FEW)
    for num_negatives, is_few in ((8, True), (9, False)):
        fit = varied(run, objective=NegativeSampling(num_negatives)).trainer(few_facts)
        assert isinstance(fit, Descent) and bool(fit._touched_tables) is is_few
    for other in ({"objective": OneVsAll()}, {"auxiliary": MaskedEntity(0.1)}):
        fit = varied(run, **other).trainer(few_facts)
        assert isinstance(fit, Descent) and not fit._touched_tables


def test_a_row_that_is_not_held_is_an_error() -> None:
    table = EntityTable(5, 2)
    with table.holding(torch.tensor([1, 3])) as rows:
        assert torch.equal(table.rows(torch.tensor([[3, 1]])), rows[[1, 0]][None])
        for missing in (0, 2, 4):
            with pytest.raises(ValueError, match="not among those held"):
                table.rows(torch.tensor([1, missing]))
        with pytest.raises(ValueError, match="all rows"):
            table.whole()
    assert table.rows(torch.tensor([4])).shape == (1, 2)
