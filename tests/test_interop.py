"""The store as rdflib and networkx see it."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rdflib
from pyoxigraph import BlankNode, NamedNode, Quad, Triple
from rdflib.compare import isomorphic
from rdflib.namespace import RDF, RDFS
from seen import Seen

from kg.errors import UserError
from kg.namespaces import local_name
from kg.store import interop
from kg.store.store import Store

DEFAULT = rdflib.graph.DATASET_DEFAULT_GRAPH_ID
EX = rdflib.Namespace("http://example.org/")
TURTLE = """
@prefix ex: <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
ex:ann ex:knows ex:bob, _:someone ; rdfs:label "Ann"@en, "Anna"@de ; ex:age 7 ; ex:nick "A" .
_:someone ex:likes ex:ann .
ex:bob ex:likes ex:ann ; ex:knows ex:ann .
ex:knows rdfs:label "knows" .
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people")
    (path / "people.ttl").write_text(TURTLE)
    with Store(path / "a.kg", create=True) as store:
        store.load(path / "people.ttl")
    return path / "a.kg"


@pytest.fixture
def store(people: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copytree(people, tmp_path / "a.kg")
    with Store(tmp_path / "a.kg") as opened:
        yield opened


def parsed(text: str, syntax: str = "turtle") -> rdflib.Graph:
    """All triples of a text, by rdflib's own parser."""
    dataset, found = rdflib.Dataset(default_union=True), rdflib.Graph()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's parsers use what rdflib deprecates
        dataset.parse(data=text, format=syntax)
        for triple in dataset.triples((None, None, None)):
            found.add(triple)
    return found


def ox(name: str) -> NamedNode:
    return NamedNode(EX[name])


def test_it_is_what_rdflib_reads_from_the_file(store: Store) -> None:
    dataset = store.to_rdflib()
    assert isinstance(dataset, rdflib.Dataset)
    assert len(dataset) == len(dataset.default_graph) == 10
    assert isomorphic(dataset.default_graph, parsed(TURTLE))
    assert isomorphic(store.to_rdflib_graph(), parsed(TURTLE))
    assert set(dataset.objects(EX.ann, EX.nick)) == {rdflib.Literal("A")}
    assert (EX.ann, EX.knows, EX.bob) in dataset
    assert (EX.ann, EX.knows, EX.cid) not in dataset
    assert list(dataset.triples((rdflib.Literal("A"), None, None))) == []
    assert dict(dataset.namespaces())["ex"] == rdflib.URIRef(EX)
    assert {str(row.who) for row in dataset.query("SELECT ?who { ?who ex:likes ex:ann . ex:ann ex:knows ?who }")} > {
        str(EX.bob)
    }


@pytest.mark.parametrize("syntax", ["turtle", "nt", "xml", "json-ld", "trig", "nquads", "n3"])
def test_it_serializes(store: Store, syntax: str) -> None:
    assert isomorphic(parsed(store.to_rdflib().serialize(format=syntax), syntax), parsed(TURTLE))
    if syntax not in ("trig", "nquads"):
        assert isomorphic(parsed(store.to_rdflib_graph().serialize(format=syntax), syntax), parsed(TURTLE))


def test_named_graphs_and_their_union(store: Store) -> None:
    ann_bob = Triple(ox("ann"), ox("knows"), ox("bob"))
    store.add([Quad(ann_bob.subject, ann_bob.predicate, ann_bob.object, ox(name)) for name in ("g", "h")])
    store.add([Quad(ox("cid"), ox("knows"), ox("bob"), ox("h")), Quad(ox("cid"), ox("knows"), ox("x"), BlankNode("b"))])
    dataset = store.to_rdflib()
    assert len(dataset) == len(list(dataset.triples((None, None, None)))) == 12
    assert len(dataset.default_graph) == 10
    assert set(dataset.graph(EX.h)) == {(EX.ann, EX.knows, EX.bob), (EX.cid, EX.knows, EX.bob)}
    assert len(store.to_rdflib_graph("ex:g")) == 1
    assert len(store.to_rdflib_graph("_:b")) == 1
    with pytest.raises(UserError, match="has no graph ex:nobody"):
        store.to_rdflib_graph("ex:nobody")
    names = {graph.identifier for graph in dataset.graphs()}
    assert names == {EX.g, EX.h, rdflib.BNode("b"), DEFAULT}
    assert {quad[3] for quad in dataset.quads((EX.ann, EX.knows, EX.bob, None))} == {DEFAULT, EX.g, EX.h}
    assert {graph.identifier for graph in dataset.graphs((EX.cid, EX.knows, EX.bob))} >= {EX.h}
    assert store.to_rdflib().serialize(format="nquads").count("\n<") >= 10


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: dataset.add((EX.a, EX.p, EX.b)),
        lambda dataset: dataset.addN([(EX.a, EX.p, EX.b, dataset.default_graph)]),
        lambda dataset: dataset.remove((EX.ann, None, None)),
        lambda dataset: dataset.parse(data="<a:a> <a:b> <a:c> .", format="turtle"),
        lambda dataset: dataset.update("INSERT DATA { <a:a> <a:b> <a:c> }"),
        lambda dataset: dataset.graph(EX.new),
        lambda dataset: dataset.remove_graph(dataset.default_graph),
        lambda dataset: dataset.default_graph.add((EX.a, EX.p, EX.b)),
        lambda dataset: dataset.default_graph.remove((None, None, None)),
        lambda dataset: dataset.default_graph.set((EX.ann, EX.age, rdflib.Literal(8))),
        lambda dataset: dataset.store.destroy("anything"),
        lambda dataset: dataset.store.open("anything"),
    ],
)
def test_every_change_is_refused(store: Store, change: Callable[[rdflib.Dataset], object]) -> None:
    dataset = store.to_rdflib()
    with pytest.raises(UserError, match="read-only"):
        change(dataset)
    assert len(dataset) == store.count() == 10


