"""Files in and out: every syntax and compression, every way a file can be wrong, and the names of blank nodes."""

import bz2
import gzip
import hashlib
import lzma
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import BaseDirection, BlankNode, Dataset, DefaultGraph, Literal, NamedNode, Quad, Triple
from pyoxigraph import CanonicalizationAlgorithm as Canonical

from kg.errors import UserError
from kg.namespaces import iri_of
from kg.store.formats import SYNTAXES, Quarantine, read, syntax_of, write

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

E = "http://e/"
A, B, P = NamedNode(E + "a"), NamedNode(E + "b"), NamedNode(E + "p")
FACT = Quad(A, P, B)
LINE = b"<http://e/a> <http://e/p> <http://e/b> .\n"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}
RDF = '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">\n%s\n</rdf:RDF>'


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, bytes | str], Path]:
    """A file of this name with this content."""

    def make(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


Make = Callable[[str, bytes | str], Path]


def error(path: Path, **options: Any) -> str:
    """The message of reading it, less the folder; it is one line and names the file."""
    with pytest.raises(UserError) as caught:
        list(read(path, **options))
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 1000
    return message.removeprefix(f"{path.parent}{os.sep}")


# ---- which syntax


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.nt", "ntriples"), ("a.nq", "nquads"), ("a.ttl", "turtle"), ("a.trig", "trig"), ("a.rdf", "rdfxml"),
        ("a.owl", "rdfxml"), ("a.xml", "rdfxml"), ("a.jsonld", "jsonld"), ("a.json", "jsonld"), ("a.n3", "n3"),
        ("a.tsv", "tsv"), ("a.txt", "tsv"), ("a.csv", "csv"), ("A.TTL.GZ", "turtle"), ("a.b.nt.zst", "ntriples"),
    ],
)  # fmt: skip
def test_the_suffix_says_the_syntax(path: str, name: str) -> None:
    assert syntax_of(path).name == name


def test_the_name_wins_over_the_suffix(file: Make) -> None:
    assert list(read(file("facts.ttl", b"a\tp\tb\n"), syntax="tsv", base=E)) == [FACT]
    assert list(read(file("facts", LINE), syntax="ntriples")) == [FACT]


@pytest.mark.parametrize("path", ["facts", "facts.doc", "facts.gz", "facts.zip", ".nt"])
def test_an_unknown_suffix(path: str) -> None:
    with pytest.raises(UserError, match=r"the suffix names no syntax: expected .nt .nq .*\.csv, each also with .gz"):
        syntax_of(path)
    with pytest.raises(UserError, match=r"unknown syntax 'doc': expected one of ntriples, nquads"):
        syntax_of(path, "doc")


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
    told: list[int] = []
    assert list(read(file(name + suffix, COMPRESS.get(suffix, bytes)(content)), progress=told.append)) == [FACT]
    assert told[-1] == 1


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


def test_progress_counts_facts(file: Make) -> None:
    told: list[int] = []
    lines = "".join(f"<http://e/{i}> <http://e/p> 'x' .\n" for i in range(20_000))
    assert len(list(read(file("a.ttl", lines), progress=told.append))) == 20_000
    assert told == sorted(told) and len(told) == 4 and told[-1] == 20_000


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


# ---- a file that is wrong


def test_a_file_that_is_no_file_of_facts(tmp_path: Path, file: Make) -> None:
    assert error(tmp_path / "missing.nt") == "missing.nt: No such file or directory"
    (tmp_path / "folder.nt").mkdir()
    assert error(tmp_path / "folder.nt") == "folder.nt: a directory: expected a file of facts"
    os.mkfifo(tmp_path / "pipe.nt")
    assert "expected a regular file" in error(tmp_path / "pipe.nt")
    for name in (*DOCUMENTS, "a.nt.gz"):
        assert error(file(name, b"")) == f"{name}: the file is empty"
    assert error(file("b.nt.gz", gzip.compress(b""))) == "b.nt.gz: the file is empty"


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
        ("a.tsv", b"a\tp\thttp://e/ b\n", r"a\.tsv:1:5: the tail 'http://e/ b': Invalid IRI"),
        ("a.csv", b'a,p,b\n"a,p,b\n', r"a\.csv:2:1: not a row of CSV"),
        ("a.csv", b"a;p;b\n", r"a\.csv:1:1: .*comma-separated; got 1 cells"),
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

MIB = 1 << 20


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


# ---- quarantine


