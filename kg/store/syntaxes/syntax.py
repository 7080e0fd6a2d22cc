"""What a syntax is: its file endings, what it can hold, and how its files are read and written."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Protocol, cast, runtime_checkable

from pyoxigraph import Quad, RdfFormat, serialize

from kg.errors import one_line
from kg.store.content import Block, blocks
from kg.store.guard import MAX_TOKEN, Refused
from kg.store.quarantine import Quarantine

Batches = Iterator[tuple[list[Quad], bool]]  # quads, and whether there may be blank nodes among them


class Syntax(ABC):
    """One way to write facts. suffixes: in small letters. graphs, literals, triple_terms: whether it can hold them."""

    name: str
    suffixes: tuple[str, ...]
    graphs: bool = False
    literals: bool = True
    triple_terms: bool = True

    @abstractmethod
    def batches(
        self, path: Path, base: str | None, quarantine: Quarantine | None, prefixes: dict[str, str] | None
    ) -> Batches:
        """The facts of a file, as it names its blank nodes. Arguments as those of kg.store.reading.read.

        Every text that could crash a parser is Refused before the parser sees it.
        """

    def objection(self, quad: Quad) -> str:
        """Why it cannot hold a fact, whatever its flags say; '' where it can."""
        return ""

    @abstractmethod
    def write(self, quads: Iterable[Quad], stream: BufferedIOBase, prefixes: dict[str, str] | None) -> None:
        """All of them, in order. The stream stays open. ValueError: a prefix is none."""


class LineSyntax(Syntax):
    """One fact a line, so that a bad one can be left out and its number is exact."""

    @abstractmethod
    def parser(self, base: str | None) -> Callable[[Block], list[Quad]]:
        """From whole lines to their facts, for one file. It refuses the first bad line."""

    def batches(
        self, path: Path, base: str | None, quarantine: Quarantine | None, prefixes: dict[str, str] | None
    ) -> Batches:
        """Block by block; line by line where a block has a bad one."""
        facts = self.parser(base)
        too_long = None if quarantine is None else partial(_note_overlong, path, quarantine)
        for block in blocks(path, overlong=too_long):
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


_PREAMBLE = re.compile(r"^Parser error .*?: ", re.DOTALL)


def refusal(error: SyntaxError, line: int = 1, column: int = 1) -> Refused:
    """The parser's error with its place, or with (line, column) where it gives none."""
    reason = one_line(_PREAMBLE.sub("", error.msg))
    if error.lineno is None:
        return Refused(reason, line, column)
    return Refused(reason, line + error.lineno - 1, error.offset or 1)


@runtime_checkable
class Sink(Protocol):
    """What the serializer asks of a file."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


def write_rdf(quads: Iterable[Quad], stream: Sink, rdf: RdfFormat, prefixes: dict[str, str] | None = None) -> None:
    """By way of the parser's own serializer."""
    serialize(quads, cast("IO[bytes]", stream), rdf, prefixes=prefixes)
