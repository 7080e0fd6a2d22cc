"""What people said of candidates: an append-only journal in the store's folder, beside its generations.

decisions.sqlite, in write-ahead mode and with synchronous=FULL: what `append` returned from is on disk. A decision
writes no generation of the store (kg.decisions.folding makes one of all); it has an id that the client gives, so that a
request that is sent again counts once. Nothing is ever changed or deleted: what is taken back is followed by a line
that says so.
"""

import os
import sqlite3
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, final, get_args
from urllib.parse import quote

from pyoxigraph import NamedNode

from kg.errors import UserError, check_choice, one_line

Verdict = Literal["accept", "reject", "unsure"]
Fact = tuple[str, str, str]

NAME = "decisions.sqlite"
FORMAT = 1
_KIND = 0x6B67646A  # application_id: "kgdj"
_LONGEST = 4000  # characters of a text that a person or a program gives
_WAIT_SECONDS = 30.0  # for another writer
_TABLE = """CREATE TABLE decision (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    batch TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'reject', 'unsure', 'undo')),
    subject TEXT, predicate TEXT, object TEXT,
    restriction INTEGER NOT NULL CHECK (restriction IN (0, 1)),
    person TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT, model_sha256 TEXT, probability REAL, evidence TEXT, note TEXT,
    CHECK ((verdict = 'undo') = (subject IS NULL) AND (subject IS NULL) = (predicate IS NULL)
        AND (subject IS NULL) = (object IS NULL))
) STRICT"""


@final
@dataclass(frozen=True)
class Decision:
    """What a person said of a fact.

    id: the client's, of this one statement. batch: the id of all that were made at once, which one undo takes back.
    restriction: the fact stands for an OWL restriction, subject rdfs:subClassOf [owl:onProperty predicate;
    owl:someValuesFrom object]. at: in UTC; None: now. model, model_sha256, probability, evidence: what was shown beside
    the fact. UserError for a blank node, which nobody could name again, and for texts that are none or are too long.
    """

    id: str
    subject: str
    predicate: str
    object: str
    verdict: Verdict
    person: str
    batch: str = ""
    restriction: bool = False
    at: datetime | None = None
    model: str | None = None
    model_sha256: str | None = None
    probability: float | None = None
    evidence: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        check_choice("verdict", self.verdict, get_args(Verdict))
        _check_texts(id=self.id, subject=self.subject, predicate=self.predicate, object=self.object, person=self.person)
        for name in ("batch", "model", "model_sha256", "evidence", "note"):
            if getattr(self, name):
                _check_texts(**{name: getattr(self, name)})
        if any(term.startswith("_:") for term in self.fact):
            raise UserError(f"{' '.join(self.fact)}: a blank node has no name that could be decided on later")
        try:
            [NamedNode(term) for term in self.fact]
        except ValueError as error:
            raise UserError(f"{one_line(' '.join(self.fact))} is no fact of RDF: {error}") from None
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise UserError(f"probability must be from 0 to 1: got {self.probability}", "probability")

    @property
    def fact(self) -> Fact:
        return self.subject, self.predicate, self.object

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"at": self.at and self.at.isoformat()}


@final
@dataclass(frozen=True)
class Undo:
    """A person takes back what they said in one batch."""

    id: str
    batch: str
    person: str
    at: datetime | None = None

    def __post_init__(self) -> None:
        _check_texts(id=self.id, batch=self.batch, person=self.person)


def _check_texts(**texts: str) -> None:
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{name}: expected a text, got {str(text)[:40]!r}", name)
        if len(text) > _LONGEST:
            raise UserError(f"{name} has {len(text):,} characters, and may have {_LONGEST:,}", name)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError(f"{name} holds half a character, which no file can hold", name) from None


