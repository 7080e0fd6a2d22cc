"""Train, valid and test facts as integers, and how facts are held out without giving their answers away."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.errors import UserError
from kg.files import COMPRESSIONS, chunks
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, PREDICTIONS, RDF, RDFS
from kg.store.store import Store

PARTS = ("train", "valid", "test")
_OVERLAP = 0.8  # two relations that share more than this part of their pairs hold the same facts (Akrami et al., 2020)
_Triple = tuple[str, str, str]
_Triples = Int[np.ndarray, "T 3"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """The facts of one experiment: (T, 3) head, relation, tail ids of each part, their vocabulary and schema.

    Every entity of every part is a candidate. `source` says where the facts came from (a path), `generation` which
    generation of a store (None for a folder), `graphs` and `restrictions` what was read of it.
    """

    train: Int[Tensor, "T 3"]
    valid: Int[Tensor, "V 3"]
    test: Int[Tensor, "S 3"]
    vocabulary: Vocabulary
    schema: Schema = field(default_factory=Schema)
    source: str = ""
    generation: int | None = None
    graphs: tuple[str, ...] | None = None
    restrictions: bool = False
    _known: dict[tuple[str, ...], KnownAnswers] = field(default_factory=dict, init=False, repr=False)

    @property
    def num_entities(self) -> int:
        return len(self.vocabulary.entities)

    @property
    def num_relations(self) -> int:
        return len(self.vocabulary.relations)

    def part(self, name: str) -> Int[Tensor, "T 3"]:
        """The facts of 'train', 'valid' or 'test'."""
        if name not in PARTS:
            raise UserError(f"no part {name!r}: a dataset has {', '.join(PARTS)}")
        part: Tensor = getattr(self, name)
        return part

    def graph(self) -> Graph:
        """The training facts as a graph: all a scorer may look at while it is trained and evaluated. Built once."""
        return self._graph

    @cached_property
    def _graph(self) -> Graph:
        return Graph.from_triples(self.train, self.num_entities, self.num_relations)

    def known(self, *parts: str) -> KnownAnswers:
        """Known answers of these parts together. Built once, as sorting takes as long as ranking."""
        if parts not in self._known:
            facts = torch.cat([self.part(name) for name in parts])
            self._known[parts] = KnownAnswers.from_triples(facts, self.num_relations)
        return self._known[parts]

    @classmethod
    def from_store(
        cls,
        store: Store,
        relations: Collection[str] | None = None,
        graphs: Collection[str] | None = None,
        valid: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        restrictions: bool = False,
    ) -> "Dataset":
        """The store's facts between entities, a part of them held out.

        relations: the predicates that train (IRIs); None means all but those of rdf:, rdfs: and owl:.
        graphs: the named graphs to read ('' is the default graph); None means all but that of predictions.
        valid, test: the shares held out, in [0, 1), together below 1. Facts that say the same thing (see `twins`) fall
        into the same part, and no held-out fact has an entity or relation that train lacks, so a small or sparse graph
        may give less than asked.
        restrictions: `C rdfs:subClassOf [owl:onProperty p; owl:someValuesFrom D]` becomes the fact (C, p, D).

        Raises UserError where nothing is left to train on, or a relation is not in the store.
        """
        if not (0 <= valid < 1 and 0 <= test < 1 and valid + test < 1):
            raise UserError(f"valid and test are shares in [0, 1) that leave some facts: got {valid} and {test}")
        schema = Schema.from_store(store)
        terms, rows = entity_facts(store, graphs, restrictions)
        facts, vocabulary = _numbered(terms, rows[np.isin(rows[:, 1], _training_relations(terms, rows, relations))])
        if not len(facts):
            raise UserError(f"{store.path}: no facts between entities to train on (rdf:, rdfs: and owl: aside)")
        group = twins(facts, vocabulary, schema)
        part = _hold_out(facts, group, len(vocabulary.entities), len(vocabulary.relations), (valid, test), seed)
        train, held_valid, held_test = (torch.from_numpy(facts[part == i]) for i in range(3))
        return cls(
            train,
            held_valid,
            held_test,
            vocabulary,
            schema,
            source=str(store.path.resolve()),
            generation=store.generation,
            graphs=None if graphs is None else tuple(graphs),
            restrictions=restrictions,
        )

    @classmethod
    def from_folder(cls, path: Path | str) -> "Dataset":
        """train, valid and test as .tsv or .txt (plain, .gz, .bz2, .xz or .zst): tab-separated head, relation, tail.

        valid and test may be missing. Entities that only valid or test has stay: they count, and are ranked. Labels are
        read from entity_labels and relation_labels where these files lie beside them (name, label, ...).

        Raises UserError with file and line where a line has not three columns.
        """
        folder = Path(path)
        parts = {name: _part_file(folder, name) for name in PARTS}
        if parts["train"] is None:
            raise UserError(f"{folder}: no train.tsv or train.txt (or .gz) here, and no store either")
        entity_ids: dict[str, int] = {}
        relation_ids: dict[str, int] = {}
        ids = {name: _ids(_lines(file) if file else (), entity_ids, relation_ids) for name, file in parts.items()}
        if not len(ids["train"]):
            raise UserError(f"{parts['train']}: the file is empty")
        vocabulary = Vocabulary(entity_ids, relation_ids)
        labels = {**_label_file(folder, "entity_labels"), **_label_file(folder, "relation_labels")}
        train, valid, test = (torch.from_numpy(ids[name]) for name in PARTS)
        return cls(train, valid, test, vocabulary, Schema(labels=labels), str(folder.resolve()))

    def facts_named(self, folder: Path, name: str) -> Int[Tensor, "T 3"]:
        """The distinct facts of a file of this name, as `from_folder` reads parts, by the vocabulary of this dataset.

        UserError where there is no such file, or it names what this dataset does not know.
        """
        file = _part_file(folder, name)
        if file is None:
            raise UserError(f"{folder}: no {name}.tsv or {name}.txt (or .gz) here")
        entities, relations = self.vocabulary.entity_ids, self.vocabulary.relation_ids
        rows: dict[tuple[int, int, int], None] = {}
        for head, relation, tail in _lines(file):
            for term, ids in ((head, entities), (relation, relations), (tail, entities)):
                if term not in ids:
                    raise UserError(f"{file}: {term} is not among the names that the model knows")
            rows[entities[head], relations[relation], entities[tail]] = None
        return torch.tensor(list(rows), dtype=torch.long).reshape(-1, 3)

    def describe(self) -> str:
        counts = " / ".join(f"{len(self.part(name)):,}" for name in PARTS)
        return f"{self.num_entities:,} entities, {self.num_relations:,} relations, {counts} train / valid / test facts"


# Holding out


def twins(facts: _Triples, vocabulary: Vocabulary, schema: Schema) -> Int[np.ndarray, " T"]:
    """A group number a fact: facts with the same number say the same thing, so they must fall into the same part.

    Two facts are twins where one follows from the other by owl:inverseOf, by owl:SymmetricProperty, or because their
    relations (or a relation and an inverse) share more than 80 % of the pairs of the smaller one.
    """
    num_relations = len(vocabulary.relations)
    leader = _relation_classes(facts, vocabulary, schema)
    head, relation, tail = facts.T
    forward = np.stack([leader[relation], head, tail], 1)
    backward = np.stack([leader[relation + num_relations], tail, head], 1)
    turned = (backward < forward)[np.arange(len(facts)), (backward != forward).argmax(1)]  # lexicographically less
    canonical = np.where(turned[:, None], backward, forward)
    return np.unique(canonical, axis=0, return_inverse=True)[1].reshape(-1)


def _relation_classes(facts: _Triples, vocabulary: Vocabulary, schema: Schema) -> Int[np.ndarray, " R2"]:
    """The least directed relation (r, or r + R for its inverse) that says the same as each directed relation."""
    num_relations = len(vocabulary.relations)
    leader = np.arange(2 * num_relations)

    def merge(left: int, right: int) -> None:
        for a, b in ((left, right), (_opposite(left, num_relations), _opposite(right, num_relations))):
            first, second = sorted((leader[a], leader[b]))
            leader[leader == second] = first

    ids = vocabulary.relation_ids
    for term in schema.symmetric:
        if term in ids:
            merge(ids[term], ids[term] + num_relations)
    for term, others in schema.inverse.items():
        for other in others:
            if term in ids and other in ids:
                merge(ids[term], ids[other] + num_relations)
    for left, right in _overlapping(facts, num_relations, len(vocabulary.entities)):
        merge(left, right)
    return leader


def _opposite(relation: int, num_relations: int) -> int:
    return (relation + num_relations) % (2 * num_relations)


def _overlapping(facts: _Triples, num_relations: int, num_entities: int) -> Iterator[tuple[int, int]]:
    """Directed relations that share more than 80 % of the smaller one's pairs. O(T log T + shared pairs)."""
    head, relation, tail = facts.T
    pair = np.concatenate([head * num_entities + tail, tail * num_entities + head])
    directed = np.concatenate([relation, relation + num_relations])
    loops = head == tail  # a loop is its own mirror and would make every relation with loops symmetric
    pair, directed = (x[~np.concatenate([loops, loops])] for x in (pair, directed))
    rows = np.unique(np.stack([pair, directed], 1), axis=0)
    size = np.bincount(rows[:, 1], minlength=2 * num_relations)
    starts = np.flatnonzero(np.r_[True, rows[1:, 0] != rows[:-1, 0]])
    shared: dict[tuple[int, int], int] = {}
    for first, last in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
        if last - first < 2:
            continue
        on_pair = rows[first:last, 1].tolist()
        for i, left in enumerate(on_pair):
            for right in on_pair[i + 1 :]:
                shared[left, right] = shared.get((left, right), 0) + 1
    for (left, right), count in shared.items():
        if count > _OVERLAP * min(size[left], size[right]):
            yield left, right


