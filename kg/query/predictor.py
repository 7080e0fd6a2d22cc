"""Predictor: questions in RDF terms in, ranked candidate facts out."""

from collections.abc import Callable, Iterator, Sequence
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
from kg.graph.from_store import entity_facts, schema_from_store
from kg.graph.graph import Graph
from kg.graph.known import KnownAnswers, reflexive_relations
from kg.graph.names import Names
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.models.scorer import Queries
from kg.probability.calibration import Calibration, by_log_softmax, calibration_of
from kg.probability.query_scores import QueryScores, ScoreBlock
from kg.probability.uncertainty import entropies
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.consistency import Clashes
from kg.query.pattern import Pattern
from kg.search.type_constraints import Constraint, ObservedTypes, observed_line
from kg.store.store import Store

_BATCH = 256


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
    `facts_left_out`. data is the name of the store or folder they were read from, generation the store's.
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
        self.data, self.generation = Path(bundle.dataset.source).name, bundle.dataset.generation
        self.facts = facts.to(device)
        self.graph = Graph.from_triples(self.facts, len(vocabulary.entities), len(vocabulary.relations))
        self.known = KnownAnswers.from_triples(self.facts, len(vocabulary.relations))
        self.query_scores = QueryScores(self.scorer, self.graph, self.known, bundle.temperature or 1.0)
        self._ends: dict[int, ScoreBlock] = {}

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
        """A loaded model with the facts of an open store, read as those that it was trained on. UserError where all of
        them are of other relations: then nothing would be known, and what the store has be told as new."""
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
        facts = np.stack([entity_of[chosen[:, 0]], relation_of[chosen[:, 1]], entity_of[chosen[:, 2]]], 1)
        said = f"the store {store.path}, generation {store.generation}"
        made = cls(bundle, vocabulary, torch.from_numpy(facts), schema_from_store(store), said)
        made.facts_left_out = len(rows) - len(chosen)
        made.data, made.generation = store.path.resolve().name, store.generation
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

    def ask(self, pattern: Pattern, top: int = 10, new_only: bool = False, types: Constraint = "off") -> Candidates:
        """The best answers to a pattern with one '?', by the score of the direction asked, as evaluation ranks them.

        types: which entities may answer, see kg.search.type_constraints.
        """
        return self.ask_all([pattern], top, new_only, types)[0]

    @torch.no_grad()
    def ask_all(
        self, patterns: Sequence[Pattern], top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> list[Candidates]:
        """`ask` of several patterns: faster than one after the other."""
        if top < 1:
            raise UserError(f"--top must be at least 1: got {top}")
        questions = {
            i: self._question(pattern.subject, pattern.predicate, pattern.object)
            for i, pattern in enumerate(patterns)
            if pattern.predicate is not None
        }
        answered = dict(zip(questions, self._answers(list(questions.values()), top, new_only, types), strict=True))
        return [
            answered[i] if i in answered else self._relations(pattern, top, new_only)
            for i, pattern in enumerate(patterns)
        ]

    def tails(
        self, subject: str, predicate: str, top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> Candidates:
        """(subject, predicate, ?): the most plausible objects. Names are IRIs, prefix:name or labels."""
        return self.ask(Pattern(subject, predicate, None), top, new_only, types)

    def heads(
        self, predicate: str, object: str, top: int = 10, new_only: bool = False, types: Constraint = "off"
    ) -> Candidates:
        """(?, predicate, object): the most plausible subjects, scored as tails of the inverse relation."""
        return self.ask(Pattern(None, predicate, object), top, new_only, types)

    def relations(self, subject: str, object: str, top: int = 10, new_only: bool = False) -> Candidates:
        """(subject, ?, object): the most plausible relations, by the mean of the scores of both directions."""
        return self.ask(Pattern(subject, None, object), top, new_only)

    def score(self, subject: str, predicate: str, object: str) -> float:
        """The score of one fact: the mean of those of (subject, predicate, ?) and (?, predicate, object), which differ
        where the scorer has a relation's inverse learn by itself."""
        fact = [self._entity(subject), self._relation(predicate), self._entity(object)]
        return self.scores(self.facts.new_tensor([fact])).item()

    @torch.no_grad()
    def scores(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """`score` of many."""
        head, relation, tail = hrt.unbind(1)
        inverse = relation + len(self.vocabulary.relations)
        both = Queries(torch.cat([head, tail]), torch.cat([relation, inverse]), self.graph)
        other = torch.cat([tail, head])
        parts = [
            self.scorer.score_hrt(both[i : i + _BATCH], other[i : i + _BATCH]) for i in range(0, len(both), _BATCH)
        ]
        there, back = torch.cat([torch.zeros(0, device=hrt.device), *parts]).chunk(2)
        return (there + back) / 2

    def complete(
        self,
        top: int = 1000,
        *,
        relations: Sequence[str] | None = None,
        entity: str | None = None,
        per_relation: int | None = None,
        types: Constraint = "observed",
        min_probability: float = 0.0,
        checkpoint: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Candidates:
        """The most probable new facts of the whole graph: see kg.search.discovery."""
        from kg.search.discovery import Search, best_new_facts

        search = Search(
            top,
            per_relation,
            None if relations is None else tuple(self._relation(name) for name in relations),
            None if entity is None else self._entity(entity),
            types,
            min_probability,
        )
        return best_new_facts(self, search, checkpoint, progress)

    @torch.no_grad()
    def ranked(self, hrt: Int[Tensor, "F 3"]) -> Candidates:
        """These facts, all of them new, by probability, then by the logit it is made of."""
        hrt = hrt.to(self.facts.device)
        logits = self.logits(hrt)
        probabilities = self.order.probabilities(logits)
        order = np.lexsort([-each.cpu().numpy() for each in (logits, probabilities)])
        chosen = torch.from_numpy(order).to(hrt.device)
        told = probabilities[chosen].tolist() if self.bundle.calibration else [None] * len(hrt)
        facts, scores = hrt[chosen], self.scores(hrt[chosen])
        return self._candidates(facts, scores, torch.zeros(len(hrt), dtype=torch.bool), told)

    def _relations(self, pattern: Pattern, top: int, new_only: bool) -> Candidates:
        assert pattern.subject is not None and pattern.object is not None  # parse() leaves one place open
        head, tail = self._entity(pattern.subject), self._entity(pattern.object)
        num = len(self.vocabulary.relations)
        relation = torch.arange(num, device=self.facts.device)
        ends = torch.tensor([head, tail], device=self.facts.device)
        there, back = self.scorer.score_relations(ends, ends.flip(0), self.graph)
        scores = (there[:num] + back[num:]) / 2
        hrt = torch.stack([torch.full_like(relation, head), relation, torch.full_like(relation, tail)], 1)
        known = self.known.contains(*hrt.unbind(1))
        eligible = ~known if new_only else torch.ones_like(known)
        best = scores.masked_fill(~eligible, -torch.inf).topk(min(top, int(eligible.sum()))).indices
        return self._candidates(hrt[best], scores[best], known[best], self._told(hrt[best]))

    def _answers(
        self, questions: Sequence[tuple[int, int]], top: int, new_only: bool, types: Constraint
    ) -> list[Candidates]:
        """The best answers to (entity, directed relation, ?)."""
        if not questions:
            return []
        num = len(self.vocabulary.relations)
        asked = self.facts.new_tensor(questions)
        queries = Queries(asked[:, 0], asked[:, 1], self.graph)
        known, eligible = self._known_and_eligible(queries, new_only, types)
        scores = self.scorer.score_tails(queries).masked_fill_(~eligible, -torch.inf)
        best = scores.topk(min(top, scores.shape[1]))
        counts = eligible.sum(1).clamp(max=top).tolist()
        rows = []
        for (entity, relation), ids, count in zip(questions, best.indices, counts, strict=True):
            given, found = torch.full_like(ids[:count], entity), ids[:count]
            ends = (given, found) if relation < num else (found, given)
            rows.append(torch.stack([ends[0], torch.full_like(given, relation % num), ends[1]], 1))
        told = iter(self._told(torch.cat(rows)))
        return [
            self._candidates(facts, best.values[i], known[i, best.indices[i]], [next(told) for _ in facts])
            for i, facts in enumerate(rows)
        ]

    def _told(self, hrt: Int[Tensor, "F 3"]) -> list[float | None]:
        """Probabilities, None where the model tells none or cannot be asked about an end."""
        can = (hrt[:, [0, 2]] < len(self.answerable)).all(1)
        if self.bundle.calibration is None or not bool(can.any()):
            return [None] * len(hrt)
        found = torch.full((len(hrt),), torch.nan)
        found[can.cpu()] = self.fact_probabilities(hrt[can]).cpu()
        return [None if value != value else value for value in found.tolist()]

    def _question(self, subject: str | None, predicate: str, object: str | None) -> tuple[int, int]:
        """The entity that is given and the relation that its candidates are tails of: r + R where heads are asked."""
        given = subject if object is None else object
        assert given is not None
        entity, relation = self._entity(given), self._relation(predicate)
        return entity, relation if object is None else relation + len(self.vocabulary.relations)

    def _queries(self, head: int, relation: int, generator: torch.Generator | None = None) -> Queries:
        asked = torch.tensor([[head], [relation]], device=self.facts.device)
        return Queries(asked[0], asked[1], self.graph, generator)

    def _known_and_eligible(
        self, queries: Queries, new_only: bool, types: Constraint
    ) -> tuple[Bool[Tensor, "B N"], Bool[Tensor, "B N"]]:
        """Which entities are known answers to the questions, and which are candidates."""
        num = len(self.vocabulary.relations)
        known = torch.zeros(len(queries), self.graph.num_entities, dtype=torch.bool, device=self.facts.device)
        known[self.known.lookup(queries.head, queries.relation)] = True
        eligible = ~known if new_only else torch.ones_like(known)
        if types != "off":
            fitting = {each: self.allowed((each + num) % (2 * num), types) for each in queries.relation.tolist()}
            eligible &= torch.stack([fitting[each] for each in queries.relation.tolist()])
        row = torch.arange(len(queries), device=known.device)
        may = self.reflexive[queries.relation % num] | known[row, queries.head]
        eligible[row, queries.head] &= may
        return known, eligible

    # Who may stand where

    def allowed(self, relation: int, types: Constraint) -> Bool[Tensor, " N"]:
        """The entities that may be heads of a directed relation."""
        device = self.facts.device
        if types == "declared":
            return self.clashes.types.allowed(relation).to(device)
        if types == "observed":
            fit, line = self.observed_types
            return (fit.fit(relation) >= line).to(device)
        return torch.ones(self.graph.num_entities, dtype=torch.bool, device=device)

    @cached_property
    def clashes(self) -> Clashes:
        """What the schema says against facts."""
        return Clashes(self.vocabulary, self.schema, self.known)

    @cached_property
    def observed_types(self) -> tuple[ObservedTypes, float]:
        return ObservedTypes(self.known, self.graph.num_entities), observed_line(self.bundle.dataset)

    # How probable

    @cached_property
    def _calibration(self) -> Calibration | None:
        return calibration_of(self.bundle)

    @property
    def calibration(self) -> Calibration:
        """UserError where the model has none."""
        if self._calibration is None:
            raise UserError(f"{self.bundle.path} gives no probabilities: {self.uncalibrated}")
        return self._calibration

    @property
    def uncalibrated(self) -> str:
        """Why a model has no calibration, if it has none, and what helps."""
        if not len(self.bundle.dataset.valid):
            return "it was trained without valid facts to fit them on"
        return f"it was not calibrated (kg calibrate {self.bundle.path})"

    @property
    def order(self) -> Calibration:
        """What candidates are ordered by: the calibration, or the mean log-softmax of both directions without one."""
        return self._calibration or by_log_softmax(len(self.vocabulary.relations))

    def lowest_logit(self, probability: float) -> float:
        """Below it every fact is less probable than that: by bisection."""
        if not probability:
            return -torch.inf
        low, high = -1e4, 1e4
        while high - low > 1e-4:
            middle = (low + high) / 2
            enough = self.calibration.probabilities(torch.tensor([middle])).item() >= probability
            low, high = (low, middle) if enough else (middle, high)
        return low

    def fact_probabilities(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """Of facts, known or not: see kg.probability.calibration. O(F (answers of their relations)) scores.

        A relation may be given in either direction. UserError for an entity that the model cannot be asked about, and
        where the model gives no probabilities.
        """
        return self.calibration.probabilities(self.logits(hrt))

    @torch.no_grad()
    def logits(self, hrt: Int[Tensor, "F 3"]) -> Float[Tensor, " F"]:
        """What `order` orders facts by."""
        num = len(self.vocabulary.relations)
        upright = torch.where((hrt[:, 1] < num)[:, None], hrt, hrt.flip(1) - hrt.new_tensor([0, num, 0]))
        found = torch.zeros(len(hrt), device=hrt.device)
        order = upright[:, 0].argsort(stable=True)  # so that few heads are asked about twice
        for relation in torch.unique(upright[:, 1]).tolist():
            for chosen in torch.split(order[upright[order, 1] == relation], _BATCH):
                heads, row = torch.unique(upright[chosen, 0], return_inverse=True)
                tails, column = torch.unique(upright[chosen, 2], return_inverse=True)
                forward = self.query_scores.block(relation, heads, tails)
                backward = self.query_scores.block(relation + num, tails, heads)
                found[chosen] = self.order.logits(relation, forward, backward)[row, column]
        return found

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
            asked = self.query_scores.block(directed, head[chosen], every)
            ends = self._ends_of(inverse)
            others = ScoreBlock(self.query_scores.scores(inverse, every, head[chosen]), ends.normaliser, ends.count)
            forward, backward = (asked, others) if directed < num else (others, asked)
            logits = self.calibration.logits(directed % num, forward, backward)
            found[chosen, : len(every)] = self.calibration.probabilities(logits if directed < num else logits.T)
        return found

    def _ends_of(self, relation: int) -> ScoreBlock:
        """All that can be asked (entity, relation, ?), without candidates."""
        if relation not in self._ends:
            self._ends[relation] = self.query_scores.block(relation, self.answerable, self.answerable[:0])
        return self._ends[relation]

    @cached_property
    def answerable(self) -> Int[Tensor, " A"]:
        """The entities that can stand in a question: the first of all. Most models know but those of their training."""
        newest = self.graph.num_entities - 1
        count = newest + 1
        if count > self.scorer.num_entities:
            try:
                self.query_scores.scores(0, self.facts.new_tensor([newest]), self.facts.new_tensor([0]))
            except UserError:  # which is what such a scorer says
                count = self.scorer.num_entities
        return torch.arange(count, device=self.facts.device)

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
        _, (eligible,) = self._known_and_eligible(self._queries(*question), new_only, "off")
        if not bool(eligible.any()):
            raise UserError("no candidate is left to be unsure of")

        def probabilities() -> Iterator[Float[Tensor, "1 C"]]:
            for bundle, generator in members:
                scores = bundle.scorer.score_tails(self._queries(*question, generator))[:, eligible]
                yield (scores.double() / (bundle.temperature or 1.0)).softmax(1)  # WORST / T stays finite so

        aleatoric, epistemic = entropies(probabilities())
        return Uncertainty(aleatoric.item(), epistemic.item(), len(members), int(eligible.sum()))

    @cached_property
    def reflexive(self) -> Bool[Tensor, " R"]:
        return reflexive_relations(self.facts, len(self.vocabulary.relations))

    def _candidates(
        self,
        hrt: Int[Tensor, "F 3"],
        scores: Float[Tensor, " _"],
        known: Bool[Tensor, " _"],
        probabilities: Sequence[float | None],
    ) -> Candidates:
        """These facts in this order; of scores and `known` as many as there are facts are looked at."""
        entities, relations = self.vocabulary.entities, self.vocabulary.relations
        found = []
        rows = zip(hrt.tolist(), scores.tolist(), known.tolist(), probabilities, strict=False)
        for rank, ((head, relation, tail), score, is_known, probability) in enumerate(rows, 1):
            terms = entities[head], relations[relation], entities[tail]
            note = None if is_known else "; ".join(self.clashes.of(head, relation, tail)) or None
            found.append(Candidate(*terms, rank, score, is_known, probability, note))
        terms_shown = {term for each in found for term in (each.subject, each.predicate, each.object)}
        return Candidates(tuple(found), {term: self.label(term) for term in terms_shown})
