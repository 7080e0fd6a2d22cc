"""Tables of facts: a line is `head relation tail`, as plain names that stand for IRIs under a base."""

import csv
import io
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast, final

from pyoxigraph import BlankNode, NamedNode, Quad

from kg.columns import ROLES, Columns
from kg.errors import one_line
from kg.namespaces import BASE, iri_of, name_of
from kg.store.content import Block, check_utf8
from kg.store.guard import MAX_TOKEN, FileRefused, Refused
from kg.store.syntaxes.syntax import LineSyntax, Reading


class Table(LineSyntax):
    """Rows of three cells: plain names, IRIs or `_:` blank nodes. Names stand under a base, or else under BASE.

    The first row, blank ones aside, may be a header (kg/columns.py), and then the cells that it names are read.
    """

    literals = False
    triple_terms = False
    headers = True
    separator: str

    @abstractmethod
    def rows(self, block: Block) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of each row that is not blank. Refused: it is none."""

    @abstractmethod
    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        """A line each."""

    def parser(self, base: str | None) -> Callable[[Block], list[Quad]]:
        """From whole rows to their facts. Blank ones hold none."""
        return _Rows(self, Reading(base), "").facts

    def facts(self, path: Path, how: Reading) -> Callable[[Block], list[Quad]]:
        """The parser, which tells of a header."""
        return _Rows(self, how, str(path)).facts

    def write(self, quads: Iterable[Quad], stream: io.BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """A line a fact, names shortened under BASE; under a header where the first fact could be taken for one."""
        text = io.TextIOWrapper(cast("IO[bytes]", stream), encoding="utf-8", newline="")
        rows = ((_cell(quad.subject), _cell(quad.predicate), _cell(quad.object)) for quad in quads)
        first = next(rows, None)
        if first is not None:
            self.write_rows(chain([ROLES] * _like_a_header(first), [first], rows), text)
        text.detach()  # flushes


@final
class TSV(Table):
    """Cells between tabs; no character but tabs and line ends means anything else."""

    name = "tsv"
    suffixes = (".tsv", ".txt")
    separator = "\t"

    def rows(self, block: Block) -> Iterator[tuple[int, list[str]]]:
        return _split(block, "\t")

    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        text.writelines(f"{head}\t{relation}\t{tail}\n" for head, relation, tail in rows)


# Cells of a CSV (RFC 4180): what begins with a quote ends at the next that is not doubled, over line ends and commas.
_CELL = rb'(?:"(?:[^"]++|"")*+"[^,\n]*+|(?!")[^,\n]*+)'
_CELLS = re.compile(rb"(?:" + _CELL + rb",)*+")
_RECORD = re.compile(_CELL + rb"(?:," + _CELL + rb")*+\n")
_RECORDS = re.compile(rb"(?:" + _RECORD.pattern + rb")*+")


@final
class CSV(Table):
    """Cells between commas. One in quotes may hold commas, line ends and, doubled, quotes (RFC 4180)."""

    name = "csv"
    suffixes = (".csv",)
    separator = ","

    def cut(self, data: bytes) -> int:
        """After the last whole record; or, of too much that is none, after the line whose quote is never closed."""
        if b'"' not in data:
            return super().cut(data)
        end = _RECORDS.match(data).end()  # type: ignore[union-attr]
        return end if end or len(data) <= MAX_TOKEN else _end_of_line(data, _open_quote(data, 0))

    def records(self, block: Block) -> Iterator[Block]:
        """One whose quote is never closed goes no further than its line."""
        if b'"' not in block.data:
            yield from super().records(block)
            return
        line, begin = block.line, 0
        while begin < len(block.data):
            record = _RECORD.match(block.data, begin)
            end = (
                record.end() if record else _end_of_line(block.data, _open_quote(block.data, begin)) or len(block.data)
            )
            yield Block(line, 1, block.data[begin:end].removesuffix(b"\n"))
            line += block.data.count(b"\n", begin, end)
            begin = end

    def rows(self, block: Block) -> Iterator[tuple[int, list[str]]]:
        if b'"' not in block.data:
            yield from _split(block, ",")
            return
        reader = csv.reader(io.StringIO(block.data.decode(), newline="\n"), strict=True)
        line = block.line
        try:
            for cells in reader:
                if cells and (len(cells) > 1 or not _is_blank(cells[0])):
                    yield line, cells
                line = block.line + reader.line_num
        except csv.Error as error:
            if "unexpected end" in str(error):
                at = _open_quote(block.data, _RECORDS.match(block.data).end())  # type: ignore[union-attr]
                raise block.refused("not a row of CSV: a quote that is never closed", at) from None
            raise Refused(f"not a row of CSV: {one_line(str(error))}", line, 1) from None

    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        csv.writer(text, lineterminator="\n").writerows(rows)


def _open_quote(data: bytes, begin: int) -> int:
    """Where the cell begins that no quote closes, in the record that begins there."""
    return _CELLS.match(data, begin).end()  # type: ignore[union-attr]


def _end_of_line(data: bytes, at: int) -> int:
    """After the next line end; 0 if there is none."""
    return data.find(b"\n", at) + 1


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _split(block: Block, separator: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(block.data.decode().split("\n"), block.line):
        text = line.removesuffix("\r")
        if text and not text.isspace():
            yield number, text.split(separator)


def _like_a_header(cells: tuple[str, str, str]) -> bool:
    try:
        return bool(Columns.of(cells).heading)
    except ValueError:
        return True


class _Rows:
    """The facts of one table, whose names are turned into terms once while they are recent."""

    def __init__(self, table: Table, how: Reading, path: str) -> None:
        self._table, self._how, self._path = table, how, path
        self._base = how.base or BASE
        self._columns: Columns | None = None  # not known before the first row
        self._places, self._count = (0, 1, 2), 3
        self._header = 0  # its line, which may come again
        self._terms: dict[str, NamedNode | BlankNode] = {}

    def facts(self, block: Block) -> list[Quad]:
        """Refused at the first bad row."""
        check_utf8(block)
        nul = block.data.find(b"\0")
        if nul >= 0:
            raise block.refused("a NUL byte: expected text", nul)
        quads = []
        for line, cells in self._table.rows(block):
            if self._columns is None:
                self._begin(cells, line)
            if line > self._header:
                quads.append(self._fact(cells, line))
        return quads

    def _begin(self, cells: list[str], line: int) -> None:
        try:
            self._columns = Columns.of(cells, self._how.header)
        except ValueError as error:
            raise FileRefused(f"{error}; if it is a fact, say no-header", line, 1) from None
        self._places, self._count = self._columns.places, self._columns.count
        if self._columns.heading:
            self._header = line
            self._how.progress.note(f"{self._path}:{line}: {self._columns.described()}")

    def _fact(self, cells: list[str], line: int) -> Quad:
        if len(cells) != self._count:
            self._check_count(cells, line)
        terms: list[Any] = []
        for role, place in enumerate(self._places):
            term = self._terms.get(cells[place])
            if term is None:
                column = 1 + sum(len(before) + 1 for before in cells[:place])
                term = self._term(cells[place], ROLES[role], line, column)
            terms.append(term)
        if isinstance(terms[1], BlankNode):
            raise Refused("a blank node is no relation", line, len(cells[0]) + 2)
        return Quad(*terms)

    def _check_count(self, cells: list[str], line: int) -> None:
        assert self._columns is not None
        try:
            self._columns.check(cells, self._table.separator)
        except ValueError as error:
            raise Refused(str(error), line, 1) from None

    def _term(self, cell: str, role: str, line: int, column: int) -> NamedNode | BlankNode:
        if not cell.strip():
            raise Refused(f"the {role} is empty", line, column)
        try:
            term = BlankNode(cell[2:]) if cell.startswith("_:") else NamedNode(iri_of(cell, self._base))
        except ValueError as error:
            raise Refused(f"the {role} {one_line(cell)!r}: {one_line(str(error))}", line, column) from None
        if len(self._terms) >= 1 << 20:  # a memory of the recent ones, not of all
            self._terms.clear()
        self._terms[cell] = term
        return term


def _cell(term: Any) -> str:
    if isinstance(term, BlankNode):
        return str(term)
    name = name_of(term.value)
    if name.isprintable():
        return name
    return f"<{term.value}>"  # a tab or a newline would end the cell
