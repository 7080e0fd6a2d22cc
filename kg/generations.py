"""A directory that changes by whole generations: stores and models are both kept in one.

    world.kg/
      CURRENT     one line: the name of the published generation, a relative name, so that a copied directory works
      LOCK        held with flock while a write lasts; it carries the writer's process id
      6/ 7/       generations; a published one is never written into again
      8.<x>.draft what a write has so far; a killed one leaves it behind and the next write removes it

A write fills a draft, fsyncs all of it, names it and replaces CURRENT. Killed at any moment, or at a power cut, the
directory therefore holds the old generation or the new one, whole. The two newest generations stay, and those that a
`Reader` has open.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from kg.errors import UserError
from kg.files import is_unfinished, read_json, to_disk, write_lines

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Draft:
    """The next generation while it is written: `path` is a fresh directory, `previous` the published generation."""

    path: Path
    number: int
    previous: Path | None


@final
class Reader:
    """The published generation, kept from removal until close(), or until the process ends.

    UserError if `root` is no such directory. Later writes publish beside it and never touch it.
    """

    def __init__(self, root: Path, *, noun: str = "store") -> None:
        while True:
            self.path = current(root, noun=noun)
            try:
                descriptor = _shared(self.path)
                break
            except (FileNotFoundError, BlockingIOError) as error:
                # Two writes between reading CURRENT and opening what it names may have removed that.
                if current(root, noun=noun) == self.path:
                    raise UserError(f"{self.path}: CURRENT names this generation and it cannot be opened") from error
        self._finalizer = weakref.finalize(self, os.close, descriptor)

    def close(self) -> None:
        self._finalizer()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def current(root: Path, *, noun: str = "store") -> Path:
    """The published generation's directory. UserError if `root` holds none."""
    try:
        name = (root / "CURRENT").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        reason = "there is no such directory" if not root.exists() else "it has no file CURRENT"
        raise UserError(f"{root} is no {noun}: {reason}") from None
    except NotADirectoryError:
        raise UserError(f"{root} is no {noun}: it is a file, a {noun} is a directory") from None
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{root} is no {noun}: its file CURRENT cannot be read ({error})") from None
    if not name.isdecimal():
        raise UserError(f"{root} is no {noun}: its file CURRENT should hold a number and holds {name[:40]!r}")
    return root / name


def number(generation: Path) -> int:
    """7 for world.kg/7."""
    return int(generation.name)


@contextmanager
def write(root: Path, *, noun: str = "store") -> Iterator[Draft]:
    """A draft of the next generation of `root`, published when the block ends well, removed when it raises.

    `root` is made if need be. One writer at a time: UserError "the store is in use by process N" otherwise, and if
    `root` is something else than a directory of generations.
    """
    with _locked(root, noun):
        try:
            _sweep(root)
            previous = current(root, noun=noun) if (root / "CURRENT").exists() else None
            following = number(previous) + 1 if previous else 1
            # A worker that outlives its killed parent may go on writing for a moment: into a name nobody uses again.
            draft = Draft(root / f"{following}.{secrets.token_hex(4)}.draft", following, previous)
            draft.path.mkdir()
            yield draft
            _publish(root, draft)
        finally:
            _sweep(root)


