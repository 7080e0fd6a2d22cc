"""A base score under a gate: on paper, beyond the base's table, and frozen."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from paper import fill
from runs import varied
from torch import Tensor
from torch.optim import Adagrad, Adam, AdamW

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.models.complex import ComplEx
from kg.models.conve import ConvE
from kg.models.distmult import DistMult
from kg.models.gated import Gated
from kg.models.neighbourhood import NeighbourhoodTransformer
from kg.models.scorer import WORST, Queries, Scorer
from kg.training.gradient_descent import GradientDescent
from kg.training.regularizers import N3
from kg.training.run import Run

N, R = 6, 2
RING = [[i, 0, (i + 1) % N] for i in range(N)] + [[i, 1, N - 1 - i] for i in range(N)]
GRAPH = Graph.from_triples(torch.tensor(RING), N, R)
# Two more entities: N has edges, N + 1 has none.
GROWN = Graph.from_triples(torch.tensor([*RING, [N, 0, 2], [3, 1, N]]), N + 2, R)
OWN = partial(NeighbourhoodTransformer, dim=6, width=8, init=0.5)
BASE = partial(ComplEx, dim=6, init=0.5)


def gated(**arguments: Any) -> Gated:
    """Both scores large enough to tell apart, and a gate that differs from relation to relation."""
    torch.manual_seed(0)
    scorer = Gated(N, R, **{"own": OWN, "base": BASE, **arguments})
    fill(scorer.gate.weight, [[0.5], [2.0], [-1.0], [3.0]])
    return scorer


def everything(graph: Graph, heads: int = N) -> Queries:
    """Every question about the first entities."""
    head, relation = torch.meshgrid(torch.arange(heads), torch.arange(2 * R), indexing="ij")
    return Queries(head.reshape(-1), relation.reshape(-1), graph)


def on_paper() -> Gated:
    """Own vectors 1, 2 and weights 3, 5; the base's 10, -1 and 2, 7; gates 0.5 and -2."""
    scorer = Gated(2, 1, own=partial(DistMult, dim=1), base=partial(DistMult, dim=1))
    fill(scorer.own.table.weight, [[1.0], [2.0]])
    fill(scorer.own.diagonal.weight, [[3.0], [5.0]])
    fill(scorer.base.table.weight, [[10.0], [-1.0]])
    fill(scorer.base.diagonal.weight, [[2.0], [7.0]])
    assert scorer.gate.weight.flatten().tolist() == [1.0, 1.0]
    fill(scorer.gate.weight, [[0.5], [-2.0]])
    return scorer


def test_by_hand() -> None:
    graph = Graph.from_triples(torch.tensor([[0, 0, 1]]), 2, 1)
    queries = Queries(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), graph)
    scores = on_paper().score_tails(queries)
    assert scores.tolist() == [
        [1 * 3 * 1 + 0.5 * (10 * 2 * 10), 1 * 3 * 2 + 0.5 * (10 * 2 * -1)],
        [2 * 3 * 1 + 0.5 * (-1 * 2 * 10), 2 * 3 * 2 + 0.5 * (-1 * 2 * -1)],
        [2 * 5 * 1 - 2.0 * (-1 * 7 * 10), 2 * 5 * 2 - 2.0 * (-1 * 7 * -1)],  # backwards: a gate of its own
    ]


def test_a_gate_at_first_lets_all_of_the_base_through() -> None:
    torch.manual_seed(0)
    scorer = Gated(N, R, own=OWN, base=BASE)
    queries = everything(GRAPH)
    expected = scorer.own.score_tails(queries) + scorer.base.score_tails(queries)
    torch.testing.assert_close(scorer.score_tails(queries), expected)


def test_the_gate_learns_from_the_base_score() -> None:
    scorer = on_paper()
    graph = Graph.from_triples(torch.tensor([[0, 0, 1]]), 2, 1)
    scorer.score_hrt(Queries(torch.tensor([0]), torch.tensor([0]), graph), torch.tensor([1])).sum().backward()
    assert scorer.gate.weight.grad.tolist() == [[10 * 2 * -1], [0]]


