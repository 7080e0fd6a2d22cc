"""A scorer that says what it was told to: a score each directed relation, head and tail."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import UserError
from kg.models.scorer import WORST, Queries, Scorer, Tails


@final
class Tabled(Scorer):
    """score(h, r, t) = scores[r, h, t]; beyond the table WORST for a tail, and a UserError for a head."""

    def __init__(self, scores: Float[Tensor, "R2 N N"]) -> None:
        super().__init__(scores.shape[1], scores.shape[0] // 2)
        self.register_buffer("scores", scores)

    def encode(self, queries: Queries) -> Queries:
        if bool((queries.head >= self.num_entities).any()):
            raise UserError("Tabled has no row for an entity it was not trained with")
        return queries

    def compare(self, state: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        rows = self.scores[state.relation, state.head]
        rows = torch.nn.functional.pad(rows, (0, state.graph.num_entities - self.num_entities), value=WORST)
        if isinstance(tails, Tensor) and tails.ndim == 2:
            return rows.gather(1, tails)
        return rows if tails is None else rows[:, tails]

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()
