"""N-Triples and N-Quads: a statement a line."""

from collections.abc import Callable, Iterable
from functools import partial
from io import BufferedIOBase
from typing import final

from pyoxigraph import Quad, RdfFormat, parse

from kg.store.content import Block, check_utf8
from kg.store.guard import Nesting, Refused
from kg.store.syntaxes.syntax import LineSyntax, refusal, write_rdf
from kg.store.syntaxes.turtle import LEXER


class Statements(LineSyntax):
    """What the two have in common. No prefixes are in either."""

    rdf: RdfFormat

    def parser(self, base: str | None) -> Callable[[Block], list[Quad]]:
        """From whole lines to their facts."""
        return partial(_statements, self.rdf, base)

    def write(self, quads: Iterable[Quad], stream: BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """A line a fact."""
        write_rdf(quads, stream, self.rdf)


@final
class NTriples(Statements):
    name = "ntriples"
    suffixes = (".nt",)
    rdf = RdfFormat.N_TRIPLES


@final
class NQuads(Statements):
    name = "nquads"
    suffixes = (".nq",)
    rdf = RdfFormat.N_QUADS
    graphs = True


def _statements(rdf: RdfFormat, base: str | None, block: Block) -> list[Quad]:
    check_utf8(block)
    if b"<<" in block.data:  # only a triple term nests here, and it ends with its line
        for number, text in enumerate(block.data.split(b"\n"), block.line):
            if text.count(b"<<") > 1:
                _check_nesting(Block(number, 1, text))
    try:
        return list(parse(block.data, rdf, base_iri=base))
    except SyntaxError as error:
        raise refusal(error, block.line) from None


def _check_nesting(line: Block) -> None:
    try:
        Nesting(LEXER).feed(line.data + b"\n")
    except Refused as refused:
        raise Refused(refused.reason, line.line, refused.column) from None
