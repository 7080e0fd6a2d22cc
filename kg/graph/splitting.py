"""How facts are held out without giving their answers away: what says the same thing falls into the same part."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Int

from kg.graph.graph import spans
from kg.graph.ids import ordered, packed
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary

_OVERLAP = 0.8  # two relations that share more than this part of their pairs hold the same facts (Akrami et al., 2020)
_AT_ONCE = 1 << 14  # groups
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
    num = len(vocabulary.entities)
    sizes = (2 * num_relations, num, num)
    forward = packed((leader[relation], head, tail), sizes)
    backward = packed((leader[relation + num_relations], tail, head), sizes)
    return np.unique(np.minimum(forward, backward), return_inverse=True)[1].reshape(-1)


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
    head, relation, tail = facts[facts[:, 0] != facts[:, 2]].T  # a loop is its own mirror: all would look symmetric
    num = 2 * num_relations
    columns = (np.r_[head, tail], np.r_[tail, head], np.r_[relation, relation + num_relations])
    pair, directed = np.divmod(ordered(packed(columns, (num_entities, num_entities, num))), max(1, num))
    size = np.bincount(directed, minlength=num)
    shared = [np.zeros(0, dtype=np.int64)]
    first, distance = np.arange(len(pair)), 1  # those whose pair has another relation so many places on
    while len(first):
        first = first[: np.searchsorted(first, len(pair) - distance)]
        first = first[pair[first] == pair[first + distance]]
        shared.append(directed[first] * num + directed[first + distance])
        distance += 1
    both, count = np.unique(np.concatenate(shared), return_counts=True)
    left, right = np.divmod(both, num)
    much = count > _OVERLAP * np.minimum(size[left], size[right])
    yield from zip(left[much].tolist(), right[much].tolist(), strict=True)


def hold_out(
    facts: _Triples,
    group: Int[np.ndarray, " T"],
    num_entities: int,
    num_relations: int,
    shares: tuple[float, float],
    seed: int,
) -> Int[np.ndarray, " T"]:
    """0 (train), 1 (valid) or 2 (test) a fact: whole groups, drawn at random; every name keeps a train fact."""
    members, size = np.argsort(group, kind="stable"), np.bincount(group)
    begin = size.cumsum() - size
    names = np.stack([facts[:, 0], facts[:, 2], facts[:, 1] + num_entities], 1)[members]
    left = np.bincount(names.reshape(-1), minlength=num_entities + num_relations)
    of_valid, of_test = (round(share * len(facts)) for share in shares)
    order, held = np.random.default_rng(seed).permutation(len(size)), np.zeros(0, dtype=np.int64)
    for start in range(0, len(order), _AT_ONCE):
        if size[held].sum() >= of_test + of_valid + size.max():  # the last group of test may go beyond
            break
        chosen = order[start : start + _AT_ONCE]
        which, place = _places(begin[chosen], size[chosen])
        held = np.concatenate([held, chosen[_fitting(names[place], which, len(chosen), left)]])
    part = np.zeros(len(facts), dtype=np.int64)
    for number, wanted in ((2, of_test), (1, of_valid)):
        taken = int(np.searchsorted(size[held].cumsum() - size[held], wanted))
        part[members[_places(begin[held[:taken]], size[held[:taken]])[1]]] = number
        held = held[taken:]
    return part


def _places(begin: Int[np.ndarray, " B"], count: Int[np.ndarray, " B"]) -> tuple[np.ndarray, np.ndarray]:
    """kg.graph.graph.spans, of arrays."""
    row, place = spans(torch.from_numpy(begin), torch.from_numpy(count))
    return row.numpy(), place.numpy()


def _fitting(
    names: Int[np.ndarray, "M 3"], group: Int[np.ndarray, " M"], num_groups: int, left: Int[np.ndarray, " U"]
) -> Bool[np.ndarray, " G"]:
    """Which groups can go, one after the other, so that of each name something is left; `left` is what then is.

    A group fits whatever the others do where its names outlast all of them together; the rest is tried in turn.
    """
    scarce = left <= np.bincount(names.reshape(-1), minlength=len(left))
    fits = np.ones(num_groups, dtype=bool)
    fits[group[scarce[names].any(1)]] = False
    np.subtract.at(left, names[fits[group]].reshape(-1), 1)
    tried = ~fits[group]
    numbers, firsts = np.unique(group[tried], return_index=True)
    for number, needed in zip(numbers.tolist(), np.split(names[tried], firsts)[1:], strict=True):
        np.subtract.at(left, needed.reshape(-1), 1)
        fits[number] = bool((left[needed] > 0).all())
        if not fits[number]:
            np.add.at(left, needed.reshape(-1), 1)
    return fits
