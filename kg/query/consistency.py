"""What the schema says against a fact: a type that does not fit, a known value where there may be one alone, a class
that would have no members."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, final

from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema, all_above
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDF, RDFS
from kg.search.type_constraints import DeclaredTypes

End = Literal["subject", "object"]

_OF_CLASSES: dict[str, tuple[End, ...]] = {  # where the languages' own predicates have a class ...
    **dict.fromkeys((RDFS + "subClassOf", OWL + "equivalentClass", OWL + "disjointWith"), ("subject", "object")),
    **dict.fromkeys((RDF + "type", RDFS + "domain", RDFS + "range"), ("object",)),
}
_OF_PROPERTIES: dict[str, tuple[End, ...]] = {  # ... and a property
    **dict.fromkeys((RDFS + "subPropertyOf", OWL + "equivalentProperty", OWL + "inverseOf"), ("subject", "object")),
    **dict.fromkeys((RDFS + "domain", RDFS + "range"), ("subject",)),
}
ENDS: tuple[End, End] = ("subject", "object")
OTHER: dict[End, End] = {"subject": "object", "object": "subject"}


@final
class Consistency:
    """What stands against facts, given as ids, in words. A fact does not stand against itself, known or not. types: of
    this vocabulary and schema, where they have been looked at already."""

    def __init__(
        self, vocabulary: Vocabulary, schema: Schema, known: KnownAnswers, types: DeclaredTypes | None = None
    ) -> None:
        self._names = vocabulary
        self._schema = schema
        self._known = known
        self.types = types or DeclaredTypes(schema, vocabulary)

    def of(self, head: int, relation: int, tail: int) -> Iterator[str]:
        back = len(self._names.relations)
        asked = {"subject": (head, relation), "object": (tail, relation + back)}
        for end in ENDS:
            yield from self._types(end, relation, *asked[end])
        if self._is_class(head) or self._is_class(tail):
            yield from self._other_of_class(head, relation, tail)
        else:
            for end in ENDS:
                yield from self._other_values(end, relation, *asked[end], asked[OTHER[end]][0])
            yield from self._too_many(head, relation, tail)
            yield from self._between_same(head, relation, tail)
        yield from self._closed(head, relation, tail)
        yield from self._hierarchy(head, relation, tail)
        yield from self._kinds(head, relation, tail)

    def _types(self, end: End, relation: int, own: int, directed: int) -> Iterator[str]:
        """The declared class that the entity at this end is not of."""
        declared = self.types.clash(own, directed)
        if declared is not None:
            yield (
                f"{self._label(self._names.entities[own])} has no type that fits {self._label(declared)}, "
                f"which the {end} of {self._label(self._names.relations[relation])} is declared to be"
            )

    def _other_values(self, end: End, relation: int, own: int, directed: int, other: int) -> Iterator[str]:
        """What is known in the place of the other end, where the schema lets one entity stand there alone."""
        num, predicate = 2 * len(self._names.relations), self._names.relations[relation]
        along, against = self._functional, self._inverse_functional
        if end == "object":
            along, against = against, along
        inverse = self.inverse(relation)
        if predicate not in along and not any(self._names.relations[q] in against for q in inverse):
            return
        asked = [directed, *(q + (directed + num // 2 - relation) % num for q in inverse)]
        known = sorted({value for r in asked for value in self._answers(own, r)} - {other})
        if known:
            names = [self._label(self._names.entities[value]) for value in known]
            listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            yield (
                f"{self._label(predicate)} has one {OTHER[end]} for each {end}, "
                f"and {listed} is known for {self._label(self._names.entities[own])}"
            )

    def _other_of_class(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """A class has several values of a functional predicate, by its restrictions, as long as one thing may be of all
        of them: a value that is disjoint with another is one too many. What is said of the classes above holds, too."""
        predicate, value = self._names.relations[relation], self._names.entities[tail]
        above = self.types.above(self._names.entities[head])
        if predicate in self._functional or any(self._most(cls, predicate) == 1 for cls in above):
            for cls in sorted(above & self._names.entity_ids.keys()):
                for other in self._answers(self._names.entity_ids[cls], relation):
                    if other != tail and self.types.apart(self._names.entities[other], value):
                        named = (self._label(each) for each in (self._names.entities[other], cls, value))
                        yield (
                            f"{self._label(predicate)} has one object for each subject, and "
                            "{}, known for {}, is disjoint with {}".format(*named)
                        )
                        return

    def _too_many(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """A class of the subject that lets it have no more values than are known."""
        predicate = self._names.relations[relation]
        limits = [(most, cls) for cls in self._classes(head) if (most := self._most(cls, predicate)) is not None]
        if limits:
            most, cls = min(limits)
            others = (other for other in self._answers(head, relation) if other != tail)
            known = [self._label(self._names.entities[other]) for other in others]
            if len(known) >= most:
                listed = f", and {', '.join(known[:3])} is known" if known else ""
                yield f"{self._label(cls)} has at most {most} of {self._label(predicate)}{listed}"

    def _between_same(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """What is known between both that excludes this: a disjoint predicate, or an asymmetric one turned round."""
        predicate = self._names.relations[relation]
        declared = self._schema.types.get(predicate, ())
        if head == tail and OWL + "IrreflexiveProperty" in declared:
            yield f"nothing stands in {self._label(predicate)} to itself"
        elif OWL + "AsymmetricProperty" in declared and (head == tail or head in self._answers(tail, relation)):
            yield f"{self._label(predicate)} is never true both ways"
        for other in self._schema.disjoint.get(predicate, ()):
            if other in self._names.relation_ids and tail in self._answers(head, self._names.relation_ids[other]):
                yield f"{self._label(other)} is known between both, which excludes {self._label(predicate)}"

    def _closed(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """A class of the subject whose members have values of other classes only."""
        predicate = self._names.relations[relation]
        types = self.types.types(tail) if self._schema.only else ()
        for cls in sorted(self._classes(head)) if types else ():
            only = self._schema.only.get(f"{cls} {predicate}", ())
            if only and not any(self.types.fits(types, each) for each in only):
                named = " or ".join(self._label(each) for each in only[:5]) + (" or others" if len(only) > 5 else "")
                yield f"{self._label(cls)} has {self._label(predicate)} only of {named}"
                return

    def _hierarchy(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """Of a fact that says that something is of a class, the disjoint one that it is of already; of one that says
        that a class or a predicate is below another, that the other is below it."""
        predicate, above = self._names.relations[relation], self._names.entities[tail]
        own = self._names.entities[head]
        if predicate == RDF + "type":
            mine = self.types.types(head)
        elif predicate in (RDFS + "subClassOf", OWL + "equivalentClass"):
            mine = (own,)
        else:
            mine = ()
        for pair in (self.types.apart(each, above) for each in mine):
            if pair is not None:
                here, there = map(self._label, pair)
                start = f"{here} is" if pair[0] == own else f"{self._label(own)} is of {here}, which is"
                end = "" if pair[1] == above else f", and {self._label(above)} is of that"
                yield f"{start} disjoint with {there}{end}"
                break
        parents = {RDFS + "subClassOf": self._schema.subclass_of, RDFS + "subPropertyOf": self._schema.subproperty_of}
        if predicate in parents and own != above and own in all_above(above, parents[predicate]):
            yield f"{self._label(above)} is below {self._label(own)}: both would be the same"

    def _kinds(self, head: int, relation: int, tail: int) -> Iterator[str]:
        """A property where a class must stand, or the other way round; a second domain or range that is disjoint with
        the first, so that the property would hold of nothing."""
        predicate = self._names.relations[relation]
        terms = {"subject": self._names.entities[head], "object": self._names.entities[tail]}
        for end, term in terms.items():
            is_class, is_property = self._schema.is_class(term), self._schema.is_property(term)
            if is_property and not is_class and end in _OF_CLASSES.get(predicate, ()):
                yield f"{self._label(term)} is a property, and no class"
            elif is_class and not is_property and end in _OF_PROPERTIES.get(predicate, ()):
                yield f"{self._label(term)} is a class, and no property"
        if predicate in (RDFS + "domain", RDFS + "range"):
            others = [self._names.entities[each] for each in self._answers(head, relation) if each != tail]
            apart = [self._label(each) for each in others if self.types.apart(each, terms["object"])]
            if apart:
                name = self._label(terms["object"])
                yield f"{apart[0]} is known as a {self._label(predicate)}, and {name} is disjoint with it"

    def _is_class(self, entity: int) -> bool:
        return self._schema.is_class(self._names.entities[entity])

    def _classes(self, entity: int) -> frozenset[str]:
        """All that an entity is of; of a class, itself and those above."""
        own = (self._names.entities[entity],) if self._is_class(entity) else self.types.types(entity)
        return frozenset().union(*map(self.types.above, own))

    def _most(self, cls: str, predicate: str) -> int | None:
        found = self._schema.at_most.get(f"{cls} {predicate}")
        return None if found is None else int(found[0])

    def inverse(self, relation: int) -> list[int]:
        """The relations that are declared its inverse."""
        terms = self._schema.inverse.get(self._names.relations[relation], ())
        return [self._names.relation_ids[term] for term in terms if term in self._names.relation_ids]

    def _answers(self, entity: int, relation: int) -> list[int]:
        head, wanted = self._known.questions.new_tensor([[entity], [relation]])
        answers: list[int] = self._known.lookup(head, wanted)[1].tolist()
        return answers

    @cached_property
    def _functional(self) -> frozenset[str]:
        return frozenset(self._schema.functional)

    @cached_property
    def _inverse_functional(self) -> frozenset[str]:
        wanted = OWL + "InverseFunctionalProperty"
        return frozenset(term for term, classes in self._schema.types.items() if wanted in classes)

    def _label(self, term: str) -> str:
        return " ".join(self._schema.label(term).split())  # on one line
