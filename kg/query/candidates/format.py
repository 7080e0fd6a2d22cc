"""Format: one way in which candidates lie in a file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, final

from kg.errors import UserError, one_line
from kg.files import suffix_of, write_lines
from kg.query.candidates.annotations import Origin
from kg.query.candidates.candidate import LABELS, PLACES, Candidate, Candidates
from kg.store.content import blocks, check_utf8
from kg.store.guard import Refused

REQUIRED = (*PLACES, "probability", "score", "rank", "known")
COLUMNS = (*REQUIRED, *LABELS, "because", "evidence", "alike", "note")  # of every row, in this order


class Format(ABC):
    """Candidates out and in. A new one is a file with a subclass, and a line in kg.query.candidates.files.

    is_rdf: whether it has a place for the run that found them.
    """

    is_rdf: ClassVar[bool] = False

    def check_writable(self, path: Path, rdf11: bool) -> None:
        """UserError where they cannot be written so: RDF 1.1 is for RDF alone."""
        if rdf11:
            raise UserError(f"{path}: RDF 1.1 was asked for, and {suffix_of(path)} is no RDF: expected .trig, .nq ...")

    @abstractmethod
    def write(self, candidates: Candidates, path: Path, run: Origin, rdf11: bool = False) -> None:
        """Write all of them, or on an error nothing."""

    @abstractmethod
    def read(self, path: Path) -> tuple[Candidates, Origin | None]:
        """What was written, by this or by another hand, and the run if the file tells of it. UserError: what is wrong,
        with the line where there is one."""


class LineFormat(Format):
    """A format of lines, with nothing but the candidates in them."""

    @abstractmethod
    def lines(self, candidates: Candidates, path: Path) -> Iterator[str]:
        """Out, without their ends."""

    @abstractmethod
    def candidates(self, lines: Iterator[tuple[int, str]]) -> Iterator[Candidate]:
        """In, from (number, text). Refused: what is wrong with a line."""

    @final
    def write(self, candidates: Candidates, path: Path, run: Origin, rdf11: bool = False) -> None:
        write_lines(path, self.lines(candidates, path))

    @final
    def read(self, path: Path) -> tuple[Candidates, Origin | None]:
        try:
            return Candidates(tuple(self.candidates(_lines(path)))), None
        except Refused as refused:
            raise UserError(f"{path}:{refused.line}: {one_line(refused.reason)}") from None


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of each line, without its end. Refused: one is longer than a parser takes, or not UTF-8.
    UserError: there is none, since a file of no candidates says that it is one."""
    empty = True
    for block in blocks(file):
        empty = False
        check_utf8(block)
        lines = block.data.decode().removesuffix("\n").split("\n")
        yield from ((number, line.removesuffix("\r")) for number, line in enumerate(lines, block.line))
    if empty:
        raise UserError(f"{file}: the file is empty")


@contextmanager
def refused_at(number: int) -> Iterator[None]:
    """A ValueError inside is said of this line."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error), number, 1) from None
