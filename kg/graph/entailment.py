"""Which facts follow from known ones by what is said of predicates and classes (a part of OWL 2 RL)."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Int
from scipy import sparse
from torch import Tensor

from kg.graph.class_axioms import LANGUAGE
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema, all_above
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDF, RDFS, SKOS

Fact = tuple[str, str, str]  # terms as the vocabulary writes them

_SUBCLASS, _SUBPROPERTY, _TYPE = RDFS + "subClassOf", RDFS + "subPropertyOf", RDF + "type"
_MOST = 20_000_000  # pairs of a relation, and products of two: what has more is not followed further
_MOST_WORK = 10 * _MOST  # both, of all rounds together
_MOST_MORE = 1000  # facts that follow of added ones, one after the other: where there are more, all are followed anew
# What the languages themselves say of their words, in every graph.
_TRANSITIVE = {
    *(_SUBCLASS, _SUBPROPERTY, SKOS + "broaderTransitive", SKOS + "narrowerTransitive", SKOS + "exactMatch"),
    *(OWL + name for name in ("sameAs", "equivalentClass", "equivalentProperty")),
}
_SYMMETRIC = {
    *(SKOS + name for name in ("related", "exactMatch", "closeMatch", "relatedMatch")),
    *(OWL + name for name in ("sameAs", "equivalentClass", "equivalentProperty", "differentFrom", "inverseOf")),
    *(OWL + name for name in ("disjointWith", "propertyDisjointWith")),
}
_INVERSE = (("broader", "narrower"), ("broadMatch", "narrowMatch"), ("broaderTransitive", "narrowerTransitive"))
_BELOW = {
    OWL + "equivalentClass": _SUBCLASS,
    OWL + "equivalentProperty": _SUBPROPERTY,
    SKOS + "broader": SKOS + "broaderTransitive",
    SKOS + "exactMatch": SKOS + "closeMatch",
    SKOS + "broadMatch": SKOS + "broader",
    SKOS + "relatedMatch": SKOS + "related",
}
_Matrix = Any  # scipy.sparse.csr_array, (N, N), bool: which entities a relation holds between
_Key = int | str  # a relation, or what the schema says of a hierarchy that is none: _SUBCLASS, _SUBPROPERTY
_Atom = tuple[int, _Key, int]


@final
@dataclass(frozen=True)
class _Implication:
    """x source y, or y source x where `turned`, implies x target y; individuals: only where neither is a class."""

    source: int
    target: int
    turned: bool
    individuals: bool


@final
class Entailment:
    """What a schema lets follow from facts: owl:TransitiveProperty, owl:SymmetricProperty, owl:inverseOf,
    rdfs:subPropertyOf and rdfs:subClassOf, rdfs:domain and rdfs:range (of types), and what RDFS, OWL and SKOS say of
    their own words.

    restrictions: facts of a class are those of `owl:someValuesFrom` restrictions (C, p, D): they hold of what is below
    C and for what is above D, and neither symmetric nor inverse predicates turn them round.
    A hierarchy that is a relation of the vocabulary is taken from the facts, any other from the schema.
    """

    def __init__(self, vocabulary: Vocabulary, schema: Schema, restrictions: bool = False) -> None:
        self._names, self._schema = vocabulary, schema
        self._restrictions = restrictions
        ids = vocabulary.relation_ids
        edges = self._property_edges()
        self._implications: list[_Implication] = []
        for term, source in ids.items():
            for above, turned in all_above((term, False), edges):
                if above in ids and (above, turned) != (term, False):
                    masked = restrictions and turned and not term.startswith(LANGUAGE)
                    self._implications.append(_Implication(source, ids[above], turned, masked))
        self._compositions = list(self._composed())

    @property
    def says_nothing(self) -> bool:
        return not (self._implications or self._compositions or self._types)

    def facts(self, known: KnownAnswers) -> tuple[KnownAnswers | None, tuple[int, ...]]:
        """What follows from known facts and is not known; None where that is nothing. And the relations that were not
        followed to the end, as there is too much of them (_MOST, _MOST_WORK): of these some may be missing.

        Where products are many, a composition goes on by one step at a time, from the right: with what a relation is
        without compositions.
        """
        if self.says_nothing:
            return None, ()
        given = _matrices(known, len(self._names.entities))
        found: dict[_Key, _Matrix] = dict(self._hierarchies) | dict(given.items())
        direct: dict[_Key, _Matrix] = dict(found)
        # What other relations add on the way does not come back by the direct facts of the source.
        mixed = {rule.source for rule in self._implications if rule.individuals}
        mixed |= {target for left, right, target in self._compositions if not left == right == target}
        cut: set[int] = set()
        work: Counter[int] = Counter()
        before = -1
        while (size := sum(each.nnz for each in found.values())) != before:
            before = size
            for rule in self._implications:
                found[rule.target] += self._implied(found[rule.source], rule)
                source = (found if rule.source in mixed else direct)[rule.source]
                direct[rule.target] += self._implied(source, rule)
            for left, right, target in self._compositions:
                first, second = found[left], found[right]
                if _products(first, second) > _MOST:
                    second = direct[right]
                work[target] += (products := _products(first, second)) + found[target].nnz
                if max(products, found[target].nnz) > _MOST or work[target] > _MOST_WORK:
                    cut.add(target)
                else:
                    found[target] += first @ second
            for relation, cls in self._types:
                found[self._type] += self._typed(found[relation % len(given)], relation >= len(given), cls)
        rows = []
        for relation, matrix in given.items():
            more = (found[relation].astype(np.int8) - matrix.astype(np.int8)).tocoo()
            head, tail = (each[more.data > 0].astype(np.int64) for each in more.coords)
            rows.append(np.stack([head, np.full_like(head, relation), tail], 1))
        hrt = torch.from_numpy(np.concatenate(rows))
        entailed = KnownAnswers.from_triples(hrt, len(given)).to(known.tails.device) if len(hrt) else None
        return entailed, tuple(sorted(cut))

    def more(
        self, known: KnownAnswers, entailed: KnownAnswers | None, added: Int[Tensor, "A 3"]
    ) -> KnownAnswers | None:
        """What follows from known facts and is not known, as `facts` would find it, where these were added to those of
        which `entailed` follows, all of it. O(E + what follows from them, and what stands beside it)."""
        if self.says_nothing or not len(added):
            return entailed
        before = KnownAnswers.from_triples(added[:0], known.num_relations) if entailed is None else entailed
        holding = _Holding(known, before, self._hierarchies, defaultdict(set))
        was_entailed = before.contains(*added.T.contiguous())
        waiting, found = added[~was_entailed].tolist(), list[tuple[int, int, int]]()
        for fact in waiting:  # which grows meanwhile
            implied = list(dict.fromkeys(self._implied_by(fact, holding)))
            fresh = holding.missing(implied) if implied else []
            for each in fresh:
                holding.add(*each)
            found += fresh
            waiting += fresh
            if len(found) > _MOST_MORE:
                return self.facts(known)[0]
        rows = added.new_tensor(found).reshape(-1, 3)
        now = before.changed(rows, added[was_entailed], len(self._names.entities))
        return now if len(now.tails) else None

    def _implied_by(self, fact: Sequence[int], holding: "_Holding") -> Iterator[tuple[int, int, int]]:
        """What follows in one step from a fact and what holds beside it."""
        head, relation, tail = fact
        count = len(self._names.relations)
        for rule in self._implications:
            masked = rule.individuals and bool(self._is_class[head] or self._is_class[tail])
            if rule.source == relation and not masked:
                yield (tail, rule.target, head) if rule.turned else (head, rule.target, tail)
        for left, right, target in self._compositions:
            if left == relation:
                yield from ((head, target, other) for other in holding.tails(tail, right))
            if right == relation:
                yield from ((other, target, tail) for other in holding.heads(left, head))
        for directed, cls in self._types:
            if directed % count == relation:
                end = head if directed < count else tail
                if not (self._restrictions and self._is_class[end]):
                    yield end, self._type, cls

    def premises(
        self, head: int, relation: int, tail: int, known: KnownAnswers, entailed: KnownAnswers
    ) -> tuple[Fact, ...]:
        """Of a fact that is entailed, those that it follows from in one step: of all ways the one with most known facts
        in it, which are listed with what the schema says of hierarchies."""
        holding = _Holding(known, entailed, self._hierarchies)
        ways: list[tuple[_Atom, ...]] = []
        for rule in self._implications:
            if rule.target == relation:
                ways.append(((tail, rule.source, head) if rule.turned else (head, rule.source, tail),))
        for left, right, target in self._compositions:
            if target == relation:
                ways += [((head, left, other), (other, right, tail)) for other in holding.tails(head, left)]
        if _TYPE in self._names.relation_ids and relation == self._type:
            for directed, cls in self._types:
                if cls == tail:
                    ways += [(holding.upright(head, directed, other),) for other in holding.tails(head, directed)[:1]]
        ways = [way for way in ways if (head, relation, tail) not in way and all(map(holding.holds, way))]
        best = min(ways, key=lambda way: sum(not holding.is_known(atom) for atom in way), default=())
        return tuple(self._fact(*atom) for atom in best)

    def _fact(self, head: int, relation: _Key, tail: int) -> Fact:
        entities = self._names.entities
        predicate = relation if isinstance(relation, str) else self._names.relations[relation]
        return entities[head], predicate, entities[tail]

    # What is said of predicates

    def _property_edges(self) -> dict[tuple[str, bool], list[tuple[str, bool]]]:
        """From a predicate, or a predicate turned round, to those that hold wherever it does."""
        edges: dict[tuple[str, bool], list[tuple[str, bool]]] = defaultdict(list)
        for turned in (False, True):
            for term in (*self._schema.symmetric, *_SYMMETRIC):
                edges[term, turned].append((term, not turned))
            for term, others in self._schema.inverse.items():
                edges[term, turned] += [(other, not turned) for other in others]
            for pair in _INVERSE:
                one, other = (SKOS + name for name in pair)
                edges[one, turned].append((other, not turned))
                edges[other, turned].append((one, not turned))
            for term, others in self._schema.subproperty_of.items():
                edges[term, turned] += [(other, turned) for other in others]
            for term, other in _BELOW.items():
                edges[term, turned].append((other, turned))
        return edges

    def _is_transitive(self, term: str) -> bool:
        said = (term, *self._schema.inverse.get(term, ()))
        return any(
            each in _TRANSITIVE or OWL + "TransitiveProperty" in self._schema.types.get(each, ()) for each in said
        )

    def _composed(self) -> Iterator[tuple[_Key, _Key, int]]:
        """x left y and y right z implies x target z."""
        ids = self._names.relation_ids
        subclass, subproperty = (ids.get(term, term) for term in (_SUBCLASS, _SUBPROPERTY))
        for term, relation in ids.items():
            if self._is_transitive(term):
                yield relation, relation, relation
            if term in (_TYPE, RDFS + "domain", RDFS + "range"):
                yield relation, subclass, relation
            if term in (RDFS + "domain", RDFS + "range"):
                yield subproperty, relation, relation
            if term == OWL + "disjointWith":
                yield subclass, relation, relation
            if self._restrictions and not term.startswith(LANGUAGE):
                yield subclass, relation, relation
                yield relation, subclass, relation

    @cached_property
    def _hierarchies(self) -> dict[_Key, _Matrix]:
        """Those that rules need and that are no relations: x is below y, among the entities."""
        needed = {key for left, right, _ in self._compositions for key in (left, right) if isinstance(key, str)}
        parents = {_SUBCLASS: self._schema.subclass_of, _SUBPROPERTY: self._schema.subproperty_of}
        return {key: self._closed(parents[key]) for key in needed}

    def _closed(self, parents: Mapping[str, tuple[str, ...]]) -> _Matrix:
        ids = self._names.entity_ids
        pairs = [
            (ids[term], ids[above])
            for term in parents.keys() & ids.keys()
            for above in all_above(term, parents)
            if above in ids and above != term
        ]
        return _matrix(np.array(pairs, dtype=np.int64).reshape(-1, 2).T, len(ids))

    # What is said of types

    @property
    def _type(self) -> int:
        return self._names.relation_ids[_TYPE]

    @cached_property
    def _types(self) -> list[tuple[int, int]]:
        """(directed relation, class): what stands at its head is of this class, where types are facts."""
        relations, entities = self._names.relation_ids, self._names.entity_ids
        if _TYPE not in relations:
            return []
        return [
            (relation + back, entities[cls])
            for declared, back in ((self._schema.domain, 0), (self._schema.range, len(relations)))
            for term, relation in relations.items()
            for cls in declared.get(term, ())
            if cls in entities
        ]

    def _typed(self, matrix: _Matrix, turned: bool, cls: int) -> _Matrix:
        ends = np.unique(matrix.indices) if turned else np.flatnonzero(np.diff(matrix.indptr))
        if self._restrictions:
            ends = ends[~self._is_class[ends]]
        return _matrix(np.stack([ends, np.full_like(ends, cls)]), matrix.shape[0])

    def _implied(self, matrix: _Matrix, rule: _Implication) -> _Matrix:
        if rule.individuals:
            pairs = matrix.tocoo()
            kept = ~(self._is_class[pairs.coords[0]] | self._is_class[pairs.coords[1]])
            matrix = _matrix(np.stack(pairs.coords)[:, kept], matrix.shape[0])
        return matrix.T.tocsr() if rule.turned else matrix

    @cached_property
    def _is_class(self) -> Bool[np.ndarray, " N"]:
        return np.array([self._schema.is_class(term) for term in self._names.entities], dtype=bool)


@final
@dataclass(frozen=True)
class _Holding:
    """What holds, known or not; a hierarchy that is no relation is known. found: tails of (head, directed relation)
    beside them."""

    known: KnownAnswers
    entailed: KnownAnswers
    hierarchies: Mapping[_Key, _Matrix]
    found: dict[tuple[int, int], set[int]] = field(default_factory=dict)

    def tails(self, head: int, relation: _Key) -> list[int]:
        if isinstance(relation, str):
            above = self.hierarchies[relation]
            return above.indices[above.indptr[head] : above.indptr[head + 1]].tolist()  # type: ignore[no-any-return]
        asked = self.known.tails.new_tensor([[head], [relation]])
        held = [tail for answers in (self.known, self.entailed) for tail in answers.lookup(*asked)[1].tolist()]
        return [*held, *self.found.get((head, relation), ())]

    def heads(self, relation: _Key, tail: int) -> list[int]:
        if isinstance(relation, str):
            above = self.hierarchies[relation]
            place = np.flatnonzero(above.indices == tail)
            return (np.searchsorted(above.indptr, place, side="right") - 1).tolist()  # type: ignore[no-any-return]
        return self.tails(tail, relation + self.known.num_relations)

    def missing(self, facts: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
        """Those that do not hold."""
        hrt = self.known.tails.new_tensor(facts).T.contiguous()
        there = (self.known.contains(*hrt) | self.entailed.contains(*hrt)).tolist()
        return [
            fact
            for fact, holds in zip(facts, there, strict=True)
            if not holds and fact[2] not in self.found.get(fact[:2], ())
        ]

    def add(self, head: int, relation: int, tail: int) -> None:
        self.found[head, relation].add(tail)
        self.found[tail, relation + self.known.num_relations].add(head)

    def holds(self, atom: _Atom) -> bool:
        head, relation, tail = atom
        return tail in self.tails(head, relation)

    def is_known(self, atom: _Atom) -> bool:
        head, relation, tail = atom
        if isinstance(relation, str):
            return True
        return bool(self.known.contains(*self.known.tails.new_tensor([[head], [relation], [tail]])))

    def upright(self, head: int, directed: int, tail: int) -> _Atom:
        num = self.known.num_relations
        return (head, directed, tail) if directed < num else (tail, directed - num, head)


def _products(first: _Matrix, second: _Matrix) -> int:
    """How many a product of these matrices sums."""
    return int(np.diff(second.indptr)[first.indices].sum())


def _matrix(pairs: Int[np.ndarray, "2 F"], num_entities: int) -> _Matrix:
    ones = np.ones(pairs.shape[1], dtype=bool)
    return sparse.csr_array((ones, (pairs[0], pairs[1])), shape=(num_entities, num_entities), dtype=bool)


def _matrices(known: KnownAnswers, num_entities: int) -> dict[int, _Matrix]:
    """Of each relation."""
    head, relation = (
        each.repeat_interleave(known.offsets.diff()).cpu().numpy() for each in known.heads_and_relations()
    )
    pairs = np.stack([head, known.tails.cpu().numpy()])
    return {each: _matrix(pairs[:, relation == each], num_entities) for each in range(known.num_relations)}
