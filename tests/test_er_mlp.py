"""ER-MLP on paper."""

import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.er_mlp import ERMLP
from kg.models.scorer import Queries

NOTHING = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 2, 1)


def made() -> ERMLP:
    scorer = ERMLP(2, 1, dim=2)
    values = {
        "table.weight": [[1.0, 2.0], [3.0, -1.0]],
        "relation.weight": [[1.0, 0.0], [0.0, 2.0]],
        "blocks": [[[1.0, 0.0], [1.0, 1.0]], [[-4.0, 2.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, -3.0]]],  # (in, unit)
        "output": [2.0, -10.0],
    }
    scorer.load_state_dict({name: torch.tensor(rows) for name, rows in values.items()})
    return scorer


def scores(scorer: ERMLP, head: int, relation: int) -> list[float]:
    queries = Queries(torch.tensor([head]), torch.tensor([relation]), NOTHING)
    return scorer.score_tails(queries)[0].tolist()


def test_er_mlp_by_hand() -> None:
    scorer = made()
    # Head (1, 2) adds (3, 2), the relation (1, 0) adds (-4, 2), the tails (1, 2) and (3, -1) add (1, -6) and (3, 3).
    # The hidden layers (0, -2) and (2, 7) are cut to (0, 0) and (2, 7).
    assert scores(scorer, 0, 0) == [0.0, 2 * 2 - 10 * 7]
    # Head (3, -1) adds (2, -1), the inverse (0, 2) adds (0, 2): (3, -5) and (5, 4).
    assert scores(scorer, 1, 1) == [2 * 3.0, 2 * 5 - 10 * 4]


def plainly(scorer: ERMLP, head: Tensor, relation: Tensor) -> Tensor:
    """Every pair's hidden layer, written out."""
    of_head, of_relation, of_tail = scorer.blocks.unbind()
    entities = scorer.table.weight
    question = entities[head] @ of_head + scorer.relation.weight[relation] @ of_relation
    return (question[:, None] + entities @ of_tail).relu() @ scorer.output


def test_scores_and_gradients_are_those_of_the_hidden_layer_written_out() -> None:
    torch.manual_seed(0)
    scorer = ERMLP(30, 4, dim=12, init=1.0).double()
    graph = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 30, 4)
    head, relation = torch.arange(10), torch.arange(10) % 8
    weight = torch.randn(10, 30, dtype=torch.float64)
    parameters = list(scorer.parameters())
    found, expected = scorer.score_tails(Queries(head, relation, graph)), plainly(scorer, head, relation)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad((x * weight).sum(), parameters) for x in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
