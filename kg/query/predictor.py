"""Predictor: questions in RDF terms in, ranked candidate facts out."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kg.bundle import Bundle
from kg.errors import UserError
from kg.evaluation.asking import Asking, Rows
from kg.evaluation.calibration import Calibration
from kg.evaluation.uncertainty import entropies
from kg.graph.dataset import entity_facts
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.scorer import Queries
from kg.query.candidate import Candidate
from kg.query.pattern import Names, Pattern
from kg.store.store import Store


@dataclass(frozen=True)
class Uncertainty:
    """How unsure the answer to a question is, in nats; 0 to log(candidates) in all.

    aleatoric: several answers are plausible in every sample. epistemic: the samples, or models, name different ones.
    """

    aleatoric: float
    epistemic: float
    samples: int
    candidates: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@final
class Predictor:
    """Answers questions with a trained model and what is known today.

    facts_from says where known facts were read: the live store, or the model's own copy. Entities that only the store
    has come after the model's own; facts of relations the model was not trained with are left out, and counted in
    `facts_left_out`.
    """

    def __init__(
        self, bundle: Bundle, vocabulary: Vocabulary, facts: Int[Tensor, "T 3"], schema: Schema, facts_from: str
    ) -> None:
        device = bundle.scorer.device
        self.bundle = bundle
        self.scorer = bundle.scorer
        self.vocabulary = vocabulary
        self.schema = schema
        self.facts_from = facts_from
        self.facts_left_out = 0
        self.facts = facts.to(device)
        self.graph = Graph.from_triples(self.facts, len(vocabulary.entities), len(vocabulary.relations))
        self.known = KnownAnswers.from_triples(self.facts, len(vocabulary.relations))
        self.asking = Asking(self.scorer, self.graph, self.known, bundle.temperature or 1.0)
        self._ends: dict[int, Rows] = {}

    @classmethod
    def load(
        cls, model: Path | str, store: Path | str | None = None, device: torch.device | str = "cpu"
    ) -> "Predictor":
        """The model at this path, with the facts of `store`; None: of the store it was trained on, if it still opens,
        else of the model's own copy. UserError if `store` is named and does not open.
        """
        bundle = Bundle.load(model, device)
        if store is None and bundle.dataset.generation is None:  # it was trained on a folder, or on facts in Python
            return cls._from_bundle(bundle)
        try:
            live = Store(store or bundle.dataset.source)
        except UserError:
            if store is not None:
                raise
            return cls._from_bundle(bundle)
        with live:
            return cls.from_store(bundle, live)

    @classmethod
    def _from_bundle(cls, bundle: Bundle) -> "Predictor":
        data = bundle.dataset
        facts = torch.cat([data.train, data.valid, data.test])
        return cls(bundle, data.vocabulary, facts, data.schema, f"the model's own copy of {data.source or 'its facts'}")

    @classmethod
    def from_store(cls, bundle: Bundle, store: Store) -> "Predictor":
        """A loaded model with the facts of an open store, read as those that it was trained on."""
        terms, rows = entity_facts(store, bundle.dataset.graphs, bundle.dataset.restrictions)
        relation_ids = bundle.dataset.vocabulary.relation_ids
        relation_of = np.array([relation_ids.get(term, -1) for term in terms], dtype=np.int64)
        chosen = rows[relation_of[rows[:, 1]] >= 0] if len(rows) else rows
        vocabulary = bundle.dataset.vocabulary.extended([terms[i] for i in np.unique(chosen[:, [0, 2]]).tolist()])
        entity_of = np.array([vocabulary.entity_ids.get(term, -1) for term in terms], dtype=np.int64)
        facts = np.stack([entity_of[chosen[:, 0]], relation_of[chosen[:, 1]], entity_of[chosen[:, 2]]], 1)
        said = f"the store {store.path}, generation {store.generation}"
        made = cls(bundle, vocabulary, torch.from_numpy(facts), Schema.from_store(store), said)
        made.facts_left_out = len(rows) - len(chosen)
        return made

    # Names

    @cached_property
    def entity_names(self) -> Names:
        return Names(self.vocabulary.entities, self.schema, "entity")

    @cached_property
    def relation_names(self) -> Names:
        return Names(self.vocabulary.relations, self.schema, "relation")

    def label(self, term: str) -> str:
        return self.schema.label(term)

    def _entity(self, name: str) -> int:
        return self.vocabulary.entity_ids[self.entity_names.term(name)]

    def _relation(self, name: str) -> int:
        return self.vocabulary.relation_ids[self.relation_names.term(name)]

    # Questions

    def ask(self, pattern: Pattern, top: int = 10, new_only: bool = False) -> list[Candidate]:
        """The best answers to a pattern with one '?'."""
        subject, predicate, object_ = pattern.subject, pattern.predicate, pattern.object
        if predicate is None:
            assert subject is not None and object_ is not None  # parse() leaves one place open
            return self.relations(subject, object_, top, new_only)
        if object_ is None:
            assert subject is not None
            return self.tails(subject, predicate, top, new_only)
        return self.heads(predicate, object_, top, new_only)

    def tails(self, subject: str, predicate: str, top: int = 10, new_only: bool = False) -> list[Candidate]:
        """(subject, predicate, ?): the most plausible objects. Names are IRIs, prefix:name or labels."""
        head, relation = self._question(subject, predicate, None)
        order, scores, known = self._answers(head, relation, new_only, top)
        return [
            self._candidate(rank, head, relation, tail, scores[tail], known[tail]) for rank, tail in enumerate(order, 1)
        ]

    def heads(self, predicate: str, object: str, top: int = 10, new_only: bool = False) -> list[Candidate]:
        """(?, predicate, object): the most plausible subjects, scored as tails of the inverse relation."""
        tail, inverse = self._question(None, predicate, object)
        order, scores, known = self._answers(tail, inverse, new_only, top)
        relation = inverse - len(self.vocabulary.relations)
        return [
            self._candidate(rank, head, relation, tail, scores[head], known[head]) for rank, head in enumerate(order, 1)
        ]

    @torch.no_grad()
    def relations(self, subject: str, object: str, top: int = 10, new_only: bool = False) -> list[Candidate]:
        """(subject, ?, object): the most plausible relations, by the mean of the scores of both directions."""
        head, tail = self._entity(subject), self._entity(object)
        num = len(self.vocabulary.relations)
        relation = torch.arange(num, device=self.facts.device)
        one = torch.ones_like(relation)
        ends = torch.tensor([head, tail], device=self.facts.device)
        there, back = self.scorer.score_relations(ends, ends.flip(0), self.graph)
        scores = (there[:num] + back[num:]) / 2
        known = self.known.contains(one * head, relation, one * tail)
        order = _best(scores, ~known if new_only else torch.ones_like(known), top)
        return [
            self._candidate(rank, head, best, tail, scores[best], known[best]) for rank, best in enumerate(order, 1)
        ]

    @torch.no_grad()
    def score(self, subject: str, predicate: str, object: str) -> float:
        """The score of one fact, asked as (subject, predicate, ?)."""
        head, relation, tail = (
            torch.tensor([i], device=self.facts.device)
            for i in (self._entity(subject), self._relation(predicate), self._entity(object))
        )
        return self.scorer.score_hrt(Queries(head, relation, self.graph), tail).item()

    # How probable

    @property
    def calibration(self) -> Calibration:
        """UserError where the model has none."""
        if self.bundle.calibration is None:
            raise UserError(
                f"{self.bundle.path} tells no probabilities: it was trained without valid facts, or before there were "
                f"any (kg calibrate {self.bundle.path})"
            )
        return self.bundle.calibration

    def fact_probabilities(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """Of facts, known or not: see kg.evaluation.calibration. O(F (answers of their relations)) scores.

        A relation may be given in either direction. UserError for an entity that the model cannot be asked about.
        """
        num = len(self.vocabulary.relations)
        upright = torch.where((hrt[:, 1] < num)[:, None], hrt, hrt.flip(1) - hrt.new_tensor([0, num, 0]))
        found = torch.zeros(len(hrt), device=hrt.device)
        for relation in torch.unique(upright[:, 1]).tolist():
            chosen = upright[:, 1] == relation
            heads, row = torch.unique(upright[chosen, 0], return_inverse=True)
            tails, column = torch.unique(upright[chosen, 2], return_inverse=True)
            forward = self.asking.rows(relation, heads, tails)
            backward = self.asking.rows(relation + num, tails, heads)
            found[chosen] = self.calibration.logits(relation, forward, backward)[row, column]
        return self.calibration.probabilities(found)

    def probabilities(self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        """Of every entity as the answer of (head, relation, ?), relation r + R asking for heads; known answers are told
        like any other. An entity that the model cannot be asked about has 0.

        The first question of a relation asks about every entity in the other direction, later ones do not.
        """
        num = len(self.vocabulary.relations)
        found = torch.zeros(len(head), self.graph.num_entities, device=head.device)
        every = self.answerable
        for directed in torch.unique(relation).tolist():
            chosen, inverse = relation == directed, (directed + num) % (2 * num)
            asked = self.asking.rows(directed, head[chosen], every)
            ends = self._ends_of(inverse)
            others = Rows(self.asking.scores(inverse, every, head[chosen]), ends.normaliser, ends.count)
            forward, backward = (asked, others) if directed < num else (others, asked)
            logits = self.calibration.logits(directed % num, forward, backward)
            found[chosen, : len(every)] = self.calibration.probabilities(logits if directed < num else logits.T)
        return found

    def _ends_of(self, relation: int) -> Rows:
        """All that can be asked (entity, relation, ?), without candidates."""
        if relation not in self._ends:
            self._ends[relation] = self.asking.rows(relation, self.answerable, self.answerable[:0])
        return self._ends[relation]

    @cached_property
    def answerable(self) -> Int[Tensor, " A"]:
        """The entities that can stand in a question: the first of all. Most models know but those of their training."""
        newest = self.graph.num_entities - 1
        count = newest + 1
        if count > self.scorer.num_entities:
            try:
                self.asking.scores(0, self.facts.new_tensor([newest]), self.facts.new_tensor([0]))
            except UserError:  # which is what such a scorer says
                count = self.scorer.num_entities
        return torch.arange(count, device=self.facts.device)

    @torch.no_grad()
    def _answers(
        self, head: int, relation: int, new_only: bool, top: int
    ) -> tuple[list[int], Float[Tensor, " N"], Bool[Tensor, " N"]]:
        """The best entity ids, then the scores of all entities, and which are known answers."""
        queries = self._queries(head, relation)
        known, eligible = self._known_and_eligible(queries, new_only)
        scores = self.scorer.score_tails(queries)[0]
        return _best(scores, eligible, top), scores, known

    def _question(self, subject: str | None, predicate: str, object: str | None) -> tuple[int, int]:
        """The entity that is given and the relation that its candidates are tails of: r + R where heads are asked."""
        given = subject if object is None else object
        assert given is not None
        entity, relation = self._entity(given), self._relation(predicate)
        return entity, relation if object is None else relation + len(self.vocabulary.relations)

    def _queries(self, head: int, relation: int, generator: torch.Generator | None = None) -> Queries:
        asked = torch.tensor([[head], [relation]], device=self.facts.device)
        return Queries(asked[0], asked[1], self.graph, generator)

    def _known_and_eligible(self, queries: Queries, new_only: bool) -> tuple[Bool[Tensor, " N"], Bool[Tensor, " N"]]:
        """Which entities are known answers to one question, and which are candidates."""
        head, relation = queries.head[0], queries.relation[0]
        known = torch.zeros(self.graph.num_entities, dtype=torch.bool, device=self.facts.device)
        known[self.known.lookup(queries.head, queries.relation)[1]] = True
        eligible = ~known if new_only else torch.ones_like(known)
        if not self.loops[relation % len(self.vocabulary.relations)]:
            eligible[head] = known[head] & (not new_only)
        return known, eligible

    # How sure the answers are

    def uncertainty(self, pattern: Pattern, samples: int = 32, seed: int = 0, new_only: bool = False) -> Uncertainty:
        """Of softmax(scores / temperature) over the candidates of `ask`, from samples with dropout as in training
        (Gal and Ghahramani, 2016). A function of the seed; the model and its later answers stay as they are.

        Each sample is a question by itself, so that none shares a mask with another. Batch normalisation goes by its
        running figures, which training gathered with dropout on; those of a batch would be of one question alone.

        UserError where both ends are given, or the model draws nothing at random. The temperature is that of answers
        without dropout, 1 where none was fitted.
        """
        if samples < 2:
            raise UserError(f"uncertainty shows between samples: at least 2 are needed, got {samples}")
        if self.scorer.training:
            raise ValueError("the scorer is in training: to sample would change what it has gathered of its batches")
        generator = torch.Generator(self.facts.device).manual_seed(seed)
        before = generator.get_state()
        found = self._uncertainty(pattern, [(self.bundle, generator)] * samples, new_only)
        if torch.equal(generator.get_state(), before):
            raise UserError("the model was trained without dropout: there is nothing to sample uncertainty from")
        return found

    def ensemble_uncertainty(self, pattern: Pattern, others: Sequence[Bundle], new_only: bool = False) -> Uncertainty:
        """The same of this model and others, each a sample, without dropout. All look at this predictor's graph.

        UserError where the others know other entities or relations, as those of other facts do.
        """
        own = self.bundle.dataset.vocabulary
        for other in others:
            theirs = other.dataset.vocabulary
            if (theirs.entities, theirs.relations) != (own.entities, own.relations):
                raise UserError(f"{other.path} was trained on other entities or relations than {self.bundle.path}")
        return self._uncertainty(pattern, [(bundle, None) for bundle in (self.bundle, *others)], new_only)

    @torch.no_grad()
    def _uncertainty(
        self, pattern: Pattern, members: Sequence[tuple[Bundle, torch.Generator | None]], new_only: bool
    ) -> Uncertainty:
        if pattern.predicate is None:
            raise UserError("uncertainty is that of a subject or an object: the predicate must be given")
        question = self._question(pattern.subject, pattern.predicate, pattern.object)
        _, eligible = self._known_and_eligible(self._queries(*question), new_only)
        if not bool(eligible.any()):
            raise UserError("no candidate is left to be unsure of")

        def probabilities() -> Iterator[Float[Tensor, "1 C"]]:
            for bundle, generator in members:
                scores = bundle.scorer.score_tails(self._queries(*question, generator))[:, eligible]
                yield (scores.double() / (bundle.temperature or 1.0)).softmax(1)  # WORST / T stays finite so

        aleatoric, epistemic = entropies(probabilities())
        return Uncertainty(aleatoric.item(), epistemic.item(), len(members), int(eligible.sum()))

    @cached_property
    def loops(self) -> Bool[Tensor, " R"]:
        """Which relations ever hold between an entity and itself: for the others that is no candidate."""
        found = torch.zeros(len(self.vocabulary.relations), dtype=torch.bool, device=self.facts.device)
        found[self.facts[self.facts[:, 0] == self.facts[:, 2], 1]] = True
        return found

    def _candidate(
        self, rank: int, head: int, relation: int, tail: int, score: Tensor, known: Tensor
    ) -> Candidate:
        names = self.vocabulary
        terms = names.entities[head], names.relations[relation], names.entities[tail]
        return Candidate(*terms, rank, score.item(), bool(known))


def _best(scores: Float[Tensor, " N"], eligible: Bool[Tensor, " N"], top: int) -> list[int]:
    """Ids of the `top` highest eligible scores, best first."""
    if top < 1:
        raise UserError(f"--top must be at least 1: got {top}")
    order = scores.masked_fill(~eligible, -torch.inf).topk(min(top, int(eligible.sum()))).indices
    best: list[int] = order.tolist()
    return best
