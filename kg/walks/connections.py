"""The bodies that join the two ends of a fact: what a rule for its relation may look like."""

import numpy as np
from jaxtyping import Int

from kg.errors import UserError
from kg.walks.compiled import compiled
from kg.walks.edges import Edges
from kg.walks.grounding import is_new

_Table = tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"], Int[np.ndarray, " M"]]  # codes, counts, the last fact

# A body of directed relations b1, b2, ... is one number in base 2R + 1, b1 + 1 its last digit.


def bodies(codes: Int[np.ndarray, " C"], num_relations: int, max_length: int) -> Int[np.ndarray, "C L"]:
    """The directed relations behind the codes, filled up with -1."""
    base = 2 * num_relations + 1
    return np.stack([codes // base**i % base - 1 for i in range(max_length)], 1)


def codes_of(bodies: Int[np.ndarray, "C L"], num_relations: int) -> Int[np.ndarray, " C"]:
    """The numbers of these bodies."""
    places = (2 * num_relations + 1) ** np.arange(bodies.shape[1])
    codes: Int[np.ndarray, " C"] = ((bodies + np.int64(1)) * places).sum(1)
    return codes


def check_codes(num_relations: int, max_length: int) -> None:
    """UserError where there are so many relations that a body of max_length atoms has no number below 2^63."""
    if (2 * num_relations + 1) ** max_length >= 2**63:
        raise UserError(f"bodies of {max_length} atoms are too many with {num_relations:,} relations: take fewer")


@compiled
def supported(
    edges: Edges, relation: int, facts: Int[np.ndarray, "F 2"], length: int, budget: int, most: int = 1 << 62
) -> tuple[Int[np.ndarray, " C"], Int[np.ndarray, " C"], int]:
    """Bodies of this length that join the ends of a relation's facts (head, tail): codes, and how many each joins.

    A fact never supports itself: no entity is met twice on a path, so that its edge could only be the whole path, and
    that body is left out. Facts are taken in their order until `budget` edges have been looked at; the third value says
    how many were: all before a fact that takes more than `most` edges, which is the last, and looked at in part. Paths
    of ceil(length / 2) edges from the one end meet paths of floor(length / 2) from the other.
    """
    num_entities, back = len(edges.offsets) - 1, edges.num_relations
    table = np.full(1 << 10, -1, np.int64), np.zeros(1 << 10, np.int64), np.full(1 << 10, -1, np.int64)
    size, steps = 0, 0
    short = length // 2
    long = length - short
    first, stamp = np.zeros(num_entities, np.int64), np.full(num_entities, -1, np.int64)
    entity, relations = np.zeros(long + 1, np.int64), np.zeros(long, np.int64)
    edge, stop = np.zeros(long + 1, np.int64), np.zeros(long + 1, np.int64)
    for fact in range(len(facts)):
        if steps > budget:
            return table[0], table[1], fact
        x, y = facts[fact]
        turned = _edges_nearby(edges, y) < _edges_nearby(edges, x)  # the long paths begin where fewer edges lead on
        if turned:
            x, y = y, x
        ways, between, follower = _short_paths(edges, y, x, short, first, stamp, fact)
        last = steps + most
        steps += len(ways)
        depth = 0
        entity[0] = x
        edge[0], stop[0] = edges.offsets[x], edges.offsets[x + 1]
        while depth >= 0:
            if steps > last:
                return table[0], table[1], fact
            if edge[depth] == stop[depth]:
                depth -= 1
                continue
            z = edges.tail[edge[depth]]
            relations[depth] = edges.relation[edge[depth]]
            edge[depth] += 1
            steps += 1
            if not is_new(z, entity, depth):
                continue
            if depth + 1 < long:
                if z != y:
                    depth += 1
                    entity[depth] = z
                    edge[depth], stop[depth] = edges.offsets[z], edges.offsets[z + 1]
                continue
            at = first[z] if stamp[z] == fact else -1
            while at >= 0:
                steps += 1
                if short < 2 or is_new(between[at], entity, long):
                    code = _code(relations, ways[at], turned, back)
                    if length > 1 or code != relation + 1:
                        if 2 * size > len(table[0]):
                            table = _grown(table)
                        size += _count(table, code, fact)
                at = follower[at]
    return table[0], table[1], len(facts)


@compiled
def _edges_nearby(edges: Edges, entity: int) -> int:
    """How many edges leave its neighbours."""
    count = 0
    for e in range(edges.offsets[entity], edges.offsets[entity + 1]):
        z = edges.tail[e]
        count += edges.offsets[z + 1] - edges.offsets[z]
    return count


@compiled
def _short_paths(
    edges: Edges,
    start: int,
    avoided: int,
    length: int,
    first: Int[np.ndarray, " N"],
    stamp: Int[np.ndarray, " N"],
    token: int,
) -> tuple[Int[np.ndarray, "P _"], Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Paths of 0, 1 or 2 edges from `start` that avoid an entity: their relations, and the entity between (length 2).

    They are chained by the entity where they end: the first is first[end], if stamp[end] is the token; path p is
    followed by follower[p], the last of a chain by -1.
    """
    most = 1
    if length == 1:
        most = edges.offsets[start + 1] - edges.offsets[start]
    elif length == 2:
        most = _edges_nearby(edges, start)
    ways = np.zeros((most, length), np.int64)
    between, follower = np.zeros(most, np.int64), np.zeros(most, np.int64)
    count = 0
    if length == 0:
        count = _chain(start, count, first, stamp, token, follower)
        return ways, between, follower
    for e in range(edges.offsets[start], edges.offsets[start + 1]):
        z = edges.tail[e]
        if z == avoided:
            continue
        if length == 1:
            ways[count, 0] = edges.relation[e]
            count = _chain(z, count, first, stamp, token, follower)
            continue
        for e2 in range(edges.offsets[z], edges.offsets[z + 1]):
            end = edges.tail[e2]
            if end != avoided and end != start:
                ways[count, 0], ways[count, 1], between[count] = edges.relation[e], edges.relation[e2], z
                count = _chain(end, count, first, stamp, token, follower)
    return ways[:count], between[:count], follower[:count]


@compiled
def _chain(
    end: int,
    path: int,
    first: Int[np.ndarray, " N"],
    stamp: Int[np.ndarray, " N"],
    token: int,
    follower: Int[np.ndarray, " P"],
) -> int:
    """Put the path before the others that end there; the number of the next path."""
    follower[path] = first[end] if stamp[end] == token else -1
    first[end], stamp[end] = path, token
    return path + 1


@compiled
def _code(long: Int[np.ndarray, " L"], short: Int[np.ndarray, " S"], turned: bool, back: int) -> int:
    """The number of a body: a long path from the one end, then back along a short one from the other.

    turned: of its inverse, the last atom first, as the long path began at the tail.
    """
    length, code = len(long) + len(short), 0
    for i in range(length):  # the last digit is the first atom
        place = i if turned else length - 1 - i
        is_walked = place < len(long)  # otherwise walked from the other end
        atom = long[place] if is_walked else short[length - 1 - place]
        if is_walked == turned:
            atom = (atom + back) % (2 * back)
        code = code * (2 * back + 1) + atom + 1
    return code


@compiled
def _place(codes: Int[np.ndarray, " M"], code: int) -> int:
    """Where a code lies in an open hash table, or the empty place (-1) where it would."""
    mask = np.uint64(len(codes) - 1)
    at = (np.uint64(code) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & mask
    while codes[at] >= 0 and codes[at] != code:
        at = (at + np.uint64(1)) & mask
    return int(at)


@compiled
def _count(table: _Table, code: int, fact: int) -> int:
    """Count the code, once a fact; 1 if it is new to the table, else 0."""
    codes, counts, last = table
    at = _place(codes, code)
    new = 1 if codes[at] < 0 else 0
    if last[at] != fact:
        codes[at], last[at] = code, fact
        counts[at] += 1
    return new


@compiled
def _grown(table: _Table) -> _Table:
    """The same in a table of twice the length."""
    codes, counts, last = table
    size = 2 * len(codes)
    more = np.full(size, -1, np.int64), np.zeros(size, np.int64), np.full(size, -1, np.int64)
    for i in range(len(codes)):
        if codes[i] >= 0:
            at = _place(more[0], codes[i])
            more[0][at], more[1][at], more[2][at] = codes[i], counts[i], last[i]
    return more
