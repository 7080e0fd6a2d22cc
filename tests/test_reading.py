"""Files in: every syntax and compression, every way a file can be wrong, and the names of blank nodes."""

import gzip
import hashlib
import os
import re
from pathlib import Path

import pytest
from fact_files import COMPRESS, FACT, LINE, MIB, RDF, A, B, E, Make, Notes, P, error
from pyoxigraph import BlankNode, NamedNode, Quad, Triple

from kg.errors import UserError
from kg.store.quarantine import Quarantine
from kg.store.reading import read


def test_the_name_wins_over_the_suffix(file: Make) -> None:
    assert list(read(file("facts.ttl", b"a\tp\tb\n"), syntax="tsv", base=E)) == [FACT]
    assert list(read(file("facts", LINE), syntax="ntriples")) == [FACT]


# ---- every syntax reads

DOCUMENTS = {
    "a.nt": LINE.decode(),
    "a.nq": LINE.decode(),
    "a.ttl": "@prefix e: <http://e/> .\ne:a e:p e:b .",
    "a.trig": "@prefix e: <http://e/> .\n{ e:a e:p e:b }",
    "a.rdf": RDF % '<rdf:Description rdf:about="http://e/a"><e:p rdf:resource="http://e/b"/></rdf:Description>',
    "a.jsonld": '{"@context": {"e": "http://e/"}, "@id": "e:a", "e:p": {"@id": "e:b"}}',
    "a.n3": "@prefix e: <http://e/> .\ne:a e:p e:b .",
    "a.tsv": "<http://e/a>\thttp://e/p\thttp://e/b",
    "a.csv": '"<http://e/a>",http://e/p,http://e/b\r\n',
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_every_syntax_in_every_compression(file: Make, name: str, suffix: str) -> None:
    content = DOCUMENTS[name].encode()
    assert list(read(file(name + suffix, COMPRESS.get(suffix, bytes)(content)))) == [FACT]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_byte_order_mark_and_carriage_returns_are_no_matter(file: Make, name: str) -> None:
    content = DOCUMENTS[name].replace("\n", "\r\n").encode()
    assert list(read(file(name, b"\xef\xbb\xbf" + content))) == [FACT]


@pytest.mark.parametrize("name", ["a.ttl", "a.trig", "a.n3", "a.rdf"])
def test_prefixes(file: Make, name: str) -> None:
    prefixes = {"x": "http://x/"}
    list(read(file(name, DOCUMENTS[name]), prefixes=prefixes))
    prefixes.pop("rdf", None)
    assert prefixes == {"x": "http://x/", "e": E}


def test_a_graph_takes_what_is_in_none(file: Make) -> None:
    text = LINE.decode() + "<http://e/a> <http://e/p> <http://e/b> <http://e/h> .\n"
    assert list(read(file("a.nq", text), graph=E + "g")) == [
        Quad(A, P, B, NamedNode(E + "g")),
        Quad(A, P, B, NamedNode(E + "h")),
    ]
    with pytest.raises(UserError, match="the graph 'g' is no absolute IRI"):
        list(read(file("a.nt", LINE), graph="g"))


def test_a_base(file: Make) -> None:
    path = file("a.ttl", "<a> <p>\n  <b> .")
    assert list(read(path, base=E)) == [FACT]
    assert error(path) == "a.ttl:1:1: No scheme found in an absolute IRI"
    with pytest.raises(UserError, match="the base 'e' is no absolute IRI"):
        list(read(path, base="e"))


# ---- blank nodes


def test_blank_nodes_are_named_by_content_and_order(file: Make) -> None:
    text = b"_:z <http://e/p> _:y .\n_:y <http://e/p> <<( _:z <http://e/p> _:x )>> .\n"
    stem = "b" + hashlib.sha256(text).hexdigest()[:16] + "_"
    x, y, z = (BlankNode(f"{stem}{i}") for i in (2, 1, 0))
    assert list(read(file("a.nt", text))) == [Quad(z, P, y), Quad(y, P, Triple(z, P, x))]


def test_a_graph_may_be_blank(file: Make) -> None:
    text = b"_:z <http://e/p> _:y _:g .\n"
    stem = "b" + hashlib.sha256(text).hexdigest()[:16] + "_"
    quad = Quad(BlankNode(stem + "0"), P, BlankNode(stem + "1"), BlankNode(stem + "2"))
    (found,) = read(file("a.nq", text))
    assert {found.subject, found.object, found.graph_name} == {quad.subject, quad.object, quad.graph_name}


BLANK = {
    "ttl": "[] <http://e/p> [ <http://e/p> ( 1 _:a [] ) ] .",
    "trig": "_:g { [] <http://e/p> [ <http://e/p> ( 1 _:a [] ) ] }",
    "n3": "[] <http://e/p> [ <http://e/p> ( 1 _:a [] ) ] . { _:a <http://e/p> [] } <http://e/q> {} .",
    "rdf": RDF % "<rdf:Description><e:p><rdf:Description><e:p/></rdf:Description></e:p></rdf:Description>",
    "jsonld": '{"http://e/p": [{"http://e/q": {"@list": [1, {"@id": "_:a"}, {"http://e/p": 2}]}}, {"http://e/r": {}}]}',
    "tsv": "_:a\tp\t_:b\n_:b\tp\t_:a\n",
}


@pytest.mark.parametrize("suffix", BLANK)
def test_a_file_twice_or_compressed_is_the_same_and_two_files_never_meet(file: Make, suffix: str) -> None:
    text = BLANK[suffix].encode()
    first = set(read(file(f"a.{suffix}", text)))
    assert first == set(read(file(f"b.{suffix}.gz", gzip.compress(text)))) == set(read(file(f"a.{suffix}", text)))
    other = set(read(file(f"c.{suffix}", text + b"\n")))
    assert len(other) == len(first) and not blanks(first) & blanks(other)


def blanks(quads: set[Quad]) -> set[BlankNode]:
    found = {term for quad in quads for term in quad if isinstance(term, BlankNode)}
    assert found
    return found


def test_a_local_name_may_hold_what_an_iri_may_not(file: Make) -> None:
    """By the grammar of Turtle; the parser takes it, and so does what renames blank nodes (W3C, localName_with_...)."""
    (quad,) = read(file("a.ttl", "@prefix e: <http://e/> .\n[] e:p e:a\U000e01ef ."))
    assert str(quad.object) == "<http://e/a\U000e01ef>"


# ---- a file of no facts

NOTHING = [b"", b"\xef\xbb\xbf", b" \r\n\n\t\n", b"# nothing\n\n# at all"]


@pytest.mark.parametrize("name", ["a.nt", "a.nq", "a.ttl", "a.trig", "a.n3", "a.tsv", "a.csv"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_of_no_facts_is_read_and_said(file: Make, name: str, suffix: str) -> None:
    contents = NOTHING[:3] if name in ("a.tsv", "a.csv") else NOTHING  # a table has no comments
    for content in contents:
        path, notes = file(name + suffix, COMPRESS.get(suffix, bytes)(content)), Notes()
        assert list(read(path, progress=notes)) == []
        assert notes.told == [f"{path} holds no facts"]


def test_a_file_of_bad_lines_alone_holds_no_facts(file: Make, tmp_path: Path) -> None:
    notes = Notes()
    with Quarantine(tmp_path / "bad") as quarantine:
        assert list(read(file("a.nt", b"bad"), quarantine=quarantine, progress=notes)) == []
    assert quarantine.count == len(notes.told) == 1


def test_a_file_of_facts_says_nothing(file: Make) -> None:
    notes = Notes()
    for name, content in DOCUMENTS.items():
        assert len(list(read(file(name, content), progress=notes))) == 1
    assert notes.told == []


@pytest.mark.parametrize("content", [b"", b" \n", b'<?xml version="1.0"?>\n', b"<!-- a -->", b"<!DOCTYPE a>"])
def test_an_xml_file_without_an_element_is_none(file: Make, content: bytes) -> None:
    assert re.search(
        r"^a.rdf:\d:\d+: expected an element of RDF/XML, and the file ends$", error(file("a.rdf", content))
    )


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_a_json_file_without_a_value_is_none(file: Make, content: bytes) -> None:
    assert "Unexpected end of file, a value was expected" in error(file("a.jsonld", content))


# ---- a file that is wrong


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if not name.endswith(("sv", ".nt", ".nq"))])
def test_a_document_cut_short_anywhere_is_an_error(file: Make, name: str) -> None:
    whole = DOCUMENTS[name].rstrip()
    begin = whole.index("e:p" if name != "a.jsonld" else "{")
    for size in range(begin, len(whole)):
        assert error(file(name, whole[:size])), whole[:size]


def test_xml_cut_short_between_two_tags_is_an_error(file: Make) -> None:
    """The parser takes it for a whole file."""
    whole = RDF % '<e:a rdf:about="http://e/a"><e:p rdf:resource="http://e/b"/></e:a>'
    assert error(file("a.rdf", whole.removesuffix("</rdf:RDF>"))) == (
        "a.rdf:3:1: the file is cut short: it ends with 1 elements open"
    )


def test_a_file_that_is_no_file_of_facts(tmp_path: Path, file: Make) -> None:
    assert error(tmp_path / "missing.nt") == "missing.nt: No such file or directory"
    (tmp_path / "folder.nt").mkdir()
    assert error(tmp_path / "folder.nt") == "folder.nt: a directory: expected a file of facts"
    os.mkfifo(tmp_path / "pipe.nt")
    assert "expected a regular file" in error(tmp_path / "pipe.nt")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_file_cut_short_or_damaged(file: Make, suffix: str) -> None:
    whole = COMPRESS[suffix](LINE * 1000)
    for size in {5, 12, len(whole) // 2, len(whole) - 1}:
        assert error(file(f"a.nt{suffix}", whole[:size])) == f"a.nt{suffix}: the {suffix} file is cut short"
    assert f"damaged, or no {suffix} file" in error(file(f"a.nt{suffix}", LINE))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_not_utf8(file: Make, name: str) -> None:
    before = DOCUMENTS[name][: DOCUMENTS[name].rindex("b")] + "é"
    content = before.encode() + b"\xff" + DOCUMENTS[name][len(before) :].encode()
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    assert error(file(name, content)) == f"{name}:{line}:{column}: not UTF-8: byte 0xff"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nt", LINE + b"\n# c\n<http://e/a> <http://e/p> .\n" + LINE, r"a\.nt:4:\d+: "),
        ("a.nt", LINE + b"<http://e/a> <p> <http://e/b> .\n", r"a\.nt:2:14: No scheme found"),
        ("a.nq", LINE + b"x\n", r"a\.nq:2:1: The subject of a triple must be"),
        ("a.ttl", b"@prefix e: <http://e/> .\ne:a e:p .", r"a\.ttl:2:9: \. is not a valid RDF object"),
        ("a.ttl", b"<http://e/a> <http://e/p> 'x\ny' .", r"a\.ttl:1:"),
        ("a.trig", b"\n{ <http://e/a> }", r"a\.trig:2:16: "),
        ("a.n3", b"<http://e/a> <http://e/p> 1 .\n\n?x <http://e/p> 1 .\n", r"a\.n3:3:1: variables"),
        ("a.rdf", b"<a>\n <b>\n  <c></b></a>", r"a\.rdf:1:1: XML namespaces"),
        ("a.rdf", (RDF % "<e:a>\n  <e:p>\n </e:a>").encode(), r"a\.rdf:4:2: ill-formed document: expected `</e:p>`"),
        ("a.rdf", b"<a", r"a\.rdf:1:\d: "),
        ("a.jsonld", b'{"@id":\n x}', r"a\.jsonld:2:2: "),
        ("a.jsonld", b'{"@id": "a"', r"a\.jsonld:1:12: Object values must be followed by"),
        ("a.jsonld", b'{\n"@context": "http://e/c",\n"a": 1}', r"a\.jsonld:\d:\d+: .*remote contexts"),
        ("a.tsv", b"a\tp\tb\r\na\tp\r\n", r"a\.tsv:2:1: expected head, relation and tail, tab-separated; got 2 cells"),
        ("a.tsv", b"a\tp\tb\tc\n", r"a\.tsv:1:1: .*got 4 cells"),
        ("a.tsv", b"a\tp\tb\n\naa\t \tb\n", r"a\.tsv:3:4: the relation is empty"),
        ("a.tsv", b"a\tp\t\n", r"a\.tsv:1:5: the tail is empty"),
        ("a.tsv", b"a\t_:p\tb\n", r"a\.tsv:1:3: a blank node is no relation"),
        ("a.tsv", b"_:\tp\tb\n", r"a\.tsv:1:1: the head '_:'"),
        ("a.tsv", b"a p b\n", r"a\.tsv:1:1: .*got 1 cell and 2 spaces"),
        ("a.tsv", b"a\tp\tb\ra\tp\tb\r", r"a\.tsv:1:1: .*got 5 cells"),
        ("a.tsv", b"a\tp\tb\na\tp\x00\tb\n", r"a\.tsv:2:4: a NUL byte: expected text"),
        ("a.csv", b"a\tp\tb\n", r"a\.csv:1:1: .*comma-separated; got 1 cell and 2 tabs"),
        ("a.csv", b"a,p,b\n\x00,p,b\n", r"a\.csv:2:1: a NUL byte: expected text"),
        ("a.tsv", b"a\tp\thttp://e/ b\n", r"a\.tsv:1:5: the tail 'http://e/ b': Invalid IRI"),
        ("a.csv", b'a,p,b\n"a,p,b\n', r"a\.csv:2:1: not a row of CSV"),
        ("a.csv", b"a;p;b\n", r"a\.csv:1:1: .*comma-separated; got 1 cell and 2 semicolons"),
    ],
)
def test_bad_text_has_its_place(file: Make, name: str, content: bytes, message: str) -> None:
    assert re.match(message, error(file(name, content)))


