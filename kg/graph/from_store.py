"""A dataset from a store: its facts between entities, a part of them held out, and what it says of its words."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from kg.errors import UserError
from kg.graph.class_axioms import LANGUAGE, OF_CLASSES, ClassAxioms
from kg.graph.dataset import Dataset, StoreState
from kg.graph.ids import ordered, packed
from kg.graph.limits import Limits
from kg.graph.names import Names
from kg.graph.plumbing import is_annotation
from kg.graph.schema import Schema
from kg.graph.splitting import hold_out, twins
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import APART, OWL, RDF, RDFS
from kg.progress import SILENT, Progress
from kg.store.labels import labels, preferred
from kg.store.store import Store
from kg.store.terms import term_text

_Triples = Int[np.ndarray, "T 3"]


def dataset_at(path: Path, **chosen: Any) -> Dataset:
    """dataset_from_store of the store that lies there."""
    with Store(path) as store:
        return dataset_from_store(store, **chosen)


def dataset_from_store(
    store: Store,
    relations: Collection[str] | None = None,
    graphs: Collection[str] | None = None,
    valid: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    restrictions: bool | None = None,
    language: str | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The store's facts between entities, a part of them held out.

    relations: the predicates that train, by IRI, prefix:name or label; None means all but those of rdf:, rdfs:, owl:
    and sh:. graphs: the named graphs to read, by the same ('' is the default graph); None means all but that of
    predictions.
    restrictions: what OWL says of classes by expressions becomes facts between classes, `C rdfs:subClassOf
    [owl:onProperty p; owl:someValuesFrom D]` the fact (C, p, D): see ClassAxioms.facts. With neither this nor relations
    given, a store that says more of classes than of individuals is read so, and OF_CLASSES train, too: progress is
    told.
    valid, test: the shares held out, in [0, 1), together below 1. Facts that say the same thing (see `twins`) fall
    into the same part, and no held-out fact has an entity or relation that train lacks, so a small or sparse graph
    may give less than asked: where it gives less than half, progress is told.
    language: of labels, see kg.store.labels.

    Raises UserError where nothing is left to train on, or a relation or graph is not in the store.
    """
    if not (0 <= valid < 1 and 0 <= test < 1 and valid + test < 1):
        raise UserError(f"valid and test are shares in [0, 1) that leave some facts: got {valid} and {test}")
    schema = schema_from_store(store, language)
    chosen_graphs = None if graphs is None else _graph_terms(store, graphs, schema)
    terms, rows = entity_facts(store, chosen_graphs, restrictions is True)
    of_classes = (
        restrictions is None and relations is None and _is_of_classes(terms, rows, schema, str(store.path), progress)
    )
    if of_classes:
        terms, rows = entity_facts(store, chosen_graphs, restrictions=True)
    seen = {terms[i]: i for i in np.unique(rows[:, 1]).tolist()}
    trained = _training_relations(seen, relations, schema) + [seen[p] for p in OF_CLASSES if of_classes and p in seen]
    trains = np.isin(rows[:, 1], trained)
    facts, vocabulary = _numbered(terms, rows[trains])
    if not len(facts):
        raise UserError(
            f"{store.path}: no facts between entities to train on (rdf:, rdfs:, owl: and sh: aside): "
            "name relations to train on others, such as rdfs:subClassOf",
            "relations",
        )
    if relations is None and not trains.all():
        words = len(np.unique(rows[~trains, 1]))
        progress.note(
            f"{int((~trains).sum()):,} facts of {words:,} predicates of RDF, RDFS, OWL and SHACL do not train (unless "
            "relations are chosen)"
        )
    group = twins(facts, vocabulary, schema)
    part = hold_out(facts, group, len(vocabulary.entities), len(vocabulary.relations), (valid, test), seed)
    train, held_valid, held_test = (torch.from_numpy(facts[part == i]) for i in range(3))
    _tell_of_few(len(facts), (len(held_valid), len(held_test)), (valid, test), progress)
    return Dataset(
        train,
        held_valid,
        held_test,
        vocabulary,
        schema,
        source=str(store.path.resolve()),
        generation=store.generation,
        graphs=chosen_graphs,
        restrictions=restrictions is True or of_classes,
        store_id=store.id,
        named=() if relations is None else vocabulary.relations,
        shares=(valid, test),
        store_state=StoreState(store.mark.sha256, preferred(language), int((~trains).sum())),
    )


def schema_from_store(store: Store, language: str | None = None) -> Schema:
    """Read from all graphs of the store. O(schema facts + labels + types). language: of labels."""
    types = _objects(store, RDF + "type")
    limits = Limits(store)
    return Schema(
        labels=labels(store.texts, language),
        language=language,
        prefixes=dict(store.prefixes),
        domain=_objects(store, RDFS + "domain"),
        range=_objects(store, RDFS + "range"),
        types=types,
        subclass_of=_objects(store, RDFS + "subClassOf"),
        subproperty_of=_objects(store, RDFS + "subPropertyOf"),
        inverse=both_ways(store, OWL + "inverseOf"),
        disjoint=limits.disjoint,
        only=limits.only,
        at_most=limits.at_most,
        symmetric=of_type(types, OWL + "SymmetricProperty"),
        functional=of_type(types, OWL + "FunctionalProperty"),
    )


