"""Files of facts, in and out: which syntax a file is in, its compression, its bad lines, the names of its blank nodes.

    syntax_of("world.ttl.gz")  ->  turtle
    read("world.ttl.gz")       ->  quads, as a stream
    write(quads, "world.nq")   ->  how many were written

Everything wrong with a file is a UserError of one line, `path:line:column: reason`.
"""

import bz2
import codecs
import csv
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast
from urllib.parse import quote, unquote

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple, parse, serialize

from kg.errors import UserError
from kg.store.guard import MAX_TOKEN, Entities, Nesting, Refused, after

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BASE = "urn:kg:"  # what the plain names of a TSV or CSV file are put after, unless another base is given
BLOCK = 1 << 20  # bytes read at once
BATCH = 8192  # quads parsed at once


@dataclass(frozen=True)
class Syntax:
    """One way to write facts. `rdf` is None for our own tables; `lines`: one fact a line, so bad ones can be left out."""

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

_COMPRESSIONS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError)


def syntax_of(path: str | Path, name: str | None = None) -> Syntax:
    """The syntax called `name`, else the one of the suffix, before any .gz .bz2 .xz .zst. UserError: unknown."""
    if name is not None:
        if name not in SYNTAXES:
            raise UserError(f"unknown syntax {name!r}: expected one of {', '.join(SYNTAXES)}")
        return SYNTAXES[name]
    path = Path(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in _BY_SUFFIX:
        known = f"{' '.join(_BY_SUFFIX)}, each also with {' '.join(_COMPRESSIONS)}"
        raise UserError(f"{path}: the suffix names no syntax: expected {known}; or give the syntax by name")
    return _BY_SUFFIX[suffixes[-1]]


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
        with _writing(self.path):
            self._file = self.path.open("w", encoding="utf-8", newline="\n")

    def add(self, source: Path, line: int, reason: str, text: bytes) -> None:
        """Note one bad line of a file."""
        with _writing(self.path):
            if source != self._source:
                self._file.write(f"# {source}\n")
                self._source = source
            self._file.write(f"{line}\t{reason}\t{text.decode('utf-8', errors='replace')}\n")
        self.count += 1

    def flush(self) -> None:
        """Hand what was added to the operating system."""
        with _writing(self.path):
            self._file.flush()

    def close(self) -> None:
        """Add no more."""
        with _writing(self.path):
            self._file.close()

    def __enter__(self) -> Self:
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
) -> Iterator[Quad]:
    """The facts of a file, as a stream.

    syntax: its name, where the suffix does not say. base: what relative IRIs, or the plain names of a TSV or CSV, are
    put after. graph: the named graph for what the file puts in none. quarantine: where bad lines go; without it the
    first one is the error. prefixes: filled, at the end, with those the file declares. progress: told the number of
    facts so far.

    Blank nodes become `b<16 hex of the sha256 of the content>_<order of first appearance>`: those of two files never
    meet, and one file twice (or once compressed) has the same. The names are kept until the end of the file.

    UserError, as `path:line:column: reason` where there is a line, at whatever fact it is met: the caller must be ready
    to undo. Text that could crash a parser is refused before the parser sees it (kg/store/guard.py).
    """
    path = Path(path)
    kind = syntax_of(path, syntax)
    target = None if graph is None else _node(graph, "graph")
    if base is not None:
        _node(base, "base")
    names = _BlankNames(path)
    count = 0
    try:
        for quads, blanks in _batches(path, kind, base, quarantine, prefixes):
            if blanks or target is not None:
                quads = [_settled(quad, names, target) for quad in quads]
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
        return _lines(path, _Table(kind.delimiter, base or BASE).facts, quarantine)
    if kind.lines:
        return _lines(path, partial(_statements, kind, base), quarantine)
    return _document(path, kind, base, prefixes)


def _node(iri: str, what: str) -> NamedNode:
    try:
        return NamedNode(iri)
    except ValueError as error:
        raise UserError(f"the {what} {iri!r} is no absolute IRI: {_one_line(str(error))}") from None