def test_a_file_that_changes_under_the_reader(file: Make) -> None:
    path = file("a.nt", LINE)
    facts = read(path)
    next(facts)
    path.write_bytes(LINE * 2)
    with pytest.raises(UserError, match="changed while it was read"):
        list(facts)


# ---- a file that is hostile


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_single_line_of_100_mb(file: Make, name: str) -> None:
    path = file(name, b"x" * 100_000_000)
    assert re.search(r":1:1: .*longer than 16 MiB$", error(path))


def test_a_token_beyond_the_parsers_buffer(file: Make) -> None:
    long = b'{"@id": "http://e/a",\n"http://e/p": "' + b"x" * (15 * MIB) + b'"}'
    assert re.match(r"a.jsonld:2:\d+: a single token is longer than", error(file("a.jsonld", long)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.nt", LINE + b"<http://e/a> <http://e/p> " + b"<<( " * 100_000),
        ("a.nq", LINE + b"<http://e/a> <http://e/p> " + b"<<( " * 100_000),
        ("a.ttl", b"\n<http://e/a> <http://e/p> " + b"<<( <http://e/a> <http://e/p> " * 100_000),
        ("a.ttl", b"\n<http://e/a> <http://e/p> " + b"(" * 100_000),
        ("a.ttl", b"\n<http://e/a> <http://e/p> " + b"[ <http://e/p> " * 100_000),
        ("a.trig", b"\n" + b"{" * 100_000),
        ("a.n3", b"\n" + b"{" * 100_000),
        ("a.rdf", b"\n" + b"<a>" * 100_000),
        ("a.jsonld", b"\n" + b"[" * 100_000),
        ("a.jsonld", b"\n" + b'{"http://e/p":' * 100_000),
    ],
)
def test_deep_nesting(file: Make, name: str, content: bytes) -> None:
    assert re.match(rf"{name}:2:\d+: nested more than 128 deep", error(file(name, content)))


