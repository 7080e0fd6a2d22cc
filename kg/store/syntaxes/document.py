"""Syntaxes in which a fact may stand on many lines, and many on one."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import IO, cast

from pyoxigraph import NamedNode, Quad, RdfFormat, parse

from kg.store.content import Block, blocks, check_utf8
from kg.store.guard import MAX_TOKEN, Lexer, Nesting, Refused, after
from kg.store.syntaxes.syntax import Batches, Reading, Syntax, refusal, write_rdf

BATCH = 8192  # quads parsed at once
_BUFFER_FULL = "Reached the buffer maximal size"  # how the parser says that its own limit, not memory, ran out


class Guard:
    """Reads one file's blocks, in order, before the parser does."""

    def __init__(self, lexer: Lexer) -> None:
        self.nesting = Nesting(lexer)

    def feed(self, block: Block) -> bytes:
        """What the parser gets of it. Refused: it must not see it."""
        return self.nesting.feed(block.data)

    def end(self) -> None:
        """The parser has seen all and found nothing wrong. Refused: there is, all the same."""


class Document(Syntax):
    """A syntax of the parser's that is read as one stream.

    end: what cuts a file into blocks, of which the longest is memory; `stretch` is what lies between two. step: what
    the parser is given at a time to find out where it stops, since not every one says so.
    """

    rdf: RdfFormat
    end: bytes = b"\n"
    stretch: str = "a line"
    step: bytes = b"\n"

    @abstractmethod
    def guard(self) -> Guard:
        """For one file."""

    def batches(self, path: Path, how: Reading) -> Batches:
        """In batches of BATCH. There are no lines to leave out: quarantine stays empty."""
        base, guard = how.base, self.guard()
        parser = parse(cast("IO[bytes]", _Pieces(self._guarded(path, guard))), self.rdf, base_iri=base)
        declared: dict[str, str] = {}
        size = 1
        try:
            while batch := list(islice(parser, size)):
                declared |= parser.prefixes  # an XML element's are forgotten at its end: ask after the first fact
                yield batch, True
                size = BATCH
        except SyntaxError as error:
            place = self._place(path, base) if error.lineno is None else (1, 1)
            raise refusal(error, *place) from None
        except MemoryError as error:
            if _BUFFER_FULL not in str(error):
                raise
            reason = f"a single token is longer than the {MAX_TOKEN >> 20} MiB that the parser takes"
            raise Refused(reason, *self._place(path, base)) from None
        guard.end()
        if how.prefixes is not None:
            declared |= parser.prefixes
            how.prefixes.update((name, iri) for name, iri in declared.items() if _is_absolute(iri))

    def write(self, quads: Iterable[Quad], stream: BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """With the prefixes declared."""
        write_rdf(quads, stream, self.rdf, prefixes)

    def _guarded(self, path: Path, guard: Guard) -> Iterator[bytes]:
        for block in blocks(path, self.end, stretch=self.stretch):
            check_utf8(block)
            yield guard.feed(block)

    def _place(self, path: Path, base: str | None) -> tuple[int, int]:
        """Where a parser that does not say stops: read again, a step at a time, until it does."""
        pieces = _Pieces(_small(self._guarded(path, self.guard()), self.step))
        try:
            for _ in parse(cast("IO[bytes]", pieces), self.rdf, base_iri=base):
                pass
        except (SyntaxError, MemoryError):
            pass  # met before: the place alone is news
        return pieces.line, pieces.column


def _is_absolute(iri: str) -> bool:
    """An XML namespace may be any text."""
    try:
        NamedNode(iri)
    except ValueError:
        return False
    return True


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


def _small(blocks: Iterator[bytes], end: bytes) -> Iterator[bytes]:
    for block in blocks:
        for piece in re.findall(b"[^%b]*%b|[^%b]+" % (end, end, end), block):
            space = len(piece) - len(piece.lstrip())
            if space:
                yield piece[:space]
            if piece[space:]:
                yield piece[space:]
