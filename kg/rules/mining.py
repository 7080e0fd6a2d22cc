"""Rule mining: which bodies lead where a relation leads, and how often they are right."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Int

from kg.graph.graph import Graph
from kg.progress import SILENT, Progress
from kg.rules.constants import constant_rules, features_of, pca_sizes
from kg.rules.rule import MOST_ATOMS, SMOOTHING, Rules, confidence
from kg.walks.compiled import compiled
from kg.walks.connections import bodies, check_codes, supported
from kg.walks.edges import Edges, edges_of, span
from kg.walks.grounding import reached

_FACTS_BUDGET = 200_000_000  # edges looked at to find the bodies of one relation: a second or two
BODY_BUDGET = 1_000_000  # edges looked at to measure one body
_BODIES = 64  # measured at once
_FEATURES = 4096  # whose rules are mined at once

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def mine(
    graph: Graph,
    max_length: int = 3,
    min_support: int = 2,
    min_constant_support: int = 2,
    min_confidence: float = 0.001,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> Rules:
    """Closed rules of up to max_length atoms and rules with constants, as `Rules` says; the same ones each time.

    Every rule has at least this support and this confidence (support / (body + SMOOTHING)), but for those without a
    body, which are all there. Rules with constants come first, then closed rules by length; after so many `seconds` no
    more are looked for, and which were found until then depends on the machine. Where the paths between the ends of a
    relation's facts are very many (_FACTS_BUDGET), bodies are looked for at a random part of them; where those from the
    heads of a body are (BODY_BUDGET), its counts are scaled up from a part. Uses as many threads as PyTorch does.

    UserError where there are so many relations that a body of max_length atoms has no number below 2^63.
    """
    if not 1 <= max_length <= MOST_ATOMS:
        raise ValueError(f"max_length must be from 1 to {MOST_ATOMS}: got {max_length}")
    if min(min_support, min_constant_support) < 1:
        raise ValueError(f"a rule needs support of at least 1: got {min_support} and {min_constant_support}")
    check_codes(graph.num_relations, max_length)
    work = _Work(edges_of(graph), seconds, progress)
    constant, constant_counts = _mined_constants(work, min_constant_support, min_confidence)
    relation_size = np.bincount(work.edges.relation, minlength=2 * graph.num_relations)[: graph.num_relations]
    closed, counts, sampled = [], [], []
    for length in range(1, max_length + 1):
        for rules, counted, part in _mined_closed(work, length, max_length, min_support):
            kept = (counted[:, 0] >= min_support) & (confidence(counted) >= min_confidence)
            closed.append(rules[kept])
            counts.append(counted[kept])
            sampled.append(part[kept])
    return Rules(
        np.concatenate([np.zeros((0, max_length + 1), np.int32), *closed]),
        np.concatenate([np.zeros((0, 3), np.int64), *counts]),
        np.concatenate([np.zeros(0, bool), *sampled]),
        constant,
        constant_counts,
        relation_size.astype(np.int32),
    )


class _Work:
    """Pieces of work over one graph, on some threads, until the time is up."""

    def __init__(self, edges: Edges, seconds: float | None, progress: Progress) -> None:
        self.edges = edges
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._progress = progress
        self._done, self._known = 0, 0

    def each(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """The results in the order of the items; what begins after the deadline is left out."""

        def unless_late(item: _Item) -> _Result | None:
            late = self._deadline is not None and time.monotonic() > self._deadline
            return None if late else function(item)

        listed = list(items)
        self._known += len(listed)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for result in pool.map(unless_late, listed):
                self._done += 1
                self._progress.at("mining", self._done, self._known)
                if result is not None:
                    yield result


def _mined_constants(
    work: _Work, min_support: int, min_confidence: float
) -> tuple[Int[np.ndarray, "K 4"], Int[np.ndarray, "K 3"]]:
    edges = work.edges
    features = features_of(edges)

    def piece(start: int) -> Int[np.ndarray, "K 6"]:
        stop = min(start + _FEATURES, len(features.tail))
        return constant_rules(edges, features, start, stop, min_support, min_confidence, SMOOTHING)

    found = list(work.each(piece, range(0, len(features.tail), _FEATURES)))
    rows = np.concatenate([np.zeros((0, 6), np.int32), *found])
    rules = np.ascontiguousarray(rows[:, :4])
    return rules, np.concatenate([rows[:, 4:], pca_sizes(edges, rules)[:, None]], 1).astype(np.int32)


def _mined_closed(
    work: _Work, length: int, width: int, min_support: int
) -> Iterator[tuple[Int[np.ndarray, "C L1"], Int[np.ndarray, "C 3"], Bool[np.ndarray, " C"]]]:
    """Rules with bodies of this length, in rows that hold `width` atoms; their counts; whether a sample was counted."""
    edges = work.edges

    def joining(relation: int) -> Int[np.ndarray, "C 2"]:
        codes, counts, _ = supported(edges, relation, _facts(edges, relation), length, _FACTS_BUDGET)
        found = np.sort(codes[counts >= min_support])
        return np.stack([found, np.full(len(found), relation)], 1)

    pairs = np.concatenate([np.zeros((0, 2), np.int64), *work.each(joining, range(edges.num_relations))])
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    codes, first = np.unique(pairs[:, 0], return_index=True)
    first = np.append(first, len(pairs))
    body = bodies(codes, edges.num_relations, width)

    def counted(start: int) -> tuple[Int[np.ndarray, "C L1"], Int[np.ndarray, "C 3"], Bool[np.ndarray, " C"]]:
        stop = min(start + _BODIES, len(body))
        relations, first_rule = pairs[first[start] : first[stop], 1], first[start : stop + 1] - first[start]
        counts, part = scaled_counts(edges, body[start:stop], first_rule, relations, BODY_BUDGET)
        rules = np.concatenate([relations[:, None], body[start:stop].repeat(np.diff(first_rule), 0)], 1)
        return rules.astype(np.int32), counts, part

    yield from work.each(counted, range(0, len(body), _BODIES))


def _facts(edges: Edges, relation: int) -> Int[np.ndarray, "F 2"]:
    """(head, tail) of the relation's facts, in an order that is random but always the same."""
    chosen = np.flatnonzero(edges.relation == relation)
    head = np.searchsorted(edges.offsets, chosen, side="right") - 1
    return np.stack([head, edges.tail[chosen]], 1)[np.random.default_rng(0).permutation(len(chosen))]