def _hold_out(
    facts: _Triples,
    group: Int[np.ndarray, " T"],
    num_entities: int,
    num_relations: int,
    shares: tuple[float, float],
    seed: int,
) -> Int[np.ndarray, " T"]:
    """0 (train), 1 (valid) or 2 (test) a fact: whole groups, drawn at random; every name keeps a train fact."""
    part = np.zeros(len(facts), dtype=np.int64)
    members = np.argsort(group, kind="stable")
    bounds = np.r_[0, np.bincount(group).cumsum()]
    names = np.concatenate([facts[:, 0], facts[:, 2], facts[:, 1] + num_entities]).reshape(3, -1).T
    left = np.bincount(names.reshape(-1), minlength=num_entities + num_relations).tolist()
    wanted = {number: round(share * len(facts)) for number, share in zip((2, 1), reversed(shares), strict=True)}
    for chosen in np.random.default_rng(seed).permutation(len(bounds) - 1):
        number = 2 if wanted[2] > 0 else 1
        if wanted[number] <= 0:
            break
        held = members[bounds[chosen] : bounds[chosen + 1]]
        needed = names[held].reshape(-1).tolist()
        for name in needed:
            left[name] -= 1
        if all(left[name] > 0 for name in needed):
            part[held] = number
            wanted[number] -= len(held)
        else:
            for name in needed:
                left[name] += 1
    return part