def quarantined(file: Make, name: str, content: bytes, count: int) -> tuple[list[Quad], list[str]]:
    path = file(name, content)
    with Quarantine(path.with_name("bad")) as quarantine:
        facts = list(read(path, quarantine=quarantine, base=E))
    lines = path.with_name("bad").read_text().splitlines()
    assert quarantine.count == count
    assert lines[:1] == ([f"# {path}"] if count else [])
    return facts, lines[1:]


def test_bad_lines_go_aside_and_the_rest_loads(file: Make) -> None:
    other = LINE.replace(b"/b>", b"/c>")
    content = (
        LINE + b"bad line\n" + b'<http://e/a> <http://e/p> "\xff" .\r\n' + other
        + b"<http://e/a> <http://e/p> " + b"<<( " * 500 + b"\n" + b'<http://e/a> <http://e/p> "open\n' + other + b"last"
    )  # fmt: skip
    facts, bad = quarantined(file, "a.nt", content, 5)
    assert facts == [FACT, Quad(A, P, NamedNode(E + "c")), Quad(A, P, NamedNode(E + "c"))]
    rows = [line.split("\t", 2) for line in bad]
    assert [row[0] for row in rows] == ["2", "3", "5", "6", "8"]
    assert rows[0][2] == "bad line" and "must be an IRI" in rows[0][1]
    assert rows[1][1:] == ["not UTF-8: byte 0xff", '<http://e/a> <http://e/p> "�" .']
    assert rows[2][1] == "nested more than 128 deep"


def test_bad_rows_of_tables_go_aside(file: Make) -> None:
    facts, bad = quarantined(file, "a.tsv", b"a\tp\tb\na\tp\n\tp\tb\n\xff\tp\tb\na\tp\tb\n", 3)
    assert facts == [FACT, FACT]
    assert bad[0] == "2\texpected head, relation and tail, tab-separated; got 2 cells\ta\tp"
    facts, bad = quarantined(file, "a.csv", b'a,p,b\n"a,p\na,p,b\n', 1)
    assert facts == [FACT, FACT] and bad[0].startswith("2\tnot a row of CSV")


def test_a_line_too_long_goes_aside(file: Make) -> None:
    for tail in (b"\n" + LINE, b""):
        facts, bad = quarantined(file, "a.nt", LINE + b"x" * (40 * MIB) + tail, 1)
        assert len(facts) == 1 + (tail != b"")
        assert bad == ["2\ta line longer than 16 MiB (only its beginning is kept)\t" + "x" * 1000]
    facts, bad = quarantined(file, "b.nt", b"x" * (17 * MIB) + b"\n" + LINE + b"bad\n", 2)
    assert facts == [FACT] and bad[1].startswith("3\t")


def test_nothing_bad_is_an_empty_quarantine(file: Make) -> None:
    assert quarantined(file, "a.nt", LINE, 0) == ([FACT], [])


def test_a_document_has_no_lines_to_leave_out(file: Make) -> None:
    with Quarantine(file("bad", b"")) as quarantine:
        assert error(file("a.ttl", b"x"), quarantine=quarantine).startswith("a.ttl:1:")


def test_a_load_that_fails_leaves_its_quarantine(file: Make, tmp_path: Path) -> None:
    lines = "".join(f"<http://e/{os.urandom(20).hex()}> <http://e/p> 1 .\n" for _ in range(40_000)).replace("1", '"1"')
    whole = gzip.compress(b"bad\n" + lines.encode())
    with Quarantine(tmp_path / "bad") as quarantine:
        assert "cut short" in error(file("a.nt.gz", whole[: len(whole) - 10]), quarantine=quarantine)
        assert (tmp_path / "bad").read_text().splitlines()[1].startswith("1\t")


def test_a_quarantine_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/bad: No such file or directory"):
        Quarantine(tmp_path / "nowhere" / "bad")


# ---- out

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


def same(first: list[Quad], second: list[Quad]) -> bool:
    """The same facts, whatever the blank nodes are called."""
    datasets = [Dataset(quads) for quads in (first, second)]
    for dataset in datasets:
        dataset.canonicalize(Canonical.RDFC_1_0)
    return datasets[0] == datasets[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("name", SYNTAXES)
def test_what_is_written_is_read(tmp_path: Path, name: str, data: st.DataObject) -> None:
    syntax = SYNTAXES[name]
    facts = ENTITIES if syntax.rdf is None else QUADS if syntax.graphs else TRIPLES
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
        ("a.n3", Quad(A, P, Triple(A, P, B)), "N3 holds no triple terms"),
        ("a.jsonld", Quad(A, P, Triple(A, P, B)), "JSON-LD does not support RDF 1.2"),
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
