"""Which rules speak for one fact, and by which facts they do."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from kg.graph.graph import Graph
from kg.rules.constants import holds_open
from kg.rules.mining import BODY_BUDGET, scaled_counts
from kg.rules.rule import Atom, Rule, Rules, confidence
from kg.walks.compiled import compiled
from kg.walks.connections import bodies, check_codes, codes_of, supported
from kg.walks.edges import Edges, check_questions, edges_of, leads_to, span
from kg.walks.grounding import is_new

Grounding = tuple[Atom, ...]  # a rule's atoms with entities in the place of variables: facts of the graph

LONGEST = 3  # atoms of a path
LIFT = 2.0  # times the base rate that a path's rule must be right
_MIN_SUPPORT = 2  # other facts that it must explain
_MEETING_BUDGET = 20_000_000  # edges looked at to find the paths of one length between two entities: 0.3 s
_TRIED, _TRIAL_BUDGET = 8192, 10_000  # bodies that are measured roughly, by so many edges each: 0.5 s
_MEASURED = 64  # the surest of these, which are measured as mining does


def joining_rules(graph: Graph, head: int, relation: int, tail: int, held: Rules | None = None) -> tuple[Rules, bool]:
    """The closed rules for this relation (below R) whose bodies, of at most LONGEST atoms, lead from head to tail.

    They are measured on the graph, as if (head, relation, tail) were unknown: it must not be among the edges, and does
    not count as a pair for which a body wrongly holds. A rule is kept if it has been right for _MIN_SUPPORT other facts
    and its confidence is at least LIFT times the base rate: facts of the relation / (its heads * its tails), the chance
    of a pair that is plausible by type alone. Of all N^2 pairs hardly any is a fact, and whatever leads to entities of
    the right type would seem to say something. Rules that are `held` already, as by a model, keep their own counts.

    The second value says whether all bodies were looked at. Where there are too many (the budgets above), those of the
    first edges were, the shortest first; where a body is large, its counts are scaled up from a part and it is
    `sampled`.
    """
    check_questions(graph, np.array([head, tail]), np.array([relation, relation]))
    check_codes(graph.num_relations, LONGEST)
    edges, back = edges_of(graph), graph.num_relations
    size = np.bincount(edges.relation, minlength=2 * back)[:back].astype(np.int32)
    none = replace(Rules.none(back, LONGEST), relation_size=size)
    codes, whole = _joining(edges, head, relation, tail)
    at_held = np.zeros(0, np.int64)
    if held is not None:
        codes, at_held = _apart(codes, held, relation)
    tried = np.ascontiguousarray(bodies(codes[:_TRIED], back, LONGEST))
    counts, sampled = _counted(edges, relation, tried, _TRIAL_BUDGET)
    surest = np.argsort(-confidence(counts), kind="stable")[:_MEASURED]
    body, counts, sampled = tried[surest], counts[surest], sampled[surest]
    again = np.flatnonzero(sampled)  # what was followed to its end would come out the same
    counts[again], sampled[again] = _counted(edges, relation, body[again], BODY_BUDGET)
    counts[~sampled, 1] -= 1  # the pair itself, which is no fact here
    closed = np.concatenate([np.full((len(body), 1), relation), body], 1).astype(np.int32)
    if held is not None:
        theirs = np.full((len(at_held), LONGEST + 1), -1, np.int32)
        width = min(held.closed.shape[1], LONGEST + 1)
        theirs[:, :width] = held.closed[at_held, :width]
        closed = np.concatenate([closed, theirs])
        counts = np.concatenate([counts, held.closed_counts[at_held]])
        sampled = np.concatenate([sampled, held.sampled[at_held]])
    heads, tails = np.diff(edges.head_offsets)[[relation, relation + back]].tolist()
    kept = (counts[:, 0] >= _MIN_SUPPORT) & (confidence(counts) >= LIFT * size[relation] / max(1, heads * tails))
    found = replace(none, closed=closed[kept], closed_counts=counts[kept], sampled=sampled[kept])
    return found, whole and len(codes) <= _TRIED


def _joining(edges: Edges, head: int, relation: int, tail: int) -> tuple[Int[np.ndarray, " C"], bool]:
    """The numbers of the bodies that lead from head to tail, the shortest first, and whether these are all."""
    codes, whole = [np.zeros(0, np.int64)], True
    for length in range(1, LONGEST + 1 if head != tail else 0):
        pair = np.array([[head, tail]])
        found, _, done = supported(edges, relation, pair, length, _MEETING_BUDGET, _MEETING_BUDGET)
        codes.append(np.sort(found[found >= 0]))
        whole = whole and done == 1
    return np.concatenate(codes), whole


def _apart(
    codes: Int[np.ndarray, " C"], held: Rules, relation: int
) -> tuple[Int[np.ndarray, " D"], Int[np.ndarray, " K"]]:
    """The bodies that no held rule for the relation has, and the numbers of the rules that have the others."""
    numbers = np.flatnonzero((held.closed[:, 0] == relation) & (held.closed[:, LONGEST + 1 :] < 0).all(1))
    theirs = codes_of(held.closed[numbers, 1 : LONGEST + 1], held.num_relations)
    return codes[~np.isin(codes, theirs)], numbers[np.isin(theirs, codes)]


def _counted(
    edges: Edges, relation: int, bodies: Int[np.ndarray, "B L"], budget: int
) -> tuple[Int[np.ndarray, "B 3"], Bool[np.ndarray, " B"]]:
    return scaled_counts(edges, bodies, np.arange(len(bodies) + 1), np.full(len(bodies), relation), budget)


def evidence(
    rules: Rules, graph: Graph, head: int, relation: int, tail: int, top: int = 5, paths: int = 3
) -> list[tuple[Rule, list[Grounding]]]:
    """The `top` surest rules with a body that give this fact, each with up to `paths` of its groundings.

    The relation may be directed. Ties go by support, then by the rules' numbers. No grounding holds the fact itself, in
    either direction: variables stand for distinct entities, and no rule has its head for a body. Rules that are looked
    through are those with the fact's relation: O(rules + paths of one atom less from the head, for each of them).

    IndexError for ends that are none of the graph's entities. The rules' own numbers are used as indices: Rules.check.
    """
    check_questions(graph, np.array([head, tail]), np.array([relation, relation]))
    back = rules.num_relations
    if relation >= back:
        head, relation, tail = tail, relation - back, head
    if head == tail or not len(rules):
        return []
    edges = edges_of(graph)
    confidence, support = rules.confidence, rules.support
    constant = np.concatenate(
        [
            _constant_rules(rules, edges, head, relation, tail),
            _constant_rules(rules, edges, tail, relation + back, head),
        ]
    )
    constant = constant[np.lexsort((constant, -support[constant], -confidence[constant]))][:top]
    closed = np.flatnonzero(rules.closed[:, 0] == relation)
    closed = closed[np.lexsort((closed, -support[closed], -confidence[closed]))]
    closed = closed[holding(edges, rules.closed[closed, 1:], head, tail, top)]
    both = np.concatenate([closed, constant])
    chosen = both[np.lexsort((both, -support[both], -confidence[both]))][:top]
    return [(rules[i], _groundings(rules, edges, i, head, tail, paths)) for i in chosen.tolist()]


def _constant_rules(rules: Rules, edges: Edges, x: int, r: int, c: int) -> Int[np.ndarray, " K"]:
    """The numbers of the rules r(X, c) <= b(X, d) whose body holds for x."""
    found = np.flatnonzero((rules.constant[:, 0] == r) & (rules.constant[:, 1] == c) & (rules.constant[:, 2] >= 0))
    numbers: Int[np.ndarray, " K"] = found[holding_for(edges, rules.constant[found], x)] + len(rules.closed)
    return numbers


def _groundings(rules: Rules, edges: Edges, number: int, head: int, tail: int, most: int) -> list[Grounding]:
    """Of a rule that gives (head, relation, tail)."""
    back = rules.num_relations
    if number < len(rules.closed):
        body = rules.closed[number, 1:]
        walks = walks_between(edges, body, head, tail, most).tolist()
        found = [[Atom(b, *walk[i : i + 2]) for i, b in enumerate(body.tolist()) if b >= 0] for walk in walks]
    else:
        r, c, b, d = rules.constant[number - len(rules.closed)].tolist()
        x = head if r < back else tail
        start, stop = span(edges, x, b)
        ends = [d] if d >= 0 else [z for z in edges.tail[start:stop].tolist() if z != c]
        found = [[Atom(b, x, z)] for z in ends[:most]]
    return [tuple(atom.upright(back) for atom in atoms) for atoms in found]


@compiled
def holding_for(edges: Edges, rules: Int[np.ndarray, "K 4"], x: int) -> Bool[np.ndarray, " K"]:
    """Whether the body of each rule r, c, b, d holds for X = x."""
    holds = np.zeros(len(rules), np.bool_)
    for i in range(len(rules)):
        _, c, b, d = rules[i]
        holds[i] = x != c and (leads_to(edges, x, b, d) if d >= 0 else holds_open(edges, x, b, c))
    return holds


@compiled
def holding(edges: Edges, bodies: Int[np.ndarray, "C L"], head: int, tail: int, most: int) -> Int[np.ndarray, " K"]:
    """Which are the first `most` bodies that lead from head to tail."""
    found, count = np.zeros(min(most, len(bodies)), np.int64), 0
    for i in range(len(bodies)):
        if count == len(found):
            break
        if len(walks_between(edges, bodies[i], head, tail, 1)):
            found[count] = i
            count += 1
    return found[:count]


@compiled
def walks_between(
    edges: Edges, body: Int[np.ndarray, " L"], head: int, tail: int, most: int
) -> Int[np.ndarray, "P L1"]:
    """Up to `most` paths head -b1-> z1 -b2-> ... tail that meet no entity twice; the last atom is looked up."""
    walks, count = np.full((most, len(body) + 1), -1, np.int64), 0
    last = len(body) - 1
    while body[last] < 0:
        last -= 1
    start, stop = span(edges, tail, (body[last] + edges.num_relations) % (2 * edges.num_relations))
    if start == stop:  # nothing leads to the tail so: no need to walk
        return walks[:0]
    entity, edge, end = np.zeros(last + 1, np.int64), np.zeros(last + 1, np.int64), np.zeros(last + 1, np.int64)
    entity[0] = head
    edge[0], end[0] = span(edges, head, body[0])
    depth = 0
    while depth >= 0 and count < most:
        if depth == last:
            if leads_to(edges, entity[depth], body[depth], tail):
                walks[count, : last + 1] = entity
                walks[count, last + 1] = tail
                count += 1
            depth -= 1
        elif edge[depth] == end[depth]:
            depth -= 1
        else:
            z = edges.tail[edge[depth]]
            edge[depth] += 1
            if z != tail and is_new(z, entity, depth):
                depth += 1
                entity[depth] = z
                edge[depth], end[depth] = span(edges, z, body[depth])
    return walks[:count]