@pytest.mark.parametrize(
    "text", ["( " * 100 + ") " * 100, '"' + "(" * 500 + '"', "[ <http://e/p> " * 100 + "1 " + "] " * 100]
)
def test_honest_nesting(file: Make, text: str) -> None:
    assert len(list(read(file("a.ttl", f"<http://e/a> <http://e/p> {text} .")))) > 0


def test_brackets_in_many_strings_of_ntriples(file: Make) -> None:
    line = b'<http://e/a> <http://e/p> "' + b"<<( " * 500 + b'" .\n'
    assert len(list(read(file("a.nt", line * 3)))) == 3


TENFOLD = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">\n' for i in range(10))
BOMB = f'<!DOCTYPE r [\n<!ENTITY a0 "{"x" * 1000}">\n{TENFOLD}]>\n'


@pytest.mark.parametrize(
    ("doctype", "message"),
    [
        (BOMB, "a.rdf:3:1: an XML entity made of other entities in the DOCTYPE is refused"),
        ('<!DOCTYPE r [<!ENTITY % a "b">]>', "a.rdf:1:14: a parameter entity (%) in the DOCTYPE is refused"),
        (
            '<!DOCTYPE r [<!ENTITY a SYSTEM "a.xml">]>',
            "a.rdf:1:14: an external entity (SYSTEM or PUBLIC) in the DOCTYPE is refused",
        ),
        (
            f'<!DOCTYPE r [<!ENTITY a "{"x" * 1025}">]>',
            "a.rdf:1:14: the value of an XML entity is longer than 1024 bytes",
        ),
    ],
)
def test_entity_bombs(file: Make, doctype: str, message: str) -> None:
    assert error(file("a.rdf", doctype + RDF % "<e:a>&a;</e:a>")) == message


