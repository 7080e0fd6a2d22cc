"""Tables of facts: a line is `head relation tail`, as plain names that stand for IRIs under a base."""

import csv
import io
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import IO, Any, cast, final

from pyoxigraph import BlankNode, NamedNode, Quad

from kg.errors import one_line
from kg.namespaces import BASE, iri_of, name_of
from kg.store.content import Block, check_utf8
from kg.store.guard import Refused
from kg.store.syntaxes.syntax import LineSyntax


class Table(LineSyntax):
    """Lines of three cells: plain names, IRIs or `_:` blank nodes. Names stand under a base, or else under BASE."""

    literals = False
    triple_terms = False
    separator: str  # for messages

    @abstractmethod
    def cells(self, line: str) -> list[str]:
        """Of a line without its end. ValueError: it is none."""

    @abstractmethod
    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        """A line each."""

    def parser(self, base: str | None) -> Callable[[Block], list[Quad]]:
        """From whole lines to their facts. Blank lines hold none."""
        return _Rows(self, base or BASE).facts

    def write(self, quads: Iterable[Quad], stream: io.BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """A line a fact, names shortened under BASE."""
        text = io.TextIOWrapper(cast("IO[bytes]", stream), encoding="utf-8", newline="")
        self.write_rows(((_cell(quad.subject), _cell(quad.predicate), _cell(quad.object)) for quad in quads), text)
        text.detach()  # flushes


@final
class TSV(Table):
    name = "tsv"
    suffixes = (".tsv", ".txt")
    separator = "tab"

    def cells(self, line: str) -> list[str]:
        return line.split("\t")

    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        text.writelines(f"{head}\t{relation}\t{tail}\n" for head, relation, tail in rows)


@final
class CSV(Table):
    name = "csv"
    suffixes = (".csv",)
    separator = "comma"

    def cells(self, line: str) -> list[str]:
        try:
            (cells,) = csv.reader([line], strict=True)
        except csv.Error as error:
            raise ValueError(f"not a row of CSV: {one_line(str(error))}") from None
        return cells

    def write_rows(self, rows: Iterable[tuple[str, str, str]], text: io.TextIOWrapper) -> None:
        csv.writer(text, lineterminator="\n").writerows(rows)


class _Rows:
    """The facts of one table, whose names are turned into terms once while they are recent."""

    def __init__(self, table: Table, base: str) -> None:
        self._table, self._base = table, base
        self._terms: dict[str, NamedNode | BlankNode] = {}

    def facts(self, block: Block) -> list[Quad]:
        """Refused at the first bad line."""
        check_utf8(block)
        quads = []
        for number, line in enumerate(block.data.decode().split("\n"), block.line):
            text = line.removesuffix("\r")
            if text and not text.isspace():
                quads.append(self._fact(self._cells(text, number), number))
        return quads

    def _cells(self, text: str, line: int) -> list[str]:
        try:
            cells = self._table.cells(text)
        except ValueError as error:
            raise Refused(str(error), line, 1) from None
        if len(cells) != 3:
            separated = f"{self._table.separator}-separated"
            raise Refused(f"expected head, relation and tail, {separated}; got {len(cells)} cells", line, 1)
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
