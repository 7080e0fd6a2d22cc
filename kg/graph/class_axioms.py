"""What an ontology says of its classes, as facts between them."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Bool, Int

from kg.namespaces import OWL, RDF, RDFS, SHACL

LANGUAGE = (RDF, RDFS, OWL, SHACL)  # a predicate of theirs says something of words and shapes, not of the world
OF_CLASSES = tuple(RDFS + name for name in ("subClassOf", "subPropertyOf", "domain", "range"))
_SUBCLASS = OF_CLASSES[0]


@final
class ClassAxioms:
    """Facts of a store, as rows of ids into its terms, seen as what they say of classes."""

    def __init__(self, spo: Int[np.ndarray, "T 3"], terms: list[str]) -> None:
        self._spo = spo
        self._terms = terms

    @cached_property
    def facts(self) -> Int[np.ndarray, "T 3"]:
        """The facts that the class expressions of OWL stand for, in order, each once.

        C subClassOf, or equivalentClass, X: for X = [onProperty p; someValuesFrom D] or [onProperty p; hasValue D] the
        fact (C, p, D); for X = [intersectionOf (D ...)] what each D gives, where a named D gives (C, subClassOf, D).
        """
        found = np.array(list(self._expressed()), dtype=np.int64).reshape(-1, 3)
        return np.unique(found, axis=0)

    @cached_property
    def of_expressions(self) -> Bool[np.ndarray, " T"]:
        """Which facts of rdfs: and owl: have a blank node in them: it is an expression, or a list, and no entity."""
        of_language = self._within(self._spo[:, 1], (RDFS, OWL))
        return np.asarray(of_language & self._touches(self._nameless))

    @property
    def num_of_classes(self) -> int:
        """How many facts there are between classes: subClassOf, and those of expressions."""
        return int((self._is(_SUBCLASS) & ~self.of_expressions).sum()) + len(self.facts)

    @property
    def num_of_individuals(self) -> int:
        """How many relate two named things that are neither classes nor properties nor ontologies, by a predicate that
        is not of RDF, RDFS, OWL or SHACL."""
        spo = self._spo
        other = self._nameless.copy()
        other[spo[self._is(_SUBCLASS)][:, [0, 2]].reshape(-1)] = True
        for predicate in OF_CLASSES[1:]:
            other[spo[self._is(predicate), 0]] = True
        typed = spo[self._is(RDF + "type")]
        other[typed[self._within(typed[:, 2], LANGUAGE), 0]] = True
        other[typed[typed[:, 2] == self._id(OWL + "NamedIndividual"), 0]] = False
        return int((~self._within(spo[:, 1], LANGUAGE) & ~self._touches(other)).sum())

    def _expressed(self) -> Iterator[tuple[int, int, int]]:
        properties, members = self._objects(OWL + "onProperty"), self._objects(OWL + "intersectionOf")
        first, rest = self._objects(RDF + "first"), self._objects(RDF + "rest")
        values = [self._objects(OWL + name) for name in ("someValuesFrom", "hasValue")]
        subclass = self._id(_SUBCLASS)
        for axiom in (_SUBCLASS, OWL + "equivalentClass"):
            for cls, expressions in self._objects(axiom).items():
                seen: set[int] = set()  # a list may bite its tail
                left = [] if self._nameless[cls] else [each for each in expressions if self._nameless[each]]
                while left:
                    node = left.pop()
                    if node in seen:
                        continue
                    seen.add(node)
                    if not self._nameless[node] and subclass >= 0:
                        yield cls, subclass, node
                    left += [*members.get(node, ()), *first.get(node, ())]
                    left += [each for each in rest.get(node, ()) if self._nameless[each]]  # rdf:nil is no class
                    for relation in properties.get(node, ()):
                        for value in (each for of in values for each in of.get(node, ())):
                            if not (self._nameless[relation] or self._nameless[value]):
                                yield cls, relation, value

    def _objects(self, predicate: str) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for subject, _, object_ in self._spo[self._is(predicate)].tolist():
            found[subject].append(object_)
        return found

    def _is(self, predicate: str) -> Bool[np.ndarray, " T"]:
        return np.asarray(self._spo[:, 1] == self._id(predicate))

    def _id(self, term: str) -> int:
        return self._ids.get(term, -1)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {term: i for i, term in enumerate(self._terms)}

    @cached_property
    def _nameless(self) -> Bool[np.ndarray, " I"]:
        return np.array([term.startswith("_:") for term in self._terms], dtype=bool)

    def _touches(self, terms: Bool[np.ndarray, " I"]) -> Bool[np.ndarray, " T"]:
        """Which facts have one of these terms at an end."""
        return np.asarray(terms[self._spo[:, 0]] | terms[self._spo[:, 2]])

    def _within(self, ids: Int[np.ndarray, " T"], namespaces: tuple[str, ...]) -> Bool[np.ndarray, " T"]:
        return np.isin(ids, [i for i in np.unique(ids).tolist() if self._terms[i].startswith(namespaces)])
