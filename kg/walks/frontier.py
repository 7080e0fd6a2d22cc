"""What questions reach: a growing set of nodes (question, entity), a hop at a time, the best of them leading on."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kg.graph.graph import Graph
from kg.walks.compiled import compiled

_MOST_TIED = 4  # times as many nodes as were asked for: so many may tie at the border and all lead on
_TIED = 1e-5  # apart, relative: the order in which floats are added must not decide


class Adjacency(NamedTuple):
    """Edges of a Graph, loops and inverses included: those of entity x from offsets[x] on, by (relation, tail)."""

    offsets: Int[np.ndarray, " N1"]
    relation: Int[np.ndarray, " E"]
    tail: Int[np.ndarray, " E"]


@lru_cache(maxsize=2)
def adjacency_of(graph: Graph) -> Adjacency:
    """O(E), kept for the last two graphs asked for."""
    offsets, relation, tail = (x.cpu().numpy() for x in (graph.offsets, graph.relation, graph.tail))
    return Adjacency(offsets, relation.astype(np.int32), tail.astype(np.int32))


class Hidden(NamedTuple):
    """Edges that are not there for a question, each in both directions: those of question b from offsets[b] on."""

    offsets: Int[np.ndarray, " B1"]
    head: Int[np.ndarray, " H"]
    relation: Int[np.ndarray, " H"]
    tail: Int[np.ndarray, " H"]


class Frontier(NamedTuple):
    """The M nodes (row, entity) that B questions have reached. A node keeps its number while others are added.

    starts: those that question b reached first in hop l are starts[l, b] ... starts[l, b + 1] - 1; in hop 0 its head.
    """

    row: Int[np.ndarray, " M"]
    entity: Int[np.ndarray, " M"]
    starts: Int[np.ndarray, "L B1"]


class Hop(NamedTuple):
    """S nodes that lead on, and the edges along which they do, sorted by relation: those of source s from offsets[s]
    on. scale: what each edge of a source stands for, more than 1 where a part of them was drawn. arriving: how
    many edges lead to each node of the frontier after the hop.
    """

    source: Int[np.ndarray, " S"]
    scale: Float[np.ndarray, " S"]
    offsets: Int[np.ndarray, " S1"]
    relation: Int[np.ndarray, " E"]
    target: Int[np.ndarray, " E"]
    arriving: Float[np.ndarray, " M"]

    def edge_source(self) -> Int[np.ndarray, " E"]:
        """The node that each edge leaves."""
        return np.repeat(self.source, np.diff(self.offsets))


class Sources(NamedTuple):
    """The nodes that lead on, those of question b from bounds[b] on, and how many edges that will be at most."""

    node: Int[np.ndarray, " S"]
    bounds: Int[np.ndarray, " B1"]
    num_edges: int


def beginning(head: Int[np.ndarray, " B"]) -> Frontier:
    """Each question at its head."""
    rows = np.arange(len(head) + 1, dtype=np.int64)
    return Frontier(rows[:-1].astype(np.int32), head.astype(np.int32), rows[None])


def sources(edges: Adjacency, reached: Frontier, score: Float[np.ndarray, " M"], most: int, most_edges: int) -> Sources:
    """The `most` nodes of each question with the best scores; all, where it has no more.

    Nodes that tie at the border all lead on, up to 4 * most, else none of them does: their order would hang on ids.
    """
    return Sources(*_best(edges.offsets, reached.entity, reached.starts, score, most, most_edges))


def hop(
    edges: Adjacency,
    reached: Frontier,
    chosen: Sources,
    hidden: Hidden,
    most_edges: int,
    shift: Float[np.ndarray, " B"],
) -> tuple[Frontier, Hop]:
    """Along all edges of these nodes that are not hidden from their question. O(N + M + edges).

    Of a node with more than `most_edges` so many are taken, evenly from its list, beginning at shift[b] of a step: with
    a shift drawn from [0, 1), each has the same chance, and the scaled sum over them the right mean.
    """
    row, entity, starts, *found = _hop(
        *(*edges, reached.row, reached.entity, reached.starts, chosen.node, chosen.bounds, chosen.num_edges),
        *(*hidden, most_edges, shift),
    )
    return Frontier(row, entity, starts), Hop(chosen.node, *found)


@compiled
def _best(
    offsets: Int[np.ndarray, " N1"],
    entity: Int[np.ndarray, " M"],
    starts: Int[np.ndarray, "L B1"],
    score: Float[np.ndarray, " M"],
    most: int,
    most_edges: int,
) -> tuple[Int[np.ndarray, " S"], Int[np.ndarray, " B1"], int]:
    num_rows = starts.shape[1] - 1
    chosen, bounds = np.empty(len(entity), np.int32), np.zeros(num_rows + 1, np.int64)
    size, num_edges = 0, 0
    for b in range(num_rows):
        count = 0
        for hop in range(len(starts)):
            count += starts[hop, b + 1] - starts[hop, b]
        least = -np.inf
        if count > most:
            own, at = np.empty(count, score.dtype), 0
            for hop in range(len(starts)):
                for node in range(starts[hop, b], starts[hop, b + 1]):
                    own[at] = score[node]
                    at += 1
            border = np.partition(own, count - most)[count - most]
            margin = _TIED * max(1.0, abs(border))
            tied = 0
            for i in range(count):
                tied += own[i] >= border - margin
            least = border - margin if tied <= _MOST_TIED * most else border + margin
        for hop in range(len(starts)):
            for node in range(starts[hop, b], starts[hop, b + 1]):
                if score[node] >= least:
                    chosen[size] = node
                    size += 1
                    num_edges += min(most_edges, offsets[entity[node] + 1] - offsets[entity[node]])
        bounds[b + 1] = size
    return chosen[:size], bounds, num_edges


@compiled
def _hop(
    offsets: Int[np.ndarray, " N1"],
    relation: Int[np.ndarray, " E"],
    tail: Int[np.ndarray, " E"],
    row: Int[np.ndarray, " M"],
    entity: Int[np.ndarray, " M"],
    starts: Int[np.ndarray, "L B1"],
    chosen: Int[np.ndarray, " S"],
    bounds: Int[np.ndarray, " B1"],
    room: int,
    hidden_offsets: Int[np.ndarray, " B1"],
    hidden_head: Int[np.ndarray, " H"],
    hidden_relation: Int[np.ndarray, " H"],
    hidden_tail: Int[np.ndarray, " H"],
    most_edges: int,
    shift: Float[np.ndarray, " B"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    num_entities, num_hops, num_rows, num_old = len(offsets) - 1, len(starts), len(bounds) - 1, len(entity)
    place, stamp = np.empty(num_entities, np.int32), np.full(num_entities, -1, np.int32)  # of one question at a time
    num_most = num_old + min(room, num_rows * num_entities)
    rows, entities = np.empty(num_most, np.int32), np.empty(num_most, np.int32)
    rows[:num_old], entities[:num_old] = row, entity
    grown = np.empty((num_hops + 1, num_rows + 1), np.int64)
    grown[:num_hops], grown[num_hops, 0] = starts, num_old
    scale, edge_offsets = np.ones(len(chosen), np.float32), np.zeros(len(chosen) + 1, np.int64)
    via, target, count = np.empty(room, np.int32), np.empty(room, np.int32), np.zeros(num_most, np.float32)
    nodes, size = num_old, 0
    for b in range(num_rows):
        for each in range(num_hops):
            for node in range(starts[each, b], starts[each, b + 1]):
                place[entity[node]], stamp[entity[node]] = node, b
        first_hidden, last_hidden = hidden_offsets[b], hidden_offsets[b + 1]
        for s in range(bounds[b], bounds[b + 1]):
            x = entity[chosen[s]]
            first, degree = offsets[x], offsets[x + 1] - offsets[x]
            is_beside_hidden = False
            for i in range(first_hidden, last_hidden):
                is_beside_hidden |= hidden_head[i] == x
            taken = min(degree, most_edges)
            if taken < degree:
                scale[s] = degree / taken
            for i in range(taken):
                e = first + (i if taken == degree else int((i + shift[b]) * degree / taken))
                r, y = relation[e], tail[e]
                if is_beside_hidden:
                    is_hidden = False
                    for j in range(first_hidden, last_hidden):
                        is_hidden |= hidden_head[j] == x and hidden_relation[j] == r and hidden_tail[j] == y
                    if is_hidden:
                        continue
                if stamp[y] != b:
                    place[y], stamp[y] = nodes, b
                    rows[nodes], entities[nodes] = b, y
                    nodes += 1
                via[size], target[size] = r, place[y]
                count[place[y]] += 1
                size += 1
            edge_offsets[s + 1] = size
        grown[num_hops, b + 1] = nodes
    return rows[:nodes], entities[:nodes], grown, scale, edge_offsets, via[:size], target[:size], count[:nodes]