def check_root(root: Path, *, noun: str = "store") -> None:
    """UserError unless a first generation can be written at `root`, or there are generations already."""
    if not root.exists():
        parent = next(parent for parent in root.absolute().parents if parent.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(f"{root}: no {noun} can be written there: {parent} is no directory we may write in")
        return
    if not root.is_dir():
        raise UserError(f"{root} is no {noun}: it is a file, a {noun} is a directory")
    strangers = [entry.name for entry in root.iterdir() if not _ours(entry)]
    if strangers and not (root / "CURRENT").exists():
        raise UserError(f"{root} is no {noun}: it holds other files, such as {min(strangers)}")


def carry(source: Path, target: Path) -> None:
    """The same file in a new generation, as a hard link: published files never change."""
    os.link(source, target)


def write_manifest(directory: Path, contents: dict[str, Any], *, previous: Path | None = None) -> dict[str, Any]:
    """Writes and returns `contents` with `files`: the sha256 of every file of the directory, by relative name.

    The manifest carries a sha256 of itself, too.
    A file that `previous` has too (a hard link) is not read again.
    """
    before = read_manifest(previous)["files"] if previous else {}
    files = {}
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = path.relative_to(directory).as_posix()
        files[name] = before[name] if name in before and _is_carried(path, directory, previous) else sha256(path)
    manifest = {**contents, "files": files}
    (directory / MANIFEST).write_text(_manifest_text(manifest), encoding="utf-8")
    return manifest


def manifest_sha256(manifest: dict[str, Any]) -> str:
    """The sha256 that a manifest carries of itself: since it lists those of all files, it stands for the generation."""
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def _manifest_text(manifest: dict[str, Any]) -> str:
    return _text({**manifest, "sha256": manifest_sha256(manifest)})


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a generation. UserError if it is missing or damaged."""
    path = directory / MANIFEST
    manifest = read_json(path)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise UserError(f"{path} is no manifest: it lists no files")
    manifest.pop("sha256", None)
    if path.read_bytes() != _manifest_text(manifest).encode():
        raise UserError(f"{path} is damaged: its sha256 is not the one it carries")
    return manifest


def verify(directory: Path, *, under: str = "") -> None:
    """Reads every file the manifest lists, or those whose name begins with `under`.

    UserError naming the first that is missing or whose bytes are not those that were written.
    """
    for name, digest in read_manifest(directory)["files"].items():
        if not name.startswith(under):
            continue
        path = directory / name
        if not path.is_file():
            raise UserError(f"{path} is missing: the manifest lists it")
        if sha256(path) != digest:
            raise UserError(f"{path} is damaged: its sha256 is not the one in the manifest")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(root: Path, noun: str) -> Iterator[None]:
    check_root(root, noun=noun)
    made = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    if made:
        to_disk(root.parent)
    path = root / "LOCK"
    descriptor = _lock(path, noun)
    try:
        yield
    finally:
        if (root / "CURRENT").exists():
            os.ftruncate(descriptor, 0)
        else:  # a first write that failed leaves nothing behind
            path.unlink()
            if made:
                with suppress(OSError):  # not empty: another writer is beginning here
                    root.rmdir()
        os.close(descriptor)


def _lock(path: Path, noun: str) -> int:
    """The open, locked lock file. The kernel lets go of it when its holder dies, so a stale one never blocks."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A failed first write removes the lock file: then this is a lock on nothing.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(descriptor)):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode()
            os.close(descriptor)
            raise UserError(f"the {noun} is in use by process {holder or '(starting)'}: {path.parent}") from None
        os.close(descriptor)


def _ours(entry: Path) -> bool:
    if entry.name in ("CURRENT", "LOCK") or entry.name.isdecimal() or entry.suffix == ".draft":
        return True
    return is_unfinished(entry, "CURRENT")


def _is_carried(path: Path, directory: Path, previous: Path | None) -> bool:
    """Whether a file of the directory is the one of the generation before, under another name."""
    if previous is None:
        return False
    twin = previous / path.relative_to(directory)
    return twin.exists() and path.samefile(twin)


def _publish(root: Path, draft: Draft) -> None:
    for directory, _, files in os.walk(draft.path):
        for path in (Path(directory) / name for name in files):
            if not _is_carried(path, draft.path, draft.previous):  # those are on disk: 3 ms each, and they are many
                to_disk(path)
        to_disk(Path(directory))
    draft.path.rename(root / str(draft.number))
    to_disk(root)
    write_lines(root / "CURRENT", [str(draft.number)])  # the one moment at which old becomes new


def _sweep(root: Path) -> None:
    """Removes drafts, unpublished generations and all but the last two, where no reader has them open."""
    newest = number(current(root)) if (root / "CURRENT").exists() else 0
    for entry in root.iterdir():
        if is_unfinished(entry, "CURRENT"):
            entry.unlink()
        elif entry.suffix == ".draft":
            # Renamed first: what a dying worker still creates there fails, instead of racing with the removal.
            shutil.rmtree(entry.rename(entry.with_suffix(".gone.draft")))
        elif entry.name.isdecimal() and int(entry.name) not in (newest - 1, newest):
            _remove_unless_read(entry)


def _remove_unless_read(generation: Path) -> None:
    descriptor = os.open(generation, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(generation)
    except BlockingIOError:
        pass  # the next write after its readers have gone removes it
    finally:
        os.close(descriptor)


def _shared(generation: Path) -> int:
    """The open directory, under a shared lock that keeps `_sweep` away. FileNotFoundError if it is going already."""
    descriptor = os.open(generation, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not os.path.samestat(generation.stat(), os.fstat(descriptor)):
            raise FileNotFoundError(generation)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