def test_many_references_to_a_plain_entity(file: Make) -> None:
    doctype = f'<!DOCTYPE r [<!ENTITY a "{"x" * 1000}">]>'
    text = RDF % f'<rdf:Description rdf:about="http://e/a"><e:p>{"&a;" * 100_000}</e:p></rdf:Description>'
    assert "XML entities make the text more than 16 times as long" in error(file("a.rdf", doctype + text))


def test_an_ordinary_owl_file_loads(file: Make) -> None:
    text = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE rdf:RDF [
    <!ENTITY owl "http://www.w3.org/2002/07/owl#" >
    <!ENTITY e 'http://e/' >
    <!-- the usual -->
    <!ENTITY rdf "http://www.w3.org/1999/02/22-rdf-syntax-ns#" >
]>
<rdf:RDF xmlns="&e;" xmlns:owl="&owl;" xmlns:rdf="&rdf;">
  <!-- <owl:Class> -->
  <owl:Class rdf:about="&e;a"><p rdf:resource="&e;b"/></owl:Class>
</rdf:RDF>"""
    facts = list(read(file("a.owl", text)))
    assert facts[1] == FACT and len(facts) == 2
    standard = text.replace("[\n", 'PUBLIC "-//X//EN" "http://e/never-fetched.dtd" [\n')
    assert list(read(file("b.owl", standard))) == facts
