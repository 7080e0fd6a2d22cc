"""ARE: additive relational effects, RESCAL and random walks through the graph, added."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.interruption import waited_for
from kg.models.path_ranking import Ends, check_path_shape, check_paths
from kg.models.rescal import RESCAL
from kg.models.scorer import WORST, Queries, QueryVectors, Scorer, Tails
from kg.rules.path_features import ends, slopes, walkable
from kg.walks.edges import Edges, check_questions, check_relations


class _TwoTerms(NamedTuple):
    latent: QueryVectors
    is_known: Float[Tensor, "B 1"]
    observed: Ends


@final
class ARE(Scorer):
    """score(h, r, t) = h^T W_r t + sum_k w_rk P(t | h, path k) (Nickel, Jiang and Tresp, 2014).

    RESCAL need not spend its rank on what paths through the graph of the question explain. The probabilities are those
    of PathRanking; there is no bias, as it would move no rank. `learn` sets which path types there are before the
    weights of both are fitted together; without any, and of entities without a vector, one of the two terms is left.
    """

    reads_graph = True
    paths: Int[Tensor, "R2 P L"]  # filled up with -1

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 64,
        num_paths: int = 16,
        max_length: int = 3,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations)
        check_path_shape(num_paths, max_length)
        self.latent = RESCAL(
            num_entities,
            num_relations,
            dim,
            entity_dropout=entity_dropout,
            relation_dropout=relation_dropout,
            init=init,
        )
        self.weight = nn.Parameter(torch.zeros(2 * num_relations, num_paths))
        self.register_buffer("paths", torch.full((2 * num_relations, num_paths, max_length), -1, dtype=torch.int32))

    @property
    def path_shape(self) -> tuple[int, int]:
        """How many paths a relation may have, and how long they may be."""
        return self.paths.shape[1], self.paths.shape[2]

    def learn(self, relation: int, paths: Int[np.ndarray, "P L"], weight: Float[np.ndarray, " P"]) -> None:
        """Walk these from now on, with weights to begin with."""
        with torch.no_grad():
            self.paths[relation] = torch.from_numpy(paths)
            self.weight[relation] = torch.from_numpy(weight)

    def check_arrays(self) -> None:
        check_paths(self.paths, self.num_relations)

    def encode(self, queries: Queries) -> _TwoTerms:
        is_known = queries.head < self.num_entities
        asked = replace(queries, head=queries.head.where(is_known, 0))
        heads, relations, paths = (x.cpu().numpy() for x in (queries.head, queries.relation, self.paths))
        check_relations(queries.graph, self.num_relations)
        check_questions(queries.graph, heads, relations)
        edges = walkable(queries.graph)
        offsets, entities, sums = waited_for(
            partial(ends, edges, paths, self.weight.detach().cpu().numpy(), heads, relations)
        )
        walks = _Walked(edges, paths, heads, relations, offsets, entities, sums)
        row = torch.from_numpy(np.repeat(np.arange(len(heads)), np.diff(offsets)))
        where = queries.head.device
        observed = Ends(
            row.to(where),
            torch.from_numpy(entities).to(where),
            _Sums.apply(self.weight, walks),  # type: ignore[no-untyped-call]
            len(queries),
            queries.graph.num_entities,
        )
        return _TwoTerms(self.latent.encode(asked), is_known[:, None].float(), observed)

    def compare(self, state: _TwoTerms, tails: Tails = None) -> Float[Tensor, "B K"]:
        latent = self.latent.compare(state.latent, tails)
        return state.observed.dense(tails) + state.is_known * latent.masked_fill(latent == WORST, 0)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """RESCAL's."""
        return self.latent.factors(queries, tail)


class _Walked(NamedTuple):
    """What has been walked, and where it ended."""

    edges: Edges
    paths: Int[np.ndarray, "R2 P L"]
    heads: Int[np.ndarray, " B"]
    relations: Int[np.ndarray, " B"]
    offsets: Int[np.ndarray, " B1"]
    entities: Int[np.ndarray, " M"]
    sums: Float[np.ndarray, " M"]


class _Sums(torch.autograd.Function):
    """The sums of the walks, as a function of the weights."""

    @staticmethod
    def forward(ctx: Any, weight: Float[Tensor, "R2 P"], walks: _Walked) -> Float[Tensor, " M"]:
        ctx.walks = walks
        return torch.from_numpy(walks.sums).to(weight.device)

    @staticmethod
    def backward(ctx: Any, slope: Float[Tensor, " M"]) -> tuple[Float[Tensor, "R2 P"], None]:
        edges, paths, heads, relations, offsets, entities, _ = ctx.walks
        gradient = waited_for(partial(slopes, edges, paths, heads, relations, offsets, entities, slope.cpu().numpy()))
        return torch.from_numpy(gradient).to(slope), None
