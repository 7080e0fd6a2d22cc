"""The content of a file in blocks, with their places: what is wrong with it is Refused at its line and column."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kg.files import chunks
from kg.store.guard import MAX_TOKEN, Refused, after


@dataclass(frozen=True)
class Block:
    """Some bytes, and the line and column of the first, from 1."""

    line: int
    column: int
    data: bytes

    def refused(self, reason: str, at: int) -> Refused:
        """The error to raise, at an index of the data."""
        return Refused(reason, *after(self.line, self.column, self.data[:at]))


def blocks(
    path: Path,
    end: bytes = b"\n",
    *,
    cut: Callable[[bytes], int] | None = None,
    stretch: str = "a line",
    overlong: Callable[[int, bytes], None] | None = None,
) -> Iterator[Block]:
    """The content in blocks of about BLOCK bytes, each but the last with the one byte `end` as its last.

    cut: up to where bytes can be cut off as a block, 0 for nowhere yet; otherwise after the last `end`. More than
    MAX_TOKEN bytes that cannot be cut are Refused, as a `stretch` that is too long; or `overlong` is given their line
    and beginning, and they are left out up to the next `end`.
    """
    line, column = 1, 1
    rest: bytes | None = b""
    for chunk in chunks(path):
        if rest is None:  # within what is left out
            if end not in chunk:
                continue
            chunk, rest = chunk[chunk.index(end) :], b""
        rest += chunk
        while size := rest.rfind(end) + 1 if cut is None else cut(rest):
            yield Block(line, column, rest[:size])
            line, column = after(line, column, rest[:size])
            rest = rest[size:]
        if len(rest) > MAX_TOKEN:
            if overlong is None:
                raise Refused(f"{stretch} longer than {MAX_TOKEN >> 20} MiB", line, column)
            overlong(line, rest[:1000])
            rest = None
    if rest:
        yield Block(line, column, rest)


def check_utf8(block: Block) -> None:
    """Refused at the first byte that is not UTF-8."""
    if block.data.isascii():
        return
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        raise block.refused(f"not UTF-8: byte 0x{block.data[error.start]:02x}", error.start) from None
