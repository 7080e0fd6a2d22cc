"""Text that would crash a parser is refused; text that only looks like it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.errors import UserError
from kg.store.content import Block
from kg.store.guard import (
    MAX_DEPTH,
    MAX_QUERY,
    Refused,
    after,
    check_query,
    names_graphs,
)
from kg.store.syntaxes import SYNTAXES


def nested(syntax: str, *pieces: bytes) -> str:
    """ "" if the guard lets the pieces through, else "line:column: reason"."""
    guarded = SYNTAXES[syntax].guard().feed
    line, column = 1, 1
    try:
        for piece in pieces:
            guarded(Block(line, column, piece))
            line, column = after(line, column, piece)
    except Refused as refused:
        return f"{refused.line}:{refused.column}: {refused.reason}"
    return ""


@pytest.mark.parametrize(
    ("syntax", "opening", "closing"),
    [
        ("turtle", b"( ", b") "),
        ("turtle", b"[ e:p ", b"] "),
        ("trig", b"{ ", b"} "),
        ("n3", b"{ ", b"} "),
        ("n3", b"<=( ", b") "),
        ("jsonld", b"[", b"]"),
        ("jsonld", b'{"a":', b"}"),
        ("rdfxml", b"<a b='>'>", b"</a>"),
    ],
)
def test_the_limit_is_exact(syntax: str, opening: bytes, closing: bytes) -> None:
    for deep in (opening * MAX_DEPTH + closing * MAX_DEPTH, (opening + closing) * 1000):
        assert nested(syntax, deep) == ""
    assert f"nested more than {MAX_DEPTH} deep" in nested(syntax, opening * (MAX_DEPTH + 1))
    one_by_one = [bytes([byte]) for byte in opening * (MAX_DEPTH + 1)]
    assert nested(syntax, b"".join(one_by_one)) != ""


def test_a_triple_term_counts_two() -> None:
    assert nested("turtle", b"<<( e:s e:p " * (MAX_DEPTH // 2)) == ""
    assert nested("turtle", b"<<( e:s e:p " * (MAX_DEPTH // 2 + 1)) == "1:769: nested more than 128 deep"


@pytest.mark.parametrize(
    ("syntax", "hidden"),
    [
        ("turtle", b'"%s"'),
        ("turtle", b"'%s'"),
        ("turtle", b'"""\n"%s\n\\""""'),
        ("turtle", b"'''it''s %s'''"),
        ("turtle", b"<http://e/%s>"),
        ("turtle", b"# it's %s\n"),
        ("turtle", b"# it's %s\r"),
        ("turtle", b"e:a\\%s"),
        ("turtle", b'"\\"%s"'),
        ("jsonld", b'"\\"%s"'),
        ("rdfxml", b"<!-- > %s -->"),
        ("rdfxml", b"<![CDATA[ > %s ]]>"),
        ("rdfxml", b"<?x %s ?>"),
        ("rdfxml", b"<a b='/>' c=\"%s\"/>"),
        ("rdfxml", b'<!DOCTYPE a PUBLIC ">" [ <!-- <x> --> <!ENTITY a "%s"> ]>'),
    ],
)
def test_brackets_inside_a_token_do_not_count(syntax: str, hidden: bytes) -> None:
    many = {"jsonld": b"[{", "rdfxml": b"(["}.get(syntax, b"(" if b"\\%s" in hidden else b"({[") * 500
    if b"\\%s" in hidden:
        many = b"(\\" * 500 + b"("
    if b"<http" in hidden:
        many = b"([" * 500
    assert nested(syntax, hidden.replace(b"%s", many) + b"\n") == ""


def test_a_token_may_be_cut_between_pieces() -> None:
    text = b'e:a e:b """ ((( \n ((( ' * 1 + b"(" * 500 + b'\n""", "x" .\n'
    lines = text.splitlines(keepends=True)
    assert nested("turtle", *lines) == ""
    assert nested("turtle", *lines, b"(" * 129) == "4:129: nested more than 128 deep"


def test_three_quotes_are_never_cut_in_two() -> None:
    text = b" " * ((1 << 20) - 2) + b'"""' + b"(" * 200 + b'"""\n'
    assert nested("turtle", text) == ""


def test_n3_operators_are_no_iris() -> None:
    deep = b"<=" + b"(" * 200 + b">"
    assert nested("turtle", deep) == ""  # a relative IRI
    assert nested("n3", b"e:a\n" + deep) == "2:1: write a space after the operator, or the IRI in full"
    for honest in (
        b"e:a <= e:b .",
        b"{e:a e:b 'x'} <= {e:c e:d (1)} .",
        b"<=a> <- <-b> .",
        b"e:a <=(1) , <http://e/(>",
    ):
        assert nested("n3", honest + b"\n", b"(" * 128) == ""


@given(st.text(alphabet="ab\n(é", max_size=20), st.text(alphabet="ab\n(é", max_size=20))
def test_after_adds_up(first: str, second: str) -> None:
    once = after(1, 1, (first + second).encode())
    assert after(*after(1, 1, first.encode()), second.encode()) == once
    assert once == (1 + (first + second).count("\n"), 1 + len((first + second).rpartition("\n")[2]))


GOOD = [
    "SELECT * { ?s ?p 'SERVICE <http://e/>' }",
    'SELECT * { ?s ?p """a " SERVICE""" }',
    "SELECT * { ?s <http://e/SERVICE> ?service . $service ?p ?load }",
    "SELECT * { ?s ?p ?o # SERVICE <http://e/> { it's\n}",
    "PREFIX service: <http://e/> SELECT * { service:a ex:service ex:web.service , 'x'@service }",
    "PREFIX service: <http://e/> SELECT * FROM service:g { GRAPH service:x { ?s ?p ?o } }",
    "SELECT * { ?s ?p ?o FILTER(?a<?b && ?c>?d || ?a < 'it' && 'x' > ?b) }",
    "SELECT * { " + "{ ?s a <http://e/#C> } UNION\n" * 500 + "{} }",
    "SELECT * { ?s <http://e/a(((((((> ?o }" + " # (((" * 300,
    "BASE <http://e/> SELECT * { <#it> ?p <#is> }",
    "SELECT * " + "{" * MAX_DEPTH + "}" * MAX_DEPTH,
]
BAD = [
    "SELECT * { SERVICE <http://e/> { ?s ?p ?o } }",
    "SELECT * { service?x{ ?s ?p ?o } }",
    "SELECT * { ?s ?p ?o # comment\r SERVICE <http://e/> {} }",
    "PREFIX ex: <http://e/> SELECT * { SERVICEex:x # c\n {} }",
    "PREFIX : <http://e/> SELECT * { ?s ?p 1SERVICE:x{} }",
    "SELECT * { ?s ?p 1e5SERVICE <http://e/> {} }",
    "SELECT * { ?s ?p trueSERVICE <http://e/> {} }",
    "SELECT * { FILTER(1<2&&'a'='>' ) SERVICE <http://e/> {} FILTER(1='') }",
    "SELECT * { FILTER(1<2#>'''\n) SERVICE <http://e/> {} #'''\n}",
    "LOAD <http://e/>",
    "LOADSILENT <http://e/>",
]


@pytest.mark.parametrize("query", GOOD)
def test_queries_that_stay_here(query: str) -> None:
    check_query(query)


@pytest.mark.parametrize("query", BAD)
def test_queries_that_reach_out(query: str) -> None:
    with pytest.raises(UserError, match=r"^query:\d+:\d+: SERVICE and LOAD are refused"):
        check_query(query)


@pytest.mark.parametrize("opening", ["{", "(", "[ ?p ", "(?a<(", "<<( ?s ?p "])
def test_queries_that_nest_too_deep(opening: str) -> None:
    with pytest.raises(UserError, match="nested more than 128 deep"):
        check_query("SELECT * {" + opening * 5000)


def test_brackets_that_may_be_an_iri_count() -> None:
    with pytest.raises(UserError, match="nested more than 128 deep"):
        check_query("SELECT * { FILTER(?a<" + "(" * 5000 + "1" + ")" * 5000 + ">2) }")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("SELECT * FROM <http://e/> {}", True),
        ("ASK from NAMED ex:g {}", True),
        ("SELECT (?a<?b AS ?x) FROM ex:g { ?x ?y '>' }", True),
        ("SELECT ?from { ex:from <from> 'from'@from # FROM\n }", False),
        ("SELECT * { ?s ?p ?o FILTER(?s<?from && ?from>?p) }", False),
    ],
)
def test_queries_that_name_their_graphs(query: str, names: bool) -> None:
    assert names_graphs(query) == names


def test_a_query_has_a_size() -> None:
    with pytest.raises(UserError, match=r"characters long: at most 1048576"):
        check_query("SELECT * {}" + " " * MAX_QUERY)
