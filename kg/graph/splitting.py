"""How facts are held out without giving their answers away: what says the same thing falls into the same part."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary

_OVERLAP = 0.8  # two relations that share more than this part of their pairs hold the same facts (Akrami et al., 2020)
_Triples = Int[np.ndarray, "T 3"]


def twins(
    facts: _Triples, vocabulary: Vocabulary, schema: Schema, seen: Int[np.ndarray, "S 3"] | None = None
) -> Int[np.ndarray, " T"]:
    """A group number a fact: facts with the same number say the same thing, so they must fall into the same part.

    Two facts are twins where one follows from the other by owl:inverseOf, by owl:SymmetricProperty, or because their
    relations (or a relation and an inverse) share more than 80 % of the pairs of the smaller one in `seen` (None: in
    these facts).
    """
    num_relations = len(vocabulary.relations)
    leader = relation_classes(facts if seen is None else seen, vocabulary, schema)
    head, relation, tail = facts.T
    forward = np.stack([leader[relation], head, tail], 1)
    backward = np.stack([leader[relation + num_relations], tail, head], 1)
    turned = (backward < forward)[np.arange(len(facts)), (backward != forward).argmax(1)]  # lexicographically less
    canonical = np.where(turned[:, None], backward, forward)
    return np.unique(canonical, axis=0, return_inverse=True)[1].reshape(-1)


def relation_classes(facts: _Triples, vocabulary: Vocabulary, schema: Schema) -> Int[np.ndarray, " R2"]:
    """The least directed relation (r, or r + R for its inverse) that says the same as each directed relation."""
    num_relations = len(vocabulary.relations)
    leader = np.arange(2 * num_relations)

    def merge(left: int, right: int) -> None:
        for a, b in ((left, right), (_opposite(left, num_relations), _opposite(right, num_relations))):
            first, second = sorted((leader[a], leader[b]))
            leader[leader == second] = first

    ids = vocabulary.relation_ids
    for term in schema.symmetric:
        if term in ids:
            merge(ids[term], ids[term] + num_relations)
    for term, others in schema.inverse.items():
        for other in others:
            if term in ids and other in ids:
                merge(ids[term], ids[other] + num_relations)
    for left, right in _overlapping(facts, num_relations, len(vocabulary.entities)):
        merge(left, right)
    return leader


def _opposite(relation: int, num_relations: int) -> int:
    return (relation + num_relations) % (2 * num_relations)


def _overlapping(facts: _Triples, num_relations: int, num_entities: int) -> Iterator[tuple[int, int]]:
    """Directed relations that share more than 80 % of the smaller one's pairs. O(T log T + shared pairs)."""
    head, relation, tail = facts.T
    pair = np.concatenate([head * num_entities + tail, tail * num_entities + head])
    directed = np.concatenate([relation, relation + num_relations])
    loops = head == tail  # a loop is its own mirror and would make every relation with loops symmetric
    pair, directed = (x[~np.concatenate([loops, loops])] for x in (pair, directed))
    rows = np.unique(np.stack([pair, directed], 1), axis=0)
    size = np.bincount(rows[:, 1], minlength=2 * num_relations)
    starts = np.flatnonzero(np.r_[True, rows[1:, 0] != rows[:-1, 0]])
    shared: dict[tuple[int, int], int] = {}
    for first, last in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
        if last - first < 2:
            continue
        on_pair = rows[first:last, 1].tolist()
        for i, left in enumerate(on_pair):
            for right in on_pair[i + 1 :]:
                shared[left, right] = shared.get((left, right), 0) + 1
    for (left, right), count in shared.items():
        if count > _OVERLAP * min(size[left], size[right]):
            yield left, right


def hold_out(
    facts: _Triples,
    group: Int[np.ndarray, " T"],
    num_entities: int,
    num_relations: int,
    shares: tuple[float, float],
    seed: int,
) -> Int[np.ndarray, " T"]:
    """0 (train), 1 (valid) or 2 (test) a fact: whole groups, drawn at random; every name keeps a train fact."""
    part = np.zeros(len(facts), dtype=np.int64)
    members = np.argsort(group, kind="stable")
    bounds = np.r_[0, np.bincount(group).cumsum()]
    names = np.concatenate([facts[:, 0], facts[:, 2], facts[:, 1] + num_entities]).reshape(3, -1).T
    left = np.bincount(names.reshape(-1), minlength=num_entities + num_relations).tolist()
    wanted = {number: round(share * len(facts)) for number, share in zip((2, 1), reversed(shares), strict=True)}
    for chosen in np.random.default_rng(seed).permutation(len(bounds) - 1):
        number = 2 if wanted[2] > 0 else 1
        if wanted[number] <= 0:
            break
        held = members[bounds[chosen] : bounds[chosen + 1]]
        needed = names[held].reshape(-1).tolist()
        for name in needed:
            left[name] -= 1
        if all(left[name] > 0 for name in needed):
            part[held] = number
            wanted[number] -= len(held)
        else:
            for name in needed:
                left[name] += 1
    return part
