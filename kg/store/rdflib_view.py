"""A store as rdflib sees one: RDF 1.1, read-only, over the same database. It imports rdflib: use interop.py."""

import hashlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any, NoReturn, final

import pyoxigraph as ox
from oxrdflib import OxigraphStore
from rdflib.graph import DATASET_DEFAULT_GRAPH_ID, ConjunctiveGraph, Dataset, Graph
from rdflib.term import BNode, Literal, Node, URIRef

from kg.errors import UserError
from kg.namespaces import RDF, XSD
from kg.store import guard

Triple = tuple[Node, Node, Node]
GraphName = ox.NamedNode | ox.BlankNode | ox.DefaultGraph
TriplePattern = tuple[Node | None, Node | None, Node | None]

_REIFIES = ox.NamedNode(RDF + "reifies")
_TYPE, _STATEMENT = ox.NamedNode(RDF + "type"), ox.NamedNode(RDF + "Statement")
_SUBJECT, _PREDICATE, _OBJECT = (ox.NamedNode(RDF + name) for name in ("subject", "predicate", "object"))
_XSD_STRING = ox.NamedNode(XSD + "string")


@final
class StoreDataset(Dataset):
    """An rdflib Dataset. rdflib's own code still reads two attributes that it deprecates: they do not warn here."""

    def __init__(self, store: "ReadOnlyOxigraphStore") -> None:
        super().__init__(store, default_union=True)

    @property  # type: ignore[misc]  # rdflib's can be set, and nothing is set here
    def default_context(self) -> Graph:
        return self._default_context

    def contexts(self, triple: Triple | None = None) -> Generator[Graph, None, None]:
        return self.graphs(triple)


