"""PathScorer: an answer's score is read off the paths that lead to it, by vectors of relations from wherever."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import check_at_least_one
from kg.graph.graph import Graph
from kg.models.dropout import dropout
from kg.models.path_reasons import CarryingPath, Path, paths_by_worth
from kg.models.scorer import Queries, Scorer, Tails, Unseen
from kg.walks.edges import check_questions, check_relations
from kg.walks.frontier import Frontier, Hidden, Hop, adjacency_of, beginning, hop, sources
from kg.walks.node_update import Update, gain, updated
from kg.walks.profiles import profiles_of, relation_sums
from kg.walks.propagation import Message, propagated, propagated_plainly

_MOST_EDGES = 1 << 22  # of all questions in one hop, 50 MB of integers: with more the questions are taken in halves
_MOST_OF_A_NODE = 1 << 16  # edges: of a node with more so many stand for all
_TRIED = 16  # paths that are taken away, one by one


class PathState(NamedTuple):
    """What B questions reached, M nodes in all, and what entities score by their edges alone."""

    row: Int[Tensor, " M"]
    entity: Int[Tensor, " M"]
    score: Float[Tensor, " M"]
    asked: Float[Tensor, "B P"]
    profile: Float[Tensor, "N P"]
    corrected: list[tuple[Tensor, Tensor, Tensor]]  # (row, entity, what to add) for edges that questions do not see


class Gone(NamedTuple):
    """Edges that questions do not see, each in both directions, in order of rows."""

    row: Int[Tensor, " H"]
    head: Int[Tensor, " H"]
    relation: Int[Tensor, " H"]
    tail: Int[Tensor, " H"]


class Step(NamedTuple):
    """A hop of one question, and a factor of 1 for the message of each of its edges."""

    along: Hop
    share: Float[Tensor, " E"]


class Conditions(NamedTuple):
    """What B questions make of relations.

    asked: their own vectors. tables: for each hop the vectors and the attention keys of relations, G tables of 2R rows
    each, one below the other. table: which of them a question reads. sought, profile: the prior of an entity is the
    product of sought and the sum of the profiles of its edges' relations.
    """

    asked: Float[Tensor, "B D"]
    tables: list[tuple[Float[Tensor, "GR2 D"], Float[Tensor, "GR2 A"]]]
    table: Int[Tensor, " B"]
    sought: Float[Tensor, "B P"]
    profile: Float[Tensor, "R2 P"]

    def of(self, rows: slice) -> "Conditions":
        """Those of some of the questions."""
        asked, table, sought = self.asked[rows], self.table[rows], self.sought[rows]
        return self._replace(asked=asked, table=table, sought=sought)


class PathScorer(Scorer):
    """score(h, r, t) = prior_r(t) + path_r(h, t): nothing is known of an entity but its edges. See PathNetwork for the
    formula; where the vectors of relations come from is each scorer's own: `conditions`.

    max_nodes: so many nodes of a question lead on in each hop.
    """

    reads_graph = True
    hides = True
    layers: nn.ModuleList  # of PathHop
    inner: nn.Linear
    asking: nn.Linear
    outer: nn.Linear

    def __init__(self, num_entities: int, num_relations: int, max_nodes: int, hidden_dropout: float = 0.0) -> None:
        super().__init__(num_entities, num_relations)
        check_at_least_one(max_nodes=max_nodes)
        self.max_nodes = max_nodes
        self.hidden_dropout = hidden_dropout

    @abstractmethod
    def conditions(self, queries: Queries) -> Conditions:
        """What these questions make of relations."""

    def encode(self, queries: Queries) -> PathState:
        """UserError where the graph has other relations."""
        graph = queries.graph
        check_relations(graph, self.num_relations)
        check_questions(graph, *(x.cpu().numpy() for x in (queries.head, queries.relation)))
        gone, given = _unseen(queries), self.conditions(queries)
        parts = self._halves(queries, given, gone)
        row, entity, score = (torch.cat(each) for each in zip(*parts, strict=True))
        profile = self._profiles(graph, given.profile)
        return PathState(row, entity, score, given.sought, profile, self._corrected(queries, gone, given, profile))

    def compare(self, state: PathState, tails: Tails = None) -> Float[Tensor, "B K"]:
        scores = (state.asked @ state.profile.T).to(state.score.dtype)
        scores = scores.index_put((state.row, state.entity), state.score, accumulate=True)
        for row, entity, more in state.corrected:
            scores = scores.index_put((row, entity), more, accumulate=True)
        if not isinstance(tails, Tensor):
            return scores if tails is None else scores[:, tails]
        return scores[:, tails] if tails.ndim == 1 else scores.gather(1, tails)

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The vectors of the question."""
        given = self.conditions(queries)
        return given.asked, given.sought

    def carrying_paths(self, queries: Queries, tail: int, most: int) -> list[CarryingPath]:
        """Of one question, paths whose messages make a tail's score, those first without which it falls most.

        Found by the gradient of the score by the messages of each hop, then taken away one by one: see paths_by_worth.
        """
        assert len(queries) == 1 and queries.unseen is None
        trail: list[Step] = []
        with torch.enable_grad():
            made = self._reached(queries, self.conditions(queries), _unseen(queries), trail)
            assert made is not None  # one question is never too many
            reached, score = made
            at = np.flatnonzero(reached.entity == tail)
            if not len(at) or not trail:
                return []
            worth = torch.autograd.grad(score[int(at[0])], [step.share for step in trail])
        steps = [(along, slope.abs().cpu().numpy()) for (along, _), slope in zip(trail, worth, strict=True)]
        found = paths_by_worth(reached.entity, steps, int(at[0]), _TRIED)
        return self._by_fall(queries, tail, found)[:most] if found else []

    @torch.no_grad()
    def _by_fall(self, queries: Queries, tail: int, paths: list[Path]) -> list[CarryingPath]:
        """Those without which the score falls, the one without which it falls most first."""
        head, relation = (each.expand(len(paths)) for each in (queries.head, queries.relation))
        row = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
        hidden = torch.from_numpy(np.concatenate(paths)).to(head.device)
        left, via, right = hidden.unbind(1)
        unseen = Unseen(torch.from_numpy(row).to(head.device), left, via, right, pairs=False)
        scores = self.score_tails(queries)[0]
        whole, above = float(scores[tail]), float(scores[tail] - scores.mean())
        wanted = head.new_full((len(paths), 1), tail)
        without = self.score_tails(replace(queries, head=head, relation=relation, unseen=unseen), wanted)[:, 0]
        found = [
            CarryingPath(path, fall, fall / above if above > 0 else None)
            for path, fall in zip(paths, (whole - without).tolist(), strict=True)
            if fall > 0
        ]
        return sorted(found, key=lambda each: -each.fall)

    # Paths

    def _halves(
        self, queries: Queries, given: Conditions, gone: Gone, first: int = 0
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """(row, entity, score) of what is reached, by parts of the questions that keep to the budget of edges."""
        found = self._reached(queries, given, gone)
        if found is None:
            middle = len(queries) // 2
            cut = int(torch.searchsorted(gone.row, middle))
            left, right = (Gone(*(x[part] for x in gone)) for part in (slice(cut), slice(cut, None)))
            return [
                *self._halves(queries[:middle], given.of(slice(middle)), left, first),
                *self._halves(
                    queries[middle:],
                    given.of(slice(middle, None)),
                    right._replace(row=right.row - middle),
                    first + middle,
                ),
            ]
        reached, score = found
        row, entity = (torch.from_numpy(x).to(score.device).long() for x in (reached.row, reached.entity))
        return [(row + first, entity, score)]

    def _reached(
        self, queries: Queries, given: Conditions, gone: Gone, trail: list[Step] | None = None
    ) -> tuple[Frontier, Float[Tensor, " M"]] | None:
        """The nodes and their scores; None where a hop of several questions would take more edges than the budget.

        trail: is given the hops, each with a factor of 1 an edge, whose gradient says what the edge is worth.
        """
        edges, hidden = adjacency_of(queries.graph), _hidden(gone, len(queries))
        shift = _shift(queries)
        reached = beginning(queries.head.cpu().numpy())
        asked, table = given.asked, given.table.cpu().numpy()
        state, total = asked, asked.new_zeros(len(queries))
        worth = total
        is_random = self.hidden_dropout > 0 and queries.generator is not None
        dropped = partial(dropout, share=self.hidden_dropout, generator=queries.generator) if is_random else None
        for layer, tables in zip(self.layers, given.tables, strict=True):
            best = worth.detach().float().cpu().numpy()
            chosen = sources(edges, reached, best, self.max_nodes, _MOST_OF_A_NODE)
            if chosen.num_edges > _MOST_EDGES and len(queries) > 1:
                return None
            reached, along = hop(edges, reached, chosen, hidden, _MOST_OF_A_NODE, shift)
            along = _by_table(along, reached, table * 2 * self.num_relations)
            share = None
            if trail is not None:
                share = torch.ones(len(along.relation), device=asked.device, requires_grad=True)
                trail.append(Step(along, share))
            row = torch.from_numpy(reached.row).to(asked.device).long()
            state, worth = layer(state, worth, asked, tables, row, along, dropped, share)
            total = nn.functional.pad(total, (0, len(worth) - len(total))) + worth
        row = torch.from_numpy(reached.row).to(asked.device).long()
        hidden_state = (self.inner(state) + self.asking(asked).index_select(0, row)).relu()
        return reached, (total + self.outer(hidden_state)[:, 0]).to(asked.dtype)

    # The prior

    def _profiles(self, graph: Graph, profile: Float[Tensor, "R2 P"]) -> Float[Tensor, "N P"]:
        """The sum over the edges of each entity, over the root of their number plus 1."""
        return relation_sums(profiles_of(graph), profile) * _shrinking(graph.degree().to(profile.dtype))

    def _corrected(
        self, queries: Queries, gone: Gone, given: Conditions, profile: Float[Tensor, "N P"]
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """What is to be added to the priors of entities with edges that a question does not see."""
        if queries.unseen is None:
            return []
        row, head, relation, _ = gone
        key, place, count = torch.unique(
            row * queries.graph.num_entities + head, return_inverse=True, return_counts=True
        )
        row, entity = key // queries.graph.num_entities, key % queries.graph.num_entities
        less = profile.new_zeros(len(key), profile.shape[1]).index_add(0, place, given.profile[relation])
        degree = queries.graph.degree()[entity].to(profile.dtype)
        before = profile[entity]
        after = (before / _shrinking(degree) - less) * _shrinking(degree - count)
        return [(row, entity, (given.sought[row] * (after - before)).sum(1))]


class PathHop(nn.Module):
    """A hop: see PathNetwork. Vectors of relations are given."""

    def __init__(self, dim: int, attention_dim: int, times: bool, mean: bool) -> None:
        super().__init__()
        self.times, self.mean = times, mean
        self.key = nn.Linear(dim, attention_dim, bias=False)
        self.asked_key = nn.Linear(dim, attention_dim)
        self.weight = nn.Parameter(torch.zeros(attention_dim + 1))
        self.arrived, self.kept = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.asked = nn.Linear(dim, dim, bias=False)
        self.norm = nn.LayerNorm(dim)
        self.worth = nn.Linear(dim, 1)
        nn.init.normal_(self.weight, std=attention_dim**-0.5)

    def forward(
        self,
        state: Float[Tensor, "M D"],
        worth: Float[Tensor, " M"],
        asked: Float[Tensor, "B D"],
        tables: tuple[Tensor, Tensor],
        row: Int[Tensor, " K"],
        along: Hop,
        dropped: Callable[[Tensor], Tensor] | None,
        share: Float[Tensor, " E"] | None,
    ) -> tuple[Float[Tensor, "K D"], Float[Tensor, " K"]]:
        """States and worths of the nodes after the hop; row: the question of each. tables: see Conditions. share: a
        factor for each edge."""
        num_old = len(state)
        key = self.key(state) + self.asked_key(asked).index_select(0, row[:num_old])
        vector, relation_key = tables
        message = Message(state, worth.sigmoid(), key, relation_key, self.weight, vector)
        if share is None:
            arrived = propagated(message, asked, along, self.times)
        else:
            arrived = propagated_plainly(message, asked, along, self.times, share)
        if self.mean:
            arrived = arrived * _shrinking(torch.from_numpy(along.arriving).to(arrived))
        own = self.asked(asked) + self.arrived.bias
        matrices = (self.arrived.weight, self.kept.weight, self.norm.weight, self.norm.bias)
        update = Update(arrived, state, own, *matrices)
        if dropped is None:
            state = updated(update, row)
        else:
            new = dropped(gain(update, row))
            state = torch.cat([new[:num_old] + state, new[num_old:]])
        return state, self.worth(state)[:, 0]


def _by_table(along: Hop, reached: Frontier, shift: Int[np.ndarray, " B"]) -> Hop:
    """With the rows of relations in the table of the question of each edge."""
    if not shift.any():
        return along
    more = shift[reached.row[along.source]]
    relation = along.relation + np.repeat(more, np.diff(along.offsets)).astype(along.relation.dtype)
    return along._replace(relation=relation)


def _shrinking(count: Float[Tensor, " K"]) -> Float[Tensor, "K 1"]:
    """1 / sqrt(1 + count)."""
    return (1 + count).rsqrt()[:, None]


def _unseen(queries: Queries) -> Gone:
    nothing = queries.head[:0]
    if queries.unseen is None:
        return Gone(nothing, nothing, nothing, nothing)
    row, head, relation, tail, pairs = queries.unseen
    found = queries.graph.neighbours(head)
    fact = torch.repeat_interleave(torch.arange(len(head), device=head.device), found.offsets.diff())
    gone = found.tail == tail[fact]
    if not pairs:
        gone &= found.relation == relation[fact]
    fact, via, back = fact[gone], found.relation[gone], queries.graph.num_relations
    once = torch.stack([row[fact], head[fact], via, tail[fact]], 1)
    turned = torch.stack([row[fact], tail[fact], (via + back) % (2 * back), head[fact]], 1)
    edges = torch.unique(torch.cat([once, turned]), dim=0)  # a loop is its own inverse's other end
    return Gone(*edges.T.contiguous())


def _hidden(gone: Gone, num_rows: int) -> Hidden:
    row, *edges = (x.cpu() for x in gone)
    offsets = torch.searchsorted(row, torch.arange(num_rows + 1))
    return Hidden(offsets.numpy(), *(x.to(torch.int32).numpy() for x in edges))


def _shift(queries: Queries) -> np.ndarray:
    """Where each question begins in the lists of edges that are too long: drawn in training, else in the middle."""
    if queries.generator is None:
        return np.full(len(queries), 0.5)
    drawn = torch.rand(len(queries), generator=queries.generator, device=queries.head.device)
    return drawn.double().cpu().numpy()
