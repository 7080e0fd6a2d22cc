"""The generations that a store keeps: what made each of them, and in which facts two of them differ."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

from pyoxigraph import RdfFormat, parse

from kg import generations
from kg.errors import UserError
from kg.manifest import own_bytes
from kg.progress import SILENT, Progress
from kg.store.comparison import Held, Lines, each_line
from kg.store.draft import read_manifest
from kg.store.store import Store
from kg.store.writing import write

FIRST = 10  # facts that are shown of a difference


@dataclass(frozen=True)
class Generation:
    """One state of a store. bytes: what it takes on disk beside all newer ones, whose files it shares.

    at (in UTC, ISO 8601), by (load, remove, replace, add, decisions, publish, retract or restore), of (files, graphs or
    a generation; the first ones, and how many others), added, removed: None, or of none, where it was written by kg 0.3
    or older, or the writer did not count. damaged: why its manifest cannot be read; then nothing else is known.
    """

    number: int
    published: bool
    bytes: int
    facts: int | None = None
    at: str | None = None
    by: str | None = None
    of: tuple[str, ...] = ()
    others: int = 0
    added: int | None = None
    removed: int | None = None
    damaged: str | None = None


def history(path: Path) -> list[Generation]:
    """The generations that are kept, newest first. UserError if there is no store."""
    published = generations.current(path)
    there = [each for each in generations.numbered(path) if generations.number(each) <= generations.number(published)]
    found = zip(there, own_bytes(there), strict=True)
    return [_generation(each, size, published=each == published) for each, size in found if each.is_dir()]


def _generation(directory: Path, size: int, *, published: bool) -> Generation:
    number = generations.number(directory)
    try:
        manifest = read_manifest(directory)
    except UserError as error:
        return Generation(number, published, size, damaged=str(error))
    made = manifest.get("made")
    return Generation(number, published, size, manifest["facts"], **(_record(made) if isinstance(made, dict) else {}))


def _record(made: dict[str, Any]) -> dict[str, Any]:
    """What is of the type that it has to be: others may write manifests, too."""
    kinds = {"at": str, "by": str, "others": int, "added": int, "removed": int}
    found = {name: made[name] for name, kind in kinds.items() if type(made.get(name)) is kind}
    of = made.get("of")
    return found | {"of": tuple(map(str, of)) if isinstance(of, list) else ()}


@dataclass(frozen=True)
class Compared:
    """In which facts two generations of a store differ: how many came, went and stayed from the old to the new one, and
    the first FIRST of those that came and that went, as lines of N-Quads."""

    old: int
    new: int
    added: int
    removed: int
    unchanged: int
    first_added: list[str]
    first_removed: list[str]


def compare(
    path: Path,
    old: int,
    new: int | None = None,
    *,
    added: Path | None = None,
    removed: Path | None = None,
    progress: Progress = SILENT,
) -> Compared:
    """The difference between two generations of a store, new: the published one unless it is named; in time that goes
    with the number of all facts, if any file of the database differs.

    added, removed: files that take the facts that came, and those that went, in any syntax that Store.dump writes.
    UserError where a generation is not kept any more, or a file cannot be written.
    """
    with ExitStack() as stack:
        before = stack.enter_context(Store(path, generation=old))
        after = stack.enter_context(Store(path, generation=new))
        came, went = stack.enter_context(_Lines()), stack.enter_context(_Lines())
        unchanged = before.count()
        if _database(before) != _database(after):
            total = before.count() + after.count()
            text = stack.enter_context(tempfile.TemporaryFile())
            held = Held(before.database, None, text, _told(progress, 0, total))

            def take(lines: Lines) -> None:
                came.take([line for line, seen in zip(lines, held.see(lines), strict=True) if not seen])

            each_line(after.database, None, take, _told(progress, before.count(), total))
            for lines in held.each_unseen():
                went.take(lines)
            unchanged = held.num_seen
        for found, file in ((came, added), (went, removed)):
            if file is not None:
                found.write(file, after.prefixes)
        return Compared(before.generation, after.generation, came.count, went.count, unchanged, came.first, went.first)


def _database(store: Store) -> dict[str, str]:
    """The files of the database, and their sha256."""
    return {name: sha256 for name, sha256 in store.manifest["files"].items() if name.startswith("rdf/")}


def _told(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    return lambda count: progress.at("facts compared", before + count, total)


@final
class _Lines:
    """Lines of N-Quads, on disk: they may be as many as the facts of a store."""

    def __init__(self) -> None:
        self.count, self.first = 0, list[str]()
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__

    def take(self, lines: Lines) -> None:
        self.count += len(lines)
        self.first += [line.decode() for line in lines[: FIRST - len(self.first)]]
        self._file.writelines(line + b"\n" for line in lines)

    def write(self, out: Path, prefixes: dict[str, str]) -> None:
        self._file.seek(0)
        write(parse(self._file, RdfFormat.N_QUADS, lenient=True), out, prefixes=prefixes)

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