@final
class ReadOnlyOxigraphStore(OxigraphStore):
    """An rdflib store over a pyoxigraph one. Every way to change it is a UserError.

    rdflib knows no triple terms: `reified`, a small database beside the large one, has them as RDF 1.1 reification
    (rdf:Statement, rdf:subject, rdf:predicate, rdf:object). Base directions of literals have no counterpart either.
    """

    def __init__(self, database: ox.Store, reified: ox.Store | None) -> None:
        super().__init__(store=database)
        self._database, self._reified = database, reified
        self._named = any(True for _ in database.named_graphs())

    def triples(
        self, triple_pattern: TriplePattern, context: Graph | None = None
    ) -> Iterator[tuple[Triple, Iterator[Graph | None]]]:
        """Each triple once, with the graphs that hold it, however many those are."""
        pattern = _pattern(triple_pattern)
        if pattern is None:
            return
        graph = None if context is None else _graph_name(context.identifier)
        for database in self._databases():
            for quad in database.quads_for_pattern(*pattern, graph):
                if self._reified and database is self._database and isinstance(quad.object, ox.Triple):
                    continue  # the other database says it
                if graph is not None:
                    yield _rdflib_triple(quad), iter((self._graph(graph),))
                    continue
                names = _graphs_of(database, quad) if self._named else [quad.graph_name]
                if quad.graph_name == names[0]:
                    yield _rdflib_triple(quad), iter([self._graph(name) for name in names])

    def _databases(self) -> list[ox.Store]:
        return [self._database, self._reified] if self._reified else [self._database]

    def __len__(self, context: Graph | None = None) -> int:
        if self._reified:
            return sum(1 for _ in self.triples((None, None, None), context))
        return super().__len__(context)

    def contexts(self, triple: Triple | None = None) -> Generator[Graph, None, None]:
        if triple is None:
            for name in self._database.named_graphs():
                yield self._graph(name)
        else:
            for _, graphs in self.triples(triple):
                for graph in graphs:
                    if graph is not None:
                        yield graph

    def query(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Oxigraph's own SPARQL; rdflib's engine where triple terms must look like reification."""
        if isinstance(query, str):
            guard.check_query(query)
        if self._reified:
            raise NotImplementedError  # how a store asks rdflib to evaluate the query itself, over triples()
        return super().query(query, *arguments, **options)

    def _graph(self, name: GraphName) -> Graph:
        if isinstance(name, ox.DefaultGraph):
            return Graph(store=self, identifier=DATASET_DEFAULT_GRAPH_ID)
        return Graph(store=self, identifier=URIRef(name.value) if isinstance(name, ox.NamedNode) else BNode(name.value))

    # What would change the store. Dataset.graph(name) announces graphs that exist as well as new ones.

    def add_graph(self, graph: Graph) -> None:
        name = _graph_name(graph.identifier)
        if not isinstance(name, ox.DefaultGraph) and not self._database.contains_named_graph(name):
            _refuse()

    def add(self, *arguments: Any, **options: Any) -> None:
        _refuse()

    def addN(self, quads: Iterable[Any]) -> None:
        _refuse()

    def remove(self, *arguments: Any, **options: Any) -> None:
        _refuse()

    def remove_graph(self, graph: Graph) -> None:
        _refuse()

    def update(self, *arguments: Any, **options: Any) -> None:
        _refuse()

    def destroy(self, configuration: str) -> None:
        _refuse()

    def open(self, configuration: Any, create: bool = False) -> int | None:
        _refuse()


def reified(database: ox.Store) -> ox.Store:
    """The facts with triple terms, in RDF 1.1: a database in memory.

    A reifier (`r rdf:reifies <<( s p o )>>`) becomes an rdf:Statement; any other triple term becomes a blank node that
    is one, the same for the same term.
    """
    found = ox.Store()
    query = "SELECT ?s ?p ?o ?g { { ?s ?p ?o } UNION { GRAPH ?g { ?s ?p ?o } } FILTER(isTRIPLE(?o)) }"
    solutions = database.query(query)
    assert isinstance(solutions, ox.QuerySolutions)
    for subject, predicate, object_, graph in solutions:
        assert isinstance(object_, ox.Triple)
        name = graph or ox.DefaultGraph()
        if predicate == _REIFIES:
            found.extend(_statement(subject, object_, name))
        else:
            node = _node(object_)
            found.extend([ox.Quad(subject, predicate, node, name), *_statement(node, object_, name)])
    return found


def _statement(node: Any, triple: Any, graph: Any) -> Iterator[ox.Quad]:
    object_ = triple.object
    if isinstance(object_, ox.Triple):
        object_ = _node(object_)
        yield from _statement(object_, triple.object, graph)
    yield ox.Quad(node, _TYPE, _STATEMENT, graph)
    yield ox.Quad(node, _SUBJECT, triple.subject, graph)
    yield ox.Quad(node, _PREDICATE, triple.predicate, graph)
    yield ox.Quad(node, _OBJECT, object_, graph)


def _node(triple: ox.Triple) -> ox.BlankNode:
    return ox.BlankNode("t" + hashlib.sha256(str(triple).encode()).hexdigest()[:32])


def _graphs_of(database: ox.Store, quad: ox.Quad) -> list[Any]:
    """The names of all graphs that hold the triple, in an order that is the same for each of them."""
    return [twin.graph_name for twin in database.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)]


def _pattern(pattern: TriplePattern) -> tuple[Any, Any, Any] | None:
    """None where no RDF fact can match, such as a literal as subject."""
    subject, predicate, object_ = (None if term is None else quad_term(term) for term in pattern)
    if isinstance(subject, ox.Literal) or isinstance(predicate, (ox.Literal, ox.BlankNode)):
        return None
    return subject, predicate, object_


def _graph_name(identifier: Node) -> Any:
    return ox.DefaultGraph() if identifier == DATASET_DEFAULT_GRAPH_ID else quad_term(identifier)


def quad_term(term: Node) -> ox.NamedNode | ox.BlankNode | ox.Literal:
    """The same term in pyoxigraph. UserError for what RDF does not have: a formula, a variable, an IRI with spaces."""
    try:
        if isinstance(term, URIRef):
            return ox.NamedNode(str(term))
        if isinstance(term, BNode):
            return ox.BlankNode(str(term))
        if isinstance(term, Literal):
            datatype = ox.NamedNode(str(term.datatype)) if term.datatype and not term.language else None
            return ox.Literal(str(term), datatype=datatype, language=term.language)
    except ValueError as error:
        raise UserError(f"rdflib's {term!r} is no RDF term: {error}") from None
    raise UserError(f"rdflib's {term!r} is no RDF term: expected a URIRef, a BNode or a Literal")


def quad_of(triple: Triple, graph: GraphName) -> ox.Quad:
    """The fact in pyoxigraph. UserError where it is none: a literal as subject, a blank node as predicate."""
    terms: list[Any] = [quad_term(term) for term in triple]
    try:
        return ox.Quad(terms[0], terms[1], terms[2], graph)
    except TypeError:
        raise UserError(
            f"rdflib's {triple} is no RDF fact: only an object can be a literal, and a predicate is an IRI"
        ) from None


def graph_name(source: ConjunctiveGraph, context: Any) -> ox.NamedNode | ox.BlankNode | None:
    """The name of a context that source.quads() gave; None for the default graph."""
    identifier = getattr(context, "identifier", context)  # ConjunctiveGraph gives graphs, Dataset their names
    default = source.default_graph if isinstance(source, Dataset) else source.default_context
    if identifier is None or identifier in (default.identifier, DATASET_DEFAULT_GRAPH_ID):
        return None
    name = quad_term(identifier)
    assert not isinstance(name, ox.Literal)
    return name


def _rdflib_triple(quad: ox.Quad) -> Triple:
    return _rdflib_term(quad.subject), URIRef(quad.predicate.value), _rdflib_term(quad.object)


def _rdflib_term(term: Any) -> Node:
    if isinstance(term, ox.NamedNode):
        return URIRef(term.value)
    if isinstance(term, ox.BlankNode):
        return BNode(term.value)
    if term.language:
        return Literal(term.value, lang=term.language)
    # rdflib's parsers leave xsd:string unsaid, and to rdflib "a" and "a"^^xsd:string differ
    return Literal(term.value, datatype=None if term.datatype == _XSD_STRING else URIRef(term.datatype.value))


def _refuse() -> NoReturn:
    raise UserError("this rdflib view of the store is read-only: use Store.add, Store.remove or Store.load")
