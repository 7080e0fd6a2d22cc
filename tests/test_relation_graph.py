"""What relations share, by hand."""

import math

import torch

from kg.graph.graph import Graph
from kg.walks.relation_graph import FIGURES, SHARES, relation_graph_of

# r0: 0 -> 1, 0 -> 2, 3 -> 1.  r1: 0 -> 1, 2 -> 0.
FACTS = torch.tensor([[0, 0, 1], [0, 0, 2], [3, 0, 1], [0, 1, 1], [2, 1, 0]])
GRAPH = Graph.from_triples(FACTS, 4, 2)


def share(name: str, relation: int, other: int) -> float:
    return float(relation_graph_of(GRAPH).share[SHARES.index(name), relation, other]) ** 2


def figure(name: str, relation: int) -> float:
    return float(relation_graph_of(GRAPH).figures[relation, FIGURES.index(name)])


def test_shares_by_hand() -> None:
    """Heads of r0: 0, 3; tails: 1, 2. Heads of r1: 0, 2; tails: 0, 1. One of r0's three pairs is one of r1's two."""
    found = {
        ("heads in heads", 0, 1): 1 / 2,
        ("tails in tails", 0, 1): 1 / 2,
        ("heads in tails", 0, 1): 1 / 2,
        ("tails in heads", 0, 1): 1 / 2,
        ("pairs in pairs", 0, 1): 1 / 3,
        ("pairs in pairs", 1, 0): 1 / 2,
        ("heads in tails", 0, 0): 0,
        ("heads in tails", 1, 1): 1 / 2,
        ("heads in heads", 2, 3): 1 / 2,  # of the inverses: tails in tails
        ("heads in tails", 2, 1): 1 / 2,  # tails of r0 in tails of r1
        ("pairs in pairs", 2, 3): 1 / 3,
        ("pairs in pairs", 0, 2): 0,
    }
    assert {key: round(share(*key), 6) for key in found} == {key: round(value, 6) for key, value in found.items()}


def test_figures_by_hand() -> None:
    """Relation 0 has 3 facts, 2 heads and 2 tails."""
    assert math.isclose(figure("facts", 0), math.log(4) / 10, rel_tol=1e-6)
    assert math.isclose(figure("facts a head", 0), math.log(1.5), rel_tol=1e-6)
    assert math.isclose(figure("facts a tail", 3), 0, abs_tol=1e-6)  # two facts of r1, two heads
    assert math.isclose(figure("heads", 2), math.sqrt(1 / 2), rel_tol=1e-6)
    assert figure("symmetry", 0) == 0
    assert math.isclose(figure("facts an entity", 1), math.log1p(10 / 4), rel_tol=1e-6)


def test_a_fact_stated_twice_and_a_loop_count_once() -> None:
    graph = Graph.from_triples(torch.tensor([[0, 0, 1], [0, 0, 1], [1, 0, 1]]), 2, 1)
    share, figures = relation_graph_of(graph)
    assert bool((share <= 1).all()) and figures.isfinite().all()
    assert math.isclose(float(share[SHARES.index("pairs in pairs"), 0, 1]) ** 2, 1 / 2, rel_tol=1e-6)  # the loop's
