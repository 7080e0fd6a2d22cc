"""The facts between entities as integers, and the terms behind the integers, in files that are only ever added.

    facts/+3.npy   the facts that generation 3 added: int64 rows of subject, predicate, object, graph
    facts/-5.npy   the facts that generation 5 removed
    terms/3.txt    the terms that generation 3 added, one a line; a term's id is its line number over all files
    labels/3.txt   the terms that generation 3 gave a label or took one from, or tried to, one a line

An id is never reused and never changes. A term is an IRI without its brackets, or `_:label` for a blank node. Facts
whose object is a literal or a triple term have no row: they live in the database only. A generation may have both
files: it removed first, then added. Labels have a file for each of the last generations, but for one that changed more
of them than are worth a list.
"""

import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Triple

from kg.errors import UserError
from kg.files import failing_as
from kg.manifest import Draft
from kg.namespaces import APART
from kg.store.labels import PREDICATES

DEFAULT_GRAPH = -1  # in a row's fourth column, where other graphs have the id of their name
MERGE_ABOVE = 16  # files of a kind: more cost an open each, and one merge is a copy of the lot
MOST_LABELS = 10_000  # of a generation that are listed
MAX_TERMS = 2**31  # two ids share one 64-bit sorting key

Rows = npt.NDArray[np.int64]  # (F, 4): subject, predicate, object, graph
Mask = npt.NDArray[np.bool_]  # (F,)

PARTS = ("facts/", "terms/", "labels/")  # which files of a generation are ours
_NAME = re.compile(r"facts/(?P<sign>[+-])([0-9]{1,18})\.npy|(?:terms|labels)/([0-9]{1,18})\.txt")
_HEADER = re.compile(  # of NumPy's format 1.0, as numpy.save writes it for what is kept here
    rb"\x93NUMPY\x01\x00(..)\{'descr': '<i8', 'fortran_order': False, 'shape': \(([0-9]{1,18}), 4\), \} *\n", re.DOTALL
)
_LABELLING = frozenset(PREDICATES)
_APART = tuple(map(NamedNode, APART))  # whose labels are nobody's


@dataclass(frozen=True)
class Mark:
    """How far a reader has read a store: the generation, its manifest's sha256, and those of its facts and terms."""

    generation: int
    sha256: str
    files: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Difference:
    """What came to a store's facts between entities since a Mark, and what went, as rows of ids; none stands twice.

    terms: those of the ids that follow on the ids of then. labelled: terms whose labels may have changed; None: any.
    """

    added: Rows
    removed: Rows
    terms: list[str]
    labelled: frozenset[str] | None


