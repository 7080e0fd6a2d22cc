"""An answer in every format."""

import json
from io import StringIO
from typing import Literal

import pyoxigraph as ox
import pytest

from kg.cli.console import PlainConsole
from kg.cli.sparql import print_answer
from kg.errors import UserError
from kg.query.sparql.results import Format, written
from kg.store.sparql import Answer, Solutions

EX = "http://example.org/"
PREFIXES = {"ex": EX}
QUERY = """SELECT ?x ?y {
    VALUES (?x ?y) { (ex:a 'one, "two"') (ex:b 'drei'@de) (UNDEF 4) (<<( ex:a ex:p 'c' )>> 2.5e0) } }"""


def answer(query: str) -> Answer:
    """As the worker would send it."""
    found = ox.Store().query(query, prefixes=PREFIXES)
    is_graph = isinstance(found, ox.QueryTriples)
    text = found.serialize(format=ox.RdfFormat.N_TRIPLES if is_graph else ox.QueryResultsFormat.JSON)
    assert text is not None
    return Answer(text.decode(), is_graph)


def printed(query: str, format: Format | Literal["table"] = "table") -> str:
    file = StringIO()
    print_answer(answer(query), format, PREFIXES, PlainConsole(file=file, width=80))
    return file.getvalue()


def test_terms() -> None:
    found = answer(QUERY).results()
    assert isinstance(found, Solutions) and found.variables == ["x", "y"]
    fact = ox.Triple(ox.NamedNode(EX + "a"), ox.NamedNode(EX + "p"), ox.Literal("c"))
    assert found.rows[1:] == [
        (ox.NamedNode(EX + "b"), ox.Literal("drei", language="de")),
        (None, ox.Literal(4)),
        (fact, ox.Literal(2.5)),
    ]
    assert answer("ASK {}").results() is True
    assert answer("CONSTRUCT { ex:a ex:p 'c' } {}").results() == [fact]


def test_a_table() -> None:
    lines = printed(QUERY).splitlines()
    assert [line.strip("│┃ ").split() for line in (lines[1], lines[3], lines[5])] == [
        ["x", "┃", "y"],
        ["ex:a", "│", "one,", '"two"'],
        ["4"],
    ]
    assert lines[-1] == "4 solutions"
    assert printed("SELECT ?x { VALUES ?x { 1 } }").splitlines()[-1] == "1 solution"  # though the table is narrower
    assert "ex:a" in printed("CONSTRUCT { ex:a ex:p 'c' } {}") and "subject" in printed("CONSTRUCT {} {}")


SUBJECTS = {
    "json": '{"head":{"vars":["x"]},"results":{"bindings":[{"x":{"type":"uri","value":"http://example.org/a"}}]}}\n',
    "csv": "x\r\nhttp://example.org/a\r\n",
    "tsv": "?x\n<http://example.org/a>\n",
    "xml": '<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#">'
    '<head><variable name="x"/></head><results><result><binding name="x"><uri>http://example.org/a</uri></binding></result></results></sparql>\n',
}
BOOLEANS = {
    "table": "true\n",
    "json": '{"head":{},"boolean":true}\n',
    "csv": "true\n",
    "tsv": "true\n",
    "xml": '<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head></head>'
    "<boolean>true</boolean></sparql>\n",
}


@pytest.mark.parametrize("format", SUBJECTS)
def test_select(format: Format) -> None:
    assert printed("SELECT * { VALUES ?x { ex:a } }", format) == SUBJECTS[format]


@pytest.mark.parametrize("format", BOOLEANS)
def test_ask(format: Format) -> None:
    assert printed("ASK {}", format) == BOOLEANS[format]


def test_triples_are_solutions_or_rdf() -> None:
    query = "CONSTRUCT { ex:a ex:p 'c', ?b } { BIND(BNODE('b') AS ?b) }"
    assert sorted(printed(query, "tsv").splitlines()) == [
        '<http://example.org/a>\t<http://example.org/p>\t"c"',
        "<http://example.org/a>\t<http://example.org/p>\t_:b",
        "?subject\t?predicate\t?object",
    ]
    assert json.loads(printed(query, "json"))["head"]["vars"] == ["subject", "predicate", "object"]
    assert sorted(printed(query, "ntriples").splitlines()) == [
        '<http://example.org/a> <http://example.org/p> "c" .',
        "<http://example.org/a> <http://example.org/p> _:b .",
    ]
    assert "@prefix ex: <http://example.org/> .\nex:a ex:p " in printed(query, "turtle")
    assert printed("CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }", "ntriples") == ""


@pytest.mark.parametrize("format", ["ntriples", "turtle"])
@pytest.mark.parametrize("query", ["ASK {}", "SELECT * {}"])
def test_other_answers_are_no_rdf(query: str, format: Format) -> None:
    with pytest.raises(UserError, match=f"format {format} is for the triples of CONSTRUCT and DESCRIBE"):
        written(answer(query), format, {})
