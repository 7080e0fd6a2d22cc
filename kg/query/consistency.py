"""What the schema says against a fact: a type that does not fit, a known value where there may be one alone."""

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, final

from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL
from kg.search.type_constraints import DeclaredTypes

End = Literal["subject", "object"]

ENDS: tuple[End, End] = ("subject", "object")
OTHER: dict[End, End] = {"subject": "object", "object": "subject"}


@final
class Consistency:
    """What stands against facts, given as ids, in words. A fact does not stand against itself, known or not."""

    def __init__(self, vocabulary: Vocabulary, schema: Schema, known: KnownAnswers) -> None:
        self._names = vocabulary
        self._schema = schema
        self._known = known
        self.types = DeclaredTypes(schema, vocabulary)

    def of(self, head: int, relation: int, tail: int) -> Iterator[str]:
        back = len(self._names.relations)
        asked = {"subject": (head, relation), "object": (tail, relation + back)}
        for end in ENDS:
            yield from self._types(end, relation, *asked[end])
        for end in ENDS:
            yield from self._other_values(end, relation, *asked[end], asked[OTHER[end]][0])

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