def scaled_counts(
    edges: Edges,
    bodies: Int[np.ndarray, "B L"],
    first_rule: Int[np.ndarray, " B1"],
    relations: Int[np.ndarray, " C"],
    budget: int,
) -> tuple[Int[np.ndarray, "C 3"], Bool[np.ndarray, " C"]]:
    """`measured`, scaled up where a body was followed from some of its heads; and whether it was."""
    counts, followed = measured(edges, bodies, first_rule, relations, budget)
    scale = (np.diff(edges.head_offsets)[bodies[:, 0]] / followed).repeat(np.diff(first_rule))
    return (counts * scale[:, None]).round().astype(np.int64), scale > 1


@compiled
def measured(
    edges: Edges,
    bodies: Int[np.ndarray, "B L"],
    first_rule: Int[np.ndarray, " B1"],
    relations: Int[np.ndarray, " C"],
    budget: int,
) -> tuple[Int[np.ndarray, "C 3"], Int[np.ndarray, " B"]]:
    """Support, body and PCA body of rules: those of body i have the relations [first_rule[i]:first_rule[i + 1]].

    Each body is followed from its heads, in their random order, until `budget` edges have been looked at; the second
    array says from how many.
    """
    num_entities = len(edges.offsets) - 1
    seen, found = np.full(num_entities, -1, np.int64), np.zeros(num_entities, np.int32)
    path = np.zeros((3, bodies.shape[1]), np.int64)
    counts, followed = np.zeros((len(relations), 3), np.int64), np.zeros(len(bodies), np.int64)
    token = 0
    for i in range(len(bodies)):
        steps = 0
        for h in range(edges.head_offsets[bodies[i, 0]], edges.head_offsets[bodies[i, 0] + 1]):
            if steps > budget:
                break
            x = edges.heads[h]
            count, looked = reached(edges, bodies[i], x, seen, token, found, path)
            for rule in range(first_rule[i], first_rule[i + 1]):
                counts[rule, 1] += count
                start, stop = span(edges, x, relations[rule])
                if start < stop:
                    counts[rule, 2] += count
                for e in range(start, stop):
                    if seen[edges.tail[e]] == token:
                        counts[rule, 0] += 1
            token += 1
            steps += looked
            followed[i] += 1
    return counts, followed
