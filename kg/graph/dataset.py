"""Train, valid and test facts as integers, with what they are called and what is said of them."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from kg.errors import UserError
from kg.graph.graph import Graph
from kg.graph.ids import check_ids
from kg.graph.index import Index
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class StoreState:
    """What a store held when a dataset was read from it: the sha256 of its generation's manifest, the language that
    labels were preferred in, and how many facts were of relations that the dataset has not.
    """

    sha256: str
    language: str
    left_out: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """The facts of one experiment: (T, 3) head, relation, tail ids of each part, their vocabulary and schema.

    Every entity of every part is a candidate. `source` says where the facts came from (a path), `generation` which
    generation of a store (None for a folder), `store_id` which store that is, wherever it lies now, `graphs` and
    `restrictions` what was read of it, `named` the predicates that were asked for by name, `shares` how much of it was
    to be held out for valid and test, `store_state` what that store then held. `index`: what answers need, where it was
    read from a file.
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
    store_id: str | None = None
    named: tuple[str, ...] = ()
    shares: tuple[float, float] | None = None
    store_state: StoreState | None = None
    index: Index | None = None
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
            if parts == ("train",):
                self._known[parts] = KnownAnswers.from_graph(self.graph())
            else:
                facts = torch.cat([self.part(name) for name in parts])
                self._known[parts] = KnownAnswers.from_triples(facts, self.num_relations)
        return self._known[parts]

    @cached_property
    def everything(self) -> tuple[Graph, KnownAnswers]:
        """The facts of all parts, as edges and as answers."""
        if self.index is not None:
            return self.index.graph, self.index.known
        graph = Graph.from_triples(
            torch.cat([self.part(name) for name in PARTS]), self.num_entities, self.num_relations
        )
        return graph, KnownAnswers.from_graph(graph)

    def digest(self) -> str:
        """The sha256 of the names and of the facts of each part, in order."""
        names = tuple(self.vocabulary.entities), self.vocabulary.relations
        hashed = hashlib.sha256(json.dumps(names).encode())
        for name in PARTS:
            facts = self.part(name).cpu().numpy()
            hashed.update(f"{name} {len(facts)}".encode())
            hashed.update(facts.astype("<i8").tobytes())
        return hashed.hexdigest()

    def describe(self) -> str:
        counts = " / ".join(f"{len(self.part(name)):,}" for name in PARTS)
        return f"{self.num_entities:,} entities, {self.num_relations:,} relations, {counts} train / valid / test facts"


def check_facts(name: str, facts: Tensor, vocabulary: Vocabulary) -> None:
    """ValueError unless they are rows of head, relation and tail, each the number of a term: what a graph, the known
    answers and loops over both use as indices."""
    if facts.dtype != torch.long or facts.ndim != 2 or facts.shape[1] != 3:
        raise ValueError(f"{name} must be rows of three of int64: it is {tuple(facts.shape)} of {facts.dtype}")
    num_entities, num_relations = len(vocabulary.entities), len(vocabulary.relations)
    for what, column, stop in (("heads", 0, num_entities), ("relations", 1, num_relations), ("tails", 2, num_entities)):
        check_ids(f"{what} of {name}", facts[:, column], 0, stop)
