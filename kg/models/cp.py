"""CP: a vector of its own for each entity as a head and as a tail."""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor

from kg.graph.graph import Graph
from kg.models.scorer import DotScorer, Queries, QueryVectors
from kg.models.tables import EntityTable, RelationWeights


@final
class CP(DotScorer):
    """score(h, r, t) = sum_k h_k w_rk t_k, h and t from two tables: the canonical polyadic decomposition.

    (Lacroix, Usunier and Obozinski, 2018.) encode: (B,), (B,) -> (B, dim). Candidates are tail vectors. Inverses have
    weights of their own: what is learned of an entity as a head and as a tail meets there alone.
    init: the standard deviation of all parameters at the start.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.head_table = EntityTable(num_entities, dim)
        self.diagonal = RelationWeights(num_relations, dim, dropout=relation_dropout)
        for part in (self.table, self.head_table, self.diagonal):
            part.draw(init)

    def head_entities(self, graph: Graph, ids: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        return self.head_table.rows(ids)

    def encode(self, queries: Queries) -> QueryVectors:
        weight = self.diagonal.rows(queries.relation, queries.generator)
        return QueryVectors(self.heads(queries) * weight, queries.graph)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        first, last = self.pair(head, tail, graph)
        return self.diagonal.dots(first * last)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        head, last = self.head_entities(queries.graph, queries.head), self.entities(queries.graph, tail)
        return head, self.diagonal.rows(queries.relation), last