@final
class Facts:
    """What one generation holds. The files are mapped when it is made, so that it outlives their removal.

    files: those that the manifest lists, by name; nothing else in the directory is looked at. UserError, here or where
    they are read, for a file that is missing or is not what one of this name has to be. That its bytes are those which
    were written, the caller sees to.
    """

    def __init__(self, directory: Path | None, files: Iterable[str] = ()) -> None:
        self._directory = directory or Path()
        names = sorted((name for name in files if name.startswith(PARTS)), key=self._when)
        self._mapped = {name: _mapped(self._directory / name) for name in names}

    def names(self, part: str) -> list[str]:
        """The files of a part, `facts/`, `terms/` or `labels/`, oldest generation first."""
        return [name for name in self._mapped if name.startswith(part)]

    def rows(self) -> Rows:
        """(F, 4): every fact that was added and not removed since, once, oldest first."""
        signed = [(_sign(name), self._rows(name)) for name in self.names("facts/")]
        added = [rows for sign, rows in signed if sign == "+"]
        removed = [rows for sign, rows in signed if sign == "-"]
        if not added:
            return np.empty((0, 4), np.int64)
        rows = np.concatenate(added)
        return _without(rows, np.concatenate(removed)) if removed else rows

    def terms(self) -> list[str]:
        """id -> term."""
        return [term for name in self.names("terms/") for term in self._lines(name)]

    @cached_property
    def num_terms(self) -> int:
        return sum(int(np.count_nonzero(self._mapped[name] == ord("\n"))) for name in self.names("terms/"))

    def since(self, seen: Collection[str]) -> tuple[Rows, Rows, list[str]]:
        """(added, removed, terms): what all files but those seen, `facts/+3.npy` or `terms/3.txt`, come to. None of
        those seen may be missing here. O(their rows)."""
        fresh = [name for name in self._mapped if name not in seen]
        changes = [(_sign(name) == "+", self._rows(name)) for name in fresh if name.startswith("facts/")]
        terms = [term for name in fresh if name.startswith("terms/") for term in self._lines(name)]
        if not changes:
            return np.empty((0, 4), np.int64), np.empty((0, 4), np.int64), terms
        rows = np.concatenate([rows for _, rows in changes])
        adds = np.concatenate([np.full(len(rows), added) for added, rows in changes])
        group = _groups(rows)
        order = np.argsort(group, kind="stable")
        begins = np.flatnonzero(np.append(True, np.diff(group[order]) != 0))
        first, last = order[begins], order[np.append(begins[1:], len(order)) - 1]
        # What is removed first was there before, and what is added last is there now.
        return rows[first[adds[first] & adds[last]]], rows[first[~adds[first] & ~adds[last]]], terms

    def labelled_since(self, generation: int, now: int) -> frozenset[str] | None:
        """The terms whose labels may have changed; None where that is not told for each generation since."""
        names = self.labels_since(generation)
        if len(names) < now - generation:
            return None
        return frozenset(term for name in names for term in self._lines(name))

    def labels_since(self, generation: int) -> list[str]:
        """The files `labels/` of the generations that came after this one."""
        return [name for name in self.names("labels/") if self._when(name)[0] > generation]

    def check(self) -> None:
        """Reads all of it. UserError where anything is not what it has to be, or a term has two ids."""
        self.rows()
        terms = self.terms()
        if len(set(terms)) < len(terms):
            raise UserError(f"{self._directory}/terms: a term has two ids")
        for name in self.names("labels/"):
            self._lines(name)

    def _rows(self, name: str) -> Rows:
        """(F, 4): those of one file. UserError where it is no such table, or an id is that of no term."""
        raw, path = self._mapped[name], self._directory / name
        header = _HEADER.match(raw[:256].tobytes())
        size = int.from_bytes(header[1], "little") + 10 if header else 0
        if not header or header.end() != size or len(raw) != size + 32 * int(header[2]):
            raise UserError(f"{path} is no file of facts: expected rows of four int64, as many as it says it has")
        rows: Rows = raw[size:].view("<i8").reshape(-1, 4)
        if len(rows):
            least, most = rows.min(0), rows.max(0)
            if least[:3].min() < 0 or least[3] < DEFAULT_GRAPH or most.max() >= self.num_terms:
                wrong = int(most.max()) if most.max() >= self.num_terms else int(least.min())
                raise UserError(f"{path}: a fact of the term {wrong}, where the terms are 0 ... {self.num_terms - 1}")
        return rows

    def _lines(self, name: str) -> list[str]:
        try:
            *lines, rest = self._mapped[name].tobytes().decode().split("\n")
        except UnicodeDecodeError:
            raise UserError(f"{self._directory / name} is no UTF-8") from None
        if rest:
            raise UserError(f"{self._directory / name} is cut short: its last line has no end")
        return lines

    def _when(self, name: str) -> tuple[int, bool]:
        """In what order a generation's files count: it removed first, then added."""
        found = _NAME.fullmatch(name)
        if not found:
            raise UserError(f"{self._directory}/manifest.json lists {name}: no file of a store is called so")
        return int(found[2] or found[3]), found["sign"] == "+"


