"""The bytes of a file, decompressed, in blocks: what is wrong with them is a UserError, or Refused at its place."""

import bz2
import codecs
import gzip
import lzma
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from kg.errors import UserError
from kg.store.guard import MAX_TOKEN, Refused, after

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = 1 << 20  # bytes read at once

COMPRESSIONS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError)


def failed(path: Path, error: OSError) -> UserError:
    """What the operating system said, with the path."""
    return UserError(f"{path}: {error.strerror or one_line(str(error))}")


@contextmanager
def failing_as(path: Path) -> Iterator[None]:
    """Turns the operating system's errors into a UserError about this path."""
    try:
        yield
    except OSError as error:
        raise failed(path, error) from None


def one_line(text: str) -> str:
    """At most 300 characters, all of which a terminal can show."""
    line = "".join(c if c.isprintable() else " " for c in text[:2000])
    line = " ".join(line.split())
    return line if len(line) <= 300 else f"{line[:300]}..."


def check_regular(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written. UserError: it is no regular file."""
    try:
        status = path.stat()
    except OSError as error:
        raise failed(path, error) from None
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: a directory: expected a file of facts")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: expected a regular file: it may be read twice")
    return status.st_ino, status.st_size, status.st_mtime_ns


def opened(path: Path, mode: str) -> BufferedIOBase:
    """The file as it is decompressed, or compressed, in mode "rb" or "wb"."""
    opener = COMPRESSIONS.get(path.suffix.lower(), open)
    try:
        stream: BufferedIOBase = opener(path, mode)
    except OSError as error:
        raise failed(path, error) from None
    return stream


def _damage(path: Path, error: Exception) -> UserError:
    suffix = path.suffix.lower()
    if suffix not in COMPRESSIONS and isinstance(error, OSError):
        return failed(path, error)
    if isinstance(error, EOFError):
        return UserError(f"{path}: the {suffix} file is cut short")
    return UserError(f"{path}: the {suffix} file is damaged, or no {suffix} file: {one_line(str(error))}")


def chunks(path: Path) -> Iterator[bytes]:
    """The decompressed content, less a byte order mark. UserError: not readable, damaged, empty, changed by the end."""
    before = check_regular(path)
    empty = True
    with opened(path, "rb") as stream:
        while True:
            try:
                chunk = stream.read(BLOCK)
            except _DAMAGED as error:
                raise _damage(path, error) from None
            if not chunk:
                break
            if empty:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                empty = not chunk
            yield chunk
    if empty:
        raise UserError(f"{path}: the file is empty")
    if check_regular(path) != before:
        raise UserError(f"{path}: the file changed while it was read")


@dataclass(frozen=True)
class Block:
    """Some bytes, and the line and column of the first, from 1."""

    line: int
    column: int
    data: bytes

    def refused(self, reason: str, at: int) -> Refused:
        """The error to raise, at an index of the data."""
        return Refused(reason, *after(self.line, self.column, self.data[:at]))


def blocks(path: Path, end: bytes, overlong: Callable[[int, bytes], None] | None = None) -> Iterator[Block]:
    """The content in blocks of about BLOCK bytes, each but the last with the one byte `end` as its last.

    More than MAX_TOKEN bytes without `end` are Refused; or `overlong` is told their line and beginning, and they are
    left out.
    """
    line, column = 1, 1
    rest: bytes | None = b""
    for chunk in chunks(path):
        if rest is None:  # within what is left out
            if end not in chunk:
                continue
            chunk, rest = chunk[chunk.index(end) :], b""
        chunk = rest + chunk
        cut = chunk.rfind(end) + 1
        if cut:
            yield Block(line, column, chunk[:cut])
            line, column = after(line, column, chunk[:cut])
        rest = chunk[cut:]
        if len(rest) > MAX_TOKEN:
            if overlong is None:
                raise Refused(f"{_STRETCHES[end]} longer than {MAX_TOKEN >> 20} MiB", line, column)
            overlong(line, rest[:1000])
            rest = None
    if rest:
        yield Block(line, column, rest)


_STRETCHES = {b"\n": "a line", b">": "a tag or a text", b'"': "a string, or a gap between strings,"}


def check_utf8(block: Block) -> None:
    """Refused at the first byte that is not UTF-8."""
    if block.data.isascii():
        return
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        raise block.refused(f"not UTF-8: byte 0x{block.data[error.start]:02x}", error.start) from None
