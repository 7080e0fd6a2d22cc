"""Rules counted and followed in plain Python, and the graphs to do it on."""

from collections import defaultdict
from itertools import product

import numpy as np
import torch

from kg.graph.graph import Graph
from kg.rules.mining import mine
from kg.rules.rule import SMOOTHING, Rules

Counts = dict[tuple[int, ...], tuple[int, int, int]]


def everything(graph: Graph, max_length: int = 3) -> Rules:
    return mine(graph, max_length, min_support=1, min_constant_support=1, min_confidence=0)


class Brute:
    """The definitions, word by word."""

    def __init__(self, facts: list[tuple[int, int, int]], num_entities: int, num_relations: int) -> None:
        self.entities, self.num_relations = range(num_entities), num_relations
        self.leads: dict[tuple[int, int], set[int]] = defaultdict(set)
        for h, r, t in facts:
            if h != t:
                self.leads[h, r].add(t)
                self.leads[t, r + num_relations].add(h)

    def ends(self, path: list[int], body: tuple[int, ...]) -> set[int]:
        """Where a body leads that goes on from a path and meets no entity twice."""
        if not body:
            return {path[-1]}
        steps = [z for z in self.leads[path[-1], body[0]] if z not in path]
        return {y for z in steps for y in self.ends([*path, z], body[1:])}

    def holds(self, x: int, rule: tuple[int, ...]) -> bool:
        """Whether the body of r, c, b, d holds for X = x."""
        _, c, b, d = rule
        wanted = {z for z in self.entities if z != c} if d < 0 else {d}
        return x != c and (b < 0 or bool(self.leads[x, b] & wanted))

    def counts(self, r: int, pairs: set[tuple[int, int]]) -> tuple[int, int, int]:
        support = sum(y in self.leads[x, r] for x, y in pairs)
        return support, len(pairs), sum(bool(self.leads[x, r]) for x, _ in pairs)

    def closed(self, max_length: int) -> Counts:
        found = {}
        for length in range(1, max_length + 1):
            for body in product(range(2 * self.num_relations), repeat=length):
                pairs = {(x, y) for x in self.entities for y in self.ends([x], body)}
                for r in range(self.num_relations):
                    counts = self.counts(r, pairs)
                    if counts[0] and body != (r,):
                        found[(r, *body)] = counts
        return found

    def constant(self) -> Counts:
        found = {}
        for r, c in product(range(2 * self.num_relations), self.entities):
            others = [x for x in self.entities if x != c]
            if not any(c in self.leads[x, r] for x in others):
                continue
            empty = found[r, c, -1, -1] = self.counts(r, {(x, c) for x in others})
            for b, d in product(range(2 * self.num_relations), [-1, *self.entities]):
                counts = self.counts(r, {(x, c) for x in others if self.holds(x, (r, c, b, d))})
                better = counts[0] / (counts[1] + SMOOTHING) > empty[0] / (empty[1] + SMOOTHING)
                if counts[0] and better and (b, d) != (r, c):
                    found[r, c, b, d] = counts
        return found


def graph_of(facts: list[tuple[int, int, int]], num_entities: int, num_relations: int) -> Graph:
    return Graph.from_triples(torch.tensor(facts, dtype=torch.long).view(-1, 3), num_entities, num_relations)


def random_facts(seed: int, num_facts: int, num_entities: int, num_relations: int) -> list[tuple[int, int, int]]:
    """Loops, twins and entities without facts among them."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, (num_entities, num_relations, num_entities), (num_facts, 3))
    return [(int(h), int(r), int(t)) for h, r, t in drawn]