# ---- blank nodes and graphs


class _BlankNames:
    """The file's own label -> the name it has here. The hash costs a second reading, so it waits for the first one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stem = ""
        self._nodes: dict[str, BlankNode] = {}

    def __getitem__(self, node: BlankNode) -> BlankNode:
        label = node.value
        found = self._nodes.get(label)
        if found is None:
            self._stem = self._stem or f"b{_sha256(self._path)[:16]}_"
            found = self._nodes[label] = BlankNode(f"{self._stem}{len(self._nodes)}")
        return found


def _sha256(path: Path) -> str:
    content = hashlib.sha256()
    for chunk in _chunks(path):
        content.update(chunk)
    return content.hexdigest()


_UNSETTLED = (BlankNode, Triple)


def _settled(quad: Quad, names: _BlankNames, target: NamedNode | None) -> Quad:
    """The quad with its blank nodes renamed, and in the target graph if it is in none."""
    subject, predicate, object, graph = quad
    moved = target is not None and isinstance(graph, DefaultGraph)
    if not (moved or isinstance(subject, _UNSETTLED) or isinstance(object, _UNSETTLED) or isinstance(graph, BlankNode)):
        return quad
    place = target if moved else _renamed(graph, names)
    return Quad(_renamed(subject, names), predicate, _renamed(object, names), place)


def _renamed(term: Any, names: _BlankNames) -> Any:
    if isinstance(term, BlankNode):
        return names[term]
    if isinstance(term, Triple):
        return Triple(_renamed(term.subject, names), term.predicate, _renamed(term.object, names))
    return term


# ---- bytes


def _failed(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: {error.strerror or _one_line(str(error))}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(path, error) from None


def _one_line(text: str) -> str:
    """At most 300 characters, all of which a terminal can show."""
    line = "".join(c if c.isprintable() else " " for c in text[:2000])
    line = " ".join(line.split())
    return line if len(line) <= 300 else f"{line[:300]}..."


def _identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written. UserError: it is no regular file."""
    try:
        status = path.stat()
    except OSError as error:
        raise _failed(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: a directory: expected a file of facts")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: expected a regular file: it may be read twice")
    return status.st_ino, status.st_size, status.st_mtime_ns


def _open(path: Path, mode: str) -> IO[bytes]:
    opener = _COMPRESSIONS.get(path.suffix.lower(), open)
    try:
        stream: IO[bytes] = opener(path, mode)
    except OSError as error:
        raise _failed(path, error) from None
    return stream


def _damage(path: Path, error: Exception) -> UserError:
    suffix = path.suffix.lower()
    if suffix not in _COMPRESSIONS and isinstance(error, OSError):
        return _failed(path, error)
    if isinstance(error, EOFError):
        return UserError(f"{path}: the {suffix} file is cut short")
    return UserError(f"{path}: the {suffix} file is damaged, or no {suffix} file: {_one_line(str(error))}")


def _chunks(path: Path) -> Iterator[bytes]:
    """The decompressed content, less a byte order mark. UserError: not readable, damaged, empty, changed by the end."""
    before = _identity(path)
    empty = True
    with _open(path, "rb") as stream:
        while True:
            try:
                chunk = stream.read(BLOCK)
            except _DAMAGED as error:
                raise _damage(path, error) from None
            if not chunk:
                break
            if empty:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                empty = not chunk
            yield chunk
    if empty:
        raise UserError(f"{path}: the file is empty")
    if _identity(path) != before:
        raise UserError(f"{path}: the file changed while it was read")


@dataclass(frozen=True)
class _Block:
    line: int  # of its first byte, as is the column; both from 1
    column: int
    data: bytes

    def refused(self, reason: str, at: int) -> Refused:
        return Refused(reason, *after(self.line, self.column, self.data[:at]))


