"""What the graph says of its own words: labels, prefixes, domains, types, inverses."""

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeVar

from kg.errors import one_line
from kg.graph.packed import PackedLabels
from kg.namespaces import OWL, RDF, RDFS, local_name

_T = TypeVar("_T", bound=Hashable)
_TermLists = Mapping[str, tuple[str, ...]]
_NUMBER = re.compile("[0-9]{1,9}")
_CLASSES = frozenset({OWL + "Class", RDFS + "Class"})


@dataclass(frozen=True)
class Schema:
    """Terms (bare IRIs or plain names) to what is said of them; everything may be empty.

    `inverse` holds both directions of owl:inverseOf; `disjoint`, `only` and `at_most` are those of kg.graph.limits;
    `labels` one label a term,
    in `language` where one was asked for and the term has it (kg.store.labels).
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    domain: _TermLists = field(default_factory=dict)
    range: _TermLists = field(default_factory=dict)
    types: _TermLists = field(default_factory=dict)
    subclass_of: _TermLists = field(default_factory=dict)
    subproperty_of: _TermLists = field(default_factory=dict)
    inverse: _TermLists = field(default_factory=dict)
    disjoint: _TermLists = field(default_factory=dict)
    only: _TermLists = field(default_factory=dict)
    at_most: _TermLists = field(default_factory=dict)
    symmetric: tuple[str, ...] = ()
    functional: tuple[str, ...] = ()
    language: str | None = None

    def label(self, term: str) -> str:
        """The term's label, else the last part of its IRI, else the term itself."""
        return self.labels.get(term) or local_name(term)

    def text(self, facts: Iterable[tuple[str, ...]]) -> str:
        """Facts in labels, on one line."""
        return " and ".join(f"({', '.join(' '.join(self.label(term).split()) for term in fact)})" for fact in facts)

    def is_class(self, term: str) -> bool:
        """Whether the term is declared a class, or stands in the hierarchy of classes."""
        return term in self._in_hierarchy or not _CLASSES.isdisjoint(self.types.get(term, ()))

    def is_property(self, term: str) -> bool:
        """Whether the term is declared a property, or said to have a domain, a range or a property above it."""
        said = term in self.subproperty_of or term in self.domain or term in self.range
        return said or any(
            each.startswith((OWL, RDF)) and each.endswith("Property") for each in self.types.get(term, ())
        )

    @cached_property
    def _in_hierarchy(self) -> frozenset[str]:
        return frozenset(self.subclass_of).union(*self.subclass_of.values())

    def to_json(self) -> dict[str, Any]:
        labels = self.labels.as_dict() if isinstance(self.labels, PackedLabels) else self.labels
        return asdict(replace(self, labels=labels))

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Schema":
        """What to_json() gave. ValueError where it is something else."""
        known = (f.name for f in fields(cls) if f.name in stored)  # an older model says nothing of the newer fields
        return cls(**{name: _restored(name, stored[name]) for name in known})


def all_above(start: _T, parents: Mapping[_T, Iterable[_T]]) -> frozenset[_T]:
    """This and all that lie above it; in circles, too."""
    found, waiting = {start}, [start]
    while waiting:
        for each in parents.get(waiting.pop(), ()):
            if each not in found:
                found.add(each)
                waiting.append(each)
    return frozenset(found)


def _restored(name: str, stored: Any) -> Any:
    """A field of the schema."""
    if name == "language":
        if not isinstance(stored, str | None):
            raise ValueError(f"{name} must be a text: got {one_line(str(stored))[:80]}")
        return stored
    if name in ("symmetric", "functional"):
        return _terms(name, stored)
    if not isinstance(stored, dict):
        raise ValueError(f"{name} must be an object: got {one_line(str(stored))[:80]}")
    if name not in ("labels", "prefixes"):
        lists = {term: _terms(name, others) for term, others in stored.items()}
        if name == "at_most" and not all(len(each) == 1 and _NUMBER.fullmatch(each[0]) for each in lists.values()):
            raise ValueError(f"{name} must be numbers")
        return lists
    if not all(isinstance(text, str) for text in stored.values()):
        raise ValueError(f"{name} must be texts")
    return stored


def _terms(name: str, stored: Any) -> tuple[str, ...]:
    if not isinstance(stored, list) or not all(isinstance(term, str) for term in stored):
        raise ValueError(f"{name} must be lists of terms: got {one_line(str(stored))[:80]}")
    return tuple(stored)
