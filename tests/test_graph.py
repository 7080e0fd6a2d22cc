"""Edges in compressed rows: by hand, then against sets of tuples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.graph.graph import Graph, with_inverses

Edge = tuple[int, int, int]


def edges(graph: Graph) -> list[Edge]:
    """(head, relation, tail) of every edge in the order they are held."""
    columns = (graph.head().tolist(), graph.relation.tolist(), graph.tail.tolist())
    return list(zip(*columns, strict=True))


def triples(facts: list[Edge]) -> torch.Tensor:
    return torch.tensor(facts, dtype=torch.long).reshape(-1, 3)


# Four entities, two relations. As edges (inverses are 2 and 3), sorted:
#   0: (0, 1) (1, 1) (2, 2)     0 -0-> 1, 0 -1-> 1, 2 -0-> 0 turned round
#   1: (0, 2) (2, 0) (3, 0)
#   2: (0, 0) (2, 1)
#   3: nothing
FACTS = [(2, 0, 0), (0, 0, 1), (0, 1, 1), (1, 0, 2), (0, 0, 1)]  # one of them twice
EDGES = [(0, 0, 1), (0, 1, 1), (0, 2, 2), (1, 0, 2), (1, 2, 0), (1, 3, 0), (2, 0, 0), (2, 2, 1)]


@pytest.fixture
def graph() -> Graph:
    return Graph.from_triples(triples(FACTS), 4, 2)


def test_rows_by_hand(graph: Graph) -> None:
    assert graph.offsets.tolist() == [0, 3, 6, 8, 8]
    assert edges(graph) == EDGES
    assert graph.num_edges == 8
    assert graph.degree().tolist() == [3, 3, 2, 0]


def test_a_graph_without_edges() -> None:
    empty = Graph.from_triples(triples([]), 3, 1)
    assert empty.offsets.tolist() == [0, 0, 0, 0] and edges(empty) == []
    assert edges(empty.hide(triples([(0, 0, 1)]))) == []
    assert empty.neighbours(torch.tensor([0, 2])).offsets.tolist() == [0, 0, 0]


def test_a_loop_and_its_inverse_are_two_edges() -> None:
    loop = Graph.from_triples(triples([(1, 0, 1)]), 2, 1)
    assert edges(loop) == [(1, 0, 1), (1, 1, 1)]
    assert edges(loop.hide(triples([(1, 0, 1)]))) == []


def test_with_inverses_by_hand() -> None:
    assert with_inverses(triples([(4, 0, 5), (6, 1, 7)]), 2).tolist() == [[4, 0, 5], [6, 1, 7], [5, 2, 4], [7, 3, 6]]


@pytest.mark.parametrize("asked", [(0, 0, 1), (1, 2, 0)], ids=["forward", "backward"])
def test_hide_exact_takes_the_edge_and_its_inverse_alone(graph: Graph, asked: Edge) -> None:
    hidden = graph.hide(triples([asked]))
    assert edges(hidden) == [edge for edge in EDGES if edge not in [(0, 0, 1), (1, 2, 0)]]
    assert hidden.offsets.tolist() == [0, 2, 4, 6, 6]


@pytest.mark.parametrize("asked", [(0, 0, 1), (1, 2, 0), (1, 0, 0)], ids=["forward", "backward", "no such edge"])
def test_hide_pairs_takes_all_between_the_two(graph: Graph, asked: Edge) -> None:
    between = [(0, 0, 1), (0, 1, 1), (1, 2, 0), (1, 3, 0)]
    assert edges(graph.hide(triples([asked]), pairs=True)) == [edge for edge in EDGES if edge not in between]


def test_hide_leaves_the_graph_it_was_asked_of(graph: Graph) -> None:
    graph.hide(triples(FACTS))
    assert edges(graph) == EDGES


def test_hiding_what_is_not_there_hides_nothing(graph: Graph) -> None:
    assert edges(graph.hide(triples([(0, 0, 2), (3, 1, 3)]))) == EDGES
    assert edges(graph.hide(triples([]))) == EDGES


def test_neighbours_by_hand(graph: Graph) -> None:
    found = graph.neighbours(torch.tensor([2, 3, 0, 2]))
    assert found.offsets.tolist() == [0, 2, 2, 5, 7]
    assert found.relation.tolist() == [0, 2, 0, 1, 2, 0, 2]
    assert found.tail.tolist() == [0, 1, 1, 1, 2, 0, 1]


def test_padded_by_hand(graph: Graph) -> None:
    relation, tail, mask = graph.neighbours(torch.tensor([2, 3, 0])).padded()
    assert relation.tolist() == [[0, 2, 0], [0, 0, 0], [0, 1, 2]]
    assert tail.tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 2]]
    assert mask.tolist() == [[True, True, False], [False] * 3, [True] * 3]


def test_padded_without_rows_or_edges(graph: Graph) -> None:
    assert graph.neighbours(torch.tensor([3, 3])).padded()[2].shape == (2, 0)
    assert graph.neighbours(torch.zeros(0, dtype=torch.long)).padded()[2].shape == (0, 0)


@pytest.fixture
def star() -> Graph:
    """Entity 0 with 30 tails, entity 31 with 2; row 0 of every sample is the one that is cut."""
    return Graph.from_triples(triples([(0, 0, i) for i in range(1, 31)] + [(31, 0, 1), (31, 0, 2)]), 32, 1)


def test_a_sample_is_without_replacement_and_keeps_short_rows(star: Graph) -> None:
    generator = torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(40):
        found = star.neighbours(torch.tensor([0, 31]), limit=5, generator=generator)
        assert found.offsets.tolist() == [0, 5, 7]
        drawn = found.tail[:5].tolist()
        assert drawn == sorted(set(drawn)) and set(drawn) <= set(range(1, 31))
        assert found.tail[5:].tolist() == [1, 2] and found.relation.tolist() == [0] * 7
        seen.update(drawn)
    assert seen == set(range(1, 31))  # none is out of reach


def test_a_sample_is_a_function_of_the_generator(star: Graph) -> None:
    def drawn(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return star.neighbours(torch.tensor([0]), limit=5, generator=generator).tail.tolist()

    assert drawn(1) == drawn(1) and drawn(1) != drawn(2)


def test_a_limit_needs_a_generator(star: Graph) -> None:
    with pytest.raises(ValueError, match="generator"):
        star.neighbours(torch.tensor([0]), limit=5)


def test_to_pyg(graph: Graph) -> None:
    data = graph.to_pyg()
    assert data.num_nodes == 4
    assert data.edge_index.tolist() == [[h for h, _, _ in EDGES], [t for _, _, t in EDGES]]
    assert data.edge_type.tolist() == [r for _, r, _ in EDGES]
    assert data.validate()


entity = st.integers(0, 5)
some_facts = st.lists(st.tuples(entity, st.integers(0, 2), entity), max_size=25)
some_edges = st.lists(st.tuples(entity, st.integers(0, 5), entity), max_size=6)  # in either direction


def turned(edge: Edge) -> Edge:
    head, relation, tail = edge
    return tail, (relation + 3) % 6, head


@settings(max_examples=40, deadline=None)
@given(some_facts, some_edges, st.lists(entity, max_size=4))
def test_all_of_it_against_sets(facts: list[Edge], asked: list[Edge], heads: list[int]) -> None:
    graph = Graph.from_triples(triples(facts), 6, 3)
    expected = set(facts) | set(map(turned, facts))
    assert edges(graph) == sorted(expected)

    gone = set(asked) | set(map(turned, asked))
    assert edges(graph.hide(triples(asked))) == sorted(expected - gone)
    ends = {(head, tail) for head, _, tail in gone}
    kept = sorted(edge for edge in expected if (edge[0], edge[2]) not in ends)
    assert edges(graph.hide(triples(asked), pairs=True)) == kept

    found = graph.neighbours(torch.tensor(heads, dtype=torch.long))
    rows = [sorted((r, t) for h, r, t in expected if h == head) for head in heads]
    assert found.offsets.diff().tolist() == list(map(len, rows))
    pairs = list(zip(found.relation.tolist(), found.tail.tolist(), strict=True))
    assert pairs == [pair for row in rows for pair in row]
