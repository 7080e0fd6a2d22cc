"""Rules with constants, r(X, c) <= b(X, d): what the entities with one feature (r, c) have in common."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from kg.walks.compiled import compiled, longer
from kg.walks.edges import Edges, leads_to, span


class Features(NamedTuple):
    """The F distinct (relation, tail) of a graph's edges, sorted: what an entity may have.

    of_edge: which feature each edge is. holders: how many entities have it. alone: how many have it and no other edge
    with its relation.
    """

    relation: Int[np.ndarray, " F"]
    tail: Int[np.ndarray, " F"]
    of_edge: Int[np.ndarray, " E"]
    holders: Int[np.ndarray, " F"]
    alone: Int[np.ndarray, " F"]


def features_of(edges: Edges) -> Features:
    """O(E log E)."""
    num_entities = len(edges.offsets) - 1
    key = edges.relation.astype(np.int64) * num_entities + edges.tail
    unique, of_edge, holders = np.unique(key, return_inverse=True, return_counts=True)
    head = np.repeat(np.arange(num_entities), np.diff(edges.offsets))
    _, question, siblings = np.unique(
        head * (2 * edges.num_relations) + edges.relation, return_inverse=True, return_counts=True
    )
    alone = np.bincount(of_edge, siblings[question] == 1, minlength=len(unique))
    relation, tail = unique // num_entities, unique % num_entities
    return Features(
        relation.astype(np.int32), tail.astype(np.int32), of_edge.astype(np.int32), holders, alone.astype(np.int64)
    )


@compiled
def constant_rules(
    edges: Edges, features: Features, start: int, stop: int, min_support: int, min_confidence: float, smoothing: float
) -> Int[np.ndarray, "K 6"]:
    """Rules whose head is one of the features from `start` to `stop`: rows r, c, b, d, support, body.

    Without a body (b = d = -1) every head is a rule, however seldom it is right. The others have the support and the
    confidence asked for, and more confidence than the head without a body has. O(edges of the holders), where these
    are as many as the support asks for.
    """
    num_others, back = len(edges.offsets) - 2, edges.num_relations
    shared, touched = np.zeros(len(features.tail), np.int64), np.zeros(len(features.tail), np.int64)
    with_relation = np.zeros(2 * back, np.int64)
    rows, count = np.zeros((1024, 6), np.int32), 0
    for feature in range(start, stop):
        r, c = features.relation[feature], features.tail[feature]
        with_relation[:] = 0
        num_touched = 0
        first, last = span(edges, c, (r + back) % (2 * back))
        if last - first < min_support:  # a hub is the only holder of most features it has: D features of D edges each
            last = first
        for member in range(first, last):
            x = edges.tail[member]
            before = -1
            for e in range(edges.offsets[x], edges.offsets[x + 1]):
                other, b = features.of_edge[e], edges.relation[e]
                if shared[other] == 0:
                    touched[num_touched] = other
                    num_touched += 1
                shared[other] += 1
                if b != before and edges.tail[e] != c:  # Z is not c
                    with_relation[b] += 1
                    before = b
        if len(rows) < count + num_touched + 2 * back + 1:
            rows = longer(rows, 2 * (count + num_touched + 2 * back + 1))
        least = max(min_confidence, features.holders[feature] / (num_others + smoothing))
        count = _add(rows, count, r, c, -1, -1, features.holders[feature], num_others)
        for b in range(2 * back):
            if with_relation[b] >= min_support:
                size = _size_of_open(edges, features, b, c)
                if with_relation[b] / (size + smoothing) > least:
                    count = _add(rows, count, r, c, b, -1, with_relation[b], size)
        for i in range(num_touched):
            other = touched[i]
            support = shared[other]
            shared[other] = 0
            if other == feature or support < min_support:  # the fact itself is no reason
                continue
            size = features.holders[other]
            if support / (size - 1 + smoothing) > least:  # X is not c: that is looked up for the few that matter
                size -= leads_to(edges, c, features.relation[other], features.tail[other])
                if support / (size + smoothing) > least:
                    count = _add(rows, count, r, c, features.relation[other], features.tail[other], support, size)
    return rows[:count].copy()


@compiled
def _add(rows: Int[np.ndarray, "K 6"], count: int, r: int, c: int, b: int, d: int, support: int, size: int) -> int:
    row = rows[count]
    row[0], row[1], row[2], row[3], row[4], row[5] = r, c, b, d, support, size
    return count + 1


@compiled
def _size_of_open(edges: Edges, features: Features, b: int, c: int) -> int:
    """How many X other than c have b(X, Z) for some Z other than c."""
    size = edges.head_offsets[b + 1] - edges.head_offsets[b]
    if _has(edges, c, b):
        size -= 1
    low, high = 0, len(features.tail)
    while low < high:
        middle = (low + high) // 2
        if features.relation[middle] < b or (features.relation[middle] == b and features.tail[middle] < c):
            low = middle + 1
        else:
            high = middle
    if low < len(features.tail) and features.relation[low] == b and features.tail[low] == c:
        size -= features.alone[low]
    return int(size)


@compiled
def pca_sizes(edges: Edges, rules: Int[np.ndarray, "K 4"]) -> Int[np.ndarray, " K"]:
    """Of each rule r, c, b, d, in order of r: for how many X its body holds that have some fact with r.

    O(edges of the heads of each r + holders of each (b, d)).
    """
    back = edges.num_relations
    has_relation = np.full(len(edges.offsets) - 1, -1, np.int32)
    having_both = np.zeros(2 * back, np.int64)  # r and another relation
    sizes = np.zeros(len(rules), np.int64)
    for i in range(len(rules)):
        r, c, b, d = rules[i]
        if i == 0 or rules[i - 1, 0] != r:
            having_both[:] = 0
            for h in range(edges.head_offsets[r], edges.head_offsets[r + 1]):
                x = edges.heads[h]
                has_relation[x] = r
                for e in range(edges.offsets[x], edges.offsets[x + 1]):
                    if e == edges.offsets[x] or edges.relation[e] != edges.relation[e - 1]:
                        having_both[edges.relation[e]] += 1
        if d >= 0:
            start, stop = span(edges, d, (b + back) % (2 * back))
            for e in range(start, stop):
                x = edges.tail[e]
                if x != c and has_relation[x] == r:
                    sizes[i] += 1
            continue
        sizes[i] = having_both[b if b >= 0 else r]
        if has_relation[c] == r and (b < 0 or _has(edges, c, b)):
            sizes[i] -= 1  # X is not c
        if b >= 0:
            start, stop = span(edges, c, (b + back) % (2 * back))
            for e in range(start, stop):  # those with b(X, c) alone, where Z would be c
                if has_relation[edges.tail[e]] == r and not holds_open(edges, edges.tail[e], b, c):
                    sizes[i] -= 1
    return sizes


@compiled
def _has(edges: Edges, x: int, b: int) -> bool:
    start, stop = span(edges, x, b)
    return stop > start


@compiled
def holds_open(edges: Edges, x: int, b: int, c: int) -> bool:
    """Whether b(x, Z) for some Z other than c."""
    start, stop = span(edges, x, b)
    return stop - start > 1 or (stop - start == 1 and edges.tail[start] != c)
