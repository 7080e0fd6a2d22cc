"""ARE on paper, and the gradient that its walks pass on."""

import numpy as np
import torch
from paper import fill

from kg.graph.dataset import Dataset
from kg.graph.graph import Graph
from kg.models.are import ARE
from kg.models.scorer import Queries

FACTS = [[0, 0, 1], [0, 0, 2], [1, 1, 3], [1, 1, 4], [2, 1, 4]]


def by_hand() -> ARE:
    """Relation 1 walks 0, and 0 then 1: to 1 and 2 with 1/2 each, to 3 with 1/4 and to 4 with 3/4."""
    made = ARE(5, 2, dim=1, num_paths=2, max_length=2)
    fill(made.latent.table.weight, [[1.0], [2.0], [3.0], [4.0], [5.0]])
    fill(made.latent.matrix.weight, [[[1.0]], [[10.0]], [[0.0]], [[0.0]]])
    made.learn(1, np.array([[0, -1], [0, 1]]), np.array([2.0, 8.0], np.float32))
    return made


def asked(relation: int, graph: Graph, head: int = 0) -> Queries:
    return Queries(torch.tensor([head]), torch.tensor([relation]), graph)


def test_scores_by_hand() -> None:
    made, graph = by_hand(), Graph.from_triples(torch.tensor(FACTS), 5, 2)
    assert made.score_tails(asked(1, graph))[0].tolist() == [10, 20 + 1, 30 + 1, 40 + 2, 50 + 6]
    assert made.score_tails(asked(0, graph))[0].tolist() == [1, 2, 3, 4, 5]  # no paths
    hidden = graph.hide(torch.tensor([[0, 0, 2]]))
    assert made.score_tails(asked(1, hidden))[0].tolist() == [10, 20 + 2, 30, 40 + 4, 50 + 4]


def test_entities_without_a_vector_are_scored_by_walks_alone() -> None:
    made, graph = by_hand(), Graph.from_triples(torch.tensor([*FACTS, [5, 0, 1], [1, 1, 6]]), 7, 2)
    third = 8 / 3
    scores = made.score_tails(asked(1, graph, 5))[0]
    torch.testing.assert_close(scores, torch.tensor([0, 2.0, 0, third, third, 0, third]))
    assert made.score_tails(asked(1, graph))[0, 6] == torch.tensor(8 / 6)


def test_the_gradient_of_the_weights_is_that_of_dense_walks(random_dataset: Dataset) -> None:
    """Scores are linear in the weights: against one weight after the other put to 1."""
    torch.manual_seed(0)
    made, graph = ARE(50, 3, dim=4, num_paths=3, max_length=2), random_dataset.graph()
    made.paths.random_(6)
    queries = Queries(torch.tensor([0, 7, 7, 49]), torch.tensor([2, 0, 0, 5]), graph)
    slope = torch.randn(4, 50)
    (made.score_tails(queries) * slope).sum().backward()
    assert made.weight.grad is not None
    before = made.score_tails(queries).detach()
    for relation, k in np.ndindex(6, 3):
        with torch.no_grad():
            made.weight[relation, k] = 1
            change = ((made.score_tails(queries) - before) * slope).sum()
            made.weight[relation, k] = 0
        torch.testing.assert_close(made.weight.grad[relation, k], change, rtol=1e-3, atol=1e-4)
    assert bool(made.weight.grad[[0, 2, 5]].any(1).all()) and not bool(made.weight.grad[[1, 3, 4]].any())
