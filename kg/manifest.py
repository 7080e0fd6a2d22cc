"""What a generation consists of: its manifest lists every file with its sha256, and carries one of itself.

A file that a draft takes over of the generation before is read first, and compared: damage never gets a new sha256.
Who only reads a file compares its CRC-32, at a sixth of the cost: it tells each flipped bit and each stretch that was
overwritten, and misses one change in four billion of other kinds. kg verify compares the sha256.
"""

import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, final

from kg.errors import UserError
from kg.files import read_json
from kg.progress import SILENT, Progress

MANIFEST = "manifest.json"
MOST_NAMED = 20
THREADS = 2  # that read and hash files, both of which need no lock of the interpreter's
_BLOCK = 1 << 22  # bytes hashed at once: after each the thread waits for its turn among those that run Python


@final
class Draft:
    """The next generation while it is written: `path` is a fresh directory, `previous` the published generation.

    before: the manifest of that one, or {} where there is none. What is taken over of it is read first: UserError where
    its sha256 is not the one in its manifest.
    """

    def __init__(self, path: Path, number: int, previous: Path | None) -> None:
        self.path, self.number, self.previous = path, number, previous
        self.before: dict[str, Any] = read_manifest(previous) if previous else {}
        self._files: dict[str, str] = self.before.get("files", {})
        self._whole: set[str] = set()
        self._checks: list[Future[None]] = []

    def begin_checks(self) -> None:
        """Checks all files of the generation before, beside what else is done: `end_checks` waits for it."""
        threads = ThreadPoolExecutor(THREADS)
        self._checks = [threads.submit(self._check, name) for name in self._files]
        threads.shutdown(wait=False)

    def end_checks(self) -> None:
        """UserError where a file is not as it was written."""
        try:
            for check in self._checks:
                check.result()
        finally:
            self.drop_checks()

    def drop_checks(self) -> None:
        for check in self._checks:
            check.cancel()

    def _check(self, name: str) -> None:
        assert self.previous, "there is no generation before"
        if name not in self._whole:
            listed = name in self._files
            line = damage(self.previous, name, self._files[name]) if listed else f"{self.previous} has no file {name}"
            if line:
                root = self.previous.parent
                raise UserError(f"{line}; nothing was written (kg verify {root} tells what else, and what to do)")
            self._whole.add(name)

    def carry(self, name: str) -> None:
        """The same file in this generation, as a hard link. UserError where it is not as it was written."""
        self._check(name)
        assert self.previous
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(self.previous / name, self.path / name)

    def finish(self, contents: dict[str, Any]) -> dict[str, Any]:
        """Writes and returns the manifest. What is a hard link of a file of the generation before is checked by now."""
        carried = [name for name in self._files if self.is_carried(self.path / name)]
        for name in carried:
            self._check(name)
        crcs = self.before.get("crc32", {})
        known = {name: (self._files[name], crcs.get(name)) for name in carried}
        return write_manifest(self.path, contents, known)

    def is_carried(self, path: Path) -> bool:
        """Whether a file of this generation is one of the generation before, under another name."""
        if self.previous is None:
            return False
        twin = self.previous / path.relative_to(self.path)
        return twin.exists() and path.exists() and path.samefile(twin)


