"""Scorers whose entity vectors are computed from the edges: what they share beside their layers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.dropout import dropout
from kg.models.last import Last
from kg.models.scorer import WORST, DotScorer, Queries, QueryVectors, Tails
from kg.models.tables import RelationWeights


@dataclass(frozen=True, eq=False)
class Messages:
    """Edges as message passing takes them: what goes from the tail to the head, sorted by (head, relation)."""

    edge_index: EdgeIndex  # (2, E): senders, receivers
    relation: Int[Tensor, " E"]

    @classmethod
    def along(cls, graph: Graph, chosen: Bool[Tensor, " E"] | None = None) -> "Messages":
        """Every edge of the graph, or the chosen ones."""
        head, relation, tail = graph.head(), graph.relation, graph.tail
        if chosen is not None:
            head, relation, tail = head[chosen], relation[chosen], tail[chosen]
        size = (graph.num_entities, graph.num_entities)
        return cls(EdgeIndex(torch.stack([tail, head]), sparse_size=size, sort_order="col"), relation)


def receivers(edge_index: EdgeIndex) -> tuple[Int[Tensor, " N1"], Int[Tensor, " E"]]:
    """(offsets, senders) of edges sorted by receiver: receiver i has senders[offsets[i]:offsets[i + 1]]."""
    (offsets, senders), _ = edge_index.get_csc()
    return offsets, senders.as_subclass(Tensor)


class Vectors(NamedTuple):
    """What the decoder reads."""

    entity: Float[Tensor, "N D"]
    relation: Float[Tensor, "R2 D"]


@dataclass(frozen=True, eq=False)
class Encoded(QueryVectors):
    """The state: with the vectors of all candidates, so that they are computed once."""

    candidates: Float[Tensor, "N D"]


class GraphEncoder(DotScorer, ABC):
    """score(h, r, t) = sum_k x_hk z_rk x_tk over vectors x, z that message passing computes: DistMult as the decoder.

    The graph is encoded once a call of `encode`, and without gradients once a graph, for as long as the weights stay
    as they are. An entity that the table has no row for starts from zero and is made of its neighbours alone; one
    without neighbours has no vector. Relations r and r + R have vectors of their own.
    init: the standard deviation of the vectors that the first layer sees.
    """

    reads_graph = True

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int,
        entity_dropout: float,
        relation_dropout: float,
        init: float,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, entity_dropout)
        self.relation_dropout = relation_dropout
        self.diagonal = RelationWeights(num_relations, dim)
        self.table.draw(init)
        self.diagonal.draw(init)
        self._last: Last[Vectors] = Last()

    @abstractmethod
    def layers_over(self, x: Float[Tensor, "N D"], graph: Graph, generator: torch.Generator | None) -> Vectors:
        """The vectors after all layers, from the entities' first ones."""

    @final
    def vectors(self, graph: Graph, generator: torch.Generator | None = None) -> Vectors:
        """Vectors of all entities of the graph and of all 2R relations; with dropout where a generator is given."""
        if torch.is_grad_enabled() or generator is not None:
            return self._encoded(graph, generator)
        return self._last.of(self, graph, lambda: self._encoded(graph, None))

    def _encoded(self, graph: Graph, generator: torch.Generator | None) -> Vectors:
        first = self.table.whole()  # every entity may be a neighbour of one that is asked about
        with torch.autocast(first.device.type, enabled=False):  # so that a kept encoding suits every caller
            newcomers = first.new_zeros(graph.num_entities - len(first), first.shape[1])
            return self.layers_over(torch.cat([first, newcomers]), graph, generator)

    def entities(self, graph: Graph, ids: Int[Tensor, " K"] | slice | None = None) -> Float[Tensor, "K D"]:
        """Encoded vectors of these ids; None: of every entity of the graph."""
        return chosen(self.vectors(graph).entity, slice(None) if ids is None else ids)

    def encode(self, queries: Queries) -> Encoded:
        entity, relation = self.vectors(queries.graph, queries.generator)
        self._check_rows(queries.graph, queries.head)
        head = dropout(chosen(entity, queries.head), self.entity_dropout, queries.generator)
        weight = dropout(chosen(relation, queries.relation), self.relation_dropout, queries.generator)
        return Encoded(head * weight, queries.graph, entity)

    def compare(self, state: QueryVectors, tails: Tails = None) -> Float[Tensor, "B K"]:
        assert isinstance(state, Encoded)
        tails = slice(None) if tails is None else tails
        candidates = chosen(state.candidates, tails)
        scores = (self.pairwise if candidates.ndim == 2 else self.rowwise)(state.vector, candidates)
        return self._lacking_last(scores, state.graph, tails)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        entity, relation = self.vectors(graph)
        self._check_rows(graph, head, tail)
        return (chosen(entity, head) * chosen(entity, tail)) @ relation.T

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The vectors that the first layer sees: those after the last would cost a second encoding."""
        return self.table.rows(queries.head), self.diagonal.rows(queries.relation), self.table.rows(tail)

    def _lacking(self, graph: Graph) -> Bool[Tensor, " N"]:
        """Entities without a vector: neither a row nor an edge."""
        lacking = graph.degree() == 0
        lacking[: self.num_entities] = False
        return lacking

    def _check_rows(self, graph: Graph, *ids: Int[Tensor, " B"]) -> None:
        if self._lacks_rows(graph) and bool(self._lacking(graph)[torch.cat(ids)].any()):
            name = type(self).__name__
            raise UserError(f"{name} has no vector for an entity that it was not trained with and that has no fact")

    def _lacking_last(
        self, scores: Float[Tensor, "B K"], graph: Graph, tails: Int[Tensor, "..."] | slice
    ) -> Float[Tensor, "B K"]:
        return scores.masked_fill(self._lacking(graph)[tails], WORST) if self._lacks_rows(graph) else scores


def chosen(rows: Float[Tensor, "N D"], ids: Int[Tensor, "*shape"] | slice) -> Float[Tensor, "*shape D"]:
    """rows[ids]; its gradient is added up an embedding's way, which is many times as fast as an index's."""
    return rows[ids] if isinstance(ids, slice) else nn.functional.embedding(ids, rows)
