"""Knowledge: the facts of one moment, and what people decided, in terms and as integers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from kg.bundle import Bundle
from kg.decisions.journal import Journal
from kg.errors import UserError
from kg.graph.changes import changed_facts, changed_schema
from kg.graph.from_store import entity_facts, schema_from_store
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.names import Names, SortedNames
from kg.graph.schema import Schema
from kg.graph.splitting import relation_classes
from kg.graph.vocabulary import Vocabulary
from kg.query.change import Change, Reading, known_of, numbered, read_from
from kg.query.consistency import Consistency
from kg.query.decided import Decided
from kg.store.draft import is_at
from kg.store.facts import Difference
from kg.store.labels import preferred
from kg.store.store import Store

_MOST = 0.1  # of the facts: where more of them changed, all are read anew, which is as fast


@final
@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a model may take for known, and what its terms are called. It does not change.

    vocabulary: the model's own; entities that only the store has come after them. graph, known: the same facts, as
    edges and as answers. facts_from: where they were read, in words. data: the name of that store or folder, and
    generation the store's. facts_left_out: how many were of relations that the model was not trained with. decided:
    what people said of candidates, of a store; facts that they accepted are among the known ones.
    """

    vocabulary: Vocabulary
    graph: Graph
    known: KnownAnswers
    schema: Schema
    facts_from: str
    data: str = ""
    generation: int | None = None
    facts_left_out: int = 0
    decided: Decided | None = None
    _reading: Reading | None = None
    _stated: "Knowledge | None" = None

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
    def of_model(cls, bundle: Bundle, because: str = "") -> "Knowledge":
        """The model's own copy of all the facts that it was trained, chosen and measured by. because: why not those of
        its store."""
        data = bundle.dataset
        read = f"the model's own copy of {data.source or 'its facts'}{because and f', as {because}'}"
        return cls._own(bundle, read, Path(data.source).name, data.generation)

    @classmethod
    def _own(cls, bundle: Bundle, *said: Any) -> "Knowledge":
        data, device = bundle.dataset, bundle.scorer.device
        graph, known = data.everything
        if device != graph.tail.device:
            graph, known = graph.to(device), known.to(device)
        made = cls(data.vocabulary, graph, known, data.schema, *said)
        if data.index is not None:
            made.__dict__["entity_names"] = data.index.names
        return made

    @classmethod
    def of_store(cls, bundle: Bundle, store: Store, language: str | None = None) -> "Knowledge":
        """The facts of an open store, read as those that the model was trained on. language: of labels; None: that
        which was asked for in training, if any was. UserError where all facts are of other relations: then nothing
        would be known, and what the store has would be shown as new.

        Where the store holds what the model was trained on, and no other language is asked for, that is the model's own
        copy: nothing but the store's manifest is read."""
        state, learnt = bundle.dataset.store_state, bundle.dataset.schema.language
        same = state is not None and state.sha256 == store.mark.sha256 and preferred(learnt) == state.language
        if state is not None and same and language in (None, learnt):
            data = store.path.resolve().name
            reading = Reading(bundle, store.path, store.mark, None, np.zeros(0, np.int64))
            own = cls._own(bundle, read_from(store), data, store.generation, state.left_out, None, reading)
            return own._with_all(Journal(store.path))
        return cls._of_all(bundle, store, language)

    @classmethod
    def _of_all(cls, bundle: Bundle, store: Store, language: str | None) -> "Knowledge":
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
        own = bundle.dataset.vocabulary
        seen = np.unique(chosen[:, [0, 2]]).tolist()
        others = np.array([i for i in seen if terms[i] not in own.entity_ids], dtype=np.int64)
        vocabulary = own.extended([terms[i] for i in others.tolist()])
        entity_of = np.array([vocabulary.entity_ids.get(term, -1) for term in terms], dtype=np.int64)
        hrt = np.stack([entity_of[chosen[:, 0]], relation_of[chosen[:, 1]], entity_of[chosen[:, 2]]], 1)
        known = cls.of_facts(
            vocabulary,
            torch.from_numpy(hrt).to(bundle.scorer.device),
            schema_from_store(store, language or bundle.dataset.schema.language),
            read_from(store),
            store.path.resolve().name,
            store.generation,
            len(rows) - len(chosen),
        )
        read = replace(known, _reading=Reading(bundle, store.path, store.mark, terms, others))
        return read._with_all(Journal(store.path))

    def _with_all(self, journal: Journal) -> "Knowledge":
        """With all that people have decided on."""
        words = self.vocabulary, self.schema, self.known
        return self._with(Decided.nothing(journal, self.known).refreshed(*words))

    def _with(self, decided: Decided, before: "Knowledge | None" = None) -> "Knowledge":
        """With what people decided on. before: these facts with what was decided earlier; where no other facts are
        accepted now, its graph and its known answers are this one's."""
        graph, known = self.graph, self.known
        came, gone = decided.accepted.facts(), self.facts[:0]
        if before is not None and before.decided is not None:
            graph, known, earlier = before.graph, before.known, before.decided.accepted
            came, gone = decided.accepted.beyond(earlier), earlier.beyond(decided.accepted)
        if len(came) or len(gone):
            graph = graph.changed(came, gone)
            known = KnownAnswers.from_graph(graph)
        read = self.facts_from
        if decided.verdicts.by_fact:
            read += f", and {len(decided.verdicts.by_fact):,} facts that people decided on"
        made = replace(self, graph=graph, known=known, facts_from=read, decided=decided, _stated=self)
        if before is not None and known is before.known:  # what follows from these facts does, too
            kept = ("facts", "consistency", "_compared")
            made.__dict__.update({name: before.__dict__[name] for name in kept if name in before.__dict__})
        return made

    def refresh(self) -> tuple["Knowledge", Change]:
        """What the store that this was read from holds now, what people decided since, and what changed; the same where
        nothing did, or this is the model's own copy. See `_refreshed`."""
        if self.decided is None or self._stated is None:
            return self._refreshed()
        stated, change = self._stated._refreshed()
        words = stated.vocabulary, stated.schema, stated.known
        decided = self.decided.refreshed(*words)
        if stated is self._stated:
            now = self if decided is self.decided else stated._with(decided, self)
        else:
            now = stated._with(decided.among(*words))
        return now, replace(change, decisions=decided.number - self.decided.number)

    def _refreshed(self) -> tuple["Knowledge", Change]:
        """What the store that this was read from holds now, and what changed; the same where nothing did, or this is
        the model's own copy.

        Equal to what of_store would read, in time that goes with what changed, beside copies of what stays: the rows of
        changed facts are merged into the sorted ones, and of labels and schema that is read again which may have
        changed. What is derived from all facts, as observed types, is derived anew when it is first asked for.
        UserError where the store does not open any more.
        """
        if self._reading is None:
            return self, Change(self.generation)
        if is_at(self._reading.path, self._reading.mark):
            return self, Change(self.generation)
        with Store(self._reading.path) as store:
            since = store.since(self._reading.mark)
            changed = 0 if since is None else len(since.added) + len(since.removed)
            if (
                since is None
                or changed > _MOST * self.graph.num_edges / 2
                or (changed and self._reading.bundle.dataset.restrictions)
            ):
                return self._read_anew(store, self._reading)
            return self._changed(store, since, self._reading)

    def _read_anew(self, store: Store, reading: Reading) -> tuple["Knowledge", Change]:
        read = Knowledge.of_store(reading.bundle, store, self.schema.language)
        known = read._stated or read
        ids = [known.vocabulary.entity_ids.get(term, -1) for term in self.vocabulary.entities]
        now = torch.tensor(ids, device=self.device)
        hrt = torch.stack([now[self.facts[:, 0]], self.facts[:, 1], now[self.facts[:, 2]]], 1)
        hrt = hrt[(hrt >= 0).all(1)]
        stay = int(known.known.contains(*hrt.T.contiguous()).sum())
        same = int((now >= 0).sum())
        facts = len(known.facts) - stay, len(self.facts) - stay
        entities = known.num_entities - same, self.num_entities - same
        return known, Change(known.generation, *facts, *entities, schema=True, read_anew=True)

    def _changed(self, store: Store, since: Difference, reading: Reading) -> tuple["Knowledge", Change]:
        own = reading.bundle.dataset.vocabulary
        terms = reading.terms if reading.terms is not None else store.terms()[: -len(since.terms) or None]
        terms = [*terms, *since.terms] if since.terms else terms
        found = changed_facts(store, since, terms, reading.bundle.dataset.graphs)
        added, removed = (facts[known_of(facts[:, 1], terms, own.relation_ids)] for facts in found)
        left_out = self.facts_left_out + len(found[0]) - len(added) - len(found[1]) + len(removed)
        came = [i for i in np.unique(added[:, [0, 2]]).tolist() if terms[i] not in self.vocabulary.entity_ids]
        # Entities keep the order of their ids in the store: whatever ids they get here, edges stay sorted.
        others = np.union1d(reading.others, np.array(came, np.int64))
        graph, num, vocabulary = self.graph, len(own.entities), self.vocabulary
        if came:
            vocabulary = own.extended([terms[i] for i in others.tolist()])
            place = torch.from_numpy(num + np.searchsorted(others, reading.others))
            graph = graph.renumbered(torch.cat([torch.arange(num), place]).to(self.device), num + len(others))
        hrt = [torch.from_numpy(numbered(each, terms, vocabulary)).to(self.device) for each in (added, removed)]
        graph = graph.changed(hrt[0], hrt[1])
        if left_out and not graph.num_edges:  # which is an error, and is worded there
            return self._read_anew(store, reading)
        stays = graph.degree() > 0
        stays[:num] = True
        if not bool(stays.all()):
            others = others[stays[num:].cpu().numpy()]
            vocabulary = own.extended([terms[i] for i in others.tolist()])
            graph = graph.renumbered(torch.where(stays, stays.cumsum(0) - 1, -1), num + len(others))
        known = Knowledge(
            vocabulary,
            graph,
            KnownAnswers.from_graph(graph),
            changed_schema(self.schema, store, since, terms),
            read_from(store),
            self.data,
            store.generation,
            left_out,
            None,
            Reading(reading.bundle, reading.path, store.mark, terms, others),
        )
        before, now = reading.others, others
        fresh, gone = ([terms[i] for i in np.setdiff1d(*two).tolist()] for two in ((now, before), (before, now)))
        self._lend_names(known, fresh, gone, since.labelled)
        sizes = len(added), len(removed), len(fresh), len(gone)
        return known, Change(store.generation, *sizes, schema=known.schema is not self.schema)

    def _lend_names(
        self, later: "Knowledge", fresh: Iterable[str], gone: Iterable[str], labelled: Collection[str] | None
    ) -> None:
        """The names of entities, where they have been grouped already, are not grouped anew for a few that changed."""
        if isinstance(self.__dict__.get("entity_names"), Names) and labelled is not None:
            both = self.vocabulary.entity_ids.keys() & labelled & later.vocabulary.entity_ids.keys()
            names = self.entity_names.changed(later.schema, both.union(gone), both.union(fresh))
            later.__dict__["entity_names"] = names

    @property
    def stated(self) -> "Knowledge":
        """The same without what people decided."""
        return self._stated or self

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
    def entity_names(self) -> Names | SortedNames:
        if self._stated:  # what is decided adds no names
            return self._stated.entity_names
        return Names(self.vocabulary.entities, self.schema, "entity")

    @cached_property
    def relation_names(self) -> Names:
        if self._stated:
            return self._stated.relation_names
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

    @property
    def rejected(self) -> KnownAnswers | None:
        """The facts that people rejected; None where there are none."""
        return self.decided.rejected if self.decided and len(self.decided.rejected.tails) else None

    def said(self, head: int, relation: int, tail: int) -> str | None:
        """What people decided of a fact: `accepted by Ann and Ben`. None where nobody did, or they do not agree."""
        verdicts = self.decided and self.decided.verdicts
        fact = self.terms(head, relation, tail)
        standing = verdicts.standing(fact) if verdicts else None
        if not verdicts or standing not in ("accepted", "rejected"):
            return None
        wanted = "accept" if standing == "accepted" else "reject"
        people = [person for person, said in verdicts.said(fact).items() if said.verdict == wanted]
        return f"{standing} by {' and '.join(people)}"

    def restated(self, head: int, relation: int, tail: int) -> tuple[str, str, str] | None:
        """A known fact between the same two that says what this one does: by a predicate, or its inverse, that holds
        for the same pairs (see kg.graph.splitting.relation_classes)."""
        for other in self.graph.between(head, tail):
            if other != relation and self._say_the_same(relation, other):
                num = self.num_relations
                return self.terms(head, other, tail) if other < num else self.terms(tail, other - num, head)
        return None

    def _say_the_same(self, relation: int, other: int) -> bool:
        """Of two directed relations. O(T), once for each two."""
        if (relation, other) not in self._compared:
            both = torch.isin(
                self.facts[:, 1], torch.tensor([relation, other], device=self.device) % self.num_relations
            )
            leader = relation_classes(self.facts[both].cpu().numpy(), self.vocabulary, self.schema)
            self._compared[relation, other] = bool(leader[relation] == leader[other])
        return self._compared[relation, other]

    @cached_property
    def _compared(self) -> dict[tuple[int, int], bool]:
        return {}

    @cached_property
    def consistency(self) -> Consistency:
        """What the schema says against facts."""
        types = self._stated.consistency.types if self._stated else None
        return Consistency(self.vocabulary, self.schema, self.known, types)
