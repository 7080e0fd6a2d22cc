"""A directory that changes by whole generations: stores and models are both kept in one.

    world.kg/
      CURRENT     one line: the name of the published generation, a relative name, so that a copied directory works
      LOCK        held with flock while a write lasts; it carries the writer's process id
      6/ 7/       generations; a published one is never written into again
      8.<x>.draft what a write has so far; a killed one leaves it behind and the next write removes it

A write fills a draft, fsyncs all of it, names it and replaces CURRENT. Killed at any moment, or at a power cut, the
directory therefore holds the old generation or the new one, whole. (A first write may be killed between the two: where
1 is the only generation, it is the published one without a CURRENT.) The two newest generations stay, more where the
writer keeps a history, and those that a `Reader` has open. What a draft takes over of the generation before it reads
first, and compares with the sha256 in that one's manifest: damage never gets a new sha256. Generations share files, as
hard links: a published file never changes.
"""

import fcntl
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from kg.errors import UserError
from kg.files import changing, check_utf8, is_unfinished, to_disk, write_lines
from kg.manifest import Draft, damages, made, own_bytes, read_manifest, size, strays
from kg.progress import SILENT, Progress

LEAST = 2  # generations that stay in any case: the published one, and a way back
ROOM = 64 << 20  # bytes that older ones may take together in any case


@final
class Reader:
    """The published generation, or the one of this number, kept from removal until close(), or until the process ends.

    UserError if `root` is no such directory. Later writes publish beside it and never touch it.
    """

    def __init__(self, root: Path, number: int | None = None, *, noun: str = "store") -> None:
        while True:
            self.path = current(root, noun=noun) if number is None else root / str(number)
            try:
                descriptor = _shared(self.path)
                break
            except (FileNotFoundError, BlockingIOError) as error:
                if number is not None:
                    raise UserError(f"{self.path} is not there any more, or is just being removed") from error
                # Two writes between reading CURRENT and opening what it names may have removed that.
                if current(root, noun=noun) == self.path:
                    line = f"{self.path}: CURRENT names this generation and it cannot be opened"
                    raise UserError(f"{line}{_advice(root)}") from error
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
        if is_begun(root):
            return root / "1"
        reason = f"it has no file CURRENT{_advice(root)}" if root.exists() else "there is no such directory"
        raise UserError(f"{root} is no {noun}: {reason}") from None
    except NotADirectoryError:
        raise UserError(f"{root} is no {noun}: it is a file, a {noun} is a directory") from None
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{root} is no {noun}: its file CURRENT cannot be read ({error}){_advice(root)}") from None
    if not _is_number(name):
        line = f"{root} is no {noun}: its file CURRENT should hold a number and holds {name[:40]!r}"
        raise UserError(f"{line}{_advice(root)}")
    return root / name


def number(generation: Path) -> int:
    """7 for world.kg/7."""
    return int(generation.name)


class Unchanged(Exception):
    """Raised within `write`: there is nothing to write, and no generation is."""


@contextmanager
def write(root: Path, *, noun: str = "store", keep: int = LEAST) -> Iterator[Draft]:
    """A draft of the next generation of `root`, published when the block ends well, removed when it raises; where that
    was Unchanged, the block is left in silence.

    keep: how many of the newest generations stay; beyond LEAST only as long as all older ones together take no more
    disk than the published one itself, or than ROOM. `root` is made if need be. One writer at a time: UserError "the
    store is in use by process N" otherwise, and if `root` is something else than a directory of generations.
    """
    check_root(root, noun=noun)
    with changing(root, noun), _locked(root, noun):
        previous = _there(root, noun) if is_begun(root) else None
        try:
            _sweep(root, previous, keep)
            draft = _begin(root, number(previous) + 1 if previous else 1, previous)
            try:
                yield draft
            finally:
                draft.drop_checks()
            _publish(root, draft)
        except Unchanged:
            pass
        finally:
            _sweep(root, previous, keep)


def drop(root: Path, keep: int, *, noun: str = "store") -> list[int]:
    """Removes all but so many of the newest generations, and returns their numbers: those that a reader has open stay.
    UserError if `root` is no directory of generations, or a write lasts."""
    if keep < 1:
        raise UserError(f"keep must be at least 1, the published generation: got {keep}", "keep")
    current(root, noun=noun)
    with changing(root, noun), _locked(root, noun):
        before, published = numbered(root), _there(root, noun)
        _sweep(root, published, keep)
        return [number(each) for each in before if not each.exists()]