# Entities beyond the base's table


def expected_beyond(scorer: Gated) -> Tensor:
    """(questions, N + 2): the own score, and for pairs that the base knows g_r times the base's."""
    queries = everything(GROWN, N + 1)
    scores = scorer.own.score_tails(queries).clone()
    inside = everything(GRAPH)
    scores[: len(inside), :N] += scorer.gate.rows(inside.relation) * scorer.base.score_tails(inside)
    return scores


@pytest.mark.parametrize("frozen", [False, True])
def test_beyond_the_table_the_own_score_counts_alone(frozen: bool) -> None:
    scorer = gated(frozen=frozen)
    queries, expected = everything(GROWN, N + 1), expected_beyond(scorer)
    assert bool((expected[:, :N] > WORST / 2).all()) and bool((expected[:, N] > WORST / 2).all())
    assert bool((expected[:, N + 1] == WORST).all())  # which nobody has a vector for
    state = scorer.encode(queries)
    assert torch.equal(scorer.score_tails(queries), expected)
    for block in (slice(0, N), slice(N, N + 2), slice(4, N + 1), slice(N + 1, 100), slice(None), slice(2, 2)):
        torch.testing.assert_close(scorer.compare(state, block), expected[:, block])
    for shared in ([N, 0, N + 1, N], [N + 1], [0, 3]):
        torch.testing.assert_close(scorer.compare(state, torch.tensor(shared)), expected[:, shared])
    own = torch.arange(len(queries) * 3).view(-1, 3) % (N + 2)
    torch.testing.assert_close(scorer.compare(state, own), expected.gather(1, own))
    for tail in range(N + 2):
        torch.testing.assert_close(scorer.score_hrt(queries, torch.full((len(queries),), tail)), expected[:, tail])
    torch.testing.assert_close(scorer.score_tails(queries[-3:]), expected[-3:])  # heads beyond the table alone


def test_relations_beyond_the_table_are_scored_by_the_own_score() -> None:
    scorer = gated()
    head, tail = torch.tensor([N, 2, 0]), torch.tensor([1, N, 4])
    own, base = scorer.own.score_relations(head, tail, GROWN), scorer.base.score_relations(head[2:], tail[2:], GROWN)
    expected = own + torch.cat([torch.zeros(2, 2 * R), base * scorer.gate.weight[:, 0]])
    torch.testing.assert_close(scorer.score_relations(head, tail, GROWN), expected)


def test_what_neither_knows_is_an_error() -> None:
    with pytest.raises(UserError, match="NeighbourhoodTransformer has no vector for an entity"):
        gated().score_tails(Queries(torch.tensor([N + 1]), torch.tensor([0]), GROWN))
    both = gated(own=BASE)
    with pytest.raises(UserError, match="ComplEx has no vector for an entity"):
        both.score_tails(Queries(torch.tensor([N]), torch.tensor([0]), GROWN))
    scores = both.score_tails(everything(GROWN))
    assert bool((scores[:, N:] == WORST).all()) and bool((scores[:, :N] > WORST / 2).all())


def test_what_the_base_lacks_moves_nothing_of_it() -> None:
    """The entity 0 stands in for heads that the base has no row for: neither it nor the gate may learn from them."""
    scorer = gated()
    scorer.score_tails(Queries(torch.tensor([N, N]), torch.tensor([0, 3]), GROWN), slice(0, N + 1)).sum().backward()
    assert not any(bool(weight.grad.any()) for weight in (*scorer.base.parameters(), scorer.gate.weight))
    assert bool(scorer.own.table.weight.grad.any()) and bool(scorer.own.table.weight.grad.isfinite().all())


# Dropout


