"""Facts into a file, whole or not at all.

write(quads, "world.nq")  ->  how many were written
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pyoxigraph import DefaultGraph, Literal, Quad, Triple

from kg.errors import UserError, one_line
from kg.files import replacing
from kg.store.syntaxes import SYNTAXES, syntax_of
from kg.store.syntaxes.syntax import Syntax


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
        try:
            kind.write(counted, stream, prefixes)
        except ValueError as error:
            raise UserError(f"{out}: {one_line(str(error))}") from None
    return counted.count


class _Counted:
    """The quads that a syntax holds, counted; UserError at the first that it should and cannot."""

    def __init__(self, quads: Iterable[Quad], out: Path, kind: Syntax) -> None:
        self.count = 0
        self._quads, self._out, self._kind = quads, out, kind

    def __iter__(self) -> Iterator[Quad]:
        kind = self._kind
        graphs, literals, triple_terms, objection_to = kind.graphs, kind.literals, kind.triple_terms, kind.objection
        for quad in self._quads:
            if not graphs and not isinstance(quad.graph_name, DefaultGraph):
                holders = ", ".join(name for name, each in SYNTAXES.items() if each.graphs)
                reason = f"{kind.name} holds no named graph, as {quad.graph_name} is: expected one of {holders}"
                raise UserError(f"{self._out}: {reason}")
            if not literals and isinstance(quad.object, Literal | Triple):
                continue
            if not triple_terms and isinstance(quad.object, Triple):
                raise UserError(f"{self._out}: {kind.name} holds no triple term, as {one_line(str(quad.object))} is")
            objection = objection_to(quad)
            if objection:
                raise UserError(f"{self._out}: {objection}")
            self.count += 1
            yield quad