def _there(root: Path, noun: str) -> Path:
    """The published generation, which is there: else a sweep would take all the others for outdated."""
    published = current(root, noun=noun)
    if not published.is_dir():
        raise UserError(f"{published}: CURRENT names this generation and it is not there{_advice(root)}")
    return published


def _begin(root: Path, number: int, previous: Path | None) -> Draft:
    # A worker that outlives its killed parent may go on writing for a moment: into a name nobody uses again.
    draft = Draft(root / f"{number}.{secrets.token_hex(4)}.draft", number, previous)
    draft.path.mkdir()
    return draft


def check_root(root: Path, *, noun: str = "store") -> None:
    """UserError unless a first generation can be written at `root`, or there are generations already."""
    check_utf8(root, noun)
    if not root.exists():
        parent = next(parent for parent in root.absolute().parents if parent.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UserError(f"{root}: no {noun} can be written there: {parent} is no directory we may write in")
        return
    if not root.is_dir():
        raise UserError(f"{root} is no {noun}: it is a file, a {noun} is a directory")
    strangers = [entry.name for entry in root.iterdir() if not _ours(entry)]
    if is_begun(root):
        return
    if strangers:
        raise UserError(f"{root} is no {noun}: it holds other files, such as {min(strangers)}")
    if numbered(root):  # a first one here would take their place
        raise UserError(f"{root} has lost its file CURRENT{_advice(root)}")


# What was damaged


@dataclass(frozen=True)
class Findings:
    """What a check found, a line each: what is not as it was written, and what lies there without being listed.

    generation: the published one, None where CURRENT names none. files, bytes: what its manifest lists, 0 where that
    cannot be read.
    """

    generation: Path | None
    files: int
    bytes: int
    damaged: list[str]
    strays: list[str]


def check(root: Path, *, noun: str = "store", progress: Progress = SILENT) -> Findings:
    """Reads every file of the published generation, and looks for files that do not belong there.

    UserError if `root` is no directory of generations.
    """
    try:
        with Reader(root, noun=noun) as reader:
            generation = reader.path
            files: dict[str, str] = read_manifest(generation)["files"]
            damaged, others = damages(generation, files, progress), strays(generation, files)
    except UserError as error:
        if not numbered(root):
            raise
        return Findings(_published(root), 0, 0, [str(error)], [])
    later = [each for each in numbered(root) if number(each) > number(generation)]
    said = "is newer than what CURRENT names: a write was killed at its end, or CURRENT is damaged"
    others += [f"{each} {said}" for each in later]
    return Findings(generation, len(files), sum(size(generation / name) for name in files), damaged, others)


@dataclass(frozen=True)
class Restored:
    """Which generation was published once more, and as which."""

    restored: int
    generation: int


def newest_whole(root: Path, *, progress: Progress = SILENT) -> Path | None:
    """The newest generation, all of whose files are as they were written, of those older than the published one; of all
    where CURRENT names none that is there."""
    published = _published(root)
    older = (each for each in numbered(root) if published is None or number(each) < number(published))
    return next((each for each in older if _damage(each, progress) is None), None)


def restore(root: Path, wanted: int | None = None, *, noun: str = "store", progress: Progress = SILENT) -> Restored:
    """Publishes a generation once more, under the next number: the one that is wanted, or newest_whole. Its files
    become hard links, and the manifest says which it was: `restored`.

    For it neither CURRENT nor the newest manifest need be readable. UserError: the one that is wanted is not there,
    is the published one or is damaged; or none was named, and the published one is whole or no other is.
    """
    there = numbered(root)
    if not there:
        raise UserError(f"{current(root, noun=noun)} is not there, and no other generation is")
    with changing(root, noun), _locked(root, noun):
        published = _published(root)
        source = root / str(wanted) if wanted is not None else newest_whole(root, progress=progress)
        if wanted is None and published and _damage(published, progress) is None:
            line = f"{published} is whole: name an older generation to go back to it"
            raise UserError(f"{line}{_list_of(there, number(published))}")
        if source is None:
            raise UserError(f"{root}: {'no older' if published else 'no'} generation is whole: nothing can be restored")
        if source not in there or source == published:
            state = "is the published generation" if source == published else "is not there"
            raise UserError(f"{source} {state}{_list_of(there, number(published) if published else None)}")
        draft = _begin(root, _following(root), source)
        try:
            draft.begin_checks()
            draft.end_checks()
            for name in draft.before["files"]:
                draft.carry(name)
            how = made("restore", [source.name])
            draft.finish({**draft.before, "restored": number(source), "made": how})
            _publish(root, draft)
        finally:
            shutil.rmtree(draft.path, ignore_errors=True)  # where it was not published
    return Restored(number(source), draft.number)


def _published(root: Path) -> Path | None:
    with suppress(UserError):
        return next((each for each in numbered(root) if each == current(root)), None)
    return None


def _following(root: Path) -> int:
    """A number that no generation had, nor CURRENT ever named."""
    numbers = [number(each) for each in numbered(root)]
    with suppress(UserError):
        numbers.append(number(current(root)))
    return max(numbers) + 1


def _damage(generation: Path, progress: Progress) -> str | None:
    """The first thing that is not as it was written."""
    try:
        files = read_manifest(generation)["files"]
    except UserError as error:
        return str(error)
    return next(iter(damages(generation, files, progress)), None)


def _list_of(generations: list[Path], published: int | None) -> str:
    others = ", ".join(each.name for each in generations if number(each) != published)
    return f"; there is {others}" if others else "; there is no other"


def _advice(root: Path) -> str:
    """What can be done where CURRENT is lost or damaged."""
    return f": kg restore {root} publishes the newest generation that is whole" if numbered(root) else ""


def is_begun(root: Path) -> bool:
    """Whether there is a published generation, or CURRENT says so."""
    return (root / "CURRENT").exists() or [each.name for each in numbered(root)] == ["1"]


def numbered(root: Path) -> list[Path]:
    """The generations that lie there, published or not, newest first."""
    if not root.is_dir():
        return []
    found = [entry for entry in root.iterdir() if _is_number(entry.name) and entry.is_dir()]
    return sorted(found, key=number, reverse=True)


def _is_number(name: str) -> bool:
    """Whether it is written as a generation's number is."""
    return re.fullmatch(r"[1-9][0-9]{0,17}", name) is not None


# One writer, and what it leaves


@contextmanager
def _locked(root: Path, noun: str) -> Iterator[None]:
    made = not root.exists()
    root.mkdir(parents=True, exist_ok=True)
    if made:
        to_disk(root.parent)
    path = root / "LOCK"
    descriptor = _lock(path, noun)
    try:
        yield
    finally:
        if is_begun(root):
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
                with suppress(OSError):  # on a full disk nobody is told who the holder is
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode()
            os.close(descriptor)
            raise UserError(f"the {noun} is in use by process {holder or '(starting)'}: {path.parent}") from None
        os.close(descriptor)


def _ours(entry: Path) -> bool:
    if entry.name in ("CURRENT", "LOCK") or _is_number(entry.name) or entry.suffix == ".draft":
        return True
    return is_unfinished(entry, "CURRENT")


def _publish(root: Path, draft: Draft) -> None:
    for directory, _, files in os.walk(draft.path):
        for path in (Path(directory) / name for name in files):
            if not draft.is_carried(path):  # those are on disk: 3 ms each, and they are many
                to_disk(path)
        to_disk(Path(directory))
    draft.path.rename(root / str(draft.number))
    to_disk(root)
    write_lines(root / "CURRENT", [str(draft.number)])  # the one moment at which old becomes new


def _sweep(root: Path, published: Path | None, keep: int) -> None:
    """Removes drafts, unpublished generations and those that do not stay, where no reader has them open. published:
    what is, where CURRENT does not say it."""
    if (root / "CURRENT").exists():
        published = current(root)
    staying = _staying(root, number(published), keep) if published else []
    for entry in root.iterdir():
        if is_unfinished(entry, "CURRENT"):
            entry.unlink()
        elif entry.suffix == ".draft":
            # Renamed first: what a dying worker still creates there fails, instead of racing with the removal.
            shutil.rmtree(entry.rename(entry.with_suffix(".gone.draft")))
        elif _is_number(entry.name) and entry not in staying:
            _remove_unless_read(entry)


def _staying(root: Path, newest: int, keep: int) -> list[Path]:
    """Those that stay of the generations, where `newest` is the published one."""
    there = [each for each in numbered(root) if number(each) <= newest][:keep]
    if len(there) <= LEAST:
        return there
    own = own_bytes(there)
    room = max(own[0], ROOM)
    return [each for place, each in enumerate(there) if place < LEAST or sum(own[1 : place + 1]) <= room]


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
