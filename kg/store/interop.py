"""rdflib and networkx, in and out. Both are imported on first use: they take longer than opening a store."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyoxigraph as ox

from kg.errors import UserError
from kg.store.labels import labels, local_name

if TYPE_CHECKING:
    import networkx
    import rdflib

    from kg.store.store import Store


def to_rdflib(store: "Store") -> "rdflib.Dataset":
    """The store's generation as an rdflib Dataset, through oxrdflib: not a copy, and read-only.

    Read without naming a graph it is the union of all graphs, each triple once; `.graph(name)` is one of them and
    `.default_graph` holds the facts outside any. Triple terms come out as RDF 1.1 reification, and base directions of
    literals are dropped: rdflib has neither. UserError on every attempt to change it. Valid while `store` is open.
    """
    from kg.store.rdflib_view import ReadOnlyOxigraphStore, StoreDataset, reified

    triple_terms = reified(store.database) if store.manifest["triple_terms"] else None
    dataset = StoreDataset(ReadOnlyOxigraphStore(store.database, triple_terms))
    for prefix, namespace in store.prefixes.items():
        dataset.bind(prefix, namespace)
    return dataset


def to_rdflib_graph(store: "Store", graph: str | None = None) -> "rdflib.Graph":
    """One graph of to_rdflib(): the named one, or the default graph. UserError if there is no such graph."""
    from rdflib import BNode, URIRef

    dataset = to_rdflib(store)
    if graph is None:
        default: rdflib.Graph = dataset.default_graph  # a property that rdflib leaves untyped
        return default
    name = store.term(graph)
    if not store.database.contains_named_graph(name):
        raise UserError(f"{store.path} has no graph {graph}")
    return dataset.get_context(URIRef(name.value) if isinstance(name, ox.NamedNode) else BNode(name.value))


def from_rdflib(source: "rdflib.Graph", *, graph: str | None = None) -> Iterator[ox.Quad]:
    """The facts of an rdflib Graph or Dataset. Blank nodes keep their labels: rdflib made those unique.

    `graph` names the graph for the facts of a Graph, or of a Dataset's default graph. UserError for what RDF does not
    have, such as formulae or a literal as subject.
    """
    from rdflib import ConjunctiveGraph

    from kg.store.rdflib_view import graph_name, quad_of

    try:
        default = ox.NamedNode(graph) if graph else ox.DefaultGraph()
    except ValueError as error:
        raise UserError(f"the graph {graph!r} is no IRI: {error}") from None
    if not isinstance(source, ConjunctiveGraph):
        yield from (quad_of(triple, default) for triple in source)
        return
    for subject, predicate, object_, context in source.quads():  # of a Dataset too, which is one
        yield quad_of((subject, predicate, object_), graph_name(source, context) or default)


def to_networkx(store: "Store") -> "networkx.MultiDiGraph":
    """The facts between entities. Nodes are terms as in Store.terms(), edges are keyed by their relation's.

    Both carry `label`, as kg.store.labels has it, else the last part of the IRI. A fact that is
    in several graphs is one edge.
    """
    import networkx

    terms, named = store.terms(), labels(store)
    found = networkx.MultiDiGraph()
    rows = store.facts()
    for id in dict.fromkeys(rows[:, [0, 2]].ravel().tolist()):
        found.add_node(terms[id], label=named.get(terms[id]) or local_name(terms[id]))
    for subject, predicate, object_, _ in rows.tolist():
        relation = terms[predicate]
        found.add_edge(terms[subject], terms[object_], relation, label=named.get(relation) or local_name(relation))
    return found
