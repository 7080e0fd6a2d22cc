"""What every scorer is: a question in, one score a candidate out. Higher is more plausible, everywhere."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.models.dropout import dropout
from kg.models.tables import EntityTable, RelationWeights

State = Any  # what encode hands to compare: each scorer's own business
Tails = Int[Tensor, " K"] | Int[Tensor, "B K"] | slice | None

_MOST_TRIPLES = 1 << 15  # scored at once for want of a product over all relations
_PIECE = 1 << 18  # numbers: what is read and its copy stay in the cache
WORST = torch.finfo(torch.float32).min  # the score of a candidate without a vector: it ties last


class Unseen(NamedTuple):
    """Facts that a question must not see: fact i, in either direction, is not there for question row[i].

    pairs: nor is any other edge between its two ends.
    """

    row: Int[Tensor, " P"]
    head: Int[Tensor, " P"]
    relation: Int[Tensor, " P"]
    tail: Int[Tensor, " P"]
    pairs: bool

    def of(self, start: int, stop: int) -> "Unseen":
        """Those of the questions from start to stop, which are counted from 0 then."""
        own = (self.row >= start) & (self.row < stop)
        return Unseen(self.row[own] - start, self.head[own], self.relation[own], self.tail[own], self.pairs)


@dataclass(frozen=True, eq=False)
class Queries:
    """B questions (head, relation, ?) and the graph they may read; relation r + R asks for the heads of r.

    generator: the source of randomness (dropout, sampled neighbours); None means that nothing is random.
    unseen: what of the graph each may not read; for a scorer that hides it itself (`hides`), else it is gone from the
    graph of all.
    """

    head: Int[Tensor, " B"]
    relation: Int[Tensor, " B"]
    graph: Graph
    generator: torch.Generator | None = None
    unseen: Unseen | None = None

    def __len__(self) -> int:
        return len(self.head)

    def __getitem__(self, rows: slice) -> "Queries":
        start, stop, _ = rows.indices(len(self))
        unseen = self.unseen and self.unseen.of(start, stop)
        return replace(self, head=self.head[rows], relation=self.relation[rows], unseen=unseen)


class AttentionWeights(NamedTuple):
    """M edges that B questions attended to: edge i of question row[i], with its share of 1 for all of that question."""

    row: Int[Tensor, " M"]
    relation: Int[Tensor, " M"]
    tail: Int[Tensor, " M"]
    share: Float[Tensor, " M"]


class Scorer(nn.Module, ABC):
    """Scores of tails for (head, relation, ?). Encode once, compare with candidates as often as needed.

    reads_graph: whether scores depend on the edges of `queries.graph`. Training must then hide the answers.
    hides: whether it hides them itself, from each question its own: `queries.unseen`.
    ragged: the buffers that are as long as they are; all other arrays have the shapes that the arguments give them.

    It is made on the meta device, too, to see what it would hold: what makes it reads no number of a tensor.
    """

    reads_graph: bool = False
    hides: ClassVar[bool] = False
    ragged: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, num_entities: int, num_relations: int) -> None:
        super().__init__()
        self.num_entities = num_entities
        self.num_relations = num_relations

    @property
    def device(self) -> torch.device:
        """Where it was put."""
        return next(chain(self.parameters(), self.buffers())).device

    @abstractmethod
    def encode(self, queries: Queries) -> State:
        """What `compare` needs of the questions."""

    @abstractmethod
    def compare(self, state: State, tails: Tails = None) -> Float[Tensor, "B K"]:
        """Scores of candidates. None: all N; (K,): the same for all rows; (B, K): its own; a slice: a block."""

    @final
    def score_tails(self, queries: Queries, tails: Tails = None) -> Float[Tensor, "B K"]:
        """compare(encode(queries), tails)."""
        scores: Tensor = self.compare(self.encode(queries), tails)
        return scores

    @final
    def score_hrt(self, queries: Queries, tail: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The score of one tail a question: a column of score_tails, never a formula of its own."""
        return self.score_tails(queries, tail[:, None])[:, 0]

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        """score(h, r, t) of every directed relation r = 0 ... 2R - 1, without dropout. An override must equal it."""
        height = max(1, _MOST_TRIPLES // (2 * self.num_relations))
        parts = [  # each is computed again on the way back, so that the vectors of one alone are held
            checkpoint(self._of_all_relations, head[i : i + height], tail[i : i + height], graph, use_reentrant=False)
            for i in range(0, max(1, len(head)), height)
        ]
        return torch.cat(parts)

    def _of_all_relations(
        self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph
    ) -> Float[Tensor, "B R2"]:
        rows, num = len(head), 2 * self.num_relations
        relation = torch.arange(num, device=head.device).repeat(rows)
        queries = Queries(head.repeat_interleave(num), relation, graph)
        return self.score_hrt(queries, tail.repeat_interleave(num)).view(rows, num)

    def attention_weights(self, queries: Queries) -> AttentionWeights | None:
        """Which edges of their heads the questions attend to; None: the scorer weighs no edges by attention."""
        return None

    @final
    def is_finite(self) -> bool:
        """Whether no parameter is infinite or NaN. By their sums: a fifth of the time of looking at each number."""
        return all(map(_is_finite, self.parameters()))

    @final
    def check_fit(self, arrays: Mapping[str, Tensor]) -> None:
        """ValueError unless these have the names, shapes and dtypes of its own, which may be on the meta device."""
        own = self.state_dict()
        for name in sorted(own.keys() ^ arrays.keys()):
            raise ValueError(f"{name} is {'missing' if name in own else 'none of its arrays'}")
        parts = ((path, part) for path, part in self.named_modules() if isinstance(part, Scorer))
        ragged = {f"{path}.{name}".lstrip(".") for path, part in parts for name in part.ragged}
        for name, array in own.items():
            came, axes = arrays[name], slice(0 if name in ragged else None)
            if (came.dtype, came.ndim, came.shape[axes]) != (array.dtype, array.ndim, array.shape[axes]):
                raise ValueError(f"{name} must be {_kind(array)}: it is {_kind(came)}")

    @final
    def check(self) -> None:
        """ValueError where its arrays are none that a training could have left: they come from a file, and compiled
        loops check no index. Those of its parts, too.
        """
        for name, array in chain(self.named_parameters(), self.named_buffers()):
            if array.is_floating_point() and not _is_finite(array):
                raise ValueError(f"{name} holds a number that is not finite")
        for name, part in self.named_modules():
            if isinstance(part, Scorer):
                try:
                    part.check_arrays()
                except ValueError as error:
                    raise ValueError(f"{name}: {error}" if name else str(error)) from None

    def check_arrays(self) -> None:
        """ValueError where its own arrays hold what no training leaves: an index out of range, a negative count."""

    @abstractmethod
    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The parameters of each (head, relation, tail) that a regularizer may weigh: a row a triple."""


@dataclass(frozen=True, eq=False)
class QueryVectors:
    """The state of an EmbeddingScorer: a vector a question, and the graph that candidates are read from."""

    vector: Float[Tensor, "B D"]
    graph: Graph


class EmbeddingScorer(Scorer):
    """A query vector against candidate vectors: the dot product, or the negative distance.

    Vectors come from the table alone, so that one in pieces may replace that one module.
    """

    def __init__(self, num_entities: int, num_relations: int, size: int, entity_dropout: float) -> None:
        super().__init__(num_entities, num_relations)
        self.table = EntityTable(num_entities, size)
        self.entity_dropout = entity_dropout

    def _table_last(self) -> None:
        """Move the table behind the parts added since: a model's file holds matrices of relations first."""
        self._modules["table"] = self._modules.pop("table")

    def entities(self, graph: Graph, ids: Int[Tensor, " K"] | slice | None = None) -> Float[Tensor, "K D"]:
        """Candidate vectors of these ids; None: of every entity that has one (the first `num_entities`)."""
        if ids is None:
            return self.table.whole()
        return self.table.block(ids) if isinstance(ids, slice) else self.table.rows(ids)

    def head_entities(self, graph: Graph, ids: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """The vectors of these ids as heads: the same, unless a scorer keeps two an entity."""
        return self.entities(graph, ids)

    def heads(self, queries: Queries) -> Float[Tensor, "B D"]:
        """The vectors of the questions' heads, with dropout. UserError for an entity the table has no row for."""
        self._check_rows(queries.graph, queries.head)
        return dropout(self.head_entities(queries.graph, queries.head), self.entity_dropout, queries.generator)

    def pair(
        self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """The vectors of heads and of tails, without dropout: for `score_relations` and `factors`.

        UserError for an entity that the table has no row for: as a candidate it ties last, here there is none.
        """
        self._check_rows(graph, head, tail)
        return self.head_entities(graph, head), self.entities(graph, tail)

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        self._check_rows(graph, head, tail)
        return super().score_relations(head, tail, graph)

    def compare(self, state: QueryVectors, tails: Tails = None) -> Float[Tensor, "B K"]:
        if tails is None:
            scores = self.pairwise(state.vector, self.entities(state.graph))
            return _without_vector(scores, state.graph.num_entities)
        if isinstance(tails, slice):
            start, stop, _ = tails.indices(state.graph.num_entities)
            block = slice(min(start, self.num_entities), min(stop, self.num_entities))
            return _without_vector(self.pairwise(state.vector, self.entities(state.graph, block)), stop - start)
        if self._lacks_rows(state.graph):
            known = tails.clamp(max=self.num_entities - 1)
            return self._gathered(state, known).masked_fill(tails >= self.num_entities, WORST)
        return self._gathered(state, tails)

    def _gathered(self, state: QueryVectors, tails: Int[Tensor, "*shape"]) -> Float[Tensor, "B K"]:
        vectors = self.entities(state.graph, tails.reshape(-1))
        if tails.ndim == 1:
            return self.pairwise(state.vector, vectors)
        return self.rowwise(state.vector, vectors.view(*tails.shape, -1))

    def _check_rows(self, graph: Graph, *ids: Int[Tensor, " B"]) -> None:
        if self._lacks_rows(graph) and any(bool((part >= self.num_entities).any()) for part in ids):
            raise UserError(f"{type(self).__name__} has no vector for an entity it was not trained with: train again")

    def _lacks_rows(self, graph: Graph) -> bool:
        return graph.num_entities > self.num_entities

    @abstractmethod
    def pairwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        """Every question against every candidate. Never a (B, K, D) tensor."""

    @abstractmethod
    def rowwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        """Each question against its own candidates: the same formula as `pairwise`."""


class DotScorer(EmbeddingScorer, ABC):
    """score = query vector . candidate vector."""

    def bilinear_form(self, relation: int) -> Float[Tensor, "D D"] | None:
        """M with score(h, r, t) = h^T M t for the rows h, t of `entities`, without dropout; None where there is none.

        The relation is directed, 0 ... 2R - 1. With it both directions of all facts of a relation are one product.
        """
        return None

    @final
    def pairwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        return vector @ candidates.T

    @final
    def rowwise(self, vector: Float[Tensor, "B D"], candidates: Float[Tensor, "B K D"]) -> Float[Tensor, "B K"]:
        return torch.bmm(candidates, vector[:, :, None])[:, :, 0]


class TieableScorer(DotScorer, ABC):
    """score(h, r, t) = q(h, w_r) . t, with a weight w_r a directed relation.

    tied: inverses have the weight that `tie` makes of their relation's; otherwise they have one of their own.
    init: the standard deviation of all parameters at the start.

    weights_name: the attribute that holds the weights, whose name stands in a model's file.
    """

    weights_name: ClassVar[str] = "diagonal"

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        tied: bool = False,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        size, shape = self.sizes(dim)
        super().__init__(num_entities, num_relations, size, entity_dropout)
        weights = RelationWeights(num_relations, *shape, tie=self.tie if tied else None, dropout=relation_dropout)
        self.add_module(self.weights_name, weights)
        if len(shape) > 1:
            self._table_last()
        self.table.draw(init)
        weights.draw(init)

    @staticmethod
    @abstractmethod
    def tie(weight: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
        """From weights of relations to those of their inverses, where these are tied."""

    @staticmethod
    def sizes(dim: int) -> tuple[int, tuple[int, ...]]:
        """How many numbers a row of the table has, and the shape of a relation's weight."""
        return dim, (dim,)

    @property
    def weights(self) -> RelationWeights:
        """The relations' weights."""
        found = self.get_submodule(self.weights_name)
        assert isinstance(found, RelationWeights)
        return found

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """h, w_r, t."""
        head, last = self.pair(queries.head, tail, queries.graph)
        return head, self.weights.rows(queries.relation).flatten(1), last


def _kind(array: Tensor) -> str:
    return f"{tuple(array.shape)} of {str(array.dtype).removeprefix('torch.')}"


def _is_finite(array: Float[Tensor, "*shape"]) -> bool:
    """By the sum, which no infinity or NaN leaves finite; where it overflows a piece at a time: to add up in float64
    makes a copy in float64."""
    if bool(array.detach().sum().isfinite()):
        return True
    pieces = torch.split(array.detach().reshape(-1), _PIECE)
    return all(bool(piece.sum(dtype=torch.float64).isfinite()) for piece in pieces)


def _without_vector(scores: Float[Tensor, "B K"], width: int) -> Float[Tensor, "B W"]:
    """Columns for candidates that the table has no row for: they tie last."""
    missing = width - scores.shape[1]
    return nn.functional.pad(scores, (0, missing), value=WORST) if missing else scores
