"""Structured embeddings on paper."""

import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries
from kg.models.structured import StructuredEmbedding

NOTHING = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 2, 1)


def made(sides: list[list[list[list[float]]]], tied: bool) -> StructuredEmbedding:
    """Two entities (1, 2) and (3, -1)."""
    scorer = StructuredEmbedding(2, 1, dim=2, tied=tied)
    scorer.load_state_dict(
        {"table.weight": torch.tensor([[1.0, 2.0], [3.0, -1.0]]), "matrices.weight": torch.tensor(sides)}
    )
    return scorer


def scores(scorer: StructuredEmbedding, head: int, relation: int) -> list[float]:
    queries = Queries(torch.tensor([head]), torch.tensor([relation]), NOTHING)
    return scorer.score_tails(queries)[0].tolist()


LEFT, RIGHT = [[1.0, 1.0], [0.0, 2.0]], [[0.0, 1.0], [-1.0, 0.0]]  # rows of vectors stand to their left


def test_structured_embedding_by_hand() -> None:
    tied = made([[LEFT, RIGHT]], tied=True)
    # Head (1, 2) becomes (1, 5); the tails (1, 2) and (3, -1) become (-2, 1) and (1, 3).
    assert scores(tied, 0, 0) == [-(3.0 + 4.0), -(0.0 + 2.0)]
    # The tied inverse swaps the sides: head (3, -1) becomes (1, 3), the tails (1, 5) and (3, 1).
    assert scores(tied, 1, 1) == [-(0.0 + 2.0), -(2.0 + 2.0)]
    own = made([[LEFT, RIGHT], [RIGHT, RIGHT]], tied=False)
    assert scores(own, 0, 0) == [-7.0, -2.0]
    assert scores(own, 1, 1) == [-(3.0 + 2.0), 0.0]  # the head (1, 3) against (-2, 1) and (1, 3)


def plainly(scorer: StructuredEmbedding, head: Tensor, relation: Tensor) -> Tensor:
    entities, sides = scorer.table.weight, scorer.matrices.weight[relation]
    left = torch.einsum("bd,bde->be", entities[head], sides[:, 0])
    right = torch.einsum("nd,bde->bne", entities, sides[:, 1])
    return -(left[:, None] - right).abs().sum(2)


def test_scores_and_gradients_are_those_of_projections_written_out() -> None:
    torch.manual_seed(0)
    scorer = StructuredEmbedding(30, 4, dim=5, init=1.0).double()
    graph = Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), 30, 4)
    head, relation = torch.arange(12), torch.tensor([7, 0, 3, 3, 7, 1, 0, 0, 3, 7, 7, 1])  # in no order, some unasked
    weight = torch.randn(12, 30, dtype=torch.float64)
    parameters = list(scorer.parameters())
    found, expected = scorer.score_tails(Queries(head, relation, graph)), plainly(scorer, head, relation)
    torch.testing.assert_close(found, expected)
    gradients = (torch.autograd.grad((x * weight).sum(), parameters) for x in (found, expected))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
