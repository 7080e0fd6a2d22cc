"""Files out: what is written is read, and what cannot be written leaves nothing."""

import re
from pathlib import Path

import pytest
from fact_files import COMPRESS, FACT, A, B, E, P, same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import BaseDirection, BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from kg.errors import UserError
from kg.namespaces import iri_of
from kg.store.reading import read
from kg.store.syntaxes import SYNTAXES
from kg.store.writing import write

NAMES = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=5)
IRIS = st.one_of(
    st.sampled_from(
        ["http://e/a", "http://e/a#b", "mailto:a@e", "urn:x:y", "http://e/x/(y)'z", "urn:kg:%09", "urn:kg:_:x"]
    ),
    NAMES.map(iri_of),
).map(NamedNode)
BLANKS = st.sampled_from(["x", "y", "b0"]).map(BlankNode)
LITERALS = st.one_of(
    st.text(max_size=20).map(Literal),
    st.integers().map(Literal),
    st.text(max_size=5).map(lambda text: Literal(text, language="en-gb")),
    st.text(max_size=5).map(lambda text: Literal(text, datatype=NamedNode("http://e/type"))),
)
PREDICATES = st.sampled_from([E + "p", E + "q#r", "urn:x:y-1", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"]).map(
    NamedNode
)
TRIPLES = st.builds(Quad, st.one_of(IRIS, BLANKS), PREDICATES, st.one_of(IRIS, BLANKS, LITERALS))
ENTITIES = st.builds(Quad, st.one_of(IRIS, BLANKS), PREDICATES, st.one_of(IRIS, BLANKS))
QUADS = st.builds(
    Quad,
    st.one_of(IRIS, BLANKS),
    PREDICATES,
    st.one_of(IRIS, BLANKS, LITERALS),
    st.one_of(st.just(DefaultGraph()), IRIS, BLANKS),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("name", SYNTAXES)
def test_what_is_written_is_read(tmp_path: Path, name: str, data: st.DataObject) -> None:
    syntax = SYNTAXES[name]
    facts = ENTITIES if not syntax.literals else QUADS if syntax.graphs else TRIPLES
    quads = data.draw(st.lists(facts, min_size=1, max_size=8))
    if name == "rdfxml":
        quads = [quad for quad in quads if not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", quad.object.value)]
    suffix = data.draw(st.sampled_from(["", *COMPRESS]))
    path = tmp_path / f"facts{syntax.suffixes[0]}{suffix}"
    assert write(quads, path, prefixes={"e": E}) == len(quads)
    if quads:
        assert same(list(read(path)), quads)
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()


@pytest.mark.parametrize("name", ["a.nt", "a.nq", "a.ttl", "a.trig", "a.rdf"])
def test_rdf_1_2_is_written_and_read(tmp_path: Path, name: str) -> None:
    quads = [
        Quad(A, P, Triple(A, P, Literal("x"))),
        Quad(A, P, Literal("x", language="ar", direction=BaseDirection.RTL)),
    ]
    write(quads, tmp_path / name)
    assert same(list(read(tmp_path / name)), quads)


@pytest.mark.parametrize(
    ("name", "quad", "message"),
    [
        (
            "a.nt",
            Quad(A, P, B, A),
            "ntriples holds no named graph, as <http://e/a> is: expected one of nquads, trig, jsonld",
        ),
        ("a.tsv", Quad(A, P, B, A), "tsv holds no named graph"),
        (
            "a.n3",
            Quad(A, P, Triple(A, P, B)),
            "n3 holds no triple term, as ",
        ),
        ("a.jsonld", Quad(A, P, Triple(A, P, B)), "jsonld holds no triple term"),
        ("a.rdf", Quad(A, NamedNode("http://e/1"), B), "RDF/XML cannot hold the predicate <http://e/1>"),
        ("a.rdf", Quad(A, NamedNode("http://www.w3.org/1999/02/22-rdf-syntax-ns#li"), B), "cannot hold the predicate"),
        ("a.rdf", Quad(A, P, Literal("\x01")), "RDF/XML cannot hold the control characters"),
    ],
)
def test_what_a_syntax_cannot_hold_leaves_the_file_as_it_was(
    tmp_path: Path, name: str, quad: Quad, message: str
) -> None:
    path = tmp_path / name
    path.write_text("before")
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        write([FACT, quad], path)
    assert str(caught.value).startswith(f"{path}: ")
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_tables_hold_entity_facts_only(tmp_path: Path) -> None:
    facts = [FACT, Quad(A, P, Literal("x")), Quad(A, P, Triple(A, P, B)), Quad(NamedNode("urn:kg:South%20Korea"), P, A)]
    assert write(facts, tmp_path / "a.tsv") == 2
    assert (
        tmp_path / "a.tsv"
    ).read_text() == "http://e/a\thttp://e/p\thttp://e/b\nSouth Korea\thttp://e/p\thttp://e/a\n"
    assert write([Quad(NamedNode("urn:kg:a,b"), P, A)], tmp_path / "a.csv") == 1
    assert (tmp_path / "a.csv").read_text() == '"a,b",http://e/p,http://e/a\n'


def test_carriage_returns_survive_xml(tmp_path: Path) -> None:
    quads = [Quad(A, P, Literal("a\r\nb\rc"))]
    write(quads, tmp_path / "a.rdf")
    assert list(read(tmp_path / "a.rdf")) == quads


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^\S*nowhere/a.nt: No such file or directory$"):
        write([FACT], tmp_path / "nowhere" / "a.nt")
    (tmp_path / "a.nt").mkdir()
    with pytest.raises(UserError, match="a directory: expected a file to write"):
        write([FACT], tmp_path / "a.nt")
    with pytest.raises(UserError, match=r"^\S*a.ttl: Invalid prefix bad IRI"):
        write([FACT], tmp_path / "a.ttl", prefixes={"bad": "x"})
