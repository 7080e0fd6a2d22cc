"""Files of facts, in and out: which syntax a file is in, its compression, its bad lines, the names of its blank nodes.

    syntax_of("world.ttl.gz")  ->  turtle
    read("world.ttl.gz")       ->  quads, as a stream
    write(quads, "world.nq")   ->  how many were written

Everything wrong with a file is a UserError of one line, `path:line:column: reason`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple, parse, serialize

from kg.errors import UserError, one_line
from kg.files import COMPRESSIONS, check_regular, chunks, failing_as, replacing, suffix_of
from kg.namespaces import BASE, RDF
from kg.store.content import Block, blocks, check_utf8
from kg.store.guard import MAX_TOKEN, Entities, Nesting, Refused, after
from kg.store.tables import Table, write_table

BATCH = 8192  # quads parsed at once


@dataclass(frozen=True)
class Syntax:
    """One way to write facts. `rdf` is None for our own tables; `lines`: one fact a line, so one can be left out."""

    name: str
    suffixes: tuple[str, ...]
    rdf: RdfFormat | None
    lines: bool = False
    graphs: bool = False
    delimiter: str = ""


SYNTAXES = {
    syntax.name: syntax
    for syntax in (
        Syntax("ntriples", (".nt",), RdfFormat.N_TRIPLES, lines=True),
        Syntax("nquads", (".nq",), RdfFormat.N_QUADS, lines=True, graphs=True),
        Syntax("turtle", (".ttl",), RdfFormat.TURTLE),
        Syntax("trig", (".trig",), RdfFormat.TRIG, graphs=True),
        Syntax("rdfxml", (".rdf", ".owl", ".xml"), RdfFormat.RDF_XML),
        Syntax("jsonld", (".jsonld", ".json"), RdfFormat.JSON_LD, graphs=True),
        Syntax("n3", (".n3",), RdfFormat.N3),
        Syntax("tsv", (".tsv", ".txt"), None, lines=True, delimiter="\t"),
        Syntax("csv", (".csv",), None, lines=True, delimiter=","),
    )
}
_BY_SUFFIX = {suffix: syntax for syntax in SYNTAXES.values() for suffix in syntax.suffixes}


def syntax_of(path: str | Path, name: str | None = None) -> Syntax:
    """The syntax called `name`, else the one of the suffix, before any .gz .bz2 .xz .zst. UserError: unknown."""
    if name is not None:
        if name not in SYNTAXES:
            raise UserError(f"unknown syntax {name!r}: expected one of {', '.join(SYNTAXES)}")
        return SYNTAXES[name]
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in _BY_SUFFIX:
        known = f"{' '.join(_BY_SUFFIX)}, each also with {' '.join(COMPRESSIONS)}"
        raise UserError(f"{path}: the suffix names no syntax: expected {known}; or give the syntax by name")
    return _BY_SUFFIX[suffix]


class Quarantine:
    """Where the bad lines of a load go: `line number<TAB>reason<TAB>the line`, under a `# path` for each file with any.

    Only a syntax of one fact a line has lines to leave out: N-Triples, N-Quads, TSV, CSV. In the others an error stays
    an error. Lines are written out as their block is read, so a load that fails later leaves what it found.
    `count` is how many there are so far. UserError: the path cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.count = 0
        self._source: Path | None = None
        with failing_as(self.path):
            self._file = self.path.open("w", encoding="utf-8", newline="\n")

    def add(self, source: Path, line: int, reason: str, text: bytes) -> None:
        """Note one bad line of a file."""
        with failing_as(self.path):
            if source != self._source:
                self._file.write(f"# {source}\n")
                self._source = source
            self._file.write(f"{line}\t{reason}\t{text.decode('utf-8', errors='replace')}\n")
        self.count += 1

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        with failing_as(self.path):
            self._file.flush()

    def close(self) -> None:
        """Add no more."""
        with failing_as(self.path):
            self._file.close()

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read(
    path: str | Path,
    *,
    syntax: str | None = None,
    base: str | None = None,
    graph: str | None = None,
    quarantine: Quarantine | None = None,
    prefixes: dict[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
    keep_labels: bool = False,
) -> Iterator[Quad]:
    """The facts of a file, as a stream.

    syntax: its name, where the suffix does not say. base: what relative IRIs, or the plain names of a TSV or CSV, are
    put after. graph: the named graph for what the file puts in none. quarantine: where bad lines go; without it the
    first one is the error. prefixes: filled, at the end, with those the file declares. progress: told the number of
    facts so far.

    Blank nodes become `b<16 hex of the sha256 of the content>_<order of first appearance>`: those of two files never
    meet, and one file twice (or once compressed) has the same. The names are kept until the end of the file. With
    keep_labels they stay what the file calls them: for a file that speaks of a store's own.

    UserError, as `path:line:column: reason` where there is a line, at whatever fact it is met: the caller must be ready
    to undo. Text that could crash a parser is refused before the parser sees it (kg/store/guard.py).
    """
    path = Path(path)
    check_regular(path)  # before its suffix: a directory and a missing file have none that matters
    kind = syntax_of(path, syntax)
    target = None if graph is None else _node(graph, "graph")
    if base is not None:
        _node(base, "base")
    names = _BlankNames(path)
    count = 0
    try:
        for quads, blanks in _batches(path, kind, base, quarantine, prefixes):
            if blanks and not keep_labels:
                quads = _renamed(quads, names)
            if target is not None:
                quads = [_placed(quad, target) for quad in quads]
            count += len(quads)
            yield from quads
            if progress is not None:
                progress(count)
    except Refused as refused:
        raise UserError(f"{path}:{refused.line}:{refused.column}: {refused.reason}") from None


_Batches = Iterator[tuple[list[Quad], bool]]  # quads, and whether there may be blank nodes among them


def _batches(
    path: Path, kind: Syntax, base: str | None, quarantine: Quarantine | None, prefixes: dict[str, str] | None
) -> _Batches:
    if kind.rdf is None:
        return _lines(path, Table(kind.delimiter, base or BASE).facts, quarantine)
    if kind.lines:
        return _lines(path, partial(_statements, kind, base), quarantine)
    return _document(path, kind, base, prefixes)


def _node(iri: str, what: str) -> NamedNode:
    try:
        return NamedNode(iri)
    except ValueError as error:
        raise UserError(f"the {what} {iri!r} is no absolute IRI: {one_line(str(error))}") from None


# ---- blank nodes and graphs


class _BlankNames(dict[bytes, bytes]):
    """`_:label` in the file -> `_:label` here. The hash costs a second reading, so it waits for the first one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stem = ""

    def __missing__(self, label: bytes) -> bytes:
        self._stem = self._stem or f"_:b{_sha256(self._path)[:16]}_"
        name = self[label] = f"{self._stem}{len(self)}".encode()
        return name


def _sha256(path: Path) -> str:
    content = hashlib.sha256()
    for chunk in chunks(path):
        content.update(chunk)
    return content.hexdigest()


# in the N-Quads that the serializer writes: a string (which may say anything), or a blank node between spaces
_STRING_OR_BLANK = re.compile(rb'("(?:[^"\\]++|\\.)*+"|_:(?<!\S_:)\S++)')


_UNDERSCORE = ord("_")


def _renamed(quads: list[Quad], names: _BlankNames) -> list[Quad]:
    """By way of text: to build a Quad around a blank node from Python takes four times as long as to parse one."""
    pieces = _STRING_OR_BLANK.split(serialize(quads, format=RdfFormat.N_QUADS) or b"")
    pieces[1::2] = [names[piece] if piece[0] == _UNDERSCORE else piece for piece in pieces[1::2]]
    return list(parse(b"".join(pieces), RdfFormat.N_QUADS))


def _placed(quad: Quad, graph: NamedNode) -> Quad:
    """In this graph, if it is in none."""
    if not isinstance(quad.graph_name, DefaultGraph):
        return quad
    return Quad(quad.subject, quad.predicate, quad.object, graph)


# ---- one fact a line


def _lines(path: Path, facts: Callable[[Block], list[Quad]], quarantine: Quarantine | None) -> _Batches:
    """Block by block; line by line where a block has a bad one, so that its number is exact and its neighbours load."""
    too_long = None
    if quarantine is not None:
        too_long = partial(_note_overlong, path, quarantine)
    for block in blocks(path, b"\n", too_long):
        try:
            quads = facts(block)
        except Refused:
            quads = _line_by_line(path, block, facts, quarantine)
        yield quads, b"_:" in block.data


def _note_overlong(path: Path, quarantine: Quarantine, line: int, beginning: bytes) -> None:
    quarantine.add(path, line, f"a line longer than {MAX_TOKEN >> 20} MiB (only its beginning is kept)", beginning)


def _line_by_line(
    path: Path, block: Block, facts: Callable[[Block], list[Quad]], quarantine: Quarantine | None
) -> list[Quad]:
    quads = []
    for number, text in enumerate(block.data.split(b"\n"), block.line):
        try:
            quads += facts(Block(number, 1, text))
        except Refused as refused:
            if quarantine is None:
                raise
            quarantine.add(path, number, refused.reason, text)
    if quarantine is not None:
        quarantine.flush()
    return quads


def _statements(kind: Syntax, base: str | None, block: Block) -> list[Quad]:
    """N-Triples or N-Quads. Refused at the first bad line."""
    check_utf8(block)
    if b"<<" in block.data:  # only a triple term nests here, and it ends with its line
        for number, text in enumerate(block.data.split(b"\n"), block.line):
            if text.count(b"<<") > 1:
                _check_nesting(kind, Block(number, 1, text))
    try:
        return list(parse(block.data, kind.rdf, base_iri=base))
    except SyntaxError as error:
        raise _syntax_error(error, block.line) from None


def _check_nesting(kind: Syntax, line: Block) -> None:
    try:
        Nesting(kind.name).feed(line.data + b"\n")
    except Refused as refused:
        raise Refused(refused.reason, line.line, refused.column) from None


_PREAMBLE = re.compile(r"^Parser error .*?: ", re.DOTALL)


def _syntax_error(error: SyntaxError, line: int = 1, column: int = 1) -> Refused:
    """The parser's error with its place, or with (line, column) where it gives none."""
    reason = one_line(_PREAMBLE.sub("", error.msg))
    if error.lineno is None:
        return Refused(reason, line, column)
    return Refused(reason, line + error.lineno - 1, error.offset or 1)


# ---- documents


def _document(path: Path, kind: Syntax, base: str | None, prefixes: dict[str, str] | None) -> _Batches:
    parser = parse(cast("IO[bytes]", _Pieces(_guarded(path, kind))), kind.rdf, base_iri=base)
    declared: dict[str, str] = {}
    size = 1
    try:
        while batch := list(islice(parser, size)):
            declared |= parser.prefixes  # an XML element's are forgotten at its end: ask after the first fact
            yield batch, True
            size = BATCH
    except SyntaxError as error:
        place = _place(path, kind, base) if error.lineno is None else (1, 1)
        raise _syntax_error(error, *place) from None
    except MemoryError as error:
        if _BUFFER_FULL not in str(error):
            raise
        reason = f"a single token is longer than the {MAX_TOKEN >> 20} MiB that the parser takes"
        raise Refused(reason, *_place(path, kind, base)) from None
    if prefixes is not None:
        declared |= parser.prefixes
        prefixes.update((name, iri) for name, iri in declared.items() if _is_absolute(iri))


def _is_absolute(iri: str) -> bool:
    """An XML namespace may be any text."""
    try:
        NamedNode(iri)
    except ValueError:
        return False
    return True


_BUFFER_FULL = "Reached the buffer maximal size"  # how the parser says that its own limit, not memory, ran out
_ENDS = {"rdfxml": b">", "jsonld": b'"'}  # what cuts a document into blocks: the longest one is memory


def _guarded(path: Path, kind: Syntax) -> Iterator[bytes]:
    """The content, every block of it looked at before the parser sees it. Raises Refused."""
    nesting, entities = Nesting(kind.name), Entities()
    for block in blocks(path, _ENDS.get(kind.name, b"\n")):
        check_utf8(block)
        nesting.feed(block.data)
        yield entities.feed(block.data) if kind.name == "rdfxml" else block.data


class _Pieces:
    """A file for the parser, made of pieces of bytes; `line` and `column` are where the last piece began."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0
        self.line, self.column = 1, 1

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (all of a piece if negative); none at the end."""
        if self._at >= len(self._piece):
            self.line, self.column = after(self.line, self.column, self._piece)
            self._piece, self._at = next(self._pieces, b""), 0
        end = len(self._piece) if size < 0 else self._at + size
        data = self._piece[self._at : end]
        self._at += len(data)
        return data


def _place(path: Path, kind: Syntax, base: str | None) -> tuple[int, int]:
    """Where a parser that does not say stops: read again, a tag or a line at a time, until it does."""
    end = _ENDS["rdfxml"] if kind.name == "rdfxml" else b"\n"
    pieces = _Pieces(_small(_guarded(path, kind), end))
    try:
        for _ in parse(cast("IO[bytes]", pieces), kind.rdf, base_iri=base):
            pass
    except (SyntaxError, MemoryError):
        pass  # met before: the place alone is news
    return pieces.line, pieces.column


def _small(blocks: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    for block in blocks:
        for piece in re.findall(b"[^%b]*%b|[^%b]+" % (end, end, end), block):
            space = len(piece) - len(piece.lstrip())
            if space:
                yield piece[:space]
            if piece[space:]:
                yield piece[space:]


# ---- out


def write(
    quads: Iterable[Quad], out: str | Path, *, syntax: str | None = None, prefixes: dict[str, str] | None = None
) -> int:
    """Write facts to a file in any syntax and compression that read() takes; the number written.

    The file appears whole or not at all. TSV and CSV hold facts between entities: those with a literal or a triple term
    are left out, so fewer may be written than were given. Names are shortened under BASE. UserError: the syntax cannot
    hold a fact (a named graph in a syntax of triples, a predicate that is no XML name), or the file cannot be written.
    """
    out = Path(out)
    kind = syntax_of(out, syntax)
    counted = _Counted(quads, out, kind)
    with replacing(out) as stream:
        if kind.rdf is None:
            write_table(counted, stream, kind.delimiter)
        else:
            _serialize(counted, stream, out, kind, prefixes)
    return counted.count


class _Counted:
    """The quads that a syntax holds, counted; UserError at the first that it should and cannot."""

    def __init__(self, quads: Iterable[Quad], out: Path, kind: Syntax) -> None:
        self.count = 0
        self._quads = quads
        self._out = out
        self._kind = kind
        self._elements: set[str] = set()

    def __iter__(self) -> Iterator[Quad]:
        graphs, table, xml = self._kind.graphs, self._kind.rdf is None, self._kind.name == "rdfxml"
        for quad in self._quads:
            if not graphs and not isinstance(quad.graph_name, DefaultGraph):
                holders = ", ".join(name for name, kind in SYNTAXES.items() if kind.graphs)
                reason = f"{self._kind.name} holds no named graph, as {quad.graph_name} is: expected one of {holders}"
                raise UserError(f"{self._out}: {reason}")
            if table and isinstance(quad.object, Literal | Triple):
                continue
            if xml:
                self._check_xml(quad)
            if self._kind.name == "n3" and isinstance(quad.object, Triple):
                raise UserError(f"{self._out}: N3 holds no triple terms, as {one_line(str(quad.object))} is")
            self.count += 1
            yield quad

    def _check_xml(self, quad: Quad | Triple) -> None:
        predicate = quad.predicate.value
        if predicate not in self._elements:
            if not _is_element(predicate):
                raise UserError(f"{self._out}: RDF/XML cannot hold the predicate <{predicate}>: it ends in no XML name")
            self._elements.add(predicate)
        if isinstance(quad.object, Literal) and _NOT_IN_XML.search(quad.object.value):
            raise UserError(f"{self._out}: RDF/XML cannot hold the control characters of {one_line(str(quad.object))}")
        if isinstance(quad.object, Triple):
            self._check_xml(quad.object)


_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_XML_NAME = re.compile(r"[^\W\d][\w.-]*$")
_RDF_SYNTAX = re.compile(  # names that are RDF/XML's own grammar
    "RDF|ID|about|bagID|parseType|resource|nodeID|datatype|Description|aboutEach|aboutEachPrefix|li"
)


def _is_element(predicate: str) -> bool:
    if predicate.startswith(RDF) and _RDF_SYNTAX.fullmatch(predicate.removeprefix(RDF)):
        return False
    return _XML_NAME.search(predicate) is not None


class _CarriageReturns:
    """An XML reader turns a bare carriage return into a newline; the serializer leaves them bare."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """All of `data` is written."""
        self._stream.write(data.replace(b"\r", b"&#xD;"))
        return len(data)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()


def _serialize(
    quads: _Counted, stream: BufferedIOBase, out: Path, kind: Syntax, prefixes: dict[str, str] | None
) -> None:
    sink = cast("IO[bytes]", _CarriageReturns(stream) if kind.name == "rdfxml" else stream)
    try:
        serialize(quads, sink, kind.rdf, prefixes=prefixes if kind.name not in ("ntriples", "nquads") else None)
    except ValueError as error:
        raise UserError(f"{out}: {one_line(str(error))}") from None
