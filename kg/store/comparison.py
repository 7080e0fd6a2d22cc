"""Which facts of one database are not in another: by a hash of 128 bits a fact, 16 bytes of memory each.

Facts are compared as the database writes them, since it keeps a literal by its value: what it says of a fact is
the same text wherever that fact is.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import compress, islice
from typing import IO, final

import numpy as np
import numpy.typing as npt
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, RdfFormat, Store, parse, serialize

Graph = NamedNode | BlankNode | DefaultGraph
Lines = list[bytes]

_SIZE = 16  # bytes of a hash
_AT_ONCE = 10_000  # lines
_Hashes = npt.NDArray[np.bytes_]


@final
class Held:
    """The facts of one graph of a database, or (None) of all its graphs; and which of them were seen elsewhere.

    text: a file, open for writing and reading, to whose end their lines are written: to read them there once more costs
    a tenth of what it costs to ask the database. told: is given how many lines were read so far.
    """

    def __init__(
        self, database: Store, graph: Graph | None, text: IO[bytes], told: Callable[[int], None] = lambda _: None
    ) -> None:
        self._text, self._begins = text, text.seek(0, os.SEEK_END)
        hashes = bytearray()

        def take(lines: Lines) -> None:
            hashes.extend(_hashed(lines))
            text.write(b"\n".join([*lines, b""]))

        each_line(database, graph, take, told)
        unsorted: _Hashes = np.frombuffer(bytes(hashes), f"S{_SIZE}")
        self._order = np.argsort(unsorted)
        self._sorted = unsorted[self._order]
        self._seen = np.zeros(len(unsorted), np.bool_)

    @property
    def num_seen(self) -> int:
        return int(self._seen.sum())

    def see(self, lines: Lines) -> list[bool]:
        """Which of the lines are those of a fact that is held: they count as seen from now on."""
        if not len(self._sorted) or not lines:
            return [False] * len(lines)
        hashes = np.frombuffer(_hashed(lines), f"S{_SIZE}")
        place = np.minimum(np.searchsorted(self._sorted, hashes), len(self._sorted) - 1)
        found = self._sorted[place] == hashes
        self._seen[self._order[place[found]]] = True
        which: list[bool] = found.tolist()
        return which

    def each_unseen(self) -> Iterator[Lines]:
        """The lines of what was not seen so far, some at a time."""
        if self._seen.all():
            return
        self._text.seek(self._begins)
        unseen = compress(self._text, (~self._seen).tolist())
        while lines := [line[:-1] for line in islice(unseen, _AT_ONCE)]:
            yield lines


def each_line(
    database: Store, graph: Graph | None, take: Callable[[Lines], None], told: Callable[[int], None] = lambda _: None
) -> None:
    """Gives the facts of a graph as lines of N-Triples, or those of all graphs as lines of N-Quads, some at a time.
    told: how many were given so far."""
    writer = _Splitting(take, told)
    syntax = RdfFormat.N_QUADS if graph is None else RdfFormat.N_TRIPLES
    database.dump(writer, syntax, from_graph=graph)  # type: ignore[arg-type]  # it asks for write and flush alone
    writer.end()


def lines_of(quads: Sequence[Quad]) -> Lines:
    """The facts as lines of N-Triples."""
    text = serialize((quad.triple for quad in quads), format=RdfFormat.N_TRIPLES) or b""
    return text.removesuffix(b"\n").split(b"\n")


def quads_of(lines: Lines, graph: Graph | None = None) -> list[Quad]:
    """The facts of lines of N-Quads, or of N-Triples, which are put into this graph."""
    quads = parse(b"\n".join(lines), RdfFormat.N_QUADS, lenient=True)  # the database wrote them
    if graph is None or isinstance(graph, DefaultGraph):
        return list(quads)
    return [Quad(quad.subject, quad.predicate, quad.object, graph) for quad in quads]


@final
class _Splitting:
    """A file to write to, whose content is given away in whole lines."""

    def __init__(self, take: Callable[[Lines], None], told: Callable[[int], None]) -> None:
        self._take, self._told = take, told
        self._rest, self._count = b"", 0

    def write(self, data: bytes) -> int:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._give(lines)
        return len(data)

    def flush(self) -> None:
        pass

    def end(self) -> None:
        self._give([self._rest] if self._rest else [])

    def _give(self, lines: Lines) -> None:
        if lines:
            self._take(lines)
            self._count += len(lines)
            self._told(self._count)


def _hashed(lines: Lines) -> bytes:
    return b"".join([blake2b(line, digest_size=_SIZE).digest() for line in lines])
