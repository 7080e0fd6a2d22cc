"""The facts of a file, as a stream.

    read("world.ttl.gz")  ->  quads

Everything wrong with a file is a UserError of one line, `path:line:column: reason`.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from pyoxigraph import DefaultGraph, NamedNode, Quad, RdfFormat, parse, serialize

from kg.errors import UserError, one_line
from kg.files import check_regular, chunks
from kg.progress import SILENT, Progress
from kg.store.guard import Refused
from kg.store.quarantine import Quarantine
from kg.store.syntaxes import syntax_of
from kg.store.syntaxes.syntax import Reading


def read(
    path: str | Path,
    *,
    syntax: str | None = None,
    base: str | None = None,
    graph: str | None = None,
    header: bool | None = None,
    quarantine: Quarantine | None = None,
    prefixes: dict[str, str] | None = None,
    progress: Progress = SILENT,
    keep_labels: bool = False,
) -> Iterator[Quad]:
    """The facts of a file, as a stream.

    syntax: its name, where the suffix does not say. base: what relative IRIs, or the plain names of a TSV or CSV, are
    put after. graph: the named graph for what the file puts in none. header: whether the first line of a TSV or CSV
    names its columns; None: if it names those of a fact (kg/columns.py). quarantine: where bad lines go; without it the
    first one is the error. prefixes: filled, at the end, with those the file declares. progress: is told, by a note, of
    a line that was taken for a header, and of a file that holds no facts.

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
    if header is not None and not kind.headers:
        raise UserError(f"{path}: {kind.name} has no header: only TSV and CSV may have one", "header")
    names, empty = _BlankNames(path), True
    try:
        for quads, blanks in kind.batches(path, Reading(base, header, quarantine, prefixes, progress)):
            if blanks and not keep_labels:
                quads = _renamed(quads, names)
            if target is not None:
                quads = [_placed(quad, target) for quad in quads]
            empty = empty and not quads
            yield from quads
    except Refused as refused:
        raise UserError(f"{path}:{refused.line}:{refused.column}: {refused.reason}") from None
    if empty:
        progress.note(f"{path} holds no facts")


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
    return list(parse(b"".join(pieces), RdfFormat.N_QUADS, lenient=True))  # it has been checked, by its own rules


def _placed(quad: Quad, graph: NamedNode) -> Quad:
    """In this graph, if it is in none."""
    if not isinstance(quad.graph_name, DefaultGraph):
        return quad
    return Quad(quad.subject, quad.predicate, quad.object, graph)