@final
class Journal:
    """The journal of the store in this folder; where it has none, one without lines, made by the first append.

    Any number of readers and writers, in whatever process. UserError, here or later, where the file is damaged or is
    another program's.
    """

    def __init__(self, store: Path | str) -> None:
        self.path = Path(store) / NAME
        self._reading = threading.Lock()
        self._lines: list[tuple[int, Decision | Undo]] = []
        self._standing: dict[int, Decision] = {}
        self._by_batch: dict[tuple[str, str], list[int]] = defaultdict(list)

    def append(self, decisions: Sequence[Decision]) -> int:
        """Write these, all or none; how many are new. UserError where one has the id of another."""
        now = datetime.now(UTC)
        rows = [{**vars(each), "batch": each.batch or each.id, "at": _text(each.at or now)} for each in decisions]
        with self._writing() as journal:
            return self._written(journal, rows)

    def undo(self, undo: Undo) -> list[Decision]:
        """Take back what the person said in a batch: these decisions, none where this very undo is there already.
        Of several undos at once one takes it. UserError where the person has no such batch, or took it back before."""
        row: dict[str, Any] = {"id": undo.id, "batch": undo.batch, "verdict": "undo", "person": undo.person}
        row |= {"at": _text(undo.at or datetime.now(UTC)), "restriction": 0}
        with self._writing() as journal:  # as nobody else may write, what is read stands until the line is there
            with self._reading:
                self._read(journal)
                standing = [self._standing[each] for each in self._by_batch.get((undo.batch, undo.person), ())]
                is_there = any(line == replace(undo, at=line.at) for _, line in self._lines if isinstance(line, Undo))
            if not standing and not is_there:
                raise UserError(f"{undo.person} has nothing to take back of {undo.batch}", "batch")
            return standing if self._written(journal, [dict.fromkeys(_COLUMNS) | row]) else []

    def decisions(self) -> list[Decision]:
        """Those that stand, oldest first: what was taken back is as if it had not been said. What this object has read
        before is not read again."""
        with self._reading:
            self._read()
            return list(self._standing.values())

    def lines(self, after: int = 0) -> list[tuple[int, Decision | Undo]]:
        """What was written after the line of this number, with its own, in order; read once, as `decisions` are."""
        with self._reading:
            self._read()
            return self._lines[bisect_right(self._lines, after, key=itemgetter(0)) :]

    @property
    def number(self) -> int:
        """That of the last line; 0 where there is none. What was read up to it has not changed since."""
        with self._reading:
            self._read()
            return self._read_to

    @property
    def _read_to(self) -> int:
        return self._lines[-1][0] if self._lines else 0

    def _read(self, journal: sqlite3.Connection | None = None) -> None:
        """What was written since. The caller holds _reading."""
        if journal is None:
            if self.path.exists():
                with self._opened() as opened:
                    self._read(opened)
            return
        if self._is_empty(journal):
            return
        query = f"SELECT number, {', '.join(_COLUMNS)} FROM decision WHERE number > ? ORDER BY number"
        for number, *values in journal.execute(query, (self._read_to,)).fetchall():
            line = self._line(dict(zip(_COLUMNS, values, strict=True)))
            if isinstance(line, Decision):
                self._standing[number] = line
                self._by_batch[line.batch, line.person].append(number)
            else:
                for at in self._by_batch.pop((line.batch, line.person), ()):
                    del self._standing[at]
            self._lines.append((number, line))

    def _line(self, row: dict[str, Any]) -> Decision | Undo:
        try:
            at = datetime.fromisoformat(row["at"])
            if row["verdict"] == "undo":
                return Undo(row["id"], row["batch"], row["person"], at)
            return Decision(**{**row, "restriction": bool(row["restriction"]), "at": at})
        except (ValueError, TypeError, UserError) as error:
            raise UserError(f"{self.path}: a line is none of a journal: {one_line(str(error))}") from None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is written in it, or nothing. Nobody else writes meanwhile."""
        with self._opened(write=True) as journal, journal:
            journal.execute("BEGIN IMMEDIATE")
            yield journal

    def _written(self, journal: sqlite3.Connection, rows: list[dict[str, Any]]) -> int:
        """How many of these were new. UserError where one has the id of another."""
        places = ", ".join(f":{name}" for name in _COLUMNS)
        insert = f"INSERT INTO decision ({', '.join(_COLUMNS)}) VALUES ({places}) ON CONFLICT (id) DO NOTHING"
        count = 0
        for row in rows:
            new = journal.execute(insert, row).rowcount
            count += new
            if not new and not self._is_same(journal, row):
                raise UserError(f"the id {row['id']} is that of another decision", "id")
        return count

    def _is_same(self, journal: sqlite3.Connection, row: dict[str, Any]) -> bool:
        """Whether the line of this id says the same; when, and what was shown, does not matter."""
        wanted = ("batch", "verdict", "subject", "predicate", "object", "person")
        there = journal.execute(f"SELECT {', '.join(wanted)} FROM decision WHERE id = ?", (row["id"],)).fetchone()
        return bool(there == tuple(row[name] for name in wanted))

    @contextmanager
    def _opened(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        if write and not self.path.parent.is_dir():
            raise UserError(f"{self.path.parent} is no store: there is no such directory")
        place = f"file:{quote(str(self.path.absolute()))}"
        if not write and not os.access(self.path.parent, os.W_OK):  # nobody here can write: what is there stays
            place += "?mode=ro&immutable=1"
        try:
            with closing(sqlite3.connect(place, timeout=_WAIT_SECONDS, isolation_level=None, uri=True)) as journal:
                journal.execute("PRAGMA trusted_schema = OFF")
                if write:
                    self._make(journal)
                    journal.execute("PRAGMA synchronous = FULL")
                else:
                    self._check(journal)
                yield journal
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: the journal of decisions cannot be used: {one_line(str(error))}") from None

    def _make(self, journal: sqlite3.Connection) -> None:
        """A new file becomes a journal; another is checked."""
        if self._is_empty(journal):
            journal.execute("PRAGMA journal_mode = WAL")
            journal.execute("BEGIN IMMEDIATE")
            if self._is_empty(journal):  # another may have made it meanwhile
                journal.execute(_TABLE)
                journal.execute(f"PRAGMA application_id = {_KIND}")
                journal.execute(f"PRAGMA user_version = {FORMAT}")
            journal.execute("COMMIT")
        self._check(journal)

    def _check(self, journal: sqlite3.Connection) -> None:
        """UserError where it is of another kind or format. One that is just being made has no lines."""
        if self._kind(journal) != (_KIND, FORMAT) and not self._is_empty(journal):
            raise UserError(f"{self.path} is no journal of decisions that this version reads")

    def _is_empty(self, journal: sqlite3.Connection) -> bool:
        there = journal.execute("SELECT 1 FROM sqlite_schema").fetchone()
        return there is None and self._kind(journal) == (0, 0)

    @staticmethod
    def _kind(journal: sqlite3.Connection) -> tuple[int, int]:
        kind, version = (journal.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        return kind, version


_COLUMNS = (
    *("id", "batch", "verdict", "subject", "predicate", "object", "restriction", "person", "at"),
    *("model", "model_sha256", "probability", "evidence", "note"),
)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