def test_the_base_is_left_out_of_whole_questions() -> None:
    scorer = gated(base_dropout=0.5)
    queries = Queries(torch.arange(N).repeat(100), torch.tensor([0]).expand(6 * 100), GRAPH)
    alone, both = scorer.own.score_tails(queries), scorer.score_tails(queries)
    drawn = scorer.score_tails(replace(queries, generator=torch.Generator().manual_seed(0)))
    is_alone = (drawn == alone).all(1)
    assert torch.equal(drawn, torch.where(is_alone[:, None], alone, both))  # and not scaled where it counts
    assert is_alone.float().mean().item() == pytest.approx(0.5, abs=0.06)  # three standard deviations
    always = gated(base_dropout=1.0).score_tails(replace(queries, generator=torch.Generator()))
    assert torch.equal(always, alone)
    assert torch.equal(gated(base_dropout=1.0).score_tails(queries), both)


def test_a_frozen_base_answers_as_it_does_outside_training() -> None:
    base = partial(ComplEx, dim=6, entity_dropout=0.5)
    frozen, learning = (gated(base=base, frozen=frozen) for frozen in (True, False))
    drawn = [replace(everything(GRAPH), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(*(frozen.score_tails(queries) for queries in drawn))
    assert not torch.equal(*(learning.score_tails(queries) for queries in drawn))


# Frozen


def test_a_frozen_base_gets_no_gradient() -> None:
    scorer = gated(frozen=True)
    scorer.score_tails(everything(GRAPH)).square().sum().backward()
    without = {name for name, p in scorer.named_parameters() if p.grad is None}
    assert without == {"base.table.weight", "base.diagonal.weight"}
    assert bool(scorer.gate.weight.grad.all())
    learning = gated()
    learning.score_tails(everything(GRAPH)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in learning.base.parameters())


def test_a_frozen_base_is_not_weighed() -> None:
    queries, tail = everything(GRAPH), torch.arange(4 * N) % N
    frozen, learning = gated(frozen=True), gated()
    for found, expected in zip(frozen.factors(queries, tail), frozen.own.factors(queries, tail), strict=True):
        assert torch.equal(found, expected)
    assert len(learning.factors(queries, tail)) == 6


def trained(data: Dataset, scorer: "partial[Scorer]", **changed: Any) -> Scorer:
    run = Run(
        scorer, GradientDescent(partial(Adam, lr=0.05), regularizer=N3(0.1), batch_size=200, hide="exact", epochs=3)
    )
    run = varied(run, **changed)
    fit = run.algorithm.trainer(run.new_scorer(50, 3), data, run.seed)
    losses = [epoch.loss for epoch in fit]
    assert losses[-1] < losses[0]
    return fit.scorer


@pytest.mark.parametrize("base", [BASE, partial(ConvE, dim=16, channels=4, entity_dropout=0.2)], ids=["plain", "norms"])
@pytest.mark.parametrize(
    "optimizer", [partial(Adam, lr=0.05), partial(AdamW, weight_decay=0.5), partial(Adagrad, lr=0.1, weight_decay=0.1)]
)
def test_a_frozen_base_stays_bitwise_as_it_was(
    random_dataset: Dataset, base: "partial[Scorer]", optimizer: "partial[torch.optim.Optimizer]"
) -> None:
    """Its running figures, too; and decay of weights passes it by."""
    made = partial(Gated, own=OWN, base=base, frozen=True)
    before = Run(made, GradientDescent(optimizer, hide="exact")).new_scorer(50, 3).state_dict()
    after = trained(random_dataset, made, optimizer=optimizer).state_dict()
    for name, value in after.items():
        assert torch.equal(value, before[name]) == name.startswith("base."), name


def test_a_base_that_learns_moves(random_dataset: Dataset) -> None:
    made = partial(Gated, own=OWN, base=BASE, base_dropout=0.2)
    before = Run(made, GradientDescent(partial(Adam), hide="exact")).new_scorer(50, 3).state_dict()
    after = trained(random_dataset, made).state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in after.items() if name.startswith("base."))
