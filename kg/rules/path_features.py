"""Path types of a relation, and where random walks along them end (Lao and Cohen, 2010)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kg.graph.graph import Graph
from kg.rules.rule import inverse_bodies
from kg.walks.compiled import compiled, longer
from kg.walks.connections import bodies, supported
from kg.walks.edges import Edges, edges_of, span

_BUDGET = 2_000_000  # edges looked at to find the paths of one length between the ends of a relation's facts
_TRIED = 4  # path types whose success is measured for one that is kept


class Examples(NamedTuple):
    """Rows to fit a relation's weights to: probabilities by path type, whether it is an answer, how often it counts."""

    features: Float[np.ndarray, "M K"]
    answer: Int[np.ndarray, " M"]
    weight: Float[np.ndarray, " M"]


class _Question(NamedTuple):
    """(head, relation, ?), asked as if the edge to `tail` were not there; tail -1: with all edges."""

    head: int
    relation: int
    tail: int


class _Room(NamedTuple):
    """Where a walk may be after 0, 1, ... L steps: entity[i, :size[i]], with probability[i, entity], elsewhere 0."""

    entity: Int[np.ndarray, "L1 N"]
    probability: Float[np.ndarray, "L1 N"]
    size: Int[np.ndarray, " L1"]


def walkable(graph: Graph) -> Edges:
    """The graph's own rows, loops included, without its lists of heads: nothing is sorted, and nothing copied."""
    offsets, relation, tail = (x.cpu().numpy() for x in (graph.offsets, graph.relation, graph.tail))
    nothing = np.zeros(0, np.int64)
    return Edges(graph.num_relations, offsets, relation, tail, nothing, nothing)


def path_types(
    graph: Graph, relation: int, facts: Int[np.ndarray, "F 2"], num_paths: int, max_length: int
) -> tuple[Int[np.ndarray, "K L"], Int[np.ndarray, "K L"]]:
    """The path types by which facts (head, tail) of a relation are found best; and by which they are from the tail.

    Best are those whose walks end at the answer with the highest probability on average, each fact's own edge hidden,
    among the types that join the ends of most facts. Filled up with -1, in types and in atoms; sorted, so that those
    that begin alike are neighbours.
    """
    back = graph.num_relations
    codes, counts = [], []
    for length in range(1, max_length + 1):
        found, joined, _ = supported(edges_of(graph), relation, facts, length, _BUDGET)
        codes.append(found[joined > 0])
        counts.append(joined[joined > 0])
    code, count = np.concatenate(codes), np.concatenate(counts)
    tried = code[np.lexsort((code, -count))[: _TRIED * num_paths]]
    types = np.ascontiguousarray(bodies(tried, back, max_length))
    edges = walkable(graph)
    return (
        _best(edges, types, relation, facts, num_paths),
        _best(edges, inverse_bodies(types, back), relation + back, facts[:, ::-1], num_paths),
    )


def _best(
    edges: Edges, types: Int[np.ndarray, "T L"], relation: int, facts: Int[np.ndarray, "F 2"], num_paths: int
) -> Int[np.ndarray, "K L"]:
    types = types[np.lexsort(types.T[::-1])]
    chances = success(edges, types, relation, np.ascontiguousarray(facts))
    kept = np.sort(np.argsort(-chances, kind="stable")[:num_paths])
    best = np.full((num_paths, types.shape[1]), -1, np.int64)
    best[: len(kept)] = types[kept]
    return best


@compiled
def success(
    edges: Edges, paths: Int[np.ndarray, "K L"], relation: int, facts: Int[np.ndarray, "F 2"]
) -> Float[np.ndarray, " K"]:
    """Of each path type, the mean probability that a walk from a fact's head ends at its tail, its own edge hidden."""
    room = _room(edges, paths.shape[1])
    chances = np.zeros(len(paths))
    for fact in range(len(facts)):
        head, tail = facts[fact]
        for k in range(len(paths)):
            if paths[k, 0] < 0:
                break
            level = _walk(edges, paths, k, _Question(head, relation, tail), room)
            chances[k] += room.probability[level, tail] / len(facts)
    return chances


