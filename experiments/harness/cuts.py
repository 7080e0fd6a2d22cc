"""Fresh small graphs, cut out of large ones, with questions whose answers were taken out of them."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers

_ENTITIES = 400, 2500  # of a cut, its logarithm drawn evenly
_MOST_FACTS = 25_000
_BRANCHES = 40  # of an entity, followed at once: a hub does not become the whole cut
_HELD_OUT = 0.05, 0.2
_DROPPED = 0.3  # of the relations, at most
_MERGED = 0.1  # of the cuts have two relations that became one


class Cut(NamedTuple):
    """A graph, and facts between its entities that were taken out of it. known: both together."""

    graph: Graph
    held_out: Tensor
    known: KnownAnswers


class Source:
    """A large graph that cuts are made of. hrt: its facts."""

    def __init__(self, hrt: np.ndarray, num_entities: int, num_relations: int) -> None:
        self._hrt, self._num_entities, self._num_relations = hrt, num_entities, num_relations
        ends = np.concatenate([hrt[:, [0, 2]], hrt[:, [2, 0]]])
        order = np.argsort(ends[:, 0], kind="stable")
        self._others = ends[order, 1]
        self._offsets = np.searchsorted(ends[order, 0], np.arange(num_entities + 1))

    def cut(self, random: np.random.Generator) -> Cut | None:
        """None where what was drawn is too small to ask anything."""
        wanted = int(np.exp(random.uniform(*np.log(_ENTITIES))))
        inside = self._grown(random, wanted)
        facts = self._hrt[inside[self._hrt[:, 0]] & inside[self._hrt[:, 2]]]
        facts = facts[random.random(self._num_relations)[facts[:, 1]] >= random.uniform(0, _DROPPED)]
        facts = facts[random.permutation(len(facts))[:_MOST_FACTS]]
        if random.random() < _MERGED and self._num_relations > 2:
            one, other = random.choice(self._num_relations, 2, replace=False)
            facts[facts[:, 1] == one, 1] = other
        return asked_of(np.unique(facts, axis=0), random)

    def _grown(self, random: np.random.Generator, wanted: int) -> np.ndarray:
        """Entities around one that was drawn, a few branches of each at a time."""
        inside, count = np.zeros(self._num_entities, dtype=bool), 0
        queue: list[int] = []
        for _ in range(20 * wanted):
            if count >= wanted:
                break
            if not queue:
                queue = [int(self._hrt[random.integers(len(self._hrt)), 0])]
            entity = queue.pop(int(random.integers(len(queue))))
            if not inside[entity]:
                inside[entity] = True
                count += 1
            near = self._others[self._offsets[entity] : self._offsets[entity + 1]]
            near = np.unique(near[~inside[near]])
            queue.extend(random.permutation(near)[:_BRANCHES].tolist())
        return inside


def asked_of(facts: np.ndarray, random: np.random.Generator) -> Cut | None:
    """A part of these facts taken out: of each of their ends, and of their relation, something is left."""
    if len(facts) < 20:
        return None
    names, ends = np.unique(facts[:, [0, 2]], return_inverse=True)
    words, relation = np.unique(facts[:, 1], return_inverse=True)
    ends = ends.reshape(-1, 2)
    hrt = np.stack([ends[:, 0], relation.reshape(-1), ends[:, 1]], 1)
    hrt = hrt[random.permutation(len(hrt))]
    held = max(2, int(random.uniform(*_HELD_OUT) * len(hrt)))
    left, out = hrt[held:], hrt[:held]
    has_edge, has_fact = np.zeros(len(names), dtype=bool), np.zeros(len(words), dtype=bool)
    has_edge[left[:, [0, 2]]], has_fact[left[:, 1]] = True, True
    out = out[has_edge[out[:, 0]] & has_edge[out[:, 2]] & has_fact[out[:, 1]]]
    if not len(out):
        return None
    left_facts, out_facts = torch.from_numpy(left), torch.from_numpy(out)
    graph = Graph.from_triples(left_facts, len(names), len(words))
    return Cut(graph, out_facts, KnownAnswers.from_triples(torch.cat([left_facts, out_facts]), len(words)))
