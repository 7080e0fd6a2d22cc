"""Naive Bayes over the edges around a candidate: nothing is known of an entity but the relations it stands in."""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.scorer import Queries, Scorer, Tails


@final
class NaiveBayes(Scorer):
    """score(h, r, t) = sum over the edges (t, s, .) of log P(s | an answer to r) - log P(s), whatever the head.

    By Bayes' rule this is log P(t answers r | its edges) but for a constant of r, were the edges independent of one
    another: multinomial naive Bayes (McCallum and Nigam, 1998), an entity being a document and its directed relations
    the words. Hence it answers for entities that training knew nothing of; one without an edge scores 0.
    smoothing: what is added to every count (Laplace); 0.01 is good on the valid part of GraIL's fb237-v1.
    """

    reads_graph = True
    weight: Float[Tensor, "R2 R2"]  # of relation r and of an edge s of the candidate

    def __init__(self, num_entities: int, num_relations: int, smoothing: float = 0.01) -> None:
        super().__init__(num_entities, num_relations)
        if not 0 < smoothing < math.inf:
            raise UserError(f"smoothing must be above 0 and finite: got {smoothing}")
        self.smoothing = smoothing
        self.register_buffer("weight", torch.zeros(2 * num_relations, 2 * num_relations))

    def count(self, graph: Graph) -> None:
        """Learn from this graph. Of a fact (h, r, t), its own edge does not count among those of t. O(N R^2)."""
        num, back = 2 * graph.num_relations, graph.num_relations
        key = graph.head() * num + graph.relation
        leaving = torch.bincount(key, minlength=graph.num_entities * num).view(-1, num).double()
        arriving = leaving.roll(back, 1)
        edges = arriving.T @ leaving  # (2R, 2R): those with s that leave the answers to r
        # hide the answer's own edge: it is not there when the question is asked
        edges -= arriving.sum(0).diag().roll(back, 1)
        loops = graph.relation[graph.head() == graph.tail]
        edges -= torch.bincount(loops, minlength=num).diag()
        self.weight.copy_(self._shares(edges) - self._shares(leaving.sum(0)))

    def _shares(self, counts: Float[Tensor, "*R2 S2"]) -> Float[Tensor, "*R2 S2"]:
        smoothed = counts + self.smoothing
        return smoothed.log() - smoothed.sum(-1, keepdim=True).log()

    def encode(self, queries: Queries) -> Queries:
        return queries

    def compare(self, state: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        if isinstance(tails, Tensor) and tails.ndim == 2:
            unique, place = torch.unique(tails, return_inverse=True)
            return self._by_relation(state.graph, unique)[place, state.relation[:, None]]
        everything = torch.arange(state.graph.num_entities, device=self.device)
        return self._by_relation(state.graph, everything[slice(None) if tails is None else tails])[:, state.relation].T

    def _by_relation(self, graph: Graph, ids: Int[Tensor, " K"]) -> Float[Tensor, "K R2"]:
        edges = graph.neighbours(ids)
        scores: Tensor = nn.functional.embedding_bag(
            edges.relation, self.weight.T, edges.offsets, mode="sum", include_last_offset=True
        )
        return scores

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()
