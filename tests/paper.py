"""What the tests of formulas on paper share: to write parameters down, and to score one fact."""

from typing import Any

import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries, Scorer


def no_facts(entities: int, relations: int) -> Graph:
    return Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), entities, relations)


def fill(parameter: Tensor, rows: list[Any]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(rows))


def score(scorer: Scorer, head: int, relation: int, tail: int) -> float:
    where = no_facts(scorer.num_entities, scorer.num_relations)
    return scorer.score_hrt(Queries(torch.tensor([head]), torch.tensor([relation]), where), torch.tensor([tail])).item()