@compiled
def ends(
    edges: Edges,
    paths: Int[np.ndarray, "R2 K L"],
    weight: Float[np.ndarray, "R2 K"],
    heads: Int[np.ndarray, " B"],
    relations: Int[np.ndarray, " B"],
) -> tuple[Int[np.ndarray, " B1"], Int[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """All entities t to which a path type of r leads from h, and sum_k weight_rk P(t | h, path k) of each.

    P(t | h, path): a walk begins at h and takes, for each relation of the path, one of the edges with this relation
    that leave the entity where it is, all alike; it may come by an entity twice; where there is no such edge it ends
    nowhere. Ragged: those of question i lie from offsets[i] to offsets[i + 1].

    No index is checked here. Heads and relations are by check_questions and check_relations, at the call; paths have a
    row for each relation (Scorer.check_fit) and hold relations (check_paths), when a model is loaded.
    """
    num_entities = len(edges.offsets) - 1
    room = _room(edges, paths.shape[2])
    total, met, stamp = np.zeros(num_entities), np.zeros(num_entities, np.int64), np.full(num_entities, -1, np.int64)
    offsets = np.zeros(len(heads) + 1, np.int64)
    entities, sums = np.zeros(1024, np.int64), np.zeros(1024, np.float32)
    for row in range(len(heads)):
        relation, count = relations[row], 0
        for k in range(paths.shape[1]):
            if paths[relation, k, 0] < 0:
                break
            level = _walk(edges, paths[relation], k, _Question(heads[row], relation, -1), room)
            for i in range(room.size[level]):
                t = room.entity[level, i]
                if stamp[t] != row:
                    stamp[t], total[t], met[count] = row, 0.0, t
                    count += 1
                total[t] += weight[relation, k] * room.probability[level, t]
        start, stop = offsets[row], offsets[row] + count
        if stop > len(entities):
            entities, sums = longer(entities, 2 * stop), longer(sums, 2 * stop)
        for i in range(count):
            entities[start + i], sums[start + i] = met[i], total[met[i]]
        offsets[row + 1] = stop
    return offsets, entities[: offsets[-1]], sums[: offsets[-1]]


@compiled
def slopes(
    edges: Edges,
    paths: Int[np.ndarray, "R2 K L"],
    heads: Int[np.ndarray, " B"],
    relations: Int[np.ndarray, " B"],
    offsets: Int[np.ndarray, " B1"],
    entities: Int[np.ndarray, " M"],
    slope: Float[np.ndarray, " M"],
) -> Float[np.ndarray, "R2 K"]:
    """The gradient by the weights of `ends`, whose sums have these slopes: the walks are walked again, never stored."""
    num_entities = len(edges.offsets) - 1
    room = _room(edges, paths.shape[2])
    wanted = np.zeros(num_entities)
    gradient = np.zeros(paths.shape[:2])
    for row in range(len(heads)):
        relation = relations[row]
        for i in range(offsets[row], offsets[row + 1]):
            wanted[entities[i]] = slope[i]
        for k in range(paths.shape[1]):
            if paths[relation, k, 0] < 0:
                break
            level = _walk(edges, paths[relation], k, _Question(heads[row], relation, -1), room)
            for i in range(room.size[level]):
                t = room.entity[level, i]
                gradient[relation, k] += wanted[t] * room.probability[level, t]
    return gradient


@compiled
def examples(edges: Edges, paths: Int[np.ndarray, "K L"], relation: int, facts: Int[np.ndarray, "F 2"]) -> Examples:
    """The answers of a relation's facts, each with its own edge hidden, and some of the entities that are no answers.

    A fact's wrong entities are put in the order of their summed probabilities, and those in place 1, 3, 6, 10, ... are
    taken (Lao, Mitchell and Cohen, 2011): many of the likeliest, about sqrt(2 N) in all. Those that no path reaches
    come last; they, and the answers no path reaches, are the two last rows, which count for all of them.
    """
    num_entities = len(edges.offsets) - 1
    room = _room(edges, paths.shape[1])
    chances, total = np.zeros((num_entities, len(paths)), np.float32), np.zeros(num_entities)
    met, stamp = np.zeros(num_entities, np.int64), np.full(num_entities, -1, np.int64)
    features, answer = np.zeros((1024, len(paths)), np.float32), np.zeros(1024, np.int64)
    size, missed, unreached = 0, 0, 0
    for fact in range(len(facts)):
        head, tail = facts[fact]
        count = 0
        for k in range(len(paths)):
            if paths[k, 0] < 0:
                break
            level = _walk(edges, paths, k, _Question(head, relation, tail), room)
            for i in range(room.size[level]):
                t = room.entity[level, i]
                if stamp[t] != fact:
                    stamp[t], total[t], met[count] = fact, 0.0, t
                    chances[t] = 0
                    count += 1
                chances[t, k] = room.probability[level, t]
                total[t] += room.probability[level, t]
        if size + 1 + count > len(answer):
            features, answer = longer(features, 2 * (size + 1 + count)), longer(answer, 2 * (size + 1 + count))
        if stamp[tail] == fact:
            features[size], answer[size] = chances[tail], 1
            size += 1
        else:
            missed += 1
        start, stop = span(edges, head, relation)
        for e in range(start, stop):
            if stamp[edges.tail[e]] == fact:
                total[edges.tail[e]] = -1.0  # answers come after what may be taken
        order = np.argsort(-total[met[:count]], kind="mergesort")
        place, step = 1, 1
        while place <= count and total[met[order[place - 1]]] > 0:
            features[size], answer[size] = chances[met[order[place - 1]]], 0
            size += 1
            step += 1
            place += step
        while place <= num_entities - (stop - start):
            unreached += 1
            step += 1
            place += step
    weight = np.ones(size + 2)
    weight[size], weight[size + 1] = missed, unreached
    features, answer = longer(features[:size], size + 2), longer(answer[:size], size + 2)
    answer[size] = 1
    return Examples(features, answer, weight)


@compiled
def _room(edges: Edges, length: int) -> _Room:
    num_entities = len(edges.offsets) - 1
    return _Room(
        np.zeros((length + 1, num_entities), np.int64),
        np.zeros((length + 1, num_entities)),
        np.zeros(length + 1, np.int64),
    )


@compiled
def _walk(edges: Edges, paths: Int[np.ndarray, "K L"], k: int, question: _Question, room: _Room) -> int:
    """Walk path k of this question: how many steps it has, which is the level of the room where it ends.

    What it begins with in common with path k - 1, which was walked before it, is not walked again.
    """
    shared = 0
    if k > 0:
        while shared < paths.shape[1] and paths[k, shared] >= 0 and paths[k, shared] == paths[k - 1, shared]:
            shared += 1
    else:
        _leave(room, 0)
        room.entity[0, 0], room.size[0] = question.head, 1
        room.probability[0, question.head] = 1.0
    level = shared
    for later in range(shared + 1, paths.shape[1] + 1):
        _leave(room, later)
    while level < paths.shape[1] and paths[k, level] >= 0:
        for i in range(room.size[level]):
            _step(edges, paths[k, level], room.entity[level, i], level, question, room)
        level += 1
    return level


@compiled
def _leave(room: _Room, level: int) -> None:
    for i in range(room.size[level]):
        room.probability[level, room.entity[level, i]] = 0.0
    room.size[level] = 0


@compiled
def _step(edges: Edges, relation: int, x: int, level: int, question: _Question, room: _Room) -> None:
    """Share the probability of being at x among its edges with this relation, but for the one that is hidden."""
    start, stop = span(edges, x, relation)
    hidden = -1
    if question.tail >= 0:
        if x == question.head and relation == question.relation:
            hidden = question.tail
        if x == question.tail and relation == (question.relation + edges.num_relations) % (2 * edges.num_relations):
            hidden = question.head
    ways = stop - start
    if hidden >= 0:
        for e in range(start, stop):
            if edges.tail[e] == hidden:
                ways -= 1
    if ways == 0:
        return
    share = room.probability[level, x] / ways
    for e in range(start, stop):
        t = edges.tail[e]
        if t == hidden:
            continue
        if room.probability[level + 1, t] == 0.0:
            room.entity[level + 1, room.size[level + 1]] = t
            room.size[level + 1] += 1
        room.probability[level + 1, t] += share