def _blocks(path: Path, end: bytes, overlong: Callable[[int, bytes], None] | None = None) -> Iterator[_Block]:
    """The content in blocks of about BLOCK bytes, each but the last with the one byte `end` as its last.

    More than MAX_TOKEN bytes without `end` are Refused; or `overlong` is told their line and beginning, and they are
    left out.
    """
    line, column = 1, 1
    rest: bytes | None = b""
    for chunk in _chunks(path):
        if rest is None:  # within what is left out
            if end not in chunk:
                continue
            chunk, rest = chunk[chunk.index(end) :], b""
        chunk = rest + chunk
        cut = chunk.rfind(end) + 1
        if cut:
            yield _Block(line, column, chunk[:cut])
            line, column = after(line, column, chunk[:cut])
        rest = chunk[cut:]
        if len(rest) > MAX_TOKEN:
            if overlong is None:
                raise Refused(f"{_STRETCHES[end]} longer than {MAX_TOKEN >> 20} MiB", line, column)
            overlong(line, rest[:1000])
            rest = None
    if rest:
        yield _Block(line, column, rest)


_STRETCHES = {b"\n": "a line", b">": "a tag or a text", b'"': "a string, or a gap between strings,"}


def _check_utf8(block: _Block) -> None:
    if block.data.isascii():
        return
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        raise block.refused(f"not UTF-8: byte 0x{block.data[error.start]:02x}", error.start) from None


# ---- one fact a line


def _lines(path: Path, facts: Callable[[_Block], list[Quad]], quarantine: Quarantine | None) -> _Batches:
    """Block by block; line by line where a block has a bad one, so that its number is exact and its neighbours load."""
    too_long = None
    if quarantine is not None:
        too_long = partial(_note_overlong, path, quarantine)
    for block in _blocks(path, b"\n", too_long):
        try:
            quads = facts(block)
        except Refused:
            quads = _line_by_line(path, block, facts, quarantine)
        yield quads, b"_:" in block.data


def _note_overlong(path: Path, quarantine: Quarantine, line: int, beginning: bytes) -> None:
    quarantine.add(path, line, f"a line longer than {MAX_TOKEN >> 20} MiB (only its beginning is kept)", beginning)


def _line_by_line(
    path: Path, block: _Block, facts: Callable[[_Block], list[Quad]], quarantine: Quarantine | None
) -> list[Quad]:
    quads = []
    for number, text in enumerate(block.data.split(b"\n"), block.line):
        try:
            quads += facts(_Block(number, 1, text))
        except Refused as refused:
            if quarantine is None:
                raise
            quarantine.add(path, number, refused.reason, text)
    if quarantine is not None:
        quarantine.flush()
    return quads


def _statements(kind: Syntax, base: str | None, block: _Block) -> list[Quad]:
    """N-Triples or N-Quads. Refused at the first bad line."""
    _check_utf8(block)
    if b"<<" in block.data:  # only a triple term nests here, and it ends with its line
        for number, text in enumerate(block.data.split(b"\n"), block.line):
            if text.count(b"<<") > 1:
                _check_nesting(kind, _Block(number, 1, text))
    try:
        return list(parse(block.data, kind.rdf, base_iri=base))
    except SyntaxError as error:
        raise _syntax_error(error, block.line) from None


def _check_nesting(kind: Syntax, line: _Block) -> None:
    try:
        Nesting(kind.name).feed(line.data + b"\n")
    except Refused as refused:
        raise Refused(refused.reason, line.line, refused.column) from None


_PREAMBLE = re.compile(r"^Parser error .*?: ", re.DOTALL)


def _syntax_error(error: SyntaxError, line: int = 1, column: int = 1) -> Refused:
    """The parser's error with its place, or with (line, column) where it gives none."""
    reason = _one_line(_PREAMBLE.sub("", error.msg))
    if error.lineno is None:
        return Refused(reason, line, column)
    return Refused(reason, line + error.lineno - 1, error.offset or 1)


# ---- tables of facts


