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

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Triple

from kg import generations
from kg.errors import UserError
from kg.namespaces import PREDICTIONS
from kg.store.labels import PREDICATES

DEFAULT_GRAPH = -1  # in a row's fourth column, where other graphs have the id of their name
MERGE_ABOVE = 16  # files of a kind: more cost an open each, and one merge is a copy of the lot
MOST_LABELS = 10_000  # of a generation that are listed
MAX_TERMS = 2**31  # two ids share one 64-bit sorting key

Rows = npt.NDArray[np.int64]  # (F, 4): subject, predicate, object, graph
Mask = npt.NDArray[np.bool_]  # (F,)

_LABELLING = frozenset(PREDICATES)
_PREDICTIONS = NamedNode(PREDICTIONS)  # whose labels are nobody's


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
    """What one generation holds. The files are mapped when it is made, so that it outlives their removal."""

    def __init__(self, directory: Path | None) -> None:
        self.fact_files = _files(directory / "facts") if directory else []
        self.term_files = _files(directory / "terms") if directory else []
        self.label_files = _files(directory / "labels") if directory and (directory / "labels").is_dir() else []
        self._signed = [(path.name[0], np.load(path, mmap_mode="r")) for path in self.fact_files]
        self._terms = [np.memmap(path, np.uint8, "r") for path in self.term_files]

    def rows(self) -> Rows:
        """(F, 4): every fact that was added and not removed since, once, oldest first."""
        added = [rows for sign, rows in self._signed if sign == "+"]
        removed = [rows for sign, rows in self._signed if sign == "-"]
        if not added:
            return np.empty((0, 4), np.int64)
        rows = np.concatenate(added)
        return _without(rows, np.concatenate(removed)) if removed else rows

    def terms(self) -> list[str]:
        """id -> term."""
        return [term for file in self._terms for term in _lines(file)]

    def since(self, seen: Collection[str]) -> tuple[Rows, Rows, list[str]]:
        """(added, removed, terms): what all files but those seen, `facts/+3.npy` or `terms/3.txt`, come to. None of
        those seen may be missing here. O(their rows)."""
        files = sorted(zip(self.fact_files, self._signed, strict=True), key=lambda each: _when(each[0]))
        changes = [(sign == "+", rows) for path, (sign, rows) in files if f"facts/{path.name}" not in seen]
        fresh = zip(self.term_files, self._terms, strict=True)
        terms = [term for path, file in fresh if f"terms/{path.name}" not in seen for term in _lines(file)]
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
        files = {int(path.stem): path for path in self.label_files}
        if not files.keys() >= set(range(generation + 1, now + 1)):
            return None
        since = (files[number].read_text("utf-8") for number in range(generation + 1, now + 1))
        return frozenset(term for text in since for term in text.split("\n")[:-1])


@final
class FactsDraft:
    """The next generation's rows and terms, gathered quad by quad."""

    def __init__(self, before: Facts) -> None:
        self._before = before
        self._known = before.terms()
        self._ids = {term: id for id, term in enumerate(self._known)}
        self._rows = array("q")
        self._cleared: list[int] = []
        self._labelled: dict[str, None] | None = {}  # None: too many to list
        self.triple_terms = False  # whether a fact about a fact went by (RDF 1.2)

    def noted(self, quads: Iterable[Quad]) -> Iterator[Quad]:
        """The same quads; those that are facts between entities leave their rows here on the way."""
        ids, rows = self._ids, self._rows
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
            elif predicate.value in _LABELLING and graph != _PREDICTIONS and self._labelled is not None:
                self._labelled[subject.value if type(subject) is NamedNode else f"_:{subject.value}"] = None
                if len(self._labelled) > MOST_LABELS:
                    self._labelled = None
            yield quad

    def clear(self, graph: str) -> None:
        """All that this graph holds is taken away before anything that was noted is added."""
        if graph != PREDICTIONS:
            self._labelled = None  # it may hold any
        if graph in self._ids:
            self._cleared.append(self._ids[graph])

    def outside(self, rows: Rows, graph: str) -> Rows:
        """Those of the rows that are not in this graph."""
        kept: Rows = rows[rows[:, 3] != self._ids[graph]] if graph in self._ids else rows
        return kept

    def write(self, directory: Path, number: int, *, remove: bool = False) -> Rows:
        """Writes `facts/`, `terms/` and `labels/` and returns all rows of the new generation.

        What was noted is added, or with `remove` taken away; a fact that is there (or not there) already changes
        nothing.
        """
        self._write_terms(directory / "terms", number)
        self._write_labels(directory / "labels", number)
        folder = directory / "facts"
        folder.mkdir()
        before = self._before.rows()
        cleared = np.isin(before[:, 3], self._cleared)
        left = before[~cleared]
        noted = _distinct(np.frombuffer(self._rows, np.int64).reshape(-1, 4))
        present = among(noted, left)
        if remove:
            taken, added = np.concatenate([before[cleared], noted[present]]), noted[:0]
            after = _without(left, noted[present])
        else:
            taken, added = before[cleared], noted[~present]
            after = np.concatenate([left, added])
        changes = [(sign, rows) for sign, rows in (("-", taken), ("+", added)) if len(rows)]
        files = self._before.fact_files
        if len(files) + len(changes) > MERGE_ABOVE:
            if len(after):  # an empty file cannot be mapped
                np.save(folder / f"+{number}.npy", after)
            return after
        for path in files:
            generations.carry(path, folder / path.name)
        for sign, rows in changes:
            np.save(folder / f"{sign}{number}.npy", rows)
        return after

    def _write_terms(self, folder: Path, number: int) -> None:
        folder.mkdir()
        fresh = list(islice(self._ids, len(self._known), None))
        if len(self._ids) > MAX_TERMS:
            raise UserError(f"a store holds at most {MAX_TERMS} terms, and this one would hold {len(self._ids)}")
        files = self._before.term_files
        if len(files) + bool(fresh) > MERGE_ABOVE:
            fresh = self._known + fresh
        else:
            for path in files:
                generations.carry(path, folder / path.name)
        if fresh:
            text = "\n".join(fresh) + "\n"
            if text.count("\n") != len(fresh):
                raise UserError("a term with a line break in it cannot be stored")
            (folder / f"{number}.txt").write_bytes(text.encode())

    def _write_labels(self, folder: Path, number: int) -> None:
        folder.mkdir()
        for path in self._before.label_files[1 - MERGE_ABOVE :]:
            generations.carry(path, folder / path.name)
        if self._labelled is not None:
            (folder / f"{number}.txt").write_bytes("".join(f"{term}\n" for term in self._labelled).encode())


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


def _files(folder: Path) -> list[Path]:
    """The folder's files, oldest generation first."""
    return sorted(folder.iterdir(), key=_when)


def _when(path: Path) -> tuple[int, bool]:
    """In what order a generation's files count: it removed first, then added."""
    return int(path.stem.lstrip("+-")), path.name.startswith("+")


def _lines(file: npt.NDArray[np.uint8]) -> list[str]:
    return file.tobytes().decode().split("\n")[:-1]
