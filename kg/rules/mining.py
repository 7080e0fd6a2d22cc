"""Rule mining: which bodies lead where a relation leads, and how often they are right."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Int

from kg.graph.graph import Graph
from kg.interruption import in_threads, waited_for
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


def mine(
    graph: Graph,
    max_length: int = 3,
    min_support: int = 2,
    min_constant_support: int = 2,
    min_confidence: float = 0.001,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> Rules:
    """All rules at once: see `Miner`."""
    miner = Miner(graph, max_length, min_support, min_constant_support, min_confidence, seconds)
    for piece in miner:
        progress.at(*piece)
    return miner.rules()


class _Stage(NamedTuple):
    """Pieces of the same work, in order: `work` on each item, whose result goes into `found` under these names."""

    what: str
    items: Sequence[int]
    work: Callable[[int], tuple[np.ndarray, ...]]
    names: tuple[str, ...]


@final
class Miner:
    """A mining under way, piece by piece: closed rules of up to max_length atoms and rules with constants, as `Rules`
    says; the same ones each time.

    Every rule has at least this support and this confidence (support / (body + SMOOTHING)), but for those without a
    body, which are all there. Rules with constants come first, then closed rules by length; after so many `seconds` no
    more are looked for, and which were found until then depends on the machine. Where the paths between the ends of a
    relation's facts are very many (_FACTS_BUDGET), bodies are looked for at a random part of them; where those from the
    heads of a body are (BODY_BUDGET), its counts are scaled up from a part. Uses as many threads as PyTorch does.

    Iterate it: each piece is told as Progress.at is told it. state_dict() is all that another Miner of the same graph
    and settings needs to go on. Interrupted between the pieces, it has lost those under way alone.

    UserError where there are so many relations that a body of max_length atoms has no number below 2^63.
    """

    def __init__(
        self,
        graph: Graph,
        max_length: int,
        min_support: int,
        min_constant_support: int,
        min_confidence: float,
        seconds: float | None,
    ) -> None:
        if not 1 <= max_length <= MOST_ATOMS:
            raise ValueError(f"max_length must be from 1 to {MOST_ATOMS}: got {max_length}")
        if min(min_support, min_constant_support) < 1:
            raise ValueError(f"a rule needs support of at least 1: got {min_support} and {min_constant_support}")
        check_codes(graph.num_relations, max_length)
        self._edges = edges_of(graph)
        self._max_length, self._min_support, self._min_confidence = max_length, min_support, min_confidence
        self._min_constant_support = min_constant_support
        self._seconds, self._began, self._spent = seconds, time.monotonic(), 0.0
        self._stage = self._done = 0  # stages that are over, pieces of the present one
        self._found: dict[str, list[np.ndarray]] = {
            "constant": [np.zeros((0, 6), np.int32)],
            "pairs": [np.zeros((0, 2), np.int64)],  # bodies of the present length, with relations that they lead to
            "closed": [np.zeros((0, max_length + 1), np.int32)],
            "counts": [np.zeros((0, 3), np.int64)],
            "sampled": [np.zeros(0, bool)],
        }

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        while self._stage <= 2 * self._max_length:
            stage = waited_for(self._present)
            for result in self._results(stage):
                if result is not None:
                    for name, found in zip(stage.names, result, strict=True):
                        self._found[name].append(found)
                self._done += 1
                yield stage.what, self._done, len(stage.items)
            self._stage, self._done = self._stage + 1, 0
            if self._stage % 2:  # the next length begins
                self._found["pairs"] = [np.zeros((0, 2), np.int64)]

    def _present(self) -> _Stage:
        length = (self._stage + 1) // 2
        if self._stage == 0:
            return self._constants()
        return self._joining(length) if self._stage % 2 else self._counting(length)

    def _results(self, stage: _Stage) -> Iterator[tuple[np.ndarray, ...] | None]:
        """Of what is left of a stage, in order; None for what would begin after the deadline."""

        def unless_late(item: int) -> tuple[np.ndarray, ...] | None:
            return None if self._is_late() else stage.work(item)

        return in_threads(unless_late, stage.items[self._done :], torch.get_num_threads())

    def _time_spent(self) -> float:
        return self._spent + time.monotonic() - self._began

    def _is_late(self) -> bool:
        return self._seconds is not None and self._time_spent() > self._seconds

    def _constants(self) -> _Stage:
        edges, (support, confidence) = self._edges, (self._min_constant_support, self._min_confidence)
        features = features_of(edges)

        def rules_of(start: int) -> tuple[np.ndarray]:
            stop = min(start + _FEATURES, len(features.tail))
            return (constant_rules(edges, features, start, stop, support, confidence, SMOOTHING),)

        return _Stage("mining constants", range(0, len(features.tail), _FEATURES), rules_of, ("constant",))

    def _joining(self, length: int) -> _Stage:
        """The bodies of this length that join the ends of enough facts."""
        edges = self._edges

        def joining(relation: int) -> tuple[Int[np.ndarray, "C 2"]]:
            codes, counts, _ = supported(edges, relation, _facts(edges, relation), length, _FACTS_BUDGET)
            found = np.sort(codes[counts >= self._min_support])
            return (np.stack([found, np.full(len(found), relation)], 1),)

        return _Stage(f"mining bodies of {length}", range(edges.num_relations), joining, ("pairs",))

    def _counting(self, length: int) -> _Stage:
        """The rules with these bodies, in rows that hold max_length atoms; their counts; whether of a sample."""
        edges = self._edges
        pairs = np.concatenate(self._found["pairs"])
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        codes, first = np.unique(pairs[:, 0], return_index=True)
        first = np.append(first, len(pairs))
        body = bodies(codes, edges.num_relations, self._max_length)

        def counted(
            start: int,
        ) -> tuple[Int[np.ndarray, "C L1"], Int[np.ndarray, "C 3"], Bool[np.ndarray, " C"]]:
            stop = min(start + _BODIES, len(body))
            relations, first_rule = pairs[first[start] : first[stop], 1], first[start : stop + 1] - first[start]
            counts, part = scaled_counts(edges, body[start:stop], first_rule, relations, BODY_BUDGET)
            rules = np.concatenate([relations[:, None], body[start:stop].repeat(np.diff(first_rule), 0)], 1)
            kept = (counts[:, 0] >= self._min_support) & (confidence(counts) >= self._min_confidence)
            return rules[kept].astype(np.int32), counts[kept], part[kept]

        names = ("closed", "counts", "sampled")
        return _Stage(f"counting bodies of {length}", range(0, len(body), _BODIES), counted, names)

    def rules(self) -> Rules:
        """What was found."""
        edges, found = self._edges, {name: np.concatenate(arrays) for name, arrays in self._found.items()}
        constant = np.ascontiguousarray(found["constant"][:, :4])
        sizes = pca_sizes(edges, constant)
        constant_counts = np.concatenate([found["constant"][:, 4:], sizes[:, None]], 1).astype(np.int32)
        relation_size = np.bincount(edges.relation, minlength=2 * edges.num_relations)[: edges.num_relations]
        return Rules(
            found["closed"],
            found["counts"],
            found["sampled"],
            constant,
            constant_counts,
            relation_size.astype(np.int32),
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain numbers."""
        found = {name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in self._found.items()}
        return {"stage": self._stage, "done": self._done, "seconds": self._time_spent(), "found": found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._stage, self._done, self._spent = state["stage"], state["done"], state["seconds"]
        self._found = {name: [found.numpy()] for name, found in state["found"].items()}


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