class _Table:
    """Lines of `head relation tail`, as plain names, IRIs or `_:` blank nodes."""

    def __init__(self, delimiter: str, base: str) -> None:
        self._delimiter = delimiter
        self._base = base
        self._terms: dict[str, NamedNode | BlankNode] = {}

    def facts(self, block: _Block) -> list[Quad]:
        """Refused at the first bad line. Blank lines hold no fact."""
        _check_utf8(block)
        quads = []
        for number, line in enumerate(block.data.decode().split("\n"), block.line):
            text = line.removesuffix("\r")
            if text and not text.isspace():
                quads.append(self._fact(self._cells(text, number), number))
        return quads

    def _cells(self, text: str, line: int) -> list[str]:
        if self._delimiter == "\t":
            cells = text.split("\t")
        else:
            try:
                (cells,) = csv.reader([text], strict=True)
            except csv.Error as error:
                raise Refused(f"not a row of CSV: {_one_line(str(error))}", line, 1) from None
        if len(cells) != 3:
            what = "tab" if self._delimiter == "\t" else "comma"
            raise Refused(f"expected head, relation and tail, {what}-separated; got {len(cells)} cells", line, 1)
        return cells

    def _fact(self, cells: list[str], line: int) -> Quad:
        terms: list[Any] = []
        for i, cell in enumerate(cells):
            term = self._terms.get(cell)
            if term is None:
                column = 1 + sum(len(before) + 1 for before in cells[:i])
                term = self._term(cell, ("head", "relation", "tail")[i], line, column)
            terms.append(term)
        if isinstance(terms[1], BlankNode):
            raise Refused("a blank node is no relation", line, len(cells[0]) + 2)
        return Quad(*terms)

    def _term(self, cell: str, role: str, line: int, column: int) -> NamedNode | BlankNode:
        if not cell.strip():
            raise Refused(f"the {role} is empty", line, column)
        try:
            term = BlankNode(cell[2:]) if cell.startswith("_:") else NamedNode(iri_of(cell, self._base))
        except ValueError as error:
            raise Refused(f"the {role} {_one_line(cell)!r}: {_one_line(str(error))}", line, column) from None
        if len(self._terms) >= 1 << 20:  # a memory of the recent ones, not of all
            self._terms.clear()
        self._terms[cell] = term
        return term


_ABSOLUTE = re.compile(r"https?://|urn:", re.IGNORECASE)
# what an IRI may hold (RFC 3987, ipchar and /), less % and the byte order mark
_NOT_IN_IRI = re.compile(
    r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\ufefe\uff00-\uffef"
    + "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 14))
    + f"{chr(0xE1000)}-{chr(0xEFFFD)}]"
)


def iri_of(name: str, base: str = BASE) -> str:
    """The IRI of a plain name: base + name, with %XX for what an IRI may not hold.

    A name that is an http, https or urn IRI already, bare or in <>, is that IRI.
    """
    bare = name[1:-1] if name.startswith("<") and name.endswith(">") else name
    if _ABSOLUTE.match(bare):
        return bare
    return base + _NOT_IN_IRI.sub(lambda found: quote(found[0], safe=""), name)


def name_of(iri: str, base: str = BASE) -> str:
    """The plain name that iri_of turns into this IRI; the IRI itself where there is none."""
    if iri.startswith(base):
        name = unquote(iri[len(base) :])
        if name.strip() and not name.startswith("_:") and iri_of(name, base) == iri:
            return name
    return iri


# ---- documents


def _document(path: Path, kind: Syntax, base: str | None, prefixes: dict[str, str] | None) -> _Batches:
    parser = parse(cast("IO[bytes]", _Pieces(_guarded(path, kind))), kind.rdf, base_iri=base)
    try:
        while batch := list(islice(parser, BATCH)):
            yield batch, True
    except SyntaxError as error:
        place = _place(path, kind, base) if error.lineno is None else (1, 1)
        raise _syntax_error(error, *place) from None
    if prefixes is not None:
        prefixes.update((name, iri) for name, iri in parser.prefixes.items() if _is_absolute(iri))