def test_a_query_stays_on_this_machine(store: Store) -> None:
    with pytest.raises(UserError, match="SERVICE"):
        store.to_rdflib().query("SELECT * { SERVICE <http://localhost:1/> { ?s ?p ?o } }")


def test_triple_terms_come_out_as_reification(store: Store) -> None:
    reifies = NamedNode(f"{RDF}reifies")
    inner = Triple(ox("ann"), ox("knows"), ox("bob"))
    store.add(
        [
            Triple(BlankNode("r"), reifies, inner),
            Triple(BlankNode("r"), ox("source"), ox("gossip")),
            Quad(ox("cid"), ox("doubts"), Triple(ox("bob"), ox("says"), inner), ox("g")),
        ]
    )
    expected = """
        @prefix ex: <http://example.org/> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
        [] a rdf:Statement ; rdf:subject ex:ann ; rdf:predicate ex:knows ; rdf:object ex:bob ; ex:source ex:gossip .
    """
    named = """
        @prefix ex: <http://example.org/> . @prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
        ex:cid ex:doubts [ a rdf:Statement ; rdf:subject ex:bob ; rdf:predicate ex:says ; rdf:object [
            a rdf:Statement ; rdf:subject ex:ann ; rdf:predicate ex:knows ; rdf:object ex:bob ] ] .
    """
    dataset = store.to_rdflib()
    assert isomorphic(dataset.default_graph, parsed(TURTLE + expected))
    assert isomorphic(store.to_rdflib_graph("ex:g"), parsed(named))
    assert len(dataset) == len(list(dataset.triples((None, None, None)))) == 10 + 5 + 9
    assert len(set(dataset.subjects(RDF.type, RDF.Statement))) == 3
    assert len(list(dataset.query("SELECT ?s { ?s a rdf:Statement ; rdf:subject ex:ann }"))) == 2
    for syntax in ("turtle", "nt", "xml", "json-ld"):
        assert "Statement" in dataset.serialize(format=syntax)


def test_from_rdflib_and_back(store: Store, tmp_path: Path) -> None:
    source = rdflib.Dataset()
    source.default_graph.parse(data=TURTLE, format="turtle")
    source.graph(EX.g).add((EX.ann, RDFS.label, rdflib.Literal("Ann", lang="fr")))
    with Store(tmp_path / "b.kg", create=True) as other:
        loaded = other.load(source)
        assert (loaded.read, loaded.added, other.count(graph="ex:g")) == (11, 11, 1)
        assert other.prefixes["ex"] == str(EX)
        assert other.load(source).added == 0
        assert isomorphic(other.to_rdflib().default_graph, store.to_rdflib().default_graph)
        seen = Seen()
        assert other.load(parsed(TURTLE), graph=str(EX.h), progress=seen).added == 10
        assert other.count(graph="ex:h") == 10
        assert seen.told == [("facts", 10, None)]
    assert set(interop.from_rdflib(store.to_rdflib())) == set(store.match())


@pytest.mark.parametrize(
    "triple",
    [
        (rdflib.Literal("a"), EX.p, EX.b),
        (EX.a, rdflib.BNode("p"), EX.b),
        (EX.a, EX.p, rdflib.Variable("b")),
        (rdflib.URIRef("http://example.org/a"), EX.p, rdflib.Literal("a", datatype=rdflib.URIRef("no iri"))),
        (rdflib.URIRef("relative"), EX.p, EX.b),
    ],
)
def test_what_rdf_does_not_have(store: Store, triple: tuple[rdflib.term.Node, ...]) -> None:
    graph = rdflib.Graph()
    graph.add(triple)
    with pytest.raises(UserError, match="is no RDF"):
        store.load(graph)
    assert (store.generation, store.count()) == (1, 10)


def test_networkx(store: Store) -> None:
    store.add([Quad(ox("ann"), ox("knows"), ox("bob"), ox("g"))])
    graph = store.to_networkx()
    ann, bob = str(EX.ann), str(EX.bob)
    someone = next(term for term in store.terms() if term.startswith("_:"))
    assert dict(graph.nodes(data="label")) == {ann: "Ann", bob: "bob", someone: someone}
    assert sorted(graph.edges(keys=True)) == sorted(
        [
            (ann, bob, str(EX.knows)),
            (ann, someone, str(EX.knows)),
            (someone, ann, str(EX.likes)),
            (bob, ann, str(EX.likes)),
            (bob, ann, str(EX.knows)),
        ]
    )
    assert graph.edges[bob, ann, str(EX.likes)] == {"label": "likes"}
    assert graph.edges[bob, ann, str(EX.knows)] == {"label": "knows"}


def test_no_label_but_the_end_of_the_iri() -> None:
    names = ["http://example.org/x#Berlin", "http://example.org/Berlin/", "urn:kg:Berlin", "_:b1"]
    assert [local_name(name) for name in names] == ["Berlin", "Berlin", "Berlin", "_:b1"]