@final
class FactsDraft:
    """The next generation's rows and terms, gathered quad by quad."""

    def __init__(self, before: Facts) -> None:
        self._before = before
        self._known = before.terms()
        self._ids = {term: id for id, term in enumerate(self._known)}
        if len(self._ids) < len(self._known):
            before.check()  # which says so: a new term would get an id that another has
        self._rows = array("q")
        self._gone = array("q")
        self._cleared: list[int] = []
        self._labelled: dict[str, None] | None = {}  # None: too many to list
        self.triple_terms = False  # whether a fact about a fact went by (RDF 1.2)

    def noted(self, quads: Iterable[Quad], *, gone: bool = False) -> Iterator[Quad]:
        """The same quads; those that are facts between entities leave their rows here on the way, as what comes or as
        what goes."""
        ids, rows = self._ids, self._gone if gone else self._rows
        default = DefaultGraph()
        for quad in quads:
            subject, predicate, object_, graph = quad
            kind = type(object_)
            # This loop runs once a fact and costs as much as the parser: hence no function for what is said thrice.
            if kind is NamedNode or kind is BlankNode:
                head = subject.value if type(subject) is NamedNode else f"_:{subject.value}"
                tail = object_.value if kind is NamedNode else f"_:{object_.value}"
                rows.append(ids.setdefault(head, len(ids)))
                rows.append(ids.setdefault(predicate.value, len(ids)))
                rows.append(ids.setdefault(tail, len(ids)))
                if graph == default:
                    rows.append(DEFAULT_GRAPH)
                else:
                    name = graph.value if type(graph) is NamedNode else f"_:{graph.value}"
                    rows.append(ids.setdefault(name, len(ids)))
            elif kind is Triple:
                self.triple_terms = True
            elif predicate.value in _LABELLING and graph not in _APART and self._labelled is not None:
                self._labelled[subject.value if type(subject) is NamedNode else f"_:{subject.value}"] = None
                if len(self._labelled) > MOST_LABELS:
                    self._labelled = None
            yield quad

    def clear(self, graph: str) -> None:
        """All that this graph holds is taken away before anything that was noted is added."""
        if graph not in APART:
            self._labelled = None  # it may hold any
        if graph in self._ids:
            self._cleared.append(self._ids[graph])

    def outside(self, rows: Rows, graphs: Iterable[str]) -> Rows:
        """Those of the rows that are in none of these graphs."""
        kept: Rows = rows[~np.isin(rows[:, 3], [self._ids[graph] for graph in graphs if graph in self._ids])]
        return kept

    def write(self, draft: Draft) -> Rows:
        """Writes `facts/`, `terms/` and `labels/` and returns all rows of the new generation.

        What was cleared and what was noted as gone is taken away, then what was noted as coming is added; a fact that
        is not there (or there) already changes nothing.
        """
        for part in PARTS:
            (draft.path / part).mkdir()
        self._write_terms(draft)
        self._write_labels(draft)
        before = self._before.rows()
        cleared = np.isin(before[:, 3], self._cleared)
        left = before[~cleared]
        came, gone = (_distinct(np.frombuffer(noted, np.int64).reshape(-1, 4)) for noted in (self._rows, self._gone))
        gone = gone[among(gone, left)]
        left = _without(left, gone) if len(gone) else left
        taken, added = np.concatenate([before[cleared], gone]), came[~among(came, left)]
        after = np.concatenate([left, added])
        changes = [(sign, rows) for sign, rows in (("-", taken), ("+", added)) if len(rows)]
        files = self._before.names("facts/")
        if len(files) + len(changes) > MERGE_ABOVE:
            files, changes = [], [("+", after)] if len(after) else []
        for name in files:
            draft.carry(name)
        for sign, rows in changes:
            np.save(draft.path / f"facts/{sign}{draft.number}.npy", rows)
        return after

    def _write_terms(self, draft: Draft) -> None:
        fresh = list(islice(self._ids, len(self._known), None))
        if len(self._ids) > MAX_TERMS:
            raise UserError(f"a store holds at most {MAX_TERMS} terms, and this one would hold {len(self._ids)}")
        files = self._before.names("terms/")
        if len(files) + bool(fresh) > MERGE_ABOVE:
            files, fresh = [], self._known + fresh
        for name in files:
            draft.carry(name)
        if fresh:
            text = "\n".join(fresh) + "\n"
            if text.count("\n") != len(fresh):
                raise UserError("a term with a line break in it cannot be stored")
            (draft.path / f"terms/{draft.number}.txt").write_bytes(text.encode())

    def _write_labels(self, draft: Draft) -> None:
        for name in self._before.names("labels/")[1 - MERGE_ABOVE :]:
            draft.carry(name)
        if self._labelled is not None:
            (draft.path / f"labels/{draft.number}.txt").write_bytes(
                "".join(f"{term}\n" for term in self._labelled).encode()
            )


