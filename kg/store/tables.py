"""Tables of facts: a line is `head relation tail`, as plain names that stand for IRIs under a base."""

import csv
import io
from collections.abc import Iterable
from typing import IO, Any, cast

from pyoxigraph import BlankNode, NamedNode, Quad

from kg.errors import one_line
from kg.namespaces import iri_of, name_of
from kg.store.content import Block, check_utf8
from kg.store.guard import Refused


class Table:
    """Lines of `head relation tail`, as plain names, IRIs or `_:` blank nodes."""

    def __init__(self, delimiter: str, base: str) -> None:
        self._delimiter = delimiter
        self._base = base
        self._terms: dict[str, NamedNode | BlankNode] = {}

    def facts(self, block: Block) -> list[Quad]:
        """Refused at the first bad line. Blank lines hold no fact."""
        check_utf8(block)
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
                raise Refused(f"not a row of CSV: {one_line(str(error))}", line, 1) from None
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
            raise Refused(f"the {role} {one_line(cell)!r}: {one_line(str(error))}", line, column) from None
        if len(self._terms) >= 1 << 20:  # a memory of the recent ones, not of all
            self._terms.clear()
        self._terms[cell] = term
        return term


def write_table(quads: Iterable[Quad], stream: io.BufferedIOBase, delimiter: str) -> None:
    """Facts between entities, a line each. The stream stays open."""
    text = io.TextIOWrapper(cast("IO[bytes]", stream), encoding="utf-8", newline="")
    if delimiter == ",":
        rows = csv.writer(text, lineterminator="\n")
        for quad in quads:
            rows.writerow([_cell(quad.subject), _cell(quad.predicate), _cell(quad.object)])
    else:
        for quad in quads:
            text.write(f"{_cell(quad.subject)}\t{_cell(quad.predicate)}\t{_cell(quad.object)}\n")
    text.detach()  # flushes


def _cell(term: Any) -> str:
    if isinstance(term, BlankNode):
        return str(term)
    name = name_of(term.value)
    if name.isprintable():
        return name
    return f"<{term.value}>"  # a tab or a newline would end the cell
