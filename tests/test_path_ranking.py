"""Path ranking by hand: a bias, and a weight for each path that leads to a candidate."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.path_ranking import PathRanking
from kg.models.scorer import Queries

FACTS = [[0, 0, 1], [0, 0, 2], [1, 1, 3], [1, 1, 4], [2, 1, 4]]


def scorer(*rows: tuple[int, list[list[int]], list[float], float], num_paths: int = 2) -> PathRanking:
    made = PathRanking(5, 2, num_paths=num_paths, max_length=2)
    for relation, paths, weight, bias in rows:
        made.learn(relation, np.array(paths), np.array(weight, np.float32), bias)
    return made


def scores(of: PathRanking, head: int, relation: int, entities: int = 5, more: tuple[list[int], ...] = ()) -> Tensor:
    graph = Graph.from_triples(torch.tensor([*FACTS, *more]), entities, 2)
    return of.score_tails(Queries(torch.tensor([head]), torch.tensor([relation]), graph))[0]


def test_scores_by_hand() -> None:
    made = scorer((1, [[0, -1], [0, 1]], [2.0, 8.0], -3.0), (2, [[3, -1], [-1, -1]], [4.0, 100.0], 1.0))
    assert scores(made, 0, 1).tolist() == [-3, -2, -2, -1, 3]  # 0 -> 1, 2; on to 3 with 1/4 and to 4 with 3/4
    assert scores(made, 4, 2).tolist() == [1, 3, 3, 1, 1]
    assert scores(made, 4, 1).tolist() == [-3] * 5
    assert scores(made, 0, 0).tolist() == [0] * 5  # nothing was learned of it


def test_entities_that_came_later_are_answered_for() -> None:
    made = scorer((0, [[0, -1], [0, 1]], [1.0, 2.0], 0.0))
    more = ([5, 0, 6], [5, 0, 1], [6, 1, 5])
    assert scores(made, 5, 0, 7, more).tolist() == [0, 0.5, 0, 0.5, 0.5, 1, 0.5]
    assert scores(made, 5, 0, 7).tolist() == [0] * 7


def test_what_is_hidden_is_not_walked() -> None:
    made = scorer((1, [[0, -1], [0, 1]], [2.0, 8.0], 0.0))
    graph = Graph.from_triples(torch.tensor(FACTS), 5, 2).hide(torch.tensor([[0, 0, 2]]))
    asked = Queries(torch.tensor([0]), torch.tensor([1]), graph)
    assert made.score_tails(asked)[0].tolist() == [0, 2, 0, 4, 4]


@pytest.mark.parametrize(("head", "relation"), [(5, 0), (-1, 0), (0, 4), (0, -1)])
def test_numbers_outside_of_the_graph_are_errors(head: int, relation: int) -> None:
    with pytest.raises(IndexError, match="expected numbers from 0 to"):
        scores(PathRanking(5, 2), head, relation)


def test_weights_survive_a_state_dict() -> None:
    made = scorer((0, [[0, -1], [0, 1]], [1.0, 2.0], 4.0))
    other = PathRanking(5, 2, num_paths=2, max_length=2)
    other.load_state_dict(made.state_dict())
    assert torch.equal(scores(other, 0, 0), scores(made, 0, 0))
    assert not torch.equal(scores(other, 0, 0), scores(PathRanking(5, 2), 0, 0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_paths": 0}, "num_paths must be at least 1: got 0"),
        ({"max_length": 0}, "max_length must be from 1 to 4: got 0"),
        ({"max_length": 5}, "max_length must be from 1 to 4: got 5"),
    ],
)
def test_sizes_that_cannot_be(arguments: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        PathRanking(5, 2, **arguments)
