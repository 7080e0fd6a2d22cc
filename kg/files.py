"""Bytes of files: compressed as the suffix says, in and out; and the one way to write a file whole or not at all."""

import bz2
import codecs
import errno
import fcntl
import gzip
import json
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

from kg.errors import UserError, one_line

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = 1 << 20  # bytes read at once
_DEEPEST = 100  # lists and objects within each other: whoever walks through what was read may recurse

COMPRESSIONS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}
_NO_ROOM = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)]
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zstd.ZstdError)


def shipped(name: str) -> Traversable:
    """A file that ships with kg, of the package kg.data; in a checkout that is not installed, of data/ beside kg/."""
    try:
        return files("kg.data") / name
    except ModuleNotFoundError:
        return Path(__file__).parents[1] / "data" / name


def reason(error: OSError) -> str:
    """What the operating system said, without the path: of what others make of it (a database) that part."""
    said = error.strerror or one_line(str(error))
    return next((line for line in _NO_ROOM if line in said), said)


def failed(path: Path, error: OSError) -> UserError:
    """What the operating system said, with the path."""
    return UserError(f"{path}: {reason(error)}")


@contextmanager
def failing_as(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turns the operating system's errors into a UserError about this path, or about another file that they name.

    temporary: the name that the file at this path has while it is written.
    """
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else ""
        raise failed(path if named in ("", str(temporary)) else Path(named), error) from None


def check_utf8(path: Path, what: str) -> None:
    """UserError where the path of what a library writes by itself (a database) is none that it could open again."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: the path of a {what} must be UTF-8") from None


@contextmanager
def changing(root: Path, noun: str) -> Iterator[None]:
    """Around the writing of a directory's next generation: OSErrors about it, or about no file by name, are UserErrors
    about the directory."""
    try:
        yield
    except BrokenPipeError:  # of a terminal that has gone
        raise
    except OSError as error:
        if isinstance(error.filename, str) and not Path(error.filename).is_relative_to(root):
            raise
        kept = " and is as it was" if (root / "CURRENT").exists() else ""
        raise UserError(f"{root}: the {noun} was not written{kept}: {reason(error)}") from None


def suffix_of(path: Path) -> str:
    """The last suffix in small letters, before that of a compression: `.tsv` for world.TSV.gz; '' for none."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


# In


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


def chunks(path: Path) -> Iterator[bytes]:
    """The decompressed content, less a byte order mark; nothing of a file of none.

    UserError: not readable, damaged, not UTF-8 by its first bytes, or changed by the end.
    """
    before = check_regular(path)
    if path.suffix.lower() in COMPRESSIONS and not before[1]:
        raise _damage(path, EOFError())  # gzip takes no bytes at all for an empty file; the format has a header
    first = True
    with _opened(path, "rb") as stream:
        while True:
            try:
                chunk = stream.read(BLOCK)
            except _DAMAGED as error:
                raise _damage(path, error) from None
            if not chunk:
                break
            if first:
                _check_utf8_begins(path, chunk)
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                first = False
            if chunk:
                yield chunk
    if check_regular(path) != before:
        raise UserError(f"{path}: the file changed while it was read")


def _check_utf8_begins(path: Path, chunk: bytes) -> None:
    """UserError where the first bytes are those of UTF-16 or UTF-32, with a byte order mark or without."""
    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in chunk[:2]:
        raise UserError(f"{path}: the text is UTF-16 or UTF-32, by its first bytes: expected UTF-8")


def read_json(path: Path) -> Any:
    """The JSON value that a file of ours holds.

    UserError in one line that names the file where it cannot be read or is no JSON in UTF-8; where it holds NaN, an
    infinity or half of a surrogate pair, which no file of ours does; and where it is nested deeper than any of them.
    """
    try:
        with failing_as(path):
            text = path.read_bytes().decode()
        value = json.loads(text, parse_constant=_no_number)
        if text.count("[") + text.count("{") > _DEEPEST:
            _check_depth(value)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} is no JSON that can be read: {_reason(error)}") from None
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(value: Any) -> None:
    """RecursionError where it is nested too deep. O(size), without recursion."""
    level = [value]
    for _ in range(_DEEPEST):
        groups = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for group in groups for each in group if isinstance(each, list | dict)]
        if not level:
            return
    raise RecursionError


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"it is nested deeper than {_DEEPEST} levels"
    if isinstance(error, MemoryError):
        return "it is larger than the memory"
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a surrogate pair"
    return one_line(str(error))


def _opened(path: Path, mode: str) -> BufferedIOBase:
    """The file as it is decompressed, or compressed, in mode "rb" or "wb"."""
    with failing_as(path):
        stream: BufferedIOBase = COMPRESSIONS.get(path.suffix.lower(), open)(path, mode)
    return stream


def _damage(path: Path, error: Exception) -> UserError:
    suffix = path.suffix.lower()
    if suffix not in COMPRESSIONS and isinstance(error, OSError):
        return failed(path, error)
    if isinstance(error, EOFError):
        return UserError(f"{path}: the {suffix} file is cut short")
    return UserError(f"{path}: the {suffix} file is damaged, or no {suffix} file: {one_line(str(error))}")


# Out


@contextmanager
def replacing(path: Path) -> Iterator[BufferedIOBase]:
    """The bytes of a file to be, compressed as its suffix says: it appears whole, or not at all.

    Killed at any moment, or at a power cut, the path holds what it held before or all that was written. UserError where
    the file cannot be written.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: {'a directory' if path.is_dir() else 'a device'}: expected a file to write")
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # the same suffix, and the same file system
    try:
        with failing_as(path, temporary):
            stream: BufferedIOBase = COMPRESSIONS.get(path.suffix.lower(), open)(temporary, "wb")
            with stream:
                yield stream
            to_disk(temporary)
            temporary.replace(path)
            to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 by way of `replacing`."""
    with replacing(path) as stream:
        stream.write(text.encode())


def write_figure(path: Path, figure: Any) -> None:
    """A figure of matplotlib, as the suffix says, by way of `replacing`."""
    drawn = BytesIO()
    figure.savefig(drawn, format=path.suffix.removeprefix("."), dpi=120)
    with replacing(path) as stream:
        stream.write(drawn.getvalue())


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write each text and a newline, as UTF-8, by way of `replacing`; how many lines."""
    count = 0
    with replacing(path) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())
            count += 1
    return count


def remove(path: Path) -> None:
    """Remove a file, if it is there, and what writers of it that were killed left beside it."""
    path.unlink(missing_ok=True)
    for other in path.parent.iterdir():
        if is_unfinished(other, path.name):
            other.unlink(missing_ok=True)


def is_unfinished(path: Path, name: str) -> bool:
    """Whether `replacing` a file of this name makes such a file beside it."""
    return re.fullmatch(rf"\.\d+\.{re.escape(name)}", path.name) is not None


def to_disk(path: Path) -> None:
    """Wait until a file, or a directory's list of names, would outlast a power cut. About 3 ms."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: there fsync stops at the drive's cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
