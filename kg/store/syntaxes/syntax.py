"""What a syntax is: its file endings, what it can hold, and how its files are read and written."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import IO, Protocol, cast, runtime_checkable

from pyoxigraph import Quad, RdfFormat, serialize

from kg.errors import one_line
from kg.progress import SILENT, Progress
from kg.store.content import Block, blocks
from kg.store.guard import MAX_TOKEN, FileRefused, Refused
from kg.store.quarantine import Quarantine

Batches = Iterator[tuple[list[Quad], bool]]  # quads, and whether there may be blank nodes among them


@dataclass(frozen=True)
class Reading:
    """How one file is read, and what learns of it. Fields as the arguments of kg.store.reading.read."""

    base: str | None = None
    header: bool | None = None
    quarantine: Quarantine | None = None
    prefixes: dict[str, str] | None = None
    progress: Progress = SILENT


class Syntax(ABC):
    """One way to write facts. suffixes: in small letters. graphs, literals, triple_terms: whether it can hold them;
    headers: whether its first line may be one."""

    name: str
    suffixes: tuple[str, ...]
    graphs: bool = False
    literals: bool = True
    triple_terms: bool = True
    headers: bool = False

    @abstractmethod
    def batches(self, path: Path, how: Reading) -> Batches:
        """The facts of a file, as it names its blank nodes.

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

    def facts(self, path: Path, how: Reading) -> Callable[[Block], list[Quad]]:
        """The parser for this file: one that need not know more than the base, unless a syntax says otherwise."""
        return self.parser(how.base)

    def cut(self, data: bytes) -> int:
        """Up to where the bytes are whole records, which are lines unless a syntax says otherwise; 0 if none is."""
        return data.rfind(b"\n") + 1

    def records(self, block: Block) -> Iterator[Block]:
        """Each for itself, without its end."""
        for number, text in enumerate(block.data.split(b"\n"), block.line):
            yield Block(number, 1, text)

    def batches(self, path: Path, how: Reading) -> Batches:
        """Block by block; record by record where a block has a bad one."""
        facts = self.facts(path, how)
        too_long = None if how.quarantine is None else partial(_note_overlong, path, how.quarantine)
        for block in blocks(path, cut=self.cut, overlong=too_long):
            try:
                quads = facts(block)
            except Refused:
                quads = self._one_by_one(path, block, facts, how.quarantine)
            yield quads, b"_:" in block.data

    def _one_by_one(
        self, path: Path, block: Block, facts: Callable[[Block], list[Quad]], quarantine: Quarantine | None
    ) -> list[Quad]:
        quads = []
        for record in self.records(block):
            try:
                quads += facts(record)
            except Refused as refused:
                if quarantine is None or isinstance(refused, FileRefused):
                    raise
                quarantine.add(path, record.line, refused.reason, record.data)
        if quarantine is not None:
            quarantine.flush()
        return quads


def _note_overlong(path: Path, quarantine: Quarantine, line: int, beginning: bytes) -> None:
    quarantine.add(path, line, f"a line longer than {MAX_TOKEN >> 20} MiB (only its beginning is kept)", beginning)


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