def entity_facts(
    store: Store, graphs: Collection[str] | None = None, restrictions: bool = False
) -> tuple[list[str], _Triples]:
    """The store's terms, and its distinct facts between entities as rows of ids into them, in order.

    graphs: the named graphs to read ('' is the default graph); None means all but that of predictions, which are not
    learnt from. restrictions: class expressions give way to the facts that they stand for (see ClassAxioms). UserError
    where a graph is not in the store, or is that of predictions.
    """
    for name in APART:
        if graphs is not None and name in graphs:
            raise UserError(f"{name} holds what was predicted, or said of that: nothing is trained on it")
    terms, table = store.terms(), store.facts()
    if graphs is not None:
        table = table[np.isin(table[:, 3], _store_ids(terms, graphs, "graph"))]
    spo = _distinct(table[:, :3], len(terms))
    if restrictions:
        axioms = ClassAxioms(spo, terms)
        spo = _distinct(np.concatenate([spo[~axioms.of_expressions], axioms.facts]), len(terms))
    return terms, spo


def _distinct(spo: _Triples, num_terms: int) -> Int[np.ndarray, "S 3"]:
    """np.unique(axis=0). Predicates are numbered anew: three ids of many terms would not fit one number."""
    predicate, predicates = _renumbered(spo[:, 1], num_terms)
    sizes = (num_terms, len(predicates), num_terms)
    head, rest = np.divmod(ordered(packed((spo[:, 0], predicate, spo[:, 2]), sizes)), max(1, sizes[1] * sizes[2]))
    predicate, tail = np.divmod(rest, max(1, num_terms))
    return np.stack([head, predicates[predicate], tail], 1).astype(spo.dtype)


def _renumbered(ids: Int[np.ndarray, "*shape"], stop: int) -> tuple[Int[np.ndarray, "*shape"], Int[np.ndarray, " M"]]:
    """The place of each among those that occur, and these in order: np.unique(return_inverse=True) without sorting."""
    occurs = np.zeros(stop, dtype=bool)
    occurs[ids] = True
    return (occurs.cumsum() - 1)[ids], np.flatnonzero(occurs)


def _training_relations(seen: dict[str, int], relations: Collection[str] | None, schema: Schema) -> list[int]:
    if relations is None:
        return [i for term, i in seen.items() if not term.startswith(LANGUAGE)]
    names = Names(list(seen), schema, "relation")
    return [seen[names.term(name)] for name in relations]


def _numbered(terms: list[str], rows: _Triples) -> tuple[_Triples, Vocabulary]:
    """The rows with ids of their own, without gaps, and the terms of those ids, in the store's order."""
    ends, entities = _renumbered(rows[:, [0, 2]], len(terms))
    relation, predicates = _renumbered(rows[:, 1], len(terms))
    facts = np.stack([ends[:, 0], relation, ends[:, 1]], 1).astype(np.int64)
    return facts, Vocabulary([terms[i] for i in entities.tolist()], [terms[i] for i in predicates.tolist()])


def _store_ids(terms: list[str], wanted: Iterable[str], what: str) -> list[int]:
    ids = {term: i for i, term in enumerate(terms)}
    ids[""] = -1  # the default graph
    missing = [term for term in wanted if term not in ids]
    if missing:
        raise UserError(f"the store has no {what} {missing[0]}")
    return [ids[term] for term in wanted]


def _is_of_classes(terms: list[str], rows: _Triples, schema: Schema, store: str, progress: Progress) -> bool:
    """Whether a store says more of classes than of individuals, annotations aside. progress is told what is made of
    that."""
    notes = [i for i in np.unique(rows[:, 1]).tolist() if is_annotation(terms[i], schema)]
    axioms = ClassAxioms(rows[~np.isin(rows[:, 1], notes)], terms)
    classes, individuals = axioms.num_of_classes, axioms.num_of_individuals
    if classes > individuals:
        progress.note(
            f"{store} says more of classes ({classes:,} facts) than of individuals ({individuals:,}): it is "
            "trained on rdfs:subClassOf, subPropertyOf, domain and range, too, and on "
            f"{len(axioms.facts):,} facts of classes that owl:someValuesFrom restrictions and the like stand for "
            "(unless relations, or restrictions, are chosen)"
        )
    return classes > individuals


def _tell_of_few(facts: int, held: tuple[int, int], shares: tuple[float, float], progress: Progress) -> None:
    """Where less than half of what was asked for could be held out."""
    if any(share and 2 * number < max(1, round(share * facts)) for number, share in zip(held, shares, strict=True)):
        progress.note(
            f"of {facts:,} facts {held[0]:,} are held out as valid (to choose an epoch and fit probabilities by) and "
            f"{held[1]:,} as test: each of the others is the only one of an entity or of a relation, or says what such "
            "a one says"
        )


def _graph_terms(store: Store, graphs: Collection[str], schema: Schema) -> tuple[str, ...]:
    there = {term_text(name) for name in store.database.named_graphs()} | set(APART)  # which are then refused
    names = Names(sorted(there), schema, "graph")
    return tuple(names.term(graph) if graph else "" for graph in graphs)


# What the store says of its words


def both_ways(store: Store, predicate: str) -> dict[str, tuple[str, ...]]:
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


def of_type(types: Mapping[str, tuple[str, ...]], wanted: str) -> tuple[str, ...]:
    return tuple(sorted(term for term, classes in types.items() if wanted in classes))
