"""Which answers the rules give to a question, and how sure the surest of these rules are."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from kg.rules.constants import holds_open
from kg.rules.rule import Rules, inverse_bodies
from kg.walks.compiled import compiled, longer
from kg.walks.edges import Edges, span
from kg.walks.grounding import reached


class Index(NamedTuple):
    """Rules as answers look them up.

    Closed rules of directed relation r lie from first_closed[r] to first_closed[r + 1], the surest first, those of
    r + R read backwards. constant holds rows r, c, b, d by (r, c): by_head is r * N + c of each. order holds them by
    (r, b, d): by_body is that of each, as one number.
    """

    num_entities: int
    first_closed: Int[np.ndarray, " R3"]
    bodies: Int[np.ndarray, "C L"]
    closed_confidence: Float[np.ndarray, " C"]
    constant: Int[np.ndarray, "K 4"]
    constant_confidence: Float[np.ndarray, " K"]
    by_head: Int[np.ndarray, " K"]
    order: Int[np.ndarray, " K"]
    by_body: Int[np.ndarray, " K"]
    first_plain: Int[np.ndarray, " R3"]
    plain: Int[np.ndarray, " P"]
    plain_confidence: Float[np.ndarray, " P"]


def index_of(rules: Rules, num_entities: int) -> Index:
    """num_entities: of the graph that the rules were mined on; a constant is one of them. O(rules log rules)."""
    num_relations = rules.num_relations
    relation = np.concatenate([rules.closed[:, 0], rules.closed[:, 0] + num_relations])
    forward = rules.closed[:, 1:]
    body = np.concatenate([forward, inverse_bodies(forward, num_relations)])
    confidence = np.tile(_below_one(rules.closed_confidence), 2)
    falling = np.lexsort((-confidence, relation))
    constant = rules.constant.astype(np.int64)
    by_head = constant[:, 0] * num_entities + constant[:, 1]
    sorting = np.lexsort((constant[:, 2], by_head))
    constant, sure = constant[sorting], _below_one(rules.constant_confidence[sorting])
    plain = constant[:, 2] < 0
    by_body = _body_key(constant[:, 0], constant[:, 2], constant[:, 3], num_relations, num_entities)
    order = np.argsort(by_body, kind="stable")
    return Index(
        num_entities,
        np.searchsorted(relation[falling], np.arange(2 * num_relations + 1)),
        np.ascontiguousarray(body[falling]),
        confidence[falling],
        constant.astype(np.int32),
        sure,
        by_head[sorting],
        order,
        by_body[order],
        np.searchsorted(constant[plain, 0], np.arange(2 * num_relations + 1)),
        constant[plain, 1],
        sure[plain],
    )


def _below_one(confidence: Float[np.ndarray, " C"]) -> Float[np.ndarray, " C"]:
    """In single precision, which would round that of a rule with 10^8 groundings to 1: infinite log-odds."""
    single: Float[np.ndarray, " C"] = confidence.astype(np.float32).clip(max=np.nextafter(np.float32(1), np.float32(0)))
    return single


@compiled
def _body_key(r: Any, b: Any, d: Any, num_relations: int, num_entities: int) -> Any:
    """Of one rule, or of all in arrays."""
    return (r * np.int64(2 * num_relations + 1) + b + 1) * (num_entities + 1) + d + 1


@compiled
def answers(
    edges: Edges, index: Index, heads: Int[np.ndarray, " B"], relations: Int[np.ndarray, " B"], depth: int
) -> tuple[Int[np.ndarray, " B1"], Int[np.ndarray, " M"], Float[np.ndarray, "M K"]]:
    """All entities that a rule with a body gives as an answer to (head, relation, ?), and how sure these rules are.

    Ragged: the answers to question i lie from offsets[i] to offsets[i + 1], by entity; a row of confidences falls, and
    is filled up with 0 where fewer than `depth` rules give the answer. A rule r(X, c) answers (x, r, ?) with c, and
    (c, r^-1, ?) with every X that its body holds for; one without a body adds to what the others give: see `plain`.

    No index is checked here. Those of rules are by Rules.check, when a model is loaded; heads and relations by
    check_questions, at the call; that a constant is an entity of the graph and a relation one of its relations, by
    RuleScorer, which compares their numbers with the graph's; edges are those of a Graph.
    """
    num_entities = len(edges.offsets) - 1
    seen, found = np.full(num_entities, -1, np.int64), np.zeros(num_entities, np.int32)
    path = np.zeros((3, index.bodies.shape[1]), np.int64)
    surest, given = np.zeros((num_entities, depth), np.float32), np.zeros(num_entities, np.int64)
    offsets = np.zeros(len(heads) + 1, np.int64)
    entities, confidences = np.zeros(1024, np.int32), np.zeros((1024, depth), np.float32)
    token = 0
    for row in range(len(heads)):
        head, relation = heads[row], relations[row]
        count = 0
        for i in range(index.first_closed[relation], index.first_closed[relation + 1]):
            num_found, _ = reached(edges, index.bodies[i], head, seen, token, found, path)
            token += 1
            for j in range(num_found):
                count = _give(surest, given, count, found[j], index.closed_confidence[i])
        count = _give_constants(edges, index, head, relation, surest, given, count)
        count = _give_holders(edges, index, head, relation, surest, given, count)
        total = offsets[row] + count
        if total > len(entities):
            entities, confidences = longer(entities, 2 * total), longer(confidences, 2 * total)
        _give_plain(index, relation, surest, given[:count])
        given[:count].sort()
        for j in range(count):
            entities[offsets[row] + j] = given[j]
            confidences[offsets[row] + j] = surest[given[j]]
            surest[given[j]] = 0
        offsets[row + 1] = total
    return offsets, entities[: offsets[-1]], confidences[: offsets[-1]]


@compiled
def _give_constants(
    edges: Edges,
    index: Index,
    head: int,
    relation: int,
    surest: Float[np.ndarray, "N K"],
    given: Int[np.ndarray, " N"],
    count: int,
) -> int:
    """The constants c of rules r(X, c) that fire for X = head."""
    back, num_entities = edges.num_relations, index.num_entities
    before = -1
    for e in range(edges.offsets[head], edges.offsets[head + 1]):
        b, d = edges.relation[e], edges.tail[e]
        if b != before:
            before = b
            key = _body_key(relation, b, -1, back, num_entities)
            at = np.searchsorted(index.by_body, key)
            while at < len(index.order) and index.by_body[at] == key:
                if holds_open(edges, head, b, index.constant[index.order[at], 1]):
                    count = _give_constant(index, index.order[at], head, surest, given, count)
                at += 1
        if d < num_entities:
            key = _body_key(relation, b, d, back, num_entities)
            at = np.searchsorted(index.by_body, key)
            while at < len(index.order) and index.by_body[at] == key:
                count = _give_constant(index, index.order[at], head, surest, given, count)
                at += 1
    return count


@compiled
def _give_plain(index: Index, relation: int, surest: Float[np.ndarray, "N K"], given: Int[np.ndarray, " M"]) -> None:
    """Rules without a body, for what other rules give."""
    for i in range(len(given)):
        key = np.int64(relation) * index.num_entities + given[i]
        at = np.searchsorted(index.by_head, key)
        is_head = given[i] < index.num_entities and at < len(index.by_head) and index.by_head[at] == key
        if is_head and index.constant[at, 2] < 0:
            _give(surest, given, 0, given[i], index.constant_confidence[at])


@compiled
def _give_constant(
    index: Index, rule: int, head: int, surest: Float[np.ndarray, "N K"], given: Int[np.ndarray, " N"], count: int
) -> int:
    c = index.constant[rule, 1]
    return count if c == head else _give(surest, given, count, c, index.constant_confidence[rule])


@compiled
def _give_holders(
    edges: Edges,
    index: Index,
    head: int,
    relation: int,
    surest: Float[np.ndarray, "N K"],
    given: Int[np.ndarray, " N"],
    count: int,
) -> int:
    """The X of rules r^-1(X, c) with c = head whose body holds for X."""
    back = edges.num_relations
    if head >= index.num_entities:
        return count
    key = np.int64((relation + back) % (2 * back)) * index.num_entities + head
    at = np.searchsorted(index.by_head, key)
    while at < len(index.by_head) and index.by_head[at] == key:
        b, d, confidence = index.constant[at, 2], index.constant[at, 3], index.constant_confidence[at]
        at += 1
        if d >= 0:
            start, stop = span(edges, d, (b + back) % (2 * back))
            for e in range(start, stop):
                if edges.tail[e] != head:
                    count = _give(surest, given, count, edges.tail[e], confidence)
        elif b >= 0:
            for h in range(edges.head_offsets[b], edges.head_offsets[b + 1]):
                x = edges.heads[h]
                if x != head and holds_open(edges, x, b, head):
                    count = _give(surest, given, count, x, confidence)
    return count


@compiled
def _give(
    surest: Float[np.ndarray, "N K"], given: Int[np.ndarray, " N"], count: int, entity: int, confidence: float
) -> int:
    """Note that a rule of this confidence gives the entity; how many are given."""
    row = surest[entity]
    if confidence <= 0:
        return count
    if row[0] == 0:
        given[count] = entity
        count += 1
    place = len(row) - 1
    if confidence > row[place]:
        while place > 0 and row[place - 1] < confidence:
            row[place] = row[place - 1]
            place -= 1
        row[place] = confidence
    return count


@compiled
def lexicographic(offsets: Int[np.ndarray, " B1"], confidences: Float[np.ndarray, "M K"]) -> Float[np.ndarray, " M"]:
    """One number an answer that has the order of its confidences: by the first, then by the second, and so on.

    It is the log-odds of the first, raised by as many units in the last place as the order takes: by none for a row of
    one confidence, by at least one where there is a second. So rows of one confidence may be scored apart, as those of
    merely frequent answers are. Rows that are the same stay the same.
    """
    scores = np.zeros(len(confidences), np.float32)
    longest = np.diff(offsets).max() if len(offsets) > 1 else 0
    order, merged = np.zeros(longest, np.int64), np.zeros(longest, np.int64)
    for row in range(len(offsets) - 1):
        start, count = offsets[row], offsets[row + 1] - offsets[row]
        for i in range(count):
            order[i] = start + i
        width = 1
        while width < count:  # merge sort
            for low in range(0, count, 2 * width):
                left, middle, high = low, min(low + width, count), min(low + 2 * width, count)
                right = middle
                for place in range(low, high):
                    take_left = left < middle and (
                        right == high or _compared(confidences[order[left]], confidences[order[right]]) >= 0
                    )
                    merged[place] = order[left] if take_left else order[right]
                    if take_left:
                        left += 1
                    else:
                        right += 1
            order, merged = merged, order
            width *= 2
        for i in range(count - 1, -1, -1):
            sure = confidences[order[i]]
            score = np.float32(np.log(sure[0]) - np.log1p(-sure[0]))
            if len(sure) > 1 and sure[1] > 0:
                score = np.nextafter(score, np.float32(np.inf))
            if i + 1 < count:
                below = scores[order[i + 1]]
                if _compared(sure, confidences[order[i + 1]]) == 0:
                    score = below
                elif score <= below:
                    score = np.nextafter(below, np.float32(np.inf))
            scores[order[i]] = score
    return scores


@compiled
def _compared(left: Float[np.ndarray, " K"], right: Float[np.ndarray, " K"]) -> int:
    """1 if left comes first (is larger), -1 if right does, 0 if they are the same."""
    for i in range(len(left)):
        if left[i] != right[i]:
            return 1 if left[i] > right[i] else -1
    return 0
