"""SimplE: CP twice, once from each side, and the mean of both."""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import Queries, QueryVectors, TieableScorer


def _exchanged(weight: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """The two halves in the other order."""
    return weight.roll(weight.shape[1] // 2, 1)


@final
class SimplE(TieableScorer):
    """score(h, r, t) = (<h_e, v_r, t_t> + <h_t, v'_r, t_e>) / 2 (Kazemi and Poole, 2018). encode -> (B, 2 dim).

    The row of an entity holds x_e, its vector as a head, then x_t, its vector as a tail; that of a relation v_r, then
    v'_r. A tied inverse exchanges v_r and v'_r; own inverses have vectors of their own.
    """

    tie = staticmethod(_exchanged)

    @staticmethod
    def sizes(dim: int) -> tuple[int, tuple[int, ...]]:
        return 2 * dim, (2 * dim,)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = self.weights.rows(queries.relation, queries.generator)
        # In the order of a candidate's row: t_e meets h_t v'_r, and t_t meets h_e v_r.
        return QueryVectors(_exchanged(self.heads(queries) * weight) / 2, queries.graph)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        return self.weights.dots(first * _exchanged(last) / 2)  # h_e t_t meets v_r, h_t t_e meets v'_r
