"""What the tests of formulas on paper share: to write parameters or whole rows of scores down, and to score a fact;
and which scorers are made without a gradient.
"""

from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models import SCORERS
from kg.models.scorer import WORST, Queries, Scorer, Tails

SIMILARITIES = tuple(name for name, home in SCORERS.items() if home.startswith("kg.models.similarity:"))
# What no gradient moves: counted, mined or fitted in one pass.
COUNTED = ("frequency", "naive_bayes", "combine", "rank_ensemble", "rules", "path_ranking", *SIMILARITIES)


@final
class Table(Scorer):
    """A score each (relation, tail), in a buffer, whatever the head; WORST beyond the table. It has no parameters."""

    def __init__(self, num_entities: int, num_relations: int) -> None:
        super().__init__(num_entities, num_relations)
        self.register_buffer("scores", torch.zeros(2 * num_relations, num_entities))

    def encode(self, queries: Queries) -> Queries:
        return queries

    def compare(self, state: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        assert tails is None, "a combination asks for whole rows"
        rows = self.scores[state.relation]
        missing = rows.new_full((len(rows), state.graph.num_entities - self.num_entities), WORST)
        return torch.cat([rows, missing], 1)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()


def no_facts(entities: int, relations: int) -> Graph:
    return Graph.from_triples(torch.zeros(0, 3, dtype=torch.long), entities, relations)


def fill(parameter: Tensor, rows: list[Any]) -> None:
    with torch.no_grad():
        parameter.copy_(torch.tensor(rows))


def score(scorer: Scorer, head: int, relation: int, tail: int) -> float:
    where = no_facts(scorer.num_entities, scorer.num_relations)
    return scorer.score_hrt(Queries(torch.tensor([head]), torch.tensor([relation]), where), torch.tensor([tail])).item()
