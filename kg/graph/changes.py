"""What a store's facts between entities, and what it says of its words, have become since they were read."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int
from pyoxigraph import DefaultGraph

from kg.graph.from_store import both_ways, of_type
from kg.graph.limits import IN_LIMITS, Limits, has_numbers
from kg.graph.schema import Schema
from kg.namespaces import APART, OWL, RDF, RDFS
from kg.store.facts import DEFAULT_GRAPH, Difference
from kg.store.labels import labels
from kg.store.store import Store
from kg.store.terms import node, term_text

_BY_SUBJECT = {
    "domain": RDFS + "domain",
    "range": RDFS + "range",
    "subclass_of": RDFS + "subClassOf",
    "subproperty_of": RDFS + "subPropertyOf",
}


def changed_facts(
    store: Store, since: Difference, terms: list[str], graphs: Collection[str] | None
) -> tuple[Int[np.ndarray, "A 3"], Int[np.ndarray, "D 3"]]:
    """(added, removed): what of entity_facts(store, graphs) was not there before, and what was there and is no more.

    terms: id -> term, for all ids. A fact may stand in several graphs: which hold it now is asked of the database, at
    10 us a changed fact.
    """
    rows = np.concatenate([since.added, since.removed])
    sign = np.repeat([1, -1], [len(since.added), len(since.removed)])
    names = ["" if graph == DEFAULT_GRAPH else terms[graph] for graph in rows[:, 3].tolist()]
    counts = np.array([_counts(name, graphs) for name in names], dtype=bool)
    facts, place = np.unique(rows[counts, :3], axis=0, return_inverse=True)
    more = np.bincount(place.reshape(-1), sign[counts], minlength=len(facts))
    now = np.array([_holding(store, [terms[i] for i in fact], graphs) for fact in facts.tolist()])
    before = now - more
    return facts[(before == 0) & (now > 0)], facts[(before > 0) & (now == 0)]


def _counts(graph: str, graphs: Collection[str] | None) -> bool:
    """Whether what a graph holds is a fact to learn from."""
    return graph not in APART if graphs is None else graph in graphs


def _holding(store: Store, fact: list[str], graphs: Collection[str] | None) -> int:
    """How many of the graphs that count hold the fact."""
    names = (quad.graph_name for quad in store.match(*map(node, fact)))
    return sum(_counts("" if isinstance(name, DefaultGraph) else term_text(name), graphs) for name in names)


def changed_schema(schema: Schema, store: Store, since: Difference, terms: list[str]) -> Schema:
    """schema_from_store(store), from that of before, of which what may have changed is read again. The same where
    nothing may have."""
    changed: dict[str, Any] = {}
    if store.prefixes != schema.prefixes:
        changed["prefixes"] = store.prefixes
    if since.labelled is None:
        changed["labels"] = labels(store.texts, schema.language)
    elif since.labelled:
        found = labels(lambda predicate: _texts(store, predicate, since.labelled or ()), schema.language)
        kept = dict(schema.labels)
        for term in since.labelled:
            kept.pop(term, None)
        changed["labels"] = kept | found
    subjects = _subjects(since, terms)
    for name, predicate in _BY_SUBJECT.items():
        if predicate in subjects:
            changed[name] = _objects_again(getattr(schema, name), store, predicate, subjects[predicate])
    if OWL + "inverseOf" in subjects:
        changed["inverse"] = both_ways(store, OWL + "inverseOf")
    # That a number alone changed does not show.
    if schema.at_most or has_numbers(store) or not subjects.keys().isdisjoint(IN_LIMITS):
        limits = Limits(store)
        changed |= {"disjoint": limits.disjoint, "only": limits.only, "at_most": limits.at_most}
    if RDF + "type" in subjects:
        types = _objects_again(schema.types, store, RDF + "type", subjects[RDF + "type"])
        some = {term: types[term] for term in subjects[RDF + "type"] if term in types}
        changed["types"] = types
        for name, wanted in (("symmetric", OWL + "SymmetricProperty"), ("functional", OWL + "FunctionalProperty")):
            others = set(getattr(schema, name)) - subjects[RDF + "type"]
            changed[name] = tuple(sorted(others.union(of_type(some, wanted))))
    return replace(schema, **changed) if changed else schema


def _subjects(since: Difference, terms: list[str]) -> dict[str, set[str]]:
    """predicate -> the subjects of its facts that changed, in whatever graph."""
    rows = np.concatenate([since.added, since.removed])[:, :2]
    found: dict[str, set[str]] = {}
    for predicate in np.unique(rows[:, 1]).tolist():
        found[terms[predicate]] = {terms[i] for i in np.unique(rows[rows[:, 1] == predicate, 0]).tolist()}
    return found


def _objects_again(
    objects: Mapping[str, tuple[str, ...]], store: Store, predicate: str, subjects: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    found = dict(objects)
    for subject in subjects:
        now = tuple(sorted({each for _, each in store.entity_pairs(node(predicate), node(subject))}))
        if now:
            found[subject] = now
        else:
            found.pop(subject, None)
    return found


def _texts(store: Store, predicate: str, subjects: Iterable[str]) -> Iterator[tuple[str, str, str | None]]:
    for subject in subjects:
        yield from store.texts(node(predicate), node(subject))