def _is_absolute(iri: str) -> bool:
    """An XML namespace may be any text."""
    try:
        NamedNode(iri)
    except ValueError:
        return False
    return True


_ENDS = {"rdfxml": b">", "jsonld": b'"'}  # what cuts a document into blocks: the longest one is memory


def _guarded(path: Path, kind: Syntax) -> Iterator[bytes]:
    """The content, every block of it looked at before the parser sees it. Raises Refused."""
    nesting, entities = Nesting(kind.name), Entities()
    for block in _blocks(path, _ENDS.get(kind.name, b"\n")):
        _check_utf8(block)
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
    except SyntaxError:
        pass
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
    if out.is_dir():
        raise UserError(f"{out}: a directory: expected a file to write")
    temporary = out.with_name(f".{os.getpid()}.{out.name}")  # the same suffixes, and the same file system
    counted = _Counted(quads, out, kind)
    try:
        with _writing(out), _open_new(out, temporary) as stream:
            if kind.rdf is None:
                _write_table(counted, stream, kind)
            else:
                _serialize(counted, stream, out, kind, prefixes)
        with _writing(out):
            temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    return counted.count


def _open_new(out: Path, temporary: Path) -> IO[bytes]:
    try:
        return _open(temporary, "wb")
    except UserError as error:
        raise UserError(str(error).replace(str(temporary), str(out), 1)) from None


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
            self.count += 1
            yield quad

    def _check_xml(self, quad: Quad | Triple) -> None:
        predicate = quad.predicate.value
        if predicate not in self._elements:
            if not _is_element(predicate):
                raise UserError(f"{self._out}: RDF/XML cannot hold the predicate <{predicate}>: it ends in no XML name")
            self._elements.add(predicate)
        if isinstance(quad.object, Literal) and _NOT_IN_XML.search(quad.object.value):
            raise UserError(f"{self._out}: RDF/XML cannot hold the control characters of {_one_line(str(quad.object))}")
        if isinstance(quad.object, Triple):
            self._check_xml(quad.object)


_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_XML_NAME = re.compile(r"[^\W\d][\w.-]*$")
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RDF_SYNTAX = re.compile(  # names that are RDF/XML's own grammar
    "RDF|ID|about|bagID|parseType|resource|nodeID|datatype|Description|aboutEach|aboutEachPrefix|li"
)


def _is_element(predicate: str) -> bool:
    if predicate.startswith(_RDF) and _RDF_SYNTAX.fullmatch(predicate.removeprefix(_RDF)):
        return False
    return _XML_NAME.search(predicate) is not None


class _CarriageReturns:
    """An XML reader turns a bare carriage return into a newline; the serializer leaves them bare."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """All of `data` is written."""
        self._stream.write(data.replace(b"\r", b"&#xD;"))
        return len(data)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()


def _serialize(quads: _Counted, stream: IO[bytes], out: Path, kind: Syntax, prefixes: dict[str, str] | None) -> None:
    sink = cast("IO[bytes]", _CarriageReturns(stream)) if kind.name == "rdfxml" else stream
    try:
        serialize(quads, sink, kind.rdf, prefixes=prefixes if kind.name not in ("ntriples", "nquads") else None)
    except ValueError as error:
        raise UserError(f"{out}: {_one_line(str(error))}") from None


def _write_table(quads: _Counted, stream: IO[bytes], kind: Syntax) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    if kind.name == "csv":
        rows = csv.writer(text, lineterminator="\n")
        for quad in quads:
            rows.writerow([_cell(quad.subject), _cell(quad.predicate), _cell(quad.object)])
    else:
        for quad in quads:
            text.write(f"{_cell(quad.subject)}\t{_cell(quad.predicate)}\t{_cell(quad.object)}\n")
    text.detach()  # flushes; the stream is the caller's to close


def _cell(term: Any) -> str:
    if isinstance(term, BlankNode):
        return str(term)
    name = name_of(term.value)
    return name if name.isprintable() and name[0] != "\ufeff" else term.value