# From a store


def entity_facts(
    store: Store, graphs: Collection[str] | None = None, restrictions: bool = False
) -> tuple[list[str], _Triples]:
    """The store's terms, and its distinct facts between entities as rows of ids into them, in order.

    graphs: the named graphs to read ('' is the default graph); None means all but that of predictions, which are not
    learnt from. restrictions: those of owl:someValuesFrom become facts (see Dataset.from_store). UserError where a
    graph is not in the store, or is that of predictions.
    """
    if graphs is not None and PREDICTIONS in graphs:
        raise UserError(f"{PREDICTIONS} holds what models predicted: nothing is trained on it")
    terms, table = store.terms(), store.facts()
    if graphs is not None:
        table = table[np.isin(table[:, 3], _store_ids(terms, graphs, "graph"))]
    spo = np.unique(table[:, :3], axis=0)
    if restrictions:
        spo = np.unique(np.concatenate([spo, _restriction_facts(spo, terms)]), axis=0)
    return terms, spo


def _training_relations(terms: list[str], rows: _Triples, relations: Collection[str] | None) -> list[int]:
    seen = np.unique(rows[:, 1]).tolist()
    if relations is None:
        return [i for i in seen if not terms[i].startswith((RDF, RDFS, OWL))]
    trains = _store_ids(terms, relations, "relation")
    unused = set(trains).difference(seen)
    if unused:
        raise UserError(f"the store has no relation {terms[min(unused)]}: no fact between entities uses it")
    return trains


