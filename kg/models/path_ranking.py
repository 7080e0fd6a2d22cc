"""PathRanking: answers from where random walks end."""

from functools import partial
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kg.errors import UserError, check_at_least_one
from kg.graph.ids import check_ids
from kg.interruption import waited_for
from kg.models.scorer import Queries, Scorer, Tails
from kg.rules.path_features import ends, walkable
from kg.walks.edges import check_questions, check_relations


class Ends(NamedTuple):
    """A number an entity that walks reach, by question (row); 0 for the others."""

    row: Int[Tensor, " M"]
    entity: Int[Tensor, " M"]
    number: Float[Tensor, " M"]
    num_rows: int
    num_entities: int

    def dense(self, tails: Tails = None) -> Float[Tensor, "B K"]:
        """As `compare` wants it."""
        if isinstance(tails, Tensor):
            everything = self.dense()
            return everything[:, tails] if tails.ndim == 1 else everything.gather(1, tails)
        start, stop, _ = (tails or slice(None)).indices(self.num_entities)
        inside = (self.entity >= start) & (self.entity < stop)
        place = self.row[inside], self.entity[inside] - start
        nothing = torch.zeros(self.num_rows, max(0, stop - start), device=self.number.device)
        return nothing.index_put(place, self.number[inside])


class _WalkEnds(NamedTuple):
    sums: Ends
    bias: Float[Tensor, "B 1"]


@final
class PathRanking(Scorer):
    """score(h, r, t) = bias_r + sum_k w_rk P(t | h, path k): the path ranking algorithm (Lao and Cohen, 2010).

    Path k of directed relation r is a sequence of at most max_length directed relations, and P the probability that a
    random walk from h along them ends at t (kg.rules.path_features.ends). Of each r there are at most num_paths. The
    walks go through the graph of the question, so that entities that came later are answered for; what no walk reaches
    scores bias_r. sigmoid(score) separates true from false among the examples of
    kg.training.algorithms.path_regression, which fits the weights.
    """

    reads_graph = True
    paths: Int[Tensor, "R2 P L"]  # filled up with -1
    weight: Float[Tensor, "R2 P"]
    bias: Float[Tensor, " R2"]

    def __init__(self, num_entities: int, num_relations: int, num_paths: int = 64, max_length: int = 3) -> None:
        super().__init__(num_entities, num_relations)
        check_path_shape(num_paths, max_length)
        self.register_buffer("paths", torch.full((2 * num_relations, num_paths, max_length), -1, dtype=torch.int32))
        self.register_buffer("weight", torch.zeros(2 * num_relations, num_paths))
        self.register_buffer("bias", torch.zeros(2 * num_relations))

    @property
    def path_shape(self) -> tuple[int, int]:
        """How many paths a relation may have, and how long they may be."""
        return self.paths.shape[1], self.paths.shape[2]

    def learn(self, relation: int, paths: Int[np.ndarray, "P L"], weight: Float[np.ndarray, " P"], bias: float) -> None:
        """Answer by these from now on."""
        self.paths[relation] = torch.from_numpy(paths)
        self.weight[relation] = torch.from_numpy(weight)
        self.bias[relation] = bias

    def check_arrays(self) -> None:
        check_paths(self.paths, self.num_relations)

    def encode(self, queries: Queries) -> _WalkEnds:
        where = queries.head.device
        heads, relations, paths, weight = (
            x.cpu().numpy() for x in (queries.head, queries.relation, self.paths, self.weight)
        )
        check_relations(queries.graph, self.num_relations)
        check_questions(queries.graph, heads, relations)
        offsets, entities, sums = waited_for(partial(ends, walkable(queries.graph), paths, weight, heads, relations))
        row = np.repeat(np.arange(len(heads)), np.diff(offsets))
        reached, entity, number = (torch.from_numpy(x).to(where) for x in (row, entities, sums))
        found = Ends(reached, entity, number, len(heads), queries.graph.num_entities)
        return _WalkEnds(found, self.bias[queries.relation, None])

    def compare(self, state: _WalkEnds, tails: Tails = None) -> Float[Tensor, "B K"]:
        return state.sums.dense(tails).add_(state.bias)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        return ()


def check_paths(paths: Int[Tensor, "R2 P L"], num_relations: int) -> None:
    """ValueError unless each row is directed relations, then -1 alone, and so each relation's rows."""
    check_ids("paths", paths, -1, 2 * num_relations)
    is_filling = paths < 0
    if bool((is_filling[:, :, :-1] & ~is_filling[:, :, 1:]).any()):
        raise ValueError("paths hold a relation behind the end of a path")
    if bool((is_filling[:, :-1, 0] & ~is_filling[:, 1:, 0]).any()):
        raise ValueError("paths hold a path behind the last one of a relation")


def check_path_shape(num_paths: int, max_length: int) -> None:
    """UserError for sizes that cannot be."""
    check_at_least_one(num_paths=num_paths)
    if not 1 <= max_length <= 4:
        raise UserError(f"max_length must be from 1 to 4: got {max_length}")