def counts(rows: Rows) -> dict[str, int]:
    """How many distinct entities (subjects and objects) and relations (predicates) the rows speak of."""
    size = int(rows[:, :3].max()) + 1 if len(rows) else 0
    entity, relation = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    entity[rows[:, 0]] = True
    entity[rows[:, 2]] = True
    relation[rows[:, 1]] = True
    return {"entities": int(entity.sum()), "relations": int(relation.sum())}


def among(rows: Rows, others: Rows) -> Mask:
    """(F,): which of `rows` occur in `others`. Linear while one of the two is small."""
    mask = np.zeros(len(rows), np.bool_)
    near = np.flatnonzero(np.isin(rows[:, 0], others[:, 0]) & np.isin(rows[:, 2], others[:, 2]))
    if not len(near):
        return mask
    rows = rows[near]
    others = others[np.isin(others[:, 0], rows[:, 0]) & np.isin(others[:, 2], rows[:, 2])]
    group = _groups(np.concatenate([rows, others]))
    there = np.zeros(int(group.max()) + 1, np.bool_)
    there[group[len(rows) :]] = True
    mask[near] = there[group[: len(rows)]]
    return mask


def _without(rows: Rows, removed: Rows) -> Rows:
    """`rows` less one occurrence for each time a fact was removed: 0 or 1 is left of each. Keeps the order."""
    near = np.flatnonzero(among(rows, removed))
    group = _groups(np.concatenate([rows[near], removed]))
    times = np.bincount(group[len(near) :], minlength=int(group.max(initial=0)) + 1)
    keep = np.ones(len(rows), np.bool_)
    # The oldest occurrences are the removed ones: what remains was added after the last removal.
    keep[near] = _occurrence(group[: len(near)]) >= times[group[: len(near)]]
    kept: Rows = rows[keep]
    return kept


def _distinct(rows: Rows) -> Rows:
    """Each row once, in the order of first appearance."""
    first: Rows = rows[_occurrence(_groups(rows)) == 0]
    return first


def _groups(rows: Rows) -> npt.NDArray[np.int64]:
    """(F,): equal rows have equal numbers. O(F log F)."""
    first, second = rows[:, 0] << 32 | rows[:, 2], rows[:, 1] << 32 | rows[:, 3] + 1
    order = np.lexsort((second, first))
    first, second = first[order], second[order]
    group = np.empty(len(rows), np.int64)
    group[order] = np.cumsum(np.append(0, (first[1:] != first[:-1]) | (second[1:] != second[:-1])))[: len(rows)]
    return group


def _occurrence(group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(F,): 0 where a number appears for the first time, 1 the second time, and so on."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    begins = np.append(True, ordered[1:] != ordered[:-1])[: len(group)]
    position = np.arange(len(group))
    occurrence = np.empty(len(group), np.int64)
    occurrence[order] = position - np.maximum.accumulate(np.where(begins, position, 0))
    return occurrence


def _sign(name: str) -> str:
    return name.removeprefix("facts/")[0]


def _mapped(path: Path) -> npt.NDArray[np.uint8]:
    with failing_as(path):
        return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
