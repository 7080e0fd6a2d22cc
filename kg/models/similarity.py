"""Similarity indices as scorers: nothing is learned, all is read off the graph of the question."""

from abc import ABC, abstractmethod
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.scorer import Queries, Scorer, Tails
from kg.walks.similarity import (
    PerEntity,
    Walks,
    adamic_adar,
    blocks,
    by_attachment,
    by_similarity,
    common_neighbours,
    katz,
    pagerank,
)

_LEAST = 1e-4  # evidence for a candidate without any: of 1 ... 1e-6 the one with the best probabilities on valid facts


class Similarity(Scorer, ABC):
    """score(h, r, t) = log(1e-4 + evidence(h, r, t)): probabilities are powers of the evidence, not exponentials.

    There is no parameter and nothing for training to do: whatever entities and facts the graph of a question holds,
    they count. It is computed on the CPU. An entity without an edge has no evidence, and as a head gives none.
    """

    reads_graph = True

    @property
    def device(self) -> torch.device:
        """Where SciPy computes; scores are where the question was."""
        return torch.device("cpu")

    @abstractmethod
    def evidence(self, queries: Queries) -> PerEntity:
        """At least 0, for every entity of the graph. (B, N)."""

    @final
    def count(self, graph: Graph) -> None:
        """Learn from this graph: nothing."""

    @final
    def encode(self, queries: Queries) -> Queries:
        return queries

    @final
    def compare(self, state: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        parts = []
        for rows in blocks(len(state)):
            evidence = torch.from_numpy(self.evidence(state[rows])).to(state.head.device)
            if isinstance(tails, Tensor) and tails.ndim == 2:
                evidence = evidence.gather(1, tails[rows])
            elif tails is not None:
                evidence = evidence[:, tails]
            parts.append((evidence + _LEAST).log())
        return torch.cat(parts)

    @final
    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()


class ThroughPairs(Similarity, ABC):
    """Evidence through the relation's own pairs, S being the similarity of two entities:

        sum over known (h', r, t), h' != h, of S(h', h) + known_weight * sum over known (h, r, t'), t' != t, of S(t', t)

    known_weight: 1 ties inverses: evidence(h, r, t) = evidence(t, r^-1, h). Below it they are not, but the second sum
    finds things similar to a known answer that answer r for nobody; at 0.01 it decides where the first is 0.
    """

    def __init__(self, num_entities: int, num_relations: int, known_weight: float = 1.0) -> None:
        super().__init__(num_entities, num_relations)
        if not 0 <= known_weight <= 1:
            raise UserError(f"known_weight must be from 0 to 1: got {known_weight}")
        self.known_weight = known_weight

    @abstractmethod
    def walks(self, graph: Graph) -> Walks:
        """What S is in this graph."""

    @final
    def evidence(self, queries: Queries) -> PerEntity:
        graph = queries.graph
        return by_similarity(self.walks(graph), graph, queries.head, queries.relation, self.known_weight)


@final
class CommonNeighbours(ThroughPairs):
    """S(x, y) = number of neighbours that x and y share (Liben-Nowell and Kleinberg, 2007)."""

    def walks(self, graph: Graph) -> Walks:
        return common_neighbours(graph)


@final
class AdamicAdar(ThroughPairs):
    """S(x, y) = sum over the neighbours z they share of 1 / log(number of neighbours of z) (Adamic and Adar, 2003)."""

    def walks(self, graph: Graph) -> Walks:
        return adamic_adar(graph)


@final
class Katz(ThroughPairs):
    """S(x, y) = sum over k = 1 ... 3 of beta^k walks of k steps between x and y (Katz, 1953; Lü and Zhou, 2011)."""

    def __init__(self, num_entities: int, num_relations: int, beta: float = 0.01, known_weight: float = 1.0) -> None:
        super().__init__(num_entities, num_relations, known_weight)
        if not 0 < beta <= 1:
            raise UserError(f"beta must be above 0 and at most 1: got {beta}")
        self.beta = beta

    def walks(self, graph: Graph) -> Walks:
        return katz(graph, self.beta)


@final
class PageRank(ThroughPairs):
    """S(x, y) = personalised PageRank of y for x, by up to three steps (Haveliwala, 2002; Jeh and Widom, 2003).

    alpha: the probability to start again before a step. S is not symmetric; it is read from the entity of the known
    pair to the asked one: S(h', h) and S(t', t), walks that begin at h' and at t'.
    """

    def __init__(self, num_entities: int, num_relations: int, alpha: float = 0.15, known_weight: float = 1.0) -> None:
        super().__init__(num_entities, num_relations, known_weight)
        if not 0 < alpha < 1:
            raise UserError(f"alpha must be above 0 and below 1: got {alpha}")
        self.alpha = alpha

    def walks(self, graph: Graph) -> Walks:
        return pagerank(graph, self.alpha)


@final
class PreferentialAttachment(Similarity):
    """evidence(h, r, t) = k(h, r) k(t, r^-1), k(x, r) = edges (x, r, .) + 0.1 (1 + edges of x / 2R).

    (Liben-Nowell and Kleinberg, 2007; here of each relation and direction.) Inverses are tied.
    """

    def evidence(self, queries: Queries) -> PerEntity:
        return by_attachment(queries.graph, queries.head, queries.relation)
