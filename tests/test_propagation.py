"""Frontiers and messages: loops in compiled code against PyTorch, edge by edge."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.walks.frontier import Frontier, Hidden, Hop, adjacency_of, beginning, hop, sources
from kg.walks.propagation import Message, propagated, propagated_plainly

MANY = 1 << 30
# Asymmetric: 0 leads to many, and what leads back is another relation. An edge twice, a loop, two ends of one relation.
FACTS = [[0, 0, 1], [0, 0, 2], [0, 1, 2], [2, 0, 3], [3, 1, 3], [1, 1, 4], [4, 0, 0], [4, 1, 5]]


def graph() -> Graph:
    return Graph.from_triples(torch.tensor(FACTS), 7, 2)


def nothing_hidden(num_rows: int) -> Hidden:
    empty = np.zeros(0, np.int32)
    return Hidden(np.zeros(num_rows + 1, np.int64), empty, empty, empty)


def hidden(*edges: Sequence[int]) -> Hidden:
    """From one question alone."""
    columns = np.ascontiguousarray(np.array(edges, np.int32).reshape(-1, 3).T)
    return Hidden(np.array([0, len(edges)]), *columns)


def walked(
    heads: list[int], num_hops: int = 2, most: int = MANY, most_edges: int = MANY, unseen: Hidden | None = None
) -> tuple[Frontier, list[Hop]]:
    edges, reached, along = adjacency_of(graph()), beginning(np.array(heads)), []
    for _ in range(num_hops):
        chosen = sources(edges, reached, np.zeros(len(reached.row)), most, most_edges)
        shift = np.full(len(heads), 0.5)
        reached, last = hop(edges, reached, chosen, unseen or nothing_hidden(len(heads)), most_edges, shift)
        along.append(last)
    return reached, along


def nodes(reached: Frontier) -> set[tuple[int, int]]:
    return set(zip(reached.row.tolist(), reached.entity.tolist(), strict=True))


def test_a_frontier_grows_from_the_heads_by_hand() -> None:
    reached, (first, second) = walked([0, 5])
    assert reached.entity[:2].tolist() == [0, 5] and reached.starts[:, 0].tolist() == [0, 2, 6]
    assert nodes(reached) == {(0, e) for e in range(6)} | {(1, e) for e in (5, 4, 1, 0)}
    edges = zip(first.edge_source().tolist(), first.relation.tolist(), first.target.tolist(), strict=True)
    named = [(int(reached.entity[x]), r, int(reached.entity[y])) for x, r, y in edges]
    assert named == [(0, 0, 1), (0, 0, 2), (0, 1, 2), (0, 2, 4), (5, 3, 4)]
    assert first.arriving.tolist() == [0, 0, 1, 2, 1, 1]
    assert len(second.relation) == len(adjacency_of(graph()).tail[:0]) + 4 + 3 + 2 + 3 + 1 + 3


def test_a_hidden_edge_is_not_there_in_either_direction_nor_others_with_it() -> None:
    reached, (first, second) = walked([0], unseen=hidden((0, 0, 1), (1, 2, 0)))
    without = Graph.from_triples(torch.tensor(FACTS[1:]), 7, 2)
    assert nodes(reached) == {(0, e) for e in (0, 1, 2, 3, 4, 5)}  # 1 by way of 4
    assert len(first.relation) == int(without.degree()[0])
    assert len(second.relation) == int(without.degree()[[0, 2, 4]].sum())


def test_nodes_that_tie_at_the_border_lead_on_together_or_not_at_all() -> None:
    edges, heads = adjacency_of(graph()), np.zeros(1, np.int64)
    reached, _ = walked([0], num_hops=1)  # 0, then 1, 2, 4

    def best(scores: list[float], most: int) -> list[int]:
        return reached.entity[sources(edges, reached, np.array(scores), most, MANY).node].tolist()

    assert best([3.0, 1, 2, 0], 2) == [0, 2]
    assert best([3.0, 1, 1 + 1e-7, 0], 2) == [0, 1, 2]  # they tie: what is between them is rounding
    assert best([1.0, 1, 1, 1], 1) == [0, 1, 2, 4]
    assert len(heads) == 1
    many = Frontier(np.zeros(9, np.int32), np.zeros(9, np.int32), np.array([[0, 9]]))
    assert len(sources(edges, many, np.array([2.0] + [1.0] * 8), 2, MANY).node) == 1  # eight in one place: none


@pytest.mark.parametrize("times", [False, True])
def test_the_compiled_sum_and_its_gradient_are_those_of_autograd(times: bool) -> None:
    reached, along = walked([0, 5], num_hops=3)
    first = message(len(along[1].arriving), torch.float64)
    start = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(along[2].arriving), 5, dtype=torch.float64)
    assert len(along[2].arriving) == len(reached.row)
    found = []
    for way in (propagated, propagated_plainly):
        total = way(first, start, along[2], times)
        slopes = torch.autograd.grad((total * weights).sum(), [*first, start])
        found.append([total, *slopes])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
        assert bool(mine.any())


@pytest.mark.parametrize("times", [False, True])
def test_the_gradient_is_the_slope(times: bool) -> None:
    _, along = walked([0, 5])
    given = message(len(along[0].arriving), torch.float64)
    start = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda *tensors: propagated(Message(*tensors[:-1]), tensors[-1], along[1], times), (*given, start)
    )


def message(num_nodes: int, dtype: torch.dtype = torch.float32) -> Message:
    torch.manual_seed(0)
    shapes = [(num_nodes, 5), (num_nodes,), (num_nodes, 3), (4, 3), (4,), (4, 5)]
    return Message(*(torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes))


def test_a_message_arrives_at_the_end_of_its_edge() -> None:
    """Summed where it leaves, a model learns next to nothing, and nobody is told."""
    _, (first, *_) = walked([0])
    given = message(1)._replace(state=torch.ones(1, 5), gate=torch.ones(1), vector=torch.zeros(4, 5))
    given = given._replace(weight=torch.tensor([0.0, 0, 0, 50]))  # an attention of 1
    arrived = propagated(given, torch.zeros(1, 5), first, times=False)
    assert arrived[:, 0].tolist() == first.arriving.tolist() == [0, 1, 2, 1]


def test_the_same_bits_each_time() -> None:
    _, along = walked([0, 5], num_hops=3)
    given = message(len(along[1].arriving))
    one, other = (propagated(given, torch.zeros(2, 5), along[2], True) for _ in range(2))
    assert torch.equal(one, other)


def test_a_part_of_a_long_list_stands_for_all_of_it() -> None:
    """A shift for each part of a step: the mean over them is the sum over all edges."""
    edges, head = adjacency_of(graph()), np.array([0])
    given = message(1)._replace(vector=torch.randn(4, 5), relation_key=torch.randn(4, 3))

    def sums(most_edges: int, shift: float) -> Tensor:
        chosen = sources(edges, beginning(head), np.zeros(1), MANY, most_edges)
        reached, along = hop(edges, beginning(head), chosen, nothing_hidden(1), most_edges, np.array([shift]))
        arrived = propagated(given, torch.zeros(1, 5), along, times=False)
        return torch.zeros(7, 5).index_add(0, torch.from_numpy(reached.entity).long(), arrived)

    whole = sums(MANY, 0.0)
    drawn = [sums(3, (i + 0.5) / 12) for i in range(12)]  # three of four edges, each in three shifts of four
    assert not torch.allclose(drawn[0], whole)
    torch.testing.assert_close(torch.stack(drawn).mean(0), whole)


def test_hops_of_a_graph_with_other_ids_are_the_same() -> None:
    moved = torch.tensor([3, 6, 0, 5, 1, 2, 4])
    facts = torch.tensor(FACTS)
    facts = torch.stack([moved[facts[:, 0]], facts[:, 1], moved[facts[:, 2]]], 1)
    other = replace(Graph.from_triples(facts, 7, 2))
    reached, _ = walked([0])
    edges, there = adjacency_of(other), beginning(moved[:1].numpy())
    for _ in range(2):
        chosen = sources(edges, there, np.zeros(len(there.row)), MANY, MANY)
        there, _ = hop(edges, there, chosen, nothing_hidden(1), MANY, np.zeros(1))
    assert {(0, int(moved[e])) for _, e in nodes(reached)} == nodes(there)
