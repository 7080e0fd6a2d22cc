"""rdflib and networkx, in and out. Both are imported on first use: they take longer than opening a store."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyoxigraph as ox

from kg.errors import UserError, extra
from kg.namespaces import local_name
from kg.store.facts import Rows

if TYPE_CHECKING:
    import networkx
    import rdflib


def to_rdflib(database: ox.Store, prefixes: Mapping[str, str], *, triple_terms: bool) -> "rdflib.Dataset":
    """A database as an rdflib Dataset, through oxrdflib: not a copy, and read-only; see Store.to_rdflib."""
    with extra("rdflib"):
        from kg.store.rdflib_view import ReadOnlyOxigraphStore, StoreDataset, reified

    dataset = StoreDataset(ReadOnlyOxigraphStore(database, reified(database) if triple_terms else None))
    for prefix, namespace in prefixes.items():
        dataset.bind(prefix, namespace)
    return dataset


def context(dataset: "rdflib.Dataset", name: ox.NamedNode | ox.BlankNode) -> "rdflib.Graph":
    """One named graph of a dataset."""
    from rdflib import BNode, URIRef

    return dataset.get_context(URIRef(name.value) if isinstance(name, ox.NamedNode) else BNode(name.value))


def from_rdflib(source: "rdflib.Graph", *, graph: str | None = None) -> Iterator[ox.Quad]:
    """The facts of an rdflib Graph or Dataset. Blank nodes keep their labels: rdflib made those unique.

    `graph` names the graph for the facts of a Graph, or of a Dataset's default graph. UserError for what RDF does not
    have, such as formulae or a literal as subject.
    """
    with extra("rdflib"):  # oxrdflib may be missing
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


def to_networkx(terms: Sequence[str], rows: Rows, labels: Mapping[str, str]) -> "networkx.MultiDiGraph":
    """The facts of the rows, by the terms of their ids, as a networkx graph; see Store.to_networkx."""
    import networkx

    def label(term: str) -> str:
        return labels.get(term) or local_name(term)

    found = networkx.MultiDiGraph()
    for id in dict.fromkeys(rows[:, [0, 2]].ravel().tolist()):
        found.add_node(terms[id], label=label(terms[id]))
    for subject, predicate, object_, _ in rows.tolist():
        found.add_edge(terms[subject], terms[object_], terms[predicate], label=label(terms[predicate]))
    return found
