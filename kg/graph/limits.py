"""What OWL's axioms let no entity have: classes that share no member, and restrictions that close a predicate."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import final

from kg.namespaces import OWL, RDF, RDFS
from kg.store.store import Store

Pairs = Mapping[str, tuple[str, ...]]
_AT_MOST = ("maxCardinality", "cardinality")  # which allow so many values of whatever class
IN_LIMITS = (  # the predicates that limits are made of
    *(OWL + name for name in ("disjointWith", "propertyDisjointWith", "members", "disjointUnionOf")),
    *(
        OWL + name
        for name in ("onProperty", "allValuesFrom", "unionOf", "intersectionOf", "equivalentClass", *_AT_MOST)
    ),
    *(RDF + "first", RDF + "rest", RDFS + "subClassOf"),
)


@final
class Limits:
    """disjoint: terms, classes or predicates, to those that share nothing with them: owl:disjointWith,
    propertyDisjointWith, AllDisjointClasses and AllDisjointProperties, disjointUnionOf; both ways.

    only: "C p", a class and a predicate, to the named classes that all values of p are of, for members of C
    (`C rdfs:subClassOf`, or equivalentClass, `[owl:onProperty p; owl:allValuesFrom D]`, D a class or a union of such;
    also as a part of an intersection). at_most: "C p" to how many values there may be (owl:maxCardinality,
    owl:cardinality), as a text.
    """

    def __init__(self, store: Store) -> None:
        self._objects = {predicate: _pairs(store, predicate) for predicate in IN_LIMITS}
        self._numbers = [(node, text) for name in _AT_MOST for node, text, _ in store.texts(OWL + name)]

    @property
    def disjoint(self) -> Pairs:
        found: dict[str, set[str]] = defaultdict(set)
        for predicate in ("disjointWith", "propertyDisjointWith"):
            for left, rights in self._objects[OWL + predicate].items():
                for right in rights:
                    found[left].add(right)
                    found[right].add(left)
        for predicate in ("members", "disjointUnionOf"):
            for lists in self._objects[OWL + predicate].values():
                for start in lists:
                    members = set(self._list(start))
                    for each in members:
                        found[each] |= members - {each}
        return _texts(found)

    @property
    def only(self) -> Pairs:
        found: dict[str, set[str]] = {}
        for where, node in self._restricted():
            for filler in self._objects[OWL + "allValuesFrom"].get(node, ()):
                classes = set(self._members(filler, "unionOf"))
                if any(each.startswith("_:") for each in classes):  # said by what this does not read
                    continue
                if where not in found or len(classes) < len(found[where]):  # of several one, which is true, too
                    found[where] = classes
        return _texts(found)

    @property
    def at_most(self) -> Pairs:
        numbers: dict[str, int] = {}
        for node, text in self._numbers:
            if text.isascii() and text.isdigit():
                numbers[node] = min(int(text[:9]), numbers.get(node, int(text[:9])))
        found: dict[str, int] = {}
        for where, node in self._restricted():
            if node in numbers:
                found[where] = min(numbers[node], found.get(where, numbers[node]))
        return {where: (str(number),) for where, number in sorted(found.items())}

    def _restricted(self) -> Iterator[tuple[str, str]]:
        """ "C p", and the restriction on p that C is below."""
        properties = self._objects[OWL + "onProperty"]
        for axiom in (RDFS + "subClassOf", OWL + "equivalentClass"):
            for cls, expressions in self._objects[axiom].items():
                for node in (part for each in expressions for part in self._members(each, "intersectionOf")):
                    for predicate in properties.get(node, ()):
                        if not (cls.startswith("_:") or predicate.startswith("_:")):
                            yield f"{cls} {predicate}", node

    def _members(self, cls: str, of: str) -> Iterator[str]:
        """The classes that a union, or an intersection, is of; of any other class itself."""
        lists = self._objects[OWL + of].get(cls)
        if not lists:
            yield cls
        for start in lists or ():
            yield from self._list(start)

    def _list(self, start: str) -> Iterator[str]:
        node, seen = start, set[str]()
        while node != RDF + "nil" and node not in seen:
            seen.add(node)  # a list may bite its tail
            yield from self._objects[RDF + "first"].get(node, ())
            node = next(iter(self._objects[RDF + "rest"].get(node, ())), RDF + "nil")


def has_numbers(store: Store) -> bool:
    """Whether there are cardinalities."""
    return any(True for name in _AT_MOST for _ in store.texts(OWL + name))


def _pairs(store: Store, predicate: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for subject, object_ in store.entity_pairs(predicate):
        found[subject].append(object_)
    return found


def _texts(found: Mapping[str, set[str]]) -> Pairs:
    return {term: tuple(sorted(others)) for term, others in sorted(found.items())}