def write_manifest(
    directory: Path, contents: dict[str, Any], known: Mapping[str, tuple[str, str | None]] | None = None
) -> dict[str, Any]:
    """Writes and returns `contents` with `files` and `crc32`: the sha256 and the CRC-32 of every file of the directory,
    by relative name.

    known: of files that were read and found to have this sha256 already, which are not read again. A CRC-32 of None:
    the generation before was written by kg 0.3 or older, and says none.
    """
    files, crcs = {}, {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        files[name], crc = known[name] if known and name in known else checksums(path)
        if crc is not None:
            crcs[name] = crc
    manifest = {**contents, "files": files, "crc32": crcs}
    (directory / MANIFEST).write_text(_manifest_text(manifest), encoding="utf-8")
    return manifest


def made(by: str, of: Sequence[str] = (), **counts: int) -> dict[str, Any]:
    """What the manifest of a store says of how the generation came about, as `made`: when, in UTC, by what, and of
    which files, graphs or generations: the first MOST_NAMED, and how many others; with these counts."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"at": at, "by": by, "of": list(of[:MOST_NAMED]), "others": len(of[MOST_NAMED:]), **counts}


def own_bytes(generations: Sequence[Path]) -> list[int]:
    """What each of the generations, newest first, takes on disk beside those before it in the list: they share files,
    as hard links."""
    seen: set[tuple[int, int]] = set()
    found = []
    for generation in generations:
        fresh = {}
        for path in generation.rglob("*"):
            with suppress(FileNotFoundError):  # a write may just be removing this generation
                state = path.lstat()
                if stat.S_ISREG(state.st_mode):
                    fresh[state.st_dev, state.st_ino] = state.st_size
        found.append(sum(size for file, size in fresh.items() if file not in seen))
        seen.update(fresh)
    return found


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a generation. UserError if it is missing or damaged, or lists what is no file in there."""
    path = directory / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise UserError(f"{path} is no manifest: it lists no files")
    for name, digest in manifest["files"].items():
        if not _inside(name) or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise UserError(f"{path} is no manifest: expected files in its folder, each with its sha256")
    crcs = manifest.get("crc32", {})
    if not isinstance(crcs, dict) or not all(
        name in manifest["files"] and isinstance(crc, str) and re.fullmatch("[0-9a-f]{8}", crc)
        for name, crc in crcs.items()
    ):
        raise UserError(f"{path} is no manifest: expected the CRC-32 of files that it lists")
    manifest.pop("sha256", None)
    if path.read_bytes() != _manifest_text(manifest).encode():
        raise UserError(f"{path} is damaged: its sha256 is not the one it carries")
    return manifest


def manifest_sha256(manifest: dict[str, Any]) -> str:
    """The sha256 that a manifest carries of itself: since it lists those of all files, it stands for the generation."""
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def damage(directory: Path, name: str, digest: str, crc: str | None = None) -> str | None:
    """What is wrong with a file that the manifest lists, in one line that names it; None: it is as it was written.

    digest: its sha256, which is not looked at where its CRC-32 is given.
    """
    path = directory / name
    try:
        if not path.is_file():
            return f"{path} is missing: the manifest lists it"
        if crc is not None and crc32(path) != crc:
            return f"{path} is damaged: its CRC-32 is not the one in the manifest"
        if crc is None and sha256(path) != digest:
            return f"{path} is damaged: its sha256 is not the one in the manifest"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def damages(directory: Path, files: Mapping[str, str], progress: Progress = SILENT) -> list[str]:
    """`damage` of every file, by name. progress is told how many bytes have been read, in MB."""
    sizes = {name: size(directory / name) for name in files}
    total, read, found = sum(sizes.values()), 0, []
    with ThreadPoolExecutor(THREADS) as threads:
        for name, line in zip(files, threads.map(lambda each: damage(directory, *each), files.items()), strict=True):
            read += sizes[name]
            progress.at("MB read", read >> 20, total >> 20)
            found.extend([line] if line else [])
    return found


def strays(directory: Path, files: Iterable[str]) -> list[str]:
    """A line for each file in there that the manifest does not list: nothing reads it."""
    listed = {*files, MANIFEST}
    others = (path for path in sorted(directory.rglob("*")) if path.is_symlink() or not path.is_dir())
    return [
        f"{path} is a stray: the manifest does not list it, and nothing reads it"
        for path in others
        if path.relative_to(directory).as_posix() not in listed
    ]


def first_damage(directory: Path, manifest: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """`damage` of the first of these files of which there is any, for who is about to read them: by their CRC-32, where
    the manifest says it."""
    files, crcs = manifest["files"], manifest.get("crc32", {})
    lines = (damage(directory, name, files[name], crcs.get(name)) for name in names)
    return next((line for line in lines if line), None)


def verify(directory: Path, *, under: str = "") -> None:
    """Reads every file the manifest lists, or those whose name begins with `under`.

    UserError naming the first that is missing or whose bytes are not those that were written.
    """
    for name, digest in read_manifest(directory)["files"].items():
        line = damage(directory, name, digest) if name.startswith(under) else None
        if line:
            raise UserError(line)


def sha256(path: Path) -> str:
    return checksums(path)[0]


def checksums(path: Path) -> tuple[str, str]:
    """The sha256 and the CRC-32 of a file, of one reading."""
    digest, crc = hashlib.sha256(), 0
    for block in _blocks(path):
        digest.update(block)
        crc = zlib.crc32(block, crc)
    return digest.hexdigest(), f"{crc:08x}"


def crc32(path: Path) -> str:
    crc = 0
    for block in _blocks(path):
        crc = zlib.crc32(block, crc)
    return f"{crc:08x}"


def _blocks(path: Path) -> Iterator[memoryview]:
    """The file, a block at a time: each is gone when the next one is asked for."""
    block = memoryview(bytearray(min(_BLOCK, size(path) + 1)))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(block):
            yield block[:count]


def size(path: Path) -> int:
    """In bytes; 0 where there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _inside(name: str) -> bool:
    """Whether a name of a manifest is that of a file in its folder, spelt in the one way that it is written in."""
    path = PurePosixPath(name)
    return (
        path.as_posix() == name
        and not path.is_absolute()
        and path.parts != ()
        and not {"..", "\0"} & {*path.parts, *name}
    )


def _manifest_text(manifest: dict[str, Any]) -> str:
    return _text({**manifest, "sha256": manifest_sha256(manifest)})


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
