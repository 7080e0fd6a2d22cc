"""What the graph says of its own words: labels, prefixes, domains, types, inverses."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from kg.namespaces import OWL, RDF, RDFS, local_name
from kg.store.labels import labels
from kg.store.store import Store

_TermLists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Schema:
    """Terms (bare IRIs or plain names) to what is said of them; everything may be empty.

    `inverse` and `disjoint` hold both directions of owl:inverseOf and owl:disjointWith; `labels` one label a term
    (English or without a language first).
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    domain: _TermLists = field(default_factory=dict)
    range: _TermLists = field(default_factory=dict)
    types: _TermLists = field(default_factory=dict)
    subclass_of: _TermLists = field(default_factory=dict)
    inverse: _TermLists = field(default_factory=dict)
    disjoint: _TermLists = field(default_factory=dict)
    symmetric: tuple[str, ...] = ()
    functional: tuple[str, ...] = ()

    @classmethod
    def from_store(cls, store: Store) -> "Schema":
        """Read from all graphs of the store. O(schema facts + labels + types)."""
        types = _objects(store, RDF + "type")
        return cls(
            labels=labels(store.texts),
            prefixes=dict(store.prefixes),
            domain=_objects(store, RDFS + "domain"),
            range=_objects(store, RDFS + "range"),
            types=types,
            subclass_of=_objects(store, RDFS + "subClassOf"),
            inverse=_both_ways(store, OWL + "inverseOf"),
            disjoint=_both_ways(store, OWL + "disjointWith"),
            symmetric=_of_type(types, OWL + "SymmetricProperty"),
            functional=_of_type(types, OWL + "FunctionalProperty"),
        )

    def label(self, term: str) -> str:
        """The term's label, else the last part of its IRI, else the term itself."""
        return self.labels.get(term) or local_name(term)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Schema":
        def restored(value: Any) -> Any:
            if isinstance(value, list):
                return tuple(value)
            return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}

        known = (f.name for f in fields(cls) if f.name in stored)  # an older model says nothing of the newer fields
        return cls(**{name: restored(stored[name]) for name in known})


def _both_ways(store: Store, predicate: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for left, rights in _objects(store, predicate).items():
        for right in rights:
            found[left].add(right)
            found[right].add(left)
    return {term: tuple(sorted(others)) for term, others in found.items()}


def _objects(store: Store, predicate: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for subject, object_ in store.entity_pairs(predicate):
        found[subject].add(object_)
    return {term: tuple(sorted(objects)) for term, objects in found.items()}


def _of_type(types: _TermLists, wanted: str) -> tuple[str, ...]:
    return tuple(sorted(term for term, classes in types.items() if wanted in classes))
