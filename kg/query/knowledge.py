"""Knowledge: the facts of one moment, in terms and as integers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.graph.from_store import entity_facts, schema_from_store
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.names import Names
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.query.consistency import Consistency
from kg.store.store import Store


@final
@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a model may take for known, and what its terms are called. It does not change.

    vocabulary: the model's own; entities that only the store has come after them. graph, known: the same facts, as
    edges and as answers. facts_from: where they were read, in words. data: the name of that store or folder, and
    generation the store's. facts_left_out: how many were of relations that the model was not trained with.
    """

    vocabulary: Vocabulary
    graph: Graph
    known: KnownAnswers
    schema: Schema
    facts_from: str
    data: str = ""
    generation: int | None = None
    facts_left_out: int = 0

    @classmethod
    def of_facts(
        cls,
        vocabulary: Vocabulary,
        facts: Int[Tensor, "T 3"],
        schema: Schema,
        facts_from: str,
        data: str = "",
        generation: int | None = None,
        facts_left_out: int = 0,
    ) -> "Knowledge":
        """Of facts as ids, in any order. O(T log T)."""
        graph = Graph.from_triples(facts, len(vocabulary.entities), len(vocabulary.relations))
        known = KnownAnswers.from_graph(graph)
        return cls(vocabulary, graph, known, schema, facts_from, data, generation, facts_left_out)

    @classmethod
    def of_model(cls, bundle: Bundle) -> "Knowledge":
        """The model's own copy of all the facts that it was trained, chosen and measured by."""
        data = bundle.dataset
        facts = torch.cat([data.train, data.valid, data.test]).to(bundle.scorer.device)
        read = f"the model's own copy of {data.source or 'its facts'}"
        return cls.of_facts(data.vocabulary, facts, data.schema, read, Path(data.source).name, data.generation)

    @classmethod
    def of_store(cls, bundle: Bundle, store: Store) -> "Knowledge":
        """The facts of an open store, read as those that the model was trained on. UserError where all of them are of
        other relations: then nothing would be known, and what the store has would be shown as new."""
        terms, rows = entity_facts(store, bundle.dataset.graphs, bundle.dataset.restrictions)
        relation_ids = bundle.dataset.vocabulary.relation_ids
        relation_of = np.array([relation_ids.get(term, -1) for term in terms], dtype=np.int64)
        chosen = rows[relation_of[rows[:, 1]] >= 0] if len(rows) else rows
        if len(rows) and not len(chosen):
            first = terms[int(rows[0, 1])]
            raise UserError(
                f"{store.path}: no fact of a relation that {bundle.path} was trained with; it has <{first}> ..., the "
                f"model {bundle.dataset.vocabulary.relations[0]} ..."
            )
        vocabulary = bundle.dataset.vocabulary.extended([terms[i] for i in np.unique(chosen[:, [0, 2]]).tolist()])
        entity_of = np.array([vocabulary.entity_ids.get(term, -1) for term in terms], dtype=np.int64)
        hrt = np.stack([entity_of[chosen[:, 0]], relation_of[chosen[:, 1]], entity_of[chosen[:, 2]]], 1)
        return cls.of_facts(
            vocabulary,
            torch.from_numpy(hrt).to(bundle.scorer.device),
            schema_from_store(store),
            f"the store {store.path}, generation {store.generation}",
            store.path.resolve().name,
            store.generation,
            len(rows) - len(chosen),
        )

    @property
    def num_relations(self) -> int:
        return len(self.vocabulary.relations)

    @property
    def num_entities(self) -> int:
        return len(self.vocabulary.entities)

    @property
    def device(self) -> torch.device:
        return self.graph.tail.device

    @cached_property
    def facts(self) -> Int[Tensor, "T 3"]:
        """Each once, sorted."""
        graph = self.graph
        upright = graph.relation < self.num_relations
        return torch.stack([graph.head()[upright], graph.relation[upright], graph.tail[upright]], 1)

    # Names

    @cached_property
    def entity_names(self) -> Names:
        return Names(self.vocabulary.entities, self.schema, "entity")

    @cached_property
    def relation_names(self) -> Names:
        return Names(self.vocabulary.relations, self.schema, "relation")

    def entity(self, name: str) -> int:
        """The id of what a person wrote: an IRI, prefix:name or label. UserError where it names none, or several."""
        return self.vocabulary.entity_ids[self.entity_names.term(name)]

    def relation(self, name: str) -> int:
        """The same of relations."""
        return self.vocabulary.relation_ids[self.relation_names.term(name)]

    def label(self, term: str) -> str:
        return self.schema.label(term)

    def terms(self, head: int, relation: int, tail: int) -> tuple[str, str, str]:
        """Subject, predicate and object of a fact."""
        return self.vocabulary.entities[head], self.vocabulary.relations[relation], self.vocabulary.entities[tail]

    @cached_property
    def consistency(self) -> Consistency:
        """What the schema says against facts."""
        return Consistency(self.vocabulary, self.schema, self.known)