def _numbered(terms: list[str], rows: _Triples) -> tuple[_Triples, Vocabulary]:
    """The rows with ids of their own, without gaps, and the terms of those ids, in the store's order."""
    entities, places = np.unique(rows[:, [0, 2]], return_inverse=True)
    predicates, relation = np.unique(rows[:, 1], return_inverse=True)
    head, tail = places.reshape(-1, 2).T
    facts = np.stack([head, relation.reshape(-1), tail], 1).astype(np.int64)
    return facts, Vocabulary([terms[i] for i in entities.tolist()], [terms[i] for i in predicates.tolist()])


def _store_ids(terms: list[str], wanted: Iterable[str], what: str) -> list[int]:
    ids = {term: i for i, term in enumerate(terms)}
    ids[""] = -1  # the default graph
    missing = [term for term in wanted if term not in ids]
    if missing:
        raise UserError(f"the store has no {what} {missing[0]}")
    return [ids[term] for term in wanted]


def _restriction_facts(spo: _Triples, terms: list[str]) -> Int[np.ndarray, "C 3"]:
    """(C, p, D) for every `C rdfs:subClassOf [owl:onProperty p; owl:someValuesFrom D]`."""
    ids = {term: i for i, term in enumerate(terms)}

    def pairs(predicate: str) -> list[tuple[int, int]]:
        rows = spo[spo[:, 1] == ids.get(predicate, -2)]
        return [(int(s), int(o)) for s, _, o in rows]

    properties, values = dict(pairs(OWL + "onProperty")), dict(pairs(OWL + "someValuesFrom"))
    found = [
        (cls, properties[node], values[node])
        for cls, node in pairs(RDFS + "subClassOf")
        if node in properties and node in values
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


# From a folder


def _part_file(folder: Path, name: str) -> Path | None:
    for suffix in (".tsv", ".txt"):
        for packed in ("", *COMPRESSIONS):
            file = folder / f"{name}{suffix}{packed}"
            if file.is_file():
                return file
    return None


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    if not file.stat().st_size:
        return
    for number, line in enumerate(b"".join(chunks(file)).split(b"\n"), 1):
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            raise UserError(f"{file}:{number}: not UTF-8: {error.reason}") from None
        if text:
            yield number, text.split("\t")


def _lines(file: Path) -> Iterator[_Triple]:
    for number, cells in _rows(file):
        if len(cells) != 3 or not all(cells):
            came = f"{len(cells)} columns" if len(cells) != 3 else "an empty one"
            raise UserError(f"{file}:{number}: expected head, relation, tail between tabs, got {came}")
        yield cells[0], cells[1], cells[2]


def _ids(lines: Iterable[_Triple], entity_ids: dict[str, int], relation_ids: dict[str, int]) -> _Triples:
    """Distinct facts in order of their first line; names get the next free id."""
    rows = dict.fromkeys(
        (
            entity_ids.setdefault(head, len(entity_ids)),
            relation_ids.setdefault(relation, len(relation_ids)),
            entity_ids.setdefault(tail, len(entity_ids)),
        )
        for head, relation, tail in lines
    )
    return np.array(list(rows), dtype=np.int64).reshape(-1, 3)


def _label_file(folder: Path, name: str) -> dict[str, str]:
    file = _part_file(folder, name)
    return {cells[0]: cells[1] for _, cells in _rows(file) if len(cells) > 1} if file else {}
